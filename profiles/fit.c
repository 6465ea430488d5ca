/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/fit.h"

#include "profiles/fit_model.h"

#include <math.h>

/* A shape with more unknowns must beat simpler ones by this much. */
#define GAIN_MIN 0.9

/* Simplest first. */
static const struct fit_shape shapes[] = {
	{ FIT_LINEAR, 1, false, 2 },
	{ FIT_SQRT, 1, false, 3 },
	{ FIT_PIECEWISE, 2, true, 3 },
	{ FIT_PIECEWISE, 2, false, 4 },
	{ FIT_PIECEWISE, 3, true, 4 },
	{ FIT_PIECEWISE, 3, false, 6 },
};

#define N_SHAPES (sizeof(shapes) / sizeof(*shapes))

const char *fit_form_name(enum fit_form f)
{
	static const char *const names[] = {
		[FIT_LINEAR] = "linear",
		[FIT_SQRT] = "sqrt",
		[FIT_PIECEWISE] = "piecewise",
	};

	return names[f];
}

/* Mean relative error on the sizes of one block; weighs by sizes. */
static double block_error(const struct fit_data *d, int block,
			  const struct curve *f, int *n_p)
{
	double sum = 0;
	int i;

	for (i = 0; i < d->n; i++) {
		const struct fit_sample *s = &d->sample[i];

		if (s->block != block || (i && s->n == s[-1].n))
			continue;
		sum += fabs(curve_eval(f, s->n) - s->scale) / s->scale;
		++*n_p;
	}
	return sum;
}

/* Leave-one-size-out; INFINITY when a fold cannot be fitted. */
static double cross_validate(const struct fit_data *d,
			     const struct fit_shape *shape)
{
	double sum = 0;
	int b, n = 0;

	for (b = 0; b < d->n_blocks; b++) {
		struct fit_data rest;
		struct curve f;
		bool ok;

		fit_data_without(d, b, &rest);
		ok = fit_model(&rest, shape, &f);
		fit_data_release(&rest);
		if (!ok)
			return INFINITY;
		sum += block_error(d, b, &f, &n);
	}
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

/* The best of the shapes of one form, or of all (form < 0). */
static bool choose(const struct fit_data *d, int form, struct fit *out)
{
	double best = INFINITY, now;
	struct curve f;
	bool found = false;
	size_t i;

	for (i = 0; i < N_SHAPES; i++) {
		if (form >= 0 && (int)shapes[i].form != form)
			continue;
		now = cross_validate(d, &shapes[i]);
		if (found && !(now < GAIN_MIN * best))
			continue;
		if (!fit_model(d, &shapes[i], &f))
			continue;
		found = true;
		best = now;
		out->form = shapes[i].form;
		out->curve = f;
		out->mape = now;
	}
	return found;
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
