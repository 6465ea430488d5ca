/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the costs of one plan hold. Private to sim/cost.c, cost_coll.c. */
#ifndef SIM_COST_INT_H
#define SIM_COST_INT_H

#include "sim/cost.h"
#include "sim/cost_layer.h"
#include "sim/cost_load.h"
#include "sim/cost_power.h"
#include "sim/cost_shared.h"
#include "sim/dense.h"

enum cost_coll {
	COST_DISPATCH,
	COST_COMBINE,
	COST_HOME,	/* a technique's OP_COMBINE, OP_COMBINE_BWD */
	COST_HOME_BWD,
	COST_ESP_GATHER,
	COST_ESP_SCATTER,
	COST_ROUTER,
	COST_SHARED,
	COST_COPIES,
	COST_DP,
	COST_DENSE,	/* the plan's gradients of dense layers */
	COST_SHADOW,	/* copied experts there, their gradients back */
	COST_SHADOW_BWD,
	COST_SHUFFLE,	/* base: tokens among ranks, there and back */
	COST_COLL_N,
};

struct cost {
	struct cost_spec spec;
	struct tech_effect effect;
	const struct gpu *gpu;
	struct layer layer;
	struct dense dense;
	struct coll coll[COST_COLL_N];
	struct step_load load[COST_COLL_N][A2A_STEPS_MAX];
	struct link_set links;	/* of the loads */
	struct work fixed[OP_KIND_N];	/* ops that are not cut in chunks */
	struct power power;
	struct expert_costs *expert;	/* its own, or spec.shared's */
	bool own_expert;
};

/* Every collective that the plan has: c->coll. The layer is there. */
enum status cost_make_colls(struct cost *c);
/* What their steps use of links and memory, for the flow model: c->load. */
void cost_make_loads(struct cost *c);

#endif
