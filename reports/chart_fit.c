/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/chart_fit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "reports/chart_axis.h"
#include "reports/chart_style.h"
#include "reports/gnuplot.h"

#include <math.h>
#include <stdlib.h>

#define PAGE_WIDTH 620
#define PLOT_PT 280
#define LEFT_PT 84
#define AXIS_PT 48
#define LEGEND_GAP_PT 6
#define LABEL_MAX_PT 260
#define SCATTER_PAGE_WIDTH 500
#define SCATTER_PLOT_PT (SCATTER_PAGE_WIDTH - LEFT_PT - PAGE_EDGE - 16)
#define SCATTER_GUIDE 0.10	/* dashed lines at equality x (1 +- this) */
#define RGB_BAND 0xcfe6f5u	/* light sky blue, below the points */
#define POINT "pt 7 ps 0.5 lc rgb '#d55e00'"
#define N_SHAPES 8

void chart_fit_band(double seconds, double mape, double *low_p,
		    double *high_p)
{
	if (!(mape >= 0) || !isfinite(mape))
		mape = 0;
	*low_p = seconds * fmax(1 - mape, CHART_BAND_LEAST);
	*high_p = seconds * (1 + mape);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int chart_fit_sizes(const struct curve *f, double min_bytes, double max_bytes,
		    double size[CHART_FIT_SIZES_MAX])
{
	const double after = 1 + 1e-9;	/* the next piece's side */
	double ratio = log(max_bytes / min_bytes) / CHART_FIT_STEPS;
	int i, n = 0;

	if (!(min_bytes > 0) || !(max_bytes >= min_bytes) ||
	    !isfinite(max_bytes))
		return 0;
	for (i = 0; i < CHART_FIT_STEPS; i++)
		size[n++] = min_bytes * exp(ratio * i);
	size[n++] = max_bytes;
	for (i = 0; i + 1 < f->n; i++) {
		double at = f->piece[i].upto;

		if (at > min_bytes && at * after < max_bytes) {
			size[n++] = at;
			size[n++] = at * after;
		}
	}
	qsort(size, (size_t)n, sizeof(*size), by_value);
	return n;
}

static bool is_time(double s)
{
	return s > 0 && isfinite(s);
}

static bool is_point(const struct chart_fit_point *p)
{
	return p->bytes > 0 && isfinite(p->bytes) && is_time(p->median_s);
}

/* Every so many points one is drawn. */
static int stride(int n)
{
	return n > CHART_FIT_POINTS_MAX ?
	       (n + CHART_FIT_POINTS_MAX - 1) / CHART_FIT_POINTS_MAX : 1;
}

static void put_row(struct buf *out, const double *v, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		gnuplot_number(out, v[i]);
		buf_puts(out, i + 1 < n ? " " : "\n");
	}
}

/* ---- cost against size ---- */

struct fit_axes {
	struct chart_log_axis x, y;
};

/* The curve and its band as data; widens the axes. */
static int put_curve(const struct chart_fit *c, struct fit_axes *a,
		     struct buf *out)
{
	double size[CHART_FIT_SIZES_MAX], row[4];
	int n = chart_fit_sizes(c->curve, c->min_bytes, c->max_bytes, size);
	int i, drawn = 0;

	buf_puts(out, "$curve << EOD\n");
	for (i = 0; i < n; i++) {
		row[0] = size[i];
		row[1] = curve_eval(c->curve, size[i]);
		if (!is_time(row[1]))
			continue;
		chart_fit_band(row[1], c->mape, &row[2], &row[3]);
		chart_log_axis_widen(&a->x, row[0]);
		chart_log_axis_widen(&a->y, row[2]);
		chart_log_axis_widen(&a->y, row[3]);
		put_row(out, row, 4);
		drawn++;
	}
	buf_puts(out, "EOD\n");
	return drawn;
}

static int put_points(const struct chart_fit *c, struct fit_axes *a,
		      struct buf *out)
{
	const struct chart_fit_point *p;
	double row[4];
	int i, drawn = 0;

	buf_puts(out, "$points << EOD\n");
	for (i = 0; i < c->n_points; i += stride(c->n_points)) {
		p = &c->point[i];
		if (!is_point(p))
			continue;
		row[0] = p->bytes;
		row[1] = p->median_s;
		row[2] = is_time(p->min_s) ? p->min_s : p->median_s;
		row[3] = is_time(p->p95_s) ? p->p95_s : p->median_s;
		chart_log_axis_widen(&a->x, row[0]);
		chart_log_axis_widen(&a->y, row[1]);
		chart_log_axis_widen(&a->y, row[2]);
		chart_log_axis_widen(&a->y, row[3]);
		put_row(out, row, 4);
		drawn++;
	}
	buf_puts(out, "EOD\n");
	return drawn;
}

