/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Branch and bound over groups. A group is a (layout, capacity, algorithm,
 * limit of CTAs): what the collectives' cost depends on. Pass 1 gives every group a lower
 * bound for each degree, from the lane model with exchanges at their busiest
 * link alone; pass 2 costs the groups exactly, lowest bound first, until no
 * bound can beat the worst of the kept candidates. Forward and backward do
 * not overlap, so a group needs one lane run per degree, not per pair.
 */
#include "sim/search.h"

#include "sim/search_priv.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#define HALF_PS 0.5e-12	/* times are whole picoseconds */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Degrees f and b of the list, in the best order if that gains anything. */
static void add_pair(struct search *x, const struct group *g,
		     const struct degree_times *t,
		     const struct order_times *orders, int f, int b)
{
	struct candidate k = search_candidate(x, g, x->degree[f],
					      x->degree[b]);
	double ordered_s = orders ? orders->time_s[0][f] +
		orders->time_s[1][b] : INFINITY;
	double forward_s = t->forward_s[f];

	k.lane_s = t->forward_s[f] + t->backward_s[b];
	if (ordered_s < k.lane_s - HALF_PS) {
		k.lane_s = ordered_s;
		forward_s = orders->time_s[0][f];
		search_set_order(&k, &orders->order[0][f],
				 &orders->order[1][b]);
	}
	k.value_s = search_value(x, g->layout, k.lane_s, forward_s, 0);
	candidate_list_add(&x->top, &k);
}

/* Plans of the group with attention in the pipeline. */
static enum status add_blocks(struct search *x, const struct group *g,
			      const struct cost *c, double limit)
{
	struct attention_times t;
	enum status st = search_attention_times(x, g, c, limit, &t);

	for (int i = 0; i < x->n_degrees * x->n_degrees && !st; i++) {
		int f = i / x->n_degrees, b = i % x->n_degrees;
		struct candidate k = search_candidate(x, g, x->degree[f],
						      x->degree[b]);

		if (isinf(t.time_s[0][f] + t.time_s[1][b]))
			continue;
		search_set_attention(x, g, &t, f, b, &k);
		candidate_list_add(&x->top, &k);
	}
	return st;
}

static enum status cost_group(struct search *x, const struct group *g)
{
	double most = x->o->brute_force ? INFINITY :
		candidate_list_limit(&x->top);
	struct order_times orders;
	struct degree_times t;
	struct cost *c;
	enum status st = search_at(x, g->layout, g->factor, g->tech);

	if (!st)
		st = search_group_cost(x, g, &c);
	if (st)
		return st;
	st = search_time_degrees(x, g, c, &t);
	if (!st && search_orders(x))
		st = search_order_times(x, g, c,
					search_value_limit(x, g->layout, most),
					&orders);
	if (!st && search_attends_group(x, g))
		st = add_blocks(x, g, c, most);
	cost_free(c);
	if (st)
		return st;
	for (int i = 0; i < x->n_degrees * x->n_degrees; i++)
		add_pair(x, g, &t, search_orders(x) ? &orders : NULL,
			 i / x->n_degrees, i % x->n_degrees);
	return ST_OK;
}

static void reject(struct search *x, const struct group *g, const char *why)
{
	struct candidate k = search_candidate(x, g, 0, 0);

	k.lane_s = g->bound_s;
	k.value_s = g->weighted_s;
	k.why_not = why;
	candidate_list_add(&x->rejected, &k);
}

static void count_reason(struct search_result *r, const char *why, uint64_t n)
{
	int i = 0;

	while (i < r->n_reasons && r->reason[i].why != why)
		i++;
	if (i == r->n_reasons)
		r->reason[r->n_reasons++].why = why;
	r->reason[i].n += n;
}

/* Those that cannot be, and those that no time was lost on. */
static void count_others(struct search *x, struct search_result *out)
{
	uint64_t pairs = (uint64_t)x->n_degrees * (uint64_t)x->n_degrees;

	for (size_t i = 0; i < x->n_queue; i++)
		reject(x, &x->group[x->queue[i]],
		       "bound above the plans kept");
	out->pruned += x->n_queue * pairs;
	search_sort_groups(x);
	for (size_t i = 0; i < x->n_groups; i++) {
		const struct group *g = &x->group[i];

		if (!g->why_not)
			continue;
		out->infeasible += pairs;
		count_reason(out, g->why_not, pairs);
		reject(x, g, g->why_not);
	}
}

static enum status cost_groups(struct search *x, struct search_result *out)
{
	uint64_t pairs = (uint64_t)x->n_degrees * (uint64_t)x->n_degrees;

	search_queue_init(x);
	for (;;) {
		struct group *g;
		enum status st = search_queue_next(x, x->o->brute_force ?
			INFINITY : candidate_list_limit(&x->top), &g);

		if (!st && g)
			st = cost_group(x, g);
		if (st)
			return st;
		if (!g)
			break;
		out->evaluated += pairs;
		progress_report(x->o->progress,
				0.2 + 0.6 * (1 - (double)x->n_queue /
					     (double)x->n_groups), 1);
	}
	count_others(x, out);
	if (x->top.n)
		out->bound_s = x->top.item[x->top.n - 1].lane_s;
	return ST_OK;
}

