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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uneven),
		cmocka_unit_test(test_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
