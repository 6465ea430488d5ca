/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the charts share: the page, its head, colours, the legend. Lengths are
 * points; everything is placed by absolute positions, so that nothing overlaps
 * whatever the labels are. Text widths are estimates for DejaVu Sans, on the
 * wide side.
 */
#ifndef REPORTS_CHART_STYLE_H
#define REPORTS_CHART_STYLE_H

#include "reports/chart.h"

struct buf;

#define FONT_TITLE 13
#define FONT_BODY 11
#define FONT_SMALL 9
#define PAGE_EDGE 14	/* free space around everything */

#define RGB_TEXT 0x000000u
#define RGB_SOFT 0x555555u	/* subtitles, axes */
#define RGB_GRID 0xd9d9d9u
#define RGB_LANE 0xf2f2f2u	/* behind a Gantt row: idle */

enum okabe_ito {	/* M. Okabe, K. Ito, "Color Universal Design", 2008 */
	RGB_BLACK = 0x000000,
	RGB_ORANGE = 0xe69f00,
	RGB_SKY = 0x56b4e9,
	RGB_GREEN = 0x009e73,
	RGB_YELLOW = 0xf0e442,
	RGB_BLUE = 0x0072b2,
	RGB_VERMILLION = 0xd55e00,
	RGB_PURPLE = 0xcc79a7,
};

/* Colours of Gantt kinds and of series, by index; they repeat. */
unsigned chart_fill(int kind);
unsigned chart_ink(int series);
/* Black or white, whichever reads better on the colour. */
unsigned chart_text_on(unsigned rgb);

struct chart_page {
	int width, height;
	double left, right, top, bottom;	/* of the plot, from the page's
						   lower left corner */
};

double chart_text_pt(const char *text, int font);	/* estimated width */

/* `text`, cut with ".." to what fits; free() it. */
char *chart_cut(const char *text, int font, double room_pt);

/* Height that title and subtitle need on a page of that width. */
double chart_head_pt(const struct chart_head *h, int width);

/* Resets gnuplot, margins, the head; then `set label` etc. may follow. */
void chart_page_begin(struct buf *out, const struct chart_page *p,
		      const struct chart_head *h);

enum chart_align { CHART_LEFT, CHART_CENTRE, CHART_RIGHT };

struct chart_place {
	double x, y;
	enum chart_align align;
	bool x_data, y_data;	/* in axis units instead of points */
	double dx_pt;	/* added to x when it is in axis units */
	int font, rotate;
	bool bold;
	unsigned rgb;
};

/* A text on the page. */
void chart_label(struct buf *out, const struct chart_page *p,
		 const struct chart_place *at, const char *text);

/* The title of the 'x' or 'y' axis, at the page's edge. */
void chart_axis_label(struct buf *out, const struct chart_page *p, char axis,
		      const char *text);

/* A filled rectangle in points, with a thin dark edge. */
void chart_swatch(struct buf *out, const struct chart_page *p, double x0,
		  double y0, double x1, double y1, unsigned rgb);

/*
 * Places n legend entries from left to right in lines inside [x0, x1]; x[i]
 * and line[i] get entry i's place. Returns the number of lines.
 */
#define LEGEND_SAMPLE_PT 22
#define LEGEND_LINE_PT 17
int chart_legend_flow(const char *const *text, int n, double x0, double x1,
		      double *x, int *line);

/*
 * Labels of vertical lines, in up to three rows above the plot: each beside
 * its line, on the lowest row where it does not touch another. Give them
 * from left to right, starting with a zeroed struct; `out` may be NULL, to
 * count the rows alone.
 */
#define MARK_LINE_PT 15
#define ABOVE_LEVELS 3
struct chart_above {
	double end[ABOVE_LEVELS];
	int levels;	/* rows in use */
};

void chart_above(struct buf *out, const struct chart_page *p,
		 struct chart_above *a, double x_pt, const char *text);

/* A dashed vertical line through the plot; layer: "front" or "back". */
void chart_mark_line(struct buf *out, double x, const char *layer);

/* "s", "ms", "µs" or "ns", and its value in seconds, for an axis to max_s. */
const char *chart_time_unit(double max_s, double *unit_s);

#endif
