/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Statistics by hand, and the measuring loop on a backend of known times. */
#include "gpu/bench.h"
#include "gpu/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-12 * fabs(want)))
		fail_msg("%.17g is not %.17g", got, want);
}

static void test_odd(void **state)
{
	double v[] = { 5, 1, 4, 2, 3 };
	struct stats s = stats_of(v, 5);

	(void)state;
	assert_int_equal(s.n, 5);
	assert_near(s.median, 3);
	assert_near(s.mean, 3);
	assert_near(s.min, 1);
	assert_near(s.max, 5);
	/* ceil(0.95 * 5) = 5th */
	assert_near(s.p95, 5);
	assert_near(s.spread, 1);	/* too few for an interval */
}

static void test_interval(void **state)
{
	double v[100];
	struct stats s;
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		v[i] = 200 - i;	/* 101 .. 200 */
	s = stats_of(v, 100);
	/* middle two: 150, 151; 95th of 101..200: 195; the interval:
	 * 1.96 sqrt(100) / 2 = 9.8, from floor(40.2) = 40th (140) to
	 * ceil(60.8) = 61st (161): half of 21 over 150.5 */
	assert_near(s.median, 150.5);
	assert_near(s.mean, 150.5);
	assert_near(s.p95, 195);
	assert_near(s.spread, 10.5 / 150.5);
}

static void test_outlier(void **state)
{
	double v[50];
	struct stats s;
	int i;

	(void)state;
	for (i = 0; i < 50; i++)
		v[i] = 1;
	v[7] = 1000;
	s = stats_of(v, 50);
	/* ceil(47.5) = 48th is still 1 */
	assert_near(s.median, 1);
	assert_near(s.p95, 1);
	assert_near(s.max, 1000);
	assert_true(s.spread == 0);
	assert_near(s.mean, (49 + 1000) / 50.0);
}

static void test_none(void **state)
{
	struct stats s = stats_of(NULL, 0);

	(void)state;
	assert_int_equal(s.n, 0);
	assert_true(s.spread == 1);
}

/* A backend that only tells times: those of a script, over and over. */
struct backend {
	const double *script;
	int n, at, runs, largest, prepared, released;
	enum status run_status;
};

static enum status fake_prepare(struct backend *b, const struct bench_case *c)
{
	(void)c;
	b->prepared++;
	return ST_OK;
}

static enum status fake_run(struct backend *b, int n, double *seconds,
			    double *beside_s)
{
	int i;

	if (b->run_status)
		return err_set(b->run_status, "a rank died");
	for (i = 0; i < n; i++) {
		seconds[i] = b->script[b->at++ % b->n];
		if (beside_s)
			beside_s[i] = seconds[i] / 2;
	}
	b->runs++;
	b->largest = n > b->largest ? n : b->largest;
	return ST_OK;
}

static enum status fake_check(struct backend *b, int64_t *wrong_p)
{
	(void)b;
	*wrong_p = 3;
	return ST_OK;
}

static void fake_release(struct backend *b)
{
	b->released++;
}

static const struct backend_ops fake = {
	.name = "fake", .prepare = fake_prepare, .run = fake_run,
	.check = fake_check, .release = fake_release,
};

static struct bench_case exchange(void)
{
	struct bench_case c = { .work = { .op = "alltoall", .variant = "even",
					  .dtype = "fp32", .bytes = 4096 },
				.tier = "shm", .ranks = 4 };

	return c;
}

static int beats;

static void count_beat(void *arg)
{
	(void)arg;
	beats++;
}

static struct bench bench_on(struct backend *b, double cap_s)
{
	struct bench be = { .ops = &fake, .b = b, .nodes = 1, .cap_s = cap_s,
			    .beat = count_beat };

	return be;
}

