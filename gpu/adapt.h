/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which size of a series to measure next: where the curve is least certain.
 *
 * First come the sizes that are wanted in any case, then halves of gaps of
 * more than gap_max octaves (fine_gap from fine_min to fine_max), at whole
 * steps of ADAPT_GAP_MIN where these are in between. Then: times are known at some sizes; between
 * them, straight lines in log-log are assumed. What would the line say at an
 * inner point if that had been left out? With slopes s1, s2 of the lines to
 * its neighbours, h1 and h2 octaves away, it would be off by
 *
 *	|s2 - s1| h1 h2 / (h1 + h2)		(log2 of time)
 *
 * The wider gap beside the point with the largest such error is halved. At a
 * protocol switch the error stays, so halving goes on there until gaps are
 * ADAPT_GAP_MIN.
 *
 *	struct adapt a = { 0 };
 *	adapt_range(&a, 1024, 1 << 30);
 *	while ((n = adapt_next(&a, &error)) > 0 && error > tolerance)
 *		adapt_add(&a, n, measure(n));
 */
#ifndef GPU_ADAPT_H
#define GPU_ADAPT_H

#include <stdbool.h>

#define ADAPT_MAX 96		/* points of a series */
#define ADAPT_FIRST 5		/* sizes of a range, evenly in log2 */
#define ADAPT_FEW 3		/* those that a line is fitted to */
#define ADAPT_FIRST_MAX 32
#define ADAPT_GAP_MIN 0.25	/* octaves; smaller gaps stay */
#define ADAPT_GAP_RANGE 2.0	/* gap_max of a range */
#define ADAPT_WIDE 50		/* "error" of a gap above gap_max */
#define ADAPT_MISSING 1e3	/* "error" while the first size is missing */
#define ADAPT_ERROR_MAX 100	/* any other error is at most this */

struct adapt {
	int n_first;
	double first[ADAPT_FIRST_MAX];	/* sizes, ascending */
	double gap_max;		/* octaves; 0: any gap may be */
	double fine_gap;	/* between the sizes that follow; 0: none */
	double fine_min, fine_max;
	double gap_above;	/* from fine_max up; 0: gap_max */
	int n;
	double x[ADAPT_MAX], y[ADAPT_MAX];	/* log2, ascending x */
	int times[ADAPT_MAX];	/* that it was measured */
};

/* The first sizes: those of a range (which sets gap_max), no more than it
 * takes of one (gaps may be any), or one more of a list (ascending). */
void adapt_range(struct adapt *a, double min, double max);
void adapt_few(struct adapt *a, double min, double max);
void adapt_first(struct adapt *a, double size);

/*
 * The next size, or 0: nothing is left. *error_p: ADAPT_MISSING - i for the
 * i-th first size, ADAPT_WIDE + octaves in a gap above gap_max, else the
 * relative error of time that the interpolation has at an end of the gap.
 */
double adapt_next(const struct adapt *a, double *error_p);

/* Measured; a size that is there already counts once, its last time. */
void adapt_add(struct adapt *a, double size, double seconds);

/*
 * The size up to `max` that was measured least often, fewer than `times`
 * times, the smallest first; 0: none. *times_p: how often it was.
 */
double adapt_repeat(const struct adapt *a, double max, int times,
		    int *times_p);

/*
 * The size from `min` up, measured fewer than `times` times, that is farthest
 * off the line between its neighbours, by *error_p; 0: none. It may have been
 * measured in a bad moment.
 */
double adapt_doubt(const struct adapt *a, double min, int times,
		   double *error_p);

/* No size above those measured is wanted any more: too slow. */
void adapt_stop_above(struct adapt *a);

/* Interpolated or extrapolated time of a size; 0 below two points. */
double adapt_guess(const struct adapt *a, double size);

#endif
