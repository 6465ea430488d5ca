/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Levels from the first change on, in the old order, put right on the way. */
#include "sim/fair_int.h"
#include "sim/fair_order.h"

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

double fair_rest(struct fair *f, int link, int *held_p)
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

void fair_accept(struct fair *f, int link, double level, double rest,
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

void fair_unfill(struct fair *f, int link)
{
	const struct fair_link *l = &f->links[link];

	for (size_t k = 0; k < l->n_pieces; k++) {
		if (f->pieces[l->pieces[k]].owner == link) {
			f->val[l->pieces[k]] = 0;
		}
	}
}

/*
 * The link at place `at` would be full below the level before it: it comes
 * earlier.
 */
static size_t move_back(struct fair *f, struct fair_comp *c, size_t at,
			double rest, int held)
{
	size_t n, to = fair_place_back(f, c, 0, at, rest, held, &n);

	if (to == at) {
		to--;	/* rounding: one step all the same */
	}
	fair_carry_back(f, c, at, to, n);
	return to;
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
		fair_unfill(f, c->order[i]);
	}
}

/* ---- links that are gone through again ---- */

/* Links of more pieces are taken to have flows in common with all. */
#define LOOK_PIECES 8

static void touch(struct fair *f, const struct fair_link *l)
{
	f->touched |= l->sides;
	for (size_t k = 0; k < l->n_pieces; k++) {
		f->pieces[l->pieces[k]].touched = f->walk;
	}
}

/*
 * Has a link that changed on this walk flows in common with the link? Links
 * that are only ever on the same side of flows have when they share a piece.
 */
static bool is_touched(const struct fair *f, const struct fair_link *l)
{
	if (!f->touched) {
		return false;
	}
	if ((f->touched | l->sides) == 3 || l->n_pieces > LOOK_PIECES) {
		return true;
	}
	for (size_t k = 0; k < l->n_pieces; k++) {
		if (f->pieces[l->pieces[k]].touched == f->walk) {
			return true;
		}
	}
	return false;
}

static void walk_begin(struct fair *f)
{
	f->walk++;
	f->touched = 0;
}

/* fair_rest(), or what it was, when nothing can have changed it. */
static double rest_known(struct fair *f, int link, bool again, int *held_p)
{
	struct fair_link *l = &f->links[link];

	if (!again || l->known != f->solve || is_touched(f, l)) {
		l->rest = fair_rest(f, link, &l->held);
		l->known = f->solve;
		if (again) {
			touch(f, l);
		}
	}
	*held_p = l->held;
	return l->rest;
}

/* False: too far out of order. */
static bool levels(struct fair *f, struct fair_comp *c)
{
	size_t i = c->restart, known = i;	/* no later place is known */
	size_t left = GIVE_UP * (c->n - i) + GIVE_UP_MIN;

	for (; i < c->n; left--) {
		int link = c->order[i], held;
		struct fair_link *l = &f->links[link];
		double before = i ? f->links[c->order[i - 1]].level : 0;
		double rest, level;
		size_t to;

		if (left == 0) {
			return false;
		}
		if (i >= known) {
			walk_begin(f);
		}
		rest = rest_known(f, link, i < known, &held);
		level = fair_level(rest, held, l->capacity);
		known = i < known ? known : i + 1;
		if (level < before * (1 - FAIR_TIE)) {
			touch(f, l);
			i = move_back(f, c, i, rest, held);
			c->restart = i < c->restart ? i : c->restart;
			continue;
		}
		to = l->moved == f->solve ? i : place_off(f, c, i, level);
		if (to > i) {
			l->moved = f->solve;
			l->known = 0;
			touch(f, l);
			fair_put_off(f, c, i, to);
			continue;
		}
		fair_accept(f, link, level, rest, held);
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
		c->full = fair_guess(f, c) && !levels(f, c);
	}
	if (c->full) {
		fair_solve_full(f, c);
	}
	plan(f, c);
	c->fresh = 0;
	c->dirty = false;
}
