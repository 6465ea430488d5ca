/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Products of a layer from a measured table (sim/cost_kernel.h). */
#include "sim/cost_kernel.h"

#include "scenarios/measured.h"
#include "sim/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-9 * fabs(want)))
		fail_msg("%.12g is not %.12g", got, want);
}

static const struct gpu gpu = {
	.flops = { [DT_BF16] = 1e15, [DT_FP16] = 1e15 }, .hbm_Bps = 1e12,
	.sms = 100, .gemm_efficiency = 1, .hbm_efficiency = 1, .tile_m = 128,
	.tile_n = 128, .kernel_s = 1e-6,
};

/* n = 256 columns in all, k = 64: m rows take 10 us + m * 0.1 us. */
static void make_table(struct product_table *t)
{
	const struct product_point p[] = {
		{ 10, 64, 64, 4, 11e-6 }, { 110, 64, 64, 4, 21e-6 },
		{ 1010, 64, 64, 4, 111e-6 },
	};

	assert_int_equal(product_table_init(t, DT_BF16, "", p, 3), ST_OK);
}

/*
 * Four products of 20, 40, 60 and 80 rows take a quarter each of 12, 14, 16
 * and 18 us. Two of 128 columns and two empty ones: a half each of 12 and 14.
 */
static void test_uneven(void **state)
{
	const double rows[] = { 20, 40, 60, 80 }, two[] = { 0, 20, 40, 0 };
	struct measured_use use = { 0 };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t, .use = &use };
	struct gemm_group g = { .n_products = 4, .repeat = 1, .rows = rows,
				.row_scale = 1, .n = 64, .k = 64 };
	struct gpu slow = gpu;
	struct work w = { 0 };

	(void)state;
	make_table(&t);
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 15e-6);
	/* bf16: (200*64 + 4*64*64 + 200*64) * 2 bytes, as without a table */
	near(w.bytes, 83968);
	g.rows = two;
	g.n = 128;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 13e-6);
	g.row_scale = 0.5;	/* 10 and 20 rows: 11 and 12 us */
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 11.5e-6);
	/* operands are read from memory: 1 us + (30*64 + 2*64*128 + 30*128) *
	 * 2 bytes / 1e9 = 45.288 us is more than 11.5 */
	slow.hbm_Bps = 1e9;
	w = (struct work){ 0 };
	work_add_gemms(&w, &slow, &m, DT_BF16, &g);
	near(w.seconds, 1e-6 + w.bytes / 1e9);
	near(w.bytes, (30 * 64 + 2 * 64 * 128 + 30 * 128) * 2);
	assert_int_equal(use.inside, 4);
	assert_int_equal(use.outside, 0);
	product_table_release(&t);
}

/* One product past the range: the roofline for all of the kernel. */
static void test_outside(void **state)
{
	const double rows[] = { 20, 2000 };
	struct measured_use use = { 0 };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t, .use = &use };
	const struct gemm_group g = { .n_products = 2, .repeat = 1,
				      .rows = rows, .row_scale = 1, .n = 128,
				      .k = 64 };
	struct work w = { 0 }, roofline = { 0 };

	(void)state;
	make_table(&t);
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	work_add_gemms(&roofline, &gpu, NULL, DT_BF16, &g);
	near(w.seconds, roofline.seconds);
	assert_int_equal(use.outside, 1);
	near(use.worst.m, 2000);
	near(use.worst.batch, 2);
	near(use.worst_s, roofline.seconds);
	near(w.outside_s, w.seconds);
	near(roofline.outside_s, 0);
	/* another type was not measured: the roofline, but no warning */
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_FP16, &g);
	near(w.seconds, roofline.seconds);
	assert_int_equal(use.outside, 1);
	/* nobody asks for the use */
	m.use = NULL;
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 2 * roofline.seconds);
	product_table_release(&t);
}

/*
 * 100 rows x 64 x 64, four of them: 3.2768e6 FLOP in 20 us, read from 1e12
 * B/s. What holds is 0.1 TFLOP/s (geometric mean of 0.05 and 0.2): 32.768 us,
 * so 12.768 us more; with half of the rows empty 16.384 us, so none. No way of
 * making a product is that fast, and none is asked for there.
 */
