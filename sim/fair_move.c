/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Links that change places in the order, with the flows that they hold. */
#include "sim/fair_order.h"

#include "base/mem.h"

#include <string.h>

/* The flow is held by link `to`, through that piece, instead of `from`. */
static void move_flow(struct fair *f, int flow, int from, int to, int piece)
{
	struct fair_flow *w = &f->flows[flow];
	struct fair_link *a = &f->links[from], *b = &f->links[to];
	double left = w->fresh ? w->value : a->heap[w->heap_at].key - a->v;

	fair_heap_remove(f, a, w->heap_at);
	f->pieces[w->piece[w->side]].held--;
	w->side = w->piece[0] != piece;
	f->pieces[piece].held++;
	fair_hold(f, b, flow, fmax(left, 0));
}

size_t fair_find_held(struct fair *f, int link, int from, int to)
{
	const struct fair_link *l = &f->links[link];
	size_t n = 0;

	f->count = array_grow(f->count, &f->cap_count, to - from + 1,
			      sizeof(*f->count));
	memset(f->count, 0, (to - from) * sizeof(*f->count));
	f->moves = array_grow(f->moves, &f->cap_moves, l->n_flows + 1,
			      sizeof(*f->moves));
	for (size_t k = 0; k < l->n_pieces; k++) {
		const struct fair_piece *p = &f->pieces[l->pieces[k]];
		int mine = f->place[l->pieces[k]];
		const int32_t *other = p->other, *place = f->place;

		if (mine < from) {
			continue;
		}
		mine = mine < to ? mine : FAIR_NOWHERE;
		for (int i = 0, n_entries = p->n; i < n_entries; i++) {
			int at = place[other[i]];

			at = at < mine ? at : mine;
			if (at >= to || at < from) {
				continue;
			}
			f->count[at - from]++;
			f->moves[n++] = (struct fair_move){ at, p->flow[i],
							    l->pieces[k] };
		}
	}
	return n;
}

/* Puts the link at place `from` at place `to`, those between one on. */
static void shift(struct fair *f, struct fair_comp *c, size_t from, size_t to)
{
	int link = c->order[from];

	for (size_t i = from; i > to; i--) {
		c->order[i] = c->order[i - 1];
		fair_put(f, c->order[i], (int)i);
	}
	for (size_t i = from; i < to; i++) {
		c->order[i] = c->order[i + 1];
		fair_put(f, c->order[i], (int)i);
	}
	c->order[to] = link;
	fair_put(f, link, (int)to);
}

/* Its pieces that a link at `to` or later owned are now the link's. */
static void own_from(struct fair *f, int link, size_t to)
{
	const struct fair_link *l = &f->links[link];

	for (size_t k = 0; k < l->n_pieces; k++) {
		int place = f->place[l->pieces[k]];

		if (place != FAIR_NOWHERE && (size_t)place > to) {
			fair_own(f, l->pieces[k], link);
			f->val[l->pieces[k]] = 0;
		}
	}
}

size_t fair_place_back(struct fair *f, const struct fair_comp *c, size_t first,
		       size_t at, double rest, int held, size_t *n_p)
{
	int link = c->order[at];
	double capacity = f->links[link].capacity;
	double level = fair_level(rest, held, capacity);
	size_t from = at, to = at;

	while (from > first && f->links[c->order[from - 1]].level > level) {
		from--;
	}
	*n_p = fair_find_held(f, link, (int)from, (int)at);
	while (to > from) {
		double q = f->links[c->order[to - 1]].level;
		int k = f->count[to - 1 - from];

		if (q * (1 - FAIR_TIE) <= fair_level(rest, held, capacity)) {
			break;
		}
		if (k > 0) {
			rest += q * k;
			held += k;
		}
		to--;
	}
	return to;
}

void fair_carry_back(struct fair *f, struct fair_comp *c, size_t at,
		       size_t to, size_t n)
{
	int link = c->order[at];

	for (size_t i = to; i < at; i++) {
		fair_link_sync(f, &f->links[c->order[i]]);
		fair_unfill(f, c->order[i]);
	}
	/* who holds what, while places and owners are still the old ones */
	for (size_t i = 0; i < n; i++) {
		const struct fair_move *m = &f->moves[i];

		if ((size_t)m->place >= to) {
			move_flow(f, m->flow, c->order[m->place], link,
				  m->piece);
		}
	}
	shift(f, c, at, to);
	own_from(f, link, to);
}

/*
 * A piece's owner has gone from place `at` to a later one. Flows that it
 * held and that meet a link of the places [at, new place) before it go
 * there; the others go to the piece's new first link, if that is another.
 */
static void pass_on(struct fair *f, int link, int piece, int at)
{
	const struct fair_piece *p = &f->pieces[piece];
	int mine = f->place[piece], owner = p->owner;
	const int32_t *other = p->other, *place = f->place;
	int limit = owner == link ? mine : FAIR_NOWHERE;

	for (int i = 0, n = p->n; i < n; i++) {
		int to = place[other[i]];

		/* piece 0 is nowhere and must pass when there is an owner */
		if (to < at || (to >= limit && owner == link)) {
			continue;
		}
		if (to < mine) {
			move_flow(f, p->flow[i], link,
				  f->pieces[other[i]].owner, other[i]);
		} else {
			move_flow(f, p->flow[i], link, owner, piece);
		}
	}
}

void fair_put_off(struct fair *f, struct fair_comp *c, size_t at, size_t to)
{
	int link = c->order[at];
	struct fair_link *l = &f->links[link];

	shift(f, c, at, to);
	for (size_t k = 0; k < l->n_pieces; k++) {
		struct fair_piece *p = &f->pieces[l->pieces[k]];

		if (p->owner != link) {
			continue;
		}
		fair_own(f, l->pieces[k], fair_first_link(f, l->pieces[k]));
		if (p->held > 0) {
			pass_on(f, link, l->pieces[k], (int)at);
		}
	}
}
