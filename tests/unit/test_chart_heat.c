/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"
#include "reports/chart_heat.h"
#include "reports/page.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 26 letters, then 26 x 26 pairs: 26 + 676 = 702 is the first triple. */
static void test_letters(void **state)
{
	static const struct {
		int plan;
		const char *letter;
	} is[] = {
		{ 0, "A" }, { 25, "Z" }, { 26, "AA" }, { 27, "AB" },
		{ 51, "AZ" }, { 52, "BA" }, { 701, "ZZ" }, { 702, "AAA" },
	};
	char letter[CHART_LETTER_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(is) / sizeof(is[0]); i++)
		assert_string_equal(chart_heat_letter(is[i].plan, letter),
				    is[i].letter);
}

static double grey(unsigned rgb)
{
	return 0.299 * (rgb >> 16 & 255) + 0.587 * (rgb >> 8 & 255) +
	       0.114 * (rgb & 255);
}

/* Slower is darker in a grey print too, and black text stays readable. */
static void test_shades(void **state)
{
	double last = 256, v;

	(void)state;
	for (v = 1; v <= 1024; v *= 2) {
		double g = grey(chart_heat_shade(v, 1, 1024));

		assert_true(g < last - 5);	/* 11 steps that are seen */
		assert_true(g > 125);
		last = g;
	}
	/* halfway on a logarithmic scale, whatever the unit */
	assert_int_equal(chart_heat_shade(32, 1, 1024),
			 chart_heat_shade(32e-6, 1e-6, 1024e-6));
	/* outside, and no range at all */
	assert_int_equal(chart_heat_shade(0.1, 1, 10),
			 chart_heat_shade(1, 1, 10));
	assert_int_equal(chart_heat_shade(99, 1, 10),
			 chart_heat_shade(10, 1, 10));
	assert_int_equal(chart_heat_shade(3, 3, 3),
			 chart_heat_shade(1, 1, 10));
}

static int count(const char *text, const char *word)
{
	int n = 0;

	for (text = strstr(text, word); text; text = strstr(text + 1, word))
		n++;
	return n;
}

/* Every place on the page is on the page. */
static void check_inside(const char *script)
{
	const char *s = script;
	int n = 0;

	while ((s = strstr(s, "screen "))) {
		double v = strtod(s + 7, NULL);

		assert_true(v >= 0 && v <= 1);
		s += 7;
		n++;
	}
	assert_true(n > 10);
}

/*
 *	B  x	x: no plan
 *	A  A
 *
 * Borders: A-B, A-x (above each other), B-x (side by side): 3; one cross.
 */
static void test_borders(void **state)
{
	static const char *const x[] = { "100Gb/s", "200Gb/s" };
	static const char *const y[] = { "2", "4" };
	static const char *const plan[] = { "flat 1/1", "2d 4/8" };
	static const struct chart_cell cell[] = {
		{ 1e-3, 0 }, { 2e-3, 0 }, { 4e-3, 1 }, { 0, -1 },
	};
	struct chart_heat c = {
		.head = { "Best plan", "simulated" }, .x_axis = "NIC",
		.y_axis = "nodes", .x_tic = x, .y_tic = y, .n_x = 2, .n_y = 2,
		.value_name = "step time", .kind = TABLE_TIME, .cell = cell,
		.plan = plan, .n_plans = 2,
	};
	struct buf out = { 0 };
	int w, h;

	(void)state;
	chart_heat_script(&c, &out, &w, &h);
	assert_int_equal(count(out.s, "lw 2.5"), 3);
	assert_int_equal(count(out.s, "lw 0.7"), 2);
	assert_int_equal(count(out.s, "'2d 4/8'"), 1);
	assert_int_equal(count(out.s, "'1 ms'"), 1);
	assert_int_equal(count(out.s, "'4 ms'"), 2);	/* cell and scale */
	assert_int_equal(count(out.s, "step time  1 ms"), 1);
	check_inside(out.s);
	assert_true(w == 620 && h > 150 && h < 400);
	buf_release(&out);
}

/* Many of all, long and hostile: still on the page, still one command each. */
static void test_hostile(void **state)
{
	const char *name = "x'; set output 'pwned'\n\033 and a very long name "
			   "that goes on and on and on and on";
	const char *tic[100], *plan[100];
	struct chart_cell *cell = calloc(100 * 100, sizeof(*cell));
	struct chart_heat c = {
		.head = { name, name }, .x_axis = name, .y_axis = name,
		.x_tic = tic, .y_tic = tic, .n_x = 100, .n_y = 100,
		.value_name = "t", .kind = TABLE_TIME, .cell = cell,
		.plan = plan, .n_plans = 100,
	};
	struct buf out = { 0 };
	int w, h, i;

	(void)state;
	assert_non_null(cell);
	for (i = 0; i < 100; i++)
		tic[i] = plan[i] = name;
	for (i = 0; i < 100 * 100; i++)
		cell[i] = (struct chart_cell){ 1 + i, i % 100 };
	chart_heat_script(&c, &out, &w, &h);
	assert_null(strstr(out.s, "x';"));
	assert_null(strchr(out.s, '\033'));
	assert_int_equal(count(out.s, "'80 others'"), 1);
	check_inside(out.s);
	assert_true(h < 2000);
	buf_release(&out);
	free(cell);
}

/* One key: one row without names; nothing that has a plan: no scale. */
static void test_one_row(void **state)
{
	static const char *const x[] = { "a", "b", "c" };
	static const struct chart_cell cell[3] = {
		{ 0, -1 }, { 0, -1 }, { 0, -1 },
	};
	struct chart_heat c = {
		.x_axis = "kind", .x_tic = x, .n_x = 3, .n_y = 1,
		.value_name = "step time", .kind = TABLE_TIME, .cell = cell,
	};
	struct buf out = { 0 };
	int w, h;

	(void)state;
	chart_heat_script(&c, &out, &w, &h);
	assert_int_equal(count(out.s, "lw 2.5"), 0);
	assert_int_equal(count(out.s, "lw 0.7"), 6);
	assert_int_equal(count(out.s, "step time"), 0);
	buf_release(&out);
}

/* The page's parts, with texts that would be markup. */
static void test_page(void **state)
{
	static const char *const head[] = { "a<b", "time" };
	struct page p = { .deeper = 1 };

	(void)state;
	page_heading(&p, 2, "x & y");
	page_pre(&p, "a: <1>\n  b: 2\nend");
	page_table_begin(&p, head, 2, 1);
	page_row(&p);
	page_cell(&p, "<script>");
	page_value(&p, 1.5e-3, TABLE_TIME);
	page_row_end(&p);
	page_row(&p);
	page_cell(&p, "");
	page_value(&p, NAN, TABLE_TIME);
	page_row_end(&p);
	page_table_end(&p);
	assert_string_equal(buf_str(&p.out),
		"<h3>x &amp; y</h3>\n"
		"<pre>a: &lt;1&gt;\n  b: 2\nend</pre>\n"
		"<div class=\"wide\"><table>\n<thead><tr><th>a&lt;b</th>"
		"<th class=\"n\">time</th></tr></thead>\n<tbody>\n"
		"<tr><td>&lt;script&gt;</td><td class=\"n\">1.5 ms</td>"
		"</tr>\n<tr><td></td><td class=\"n\">-</td></tr>\n"
		"</tbody></table></div>\n");
	page_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_shades),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_one_row),
		cmocka_unit_test(test_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
