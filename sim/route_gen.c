/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Popularity of experts: a table with one row per generated kind, and the
 * rows of counts that follow from a popularity.
 */
#include "sim/route_int.h"
#include "sim/rng.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

gsl_rng *route_rng(uint64_t seed, enum route_purpose purpose)
{
	return rng_new(seed, (int)purpose);
}

struct gen {
	const struct routing_spec *spec;
	int experts, hot;
	gsl_rng *rng;
};

static void fill_even(const struct gen *g, double *p)
{
	int i;

	for (i = 0; i < g->experts; i++) {
		p[i] = 1;
	}
}

/*
 * p of the i-th most popular ~ (i+1)^-skew. Who is the i-th most popular is
 * shuffled by the seed, so that popular experts are not neighbours.
 */
static void fill_zipf(const struct gen *g, double *p)
{
	gsl_rng *order = route_rng(g->spec->seed, PURPOSE_ORDER);
	int i;

	for (i = 0; i < g->experts; i++) {
		p[i] = pow(i + 1, -g->spec->skew);
	}
	gsl_ran_shuffle(order, p, (size_t)g->experts, sizeof(*p));
	gsl_rng_free(order);
}

/* Dirichlet(alpha, ..., alpha) with alpha = 1/skew. */
static void fill_dirichlet(const struct gen *g, double *p)
{
	double *alpha = xcalloc((size_t)g->experts, sizeof(*alpha));
	int i;

	for (i = 0; i < g->experts; i++) {
		alpha[i] = 1 / g->spec->skew;
	}
	gsl_ran_dirichlet(g->rng, (size_t)g->experts, alpha, p);
	free(alpha);
}

/*
 * p ~ Pareto with tail index 1/skew: the i-th largest of many such values
 * falls like i^-skew, so skew means what it means for zipf. Independent
 * draws come in no order, so none are shuffled.
 */
static void fill_power_law(const struct gen *g, double *p)
{
	int i;

	for (i = 0; i < g->experts; i++) {
		p[i] = gsl_ran_pareto(g->rng, 1 / g->spec->skew, 1);
	}
}

static void fill_log_normal(const struct gen *g, double *p)
{
	int i;

	for (i = 0; i < g->experts; i++) {
		p[i] = gsl_ran_lognormal(g->rng, 0, g->spec->skew);
	}
}

/* The first n experts share `skew` evenly, the others the rest. */
static void fill_hot(const struct gen *g, int n, double *p)
{
	double skew = g->spec->skew;
	int i;

	if (n >= g->experts) {
		fill_even(g, p);
		return;
	}
	for (i = 0; i < g->experts; i++) {
		p[i] = i < n ? skew / n : (1 - skew) / (g->experts - n);
	}
}

static void fill_hot_expert(const struct gen *g, double *p)
{
	fill_hot(g, 1, p);
}

static void fill_hot_rank(const struct gen *g, double *p)
{
	fill_hot(g, g->hot, p);
}

/*
 * The largest skews are far beyond anything measured, and small enough that
 * no share overflows: Pareto's largest draw is 2^(32 * skew), log-normal's
 * e^(6.7 * skew) or so.
 */
static const struct gen_row {
	const char *name;
	double max_skew;
	int even_at_0;	/* skew 0 is the even popularity, by limit */
	void (*fill)(const struct gen *g, double *p);
} gen_table[] = {
	[ROUTING_UNIFORM] = { "uniform", HUGE_VAL, 1, fill_even },
	[ROUTING_ZIPF] = { "zipf", 10, 1, fill_zipf },
	[ROUTING_DIRICHLET] = { "dirichlet", 100, 1, fill_dirichlet },
	[ROUTING_POWER_LAW] = { "power-law", 10, 1, fill_power_law },
	[ROUTING_LOG_NORMAL] = { "log-normal", 10, 1, fill_log_normal },
	[ROUTING_HOT_EXPERT] = { "hot-expert", 1, 0, fill_hot_expert },
	[ROUTING_HOT_RANK] = { "hot-rank", 1, 0, fill_hot_rank },
};

static void normalise(double *p, int n)
{
	double sum = 0;
	int i;

	for (i = 0; i < n; i++) {
		sum += p[i];
	}
	for (i = 0; i < n; i++) {
		p[i] /= sum;
	}
}

