/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Filling from nothing, when the old order is no guide.
 *
 * The level that a link would have if it were next only rises while others
 * fill. So a heap of levels computed earlier holds lower bounds: the least
 * is computed afresh, and is next if it is still not above the others.
 */
#include "sim/fair_int.h"

#include "base/mem.h"

#include <stdlib.h>

/* Takes every flow out of the heaps; it keeps the bytes that are left. */
static void let_go(struct fair *f, struct fair_comp *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct fair_link *l = &f->links[c->order[i]];

		fair_link_sync(f, l);
		for (size_t k = 0; k < l->heap_n; k++) {
			struct fair_flow *w = &f->flows[l->heap[k].flow];

			if (!w->fresh) {
				w->value = fmax(l->heap[k].key - l->v, 0);
			}
			w->heap_at = FAIR_NONE;
		}
		l->heap_n = 0;
		l->v = 0;
		for (size_t k = 0; k < l->n_pieces; k++) {
			fair_own(f, l->pieces[k], FAIR_NONE);
			f->pieces[l->pieces[k]].held = 0;
			f->val[l->pieces[k]] = 0;
		}
	}
}

/* The level of link l if it fills next; marks its free pieces' sums. */
static double try_level(struct fair *f, int link)
{
	struct fair_link *l = &f->links[link];
	double sum = 0;
	int held = 0;

	for (size_t k = 0; k < l->n_pieces; k++) {
		struct fair_piece *p = &f->pieces[l->pieces[k]];

		if (p->owner != FAIR_NONE) {
			sum += p->total;
			continue;
		}
		p->sum = 0;
		p->held = 0;
		for (int i = 0; i < p->n; i++) {
			p->sum += f->val[p->other[i]];
			p->held += f->place[p->other[i]] == FAIR_NOWHERE;
		}
		sum += p->sum;
		held += p->held;
	}
	l->used = sum;
	return fair_level(l->capacity - sum, held, l->capacity);
}

static void take(struct fair *f, int link, double level)
{
	struct fair_link *l = &f->links[link];

	l->level = level;
	for (size_t k = 0; k < l->n_pieces; k++) {
		struct fair_piece *p = &f->pieces[l->pieces[k]];

		if (p->owner != FAIR_NONE) {
			continue;
		}
		fair_own(f, l->pieces[k], link);
		p->total = p->sum;
		if (!isinf(level)) {
			p->total += level * p->held;
			f->val[l->pieces[k]] = level;
			l->used += level * p->held;
		}
	}
}

static bool less(const struct fair_item *a, const struct fair_item *b)
{
	return a->key < b->key || (a->key == b->key && a->flow < b->flow);
}

/* Here an item is a link and the least level that it can have. */
static void sift(struct fair_item *h, size_t n, size_t at)
{
	struct fair_item it = h[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= n) {
			break;
		}
		if (child + 1 < n && less(&h[child + 1], &h[child])) {
			child++;
		}
		if (!less(&h[child], &it)) {
			break;
		}
		h[at] = h[child];
		at = child;
	}
	h[at] = it;
}

static void fill(struct fair *f, struct fair_comp *c)
{
	struct fair_item *h = xmalloc((c->n + 1) * sizeof(*h));
	size_t n = c->n, k = 0;

	for (size_t i = 0; i < n; i++) {
		const struct fair_link *l = &f->links[c->order[i]];

		h[i] = (struct fair_item){ l->n_flows ?
					   l->capacity / l->n_flows :
					   INFINITY, c->order[i] };
	}
	for (size_t i = n / 2; i-- > 0;) {
		sift(h, n, i);
	}
	while (n > 0) {
		int link = h[0].flow;
		double level = try_level(f, link), bar = INFINITY;

		for (size_t i = 1; i < n && i < 3; i++) {
			bar = fmin(bar, h[i].key);
		}
		if (level > bar * (1 + FAIR_TIE)) {
			h[0].key = level;
			sift(h, n, 0);
			continue;
		}
		f->links[link].pos = (int)k;
		take(f, link, level);
		c->order[k++] = link;
		h[0] = h[--n];
		if (n > 0) {
			sift(h, n, 0);
		}
	}
	free(h);
}

/* Every flow goes under the first link that it crosses. */
static void hold_all(struct fair *f, struct fair_link *l, int link)
{
	for (size_t k = 0; k < l->n_pieces; k++) {
		int piece = l->pieces[k];
		struct fair_piece *p = &f->pieces[piece];

		if (p->owner != link) {
			continue;
		}
		p->held = 0;
		for (int i = 0; i < p->n; i++) {
			struct fair_flow *w = &f->flows[p->flow[i]];

			if (f->place[p->other[i]] < l->pos) {
				continue;
			}
			p->held++;
			w->side = w->piece[0] != piece;
			fair_heap_append(f, l, p->flow[i], w->value);
		}
	}
	fair_heap_make(f, l);
}

void fair_solve_full(struct fair *f, struct fair_comp *c)
{
	let_go(f, c);
	fair_comp_purge(f, c);
	fill(f, c);
	for (size_t i = 0; i < c->n; i++) {
		hold_all(f, &f->links[c->order[i]], c->order[i]);
	}
	c->restart = 0;
	c->full = false;
}
