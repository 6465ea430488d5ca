/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"
#include "reports/chart_fit.h"
#include "reports/fit_page.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12 * fabs(b))

/* 100 us with a mean error of 5 %: 95 to 105 us. */
static void test_band(void **state)
{
	double low, high;

	(void)state;
	chart_fit_band(100e-6, 0.05, &low, &high);
	NEAR(low, 95e-6);
	NEAR(high, 105e-6);
	chart_fit_band(2e-3, 0, &low, &high);
	NEAR(low, 2e-3);
	NEAR(high, 2e-3);
}

/* 1 - 1.5 < 0 has no place on a logarithmic axis: a hundredth instead. */
static void test_band_wide(void **state)
{
	double low, high;

	(void)state;
	chart_fit_band(1e-3, 1.5, &low, &high);
	NEAR(low, 1e-5);
	NEAR(high, 2.5e-3);
	chart_fit_band(1e-3, 0.995, &low, &high);	/* 0.005 < 0.01 */
	NEAR(low, 1e-5);
}

static void test_band_no_number(void **state)
{
	static const double bad[] = { NAN, INFINITY, -0.5 };
	double low, high;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		chart_fit_band(3e-6, bad[i], &low, &high);
		NEAR(low, 3e-6);
		NEAR(high, 3e-6);
	}
}

/* Equal ratios: from 1 to 2^160 in 160 steps every size is twice the last. */
static void test_sizes(void **state)
{
	struct curve f = curve_make(1, 1, 0, CURVE_MEASURED);
	double size[CHART_FIT_SIZES_MAX];
	int i, n = chart_fit_sizes(&f, 1, ldexp(1, CHART_FIT_STEPS), size);

	(void)state;
	assert_int_equal(n, CHART_FIT_STEPS + 1);
	for (i = 0; i < n; i++)
		assert_true(fabs(size[i] / ldexp(1, i) - 1) < 1e-9);
}

/* 10 us up to 1000 bytes, 20 us above: both are in the drawn curve, and
 * nothing lies between. */
static void test_sizes_switch(void **state)
{
	struct curve low = curve_make(10e-6, 0, 0, CURVE_MEASURED);
	struct curve high = curve_make(20e-6, 0, 0, CURVE_MEASURED), f;
	double size[CHART_FIT_SIZES_MAX];
	int i, n, jumps = 0;

	(void)state;
	assert_true(curve_switch(&low, 1000, &high, &f));
	n = chart_fit_sizes(&f, 10, 1e6, size);
	assert_int_equal(n, CHART_FIT_STEPS + 3);
	for (i = 1; i < n; i++) {
		assert_true(size[i] > size[i - 1]);
		if (curve_eval(&f, size[i]) == curve_eval(&f, size[i - 1]))
			continue;
		jumps++;
		assert_true(size[i - 1] == 1000);
		assert_true(size[i] < 1000.001);
	}
	assert_int_equal(jumps, 1);
	/* a switch outside the range is not drawn */
	assert_int_equal(chart_fit_sizes(&f, 2000, 1e6, size),
			 CHART_FIT_STEPS + 1);
}

static void test_sizes_none(void **state)
{
	struct curve f = curve_make(1, 1, 0, CURVE_MEASURED);
	double size[CHART_FIT_SIZES_MAX];

	(void)state;
	assert_int_equal(chart_fit_sizes(&f, 0, 10, size), 0);
	assert_int_equal(chart_fit_sizes(&f, 10, 1, size), 0);
	assert_int_equal(chart_fit_sizes(&f, NAN, 1, size), 0);
	assert_int_equal(chart_fit_sizes(&f, 1, INFINITY, size), 0);
}

/* 1 us + n x 1 ns at 1000 bytes: 2 us; 10 %: 1.8 to 2.2 us. */
static void test_script(void **state)
{
	struct curve f = curve_make(1e-6, 1e-9, 0, CURVE_MEASURED);
	const struct chart_fit_point p[] = {
		{ 1000, 2.1e-6, 2e-6, 2.5e-6 },
		{ 2000, 3e-6, 0, 0 },	/* no bar: its ends are the median */
		{ 0, 1, 1, 1 }, { 10, NAN, 1, 1 },	/* no points */
	};
	struct chart_fit c = { .form = "linear", .curve = &f, .mape = 0.1,
			       .min_bytes = 1000, .max_bytes = 2000,
			       .point = p, .n_points = 4 };
	struct buf b = { 0 };
	int w, h;

	(void)state;
	chart_fit_script(&c, &b, &w, &h);
	assert_non_null(strstr(buf_str(&b), "$curve << EOD\n"
			       "1000 2e-06 1.8e-06 2.2e-06\n"));
	assert_non_null(strstr(buf_str(&b), "$points << EOD\n"
			       "1000 2.1e-06 2e-06 2.5e-06\n"
			       "2000 3e-06 3e-06 3e-06\nEOD\n"));
	assert_non_null(strstr(buf_str(&b), "1 KiB"));
	buf_release(&b);
}

static void test_svg(void **state)
{
	struct buf b = { 0 };

	(void)state;
	html_svg(&b, "<?xml?>\n<svg \n xmlns=\"http://x\"\n xmlns:xlink=\"h\"\n"
		 "><g id=\"a\"><use xlink:href='#p' fill='#ffffff'/>"
		 "<text> id='t' xmlns=\"</text></g></svg>", "f1_");
	assert_string_equal(buf_str(&b), "<svg \n\n\n><g id=\"f1_a\">"
			    "<use href='#f1_p' fill='#ffffff'/>"
			    "<text> id='t' xmlns=\"</text></g></svg>");
	buf_clear(&b);
	html_svg(&b, "<svg><unfinished", "p");
	html_svg(&b, "no figure", "p");
	html_svg(&b, "", "p");
	assert_string_equal(buf_str(&b), "<svg><unfinished");
	buf_release(&b);
}

static void test_text(void **state)
{
	struct buf b = { 0 };

	(void)state;
	html_text(&b, "<a href=\"x\">'&\001");
	assert_string_equal(buf_str(&b),
			    "&lt;a href=&quot;x&quot;&gt;&#39;&amp; ");
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_band),
		cmocka_unit_test(test_band_wide),
		cmocka_unit_test(test_band_no_number),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sizes_switch),
		cmocka_unit_test(test_sizes_none),
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_svg),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