static void test_sustained(void **state)
{
	const double rows[] = { 100, 100, 100, 100 };
	const struct product_point slow[] = {
		{ 100, 64, 64, 4, 65.536e-6 }, { 100, 64, 64, 4, 16.384e-6 },
	};
	struct product_table t[2];
	struct measured m = { .n_tables = 2, .table = t };
	struct gemm_group g = { .n_products = 4, .repeat = 1, .rows = rows,
				.row_scale = 1, .n = 64, .k = 64 };
	struct work w = { 0 };
	bool outside;

	(void)state;
	make_table(&t[1]);
	assert_int_equal(product_table_init(&t[0], DT_BF16,
					    MEASURED_SUSTAINED, slow, 2),
			 ST_OK);
	near(measured_sustained_flops(&m, DT_BF16), 1e11);
	assert_true(isinf(measured_sustained_flops(&m, DT_FP16)));
	assert_true(isinf(measured_sustained_flops(NULL, DT_BF16)));
	near(measured_product_seconds(&m, DT_BF16, 100, 64, 64, 4, &outside),
	     20e-6);
	assert_false(outside);
	/* past the range: 0.1 us a row from 1010 on, never the slow table */
	near(measured_product_seconds(&m, DT_BF16, 2020, 64, 64, 4, &outside),
	     222e-6);
	assert_true(outside);
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 20e-6);
	near(w.held_s, 12.768e-6);
	g.empty = 0.5;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 20e-6);
	assert_true(w.held_s == 0);
	/* nothing but what holds: no products */
	m.n_tables = 1;
	assert_false(measured_has_products(&m, DT_BF16));
	product_table_release(&t[0]);
	product_table_release(&t[1]);
}

/*
 * The same product with half of its rows empty holds 28 us, not 32.768, so one
 * of zeros saves 2 (1 - 28 / 32.768) of them. For a moment it takes 20 us. A
 * third shape was measured with half only, and says nothing. Where half takes
 * 18 us the 20 had the limit in them, and more zeros save no more.
 */
static void test_half_empty(void **state)
{
	const double rows[] = { 100, 100, 100, 100 };
	const struct product_point full[] = { { 100, 64, 64, 4, 32.768e-6 } };
	struct product_point half[] = {
		{ 100, 64, 64, 4, 28e-6 }, { 200, 64, 64, 4, 30e-6 },
	};
	struct product_table t[3];
	struct measured m = { .n_tables = 3, .table = t };
	struct gemm_group g = { .n_products = 4, .repeat = 1, .rows = rows,
				.row_scale = 1, .n = 64, .k = 64,
				.empty = 0.5 };
	struct work w = { 0 };

	(void)state;
	make_table(&t[0]);
	assert_int_equal(product_table_init(&t[1], DT_BF16, MEASURED_SUSTAINED,
					    full, 1), ST_OK);
	assert_int_equal(product_table_init(&t[2], DT_BF16,
					    MEASURED_HALF_EMPTY, half, 2),
			 ST_OK);
	near(measured_empty_saves(&m, DT_BF16), 2 * (1 - 28 / 32.768));
	near(measured_empty_saves(&m, DT_FP16), 1);
	near(measured_empty_saves(NULL, DT_BF16), 1);
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 20e-6);
	near(w.held_s, 8e-6);
	near(w.limited_s, 28e-6);
	product_table_release(&t[2]);
	half[0].seconds = 18e-6;
	assert_int_equal(product_table_init(&t[2], DT_BF16,
					    MEASURED_HALF_EMPTY, half, 2),
			 ST_OK);
	g.empty = 1;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 18e-6);
	assert_true(w.held_s == 0);
	product_table_release(&t[0]);
	product_table_release(&t[1]);
	product_table_release(&t[2]);
}

/* (2*64 + 64*32 + 2*32) * 2 bytes; added to: 2*32 more elements are read. */
static void test_added(void **state)
{
	const double rows[] = { 2 };
	struct gemm_group g = { .n_products = 1, .repeat = 1, .rows = rows,
				.row_scale = 1, .n = 32, .k = 64 };
	struct work w = { 0 };

	(void)state;
	work_add_gemms(&w, &gpu, NULL, DT_BF16, &g);
	near(w.bytes, 4480);
	g.adds = true;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, NULL, DT_BF16, &g);
	near(w.bytes, 4608);
}

