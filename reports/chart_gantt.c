/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/chart.h"

#include "base/buf.h"
#include "base/mem.h"
#include "reports/chart_style.h"
#include "reports/gnuplot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_WIDTH 760
#define ROW_PITCH_PT 46
#define ROW_HALF 0.36	/* half a row's band, in pitches */
#define AXIS_PT 44
#define NAME_MAX_PT 160
#define BOX_PAD_PT 4
#define BOX_LABELS_MAX 2000

struct gantt_view {
	struct chart_page page;
	double unit_s, end_s, pt_per_s;
	double marks_pt, legend_pt;	/* heights above the plot */
	const char *unit;
	bool used[CHART_KINDS_MAX];	/* kinds that have a box */
};

static int min_int(int a, int b)
{
	return a < b ? a : b;
}

static void view_times(const struct chart_gantt *c, struct gantt_view *v)
{
	int i;

	v->end_s = 0;
	for (i = 0; i < c->n_boxes; i++) {
		v->end_s = fmax(v->end_s, c->box[i].finish_s);
		v->used[c->box[i].kind % CHART_KINDS_MAX] = true;
	}
	if (!(v->end_s > 0) || !isfinite(v->end_s))
		v->end_s = 1e-9;
	v->unit = chart_time_unit(v->end_s, &v->unit_s);
}

/*
 * Legend entries of the kinds in use; kind[] gets their indices. Their texts
 * are cut, free() each.
 */
static int legend_entries(const struct chart_gantt *c,
			  const struct gantt_view *v, char **text, int *kind)
{
	int i, n = 0;

	for (i = 0; i < min_int(c->n_kinds, CHART_KINDS_MAX); i++) {
		if (!v->used[i])
			continue;
		kind[n] = i;
		text[n++] = chart_cut(c->kind[i], FONT_SMALL, NAME_MAX_PT);
	}
	return n;
}

static void put_legend(const struct chart_gantt *c, struct gantt_view *v,
		       struct buf *out)
{
	double x[CHART_KINDS_MAX], y, top;
	int kind[CHART_KINDS_MAX], line[CHART_KINDS_MAX], i, n, lines;
	char *text[CHART_KINDS_MAX] = { 0 };
	struct chart_place at = { .font = FONT_SMALL };

	n = legend_entries(c, v, text, kind);
	lines = chart_legend_flow((const char *const *)text, n, v->page.left,
				  v->page.right, x, line);
	v->legend_pt = lines * LEGEND_LINE_PT;
	top = v->page.top + v->marks_pt + v->legend_pt;
	for (i = 0; i < n; i++) {
		y = top - (line[i] + 0.5) * LEGEND_LINE_PT;
		at.x = x[i] + LEGEND_SAMPLE_PT - 4;
		at.y = y;
		if (out) {
			chart_swatch(out, &v->page, x[i], y - 5,
				     x[i] + LEGEND_SAMPLE_PT - 8, y + 5,
				     chart_fill(kind[i]));
			chart_label(out, &v->page, &at, text[i]);
		}
		free(text[i]);
	}
}

/* Returns the height of the marks' labels. */
static double put_marks(const struct chart_gantt *c,
			const struct gantt_view *v, struct buf *out)
{
	struct chart_above above = { 0 };
	int i;

	for (i = 0; i < c->n_marks; i++) {
		chart_above(out, &v->page, &above, v->page.left +
			    c->mark[i].at_s * v->pt_per_s, c->mark[i].label);
		if (out)
			chart_mark_line(out, c->mark[i].at_s / v->unit_s,
					"front");
	}
	return above.levels * MARK_LINE_PT;
}

static void view_init(const struct chart_gantt *c, struct gantt_view *v)
{
	struct chart_page *p = &v->page;
	double names = 0;
	char *text;
	int i;

	view_times(c, v);
	for (i = 0; i < min_int(c->n_rows, CHART_ROWS_MAX); i++) {
		text = chart_cut(c->row[i], FONT_BODY, NAME_MAX_PT);
		names = fmax(names, chart_text_pt(text, FONT_BODY));
		free(text);
	}
	p->width = PAGE_WIDTH;
	p->left = PAGE_EDGE + names + 8;
	p->right = PAGE_WIDTH - PAGE_EDGE - 8;
	p->bottom = AXIS_PT;
	p->top = p->bottom + min_int(c->n_rows, CHART_ROWS_MAX) * ROW_PITCH_PT;
	v->pt_per_s = (p->right - p->left) / v->end_s;
	v->marks_pt = put_marks(c, v, NULL);
	put_legend(c, v, NULL);
	p->height = (int)ceil(p->top + v->marks_pt + v->legend_pt +
			      chart_head_pt(&c->head, p->width));
}

static void put_rows(const struct chart_gantt *c, const struct gantt_view *v,
		     struct buf *out)
{
	struct chart_place at = { .x = v->page.left - 8, .y_data = true,
				  .align = CHART_RIGHT };
	char *text;
	int i;

