/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Products with a call each: a host queues them, a GPU waits for it
 * (sim/cost_kernel.h). Four in a group, each alone 1 us at 10 rows, 11 us at
 * 60, 21 us at 110; a call takes 3 us. Times are with a host that begins with
 * them, but where it says so.
 */
#include "sim/cost_kernel.h"

#include "scenarios/measured.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define N 4
#define US 1e-6

static void near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-9 * fabs(want)))
		fail_msg("%.12g is not %.12g", got, want);
}

static const struct gpu gpu = {
	.flops = { [DT_BF16] = 1e15 }, .hbm_Bps = 1e12, .sms = 100,
	.gemm_efficiency = 1, .hbm_efficiency = 1, .tile_m = 128,
	.tile_n = 128, .kernel_s = 1e-7,
};

struct fixture {
	struct product_table table[2];
	struct measured_curve curve[2];
};

/* `times` as long as above; all four together. */
static void make_table(struct product_table *t, const char *variant,
		       double times)
{
	const struct product_point p[] = {
		{ 10, 64, 64, N, 4 * US * times },
		{ 60, 64, 64, N, 44 * US * times },
		{ 110, 64, 64, N, 84 * US * times },
	};

	assert_int_equal(product_table_init(t, DT_BF16, variant, p, 3), ST_OK);
}

static struct measured_curve curve_of(double each_s)
{
	return (struct measured_curve){
		.tier = "memory", .ranks = 1,
		.curve = curve_make(0, each_s, 0, CURVE_MEASURED)
	};
}

static struct fixture make(double call_s, double launch_s)
{
	struct fixture f = { 0 };

	make_table(&f.table[0], "per-expert", 1);
	f.curve[0] = curve_of(call_s);
	f.curve[1] = curve_of(launch_s);
	snprintf(f.curve[0].op, sizeof(f.curve[0].op), MEASURED_CALL);
	snprintf(f.curve[1].op, sizeof(f.curve[1].op), MEASURED_LAUNCH);
	return f;
}

static void release(struct fixture *f)
{
	product_table_release(&f->table[0]);
	product_table_release(&f->table[1]);
}

static double seconds(struct fixture *f, int curves,
		      const struct gemm_group *g)
{
	struct measured m = { .n_tables = *f->table[1].variant ? 2 : 1,
			      .table = f->table, .n_curves = curves,
			      .curve = f->curve };
	struct work w = { 0 };

	work_add_gemms(&w, &gpu, &m, DT_BF16, g);
	near(w.outside_s, 0);
	return w.seconds + w.late_s;
}

static struct gemm_group group_of(const double *rows)
{
	return (struct gemm_group){ .n_products = N, .repeat = 1,
				    .rows = rows, .row_scale = 1, .n = 64,
				    .k = 64, .packed = true };
}

/*
 * All small: the last is queued after 12 us and takes 1. All large: the first
 * is queued after 3 us, then 84. A large one first, over after 24 us, leaves
 * all others queued: 27; last it begins after 12. In the second place it
 * begins after 6 us and is over after 17, others after 18 and 19.
 */
static void test_pipeline(void **state)
{
	static const struct {
		double rows[N], want_us;
	} row[] = {
		{ { 10, 10, 10, 10 }, 13 },
		{ { 110, 110, 110, 110 }, 87 },
		{ { 110, 10, 10, 10 }, 27 },
		{ { 10, 10, 10, 110 }, 33 },
		{ { 10, 60, 10, 10 }, 19 },
	};
	struct fixture f = make(3 * US, US);
	struct gemm_group g;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		g = group_of(row[i].rows);
		near(seconds(&f, 2, &g), row[i].want_us * US);
	}
	/* one call for all of them */
	g = group_of(row[2].rows);
	g.packed = false;
	near(seconds(&f, 2, &g), 24 * US);
	release(&f);
}

/*
 * One product after the other: four small ones, over after 13 us, have the host
 * until 12, so that four large ones begin at 15 and end at 99. A kernel of 0.1
 * us + 1 MB behind them: 1.1 us later. The GPU alone: 4 + 84 + 1.1.
 */
static void test_in_turn(void **state)
{
	static const double small[N] = { 10, 10, 10, 10 };
	static const double large[N] = { 110, 110, 110, 110 };
	struct fixture f = make(3 * US, US);
	struct measured m = { .n_tables = 1, .table = f.table, .n_curves = 2,
			      .curve = f.curve };
	struct gemm_group g = group_of(small);
	struct work w = { 0 };

	(void)state;
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 4 * US);
	near(w.late_s, 9 * US);
	near(w.host_s, 12 * US);
	g = group_of(large);
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds + w.late_s, 99 * US);
	near(w.host_s, 24 * US);
	work_add_stream(&w, &gpu, 1e6);
	near(w.seconds, 89.1 * US);
	near(w.seconds + w.late_s, 100.1 * US);
	/* half the GPU: 178.2, and the host is in time sooner */
	work_slow(&w, 0.5);
	near(w.seconds, 178.2 * US);
	assert_true(w.late_s == 0);
	/* without calls nothing is late, whatever the GPU's speed */
	w = (struct work){ 0 };
	work_add_stream(&w, &gpu, 1e6);
	work_slow(&w, 2);
	near(w.seconds, 0.55 * US);
	assert_true(w.late_s == 0 && w.host_s == 0);
	release(&f);
}

/*
 * Calls take at least what launches do: 5 us each, 20 + 1; where calls were not
 * measured, the longer of 20 and 4 us; where launches were not either, 4.
 */
