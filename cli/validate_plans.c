/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/validate.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/units.h"
#include "sim/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of what the planner did not choose: customary values, 1 first. */
static const int spread_degree[] = { 1, 2, 4, 8 };
static const double spread_capacity[] = { 0, 1.0, 1.25, 2.0 };

#define OTHER "other"
/* Plans foretold to take so many times the fastest are not worth a run. */
#define SLOW 10

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* The runner's layers have no technique but the baseline, and no stages. */
#define RUNNER_TECHNIQUES (1u << TECH_BASELINE)

static bool can_run(const struct plan *p)
{
	return p->technique_mask == RUNNER_TECHNIQUES && p->layout.pp == 1 &&
		!p->dense;
}

struct trial *contest_add(struct contest *c, const struct plan *p,
			  const char *why)
{
	struct trial *t;
	size_t i;

	if (!can_run(p))
		return NULL;
	for (i = 0; i < c->n; i++) {
		if (plan_same(&c->trial[i].plan, p))
			return NULL;
	}
	c->trial = array_grow(c->trial, &c->cap, c->n + 1, sizeof(*c->trial));
	t = &c->trial[c->n++];
	*t = (struct trial){ .plan = *p, .wrong = -1 };
	snprintf(t->why, sizeof(t->why), "%s", why);
	return t;
}

static enum status foretell(const struct scenario *s, struct trial *t)
{
	struct evaluation e;
	enum status st = evaluate_plan(s, &t->plan, EXEC_FLOW, NULL, &e);

	if (st)
		return st;
	t->forward_s = s_from_ps(e.exec.forward_ps);
	t->step_s = s_from_ps(e.exec.time_ps);
	t->allowed = e.workload.drop_fraction <= s->constraints.max_drop;
	evaluation_release(&e);
	return ST_OK;
}

enum status contest_foretell(struct contest *c)
{
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < c->n && !st; i++)
		st = foretell(&c->s, &c->trial[i]);
	return st;
}

/* ---- the planner's ---- */

/* Inside one node there is nothing to do for steps between nodes. */
static bool is_of_use(const struct scenario *s, const struct plan *p)
{
	return s->search.alltoall_mask & 1u << p->alltoall &&
	       !direct_why_not_plan(&s->cluster, p, &s->model) &&
	       (a2a_table[p->alltoall].n_steps == 1 || s->cluster.nodes > 1);
}

/* The customary degrees, whatever search.degree lists. */
static void add_fixed(struct contest *c, const struct plan *best)
{
	struct plan p = *best;
	char why[SAMPLE_TEXT];
	size_t i;

	p.alltoall = A2A_FLAT;
	for (i = 0; i < N_OF(spread_degree); i++) {
		p.degree_forward = p.degree_backward = spread_degree[i];
		snprintf(why, sizeof(why), "degree-%d", spread_degree[i]);
		contest_add(c, &p, why);
	}
}

/* One exchange by another name, as all are on two ranks: the same plan but for
 * the algorithm, and the same forecast to the last bit. */
static bool is_again(const struct search_result *r, int i)
{
	const struct candidate *k = &r->top[i];
	struct plan p = k->plan;
	int j;

	for (j = 0; j < i; j++) {
		p.alltoall = r->top[j].plan.alltoall;
		if (plan_same(&p, &r->top[j].plan) &&
		    k->lane_s == r->top[j].lane_s &&
		    k->flow_s == r->top[j].flow_s)
			return true;
	}
	return false;
}

static void add_planned(struct contest *c, const struct search_result *r,
			int n)
{
	char why[SAMPLE_TEXT];
	struct buf b = { 0 };
	int i, added;

	plan_print(&r->best.plan, &b);
	snprintf(c->chosen, sizeof(c->chosen), "%s", buf_str(&b));
	buf_release(&b);
	for (i = added = 0; i < r->n_top && added < n; i++) {
		if (is_again(r, i))
			continue;
		snprintf(why, sizeof(why), "#%d", i + 1);
		contest_add(c, &r->top[i].plan, why);
		added++;
	}
	for (i = 0; i < r->n_baselines; i++) {
		if (is_of_use(&c->s, &r->baseline[i].plan))
			contest_add(c, &r->baseline[i].plan,
				    r->baseline[i].system);
	}
	add_fixed(c, &r->best.plan);
}

