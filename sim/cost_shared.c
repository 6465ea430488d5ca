/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost_shared.h"

#include "base/mem.h"
#include "scenarios/plan.h"

#include <stdlib.h>
#include <string.h>

struct ring_cost {
	enum coll_op op;
	int group, stride;
	bool bound_only;
	double bytes;
	struct coll coll;	/* without flows: nothing to release */
};

struct cost_shared {
	struct expert_cost *expert;
	struct ring_cost *ring;
	size_t n_rings, cap_rings;
};

#define EXPERT_COSTS ((size_t)EXPERT_KIND_N * (PLAN_DEGREE_MAX + 1))

struct expert_cost *expert_costs_new(void)
{
	return xcalloc(EXPERT_COSTS, sizeof(struct expert_cost));
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
	free(s->expert);
	free(s->ring);
	free(s);
}

void cost_shared_next(struct cost_shared *s)
{
	memset(s->expert, 0, EXPERT_COSTS * sizeof(*s->expert));
}

struct expert_cost *cost_shared_experts(struct cost_shared *s)
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
