/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The planner against brute force: every plan of the space, each evaluated by
 * itself with evaluate_plan() in the lane model, the constraints applied by
 * hand. The search shares no loop with this file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scenario_help.h"

#include "base/outfile.h"
#include "base/units.h"
#include "sim/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Limits of CTAs as if they were measured: 4 make exchanges a good deal
 * slower, 16 start sooner but hold more SMs than the rest.
 */
static void add_limits(struct gpu *g)
{
	struct comm_limit *l = g->limit;

	g->n_limits = 2;
	l[0] = (struct comm_limit){ 4, g->intra, g->inter };
	l[0].intra.efficiency *= 0.3;
	l[0].inter.efficiency *= 0.6;
	l[1] = (struct comm_limit){ 16, g->intra, g->inter };
	l[1].intra.efficiency *= 0.9;
	l[1].intra.launch_s *= 0.5;
	l[1].inter.launch_s *= 0.5;
}

/* A small scenario with these sections replaced. */
static void load(struct scenario *s, const char *sets[], int n_sets)
{
	static const char text[] =
		"cluster:\n"
		"  nodes: 2\n"
		"  gpus_per_node: 4\n"
		"  gpu: h100-sxm\n"
		"  intra: {kind: nvswitch, bandwidth: 450GB/s, latency: 1us}\n"
		"  nic: {bandwidth: 200Gb/s, latency: 3us}\n"
		"  fabric: {kind: rail, oversubscription: 2}\n"
		"model: {hidden: 1024, layers: 4, experts: 8,\n"
		"        experts_per_token: 2, expert_ffn: 2048, gated: true,\n"
		"        sequence: 1021, batch_per_gpu: 1}\n"
		"layout: {ep: auto, esp: auto}\n"
		"routing: {kind: zipf, skew: 0.7, seed: 5}\n"
		"constraints: {max_drop: 5%}\n"
		"search: {degree: [1, 2, 3], capacity: [0, 1, 1.5, 2],\n"
		"         flow_tolerance: 0}\n";

	help_load_n(s, text, sets, n_sets);
	add_limits(&s->cluster.gpu);
}

/* The same candidates in the same order, with the same times. */
static void same_top(const struct search_result *a,
		     const struct search_result *b)
{
	assert_int_equal(a->n_top, b->n_top);
	for (int i = 0; i < a->n_top; i++) {
		assert_memory_equal(&a->top[i].plan, &b->top[i].plan,
				    sizeof(struct plan));
		assert_true(a->top[i].lane_s == b->top[i].lane_s);
	}
}

static bool feasible(const struct scenario *s, const struct evaluation *e)
{
	double room = s->constraints.memory_bytes;

	if (room <= 0)
		room = s->cluster.gpu.hbm_bytes;
	return e->workload.drop_fraction <= s->constraints.max_drop &&
		e->memory.total <= room;
}

struct brute {
	double best_s;
	uint64_t plans, feasible;
};

static void try_plan(const struct scenario *s, const struct plan *p,
		     struct brute *b)
{
	struct evaluation e;

	if (evaluate_plan(s, p, EXEC_LANE, NULL, &e))
		fail_msg("%s", err_msg());
	b->plans++;
	if (feasible(s, &e)) {
		b->feasible++;
		/* per token: a rank brings 1/tp of the sequence */
		b->best_s = fmin(b->best_s, s_from_ps(e.exec.time_ps) *
				 p->layout.tp);
	}
	evaluation_release(&e);
}

static void brute_layout(const struct scenario *s, struct plan p,
			 struct brute *b)
{
	const struct search_space *q = &s->search;

	for (int a = 0; a < A2A_N; a++) {
		if (a == A2A_DIRECT &&
		    direct_why_not_layout(&s->cluster, &p.layout, &s->model))
			continue;
		for (int c = 0; c < q->capacity.n * q->ctas.n; c++) {
			for (int i = 0; i < q->degree.n * q->degree.n; i++) {
				p.alltoall = (enum a2a_alg)a;
				p.capacity_factor =
					q->capacity.v[c / q->ctas.n];
				p.ctas = q->ctas.v[c % q->ctas.n];
				p.degree_forward =
					q->degree.v[i / q->degree.n];
				p.degree_backward =
					q->degree.v[i % q->degree.n];
				try_plan(s, &p, b);
			}
		}
	}
}

static bool has_degree(const struct scenario *s, int degree)
{
	for (int i = 0; i < s->search.degree.n; i++) {
		if (s->search.degree.v[i] == degree)
			return true;
	}
	return false;
}

/* Published systems may use what the scenario does not allow. */
static bool in_space(const struct scenario *s, const struct plan *p)
{
	return p->technique_mask == 1u << TECH_BASELINE &&
		has_degree(s, p->degree_forward) &&
		has_degree(s, p->degree_backward);
}

