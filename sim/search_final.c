/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finalists and baselines in the flow model. */
#include "sim/search_priv.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/block.h"
#include "sim/order_search.h"
#include "sim/step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAIN_MIN 1e-6	/* of a step: less is rounding */
#define WHOLE_FINALISTS 4

struct group search_plan_group(const struct search *x, const struct plan *p)
{
	struct group g = { .factor = p->capacity_factor, .alg = p->alltoall,
			   .tech = p->technique_mask & ~TECH_SCHEDULES,
			   .ctas = p->ctas };

	if (!g.tech)
		g.tech = 1u << TECH_BASELINE;

	while (memcmp(&x->layout[g.layout], &p->layout, sizeof(p->layout)))
		g.layout++;
	return g;
}

/* A layer's time in the lane model, also of a block; and what it counts. */
static void lane_times(const struct search *x, int layout,
		       const struct program *prog, const struct cost *c,
		       struct candidate *k)
{
	uint64_t *t = xcalloc((size_t)prog->n_ops, sizeof(*t)), ps[2] = { 0 };
	double forward_s, sums_s = 0;

	k->lane_s = s_from_ps(exec_lane_time(prog, c, t));
	for (int i = 0; i < prog->n_forward; i++)
		ps[0] = t[i] > ps[0] ? t[i] : ps[0];
	forward_s = s_from_ps(ps[0]);
	if (prog->plan.dense) {
		order_durations(prog, c, t);
		block_lanes(prog, t, ps);
		forward_s = block_pass_s(x->s, prog, c, 0, ps[0], t);
		k->lane_s = forward_s +
			block_pass_s(x->s, prog, c, 1, ps[1], t);
		sums_s = block_sums_s(x->s, prog, c, ps[1], t);
	}
	free(t);
	k->value_s = search_value(x, layout, k->lane_s, forward_s, sums_s);
}

/*
 * Runs k->plan in the flow model and fills in both of its times; program and
 * run go to the caller.
 */
static enum status flow_run(struct search *x, struct candidate *k,
			    struct program *prog, struct exec_result *run)
{
	struct group g = search_plan_group(x, &k->plan);
	struct cost *c;
	double pass_s[2];
	enum status st = search_at(x, g.layout, g.factor, g.tech);

	if (!st)
		st = search_memo_cost(x, &g, &c);
	if (!st)
		st = program_lower(&k->plan, &x->s->cluster, &x->s->model,
				   prog);
	if (st)
		return st;
	lane_times(x, g.layout, prog, c, k);
	st = exec_run(prog, c, x->o->lane_only ? EXEC_LANE : EXEC_FLOW, run);
	if (st) {
		program_release(prog);
		return st;
	}
	block_run_s(x->s, prog, c, run, pass_s);
	k->flow_s = prog->plan.dense ? pass_s[0] + pass_s[1] :
		s_from_ps(run->time_ps);
	return ST_OK;
}

/* The step of the whole model with a plan that was run. */
static struct step_spec step_of(const struct search *x,
				const struct candidate *k,
				const struct plan *plan,
				const struct program *prog,
				const struct exec_result *run)
{
	return (struct step_spec){
		.s = x->s, .net = search_net(x, 0), .plan = plan,
		.program = prog, .exec = run,
		.optimizer_bytes = k->memory.optimizer,
		.parameter_bytes = k->memory.parameters,
	};
}

enum status search_flow_time(struct search *x, struct candidate *k)
{
	struct program prog;
	struct exec_result run;
	struct step_time t;
	enum status st = flow_run(x, k, &prog, &run);

	if (st)
		return st;
	if (x->by_step) {
		const struct step_spec spec = step_of(x, k, &k->plan, &prog,
						      &run);

		st = step_run(&spec, &t);
		if (!st)
			k->step_s = step_per_layer(x->s, &k->plan.layout,
						   t.time_s);
	}
	exec_release(&run);
	program_release(&prog);
	return st;
}

/* What a candidate that ran counts. */
static double flow_value(const struct candidate *k)
{
	return k->step_s > 0 ? k->step_s : k->flow_s * k->plan.layout.tp;
}

static int by_flow(const void *va, const void *vb)
{
	const struct candidate *a = va, *b = vb;
	double ta = flow_value(a), tb = flow_value(b);

	if (ta != tb)
		return ta < tb ? -1 : 1;
	return candidate_compare(a, b);
}

