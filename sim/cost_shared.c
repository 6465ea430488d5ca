/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost_shared.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct ring_cost {
	enum coll_op op;
	int group, stride;
	bool bound_only;
	double bytes;
	struct coll coll;	/* without flows: nothing to release */
};

struct crossing_cost {
	bool known;
	struct coll_crossing crossing;
};

struct cost_shared {
	struct expert_costs *expert;
	struct crossing_cost crossing[2][2];	/* [way][distinct] */
	struct ring_cost *ring;
	size_t n_rings, cap_rings;
};

struct expert_costs *expert_costs_new(void)
{
	return xcalloc(1, sizeof(struct expert_costs));
}

void expert_costs_free(struct expert_costs *e)
{
	if (e)
		free(e->rank);
	free(e);
}

void expert_costs_list(struct expert_costs *e, const struct workload *w)
{
	size_t n = (size_t)w->local_experts, cap = 0, r;

	for (r = e->n_ranks ? (size_t)w->ranks : 0; r < (size_t)w->ranks; r++) {
		const double *rows = w->rows + r * n;

		if (r && !memcmp(rows, rows - n, n * sizeof(*rows)))
			continue;
		e->rank = array_grow(e->rank, &cap, (size_t)e->n_ranks + 1,
				     sizeof(*e->rank));
		e->rank[e->n_ranks++] = (int)r;
	}
}

struct cost_shared *cost_shared_new(void)
{
	struct cost_shared *s = xcalloc(1, sizeof(*s));

	s->expert = expert_costs_new();
	return s;
}

void cost_shared_free(struct cost_shared *s)
{
	if (!s)
		return;
	expert_costs_free(s->expert);
	free(s->ring);
	free(s);
}

void cost_shared_next(struct cost_shared *s)
{
	free(s->expert->rank);
	*s->expert = (struct expert_costs){ .n_ranks = 0 };
	memset(s->crossing, 0, sizeof(s->crossing));
}

/* way: 0 dispatch, 1 combine. */
static void crossing(struct cost_shared *s, int way, bool distinct,
		     const struct net *net, const struct traffic *t,
		     struct coll_crossing *out)
{
	struct crossing_cost *x = s ? &s->crossing[way][distinct] : NULL;

	if (!x) {
		coll_crossing_of(net, t, distinct, out);
		return;
	}
	if (!x->known)
		coll_crossing_of(net, t, distinct, &x->crossing);
	x->known = true;
	*out = x->crossing;
}

enum status cost_shared_least(struct cost_shared *s, const struct coll_spec *cs,
			      enum a2a_alg alg, const struct workload *w,
			      struct coll *dispatch, struct coll *combine)
{
	bool distinct = alg == A2A_DEDUP;
	struct coll_crossing x;
	enum status st;

	crossing(s, 0, distinct, cs->net, &w->dispatch, &x);
	st = coll_least(cs, alg, &w->dispatch, false, &x, dispatch);
	if (st)
		return st;
	crossing(s, 1, distinct, cs->net, &w->combine, &x);
	return coll_least(cs, alg, &w->combine, true, &x, combine);
}

struct expert_costs *cost_shared_experts(struct cost_shared *s)
{
	return s->expert;
}

static bool is_same(const struct ring_cost *a, const struct ring_cost *b)
{
	return a->op == b->op && a->group == b->group &&
	       a->stride == b->stride && a->bytes == b->bytes &&
	       a->bound_only == b->bound_only;
}

enum status cost_shared_ring(struct cost_shared *s, const struct coll_spec *cs,
			     enum coll_op op, int group, int stride,
			     double bytes, struct coll *out)
{
	struct ring_cost r = { .op = op, .group = group, .stride = stride,
			       .bound_only = cs->bound_only, .bytes = bytes };
	struct coll_spec plain = *cs;
	enum status st;

	plain.keep_flows = false;
	if (!s)
		return coll_ring(&plain, op, group, stride, bytes, out);
	for (size_t i = 0; i < s->n_rings; i++) {
		if (is_same(&s->ring[i], &r)) {
			*out = s->ring[i].coll;
			return ST_OK;
		}
	}
	st = coll_ring(&plain, op, group, stride, bytes, &r.coll);
	if (st)
		return st;
	s->ring = array_grow(s->ring, &s->cap_rings, s->n_rings + 1,
			     sizeof(*s->ring));
	s->ring[s->n_rings++] = r;
	*out = r.coll;
	return ST_OK;
}
