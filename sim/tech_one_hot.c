/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Dispatch and combine as products with a mask of T tokens by S slots that is
 * one where the token has the slot (GShard; DeepSpeed-MoE of 2022): each
 * product 2 T S h operations, where a permutation moves every row once.
 *
 *	forward		slots = mask' x		y = weights slots
 *	backward	dslots = weights' dy, dweights = dy slots'
 *			dx = mask dslots
 *
 * The mask is written once and each product reads it.
 */
#include "sim/tech_apply.h"

#include "base/mem.h"

#include <math.h>

static double product_s(const struct tech_place *at, int products, int masks)
{
	const struct model *m = &at->s->model;
	double tokens = layout_tokens(at->layout, m), h = m->hidden;
	double slots = tokens * m->experts_per_token *
		(at->factor > 0 ? at->factor : 1);
	double bytes = dtype_bytes(m->dtype);
	const struct tech_cost c = {
		.gemm_flop = products * 2 * tokens * slots * h,
		.hbm_bytes = masks * tokens * slots * bytes,
		.kernels = products,
	};

	return tech_cost_compute_s(&c, &at->s->cluster.gpu, m->dtype);
}

void tech_one_hot(const struct tech_place *at, struct tech_effect *e)
{
	e->permute_s[0] = product_s(at, 1, 2);	/* written and read */
	e->unpermute_s[0] = product_s(at, 1, 1);
	e->unpermute_s[1] = product_s(at, 2, 2);
	e->permute_s[1] = product_s(at, 1, 1);
}