static void put_fit_plot(int n_curve, int n_points, struct buf *out)
{
	const char *sep = "plot ";

	if (n_curve) {
		buf_addf(out, "%s$curve using 1:3:4 with filledcurves fc rgb "
			 "'#%06x' fs solid noborder notitle, $curve using 1:2 "
			 "with lines lc rgb '#%06x' lw 1.5 notitle", sep,
			 RGB_BAND, (unsigned)RGB_BLUE);
		sep = ", ";
	}
	if (n_points)
		buf_addf(out, "%s$points using 1:3:(0):($4-$3) with vectors "
			 "nohead lc rgb '#%06x' lw 1 notitle, $points using "
			 "1:2 with points " POINT " notitle", sep,
			 (unsigned)RGB_VERMILLION);
	else if (!n_curve)
		buf_puts(out, "plot NaN notitle");
	buf_puts(out, "\n");
}

enum sample_kind { SAMPLE_POINT, SAMPLE_LINE, SAMPLE_BAND, SAMPLE_N };

static void put_line(struct buf *out, const struct chart_page *p, double x0,
		     double y0, double x1, double y1, const char *style)
{
	buf_addf(out, "set arrow from screen %.6f, screen %.6f to screen %.6f, "
		 "screen %.6f nohead front %s\n", x0 / p->width,
		 y0 / p->height, x1 / p->width, y1 / p->height, style);
}

static void put_fit_sample(struct buf *out, const struct chart_page *p,
			   enum sample_kind kind, double x, double y)
{
	double end = x + LEGEND_SAMPLE_PT - 4, middle = (x + end) / 2;

	if (kind == SAMPLE_BAND) {
		chart_swatch(out, p, x, y - 5, end, y + 5, RGB_BAND);
	} else if (kind == SAMPLE_LINE) {
		put_line(out, p, x, y, end, y, "lc rgb '#0072b2' lw 1.5");
	} else {
		put_line(out, p, middle, y - 6, middle, y + 6,
			 "lc rgb '#d55e00' lw 1");
		buf_addf(out, "set label '' at screen %.6f, screen %.6f point "
			 POINT " front\n", middle / p->width, y / p->height);
	}
}

struct legend {
	char *text[CHART_SERIES_MAX];	/* owned */
	double x[CHART_SERIES_MAX];
	int line[CHART_SERIES_MAX], n;
	double height;
};

static void legend_flow(struct legend *l, const struct chart_page *p)
{
	l->height = LEGEND_LINE_PT *
		    chart_legend_flow((const char *const *)l->text, l->n,
				      p->left, p->right, l->x, l->line);
}

/* Writes entry i's text; the height of its sample is returned. */
static double legend_label(const struct legend *l, const struct chart_page *p,
			   int i, struct buf *out)
{
	struct chart_place at = { .font = FONT_SMALL,
				  .x = l->x[i] + LEGEND_SAMPLE_PT };

	at.y = p->top + LEGEND_GAP_PT + l->height -
	       (l->line[i] + 0.5) * LEGEND_LINE_PT;
	chart_label(out, p, &at, l->text[i]);
	return at.y;
}

static void legend_release(struct legend *l)
{
	int i;

	for (i = 0; i < l->n; i++)
		free(l->text[i]);
}

static void page_finish(struct chart_page *p, const struct legend *l,
			const struct chart_head *h)
{
	p->height = (int)ceil(p->top + LEGEND_GAP_PT + l->height +
			      chart_head_pt(h, p->width));
}

void chart_fit_script(const struct chart_fit *c, struct buf *out,
		      int *width_p, int *height_p)
{
	struct chart_page p = { .width = PAGE_WIDTH, .left = LEFT_PT,
				.right = PAGE_WIDTH - PAGE_EDGE - 14,
				.bottom = AXIS_PT, .top = AXIS_PT + PLOT_PT };
	struct legend l = { .n = SAMPLE_N };
	struct fit_axes a;
	int i, n_curve, n_points;

	l.text[SAMPLE_POINT] = xstrdup("measured: median, least to p95");
	l.text[SAMPLE_LINE] = xasprintf("fitted: %.32s", c->form);
	l.text[SAMPLE_BAND] = xasprintf("error band: fitted x (1 ± %.1f %%)",
					c->mape * 100);
	legend_flow(&l, &p);
	page_finish(&p, &l, &c->head);
	chart_page_begin(out, &p, &c->head);
	chart_log_axis_init(&a.x);
	chart_log_axis_init(&a.y);
	n_curve = put_curve(c, &a, out);
	n_points = put_points(c, &a, out);
	chart_log_axis_put(out, 'x', &a.x, CHART_UNIT_BYTES);
	chart_log_axis_put(out, 'y', &a.y, CHART_UNIT_TIME);
	chart_axis_label(out, &p, 'x', "size (bytes)");
	chart_axis_label(out, &p, 'y', "time of one operation (seconds)");
	for (i = 0; i < l.n; i++)
		put_fit_sample(out, &p, (enum sample_kind)i, l.x[i],
			       legend_label(&l, &p, i, out));
	put_fit_plot(n_curve, n_points, out);
	legend_release(&l);
	*width_p = p.width;
	*height_p = p.height;
}

