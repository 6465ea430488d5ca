/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Jitter: the largest of N normals against numerical integration, the mean
 * and spread of runs against closed forms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/units.h"
#include "sim/jitter.h"
#include "tests/unit/scenario_help.h"

#include <math.h>

#define RUNS 4000

static double density(double z)
{
	return exp(-z * z / 2) / sqrt(2 * M_PI);
}

/*
 * Mean of exp(s z - s^2 / 2) over the largest z of n: the integral of that
 * times n phi(z) Phi(z)^(n - 1), by the midpoint rule from -10 to 10.
 */
static double mean_factor(double s, int n)
{
	const int steps = 200000;
	double sum = 0, h = 20.0 / steps;

	for (int i = 0; i < steps; i++) {
		double z = -10 + (i + 0.5) * h;
		double below = erfc(-z / sqrt(2)) / 2;

		sum += exp(s * z - s * s / 2) * n * density(z) *
		       pow(below, n - 1) * h;
	}
	return sum;
}

static void test_largest(void **state)
{
	/* means of the largest of n standard normals (tables of order
	 * statistics) */
	static const struct {
		int n;
		double mean;
	} row[] = { { 1, 0 }, { 2, 0.5641895835 }, { 3, 0.8462843753 },
		    { 10, 1.5387527308 }, { 100, 2.5075936364 } };
	const int steps = 400000;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		double sum = 0;

		for (int j = 0; j < steps; j++)
			sum += jitter_largest((j + 0.5) / steps, row[i].n);
		assert_true(fabs(sum / steps - row[i].mean) < 2e-5);
	}
	/* medians: Phi(z)^n = 1/2 */
	assert_true(fabs(jitter_largest(0.5, 1)) < 1e-12);
	for (int n = 1; n <= 100000000; n *= 10) {
		double z = jitter_largest(0.5, n);

		assert_true(fabs(n * log1p(-erfc(z / sqrt(2)) / 2) + log(2)) <
			    1e-7);
	}
}

static const char *const one_gpu =
	"cluster: {nodes: 1, gpus_per_node: 1}\n" HELP_MODEL
	"layout: {ep: 1}\nrouting: {kind: uniform}\n";
static const char *const eight_gpus = HELP_SCENARIO
	"layout: {ep: 8}\nrouting: {kind: uniform}\n";

struct setup {
	struct scenario s;
	struct evaluation e;
};

static void setup(struct setup *x, const char *text, int ep)
{
	const struct plan p = { .layout = { .ep = ep, .esp = 1, .tp = 1,
					    .dp = 1, .pp = 1 },
				.degree_forward = 1, .degree_backward = 1 };
	char msg[256];

	if (help_load(&x->s, text, NULL, msg, sizeof(msg)))
		fail_msg("%s", msg);
	if (evaluate_plan(&x->s, &p, EXEC_FLOW, NULL, &x->e))
		fail_msg("%s", err_msg());
}

static void release(struct setup *x)
{
	evaluation_release(&x->e);
	scenario_release(&x->s);
}

/* Sums of the program's nominal op times: [0] compute, [1] communication;
 * squares[] of their squares. Nothing overlaps. */
static void sums(const struct setup *x, double *sum, double *squares)
{
	sum[0] = sum[1] = squares[0] = squares[1] = 0;
	for (int i = 0; i < x->e.program.n_ops; i++) {
		const struct op *op = &x->e.program.op[i];
		double t = cost_op(x->e.cost, op);

		sum[op_kind_is_comm(op->kind)] += t;
		squares[op_kind_is_comm(op->kind)] += t * t;
	}
}

static struct jitter_stats run(struct setup *x, double compute, double comm,
			       int n, double *t)
{
	struct fault_spec f = { .compute_jitter = compute,
				.comm_jitter = comm, .repeats = n,
				.seed = 7 };

	assert_int_equal(jitter_run(&f, &x->e, EXEC_FLOW, 0, 1, n, t), ST_OK);
	return jitter_sum_up(t, n);
}

static void test_none(void **state)
{
	struct setup x;
	struct jitter_stats s;
	double t[10];

	(void)state;
	setup(&x, eight_gpus, 8);
	s = run(&x, 0, 0, 10, t);
	assert_true(s.min_s == s_from_ps(x.e.exec.time_ps));
	assert_true(s.max_s == s.min_s && s.mean_s == s.min_s);
	release(&x);
}

/* One rank: the mean is the nominal time, the variance the sum of the ops'
 * t^2 (e^(s^2) - 1). Within 4 standard errors of RUNS runs. */
static void test_one_rank(void **state)
{
	static double t[RUNS];
	double sum[2], squares[2], var, s2 = 0.2 * 0.2, measured = 0;
	struct jitter_stats s;
	struct setup x;

	(void)state;
	setup(&x, one_gpu, 1);
	sums(&x, sum, squares);
	assert_true(sum[1] == 0 && sum[0] > 0);
	s = run(&x, 0.2, 0, RUNS, t);
	var = squares[0] * expm1(s2);
	assert_true(fabs(s.mean_s - sum[0]) < 4 * sqrt(var / RUNS));
	for (int i = 0; i < RUNS; i++)
		measured += (t[i] - s.mean_s) * (t[i] - s.mean_s) / RUNS;
	assert_true(fabs(measured / var - 1) < 0.15);
	assert_true(s.min_s < s.p50_s && s.p50_s < s.p95_s &&
		    s.p95_s < s.p99_s && s.p99_s <= s.max_s);
	release(&x);
}

/* Eight ranks: compute ops end with the slowest of eight, exchanges are one
 * event. */
static void test_ranks(void **state)
{
	static double t[RUNS];
	double sum[2], squares[2], want;
	struct jitter_stats s;
	struct setup x;

	(void)state;
	setup(&x, eight_gpus, 8);
	sums(&x, sum, squares);
	assert_true(sum[1] > 0);
	s = run(&x, 0.1, 0, RUNS, t);
	want = mean_factor(0.1, 8);
	assert_true(want > 1.1 && want < 1.2);
	/* a factor's standard deviation is below 0.1 */
	assert_true(fabs(s.mean_s - sum[0] * want - sum[1]) <
		    4 * 0.1 * sqrt(squares[0] / RUNS));
	s = run(&x, 0, 0.1, RUNS, t);
	assert_true(fabs(s.mean_s - sum[0] - sum[1]) <
		    4 * 0.101 * sqrt(squares[1] / RUNS));
	release(&x);
}

/* Whoever takes a run, it is the same; another seed is another run. */
static void test_split(void **state)
{
	struct fault_spec f = { .compute_jitter = 0.1, .comm_jitter = 0.2,
				.seed = 3 };
	double a[20] = { 0 }, b[20] = { 0 };
	struct setup x;

	(void)state;
	setup(&x, eight_gpus, 8);
	jitter_run(&f, &x.e, EXEC_FLOW, 0, 1, 20, a);
	for (int i = 0; i < 3; i++)
		jitter_run(&f, &x.e, EXEC_FLOW, 2 - i, 3, 20, b);
	assert_memory_equal(a, b, sizeof(a));
	f.seed = 4;
	jitter_run(&f, &x.e, EXEC_FLOW, 0, 1, 20, b);
	for (int i = 0; i < 20; i++)
		assert_true(a[i] != b[i] && (!i || a[i] != a[i - 1]));
	/* the program is as it was */
	for (int i = 0; i < x.e.program.n_ops; i++)
		assert_true(x.e.program.op[i].slow == 0);
	release(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_one_rank),
		cmocka_unit_test(test_ranks),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
