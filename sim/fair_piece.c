/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pieces: parts of routes that flows share, and their lists of flows. */
#include "sim/fair_int.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define HASH_START 64
#define PIECE_FLOWS_START 16
/* Routes looked at to decide where routes of that length are cut. */
#define SPLIT_SAMPLE 4096

static uint64_t hash_links(const int32_t *links, int n)
{
	uint64_t h = (uint64_t)n;	/* FNV-like, then mixed */

	for (int i = 0; i < n; i++) {
		h = (h ^ (uint32_t)links[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	return h;
}

static int piece_new(struct fair *f, const int32_t *links, int n)
{
	int p = (int)f->n_pieces++;
	struct fair_piece *q;

	f->pieces = array_grow(f->pieces, &f->cap_pieces, f->n_pieces,
			       sizeof(*f->pieces));
	f->val = array_grow(f->val, &f->cap_val, f->n_pieces,
			    sizeof(*f->val));
	f->place = array_grow(f->place, &f->cap_place, f->n_pieces,
			      sizeof(*f->place));
	f->val[p] = 0;
	f->place[p] = FAIR_NOWHERE;
	q = &f->pieces[p];
	memset(q, 0, sizeof(*q));
	q->owner = FAIR_NONE;
	q->first_link = (int)f->n_piece_links;
	q->n_links = n;
	f->piece_links = array_grow(f->piece_links, &f->cap_piece_links,
				    f->n_piece_links + n,
				    sizeof(*f->piece_links));
	for (int i = 0; i < n; i++) {
		struct fair_link *l = &f->links[links[i]];

		f->piece_links[f->n_piece_links++] = links[i];
		l->pieces = array_grow(l->pieces, &l->cap_pieces,
				       l->n_pieces + 1, sizeof(*l->pieces));
		l->pieces[l->n_pieces++] = p;
	}
	return p;
}

static size_t hash_slot(const struct fair *f, const int32_t *links, int n)
{
	size_t i = hash_links(links, n) & (f->hash_size - 1);

	while (f->hash[i] != FAIR_NONE) {
		const struct fair_piece *p = &f->pieces[f->hash[i]];

		if (p->n_links == n &&
		    !memcmp(f->piece_links + p->first_link, links,
			    n * sizeof(*links))) {
			break;
		}
		i = (i + 1) & (f->hash_size - 1);
	}
	return i;
}

static void hash_grow(struct fair *f)
{
	int32_t *old = f->hash;
	size_t n = f->hash_size;

	f->hash_size = n ? 2 * n : HASH_START;
	f->hash = xmalloc(f->hash_size * sizeof(*f->hash));
	for (size_t i = 0; i < f->hash_size; i++) {
		f->hash[i] = FAIR_NONE;
	}
	for (size_t i = 0; i < n; i++) {
		if (old[i] != FAIR_NONE) {
			const struct fair_piece *p = &f->pieces[old[i]];

			f->hash[hash_slot(f, f->piece_links + p->first_link,
					  p->n_links)] = old[i];
		}
	}
	free(old);
}

int fair_piece_find(struct fair *f, const int32_t *links, int n)
{
	size_t i;

	if (n == 0) {
		return 0;
	}
	if (2 * f->hash_used >= f->hash_size) {
		hash_grow(f);
	}
	i = hash_slot(f, links, n);
	if (f->hash[i] == FAIR_NONE) {
		f->hash[i] = piece_new(f, links, n);
		f->hash_used++;
	}
	return f->hash[i];
}

/* A link for one flow's bound and the piece that is this link alone. */
int fair_piece_private(struct fair *f, double bound, int *link_p)
{
	struct fair_link *l;
	int32_t link;

	if (f->n_free_links > 0) {
		link = f->free_links[--f->n_free_links];
		l = &f->links[link];
	} else {
		f->links = array_grow(f->links, &f->cap_links,
				      f->n_links + 1, sizeof(*f->links));
		link = (int32_t)f->n_links++;
		l = &f->links[link];
		memset(l, 0, sizeof(*l));
		piece_new(f, &link, 1);
		l = &f->links[link];
		l->comp = l->pos = FAIR_NONE;
	}
	l->capacity = bound;
	l->bytes = l->started = l->used = l->v = l->until = 0;
	l->t = f->now;
	*link_p = link;
	return l->pieces[0];
}

void fair_piece_init(struct fair *f)
{
	piece_new(f, NULL, 0);	/* piece 0: no links, fills never */
}

void fair_piece_release(struct fair *f)
{
	for (size_t i = 0; i < f->n_pieces; i++) {
		free(f->pieces[i].other);
		free(f->pieces[i].flow);
	}
	free(f->pieces);
	free(f->val);
	free(f->place);
	free(f->piece_links);
	free(f->hash);
}

static void piece_grow(struct fair_piece *p)
{
	p->cap = p->cap ? 2 * p->cap : PIECE_FLOWS_START;
	p->other = xrealloc_array(p->other, p->cap, sizeof(*p->other));
	p->flow = xrealloc_array(p->flow, p->cap, sizeof(*p->flow));
}

/* The piece is on that side of a flow. */
static void add_side(struct fair *f, struct fair_piece *p, int side)
{
	if (p->sides & 1u << side) {
		return;
	}
	p->sides |= (uint8_t)(1u << side);
	for (int i = 0; i < p->n_links; i++) {
		f->links[f->piece_links[p->first_link + i]].sides |= p->sides;
	}
}

void fair_piece_add(struct fair *f, int flow)
{
	struct fair_flow *w = &f->flows[flow];

	for (int s = 0; s < 2; s++) {
		struct fair_piece *p = &f->pieces[w->piece[s]];

		if (w->piece[s] == 0) {
			continue;
		}
		add_side(f, p, s);
		if (p->n == p->cap) {
			piece_grow(p);
		}
		w->at[s] = p->n;
		p->other[p->n] = w->piece[!s];
		p->flow[p->n++] = flow;
	}
}

void fair_piece_drop(struct fair *f, int flow)
{
	struct fair_flow *w = &f->flows[flow];

	for (int s = 0; s < 2; s++) {
		struct fair_piece *p = &f->pieces[w->piece[s]];
		struct fair_flow *last;

		if (w->piece[s] == 0) {
			continue;
		}
		p->n--;
		p->other[w->at[s]] = p->other[p->n];
		p->flow[w->at[s]] = p->flow[p->n];
		last = &f->flows[p->flow[p->n]];
		last->at[last->piece[0] != w->piece[s]] = w->at[s];
	}
}

/* A set of hashes: 0 is an empty place, so it is counted apart. */
struct hash_set {
	uint64_t *place;
	size_t size, n;	/* size: a power of two, at least twice the members */
	bool zero;
};

static void set_add(struct hash_set *s, uint64_t h)
{
	size_t i = h * 0x9e3779b97f4a7c15u >> 32 & (s->size - 1);

	if (!h) {
		s->n += !s->zero;
		s->zero = true;
		return;
	}
	while (s->place[i] && s->place[i] != h) {
		i = (i + 1) & (s->size - 1);
	}
	s->n += !s->place[i];
	s->place[i] = h;
}

/* Different heads, or tails, of pending routes of n links cut after s. */
static size_t count_pieces(const struct fair *f, int n, int s, bool tail,
			   struct hash_set *set)
{
	size_t pending = f->n_flows - f->n_settled;
	size_t step = pending / SPLIT_SAMPLE + 1;

	memset(set->place, 0, set->size * sizeof(*set->place));
	set->n = 0;
	set->zero = false;
	for (size_t i = 0; i < pending; i += step) {
		const int32_t *l = f->pending_links + f->pending[i].first;

		if (f->pending[i].n == n) {
			set_add(set, tail ? hash_links(l + s, n - s) :
				hash_links(l, s));
		}
	}
	return set->n;
}

/*
 * Where routes of n links are cut: where the fewest different pieces come
 * out, judged on the first such routes (a cut is never changed later).
 */
int fair_split(struct fair *f, int n)
{
	int max = (int)(sizeof(f->split) / sizeof(f->split[0]));
	size_t pending = f->n_flows - f->n_settled, best = SIZE_MAX;
	size_t sample = pending < SPLIT_SAMPLE ? pending : SPLIT_SAMPLE + 1;
	struct hash_set set = { .size = HASH_START };

	if (n < 2) {
		return n;
	}
	if (n >= max) {
		return n / 2;
	}
	if (f->split[n] || n == 2) {
		return n == 2 ? 1 : f->split[n];
	}
	while (set.size < 2 * sample) {
		set.size *= 2;
	}
	set.place = xmalloc(set.size * sizeof(*set.place));
	for (int s = 1; s < n; s++) {
		size_t cost = count_pieces(f, n, s, false, &set) +
			      count_pieces(f, n, s, true, &set);

		if (cost < best) {
			best = cost;
			f->split[n] = s;
		}
	}
	free(set.place);
	return f->split[n];
}
