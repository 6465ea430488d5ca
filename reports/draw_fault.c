/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/draw_fault.h"

#include "base/mem.h"
#include "reports/chart_style.h"

#include <stdio.h>
#include <stdlib.h>

#define EDGE_PT 2.4		/* of the line around it */
#define MARK_WIDTH 28
#define MARK_HEIGHT 12
#define LINE_PT 14		/* of the notes */
#define NOTES_MAX 6		/* more are counted */
#define FILL_SLOW 0xffffffu
#define FILL_GONE 0xd9d9d9u

double draw_fault_share(const struct cluster *c, enum fault_kind kind,
			int node, int index)
{
	double share = 1;

	for (int i = 0; i < c->n_faults; i++) {
		const struct degraded *f = &c->fault[i];

		if (f->kind == kind && f->index == index &&
		    (kind == FAULT_LEAF || f->node == node))
			share *= f->share;
	}
	return share;
}

void draw_fault_box(struct drawing *d, double x0, double y0, double x1,
		    double y1, const char *name, double share)
{
	struct shape *s;
	char text[96];

	if (share > 0)
		snprintf(text, sizeof(text), "%s%.3g%%", name, 100 * share);
	else
		snprintf(text, sizeof(text), "%sgone", name);
	s = drawing_rect(d, x0, y0, x1, y1, share > 0 ? FILL_SLOW : FILL_GONE);
	s->edge = RGB_VERMILLION;
	s->line_width = EDGE_PT;
	if (!(share > 0)) {
		drawing_line(d, x0, y0, x1, y1)->edge = RGB_VERMILLION;
		drawing_line(d, x0, y1, x1, y0)->edge = RGB_VERMILLION;
	}
	drawing_text(d, (x0 + x1) / 2, (y0 + y1) / 2, FONT_SMALL, text);
}

void draw_fault_mark(struct drawing *d, double x, double y, double share)
{
	draw_fault_box(d, x - MARK_WIDTH / 2.0, y - MARK_HEIGHT / 2.0,
		       x + MARK_WIDTH / 2.0, y + MARK_HEIGHT / 2.0, "",
		       share);
}

int draw_fault_node_add(int what, int max, int *node, int n)
{
	int at = n;

	for (int i = 0; i < n; i++) {
		if (node[i] == what)
			return n;
	}
	if (n == max)
		return n;
	for (; at && node[at - 1] > what; at--)
		node[at] = node[at - 1];
	node[at] = what;
	return n + 1;
}

/* A node of the part; -1: a rail is no node's more than another's. */
static int node_of(const struct cluster *c, const struct degraded *f)
{
	if (f->kind != FAULT_LEAF)
		return f->node;
	switch (c->fabric.kind) {
	case FABRIC_LEAF_SPINE:
	case FABRIC_FAT_TREE:
		return f->index * c->fabric.nodes_per_leaf;
	case FABRIC_RACK:
		return f->index * (c->fabric.gpus_per_rack /
				   c->gpus_per_node);
	case FABRIC_NONBLOCKING:
	case FABRIC_RAIL:
		break;
	}
	return -1;
}

int draw_fault_nodes(const struct cluster *c, int max, int *node)
{
	int n = 0;

	for (int i = 0; i < c->n_faults; i++) {
		int at = node_of(c, &c->fault[i]);

		if (at >= 0 && at < c->nodes)
			n = draw_fault_node_add(at, max, node, n);
	}
	return n;
}

double draw_fault_notes_pt(const struct cluster *c)
{
	int lines = c->n_faults > NOTES_MAX ? NOTES_MAX + 1 : c->n_faults;

	return c->n_faults ? LINE_PT * (lines + 1) + 6 : 0;
}

static void put_line(struct drawing *d, double x, double y, double width,
		     const char *text)
{
	char *cut = chart_cut(text, FONT_SMALL, width);

	drawing_text(d, x, y, FONT_SMALL, cut)->align = SHAPE_LEFT;
	free(cut);
}

static char *fault_text(const struct degraded *f)
{
	char *place = f->kind == FAULT_LEAF ? xasprintf("%d", f->index) :
		      xasprintf("%d:%d", f->node, f->index), *text;

	if (f->share > 0)
		text = xasprintf("%s %s at %.4g %% of its speed",
				 fault_kind_name(f->kind), place,
				 100 * f->share);
	else
		text = xasprintf("%s %s gone", fault_kind_name(f->kind),
				 place);
	free(place);
	return text;
}

void draw_fault_notes(struct drawing *d, const struct cluster *c, double x,
		      double y, double width)
{
	char *text;

	if (!c->n_faults)
		return;
	draw_fault_mark(d, x + MARK_WIDTH / 2.0, y, 0.5);
	draw_fault_mark(d, x + 1.5 * MARK_WIDTH + 6, y, 0);
	put_line(d, x + 2 * MARK_WIDTH + 14, y, width - 2 * MARK_WIDTH - 14,
		 "degraded: share of speed left; or gone");
	for (int i = 0; i < c->n_faults && i < NOTES_MAX; i++) {
		text = fault_text(&c->fault[i]);
		put_line(d, x, y -= LINE_PT, width, text);
		free(text);
	}
	if (c->n_faults <= NOTES_MAX)
		return;
	text = xasprintf("and %d more", c->n_faults - NOTES_MAX);
	put_line(d, x, y - LINE_PT, width, text);
	free(text);
}
