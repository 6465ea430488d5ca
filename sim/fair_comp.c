/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Components: which links depend on one another, and in which order. */
#include "sim/fair_int.h"

#include "base/mem.h"

#include <stdlib.h>

/* More new flows than active / this + FULL_MIN: sort all links afresh. */
#define FULL_SHARE 8
#define FULL_MIN 4

static int comp_new(struct fair *f)
{
	int c;

	if (f->n_free_comps > 0) {
		c = f->free_comps[--f->n_free_comps];
	} else {
		f->comps = array_grow(f->comps, &f->cap_comps,
				      f->n_comps + 1, sizeof(*f->comps));
		c = (int)f->n_comps++;
		f->comps[c] = (struct fair_comp){ 0 };
	}
	f->comps[c].restart = SIZE_MAX;
	return c;
}

static void comp_reserve(struct fair_comp *c, size_t need)
{
	if (need <= c->cap) {
		return;
	}
	c->cap = need > 2 * c->cap ? need : 2 * c->cap;
	c->order = xrealloc_array(c->order, c->cap, sizeof(*c->order));
	c->next = xrealloc_array(c->next, c->cap, sizeof(*c->next));
	c->least = xrealloc_array(c->least, c->cap, sizeof(*c->least));
}

/* At the end of the order, as a link that is not full. */
static void comp_append(struct fair *f, int comp, int link)
{
	struct fair_comp *c = &f->comps[comp];
	struct fair_link *l = &f->links[link];

	comp_reserve(c, c->n + 1);
	l->comp = comp;
	l->pos = (int)c->n;
	l->level = INFINITY;
	l->v = 0;
	l->t = f->now;
	if (c->restart > c->n) {
		c->restart = c->n;
	}
	c->next[c->n] = c->least[c->n] = INFINITY;
	c->order[c->n++] = link;
}

static void comp_release(struct fair *f, int comp)
{
	struct fair_comp *c = &f->comps[comp];

	c->n = 0;
	c->active = c->fresh = c->empty = 0;
	c->dirty = c->full = false;
	f->free_comps = array_grow(f->free_comps, &f->cap_free_comps,
				   f->n_free_comps + 1,
				   sizeof(*f->free_comps));
	f->free_comps[f->n_free_comps++] = comp;
}

static int comp_merge(struct fair *f, int a, int b)
{
	struct fair_comp *x, *y;

	if (f->comps[a].n < f->comps[b].n) {
		int t = a;

		a = b;
		b = t;
	}
	x = &f->comps[a];
	y = &f->comps[b];
	comp_reserve(x, x->n + y->n);
	for (size_t i = 0; i < y->n; i++) {
		struct fair_link *l = &f->links[y->order[i]];

		l->comp = a;
		l->pos = (int)x->n;
		x->next[x->n] = x->least[x->n] = INFINITY;
		x->order[x->n++] = y->order[i];
	}
	x->active += y->active;
	x->fresh += y->fresh;
	x->empty += y->empty;
	x->full = x->dirty = true;
	comp_release(f, b);
	return a;
}

/* The component of all links of a piece, joined to `comp`. */
static int join_piece(struct fair *f, int comp, int piece)
{
	int n;
	const int32_t *links = fair_links_of(f, piece, &n);

	for (int i = 0; i < n; i++) {
		struct fair_link *l = &f->links[links[i]];

		if (l->comp == FAIR_NONE) {
			if (comp == FAIR_NONE) {
				comp = comp_new(f);
			}
			comp_append(f, comp, links[i]);
		} else if (comp == FAIR_NONE) {
			comp = l->comp;
		} else if (comp != l->comp) {
			comp = comp_merge(f, comp, l->comp);
		}
	}
	return comp;
}

/*
 * Counts the flow on its links. A link with n flows cannot be full below
 * capacity / n: what is full below the least of these is as it was.
 */
static double count_flow(struct fair *f, const struct fair_flow *w)
{
	double least = INFINITY;

	for (int s = 0; s < 2; s++) {
		int n;
		const int32_t *links = fair_links_of(f, w->piece[s], &n);

		for (int i = 0; i < n; i++) {
			struct fair_link *l = &f->links[links[i]];

			l->n_flows++;
			l->started += w->value;
			l->until = fmax(l->until, f->now) +
				   w->value / l->capacity;
			f->bound_s = fmax(f->bound_s, l->until);
			least = fmin(least, l->capacity / l->n_flows);
		}
	}
	return least;
}

static void own_piece(struct fair *f, int piece)
{
	struct fair_piece *p = &f->pieces[piece];

	if (p->owner != FAIR_NONE || p->n_links == 0) {
		return;
	}
	fair_own(f, piece, fair_first_link(f, piece));
	p->total = p->sum = 0;
	p->held = 0;
}

