/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/layer_route.h"

#include "base/mem.h"
#include "gpu/layer_exchange.h"
#include "gpu/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_TOKENS 64		/* of one piece of work */
#define DEAL_SALT (LAYER_SEED_SALT + 1)	/* no data's */
/* x and wg are bytes / 128 (fill_value()) */
#define LOGIT_SCALE ((double)LAYER_GATE_SCALE / (128 * 128))

struct routing_job {
	const struct layer_case *c;
	struct layer_route *r;
	const int16_t *wg;	/* [experts][hidden], bytes */
	int blocks;		/* of one rank */
};

__attribute__((optimize("O3")))
int32_t layer_dot(const int16_t *a, const int16_t *b, int n)
{
	int32_t sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += (int32_t)a[i] * b[i];
	return sum;
}

/* The k largest, equal ones by lower expert. */
static void choose(const int32_t *logit, int n, int k, int32_t *id)
{
	int e, j, at;

	for (e = 0, at = 0; e < n; e++) {
		if (at == k && logit[e] <= logit[id[k - 1]])
			continue;
		j = at < k ? at++ : k - 1;
		for (; j > 0 && logit[e] > logit[id[j - 1]]; j--)
			id[j] = id[j - 1];
		id[j] = e;
	}
}

static void softmax(const int32_t *logit, const int32_t *id, int k, double *w)
{
	double most = logit[id[0]], sum = 0;
	int j;

	for (j = 1; j < k; j++)
		most = fmax(most, logit[id[j]]);
	for (j = 0; j < k; j++) {
		w[j] = exp((logit[id[j]] - most) * LOGIT_SCALE);
		sum += w[j];
	}
	for (j = 0; j < k; j++)
		w[j] /= sum;
}

static void route_token(const struct routing_job *job, int rank, int t,
			int16_t *x, int32_t *logit)
{
	const struct layer_case *c = job->c;
	int64_t at = ((int64_t)rank * c->tokens + t) * c->k;
	uint32_t key = layer_key(c->seed, rank, LAYER_X);
	uint64_t first = (uint64_t)t * (uint64_t)c->hidden;
	int32_t *id = job->r->id + at;
	int h, e, j;

	for (h = 0; h < c->hidden; h++)
		x[h] = (int16_t)fill_byte(key, first + (uint64_t)h);
	for (e = 0; !c->count && e < c->experts; e++) {
		logit[e] = layer_dot(x, job->wg + (size_t)e * (size_t)c->hidden,
			       c->hidden);
	}
	if (!c->count)
		choose(logit, c->experts, c->k, id);
	for (j = 0; c->count && j < c->k; j++) {
		logit[id[j]] = layer_dot(x, job->wg + (size_t)id[j] *
				   (size_t)c->hidden, c->hidden);
	}
	softmax(logit, id, c->k, job->r->weight + at);
}

static void route_block(void *arg, int i)
{
	const struct routing_job *job = arg;
	const struct layer_case *c = job->c;
	int rank = i / job->blocks, t = i % job->blocks * BLOCK_TOKENS, end;
	int16_t *x = xcalloc((size_t)c->hidden, sizeof(*x));
	int32_t *logit = xcalloc((size_t)c->experts, sizeof(*logit));

	end = t + BLOCK_TOKENS < c->tokens ? t + BLOCK_TOKENS : c->tokens;
	for (; t < end; t++)
		route_token(job, rank, t, x, logit);
	free(logit);
	free(x);
}

static void given_rank(void *arg, int rank)
{
	const struct routing_job *job = arg;
	int64_t each = (int64_t)job->c->tokens * job->c->k;

	layer_given_ids(job->c, rank, job->r->id + rank * each);
}

static void count_rank(void *arg, int rank)
{
	struct layer_route *r = ((const struct routing_job *)arg)->r;
	int64_t each = (int64_t)r->tokens * r->k, i;
	int32_t *count = r->count + (int64_t)rank * r->experts;

	for (i = rank * each; i < (rank + 1) * each; i++)
		r->pos[i] = count[r->id[i]]++;
}

/* The same on this thread. */
void layer_route_rank(const struct layer_case *c, const int16_t *wg, int rank,
		      struct layer_route *r)
{
	struct routing_job job = { .c = c, .r = r, .wg = wg };
	int i;