	for (i = 0; i < min_int(c->n_rows, CHART_ROWS_MAX); i++) {
		buf_addf(out, "set object rect from graph 0, first %g to "
			 "graph 1, first %g behind fillcolor rgb '#%06x' "
			 "fillstyle solid noborder\n", i - ROW_HALF,
			 i + ROW_HALF, RGB_LANE);
		at.y = i;
		text = chart_cut(c->row[i], FONT_BODY, NAME_MAX_PT);
		chart_label(out, &v->page, &at, text);
		free(text);
	}
}

static bool is_shown(const struct chart_gantt *c, const struct chart_box *b)
{
	return b->row >= 0 && b->row < min_int(c->n_rows, CHART_ROWS_MAX) &&
	       b->finish_s > b->start_s && isfinite(b->finish_s);
}

/* One data block per kind: x, y, xlow, xhigh, ylow, yhigh. */
static void put_boxes(const struct chart_gantt *c, const struct gantt_view *v,
		      int kind, struct buf *out)
{
	const struct chart_box *b;
	int i;

	buf_addf(out, "$kind%d << EOD\n", kind);
	for (i = 0; i < min_int(c->n_boxes, CHART_BOXES_MAX); i++) {
		b = &c->box[i];
		if (b->kind % CHART_KINDS_MAX != kind || !is_shown(c, b))
			continue;
		gnuplot_number(out, b->start_s / v->unit_s);
		buf_addf(out, " %d ", b->row);
		gnuplot_number(out, b->start_s / v->unit_s);
		buf_puts(out, " ");
		gnuplot_number(out, b->finish_s / v->unit_s);
		buf_addf(out, " %g %g\n", b->row - ROW_HALF,
			 b->row + ROW_HALF);
	}
	buf_puts(out, "EOD\n");
}

static void put_box_labels(const struct chart_gantt *c,
			   const struct gantt_view *v, struct buf *out)
{
	struct chart_place at = { .x_data = true, .y_data = true,
				  .align = CHART_CENTRE, .font = FONT_SMALL };
	const struct chart_box *b;
	int i, n = 0;

	for (i = 0; i < c->n_boxes && n < BOX_LABELS_MAX; i++) {
		b = &c->box[i];
		if (!b->label || !is_shown(c, b) ||
		    chart_text_pt(b->label, FONT_SMALL) + BOX_PAD_PT >
		    (b->finish_s - b->start_s) * v->pt_per_s)
			continue;
		at.x = (b->start_s + b->finish_s) / 2 / v->unit_s;
		at.y = b->row;
		at.rgb = chart_text_on(chart_fill(b->kind));
		chart_label(out, &v->page, &at, b->label);
		n++;
	}
}

static void put_plot(const struct gantt_view *v, struct buf *out)
{
	const char *sep = "plot ";
	int k;

	for (k = 0; k < CHART_KINDS_MAX; k++) {
		if (!v->used[k])
			continue;
		buf_addf(out, "%s$kind%d using 1:2:3:4:5:6 with boxxyerror "
			 "fillcolor rgb '#%06x' fillstyle solid border lc "
			 "rgb '#ffffff' lw 0.4 notitle", sep, k,
			 chart_fill(k));
		sep = ", ";
	}
	buf_puts(out, *sep == 'p' ? "plot NaN notitle\n" : "\n");
}

/* A kind whose boxes all vanish would leave gnuplot an empty data block. */
static void forget_empty_kinds(const struct chart_gantt *c,
			       struct gantt_view *v)
{
	int i;

	for (i = 0; i < CHART_KINDS_MAX; i++)
		v->used[i] = false;
	for (i = 0; i < min_int(c->n_boxes, CHART_BOXES_MAX); i++) {
		if (is_shown(c, &c->box[i]))
			v->used[c->box[i].kind % CHART_KINDS_MAX] = true;
	}
}

void chart_gantt_script(const struct chart_gantt *c, struct buf *out,
			int *width_p, int *height_p)
{
	struct gantt_view v = { 0 };
	char axis[64];
	int k;

	view_init(c, &v);
	forget_empty_kinds(c, &v);
	chart_page_begin(out, &v.page, &c->head);
	snprintf(axis, sizeof(axis), "time (%s)", v.unit);
	chart_axis_label(out, &v.page, 'x', axis);
	buf_puts(out, "unset ytics\nset border 1\nset xrange [0:");
	gnuplot_number(out, v.end_s / v.unit_s);
	buf_addf(out, "]\nset yrange [%d.5:-0.5]\n",
		 min_int(c->n_rows, CHART_ROWS_MAX) - 1);
	put_rows(c, &v, out);
	put_legend(c, &v, out);
	put_marks(c, &v, out);
	for (k = 0; k < CHART_KINDS_MAX; k++) {
		if (v.used[k])
			put_boxes(c, &v, k, out);
	}
	put_box_labels(c, &v, out);
	put_plot(&v, out);
	*width_p = v.page.width;
	*height_p = v.page.height;
}

enum status chart_gantt_write(const struct chart_gantt *c, const char *path)
{
	struct buf script = { 0 };
	enum status st;
	int w, h;

	chart_gantt_script(c, &script, &w, &h);
	st = gnuplot_run(&script, w, h, path);
	buf_release(&script);
	return st;
}
