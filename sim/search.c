/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Branch and bound over groups. A group is a (layout, capacity, algorithm):
 * what the collectives' cost depends on. Pass 1 gives every group a lower
 * bound for each degree, from the lane model with exchanges at their busiest
 * link alone; pass 2 costs the groups exactly, lowest bound first, until no
 * bound can beat the worst of the kept candidates. Forward and backward do
 * not overlap, so a group needs one lane run per degree, not per pair.
 */
#include "sim/search.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/search_list.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CAPACITIES_MAX 16
#define DEGREE_AUTO_MAX 8	/* auto: 1, 2, 4, 8 */

struct group {
	int layout;		/* index into search.layout */
	double factor;
	enum a2a_alg alg;
	double bound_s;		/* of its best pair of degrees */
	double drop, padding;
	struct memory_use memory;
	const char *why_not;	/* NULL: may be costed */
};

struct search {
	const struct scenario *s;
	const struct search_options *o;
	struct net net;
	struct layout *layout;
	int n_layouts;
	int degree[KNOB_MAX], n_degrees;
	struct group *group;
	size_t n_groups, cap_groups;
	struct candidate_list top, rejected;
	/* the workload that was made last, and what for */
	struct routing routing;
	struct workload work;
	int at_layout;		/* -1: no routing */
	double at_factor;	/* negative: no workload */
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void drop_workload(struct search *x)
{
	if (x->at_factor >= 0)
		workload_release(&x->work);
	x->at_factor = -1;
}

static void drop_routing(struct search *x)
{
	drop_workload(x);
	if (x->at_layout >= 0)
		routing_release(&x->routing);
	x->at_layout = -1;
}

static enum status at_routing(struct search *x, int layout)
{
	const struct scenario *s = x->s;
	enum status st;

	if (x->at_layout == layout)
		return ST_OK;
	drop_routing(x);
	st = routing_make(&s->routing, &s->model, &x->layout[layout],
			  cluster_gpus(&s->cluster), &x->routing);
	if (!st)
		x->at_layout = layout;
	return st;
}

static enum status at_workload(struct search *x, int layout, double factor)
{
	enum status st = at_routing(x, layout);

	if (st || x->at_factor == factor)
		return st;
	drop_workload(x);
	st = workload_make(&x->routing, &x->s->cluster, &x->s->model,
			   &x->layout[layout], factor, &x->work);
	if (!st)
		x->at_factor = factor;
	return st;
}

/* The routing and the workload of the group must be current. */
static enum status group_cost(struct search *x, const struct group *g,
			      bool bound_only, bool keep_flows,
			      struct cost **out_p)
{
	struct cost_spec spec = {
		.net = &x->net,
		.model = &x->s->model,
		.workload = &x->work,
		.layout = x->layout[g->layout],
		.alltoall = g->alg,
		.comm = x->s->comm,
		.tolerance = x->s->search.flow_tolerance,
		.bound_only = bound_only,
		.keep_flows = keep_flows,
	};

	return cost_new(&spec, out_p);
}

static struct plan group_plan(const struct search *x, const struct group *g,
			      int forward, int backward)
{
	return (struct plan){
		.layout = x->layout[g->layout],
		.alltoall = g->alg,
		.degree_forward = forward,
		.degree_backward = backward,
		.capacity_factor = g->factor,
		.technique_mask = 1u << TECH_BASELINE,
	};
}

/* Lane times of the forward and the backward pass at every degree. */
struct degree_times {
	double forward_s[KNOB_MAX], backward_s[KNOB_MAX];
};

static enum status time_degrees(struct search *x, const struct group *g,
				const struct cost *c, struct degree_times *t)
{
	enum status st = ST_OK;

	for (int i = 0; i < x->n_degrees && !st; i++) {
		struct plan p = group_plan(x, g, x->degree[i], x->degree[i]);
		struct program prog;
		uint64_t *end, total, forward = 0;

		st = program_lower(&p, &x->s->cluster, &x->s->model, &prog);
		if (st)
			return st;
		end = xcalloc((size_t)prog.n_ops, sizeof(*end));
		total = exec_lane_time(&prog, c, end);
		for (int k = 0; k < prog.n_forward; k++) {
			if (end[k] > forward)
				forward = end[k];
		}
		t->forward_s[i] = s_from_ps(forward);
		t->backward_s[i] = s_from_ps(total - forward);
		free(end);
		program_release(&prog);
	}
	return st;
}

static double best_sum(const struct degree_times *t, int n)
{
	double f = INFINITY, b = INFINITY;

	for (int i = 0; i < n; i++) {
		f = fmin(f, t->forward_s[i]);
		b = fmin(b, t->backward_s[i]);
	}
	return f + b;
}

static struct candidate group_candidate(const struct search *x,
					const struct group *g, int f, int b)
{
	return (struct candidate){
		.plan = group_plan(x, g, f, b),
		.drop_fraction = g->drop,
		.padding_fraction = g->padding,
		.memory = g->memory,
		.why_not = g->why_not,
	};
}

/* ---- pass 1: groups and their bounds ---- */

static const char *constraint_broken(const struct search *x,
				     const struct group *g)
{
	const struct scenario *s = x->s;
	double room = s->constraints.memory_bytes;

	if (g->drop > s->constraints.max_drop)
		return "drops more than constraints.max_drop";
	if (room <= 0)
		room = s->cluster.gpu.hbm_bytes;
	if (room > 0 && g->memory.total > room)
		return "needs more than constraints.memory";
	return NULL;
}

static enum status add_group(struct search *x, int layout, double factor,
			     enum a2a_alg alg)
{
	struct group g = { .layout = layout, .factor = factor, .alg = alg };
	struct degree_times t;
	struct plan p = group_plan(x, &g, 1, 1);
	struct cost *c;
	enum status st;