static void test_without(void **state)
{
	static const double small[N] = { 10, 10, 10, 10 };
	struct gemm_group g = group_of(small);
	struct fixture f = make(3 * US, 5 * US);

	(void)state;
	near(seconds(&f, 2, &g), 21 * US);
	near(seconds(&f, 1, &g), 13 * US);
	near(seconds(&f, 0, &g), 4 * US);
	f.curve[0] = f.curve[1];
	near(seconds(&f, 1, &g), 20 * US);
	near(measured_call_seconds(NULL, 4), 0);
	assert_string_equal(measured_own_name("launch", "product"),
			    MEASURED_CALL);
	assert_true(measured_op_known(MEASURED_CALL));
	release(&f);
}

/*
 * Two of 60 rows and two of 10, each twice in the group: over after 3 + 11,
 * 25, 26, 27 us; the other way round 4, 7, 9 + 11, 31.
 */
static void test_repeat(void **state)
{
	static const double rows[] = { 60, 10, 60 };
	struct fixture f = make(3 * US, US);
	struct gemm_group g = group_of(rows);

	(void)state;
	g.n_products = 2;
	g.repeat = 2;
	near(seconds(&f, 2, &g), 27 * US);
	g.rows = rows + 1;
	near(seconds(&f, 2, &g), 31 * US);
	g.n_products = 1;
	g.repeat = 4;
	near(seconds(&f, 2, &g), 13 * US);
	g.rows = rows;
	near(seconds(&f, 2, &g), 47 * US);
	release(&f);
}

static double at(int digit)
{
	return 10 + 25 * digit;
}

/* By any rows: never less than the sum, the calls or the launches; more rows of
 * one never take less. */
static void test_bounds(void **state)
{
	struct fixture f = make(7 * US, 2 * US);
	double rows[N], now, sum;
	struct gemm_group g = group_of(rows);
	int i, k;

	(void)state;
	for (i = 0; i < 256; i++) {
		for (k = 0, sum = 0; k < N; k++) {
			rows[k] = at(i >> (2 * k) & 3);
			sum += (1 + (rows[k] - 10) / 5) * US;
		}
		now = seconds(&f, 2, &g);
		assert_true(now >= sum * (1 - 1e-12));
		assert_true(now >= N * 7 * US);
		assert_true(now <= sum + N * 7 * US * (1 + 1e-12));
		for (k = 0; k < N; k++) {
			rows[k] += 5;
			assert_true(seconds(&f, 2, &g) >= now);
			rows[k] -= 5;
		}
	}
	release(&f);
}

/*
 * Products that add take twice as long where that was measured with a call for
 * each: 3 + 168 us, 168 without calls; and never less than those that do not
 * add. Else 1 ns for each of 7,040 outputs: 21 + 7.04 us each.
 */
static void test_adding(void **state)
{
	static const double large[N] = { 110, 110, 110, 110 };
	struct gemm_group g = group_of(large);
	struct fixture f = make(3 * US, US);

	(void)state;
	g.adds = true;
	g.adding_s = 1e-9;
	near(seconds(&f, 2, &g), (3 + 4 * 28.04) * US);
	near(seconds(&f, 0, &g), 4 * 28.04 * US);
	make_table(&f.table[1], MEASURED_ADDING_EACH, 2);
	near(seconds(&f, 2, &g), 171 * US);
	near(seconds(&f, 0, &g), 168 * US);
	product_table_release(&f.table[1]);
	make_table(&f.table[1], MEASURED_ADDING_EACH, 0.5);
	near(seconds(&f, 2, &g), 87 * US);
	/* no way of making products that do not add */
	g.adding_s = 0;
	near(seconds(&f, 0, &g), 84 * US);
	release(&f);
}

/*
 * Weights' gradients of 60 x 64, of 64 rows each: 3 + 44 us as any product;
 * twice the time where they were measured.
 */
static void test_weights(void **state)
{
	static const double rows[N] = { 64, 64, 64, 64 };
	struct gemm_group g = group_of(rows);
	struct fixture f = make(3 * US, US);
	struct measured m = { .n_tables = 2, .table = f.table };

	(void)state;
	g.m = 60;
	g.rows_are_depth = true;
	near(seconds(&f, 2, &g), 47 * US);
	make_table(&f.table[1], MEASURED_WEIGHTS_EACH, 2);
	near(seconds(&f, 2, &g), 91 * US);
	assert_true(work_each_known(&m, DT_BF16, &g));
	g.n = 65;
	assert_false(work_each_known(&m, DT_BF16, &g));
	release(&f);
}

/* Their number is an axis of its own: eight of half the columns are not four. */
static void test_one_by_one(void **state)
{
	const struct product_point four = { 60, 64, 64, 4, 0 };
	const struct product_point eight = { 60, 32, 64, 8, 0 };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };

	(void)state;
	make_table(&t, MEASURED_ADDING_EACH, 1);
	near(measured_variant_seconds(&m, DT_BF16, MEASURED_ADDING_EACH,
				      &four), 44 * US);
	near(measured_variant_seconds(&m, DT_BF16, MEASURED_ADDING_EACH,
				      &eight), 0);
	near(measured_variant_seconds(&m, DT_BF16, MEASURED_ADDING, &four), 0);
	assert_false(measured_has_products(&m, DT_BF16));
	product_table_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_in_turn),
		cmocka_unit_test(test_without),
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_adding),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
