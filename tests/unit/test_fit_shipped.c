/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How well fits of the shipped measurements (profiles/data) say a size that
 * was left out: from 1 MB up, inside the measured range.
 */
#include "profiles/fit.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "profiles/fit_groups.h"
#include "profiles/jsonl.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX (1 << 26)
#define MB 1e6
#define BOUND 0.05
#define FOLDS 5
#define POINT_FOLDS 23
#define ROWS_MIN 128	/* tokens per expert */
#define GATE_MAX 256	/* experts */

static struct store *db;
static struct fit_groups groups;

static int set_up(void **state)
{
	const char *src = getenv("srcdir");
	struct jsonl_result r = { 0 };
	char path[1024], *text;
	size_t len;

	(void)state;
	snprintf(path, sizeof(path), "%s/profiles/data/h200-x2.jsonl",
		 src ? src : ".");
	if (infile_read(path, TEXT_MAX, &text, &len) ||
	    store_open(STORE_MEMORY, STORE_WRITE, &db) ||
	    store_load_jsonl(db, path, text, len, &r)) {
		print_message("%s\n", err_msg());
		return 1;
	}
	jsonl_result_release(&r);
	free(text);
	return fit_groups_read(db, &groups);
}

static int tear_down(void **state)
{
	(void)state;
	fit_groups_release(&groups);
	store_close(db);
	return 0;
}

struct score {
	double sum, worst;
	int n;
};

static void score_add(struct score *s, double got, double want)
{
	double e = fabs(got - want) / want;

	s->sum += e;
	s->worst = fmax(s->worst, e);
	s->n++;
}

/* Of the sizes in order the how manieth. */
static int place_of(const struct fit_group *g, double size)
{
	int place = 0;
	size_t i, k;

	for (i = 0; i < g->count; i++) {
		for (k = 0; k < i && g->n[k] != g->n[i]; k++)
			;
		place += k == i && g->n[i] < size;
	}
	return place;
}

/* Is it the first sample of its size? *median_p: of all of that size. */
static bool is_first(const struct fit_group *g, size_t at, double *median_p)
{
	double *t = xcalloc(g->count, sizeof(*t)), x;
	size_t i, k, n = 0;
	bool first = true;

	for (i = 0; i < g->count; i++) {
		if (g->n[i] != g->n[at])
			continue;
		first = first && i >= at;
		for (k = n++, x = g->t[i]; k > 0 && t[k - 1] > x; k--)
			t[k] = t[k - 1];
		t[k] = x;
	}
	*median_p = (t[(n - 1) / 2] + t[n / 2]) / 2;
	free(t);
	return first;
}

/* Every FOLDS-th size is left out, its neighbours stay. */
static void leave_out(const struct fit_group *g, int fold, struct score *s)
{
	double *n = xcalloc(g->count, sizeof(*n)), *t;
	bool *out = xcalloc(g->count, sizeof(*out));
	double median;
	struct fit f;
	size_t i;
	int k = 0;

	t = xcalloc(g->count, sizeof(*t));
	for (i = 0; i < g->count; i++) {
		out[i] = place_of(g, g->n[i]) % FOLDS == fold;
		if (out[i])
			continue;
		n[k] = g->n[i];
		t[k++] = g->t[i];
	}
	assert_int_equal(fit_curve(n, t, k, &f), ST_OK);
	for (i = 0; i < g->count; i++) {
		if (out[i] && g->n[i] >= MB && g->n[i] > f.min_n &&
		    g->n[i] < f.max_n && is_first(g, i, &median))
			score_add(s, curve_eval(&f.curve, g->n[i]), median);
	}
	free(n);
	free(t);
	free(out);
}

/*
 * Every exchange keeps 5 % but what goes over sockets, where two measurements
 * of one size, seconds apart, differ by 10 to 17 % (the loopback's copies take
 * the processors' turns): all-reduce 6.1 and all-to-all 6.0 %, the others 2.0
 * to 4.5 %. Each tier keeps 5 % on the whole.
 */
#define SOCKET_BOUND 0.07

static double bound_of(const struct fit_row *key)
{
	return !strcmp(key->tier, "socket") ? SOCKET_BOUND : BOUND;
}

/* Mean error of the exchanges of one tier without a limit of CTAs. */
static double tier_error(const char *tier)
{
	struct score all = { 0 }, one;
	size_t i;
	int k;

	for (i = 0; i < groups.n; i++) {
		const struct fit_group *g = &groups.group[i];

		if (strcmp(g->key.tier, tier) || g->key.ctas)
			continue;
		one = (struct score){ 0 };
		for (k = 0; k < FOLDS; k++)
			leave_out(g, k, &one);
		if (!one.n)
			continue;	/* counts: all are below a MB */
		print_message("# %s %s %s: %d sizes, error %.1f %%, worst "
			      "%.1f %%\n", tier, g->key.op, g->key.variant,
			      one.n, 100 * one.sum / one.n, 100 * one.worst);
		assert_true(one.sum / one.n <= bound_of(&g->key));
		all.sum += one.sum;
		all.n += one.n;
	}
	assert_true(all.n > 0);
	print_message("# %s: %.2f %%\n", tier, 100 * all.sum / all.n);
	return all.sum / all.n;
}

static void test_exchanges(void **state)
{
	(void)state;
	assert_true(tier_error("shm") <= BOUND);
	assert_true(tier_error("nvlink") <= BOUND);
	assert_true(tier_error("socket") <= BOUND);
}

/* The products of a gate are as small as their launches. */
static bool is_gate(const struct product_point *p)
{
	return p->batch == 1 && fmin(p->n, p->k) <= GATE_MAX;
}