	g.drop = x->work.drop_fraction;
	g.padding = x->work.padding_fraction;
	memory_estimate(x->s, &p, &x->work, &g.memory);
	g.why_not = constraint_broken(x, &g);
	st = group_cost(x, &g, true, false, &c);
	if (st)
		return st;
	st = time_degrees(x, &g, c, &t);
	cost_free(c);
	if (st)
		return st;
	g.bound_s = best_sum(&t, x->n_degrees);
	x->group = array_grow(x->group, &x->cap_groups, x->n_groups + 1,
			      sizeof(g));
	x->group[x->n_groups++] = g;
	return ST_OK;
}

/* The factors to try for the current routing; returns their number. */
static int capacity_list(const struct search *x, double *out)
{
	const struct knob_real *k = &x->s->search.capacity;
	int n = 0;

	if (!k->is_auto) {
		for (; n < k->n && n < CAPACITIES_MAX; n++)
			out[n] = k->v[n];
		return n;
	}
	out[n++] = 0;
	return n + capacity_candidates(&x->routing, x->s->constraints.max_drop,
				       out + 1, CAPACITIES_MAX - 1);
}

static enum status add_layout_groups(struct search *x, int layout)
{
	double factor[CAPACITIES_MAX];
	enum status st = at_routing(x, layout);
	int n;

	if (st)
		return st;
	n = capacity_list(x, factor);
	for (int i = 0; i < n; i++) {
		st = at_workload(x, layout, factor[i]);
		for (int a = 0; a < A2A_N && !st; a++) {
			if (x->s->search.alltoall_mask & 1u << a)
				st = add_group(x, layout, factor[i],
					       (enum a2a_alg)a);
		}
		if (st)
			return st;
	}
	return ST_OK;
}

static int by_bound(const void *va, const void *vb)
{
	const struct group *a = va, *b = vb;

	if (a->bound_s != b->bound_s)
		return a->bound_s < b->bound_s ? -1 : 1;
	if (a->layout != b->layout)
		return a->layout - b->layout;
	if (a->factor != b->factor)
		return a->factor < b->factor ? -1 : 1;
	return (int)a->alg - (int)b->alg;
}

static enum status bound_groups(struct search *x)
{
	enum status st = ST_OK;

	for (int i = 0; i < x->n_layouts && !st; i++) {
		st = add_layout_groups(x, i);
		if (x->o->progress)
			x->o->progress(x->o->arg, 0.2 * (i + 1),
				       x->n_layouts);
	}
	if (x->n_groups)
		qsort(x->group, x->n_groups, sizeof(*x->group), by_bound);
	return st;
}

/* ---- pass 2: exact lane times ---- */

static enum status cost_group(struct search *x, const struct group *g)
{
	struct degree_times t;
	struct cost *c;
	enum status st = at_workload(x, g->layout, g->factor);

