/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/scenario_help.h"

static const struct knob_int automatic = { .is_auto = true };

static struct knob_int one(int v)
{
	return (struct knob_int){ .n = 1, .v = { v } };
}

static void small_scenario(struct scenario *s)
{
	*s = (struct scenario){ 0 };
	s->cluster.nodes = 2;
	s->cluster.gpus_per_node = 4;
	s->model = (struct model){ .hidden = 64, .layers = 2, .moe_layers = 2,
				   .experts = 4, .experts_per_token = 2,
				   .expert_ffn = 90, .sequence = 10,
				   .batch_per_gpu = 3 };
	s->layout.ep = s->layout.esp = s->layout.dp = automatic;
	s->layout.tp = s->layout.pp = one(1);
}

static void test_tokens(void **state)
{
	struct scenario s;
	struct layout l = { 1, 1, 4, 1, 1 };

	(void)state;
	small_scenario(&s);
	/* 30 tokens over 4: 8 with the last rank short */
	assert_int_equal(layout_tokens(&l, &s.model), 8);
	l.tp = 1;
	assert_int_equal(layout_tokens(&l, &s.model), 30);
}

/* The rules of scenario.h, written once more and without thought of speed. */
static bool obeys(const struct scenario *s, const struct layout *l)
{
	int e = s->model.experts;
	int world = s->cluster.nodes * s->cluster.gpus_per_node;

	return l->pp * l->dp * l->ep * l->esp == world &&
	       (l->ep <= e ? e % l->ep == 0 : l->ep % e == 0) &&
	       s->cluster.gpus_per_node % l->esp == 0 &&
	       s->model.expert_ffn % l->esp == 0 &&
	       l->pp <= s->model.layers && (l->ep * l->esp * l->dp) %
	       l->tp == 0;
}

static bool in_knob(const struct knob_int *k, int v, int dividend)
{
	int i;

	for (i = 0; i < k->n; i++) {
		if (k->v[i] == v)
			return true;
	}
	return k->is_auto && dividend % v == 0;
}

static bool listed(const struct layout *list, int n, const struct layout *l)
{
	int i, found = 0;

	for (i = 0; i < n; i++) {
		found += !memcmp(&list[i], l, sizeof(*l));
	}
	assert_true(found <= 1);
	return found == 1;
}

/* One layout: is it listed exactly when it is right? Returns whether. */
static int compare_one(const struct scenario *s, const struct layout *l,
		       const struct layout *list, int n)
{
	int w = cluster_gpus(&s->cluster), g = s->cluster.gpus_per_node;
	bool right = obeys(s, l);

	assert_int_equal(right, !layout_check(l, &s->cluster, &s->model));
	right = right && in_knob(&s->layout.pp, l->pp, w) &&
		in_knob(&s->layout.dp, l->dp, w) &&
		in_knob(&s->layout.ep, l->ep, w) &&
		in_knob(&s->layout.esp, l->esp, g) &&
		in_knob(&s->layout.tp, l->tp, g);
	assert_int_equal(right, listed(list, n, l));
	return right;
}

static int compare_shards(const struct scenario *s, struct layout l,
			  const struct layout *list, int n)
{
	int w = cluster_gpus(&s->cluster), right = 0;

	for (l.esp = 1; l.pp * l.dp * l.ep * l.esp <= w; l.esp++) {
		for (l.tp = 1; l.tp <= w; l.tp++) {
			right += compare_one(s, &l, list, n);
		}
	}
	return right;
}

/* Every layout of all degrees up to the world; how many are right. */
static int compare(const struct scenario *s, const struct layout *list, int n)
{
	int w = cluster_gpus(&s->cluster), right = 0;
	struct layout l = { 0 };

	for (l.pp = 1; l.pp <= w; l.pp++) {
		for (l.dp = 1; l.pp * l.dp <= w; l.dp++) {
			for (l.ep = 1; l.pp * l.dp * l.ep <= w; l.ep++) {
				right += compare_shards(s, l, list, n);
			}
		}
	}
	return right;
}

