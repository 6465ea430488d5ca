/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A first guess of the order. Links that fill at nearly the same level change
 * places by the hundred from one solve to the next, and each one that is put
 * right by itself has those that it passes computed again. So all levels are
 * computed in the old order first, as if it were right, and the fewest links
 * that will do are moved to where these levels rise.
 */
#include "sim/fair_order.h"

#include "base/mem.h"

#include <stdlib.h>

/* Of fewer links the order is put right link by link. */
#define GUESS_LINKS 3000
#define GUESSES 2

/* Levels in the old order, as if it were right; false: it is not. */
static bool guess_levels(struct fair *f, struct fair_comp *c)
{
	double before = c->restart ? f->links[c->order[c->restart - 1]].level :
		0;
	bool sorted = true;

	for (size_t i = c->restart; i < c->n; i++) {
		int link = c->order[i];
		struct fair_link *l = &f->links[link];
		double level;

		l->rest = fair_rest(f, link, &l->held);
		level = fair_level(l->rest, l->held, l->capacity);
		if (level < before * (1 - FAIR_TIE)) {
			sorted = false;
		}
		/* more than full by flows of others: stays where it is */
		fair_accept(f, link, level > 0 ? level : before, l->rest,
			    l->held);
		before = l->level;
	}
	return sorted;
}

/*
 * Marks the most links of places [c->restart, c->n) whose levels rise as they
 * stand: the others are to be moved. tail[k] is the place that ends the run
 * of k + 1 links with the lowest level, before[i] the place before i in its
 * run.
 */
static void mark_risen(const struct fair *f, const struct fair_comp *c,
		       bool *risen)
{
	size_t n = c->n - c->restart, runs = 0, i;
	int32_t *tail = xmalloc((n + 1) * sizeof(*tail));
	int32_t *before = xmalloc((n + 1) * sizeof(*before));
	const int *order = c->order + c->restart;

	for (i = 0; i < n; i++) {
		double level = f->links[order[i]].level;
		size_t lo = 0, hi = runs;

		while (lo < hi) {
			size_t mid = (lo + hi) / 2;

			if (f->links[order[tail[mid]]].level <= level) {
				lo = mid + 1;
			} else {
				hi = mid;
			}
		}
		before[i] = lo ? tail[lo - 1] : FAIR_NONE;
		tail[lo] = (int32_t)i;
		runs = lo < runs ? runs : lo + 1;
	}
	for (int32_t at = runs ? tail[runs - 1] : FAIR_NONE; at != FAIR_NONE;
	     at = before[at]) {
		risen[order[at]] = true;
	}
	free(before);
	free(tail);
}

/* The last place before that of a link in place with a higher level. */
static size_t place_risen(const struct fair *f, const struct fair_comp *c,
			  size_t at, const bool *risen)
{
	double level = f->links[c->order[at]].level;
	size_t to = at, i;

	for (i = at + 1; i < c->n; i++) {
		if (!risen[c->order[i]]) {
			continue;
		}
		if (f->links[c->order[i]].level >= level) {
			break;
		}
		to = i;
	}
	return to;
}

/* What comes earlier takes on flows, and with them their level. */
static void level_after(struct fair *f, const struct fair_comp *c, size_t at)
{
	struct fair_link *l = &f->links[c->order[at]];

	if (at > c->restart) {
		l->level = fmax(l->level, f->links[c->order[at - 1]].level);
	}
}

/* Moves those that are not in order by their guessed levels. */
static void sort_guessed(struct fair *f, struct fair_comp *c)
{
	bool *risen = xcalloc(f->n_links, sizeof(*risen));
	size_t i = c->restart, to, n;

	mark_risen(f, c, risen);
	while (i < c->n) {
		int link = c->order[i];

		if (risen[link]) {
			i++;
			continue;
		}
		risen[link] = true;
		to = place_risen(f, c, i, risen);
		if (to > i) {
			fair_put_off(f, c, i, to);
			continue;
		}
		to = fair_place_back(f, c, c->restart, i, f->links[link].rest,
				     f->links[link].held, &n);
		if (to < i) {
			fair_carry_back(f, c, i, to, n);
			level_after(f, c, to);
		}
		i++;
	}
	free(risen);
}

bool fair_guess(struct fair *f, struct fair_comp *c)
{
	if (c->n - c->restart < GUESS_LINKS) {
		return true;
	}
	for (int k = 0; k < GUESSES; k++) {
		if (guess_levels(f, c)) {
			return false;
		}
		for (size_t i = c->restart; i < c->n; i++) {
			fair_unfill(f, c->order[i]);
		}
		sort_guessed(f, c);
	}
	return true;
}
