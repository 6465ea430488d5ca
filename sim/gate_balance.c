/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Balanced assignment as a flow: tokens enter one by one, each by the best
 * path token -> expert -> ... -> expert with room, where an edge e -> f moves
 * the token of e that loses least by it. All partial assignments are optimal
 * for the tokens that are in, so no cycle gains anything and the longest
 * paths are found by relaxation (Bellman-Ford). Integers: no rounding.
 */
#include "sim/gate_int.h"

#include "base/mem.h"

#include <stdlib.h>

struct balance {
	const int64_t *score;
	int experts, room;
	int *to;	/* [tokens], -1: not in yet */
	int *member;	/* [experts * room]: tokens of each expert */
	int *n;		/* [experts] */
	int *mover;	/* [experts^2]: token of e that would go to f */
	int64_t *gain;	/* [experts]: of the best path that ends there */
	int *from;	/* [experts]: where it comes from, -1: the token */
};

static int64_t score(const struct balance *b, int token, int expert)
{
	return b->score[(int64_t)token * b->experts + expert];
}

static int64_t move_gain(const struct balance *b, int token, int e, int f)
{
	return score(b, token, f) - score(b, token, e);
}

static int *mover(struct balance *b, int e, int f)
{
	return &b->mover[(int64_t)e * b->experts + f];
}

static void find_mover(struct balance *b, int e, int f)
{
	const int *member = b->member + (int64_t)e * b->room;
	int best = -1;

	for (int i = 0; i < b->n[e]; i++) {
		if (best < 0 || move_gain(b, member[i], e, f) >
		    move_gain(b, best, e, f)) {
			best = member[i];
		}
	}
	*mover(b, e, f) = best;
}

static void enter(struct balance *b, int token, int e)
{
	b->member[(int64_t)e * b->room + b->n[e]++] = token;
	b->to[token] = e;
	for (int f = 0; f < b->experts; f++) {
		int *m = mover(b, e, f);

		if (*m < 0 || move_gain(b, token, e, f) >
		    move_gain(b, *m, e, f)) {
			*m = token;
		}
	}
}

static void leave(struct balance *b, int token, int e)
{
	int *member = b->member + (int64_t)e * b->room, i = 0;

	while (member[i] != token) {
		i++;
	}
	member[i] = member[--b->n[e]];
	for (int f = 0; f < b->experts; f++) {
		if (*mover(b, e, f) == token) {
			find_mover(b, e, f);
		}
	}
}

/* Extends paths through full experts until none gets better. */
static void relax(struct balance *b)
{
	bool better = true;

	while (better) {
		better = false;
		for (int e = 0; e < b->experts; e++) {
			if (b->n[e] < b->room) {
				continue;	/* a path ends here */
			}
			for (int f = 0; f < b->experts; f++) {
				int64_t g = b->gain[e] +
					move_gain(b, *mover(b, e, f), e, f);

				if (f != e && g > b->gain[f]) {
					b->gain[f] = g;
					b->from[f] = e;
					better = true;
				}
			}
		}
	}
}

static void insert(struct balance *b, int token)
{
	int end = -1;

	for (int e = 0; e < b->experts; e++) {
		b->gain[e] = score(b, token, e);
		b->from[e] = -1;
	}
	relax(b);
	for (int e = 0; e < b->experts; e++) {
		if (b->n[e] < b->room &&
		    (end < 0 || b->gain[e] > b->gain[end])) {
			end = e;
		}
	}
	while (b->from[end] >= 0) {
		int e = b->from[end], moved = *mover(b, e, end);

		leave(b, moved, e);
		enter(b, moved, end);
		end = e;
	}
	enter(b, token, end);
}

void gate_balance(const int64_t *score_of, int tokens, int experts, int *to)
{
	size_t e = (size_t)experts;
	int room = (tokens + experts - 1) / experts;
	struct balance b = {
		.score = score_of, .experts = experts, .room = room, .to = to,
		.member = xcalloc(e * (size_t)room, sizeof(int)),
		.n = xcalloc(e, sizeof(int)),
		.mover = xcalloc(e * e, sizeof(int)),
		.gain = xcalloc(e, sizeof(int64_t)),
		.from = xcalloc(e, sizeof(int)),
	};

	for (size_t i = 0; i < e * e; i++) {
		b.mover[i] = -1;
	}
	for (int t = 0; t < tokens; t++) {
		insert(&b, t);
	}
	free(b.member);
	free(b.n);
	free(b.mover);
	free(b.gain);
	free(b.from);
}
