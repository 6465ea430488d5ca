/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fits of a database, and what a forecast takes of it. */
#include "profiles/fit.h"

#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct store *db;
static int64_t run;

static int set_up(void **state)
{
	(void)state;
	return store_open(STORE_MEMORY, STORE_WRITE, &db);
}

static int tear_down(void **state)
{
	(void)state;
	store_close(db);
	return 0;
}

static void near(double got, double want, double tolerance)
{
	if (!(fabs(got - want) <= tolerance * fabs(want)))
		fail_msg("%.12g is not %.12g within %g", got, want,
			 tolerance);
}

static void new_run(const char *gpu)
{
	struct run_info info = { .backend = "cuda", .source = "test",
				 .date = "2026-11-22T15:04:05Z" };

	snprintf(info.gpu, sizeof(info.gpu), "%s", gpu);
	assert_int_equal(store_run(db, &info, NULL, &run), ST_OK);
}

static struct sample exchange(const char *op, const char *variant, int ranks,
			      int ctas)
{
	struct sample s = { .tier = "nvlink", .dtype = "bf16", .ranks = ranks,
			    .nodes = 1, .ctas = ctas, .count = 20 };

	snprintf(s.op, sizeof(s.op), "%s", op);
	snprintf(s.variant, sizeof(s.variant), "%s", variant);
	return s;
}

/* Sizes 1 KiB .. 256 MiB: a + n * b. */
static void add_line(struct sample s, double a, double b)
{
	for (s.bytes = 1024; s.bytes <= 1 << 28; s.bytes *= 4) {
		s.median_s = a + b * s.bytes;
		assert_int_equal(store_add(db, run, &s, 1), ST_OK);
	}
}

static void add_product(const char *variant, double m, double n, double t)
{
	struct sample s = { .op = "gemm", .tier = "compute", .dtype = "bf16",
			    .ranks = 1, .nodes = 1, .m = m, .n = n, .k = 64,
			    .batch = 2, .median_s = t };

	snprintf(s.variant, sizeof(s.variant), "%s", variant);
	assert_int_equal(store_add(db, run, &s, 1), ST_OK);
}

static void test_fits(void **state)
{
	struct sample s = exchange("alltoall", "even", 2, 0);
	struct fit_row *row;
	size_t n_rows;
	int n = -1;

	(void)state;
	new_run("NVIDIA H200");
	add_line(s, 10e-6, 1 / 300e9);
	add_line(exchange("alltoall", "even", 2, 4), 20e-6, 1 / 100e9);
	s.bytes = 4096;		/* wrong, or beside something: not fitted */
	s.median_s = 1;
	s.wrong = 3;
	assert_int_equal(store_add(db, run, &s, 1), ST_OK);
	s.wrong = 0;
	snprintf(s.beside, sizeof(s.beside), "gemm");
	assert_int_equal(store_add(db, run, &s, 1), ST_OK);
	s = exchange("allreduce", "even", 2, 0);	/* one size only */
	s.bytes = 4096;
	s.median_s = 1;
	assert_int_equal(store_add(db, run, &s, 1), ST_OK);

	assert_int_equal(fit_database(db, &n), ST_OK);
	assert_int_equal(n, 2);
	assert_int_equal(store_fits(db, &row, &n_rows), ST_OK);
	assert_int_equal(n_rows, 2);
	assert_int_equal(row[0].ctas, 0);
	assert_int_equal(row[1].ctas, 4);
	assert_string_equal(row[0].gpu, "NVIDIA H200");
	assert_string_equal(row[0].form, "linear");
	near(row[0].alpha_s, 10e-6, 1e-6);
	near(row[0].beta_s_per_byte, 1 / 300e9, 1e-6);
	near(row[1].alpha_s, 20e-6, 1e-6);
	assert_int_equal(row[0].samples, 10);
	assert_true(row[0].min_bytes == 1024);
	assert_true(row[0].max_bytes == 1 << 28);
	free(row);
}

