/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/chart.h"

#include "base/buf.h"
#include "reports/chart_style.h"
#include "reports/gnuplot.h"

#include <math.h>
#include <stdlib.h>

#define PAGE_WIDTH 620
#define PLOT_PT 280
#define LEFT_PT 76
#define AXIS_PT 52
#define LEGEND_GAP_PT 6
#define LABEL_MAX_PT 260
#define TIC_MAX_PT 120
#define LINEAR_PAD 0.05	/* of the range, free at its ends */
#define LOG_PAD 1.2	/* the same, a factor */
#define PLAIN_LEAST 1e-2	/* tics within are written in full */
#define PLAIN_MOST 1e5

struct axis {
	double lo, hi;
	bool log;
};

/* Point types of gnuplot that differ in shape, so that colour is not all. */
static const int point_types[] = { 7, 5, 9, 13, 6, 4, 8, 12 };
#define N_POINT_TYPES (int)(sizeof(point_types) / sizeof(point_types[0]))
#define DASH_TYPES 5

static int n_shown(const struct chart_lines *c)
{
	return c->n_series < CHART_SERIES_MAX ? c->n_series :
	       CHART_SERIES_MAX;
}

static bool is_point(const struct chart_lines *c, const struct chart_series *s,
		     int i)
{
	return isfinite(s->x[i]) && isfinite(s->y[i]) &&
	       (!c->x_log || s->x[i] > 0) && (!c->y_log || s->y[i] > 0);
}

static void axis_widen(struct axis *a, double v)
{
	a->lo = fmin(a->lo, v);
	a->hi = fmax(a->hi, v);
}

static void axis_finish(struct axis *a)
{
	double pad;

	if (!(a->lo <= a->hi)) {
		a->lo = a->log ? 1 : 0;
		a->hi = a->log ? 10 : 1;
	} else if (a->log) {
		a->lo /= LOG_PAD;
		a->hi *= LOG_PAD;
	} else {
		pad = (a->hi - a->lo) * LINEAR_PAD;
		if (!(pad > 0))
			pad = a->hi != 0 ? fabs(a->hi) * LINEAR_PAD : 1;
		/* zero stays the floor of what is never negative */
		a->lo = a->lo >= 0 && a->lo < 4 * pad ? 0 : a->lo - pad;
		a->hi += pad;
	}
}

static void find_axes(const struct chart_lines *c, struct axis *x,
		      struct axis *y)
{
	int s, i;

	*x = (struct axis){ INFINITY, -INFINITY, c->x_log };
	*y = (struct axis){ INFINITY, -INFINITY, c->y_log };
	for (s = 0; s < n_shown(c); s++) {
		for (i = 0; i < c->series[s].n; i++) {
			if (!is_point(c, &c->series[s], i))
				continue;
			axis_widen(x, c->series[s].x[i]);
			axis_widen(y, c->series[s].y[i]);
		}
	}
	axis_finish(x);
	axis_finish(y);
}

static void put_axis(struct buf *out, char name, const struct axis *a)
{
	double most = fmax(fabs(a->lo), fabs(a->hi));
	bool plain = most <= PLAIN_MOST &&
		     (a->log ? a->lo : most) >= PLAIN_LEAST;

	if (a->log)
		buf_addf(out, "set logscale %c\n", name);
	buf_addf(out, "set format %c '%s'\n", name,
		 plain ? "%g" : a->log ? "%.0s%c" : "%.1s%c");
	buf_addf(out, "set %crange [", name);
	gnuplot_number(out, a->lo);
	buf_puts(out, ":");
	gnuplot_number(out, a->hi);
	buf_puts(out, "]\n");
}

static void put_data(const struct chart_lines *c, int s, struct buf *out)
{
	const struct chart_series *e = &c->series[s];
	int i;

	buf_addf(out, "$series%d << EOD\n", s);
	for (i = 0; i < e->n; i++) {
		if (is_point(c, e, i)) {
			gnuplot_number(out, e->x[i]);
			buf_puts(out, " ");
			gnuplot_number(out, e->y[i]);
		}
		buf_puts(out, "\n");	/* empty: breaks the line */
	}
	buf_puts(out, "EOD\n");
}

static bool has_points(const struct chart_lines *c, int s)
{
	int i;

	for (i = 0; i < c->series[s].n; i++) {
		if (is_point(c, &c->series[s], i))
			return true;
	}
	return false;
}

static void put_plot(const struct chart_lines *c, struct buf *out)
{
	const char *sep = "plot ";
	int s;

	for (s = 0; s < n_shown(c); s++) {
		if (!has_points(c, s))
			continue;
		buf_addf(out, "%s$series%d using 1:2 with %s pt %d ps 0.8 "
			 "lc rgb '#%06x'", sep, s, c->series[s].points_only ?
			 "points" : "linespoints",
			 point_types[s % N_POINT_TYPES], chart_ink(s));
		if (!c->series[s].points_only)
			buf_addf(out, " lw 1.5 dt %d", s % DASH_TYPES + 1);
		buf_puts(out, " notitle");
		sep = ", ";
	}
	buf_puts(out, *sep == 'p' ? "plot NaN notitle\n" : "\n");
}

static void put_sample(const struct chart_lines *c, int s,
		       const struct chart_page *p, double x, double y,
		       struct buf *out)
{
	double x0 = x / p->width, x1 = (x + LEGEND_SAMPLE_PT - 4) / p->width;

