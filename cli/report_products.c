/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/report_products.h"

#include "profiles/fit.h"
#include "reports/chart.h"
#include "reports/chart_fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHAPES_MAX 6	/* in one figure */
#define RATE_FIGURES_MAX 2	/* of one table */
#define TABLES_MAX 6
#define LINE_POINTS 160
/* Each point left out takes a table made anew: of more an even choice. */
#define LEFT_OUT_MAX 250

/* Points of one shape, by rows: t->point[first, first + n). */
struct shape {
	const struct product_point *p;
	int n;
};

struct rates {	/* one shape in the figure */
	char *label;
	double *m, *tflops;
	double line_m[LINE_POINTS], line[LINE_POINTS];
};

static double tflops_of(const struct product_point *p, double m,
			double seconds)
{
	return 2 * m * p->n * p->k * p->batch / seconds / 1e12;
}

static int compare(double a, double b)
{
	return a < b ? -1 : a > b;
}

static int by_shape(const void *va, const void *vb)
{
	const struct product_point *a = va, *b = vb;
	int c = compare(a->n, b->n);

	c = c ? c : compare(a->k, b->k);
	c = c ? c : compare(a->batch, b->batch);
	return c ? c : compare(a->m, b->m);
}

static bool same_shape(const struct product_point *a,
		       const struct product_point *b)
{
	return a->n == b->n && a->k == b->k && a->batch == b->batch;
}

/* Those with most points first; of as many the smaller shape. */
static int by_points(const void *va, const void *vb)
{
	const struct shape *a = va, *b = vb;

	return a->n != b->n ? b->n - a->n : by_shape(a->p, b->p);
}

static int by_first(const void *va, const void *vb)
{
	const struct shape *a = va, *b = vb;

	return by_shape(a->p, b->p);
}

/* Shapes of sorted points, the ones to draw first; *n_p: all, returns those. */
static struct shape *find_shapes(const struct product_point *p, int n,
				 int *n_p)
{
	struct shape *out = xcalloc((size_t)n + 1, sizeof(*out));
	int i, found = 0, shown;

	for (i = 0; i < n; i++) {
		if (!i || !same_shape(&p[i], &p[i - 1]))
			out[found++].p = &p[i];
		out[found - 1].n++;
	}
	qsort(out, (size_t)found, sizeof(*out), by_points);
	shown = found < SHAPES_MAX * RATE_FIGURES_MAX ? found :
		SHAPES_MAX * RATE_FIGURES_MAX;
	qsort(out, (size_t)shown, sizeof(*out), by_first);
	*n_p = found;
	return out;
}

static void rates_init(struct rates *r, const struct product_table *t,
		       const struct shape *s)
{
	const struct product_point *last = &s->p[s->n - 1];
	double lo = log(s->p->m), step = (log(last->m) - lo) /
		(LINE_POINTS - 1), m;
	int i;

	r->label = xasprintf("%g of %g x %g", s->p->batch, s->p->k, s->p->n);
	r->m = xcalloc((size_t)s->n, sizeof(*r->m));
	r->tflops = xcalloc((size_t)s->n, sizeof(*r->tflops));
	for (i = 0; i < s->n; i++) {
		r->m[i] = s->p[i].m;
		r->tflops[i] = tflops_of(s->p, s->p[i].m, s->p[i].seconds);
	}
	for (i = 0; i < LINE_POINTS; i++) {
		m = exp(lo + i * step);
		r->line_m[i] = m;
		r->line[i] = tflops_of(s->p, m, product_seconds(t, m, s->p->n,
					s->p->k, s->p->batch, NULL));
	}
}

static const char *variant_of(const struct product_table *t)
{
	return *t->variant ? t->variant : "plain";
}

/* Name of a file: letters, digits and '-'. */
static void file_name(char *out, size_t size, const char *kind,
		      const struct product_table *t, int i)
{
	snprintf(out, size, "products-%s-%s-%d", kind, dtype_name(t->dtype),
		 i);
}

static enum status write_lines(const struct report_figures *r,
			       const struct chart_lines *c)
{
	enum status st = chart_lines_write(c, r->figure[r->n - 1].svg_path);

	return st ? st : chart_lines_write(c, r->png[r->n - 1]);
}

/* The shapes [0, n) of a table in one figure. */
static enum status draw_rates(struct report_figures *out, const char *dir,
			      const char *gpu, const struct product_table *t,
			      const struct shape *s, int n, int n_all)
{
	struct chart_series series[2 * SHAPES_MAX] = { { 0 } };
	struct rates r[SHAPES_MAX];
	const char *title = arena_printf(&out->arena, "Products of %s, %s: "
		"TFLOP/s against rows", dtype_name(t->dtype), variant_of(t));
	const char *below = arena_printf(&out->arena, "%s; points: measured "
		"(median), lines: interpolated; legend: products of k x n each",
		gpu);
	struct chart_lines c = {
		.head = { title, below }, .x_log = true, .series = series,
		.n_series = 2 * n, .x_axis = "rows of each product (tokens "
		"per expert)", .y_axis = "TFLOP/s",
	};
	enum status st;
	char name[64];
	int i;

	for (i = 0; i < n; i++) {
		rates_init(&r[i], t, &s[i]);
		series[2 * i] = (struct chart_series){ .label = r[i].label,
			.x = r[i].m, .y = r[i].tflops, .n = s[i].n,
			.points_only = true };
		series[2 * i + 1] = (struct chart_series){
			.label = r[i].label, .x = r[i].line_m,
			.y = r[i].line, .n = LINE_POINTS, .of_last = true };
	}
	file_name(name, sizeof(name), "rate", t, out->n + 1);
	report_figures_add(out, dir, "Products", arena_printf(&out->arena,
		"%s, %s, %s: measured and interpolated, %d of %d shapes", gpu,
		dtype_name(t->dtype), variant_of(t), n, n_all), name);
	st = write_lines(out, &c);
	for (i = 0; i < n; i++) {
		free(r[i].label);
		free(r[i].m);
		free(r[i].tflops);
	}
	return st;
}

