/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Product times on a grid that is monotone.
 *
 * Nodes lie where the logarithms of rows m, columns of all products batch*n
 * and depth k of the points are (of products that cost one by one: m, n, k
 * and batch). A node's rate is the (geometric) mean of its points; what the
 * nodes without points have: measured_fill.c. Seconds T = 2 m n k batch / rate
 * are then made isotonic, and between nodes T is linear in rows, columns and
 * depth themselves, which keeps it monotone: a fixed part and a part per row
 * is what products have, and of points four times apart that leaves 14 % error
 * where interpolated logarithms leave 34 % (test_fit_data.c's table).
 */
#include "scenarios/measured_grid.h"

#include "base/mem.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Ways in which every product costs by itself, a kernel or a group: their
 * number is an axis of its own; elsewhere it multiplies the columns. So it
 * does where groups of one number alone were measured.
 */
#define ONE_BY_ONE "per-expert"
#define IN_GROUPS "grouped"

/* Logarithms closer than this are one node. */
#define AXIS_STEP_MIN 1e-6

/* Columns or depth of a gate's products, at most: its experts. Fewer points
 * than that have no grid of their own. */
#define NARROW_MAX 256
#define GRID_POINTS_MIN 16

/* So many nodes a point, and one grid would be guesses for the most part. */
#define SPARSE 8

/* Rounds that make logarithms isotonic; fewer when one changes less. */
#define ISOTONIC 1e-4
#define ISOTONIC_ROUNDS 60

/* Beyond the ends by so much (of the logarithm) is still inside. */
#define RANGE_SLACK 1e-9

static bool is_one_by_one(const struct product_table *t)
{
	int i;

	for (i = 1; i < t->n && !strcmp(t->variant, IN_GROUPS); i++) {
		if (t->point[i].batch != t->point[0].batch)
			return true;
	}
	return !strcmp(t->variant, ONE_BY_ONE) ||
		!strcmp(t->variant, MEASURED_WEIGHTS_EACH) ||
		!strcmp(t->variant, MEASURED_ADDING_EACH);
}

static double plain_size(const struct product_grid *g,
			 const struct product_point *p, int axis)
{
	switch (axis) {
	case ROWS:
		return p->m;
	case COLUMNS:
		return g->one_by_one ? p->n : p->n * p->batch;
	case DEPTH:
		return p->k;
	default:
		return g->one_by_one ? p->batch : 1;
	}
}

double grid_point_size(const struct product_grid *g,
		       const struct product_point *p, int axis)
{
	return log(plain_size(g, p, axis));
}

double point_rate(const struct product_point *p)
{
	return log(2 * p->m * p->n * p->k * p->batch / p->seconds);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Different values, in order; thinned evenly when there are too many. */
static void axis_init(struct axis *a, double *v, int n)
{
	int i, used = 0;

	qsort(v, (size_t)n, sizeof(*v), by_value);
	for (i = 0; i < n; i++) {
		if (!used || v[i] > v[used - 1] + AXIS_STEP_MIN)
			v[used++] = v[i];
	}
	a->n = used < AXIS_MAX ? used : AXIS_MAX;
	for (i = 0; i < a->n; i++) {
		long at = a->n > 1 ? (long)i * (used - 1) / (a->n - 1) : 0;

		a->v[i] = v[at];
		a->size[i] = exp(v[at]);
	}
}

/* The nearest node. */
int grid_axis_near(const struct axis *a, double v)
{
	int lo = 0, hi = a->n - 1, mid;

	while (hi - lo > 1) {
		mid = (lo + hi) / 2;
		if (a->v[mid] <= v)
			lo = mid;
		else
			hi = mid;
	}
	return v - a->v[lo] <= a->v[hi] - v ? lo : hi;
}

static struct node *nodes_of(const struct product_grid *g,
			     const struct product_table *t)
{
	struct node *node = xcalloc((size_t)g->n, sizeof(*node)), *at;
	int i, a;

	for (i = 0; i < t->n; i++) {
		at = node;
		for (a = 0; a < AXES; a++)
			at += g->axis[a].step *
				grid_axis_near(&g->axis[a],
					  grid_point_size(g, &t->point[i], a));
		at->n++;
		at->rate += (point_rate(&t->point[i]) - at->rate) / at->n;
	}
	return node;
}

/* Pools on a line of n nodes, `step` apart, so that v rises: the weighted mean
 * of those that do not (pool adjacent violators, Ayer and others 1955). */
static void pool_line(double *v, const double *w, int n, int step)
{
	double mean[AXIS_MAX], weight[AXIS_MAX];
	int count[AXIS_MAX], pools = 0, i, k;

	for (i = 0; i < n; i++) {
		mean[pools] = v[i * step];
		weight[pools] = w[i * step];
		count[pools++] = 1;
		for (; pools > 1 && mean[pools - 2] > mean[pools - 1];
		     pools--) {
			mean[pools - 2] = (mean[pools - 2] *
					   weight[pools - 2] +
					   mean[pools - 1] *
					   weight[pools - 1]) /
				(weight[pools - 2] + weight[pools - 1]);
			weight[pools - 2] += weight[pools - 1];
			count[pools - 2] += count[pools - 1];
		}
	}
	for (i = 0, k = 0; k < pools; k++) {
		for (; count[k]; count[k]--)
			v[step * i++] = mean[k];
	}
}

/* On all lines of one axis. *change: what the axis did to v the last time.
 * Returns how far it is from that now, at most. */
static double pool_axis(const struct product_grid *g, int axis, const double *w,
		      double *change, double *v)
{
	const struct axis *x = &g->axis[axis];
	double *before = xcalloc((size_t)g->n, sizeof(*before)), most = 0;
	int i;

	for (i = 0; i < g->n; i++) {
		v[i] -= change[i];
		before[i] = v[i];
	}
	for (i = 0; i < g->n; i++) {
		if (!node_index(g, i, axis))
			pool_line(v + i, w + i, x->n, x->step);
	}
	for (i = 0; i < g->n; i++) {
		most = fmax(most, fabs(v[i] - before[i] - change[i]));
		change[i] = v[i] - before[i];
	}
	free(before);
	return most;
}

/*
 * The nearest values (least squares) that never fall along an axis: lines of
 * one axis after another, each time without what that axis did before
 * (Dykstra 1983). What the last round leaves is mended by the largest before.
 */
static void make_isotonic(const struct product_grid *g,
			  const struct node *node, double *v)
{
	double *w = xcalloc((size_t)g->n * (1 + AXES), sizeof(*w));
	double most = INFINITY;
	int round, i, a;

	for (i = 0; i < g->n; i++)
		w[i] = node[i].n ? node[i].n : 1;
	for (round = 0; round < ISOTONIC_ROUNDS && most > ISOTONIC; round++) {
		for (a = 0, most = 0; a < AXES; a++) {
			if (g->axis[a].n > 1)
				most = fmax(most, pool_axis(
					g, a, w, w + (ptrdiff_t)(1 + a) * g->n,
					v));
		}
	}
	for (i = 0; i < g->n; i++) {
		for (a = 0; a < AXES; a++) {
			if (node_index(g, i, a) > 0)
				v[i] = fmax(v[i], v[i - g->axis[a].step]);
		}
	}
	free(w);
}

static bool any_missing(const struct product_grid *g, const struct node *node)
{
	int i;

	for (i = 0; i < g->n; i++) {
		if (!node[i].n)
			return true;
	}
	return false;
}

static void set_axes(struct product_grid *g, const struct product_table *t)
{
	double *v = xcalloc((size_t)t->n, sizeof(*v));
	int i, a;

	g->n = 1;
	for (a = AXES - 1; a >= 0; a--) {
		for (i = 0; i < t->n; i++)
			v[i] = grid_point_size(g, &t->point[i], a);
		axis_init(&g->axis[a], v, t->n);
		g->axis[a].step = g->n;
		g->n *= g->axis[a].n;
	}
	free(v);
}

static double log_work(const struct product_grid *g, int node)
{
	double sum = log(2);
	int a;

	for (a = 0; a < AXES; a++)
		sum += g->axis[a].v[node_index(g, node, a)];
	return sum;
}

/* By what the axes say: not how many products share the columns. */
static double least_elements(const struct product_point *p)
{
	double columns = p->n * p->batch;

	return p->m * p->k + p->k * columns + p->m * columns;
}

static struct product_grid *grid_new(const struct product_table *t,
				     double start_s)
{
	struct product_grid *g = xcalloc(1, sizeof(*g));
	struct node *node;
	int i;

	g->one_by_one = is_one_by_one(t);
	set_axes(g, t);
	node = nodes_of(g, t);
	g->elements_min = INFINITY;
	for (i = 0; i < t->n; i++)
		g->elements_min = fmin(g->elements_min,
				       least_elements(&t->point[i]));
	if (any_missing(g, node))
		grid_fill(g, t, start_s, node);
	g->seconds = xcalloc((size_t)g->n, sizeof(*g->seconds));
	for (i = 0; i < g->n; i++)
		g->seconds[i] = log_work(g, i) - node[i].rate;
	make_isotonic(g, node, g->seconds);
	free(node);
	for (i = 0; i < g->n; i++)
		g->seconds[i] = exp(g->seconds[i]);
	return g;
}

/* A gate's: one product, of few columns or of little depth. */
static bool is_narrow(double n, double k, double batch)
{
	return batch <= 1 && fmin(n, k) <= NARROW_MAX;
}

static struct product_grid *grid_of(const struct product_table *t, bool narrow,
				    double start_s)
{
	struct product_table part = *t;
	struct product_grid *g = NULL;
	int i;

	part.n = 0;
	part.point = xcalloc((size_t)t->n, sizeof(*part.point));
	for (i = 0; i < t->n; i++) {
		const struct product_point *p = &t->point[i];

		if (is_narrow(p->n, p->k, p->batch) == narrow)
			part.point[part.n++] = *p;
	}
	if (part.n)
		g = grid_new(&part, start_s);
	free(part.point);
	return g;
}

/*
 * Gates' products and experts' have shapes so far apart that what lies between
 * would be guessed, and none is asked for there: each has a grid of its own,
 * unless a table has too few of one kind, or a point for most nodes.
 */
static void set_grids(struct product_table *t)
{
	struct product_grid all = {
		.one_by_one = is_one_by_one(t),
	};
	double start_s = INFINITY;
	int narrow = 0, i;

	for (i = 0; i < t->n; i++) {
		const struct product_point *p = &t->point[i];

		start_s = fmin(start_s, p->seconds);
		narrow += is_narrow(p->n, p->k, p->batch);
	}
	set_axes(&all, t);
	if (narrow < GRID_POINTS_MIN || t->n - narrow < GRID_POINTS_MIN ||
	    all.n <= SPARSE * t->n) {
		t->grid = grid_new(t, start_s);
		return;
	}
	t->grid = grid_of(t, false, start_s);
	t->narrow = grid_of(t, true, start_s);
}

enum status product_table_init(struct product_table *t, enum dtype dtype,
			       const char *variant,
			       const struct product_point *point, int n)
{
	int i;

	if (n < 1)
		return err_set(ST_INPUT, "products: no points");
	for (i = 0; i < n; i++) {
		const struct product_point *p = &point[i];

		if (!(p->m > 0 && p->n > 0 && p->k > 0 && p->batch > 0 &&
		      p->seconds > 0) ||
		    !isfinite(p->m * p->n * p->k * p->batch * p->seconds))
			return err_set(ST_INPUT, "products: point '%d' is not "
				       "positive", i + 1);
	}
	*t = (struct product_table){ .dtype = dtype, .n = n };
	snprintf(t->variant, sizeof(t->variant), "%s", variant);
	t->point = xcalloc((size_t)n, sizeof(*t->point));
	memcpy(t->point, point, (size_t)n * sizeof(*point));
	set_grids(t);
	return ST_OK;
}

static void grid_free(struct product_grid *g)
{
	if (g)
		free(g->seconds);
	free(g);
}

void product_table_release(struct product_table *t)
{
	grid_free(t->grid);
	grid_free(t->narrow);
	free(t->point);
	*t = (struct product_table){ 0 };
}

/*
 * Cell and position in it, 0..1; what is left over (as a logarithm) goes to
 * *beyond. In sizes: a search asks millions of times.
 */
static int axis_cell(const struct axis *a, double size, double *part_p,
		     double *beyond_p)
{
	double in = fmin(fmax(size, a->size[0]), a->size[a->n - 1]);
	int lo = 0, hi = a->n - 1, mid;

	*beyond_p = in == size ? 0 : log(size / in);
	while (hi - lo > 1) {
		mid = (lo + hi) / 2;
		if (a->size[mid] <= in)
			lo = mid;
		else
			hi = mid;
	}
	*part_p = hi > lo ?
		(in - a->size[lo]) / (a->size[hi] - a->size[lo]) : 0;
	return lo;
}

double product_seconds(const struct product_table *t, double m, double n,
		       double k, double batch, bool *outside_p)
{
	const struct product_point p = { m, n, k, batch, 0 };
	const struct product_grid *g = t->narrow && is_narrow(n, k, batch) ?
		t->narrow : t->grid;
	double share[1 << AXES] = { 1 }, part, beyond, past = 0, sum = 0;
	int node[1 << AXES] = { 0 }, corners = 1, at, a, i;
	bool outside = false;

	for (a = 0; a < AXES; a++) {
		at = g->axis[a].step *
			axis_cell(&g->axis[a], plain_size(g, &p, a), &part,
				  &beyond);
		/* at the nearest rate: seconds grow with the work */
		past += beyond;
		outside = outside || fabs(beyond) > RANGE_SLACK;
		for (i = 0; i < corners; i++)
			node[i] += at;
		if (!(part > 0))
			continue;
		for (i = 0; i < corners; i++) {
			node[corners + i] = node[i] + g->axis[a].step;
			share[corners + i] = share[i] * part;
			share[i] *= 1 - part;
		}
		corners *= 2;
	}
	for (i = 0; i < corners; i++)
		sum += share[i] * g->seconds[node[i]];
	/* small on all axes at once is not between the points either */
	if (outside_p)
		*outside_p = outside || least_elements(&p) <
			g->elements_min * (1 - RANGE_SLACK);
	return past != 0 ? sum * exp(past) : sum;
}
