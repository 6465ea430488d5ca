/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The measurements that ship (profiles/data/h200-x2.jsonl, two H200): fits of
 * them made now are the shipped ones (scenarios/data/profiles), and how well
 * a curve or table says what was left out of it.
 */
#include "profiles/fit.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "profiles/fit_groups.h"
#include "profiles/jsonl.h"
#include "scenarios/measured_json.h"
#include "tests/unit/store_help.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME "h200-x2"
#define TEXT_MAX (64u << 20)
#define SIZES_MAX 512
#define SAME 1e-9	/* relative; other compilers round otherwise */
#define LEAST_BYTES 1e6
#define LEAST_ROWS 128
#define PRODUCT_BOUND 0.05

static char *read_source(const char *name, size_t *len)
{
	const char *src = getenv("srcdir");
	char path[1024], *text;

	snprintf(path, sizeof(path), "%s/%s", src ? src : ".", name);
	assert_int_equal(infile_read(path, TEXT_MAX, &text, len), ST_OK);
	return text;
}

static struct store *samples;
static struct measured fresh, shipped;

static int set_up(void **state)
{
	struct jsonl_result r = { 0 };
	size_t len;
	char *text = read_source("profiles/data/" NAME ".jsonl", &len);

	scratch_make(state);
	samples = opened(scratch_path("p.db"), STORE_WRITE);
	assert_int_equal(store_load_jsonl(samples, NAME, text, len, &r), ST_OK);
	assert_int_equal(r.n_skips, 0);
	jsonl_result_release(&r);
	free(text);
	assert_int_equal(fit_measured(samples, &fresh), ST_OK);
	text = read_source("scenarios/data/profiles/" NAME ".fit.json", &len);
	assert_int_equal(measured_json_parse(NAME, text, len, &shipped),
			 ST_OK);
	free(text);
	return 0;
}

static int tear_down(void **state)
{
	measured_release(&fresh);
	measured_release(&shipped);
	store_close(samples);
	return scratch_remove(state);
}

/* ---- the same ---- */

static void same(double a, double b)
{
	if (a == b || fabs(a - b) <= SAME * fmax(fabs(a), fabs(b)))
		return;
	fail_msg("%.17g is not %.17g", a, b);
}

static void same_curve(const struct curve *a, const struct curve *b)
{
	int i;

	assert_int_equal(a->n, b->n);
	assert_int_equal(a->source, b->source);
	for (i = 0; i < a->n; i++) {
		same(a->piece[i].upto, b->piece[i].upto);
		same(a->piece[i].a, b->piece[i].a);
		same(a->piece[i].b, b->piece[i].b);
		same(a->piece[i].c, b->piece[i].c);
	}
}

static void test_curves(void **state)
{
	int i;

	(void)state;
	assert_string_equal(fresh.source, shipped.source);
	assert_string_equal(fresh.gpu, shipped.gpu);
	assert_int_equal(fresh.n_curves, shipped.n_curves);
	assert_true(fresh.n_curves >= 20);
	for (i = 0; i < fresh.n_curves; i++) {
		const struct measured_curve *a = &fresh.curve[i];
		const struct measured_curve *b = &shipped.curve[i];

		assert_string_equal(a->op, b->op);
		assert_string_equal(a->tier, b->tier);
		assert_int_equal(a->ranks, b->ranks);
		same(a->min_bytes, b->min_bytes);
		same(a->max_bytes, b->max_bytes);
		same(a->r2, b->r2);
		same(a->mape, b->mape);
		same_curve(&a->curve, &b->curve);
		same_curve(&a->smooth, &b->smooth);
	}
}

static void test_points(void **state)
{
	const struct product_table *a = &fresh.table[0];
	const struct product_table *b = &shipped.table[0];
	int i;

	(void)state;
	assert_int_equal(fresh.n_tables, 1);
	assert_int_equal(shipped.n_tables, 1);
	assert_int_equal(a->dtype, b->dtype);
	assert_int_equal(a->n, b->n);
	for (i = 0; i < a->n; i++) {
		same(a->point[i].m, b->point[i].m);
		same(a->point[i].n, b->point[i].n);
		same(a->point[i].k, b->point[i].k);
		same(a->point[i].batch, b->point[i].batch);
		same(a->point[i].seconds, b->point[i].seconds);
	}
}

/* ---- what was left out ---- */

struct score {
	double mean, worst;
	int n;
};

static void score_add(struct score *s, double said, double seen)
{
	double e = fabs(said - seen) / seen;

	s->n++;
	s->mean += (e - s->mean) / s->n;
	s->worst = fmax(s->worst, e);
}

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *t, int n)
{
	qsort(t, (size_t)n, sizeof(*t), by_number);
	return (t[(n - 1) / 2] + t[n / 2]) / 2;
}

/* All samples of one size are left out; the fit chooses its form anew. */
static void leave_size_out(const struct fit_group *g, double size,
			   struct score *out)
{
	double n[SIZES_MAX], t[SIZES_MAX], left[SIZES_MAX];
	int count = 0, n_left = 0;
	struct fit fit;
	size_t i;

	for (i = 0; i < g->count; i++) {
		if (g->n[i] == size) {
			left[n_left++] = g->t[i];
			continue;
		}
		n[count] = g->n[i];
		t[count++] = g->t[i];
	}
	assert_int_equal(fit_curve(n, t, count, &fit), ST_OK);
	score_add(out, curve_eval(&fit.curve, size), median(left, n_left));
}