/* Of experts, from ROWS_MIN tokens up: rows, or depth of a weight's gradient. */
static bool counts(const struct product_point *p, bool gate)
{
	return is_gate(p) == gate && p->m >= ROWS_MIN && p->k >= (gate ? 1 :
								ROWS_MIN);
}

/* Every POINT_FOLDS-th point is left out, those beside it stay. */
static void leave_points(const struct product_table *t, int fold, bool gate,
			 struct score *s)
{
	struct product_point *p = xcalloc((size_t)t->n, sizeof(*p));
	const struct product_point *x;
	struct product_table rest;
	bool outside;
	double got;
	int i, n = 0;

	for (i = 0; i < t->n; i++) {
		if (i % POINT_FOLDS != fold)
			p[n++] = t->point[i];
	}
	assert_int_equal(product_table_init(&rest, t->dtype, t->variant, p,
					    n), ST_OK);
	for (i = fold; i < t->n; i += POINT_FOLDS) {
		x = &t->point[i];
		if (!counts(x, gate))
			continue;
		got = product_seconds(&rest, x->m, x->n, x->k, x->batch,
				      &outside);
		if (!outside)
			score_add(s, got, x->seconds);
	}
	product_table_release(&rest);
	free(p);
}

static double table_error(const struct product_table *t, bool gate)
{
	struct score s = { 0 };
	int i;

	for (i = 0; i < POINT_FOLDS; i++)
		leave_points(t, i, gate, &s);
	print_message("# products %s%s: %d points from %d rows up, error %.1f "
		      "%%, worst %.1f %%\n", t->variant,
		      gate ? " of gates" : "", s.n, ROWS_MIN,
		      100 * s.sum / fmax(s.n, 1), 100 * s.worst);
	return s.sum / fmax(s.n, 1);
}

/* A way with few points is asked where no other reaches, which leaving points
 * out says nothing about: measured_product_seconds(). */
static bool is_asked(const struct measured *m, const struct product_table *t)
{
	int most = 0, i;

	for (i = 0; i < m->n_tables; i++) {
		if (m->table[i].dtype == t->dtype && m->table[i].n > most)
			most = m->table[i].n;
	}
	return strcmp(t->variant, "grouped") || 2 * t->n >= most;
}

/* All ways of making them, and a gate's. */
static void test_products(void **state)
{
	struct measured m;
	int i, strided = 0;

	(void)state;
	assert_int_equal(fit_measured(db, &m), ST_OK);
	for (i = 0; i < m.n_tables; i++) {
		/* no ways of making products */
		if (!strcmp(m.table[i].variant, MEASURED_SUSTAINED) ||
		    !strcmp(m.table[i].variant, MEASURED_HALF_EMPTY) ||
		    !is_asked(&m, &m.table[i]))
			continue;
		assert_true(table_error(&m.table[i], false) <= BOUND);
		if (!strcmp(m.table[i].variant, "strided-batched")) {
			assert_true(table_error(&m.table[i], true) <= BOUND);
			strided++;
		}
	}
	assert_int_equal(strided, 1);
	measured_release(&m);
}

static bool same_shape(const struct product_point *a,
		       const struct product_point *b)
{
	return a->n == b->n && a->k == b->k && a->batch == b->batch;
}

/* Rows that the whole shape of point `at` has, by the other shapes. */
static void leave_shape(const struct product_table *t, int at, struct score *s)
{
	struct product_point *p = xcalloc((size_t)t->n, sizeof(*p));
	const struct product_point *x;
	struct product_table rest;
	bool outside;
	double got;
	int i, n = 0;

	for (i = 0; i < t->n; i++) {
		if (!same_shape(&t->point[i], &t->point[at]))
			p[n++] = t->point[i];
	}
	assert_int_equal(product_table_init(&rest, t->dtype, t->variant, p,
					    n), ST_OK);
	for (i = 0; i < t->n; i++) {
		x = &t->point[i];
		if (!same_shape(x, &t->point[at]) || !counts(x, false))
			continue;
		got = product_seconds(&rest, x->m, x->n, x->k, x->batch,
				      &outside);
		if (!outside)
			score_add(s, got, x->seconds);
	}
	product_table_release(&rest);
	free(p);
}

/* Shapes that were not measured: 4.0 %. And points that were stay, but for
 * what does not rise with the work. */
static void test_shapes(void **state)
{
	struct score out = { 0 }, in = { 0 };
	const struct product_table *t;
	const struct product_point *p;
	struct measured m;
	int i, k;

	(void)state;
	assert_int_equal(fit_measured(db, &m), ST_OK);
	for (t = m.table; strcmp(t->variant, "strided-batched"); t++)
		assert_true(t < m.table + m.n_tables - 1);
	for (i = 0; i < t->n; i++) {
		p = &t->point[i];
		for (k = 0; k < i && !same_shape(&t->point[k], p); k++)
			;
		if (k == i && !is_gate(p))
			leave_shape(t, i, &out);
		if (!is_gate(p))
			score_add(&in, product_seconds(t, p->m, p->n, p->k,
						       p->batch, NULL),
				  p->seconds);
	}
	print_message("# shapes left out: %d points, error %.1f %%, worst "
		      "%.1f %%; at the points %.1f %%\n", out.n,
		      100 * out.sum / out.n, 100 * out.worst,
		      100 * in.sum / in.n);
	assert_true(out.n > 150 && out.sum / out.n <= BOUND);
	assert_true(in.sum / in.n <= 0.01);
	measured_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_products),
		cmocka_unit_test(test_shapes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