/* First place of the order with a level above `level`. */
static size_t place_above(const struct fair *f, const struct fair_comp *c,
			  double level)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->links[c->order[mid]].level > level) {
			hi = mid;
		} else {
			lo = mid + 1;
		}
	}
	return lo;
}

/* Puts a new flow under the first link of the order that it crosses. */
static void hold_new(struct fair *f, struct fair_comp *c, int flow,
		     double least)
{
	struct fair_flow *w = &f->flows[flow];
	struct fair_piece *p;
	struct fair_link *l;
	size_t from;

	own_piece(f, w->piece[0]);
	own_piece(f, w->piece[1]);
	w->side = f->place[w->piece[1]] < f->place[w->piece[0]];
	p = &f->pieces[w->piece[w->side]];
	p->held++;
	l = &f->links[p->owner];
	fair_link_sync(f, l);
	fair_hold(f, l, flow, w->value);
	/* a tie's width below, for levels that are equal but for rounding */
	from = place_above(f, c, least * (1 - 1e3 * FAIR_TIE));
	if (c->restart > from) {
		c->restart = from;
	}
}

static void pieces_of(struct fair *f, struct fair_flow *w,
		      const struct fair_pending *p)
{
	const int32_t *links = f->pending_links + p->first;
	double narrow = INFINITY;
	int cut;

	for (int i = 0; i < p->n; i++) {
		narrow = fmin(narrow, f->links[links[i]].capacity);
	}
	w->own = FAIR_NONE;
	if (p->bound < narrow) {
		w->piece[0] = fair_piece_find(f, links, p->n);
		w->piece[1] = fair_piece_private(f, p->bound, &w->own);
	} else {
		cut = fair_split(f, p->n);
		w->piece[0] = fair_piece_find(f, links, cut);
		w->piece[1] = fair_piece_find(f, links + cut, p->n - cut);
	}
}

static void adopt_one(struct fair *f, int flow)
{
	struct fair_flow *w = &f->flows[flow];
	struct fair_comp *c;
	double least;
	int comp;

	pieces_of(f, w, &f->pending[flow - f->n_settled]);
	comp = join_piece(f, FAIR_NONE, w->piece[0]);
	comp = join_piece(f, comp, w->piece[1]);
	least = count_flow(f, w);
	fair_piece_add(f, flow);
	c = &f->comps[comp];
	c->active++;
	c->fresh++;
	c->dirty = true;
	if (c->fresh > c->active / FULL_SHARE + FULL_MIN) {
		c->full = true;
	}
	if (!c->full) {
		hold_new(f, c, flow, least);
	}
}

void fair_adopt(struct fair *f)
{
	for (size_t i = f->n_settled; i < f->n_flows; i++) {
		adopt_one(f, (int)i);
	}
	f->n_settled = f->n_flows;
	f->n_pending_links = 0;
}

static void link_leave(struct fair *f, int link)
{
	struct fair_link *l = &f->links[link];

	fair_link_sync(f, l);
	l->used = 0;
	l->v = 0;
	l->comp = l->pos = FAIR_NONE;
	for (size_t i = 0; i < l->n_pieces; i++) {
		fair_own(f, l->pieces[i], FAIR_NONE);
		f->pieces[l->pieces[i]].held = 0;
		f->val[l->pieces[i]] = 0;
	}
	if ((size_t)link >= f->n_public) {
		f->free_links = array_grow(f->free_links, &f->cap_free_links,
					   f->n_free_links + 1,
					   sizeof(*f->free_links));
		f->free_links[f->n_free_links++] = link;
	}
}

/* No flow is left: its links are single again. */
void fair_comp_dissolve(struct fair *f, int comp)
{
	struct fair_comp *c = &f->comps[comp];

	for (size_t i = 0; i < c->n; i++) {
		link_leave(f, c->order[i]);
	}
	comp_release(f, comp);
}

/* Takes the links without flows out of the order. */
void fair_comp_purge(struct fair *f, struct fair_comp *c)
{
	size_t k = 0, restart = c->restart;

	for (size_t i = 0; i < c->n; i++) {
		struct fair_link *l = &f->links[c->order[i]];

		if (i == c->restart) {
			restart = k;
		}
		if (l->n_flows == 0) {
			link_leave(f, c->order[i]);
			continue;
		}
		fair_put(f, c->order[i], (int)k);
		c->next[k] = c->next[i];
		c->order[k++] = c->order[i];
	}
	for (size_t i = 0; i < k; i++) {
		c->least[i] = i ? fmin(c->least[i - 1], c->next[i]) :
			      c->next[i];
	}
	c->restart = c->restart >= c->n ? k : restart;
	c->n = k;
	c->empty = 0;
}
