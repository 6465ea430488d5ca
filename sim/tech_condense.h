/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Luffy's token condensation: of tokens that are alike and go to the same
 * expert one travels, and the others use its result.
 *
 * Per expert: a graph whose edges join tokens of similarity >= threshold;
 * repeatedly the token with most edges left (ties: the first) is kept and its
 * neighbours are condensed onto it, until no edge is left. What is kept is a
 * dominating set without inner edges. From the block before, pairs known to
 * be alike (or not) are taken as they were and not computed.
 *
 * Similarities are exact integers: vectors are scaled to length 32767 and
 * rounded to 16 bits, so that sums of products fit 32 bits and are the same
 * on every machine. Against real cosines the error is below 1e-3 (dimension
 * up to 1,024), typically 1e-5.
 */
#ifndef SIM_TECH_CONDENSE_H
#define SIM_TECH_CONDENSE_H

#include "sim/tech_cost.h"
#include "sim/tokens.h"

#include <stdbool.h>

/*
 * From cosine to similarity in 0..1; the paper does not say how. CLIP, max(0,
 * cos), is the default: its adaptive threshold lies in 0.27..0.5, and with
 * HALF, (1 + cos) / 2, tokens at right angles would be alike.
 */
enum condense_scale { CONDENSE_CLIP, CONDENSE_HALF };

/* 0.8 and 0.2 are where the paper's plots are; defaults are not stated. */
#define CONDENSE_SURE_DEFAULT 0.8
#define CONDENSE_NEVER_DEFAULT 0.2
struct condense_spec {
	enum condense_scale scale;
	double threshold;	/* h, similarity of an edge, > 0..1 */
	double sure, never;	/* S1, S2 of the history */
};

/* h = 1 / (1 + exp((first - last) / first)), from the loss: 1/2 down to 0.27 */
double condense_threshold(double loss_first, double loss_last);

/*
 * What a block knows of pairs of tokens, for the next block: bits i * n + j
 * of pairs with similarity > S1 and < S2. Zero-initialise: knows nothing.
 */
struct condense_history {
	int n;
	uint64_t *high, *low;	/* [n][(n + 63) / 64]; owned */
};
void condense_history_release(struct condense_history *h);

#define CONDENSE_LIST_MAX (1 << 16)	/* tokens of one expert: 512 MiB */

struct condense_result {
	int n, k;
	int *to;	/* [n * k]: the token whose result the copy uses; its
			   own when kept, -1: dropped; owned */
	int64_t copies, kept;
	int64_t pairs;		/* of copies in one list */
	int64_t computed;	/* similarities; the rest is from the history */
	int64_t edges;
	double error;	/* sqrt(sum |x - x_to|^2 / sum |x|^2) */
};

/*
 * expert[n * k] as in lsh_group(); NULL: one list. history: in and out, may
 * be NULL; one of another n is ST_INPUT. ST_INPUT for thresholds out of range
 * and for a list of more than CONDENSE_LIST_MAX.
 */
enum status condense_run(const struct condense_spec *spec,
			 const struct tokens *t, const int *expert, int k,
			 int experts, struct condense_history *history,
			 struct condense_result *out);
void condense_result_release(struct condense_result *r);

static inline double condense_rate(const struct condense_result *r)
{
	return r->copies ? (double)r->kept / (double)r->copies : 1;
}

/* What the simulator takes. */
struct condense_shape {
	double copies;	/* of one rank */
	int experts;	/* its copies are spread over (lists) */
	int dim, element_bytes;
	int peers;
	double computed;	/* share of pairs that are computed, 0..1 */
	double edges;		/* per copy */
};

struct condense_effect {
	double rate;	/* multiplies exchanged bytes and experts' rows */
	double error;
	struct tech_cost forward, backward;
};

void condense_effect_make(const struct condense_shape *s, double rate,
			  double error, struct condense_effect *out);

#endif
