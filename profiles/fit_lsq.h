/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Least squares with coefficients that are not negative, for few unknowns.
 *
 * The minimum over c >= 0 has some set of coefficients that are not zero, and
 * on that set it is the ordinary minimum; so the best of the ordinary minima
 * of all 2^p sets that are not negative is the answer (an active-set method
 * that tries every set; Lawson & Hanson 1974, chapter 23). Exact, and p <= 4
 * keeps it cheap. Private to profiles/fit*.c.
 */
#ifndef PROFILES_FIT_LSQ_H
#define PROFILES_FIT_LSQ_H

#define LSQ_COLS 4

/*
 * min sum w_i (y_i - sum_j x_ij c_j)^2, c >= 0, by GSL's weighted linear
 * least squares (singular values; columns that depend on one another do no
 * harm). x is [n][p] row-major, w >= 0. Fills c[p]; returns the minimum.
 */
double lsq_solve(const double *x, const double *y, const double *w, int n,
		 int p, double *c);

/*
 * The same from the normal equations: G = X'WX, h = X'Wy, yy = y'Wy. Less
 * exact and fast; for searches. Returns INFINITY, and c is not to be used,
 * when the minimum without the constraint already is `limit` or more.
 */
struct lsq_gram {
	int p;
	double g[LSQ_COLS][LSQ_COLS], h[LSQ_COLS], yy;
};

double lsq_gram_solve(const struct lsq_gram *q, double limit, double *c);

#endif
