/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"
#include "reports/table.h"
#include "reports/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t longest_line(const char *s)
{
	size_t best = 0, n;
	char *line;

	while (*s) {
		n = strcspn(s, "\n");
		line = strndup(s, n);
		if (text_width(line) > best)
			best = text_width(line);
		free(line);
		s += n + (s[n] == '\n');
	}
	return best;
}

static void test_value_text(void **state)
{
	static const struct {
		double value;
		enum table_kind kind;
		const char *text;
	} rows[] = {
		{ 3.21e-3, TABLE_TIME, "3.21 ms" },
		{ 47.1e9, TABLE_RATE, "47.1 GB/s" },
		{ 1.5e9, TABLE_BYTES, "1.5 GB" },
		{ 0.1234, TABLE_PERCENT, "12.3 %" },
		{ 1.838, TABLE_FACTOR, "1.84x" },
		{ 65280, TABLE_COUNT, "65,280" },
		{ 999, TABLE_COUNT, "999" },
		{ 1000, TABLE_COUNT, "1,000" },
		{ -1234567, TABLE_COUNT, "-1,234,567" },
		{ -999, TABLE_COUNT, "-999" },
		{ 2.385, TABLE_NUMBER, "2.385" },
	};
	char out[TABLE_VALUE_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(table_value_text(rows[i].value,
						     rows[i].kind, out,
						     sizeof(out)),
				    rows[i].text);
	assert_string_equal(table_value_text(0.0 / 0.0, TABLE_TIME, out,
					     sizeof(out)), "-");
}

static const struct table_column columns[] = {
	{ "system", TABLE_TEXT, 0, 0 },
	{ "time", TABLE_TIME, 0, 0 },
	{ "share", TABLE_BAR, 0, 10 },
};

/* By hand: text left, numbers right, two blanks between, no trailing ones. */
static void test_layout(void **state)
{
	struct buf out = { 0 };
	struct table t;

	(void)state;
	table_init(&t, columns, 3);
	table_text(&t, "sequential");
	table_value(&t, 3.2e-3);
	table_value(&t, 1);
	table_text(&t, "two");
	table_value(&t, 0.5e-3);
	table_value(&t, 0.25);
	table_text(&t, "last");
	table_print(&t, &out, 2, TABLE_WIDTH);
	assert_string_equal(buf_str(&out),
		"  system        time  share\n"
		"  ----------  ------  ----------\n"
		"  sequential  3.2 ms  ##########\n"
		"  two         500 us  ###\n"
		"  last\n");
	table_release(&t);
	buf_release(&out);
}

static void test_wrap_and_cut(void **state)
{
	static const struct table_column wrap[] = {
		{ "a", TABLE_TEXT, 0, 9 }, { "n", TABLE_COUNT, 0, 0 },
	};
	static const struct table_column cut[] = {
		{ "a", TABLE_TEXT, TABLE_CUT, 9 },
		{ "n", TABLE_COUNT, 0, 0 },
	};
	struct buf out = { 0 };
	struct table t;

	(void)state;
	table_init(&t, wrap, 2);
	table_text(&t, "one two three fourteenletters");
	table_value(&t, 7);
	table_print(&t, &out, 0, TABLE_WIDTH);
	assert_string_equal(buf_str(&out),
		"a          n\n"
		"---------  -\n"
		"one two    7\n"
		"three\n"
		"fourteenl\n"
		"etters\n");
	table_release(&t);
	buf_clear(&out);
	table_init(&t, cut, 2);
	table_text(&t, "one two three");
	table_value(&t, 7);
	table_print(&t, &out, 0, TABLE_WIDTH);
	assert_string_equal(buf_str(&out),
		"a          n\n"
		"---------  -\n"
		"one two..  7\n");
	table_release(&t);
	buf_release(&out);
}

/* Any text, any mix: never wider than asked, nothing lost by wrapping. */
static void test_never_wider(void **state)
{
	static const struct table_column wide[] = {
		{ "a long title of words", TABLE_TEXT, 0, 0 },
		{ "value", TABLE_TIME, 0, 0 },
		{ "text", TABLE_TEXT, 0, 0 },
		{ "more text", TABLE_TEXT, TABLE_CUT, 0 },
		{ "share", TABLE_BAR, 0, 0 },
	};
	struct buf out = { 0 }, text = { 0 };
	unsigned seed = 12345, i, k, x = 0, seen;
	struct table t;
	const char *s;

	(void)state;
	for (k = 0; k < 200; k++) {
		table_init(&t, wide, 5);
		buf_clear(&text);
		for (i = 0; i < 1 + k; i++) {
			seed = seed * 1103515245u + 12345u;
			buf_puts(&text, seed >> 16 & 7 ? "x" : " ");
		}
		for (i = x = 0; i < text.len; i++)
			x += text.s[i] == 'x';
		table_text(&t, "");
		table_value(&t, 1.5e-6);
		table_text(&t, text.s);
		table_text(&t, "\303\244\303\266\303\274 umlauts in a text "
			   "that is much too long to be shown in full");
		table_value(&t, 1);
		buf_clear(&out);
		table_print(&t, &out, 2, TABLE_WIDTH);
		assert_true(longest_line(out.s) <= TABLE_WIDTH);
		for (s = out.s, seen = 0; *s; s++)
			seen += *s == 'x';
		/* the x of "text" in the titles, twice */
		assert_int_equal(seen, x + 2);
		table_release(&t);
	}
	buf_release(&out);
	buf_release(&text);
}

static void test_bar(void **state)
{
	struct buf out = { 0 };

	(void)state;
	table_bar(&out, 0, 10);
	table_bar(&out, -1, 10);
	table_bar(&out, 0.0 / 0.0, 10);
	assert_string_equal(buf_str(&out), "");
	table_bar(&out, 1e-9, 10);
	assert_string_equal(buf_str(&out), "#");
	buf_clear(&out);
	table_bar(&out, 7, 10);
	assert_string_equal(buf_str(&out), "##########");
	buf_release(&out);
}

static void test_text_wrap(void **state)
{
	struct buf out = { 0 };

	(void)state;
	text_wrap(&out, "- ", "one two three\nfour", 9);
	assert_string_equal(buf_str(&out), "- one two\n  three\n  four\n");
	buf_clear(&out);
	text_wrap(&out, "- ", "", 9);
	assert_string_equal(buf_str(&out), "-\n");
	buf_release(&out);
}

static void test_text_clean(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ NULL, "" },
		{ "plain", "plain" },
		{ "a\tb\nc\x7f", "a b c " },
		{ "\303\244", "\303\244" },
		{ "\xff\xc3", "??" },
		{ "\xc0\xaf", "??" },		/* overlong "/" */
		{ "\xed\xa0\x80", "???" },	/* a surrogate */
		{ "\xe2\x80\xae" "x", " x" },	/* right-to-left override */
		{ "\xf4\x90\x80\x80", "????" },	/* above U+10FFFF */
	};
	size_t i;
	char *s;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s = text_clean(rows[i].in);
		assert_string_equal(s, rows[i].out);
		free(s);
	}
	assert_int_equal(text_width("\303\244b"), 2);
	assert_int_equal(text_bytes("\303\244b", 1), 2);
	assert_int_equal(text_bytes("ab", 9), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value_text),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_wrap_and_cut),
		cmocka_unit_test(test_never_wider),
		cmocka_unit_test(test_bar),
		cmocka_unit_test(test_text_wrap),
		cmocka_unit_test(test_text_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