static void test_steady(void **state)
{
	static const double script[] = { 1e-3 };
	struct backend b = { .script = script, .n = 1 };
	struct bench be = bench_on(&b, 1);
	struct bench_case c = exchange();
	struct sample s[BENCH_SAMPLES_MAX];
	int n;

	(void)state;
	assert_int_equal(bench_measure(&be, &c, s, &n), ST_OK);
	assert_int_equal(n, 1);
	assert_near(s[0].median_s, 1e-3);
	/* certain after the first batch */
	assert_true(s[0].count >= BENCH_REPEATS_MIN);
	assert_true(s[0].count <= 500);	/* half of the cap */
	assert_int_equal(s[0].wrong, 3);
	assert_string_equal(s[0].op, "alltoall");
	assert_string_equal(s[0].tier, "shm");
	assert_true(s[0].bytes == 4096 && s[0].m == 0 && s[0].ranks == 4);
	assert_int_equal(b.prepared, 1);
	assert_int_equal(b.released, 1);
	assert_true(beats > 0);
}

/* Never certain: until the cap of time, or of repetitions. */
static void test_noisy(void **state)
{
	static const double script[] = { 1e-3, 3e-3 };
	struct backend b = { .script = script, .n = 2 };
	struct bench be = bench_on(&b, 0.5);
	struct bench_case c = exchange();
	struct sample s[BENCH_SAMPLES_MAX];
	int n;

	(void)state;
	assert_int_equal(bench_measure(&be, &c, s, &n), ST_OK);
	/* 2 ms on average: 250 fill the cap, one batch may be over */
	assert_true(s[0].count >= 240 && s[0].count <= 260);
	be.cap_s = 100;
	assert_int_equal(bench_measure(&be, &c, s, &n), ST_OK);
	assert_int_equal(s[0].count, BENCH_REPEATS_MAX);
	/* no batch is longer than a second */
	assert_true(b.largest <= 1000);
}

static void test_slow(void **state)
{
	static const double script[] = { 5 };
	struct backend b = { .script = script, .n = 1 };
	struct bench be = bench_on(&b, 0.1);
	struct bench_case c = exchange();
	struct sample s[BENCH_SAMPLES_MAX];
	int n;

	(void)state;
	assert_int_equal(bench_measure(&be, &c, s, &n), ST_OK);
	assert_int_equal(s[0].count, 3);
	assert_int_equal(b.largest, 1);
}

static void test_both(void **state)
{
	static const double script[] = { 1e-3 };
	struct backend b = { .script = script, .n = 1 };
	struct bench be = bench_on(&b, 0.1);
	struct bench_case c = { .work = { .op = "gemm", .m = 2, .n = 3, .k = 4,
					  .batch = 5, .bytes = 6 },
				.tier = "shm", .ranks = 4 };
	struct sample s[BENCH_SAMPLES_MAX];
	int n;

	(void)state;
	c.beside = exchange().work;
	assert_int_equal(bench_measure(&be, &c, s, &n), ST_OK);
	assert_int_equal(n, 2);
	/* one pair, and the next one is another */
	assert_true(s[0].pair > 0 && s[0].pair == s[1].pair);
	assert_string_equal(s[0].op, "gemm");
	assert_string_equal(s[0].beside, "alltoall");
	assert_string_equal(s[1].op, "alltoall");
	assert_string_equal(s[1].beside, "gemm");
	assert_string_equal(s[0].tier, "shm");
	assert_near(s[0].median_s, 1e-3);
	assert_near(s[1].median_s, 5e-4);
	assert_true(s[0].m == 2 && s[0].n == 3 && s[0].k == 4);
	assert_true(s[0].batch == 5 && s[1].m == 0 && s[1].bytes == 4096);
}

/*
 * Product, exchange, both, in turns: rows in that order, each of all turns.
 * An exchange that is too slow alone stops it.
 */
