/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LocMoE: a gate without weights, and a loss that keeps tokens in their node.
 *
 * Gate (grouped average pooling): the score of expert i is ReLU of the mean
 * of the token's i-th slice of features; softmax; top-1. The gate vectors
 * (n/d on the slice) are orthogonal and are not learned.
 *
 *	L_aux = alpha n sum_i f_i P_i		balance of experts
 *	L_loc = mu KL(D || D_l)			D: shares of a node's tokens
 *
 * D_l puts all mass on the node's own experts; its zeros would make the
 * divergence infinite, so it is smoothed: (1 - eps) uniform on those + eps
 * uniform on all. What training makes of L_loc is not in the paper. Here the
 * layers before the gate may shift the scores of a node's tokens by a vector
 * b_v, and pay lambda KL(P || P_0) for leaving the probabilities P_0 that
 * the task wants: the minimum of
 *
 *	J(b) = mean_v [ lambda mean_t KL(P_t || P_t0) + mu KL(D_v || D_l,v) ]
 *	       + alpha n sum_i Pbar_i^2
 *
 * over all b (BFGS). For tokens with equal scores and alpha = 0 it has the
 * closed form D ~ P_0^(1-w) D_l^w, w = mu / (lambda + mu).
 *
 * Capacity's lower bound is capacity_lower_bound() in sim/route.h.
 */
#ifndef SIM_TECH_LOCMOE_H
#define SIM_TECH_LOCMOE_H

#include "sim/tech_cost.h"
#include "sim/tokens.h"

#define LOCMOE_ALPHA_DEFAULT 0.01	/* the paper's */
/*
 * Open in the paper. mu weighs against lambda only, so lambda is 1, and mu =
 * 1 gives both the same say; the authors' own reduction of all-to-all time
 * (5.13 %) is what locmoe_mu_for() turns into a mu for a cluster. eps: one
 * token in a hundred is free.
 */
#define LOCMOE_MU_DEFAULT 1.0
#define LOCMOE_LAMBDA_DEFAULT 1.0
#define LOCMOE_EPSILON_DEFAULT 0.01

#define LOCMOE_SHIFTS_MAX (1 << 14)	/* experts * nodes */
struct locmoe_spec {
	int experts, nodes;	/* of one EP group */
	double alpha, mu, lambda, epsilon;	/* mu, alpha >= 0; others > 0 */
};

/* Experts e with e * nodes / experts = v; a node may have none. */
static inline int locmoe_node(const struct locmoe_spec *s, int expert)
{
	return (int)((int64_t)expert * s->nodes / s->experts);
}

/* ReLU of slice means: score[n * experts]; experts <= dim. */
enum status locmoe_scores(const struct tokens *t, int experts, double *score);

/* L_loc / mu: the smoothed divergence of one node's shares; 0: no experts. */
double locmoe_divergence(const struct locmoe_spec *s, int node,
			 const double *share);

struct locmoe_result {
	double local_share;	/* of top-1 choices, mean over nodes */
	double soft_share;	/* the same of probability mass */
	double task_share;	/* local_share without the locality loss */
	double imbalance;	/* busiest expert over the mean, top-1 */
	double drop;	/* share of copies above ceil(tokens f / n), f = 1 */
	double aux_loss, loc_loss;	/* at the minimum; with f_i, as L_aux */
	int iterations;
};

/*
 * score[tokens * experts]: token t belongs to node t * nodes / tokens.
 * ST_INPUT for parameters out of range, ST_FAIL when the search for the
 * minimum breaks down.
 */
enum status locmoe_run(const struct locmoe_spec *spec, const double *score,
		       int tokens, struct locmoe_result *out);

/*
 * Closed form: local share of a node with m of n experts, all equally
 * wanted: m a^w / (m a^w + (n - m) b^w), a = (1 - eps) / m + eps / n, b = eps
 * / n. m = 0: 0. mu for a share (bisection): 0 when it is below m / n, the
 * largest tried (1e6 lambda) when it cannot be reached.
 */
double locmoe_local_share(const struct locmoe_spec *s, int local);
double locmoe_mu_for(const struct locmoe_spec *s, int local, double share);

/* What the simulator takes. */
struct locmoe_effect {
	double local_share;	/* mean over nodes */
	double uniform_share;	/* of an even router */
	double inter_factor;	/* bytes between nodes over the even router's:
				   (1 - local) / (1 - uniform); 1: one node */
	double capacity_floor;	/* slots, at least 1 */
	struct tech_cost forward, backward;	/* instead of the gate op */
};
void locmoe_effect_make(const struct locmoe_spec *s, double local_share,
			double tokens, int dim, int element_bytes,
			double delta, struct locmoe_effect *out);

/* Mean over nodes of locmoe_local_share(). */
double locmoe_mean_share(const struct locmoe_spec *s);

#endif
