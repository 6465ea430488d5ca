/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/adapt.h"

#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define TOLERANCE 0.03
#define WIDE_N 17	/* 20 octaves by 5, by 2.5, by 1.25 */

typedef double cost_fn(double n);

/* Two protocols: at the switch the time jumps down by a third. */
#define SWITCH 65536.0
static double switched(double n)
{
	return n < SWITCH ? 10e-6 + n / 1e9 : 7e-6 + n / 20e9;
}

static double power(double n)
{
	return 1e-9 * pow(n, 0.8);	/* straight in log-log */
}

static double line(double n)
{
	return 10e-6 + n / 10e9;
}

/* All that is wanted at a tolerance; sizes in the order of measuring. */
static int measure_all(struct adapt *a, cost_fn *cost, double *sizes)
{
	double error, n;
	int count = 0;

	while ((n = adapt_next(a, &error)) > 0 && error > TOLERANCE) {
		assert_true(count < ADAPT_MAX);
		sizes[count++] = n;
		adapt_add(a, n, cost(n));
	}
	return count;
}

static void test_first_sizes(void **state)
{
	double sizes[ADAPT_MAX], error;
	struct adapt a = { 0 };

	(void)state;
	adapt_range(&a, 1024, 1 << 30);
	assert_true(fabs(adapt_next(&a, &error) - 1024) < 1e-6);
	assert_true(error == ADAPT_MISSING);
	/* a straight line in log-log needs no more than the first sizes, 20
	 * octaves in four steps of five, and halves until none is above 2 */
	assert_int_equal(measure_all(&a, power, sizes), WIDE_N);
	assert_true(fabs(sizes[1] / 32768 - 1) < 1e-9);
	assert_true(fabs(sizes[4] / (1 << 30) - 1) < 1e-9);
}

/* 4 to 128: both ends and their middle, sqrt(4 * 128); a straight line needs
 * no more, the wide gaps notwithstanding. */
static void test_few(void **state)
{
	double sizes[ADAPT_MAX];
	struct adapt a = { 0 };

	(void)state;
	adapt_few(&a, 4, 128);
	assert_int_equal(measure_all(&a, power, sizes), ADAPT_FEW);
	assert_true(fabs(sizes[0] - 4) < 1e-9);
	assert_true(fabs(sizes[1] - sqrt(512)) < 1e-9);
	assert_true(fabs(sizes[2] - 128) < 1e-9);
}

static void test_near_the_switch(void **state)
{
	double sizes[ADAPT_MAX];
	struct adapt a = { 0 };
	int n, i, near = 0, closest = 0;

	(void)state;
	adapt_range(&a, 1024, 1 << 30);
	n = measure_all(&a, switched, sizes);
	assert_true(n > WIDE_N && n < ADAPT_MAX);
	for (i = WIDE_N; i < n; i++) {
		near += fabs(log2(sizes[i] / SWITCH)) < 3;
		closest += fabs(log2(sizes[i] / SWITCH)) < 2 * ADAPT_GAP_MIN;
	}
	/* most of what was added lies within three of the 20 octaves, and
	 * the switch itself is bracketed */
	assert_true(near * 10 >= (n - WIDE_N) * 6);
	assert_true(closest >= 2);
}

/* Afterwards interpolation is good everywhere but in the gap of the jump. */
static void test_error_afterwards(void **state)
{
	double sizes[ADAPT_MAX], n, worst = 0;
	struct adapt a = { 0 };

	(void)state;
	adapt_range(&a, 1024, 1 << 30);
	measure_all(&a, line, sizes);
	for (n = 1024; n < (1 << 30); n *= 1.07)
		worst = fmax(worst, fabs(adapt_guess(&a, n) / line(n) - 1));
	assert_true(worst < 2 * TOLERANCE);
}

/*
 * Three points, 0, 2 and 6 octaves, of 0, 1 and 7 log2 seconds: slopes 1/2
 * and 3/2, so the middle one is 1 * 2 * 4 / 6 = 4/3 octaves off the line past
 * it (that is at 7/3). The wider gap, 2 .. 6, is halved.
 */
static void test_left_out(void **state)
{
	struct adapt a = { 0 };
	double error;

	(void)state;
	adapt_add(&a, 1, 1);
	adapt_add(&a, 4, 2);
	adapt_add(&a, 64, 128);
	assert_true(fabs(adapt_next(&a, &error) - 16) < 1e-9);
	assert_true(fabs(error - (exp2(4.0 / 3) - 1)) < 1e-9);
	a.gap_max = 3;
	assert_true(fabs(adapt_next(&a, &error) - 16) < 1e-9);
	assert_true(error == ADAPT_WIDE + 4);
}