/* ---- the others ---- */

struct spread {
	struct contest *c;
	int left;
};

/*
 * Only plans that the machine has room for. What the best one's layout can do
 * directly, another may not.
 */
static enum status add_other(struct spread *x, const struct plan *other)
{
	struct plan p = *other;
	bool fits = false;
	enum status st;

	if (x->left <= 0)
		return ST_OK;
	if (direct_why_not_plan(&x->c->s.cluster, &p, &x->c->s.model))
		p.alltoall = A2A_FLAT;
	st = evaluate_fits(&x->c->s, &p, &fits);
	if (!st && fits && contest_add(x->c, &p, OTHER))
		x->left--;
	return st;
}

/* All algorithms at that degree. */
static enum status spread_algorithms(struct spread *x, const struct plan *best,
				     int degree)
{
	struct plan p = *best;
	enum status st = ST_OK;
	int a;

	p.degree_forward = p.degree_backward = degree;
	for (a = 0; a < A2A_N && !st; a++) {
		p.alltoall = (enum a2a_alg)a;
		if (is_of_use(&x->c->s, &p))
			st = add_other(x, &p);
	}
	return st;
}

static enum status spread_capacities(struct spread *x,
				     const struct plan *best)
{
	struct plan p = *best;
	enum status st = ST_OK;
	size_t i;

	p.degree_forward = p.degree_backward = 1;
	for (i = 0; i < N_OF(spread_capacity) && !st; i++) {
		p.capacity_factor = spread_capacity[i];
		st = add_other(x, &p);
	}
	return st;
}

static enum status spread_layouts(struct spread *x, const struct plan *best)
{
	struct plan p = *best;
	struct layout *layout;
	enum status st;
	int n, i;

	st = layout_enumerate(&x->c->s, &layout, &n);
	if (st)
		return st;
	p.degree_forward = p.degree_backward = 1;
	for (i = 0; i < n && !st; i++) {
		p.layout = layout[i];
		p.alltoall = best->alltoall;
		if (!is_of_use(&x->c->s, &p))
			p.alltoall = A2A_FLAT;
		st = add_other(x, &p);
	}
	free(layout);
	return st;
}

static enum status add_spread(struct contest *c, const struct plan *best,
			      int n)
{
	struct spread x = { c, n };
	enum status st = spread_algorithms(&x, best, 1);
	size_t d;

	if (!st)
		st = spread_layouts(&x, best);
	if (!st)
		st = spread_capacities(&x, best);
	for (d = 1; d < N_OF(spread_degree) && !st; d++)
		st = spread_algorithms(&x, best, spread_degree[d]);
	return st;
}

/* Of the others, those that would only keep the machine busy go. */
static void drop_slow(struct contest *c)
{
	double least = INFINITY;
	size_t i, n = 0;

	for (i = 0; i < c->n; i++)
		least = fmin(least, c->trial[i].step_s);
	for (i = 0; i < c->n; i++) {
		if (strcmp(c->trial[i].why, OTHER) != 0 ||
		    c->trial[i].step_s <= SLOW * least)
			c->trial[n++] = c->trial[i];
	}
	c->n = n;
}

static enum status plan_contest(const struct validate *v, struct contest *c)
{
	const struct search_options so = { .top = v->plans * A2A_N,
					   .no_systems = true };
	struct search_result r;
	enum status st;

	c->s.search.technique_mask = RUNNER_TECHNIQUES;
	st = search_run(&c->s, &so, &r);
	if (st)
		return st;
	add_planned(c, &r, v->plans);
	if (!can_run(&r.best.plan))
		cli_warn("the chosen plan cannot be run here: it has stages");
	st = add_spread(c, &r.best.plan, v->spread);
	search_release(&r);
	if (!st)
		st = contest_foretell(c);
	if (!st)
		drop_slow(c);
	return st;
}

enum status validate_plans(const struct validate *v, struct contests *all)
{
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < all->n && !st; i++) {
		st = plan_contest(v, all->c[i]);
		if (st && *all->c[i]->line)
			err_prefix(st, "'%s'", all->c[i]->s.model.name);
		cli_progress((void *)(uintptr_t)"planning", (double)i + 1,
			     (double)all->n);
	}
	cli_progress_end();
	return st;
}
