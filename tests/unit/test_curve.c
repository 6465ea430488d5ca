/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/curve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want))))
		fail_msg("%.17g is not %.17g", got, want);
}

static struct curve line(double a, double b)
{
	return curve_make(a, b, 0, CURVE_DATASHEET);
}

/* 1 + 2n up to 10, then 5 + n */
static struct curve two_pieces(void)
{
	struct curve f = line(1, 2), g = line(5, 1), out;

	assert_true(curve_switch(&f, 10, &g, &out));
	return out;
}

static void test_eval(void **state)
{
	struct curve f = curve_make(1, 2, 3, CURVE_MEASURED);
	struct curve zero = { 0 }, two = two_pieces();

	(void)state;
	near(curve_eval(&f, 0), 1);
	near(curve_eval(&f, 4), 1 + 2 * 4 + 3 * 2);
	near(curve_eval(&zero, 1e9), 0);
	near(curve_eval(&two, 0), 1);
	near(curve_eval(&two, 10), 21);	/* the end belongs to the piece */
	near(curve_eval(&two, 11), 16);
	near(curve_eval(&two, 1e6), 1000005);
}

static void test_add(void **state)
{
	struct curve f = two_pieces(), g = line(3, 4), zero = { 0 }, h, sum;

	(void)state;
	assert_true(curve_switch(&g, 5, &zero, &h));
	assert_true(curve_add(&f, &h, &sum));
	assert_int_equal(sum.n, 3);	/* ends 5, 10, infinity */
	near(curve_eval(&sum, 5), 11 + 23);
	near(curve_eval(&sum, 6), 13);
	near(curve_eval(&sum, 20), 25);
	/* in place */
	assert_true(curve_add(&f, &f, &f));
	near(curve_eval(&f, 10), 42);
}

static void test_add_too_many(void **state)
{
	struct curve f = line(0, 1), g = line(0.5, 1), out = line(7, 7);
	int i;

	(void)state;
	/* f ends at odd numbers below CURVE_PIECES, g at even ones up to it:
	 * one piece too many in the sum */
	for (i = CURVE_PIECES - 1; i >= 1; i -= 2) {
		struct curve piece = line(i, 0);

		assert_true(curve_switch(&piece, i, &f, &f));
		piece = line(10 * i, 0);
		assert_true(curve_switch(&piece, i + 1, &g, &g));
	}
	assert_int_equal(f.n, CURVE_PIECES / 2 + 1);
	assert_false(curve_add(&f, &g, &out));
	near(curve_eval(&out, 1), 14);
	assert_false(curve_min(&f, &g, &out) && out.n > CURVE_PIECES);
}

static void test_scale(void **state)
{
	struct curve f = curve_make(1, 2, 3, CURVE_PUBLISHED), g;
	struct curve two = two_pieces();
	double n;

	(void)state;
	g = curve_scale_size(&f, 4);
	near(curve_eval(&g, 9), curve_eval(&f, 36));
	g = curve_scale_time(&f, 4);
	near(curve_eval(&g, 9), 4 * curve_eval(&f, 9));
	g = curve_scale_size(&two, 4);
	for (n = 0; n < 6; n += 0.25) {
		near(curve_eval(&g, n), curve_eval(&two, 4 * n));
	}
	assert_int_equal(g.source, CURVE_DATASHEET);
}

/* 1 + 2n and 5 + n meet at n = 4, both 9 */
static void test_min(void **state)
{
	struct curve f = line(1, 2), g = line(5, 1), m, q;

	(void)state;
	assert_true(curve_min(&f, &g, &m));
	assert_int_equal(m.n, 2);
	near(m.piece[0].upto, 4);
	near(curve_eval(&m, 3), 7);
	near(curve_eval(&m, 4), 9);
	near(curve_eval(&m, 6), 11);
	q = curve_make(0, 0, 1, CURVE_ASSUMED);
	assert_false(curve_min(&f, &q, &m));
	near(curve_eval(&m, 6), 11);	/* untouched */
	/* parallels, and lines that meet below zero */
	g = line(2, 2);
	assert_true(curve_min(&f, &g, &m));
	assert_int_equal(m.n, 1);
	near(curve_eval(&m, 3), 7);
	g = line(2, 3);
	assert_true(curve_min(&f, &g, &m));
	assert_int_equal(m.n, 1);
	near(curve_eval(&m, 0), 1);
}

