/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Published systems whose schedule reaches beyond the layer: the dense part in
 * the program, its gradients in pieces among the exchanges.
 */
#include "sim/search_priv.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/dense.h"
#include "sim/gaps.h"

#include <math.h>
#include <stdlib.h>

/* The plan's time with its pieces in the gaps; it gets their order. */
static enum status fill(struct search *x, const struct cost *c,
			struct plan *plan, double *time_s)
{
	const struct scenario *s = x->s;
	struct program prog;
	uint64_t *end;
	enum status st = program_lower(plan, &s->cluster, &s->model, &prog);

	if (!st && gaps_fill(&prog, c, &plan->order[1])) {
		program_release(&prog);
		st = program_lower(plan, &s->cluster, &s->model, &prog);
	}
	if (st)
		return st;
	end = xcalloc((size_t)prog.n_ops, sizeof(*end));
	*time_s = s_from_ps(exec_lane_time(&prog, c, end));
	free(end);
	program_release(&prog);
	return ST_OK;
}

/* 1, 2, 4, ...: FlowMoE's search looks at about as many. */
static int list_pieces(const struct rival_row *r, double bytes, int *out)
{
	int n = 0;

	if (r->piece_bytes > 0) {
		out[n++] = (int)fmin(rival_pieces(r, bytes), PLAN_PIECES_MAX);
		return n;
	}
	for (int p = 1; p <= PLAN_PIECES_MAX; p *= 2)
		out[n++] = p;
	return n;
}

enum status search_block(struct search *x, const struct rival_row *r,
			 struct candidate *best)
{
	struct group g = search_plan_group(x, &best->plan);
	const struct candidate layer = *best;
	int pieces[KNOB_MAX], n;
	struct dense d;
	struct cost *c;
	enum status st;

	dense_init(&d, &x->s->cluster.gpu, &x->s->model, &best->plan.layout);
	if (!(d.params > 0) ||
	    (r->dense == DENSE_CHUNKS && best->plan.layout.ep == 1))
		return ST_OK;
	st = search_at(x, g.layout, g.factor, g.tech);
	if (!st)
		st = search_memo_cost(x, &g, &c);
	if (st)
		return st;
	n = list_pieces(r, dense_gradient_bytes(&d), pieces);
	best->lane_s = INFINITY;
	for (int i = 0; i < n && !st; i++) {
		struct candidate k = layer;

		k.plan.dense = r->dense;
		k.plan.dense_pieces = pieces[i] > 1 ? pieces[i] : 0;
		st = fill(x, c, &k.plan, &k.lane_s);
		k.lane_s -= cost_apart_s(c);
		if (!st && k.lane_s < best->lane_s)
			*best = k;
	}
	return st;
}
