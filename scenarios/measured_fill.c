/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rates of a grid's nodes that have no points; see measured_product.c. */
#include "scenarios/measured_grid.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* Points of one series further apart say little of what lies between. */
#define BETWEEN_MOST 4.5

/*
 * start + max(work / FLOP/s, elements / their rate), with the shortest time
 * and the best rates of the points: between shapes as different as a gate's
 * and an expert's, times are more like this than like one another. Products
 * whose number is not an axis have as many as the points of their columns.
 */
struct roof {
	double start_s, work_rate, element_rate;
	double batch[AXIS_MAX];	/* of each place on COLUMNS; logarithm */
};

static double elements(double m, double columns, double k, double batch)
{
	return m * k * batch + k * columns + m * columns;
}

double point_elements(const struct product_point *p)
{
	return elements(p->m, p->n * p->batch, p->k, p->batch);
}

static void roof_init(const struct product_grid *g,
		      const struct product_table *t, double start_s,
		      struct roof *r)
{
	const struct product_point *p;
	int count[AXIS_MAX] = { 0 }, i, at;

	*r = (struct roof){ .start_s = start_s };
	for (i = 0; i < t->n; i++) {
		p = &t->point[i];
		r->work_rate = fmax(r->work_rate, exp(point_rate(p)));
		r->element_rate = fmax(r->element_rate,
				       point_elements(p) / p->seconds);
		at = grid_axis_near(&g->axis[COLUMNS], grid_point_size(g, p, COLUMNS));
		count[at]++;
		r->batch[at] += (log(p->batch) - r->batch[at]) / count[at];
	}
}

/* Its rate at a node; logarithm. */
static double roof_rate(const struct product_grid *g, const struct roof *r,
			int node)
{
	double m = g->axis[ROWS].size[node_index(g, node, ROWS)];
	double k = g->axis[DEPTH].size[node_index(g, node, DEPTH)];
	double batch = g->axis[BATCH].size[node_index(g, node, BATCH)];
	int at = node_index(g, node, COLUMNS);
	double columns = g->axis[COLUMNS].size[at] * batch;
	double work = 2 * m * columns * k;

	if (!g->one_by_one)
		batch = exp(r->batch[at]);
	return log(work / (r->start_s +
			   fmax(work / r->work_rate,
				elements(m, columns, k, batch) /
				r->element_rate)));
}

/* The nearest node with points on an axis, that way (-1 or 1); -1: none. */
static int known_along(const struct product_grid *g, const struct node *node,
		       int from, int axis, int way)
{
	int at = node_index(g, from, axis), to;

	for (at += way; at >= 0 && at < g->axis[axis].n; at += way) {
		to = from + (at - node_index(g, from, axis)) *
			g->axis[axis].step;
		if (node[to].n)
			return to;
	}
	return -1;
}

static double log_size(const struct product_grid *g, int node, int axis)
{
	return g->axis[axis].v[node_index(g, node, axis)];
}

/* Between two of the same series seconds are linear, as between any nodes.
 * The rate there, and how far apart they are; false: it is not between. */
static bool between(const struct product_grid *g, const struct node *node,
		    int i, int axis, double *rate_p, double *gap_p)
{
	int lo = known_along(g, node, i, axis, -1);
	int hi = known_along(g, node, i, axis, 1);
	double x, a, b, part;

	if (lo < 0 || hi < 0)
		return false;
	x = log_size(g, i, axis);
	a = log_size(g, lo, axis);
	b = log_size(g, hi, axis);
	*gap_p = b - a;
	if (*gap_p > log(BETWEEN_MOST))
		return false;
	/* seconds of a size: size / rate, but for what is the same in all */
	part = (exp(x) - exp(a)) / (exp(b) - exp(a));
	*rate_p = x - log((1 - part) * exp(a - node[lo].rate) +
			  part * exp(b - node[hi].rate));
	return true;
}

/* What a series says itself, by the axes on which it does: the closer its
 * points, the more it counts. */
static bool between_any(const struct product_grid *g, const struct node *node,
			int i, double *rate_p)
{
	double sum = 0, weight = 0, rate, gap;
	int axis;

	for (axis = 0; axis < AXES; axis++) {
		if (!between(g, node, i, axis, &rate, &gap))
			continue;
		sum += rate / (gap * gap);
		weight += 1 / (gap * gap);
	}
	*rate_p = sum / weight;
	return weight > 0;
}

/* Nodes that others' sizes put between two points of a series. */
static void fill_between(const struct product_grid *g, struct node *node)
{
	double *rate = xcalloc((size_t)g->n, sizeof(*rate));
	int i;

	for (i = 0; i < g->n; i++) {
		if (node[i].n || !between_any(g, node, i, &rate[i]))
			rate[i] = NAN;
	}
	for (i = 0; i < g->n; i++) {
		if (!isnan(rate[i]))
			node[i] = (struct node){ rate[i], 1 };
	}
	free(rate);
}

void grid_fill(const struct product_grid *g, const struct product_table *t,
	       double start_s, struct node *node)
{
	struct roof roof;
	int i;

	fill_between(g, node);
	roof_init(g, t, start_s, &roof);
	for (i = 0; i < g->n; i++) {
		if (node[i].n)
			node[i].rate -= roof_rate(g, &roof, i);
	}
	grid_krige(g, node);
	for (i = 0; i < g->n; i++)
		node[i].rate += roof_rate(g, &roof, i);
}
