/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Jitter: what a step takes when times vary.
 *
 * On one rank an op takes its time times exp(s z - s^2/2), z standard normal:
 * lognormal with mean 1, s the key faults.compute_jitter or comm_jitter. An
 * op of the program is done when the slowest of its N ranks is, so its factor
 * is the largest of N such draws; with u uniform in (0, 1)
 *
 *	z_max = Phi^-1(u^(1/N))
 *
 * has just that distribution. An exchange is one event of all its ranks: N =
 * 1. Run i draws from a generator of its own (seed and i), so that runs can
 * be split over processes in any way.
 */
#ifndef SIM_JITTER_H
#define SIM_JITTER_H

#include "sim/search.h"

/*
 * Times of runs first, first + step ... < n to time_s[] of those numbers. The
 * program's ops are changed meanwhile and put back.
 */
enum status jitter_run(const struct fault_spec *f, struct evaluation *e,
		       enum exec_model model, int first, int step, int n,
		       double *time_s);

struct jitter_stats {
	int n;
	double mean_s, min_s, p50_s, p95_s, p99_s, max_s;
};

/* Sorts time_s. */
struct jitter_stats jitter_sum_up(double *time_s, int n);

static inline bool jitter_wanted(const struct fault_spec *f)
{
	return f->compute_jitter > 0 || f->comm_jitter > 0;
}

/* The largest of n standard normal numbers, at its quantile u. */
double jitter_largest(double u, int n);

#endif
