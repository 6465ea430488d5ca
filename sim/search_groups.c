/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Groups of plans, their workloads and their lower bounds. */
#include "sim/search_priv.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/dense.h"

#include <math.h>
#include <stdlib.h>

#define CAPACITIES_MAX KNOB_MAX
#define REROUTE_SLACK 1e-9	/* rounding */
#define DEGREE_AUTO_MAX 8	/* auto: 1, 2, 4, 8 */

static const char drops_too_many_tokens[] = "drops too many tokens";

static void drop_workload(struct search *x)
{
	if (x->at_factor >= 0)
		workload_release(&x->work);
	x->at_factor = -1;
}

void search_drop_routing(struct search *x)
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
	if (x->at_layout >= 0 &&
	    routing_alike(&s->routing, &s->model, &x->layout[x->at_layout],
			  &x->layout[layout])) {
		drop_workload(x);
		x->at_layout = layout;
		return ST_OK;
	}
	search_drop_routing(x);
	st = routing_make(&s->routing, &s->model, &x->layout[layout],
			  cluster_gpus(&s->cluster), &x->routing);
	if (!st)
		x->at_layout = layout;
	return st;
}

enum status search_at(struct search *x, int layout, double factor,
		      unsigned tech)
{
	struct tech_place at = { x->s, &x->layout[layout], &x->routing,
				 &x->cache, factor };
	enum status st = at_routing(x, layout);

	if (st || (x->at_factor == factor && x->at_tech == tech))
		return st;
	drop_workload(x);
	cost_shared_next(x->shared);
	st = workload_make(&x->routing, &x->s->cluster, &x->s->model,
			   &x->layout[layout], factor, &x->work);
	if (st)
		return st;
	x->at_factor = factor;
	x->at_tech = tech;
	st = tech_apply(&at, tech, &x->work, &x->effect);
	if (st)
		drop_workload(x);
	return st;
}

struct cost_spec search_cost_spec(const struct search *x,
				  const struct group *g)
{
	struct dense dense;

	dense_init(&dense, &x->s->cluster.gpu, &x->s->model,
		   &x->layout[g->layout]);
	return (struct cost_spec){
		.net = search_net(x, g->ctas),
		.model = &x->s->model,
		.workload = &x->work,
		.layout = x->layout[g->layout],
		.alltoall = g->alg,
		.effect = &x->effect,
		.comm = x->s->comm,
		.measured = x->s->measured,
		.shared = x->shared,
		.tolerance = x->s->search.flow_tolerance,
		.dense_bytes = search_attends(x) ?
			dense_gradient_bytes(&dense) : 0,
	};
}

/* The routing and the workload of the group must be current. */
enum status search_group_cost(struct search *x, const struct group *g,
			      struct cost **out_p)
{
	struct cost_spec spec = search_cost_spec(x, g);

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
		.technique_mask = g->tech,
		.ctas = g->ctas,
	};
}

