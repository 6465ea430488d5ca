/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The host backend runs whole layers: whatever the layout, the algorithm and
 * the degrees, integers are those of the twin, results within its tolerance,
 * and all algorithms and degrees give the same.
 */
#include "gpu/backend.h"
#include "gpu/host_layer.h"
#include "tests/unit/layer_help.h"

#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CASES 60
#define EXACT 1e-12	/* double, whatever the order of the sums */

/* Runs it twice (a step must not depend on the one before). */
static struct host_layer *run(const struct layer_case *c,
			      struct layer_check *check)
{
	struct host_layer *l;
	double forward_s[2], step_s[2];

	assert_int_equal(host_layer_prepare(c, &l), ST_OK);
	program_check(&l->program);
	assert_int_equal(host_layer_run(l, 2, forward_s, step_s), ST_OK);
	assert_true(forward_s[1] > 0 && step_s[1] >= forward_s[1]);
	assert_int_equal(host_layer_check(l, check), ST_OK);
	return l;
}

static void assert_near(const struct host_layer *a, const struct host_layer *b)
{
	enum layer_tensor t;
	size_t i;
	int r;

	for (r = 0; r < a->n_ranks; r++) {
		for (t = LAYER_Y; t < LAYER_TENSOR_N; t++) {
			for (i = 0; i < host_layer_size(a, t); i++) {
				double x = a->rank[r].t[t][i];
				double y = b->rank[r].t[t][i];

				assert_true(fabs(x - y) <= EXACT *
					    (1 + fabs(x)));
			}
		}
	}
}

static void check_algorithms(struct layer_case *c)
{
	struct host_layer *first = NULL, *l;
	struct layer_check check;
	int alg;

	for (alg = 0; alg < A2A_N; alg++) {
		c->plan.alltoall = (enum a2a_alg)alg;
		l = run(c, &check);
		assert_int_equal(check.wrong_integers, 0);
		assert_true(check.correct);
		assert_true(check.error_y < EXACT && check.error_dx < EXACT &&
			    check.error_dwg < EXACT &&
			    check.error_dw1 < EXACT &&
			    check.error_dw2 < EXACT);
		if (first)
			assert_near(first, l);
		else
			first = l;
		if (first != l)
			host_layer_release(l);
	}
	host_layer_release(first);
}

static void test_random(void **state)
{
	uint64_t random = 4711;
	int i;

	(void)state;
	for (i = 0; i < CASES; i++) {
		struct layer_case c = help_case(&random);

		c.gated = i % 2;
		c.shared_ffn = i % 3 ? 0 : 4;
		check_algorithms(&c);
		free(c.count);
	}
}

static struct layer_case middle(void)
{
	struct layer_case c = { .dtype = DT_FP32, .tokens = 24, .hidden = 16,
				.ffn = 8, .experts = 8, .k = 3, .nodes = 2,
				.gpus_per_node = 2, .seed = 11,
				.gated = true };

	c.plan.layout = (struct layout){ 4, 1, 1, 1, 1 };
	c.plan.technique_mask = 1;
	return c;
}

/* What is dropped, and all results, are the same for every pair. */
static void check_degrees(struct layer_case *c)
{
	static const int degree[] = { 1, 2, 3, 5, 8 };
	struct host_layer *first = NULL, *l;
	struct layer_check check;
	size_t f, b;

	for (f = 0; f < 5; f++) {
		for (b = 0; b < 5; b++) {
			c->plan.degree_forward = degree[f];
			c->plan.degree_backward = degree[b];
			l = run(c, &check);
			assert_true(check.correct);
			if (!first)
				first = l;
			assert_near(first, l);
			if (first != l)
				host_layer_release(l);
		}
	}
	host_layer_release(first);
}

static void test_degrees(void **state)
{
	struct layer_case c = middle();

	(void)state;
	check_degrees(&c);
	c.capacity = 7;		/* even routing would need 9 */
	c.plan.capacity_factor = 0.75;
	check_degrees(&c);
	c.experts = 2;		/* each has two homes */
	c.k = 2;
	check_degrees(&c);
	c.plan.alltoall = A2A_DEDUP;
	check_degrees(&c);
}

/* A movable op of the pass at random, all that it needs being laid. */
static int pick(const struct program *p, int pass, const bool *laid,
		uint64_t *random)
{
	int first = pass ? p->n_forward : 0, n = 0, ready[256], i, j, d;
	int end = pass ? p->n_ops : p->n_forward;

	for (i = first; i < end; i++) {
		const struct op *o = &p->op[i];
		bool is_ready = !laid[i] && order_kind(o) >= 0;

		for (d = 0; d < o->n_deps; d++)
			is_ready = is_ready && laid[o->dep[d]];
		j = program_forwarded_step(p, i);
		is_ready = is_ready && (j < 0 || laid[j]);
		for (j = first; j < i; j++) {	/* chunks in order */
			const struct op *b = &p->op[j];
			bool is_data = o->kind == OP_EXPERT_BWD_WEIGHT &&
				       b->kind == OP_EXPERT_BWD_DATA &&
				       b->chunk == o->chunk;

			if (order_kind(b) == order_kind(o) || is_data)
				is_ready = is_ready && laid[j];
		}
		if (is_ready)
			ready[n++] = i;
	}
	return n ? ready[help_random(random, n)] : -1;
}

/* Any order of both passes. */
/* Sums of dense gradients, 37 numbers in 5 pieces, in one case over replicas
 * two ranks apart; the layer's own results stay what they are. */
