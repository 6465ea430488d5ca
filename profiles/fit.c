/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/fit.h"

#include "base/mem.h"
#include "profiles/fit_model.h"

#include <math.h>
#include <stdlib.h>

/* A law with more unknowns must beat simpler ones by this share of their
 * error. */
#define GAIN_MIN 0.15

/* Errors closer to one another than that are the same. */
#define ERROR_STEP 1e-3

/*
 * The share of the polyline's error that a law may have at most. Where a law
 * is true and the times have an error of s, a left-out size is s off it, and
 * sqrt(1 + 1/2) s off the chord between its neighbours: the law then has 0.82
 * of the error. It is wrong from 1 up.
 */
#define LAW_SHARE 0.87

/*
 * With fewer sizes, leaving one out says more about the hole that it leaves
 * than about the form. A law is then taken only where it is as near to the
 * sizes that it was made from; else the polyline, which goes through them.
 */
#define FEW_SIZES 8
/* Of sizes too few to leave one out nothing is known: as far off as a time of
 * twice or none. */
#define ERROR_UNKNOWN 1.0
#define MISS_MAX 0.05

/* Laws, simplest first; then the polyline through as many sizes as can be,
 * which assumes none. */
static const struct fit_shape shapes[] = {
	{ FIT_LINEAR, 1, false, false, 2 },
	{ FIT_SQRT, 1, false, true, 3 },
	{ FIT_PIECEWISE, 2, true, false, 3 },
	{ FIT_PIECEWISE, 2, false, false, 4 },
	{ FIT_PIECEWISE, 3, true, false, 4 },
	{ FIT_PIECEWISE, 3, false, false, 6 },
	{ FIT_PIECEWISE, FIT_PIECES_MAX, true, false, 4 },
};

#define N_SHAPES (int)(sizeof(shapes) / sizeof(*shapes))
#define POLYLINE (N_SHAPES - 1)

const char *fit_form_name(enum fit_form f)
{
	static const char *const names[] = {
		[FIT_LINEAR] = "linear",
		[FIT_SQRT] = "sqrt",
		[FIT_PIECEWISE] = "piecewise",
	};

	return names[f];
}

/* Relative errors on the sizes of one block go to e[size]. */
static void block_errors(const struct fit_data *d, int block,
			 const struct curve *f, double *e)
{
	int i, size = -1;

	for (i = 0; i < d->n; i++) {
		const struct fit_sample *s = &d->sample[i];

		if (i && s->n == s[-1].n)
			continue;
		size++;
		if (s->block == block)
			e[size] = fabs(curve_eval(f, s->n) - s->scale) /
				s->scale;
	}
}

/*
 * Leave-one-size-out: each size's relative error when it was not known, with
 * break points found without it. False when a fold cannot be fitted.
 */
static bool cross_validate(const struct fit_data *d,
			   const struct fit_shape *shape, double *e)
{
	struct fit_data rest;
	struct curve f;
	bool ok = true;
	int b;

	for (b = 0; b < d->n_blocks && ok; b++) {
		fit_data_without(d, b, &rest);
		ok = fit_model(&rest, shape, &f);
		fit_data_release(&rest);
		if (ok)
			block_errors(d, b, &f, e);
	}
	return ok;
}

static double mean_of(const double *e, int n)
{
	double sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += e[i];
	return sum / n;
}

/* Plain R^2 over all samples. */
static double r_square(const struct fit_data *d, const struct curve *f)
{
	double mean = 0, total = 0, rest = 0;
	int i;

	for (i = 0; i < d->n; i++)
		mean += d->sample[i].t / d->n;
	for (i = 0; i < d->n; i++) {
		const struct fit_sample *s = &d->sample[i];

		total += (s->t - mean) * (s->t - mean);
		rest += (s->t - curve_eval(f, s->n)) *
			(s->t - curve_eval(f, s->n));
	}
	return total > 0 ? 1 - rest / total : 1;
}

