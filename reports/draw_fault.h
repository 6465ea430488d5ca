/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Degraded parts in the drawing of a cluster. A part at a share of its speed
 * has a thick edge (vermillion) and the share in place of its name; one that
 * is gone is crossed out and says so: readable without colours. Lines under
 * the title name every fault, drawn or not.
 */
#ifndef REPORTS_DRAW_FAULT_H
#define REPORTS_DRAW_FAULT_H

#include "reports/draw.h"

/* Its share of its speed, all faults of the place together; 1: none. */
double draw_fault_share(const struct cluster *c, enum fault_kind kind,
			int node, int index);

/* Over a box that is there already; `name` before the share, may be "". */
void draw_fault_box(struct drawing *d, double x0, double y0, double x1,
		    double y1, const char *name, double share);
/* A little box of that kind on a wire. */
void draw_fault_mark(struct drawing *d, double x, double y, double share);

/* Nodes of the first faults, `max` at most, ascending; returns how many. */
int draw_fault_nodes(const struct cluster *c, int max, int *node);
/* One more where there is room and it is not in the list; the new n. */
int draw_fault_node_add(int what, int max, int *node, int n);

/* Room that the lines take, and the lines, downwards from y; no faults: 0. */
double draw_fault_notes_pt(const struct cluster *c);
void draw_fault_notes(struct drawing *d, const struct cluster *c, double x,
		      double y, double width);

#endif
