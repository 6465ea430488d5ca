/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/layer_ref.h"

#include "base/mem.h"
#include "gpu/layer_ref_int.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_SALT (LAYER_SEED_SALT + 2)

/* A drawn number of the case below n, the same for everybody. */
static int64_t draw(const struct layer_case *c, int rank, uint64_t i,
		    int64_t n)
{
	uint32_t key = fill_key(c->seed ^ SAMPLE_SALT, rank, 0);
	uint64_t v = (uint64_t)fill_bits(key, 2 * i) << 32 |
		     fill_bits(key, 2 * i + 1);

	return (int64_t)(v % (uint64_t)n);
}

/* The sampled tokens, and what is wanted of each. */
struct tokens {
	int n, columns;
	int *rank, *token;	/* [n] */
	int *column;		/* [n * columns] */
	int16_t *x, *dy;	/* [n * hidden] */
	double *y, *dx;		/* [n * columns] */
	double *dlogit;		/* [n * k] */
};

static double macs_of_token(const struct layer_case *c)
{
	return 3.0 * c->hidden * ((double)c->ffn * c->k + c->shared_ffn);
}

static int tokens_per_rank(const struct layer_case *c)
{
	double most = LAYER_REF_SAMPLE_MACS / macs_of_token(c);
	int ranks = layer_ranks(c), n;

	most = most < LAYER_REF_TOKENS ? most : LAYER_REF_TOKENS;
	n = (int)(most / ranks);
	n = n < 2 ? 2 : n;
	return n < c->tokens ? n : c->tokens;
}

static void tokens_choose(const struct layer_case *c, int first, int n_ranks,
			  struct tokens *s)
{
	int each = tokens_per_rank(c), i, j, r;
	size_t n = (size_t)each * (size_t)n_ranks, hidden = (size_t)c->hidden;

	s->n = (int)n;
	s->columns = c->hidden < LAYER_REF_COLUMNS ? c->hidden :
						     LAYER_REF_COLUMNS;
	s->rank = xcalloc(n, sizeof(*s->rank));
	s->token = xcalloc(n, sizeof(*s->token));
	s->column = xcalloc(n * (size_t)s->columns, sizeof(*s->column));
	s->y = xcalloc(n * (size_t)s->columns, sizeof(*s->y));
	s->dx = xcalloc(n * (size_t)s->columns, sizeof(*s->dx));
	s->dlogit = xcalloc(n * (size_t)c->k, sizeof(*s->dlogit));
	s->x = xcalloc(n * hidden, sizeof(*s->x));
	s->dy = xcalloc(n * hidden, sizeof(*s->dy));
	for (i = 0; i < s->n; i++) {
		r = first + i / each;
		s->rank[i] = r;
		s->token[i] = each == c->tokens ? i % each :
			      i % each == 0 ? 0 :
			      i % each == 1 ? c->tokens - 1 :
			      (int)draw(c, r, (uint64_t)i, c->tokens);
		for (j = 0; j < s->columns; j++) {
			s->column[i * s->columns + j] =
				s->columns == c->hidden ? j :
				(int)draw(c, r, 1000 + (uint64_t)(i *
					  s->columns + j), c->hidden);
		}
		ref_token_bytes(c, LAYER_X, r, s->token[i],
				s->x + (size_t)i * hidden);
		ref_token_bytes(c, LAYER_DY, r, s->token[i],
				s->dy + (size_t)i * hidden);
	}
}

static void tokens_free(struct tokens *s)
{
	free(s->rank);
	free(s->token);
	free(s->column);
	free(s->x);
	free(s->dy);
	free(s->y);
	free(s->dx);
	free(s->dlogit);
}

/* The copies of the sampled tokens, by expert; behind them the shared. */
struct copies {
	struct ref_copy *v;
	struct ref_job *job;	/* [experts + 1] */
	int *place;		/* [tokens * (k + 1)], -1: dropped */
	double *sums;
};

static int64_t copy_of(const struct layer_case *c, const struct tokens *s,
		       int i, int j)
{
	return ((int64_t)s->rank[i] * c->tokens + s->token[i]) * c->k + j;
}