/* Whole layers are what forecasts are judged by: not one is fitted. */
static void test_layers_stay_out(void **state)
{
	struct sample s = exchange("layer", "step", 2, 0);
	struct measured m;
	int n = -1;

	(void)state;
	new_run("NVIDIA H200");
	add_line(exchange("alltoall", "even", 2, 0), 10e-6, 1 / 300e9);
	assert_int_equal(fit_measured_gpu(db, "NVIDIA H200", &m), ST_OK);
	assert_int_equal(m.n_curves, 1);
	measured_release(&m);
	new_run("NVIDIA H200");
	s.m = s.n = s.k = s.batch = 64;
	add_line(s, 1e-3, 1e-6);
	assert_int_equal(fit_database(db, &n), ST_OK);
	assert_int_equal(n, 1);
	assert_int_equal(fit_measured_gpu(db, "NVIDIA H200", &m), ST_OK);
	assert_int_equal(m.n_curves, 1);
	assert_int_equal(m.n_tables, 0);
	measured_release(&m);
}

static struct measured take(const char *gpu)
{
	struct measured m;

	assert_int_equal(fit_measured_gpu(db, gpu, &m), ST_OK);
	return m;
}

/* Even, without a limit of CTAs, and of the GPU that was asked for. */
static void test_choice(void **state)
{
	const struct measured_curve *c;
	struct measured m;

	(void)state;
	new_run("NVIDIA H100 80GB HBM3");
	add_line(exchange("alltoall", "even", 8, 0), 7e-6, 1 / 200e9);
	add_line(exchange("alltoall", "even", 4, 0), 7e-6, 1 / 200e9);
	new_run("NVIDIA H200");
	add_line(exchange("alltoall", "uneven", 8, 0), 1e-6, 1 / 100e9);
	add_line(exchange("alltoall", "even", 8, 8), 2e-6, 1 / 100e9);
	add_line(exchange("alltoall", "even", 8, 0), 3e-6, 1 / 100e9);

	m = take("h200-sxm");
	assert_string_equal(m.gpu, "NVIDIA H200");
	assert_int_equal(m.n_curves, 2);	/* one with a limit */
	c = measured_find(&m, "alltoall", "nvlink", 8);
	near(c->curve.piece[0].a, 3e-6, 1e-6);
	near(c->smooth.piece[0].a, 3e-6, 1e-6);
	assert_non_null(strstr(m.source, "NVIDIA H200"));
	measured_release(&m);

	m = take("h100-sxm");
	assert_string_equal(m.gpu, "NVIDIA H100 80GB HBM3");
	assert_int_equal(m.n_curves, 2);
	measured_release(&m);

	m = take(NULL);	/* the one with most samples */
	assert_string_equal(m.gpu, "NVIDIA H200");
	measured_release(&m);
	m = take("mi300");
	assert_string_equal(m.gpu, "NVIDIA H200");
	measured_release(&m);
}

static void add_dtype(const char *op, int ctas, const char *dtype, double a)
{
	struct sample s = exchange(op, "even", 2, ctas);

	snprintf(s.dtype, sizeof(s.dtype), "%s", dtype);
	add_line(s, a, 1 / 100e9);
}

/* No limit of CTAs before bf16, and of equals the first in the alphabet. */
static void test_ties(void **state)
{
	struct measured m;

	(void)state;
	new_run("NVIDIA H200");
	add_dtype("allreduce", 8, "bf16", 1e-6);
	add_dtype("allreduce", 0, "fp16", 2e-6);
	add_dtype("allgather", 0, "int8", 3e-6);
	add_dtype("allgather", 0, "fp16", 4e-6);
	m = take(NULL);
	near(measured_find(&m, "allreduce", "nvlink", 2)->curve.piece[0].a,
	     2e-6, 1e-6);
	near(measured_find(&m, "allgather", "nvlink", 2)->curve.piece[0].a,
	     4e-6, 1e-6);
	measured_release(&m);
}

/* Stored fits are used as they are; samples after them make a fresh one. */
static void test_stale(void **state)
{
	struct sample s = exchange("alltoall", "even", 2, 0);
	struct fit_row *row;
	struct measured m;
	size_t n_rows;
	int n;

	(void)state;
	new_run("NVIDIA H200");
	add_line(s, 10e-6, 1 / 300e9);
	assert_int_equal(fit_database(db, &n), ST_OK);
	assert_int_equal(store_fits(db, &row, &n_rows), ST_OK);
	row[0].mape = 0.77;	/* a mark */
	assert_int_equal(store_set_fits(db, row, n_rows), ST_OK);
	free(row);
	m = take(NULL);
	assert_true(m.curve[0].mape == 0.77);
	measured_release(&m);
	add_line(s, 10e-6, 1 / 300e9);
	m = take(NULL);
	assert_true(m.curve[0].mape < 0.01);
	measured_release(&m);
}

