/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_gates.h"
#include "sim/gate_int.h"
#include "sim/rng.h"

#include "base/mem.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCORE_STEPS (1 << 20)	/* rounding of the balanced assignment */

const struct gate_row gate_table[GATE_N] = {
	[GATE_TOPK] = { "topk", "the k best experts (Switch, GShard)" },
	[GATE_KTOP1] = { "ktop1", "the best expert of each of k prototypes" },
	[GATE_SAM] = { "sam", "the best group of experts, then k inside it" },
	[GATE_BASE] = { "base", "balanced assignment, every expert the same" },
	[GATE_HASH] = { "hash", "a fixed random expert for each token" },
	[GATE_DTS] = { "dts", "dense to sparse: all experts above a threshold" },
};

int gate_find(const char *name)
{
	for (int i = 0; i < GATE_N; i++) {
		if (!strcmp(name, gate_table[i].name)) {
			return i;
		}
	}
	return -1;
}

static enum status refuse(const struct gate_spec *s, const char *why)
{
	return err_set(ST_INPUT, "gate '%s' with %d experts, k = %d: %s",
		       gate_table[s->kind].name, s->experts, s->k, why);
}

static enum status spec_check(const struct gate_spec *s, int tokens)
{
	bool one = s->kind == GATE_BASE || s->kind == GATE_HASH ||
		s->kind == GATE_DTS;

	if (s->experts < 1 || s->experts > GATE_EXPERTS_MAX) {
		return refuse(s, "experts are not in 1..4096");
	}
	if (tokens < 1 || tokens > GATE_TOKENS_MAX ||
	    (long)tokens * s->experts > GATE_SCORES_MAX) {
		return refuse(s, "too few or too many tokens");
	}
	if (s->k < 1 || s->k > s->experts || (one && s->k != 1)) {
		return refuse(s, one ? "k is not 1" : "k is not in 1..experts");
	}
	if (s->kind == GATE_KTOP1 && s->experts % s->k) {
		return refuse(s, "k does not divide experts");
	}
	if (s->kind == GATE_SAM && (s->groups < 1 || s->experts % s->groups ||
				    s->k > s->experts / s->groups)) {
		return refuse(s, "groups do not divide experts, or have fewer "
			      "than k");
	}
	if (s->kind == GATE_DTS && !(s->temperature > 0 && s->threshold >= 0 &&
				     s->threshold <= 1)) {
		return refuse(s, "temperature is not above 0, or threshold "
			      "not in 0..1");
	}
	if (!(s->capacity_factor >= 0)) {
		return refuse(s, "the capacity factor is negative");
	}
	if (s->kind == GATE_BASE && (double)tokens * s->experts * s->experts >
	    GATE_BASE_STEPS_MAX) {
		return refuse(s, "too many tokens for a balanced assignment");
	}
	return ST_OK;
}

/* ---- choices ---- */

struct run {
	const struct gate_spec *spec;
	const double *score;
	struct gate_result *r;
	size_t cap;
	double *p, *sort;	/* [experts] */
	double *mean;		/* [experts]: P_e, sums of probabilities */
	int64_t *first_choice;	/* [experts]: f_e */
	double best_probability, chosen_probability;
};

static void softmax(const double *s, int n, double temperature, double *p)
{
	double most = s[0], sum = 0;

	for (int i = 1; i < n; i++) {
		most = fmax(most, s[i]);
	}
	for (int i = 0; i < n; i++) {
		p[i] = exp((s[i] - most) / temperature);
		sum += p[i];
	}
	for (int i = 0; i < n; i++) {
		p[i] /= sum;
	}
}

static void choose(struct run *u, int expert, double weight)
{
	struct gate_result *r = u->r;
	int at = r->first[r->tokens];

	if ((size_t)at == u->cap) {
		size_t cap = u->cap;

		r->expert = array_grow(r->expert, &cap, u->cap + 1,
				       sizeof(*r->expert));
		r->weight = xrealloc_array(r->weight, cap, sizeof(*r->weight));
		u->cap = cap;
	}
	r->expert[at] = expert;
	r->weight[at] = (float)weight;
	r->first[r->tokens]++;
}

/* The k largest of p[begin..end), largest first; ties: the lower one. */
static void choose_best(struct run *u, int begin, int end, int k)
{
	unsigned char taken[GATE_EXPERTS_MAX] = { 0 };

	while (k-- > 0) {
		int best = -1;

		for (int e = begin; e < end; e++) {
			if (!taken[e] && (best < 0 || u->p[e] > u->p[best])) {
				best = e;
			}
		}
		taken[best] = 1;
		choose(u, best, u->p[best]);
	}
}