static void check_enumeration(const struct scenario *s)
{
	struct layout *list = NULL;
	int n = 0;
	enum status st = layout_enumerate(s, &list, &n);

	assert_int_equal(st, n ? ST_OK : ST_INPUT);
	assert_int_equal(compare(s, list, n), n);
	free(list);
}

static void test_brute_force(void **state)
{
	static const int gpus[] = { 1, 2, 3, 4, 6 };
	static const int experts[] = { 1, 3, 4, 8 };
	struct scenario s;
	size_t i, j;
	int v;

	(void)state;
	small_scenario(&s);
	for (i = 0; i < sizeof(gpus) / sizeof(*gpus); i++) {
		for (j = 0; j < sizeof(experts) / sizeof(*experts); j++) {
			s.cluster.nodes = 1 + (int)(i + j) % 3;
			s.cluster.gpus_per_node = gpus[i];
			s.model.experts = experts[j];
			for (v = 0; v < 16; v++) {
				s.layout.tp = v & 1 ? automatic : one(1);
				s.layout.pp = v & 2 ? automatic : one(1);
				s.layout.ep = v & 4 ? automatic : one(2);
				s.layout.dp = v & 8 ? automatic : one(2);
				check_enumeration(&s);
			}
		}
	}
}

static void expect_fault(const struct scenario *s, const char *want)
{
	struct layout *list = NULL;
	int n = 0;

	assert_int_equal(layout_enumerate(s, &list, &n), ST_INPUT);
	assert_null(list);
	if (strcmp(err_msg(), want))
		fail_msg("'%s'\ninstead of\n'%s'", err_msg(), want);
}

static void test_messages(void **state)
{
	struct scenario s;

	(void)state;
	small_scenario(&s);
	s.layout.ep = one(3);
	expect_fault(&s, "default: key 'layout.ep': 3 neither divides the 4 "
		     "experts nor is a multiple of them; the nearest that "
		     "does is 2");
	small_scenario(&s);
	s.layout.esp = one(3);
	expect_fault(&s, "default: key 'layout.esp': 3 does not divide the 4 "
		     "GPUs of a node");
	small_scenario(&s);
	s.layout.esp = one(4);
	s.model.expert_ffn = 98;
	expect_fault(&s, "default: key 'layout.esp': 4 does not divide "
		     "model.expert_ffn, 98");
	small_scenario(&s);
	s.layout.pp = one(8);
	expect_fault(&s, "default: key 'layout.pp': 8 is more than the 2 "
		     "layers");
	small_scenario(&s);
	s.layout.tp = one(3);
	expect_fault(&s, "default: key 'layout.tp': 3 does not divide the 8 "
		     "GPUs of a pipeline stage");
	small_scenario(&s);
	s.layout.ep = one(2);
	s.layout.esp = one(2);
	s.layout.dp = one(3);
	expect_fault(&s, "default: key 'layout.dp': pp 1 x dp 3 x ep 2 x esp "
		     "2 is not the number of GPUs, 8 (2 nodes x 4)");
	s.layout.ep = one(16);
	s.layout.dp = automatic;
	expect_fault(&s, "default: key 'layout.ep': pp 1 x dp 1 x ep 16 x esp "
		     "2 is not the number of GPUs, 8 (2 nodes x 4)");
}

/* The largest cluster with everything open ends, and soon. */
static void test_large(void **state)
{
	struct layout *list = NULL;
	struct scenario s;
	int n = 0;

	(void)state;
	small_scenario(&s);
	s.cluster.nodes = 1;
	s.cluster.gpus_per_node = 720720;	/* 240 divisors */
	s.model.experts = 65520;
	s.model.expert_ffn = 720720;
	s.model.layers = 10000;
	s.layout.tp = s.layout.pp = automatic;
	assert_int_equal(layout_enumerate(&s, &list, &n), ST_INPUT);
	assert_string_equal(err_msg(), "layout: more than 65536 layouts; give "
			    "layout.tp, layout.pp or layout.ep");
	s.layout.tp = s.layout.pp = one(1);
	assert_int_equal(layout_enumerate(&s, &list, &n), ST_OK);
	assert_true(n > 1000);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
