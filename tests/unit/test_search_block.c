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

#include "sim/search_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CASES (6 * 4 * 2)

static void load_case(int i, struct scenario *s)
{
	static const char *const nic[] = { "10", "25", "50", "100", "200",
					   "400" };
	static const char *const other[] = { "2e7", "1e8", "6e8", "3e9" };
	char bandwidth[64], params[64];
	const char *const sets[] = {
		"search.techniques=[baseline, attention-pipeline, gate-ktop1, "
		"locality]", "search.degree=[1, 2, 4]", "layout.ep=auto",
		"layout.esp=auto", "layout.dp=auto", "search.alltoall=auto",
		"search.finalists=1", "constraints.max_reroute=1",
		"constraints.memory=1TB",
		i % 2 ? "training.micro_batches=1" :
		"training.micro_batches=8", bandwidth, params,
	};

	snprintf(bandwidth, sizeof(bandwidth), "cluster.nic.bandwidth=%sGb/s",
		 nic[i / 8]);
	snprintf(params, sizeof(params), "model.params_other=%s",
		 other[i / 2 % 4]);
	help_load_n(s, HELP_TECHNIQUES, sets, sizeof(sets) / sizeof(sets[0]));
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
	assert_int_equal(search_bound_groups(x), ST_OK);
}

static void search_end(struct search *x)
{
	tech_cache_release(&x->cache);
	search_drop_routing(x);
	cost_shared_free(x->shared);
	free(x->group);
	free(x->layout);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