static void test_dense_gradients(void **state)
{
	struct layer_case c = middle();
	struct host_layer *plain, *l;
	struct layer_check check;
	int tp, i;

	(void)state;
	c.plan.degree_forward = c.plan.degree_backward = 2;
	plain = run(&c, &check);
	c.plan.gradient_bytes = 37 * sizeof(float) - 1;
	c.plan.gradient_pieces = 5;
	for (tp = 1; tp <= 2; tp++) {
		c.plan.layout.tp = tp;
		l = run(&c, &check);
		assert_true(check.correct && !check.wrong_integers);
		assert_near(plain, l);
		assert_int_equal(l->program.n_ops, plain->program.n_ops + 5);
		for (i = 0; i < 37; i++)
			assert_true(fabs(l->rank[1].dense_sum[i]) < 4);
		/* the check sees the last element of a piece */
		l->rank[3].dense_sum[36] += 1;
		assert_int_equal(host_layer_check(l, &check), ST_OK);
		assert_true(check.wrong_integers == 1 && !check.correct);
		host_layer_release(l);
	}
	host_layer_release(plain);
}

static void random_order(struct layer_case *c, uint64_t *random)
{
	struct program p;
	int pass, i, n, at, sequence[256];
	bool laid[256] = { false };

	memset(c->plan.order, 0, sizeof(c->plan.order));
	assert_int_equal(layer_program(c, &p), ST_OK);
	assert_true(p.n_ops <= 256);
	for (pass = 0; pass < 2; pass++) {
		n = pass ? p.n_ops - p.n_forward : p.n_forward;
		for (i = 0; i < n; i++) {
			at = i + (pass ? p.n_forward : 0);
			if (order_kind(&p.op[at]) >= 0)
				at = pick(&p, pass, laid, random);
			laid[at] = true;
			sequence[i] = at;
		}
		assert_true(order_from_sequence(&p, pass, sequence,
						&c->plan.order[pass]));
	}
	program_release(&p);
}

/* What is computed does not depend on the order of the ops. */
static void test_orders(void **state)
{
	uint64_t random = 815;
	int i;

	(void)state;
	for (i = 0; i < CASES; i++) {
		struct layer_case c = help_case(&random);
		struct host_layer *plain, *ordered;
		struct layer_check check;

		c.gated = i % 2;
		c.shared_ffn = i % 3 ? 0 : 4;
		c.plan.alltoall = (enum a2a_alg)(i % A2A_N);
		plain = run(&c, &check);
		c.plan.overlap = OVERLAP_WEIGHT;
		c.plan.technique_mask = 1u << TECH_ORDER;
		if (i % 4)
			random_order(&c, &random);
		else
			c.plan.order[0].rule = c.plan.order[1].rule =
				(unsigned char)(1 + i / 4 % 2);
		ordered = run(&c, &check);
		assert_true(check.correct && !check.wrong_integers);
		assert_near(plain, ordered);
		host_layer_release(plain);
		host_layer_release(ordered);
		free(c.count);
	}
}

static void test_bf16(void **state)
{
	struct layer_case c = middle();
	struct layer_check check;
	int alg;

	(void)state;
	c.dtype = DT_BF16;
	c.shared_ffn = 8;
	c.hidden = 64;
	c.ffn = 48;
	c.plan.degree_forward = 2;
	c.plan.degree_backward = 3;
	for (alg = 0; alg < A2A_N; alg++) {
		c.plan.alltoall = (enum a2a_alg)alg;
		host_layer_release(run(&c, &check));
		assert_true(check.correct);
		/* it does round */
		assert_true(check.error_y > 1e-4 && check.error_dw1 > 1e-4);
	}
}

static void test_planted(void **state)
{
	struct layer_case c = middle();
	struct layer_check check;

	(void)state;
	c.plan.degree_forward = c.plan.degree_backward = 1;
	c.plant_fault = true;
	host_layer_release(run(&c, &check));
	assert_false(check.correct);
}

/* By the backend's hooks, a benchmark before and after it. */
static void test_hooks(void **state)
{
	const struct backend_ops *ops = &backend_host;
	struct backend_options options = { .ranks = 2 };
	struct layer_case c = middle();
	struct layer_check check;
	struct backend *b;
	double forward_s[3], step_s[3];

	(void)state;
	c.plan.degree_forward = c.plan.degree_backward = 2;
	assert_int_equal(ops->open(&options, &b), ST_OK);
	assert_int_equal(ops->layer_prepare(b, &c), ST_OK);
	assert_int_equal(ops->layer_run(b, 3, forward_s, step_s), ST_OK);
	assert_int_equal(ops->layer_check(b, &check), ST_OK);
	assert_true(check.correct && check.compared > 100);
	ops->layer_release(b);
	c.k = 9;
	assert_int_equal(ops->layer_prepare(b, &c), ST_INPUT);
	assert_string_equal(err_msg(), "field 'k': 9 is above 'experts', 8");
	ops->close(b);
}

static void test_too_large(void **state)
{
	struct layer_case c = middle();
	struct host_layer *l;

	(void)state;
	c.plan.degree_forward = c.plan.degree_backward = 1;
	c.hidden = LAYER_HIDDEN_MAX;
	c.ffn = LAYER_FFN_MAX;
	assert_int_equal(host_layer_prepare(&c, &l), ST_INPUT);
	assert_non_null(strstr(err_msg(), "MB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_degrees),
		cmocka_unit_test(test_dense_gradients),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_bf16),
		cmocka_unit_test(test_planted),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
