/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/fit_lsq.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit.h>
#include <math.h>
#include <stdbool.h>

/* A pivot below this share of its column is a dependent column. */
#define PIVOT_MIN 1e-13

static int members(unsigned set, int p, int *index)
{
	int j, n = 0;

	for (j = 0; j < p; j++) {
		if (set & 1u << j)
			index[n++] = j;
	}
	return n;
}

/* Is it not negative? Then it is spread over c[p]. */
static bool accept(const double *part, const int *index, int n, int p,
		   double *c)
{
	int j;

	for (j = 0; j < n; j++) {
		if (!(part[j] >= 0) || !isfinite(part[j]))
			return false;
	}
	for (j = 0; j < p; j++)
		c[j] = 0;
	for (j = 0; j < n; j++)
		c[index[j]] = part[j];
	return true;
}

/* ---- by GSL ---- */

struct rows {
	const double *x, *y, *w;
	int n, p;
};

/* The ordinary minimum on the columns of `index`; INFINITY: GSL gave up. */
static double solve_set(const struct rows *r, const int *index, int n_index,
			double *part)
{
	size_t n = (size_t)r->n, p = (size_t)n_index, i, j;
	gsl_multifit_linear_workspace *ws = gsl_multifit_linear_alloc(n, p);
	gsl_matrix *x = gsl_matrix_alloc(n, p);
	gsl_matrix *cov = gsl_matrix_alloc(p, p);
	gsl_vector *c = gsl_vector_alloc(p);
	gsl_vector_const_view y = gsl_vector_const_view_array(r->y, n);
	gsl_vector_const_view w = gsl_vector_const_view_array(r->w, n);
	double chisq = INFINITY;

	for (i = 0; i < n; i++) {
		for (j = 0; j < p; j++)
			gsl_matrix_set(x, i, j, r->x[i * (size_t)r->p +
						     (size_t)index[j]]);
	}
	if (gsl_multifit_wlinear(x, &w.vector, &y.vector, c, cov, &chisq, ws))
		chisq = INFINITY;
	for (j = 0; j < p; j++)
		part[j] = gsl_vector_get(c, j);
	gsl_vector_free(c);
	gsl_matrix_free(cov);
	gsl_matrix_free(x);
	gsl_multifit_linear_free(ws);
	return chisq;
}

static double rows_square(const struct rows *r)
{
	double sum = 0;
	int i;

	for (i = 0; i < r->n; i++)
		sum += r->w[i] * r->y[i] * r->y[i];
	return sum;
}

double lsq_solve(const double *x, const double *y, const double *w, int n,
		 int p, double *c)
{
	const struct rows r = { x, y, w, n, p };
	gsl_error_handler_t *old = gsl_set_error_handler_off();
	double best = rows_square(&r), now, part[LSQ_COLS], got[LSQ_COLS];
	unsigned full = (1u << p) - 1, set;
	int index[LSQ_COLS], j, k;

	for (j = 0; j < p; j++)
		c[j] = 0;
	for (set = full; set; set--) {
		k = members(set, p, index);
		if (k > n)
			continue;
		now = solve_set(&r, index, k, part);
		if (!(now < best) || !accept(part, index, k, p, got))
			continue;
		best = now;
		for (j = 0; j < p; j++)
			c[j] = got[j];
		if (set == full)	/* no constraint binds */
			break;
	}
	gsl_set_error_handler(old);
	return best;
}

/* ---- by the normal equations ---- */

/* Cholesky on the set's columns, scaled to a unit diagonal. */
static bool gram_set(const struct lsq_gram *q, const int *index, int n,
		     double *part)
{
	double l[LSQ_COLS][LSQ_COLS], s[LSQ_COLS], z[LSQ_COLS], v;
	int i, j, k;

	for (i = 0; i < n; i++) {
		s[i] = sqrt(q->g[index[i]][index[i]]);
		if (!(s[i] > 0))
			return false;
	}
	for (i = 0; i < n; i++) {
		z[i] = q->h[index[i]] / s[i];
		for (j = 0; j <= i; j++) {
			v = q->g[index[i]][index[j]] / (s[i] * s[j]);
			for (k = 0; k < j; k++)
				v -= l[i][k] * l[j][k];
			if (i == j && !(v > PIVOT_MIN))
				return false;
			l[i][j] = i == j ? sqrt(v) : v / l[j][j];
		}
		for (k = 0; k < i; k++)
			z[i] -= l[i][k] * z[k];
		z[i] /= l[i][i];
	}
	for (i = n - 1; i >= 0; i--) {
		for (k = i + 1; k < n; k++)
			z[i] -= l[k][i] * z[k];
		z[i] /= l[i][i];
		part[i] = z[i] / s[i];
	}
	return true;
}

static double gram_value(const struct lsq_gram *q, const double *c)
{
	double sum = q->yy;
	int i, j;

	for (i = 0; i < q->p; i++) {
		sum -= 2 * q->h[i] * c[i];
		for (j = 0; j < q->p; j++)
			sum += q->g[i][j] * c[i] * c[j];
	}
	return fmax(sum, 0);
}

double lsq_gram_solve(const struct lsq_gram *q, double limit, double *c)
{
	double best = q->yy, now, part[LSQ_COLS], got[LSQ_COLS];
	unsigned full = (1u << q->p) - 1, set;
	int index[LSQ_COLS], j, k;

	for (j = 0; j < q->p; j++)
		c[j] = 0;
	for (set = full; set; set--) {
		k = members(set, q->p, index);
		if (!gram_set(q, index, k, part))
			continue;
		if (set == full && !(gram_value(q, part) < limit))
			return INFINITY;
		if (!accept(part, index, k, q->p, got))
			continue;
		now = gram_value(q, got);
		if (!(now < best))
			continue;
		best = now;
		for (j = 0; j < q->p; j++)
			c[j] = got[j];
		if (set == full)
			break;
	}
	return best;
}
