/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/fit_breaks.h"

#include "base/mem.h"
#include "profiles/fit_lsq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Weighted sums over a range of blocks, all divided by the squared scale;
 * s is the square root of n. */
struct sums {
	double one, s, n, ns, nn, t, ts, tn, tt;
};

struct search {
	const struct fit_data *d;
	const double *u;
	const struct fit_shape *shape;
	int blocks;
	double *last, *median;	/* of each block: largest size, its scale */
	double *cost;		/* [from][to] of one piece */
	double *best;		/* [piece][to] of all up to there */
	int *before;		/* [piece][to]: where the one before ends */
};

static void sums_add(struct sums *a, const struct fit_sample *x, double u)
{
	double v = u / (x->scale * x->scale), s = sqrt(x->n);

	a->one += v;
	a->s += v * s;
	a->n += v * x->n;
	a->ns += v * x->n * s;
	a->nn += v * x->n * x->n;
	a->t += v * x->t;
	a->ts += v * x->t * s;
	a->tn += v * x->t * x->n;
	a->tt += v * x->t * x->t;
}

/* The least sum of squares of a + b*n [+ c*sqrt(n)], nothing negative. */
static double line_rss(const struct sums *x, bool root)
{
	const double g[3][3] = { { x->one, x->n, x->s },
				 { x->n, x->nn, x->ns },
				 { x->s, x->ns, x->n } };
	const double h[3] = { x->t, x->tn, x->ts };
	struct lsq_gram q;	/* the rest of it is not looked at */
	double c[LSQ_COLS];
	int i;

	q.p = root ? 3 : 2;
	q.yy = x->tt;
	memcpy(q.h, h, sizeof(h));
	for (i = 0; i < 3; i++)
		memcpy(q.g[i], g[i], sizeof(g[i]));
	return lsq_gram_solve(&q, c);
}

/* Of the chord between two blocks; level where it would fall. */
static double chord_rss(const struct search *k, const struct sums *x,
			int from, int to)
{
	double rise = k->median[to] - k->median[from];
	double q = rise > 0 ? rise / (k->last[to] - k->last[from]) : 0;
	double p = q > 0 ? k->median[from] - q * k->last[from] :
		(k->median[from] + k->median[to]) / 2;

	return fmax(p * p * x->one + 2 * p * q * x->n + q * q * x->nn -
		    2 * p * x->t - 2 * q * x->tn + x->tt, 0);
}

/* Ranges are summed, not taken from differences, which would lose digits. */
static void fill_costs(struct search *k)
{
	int from, to, i, begin = 0;
	struct sums sum;
	double *cost;

	for (from = 0; from < k->blocks; from++) {
		while (k->d->sample[begin].block < from)
			begin++;
		sum = (struct sums){ 0 };
		for (to = from, i = begin; to < k->blocks; to++) {
			for (; i < k->d->n && k->d->sample[i].block == to; i++)
				sums_add(&sum, &k->d->sample[i], k->u[i]);
			cost = &k->cost[from * k->blocks + to];
			if (!k->shape->joined)
				*cost = line_rss(&sum, k->shape->root);
			else if (to > from)
				*cost = chord_rss(k, &sum, from, to);
		}
	}
}

/* Blocks that a piece has at least; joined ones share those at their ends. */
static int least_of(const struct fit_shape *shape)
{
	return shape->joined || !shape->root ? 2 : 3;
}

static void extend(struct search *k, int piece, int to)
{
	int share = k->shape->joined, least = least_of(k->shape), from, end;
	double *best = &k->best[piece * k->blocks], now;

	best[to] = INFINITY;
	for (from = 0; from + least - 1 <= to; from++) {
		end = from - !share;	/* of the pieces before */
		if (piece ? end < 0 : from > 0)
			continue;
		now = k->cost[from * k->blocks + to];
		if (piece)
			now += k->best[(piece - 1) * k->blocks + end];
		if (now < best[to]) {
			best[to] = now;
			k->before[piece * k->blocks + to] = end;
		}
	}
}

static bool run(struct search *k, struct breaks *out)
{
	int piece, to;

	for (piece = 0; piece < k->shape->pieces; piece++) {
		for (to = 0; to < k->blocks; to++)
			extend(k, piece, to);
	}
	piece = k->shape->pieces - 1;
	to = k->blocks - 1;
	if (!isfinite(k->best[piece * k->blocks + to]))
		return false;
	*out = (struct breaks){ .n = piece };
	for (; piece > 0; piece--) {
		to = k->before[piece * k->blocks + to];
		out->at[piece - 1] = to;
	}
	return true;
}

bool breaks_search(const struct fit_data *d, const double *u,
		   const struct fit_shape *shape, struct breaks *out)
{
	size_t blocks = (size_t)d->n_blocks, pieces = (size_t)shape->pieces;
	struct search k = { .d = d, .u = u, .shape = shape,
			    .blocks = d->n_blocks };
	bool ok;
	int i;

	k.last = xcalloc(blocks * (2 + blocks + pieces), sizeof(*k.last));
	k.median = k.last + blocks;
	k.cost = k.median + blocks;
	k.best = k.cost + blocks * blocks;
	k.before = xcalloc(blocks * pieces, sizeof(*k.before));
	for (i = 0; i < d->n; i++) {
		k.last[d->sample[i].block] = d->sample[i].n;
		k.median[d->sample[i].block] = d->sample[i].scale;
	}
	fill_costs(&k);
	ok = run(&k, out);
	free(k.before);
	free(k.last);
	return ok;
}
