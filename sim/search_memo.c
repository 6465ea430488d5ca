/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Costs of groups with their flows, kept: the finalists, the baselines and
 * the published systems are many plans of few groups.
 */
#include "sim/search_priv.h"

#include "base/mem.h"
#include "sim/dense.h"

#include <stdlib.h>

static bool same_group(const struct group *a, const struct group *b)
{
	return a->layout == b->layout && a->factor == b->factor &&
		a->alg == b->alg && a->tech == b->tech &&
		a->ctas == b->ctas;
}

static void memo_release(struct search_memo *m)
{
	cost_free(m->cost);
	workload_release(&m->work);
	*m = (struct search_memo){ .cost = NULL };
}

/* The least lately used place. */
static struct search_memo *memo_place(struct search *x)
{
	struct search_memo *m = x->memo;

	for (int i = 1; i < MEMOS_MAX; i++) {
		if (x->memo[i].used < m->used)
			m = &x->memo[i];
	}
	memo_release(m);
	return m;
}

/* The group's workload, made anew: a cost borrows it as long as it lives. */
static enum status memo_make(struct search *x, const struct group *g,
			     struct search_memo *m)
{
	struct tech_place at = { x->s, &x->layout[g->layout], &x->routing,
				 &x->cache, g->factor };
	struct cost_spec spec = search_cost_spec(x, g);
	struct dense dense;
	enum status st = workload_make(&x->routing, &x->s->cluster,
				       &x->s->model, at.layout, g->factor,
				       &m->work);

	if (!st)
		st = tech_apply(&at, g->tech, &m->work, &m->effect);
	if (st)
		return st;
	spec.workload = &m->work;
	spec.effect = &m->effect;
	spec.keep_flows = true;
	dense_init(&dense, &x->s->cluster.gpu, &x->s->model, at.layout);
	spec.dense_bytes = dense_gradient_bytes(&dense);
	return cost_new(&spec, &m->cost);
}

enum status search_memo_cost(struct search *x, const struct group *g,
			     struct cost **out_p)
{
	struct search_memo *m;
	enum status st;

	for (int i = 0; i < MEMOS_MAX; i++) {
		m = &x->memo[i];
		if (m->cost && same_group(&m->group, g)) {
			m->used = ++x->memo_clock;
			*out_p = m->cost;
			return ST_OK;
		}
	}
	m = memo_place(x);
	st = memo_make(x, g, m);
	if (st) {
		memo_release(m);
		return st;
	}
	m->group = *g;
	m->used = ++x->memo_clock;
	*out_p = m->cost;
	return ST_OK;
}

void search_memo_release(struct search *x)
{
	for (int i = 0; i < MEMOS_MAX; i++)
		memo_release(&x->memo[i]);
}
