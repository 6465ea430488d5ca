/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/adapt.h"

#include <math.h>
#include <string.h>

/* Sizes closer than this (octaves) are one. */
#define SAME 0.01
/* Shorter than any clock can tell. */
#define TIME_MIN_S 1e-10

void adapt_first(struct adapt *a, double size)
{
	if (a->n_first < ADAPT_FIRST_MAX)
		a->first[a->n_first++] = size;
}

static void spread(struct adapt *a, double min, double max, int n)
{
	double lo = log2(min), hi = log2(max);
	int i;

	for (i = 0; i < n; i++)
		adapt_first(a, exp2(lo + (hi - lo) * i / (n - 1)));
}

void adapt_range(struct adapt *a, double min, double max)
{
	a->gap_max = ADAPT_GAP_RANGE;
	spread(a, min, max, ADAPT_FIRST);
}

void adapt_few(struct adapt *a, double min, double max)
{
	spread(a, min, max, ADAPT_FEW);
}

static int find(const struct adapt *a, double x)
{
	int i;

	for (i = 0; i < a->n; i++) {
		if (fabs(a->x[i] - x) < SAME)
			return i;
	}
	return -1;
}

static double gap(const struct adapt *a, int i)
{
	return a->x[i + 1] - a->x[i];
}

/* Error of the line past inner point i, in log2 of time. */
static double left_out(const struct adapt *a, int i)
{
	double h1 = gap(a, i - 1), h2 = gap(a, i);
	double s1 = (a->y[i] - a->y[i - 1]) / h1;
	double s2 = (a->y[i + 1] - a->y[i]) / h2;

	return fabs(s2 - s1) * h1 * h2 / (h1 + h2);
}

/* How wide the gap from point i to i + 1 may be; 0: any. */
static double gap_limit(const struct adapt *a, int i)
{
	double middle = exp2((a->x[i] + a->x[i + 1]) / 2);

	if (a->fine_gap > 0 && middle > a->fine_min * (1 - SAME) &&
	    middle < a->fine_max * (1 + SAME))
		return a->fine_gap;
	return a->gap_above > 0 && middle > a->fine_max ? a->gap_above
							 : a->gap_max;
}

/* Of the gap from point i to i + 1: relative, or how wide it is. */
static double gap_error(const struct adapt *a, int i)
{
	double h = gap(a, i), limit = gap_limit(a, i), error = 0;

	if (h < 2 * ADAPT_GAP_MIN - SAME)
		return 0;
	if (limit > 0 && h > limit + SAME)
		return ADAPT_WIDE + h;
	if (i > 0 && h >= gap(a, i - 1) - SAME)
		error = left_out(a, i);
	if (i + 2 < a->n && h >= gap(a, i + 1) - SAME)
		error = fmax(error, left_out(a, i + 1));
	return fmin(exp2(error) - 1, ADAPT_WIDE);
}

/* The middle of a gap, at a whole step if that leaves both halves. */
static double middle_of(const struct adapt *a, int i)
{
	double lo = a->x[i], hi = a->x[i + 1], x = (lo + hi) / 2;
	double step = round(x / ADAPT_GAP_MIN) * ADAPT_GAP_MIN;

	return fmin(step - lo, hi - step) > ADAPT_GAP_MIN - SAME / 10 ? step
								     : x;
}

double adapt_next(const struct adapt *a, double *error_p)
{
	double error, most = 0, x = 0;
	int i;

	for (i = 0; i < a->n_first && a->n < ADAPT_MAX; i++) {
		if (find(a, log2(a->first[i])) >= 0)
			continue;
		*error_p = ADAPT_MISSING - i;
		return a->first[i];
	}
	for (i = 0; i + 1 < a->n && a->n < ADAPT_MAX; i++) {
		error = gap_error(a, i);
		if (error > most) {
			most = error;
			x = middle_of(a, i);
		}
	}
	*error_p = most;
	return most > 0 ? exp2(x) : 0;
}

void adapt_add(struct adapt *a, double size, double seconds)
{
	double x = log2(size), y = log2(fmax(seconds, TIME_MIN_S));
	int i = find(a, x), n;

	if (i >= 0) {
		a->y[i] = y;
		a->times[i]++;
		return;
	}
	if (a->n == ADAPT_MAX)
		return;
	for (i = 0; i < a->n && a->x[i] < x; i++)
		;
	n = a->n - i;
	memmove(a->x + i + 1, a->x + i, (size_t)n * sizeof(*a->x));
	memmove(a->y + i + 1, a->y + i, (size_t)n * sizeof(*a->y));
	memmove(a->times + i + 1, a->times + i, (size_t)n * sizeof(*a->times));
	a->x[i] = x;
	a->y[i] = y;
	a->times[i] = 1;
	a->n++;
}

double adapt_repeat(const struct adapt *a, double max, int times, int *times_p)
{
	double size = 0;
	int i;

	for (i = 0; i < a->n && a->x[i] < log2(max) + SAME; i++) {
		if (a->times[i] >= times)
			continue;
		times = a->times[i];
		size = exp2(a->x[i]);
	}
	*times_p = times;
	return size;
}

double adapt_doubt(const struct adapt *a, double min, int times,
		   double *error_p)
{
	double size = 0, error;
	int i;

	*error_p = 0;
	for (i = 1; i < a->n - 1; i++) {
		if (a->times[i] >= times || a->x[i] < log2(min) - SAME)
			continue;
		error = exp2(left_out(a, i)) - 1;
		if (error > *error_p) {
			*error_p = error;
			size = exp2(a->x[i]);
		}
	}
	return size;
}

void adapt_stop_above(struct adapt *a)
{
	int i;

	for (i = 0; i < a->n_first; i++) {
		if (!a->n || log2(a->first[i]) > a->x[a->n - 1] + SAME)
			break;
	}
	a->n_first = i;
}

double adapt_guess(const struct adapt *a, double size)
{
	double x = log2(size);
	int i;

	if (a->n < 2)
		return 0;
	for (i = 0; i + 2 < a->n && a->x[i + 1] < x; i++)
		;
	return exp2(a->y[i] + (x - a->x[i]) * (a->y[i + 1] - a->y[i]) /
				      (a->x[i + 1] - a->x[i]));
}
