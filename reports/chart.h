/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The charts. Each takes a plain struct and the path of a .svg or .png file;
 * errors are those of gnuplot_run(). Texts may hold anything. Colours are
 * Okabe and Ito's eight (readable with any colour blindness), paired with
 * patterns or labels so that a grey print still reads.
 */
#ifndef REPORTS_CHART_H
#define REPORTS_CHART_H

#include "base/status.h"

#include <stdbool.h>

struct buf;

/* Title, what is below it (scenario, "simulated; ..."), both may be NULL. */
struct chart_head {
	const char *title;
	const char *subtitle;
};

struct chart_bar {
	const char *label;
	double value;		/* in the axis' unit, finite, >= 0 */
	const char *value_text;	/* at the bar's end; NULL: "%.3g" */
	bool chosen;		/* stands out */
};

struct chart_bars {
	struct chart_head head;
	const char *axis;	/* "speedup over sequential (x)" */
	bool vertical;		/* else horizontal: for long labels */
	double reference;	/* a dashed line there; 0: none */
	const struct chart_bar *bar;
	int n_bars;		/* 1..CHART_BARS_MAX */
};

#define CHART_BARS_MAX 64

struct chart_box {
	int row, kind;		/* indices below */
	double start_s, finish_s;
	const char *label;	/* shown when it fits; NULL: none */
};

struct chart_mark {	/* a vertical line with a label above the plot */
	double at_s;
	const char *label;
};

struct chart_gantt {
	struct chart_head head;
	const char *const *row;	/* names, top to bottom */
	int n_rows;		/* 1..CHART_ROWS_MAX */
	const char *const *kind;	/* legend, in order */
	int n_kinds;		/* 1..CHART_KINDS_MAX */
	const struct chart_box *box;
	int n_boxes;		/* 1..CHART_BOXES_MAX */
	const struct chart_mark *mark;
	int n_marks;
};

#define CHART_ROWS_MAX 64
#define CHART_KINDS_MAX 16
#define CHART_BOXES_MAX 20000

struct chart_series {
	const char *label;
	const double *x, *y;	/* NaN breaks the line */
	int n;
	bool points_only;
};

struct chart_lines {
	struct chart_head head;
	const char *x_axis, *y_axis;
	bool x_log, y_log;	/* then values <= 0 are left out */
	const struct chart_mark *x_tic;	/* at_s: in x units, ascending;
					   NULL: as gnuplot likes */
	int n_x_tics;	/* shown as far as they do not touch */
	const struct chart_series *series;
	int n_series;		/* 1..CHART_SERIES_MAX */
	const struct chart_mark *mark;	/* at_s: in x units */
	int n_marks;
};

#define CHART_SERIES_MAX 16

enum status chart_bars_write(const struct chart_bars *c, const char *path);
enum status chart_gantt_write(const struct chart_gantt *c, const char *path);
enum status chart_lines_write(const struct chart_lines *c, const char *path);

/* The scripts alone, for tests; *width_p, *height_p in points. */
void chart_bars_script(const struct chart_bars *c, struct buf *out,
		       int *width_p, int *height_p);
void chart_gantt_script(const struct chart_gantt *c, struct buf *out,
			int *width_p, int *height_p);
void chart_lines_script(const struct chart_lines *c, struct buf *out,
			int *width_p, int *height_p);

#endif