static enum status draw_table(struct report_figures *out, const char *dir,
			      const char *gpu, const struct product_table *t)
{
	struct product_point *p = xcalloc((size_t)t->n, sizeof(*p));
	enum status st = ST_OK;
	struct shape *shape;
	int n_all, shown, i, n;

	memcpy(p, t->point, (size_t)t->n * sizeof(*p));
	qsort(p, (size_t)t->n, sizeof(*p), by_shape);
	shape = find_shapes(p, t->n, &n_all);
	shown = n_all < SHAPES_MAX * RATE_FIGURES_MAX ? n_all :
		SHAPES_MAX * RATE_FIGURES_MAX;
	for (i = 0; i < shown && !st; i += n) {
		n = shown - i < SHAPES_MAX ? shown - i : SHAPES_MAX;
		st = draw_rates(out, dir, gpu, t, shape + i, n, n_all);
	}
	free(shape);
	free(p);
	return st;
}

/* ---- left out in turn ---- */

struct left_out {
	double *measured, *got;
	int n;
	double error;	/* sum of relative errors */
};

/* The table without point `at`; false: the point is outside its range. */
static bool without(const struct product_table *t, int at, double *seconds)
{
	const struct product_point *x = &t->point[at];
	struct product_point *p = xcalloc((size_t)t->n, sizeof(*p));
	struct product_table rest;
	bool outside = true;
	int n = t->n - 1;

	memcpy(p, t->point, (size_t)at * sizeof(*p));
	memcpy(p + at, x + 1, (size_t)(n - at) * sizeof(*p));
	if (!product_table_init(&rest, t->dtype, t->variant, p, n)) {
		*seconds = product_seconds(&rest, x->m, x->n, x->k, x->batch,
					   &outside);
		product_table_release(&rest);
	}
	free(p);
	return !outside;
}

static void left_out_init(struct left_out *l, const struct product_table *t)
{
	int most = t->n < LEFT_OUT_MAX ? t->n : LEFT_OUT_MAX, i, at;

	*l = (struct left_out){ .n = 0 };
	l->measured = xcalloc((size_t)most + 1, sizeof(*l->measured));
	l->got = xcalloc((size_t)most + 1, sizeof(*l->got));
	for (i = 0; i < most; i++) {
		at = (int)((long)i * t->n / most);
		if (!without(t, at, &l->got[l->n]))
			continue;
		l->measured[l->n] = t->point[at].seconds;
		l->error += fabs(l->got[l->n] / l->measured[l->n] - 1);
		l->n++;
	}
}

/* All ways to compute products of one type in one figure. */
static enum status draw_left_out(struct report_figures *out, const char *dir,
				 const struct measured *m, int first, int n)
{
	const struct product_table *t = &m->table[first];
	struct chart_scatter_series series[TABLES_MAX];
	struct left_out l[TABLES_MAX];
	const char *type = dtype_name(t->dtype);
	struct chart_scatter c = { .series = series,
		.y_axis = "interpolated time (seconds)" };
	enum status st = ST_OK;
	char name[64];
	int i, points = 0;

	for (i = 0; i < n; i++) {
		left_out_init(&l[i], &t[i]);
		if (!l[i].n)
			continue;
		series[c.n_series++] = (struct chart_scatter_series){
			arena_printf(&out->arena, "%s: mean error %.1f %%",
				     variant_of(&t[i]),
				     100 * l[i].error / l[i].n),
			l[i].measured, l[i].got, l[i].n,
		};
		points += l[i].n;
	}
	c.head.title = arena_printf(&out->arena, "Products of %s: "
				    "interpolated against measured", type);
	c.head.subtitle = arena_printf(&out->arena, "%s; each of %d points "
				       "by the table without it", m->gpu,
				       points);
	if (c.n_series) {
		file_name(name, sizeof(name), "scatter", t, out->n + 1);
		report_figures_add(out, dir, "Products", arena_printf(
			&out->arena, "%s, %s: interpolated by the table "
			"without the point, against measured", m->gpu, type),
			name);
		st = chart_scatter_write(&c, out->figure[out->n - 1].svg_path);
		if (!st)
			st = chart_scatter_write(&c, out->png[out->n - 1]);
	}
	for (i = 0; i < n; i++) {
		free(l[i].measured);
		free(l[i].got);
	}
	return st;
}

static enum status draw(struct report_figures *out, const char *dir,
			const struct measured *m)
{
	enum status st = ST_OK;
	int i, from, to, n = m->n_tables;

	n = n < TABLES_MAX ? n : TABLES_MAX;
	for (from = 0; from < n && !st; from = to) {
		for (to = from + 1; to < n; to++) {
			if (m->table[to].dtype != m->table[from].dtype)
				break;
		}
		for (i = from; i < to && !st; i++)
			st = draw_table(out, dir, m->gpu, &m->table[i]);
		if (!st)
			st = draw_left_out(out, dir, m, from, to - from);
	}
	return st;
}

enum status report_products_draw(struct store *db, const char *dir,
				 struct report_figures *out)
{
	struct measured m;
	enum status st = fit_measured(db, &m);

	*out = (struct report_figures){ 0 };
	if (st == ST_INPUT) {
		err_clear();	/* layers or sweeps alone: nothing to draw */
		return ST_OK;
	}
	if (st)
		return st;
	st = draw(out, dir, &m);
	measured_release(&m);
	return st;
}
