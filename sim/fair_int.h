/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside the max-min solver (fair*.c only).
 *
 * Words. A flow's route is cut into two *pieces*; a piece is a set of links
 * that flows have in common ("NIC 7 up and its leaf up"). A piece lists its
 * flows by their other piece, 4 bytes each, so that a link's load is summed
 * by streaming over a few short arrays. The links of one *component* (links
 * joined by active flows, directly or through others) are kept in `order`,
 * the order in which progressive filling fills them; link number k of it is
 * full at `level` l_k, and l_0 <= l_1 <= ...; links that do not fill come
 * last with level INFINITY. A flow's rate is the level of the first link of
 * the order that it crosses: that link *holds* it. A piece's *owner* is the
 * first link of the order in the piece.
 *
 * Given the order, the levels follow one after another:
 *
 *	l_k = (C_k - sum of the rates held by earlier links) / (held by k)
 *
 * and they are the max-min allocation if and only if they come out sorted
 * (D. Bertsekas and R. Gallager, Data Networks, 1992, section 6.5.2). When a
 * flow leaves, nothing changes before the link that held it; from there on
 * the levels are computed afresh in the old order, and a link that comes
 * out of order is moved. Those that it has passed are gone through again, but
 * computed only if a link that has changed has flows in common with them: not
 * when all are, say, NICs that send. Nothing is updated by differences, so
 * rounding does not accumulate.
 *
 * Work. All flows that a link holds have the same rate, so the link keeps
 * v = integral of level dt, and a flow the key v at which it is done; a
 * flow is only touched when it moves to another link. Rates of one flow
 * differ over time by at most the number of flows, so keys lose at most
 * that factor in precision.
 */
#ifndef SIM_FAIR_INT_H
#define SIM_FAIR_INT_H

#include "sim/fair.h"

#include <math.h>

/* Levels and times closer than this, relatively, are one. */
#define FAIR_TIE 1e-12
/* Completions are merged over at most this share of the time so far. */
#define FAIR_MERGE_SHARE 0.01
/* Load above capacity that rounding may show, relative to capacity. */
#define FAIR_SLACK 1e-11

#define FAIR_NONE (-1)
#define FAIR_NOWHERE INT32_MAX	/* after every place */

struct fair_item {
	double key;
	int32_t flow;
};

struct fair_link {
	double capacity;
	double level;	/* rate of the flows held; INFINITY: not full */
	double v, t;	/* work per held flow, as of time t */
	double used;	/* bytes/s carried since t */
	double bytes;	/* carried until t */
	double started;	/* bytes of all flows ever started over it */
	double until;	/* it cannot have carried them before */
	struct fair_item *heap;	/* held flows, smallest key first */
	size_t heap_n, heap_cap;
	int32_t *pieces;
	size_t n_pieces, cap_pieces;
	int comp, pos;	/* component, place in its order; or FAIR_NONE */
	int n_flows;
	uint32_t moved;	/* number of the solve that put it off */
	uint32_t known;	/* of the solve that `rest` and `held` are of */
	double rest;	/* what earlier links leave, to how many flows */
	int held;
	uint8_t sides;	/* of flows on which its pieces are: bits 0, 1 */
};

/* A flow to be moved: where it is held, the piece it is to be held by. */
struct fair_move {
	int32_t place, flow, piece;
};

struct fair_piece {
	int32_t *other, *flow;	/* entries: the other piece, the flow */
	int n, cap;
	int owner;	/* link, or FAIR_NONE while there are no flows */
	int held;	/* entries whose flow is held through this piece */
	double sum;	/* rates of the entries held through the others */
	double total;	/* of all entries, once the owner has its level */
	int first_link, n_links;	/* in fair.piece_links */
	uint32_t touched;	/* number of the walk that changed a link of it */
	uint8_t sides;	/* of its flows: bit 0: it is piece[0], bit 1 */
};

struct fair_flow {
	int32_t piece[2], at[2];	/* at: index of its entry there */
	int32_t heap_at;	/* FAIR_NONE: not in a heap */
	int32_t own;	/* its private link (the bound), or FAIR_NONE */
	int8_t side;	/* held through piece[side] */
	int8_t active;
	int8_t fresh;	/* started since the last solve: value is exact */
	double value;	/* bytes left while not in a heap; then finish */
};

/* Flows that have been started and not yet been given to a component. */
struct fair_pending {
	int first, n;	/* links, in fair.pending_links */
	double bound;
};

struct fair_comp {
	int *order;
	double *next;	/* by place: when the next held flow finishes */
	double *least;	/* running minimum of next[] */
	size_t n, cap;
	int active;	/* flows */
	int fresh;	/* flows since the last solve */
	int empty;	/* links without flows in the order, about */
	size_t restart;	/* first place whose level may have changed */
	bool dirty, full;	/* full: the order is no use */
};

