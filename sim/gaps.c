/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/gaps.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/cost.h"

#include <stdlib.h>

struct gaps {
	const struct program *p;
	const struct cost *c;
	uint64_t *end;		/* [n_ops] of the backward pass from 0 */
	uint64_t lane_free[LANES_ALL];
	int *piece, n_pieces, laid;
	int *sequence, n;	/* all ops of the pass, pieces in their places */
};

static bool is_piece(const struct op *o)
{
	return o->kind == OP_ALLREDUCE_GATE && o->step == ALLREDUCE_DENSE;
}

static void run(struct gaps *g, int i, uint64_t from)
{
	const struct op *o = &g->p->op[i];

	if (from < g->lane_free[o->lane])
		from = g->lane_free[o->lane];
	g->end[i] = g->lane_free[o->lane] = from +
		ps_from_s(cost_op(g->c, o));
	g->sequence[g->n++] = i;
}

static void find_pieces(struct gaps *g)
{
	for (int i = g->p->n_forward; i < g->p->n_ops; i++) {
		if (is_piece(&g->p->op[i]))
			g->piece[g->n_pieces++] = i;
	}
}

static uint64_t ready_at(const struct gaps *g, const struct op *o)
{
	uint64_t at = 0;

	for (int d = 0; d < o->n_deps; d++) {
		if (o->dep[d] >= g->p->n_forward && g->end[o->dep[d]] > at)
			at = g->end[o->dep[d]];
	}
	return at;
}

/*
 * The array is a topological order and the other ops of a lane keep theirs,
 * so one pass is exact: before an exchange begins as many pieces as there is
 * idle time for the last of them to begin in.
 */
static void lay(struct gaps *g)
{
	for (int i = g->p->n_forward; i < g->p->n_ops; i++) {
		const struct op *o = &g->p->op[i];
		uint64_t ready;

		if (is_piece(o))
			continue;
		ready = ready_at(g, o);
		while (op_kind_is_exchange(o->kind) &&
		       g->laid < g->n_pieces &&
		       g->p->op[g->piece[g->laid]].lane == o->lane &&
		       g->lane_free[o->lane] < ready)
			run(g, g->piece[g->laid++], 0);
		run(g, i, ready);
	}
	while (g->laid < g->n_pieces)
		run(g, g->piece[g->laid++], 0);
}

/* Of blocks in chunks an order has exchanges and pieces alone. */
static bool exchanges_alone(const struct gaps *g, struct pass_order *out)
{
	struct pass_order o = { .rule = ORDER_GIVEN };

	for (int i = 0; i < g->n; i++) {
		const struct op *op = &g->p->op[g->sequence[i]];

		if (!is_piece(op) && !op_kind_is_exchange(op->kind))
			continue;
		if (o.n == ORDER_PLACES_MAX)
			return false;
		o.place[o.n++] = (unsigned char)order_kind(op);
	}
	*out = o;
	return true;
}

bool gaps_fill(const struct program *p, const struct cost *c,
	       struct pass_order *out)
{
	size_t n = (size_t)p->n_ops;
	struct gaps g = { .p = p, .c = c };
	bool ok;

	g.end = xcalloc(n, sizeof(*g.end));
	g.piece = xcalloc(n, sizeof(*g.piece));
	g.sequence = xcalloc(n, sizeof(*g.sequence));
	find_pieces(&g);
	lay(&g);
	ok = p->plan.dense == DENSE_CHUNKS ? exchanges_alone(&g, out) :
		order_from_sequence(p, 1, g.sequence, out);
	free(g.end);
	free(g.piece);
	free(g.sequence);
	return ok;
}
