/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Curves from samples (GSL).
 *
 * Three forms, all with non-negative coefficients: alpha-beta, a + n/B +
 * c*sqrt(n), and piecewise alpha-beta with protocol switches. Weighted for
 * relative error (a microsecond counts at 1 KB, not at 1 GB), robust against
 * outliers (iteratively reweighted, bisquare). The form is chosen by
 * cross-validation over left-out sizes; its mean relative error there is the
 * fit's `mape`.
 */
#ifndef PROFILES_FIT_H
#define PROFILES_FIT_H

#include "base/status.h"
#include "profiles/store.h"
#include "scenarios/measured.h"

enum fit_form { FIT_LINEAR, FIT_SQRT, FIT_PIECEWISE, FIT_FORM_N };

struct fit {
	enum fit_form form;
	struct curve curve;	/* source CURVE_MEASURED */
	double r2;
	double mape;		/* cross-validated */
	double min_n, max_n;	/* sizes seen */
	int samples;
};

/* n[i] > 0, t[i] > 0, count >= 3 different sizes; any order. */
enum status fit_curve(const double *n, const double *t, int count,
		      struct fit *out);
/* One form only, for tests and comparisons. */
enum status fit_form(enum fit_form form, const double *n, const double *t,
		     int count, struct fit *out);
const char *fit_form_name(enum fit_form f);

/* Fits every (op, variant, tier, ranks, ctas) group of the database that is
 * alone (beside = "") and stores the fits. */
enum status fit_database(struct store *db, int *n_fits_p);

/* What the forecast takes: curves and product tables of a database. */
enum status fit_measured(struct store *db, struct measured *out);

#endif
