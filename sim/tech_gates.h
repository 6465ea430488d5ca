/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gates: from token scores to experts, counts, drops and losses.
 *
 *	topk	k best by softmax (Switch k = 1, GShard k = 2)
 *	ktop1	experts in k prototypes of E / k, the best of each (M6-T)
 *	sam	switch and mixture, two levels: the group of largest summed
 *		probability, then the k best inside it
 *	base	balanced assignment: every expert gets the same number of
 *		tokens, sum of scores largest (BASE layers; k = 1)
 *	hash	a fixed random expert for each token's id (k = 1)
 *	dts	dense-to-sparse: softmax((s + Gumbel noise) / temperature);
 *		every expert above `threshold`, the best at least (EvoMoE)
 *
 * A result lists each token's experts, best first. Capacity as HetuMoE's:
 * C = k ceil(T / E f) slots per expert for the T tokens of one rank, first
 * choices of all tokens before all second choices, in order of tokens.
 *
 *	gate_scores(p, experts, tokens, seed, score);
 *	gate_run(&spec, score, tokens, &r);
 *	... r.routed[e], r.kept[e], r.aux_loss
 *	gate_result_release(&r);
 *
 * Equations: doc/model.md, section "Gates".
 */
#ifndef SIM_TECH_GATES_H
#define SIM_TECH_GATES_H

#include "base/status.h"
#include "sim/tech_cost.h"

#include <stdbool.h>
#include <stdint.h>

enum gate_kind { GATE_TOPK, GATE_KTOP1, GATE_SAM, GATE_BASE, GATE_HASH,
		 GATE_DTS, GATE_N };

struct gate_row {
	const char *name;
	const char *help;
};
extern const struct gate_row gate_table[GATE_N];
int gate_find(const char *name);	/* -1: no such gate */

#define GATE_EXPERTS_MAX 4096
#define GATE_TOKENS_MAX (1 << 20)
#define GATE_SCORES_MAX (1L << 28)
/* tokens * experts^2 of a balanced assignment: some seconds */
#define GATE_BASE_STEPS_MAX (1L << 30)

/*
 * dts: 1 / E is what every expert has when the gate knows nothing, so the
 * default threshold (0) is that; the temperature is annealed from 2 down in
 * training, at 0.1 nearly all tokens have one expert.
 */
struct gate_spec {
	enum gate_kind kind;
	int experts;
	int k;			/* topk, ktop1, sam; 1 for the others */
	int groups;		/* sam: divides experts */
	double capacity_factor;	/* f; 0: nothing is dropped */
	double temperature;	/* dts, > 0 */
	double threshold;	/* dts, 0..1; 0: 1 / experts */
	uint64_t seed;		/* dts: noise; hash: the table */
};

struct gate_result {
	int tokens, experts;
	int *first;	/* [tokens + 1]: a token's choices are
			   first[t]..first[t + 1] - 1; owned */
	int *expert;	/* [first[tokens]]; owned */
	float *weight;	/* what the expert's output is multiplied by; owned */
	bool *dropped;	/* [first[tokens]]; owned */
	int64_t *routed, *kept;	/* [experts]; owned */
	int64_t copies, drops;
	double aux_loss;	/* E sum f_e P_e, 1 when even; ktop1: summed
				   over prototypes; hash, base: 0 */
	double align_loss;	/* sam: sum of max(0, p_j - p_kth), j outside
				   the group, per token; else 0 */
	double score;		/* sum of the chosen experts' scores */
	double quality;		/* sum of their softmax probabilities over that
				   of as many best ones; topk: 1 */
};

/*
 * score[tokens * experts], finite, e.g. x.w_e. ST_INPUT for a spec out of
 * range, and for base beyond GATE_BASE_STEPS_MAX.
 *
 * base: no expert gets more than ceil(tokens / experts). Scores are rounded
 * to 2^-20 of the largest magnitude; the assignment is then exactly optimal
 * (successive shortest paths over the experts), where HetuMoE's auction is so
 * up to its epsilon.
 */
enum status gate_run(const struct gate_spec *spec, const double *score,
		     int tokens, struct gate_result *out);
void gate_result_release(struct gate_result *r);

/*
 * Scores whose top-1 follows a popularity: ln p_e + Gumbel noise, so that
 * P(argmax = e) = p_e / sum p and top-k is drawing without replacement
 * (Plackett-Luce). p_e = 0: the least score.
 */
void gate_scores(const double *p, int experts, int tokens, uint64_t seed,
		 double *score);

/*
 * Scores of a learned gate, as far as one can be had without learning:
 * Gaussian weights, so that tokens that are alike go alike. s_te ~ N(0, 1)
 * for tokens of length sqrt(dim).
 */
struct tokens;
void gate_token_scores(const struct tokens *t, int experts, uint64_t seed,
		       double *score);

/*
 * Experts' shares when the hash gate's table is one of words: those of a text
 * of which the r-th most frequent word has the share 1 / (r + 2.7) (Zipf's law
 * as Mandelbrot 1965 has it for English).
 */
void gate_word_shares(int words, int experts, uint64_t seed, double *share);

/* Cost of one rank, instead of the layer's gate op and its backward; not base's
 * exchanges of tokens, which are ops of their own (OP_SHUFFLE). */
struct gate_shape {
	double tokens;
	int dim, element_bytes;
};
/* Passes over the scores of HetuMoE's auction: at most that many [code]. */
#define GATE_AUCTION_PASSES 100
void gate_cost(const struct gate_spec *spec, const struct gate_shape *s,
	       double copies_per_token, struct tech_cost *forward,
	       struct tech_cost *backward);

/*
 * What the simulator takes: the shares of copies per expert that a gate makes
 * of a popularity, measured on `sample` tokens of gate_scores().
 */
struct gate_effect {
	double copies_per_token;	/* k; dts: as measured */
	double drop_fraction;	/* of copies, at the spec's capacity */
	double imbalance;	/* busiest expert over the mean */
	double aux_loss, quality;
	struct tech_cost forward, backward;
};
/* share[experts] sums to 1. p as in gate_scores(). */
enum status gate_effect_make(const struct gate_spec *spec, const double *p,
			     int sample, const struct gate_shape *shape,
			     double *share, struct gate_effect *out);

#endif