	job.blocks = (c->tokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
	memset(r->count + (size_t)rank * (size_t)c->experts, 0,
	       (size_t)c->experts * sizeof(*r->count));
	if (c->count)
		given_rank(&job, rank);
	for (i = 0; i < job.blocks; i++)
		route_block(&job, rank * job.blocks + i);
	count_rank(&job, rank);
}

int16_t *layer_gate_bytes(const struct layer_case *c)
{
	uint32_t key = layer_key(c->seed, 0, LAYER_WG);
	size_t hidden = (size_t)c->hidden, experts = (size_t)c->experts, h, e;
	int16_t *wg = xcalloc(experts * hidden, sizeof(*wg));

	for (h = 0; h < hidden; h++) {
		for (e = 0; e < experts; e++) {
			wg[e * hidden + h] =
				(int16_t)fill_byte(key, h * experts + e);
		}
	}
	return wg;
}

enum status layer_route_make(const struct layer_case *c, int threads,
			     struct layer_route *out)
{
	struct layer_route r = { .ranks = layer_ranks(c), .k = c->k,
				 .tokens = c->tokens, .experts = c->experts,
				 .capacity = c->capacity };
	struct routing_job job = { .c = c, .r = &r };
	size_t copies = (size_t)r.ranks * (size_t)c->tokens * (size_t)c->k;
	int16_t *wg = layer_gate_bytes(c);

