/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/stats.h"

#include <math.h>
#include <stdlib.h>

#define NORMAL_95 1.96
#define INTERVAL_MIN 6	/* values */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* v is sorted. */
static double spread_of(const double *v, int n, double median)
{
	double half = NORMAL_95 * sqrt(n) / 2;
	int lo = (int)floor(n / 2.0 - half), hi = (int)ceil(1 + n / 2.0 + half);

	if (n < INTERVAL_MIN || median <= 0)
		return 1;
	lo = lo < 1 ? 1 : lo;
	hi = hi > n ? n : hi;
	return (v[hi - 1] - v[lo - 1]) / 2 / median;
}

struct stats stats_of(double *v, int n)
{
	struct stats s = { .n = n, .spread = 1 };
	int i;

	if (n < 1)
		return s;
	qsort(v, (size_t)n, sizeof(*v), by_value);
	s.median = (v[(n - 1) / 2] + v[n / 2]) / 2;
	s.p95 = v[(95 * n + 99) / 100 - 1];
	s.min = v[0];
	s.max = v[n - 1];
	for (i = 0; i < n; i++)
		s.mean += v[i] / n;
	s.spread = spread_of(v, n, s.median);
	return s;
}
