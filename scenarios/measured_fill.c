/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rates of a grid's nodes that have no points; see measured_product.c. */
#include "scenarios/measured_grid.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* Rounds of the fit of the axes' effects. */
#define EFFECT_ROUNDS 50

/* Rounds of the spreading of what the effects leave; fewer on large grids: so
 * many nodes are computed at most. */
#define SPREAD_ROUNDS 100
#define SPREAD_NODES 4000000

struct effects {
	double v[AXES][AXIS_MAX];
};

static double effects_sum(const struct product_grid *g,
			  const struct effects *e, int node)
{
	return e->v[ROWS][node_index(g, node, ROWS)] +
		e->v[COLUMNS][node_index(g, node, COLUMNS)] +
		e->v[DEPTH][node_index(g, node, DEPTH)] +
		e->v[BATCH][node_index(g, node, BATCH)];
}

/* The mean of what the other axes leave, for every place on one axis. */
static void effects_sweep(const struct product_grid *g,
			  const struct node *node, int axis,
			  struct effects *e)
{
	double sum[AXIS_MAX] = { 0 };
	int count[AXIS_MAX] = { 0 }, i, at;

	for (i = 0; i < g->n; i++) {
		if (!node[i].n)
			continue;
		at = node_index(g, i, axis);
		sum[at] += node[i].rate - effects_sum(g, e, i);
		count[at]++;
	}
	for (i = 0; i < g->axis[axis].n; i++) {
		if (count[i])
			e->v[axis][i] += sum[i] / count[i];
	}
}

/* A node and its neighbours on all axes. */
struct spread {
	int node, n, next[2 * AXES];
};

static void spread_init(const struct product_grid *g, int node,
			struct spread *s)
{
	int a, at;

	*s = (struct spread){ .node = node };
	for (a = 0; a < AXES; a++) {
		at = node_index(g, node, a);
		if (at > 0)
			s->next[s->n++] = node - g->axis[a].step;
		if (at < g->axis[a].n - 1)
			s->next[s->n++] = node + g->axis[a].step;
	}
}

/* Nodes that are not known become the mean of their neighbours, again and
 * again. */
static void spread_rest(const struct product_grid *g, const bool *known,
			double *rest)
{
	struct spread *s = xcalloc((size_t)g->n, sizeof(*s));
	int rounds = SPREAD_NODES / g->n < SPREAD_ROUNDS ?
		SPREAD_NODES / g->n + 1 : SPREAD_ROUNDS;
	int n = 0, round, i, k;
	double sum;

	for (i = 0; i < g->n; i++) {
		if (!known[i])
			spread_init(g, i, &s[n++]);
	}
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < n; i++) {
			for (k = 0, sum = 0; k < s[i].n; k++)
				sum += rest[s[i].next[k]];
			rest[s[i].node] = s[i].n ? sum / s[i].n : 0;
		}
	}
	free(s);
}

/*
 * What is left at nodes between two with points on one axis (the same shape
 * with other rows): in a straight line over the logarithm of its size.
 */
static void fill_between(const struct product_grid *g, const struct node *node,
			 int axis, double *rest, bool *known)
{
	const struct axis *x = &g->axis[axis];
	int i, k, from, to, at;

	for (i = 0; i < g->n; i++) {
		if (node_index(g, i, axis))
			continue;
		for (from = -1, to = 0; to < x->n; to++) {
			if (!node[i + to * x->step].n)
				continue;
			for (k = from + 1; from >= 0 && k < to; k++) {
				at = i + k * x->step;
				if (known[at])
					continue;
				rest[at] = rest[i + from * x->step] +
					(rest[i + to * x->step] -
					 rest[i + from * x->step]) *
					(x->v[k] - x->v[from]) /
					(x->v[to] - x->v[from]);
				known[at] = true;
			}
			from = to;
		}
	}
}

/*
 * Nodes without points: the sum of one effect per axis, fitted to the others by
 * alternating means (analysis of variance without interactions), and what
 * that leaves at nodes with points: between two of one shape on the line
 * through them, elsewhere spread as heat spreads (Gauss-Seidel on Laplace's
 * equation).
 */
static void fill_nodes(const struct product_grid *g, struct node *node)
{
	double *rest = xcalloc((size_t)g->n, sizeof(*rest));
	bool *known = xcalloc((size_t)g->n, sizeof(*known));
	struct effects e = { 0 };
	int i, round, a;

	for (round = 0; round < EFFECT_ROUNDS; round++) {
		for (a = 0; a < AXES; a++)
			effects_sweep(g, node, a, &e);
	}
	for (i = 0; i < g->n; i++) {
		known[i] = node[i].n;
		if (node[i].n)
			rest[i] = node[i].rate - effects_sum(g, &e, i);
	}
	fill_between(g, node, ROWS, rest, known);
	fill_between(g, node, DEPTH, rest, known);
	fill_between(g, node, COLUMNS, rest, known);
	spread_rest(g, known, rest);
	for (i = 0; i < g->n; i++) {
		if (!node[i].n)
			node[i].rate = effects_sum(g, &e, i) + rest[i];
	}
	free(known);
	free(rest);
}

/* ---- what a time is compared with ---- */

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
	fill_nodes(g, node);
	for (i = 0; i < g->n; i++)
		node[i].rate += roof_rate(g, &roof, i);
}
