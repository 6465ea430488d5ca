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

#include "sim/coll.h"
#include "sim/cost_kernel.h"

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

/* [EXPERT_KIND_N * (PLAN_DEGREE_MAX + 1)], of the workload. */
struct expert_cost *cost_shared_experts(struct cost_shared *s);
struct expert_cost *expert_costs_new(void);

/* As coll_ring(), but without flows; s may be NULL. */
enum status cost_shared_ring(struct cost_shared *s, const struct coll_spec *cs,
			     enum coll_op op, int group, int stride,
			     double bytes, struct coll *out);

#endif
