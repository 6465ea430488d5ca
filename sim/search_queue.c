/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Groups in the order of their bounds, which are made as late as can be.
 *
 * A group comes in with what it takes at least (coll_least()); the bound with
 * all flows is made when it stands first, and it goes back to its place. So
 * groups leave with true bounds, and in the order in which they would have
 * stood with all of them made beforehand: who has only a least time has a true
 * bound that is no smaller, and goes before its equals. pairwise waits for
 * flat's bound: each of its rounds takes what its busiest link does, and no
 * link carries less in all of them than under flat.
 */
#include "sim/search_priv.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* Sums in another order, and times of ops in whole picoseconds. */
#define ROUNDING 1e-6

static int by_plan(const struct group *a, const struct group *b)
{
	if (a->layout != b->layout)
		return a->layout - b->layout;
	if (a->factor != b->factor)
		return a->factor < b->factor ? -1 : 1;
	if (a->tech != b->tech)
		return a->tech < b->tech ? -1 : 1;
	if (a->alg != b->alg)
		return (int)a->alg - (int)b->alg;
	return a->ctas - b->ctas;
}

static int by_bound(const void *va, const void *vb)
{
	const struct group *a = va, *b = vb;

	if (a->weighted_s != b->weighted_s)
		return a->weighted_s < b->weighted_s ? -1 : 1;
	if (a->least != b->least)
		return a->least ? -1 : 1;
	return by_plan(a, b);
}

void search_sort_groups(struct search *x)
{
	if (x->n_groups)
		qsort(x->group, x->n_groups, sizeof(*x->group), by_bound);
}

static bool is_before(const struct search *x, size_t i, size_t j)
{
	return by_bound(&x->group[x->queue[i]], &x->group[x->queue[j]]) < 0;
}

static void swap(struct search *x, size_t i, size_t j)
{
	size_t t = x->queue[i];

	x->queue[i] = x->queue[j];
	x->queue[j] = t;
}

static void sift_down(struct search *x, size_t i)
{
	for (;;) {
		size_t first = i, child = 2 * i + 1;

		for (; child <= 2 * i + 2 && child < x->n_queue; child++) {
			if (is_before(x, child, first))
				first = child;
		}
		if (first == i)
			return;
		swap(x, i, first);
		i = first;
	}
}

void search_queue_init(struct search *x)
{
	size_t i;

	x->queue = xcalloc(x->n_groups + 1, sizeof(*x->queue));
	x->n_queue = 0;
	for (i = 0; i < x->n_groups; i++) {
		if (!x->group[i].why_not)
			x->queue[x->n_queue++] = i;
	}
	for (i = x->n_queue / 2; i-- > 0;)
		sift_down(x, i);
}

/* flat with the other knobs as they are, and its true bound; or NULL. */
static const struct group *flat_like(const struct search *x,
				     const struct group *g)
{
	size_t i = (size_t)(g - x->group);

	while (i-- > 0 && x->group[i].layout == g->layout) {
		const struct group *f = &x->group[i];

		if (f->factor != g->factor || f->tech != g->tech)
			return NULL;
		if (f->alg == A2A_FLAT && f->ctas == g->ctas)
			return f->why_not || f->least ? NULL : f;
	}
	return NULL;
}

/* A better bound of the group that stands first. */
static enum status sharpen(struct search *x, struct group *g)
{
	const struct group *flat = g->alg == A2A_PAIRWISE ?
		flat_like(x, g) : NULL;
	double least_s = flat ? flat->bound_s * (1 - ROUNDING) : 0;
	enum status st;

	if (least_s > g->bound_s) {
		g->bound_s = least_s;
		g->weighted_s = flat->weighted_s * (1 - ROUNDING);
		return ST_OK;
	}
	st = search_at(x, g->layout, g->factor, g->tech);
	return st ? st : search_bound(x, g, false);
}

enum status search_queue_next(struct search *x, double limit_s,
			      struct group **out_p)
{
	*out_p = NULL;
	while (x->n_queue) {
		struct group *g = &x->group[x->queue[0]];
		enum status st;

		if (g->weighted_s >= limit_s)
			return ST_OK;
		if (!g->least) {
			swap(x, 0, --x->n_queue);
			sift_down(x, 0);
			*out_p = g;
			return ST_OK;
		}
		st = sharpen(x, g);
		if (st)
			return st;
		sift_down(x, 0);
	}
	return ST_OK;
}
