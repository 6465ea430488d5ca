/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The technique `order` in the planner: plans of a group, each with the best
 * order of its passes. An order changes no costs, so it is chosen within the
 * group, for each degree of each pass; at degree 1 what may overlap does.
 */
#include "sim/search_priv.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/order_search.h"

#include <math.h>
#include <stdlib.h>

bool search_orders(const struct search *x)
{
	return x->s->search.technique_mask & 1u << TECH_ORDER;
}

static enum status bound_degree(struct search *x, const struct group *g,
				const struct cost *c, int i,
				struct order_times *t)
{
	struct plan p = search_candidate(x, g, x->degree[i],
					 x->degree[i]).plan;
	struct order_found f;
	struct program prog;
	uint64_t *duration;
	enum status st = order_lower(&x->s->cluster, &x->s->model, c, &p, &prog,
				     &duration);

	if (st)
		return st;
	order_bound(&prog, 0, duration, &f);
	t->bound_s[0][i] = s_from_ps(f.bound_ps);
	order_bound(&prog, 1, duration, &f);
	t->bound_s[1][i] = s_from_ps(f.bound_ps);
	free(duration);
	program_release(&prog);
	return ST_OK;
}

enum status search_order_bounds(struct search *x, const struct group *g,
				const struct cost *c, struct order_times *t)
{
	enum status st = ST_OK;

	for (int i = 0; i < x->n_degrees && !st; i++)
		st = bound_degree(x, g, c, i, t);
	t->best_bound_s = search_least(t->bound_s[0], x->n_degrees) +
		search_least(t->bound_s[1], x->n_degrees);
	return st;
}

/* Can a plan with this pass come in under `limit_s`? */
static bool may_win(const struct search *x, const struct order_times *t,
		    int pass, int i, double limit_s)
{
	return t->bound_s[pass][i] + search_least(t->bound_s[!pass], x->n_degrees) <
		limit_s;
}

static enum status order_degree(struct search *x, const struct group *g,
				const struct cost *c, int i, double limit_s,
				struct order_times *t)
{
	struct plan p = search_candidate(x, g, x->degree[i],
					 x->degree[i]).plan;
	struct program prog;
	uint64_t *duration;
	enum status st = order_lower(&x->s->cluster, &x->s->model, c, &p, &prog,
				     &duration);

	if (st)
		return st;
	for (int pass = 0; pass < 2; pass++) {
		struct order_found f = { .time_ps = 0 };

		t->time_s[pass][i] = INFINITY;
		if (!may_win(x, t, pass, i, limit_s))
			continue;
		order_search(&prog, pass, duration, ORDER_NODES, &f);
		t->time_s[pass][i] = s_from_ps(f.time_ps);
		t->order[pass][i] = f.order;
	}
	free(duration);
	program_release(&prog);
	return ST_OK;
}

enum status search_order_times(struct search *x, const struct group *g,
			       const struct cost *c, double limit_s,
			       struct order_times *t)
{
	enum status st = search_order_bounds(x, g, c, t);

	for (int i = 0; i < x->n_degrees && !st; i++)
		st = order_degree(x, g, c, i, limit_s, t);
	return st;
}

void search_set_order(struct candidate *k, const struct pass_order *forward,
		      const struct pass_order *backward)
{
	order_set(&k->plan, forward, backward);
}

void search_clear_order(struct plan *p)
{
	p->order[0] = p->order[1] = (struct pass_order){ 0 };
	p->overlap = OVERLAP_NONE;
	p->technique_mask &= ~(1u << TECH_ORDER);
	if (!p->technique_mask)
		p->technique_mask = 1u << TECH_BASELINE;
}

enum status search_order_plan(struct search *x, struct candidate *k)
{
	struct group g = search_plan_group(x, &k->plan);
	struct cost *c;
	enum status st = search_at(x, g.layout, g.factor, g.tech);

	search_clear_order(&k->plan);
	if (!st)
		st = search_memo_cost(x, &g, &c);
	if (!st)
		st = order_plan(&x->s->cluster, &x->s->model, c, &k->plan);
	return st;
}
