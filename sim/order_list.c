/* SPDX-License-Identifier: GPL-3.0-or-later */
/* List schedules of a pass: quick, and good to begin a search with. */
#include "sim/order_int.h"

#include <string.h>

struct list {
	const struct shop *s;
	bool placed[SHOP_OPS_MAX];
	uint64_t end[SHOP_OPS_MAX], lane_free[LANES_ALL];
};

/* Lower goes first. */
struct rank {
	uint64_t major, minor;
};

enum priority {
	LONGEST_TAIL,	/* what has most to do after it */
	LATEST_STAGE,	/* the way home before the way to the experts */
	EARLIEST_STAGE,
	SHORTEST,
	PRIORITIES,
};

static struct rank rank_of(const struct shop *s, int i, int priority)
{
	uint64_t at = (uint64_t)i;

	switch (priority) {
	case LONGEST_TAIL:
		return (struct rank){ UINT64_MAX - s->tail[i], at };
	case LATEST_STAGE:
		return (struct rank){ UINT64_MAX - s->head[i], at };
	case EARLIEST_STAGE:
		return (struct rank){ at, 0 };
	default:
		return (struct rank){ s->time[i], at };
	}
}

static bool goes_before(struct rank a, struct rank b)
{
	return a.major != b.major ? a.major < b.major : a.minor < b.minor;
}

/* When it could start; UINT64_MAX: not yet, or it is placed. */
static uint64_t earliest(const struct list *l, int i)
{
	const struct shop *s = l->s;
	uint64_t at = l->lane_free[s->lane[i]];

	if (l->placed[i])
		return UINT64_MAX;
	for (int b = 0; b < s->n_before[i]; b++) {
		int j = s->before[i][b];

		if (!l->placed[j])
			return UINT64_MAX;
		if (l->end[j] > at)
			at = l->end[j];
	}
	return at;
}

/*
 * The op to place next. Without delay: of those that can start first; else of
 * those of a lane that can start before any op of it could be done.
 */
static int pick(const struct list *l, int priority, bool delay)
{
	const struct shop *s = l->s;
	uint64_t start[SHOP_OPS_MAX], limit = UINT64_MAX;
	int first = -1, best = -1;

	for (int i = 0; i < s->n; i++) {
		uint64_t at;

		start[i] = earliest(l, i);
		if (start[i] == UINT64_MAX)
			continue;
		at = start[i] + (delay ? s->time[i] : 0);
		if (first < 0 || at < limit) {
			first = i;
			limit = at;
		}
	}
	for (int i = 0; i < s->n; i++) {
		bool fits = i == first || (delay ? start[i] < limit :
					   start[i] == limit);

		if (start[i] == UINT64_MAX || !fits ||
		    s->lane[i] != s->lane[first])
			continue;
		if (best < 0 || goes_before(rank_of(s, i, priority),
					    rank_of(s, best, priority)))
			best = i;
	}
	return best;
}

static uint64_t run_list(const struct shop *s, int priority, bool delay,
			 int *sequence)
{
	struct list l;
	uint64_t last = 0;

	memset(&l, 0, sizeof(l));
	l.s = s;
	for (int k = 0; k < s->n; k++) {
		int i = pick(&l, priority, delay);
		uint64_t end = earliest(&l, i) + s->time[i];

		sequence[k] = i;
		l.placed[i] = true;
		l.end[i] = l.lane_free[s->lane[i]] = end;
		if (end > last)
			last = end;
	}
	return last;
}

uint64_t shop_list(const struct shop *s, int *sequence)
{
	uint64_t best = UINT64_MAX, bound = shop_bound(s), t;
	int trial[SHOP_OPS_MAX];

	for (int k = 0; k < 2 * PRIORITIES && best > bound; k++) {
		t = run_list(s, k / 2, k % 2, trial);
		if (t >= best)
			continue;
		best = t;
		memcpy(sequence, trial, (size_t)s->n * sizeof(*trial));
	}
	return best;
}