enum status route_popularity(const struct routing_spec *spec, int experts,
			     int hot, double *p)
{
	const struct gen_row *row = &gen_table[spec->kind];
	struct gen g = { spec, experts, hot, NULL };

	if (spec->kind != ROUTING_UNIFORM &&
	    !(spec->skew >= 0 && spec->skew <= row->max_skew)) {
		return err_set(ST_INPUT, "routing.skew: '%g' is out of range "
			       "for routing.kind '%s': allowed is 0..%g",
			       spec->skew, row->name, row->max_skew);
	}
	if (row->even_at_0 && spec->skew < 1e-9) {
		fill_even(&g, p);
	} else {
		g.rng = route_rng(spec->seed, PURPOSE_POPULARITY);
		row->fill(&g, p);
		gsl_rng_free(g.rng);
	}
	normalise(p, experts);
	return ST_OK;
}

/* Popularity of the experts that have room; even when theirs is all zero. */
static void room_weights(const double *p, const struct routing *r,
			 const int64_t *row, double *weight)
{
	double sum = 0;
	int i;

	for (i = 0; i < r->experts; i++) {
		weight[i] = row[i] < r->tokens ? p[i] : 0;
		sum += weight[i];
	}
	for (i = 0; i < r->experts && !(sum > 0); i++) {
		weight[i] = row[i] < r->tokens;
	}
}

/* Adds to a cell what fits; returns that. */
static int64_t put(const struct routing *r, int64_t *cell, int64_t n)
{
	int64_t room = r->tokens - *cell;

	n = n < room ? n : room;
	*cell += n;
	return n;
}

void route_row_draw(gsl_rng *rng, const double *p, const struct routing *r,
		    double *weight, unsigned int *drawn, int64_t *row)
{
	int64_t left = (int64_t)r->tokens * r->k;
	int i, round;

	for (i = 0; i < r->experts; i++) {
		row[i] = 0;
	}
	/* a round that leaves some over has filled an expert: at most E */
	for (round = 0; left > 0 && round <= r->experts; round++) {
		room_weights(p, r, row, weight);
		gsl_ran_multinomial(rng, (size_t)r->experts,
				    (unsigned int)left, weight, drawn);
		for (i = 0; i < r->experts; i++) {
			left -= put(r, &row[i], drawn[i]);
		}
	}
	for (i = 0; left > 0 && i < r->experts; i++) {
		left -= put(r, &row[i], left);	/* what rounding left over */
	}
}

struct share {
	double part;	/* of a copy that the integer quota leaves out */
	int expert;
};

static int share_cmp(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	if (x->part != y->part) {
		return x->part < y->part ? 1 : -1;
	}
	return x->expert - y->expert;
}

/* Fills experts whose quota reaches the cap; returns what is left. */
static int64_t fill_capped(const double *p, const struct routing *r,
			   double *weight, int64_t *row, double *sum_p)
{
	int64_t left = (int64_t)r->tokens * r->k;
	int i, again = 1;

	while (again) {
		again = 0;
		room_weights(p, r, row, weight);
		*sum_p = 0;
		for (i = 0; i < r->experts; i++) {
			*sum_p += weight[i];
		}
		for (i = 0; i < r->experts; i++) {
			if (row[i] || weight[i] * left < r->tokens * *sum_p) {
				continue;
			}
			row[i] = r->tokens;
			left -= r->tokens;
			again = left > 0;
			break;
		}
	}
	return left;
}

void route_row_apportion(const double *p, const struct routing *r,
			 int64_t *row)
{
	struct share *share = xcalloc((size_t)r->experts, sizeof(*share));
	double *weight = xcalloc((size_t)r->experts, sizeof(*weight));
	double sum, quota;
	int64_t left, over;
	int i;

	for (i = 0; i < r->experts; i++) {
		row[i] = 0;
	}
	left = over = fill_capped(p, r, weight, row, &sum);
	for (i = 0; i < r->experts; i++) {
		quota = left > 0 && weight[i] > 0 && !row[i] ?
			weight[i] * left / sum : 0;
		share[i] = (struct share){ quota - floor(quota), i };
		over -= put(r, &row[i], (int64_t)floor(quota));
	}
	qsort(share, (size_t)r->experts, sizeof(*share), share_cmp);
	for (i = 0; over > 0; i = (i + 1) % r->experts) {
		over -= put(r, &row[share[i].expert], 1);
	}
	free(weight);
	free(share);
}