static void token_topk(struct run *u, const double *s)
{
	softmax(s, u->spec->experts, 1, u->p);
	choose_best(u, 0, u->spec->experts, u->spec->k);
}

static void token_ktop1(struct run *u, const double *s)
{
	int each = u->spec->experts / u->spec->k;

	for (int j = 0; j < u->spec->experts; j += each) {
		softmax(s + j, each, 1, u->p + j);
		choose_best(u, j, j + each, 1);
	}
}

static void token_sam(struct run *u, const double *s)
{
	int each = u->spec->experts / u->spec->groups, best = 0;
	double most = -1, least;
	int from;

	softmax(s, u->spec->experts, 1, u->p);
	for (int g = 0; g < u->spec->groups; g++) {
		double sum = 0;

		for (int e = g * each; e < (g + 1) * each; e++) {
			sum += u->p[e];
		}
		if (sum > most) {
			most = sum;
			best = g;
		}
	}
	from = u->r->first[u->r->tokens];
	choose_best(u, best * each, (best + 1) * each, u->spec->k);
	least = u->p[u->r->expert[from + u->spec->k - 1]];
	for (int e = 0; e < u->spec->experts; e++) {
		u->r->align_loss += e / each == best ? 0 :
			fmax(0, u->p[e] - least);
	}
}

static void token_dts(struct run *u, const double *s, gsl_rng *rng)
{
	int experts = u->spec->experts, n = 0;
	double limit = u->spec->threshold > 0 ? u->spec->threshold :
		1.0 / experts;

	for (int e = 0; e < experts; e++) {
		u->sort[e] = s[e] + gsl_ran_gumbel1(rng, 1, 1);
	}
	softmax(u->sort, experts, u->spec->temperature, u->p);
	for (int e = 0; e < experts; e++) {
		n += u->p[e] > limit;
	}
	choose_best(u, 0, experts, n > 0 ? n : 1);
}

/* ---- losses, drops ---- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

/* Books token t's choices; u->p holds the gate's probabilities. */
static void book_token(struct run *u, int t)
{
	struct gate_result *r = u->r;
	int experts = u->spec->experts, n = r->first[t + 1] - r->first[t];
	const double *s = u->score + (int64_t)t * experts;
	const int *chosen = r->expert + r->first[t];
	int firsts = u->spec->kind == GATE_KTOP1 ? n : 1;

	for (int e = 0; e < experts; e++) {
		u->mean[e] += u->p[e];
	}
	for (int c = 0; c < firsts; c++) {
		u->first_choice[chosen[c]]++;
	}
	softmax(s, experts, 1, u->sort);
	for (int c = 0; c < n; c++) {
		u->chosen_probability += u->sort[chosen[c]];
		r->routed[chosen[c]]++;
		r->score += s[chosen[c]];
	}
	qsort(u->sort, (size_t)experts, sizeof(double), by_size);
	for (int c = 0; c < n; c++) {
		u->best_probability += u->sort[c];
	}
}

static double aux_loss(const struct run *u)
{
	double tokens = u->r->tokens, sum = 0;
	int experts = u->spec->experts;
	int size = u->spec->kind == GATE_KTOP1 ? experts / u->spec->k :
		experts;

	for (int e = 0; e < experts; e++) {
		sum += (double)u->first_choice[e] / tokens *
			(u->mean[e] / tokens);
	}
	return size * sum;
}

/* First choices of all tokens take their slots before second ones. */
static void drop(struct run *u)
{
	struct gate_result *r = u->r;
	double each = (double)r->copies / r->tokens;
	double slots = u->spec->kind == GATE_DTS ?
		ceil(each * r->tokens / r->experts * u->spec->capacity_factor) :
		u->spec->k * ceil((double)r->tokens / r->experts *
				  u->spec->capacity_factor);
	int left = r->tokens;

	for (int c = 0; left > 0; c++) {
		left = 0;
		for (int t = 0; t < r->tokens; t++) {
			int at = r->first[t] + c;

			if (at >= r->first[t + 1]) {
				continue;
			}
			left++;
			r->dropped[at] = u->spec->capacity_factor > 0 &&
				(double)r->kept[r->expert[at]] >= slots;
			r->kept[r->expert[at]] += !r->dropped[at];
			r->drops += r->dropped[at];
		}
	}
}

/* ---- whole sets of tokens ---- */

