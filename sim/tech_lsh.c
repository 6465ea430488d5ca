/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rotations and codes. Clusters: tech_lsh_group.c; costs: tech_lsh_cost.c. */
#include "sim/tech_lsh.h"
#include "sim/rng.h"

#include "base/mem.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of all dense rotations, and steps of their factorisation. */
#define DENSE_VALUES_MAX (1L << 28)
#define DENSE_STEPS_MAX 68719476736.0	/* 2^36: a few minutes */

static const char *const rotation_name[LSH_ROTATION_N] = {
	[LSH_HADAMARD] = "hadamard",
	[LSH_DENSE] = "dense",
};

struct lsh {
	struct lsh_spec spec;
	int dim, padded;	/* padded: the next power of two */
	int rows;		/* buckets / 2: coordinates that count */
	/*
	 * hadamard: signs [hashes * rounds * padded]; dense: orthonormal
	 * rows [hashes * rows * dim].
	 */
	float *r;
};

const char *lsh_rotation_name(enum lsh_rotation r)
{
	return rotation_name[r];
}

int lsh_rotation_find(const char *name)
{
	for (int i = 0; i < LSH_ROTATION_N; i++) {
		if (!strcmp(name, rotation_name[i])) {
			return i;
		}
	}
	return -1;
}

static enum status in_range(const char *what, int v, int min, int max)
{
	if (v >= min && v <= max) {
		return ST_OK;
	}
	return err_set(ST_INPUT, "lsh: %s '%d' is not in %d..%d", what, v, min,
		       max);
}

static enum status spec_check(const struct lsh_spec *s, int dim)
{
	int buckets = s->buckets ? s->buckets : 2 * dim;
	enum status st = in_range("dimension", dim, 1, TOKENS_DIM_MAX);

	if (!st) {
		st = in_range("hashes", s->hashes, 1, LSH_HASHES_MAX);
	}
	if (!st) {
		st = in_range("buckets", buckets, 2, 2 * dim);
	}
	if (!st && buckets % 2) {
		st = err_set(ST_INPUT, "lsh: buckets '%d' is odd; each "
			     "coordinate has two", buckets);
	}
	if (!st && s->rotation == LSH_HADAMARD) {
		st = in_range("rounds", s->rounds, 1, LSH_ROUNDS_MAX);
	}
	if (!st && s->rotation == LSH_DENSE &&
	    ((long)s->hashes * (buckets / 2) * dim > DENSE_VALUES_MAX ||
	     0.25 * s->hashes * buckets * buckets * dim > DENSE_STEPS_MAX)) {
		st = err_set(ST_INPUT, "lsh: %d dense rotations of %d x %d are "
			     "too much work; hadamard, or fewer buckets",
			     s->hashes, buckets / 2, dim);
	}
	return st;
}

static void fill_signs(struct lsh *l, gsl_rng *rng)
{
	size_t n = (size_t)l->spec.hashes * (size_t)l->spec.rounds *
		(size_t)l->padded;

	l->r = xcalloc(n, sizeof(*l->r));
	for (size_t i = 0; i < n; i++) {
		l->r[i] = gsl_rng_uniform_int(rng, 2) ? 1 : -1;
	}
}

/*
 * Orthonormal rows: Q of the LQ factors of a Gaussian rows x dim matrix, that
 * is, of the QR factors of its transpose (which lies along the memory).
 */
static enum status fill_dense(struct lsh *l, gsl_rng *rng)
{
	size_t dim = (size_t)l->dim, rows = (size_t)l->rows;
	gsl_matrix *a = gsl_matrix_alloc(rows, dim);
	gsl_vector *tau = gsl_vector_alloc(rows);
	gsl_vector *e = gsl_vector_alloc(dim);
	int failed = 0;

