/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Published systems as fixed policies: what each may choose, and what it
 * leaves alone. The planner runs each on the user's scenario with the chosen
 * layout and capacity. All of them get moecast's order of all-reduces, after
 * the exchanges on their lane, which is Lina's and better than what most did.
 */
#ifndef SIM_RIVALS_H
#define SIM_RIVALS_H

#include "scenarios/plan.h"

#define RIVAL_DEGREES 4
#define RIVALS_MAX 20

struct rival_row {
	const char *name;
	const char *help;
	unsigned alltoall;	/* bits of the algorithms that it picks from */
	int degree[RIVAL_DEGREES];	/* and degrees; 0: no more */
	bool one_degree;	/* the same for both passes */
	unsigned techniques;	/* that it uses where they can be used; 0 none */
	double piece_bytes;	/* degree by the size of a piece; 0: by time */
	bool exact_counts;	/* needs a dropless plan */
	/* blocks instead of layers; pieces of gradients as piece_bytes says,
	 * else as many as are fastest */
	enum plan_dense dense;
	bool packs;		/* see rival_packed() */
	bool groupwise;		/* see rival_groupwise() */
};

extern const struct rival_row rival_table[];	/* ends with a NULL name */

/* The degree that cuts `bytes` of a rank into the rival's pieces. */
int rival_pieces(const struct rival_row *r, double bytes);

/*
 * Lina's packing: a device holds twice as many experts, so that an EP group
 * has half of the ranks and there are twice as many of them. False: the model
 * or the cluster does not allow it.
 */
bool rival_packed(const struct layout *l, const struct cluster *c,
		  const struct model *m, struct layout *out);

/*
 * LocMoE's group-wise exchange: inside a group of t ranks, the tensor group
 * or else the node, each carries a t-th of the group's rows to the rank of
 * its place in the other groups, and the group gathers them: ep / t ranks
 * exchange, esp = t gather. Its experts are split over the group. False: not
 * possible here, or the layout does so already.
 */
bool rival_groupwise(const struct layout *l, const struct cluster *c,
		     const struct model *m, struct layout *out);

#endif
