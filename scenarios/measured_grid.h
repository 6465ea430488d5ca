/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The grid under a table of products. Private to scenarios/measured_*.c. */
#ifndef SCENARIOS_MEASURED_GRID_H
#define SCENARIOS_MEASURED_GRID_H

#include "scenarios/measured.h"

/* Nodes of an axis; more different values share nodes. */
#define AXIS_MAX 64

enum { ROWS, COLUMNS, DEPTH, BATCH, AXES };

struct axis {
	int n, step;	/* nodes; index distance of neighbours */
	double v[AXIS_MAX];	/* logarithms */
	double size[AXIS_MAX];	/* exp() of them */
};

struct product_grid {
	bool one_by_one;
	struct axis axis[AXES];
	int n;		/* nodes of all axes */
	double *seconds;	/* [n], isotonic */
	double elements_min;	/* of all points: what they read and write */
};

struct node {
	double rate;	/* logarithm */
	int n;		/* points; 0: none */
};

static inline int node_index(const struct product_grid *g, int node, int axis)
{
	return node / g->axis[axis].step % g->axis[axis].n;
}

/* Of one axis: logarithm of what the point has there; the nearest node. */
double grid_point_size(const struct product_grid *g,
		       const struct product_point *p, int axis);
int grid_axis_near(const struct axis *a, double v);

/* Logarithm of FLOP/s. Values read and written. */
double point_rate(const struct product_point *p);
double point_elements(const struct product_point *p);

/*
 * Nodes without points get a rate: what the others differ from the roof by
 * (start_s: the shortest time there is) is filled in.
 */
void grid_fill(const struct product_grid *g, const struct product_table *t,
	       double start_s, struct node *node);

/* Nodes without points get what those with points tell. */
void grid_krige(const struct product_grid *g, struct node *node);

#endif