static double uniform(void)
{
	return (double)(rand() % 1000) / 100;
}

static struct curve random_curve(void)
{
	struct curve f = line(uniform(), uniform());
	int i, n = rand() % 3;

	for (i = 0; i < n; i++) {
		struct curve g = line(uniform(), uniform());

		assert_true(curve_switch(&g, uniform(), &f, &f));
	}
	return f;
}

/* The definition, at many points, on a thousand random pairs. */
static void test_pointwise(void **state)
{
	int i, k;

	(void)state;
	srand(1);
	for (i = 0; i < 1000; i++) {
		struct curve f = random_curve(), g = random_curve();
		struct curve low, sum;

		assert_true(curve_add(&f, &g, &sum));
		if (!curve_min(&f, &g, &low))
			continue;
		for (k = 0; k < 50; k++) {
			double n = uniform() * (k % 3 + 1);
			double a = curve_eval(&f, n), b = curve_eval(&g, n);

			near(curve_eval(&sum, n), a + b);
			near(curve_eval(&low, n), fmin(a, b));
		}
	}
}

static void test_intersect(void **state)
{
	struct curve f = line(1, 2), g = line(5, 1), p = line(2, 2);
	struct curve two = two_pieces(), flat = line(18, 0);

	(void)state;
	near(curve_intersect(&f, &g, 0), 4);
	assert_true(curve_intersect(&f, &g, 4) < 0);
	assert_true(curve_intersect(&f, &p, 0) < 0);
	/* 1 + 2n = 18 at 8.5; after the switch 5 + n = 18 at 13 */
	near(curve_intersect(&two, &flat, 0), 8.5);
	near(curve_intersect(&two, &flat, 8.5), 13);
	/* equal at zero: not above lo = 0 */
	p = line(1, 1);
	assert_true(curve_intersect(&f, &p, 0) < 0);
	near(curve_intersect(&f, &p, -1), 0);
	assert_true(curve_intersect(&f, &f, 3) > 3);
	near(curve_intersect(&f, &f, 3), 3);
}

static void test_switch(void **state)
{
	struct curve two = two_pieces(), g = line(100, 0), out;

	(void)state;
	assert_true(curve_switch(&two, 5, &g, &out));
	assert_int_equal(out.n, 2);
	near(curve_eval(&out, 5), 11);
	near(curve_eval(&out, 6), 100);
	assert_true(curve_switch(&g, 5, &two, &out));
	assert_int_equal(out.n, 3);
	near(curve_eval(&out, 6), 13);
	near(curve_eval(&out, 11), 16);
	assert_true(curve_switch(&g, -1, &two, &out));
	near(curve_eval(&out, 0), 1);
	assert_true(curve_switch(&two, INFINITY, &g, &out));
	near(curve_eval(&out, 1e9), 1e9 + 5);
}

static void test_source(void **state)
{
	struct curve f = curve_make(1, 1, 0, CURVE_MEASURED);
	struct curve g = curve_make(1, 1, 0, CURVE_ASSUMED), zero = { 0 }, out;

	(void)state;
	assert_true(curve_add(&f, &g, &out));
	assert_int_equal(out.source, CURVE_ASSUMED);
	assert_true(curve_add(&f, &zero, &out));
	assert_int_equal(out.source, CURVE_MEASURED);
	assert_string_equal(curve_source_name(CURVE_PUBLISHED), "published");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eval),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_add_too_many),
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_min),
		cmocka_unit_test(test_pointwise),
		cmocka_unit_test(test_intersect),
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_source),
	};

	return cmocka_run_group_tests_name("curve", tests, NULL, NULL);
}
