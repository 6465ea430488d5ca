/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Collision probability of a cross-polytope hash; cost of hashing. */
#include "sim/tech_lsh.h"

#include <gsl/gsl_integration.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_cdf.h>
#include <math.h>

/*
 * Gauss-Legendre points of the three nested integrals; with these the
 * probability of one coordinate (the hyperplane hash, known exactly) is right
 * to 1e-6 for cosines up to 0.99.
 */
#define OUTER_POINTS 96
#define ANGLE_POINTS 48
#define SIGMAS 7.5	/* normal density beyond: 1e-13 */

struct bivariate {
	double s, c;	/* correlation, sqrt(1 - s^2) */
	int rows;
	gsl_integration_glfixed_table *outer, *angle;
};

/*
 * P(U > h, V > k) for standard normals of correlation rho, as Plackett's
 * integral over theta = asin(correlation) (Drezner and Wesolowsky 1990).
 */
static double upper_tail(const struct bivariate *b, double h, double k,
			 double rho)
{
	double sum = gsl_cdf_ugaussian_Q(h) * gsl_cdf_ugaussian_Q(k);

	for (size_t i = 0; i < ANGLE_POINTS; i++) {
		double theta, w, sine, cosine2;

		gsl_integration_glfixed_point(0, asin(rho), i, &theta, &w,
					      b->angle);
		sine = sin(theta);
		cosine2 = 1 - sine * sine;
		sum += w / (2 * M_PI) * exp(-(h * h + k * k - 2 * h * k * sine)
					    / (2 * cosine2));
	}
	return sum;
}

/* P(|U| <= u, |V| <= v). */
static double inside(const struct bivariate *b, double u, double v)
{
	double both = 2 * (upper_tail(b, u, v, b->s) +
			   upper_tail(b, u, v, -b->s));

	return 1 - 2 * gsl_cdf_ugaussian_Q(u) - 2 * gsl_cdf_ugaussian_Q(v) +
		both;
}

/* Integral over V > 0 given U = u of: every other coordinate is smaller. */
static double given(const struct bivariate *b, double u)
{
	double low = fmax(-b->s * u / b->c, -SIGMAS), sum = 0;

	for (size_t i = 0; low < SIGMAS && i < OUTER_POINTS; i++) {
		double z, w, v;

		gsl_integration_glfixed_point(low, SIGMAS, i, &z, &w, b->outer);
		v = b->s * u + b->c * z;
		w *= gsl_ran_ugaussian_pdf(z);
		sum += b->rows == 1 ? w :
			w * pow(fmax(inside(b, u, v), 0), b->rows - 1);
	}
	return sum;
}

double lsh_collision_probability(int buckets, double cosine)
{
	struct bivariate b = { .s = cosine, .rows = buckets / 2 };
	double sum = 0;

	if (cosine >= 1) {
		return 1;
	}
	if (cosine <= -1) {
		return 0;
	}
	b.c = sqrt(1 - cosine * cosine);
	b.outer = gsl_integration_glfixed_table_alloc(OUTER_POINTS);
	b.angle = gsl_integration_glfixed_table_alloc(ANGLE_POINTS);
	for (size_t i = 0; i < OUTER_POINTS; i++) {
		double u, w;

		gsl_integration_glfixed_point(0, SIGMAS, i, &u, &w, b.outer);
		sum += w * gsl_ran_ugaussian_pdf(u) * given(&b, u);
	}
	gsl_integration_glfixed_table_free(b.outer);
	gsl_integration_glfixed_table_free(b.angle);
	return 2 * b.rows * sum;	/* any row, either sign */
}

double lsh_rate_bound(int n, int hashes, double probability)
{
	return 1 / (1 + (n - 1) * pow(probability, hashes));
}

/* ---- costs ---- */

/*
 * Sorting copies by (expert, code): LSD radix sort of 64-bit keys with 32-bit
 * values, one pass for 8 bits, each reading and writing both.
 */
#define SORT_PASSES 8
#define SORT_BYTES (2.0 * (8 + 4))
#define CODE_BYTES 4.0
#define COUNT_BYTES 4.0	/* clusters per expert, exchanged before the data */

static void add_hash_cost(const struct lsh_spec *spec,
			  const struct lsh_shape *s, struct tech_cost *c)
{
	double rows = spec->buckets ? spec->buckets / 2 : s->dim;
	double width = exp2(ceil(log2(s->dim)));
	double values = s->tokens * s->dim;

	if (spec->rotation == LSH_DENSE) {
		/* one product, its result written and read by the argmax */
		c->gemm_flop += 2 * spec->hashes * rows * values;
		c->hbm_bytes += s->element_bytes *
			(values + 2 * spec->hashes * rows * s->tokens);
		c->kernels += 2;
	} else {
		/* a token stays in registers for all hashes and rounds */
		c->vector_flop += spec->hashes * s->tokens *
			(spec->rounds * width * (log2(width) + 1) + rows);
		c->hbm_bytes += s->element_bytes * values;
		c->kernels += 1;
	}
	c->hbm_bytes += CODE_BYTES * spec->hashes * s->tokens;
}

/* Token, centroid and result of every copy in, one row out. */
static struct tech_cost restore_cost(const struct lsh_shape *s, double rho)
{
	double row = (double)s->dim * s->element_bytes;

	return (struct tech_cost){
		.hbm_bytes = s->copies * row * (2 + 2 * rho),
		.vector_flop = 2 * s->copies * s->dim, .kernels = 1,
	};
}

/*
 * Forward: hash, sort, find the clusters' borders, mean; after the exchange restore.
 * Backward: sum of the gradients of a cluster, then restore.
 */
void lsh_effect_make(const struct lsh_spec *spec, const struct lsh_shape *s,
		     struct lsh_point measured, struct lsh_effect *out)
{
	double row = (double)s->dim * s->element_bytes;
	double rho = measured.rate;
	struct tech_cost f = { 0 };

	add_hash_cost(spec, s, &f);
	f.hbm_bytes += s->copies * SORT_PASSES * SORT_BYTES;
	f.kernels += SORT_PASSES;
	f.hbm_bytes += s->copies * (8 + 4);	/* borders */
	f.hbm_bytes += s->copies * row * (1 + rho);	/* mean */
	f.vector_flop += s->copies * s->dim;
	f.kernels += 2;
	f.exchanges = 1;
	f.exchange_bytes = COUNT_BYTES * s->experts;
	f.messages = s->peers;
	f.host_syncs = 1;
	*out = (struct lsh_effect){
		.rate = rho, .error = measured.centroid_error,
		.before = { f, { .hbm_bytes = s->copies * row * (1 + rho),
				 .vector_flop = s->copies * s->dim,
				 .kernels = 1 } },
		.after = { restore_cost(s, rho), restore_cost(s, rho) },
	};
}
