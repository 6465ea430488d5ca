/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Statistics of repeated times: order statistics, so that a few slow
 * repetitions do not move them.
 */
#ifndef GPU_STATS_H
#define GPU_STATS_H

struct stats {
	int n;
	double median, p95, min, max, mean;
	/* half the 95 % confidence interval of the median, relative to it;
	 * 1 when there are too few values for one */
	double spread;
};

/*
 * Sorts v. Median: mean of the middle two for even n; p95: the smallest
 * value that is not below 95 % of them (nearest rank).
 *
 * The interval: the number of values below the true median is binomial
 * (n, 1/2), so it lies between the order statistics (from 1)
 * floor((n - 1.96 sqrt(n)) / 2) and ceil(1 + (n + 1.96 sqrt(n)) / 2)
 * with 95 % probability (Conover, Practical Nonparametric Statistics, 3.2),
 * whatever the distribution. n below 6 has none.
 */
struct stats stats_of(double *v, int n);

#endif