static void compare(const char *sets[], int n_sets)
{
	struct brute b = { .best_s = INFINITY };
	struct search_options o = { .top = 5, .rejected = 4 };
	struct search_result r;
	struct scenario s;
	struct layout *layout;
	int n;

	load(&s, sets, n_sets);
	assert_int_equal(layout_enumerate(&s, &layout, &n), ST_OK);
	for (int i = 0; i < n; i++)
		brute_layout(&s, (struct plan){ .layout = layout[i],
				.technique_mask = 1u << TECH_BASELINE }, &b);
	if (search_run(&s, &o, &r))
		fail_msg("%s", err_msg());
	/* the list's best lane time is brute force's, to the picosecond */
	double best = INFINITY;

	for (int i = 0; i < r.n_top; i++)
		best = fmin(best, r.top[i].lane_s * r.top[i].plan.layout.tp);
	assert_true(fabs(best - b.best_s) <= 1.5e-12);
	/* every plan is accounted for */
	assert_int_equal(r.evaluated + r.pruned + r.infeasible, b.plans);
	assert_true(r.evaluated + r.pruned >= b.feasible);
	/* what was chosen is never slower than a baseline of the space */
	for (int i = 0; i < r.n_baselines; i++) {
		if (in_space(&s, &r.baseline[i].plan))
			assert_true(r.baseline[i].speedup >= 1 - 1e-12);
	}
	assert_true(r.best.drop_fraction <= s.constraints.max_drop);
	exec_check(&r.program, &r.exec);
	search_release(&r);
	free(layout);
	scenario_release(&s);
}

static void test_equals_brute_force(void **state)
{
	const char *plain[] = { "routing.seed=5" };
	const char *uniform[] = { "routing.kind=uniform", "routing.skew=0" };
	const char *slow_net[] = { "cluster.nic.bandwidth=10Gb/s" };
	const char *one_nic[] = { "cluster.nic.per_node=1" };
	const char *tight[] = { "constraints.max_drop=0" };
	const char *fat_ffn[] = { "model.expert_ffn=8192",
				  "model.gated=false" };
	const char *direct[] = { "comm.direct.efficiency=0.85",
				 "comm.direct.launch=5us" };
	const char *any_tp[] = { "layout.tp=[1, 2, 4]",
				 "search.degree=[1, 2]" };
	const char *limits[] = { "search.ctas=[0, 4, 16]",
				 "search.degree=[1, 2]" };
	/* a call for each expert, which the host queues too slowly */
	const char *calls[] = { "cluster.gpu=h200-sxm", "cluster.nodes=1",
				"cluster.gpus_per_node=2", "model.experts=128",
				"model.hidden=2048", "model.expert_ffn=768",
				"model.experts_per_token=8", "routing.skew=1.2",
				"search.capacity=none",
				"search.degree=[1, 4, 8]" };
	const char *only[] = { "search.ctas=[16, 4]",
			       "search.degree=[1, 2]" };

	(void)state;
	compare(plain, 1);
	compare(uniform, 1);
	compare(slow_net, 1);
	compare(one_nic, 1);
	compare(tight, 1);
	compare(fat_ffn, 2);
	compare(any_tp, 2);
	compare(direct, 2);
	compare(limits, 2);
	compare(only, 2);
	compare(calls, 10);
}

/* The list of the best `top` with pruning is the one without it. */
static void compare_lists(const struct scenario *s, int top)
{
	struct search_options o = { .top = top, .lane_only = true };
	struct search_result a, b;

	assert_int_equal(search_run(s, &o, &a), ST_OK);
	o.brute_force = true;
	assert_int_equal(search_run(s, &o, &b), ST_OK);
	assert_int_equal(b.pruned, 0);
	assert_true(a.pruned > 0);
	same_top(&a, &b);
	search_release(&a);
	search_release(&b);
}

/* Lists of many lengths: a group has 9 plans, and cuts fall everywhere. */
static void test_pruning_keeps_the_list(void **state)
{
	struct scenario s;

	(void)state;
	load(&s, NULL, 0);
	for (int top = 1; top <= 120; top += 7)
		compare_lists(&s, top);
	scenario_release(&s);
}

/* Bounds are asked for (rejected), or wait until they matter: no difference. */
static void compare_waiting(const char *sets[], int n_sets)
{
	struct search_options o = { .top = 5, .lane_only = true };
	struct search_result a, b;
	struct scenario s;

	load(&s, sets, n_sets);
	assert_int_equal(search_run(&s, &o, &a), ST_OK);
	o.rejected = 3;
	assert_int_equal(search_run(&s, &o, &b), ST_OK);
	assert_int_equal(b.n_rejected, 3);
	assert_true(a.pruned > 0);
	assert_int_equal(a.pruned, b.pruned);
	assert_int_equal(a.evaluated, b.evaluated);
	assert_int_equal(a.infeasible, b.infeasible);
	assert_int_equal(a.n_reasons, b.n_reasons);
	assert_true(a.bound_s == b.bound_s);
	same_top(&a, &b);
	search_release(&a);
	search_release(&b);
	scenario_release(&s);
}

