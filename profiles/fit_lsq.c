/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/fit_lsq.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit.h>
#include <math.h>
#include <stdbool.h>

/* A pivot below this share of its column is a dependent column. */
#define PIVOT_MIN 1e-13

/* A slope below this share of the largest that there can be is none. */
#define SLOPE_MIN 1e-12

/* Columns come in and go out; more rounds than that is a circle. */
#define ROUNDS_PER_COLUMN 4

/* ---- one set of columns, by the normal equations ---- */

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

/* ---- the active set ---- */

struct active {
	int n, index[LSQ_COLS];
	bool in[LSQ_COLS], banned[LSQ_COLS];
};

static void active_list(struct active *a, int p)
{
	int j;

	for (j = 0, a->n = 0; j < p; j++) {
		if (a->in[j])
			a->index[a->n++] = j;
	}
}

/* The column outside the set along which the sum falls fastest, as a share
 * of the fastest fall there can be; -1: none, so c is the minimum. */
static int steepest(const struct lsq_gram *q, const struct active *a,
		    const double *c)
{
	double most = SLOPE_MIN, w;
	int best = -1, i, j;

	for (j = 0; j < q->p; j++) {
		if (a->in[j] || a->banned[j] || !(q->g[j][j] > 0))
			continue;
		w = q->h[j];
		for (i = 0; i < q->p; i++)
			w -= q->g[j][i] * c[i];
		w /= sqrt(q->g[j][j] * q->yy);
		if (w > most) {
			most = w;
			best = j;
		}
	}
	return best;
}

/*
 * From c towards the set's ordinary minimum as far as nothing falls below
 * zero; columns that get there leave. True when the minimum was reached.
 */
static bool step_towards(const struct active *a, const double *part,
			 double *c, bool *in)
{
	double step = 1, at;
	int i, j, first = -1;

	for (i = 0; i < a->n; i++) {
		j = a->index[i];
		if (part[i] > 0)
			continue;
		at = c[j] > 0 ? c[j] / (c[j] - part[i]) : 0;
		if (at < step || first < 0) {
			step = at;
			first = j;
		}
	}
	for (i = 0; i < a->n; i++) {
		j = a->index[i];
		c[j] = fmax(c[j] + step * (part[i] - c[j]), 0);
		if (j == first || (first >= 0 && !(c[j] > 0))) {
			c[j] = 0;
			in[j] = false;
		}
	}
	return first < 0;
}

/* Solves on the set; false: its columns depend on one another. */
static bool settle(const struct lsq_gram *q, struct active *a, double *c)
{
	double part[LSQ_COLS];

	do {
		active_list(a, q->p);
		if (!gram_set(q, a->index, a->n, part))
			return false;
	} while (!step_towards(a, part, c, a->in));
	active_list(a, q->p);
	return true;
}

/*
 * A set to begin with whose ordinary minimum has nothing negative: all
 * columns, then without those that fell below zero, and so on. From there it
 * is mostly no column more, from none it is all of them. False: dependent
 * columns, so begin with none.
 */
static bool begin(const struct lsq_gram *q, struct active *a, double *c)
{
	double part[LSQ_COLS];
	int i, left = 1;

	for (i = 0; i < q->p; i++)
		a->in[i] = q->g[i][i] > 0;
	while (left) {
		active_list(a, q->p);
		if (!gram_set(q, a->index, a->n, part))
			return false;
		for (i = 0, left = 0; i < a->n; i++) {
			if (!(part[i] > 0)) {
				a->in[a->index[i]] = false;
				left++;
			}
		}
	}
	for (i = 0; i < a->n; i++)
		c[a->index[i]] = part[i];
	return true;
}

static double active_set(const struct lsq_gram *q, double *c,
			 struct active *a)
{
	int j, round;

	*a = (struct active){ 0 };
	for (j = 0; j < q->p; j++)
		c[j] = 0;
	if (!begin(q, a, c))
		*a = (struct active){ 0 };
	for (round = 0; round < ROUNDS_PER_COLUMN * q->p; round++) {
		j = steepest(q, a, c);
		if (j < 0)
			break;
		a->in[j] = true;
		if (settle(q, a, c))
			continue;
		a->in[j] = false;
		a->banned[j] = true;
		c[j] = 0;
	}
	active_list(a, q->p);
	return gram_value(q, c);
}

double lsq_gram_solve(const struct lsq_gram *q, double *c)
{
	struct active a;

	return active_set(q, c, &a);
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

static double rows_value(const struct rows *r, const double *c)
{
	double sum = 0, e;
	int i, j;

	for (i = 0; i < r->n; i++) {
		e = r->y[i];
		for (j = 0; j < r->p; j++)
			e -= r->x[i * r->p + j] * c[j];
		sum += r->w[i] * e * e;
	}
	return sum;
}

static struct lsq_gram gram_of(const struct rows *r)
{
	struct lsq_gram q = { .p = r->p };
	int i, j, k;

	for (i = 0; i < r->n; i++) {
		const double *x = &r->x[i * r->p];
		double w = r->w[i], y = r->y[i];

		q.yy += w * y * y;
		for (j = 0; j < r->p; j++) {
			q.h[j] += w * x[j] * y;
			for (k = 0; k < r->p; k++)
				q.g[j][k] += w * x[j] * x[k];
		}
	}
	return q;
}

/* Digits that the normal equations lost; kept unless it breaks c >= 0. */
static void polish(const struct rows *r, const struct active *a, double *c)
{
	double part[LSQ_COLS];
	int i;

	if (!a->n || a->n > r->n ||
	    !isfinite(solve_set(r, a->index, a->n, part)))
		return;
	for (i = 0; i < a->n; i++) {
		if (!(part[i] >= 0) || !isfinite(part[i]))
			return;
	}
	for (i = 0; i < a->n; i++)
		c[a->index[i]] = part[i];
}

double lsq_solve(const double *x, const double *y, const double *w, int n,
		 int p, bool exact, double *c)
{
	const struct rows r = { x, y, w, n, p };
	const struct lsq_gram q = gram_of(&r);
	gsl_error_handler_t *old;
	struct active a;
	double best = active_set(&q, c, &a);

	if (!exact)
		return best;
	old = gsl_set_error_handler_off();
	polish(&r, &a, c);
	gsl_set_error_handler(old);
	return rows_value(&r, c);
}
