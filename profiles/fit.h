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

#include <stdbool.h>

enum fit_form { FIT_LINEAR, FIT_SQRT, FIT_PIECEWISE, FIT_FORM_N };

struct fit {
	enum fit_form form;
	struct curve curve;	/* source CURVE_MEASURED */
	double r2;
	double mape;		/* cross-validated; too few sizes for that: of
				   the law that they do not follow, or 1 */
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

/*
 * Fits every group of samples of one GPU that share op, variant, tier, dtype,
 * ranks, CTA limit and shape, ran alone (beside = "") and were not wrong, and stores
 * the fits. Groups with fewer than 3 sizes are left out; products have no
 * fit, they are interpolated.
 */
enum status fit_database(struct store *db, int *n_fits_p);

/*
 * The fits of all such groups without storing any: the stored ones, unless
 * samples came after them. Ordered by gpu, op, tier, variant, dtype, ranks,
 * ctas, shape; *out_p is the caller's to free().
 */
enum status fit_rows(struct store *db, struct fit_row **out_p, size_t *n_p);

/* "8 experts, top-2"; "" when the op has no shape. Returns out. */
const char *fit_shape_text(const struct fit_row *f, char *out, size_t size);

/* Is the sample one of the group that this fit is of? */
bool fit_takes(const struct fit_row *f, const struct run_info *info,
	       const struct sample *s);

/*
 * What the forecast takes: curves and product tables of one GPU of the
 * database: the wanted one ("h200-sxm"; NULL: any), else the one with most
 * samples. One curve per op, tier, ranks, CTA limit and shape: even, bf16
 * where there is a choice; one table of products per dtype and variant, of
 * which the forecast takes the fastest. Stored fits are
 * used unless samples came after them. ST_INPUT when there are no samples.
 */
enum status fit_measured_gpu(struct store *db, const char *wanted,
			     struct measured *out);
enum status fit_measured(struct store *db, struct measured *out);

/* Is "h200-sxm" what a run calls "NVIDIA H200"? */
bool fit_gpu_matches(const char *name, const char *gpu);

#endif
