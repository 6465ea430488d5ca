/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors and orders of forecasts, worked by hand. */
#include "base/accuracy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* last: it needs the four above */
#include <cmocka.h>

static void near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-12))
		fail_msg("%.17g is not %.17g", got, want);
}

/* 9/10 - 1 = -0.1; 22/20 - 1 = 0.1; 15/10 - 1 = 0.5: mean 0.7 / 3 */
static void test_errors(void **state)
{
	static const double p[] = { 9, 22, 15 }, m[] = { 10, 20, 10 };

	(void)state;
	near(accuracy_error(9, 10), -0.1);
	near(accuracy_mean(p, m, 3), 0.7 / 3);
	near(accuracy_mean(p, m, 0), 0);
}

/* Errors 0.01 .. 0.20: the 19th of twenty is the 95th percentile. */
static void test_quantile(void **state)
{
	double p[20], m[20];
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		m[i] = 1;
		p[i] = 1 + (i % 2 ? -1 : 1) * 0.01 * (20 - i);
	}
	near(accuracy_quantile(p, m, 20, 0.95), 0.19);
	near(accuracy_quantile(p, m, 20, 1), 0.20);
	near(accuracy_quantile(p, m, 20, 0), 0.01);
	near(accuracy_quantile(p, m, 1, 0.95), 0.20);
	near(accuracy_quantile(p, m, 0, 0.95), 0);
}

/*
 * Orders 1 2 3 4 and 1 3 2 4: of six pairs one is swapped, tau = (5 - 1) / 6.
 * With ties: 1 1 2 3 and 1 2 2 3: pairs (0,1) is tied in the first, (1,2) in
 * the second, the other four agree: 4 / sqrt(5 * 5).
 */
static void test_tau(void **state)
{
	static const double up[] = { 1, 2, 3, 4 }, down[] = { 4, 3, 2, 1 };
	static const double swapped[] = { 1, 3, 2, 4 };
	static const double a[] = { 1, 1, 2, 3 }, b[] = { 1, 2, 2, 3 };
	static const double same[] = { 7, 7, 7, 7 };

	(void)state;
	near(accuracy_tau(up, up, 4, 0), 1);
	near(accuracy_tau(up, down, 4, 0), -1);
	near(accuracy_tau(up, swapped, 4, 0), 4.0 / 6);
	near(accuracy_tau(a, b, 4, 0), 4.0 / 5);
	/* 2 and 3 are within half of 2: the swapped pair and (2,3)-(3,4) go,
	 * what is left agrees */
	near(accuracy_tau(up, swapped, 4, 0.5), 1);
	assert_true(isnan(accuracy_tau(up, same, 4, 0)));
	assert_true(isnan(accuracy_tau(up, up, 1, 0)));
	assert_true(isnan(accuracy_tau(up, up, 0, 0)));
}

/* The second is chosen and takes 12, the fastest takes 10: 20 % regret. */
static void test_regret(void **state)
{
	static const double p[] = { 11, 9, 13 }, m[] = { 10, 12, 13 };

	(void)state;
	near(accuracy_regret(p, m, 3), 0.2);
	near(accuracy_regret(m, m, 3), 0);
	near(accuracy_regret(p, m, 0), 0);
	assert_int_equal(accuracy_least(p, 3), 1);
	assert_int_equal(accuracy_least((const double[]){ 2, 1, 1 }, 3), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_quantile),
		cmocka_unit_test(test_tau),
		cmocka_unit_test(test_regret),
	};

	return cmocka_run_group_tests_name("accuracy", tests, NULL, NULL);
}