static enum status check(const double *n, const double *t, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		if (!(n[i] > 0) || !isfinite(n[i]))
			return err_set(ST_INPUT, "fit: size '%g' is not a "
				       "positive number", n[i]);
		if (!(t[i] > 0) || !isfinite(t[i]))
			return err_set(ST_INPUT, "fit: time '%g' is not a "
				       "positive number", t[i]);
	}
	return ST_OK;
}

/* Cross-validated error of every shape of the form (of all: form < 0). */
static void try_shapes(const struct fit_data *d, int form, double *error)
{
	double *e = xcalloc((size_t)d->n_sizes, sizeof(*e));
	int i;

	for (i = 0; i < N_SHAPES; i++) {
		error[i] = INFINITY;
		if ((form < 0 || (int)shapes[i].form == form) &&
		    cross_validate(d, &shapes[i], e))
			error[i] = mean_of(e, d->n_sizes);
	}
	free(e);
}

/* The best of the shapes; -1: none could be tried. */
static int best_shape(const double *error)
{
	double law = INFINITY;
	int best = -1, i;

	for (i = 0; i < POLYLINE; i++) {
		if (best < 0 ? isfinite(error[i]) :
		    error[i] < (1 - GAIN_MIN) * law - ERROR_STEP) {
			law = error[i];
			best = i;
		}
	}
	if (isfinite(error[POLYLINE]) &&
	    law > LAW_SHARE * error[POLYLINE] + ERROR_STEP)
		return POLYLINE;
	return best;
}

/* Is the mean error at the sizes themselves above MISS_MAX? */
static bool misses(const struct fit_data *d, const struct curve *f)
{
	double sum = 0;
	int i;

	for (i = 0; i < d->n; i++)
		sum += fabs(curve_eval(f, d->sample[i].n) /
			    d->sample[i].scale - 1);
	return sum > MISS_MAX * d->n;
}

static bool choose(const struct fit_data *d, int form, struct fit *out)
{
	double error[N_SHAPES];
	int best, law, i;

	try_shapes(d, form, error);
	best = best_shape(error);
	/* too few sizes to leave one out: the simplest that can be had */
	for (i = 0; i < N_SHAPES && best < 0; i++) {
		if ((form < 0 || (int)shapes[i].form == form) &&
		    fit_model(d, &shapes[i], &out->curve))
			best = i;
	}
	if (best < 0 || !fit_model(d, &shapes[best], &out->curve))
		return false;
	law = best;
	if (form < 0 && d->n_sizes < FEW_SIZES &&
	    misses(d, &out->curve) &&
	    fit_model(d, &shapes[POLYLINE], &out->curve)) {
		best = POLYLINE;
	}
	out->form = shapes[best].form;
	out->mape = isfinite(error[best]) ? error[best] :
		    isfinite(error[law]) ? error[law] : ERROR_UNKNOWN;
	return true;
}

static enum status fit_any(int form, const double *n, const double *t,
			   int count, struct fit *out)
{
	enum status st = check(n, t, count);
	struct fit fit = { .samples = count };
	struct fit_data d;

	if (st)
		return st;
	if (count < 1)
		return err_set(ST_INPUT, "fit: no samples");
	fit_data_init(&d, n, t, count);
	fit.min_n = d.sample[0].n;
	fit.max_n = d.sample[count - 1].n;
	if (d.n_sizes < 3) {
		st = err_set(ST_INPUT, "fit: '%d' different sizes, at least "
			     "3 are needed", d.n_sizes);
	} else if (!choose(&d, form, &fit)) {
		st = err_set(ST_INPUT, "fit: '%d' different sizes are too few "
			     "for the form", d.n_sizes);
	} else {
		fit.r2 = r_square(&d, &fit.curve);
		*out = fit;
	}
	fit_data_release(&d);
	return st;
}

enum status fit_curve(const double *n, const double *t, int count,
		      struct fit *out)
{
	return fit_any(-1, n, t, count, out);
}

enum status fit_form(enum fit_form form, const double *n, const double *t,
		     int count, struct fit *out)
{
	return fit_any((int)form, n, t, count, out);
}