static void test_least_gap(void **state)
{
	struct adapt a = { 0 };
	double sizes[ADAPT_MAX];
	int i;

	(void)state;
	adapt_range(&a, 1024, 1 << 30);
	measure_all(&a, switched, sizes);
	for (i = 0; i + 1 < a.n; i++)
		assert_true(a.x[i + 1] - a.x[i] > ADAPT_GAP_MIN * 0.99);
}

/*
 * 1 KB to 1 GB at most half an octave apart, a quarter between 256 KB and
 * 64 MB: the 33 quarter steps from 2^18 to 2^26 are all there.
 */
static void test_fine_gaps(void **state)
{
	struct adapt a = { 0 };
	double error, n;
	int i, fine = 0;

	(void)state;
	adapt_range(&a, 1024, 1 << 30);
	a.gap_max = 0.5;
	a.fine_gap = 0.25;
	a.fine_min = 0x1p18;
	a.fine_max = 0x1p26;
	while ((n = adapt_next(&a, &error)) > 0 && error > ADAPT_WIDE)
		adapt_add(&a, n, power(n));
	for (i = 0; i + 1 < a.n; i++) {
		bool is_fine = a.x[i] > 17.9 && a.x[i + 1] < 26.1;

		fine += is_fine;
		assert_true(a.x[i + 1] - a.x[i] < (is_fine ? 0.26 : 0.51));
	}
	assert_int_equal(fine, 32);
	assert_true(a.n > 50 && a.n < ADAPT_MAX);
}

/* Round by round, the smallest first, none above the limit. */
static void test_repeat(void **state)
{
	struct adapt a = { 0 };
	double size;
	int times = 0, i;

	(void)state;
	for (i = 0; i < 4; i++)
		adapt_add(&a, 1 << i, 1);
	assert_true(fabs(adapt_repeat(&a, 4, 3, &times) - 1) < 1e-9);
	assert_int_equal(times, 1);
	for (i = 0; (size = adapt_repeat(&a, 4, 3, &times)) > 0; i++) {
		assert_int_equal(times, 1 + i / 3);
		assert_true(fabs(size - (1 << i % 3)) < 1e-9);
		adapt_add(&a, size, 1);
	}
	assert_int_equal(i, 6);
}

/*
 * Straight but for 64, which took 1.5 times as long: it is 50 % off. Its
 * neighbours are off by the half of its logarithm, 1.5^0.5 - 1 = 22 %.
 */
static void test_doubt(void **state)
{
	struct adapt a = { 0 };
	double error;
	int i;

	(void)state;
	for (i = 4; i <= 8; i++)
		adapt_add(&a, 1 << i, i == 6 ? 96 : 1 << i);
	assert_true(fabs(adapt_doubt(&a, 16, 2, &error) - 64) < 1e-9);
	assert_true(fabs(error - 0.5) < 1e-9);
	adapt_add(&a, 64, 96);	/* no bad moment: it stays */
	assert_true(fabs(adapt_doubt(&a, 64, 2, &error) - 128) < 1e-9);
	assert_true(fabs(error - (sqrt(1.5) - 1)) < 1e-9);
	assert_true(adapt_doubt(&a, 1024, 2, &error) == 0 && error == 0);
}

/* A list, a size that is measured again, and a series that becomes slow. */
static void test_list(void **state)
{
	struct adapt a = { 0 };
	double error;

	(void)state;
	adapt_first(&a, 16);
	adapt_first(&a, 64);
	adapt_first(&a, 256);
	assert_true(adapt_next(&a, &error) == 16);
	adapt_add(&a, 16, 1);
	adapt_add(&a, 16, 2);
	assert_int_equal(a.n, 1);
	assert_true(adapt_next(&a, &error) == 64);
	assert_true(error == ADAPT_MISSING - 1);
	adapt_add(&a, 64, 8);
	/* 2 s at 16, 8 s at 64: in log-log 4 s at 32, 32 s at 256 */
	assert_true(fabs(adapt_guess(&a, 32) - 4) < 1e-9);
	assert_true(fabs(adapt_guess(&a, 256) - 32) < 1e-9);
	adapt_stop_above(&a);
	assert_true(adapt_next(&a, &error) == 0);
}

/* The clock may say 0. */
static void test_zero_time(void **state)
{
	struct adapt a = { 0 };
	double error;
	int i;

	(void)state;
	adapt_range(&a, 1, 1 << 20);
	for (i = 0; i < 2 * ADAPT_MAX; i++) {
		double n = adapt_next(&a, &error);

		assert_true(isfinite(n) && isfinite(error));
		if (n > 0)
			adapt_add(&a, n, i % 2 ? 0 : 1);
	}
	assert_true(a.n <= ADAPT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_sizes),
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_near_the_switch),
		cmocka_unit_test(test_error_afterwards),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_least_gap),
		cmocka_unit_test(test_fine_gaps),
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_zero_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