static bool is_of(const struct layer_case *c, const struct layer_route *r,
		  const struct tokens *s, int i, int j, int expert)
{
	int64_t copy = copy_of(c, s, i, j);

	if (expert == REF_SHARED || j == c->k)
		return expert == REF_SHARED && j == c->k && c->shared_ffn;
	return r->id[copy] == expert && layer_route_kept(r, copy);
}

static void copies_make(const struct layer_case *c,
			const struct layer_route *r, const struct tokens *s,
			struct copies *k)
{
	int slots = s->n * (c->k + 1), e, i, at = 0;
	size_t columns = (size_t)s->columns;

	k->v = xcalloc((size_t)slots, sizeof(*k->v));
	k->place = xcalloc((size_t)slots, sizeof(*k->place));
	k->job = xcalloc((size_t)c->experts + 1, sizeof(*k->job));
	k->sums = xcalloc((size_t)slots * 2 * columns, sizeof(*k->sums));
	for (i = 0; i < slots; i++)
		k->place[i] = -1;
	for (e = 0; e <= c->experts; e++) {
		struct ref_job *job = &k->job[e];

		*job = (struct ref_job){ .copy = k->v + at, .expert =
			e < c->experts ? e : REF_SHARED };
		for (i = 0; i < slots; i++) {
			int t = i / (c->k + 1);
			double *sums = k->sums + (size_t)at * 2 * columns;

			if (!is_of(c, r, s, t, i % (c->k + 1), job->expert))
				continue;
			k->v[at] = (struct ref_copy){
				.x = s->x + (size_t)t * (size_t)c->hidden,
				.dy = s->dy + (size_t)t * (size_t)c->hidden,
				.column = s->column + (size_t)t * columns,
				.n_columns = s->columns,
				.y = sums, .dx = sums + columns };
			k->place[i] = at++;
			job->n++;
		}
	}
}

static double gate_weight(const struct layer_case *c, int h, int e)
{
	return (double)LAYER_GATE_SCALE *
	       fill_value(layer_key(c->seed, 0, LAYER_WG),
			  (uint64_t)h * (uint64_t)c->experts + (uint64_t)e);
}

/* y, dx and dlogit of token i from its copies. */
static void token_finish(const struct layer_case *c,
			 const struct layer_route *r, struct tokens *s,
			 const struct copies *k, int i)
{
	const double *w = r->weight + copy_of(c, s, i, 0);
	const int32_t *id = r->id + copy_of(c, s, i, 0);
	double g[LAYER_K_MAX] = { 0 }, *dlogit = s->dlogit + i * c->k;
	int j, n, at;

	for (j = 0; j <= c->k; j++) {
		double weight = j < c->k ? w[j] : 1;

		at = k->place[i * (c->k + 1) + j];
		if (at < 0)
			continue;
		if (j < c->k)
			g[j] = k->v[at].g;
		for (n = 0; n < s->columns; n++) {
			s->y[i * s->columns + n] += weight * k->v[at].y[n];
			s->dx[i * s->columns + n] += weight * k->v[at].dx[n];
		}
	}
	ref_dlogit(g, w, c->k, dlogit);
	for (n = 0; n < s->columns; n++) {
		for (j = 0; j < c->k; j++) {
			s->dx[i * s->columns + n] += dlogit[j] *
				gate_weight(c, s->column[i * s->columns + n],
					    id[j]);
		}
	}
}

static void tokens_run(const struct layer_case *c,
		       const struct layer_route *r, int threads,
		       struct tokens *s)
{
	struct copies k;
	int i;

	copies_make(c, r, s, &k);
	ref_ffn_run(c, k.job, c->experts + 1, threads);
	for (i = 0; i < s->n; i++)
		token_finish(c, r, s, &k, i);
	free(k.v);
	free(k.job);
	free(k.place);
	free(k.sums);
}

/* The list that is being made. */
struct list {
	struct layer_sample *v;
	int n;
	size_t cap;
};

static void list_add(struct list *l, enum layer_tensor t, int rank,
		     int64_t index, double want)
{
	l->v = array_grow(l->v, &l->cap, (size_t)l->n + 1, sizeof(*l->v));
	l->v[l->n++] = (struct layer_sample){ t, rank, index, want };
}

static void list_tokens(const struct layer_case *c, const struct tokens *s,
			struct list *l)
{
	int i, n;