/*
 * Tiles of 128 rows: 200 rows are computed as 256, 35.6 us; as the depth of a
 * weight's gradient they are 200.
 */
static void test_tiles(void **state)
{
	const double rows[] = { 200, 200, 200, 200 };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };
	struct gemm_group g = { .n_products = 4, .repeat = 1, .rows = rows,
				.row_scale = 1, .n = 64, .k = 64 };
	struct work w = { 0 };

	(void)state;
	make_table(&t);
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 35.6e-6);
	product_table_release(&t);
}

/*
 * Four products of 110 x 64 that add take 28.16 us instead of 21: 7.16 us
 * more for 28,160 outputs; others of 20 x 64 that add 5,120 outputs take 12 us
 * and 5,120 times that. A host that launches one kernel in 4 us has four of
 * them done in 16 us.
 */
static void test_adding(void **state)
{
	const double rows[] = { 20, 20, 20, 20 };
	const struct product_point slow[] = { { 110, 64, 64, 4, 28.16e-6 } };
	struct measured_curve launch = { .op = MEASURED_LAUNCH,
		.tier = "memory", .ranks = 1,
		.curve = curve_make(0, 4e-6, 0, CURVE_MEASURED) };
	struct product_table t[2];
	struct measured m = { .n_tables = 2, .table = t };
	struct gemm_group g = { .n_products = 4, .repeat = 1, .rows = rows,
				.row_scale = 1, .n = 64, .k = 64 };
	struct work w = { 0 };

	(void)state;
	make_table(&t[1]);
	assert_int_equal(product_table_init(&t[0], DT_BF16, MEASURED_ADDING,
					    slow, 1), ST_OK);
	near(measured_adding_seconds(&m, DT_BF16), 7.16e-6 / 28160);
	near(measured_adding_seconds(&m, DT_FP16), 0);
	near(measured_adding_seconds(NULL, DT_BF16), 0);
	g.adding_s = measured_adding_seconds(&m, DT_BF16);
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 12e-6 + 5120 * 7.16e-6 / 28160);
	/* where they were measured: as one call, in their own time */
	g.n_products = 1;
	g.repeat = 4;
	g.row_scale = 5.5;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 28.16e-6);
	g.n_products = 4;
	g.repeat = g.row_scale = 1;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 12e-6 + 5120 * 7.16e-6 / 28160);
	g.adding_s = 0;
	g.packed = true;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 12e-6);
	m.curve = &launch;
	m.n_curves = 1;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 16e-6);
	product_table_release(&t[0]);
	product_table_release(&t[1]);
}

/*
 * With a kernel for each product the way that has one counts, 30 us at 20 rows
 * and not 12; what it does not reach, 60 rows, is any way's: 16 us.
 */
static void test_each(void **state)
{
	const double rows[] = { 20, 20, 20, 20 };
	const struct product_point each[] = {
		{ 10, 64, 64, 4, 25e-6 }, { 30, 64, 64, 4, 35e-6 },
	};
	struct product_table t[2];
	struct measured m = { .n_tables = 2, .table = t };
	struct gemm_group g = { .n_products = 4, .repeat = 1, .rows = rows,
				.row_scale = 1, .n = 64, .k = 64 };
	struct work w = { 0 };

	(void)state;
	make_table(&t[0]);
	assert_int_equal(product_table_init(&t[1], DT_BF16, "per-expert", each,
					    2), ST_OK);
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 12e-6);
	g.packed = true;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 30e-6);
	g.row_scale = 3;
	w = (struct work){ 0 };
	work_add_gemms(&w, &gpu, &m, DT_BF16, &g);
	near(w.seconds, 16e-6);
	product_table_release(&t[0]);
	product_table_release(&t[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uneven),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_sustained),
		cmocka_unit_test(test_half_empty),
		cmocka_unit_test(test_added),
		cmocka_unit_test(test_tiles),
		cmocka_unit_test(test_adding),
		cmocka_unit_test(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