static void run_tokens(struct run *u, int tokens)
{
	struct gate_result *r = u->r;
	gsl_rng *rng = rng_new(u->spec->seed, RNG_GUMBEL);

	for (int t = 0; t < tokens; t++) {
		const double *s = u->score + (int64_t)t * u->spec->experts;

		r->tokens = t + 1;
		r->first[t + 1] = r->first[t];
		switch (u->spec->kind) {
		case GATE_KTOP1:
			token_ktop1(u, s);
			break;
		case GATE_SAM:
			token_sam(u, s);
			break;
		case GATE_DTS:
			token_dts(u, s, rng);
			break;
		default:
			token_topk(u, s);
			break;
		}
		book_token(u, t);
	}
	gsl_rng_free(rng);
	r->aux_loss = aux_loss(u);
}

#define MANDELBROT 2.7

void gate_word_shares(int words, int experts, uint64_t seed, double *share)
{
	gsl_rng *rng = rng_new(seed, RNG_HASH);
	double sum = 0;

	memset(share, 0, (size_t)experts * sizeof(*share));
	for (int r = 1; r <= words; r++) {
		double p = 1 / (r + MANDELBROT);

		share[gsl_rng_uniform_int(rng, (unsigned long)experts)] += p;
		sum += p;
	}
	gsl_rng_free(rng);
	for (int e = 0; e < experts; e++)
		share[e] /= sum;
}

static void assign_hash(const struct gate_spec *spec, int tokens, int *to)
{
	gsl_rng *rng = rng_new(spec->seed, RNG_HASH);

	for (int t = 0; t < tokens; t++) {
		to[t] = (int)gsl_rng_uniform_int(rng,
					(unsigned long)spec->experts);
	}
	gsl_rng_free(rng);
}

static void assign_base(const struct gate_spec *spec, const double *score,
			int tokens, int *to)
{
	int64_t n = (int64_t)tokens * spec->experts;
	int64_t *fixed = xcalloc((size_t)n, sizeof(*fixed));
	double most = 0;

	for (int64_t i = 0; i < n; i++) {
		most = fmax(most, fabs(score[i]));
	}
	for (int64_t i = 0; i < n && most > 0; i++) {
		fixed[i] = llrint(score[i] / most * SCORE_STEPS);
	}
	gate_balance(fixed, tokens, spec->experts, to);
	free(fixed);
}

/* base: the output's weight is sigmoid(score); hash: 1. */
static void run_assigned(struct run *u, int tokens)
{
	int *to = xcalloc((size_t)tokens, sizeof(*to));
	struct gate_result *r = u->r;

	if (u->spec->kind == GATE_HASH) {
		assign_hash(u->spec, tokens, to);
	} else {
		assign_base(u->spec, u->score, tokens, to);
	}
	for (int t = 0; t < tokens; t++) {
		double s = u->score[(int64_t)t * u->spec->experts + to[t]];

		r->tokens = t + 1;
		r->first[t + 1] = r->first[t];
		choose(u, to[t], u->spec->kind == GATE_HASH ? 1 :
		       1 / (1 + exp(-s)));
		book_token(u, t);
	}
	free(to);
}

enum status gate_run(const struct gate_spec *spec, const double *score,
		     int tokens, struct gate_result *out)
{
	enum status st = spec_check(spec, tokens);
	size_t experts = (size_t)spec->experts;
	struct gate_result r = { .experts = spec->experts };
	struct run u = { .spec = spec, .score = score, .r = &r };

	if (st) {
		return st;
	}
	r.first = xcalloc((size_t)tokens + 1, sizeof(*r.first));
	r.routed = xcalloc(experts, sizeof(*r.routed));
	r.kept = xcalloc(experts, sizeof(*r.kept));
	u.p = xcalloc(experts, sizeof(*u.p));
	u.sort = xcalloc(experts, sizeof(*u.sort));
	u.mean = xcalloc(experts, sizeof(*u.mean));
	u.first_choice = xcalloc(experts, sizeof(*u.first_choice));
	if (spec->kind == GATE_BASE || spec->kind == GATE_HASH) {
		run_assigned(&u, tokens);
	} else {
		run_tokens(&u, tokens);
	}
	r.copies = r.first[tokens];
	r.dropped = xcalloc((size_t)r.copies, sizeof(*r.dropped));
	drop(&u);
	r.quality = u.chosen_probability / u.best_probability;
	free(u.p);
	free(u.sort);
	free(u.mean);
	free(u.first_choice);
	*out = r;
	return ST_OK;
}

void gate_result_release(struct gate_result *r)
{
	free(r->first);
	free(r->expert);
	free(r->weight);
	free(r->dropped);
	free(r->routed);
	free(r->kept);
	*r = (struct gate_result){ 0 };
}
