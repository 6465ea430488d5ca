/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The drawing of a cluster: a list of shapes (rectangles, lines, texts) that
 * gnuplot renders, so SVG and PNG come from the same list.
 *
 * Nodes with their GPUs and what joins them (switch, mesh, pairs, PCIe),
 * their NICs, and the fabric above (rails, leaves, spine, pods, racks), with
 * the bandwidths. Large clusters are abbreviated: the first nodes, how many
 * more, the last.
 */
#ifndef REPORTS_DRAW_H
#define REPORTS_DRAW_H

#include "base/status.h"
#include "scenarios/scenario.h"

#include <stdbool.h>

/* Coordinates in points, origin at the lower left. */
enum shape_kind { SHAPE_RECT, SHAPE_LINE, SHAPE_TEXT };
enum shape_align { SHAPE_CENTRE, SHAPE_LEFT, SHAPE_RIGHT };

struct shape {
	enum shape_kind kind;
	double x0, y0, x1, y1;	/* text: at x0, y0 */
	unsigned fill, edge;	/* 0xRRGGBB; SHAPE_NO_FILL */
	double line_width;
	int font_size;
	enum shape_align align;
	bool bold, dashed;
	char *text;	/* owned */
};

#define SHAPE_NO_FILL 0xff000000u

struct drawing {
	double width, height;
	struct shape *shape;	/* owned, painted in order */
	size_t n, cap;
};

void drawing_init(struct drawing *d);
void drawing_release(struct drawing *d);
enum status drawing_write(const struct drawing *d, const char *path);

/* Appends a shape; returns it, valid until the next one is added. */
struct shape *drawing_rect(struct drawing *d, double x0, double y0, double x1,
			   double y1, unsigned fill);
struct shape *drawing_line(struct drawing *d, double x0, double y0, double x1,
			   double y1);
struct shape *drawing_text(struct drawing *d, double x, double y, int size,
			   const char *text);

/* Rates that only the simulator's net knows; 0: not shown. */
struct draw_rates {
	double leaf_Bps, pod_Bps;	/* one leaf's, one pod's uplinks */
};

/* Fills an empty drawing with the cluster. */
void draw_cluster(struct drawing *d, const struct cluster *c,
		  const struct draw_rates *r);

#endif
