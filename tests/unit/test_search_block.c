/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Attention in the pipeline in the planner: bounds are bounds, and pruning
 * with them loses nothing, over networks from slow to fast and dense parts
 * from small to large.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scenario_help.h"

#include "sim/block.h"
#include "sim/search_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CASES (6 * 4 * 2)

static void load_stages(int i, const char *pp, const char *recompute,
			struct scenario *s)
{
	static const char *const nic[] = { "10", "25", "50", "100", "200",
					   "400" };
	static const char *const other[] = { "2e7", "1e8", "6e8", "3e9" };
	char bandwidth[64], params[64], stages[64], again[64];
	const char *const sets[] = {
		"search.techniques=[baseline, attention-pipeline, gate-ktop1, "
		"locality]", "search.degree=[1, 2, 4]", "layout.ep=auto",
		"layout.esp=auto", "layout.dp=auto", "search.alltoall=auto",
		"search.finalists=1", "constraints.max_reroute=1",
		"constraints.memory=1TB",
		i % 2 ? "training.micro_batches=1" :
		"training.micro_batches=8", bandwidth, params, stages, again,
		strcmp(pp, "1") ? "cluster.nodes=4" : "cluster.nodes=2",
	};

	snprintf(bandwidth, sizeof(bandwidth), "cluster.nic.bandwidth=%sGb/s",
		 nic[i / 8]);
	snprintf(params, sizeof(params), "model.params_other=%s",
		 other[i / 2 % 4]);
	/* of several stages each has two nodes */
	snprintf(stages, sizeof(stages), "layout.pp=%s", pp);
	snprintf(again, sizeof(again), "training.recompute=%s", recompute);
	help_load_n(s, HELP_TECHNIQUES, sets, sizeof(sets) / sizeof(sets[0]));
}

static void load_case(int i, struct scenario *s)
{
	load_stages(i, "1", "false", s);
}

/* Only the best plan is kept. */
static void test_pruned(void **state)
{
	int blocks = 0;

	(void)state;
	for (int i = 0; i < CASES; i++) {
		struct search_options o = { .top = 1, .lane_only = true,
					    .no_systems = true };
		struct search_result r, all;
		struct scenario s;

		load_case(i, &s);
		assert_int_equal(search_run(&s, &o, &r), ST_OK);
		o.brute_force = true;
		assert_int_equal(search_run(&s, &o, &all), ST_OK);
		assert_true(plan_same(&r.top[0].plan, &all.top[0].plan));
		assert_true(r.top[0].lane_s == all.top[0].lane_s);
		assert_true(r.evaluated < all.evaluated);
		blocks += r.best.plan.dense == DENSE_CHUNKS;
		search_release(&r);
		search_release(&all);
		scenario_release(&s);
	}
	assert_in_range(blocks, 10, CASES - 1);
}

/* The same where stages compete by the step of the model. */
static void test_pruned_stages(void **state)
{
	int blocks[3] = { 0 };

	(void)state;
	for (int i = 0; i < CASES; i++) {
		struct search_options o = { .top = 1, .lane_only = true,
					    .no_systems = true };
		struct search_result r, all;
		struct scenario s;

		load_stages(i, "[1, 2]", i / 2 % 2 ? "true" : "false", &s);
		assert_int_equal(search_run(&s, &o, &r), ST_OK);
		o.brute_force = true;
		assert_int_equal(search_run(&s, &o, &all), ST_OK);
		assert_true(plan_same(&r.top[0].plan, &all.top[0].plan));
		assert_true(r.top[0].value_s == all.top[0].value_s);
		assert_true(r.evaluated < all.evaluated);
		if (r.best.plan.dense == DENSE_CHUNKS)
			blocks[r.best.plan.layout.pp]++;
		search_release(&r);
		search_release(&all);
		scenario_release(&s);
	}
	assert_true(blocks[1] > 0 && blocks[2] > 0);
}

/*
 * What a block's sums add to its time: to the last of m micro-batches, less
 * what sums beside its own dense part would.
 */
static double sums_s(const struct scenario *s, const struct evaluation *e)
{
	double with[2], without[2];

	block_whole_s(&s->model, &e->program, &e->exec, true, with);
	block_whole_s(&s->model, &e->program, &e->exec, false, without);
	return (with[1] - without[1] - cost_apart_s(e->cost, 1, true) +
		cost_apart_s(e->cost, 1, false)) / s->training.micro_batches;
}

/*
 * What a plan counts is the step with it in the lane model, gradients and
 * optimizer not included but for those sums, once; with one pp, its time.
 */
