/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * No constant belongs to a row of a paper's table. Each one is changed; the
 * rows whose forecasts move are counted. One that moves a
 * single row is of a cluster or a model, named first, that has but this row.
 * Every assumption that a row gave moves other rows too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/repro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const papers[] = { "fsmoe", "hetumoe", "locmoe", "lsh-moe",
				      "luffy" };

static bool is_slow(const struct paper_row *row)
{
	static const char *const kind[] = { "grid", "degrees", "models" };

	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		if (!strcmp(row->word[0], kind[i]))
			return true;
	}
	return false;
}

/* Without the rows over many layers, which take the time. */
static void load(struct paper *p, const char *name)
{
	int n = 0;

	if (paper_load(p, name))
		fail_msg("%s", err_msg());
	for (int i = 0; i < p->n_rows; i++) {
		if (!is_slow(&p->row[i]))
			p->row[n++] = p->row[i];
	}
	p->n_rows = n;
}

/* Is the part before the first point one of the row's words, or a part of
 * one of its runs? */
static bool is_of(const char *name, const struct paper_row *row)
{
	size_t n = strcspn(name, ".");

	for (int i = 0; i < row->n_words; i++) {
		const char *s = row->word[i];

		while (*s) {
			size_t len = strcspn(s, "+");

			if (len == n && !strncmp(s, name, n))
				return true;
			s += len + (s[len] == '+');
		}
	}
	return false;
}

static int rows_of(const struct paper *p, const char *name)
{
	int n = 0;

	for (int i = 0; i < p->n_rows; i++)
		n += is_of(name, &p->row[i]);
	return n;
}

/* The forecasts with another value; whole numbers are doubled or halved, where
 * a twentieth more is refused. */
static bool run_with(const struct paper *p, struct paper_value *v,
		     struct repro_result *r)
{
	static const double by[] = { 1.05, 2, 0.5 };
	double was = v->value;
	bool ok = false;

	for (size_t i = 0; i < sizeof(by) / sizeof(by[0]) && !ok; i++) {
		v->value = was * by[i];
		ok = !repro_run(p, r);
		err_clear();
	}
	v->value = was;
	return ok;
}

/* How many forecasts change with the value; one of them to *last. -1: there
 * is no forecast with another. */
static int rows_moved(const struct paper *p, struct paper_value *v,
		      const struct repro_result *base, int *last)
{
	struct repro_result r;
	int n = 0;

	if (!run_with(p, v, &r))
		return -1;
	for (int i = 0; i < r.n; i++) {
		if (fabs(r.predicted[i] / base->predicted[i] - 1) > 1e-9) {
			*last = i;
			n++;
		}
	}
	repro_release(&r);
	return n;
}

/* With sanitizers a run takes four times as long: each sixth value does. */
#ifdef __SANITIZE_ADDRESS__
#define VALUES_STEP 6
#else
#define VALUES_STEP 1
#endif

static void check_value(const struct paper *p, struct paper_value *v,
			const struct repro_result *base)
{
	int last = 0, n = rows_moved(p, v, base, &last);

	if (n == 1 && !(is_of(v->name, &p->row[last]) &&
			rows_of(p, v->name) == 1))
		fail_msg("%s: '%s' moves '%s' alone", p->name, v->name,
			 p->row[last].name);
}

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(papers) / sizeof(papers[0]); i++) {
		struct repro_result base;
		struct paper p;

		load(&p, papers[i]);
		if (repro_run(&p, &base))
			fail_msg("%s", err_msg());
		for (int k = 0; k < p.n_values; k += VALUES_STEP)
			check_value(&p, &p.value[k], &base);
		repro_release(&base);
		paper_release(&p);
	}
}

/* More rows than those that gave it rest on an assumption, or it is a line
 * through several of them. */
static void test_given(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(papers) / sizeof(papers[0]); i++) {
		struct repro_result base;
		struct paper p;
		int last, n;

		load(&p, papers[i]);
		if (repro_run(&p, &base))
			fail_msg("%s", err_msg());
		for (int k = 0; k < p.n_values; k++) {
			int gave = 0;

			for (int j = 0; j < p.n_rows; j++)
				gave += p.row[j].gave &&
					!strcmp(p.row[j].gave,
						p.value[k].name);
			n = gave ? rows_moved(&p, &p.value[k], &base,
					      &last) : 0;
			if (gave && n < 2)
				fail_msg("%s: '%s' rests on one row",
					 p.name, p.value[k].name);
		}
		repro_release(&base);
		paper_release(&p);
	}
}

/*
 * The mean of the rows that gave nothing, by hand. Of Luffy's table one cell
 * of computation and one of communication was taken for each model, and the
 * ablation's number.
 */
static void test_mean(void **state)
{
	struct repro_result r;
	struct paper p;
	double sum = 0, all = 0;
	int n = 0;

	(void)state;
	assert_int_equal(paper_load(&p, "luffy"), ST_OK);
	assert_int_equal(repro_run(&p, &r), ST_OK);
	for (int i = 0; i < p.n_rows; i++) {
		all += fabs(r.error[i]);
		if (!p.row[i].gave) {
			sum += fabs(r.error[i]);
			n++;
		}
	}
	assert_int_equal(p.n_rows, 64 + 24 + 1);
	assert_int_equal(n, p.n_rows - 2 * 2 - 1);
	assert_int_equal(r.n_free, n);
	assert_float_equal(r.mean_free_error, sum / n, 1e-12);
	assert_float_equal(r.mean_abs_error, all / p.n_rows, 1e-12);
	repro_release(&r);
	paper_release(&p);
}

/* A measured cell is met: the number was not made up. */
static void test_cells(void **state)
{
	struct repro_result r;
	struct paper p;

	(void)state;
	assert_int_equal(paper_load(&p, "luffy"), ST_OK);
	assert_int_equal(repro_run(&p, &r), ST_OK);
	for (int i = 0; i < p.n_rows; i++) {
		if (p.row[i].gave)
			assert_true(fabs(r.error[i]) < 0.005);
	}
	repro_release(&r);
	paper_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_mean),
		cmocka_unit_test(test_cells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
