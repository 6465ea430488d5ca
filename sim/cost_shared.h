/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the costs of many plans have in common: a search makes hundreds, and
 * rings depend on the layout alone, expert work on layout and capacity.
 *
 * For one network, model and set of constants. Costs with flows outlive their
 * workload's turn (sim/search_memo.c) and share rings only. Answers are those that would
 * be computed afresh, to the last bit.
 */
#ifndef SIM_COST_SHARED_H
#define SIM_COST_SHARED_H

#include "scenarios/plan.h"
#include "sim/coll.h"
#include "sim/cost_kernel.h"
#include "sim/route.h"

struct cost_shared;

struct cost_shared *cost_shared_new(void);
void cost_shared_free(struct cost_shared *s);	/* NULL is fine */
/* Costs made from now on are for another workload; older ones are gone. */
void cost_shared_next(struct cost_shared *s);

/* ---- for sim/cost.c ---- */

enum {
	EXPERT_FORWARD, EXPERT_DATA,
	EXPERT_WEIGHT, EXPERT_WEIGHT_ADD,	/* the first chunk's, the others' */
	EXPERT_KIND_N
};

/* Expert ops at one pipeline degree; made when first asked for. */
struct expert_cost {
	bool known;
	struct work work;
};

/* What the experts of a workload take. */
struct expert_costs {
	struct expert_cost at[EXPERT_KIND_N * (PLAN_DEGREE_MAX + 1)];
	/* ranks with other rows than the one before, rank 0 first; owned */
	int *rank;
	int n_ranks;	/* 0: not listed yet */
};

struct expert_costs *expert_costs_new(void);
void expert_costs_free(struct expert_costs *e);	/* NULL is fine */
/* Lists e->rank if it is not yet there. */
void expert_costs_list(struct expert_costs *e, const struct workload *w);

/* Those of the current workload. */
struct expert_costs *cost_shared_experts(struct cost_shared *s);

/* The current workload's all-to-alls at coll_least(); s may be NULL. */
enum status cost_shared_least(struct cost_shared *s, const struct coll_spec *cs,
			      enum a2a_alg alg, const struct workload *w,
			      struct coll *dispatch, struct coll *combine);

/* As coll_ring(), but without flows; s may be NULL. */
enum status cost_shared_ring(struct cost_shared *s, const struct coll_spec *cs,
			     enum coll_op op, int group, int stride,
			     double bytes, struct coll *out);

#endif