static void check_value(const struct scenario *s, const struct candidate *k,
			bool by_step)
{
	const struct layout *l = &k->plan.layout;
	struct step_time t;
	struct evaluation e;
	double value_s;

	assert_int_equal(evaluate_plan(s, &k->plan, EXEC_LANE, NULL, &e),
			 ST_OK);
	struct step_spec spec = {
		.s = s, .net = &e.net, .plan = &k->plan,
		.program = &e.program, .exec = &e.exec,
		.optimizer_bytes = e.memory.optimizer,
		.parameter_bytes = e.memory.parameters,
	};

	assert_int_equal(step_run(&spec, &t), ST_OK);
	value_s = step_per_layer(s, l, t.time_s - t.gradient_s -
				 t.optimizer_s);
	if (k->plan.dense)
		value_s += l->tp * sums_s(s, &e);
	if (!by_step)
		value_s = l->tp * (e.pass_s[0] + e.pass_s[1]);
	assert_float_equal(k->value_s / value_s, 1, 1e-9);
	assert_float_equal(k->lane_s / (e.pass_s[0] + e.pass_s[1]), 1, 1e-9);
	assert_true(by_step == (k->step_s > 0) || !(k->flow_s > 0));
	if (k->step_s > 0)
		assert_float_equal(k->step_s / step_per_layer(s, l, t.time_s),
				   1, 1e-9);
	evaluation_release(&e);
}

static void test_values(void **state)
{
	static const char *const pp[] = { "1", "[1, 2]", "2" };
	int blocks[3] = { 0 }, layers = 0, steps = 0;

	(void)state;
	for (int i = 0; i < 3 * CASES; i += 5) {
		struct search_options o = { .top = 24, .lane_only = true,
					    .no_systems = true };
		struct search_result r;
		struct scenario s;

		load_stages(i / 3, pp[i % 3], i % 2 ? "true" : "false", &s);
		s.search.finalists = 8;
		assert_int_equal(search_run(&s, &o, &r), ST_OK);
		for (int k = 0; k < r.n_top; k++) {
			bool dense = r.top[k].plan.dense != DENSE_APART;

			check_value(&s, &r.top[k], i % 3 == 1);
			blocks[r.top[k].plan.layout.pp] += dense && i % 3 == 1;
			layers += !dense;
			steps += dense && r.top[k].step_s > 0;
		}
		search_release(&r);
		scenario_release(&s);
	}
	assert_true(blocks[1] > 10 && blocks[2] > 10);
	assert_true(layers > 10 && steps > 10);
}

static void search_begin(const struct scenario *s,
			 const struct search_options *o, struct search *x)
{
	*x = (struct search){ .s = s, .o = o, .at_layout = -1,
			      .at_factor = -1 };
	assert_int_equal(search_limits_init(x), ST_OK);
	x->shared = cost_shared_new();
	assert_int_equal(layout_enumerate(s, &x->layout, &x->n_layouts),
			 ST_OK);
	x->n_all_layouts = x->n_layouts;
	assert_int_equal(search_value_init(x), ST_OK);
	assert_int_equal(search_bound_groups(x), ST_OK);
}

static void search_end(struct search *x)
{
	tech_cache_release(&x->cache);
	search_drop_routing(x);
	cost_shared_free(x->shared);
	free(x->group);
	free(x->layout);
	free(x->share);
	search_limits_release(x);
}

/* The fastest block of a group, every number of pieces; *tight_p: the largest
 * bound of a backward pass by its time. */
static double fastest(struct search *x, const struct group *g,
		      const struct cost *c, double *tight_p)
{
	double best = INFINITY;
	struct attention_times t;

	assert_int_equal(search_attention_times(x, g, c, INFINITY, &t), ST_OK);
	for (int f = 0; f < x->n_degrees; f++) {
		for (int b = 0; b < x->n_degrees; b++)
			best = fmin(best, t.time_s[0][f] + t.time_s[1][b]);
		if (x->degree[f] == 1)
			continue;
		assert_true(t.bound_s[f] <= t.time_s[1][f] + 1e-12);
		*tight_p = fmax(*tight_p, t.bound_s[f] / t.time_s[1][f]);
	}
	return best;
}

/* No plan of a group is faster than its bound; some take no longer. */
static void test_bounds(void **state)
{
	double tight = 0, pieces = 0;
	int groups = 0;

	(void)state;
	for (int i = 0; i < CASES; i++) {
		struct search_options o = { .top = 1, .brute_force = true };
		struct scenario s;
		struct search x;

		load_case(i, &s);
		search_begin(&s, &o, &x);
		for (size_t k = 0; k < x.n_groups; k++) {
			struct group *g = &x.group[k];
			struct cost *c;
			double s_best;

			if (g->why_not || !search_attends_group(&x, g))
				continue;
			assert_int_equal(search_at(&x, g->layout, g->factor,
						   g->tech), ST_OK);
			assert_int_equal(search_group_cost(&x, g, &c), ST_OK);
			s_best = fastest(&x, g, c, &pieces);
			assert_true(g->bound_s <= s_best + 1e-12);
			tight = fmax(tight, g->bound_s / s_best);
			groups++;
			cost_free(c);
		}
		search_end(&x);
		scenario_release(&s);
	}
	assert_true(groups > CASES);
	assert_true(tight > 0.999 && pieces > 0.999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_pruned),
		cmocka_unit_test(test_pruned_stages),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