	l->r = xcalloc((size_t)l->spec.hashes * rows * dim, sizeof(*l->r));
	for (int h = 0; h < l->spec.hashes && !failed; h++) {
		for (size_t i = 0; i < dim * rows; i++) {
			a->data[i] = gsl_ran_ugaussian(rng);
		}
		failed = gsl_linalg_LQ_decomp(a, tau);
		for (size_t j = 0; j < rows && !failed; j++) {
			gsl_vector_set_basis(e, j);
			failed = gsl_linalg_LQ_vecQ(a, tau, e);
			for (size_t i = 0; i < dim; i++) {
				l->r[((size_t)h * rows + j) * dim + i] =
					(float)gsl_vector_get(e, i);
			}
		}
	}
	gsl_vector_free(e);
	gsl_vector_free(tau);
	gsl_matrix_free(a);
	return failed ? err_set(ST_FAIL, "lsh: QR: %s", gsl_strerror(failed)) :
		ST_OK;
}

enum status lsh_new(const struct lsh_spec *spec, int dim, struct lsh **out_p)
{
	enum status st = spec_check(spec, dim);
	struct lsh *l;
	gsl_rng *rng;

	if (st) {
		return st;
	}
	l = xcalloc(1, sizeof(*l));
	l->spec = *spec;
	l->dim = dim;
	l->rows = spec->buckets ? spec->buckets / 2 : dim;
	for (l->padded = 1; l->padded < dim; l->padded *= 2) {
	}
	rng = rng_new(spec->seed, RNG_ROTATION);
	if (spec->rotation == LSH_HADAMARD) {
		fill_signs(l, rng);
	} else {
		st = fill_dense(l, rng);
	}
	gsl_rng_free(rng);
	if (st) {
		lsh_free(l);
		return st;
	}
	*out_p = l;
	return ST_OK;
}

void lsh_free(struct lsh *l)
{
	if (l) {
		free(l->r);
		free(l);
	}
}

/* Walsh-Hadamard transform in place, not scaled: the argmax does not care. */
static void hadamard(float *v, int n)
{
	for (int half = 1; half < n; half *= 2) {
		for (int i = 0; i < n; i += 2 * half) {
			float *restrict a = v + i, *restrict b = v + i + half;

			for (int j = 0; j < half; j++) {
				float x = a[j], y = b[j];

				a[j] = x + y;
				b[j] = x - y;
			}
		}
	}
}

static void rotate_fast(const struct lsh *l, int hash, const float *x,
			float *y)
{
	const float *sign = l->r +
		(int64_t)hash * l->spec.rounds * l->padded;

	memcpy(y, x, (size_t)l->dim * sizeof(*y));
	memset(y + l->dim, 0, (size_t)(l->padded - l->dim) * sizeof(*y));
	for (int r = 0; r < l->spec.rounds; r++, sign += l->padded) {
		for (int i = 0; i < l->padded; i++) {
			y[i] *= sign[i];
		}
		hadamard(y, l->padded);
	}
}

static void rotate_dense(const struct lsh *l, int hash, const float *x,
			 float *y)
{
	const float *row = l->r + (int64_t)hash * l->rows * l->dim;

	for (int j = 0; j < l->rows; j++, row += l->dim) {
		double dot = 0;

		for (int i = 0; i < l->dim; i++) {
			dot += (double)row[i] * x[i];
		}
		y[j] = (float)dot;
	}
}

static int vertex(const float *y, int rows)
{
	int best = 0;

	for (int i = 1; i < rows; i++) {
		if (fabsf(y[i]) > fabsf(y[best])) {
			best = i;
		}
	}
	return 2 * best + (y[best] < 0);
}

void lsh_codes(const struct lsh *l, const float *x, int n, int *code)
{
	float *y = xcalloc((size_t)l->padded, sizeof(*y));

	for (int t = 0; t < n; t++, x += l->dim) {
		for (int h = 0; h < l->spec.hashes; h++) {
			if (l->spec.rotation == LSH_HADAMARD) {
				rotate_fast(l, h, x, y);
			} else {
				rotate_dense(l, h, x, y);
			}
			*code++ = vertex(y, l->rows);
		}
	}
	free(y);
}

int lsh_hashes(const struct lsh *l)
{
	return l->spec.hashes;
}