	if (!st)
		st = group_cost(x, g, false, false, &c);
	if (st)
		return st;
	st = time_degrees(x, g, c, &t);
	cost_free(c);
	if (st)
		return st;
	for (int f = 0; f < x->n_degrees; f++) {
		for (int b = 0; b < x->n_degrees; b++) {
			struct candidate k = group_candidate(x, g,
				x->degree[f], x->degree[b]);

			k.lane_s = t.forward_s[f] + t.backward_s[b];
			candidate_list_add(&x->top, &k);
		}
	}
	return ST_OK;
}

static void reject(struct search *x, const struct group *g, const char *why)
{
	struct candidate k = group_candidate(x, g, 1, 1);

	k.lane_s = g->bound_s;
	k.why_not = why;
	candidate_list_add(&x->rejected, &k);
}

static enum status cost_groups(struct search *x, struct search_result *out)
{
	uint64_t pairs = (uint64_t)x->n_degrees * (uint64_t)x->n_degrees;

	for (size_t i = 0; i < x->n_groups; i++) {
		const struct group *g = &x->group[i];
		enum status st;

		if (g->why_not) {
			out->infeasible += pairs;
			reject(x, g, g->why_not);
			continue;
		}
		if (!x->o->brute_force &&
		    g->bound_s >= candidate_list_limit(&x->top)) {
			out->pruned += pairs;
			reject(x, g, "its lower bound is above the plans kept");
			continue;
		}
		st = cost_group(x, g);
		if (st)
			return st;
		out->evaluated += pairs;
		if (x->o->progress)
			x->o->progress(x->o->arg, 0.2 + 0.6 * (double)(i + 1),
				       (double)x->n_groups);
	}
	out->bound_s = candidate_list_limit(&x->top);
	return ST_OK;
}

/* ---- the flow model ---- */

static struct group plan_group(const struct search *x, const struct plan *p)
{
	struct group g = { .factor = p->capacity_factor, .alg = p->alltoall };

	while (memcmp(&x->layout[g.layout], &p->layout, sizeof(p->layout)))
		g.layout++;
	return g;
}

/*
 * Runs k->plan in the flow model and fills in both of its times; program and
 * run go to the caller.
 */
static enum status flow_run(struct search *x, struct candidate *k,
			    struct program *prog, struct exec_result *run)
{
	struct group g = plan_group(x, &k->plan);
	struct cost *c;
	uint64_t *end;
	enum status st = at_workload(x, g.layout, g.factor);

	if (!st)
		st = group_cost(x, &g, false, true, &c);
	if (st)
		return st;
	st = program_lower(&k->plan, &x->s->cluster, &x->s->model, prog);
	if (st)
		goto out_cost;
	end = xcalloc((size_t)prog->n_ops, sizeof(*end));
	k->lane_s = s_from_ps(exec_lane_time(prog, c, end));
	free(end);
	st = exec_run(prog, c, x->o->lane_only ? EXEC_LANE : EXEC_FLOW, run);
	if (st)
		program_release(prog);
	else
		k->flow_s = s_from_ps(run->time_ps);
out_cost:
	cost_free(c);
	return st;
}

static enum status flow_time(struct search *x, struct candidate *k)
{
	struct program prog;
	struct exec_result run;
	enum status st = flow_run(x, k, &prog, &run);

	if (st)
		return st;
	exec_release(&run);
	program_release(&prog);
	return ST_OK;
}

static int by_flow(const void *va, const void *vb)
{
	const struct candidate *a = va, *b = vb;

	if (a->flow_s != b->flow_s)
		return a->flow_s < b->flow_s ? -1 : 1;
	return candidate_compare(a, b);
}

/* The best few in the flow model, sorted by it; the others stay behind. */
static enum status rank_finalists(struct search *x)
{
	int n = x->s->search.finalists;

	if (n < 1)
		n = 1;
	if (n > x->top.n)
		n = x->top.n;
	for (int i = 0; i < n; i++) {
		struct candidate *k = &x->top.item[i];
		enum status st = flow_time(x, k);

		if (st)
			return st;
		if (x->o->progress)
			x->o->progress(x->o->arg, 0.8 + 0.1 * (i + 1) / n, 1);
	}
	qsort(x->top.item, (size_t)n, sizeof(*x->top.item), by_flow);
	return ST_OK;
}

/* ---- baselines ---- */

static bool has_degree(const struct search *x, int d)
{
	for (int i = 0; i < x->n_degrees; i++) {
		if (x->degree[i] == d)
			return true;
	}
	return false;
}

/* A baseline that the user's space allows competes with the finalists. */
static void baseline_competes(struct search *x, const struct candidate *k,
			      struct search_result *out)
{
	const struct plan *p = &k->plan;

	if (k->flow_s < out->best_s && has_degree(x, p->degree_forward) &&
	    x->s->search.alltoall_mask & 1u << p->alltoall) {
		out->best = *k;
		out->best_s = k->flow_s;
	}
}

static enum status add_baseline(struct search *x, int degree,
				const struct candidate *like,
				struct search_result *out)
{
	struct baseline *b = &out->baseline[out->n_baselines];
	struct candidate k = *like;
	enum status st;