	y /= p->height;
	if (!c->series[s].points_only)
		buf_addf(out, "set arrow from screen %.6f, screen %.6f to "
			 "screen %.6f, screen %.6f nohead front lc rgb "
			 "'#%06x' lw 1.5 dt %d\n", x0, y, x1, y,
			 chart_ink(s), s % DASH_TYPES + 1);
	buf_addf(out, "set label '' at screen %.6f, screen %.6f point pt %d "
		 "ps 0.8 lc rgb '#%06x' front\n", (x0 + x1) / 2, y,
		 point_types[s % N_POINT_TYPES], chart_ink(s));
}

/* Its height; also its commands when `out` is given. */
static double put_legend(const struct chart_lines *c,
			 const struct chart_page *p, double marks_pt,
			 struct buf *out)
{
	double x[CHART_SERIES_MAX], y, height;
	char *text[CHART_SERIES_MAX];
	struct chart_place at = { .font = FONT_SMALL };
	int line[CHART_SERIES_MAX], i;

	for (i = 0; i < n_shown(c); i++)
		text[i] = chart_cut(c->series[i].label, FONT_SMALL,
				    LABEL_MAX_PT);
	height = LEGEND_LINE_PT *
		 chart_legend_flow((const char *const *)text, n_shown(c),
				   p->left, p->right, x, line);
	for (i = 0; i < n_shown(c); i++) {
		y = p->top + LEGEND_GAP_PT + marks_pt + height -
		    (line[i] + 0.5) * LEGEND_LINE_PT;
		at.x = x[i] + LEGEND_SAMPLE_PT;
		at.y = y;
		if (out) {
			put_sample(c, i, p, x[i], y, out);
			chart_label(out, p, &at, text[i]);
		}
		free(text[i]);
	}
	return height + LEGEND_GAP_PT;
}

static double axis_fraction(const struct axis *a, double v)
{
	if (a->log)
		return v > 0 ? log(v / a->lo) / log(a->hi / a->lo) : -1;
	return (v - a->lo) / (a->hi - a->lo);
}

/* The given tics, leaving out those that would touch the one before. */
static void put_x_tics(const struct chart_lines *c,
		       const struct chart_page *p, const struct axis *x,
		       struct buf *out)
{
	double end = -INFINITY, at, half;
	const char *sep = "";
	char *cut;
	int i;

	if (!c->x_tic)
		return;
	buf_puts(out, "set xtics (");
	for (i = 0; i < c->n_x_tics; i++) {
		at = axis_fraction(x, c->x_tic[i].at_s);
		cut = chart_cut(c->x_tic[i].label, FONT_SMALL, TIC_MAX_PT);
		half = chart_text_pt(cut, FONT_SMALL) / 2;
		at = at * (p->right - p->left);
		if (at >= 0 && at - half > end) {
			buf_puts(out, sep);
			gnuplot_string(out, cut);
			buf_puts(out, " ");
			gnuplot_number(out, c->x_tic[i].at_s);
			sep = ", ";
			end = at + half + LEGEND_GAP_PT;
		}
		free(cut);
	}
	buf_puts(out, ")\n");
}

/* Labels above the plot; returns their height. */
static double put_marks(const struct chart_lines *c,
			const struct chart_page *p, const struct axis *x,
			struct buf *out)
{
	struct chart_above above = { 0 };
	double at;
	int i;

	for (i = 0; i < c->n_marks; i++) {
		at = axis_fraction(x, c->mark[i].at_s);
		if (!(at >= 0 && at <= 1))
			continue;
		chart_above(out, p, &above, p->left + at * (p->right -
			    p->left), c->mark[i].label);
		if (out)
			chart_mark_line(out, c->mark[i].at_s, "back");
	}
	return above.levels * MARK_LINE_PT;
}

void chart_lines_script(const struct chart_lines *c, struct buf *out,
			int *width_p, int *height_p)
{
	struct chart_page p = { .width = PAGE_WIDTH, .left = LEFT_PT,
				.right = PAGE_WIDTH - PAGE_EDGE - 8,
				.bottom = AXIS_PT,
				.top = AXIS_PT + PLOT_PT };
	struct axis x, y;
	double marks_pt;
	int s;

	find_axes(c, &x, &y);
	marks_pt = put_marks(c, &p, &x, NULL);
	p.height = (int)ceil(p.top + marks_pt +
			     put_legend(c, &p, marks_pt, NULL) +
			     chart_head_pt(&c->head, p.width));
	chart_page_begin(out, &p, &c->head);
	put_axis(out, 'x', &x);
	put_axis(out, 'y', &y);
	put_x_tics(c, &p, &x, out);
	chart_axis_label(out, &p, 'x', c->x_axis);
	chart_axis_label(out, &p, 'y', c->y_axis);
	put_legend(c, &p, marks_pt, out);
	put_marks(c, &p, &x, out);
	for (s = 0; s < n_shown(c); s++) {
		if (has_points(c, s))
			put_data(c, s, out);
	}
	put_plot(c, out);
	*width_p = p.width;
	*height_p = p.height;
}

enum status chart_lines_write(const struct chart_lines *c, const char *path)
{
	struct buf script = { 0 };
	enum status st;
	int w, h;

	chart_lines_script(c, &script, &w, &h);
	st = gnuplot_run(&script, w, h, path);
	buf_release(&script);
	return st;
}