	for (i = 0; i < s->n * s->columns; i++) {
		n = i / s->columns;
		list_add(l, LAYER_Y, s->rank[n], (int64_t)s->token[n] *
			 c->hidden + s->column[i], s->y[i]);
	}
	for (i = 0; i < s->n * s->columns; i++) {
		n = i / s->columns;
		list_add(l, LAYER_DX, s->rank[n], (int64_t)s->token[n] *
			 c->hidden + s->column[i], s->dx[i]);
	}
	for (i = 0; i < s->n * c->k; i++) {
		n = i / c->k;
		list_add(l, LAYER_DLOGIT, s->rank[n], (int64_t)s->token[n] *
			 c->k + i % c->k, s->dlogit[i]);
	}
}

/* Elements that a rank holds of a weight gradient. */
static int64_t size_of(const struct layer_case *c, enum layer_tensor t)
{
	int64_t each = (int64_t)layer_shard_ffn(c) * c->hidden;

	switch (t) {
	case LAYER_DWG:
		return (int64_t)c->hidden * c->experts;
	case LAYER_DW1:
		return layer_local_experts(c) * each * layer_w1_parts(c);
	case LAYER_DW2:
		return layer_local_experts(c) * each;
	case LAYER_DWS1:
		return (int64_t)c->hidden * c->shared_ffn * layer_w1_parts(c);
	case LAYER_DWS2:
		return (int64_t)c->hidden * c->shared_ffn;
	default:
		return 0;
	}
}

static void list_weights(const struct layer_case *c, int first, int n_ranks,
			 enum layer_tensor t, struct list *l)
{
	int64_t size = size_of(c, t);
	int r, i, n = size < LAYER_REF_WEIGHTS ? (int)size :
						 LAYER_REF_WEIGHTS;

	for (r = first; r < first + n_ranks; r++) {
		for (i = 0; i < n; i++) {
			list_add(l, t, r, n == size ? i :
				 draw(c, r, ((uint64_t)t << 32) + (uint64_t)i,
				      size), 0);
		}
	}
}

static bool can_be_full(const struct layer_case *c)
{
	double tokens = (double)layer_ranks(c) * c->tokens;

	return tokens * macs_of_token(c) <= LAYER_REF_FULL_MACS &&
	       tokens * c->hidden * 4 <= LAYER_REF_FULL_BYTES;
}

static void fill_gate(const struct layer_case *c, const struct layer_route *r,
		      int threads, struct layer_sample *s, int n)
{
	int64_t tokens = (int64_t)r->ranks * r->tokens, t;
	double *g = ref_all_g(c, r, threads), d[LAYER_K_MAX];

	for (t = 0; t < tokens; t++) {
		ref_dlogit(g + t * r->k, r->weight + t * r->k, r->k, d);
		memcpy(g + t * r->k, d, (size_t)r->k * sizeof(*d));
	}
	ref_gate(c, r, g, s, n);
	free(g);
}

enum status layer_ref_make(const struct layer_case *c, int first, int n,
			   int threads, struct layer_ref *out)
{
	struct layer_ref ref = { .full = can_be_full(c) };
	struct tokens tokens;
	struct list l = { 0 };
	enum layer_tensor t;
	int gate, weights;
	enum status st = layer_route_make(c, threads, &ref.route);

	if (st)
		return st;
	tokens_choose(c, first, n, &tokens);
	tokens_run(c, &ref.route, threads, &tokens);
	list_tokens(c, &tokens, &l);
	tokens_free(&tokens);
	gate = l.n;
	if (ref.full || n == layer_ranks(c))
		list_weights(c, first, n, LAYER_DWG, &l);
	weights = l.n;
	for (t = LAYER_DW1; t <= LAYER_DWS2; t++)
		list_weights(c, first, n, t, &l);
	if (ref.full)
		fill_gate(c, &ref.route, threads, l.v + gate, weights - gate);
	ref_weights(c, &ref.route, l.v + weights, l.n - weights, threads);
	ref.sample = l.v;
	ref.n = l.n;
	*out = ref;
	return ST_OK;
}

void layer_ref_release(struct layer_ref *r)
{
	layer_route_release(&r->route);
	free(r->sample);
	*r = (struct layer_ref){ 0 };
}
