/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All active schedules of a pass, depth first. A node has placed some ops;
 * start[] is the least time at which each other op can still start. Bounds:
 * of the ops of a lane that are left, those with t or more after them need
 * (least start) + (sum) + t. Dominance: of two nodes that have placed the
 * same ops, one whose starts are all as early or earlier is enough.
 */
#include "sim/order_int.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define SEEN_BUCKETS 512
#define SEEN_WAYS 8

struct seen {		/* a node that was looked at */
	uint64_t key;	/* of the ops placed; 0: none */
	uint64_t last;
	uint64_t start[SHOP_OPS_MAX];	/* of the others */
};

struct dfs {
	const struct shop *s;
	long nodes, limit;
	uint64_t key, last;	/* last: end of what is placed */
	uint64_t lane_free[LANES_ALL], end[SHOP_OPS_MAX];
	bool placed[SHOP_OPS_MAX];
	int n, sequence[SHOP_OPS_MAX];
	uint64_t best, bound;
	int *best_sequence;
	uint64_t number[SHOP_OPS_MAX];	/* of ops, for keys */
	struct seen *seen;	/* [SEEN_BUCKETS][SEEN_WAYS] */
	unsigned char turn[SEEN_BUCKETS];
};

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void set_numbers(struct dfs *d)	/* splitmix64 */
{
	uint64_t seed = 1;

	for (int i = 0; i < d->s->n; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		d->number[i] = z ^ z >> 31;
	}
}

/* Least starts of all that is left; ops before others have lower numbers. */
static void set_starts(const struct dfs *d, uint64_t *start, bool *is_ready)
{
	const struct shop *s = d->s;

	for (int i = 0; i < s->n; i++) {
		uint64_t at = d->lane_free[s->lane[i]];

		if (d->placed[i])
			continue;
		is_ready[i] = true;
		for (int b = 0; b < s->n_before[i]; b++) {
			int j = s->before[i][b];

			if (!d->placed[j])
				is_ready[i] = false;
			at = max_of(at, d->placed[j] ? d->end[j] :
				    start[j] + s->time[j]);
		}
		start[i] = at;
	}
}

static uint64_t node_bound(const struct dfs *d, const uint64_t *start)
{
	const struct shop *s = d->s;
	uint64_t most = d->last;

	for (int lane = 0; lane < LANES_ALL; lane++) {
		uint64_t least = UINT64_MAX, sum = 0;

		for (int k = 0; k < s->n_lane[lane]; k++) {
			int i = s->by_tail[lane][k];

			if (d->placed[i])
				continue;
			if (start[i] < least)
				least = start[i];
			sum += s->time[i];
			most = max_of(most, start[i] + s->time[i] +
				      s->tail[i]);
			most = max_of(most, least + sum + s->tail[i]);
		}
	}
	return most;
}

static bool as_early(const struct dfs *d, const struct seen *e,
		     const uint64_t *start)
{
	if (e->key != d->key || e->last > d->last)
		return false;
	for (int i = 0; i < d->s->n; i++) {
		if (!d->placed[i] && e->start[i] > start[i])
			return false;
	}
	return true;
}

/* Has a node that is as good been looked at? Else this one is kept. */
static bool dominated(struct dfs *d, const uint64_t *start)
{
	unsigned bucket = (unsigned)(d->key % SEEN_BUCKETS);
	struct seen *e = d->seen + (size_t)bucket * SEEN_WAYS;

	for (int i = 0; i < SEEN_WAYS; i++) {
		if (as_early(d, e + i, start))
			return true;
	}
	e += d->turn[bucket]++ % SEEN_WAYS;
	e->key = d->key;
	e->last = d->last;
	memcpy(e->start, start, (size_t)d->s->n * sizeof(*start));
	return false;
}

/*
 * Ops of one lane of which one comes next in every active schedule: the lane
 * of the op that could be done first, those that could start before that. In
 * `list`, longest tail first; returns their number.
 */
static int conflict(const struct dfs *d, const uint64_t *start,
		    const bool *is_ready, int *list)
{
	const struct shop *s = d->s;
	uint64_t done = UINT64_MAX;
	int first = -1, n = 0;

	for (int i = 0; i < s->n; i++) {
		if (!d->placed[i] && is_ready[i] &&
		    start[i] + s->time[i] < done) {
			done = start[i] + s->time[i];
			first = i;
		}
	}
	for (int k = 0; k < s->n_lane[s->lane[first]]; k++) {
		int i = s->by_tail[s->lane[first]][k];

		if (!d->placed[i] && is_ready[i] &&
		    (i == first || start[i] < done))
			list[n++] = i;
	}
	return n;
}

