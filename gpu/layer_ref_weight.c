/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sampled elements of weight gradients: sums over all tokens of the expert,
 * on all ranks. One element needs one inner column of each token alone.
 */
#include "gpu/layer_ref_int.h"

#include "base/mem.h"
#include "gpu/parallel.h"

#include <stdlib.h>

#define BLOCK_TOKENS 256	/* of one piece; a sum of its own */

/* An element of dw1 (which 1 or, the factors' half, 3) or dw2. */
struct element {
	int expert;		/* or REF_SHARED */
	int column, h;		/* inner column; row of w1, column of w2 */
	int which;
	struct ref_ffn ffn;
	int16_t *w1, *w3, *w2;
	int next;		/* of the same expert; -1: the last */
};

struct weights {
	const struct layer_case *c;
	const struct layer_route *r;
	struct element *e;
	int n, blocks;
	int *first;		/* [experts + 1]: chains; the last: shared */
	int16_t *vectors;
	double *sum;		/* [ranks * blocks][n] */
};

static void routed_element(const struct layer_case *c,
			   const struct layer_sample *s, struct element *e)
{
	int shard = layer_shard_ffn(c), first = s->rank %
		    c->plan.layout.esp * shard;
	int64_t width = (int64_t)shard * layer_w1_parts(c), local, rest;

	if (s->tensor == LAYER_DW1) {
		local = s->index / (c->hidden * width);
		rest = s->index % (c->hidden * width);
		e->h = (int)(rest / width);
		e->column = first + (int)(rest % width % shard);
		e->which = rest % width >= shard ? 3 : 1;
	} else {
		local = s->index / ((int64_t)shard * c->hidden);
		rest = s->index % ((int64_t)shard * c->hidden);
		e->column = first + (int)(rest / c->hidden);
		e->h = (int)(rest % c->hidden);
		e->which = 2;
	}
	e->expert = layer_expert(c, s->rank, (int)local);
}

static void shared_element(const struct layer_case *c,
			   const struct layer_sample *s, struct element *e)
{
	int64_t width = (int64_t)c->shared_ffn * layer_w1_parts(c);

	e->expert = REF_SHARED;
	if (s->tensor == LAYER_DWS1) {
		e->h = (int)(s->index / width);
		e->column = (int)(s->index % width % c->shared_ffn);
		e->which = s->index % width >= c->shared_ffn ? 3 : 1;
	} else {
		e->column = (int)(s->index / c->hidden);
		e->h = (int)(s->index % c->hidden);
		e->which = 2;
	}
}

static void elements_make(struct weights *w, const struct layer_sample *s)
{
	size_t hidden = (size_t)w->c->hidden;
	int i, chain;

	w->e = xcalloc((size_t)w->n, sizeof(*w->e));
	w->vectors = xcalloc((size_t)w->n * 3 * hidden, sizeof(*w->vectors));
	w->first = xcalloc((size_t)w->c->experts + 1, sizeof(*w->first));
	for (i = 0; i <= w->c->experts; i++)
		w->first[i] = -1;
	for (i = 0; i < w->n; i++) {
		struct element *e = &w->e[i];

		if (s[i].tensor == LAYER_DW1 || s[i].tensor == LAYER_DW2)
			routed_element(w->c, &s[i], e);
		else
			shared_element(w->c, &s[i], e);
		e->w1 = w->vectors + (size_t)i * 3 * hidden;
		e->w3 = e->w1 + hidden;
		e->w2 = e->w3 + hidden;
		chain = e->expert == REF_SHARED ? w->c->experts : e->expert;
		e->next = w->first[chain];
		w->first[chain] = i;
		ref_ffn_init(w->c, e->expert, &e->ffn);
	}
}

static void vectors_make(void *arg, int i)
{
	struct element *e = &((struct weights *)arg)->e[i];

	ref_ffn_vectors(&e->ffn, e->column, e->w1, e->w3, e->w2);
}

/* One token's part in all elements of one expert. */
static void add_token(const struct weights *w, int chain, double weight,
		      const int16_t *x, const int16_t *dy, double *sum)
{
	struct ref_point p;
	int i;

	for (i = w->first[chain]; i >= 0; i = w->e[i].next) {
		const struct element *e = &w->e[i];

		ref_point_make(&e->ffn, x, dy, e->w1, e->w3, e->w2, &p);
		if (e->which == 1)
			sum[i] += weight * p.d1 * x[e->h] / 128;
		else if (e->which == 3)
			sum[i] += weight * p.d3 * x[e->h] / 128;
		else
			sum[i] += weight * p.a * dy[e->h] / 128;
	}
}

static bool is_wanted(const struct weights *w, int64_t copy)
{
	int j;

	if (w->first[w->c->experts] >= 0)
		return true;
	for (j = 0; j < w->c->k; j++) {
		if (w->first[w->r->id[copy + j]] >= 0)
			return true;
	}
	return false;
}

static void add_block(void *arg, int i)
{
	const struct weights *w = arg;
	const struct layer_case *c = w->c;
	double *sum = w->sum + (size_t)i * (size_t)w->n;
	int rank = i / w->blocks, t = i % w->blocks * BLOCK_TOKENS, end, j;
	int16_t *x = xcalloc(2 * (size_t)c->hidden, sizeof(*x));
	int16_t *dy = x + c->hidden;

	end = t + BLOCK_TOKENS < c->tokens ? t + BLOCK_TOKENS : c->tokens;
	for (; t < end; t++) {
		int64_t copy = ((int64_t)rank * c->tokens + t) * c->k;

		if (!is_wanted(w, copy))
			continue;
		ref_token_bytes(c, LAYER_X, rank, t, x);
		ref_token_bytes(c, LAYER_DY, rank, t, dy);
		for (j = 0; j < c->k; j++) {
			if (layer_route_kept(w->r, copy + j))
				add_token(w, w->r->id[copy + j],
					  w->r->weight[copy + j], x, dy, sum);
		}
		add_token(w, c->experts, 1, x, dy, sum);
	}
	free(x);
}

void ref_weights(const struct layer_case *c, const struct layer_route *r,
		 struct layer_sample *s, int n, int threads)
{
	struct weights w = { .c = c, .r = r, .n = n };
	int i, b, pieces;

	if (!n)
		return;
	elements_make(&w, s);
	parallel_for(threads, n, vectors_make, &w);
	w.blocks = (c->tokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
	pieces = w.blocks * r->ranks;
	w.sum = xcalloc((size_t)pieces * (size_t)n, sizeof(*w.sum));
	parallel_for(threads, pieces, add_block, &w);
	for (i = 0; i < n; i++) {
		s[i].want = 0;
		for (b = 0; b < pieces; b++)
			s[i].want += w.sum[(size_t)b * (size_t)n + (size_t)i];
	}
	free(w.sum);
	free(w.first);
	free(w.vectors);
	free(w.e);
}

void ref_gate(const struct layer_case *c, const struct layer_route *r,
	      const double *dlogit, struct layer_sample *s, int n)
{
	int64_t copies = (int64_t)r->ranks * r->tokens * r->k, i;
	int j;

	for (j = 0; j < n; j++) {
		int h = (int)(s[j].index / c->experts);
		int e = (int)(s[j].index % c->experts);

		s[j].want = 0;
		for (i = 0; i < copies; i++) {
			int64_t token = i / r->k;
			int rank = (int)(token / r->tokens);

			if (r->id[i] != e)
				continue;
			s[j].want += dlogit[i] * fill_value(
				layer_key(c->seed, rank, LAYER_X),
				(uint64_t)(token % r->tokens) *
				(uint64_t)c->hidden + (uint64_t)h);
		}
	}
}
