/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LSH-MoE: the all-to-all sends cluster centroids instead of tokens.
 *
 * A token's code is the vertex of a cross-polytope that a random rotation
 * takes it next to (Andoni et al. 2015): 2 i + [y_i < 0] for the i with the
 * largest |y_i|, y = R x. Copies for one expert whose `hashes` codes all
 * agree are a cluster; its centroid (the mean) travels, the residual x - c
 * stays and is added to what comes back:
 *
 *	forward		Y = E(c) + (x - c)
 *	backward	G = sum g over the cluster travels, h = J^T G returns,
 *			dx = g + (h - G) / size
 *
 *	lsh = lsh_new(&spec, dim);
 *	lsh_group(lsh, &tokens, expert, k, experts, &groups);
 *	... groups.clusters / groups.copies is the rate
 *	lsh_groups_release(&groups);
 *	lsh_free(lsh);
 *
 * Equations: doc/model.md, section "LSH-MoE".
 */
#ifndef SIM_TECH_LSH_H
#define SIM_TECH_LSH_H

#include "sim/tech_cost.h"
#include "sim/tokens.h"

enum lsh_rotation {
	LSH_HADAMARD,	/* rounds of sign flips and Hadamard: O(d log d) */
	LSH_DENSE,	/* orthonormal rows by QR of a Gaussian: O(d b) */
	LSH_ROTATION_N,
};

/* "hadamard", "dense"; find: -1 when there is none. */
const char *lsh_rotation_name(enum lsh_rotation r);
int lsh_rotation_find(const char *name);

/*
 * Where the paper leaves things open: codes are joined by AND (more hashes,
 * more and smaller clusters, which is how the paper describes their effect);
 * a hash has 2 dim buckets unless `buckets` says fewer, which keeps the first
 * buckets / 2 coordinates as Reformer does; three rounds, the least for which
 * the fast rotation is known to act like a random one (Andoni et al. 2015).
 */
#define LSH_HASHES_DEFAULT 6	/* the knee of the paper's ablation */
#define LSH_ROUNDS_DEFAULT 3
#define LSH_HASHES_MAX 64
#define LSH_ROUNDS_MAX 16
struct lsh_spec {
	enum lsh_rotation rotation;
	int hashes;	/* 1..LSH_HASHES_MAX */
	int buckets;	/* even, 2..2 dim; 0: 2 dim */
	int rounds;	/* of LSH_HADAMARD, 1..LSH_ROUNDS_MAX */
	uint64_t seed;
};

struct lsh;

/* ST_INPUT names the field. lsh_free() it. */
enum status lsh_new(const struct lsh_spec *spec, int dim, struct lsh **out_p);
void lsh_free(struct lsh *l);

/* Codes in 0..buckets - 1 of n vectors: code[n * hashes]. */
void lsh_codes(const struct lsh *l, const float *x, int n, int *code);
int lsh_hashes(const struct lsh *l);

/* Clusters in order of expert, then code; copies of one cluster in order. */
struct lsh_groups {
	int copies;	/* that travel: all but the dropped */
	int clusters;
	int dim, experts;
	int n, k;	/* tokens, copies of each */
	int *of;	/* [n * k]: the copy's cluster, -1: dropped; owned */
	int *size;	/* [clusters]; owned */
	int *expert;	/* [clusters]; owned */
	int *per_expert;	/* [experts]: clusters; owned */
	float *centroid;	/* [clusters * dim]; owned */
};

/*
 * expert[n * k]: of each copy, -1: dropped. NULL: one list for all tokens
 * (k = experts = 1).
 */
void lsh_group(const struct lsh *l, const struct tokens *t, const int *expert,
	       int k, int experts, struct lsh_groups *out);
void lsh_groups_release(struct lsh_groups *g);

static inline double lsh_rate(const struct lsh_groups *g)
{
	return g->copies ? (double)g->clusters / g->copies : 1;
}

/* y[n * k * dim] = e[cluster] + x - centroid; 0 for dropped copies. */
void lsh_restore(const struct lsh_groups *g, const struct tokens *t,
		 const float *e, float *y);
/* G[clusters * dim] = sums of g[n * k * dim] over the clusters. */
void lsh_gradient_sum(const struct lsh_groups *g, const float *grad,
		      float *sum);
/* dx[n * k * dim] = g + (h - G) / size; 0 for dropped copies. */
void lsh_gradient_restore(const struct lsh_groups *g, const float *grad,
			  const float *sum, const float *h, float *dx);

/* sqrt(sum |x - c|^2 / sum |x|^2) over the copies: the centroids alone. */
double lsh_centroid_error(const struct lsh_groups *g, const struct tokens *t);
/*
 * The same of the restored tokens for an expert that is the identity: 0 but
 * for rounding, because residuals make up for all of it.
 */
double lsh_identity_error(const struct lsh_groups *g, const struct tokens *t);
/*
 * Relative error of the output for an expert a I + sqrt(1 - a^2) Q, Q a
 * rotation with nothing in common with I: sqrt(2 (1 - a)) centroid_error.
 * Without residuals it is centroid_error: they pay when a > 1/2.
 */
double lsh_output_error(double centroid_error, double alignment);

/*
 * Probability that one hash of `buckets` buckets gives two vectors of this
 * cosine the same code, for Gaussian rows (orthonormal ones tend to it as
 * buckets / 2 falls below dim). Numerical integral, about 1e-6.
 */
double lsh_collision_probability(int buckets, double cosine);
/*
 * Least expected rate of n tokens with pairwise cosine s in one list:
 * n / (n + n (n - 1) p^hashes) (Cauchy-Schwarz and Jensen).
 */
double lsh_rate_bound(int n, int hashes, double probability);

/* Rate and error of one list of synthetic tokens. */
struct lsh_point {
	double rate, centroid_error;
};
enum status lsh_measure(const struct lsh_spec *spec,
			const struct tokens_spec *tokens,
			struct lsh_point *out);

enum status lsh_measure_tokens(const struct lsh_spec *spec,
			       const struct tokens *t, struct lsh_point *out);

/* What the simulator takes. */
struct lsh_shape {
	double tokens;		/* of one rank */
	double copies;		/* that it sends */
	int dim, element_bytes;
	int peers;		/* other ranks of the EP group */
	int experts;
};

struct lsh_effect {
	double rate;	/* multiplies exchanged bytes and experts' rows */
	double error;	/* centroid_error */
	/* forward, backward: hash, cluster, sum; and restore */
	struct tech_cost before[2], after[2];
};

void lsh_effect_make(const struct lsh_spec *spec, const struct lsh_shape *s,
		     struct lsh_point measured, struct lsh_effect *out);

#endif