/* ---- fitted against measured ---- */

static int series_shown(const struct chart_scatter *c)
{
	return c->n_series < CHART_SERIES_MAX ? c->n_series :
	       CHART_SERIES_MAX;
}

/* Colours repeat after N_SHAPES series; the second round has other shapes. */
static void put_mark(struct buf *out, int series)
{
	static const int shapes[N_SHAPES] = { 7, 5, 9, 13, 6, 4, 8, 12 };

	buf_addf(out, "pt %d ps 0.6 lc rgb '#%06x'",
		 shapes[(series + series / N_SHAPES) % N_SHAPES],
		 chart_ink(series));
}

/* Both axes are the same; returns false when there is no point. */
static bool put_series(const struct chart_scatter_series *s, int index,
		       struct chart_log_axis *axis, struct buf *out)
{
	int i, drawn = 0;
	double row[2];

	buf_addf(out, "$series%d << EOD\n", index);
	for (i = 0; i < s->n; i += stride(s->n)) {
		row[0] = s->measured_s[i];
		row[1] = s->fitted_s[i];
		if (!is_time(row[0]) || !is_time(row[1]))
			continue;
		chart_log_axis_widen(axis, row[0]);
		chart_log_axis_widen(axis, row[1]);
		put_row(out, row, 2);
		drawn++;
	}
	buf_puts(out, "EOD\n");
	return drawn > 0;
}

static void put_guides(struct buf *out)
{
	buf_addf(out, "plot x with lines lc rgb '#%06x' lw 1 notitle, "
		 "x*%g with lines lc rgb '#%06x' lw 1 dt 2 notitle, "
		 "x*%g with lines lc rgb '#%06x' lw 1 dt 2 notitle",
		 RGB_SOFT, 1 + SCATTER_GUIDE, RGB_SOFT, 1 - SCATTER_GUIDE,
		 RGB_SOFT);
}

static void put_scatter_legend(const struct chart_scatter *c,
			       const struct legend *l,
			       const struct chart_page *p, struct buf *out)
{
	double x, y;
	int i;

	for (i = 0; i < series_shown(c); i++) {
		y = legend_label(l, p, i, out);
		x = l->x[i] + (LEGEND_SAMPLE_PT - 4) / 2.0;
		buf_addf(out, "set label '' at screen %.6f, screen %.6f point ",
			 x / p->width, y / p->height);
		put_mark(out, i);
		buf_puts(out, " front\n");
	}
}

static void put_scatter_data(const struct chart_scatter *c, struct buf *out)
{
	struct chart_log_axis axis;
	bool has[CHART_SERIES_MAX];
	int i;

	chart_log_axis_init(&axis);
	for (i = 0; i < series_shown(c); i++)
		has[i] = put_series(&c->series[i], i, &axis, out);
	chart_log_axis_put(out, 'x', &axis, CHART_UNIT_TIME);
	chart_log_axis_put(out, 'y', &axis, CHART_UNIT_TIME);
	put_guides(out);
	for (i = 0; i < series_shown(c); i++) {
		if (!has[i])
			continue;
		buf_addf(out, ", $series%d using 1:2 with points ", i);
		put_mark(out, i);
		buf_puts(out, " notitle");
	}
	buf_puts(out, "\n");
}

void chart_scatter_script(const struct chart_scatter *c, struct buf *out,
			  int *width_p, int *height_p)
{
	struct chart_page p = { .width = SCATTER_PAGE_WIDTH, .left = LEFT_PT,
				.right = LEFT_PT + SCATTER_PLOT_PT,
				.bottom = AXIS_PT,
				.top = AXIS_PT + SCATTER_PLOT_PT };
	struct legend l = { .n = series_shown(c) };
	int i;

	for (i = 0; i < l.n; i++)
		l.text[i] = chart_cut(c->series[i].label, FONT_SMALL,
				      LABEL_MAX_PT);
	legend_flow(&l, &p);
	page_finish(&p, &l, &c->head);
	chart_page_begin(out, &p, &c->head);
	chart_axis_label(out, &p, 'x', "measured time (seconds); dashed: "
			 "±10 %");
	chart_axis_label(out, &p, 'y', c->y_axis ? c->y_axis :
			 "fitted time (seconds)");
	put_scatter_legend(c, &l, &p, out);
	put_scatter_data(c, out);
	legend_release(&l);
	*width_p = p.width;
	*height_p = p.height;
}

static enum status run(struct buf *script, int w, int h, const char *path)
{
	enum status st = gnuplot_run(script, w, h, path);

	buf_release(script);
	return st;
}

enum status chart_fit_write(const struct chart_fit *c, const char *path)
{
	struct buf script = { 0 };
	int w, h;

	chart_fit_script(c, &script, &w, &h);
	return run(&script, w, h, path);
}

enum status chart_scatter_write(const struct chart_scatter *c,
				const char *path)
{
	struct buf script = { 0 };
	int w, h;

	chart_scatter_script(c, &script, &w, &h);
	return run(&script, w, h, path);
}