/* Puts the candidate at place `at`, unless it stands before that. */
static bool come_in(struct search *x, const struct candidate *k, int at)
{
	struct candidate_list *l = &x->top;
	int i = 0;

	while (i < l->n && !plan_same(&l->item[i].plan, &k->plan))
		i++;
	if (i < at)
		return false;	/* is there */
	if (i == l->n) {
		l->item = xrealloc_array(l->item, (size_t)l->n + 1,
					 sizeof(*l->item));
		l->n++;
	}
	memmove(&l->item[at + 1], &l->item[at],
		(size_t)(i - at) * sizeof(*l->item));
	l->item[at] = *k;
	return true;
}

/*
 * A limit of CTAs makes an exchange slower and the products beside it faster:
 * the lane model sees only the former. So each of the first *n_p candidates
 * runs under every limit; those that are not among them come in behind.
 */
static void add_limits(struct search *x, int *n_p)
{
	int n = *n_p;

	for (int i = 0; i < n && !x->o->lane_only; i++) {
		for (int j = 0; j < x->n_ctas; j++) {
			struct candidate k = x->top.item[i];

			k.plan.ctas = x->ctas[j];
			*n_p += come_in(x, &k, *n_p);
		}
	}
}

/*
 * The lane model does not know what ops lose beside one another: what is in
 * the best order there, or has attention beside the exchanges, runs without
 * it, too.
 */
static void add_plain(struct search *x, int *n_p)
{
	const unsigned own = 1u << TECH_ORDER | 1u << TECH_ATTENTION;
	int n = *n_p;

	for (int i = 0; i < n && !x->o->lane_only; i++) {
		struct candidate k = x->top.item[i];

		if (!(k.plan.technique_mask & own))
			continue;
		block_clear(&k.plan);
		search_clear_order(&k.plan);
		*n_p += come_in(x, &k, *n_p);
	}
}

static bool has_degree(const struct search *x, int d)
{
	for (int i = 0; i < x->n_degrees; i++) {
		if (x->degree[i] == d)
			return true;
	}
	return false;
}

/* Behind the last one, and not the same exchange by another name? */
static bool is_behind(const struct group *g, const struct group *last)
{
	if (!last || g->whole_s > last->whole_s)
		return true;
	return g->whole_s == last->whole_s && g > last &&
		(g->layout != last->layout || g->factor != last->factor ||
		 g->tech != last->tech);
}

/* The group whose plan in one chunk counts least, of those behind the last
 * one; NULL: none. */
static const struct group *next_whole(const struct search *x,
				      const struct group *last)
{
	const struct group *best = NULL;

	for (size_t i = 0; i < x->n_groups; i++) {
		const struct group *g = &x->group[i];

		if (!g->why_not && g->ctas == x->ctas[0] &&
		    !isinf(g->whole_s) && is_behind(g, last) &&
		    (!best || g->whole_s < best->whole_s))
			best = g;
	}
	return best;
}

/*
 * Where products were measured exchanges wait for their kernels, which the lane
 * model does not know: it makes too much of chunks. What is in one chunk it
 * knows, so the best few of these run, too, of any layout.
 */
static void add_whole(struct search *x, int *n_p)
{
	const struct group *g = NULL;

	if (x->o->lane_only || !x->s->measured)
		return;
	for (int i = 0; i < WHOLE_FINALISTS; i++) {
		struct candidate k;

		g = next_whole(x, g);
		if (!g)
			return;
		k = search_candidate(x, g, 1, 1);
		*n_p += come_in(x, &k, *n_p);
	}
}

/* The best few in the flow model, sorted by it; the others stay behind. */
static enum status rank_finalists(struct search *x)
{
	int n = x->s->search.finalists;

	if (n < 1)
		n = 1;
	if (n > x->top.n)
		n = x->top.n;
	add_limits(x, &n);
	add_plain(x, &n);
	add_whole(x, &n);
	for (int i = 0; i < n; i++) {
		struct candidate *k = &x->top.item[i];
		enum status st = search_flow_time(x, k);

		if (st)
			return st;
		progress_report(x->o->progress, 0.8 + 0.1 * (i + 1) / n, 1);
	}
	qsort(x->top.item, (size_t)n, sizeof(*x->top.item), by_flow);
	return ST_OK;
}

/* ---- baselines ---- */

static bool has_tech(const struct search *x, unsigned tech)
{
	if (tech & TECH_SCHEDULES & ~x->s->search.technique_mask)
		return false;
	tech &= ~TECH_SCHEDULES;
	tech = tech ? tech : 1u << TECH_BASELINE;
	for (int i = 0; i < x->n_techs; i++) {
		if (x->tech[i] == tech)
			return true;
	}
	return false;
}