	k.plan.alltoall = A2A_FLAT;
	k.plan.degree_forward = k.plan.degree_backward = degree;
	st = flow_time(x, &k);
	if (st)
		return st;
	memory_estimate(x->s, &k.plan, &x->work, &k.memory);
	if (degree == 1)
		snprintf(b->system, sizeof(b->system), "sequential");
	else
		snprintf(b->system, sizeof(b->system), "degree-%d", degree);
	b->plan = k.plan;
	b->time_s = k.flow_s;
	out->n_baselines++;
	baseline_competes(x, &k, out);
	return ST_OK;
}

/*
 * The layer run sequentially (DeepSpeed-MoE) and at each fixed degree (Tutel
 * without adaptation), flat exchange, with the chosen layout and capacity.
 */
static enum status add_baselines(struct search *x, struct search_result *out)
{
	const struct candidate like = out->best;
	enum status st = add_baseline(x, 1, &like, out);

	for (int i = 0; i < x->n_degrees && !st; i++) {
		if (x->degree[i] != 1)
			st = add_baseline(x, x->degree[i], &like, out);
	}
	for (int i = 0; i < out->n_baselines; i++)
		out->baseline[i].speedup =
			out->baseline[i].time_s / out->best_s;
	return st;
}

/* ---- the whole ---- */

static void set_degrees(struct search *x)
{
	const struct knob_int *k = &x->s->search.degree;

	if (k->is_auto) {
		for (int d = 1; d <= DEGREE_AUTO_MAX; d *= 2)
			x->degree[x->n_degrees++] = d;
		return;
	}
	for (; x->n_degrees < k->n; x->n_degrees++)
		x->degree[x->n_degrees] = k->v[x->n_degrees];
}

static enum status nothing_feasible(const struct search *x)
{
	const struct scenario *s = x->s;
	const struct group *g = &x->group[0];	/* lowest bound */
	double room = s->constraints.memory_bytes;

	if (!x->n_groups)
		return err_set(ST_INPUT, "search: no plan to try");
	if (g->drop > s->constraints.max_drop)
		return err_set(ST_INPUT,
			"no plan meets the constraints: at capacity factor %g "
			"%.3g %% of the tokens drop, constraints.max_drop is "
			"%g %%", g->factor, 100 * g->drop,
			100 * s->constraints.max_drop);
	if (room <= 0)
		room = s->cluster.gpu.hbm_bytes;
	return err_set(ST_INPUT,
		"no plan meets the constraints: ep=%d esp=%d needs %.4g GB "
		"per GPU, constraints.memory is %.4g GB",
		x->layout[g->layout].ep, x->layout[g->layout].esp,
		g->memory.total / 1e9, room / 1e9);
}

static enum status choose(struct search *x, struct search_result *out)
{
	enum status st = rank_finalists(x);

	if (st)
		return st;
	out->best = x->top.item[0];
	out->best_s = out->best.flow_s;
	st = add_baselines(x, out);
	if (st)
		return st;
	return flow_run(x, &out->best, &out->program, &out->exec);
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
	drop_routing(x);
	free(x->group);
	free(x->layout);
	free(x->top.item);
	free(x->rejected.item);
	net_release(&x->net);
}

enum status search_run(const struct scenario *s,
		       const struct search_options *o,
		       struct search_result *out)
{
	struct search x = { .s = s, .o = o, .at_layout = -1, .at_factor = -1 };
	struct search_result r = { 0 };
	double began = now_s();
	enum status st = net_init(&x.net, &s->cluster, NET_EFFECTIVE);

	if (st)
		return st;
	set_degrees(&x);
	x.top.max = o->top > s->search.finalists ?
		o->top : s->search.finalists;
	x.rejected.max = o->rejected;
	st = layout_enumerate(s, &x.layout, &x.n_layouts);
	if (!st)
		st = bound_groups(&x);
	if (!st)
		st = cost_groups(&x, &r);
	if (!st && !x.top.n)
		st = nothing_feasible(&x);
	if (!st)
		st = choose(&x, &r);
	if (!st) {
		hand_over(&x, &r);
		r.search_s = now_s() - began;
		*out = r;
	}
	search_free(&x);
	return st;
}

void search_release(struct search_result *r)
{
	free(r->top);
	free(r->rejected);
	program_release(&r->program);
	exec_release(&r->exec);
	*r = (struct search_result){ 0 };
}