static bool seen_before(const struct fit_group *g, size_t at)
{
	size_t i;

	for (i = 0; i < at && g->n[i] != g->n[at]; i++)
		;
	return i < at;
}

static struct score score_group(const struct fit_group *g)
{
	struct score s = { 0 };
	size_t i;

	assert_true(g->count <= SIZES_MAX);
	for (i = 0; i < g->count; i++) {
		if (g->n[i] >= LEAST_BYTES && !seen_before(g, i))
			leave_size_out(g, g->n[i], &s);
	}
	return s;
}

/*
 * 5 %, but for what the samples do not reach, with what was seen (rounded
 * up). NVLink, 2 ranks, from 1 MB up: NCCL changes protocol and channels on
 * the way, and the runner took 11 to 14 sizes there; of a size that is left
 * out at such a step the neighbours say little (worst 15 to 27 %). Of what
 * forecasts take, the all-to-all has 3.8 %.
 */
static const struct {
	const char *op, *tier;
	double bound;
} bounds[] = {
	{ "allgather", "nvlink", 0.065 },	/* 6.1 % */
	{ "allreduce", "nvlink", 0.10 },	/* 9.4 % */
	{ "reducescatter", "nvlink", 0.075 },	/* 7.0 % */
	{ "sendrecv", "nvlink", 0.075 },	/* 7.0 % */
	{ NULL, NULL, 0.05 },
};

static double bound_of(const struct fit_row *key)
{
	size_t i;

	for (i = 0; bounds[i].op; i++) {
		if (!strcmp(bounds[i].op, key->op) &&
		    !strcmp(bounds[i].tier, key->tier))
			break;
	}
	return bounds[i].bound;
}

/* Sockets: five sizes. CTA limits, uneven parts: no forecast takes them. */
static bool is_scored(const struct fit_row *key)
{
	return sample_op_is_exchange(key->op) && !key->ctas &&
		strcmp(key->variant, "uneven") && strcmp(key->tier, "socket");
}

static void test_left_out_sizes(void **state)
{
	struct fit_groups g;
	struct score s;
	int bad = 0;
	size_t i;

	(void)state;
	assert_int_equal(fit_groups_read(samples, &g), ST_OK);
	for (i = 0; i < g.n; i++) {
		const struct fit_row *key = &g.group[i].key;

		if (!is_scored(key))
			continue;
		s = score_group(&g.group[i]);
		print_message("# %s %s: %d sizes left out, error %.2f %%, "
			      "worst %.1f %%\n", key->op, key->tier, s.n,
			      100 * s.mean, 100 * s.worst);
		bad += !(s.mean <= bound_of(key));
	}
	fit_groups_release(&g);
	assert_int_equal(bad, 0);
}

/*
 * All sizes are 1 MB or more; the fit's own cross-validation. Bounds are what
 * was seen: kernels whose work steps with the size (sort, topk), launches
 * that are as long as the work (copy, stream, gate at 1 MB). A forecast takes
 * the largest size of stream.
 */
static void test_memory(void **state)
{
	static const struct {
		const char *op, *tier;
		double bound;
	} row[] = {
		{ "combine", "memory", 0.05 }, { "permute", "memory", 0.05 },
		{ "copy", "memory", 0.05 }, { "stream", "memory", 0.07 },
		{ "gate", "compute", 0.06 }, { "sort", "memory", 0.11 },
		{ "topk", "memory", 0.15 },
	};
	const struct measured_curve *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(*row); i++) {
		c = measured_find(&shipped, row[i].op, row[i].tier, 1);
		assert_non_null(c);
		print_message("# %s: error %.2f %%\n", c->op, 100 * c->mape);
		assert_true(c->mape <= row[i].bound);
	}
}

/*
 * With the ways mixed (a shape by whichever way was measured there) this was
 * 44 %, worst 199 %.
 */
static void test_left_out_products(void **state)
{
	const struct product_table *all = &fresh.table[0];
	struct product_point *p = xcalloc((size_t)all->n, sizeof(*p));
	struct score inside = { 0 }, past = { 0 };
	struct product_table t;
	bool outside;
	int i, j, n;

	(void)state;
	for (i = 0; i < all->n; i++) {
		const struct product_point *x = &all->point[i];
		double said;

		if (x->m < LEAST_ROWS)
			continue;
		for (j = n = 0; j < all->n; j++) {
			if (j != i)
				p[n++] = all->point[j];
		}
		assert_int_equal(product_table_init(&t, all->dtype, p, n),
				 ST_OK);
		said = product_seconds(&t, x->m, x->n, x->k, x->batch,
				       &outside);
		score_add(outside ? &past : &inside, said, x->seconds);
		product_table_release(&t);
	}
	print_message("# products from %d rows up: %d left out, error "
		      "%.2f %%, worst %.1f %%; %d past the range of the rest, "
		      "%.2f %%\n", LEAST_ROWS, inside.n, 100 * inside.mean,
		      100 * inside.worst, past.n, 100 * past.mean);
	free(p);
	assert_true(inside.mean <= PRODUCT_BOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_curves),
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_left_out_sizes),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_left_out_products),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