static bool has_capacity(const struct search *x, double factor)
{
	const struct knob_real *k = &x->s->search.capacity;
	int i = 0;

	/* the others are the plan's own; published systems drop nothing */
	if (factor > 0 || k->is_auto)
		return true;
	while (i < k->n && k->v[i] > 0)
		i++;
	return i < k->n;
}

/* Which limit of the user it breaks; NULL: none. */
static const char *broken_limit(const struct search *x,
				const struct candidate *k)
{
	double room = search_memory_room(x->s);

	if (k->drop_fraction > x->s->constraints.max_drop)
		return "drops more than constraints.max_drop";
	if (room > 0 && k->memory.total > room)
		return "needs more memory than there is";
	return search_tech_broken(x);
}

/* What of the plan is not in the space that the user lets search. */
static const char *outside_space(const struct search *x, const struct plan *p)
{
	if (p->dense && !search_attends(x))
		return x->layers_only ? "a step of the model takes longer, "
			"as its gradients are not partitioned" :
			"search.techniques lacks attention-pipeline";
	if (!has_tech(x, p->technique_mask))
		return "search.techniques lacks its own";
	if (search_plan_group(x, p).layout >= x->n_layouts)
		return "its layout is not among layout's";
	if (!has_degree(x, p->degree_forward) ||
	    !has_degree(x, p->degree_backward))
		return "search.degree lacks its own";
	if (!(x->s->search.alltoall_mask & 1u << p->alltoall))
		return "search.alltoall lacks its own";
	if (!has_capacity(x, p->capacity_factor))
		return "search.capacity lacks its own";
	return search_limit_listed(x, p->ctas) ? NULL :
		"search.ctas lacks its own";
}

/* One whose time was found before has competed before. */
static bool is_faster(const struct search *x, const struct candidate *k,
		      const struct candidate *than)
{
	if (x->by_step)
		return k->step_s > 0 && k->step_s < than->step_s;
	return k->flow_s < than->flow_s;
}

const char *search_competes(struct search *x, const struct candidate *k,
			    struct search_result *out)
{
	struct candidate winner = *k;
	struct plan *p = &winner.plan;
	const char *why = broken_limit(x, k);

	/* a published system's own word for the technique */
	if (p->dense)
		p->technique_mask = (p->technique_mask &
				     ~(1u << TECH_BASELINE)) |
			1u << TECH_ATTENTION;
	if (!why)
		why = outside_space(x, p);
	if (!why && is_faster(x, k, &out->best)) {
		out->best = winner;
		out->best_s = k->flow_s;
	}
	return why;
}

void search_memory(struct search *x, struct candidate *k)
{
	memory_estimate(x->s, &k->plan, &x->work, &k->memory);
	k->memory.buffers += x->effect.memory_bytes;
	k->memory.total += x->effect.memory_bytes;
}

static enum status add_baseline(struct search *x, int degree,
				const struct candidate *like,
				struct search_result *out)
{
	struct baseline *b = &out->baseline[out->n_baselines];
	struct candidate k = *like;
	enum status st;

	block_clear(&k.plan);
	search_clear_order(&k.plan);
	k.plan.alltoall = A2A_FLAT;
	k.plan.ctas = 0;
	k.plan.technique_mask = 1u << TECH_BASELINE;
	k.plan.degree_forward = k.plan.degree_backward = degree;
	st = search_flow_time(x, &k);
	if (st)
		return st;
	search_memory(x, &k);
	if (degree == 1)
		snprintf(b->system, sizeof(b->system), "sequential");
	else
		snprintf(b->system, sizeof(b->system), "degree-%d", degree);
	b->plan = k.plan;
	b->time_s = k.flow_s;
	out->n_baselines++;
	b->outside = search_competes(x, &k, out);
	return ST_OK;
}

/*
 * The layer run sequentially (DeepSpeed-MoE) and at each fixed degree (Tutel
 * without adaptation), flat exchange, with the chosen layout and capacity,
 * then the published systems.
 */
static enum status add_baselines(struct search *x, struct search_result *out)
{
	const struct candidate like = out->best;
	enum status st = add_baseline(x, 1, &like, out);

	for (int i = 0; i < x->n_degrees && !st; i++) {
		if (x->degree[i] != 1)
			st = add_baseline(x, x->degree[i], &like, out);
	}
	if (!st && !x->o->no_systems)
		st = search_rivals(x, &like, out);
	for (int i = 0; i < out->n_baselines; i++)
		out->baseline[i].speedup =
			out->baseline[i].time_s / out->best_s;
	return st;
}

