/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/units.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static double parsed(const char *text, enum unit_kind kind)
{
	double v = -1;

	if (!unit_parse(text, kind, &v))
		fail_msg("'%s' is refused", text);
	return v;
}

static void assert_same(double a, double b)
{
	if (a != b)
		fail_msg("%.17g is not %.17g", a, b);
}

static void test_values(void **state)
{
	(void)state;
	assert_same(parsed("3", U_NUMBER), 3);
	assert_same(parsed("1e-3", U_NUMBER), 1e-3);
	assert_same(parsed("4096", U_BYTES), 4096);
	assert_same(parsed("64KiB", U_BYTES), 64 * 1024);
	assert_same(parsed("1.5 MiB", U_BYTES), 1.5 * 1024 * 1024);
	assert_same(parsed("80GB", U_BYTES), 80e9);
	/* 400e9 bits / 8 = 50e9 bytes */
	assert_same(parsed("400Gb/s", U_RATE), 50e9);
	assert_same(parsed("50 GB/s", U_RATE), 50e9);
	assert_same(parsed("5e10", U_RATE), 50e9);
	assert_same(parsed("3us", U_TIME), 3e-6);
	assert_same(parsed("1.5ms", U_TIME), 1.5e-3);
	assert_same(parsed("20ns", U_TIME), 20e-9);
	assert_same(parsed("7ps", U_TIME), 7e-12);
	assert_same(parsed("0.001", U_TIME), 1e-3);
	assert_same(parsed("1%", U_FRACTION), 0.01);
	assert_same(parsed("989TFLOPS", U_FLOPS), 989e12);
	assert_same(parsed("989TFLOP/s", U_FLOPS), 989e12);
	assert_same(parsed("0", U_TIME), 0);
	assert_same(parsed(".5s", U_TIME), 0.5);
}

/* The decimal prefix must not cost a rounding: 2.3 * 1e-6 != 2.3e-6. */
static void test_prefix_is_exact(void **state)
{
	(void)state;
	assert_true(2.3 * 1e-6 != 2.3e-6);
	assert_same(parsed("0.1us", U_TIME), 1e-7);
	assert_same(parsed("2.3us", U_TIME), 2.3e-6);
	assert_same(parsed("1e3us", U_TIME), 1e-3);
	assert_same(parsed("0.7%", U_FRACTION), 0.007);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		enum unit_kind kind;
	} bad[] = {
		{ "", U_NUMBER }, { "-1", U_NUMBER }, { "+1", U_NUMBER },
		{ "nan", U_NUMBER }, { "NaN", U_TIME }, { "inf", U_RATE },
		{ "0x10", U_NUMBER }, { "1e999", U_NUMBER },
		{ "1e308GB", U_BYTES }, { "1e400%", U_FRACTION },
		{ "1e99999999999999999999", U_NUMBER }, { ".", U_NUMBER },
		{ "1 2", U_NUMBER }, { "1x", U_NUMBER }, { "1 ", U_NUMBER },
		{ " 1", U_NUMBER }, { "3us ", U_TIME }, { "3  us", U_TIME },
		{ "3usx", U_TIME }, { "3GB", U_TIME }, { "3us", U_BYTES },
		{ "3Ks", U_TIME }, { "3mB", U_BYTES }, { "400Gb", U_RATE },
		{ "400GB", U_RATE }, { "1us", U_FRACTION }, { "us", U_TIME },
		{ "1e", U_NUMBER }, { "1e+", U_NUMBER }, { "1.2.3", U_NUMBER },
		{ "-3us", U_TIME }, { "1,5", U_NUMBER }, { "5k", U_NUMBER },
		{ "1e308KiB", U_BYTES },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		double v = 42;

		if (unit_parse(bad[i].text, bad[i].kind, &v))
			fail_msg("'%s' is accepted as %g", bad[i].text, v);
		assert_same(v, 42);
	}
}

static void test_very_long_is_refused(void **state)
{
	static char text[100000];
	double v;

	(void)state;
	memset(text, '9', sizeof(text) - 1);
	assert_false(unit_parse(text, U_NUMBER, &v));
}

static uint64_t random_next(uint64_t *s)
{
	/* xorshift64, G. Marsaglia, 2003 */
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* 10^(-15..20) times something with few or with all digits. */
static double random_value(uint64_t *s, int i)
{
	double mantissa = (double)(random_next(s) >> 11) * 0x1p-53;
	int exp10 = (int)(random_next(s) % 36) - 15;

	if (i % 2)
		mantissa = floor(mantissa * 1000);
	return mantissa * pow(10, exp10);
}

static void test_round_trip(void **state)
{
	uint64_t s = 88172645463325252u;
	int i;

	(void)state;
	for (i = 0; i < 200000; i++) {
		enum unit_kind kind = (enum unit_kind)(i % (U_FLOPS + 1));
		double v = random_value(&s, i);
		char text[UNIT_TEXT_MAX];

		assert_same(parsed(unit_print(v, kind, text, sizeof(text)),
				   kind), v);
	}
}

static void check_print(double v, enum unit_kind kind, const char *want)
{
	char text[UNIT_TEXT_MAX];

	assert_string_equal(unit_print(v, kind, text, sizeof(text)), want);
}

static void test_print(void **state)
{
	(void)state;
	check_print(5e10, U_RATE, "50GB/s");
	check_print(3e-6, U_TIME, "3us");
	check_print(0, U_TIME, "0");
	check_print(80e9, U_BYTES, "80GB");
	check_print(1, U_BYTES, "1B");
	check_print(0.25, U_FRACTION, "0.25");
	check_print(1.25, U_NUMBER, "1.25");
	check_print(989e12, U_FLOPS, "989TFLOPS");
	/* below the smallest prefix, above the largest */
	check_print(5e-14, U_TIME, "0.05ps");
	check_print(2e18, U_BYTES, "2000PB");
}

static void check_human(double v, enum unit_kind kind, const char *want)
{
	char text[UNIT_TEXT_MAX];

	assert_string_equal(unit_human(v, kind, text, sizeof(text)), want);
}

static void test_human(void **state)
{
	(void)state;
	check_human(3.2149e-3, U_TIME, "3.21 ms");
	check_human(47.12e9, U_RATE, "47.1 GB/s");
	check_human(989e12, U_FLOPS, "989 TFLOPS");
	check_human(0, U_TIME, "0 s");
	check_human(0.1234, U_FRACTION, "12.3%");
	/* rounds over the edge of a prefix */
	check_human(999.6e-6, U_TIME, "1 ms");
	check_human(999.4e-6, U_TIME, "999 us");
	check_human(5, U_BYTES, "5 B");
	check_human(2.5, U_NUMBER, "2.5");
}

static void test_picoseconds(void **state)
{
	(void)state;
	assert_true(ps_from_s(3e-6) == 3000000);
	assert_true(ps_from_s(0.4e-12) == 0);
	assert_true(ps_from_s(0.6e-12) == 1);
	assert_same(s_from_ps(1500000000000u), 1.5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_prefix_is_exact),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_very_long_is_refused),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_human),
		cmocka_unit_test(test_picoseconds),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
