/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Schedules that reach beyond the layer: the dense part in the program, its
 * gradients in pieces among the exchanges. As a fixed policy of published
 * systems, and as the technique `attention-pipeline`: plans of a group, the
 * best for each number of chunks of each pass. It changes no costs, so it is
 * chosen within the group.
 */
#include "sim/search_priv.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/block.h"
#include "sim/dense.h"
#include "sim/order_search.h"

#include <math.h>
#include <stdlib.h>

/* ---- published systems ---- */

static int list_pieces(const struct rival_row *r, double bytes, int *out)
{
	if (r->piece_bytes > 0) {
		*out = (int)fmin(rival_pieces(r, bytes), PLAN_PIECES_MAX);
		return 1;
	}
	for (int i = 0; i < BLOCK_PIECES; i++)
		out[i] = block_pieces[i];
	return BLOCK_PIECES;
}

enum status search_block(struct search *x, const struct rival_row *r,
			 struct candidate *best)
{
	struct group g = search_plan_group(x, &best->plan);
	int pieces[BLOCK_PIECES], n;
	double backward_s;
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
	best->plan.dense = r->dense;
	return block_place_pieces(x->s, c, pieces, n, &best->plan,
				  &backward_s, NULL);
}

/* ---- the technique ---- */

bool search_attends(const struct search *x)
{
	return !x->layers_only &&
		x->s->search.technique_mask & 1u << TECH_ATTENTION;
}

const char *search_attention_cannot(const struct search *x,
				    const struct group *g)
{
	struct dense d;
	int most = 0;

	dense_init(&d, &x->s->cluster.gpu, &x->s->model,
		   &x->layout[g->layout]);
	for (int i = 0; i < x->n_degrees; i++)
		most = x->degree[i] > most ? x->degree[i] : most;
	if (x->layout[g->layout].ep == 1)
		return "nothing is exchanged";
	if (!(d.params > 0))
		return "the model has no dense part";
	if (most < 2)
		return "needs two chunks or more (search.degree)";
	return NULL;
}

bool search_attends_group(const struct search *x, const struct group *g)
{
	unsigned bad = technique_table[TECH_ATTENTION].excludes;

	return search_attends(x) && !(g->tech & bad) &&
		!search_attention_cannot(x, g);
}

static struct plan chunks_plan(const struct search *x, const struct group *g,
			       int i)
{
	struct plan p = search_candidate(x, g, x->degree[i],
					 x->degree[i]).plan;

	block_set_chunks(&p);
	return p;
}

/* What the lane of the pieces works in the backward pass with them. */
static uint64_t pieces_lane_ps(const struct program *p, const uint64_t *t)
{
	uint64_t busy[LANES_ALL + 1] = { 0 };
	int lane = LANES_ALL;

	for (int i = p->n_forward; i < p->n_ops; i++) {
		busy[p->op[i].lane] += t[i];
		if (block_is_piece(&p->op[i]))
			lane = (int)p->op[i].lane;
	}
	return busy[lane];
}

/*
 * Forward as it is. Backward at least: as if the pieces took no time, and what
 * their lane works with all of them in one.
 */
static enum status bound_degree(const struct search *x, const struct group *g,
				const struct cost *c, int i,
				struct attention_times *t)
{
	struct plan p = chunks_plan(x, g, i);
	uint64_t *time, ps[2], with, least;
	struct program prog;
	enum status st = program_lower(&p, &x->s->cluster, &x->s->model,
				       &prog);

	if (st)
		return st;
	time = xcalloc((size_t)prog.n_ops, sizeof(*time));
	order_durations(&prog, c, time);
	block_without_ps(&prog, time, ps);
	with = pieces_lane_ps(&prog, time);
	least = ps[1] > with ? ps[1] : with;
	t->time_s[0][i] = block_pass_s(x->s, &prog, c, 0, ps[0], time);
	t->bound_s[i] = block_pass_s(x->s, &prog, c, 1, least, time);
	t->bound_sums_s[i] = block_sums_s(x->s, &prog, c, least, time);
	free(time);
	program_release(&prog);
	return ST_OK;
}

/* What blocks with this backward pass count, at least. */
static double least_value(const struct search *x, const struct group *g,
			  const struct attention_times *t, int i)
{
	double forward_s = search_least(t->time_s[0], x->n_degrees);

	return search_value(x, g->layout, forward_s + t->bound_s[i], forward_s,
			    t->bound_sums_s[i]);
}

enum status search_attention_bounds(const struct search *x,
				    const struct group *g,
				    const struct cost *c,
				    struct attention_times *t)
{
	enum status st = ST_OK;

	for (int i = 0; i < x->n_degrees && !st; i++) {
		t->time_s[0][i] = t->time_s[1][i] = t->bound_s[i] = INFINITY;
		t->bound_sums_s[i] = t->sums_s[i] = 0;
		if (x->degree[i] > 1)
			st = bound_degree(x, g, c, i, t);
	}
	t->best_bound_s = search_least(t->time_s[0], x->n_degrees) +
		search_least(t->bound_s, x->n_degrees);
	t->best_value_s = INFINITY;
	for (int i = 0; i < x->n_degrees && !st; i++)
		t->best_value_s = fmin(t->best_value_s,
				       least_value(x, g, t, i));
	return st;
}

enum status search_attention_times(const struct search *x,
				   const struct group *g,
				   const struct cost *c, double limit,
				   struct attention_times *t)
{
	enum status st = search_attention_bounds(x, g, c, t);

	for (int i = 0; i < x->n_degrees && !st; i++) {
		struct plan p = chunks_plan(x, g, i);

		if (!(least_value(x, g, t, i) < limit))
			continue;
		st = block_place_pieces(x->s, c, block_pieces, BLOCK_PIECES,
					&p, &t->time_s[1][i], &t->sums_s[i]);
		t->pieces[i] = p.dense_pieces;
		t->order[i] = p.order[1];
	}
	return st;
}

void search_set_attention(const struct search *x, const struct group *g,
			  const struct attention_times *t, int f, int b,
			  struct candidate *k)
{
	block_set_chunks(&k->plan);
	k->plan.dense_pieces = t->pieces[b];
	k->plan.order[1] = t->order[b];
	k->lane_s = t->time_s[0][f] + t->time_s[1][b];
	k->value_s = search_value(x, g->layout, k->lane_s, t->time_s[0][f],
				  t->sums_s[b]);
}

enum status search_attention_plan(struct search *x, struct candidate *k)
{
	struct group g = search_plan_group(x, &k->plan);
	struct attention_times t;
	struct candidate best;
	struct cost *c;
	enum status st = search_at(x, g.layout, g.factor, g.tech);

	if (!st)
		st = search_memo_cost(x, &g, &c);
	if (!st)
		st = search_attention_times(x, &g, c, INFINITY, &t);
	best = *k;
	best.value_s = INFINITY;
	for (int i = 0; i < x->n_degrees * x->n_degrees && !st; i++) {
		int f = i / x->n_degrees, b = i % x->n_degrees;
		struct candidate next = *k;

		next.plan.degree_forward = x->degree[f];
		next.plan.degree_backward = x->degree[b];
		search_set_attention(x, &g, &t, f, b, &next);
		if (next.value_s < best.value_s)
			best = next;
	}
	*k = best;
	return st;
}