enum status search_time_degrees(struct search *x, const struct group *g,
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

struct candidate search_candidate(const struct search *x,
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

double search_least(const double *v, int n)
{
	double min = INFINITY;

	for (int i = 0; i < n; i++)
		min = fmin(min, v[i]);
	return min;
}

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

double search_memory_room(const struct scenario *s)
{
	double limit = s->constraints.memory_bytes;
	double has = s->cluster.gpu.hbm_bytes;

	if (limit <= 0 || (has > 0 && has < limit))
		return has;
	return limit;
}

const char *search_tech_broken(const struct search *x)
{
	const struct constraints *limit = &x->s->constraints;

	if (x->effect.why_not)
		return x->effect.why_not;
	if (x->effect.error > limit->max_error)
		return "compresses with too much error";
	if (x->effect.rerouted > limit->max_reroute + REROUTE_SLACK)
		return "sends too many tokens elsewhere";
	return NULL;
}

static const char *constraint_broken(const struct search *x,
				     const struct group *g)
{
	const struct scenario *s = x->s;
	double room = search_memory_room(s);

	if (search_tech_broken(x))
		return search_tech_broken(x);
	if (g->drop > s->constraints.max_drop)
		return drops_too_many_tokens;
	if (room > 0 && g->memory.total > room)
		return "needs too much memory";
	return NULL;
}

static void keep_group(struct search *x, const struct group *g)
{
	x->group = array_grow(x->group, &x->cap_groups, x->n_groups + 1,
			      sizeof(*g));
	x->group[x->n_groups++] = *g;
}

/* What the plan in one chunk counts; INFINITY: that degree is not listed. */
static double whole_value(const struct search *x, int layout,
			  const struct degree_times *t)
{
	for (int i = 0; i < x->n_degrees; i++) {
		if (x->degree[i] == 1)
			return search_value(x, layout, t->forward_s[i] +
					    t->backward_s[i],
					    t->forward_s[i], 0);
	}
	return INFINITY;
}

static void set_bound(const struct search *x, struct group *g,
		      const struct degree_times *t,
		      const struct order_times *orders,
		      const struct attention_times *blocks)
{
	double forward_s = search_least(t->forward_s, x->n_degrees);
	double bound_s = forward_s + search_least(t->backward_s, x->n_degrees);

	if (orders) {
		bound_s = fmin(bound_s, orders->best_bound_s);
		forward_s = fmin(forward_s, search_least(orders->bound_s[0],
						  x->n_degrees));
	}
	g->whole_s = whole_value(x, g->layout, t);
	g->bound_s = fmin(bound_s, blocks->best_bound_s);
	g->weighted_s = fmin(search_value(x, g->layout, bound_s, forward_s, 0),
			     blocks->best_value_s);
}

enum status search_bound(struct search *x, struct group *g, bool is_least)
{
	struct cost_spec spec = search_cost_spec(x, g);
	struct attention_times blocks = { .best_bound_s = INFINITY,
					  .best_value_s = INFINITY };
	struct order_times orders;
	struct degree_times t;
	struct cost *c;
	enum status st;

	spec.bound_only = true;
	spec.least = is_least;
	st = cost_new(&spec, &c);
	if (st)
		return st;
	st = search_time_degrees(x, g, c, &t);
	if (!st && search_orders(x))
		st = search_order_bounds(x, g, c, &orders);
	if (!st && search_attends_group(x, g))
		st = search_attention_bounds(x, g, c, &blocks);
	cost_free(c);
	if (st)
		return st;
	set_bound(x, g, &t, search_orders(x) ? &orders : NULL, &blocks);
	g->least = is_least;
	return ST_OK;
}

/* Is the bound worth waiting for? Where all bounds are asked for, or are
 * quickly made, it is not. */
static bool can_wait(const struct search *x, const struct group *g)
{
	const struct cost_spec spec = search_cost_spec(x, g);
	const struct coll_spec cs = { .net = spec.net, .comm = spec.comm };

	return !x->o->brute_force && !x->o->rejected && !search_orders(x) &&
		spec.layout.ep > 1 &&
		coll_lists_flows(&cs, g->alg, &x->work.dispatch);
}

static enum status add_group(struct search *x, int layout, double factor,
			     unsigned tech, enum a2a_alg alg, int ctas)
{
	struct group g = { .layout = layout, .factor = factor, .alg = alg,
			   .tech = tech, .ctas = ctas };
	struct plan p = group_plan(x, &g, 1, 1);
	enum status st;

	g.drop = x->work.drop_fraction;
	g.padding = x->work.padding_fraction;
	memory_estimate(x->s, &p, &x->work, &g.memory);
	g.memory.buffers += x->effect.memory_bytes;
	g.memory.total += x->effect.memory_bytes;
	g.tech_broken = search_tech_broken(x);
	g.why_not = constraint_broken(x, &g);
	/* nobody asks for its bound, or it has none */
	if (g.why_not && (!x->o->rejected || search_tech_broken(x))) {
		g.bound_s = g.weighted_s = INFINITY;
		keep_group(x, &g);
		return ST_OK;
	}
	st = search_bound(x, &g, can_wait(x, &g));
	if (st)
		return st;
	keep_group(x, &g);
	return ST_OK;
}

static enum status add_limits(struct search *x, int layout, double factor,
			      unsigned tech, enum a2a_alg alg)
{
	enum status st = ST_OK;

	for (int i = 0; i < x->n_ctas && !st; i++)
		st = add_group(x, layout, factor, tech, alg, x->ctas[i]);
	return st;
}

bool search_tries(const struct search *x, int layout, unsigned tech,
		  enum a2a_alg alg)
{
	const struct plan p = { .layout = x->layout[layout], .alltoall = alg,
				.technique_mask = tech };

	return x->s->search.alltoall_mask & 1u << alg &&
		!direct_why_not_plan(&x->s->cluster, &p, &x->s->model);
}

/* Named and possible in no layout: say why not. */
static enum status check_named(const struct search *x)
{
	unsigned mask = x->s->search.alltoall_mask;
	const char *why = NULL, *first = NULL;

	if (!(mask & 1u << A2A_DIRECT) || mask == (1u << A2A_N) - 1)
		return ST_OK;
	for (int i = 0; i < x->n_layouts; i++) {
		why = direct_why_not_layout(&x->s->cluster, &x->layout[i],
					    &x->s->model);
		if (!why)
			return ST_OK;
		first = first ? first : why;
	}
	return first ? err_set(ST_INPUT, "'search.alltoall' has 'direct', but "
			     "%s", first) : ST_OK;
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
	/* uneven traffic among more ranks than that is refused */
	if (x->routing.ranks <= WORKLOAD_DENSE_RANKS_MAX)
		out[n++] = 0;
	return n + capacity_candidates(&x->routing, x->s->constraints.max_drop,
				       out + n, CAPACITIES_MAX - n);
}

/*
 * Sets that broke a limit at one layout and capacity. A larger set breaks it
 * too, unless it has shadowing, which can change what others do.
 */
struct broken {
	unsigned tech[TECH_SETS_MAX];
	const char *why[TECH_SETS_MAX];
	int n;
};

static const char *broken_already(const struct broken *b, unsigned tech)
{
	for (int i = 0; i < b->n; i++) {
		if (!(b->tech[i] & ~tech) &&
		    !((b->tech[i] ^ tech) & 1u << TECH_SHADOWING))
			return b->why[i];
	}
	return NULL;
}

/* Groups that are known to break a limit: only counted. */
static void keep_broken(struct search *x, int layout, double factor,
			unsigned tech, const char *why)
{
	for (int a = 0; a < A2A_N; a++) {
		struct group g = { .layout = layout, .factor = factor,
				   .alg = (enum a2a_alg)a, .tech = tech,
				   .bound_s = INFINITY,
				   .weighted_s = INFINITY, .why_not = why,
				   .tech_broken = true };

		if (search_tries(x, layout, tech, (enum a2a_alg)a))
			keep_group(x, &g);
	}
}

/* Without techniques the counts say what drops; nobody asks for the rest of a
 * group that drops too much. */
static bool drops_too_many(const struct search *x, double factor,
			   unsigned tech, double *drop_p)
{
	if (x->o->rejected || !(factor > 0) || tech != 1u << TECH_BASELINE)
		return false;
	*drop_p = capacity_drop(&x->routing,
				capacity_slots(&x->routing, factor));
	return *drop_p > x->s->constraints.max_drop;
}

static void keep_dropping(struct search *x, int layout, double factor,
			  unsigned tech, double drop)
{
	for (int i = 0; i < A2A_N * x->n_ctas; i++) {
		struct group g = { .layout = layout, .factor = factor,
				   .alg = (enum a2a_alg)(i / x->n_ctas),
				   .tech = tech, .ctas = x->ctas[i % x->n_ctas],
				   .drop = drop, .bound_s = INFINITY,
				   .weighted_s = INFINITY,
				   .why_not = drops_too_many_tokens };

		if (search_tries(x, layout, tech, g.alg))
			keep_group(x, &g);
	}
}

/* All algorithms and limits of a layout, a capacity and a set of techniques. */
static enum status add_tech_groups(struct search *x, int layout,
				   double factor, unsigned tech,
				   struct broken *broken)
{
	const char *why = broken_already(broken, tech);
	enum status st;
	double drop;

	if (why) {
		keep_broken(x, layout, factor, tech, why);
		return ST_OK;
	}
	if (drops_too_many(x, factor, tech, &drop)) {
		keep_dropping(x, layout, factor, tech, drop);
		return ST_OK;
	}
	st = search_at(x, layout, factor, tech);
	if (!st && search_tech_broken(x)) {
		broken->tech[broken->n] = tech;
		broken->why[broken->n++] = search_tech_broken(x);
	}
	for (int a = 0; a < A2A_N && !st; a++) {
		if (search_tries(x, layout, tech, (enum a2a_alg)a))
			st = add_limits(x, layout, factor, tech,
					(enum a2a_alg)a);
	}
	return st;
}

static enum status add_layout_groups(struct search *x, int layout)
{
	double factor[CAPACITIES_MAX];
	struct broken broken = { .n = 0 };
	enum status st = at_routing(x, layout);
	int n;

	if (st)
		return st;
	n = capacity_list(x, factor);
	for (int i = 0; i < n * x->n_techs && !st; i++) {
		if (!(i % x->n_techs))
			broken.n = 0;
		st = add_tech_groups(x, layout, factor[i / x->n_techs],
				     x->tech[i % x->n_techs], &broken);
	}
	return st;
}

enum status search_bound_groups(struct search *x)
{
	/* the others change no costs: they are chosen within a group */
	unsigned allowed = x->s->search.technique_mask & ~TECH_SCHEDULES;
	enum status st = check_named(x);

	set_degrees(x);
	x->n_techs = tech_sets(allowed ? allowed : 1u << TECH_BASELINE,
			       x->tech, TECH_SETS_MAX);
	for (int i = 0; i < x->n_layouts && !st; i++) {
		st = add_layout_groups(x, i);
		progress_report(x->o->progress, 0.2 * (i + 1) / x->n_layouts,
				1);
	}
	return st;
}
