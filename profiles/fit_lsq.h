/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Least squares with coefficients that are not negative, for few unknowns.
 *
 * Lawson & Hanson (1974, chapter 23), on the normal equations: from a set whose
 * minimum has nothing negative, columns come in one at a time, the steepest
 * first; the set's ordinary minimum is taken, and columns that it would push
 * below zero leave. The problem is convex, so where no column is left along which
 * the sum falls, that is the minimum. Private to profiles/fit*.c.
 */
#ifndef PROFILES_FIT_LSQ_H
#define PROFILES_FIT_LSQ_H

#include "base/curve.h"

#include <stdbool.h>

/* A start-up time, and rate, jump and square root of every piece. */
#define LSQ_COLS (3 * CURVE_PIECES)

/*
 * min sum w_i (y_i - sum_j x_ij c_j)^2, c >= 0. x is [n][p] row-major, w >= 0.
 * Fills c[p]; returns the minimum. `exact`: the columns of the set are then
 * solved once more by GSL's weighted linear least squares (singular values),
 * which loses no digits; without it is for searches.
 */
double lsq_solve(const double *x, const double *y, const double *w, int n,
		 int p, bool exact, double *c);

/* The same from the normal equations: G = X'WX, h = X'Wy, yy = y'Wy. */
struct lsq_gram {
	int p;
	double g[LSQ_COLS][LSQ_COLS], h[LSQ_COLS], yy;
};

double lsq_gram_solve(const struct lsq_gram *q, double *c);

#endif
