/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A MoE layer's backward pass with a reduction of dense layers' gradients in
 * it (technique `gradient-partition`): how long the planner's own program
 * takes with so many seconds of all-reduce among its ops.
 *
 * The program's ops take what they took in its run. The reduction is an op of
 * its lane (plan word gradient=), whole or in pieces, and stands where the
 * pass is shortest: every place in the plan's order is tried for each piece;
 * with the technique `order` all ops may move. FSMoE's place is after the last
 * exchange to the experts, whole.
 */
#ifndef SIM_GRADIENT_SLOTS_H
#define SIM_GRADIENT_SLOTS_H

#include "sim/exec.h"

struct gradient_slots;

/* Dense gradients: alpha_s + beta_s * bytes for an all-reduce. */
struct gradient_slots_spec {
	const struct cluster *cluster;
	const struct model *model;
	const struct program *program;	/* and its run; both are copied */
	const struct exec_result *exec;
	double alpha_s;		/* of each piece */
};

enum status gradient_slots_new(const struct gradient_slots_spec *spec,
			       struct gradient_slots **out_p);
void gradient_slots_free(struct gradient_slots *g);

/*
 * For struct gradient_problem: `moe` is the slots. The pass with gradient_s
 * of reduction in it, in seconds: from a table of GRADIENT_SLOTS points with
 * straight lines between them (which does not fall), and as it is.
 */
#define GRADIENT_SLOTS 64
double gradient_slots_pass(const void *moe, double gradient_s);
double gradient_slots_exact(const void *moe, double gradient_s);
/* In FSMoE's place, whole, likewise; and the most that it hides. */
double gradient_slots_fsmoe(const void *moe, double gradient_s);
double gradient_slots_fsmoe_exact(const void *moe, double gradient_s);
double gradient_slots_hides(const void *moe);

/* In how many pieces gradient_slots_exact() has it. */
int gradient_slots_pieces(const void *moe, double gradient_s);

#endif