/*
 * The plan that came closest: among those that drop little enough the one
 * that needs least memory, else the one that drops least.
 */
static const struct group *closest_group(const struct search *x)
{
	double max_drop = x->s->constraints.max_drop;
	const struct group *best = NULL;

	for (size_t i = 0; i < x->n_groups; i++) {
		const struct group *g = &x->group[i];
		bool fits = g->drop <= max_drop;
		bool best_fits = best && best->drop <= max_drop;

		if (g->tech_broken)
			continue;
		if (!best || (fits != best_fits ? fits :
			      fits ? g->memory.total < best->memory.total :
			      g->drop < best->drop))
			best = g;
	}
	return best;
}

static enum status nothing_feasible(const struct search *x)
{
	const struct group *g;

	if (!x->n_groups)
		return err_set(ST_INPUT, "search: no plan to try");
	g = closest_group(x);
	if (!g)
		return err_set(ST_INPUT, "no plan meets the constraints: the "
			       "techniques cannot be used here (%s)",
			       x->group[0].why_not);
	if (g->drop > x->s->constraints.max_drop)
		return err_set(ST_INPUT,
			"no plan meets the constraints: at capacity factor %g "
			"%.3g %% of the tokens drop, constraints.max_drop is "
			"%g %%", g->factor, 100 * g->drop,
			100 * x->s->constraints.max_drop);
	return err_set(ST_INPUT,
		"no plan meets the constraints: ep=%d esp=%d needs %.4g GB "
		"per GPU, constraints.memory and the GPU allow %.4g GB "
		"(training.recompute, a larger layout.ep or a smaller "
		"model.batch_per_gpu needs less)",
		x->layout[g->layout].ep, x->layout[g->layout].esp,
		g->memory.total / 1e9, search_memory_room(x->s) / 1e9);
}

static void hand_over(struct search *x, struct search_result *out)
{
	int n = x->o->top < x->top.n ? x->o->top : x->top.n;

	out->top = x->top.item;
	out->n_top = n;
	out->rejected = x->rejected.item;
	out->n_rejected = x->rejected.n;
	x->top.item = x->rejected.item = NULL;
}

static void search_free(struct search *x)
{
	search_memo_release(x);
	tech_cache_release(&x->cache);
	search_drop_routing(x);
	cost_shared_free(x->shared);
	free(x->group);
	free(x->queue);
	free(x->layout);
	free(x->share);
	free(x->top.item);
	free(x->rejected.item);
	search_limits_release(x);
}

static enum status run(const struct scenario *s,
		       const struct search_options *o, bool layers_only,
		       struct search_result *out)
{
	struct search x = { .s = s, .o = o, .at_layout = -1, .at_factor = -1,
			    .layers_only = layers_only };
	struct search_result r = { 0 };
	enum status st = search_limits_init(&x);

	if (st)
		return st;
	x.shared = cost_shared_new();
	x.top.max = o->top > s->search.finalists ?
		o->top : s->search.finalists;
	x.rejected.max = o->rejected;
	if (!st)
		st = layout_enumerate(s, &x.layout, &x.n_layouts);
	x.n_all_layouts = x.n_layouts;
	if (!st)
		st = search_value_init(&x);
	if (!st)
		st = search_bound_groups(&x);
	if (!st)
		st = cost_groups(&x, &r);
	if (!st && !x.top.n)
		st = nothing_feasible(&x);
	if (!st)
		st = search_choose(&x, &r);
	if (!st) {
		hand_over(&x, &r);
		*out = r;
	}
	search_free(&x);
	return st;
}

static enum status keep_better(const struct scenario *s,
			       const struct search_options *o,
			       struct search_result *r)
{
	struct search_result layers;
	enum status st = run(s, o, true, &layers);

	if (st)
		return st;
	if (layers.token_s < r->token_s) {
		search_release(r);
		*r = layers;
		return ST_OK;
	}
	for (int i = 0; i < r->n_gains; i++) {
		if (r->gain[i].tech == TECH_GRADIENT)
			r->gain[i].with_others = r->token_s / layers.token_s;
	}
	search_release(&layers);
	return ST_OK;
}

/*
 * Blocks have their gradients' all-reduce inside them, layers with the
 * technique `gradient-partition` in a step of the model: where both may be,
 * the shorter step decides.
 */
enum status search_run(const struct scenario *s,
		       const struct search_options *o,
		       struct search_result *out)
{
	struct search_result r;
	double began = now_s();
	enum status st = run(s, o, false, &r);

	if (st)
		return st;
	if (r.best.plan.dense && r.token_s > 0 && !o->brute_force)
		st = keep_better(s, o, &r);
	if (st) {
		search_release(&r);
		return st;
	}
	r.search_s = now_s() - began;
	*out = r;
	return ST_OK;
}

void search_release(struct search_result *r)
{
	free(r->top);
	free(r->rejected);
	program_release(&r->program);
	exec_release(&r->exec);
	*r = (struct search_result){ 0 };
}
