/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a step of a collective puts on the links and on the GPUs' memory, at
 * share 1. Links that carry alike in all steps of a plan are one
 * (sim/link_rows.h).
 */
#ifndef SIM_COST_LOAD_H
#define SIM_COST_LOAD_H

#include "sim/coll.h"
#include "sim/link_rows.h"

struct step_load {
	double *link_bytes;	/* [link_set.n], owned; NULL: not known */
	int busiest_link;	/* -1: no flow */
	double busiest_bytes;	/* over that link */
	double hbm_bytes;	/* read + written on the busiest rank */
};

/*
 * The step's flows by links; those that it says by link_rows are moved. None
 * of both: no rows.
 */
void step_rows_take(struct link_rows *out, struct coll_step *s,
		    const struct net *net);

/* `rows` of the step, as the set has them; without: only its busiest link and
 * rank. */
void step_load_init(struct step_load *l, const struct coll_step *s,
		    const struct net *net, const struct link_set *set,
		    const struct link_rows *rows);
void step_load_release(struct step_load *l);

/* More flows than the flow model runs one by one are done with. */
void step_flows_drop(struct coll_step *s);

#endif