static void keep_best(struct dfs *d)
{
	if (d->last >= d->best)
		return;
	d->best = d->last;
	memcpy(d->best_sequence, d->sequence,
	       (size_t)d->s->n * sizeof(*d->sequence));
}

static void descend(struct dfs *d);

static void place(struct dfs *d, int i, uint64_t start)
{
	int lane = d->s->lane[i];
	uint64_t was_free = d->lane_free[lane], was_last = d->last;

	d->placed[i] = true;
	d->end[i] = d->lane_free[lane] = start + d->s->time[i];
	d->last = max_of(d->last, d->end[i]);
	d->sequence[d->n++] = i;
	d->key ^= d->number[i];
	descend(d);
	d->key ^= d->number[i];
	d->n--;
	d->placed[i] = false;
	d->lane_free[lane] = was_free;
	d->last = was_last;
}

static void descend(struct dfs *d)
{
	uint64_t start[SHOP_OPS_MAX];
	bool is_ready[SHOP_OPS_MAX];
	int list[SHOP_OPS_MAX], n;

	if (d->n == d->s->n) {
		keep_best(d);
		return;
	}
	if (d->best <= d->bound || ++d->nodes > d->limit)
		return;
	set_starts(d, start, is_ready);
	if (node_bound(d, start) >= d->best)
		return;
	n = conflict(d, start, is_ready, list);
	/* where there is no choice nothing is worth remembering */
	if (n > 1 && dominated(d, start))
		return;
	for (int k = 0; k < n; k++)
		place(d, list[k], start[list[k]]);
}

bool shop_search(const struct shop *s, long nodes, uint64_t *best_ps,
		 int *sequence, long *looked_p)
{
	struct dfs *d = xcalloc(1, sizeof(*d));
	bool exact;

	d->s = s;
	d->key = 1;	/* 0 is for places that are free */
	d->limit = nodes;
	d->best = *best_ps;
	d->bound = shop_bound(s);
	d->best_sequence = sequence;
	d->seen = xcalloc((size_t)SEEN_BUCKETS * SEEN_WAYS, sizeof(*d->seen));
	set_numbers(d);
	descend(d);
	*best_ps = d->best;
	*looked_p = d->nodes;
	exact = d->nodes <= d->limit || d->best <= d->bound;
	free(d->seen);
	free(d);
	return exact;
}

/* ---- without bounds ---- */

struct brute {
	const struct shop *s;
	bool placed[SHOP_OPS_MAX];
	uint64_t end[SHOP_OPS_MAX], lane_free[LANES_ALL], best;
	int n;
};

/* Its start; UINT64_MAX: something before it is missing. */
static uint64_t brute_start(const struct brute *b, int i)
{
	const struct shop *s = b->s;
	uint64_t at = b->lane_free[s->lane[i]];

	for (int k = 0; k < s->n_before[i]; k++) {
		if (!b->placed[s->before[i][k]])
			return UINT64_MAX;
		at = max_of(at, b->end[s->before[i][k]]);
	}
	return at;
}

/* In the order of their starts, which the lanes' orders make: so that an order
 * is not looked at once for each way of telling its lanes. */
static void all_orders(struct brute *b, uint64_t from, uint64_t last)
{
	const struct shop *s = b->s;

	if (b->n == s->n && last < b->best)
		b->best = last;
	for (int i = 0; i < s->n; i++) {
		uint64_t was = b->lane_free[s->lane[i]], start;

		start = b->placed[i] ? UINT64_MAX : brute_start(b, i);
		if (start == UINT64_MAX || start < from)
			continue;
		b->placed[i] = true;
		b->end[i] = b->lane_free[s->lane[i]] = start + s->time[i];
		b->n++;
		all_orders(b, start, max_of(last, b->end[i]));
		b->n--;
		b->lane_free[s->lane[i]] = was;
		b->placed[i] = false;
	}
}

uint64_t order_brute_force(const struct program *p, int pass,
			   const uint64_t *duration_ps)
{
	struct brute b = { .best = UINT64_MAX };
	struct shop s;

	if (!shop_make(p, pass, duration_ps, &s))
		return UINT64_MAX;
	b.s = &s;
	all_orders(&b, 0, 0);
	return b.best;
}