static void test_together(void **state)
{
	static const double script[] = { 1e-3 };
	struct backend b = { .script = script, .n = 1 };
	struct bench be = bench_on(&b, 0.1);
	struct bench_case e = exchange(), p = e, both;
	struct sample s[BENCH_SAMPLES_MAX];
	int n, i;

	(void)state;
	p.work = (struct bench_work){ .op = "gemm", .m = 2, .n = 3, .k = 4,
				      .batch = 5, .bytes = 6 };
	both = p;
	both.beside = e.work;
	assert_int_equal(bench_together(&be, &p, &e, &both, 1, s, &n), ST_OK);
	assert_int_equal(n, 4);
	assert_string_equal(s[0].op, "gemm");
	assert_string_equal(s[0].beside, "");
	assert_string_equal(s[1].op, "alltoall");
	assert_string_equal(s[1].beside, "");
	assert_string_equal(s[2].beside, "alltoall");
	assert_string_equal(s[3].beside, "gemm");
	assert_true(s[0].pair == 0 && s[1].pair == 0);
	assert_true(s[2].pair > 0 && s[2].pair == s[3].pair);
	for (i = 0; i < 4; i++) {
		assert_near(s[i].median_s, i == 3 ? 5e-4 : 1e-3);
		assert_int_equal(s[i].count % 3, 0);
		assert_int_equal(s[i].wrong, 3);
	}
	assert_int_equal(b.prepared, 9);
	assert_int_equal(b.released, 9);
	assert_int_equal(bench_together(&be, &p, &e, &both, 5e-4, s, &n),
			 ST_OK);
	assert_int_equal(n, 2);
	b.run_status = ST_FAIL;
	assert_int_equal(bench_together(&be, &p, &e, &both, 1, s, &n),
			 ST_FAIL);
	assert_int_equal(b.prepared, b.released);
}

/*
 * One repetition of the exchange had to wait, for 1 s: it is not slow for
 * that. By turns of 4 ms, after two that warm up: the product's are the
 * repetitions 0 to 5, the exchange's first that counts is the 8th.
 */
static void test_together_waited(void **state)
{
	double script[48];
	struct backend b = { .script = script, .n = 48 };
	struct bench be = bench_on(&b, 0.1);
	struct bench_case e = exchange(), p = e, both;
	struct sample s[BENCH_SAMPLES_MAX];
	int n, i;

	(void)state;
	for (i = 0; i < 48; i++)
		script[i] = i == 8 ? 1 : 1e-3;
	p.work = (struct bench_work){ .op = "gemm", .m = 2, .n = 3, .k = 4,
				      .batch = 5, .bytes = 6 };
	both = p;
	both.beside = e.work;
	assert_int_equal(bench_together(&be, &p, &e, &both, 0.5, s, &n),
			 ST_OK);
	assert_int_equal(n, 4);
	assert_string_equal(s[1].op, "alltoall");
	assert_near(s[1].max_s, 1);
	assert_near(s[0].max_s, 1e-3);
}

static void test_failure(void **state)
{
	struct backend b = { .run_status = ST_FAIL };
	struct bench be = bench_on(&b, 0.1);
	struct bench_case c = exchange();
	struct sample s[BENCH_SAMPLES_MAX];
	int n;

	(void)state;
	assert_int_equal(bench_measure(&be, &c, s, &n), ST_FAIL);
	assert_string_equal(err_msg(), "a rank died");
	assert_int_equal(b.released, 1);
}

/* Held for 2 s and then measured for all of the 1 s, however sure it is. */
static void test_hold(void **state)
{
	static const double script[] = { 0.01 };
	struct backend b = { .script = script, .n = 1 };
	struct bench be = { .ops = &fake, .b = &b, .cap_s = 1, .hold_s = 2 };
	struct bench_case c = exchange();
	struct sample out[BENCH_SAMPLES_MAX];
	int n = 0;

	(void)state;
	assert_int_equal(bench_measure(&be, &c, out, &n), ST_OK);
	assert_true(out[0].count >= 100);
	assert_true(b.at >= 200 + out[0].count && b.at < 300 + out[0].count);
	b.at = 0;
	be.hold_s = 0;
	assert_int_equal(bench_measure(&be, &c, out, &n), ST_OK);
	assert_true(out[0].count < 100 && b.at < 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_outlier),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_noisy),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_together_waited),
		cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