/*
 * Of the ways to compute a shape the fastest, each by its median: at 8 rows
 * strided-batched (3, 4, 50 us) beats grouped (9 us). At 20 rows grouped takes
 * 15 us (9 us and 21 us at 8 and 32), but strided-batched 4 us * 20 / 8 = 10 us
 * at its nearest rate: the fastest way was not measured there.
 */
static void test_products(void **state)
{
	struct measured m;
	bool outside;

	(void)state;
	new_run("");	/* no GPU: the backend's name stands for it */
	add_product("grouped", 8, 16, 9e-6);
	add_product("strided-batched", 8, 16, 3e-6);
	add_product("strided-batched", 8, 16, 50e-6);
	add_product("strided-batched", 8, 16, 4e-6);
	add_product("grouped", 32, 16, 21e-6);
	m = take(NULL);
	assert_string_equal(m.gpu, "cuda");
	assert_int_equal(m.n_tables, 2);
	assert_true(measured_has_products(&m, DT_BF16));
	assert_false(measured_has_products(&m, DT_FP16));
	near(measured_product_seconds(&m, DT_BF16, 8, 16, 64, 2, &outside),
	     4e-6, 1e-9);
	assert_false(outside);
	near(measured_product_seconds(&m, DT_BF16, 20, 16, 64, 2, &outside),
	     10e-6, 1e-9);
	assert_true(outside);
	measured_product_seconds(&m, DT_BF16, 64, 16, 64, 2, &outside);
	assert_true(outside);
	measured_release(&m);
}

static void test_empty(void **state)
{
	struct measured m;
	int n = -1;

	(void)state;
	assert_int_equal(fit_database(db, &n), ST_OK);
	assert_int_equal(n, 0);
	assert_int_equal(fit_measured(db, &m), ST_INPUT);
	assert_non_null(strstr(err_msg(), "no samples"));
}

static void test_names(void **state)
{
	(void)state;
	assert_true(fit_gpu_matches("h200-sxm", "NVIDIA H200"));
	assert_true(fit_gpu_matches("a100-80gb", "NVIDIA A100-SXM4-80GB"));
	assert_false(fit_gpu_matches("h200-sxm", "NVIDIA H100 80GB HBM3"));
	assert_false(fit_gpu_matches("", "NVIDIA H200"));
}

#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* Measured over sockets in a quick run: too few to leave one out, and none
 * of the errors may become infinite (the store refuses that). */
static void test_few_sizes(void **state)
{
	static const double n3[] = { 1024, 32768, 1048576 };
	static const double t3[] = { 23.856e-6, 47.2e-6, 198.608e-6 };
	static const double n4[] = { 1024, 32768, 1048576, 33554432 };
	static const double t4[] = { 12.7e-6, 14.9e-6, 66.6e-6, 1263.6e-6 };
	struct fit f;
	int i;

	(void)state;
	assert_int_equal(fit_curve(n3, t3, 3, &f), ST_OK);
	assert_true(isfinite(f.mape) && f.mape > 0.05);
	assert_int_equal(fit_form(FIT_SQRT, n3, t3, 3, &f), ST_OK);
	assert_true(f.mape == 1);
	assert_int_equal(fit_curve(n4, t4, 4, &f), ST_OK);
	assert_true(f.mape > 0.05 && f.mape < 1);
	for (i = 0; i < 4; i++)
		assert_true(fabs(curve_eval(&f.curve, n4[i]) / t4[i] - 1) <
			    1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_fits),
		WITH_STORE(test_layers_stay_out),
		WITH_STORE(test_choice),
		WITH_STORE(test_ties),
		WITH_STORE(test_stale),
		WITH_STORE(test_products),
		WITH_STORE(test_empty),
		cmocka_unit_test(test_few_sizes),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
