/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a gate makes of a popularity, and what it costs. */
#include "sim/tech_gates.h"
#include "sim/rng.h"
#include "sim/tokens.h"

#include "base/mem.h"

#include <float.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

void gate_scores(const double *p, int experts, int tokens, uint64_t seed,
		 double *score)
{
	gsl_rng *rng = rng_new(seed, RNG_SCORES);

	for (int t = 0; t < tokens; t++) {
		for (int e = 0; e < experts; e++) {
			*score++ = log(fmax(p[e], DBL_MIN)) +
				gsl_ran_gumbel1(rng, 1, 1);
		}
	}
	gsl_rng_free(rng);
}

void gate_token_scores(const struct tokens *t, int experts, uint64_t seed,
		       double *score)
{
	double *w = xcalloc((size_t)t->dim, sizeof(*w));
	gsl_rng *rng = rng_new(seed, RNG_SCORES);

	for (int e = 0; e < experts; e++) {
		for (int d = 0; d < t->dim; d++) {
			w[d] = gsl_ran_ugaussian(rng) / sqrt(t->dim);
		}
		for (int i = 0; i < t->n; i++) {
			const float *x = tokens_at(t, i);
			double s = 0;

			for (int d = 0; d < t->dim; d++) {
				s += w[d] * x[d];
			}
			score[(int64_t)i * experts + e] = s;
		}
	}
	gsl_rng_free(rng);
	free(w);
}

static bool learned(enum gate_kind kind)
{
	return kind != GATE_HASH;
}

/* fp32 probabilities, 4-byte indices, as the layer's gate op has them. */
static double select_bytes(const struct gate_spec *g, double tokens,
			   double copies)
{
	double cells = tokens * g->experts, chosen = 8 * tokens * copies;

	switch (g->kind) {
	case GATE_SAM:	/* sums by group, best group, k inside it */
		return 4 * cells + 8 * tokens * g->groups +
			4 * cells / g->groups + chosen;
	case GATE_BASE:	/* every pass of the auction reads all scores */
		return GATE_AUCTION_PASSES * 4 * cells + chosen;
	case GATE_HASH:	/* the token's id, its expert */
		return 4 * tokens + chosen;
	case GATE_DTS:	/* noise written and read */
		return 2 * 4 * cells + 4 * cells + chosen;
	default:
		return 4 * cells + chosen;
	}
}

static int select_kernels(enum gate_kind kind)
{
	switch (kind) {
	case GATE_SAM:
	case GATE_DTS:
		return 2;
	case GATE_BASE:
		return 2 * GATE_AUCTION_PASSES;	/* bids, then prices */
	default:
		return 1;
	}
}

void gate_cost(const struct gate_spec *spec, const struct gate_shape *s,
	       double copies_per_token, struct tech_cost *forward,
	       struct tech_cost *backward)
{
	double product = 2 * s->tokens * s->dim * spec->experts;
	double cells = s->tokens * spec->experts;
	double soft = cells * (s->element_bytes + 4);
	struct tech_cost f = { 0 }, b = { 0 };

	if (learned(spec->kind)) {
		f.gemm_flop = product;
		f.hbm_bytes = soft;	/* softmax; base: scores in fp32 */
		f.kernels = 2;
		b.gemm_flop = 2 * product;
		b.hbm_bytes = soft;
		b.kernels = 3;
	}
	f.hbm_bytes += select_bytes(spec, s->tokens, copies_per_token) +
		12 * s->tokens * copies_per_token;	/* sort by expert */
	f.kernels += select_kernels(spec->kind) + 1;
	*forward = f;
	*backward = b;
}

enum status gate_effect_make(const struct gate_spec *spec, const double *p,
			     int sample, const struct gate_shape *shape,
			     double *share, struct gate_effect *out)
{
	struct gate_effect e = { 0 };
	struct gate_result r;
	double *score, most = 0;
	enum status st;

	if (sample < 1 || spec->experts < 1 ||
	    (long)sample * spec->experts > GATE_SCORES_MAX) {
		return err_set(ST_INPUT, "gate: %d tokens with %d experts are "
			       "out of range", sample, spec->experts);
	}
	score = xcalloc((size_t)sample * (size_t)spec->experts,
			sizeof(*score));
	gate_scores(p, spec->experts, sample, spec->seed, score);
	st = gate_run(spec, score, sample, &r);
	free(score);
	if (st) {
		return st;
	}
	e.copies_per_token = (double)r.copies / sample;
	e.drop_fraction = (double)r.drops / (double)r.copies;
	e.aux_loss = r.aux_loss;
	e.quality = r.quality;
	for (int i = 0; i < spec->experts; i++) {
		share[i] = (double)r.routed[i] / (double)r.copies;
		most = fmax(most, share[i]);
	}
	e.imbalance = most * spec->experts;
	gate_cost(spec, shape, e.copies_per_token, &e.forward, &e.backward);
	gate_result_release(&r);
	*out = e;
	return ST_OK;
}