/* A baseline that won stands first among the candidates, as any winner. */
static void list_best_first(struct search *x, const struct candidate *best)
{
	struct candidate_list *l = &x->top;
	int at = 0;

	while (at < l->n && !plan_same(&l->item[at].plan, &best->plan))
		at++;
	if (at == l->n) {
		l->item = xrealloc_array(l->item, (size_t)l->n + 1,
					 sizeof(*l->item));
		l->n++;
	}
	memmove(l->item + 1, l->item, (size_t)at * sizeof(*l->item));
	l->item[0] = *best;
}

/* ---- gradients ---- */

/* A step of the model with the technique, and without it. */
static enum status time_steps(struct search *x, const struct candidate *k,
			      const struct program *prog,
			      const struct exec_result *run, double *with_s,
			      double *without_s)
{
	struct plan plan = k->plan;
	struct step_spec spec = step_of(x, k, &plan, prog, run);
	struct step_time t;
	enum status st;

	plan.technique_mask |= 1u << TECH_GRADIENT;
	st = step_run(&spec, &t);
	if (st)
		return st;
	*with_s = t.time_s;
	*without_s = t.time_s - t.gradient_s + t.in_windows_s;
	return ST_OK;
}

/* Of the plan's knobs without any technique. */
static enum status gain_alone(struct search *x, struct candidate k, double *out)
{
	struct exec_result run;
	struct program prog;
	double with_s, without_s;
	enum status st;

	block_clear(&k.plan);
	search_clear_order(&k.plan);
	k.plan.technique_mask = 1u << TECH_BASELINE;
	st = flow_run(x, &k, &prog, &run);
	if (st)
		return st;
	st = time_steps(x, &k, &prog, &run, &with_s, &without_s);
	if (!st)
		*out = without_s / with_s;
	exec_release(&run);
	program_release(&prog);
	return st;
}

/*
 * The technique `gradient-partition`: a layer takes what it took, but a step
 * of the whole model may be shorter. Then it belongs to the plan.
 */
static enum status weigh_gradients(struct search *x, struct search_result *r)
{
	const unsigned bit = 1u << TECH_GRADIENT;
	struct tech_gain *g = &r->gain[r->n_gains];
	struct plan *p = &r->best.plan;
	double with_s, without_s;
	enum status st;

	if (!(x->s->search.technique_mask & bit))
		return ST_OK;
	*g = (struct tech_gain){ .tech = TECH_GRADIENT };
	st = gain_alone(x, r->best, &g->alone);
	if (st)
		return st;
	r->n_gains++;
	st = time_steps(x, &r->best, &r->program, &r->exec, &with_s,
			&without_s);
	if (st)
		return st;
	r->token_s = with_s / ((double)layout_tokens(&p->layout, &x->s->model) *
			       cluster_gpus(&x->s->cluster) / p->layout.pp);
	if (p->dense)	/* it has the gradients */
		return ST_OK;
	g->with_others = without_s / with_s;
	g->in_plan = g->with_others > 1 + GAIN_MIN;
	if (!g->in_plan)
		return ST_OK;
	p->technique_mask = (p->technique_mask & ~(1u << TECH_BASELINE)) | bit;
	r->program.plan.technique_mask = p->technique_mask;
	x->top.item[0].plan = *p;
	return ST_OK;
}

static enum status run_best(struct search *x, struct search_result *out)
{
	struct group g = search_plan_group(x, &out->best.plan);
	struct cost *c;
	enum status st = flow_run(x, &out->best, &out->program, &out->exec);

	if (!st)	/* is there: the run has asked for it */
		st = search_memo_cost(x, &g, &c);
	if (!st)
		block_run_s(x->s, &out->program, c, &out->exec, out->pass_s);
	return st;
}

enum status search_choose(struct search *x, struct search_result *out)
{
	enum status st = rank_finalists(x);

	if (st)
		return st;
	out->best = x->top.item[0];
	out->best_s = out->best.flow_s;
	st = add_baselines(x, out);
	if (st)
		return st;
	list_best_first(x, &out->best);
	st = search_gains(x, out);
	if (st)
		return st;
	st = run_best(x, out);
	if (st)
		return st;
	st = weigh_gradients(x, out);
	if (st) {
		program_release(&out->program);
		exec_release(&out->exec);
	}
	return st;
}
