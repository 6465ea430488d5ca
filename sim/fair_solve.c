/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Levels from the first change on, in the old order, put right on the way. */
#include "sim/fair_int.h"

#include "base/mem.h"

#include <string.h>

/* Levels computed per link of a component before its order is given up. */
#define GIVE_UP 64
#define GIVE_UP_MIN 64

void fair_link_sync(const struct fair *f, struct fair_link *l)
{
	double dt = f->now - l->t;

	if (dt > 0) {
		l->bytes += l->used * dt;
		if (l->heap_n > 0) {
			l->v += l->level * dt;
		}
		l->t = f->now;
	}
}

/*
 * Level of a link with `rest` bytes/s for the `held` flows that it holds.
 * With none held: INFINITY when the others fit, -INFINITY when not.
 */
double fair_level(double rest, int held, double capacity)
{
	if (held > 0) {
		return rest / held;
	}
	return rest >= -FAIR_SLACK * capacity ? INFINITY : -INFINITY;
}

/* Sum of val[] over a piece's entries: the solver's inner loop. */
static double sum_of(const double *restrict val, const int32_t *restrict o,
		     int n)
{
	double a = 0, b = 0, c = 0, d = 0;
	int i = 0;

	for (; i + 8 <= n; i += 8) {
		a += val[o[i]] + val[o[i + 4]];
		b += val[o[i + 1]] + val[o[i + 5]];
		c += val[o[i + 2]] + val[o[i + 6]];
		d += val[o[i + 3]] + val[o[i + 7]];
	}
	if (i + 4 <= n) {
		a += val[o[i]];
		b += val[o[i + 1]];
		c += val[o[i + 2]];
		d += val[o[i + 3]];
		i += 4;
	}
	for (; i < n; i++) {
		a += val[o[i]];
	}
	return (a + b) + (c + d);
}

/* What earlier links leave of link number `link`, and how many it holds. */
static double rest_of(struct fair *f, int link, int *held_p)
{
	const struct fair_link *l = &f->links[link];
	double sum = 0;
	int held = 0;

	for (size_t k = 0, n = l->n_pieces; k < n; k++) {
		struct fair_piece *p = &f->pieces[l->pieces[k]];

		if (p->n == 0) {
			continue;
		}
		if (p->owner == link) {
			p->sum = sum_of(f->val, p->other, p->n);
			sum += p->sum;
			held += p->held;
		} else {
			sum += p->total;
		}
	}
	*held_p = held;
	return l->capacity - sum;
}

static void accept(struct fair *f, int link, double level, double rest,
		   int held)
{
	struct fair_link *l = &f->links[link];

	l->level = level;
	l->used = l->capacity - rest;
	if (held > 0) {
		l->used += level * held;
	}
	for (size_t k = 0; k < l->n_pieces; k++) {
		struct fair_piece *p = &f->pieces[l->pieces[k]];

		if (p->owner != link) {
			continue;
		}
		p->total = p->sum;
		if (!isinf(level)) {
			p->total += level * p->held;
			f->val[l->pieces[k]] = level;
		}
	}
}

/* A link's pieces count as not yet filled. */
static void unfill(struct fair *f, int link)
{
	const struct fair_link *l = &f->links[link];

	for (size_t k = 0; k < l->n_pieces; k++) {
		if (f->pieces[l->pieces[k]].owner == link) {
			f->val[l->pieces[k]] = 0;
		}
	}
}

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

/*
 * Flows that cross `link` and are held at places [from, to) are put in
 * f->moves; f->count[place - from] counts them.
 */
static size_t find_held(struct fair *f, int link, int from, int to)
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

/*
 * The link at place `at` would be full below the level before it: it comes
 * earlier. Going back over link q gives it back what q's flows had here.
 */
static size_t move_back(struct fair *f, struct fair_comp *c, size_t at,
			double rest, int held)
{
	int link = c->order[at];
	struct fair_link *l = &f->links[link];
	double level = fair_level(rest, held, l->capacity);
	size_t from = at, to = at, n;

	while (from > 0 && f->links[c->order[from - 1]].level > level) {
		from--;
	}
	n = find_held(f, link, (int)from, (int)at);
	while (to > from) {
		double q = f->links[c->order[to - 1]].level;
		int k = f->count[to - 1 - from];

		if (q * (1 - FAIR_TIE) <= fair_level(rest, held,
						     l->capacity)) {
			break;
		}
		if (k > 0) {
			rest += q * k;
			held += k;
		}
		to--;
	}
	if (to == at) {
		to--;	/* rounding: one step all the same */
	}
	for (size_t i = to; i < at; i++) {
		fair_link_sync(f, &f->links[c->order[i]]);
		unfill(f, c->order[i]);
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
	return to;
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

/*
 * The link at place `at` has risen above levels that follow (the old ones
 * are a good guess of the new): it is put off to place `to`.
 */
static void put_off(struct fair *f, struct fair_comp *c, size_t at, size_t to)
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

static size_t place_off(const struct fair *f, const struct fair_comp *c,
			size_t at, double level)
{
	while (at + 1 < c->n && f->links[c->order[at + 1]].level < level) {
		at++;
	}
	return at;
}

static void begin(struct fair *f, struct fair_comp *c)
{
	for (size_t i = c->restart; i < c->n; i++) {
		fair_link_sync(f, &f->links[c->order[i]]);
		unfill(f, c->order[i]);
	}
}

/* False: too far out of order. */
static bool levels(struct fair *f, struct fair_comp *c)
{
	size_t i = c->restart;
	size_t left = GIVE_UP * (c->n - i) + GIVE_UP_MIN;

	for (; i < c->n; left--) {
		int link = c->order[i], held;
		struct fair_link *l = &f->links[link];
		double rest = rest_of(f, link, &held);
		double level = fair_level(rest, held, l->capacity);
		double before = i ? f->links[c->order[i - 1]].level : 0;
		size_t to;

		if (left == 0) {
			return false;
		}
		if (level < before * (1 - FAIR_TIE)) {
			i = move_back(f, c, i, rest, held);
			c->restart = i < c->restart ? i : c->restart;
			continue;
		}
		to = l->moved == f->solve ? i : place_off(f, c, i, level);
		if (to > i) {
			l->moved = f->solve;
			put_off(f, c, i, to);
			continue;
		}
		accept(f, link, level, rest, held);
		i++;
	}
	return true;
}

/* When each link's next flow finishes, from the first change on. */
static void plan(struct fair *f, struct fair_comp *c)
{
	for (size_t i = c->restart; i < c->n; i++) {
		const struct fair_link *l = &f->links[c->order[i]];
		double t = INFINITY, before = i ? c->least[i - 1] : INFINITY;

		if (l->heap_n > 0) {
			t = l->t + fmax(l->heap[0].key - l->v, 0) / l->level;
		}
		c->next[i] = t;
		c->least[i] = t < before ? t : before;
	}
	c->restart = c->n;
}

void fair_solve(struct fair *f, struct fair_comp *c)
{
	f->solve++;
	f->solves++;
	if (!c->full && (size_t)c->empty > c->n / 8 + 4) {
		fair_comp_purge(f, c);
	}
	if (!c->full) {
		begin(f, c);
		c->full = !levels(f, c);
	}
	if (c->full) {
		fair_solve_full(f, c);
	}
	plan(f, c);
	c->fresh = 0;
	c->dirty = false;
}