struct fair {
	struct fair_link *links;
	size_t n_links, cap_links;
	size_t n_public;	/* the rest are private */
	struct fair_piece *pieces;
	/* by piece, beside the records because they are what is scanned: */
	double *val;	/* level of its owner, 0: not yet */
	int32_t *place;	/* of its owner in the order, NOWHERE: no owner */
	size_t n_pieces, cap_pieces, cap_val, cap_place;
	int32_t *piece_links;
	size_t n_piece_links, cap_piece_links;
	int32_t *hash;	/* piece number, or FAIR_NONE */
	size_t hash_size, hash_used;
	struct fair_flow *flows;
	size_t n_flows, cap_flows, n_settled;
	struct fair_pending *pending;
	int32_t *pending_links;
	size_t cap_pending, n_pending_links, cap_pending_links;
	struct fair_comp *comps;
	size_t n_comps, cap_comps;
	int *free_links;	/* private ones to use again */
	size_t n_free_links, cap_free_links;
	int *free_comps;
	size_t n_free_comps, cap_free_comps;
	int split[64];	/* by route length: where it is cut; 0: not known */
	double now, merge_s;
	double last_finish, bound_s;	/* bound_s: on any last finish */
	bool merged;	/* some window held different finish times */
	int n_active;
	uint64_t solves;
	uint32_t solve;	/* number of the present solve */
	uint32_t walk;	/* over links of it that are known already */
	uint8_t touched;	/* sides of the links that changed on it */
	int *done;
	size_t n_done, cap_done;
	/* scratch */
	int *count;
	size_t cap_count;
	struct fair_move *moves;
	size_t cap_moves;
};

/* fair_heap.c: a link's held flows. */
/* The link, synced, holds a flow with `left` bytes to go. */
void fair_hold(struct fair *f, struct fair_link *l, int flow, double left);
void fair_heap_remove(struct fair *f, struct fair_link *l, int at);
void fair_heap_append(struct fair *f, struct fair_link *l, int flow,
		      double key);	/* then fair_heap_make() */
void fair_heap_make(struct fair *f, struct fair_link *l);

/* fair_piece.c */
void fair_piece_init(struct fair *f);
void fair_piece_release(struct fair *f);
int fair_piece_find(struct fair *f, const int32_t *links, int n);
int fair_piece_private(struct fair *f, double bound, int *link_p);
void fair_piece_add(struct fair *f, int flow);
void fair_piece_drop(struct fair *f, int flow);
int fair_split(struct fair *f, int n);
/* The links of side 0, then side 1, of a flow; returns the next one. */
static inline const int32_t *fair_links_of(const struct fair *f, int piece,
					   int *n_p)
{
	const struct fair_piece *p = &f->pieces[piece];

	*n_p = p->n_links;
	return f->piece_links + p->first_link;
}

/* The first link of a piece in the order. */
static inline int fair_first_link(const struct fair *f, int piece)
{
	int n, best;
	const int32_t *links = fair_links_of(f, piece, &n);

	best = links[0];
	for (int i = 1; i < n; i++) {
		if (f->links[links[i]].pos < f->links[best].pos) {
			best = links[i];
		}
	}
	return best;
}

/* fair_comp.c: components, adoption of pending flows. */
void fair_adopt(struct fair *f);
void fair_comp_dissolve(struct fair *f, int comp);
void fair_comp_purge(struct fair *f, struct fair_comp *c);

/* fair_solve.c, fair_full.c */
void fair_link_sync(const struct fair *f, struct fair_link *l);
void fair_solve(struct fair *f, struct fair_comp *c);
void fair_solve_full(struct fair *f, struct fair_comp *c);
double fair_level(double rest, int held, double capacity);

/* Everything started is placed and every allocation is current. */
void fair_settle(struct fair *f);

static inline int fair_held_by(const struct fair *f,
			       const struct fair_flow *w)
{
	return f->pieces[w->piece[w->side]].owner;
}

static inline void fair_own(struct fair *f, int piece, int link)
{
	f->pieces[piece].owner = link;
	f->place[piece] = link == FAIR_NONE ? FAIR_NOWHERE :
			  f->links[link].pos;
}

/* The link is at place `pos` of its order now. */
static inline void fair_put(struct fair *f, int link, int pos)
{
	struct fair_link *l = &f->links[link];

	l->pos = pos;
	for (size_t i = 0; i < l->n_pieces; i++) {
		if (f->pieces[l->pieces[i]].owner == link) {
			f->place[l->pieces[i]] = pos;
		}
	}
}

#endif
