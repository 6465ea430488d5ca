/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/chart_axis.h"

#include "base/buf.h"
#include "reports/chart_style.h"
#include "reports/gnuplot.h"

#include <math.h>
#include <stdio.h>

#define PAD 1.2	/* free at the ends, a factor */
#define TICS 8	/* wished for, at most */
#define FEW_DECADES 2.5	/* up to here also tics at 2 and 5 */
#define LABEL_MAX 48

void chart_log_axis_init(struct chart_log_axis *a)
{
	*a = (struct chart_log_axis){ INFINITY, 0 };
}

void chart_log_axis_widen(struct chart_log_axis *a, double value)
{
	a->lo = fmin(a->lo, value);
	a->hi = fmax(a->hi, value);
}

/* Smallest of 1, 2, 5, 10, 20, ... that makes at most TICS steps. */
static int tic_step(double span)
{
	static const int steps[] = { 1, 2, 5 };
	int scale, i;

	for (scale = 1; scale < 1000; scale *= 10) {
		for (i = 0; i < 3; i++) {
			if (span / (steps[i] * scale) <= TICS)
				return steps[i] * scale;
		}
	}
	return scale;
}

static void put_tic(struct buf *out, const char **sep, const char *label,
		    double at)
{
	buf_puts(out, *sep);
	gnuplot_string(out, label);
	buf_puts(out, " ");
	gnuplot_number(out, at);
	*sep = ", ";
}

static void time_tic(struct buf *out, const char **sep, double at)
{
	char label[LABEL_MAX];
	double unit_s;
	/* 1e-3 may come out just below itself */
	const char *unit = chart_time_unit(at * (1 + 1e-9), &unit_s);

	snprintf(label, sizeof(label), "%.4g %s", at / unit_s, unit);
	put_tic(out, sep, label, at);
}

static void put_time_tics(struct buf *out, double lo, double hi)
{
	static const double within[] = { 1, 2, 5 };
	double span = log10(hi / lo), at;
	int n = span <= FEW_DECADES ? 3 : 1, step = tic_step(span), e, i;
	const char *sep = "";

	for (e = (int)floor(log10(lo)); e <= (int)ceil(log10(hi)); e++) {
		if (e % step)
			continue;
		for (i = 0; i < n; i++) {
			at = within[i] * pow(10, e);
			if (at >= lo && at <= hi)
				time_tic(out, &sep, at);
		}
	}
}

static void bytes_tic(struct buf *out, const char **sep, int e)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB",
					     "PiB", "EiB", "ZiB" };
	const int n_units = (int)(sizeof(units) / sizeof(units[0]));
	char label[LABEL_MAX];

	if (e >= 0 && e / 10 < n_units)
		snprintf(label, sizeof(label), "%d %s", 1 << e % 10,
			 units[e / 10]);
	else
		snprintf(label, sizeof(label), "2^%d B", e);
	put_tic(out, sep, label, ldexp(1, e));
}

static void put_bytes_tics(struct buf *out, double lo, double hi)
{
	int e = (int)ceil(log2(lo)), end = (int)floor(log2(hi));
	int step = tic_step(log2(hi / lo));
	const char *sep = "";

	for (; e <= end; e++) {
		if (e % step == 0)
			bytes_tic(out, &sep, e);
	}
}

void chart_log_axis_put(struct buf *out, char name,
			const struct chart_log_axis *a, enum chart_unit unit)
{
	double least = unit == CHART_UNIT_TIME ? 10 : 4, lo = 1, hi = 1, more;

	if (a->lo > 0 && a->lo <= a->hi) {
		lo = a->lo / PAD;
		hi = a->hi * PAD;
	}
	more = fmax(sqrt(least / (hi / lo)), 1);
	lo /= more;
	hi *= more;
	buf_addf(out, "set logscale %c\nset %crange [", name, name);
	gnuplot_number(out, lo);
	buf_puts(out, ":");
	gnuplot_number(out, hi);
	buf_addf(out, "]\nset %ctics (", name);
	if (unit == CHART_UNIT_TIME)
		put_time_tics(out, lo, hi);
	else
		put_bytes_tics(out, lo, hi);
	buf_puts(out, ")\n");
}
