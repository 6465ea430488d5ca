/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/route.h"
#include "sim/route_int.h"

#include "base/mem.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CELLS_MAX ((int64_t)1 << 27)	/* of the count matrix: 1 GiB */

/*
 * uniform: tokens * k copies in cells that differ by 1 at most. The cells
 * with one more go round from rank to rank, so that experts' totals differ
 * by 1 at most as well.
 */
static void fill_uniform(struct routing *r)
{
	int64_t copies = (int64_t)r->tokens * r->k;
	int64_t extra = copies % r->experts;
	int i, rank;

	for (rank = 0; rank < r->ranks; rank++) {
		int64_t *row = r->count + (int64_t)rank * r->experts;
		int64_t first = rank * extra % r->experts;

		for (i = 0; i < r->experts; i++) {
			int64_t at = (i - first + r->experts) % r->experts;

			row[i] = copies / r->experts + (at < extra);
		}
	}
}

static void fill_drawn(struct routing *r, const double *p, uint64_t seed)
{
	double *weight = xcalloc((size_t)r->experts, sizeof(*weight));
	unsigned int *drawn = xcalloc((size_t)r->experts, sizeof(*drawn));
	gsl_rng *rng = route_rng(seed, PURPOSE_DRAW);
	int rank;

	for (rank = 0; rank < r->ranks; rank++) {
		route_row_draw(rng, p, r, weight, drawn,
			       r->count + (int64_t)rank * r->experts);
	}
	gsl_rng_free(rng);
	free(drawn);
	free(weight);
}

static void fill_apportioned(struct routing *r, const double *p)
{
	int rank;

	route_row_apportion(p, r, r->count);
	for (rank = 1; rank < r->ranks; rank++) {
		memcpy(r->count + (int64_t)rank * r->experts, r->count,
		       (size_t)r->experts * sizeof(*r->count));
	}
}

static void add_token(const struct routing *r, int64_t token, int64_t times,
		      int64_t *row)
{
	const int *e = routing_token(r, token);
	int i;

	for (i = 0; i < r->k; i++) {
		row[e[i]] += times;
	}
}

/* The trace's tokens in order, around and around; whole rounds at once. */
static void fill_trace(struct routing *r)
{
	int64_t rounds = r->tokens / r->n_trace, t;
	int rank;

	for (rank = 0; rank < r->ranks; rank++) {
		int64_t *row = r->count + (int64_t)rank * r->experts;
		int64_t first = (int64_t)rank * r->tokens;

		for (t = 0; rounds && t < r->n_trace; t++) {
			add_token(r, t, rounds, row);
		}
		for (t = rounds * r->n_trace; t < r->tokens; t++) {
			add_token(r, first + t, 1, row);
		}
	}
}

static enum status check_size(const struct model *m, const struct routing *r)
{
	if (r->k < 1 || r->experts < r->k) {
		return err_set(ST_INPUT, "model.experts_per_token: '%d' is not "
			       "in 1..%d (model.experts)", r->k, m->experts);
	}
	if ((int64_t)r->tokens * r->k > INT_MAX) {
		return err_set(ST_INPUT, "model.sequence: %d tokens per rank "
			       "times %d experts per token is above %d",
			       r->tokens, r->k, INT_MAX);
	}
	if ((int64_t)r->ranks * r->experts > CELLS_MAX) {
		return err_set(ST_INPUT, "model.experts: %d ranks times %d "
			       "experts is above %lld", r->ranks, r->experts,
			       (long long)CELLS_MAX);
	}
	return ST_OK;
}

/* Fills r->count by the spec's kind; `p` is scratch for `experts` values. */
static enum status fill_count(const struct routing_spec *spec,
			      const struct model *m, const struct layout *l,
			      double *p, struct routing *r)
{
	int hot = l->ep < r->experts ? r->experts / l->ep : 1;
	enum status st;

	switch (spec->kind) {
	case ROUTING_UNIFORM:
		fill_uniform(r);
		return ST_OK;
	case ROUTING_COUNTS:
		st = route_read_counts(spec, m, p);
		if (!st) {
			fill_apportioned(r, p);
		}
		return st;
	case ROUTING_TRACE:
		st = route_read_trace(spec, m, r);
		if (!st) {
			fill_trace(r);
		}
		return st;
	default:
		st = route_popularity(spec, r->experts, hot, p);
		if (!st) {
			fill_drawn(r, p, spec->seed);
		}
		return st;
	}
}

/* Counts spread over more than that are not listed by level. */
#define LEVELS_MAX (1 << 20)

static void list_levels(struct routing *r)
{
	int64_t n = (int64_t)r->ranks * r->experts, low = INT64_MAX, i;
	int64_t high = 0, *cells;
	size_t cap = 0;

	for (i = 0; i < n; i++) {
		low = r->count[i] < low ? r->count[i] : low;
		high = r->count[i] > high ? r->count[i] : high;
	}
	if (high - low >= LEVELS_MAX) {
		return;
	}
	cells = xcalloc((size_t)(high - low + 1), sizeof(*cells));
	for (i = 0; i < n; i++) {
		cells[r->count[i] - low]++;
	}
	for (i = low; i <= high; i++) {
		if (!cells[i - low]) {
			continue;
		}
		r->level = array_grow(r->level, &cap, (size_t)r->n_levels + 1,
				      sizeof(*r->level));
		r->level[r->n_levels++] =
			(struct count_level){ i, cells[i - low] };
	}
	free(cells);
}

bool routing_alike(const struct routing_spec *spec, const struct model *m,
		   const struct layout *a, const struct layout *b)
{
	return layout_tokens(a, m) == layout_tokens(b, m) &&
		(spec->kind != ROUTING_HOT_RANK || a->ep == b->ep);
}

enum status routing_make(const struct routing_spec *spec,
			 const struct model *m, const struct layout *l,
			 int ranks, struct routing *out)
{
	struct routing r = { .ranks = ranks, .experts = m->experts,
			     .k = m->experts_per_token,
			     .tokens = layout_tokens(l, m) };
	enum status st = check_size(m, &r);
	double *p;

	if (st) {
		return st;
	}
	p = xcalloc((size_t)r.experts, sizeof(*p));
	r.count = xcalloc((size_t)ranks * (size_t)r.experts,
			  sizeof(*r.count));
	st = fill_count(spec, m, l, p, &r);
	free(p);
	if (st) {
		routing_release(&r);
		return st;
	}
	routing_check(&r);
	list_levels(&r);
	*out = r;
	return ST_OK;
}

void routing_release(struct routing *r)
{
	free(r->count);
	free(r->trace);
	free(r->level);
	*r = (struct routing){ 0 };
}

void routing_check(const struct routing *r)
{
	int rank, i;

	for (rank = 0; rank < r->ranks; rank++) {
		int64_t sum = 0;

		for (i = 0; i < r->experts; i++) {
			int64_t n = routing_count(r, rank, i);

			assert(n >= 0 && n <= r->tokens);
			sum += n;
		}
		assert(sum == (int64_t)r->tokens * r->k);
		(void)sum;
	}
}
