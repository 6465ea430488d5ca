/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rates of a grid's nodes that have no points; see measured_product.c. */
#include "scenarios/measured_grid.h"

#include <math.h>

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

void grid_fill(const struct product_grid *g, const struct product_table *t,
	       double start_s, struct node *node)
{
	struct roof roof;
	int i;

	roof_init(g, t, start_s, &roof);
	for (i = 0; i < g->n; i++) {
		if (node[i].n)
			node[i].rate -= roof_rate(g, &roof, i);
	}
	grid_krige(g, node);
	for (i = 0; i < g->n; i++)
		node[i].rate += roof_rate(g, &roof, i);
}