	r.id = xcalloc(copies, sizeof(*r.id));
	r.pos = xcalloc(copies, sizeof(*r.pos));
	r.weight = xcalloc(copies, sizeof(*r.weight));
	r.count = xcalloc((size_t)r.ranks * (size_t)c->experts,
			  sizeof(*r.count));
	job.blocks = (c->tokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
	job.wg = wg;
	if (c->count)
		parallel_for(threads, r.ranks, given_rank, &job);
	parallel_for(threads, r.ranks * job.blocks, route_block, &job);
	parallel_for(threads, r.ranks, count_rank, &job);
	free(wg);
	*out = r;
	return ST_OK;
}

void layer_route_release(struct layer_route *r)
{
	free(r->id);
	free(r->pos);
	free(r->weight);
	free(r->count);
	*r = (struct layer_route){ 0 };
}

/* A random number of the dealing: below n. */
static uint32_t draw(uint32_t key, uint64_t i, uint32_t n)
{
	return (uint32_t)(((uint64_t)fill_bits(key, i) * n) >> 32);
}

static void shuffle(uint32_t key, uint64_t i, int32_t *v, int n)
{
	int j;

	for (j = n - 1; j > 0; j--) {
		uint32_t at = draw(key, i + (uint64_t)j, (uint32_t)j + 1);
		int32_t other = v[at];

		v[at] = v[j];
		v[j] = other;
	}
}

/*
 * Of `left` tokens this is the next: expert e is taken with chance rest[e] /
 * left, k experts in all: marks u, u + left, u + 2 left ... on a ruler on
 * which every expert has rest[e] <= left units, hence at most one mark; one
 * with rest[e] = left has one for sure, so that all counts come out.
 */
static void deal_token(uint32_t key, uint64_t i, int left, int n,
		       const int32_t *order, int32_t *rest, int32_t *id)
{
	int64_t mark = draw(key, i, (uint32_t)left), end = 0;
	int j, e, at = 0;

	for (j = 0; j < n; j++) {
		e = order[j];
		end += rest[e];
		if (mark >= end)
			continue;
		id[at++] = e;
		rest[e]--;
		mark += left;
	}
}

void layer_given_ids(const struct layer_case *c, int rank, int32_t *id)
{
	uint32_t key = fill_key(c->seed ^ DEAL_SALT, rank, FILL_IDS);
	size_t n = (size_t)c->experts;
	int32_t *order = xcalloc(n, sizeof(*order));
	int32_t *rest = xcalloc(n, sizeof(*rest));
	int e, t;

	memcpy(rest, c->count + (size_t)rank * n, n * sizeof(*rest));
	for (e = 0; e < c->experts; e++)
		order[e] = e;
	for (t = 0; t < c->tokens; t++) {
		uint64_t i = (uint64_t)t * (n + 1);

		shuffle(key, i + 1, order, c->experts);
		deal_token(key, i, c->tokens - t, c->experts, order, rest,
			   id + (size_t)t * (size_t)c->k);
	}
	free(rest);
	free(order);
}

void layer_chunk_range(int64_t n_items, int chunk, int n_chunks,
		       int64_t *first_p, int64_t *end_p)
{
	*first_p = n_items * chunk / n_chunks;
	*end_p = n_items * (chunk + 1) / n_chunks;
}

/* Dropless: copies of a rank's tokens in the chunk and before it. */
static void count_tokens(const struct layer_route *r, int rank, int chunk,
			 int n_chunks, int32_t *count, int32_t *first)
{
	const int32_t *id = r->id + (int64_t)rank * r->tokens * r->k;
	int64_t begin, end, i;

	layer_chunk_range(r->tokens, chunk, n_chunks, &begin, &end);
	memset(count, 0, (size_t)r->experts * sizeof(*count));
	memset(first, 0, (size_t)r->experts * sizeof(*first));
	for (i = 0; i < begin * r->k; i++)
		first[id[i]]++;
	for (; i < end * r->k; i++)
		count[id[i]]++;
}

void layer_chunk_counts(const struct layer_route *r, int chunk, int n_chunks,
			int32_t *count, int32_t *first)
{
	int64_t begin, end, i, cells = (int64_t)r->ranks * r->experts;
	int rank;

	for (rank = 0; !r->capacity && rank < r->ranks; rank++) {
		i = (int64_t)rank * r->experts;
		count_tokens(r, rank, chunk, n_chunks, count + i, first + i);
	}
	if (!r->capacity)
		return;
	layer_chunk_range(r->capacity, chunk, n_chunks, &begin, &end);
	for (i = 0; i < cells; i++) {
		first[i] = (int32_t)begin;
		count[i] = (int32_t)(end - begin);
	}
}

/* Copies of the rank that can be in the chunk, and positions that are. */
struct chunk {
	int64_t copy, copy_end;
	int64_t pos, pos_end;
};

static struct chunk chunk_of(const struct layer_route *r, int chunk,
			     int n_chunks)
{
	struct chunk w = { 0, (int64_t)r->tokens * r->k, 0, INT64_MAX };

	if (r->capacity) {
		layer_chunk_range(r->capacity, chunk, n_chunks, &w.pos,
				  &w.pos_end);
	} else {
		layer_chunk_range(r->tokens, chunk, n_chunks, &w.copy,
				  &w.copy_end);
		w.copy *= r->k;
		w.copy_end *= r->k;
	}
	return w;
}

void layer_chunk_rows(const struct layer_case *c, const struct layer_route *r,
		      int rank, int chunk, int n_chunks,
		      const int32_t *in_first, const int32_t *first,
		      int32_t *row)
{
	int64_t base = (int64_t)rank * r->tokens * r->k, i;
	struct chunk w = chunk_of(r, chunk, n_chunks);
	int copies = layer_copies(c);

	for (i = 0; i < (int64_t)r->tokens * r->k; i++)
		row[i] = -1;
	for (i = w.copy; i < w.copy_end; i++) {
		int e = r->id[base + i], p = r->pos[base + i];

		if (p < w.pos || p >= w.pos_end)
			continue;
		row[i] = in_first[xchg_slot(c, e, xchg_home(c, rank, e, p))] +
			 (p - first[e]) / copies;
	}
}

void layer_chunk_copies(const struct layer_case *c,
			const struct layer_route *r, int rank, int chunk,
			int n_chunks, const int32_t *in_first,
			const int32_t *first, int32_t rows, int32_t *copy)
{
	int64_t n = (int64_t)r->tokens * r->k, i;
	int32_t *row = xcalloc((size_t)n, sizeof(*row));

	layer_chunk_rows(c, r, rank, chunk, n_chunks, in_first, first, row);
	for (i = 0; i < rows; i++)
		copy[i] = -1;
	for (i = 0; i < n; i++) {
		if (row[i] >= 0)
			copy[row[i]] = (int32_t)i;
	}
	free(row);
}

int32_t **layer_chunk_tokens(const struct layer_case *c,
			     const struct layer_route *r, int chunk,
			     int n_chunks)
{
	size_t cells = (size_t)r->ranks * (size_t)r->experts, rows = 0, i;
	int32_t *count = xcalloc(2 * cells, sizeof(*count));
	int32_t *first = count + cells, **out, *at;
	int rank, j, n;

	layer_chunk_counts(r, chunk, n_chunks, count, first);
	for (i = 0; i < cells; i++)
		rows += (size_t)count[i];
	out = xmalloc((size_t)r->ranks * sizeof(*out) +
		      (rows + 1) * sizeof(**out));
	at = (int32_t *)(out + r->ranks);
	for (rank = 0; rank < r->ranks; rank++) {
		size_t row = (size_t)rank * (size_t)r->experts;
		int32_t *in_first = xchg_in_first(c, rank, count + row,
						  first + row);

		n = in_first[xchg_slots(c)];
		layer_chunk_copies(c, r, rank, chunk, n_chunks, in_first,
				   first + row, n, at);
		for (j = 0; j < n; j++)
			at[j] = at[j] < 0 ? -1 : at[j] / r->k;
		out[rank] = at;
		at += n;
		free(in_first);
	}
	free(count);
	return out;
}
