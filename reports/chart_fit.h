/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Charts of a fitted cost: time against size with the measured points, the
 * curve and its error band, and fitted against measured time. Both axes are
 * logarithmic; tics carry their units. Errors are those of gnuplot_run().
 */
#ifndef REPORTS_CHART_FIT_H
#define REPORTS_CHART_FIT_H

#include "base/curve.h"
#include "reports/chart.h"

/* Of more points an even choice is drawn. */
#define CHART_FIT_POINTS_MAX 2000

struct chart_fit_point {
	double bytes, median_s;	/* left out unless both are > 0 */
	double min_s, p95_s;	/* ends of its bar; 0: no bar there */
};

struct chart_fit {
	struct chart_head head;
	const char *form;	/* "linear" */
	const struct curve *curve;	/* seconds for bytes */
	double mape;	/* mean relative error, a fraction */
	double min_bytes, max_bytes;	/* where the curve is drawn */
	const struct chart_fit_point *point;
	int n_points;
};

struct chart_scatter_series {
	const char *label;
	const double *measured_s, *fitted_s;
	int n;
};

struct chart_scatter {
	struct chart_head head;
	const char *y_axis;	/* NULL: "fitted time (seconds)" */
	const struct chart_scatter_series *series;
	int n_series;	/* 1..CHART_SERIES_MAX */
};

/*
 * The error band at a fitted time: seconds x (1 - mape) to seconds x
 * (1 + mape). Its lower edge stays above 0, at CHART_BAND_LEAST of the time,
 * since a logarithmic axis has no 0; an error that is no number has no width.
 */
#define CHART_BAND_LEAST 0.01
void chart_fit_band(double seconds, double mape, double *low_p,
		    double *high_p);

/*
 * Sizes at which the curve is drawn: in equal ratios from min to max, and
 * both sides of every protocol switch, so that a jump is seen as one.
 * Ascending; at most CHART_FIT_SIZES_MAX; returns how many, 0 when the range
 * is empty.
 */
#define CHART_FIT_STEPS 160
#define CHART_FIT_SIZES_MAX (CHART_FIT_STEPS + 1 + 2 * CURVE_PIECES)
int chart_fit_sizes(const struct curve *f, double min_bytes, double max_bytes,
		    double size[CHART_FIT_SIZES_MAX]);

enum status chart_fit_write(const struct chart_fit *c, const char *path);
enum status chart_scatter_write(const struct chart_scatter *c,
				const char *path);

/* The scripts alone, for tests; *width_p, *height_p in points. */
void chart_fit_script(const struct chart_fit *c, struct buf *out,
		      int *width_p, int *height_p);
void chart_scatter_script(const struct chart_scatter *c, struct buf *out,
			  int *width_p, int *height_p);

#endif