static void test_bounds_wait(void **state)
{
	static const char *const fabric[] = {
		"cluster.fabric.kind=rail", "cluster.fabric.kind=leaf-spine",
	};
	static const char *const routing[] = {
		"routing.kind=zipf", "routing.kind=uniform",
	};
	static const char *const alltoall[] = {
		"search.alltoall=auto", "search.alltoall=[pairwise, dedup]",
		"search.alltoall=[flat, pairwise]",
	};

	(void)state;
	for (int i = 0; i < 2 * 2 * 3; i++) {
		const char *sets[] = {
			fabric[i % 2], routing[i / 2 % 2], alltoall[i / 4],
			"cluster.nodes=8", i % 2 ?
				"cluster.fabric.nodes_per_leaf=2" :
				"cluster.pxn=true",
		};

		compare_waiting(sets, 5);
	}
}

/*
 * One finalist, and a limit that costs the exchange nothing: the lane model
 * sees no difference and has no limit first; the flow model, where products
 * run beside the exchange, must find the limit that holds fewest SMs.
 */
static void test_limit_in_flow_model(void **state)
{
	const char *sets[] = { "search.ctas=[0, 16, 4]", "search.finalists=1",
			       "search.degree=[2]", "search.alltoall=flat",
			       "search.capacity=[0]", "layout.ep=8",
			       "model.expert_ffn=8192" };
	struct search_options o = { .top = 3 };
	struct search_result r;
	struct evaluation e;
	double best = INFINITY;
	struct scenario s;
	struct plan p;
	int i;

	(void)state;
	load(&s, sets, 7);
	for (i = 0; i < 2; i++) {
		s.cluster.gpu.limit[i].intra = s.cluster.gpu.intra;
		s.cluster.gpu.limit[i].inter = s.cluster.gpu.inter;
	}
	assert_int_equal(search_run(&s, &o, &r), ST_OK);
	assert_int_equal(r.best.plan.ctas, 4);
	assert_int_equal(r.n_top, 3);
	for (i = 0; i < 3; i++) {
		p = r.best.plan;
		p.ctas = s.search.ctas.v[i];
		assert_int_equal(evaluate_plan(&s, &p, EXEC_FLOW, NULL, &e),
				 ST_OK);
		best = fmin(best, s_from_ps(e.exec.time_ps));
		evaluation_release(&e);
	}
	assert_true(r.best_s == best);
	/* rivals run as they are: without a limit */
	for (i = 0; i < r.n_baselines; i++)
		assert_int_equal(r.baseline[i].plan.ctas, 0);
	search_release(&r);
	scenario_release(&s);
}

/* auto: no limit and all that were measured; others are refused. */
static void test_limits_listed(void **state)
{
	const char *sets[] = { "search.ctas=auto", "search.degree=[1]",
			       "search.alltoall=flat", "search.capacity=[0]",
			       "layout.ep=8" };
	struct search_options o = { .top = 9, .lane_only = true };
	struct search_result r;
	struct scenario s;

	(void)state;
	load(&s, sets, 5);
	assert_int_equal(search_run(&s, &o, &r), ST_OK);
	assert_int_equal(r.n_top, 3);
	search_release(&r);
	scenario_release(&s);
	sets[0] = "search.ctas=[0, 8]";
	load(&s, sets, 5);
	assert_int_equal(search_run(&s, &o, &r), ST_INPUT);
	assert_non_null(strstr(err_msg(), "search.ctas=[0, 8]"));
	assert_non_null(strstr(err_msg(), "'ctas' is '8'"));
	assert_non_null(strstr(err_msg(), "(measured: 4, 16)"));
	s.cluster.gpu.n_limits = 0;
	assert_int_equal(search_run(&s, &o, &r), ST_INPUT);
	assert_non_null(strstr(err_msg(), "(measured: none)"));
	scenario_release(&s);
}

static void test_nothing_feasible(void **state)
{
	const char *sets[] = { "constraints.memory=1MB" };
	struct search_options o = { .top = 1 };
	struct search_result r;
	struct scenario s;

	(void)state;
	load(&s, sets, 1);
	assert_int_equal(search_run(&s, &o, &r), ST_INPUT);
	assert_non_null(strstr(err_msg(), "constraints.memory"));
	scenario_release(&s);
	sets[0] = "search.capacity=1";
	const char *more[] = { "search.capacity=1", "constraints.max_drop=0" };

	load(&s, more, 2);
	assert_int_equal(search_run(&s, &o, &r), ST_INPUT);
	assert_non_null(strstr(err_msg(), "constraints.max_drop"));
	scenario_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equals_brute_force),
		cmocka_unit_test(test_pruning_keeps_the_list),
		cmocka_unit_test(test_bounds_wait),
		cmocka_unit_test(test_limit_in_flow_model),
		cmocka_unit_test(test_limits_listed),
		cmocka_unit_test(test_nothing_feasible),
	};

	return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
