/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Values between the points of a grid: ordinary kriging (Matheron 1963).
 *
 * What is known, y_i at places x_i (logarithms), is taken as one draw of a
 * Gaussian process with an unknown mean and Matern's covariance of order 3/2,
 * once differentiable,
 *
 *	c(d) = (1 + sqrt(3) d) exp(-sqrt(3) d) + noise [d = 0]
 *	d = |x - x'| / length
 *
 * With C the matrix of the nearest places and k their covariance with x
 *
 *	y(x) = mu + k' C^-1 (y - mu 1),	mu = 1' C^-1 y / 1' C^-1 1
 *
 * is the best linear unbiased guess. Length and noise are those of the least
 * mean error when known places are left out one at a time.
 */
#include "scenarios/measured_grid.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Places that a guess is made from. */
#define NEAR_MAX 24

/* Places that are left out to choose a form, at most: every so manieth. */
#define TRIED_MAX 64

/* Covariances of all pairs are kept up to so many places. */
#define KEPT_MAX 1500

/* Length in octaves, and the share of the variance that is noise. */
struct form {
	double length, noise;
};

static const struct form forms[] = {
	{ 8, 1e-4 }, { 8, 1e-3 }, { 8, 1e-2 },
	{ 32, 1e-4 }, { 32, 1e-3 }, { 32, 1e-2 },
};

#define N_FORMS (int)(sizeof(forms) / sizeof(*forms))

struct place {
	int at[AXES];	/* node on each axis */
	double y;
};

struct krige {
	int n;
	struct place *place;	/* owned */
	/* squared distances on an axis, in octaves */
	double (*square)[AXIS_MAX][AXIS_MAX];	/* [AXES], owned */
	struct form form;
	double *kept;	/* [n][n] covariances of the form; owned or NULL */
};

static double square_of(const struct krige *k, const int *a, const int *b)
{
	double sum = 0;
	int i;

	for (i = 0; i < AXES; i++)
		sum += k->square[i][a[i]][b[i]];
	return sum;
}

static double covariance(const struct form *f, double square)
{
	double d = sqrt(3 * square) / f->length;

	return (1 + d) * exp(-d);
}

static void set_form(struct krige *k, const struct form *f)
{
	int i, j;

	k->form = *f;
	for (i = 0; k->kept && i < k->n; i++) {
		for (j = 0; j <= i; j++) {
			k->kept[i * k->n + j] = k->kept[j * k->n + i] =
				covariance(f, square_of(k, k->place[i].at,
							k->place[j].at));
		}
	}
}

static double pair_covariance(const struct krige *k, int i, int j)
{
	return k->kept ? k->kept[i * k->n + j] :
		covariance(&k->form, square_of(k, k->place[i].at,
					       k->place[j].at));
}

/* The nearest places but `without` (-1: none), the nearest first; how many. */
static int nearest(const struct krige *k, const int *at, int without,
		   int *near, double *square)
{
	int n = 0, i, to;
	double d;

	for (i = 0; i < k->n; i++) {
		d = square_of(k, at, k->place[i].at);
		if (i == without || (n == NEAR_MAX && d >= square[n - 1]))
			continue;
		if (n < NEAR_MAX)
			n++;
		for (to = n - 1; to > 0 && square[to - 1] > d; to--) {
			square[to] = square[to - 1];
			near[to] = near[to - 1];
		}
		square[to] = d;
		near[to] = i;
	}
	return n;
}

/* Cholesky's factor of C, in its place. */
static void factor(double c[NEAR_MAX][NEAR_MAX], int n)
{
	double sum;
	int i, j, q;

	for (i = 0; i < n; i++) {
		for (j = 0; j <= i; j++) {
			for (q = 0, sum = c[i][j]; q < j; q++)
				sum -= c[i][q] * c[j][q];
			/* the noise keeps it above 0, but for rounding */
			c[i][j] = i == j ? sqrt(fmax(sum, 1e-12)) :
				sum / c[j][j];
		}
	}
}

/* L z = b, in its place. */
static void forward(double l[NEAR_MAX][NEAR_MAX], int n, double *b)
{
	int i, q;

	for (i = 0; i < n; i++) {
		for (q = 0; q < i; q++)
			b[i] -= l[i][q] * b[q];
		b[i] /= l[i][i];
	}
}

static double dot(const double *a, const double *b, int n)
{
	double sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* With C = L L' all is in products of L^-1 1, L^-1 y, L^-1 k. */
static double guess(const struct krige *k, const int *at, int without)
{
	double c[NEAR_MAX][NEAR_MAX], square[NEAR_MAX], cross[NEAR_MAX];
	double one[NEAR_MAX], y[NEAR_MAX], mu;
	int near[NEAR_MAX], n = nearest(k, at, without, near, square), i, j;

	if (!n)
		return 0;
	for (i = 0; i < n; i++) {
		one[i] = 1;
		y[i] = k->place[near[i]].y;
		cross[i] = covariance(&k->form, square[i]);
		for (j = 0; j < i; j++)
			c[i][j] = pair_covariance(k, near[i], near[j]);
		c[i][i] = 1 + k->form.noise;
	}
	factor(c, n);
	forward(c, n, one);
	forward(c, n, y);
	forward(c, n, cross);
	mu = dot(one, y, n) / dot(one, one, n);
	return mu + dot(cross, y, n) - mu * dot(cross, one, n);
}

static double form_error(const struct krige *k)
{
	int step = (k->n + TRIED_MAX - 1) / TRIED_MAX, i;
	double sum = 0;

	for (i = 0; i < k->n; i += step)
		sum += fabs(guess(k, k->place[i].at, i) - k->place[i].y);
	return sum;
}

static void choose_form(struct krige *k)
{
	double least = INFINITY, error;
	int best = 0, i;

	for (i = 0; i < N_FORMS; i++) {
		set_form(k, &forms[i]);
		error = form_error(k);
		if (error < least) {
			least = error;
			best = i;
		}
	}
	set_form(k, &forms[best]);
}

static void set_squares(struct krige *k, const struct product_grid *g)
{
	const struct axis *x;
	double d;
	int a, i, j;

	for (a = 0; a < AXES; a++) {
		x = &g->axis[a];
		for (i = 0; i < x->n; i++) {
			for (j = 0; j < x->n; j++) {
				d = (x->v[i] - x->v[j]) / log(2);
				k->square[a][i][j] = d * d;
			}
		}
	}
}

void grid_krige(const struct product_grid *g, struct node *node)
{
	struct krige k = { 0 };
	int at[AXES], i, a;

	k.place = xcalloc((size_t)g->n, sizeof(*k.place));
	k.square = xcalloc(AXES, sizeof(*k.square));
	set_squares(&k, g);
	for (i = 0; i < g->n; i++) {
		if (!node[i].n)
			continue;
		for (a = 0; a < AXES; a++)
			k.place[k.n].at[a] = node_index(g, i, a);
		k.place[k.n++].y = node[i].rate;
	}
	if (k.n <= KEPT_MAX)
		k.kept = xcalloc((size_t)k.n * (size_t)k.n, sizeof(*k.kept));
	choose_form(&k);
	for (i = 0; i < g->n; i++) {
		if (node[i].n)
			continue;
		for (a = 0; a < AXES; a++)
			at[a] = node_index(g, i, a);
		node[i].rate = guess(&k, at, -1);
	}
	free(k.kept);
	free(k.square);
	free(k.place);
}
