/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_gpu's checks. The exchange: places, rows and sums against the host's
 * own count of them, bit by bit. The experts: every element against sums in
 * double.
 */
#include "bench_gpu.h"

#include "base/mem.h"
#include "gpu/fill.h"
#include "gpu/ref.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define ALIGN 256ull

struct direct_case {
	int tokens, hidden, experts, k;
	double skew;
	int32_t capacity;
	int64_t stride;
	bool bf16;
};

/* A case on a rank: where things lie in the window, all ranks' routing. */
struct direct_run {
	const struct direct_case *c;
	struct direct_route route;
	struct bench_routing g[RANKS_MAX];
	uint64_t x, stage, out_pair, end;	/* offsets */
	int64_t rows, stride;
	uint64_t row_bytes;
	char *to, *out;		/* device */
	float *pair;		/* device */
};

static uint64_t take(uint64_t *end, uint64_t bytes)
{
	uint64_t at = *end;

	*end += (bytes + ALIGN - 1) / ALIGN * ALIGN;
	return at;
}

static void lay_out(struct direct_run *u, int n)
{
	const struct direct_case *c = u->c;
	uint64_t pairs = (uint64_t)c->tokens * (uint64_t)c->k;
	uint64_t rows = (uint64_t)c->tokens;

	u->row_bytes = (uint64_t)c->hidden * (c->bf16 ? 2 : 4);
	u->route = (struct direct_route){
		.tokens = c->tokens, .k = c->k, .experts = c->experts,
		.stride = c->stride, .capacity = c->capacity,
		.ids = take(&u->end, 4 * pairs),
		.pos = take(&u->end, 4 * pairs),
		.weights = take(&u->end, 4 * pairs),
		.counts = take(&u->end, 4ull * (uint64_t)(n * c->experts)),
	};
	u->x = take(&u->end, rows * u->row_bytes);
	u->stage = take(&u->end, rows * u->row_bytes * (uint64_t)n);
	u->out_pair = take(&u->end, 4 * pairs);
}

static int32_t kept_of(const struct direct_run *u, int s, int e)
{
	int32_t n = u->g[s].counts[e];

	return u->c->capacity && n > u->c->capacity ? u->c->capacity : n;
}

static void make_routing(struct direct_run *u, int n, int seed)
{
	int s;

	for (s = 0; s < n; s++)
		bench_routing_make(&u->g[s], u->c->tokens, u->c->k,
				   u->c->experts, u->c->skew,
				   (uint64_t)(1000 * seed + s));
}

/* Rows of rank d: first row of (expert, source), and the stride. */
static void layout_of(const struct direct_run *u, int n, int d, int32_t *first,
		      int32_t *count, struct ffn_rows *rows)
{
	int local = u->c->experts / n, e, s;

	for (e = 0; e < local; e++) {
		for (s = count[e] = 0; s < n; s++)
			count[e] += kept_of(u, s, d * local + e);
	}
	*rows = ffn_rows_of(count, local);
	if (u->c->stride)
		rows->stride = u->c->stride;
	for (e = 0; e < local; e++) {
		int32_t at = (int32_t)ffn_rows_first(rows, e);

		for (s = 0; s < n; s++) {
			first[e * n + s] = at;
			at += kept_of(u, s, d * local + e);
		}
	}
}

/* The row at rank d of each pair of source s, -1 elsewhere, -2 dropped. */
static void places_of(const struct direct_run *u, int n, int d, int s,
		      const int32_t *first, int32_t *place)
{
	const struct bench_routing *g = &u->g[s];
	int local = u->c->experts / n, i, j, e, nth;

	for (i = 0; i < g->tokens * g->k; i++) {
		e = g->ids[i] - d * local;
		place[i] = -1;
		if (e < 0 || e >= local)
			continue;
		for (nth = j = 0; j < i; j++)
			nth += g->ids[j] == g->ids[i];
		place[i] = u->c->capacity && nth >= u->c->capacity
			? -2 : first[e * n + s] + nth;
	}
}

static float value(int rank, int stream, uint64_t i)
{
	return fill_value(fill_key(77, rank, stream), i);
}

static void put(char *p, uint64_t i, bool bf16, float v)
{
	uint16_t h = ref_bf16(v);

	if (bf16)
		memcpy(p + 2 * i, &h, 2);
	else
		memcpy(p + 4 * i, &v, 4);
}

static float get(const char *p, uint64_t i, bool bf16)
{
	uint16_t h;
	float v;

	if (!bf16) {
		memcpy(&v, p + 4 * i, 4);
		return v;
	}
	memcpy(&h, p + 2 * i, 2);
	return ref_from_bf16(h);
}

/* A device copy of n made-up elements. */
static enum status upload_values(void *to, uint64_t n, bool bf16, int rank,
				 int stream)
{
	char *p = xmalloc(n * 4 + 1);
	enum status st;
	uint64_t i;

	for (i = 0; i < n; i++)
		put(p, i, bf16, value(rank, stream, i));
	CUDA_GOTO(out, st, cudaMemcpy(to, p, n * (bf16 ? 2 : 4),
				      cudaMemcpyHostToDevice));
out:
	free(p);
	return st;
}

static enum status upload(struct bench_rank *r, struct direct_run *u)
{
	const struct bench_routing *g = &u->g[r->rank];
	uint64_t pairs = 4ull * (uint64_t)g->tokens * (uint64_t)g->k;
	struct direct_route *t = &u->route;
	uint64_t here = 4ull * (uint64_t)u->rows;
	uint64_t row = 4ull * (uint64_t)g->experts;
	enum status st;

	CUDA_GOTO(out, st, cudaMemcpy(r->window + t->ids, g->ids, pairs,
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(r->window + t->pos, g->pos, pairs,
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(r->window + t->weights, g->weights,
				      pairs, cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(r->window + t->counts +
				      (uint64_t)r->rank * row, g->counts, row,
				      cudaMemcpyHostToDevice));
	st = upload_values(r->window + u->x, (uint64_t)g->tokens *
			   (uint64_t)u->c->hidden, u->c->bf16, r->rank, 0);
	if (st)
		goto out;
	CUDA_GOTO(out, st, cudaMalloc((void **)&t->place,
				      pairs * (uint64_t)r->b->n + 4));
	CUDA_GOTO(out, st, cudaMalloc((void **)&t->slot,
				      cuda_direct_slot_bytes(t, r->b->n)));
	CUDA_GOTO(out, st, cudaMalloc((void **)&t->kept, row));
	CUDA_GOTO(out, st, cudaMalloc((void **)&t->row_weight, here + 4));
	CUDA_GOTO(out, st, cudaMalloc((void **)&u->pair, here + 4));
	CUDA_GOTO(out, st, cudaMalloc((void **)&u->to, (uint64_t)u->rows *
				      u->row_bytes + 4));
	CUDA_GOTO(out, st, cudaMalloc((void **)&u->out, (uint64_t)g->tokens *
				      u->row_bytes + 4));
	CUDA_GOTO(out, st, cudaMemset(u->to, 0xff, (uint64_t)u->rows *
				      u->row_bytes));
	CUDA_GOTO(out, st, cudaDeviceSynchronize());
out:
	return st;
}

/* Rows and weights that came, tails. */
static enum status check_rows(struct bench_rank *r, struct direct_run *u,
			      int32_t *const *place, int *wrong)
{
	uint64_t n = (uint64_t)u->rows * u->row_bytes, i;
	uint64_t h = (uint64_t)u->c->hidden;
	char *got = xmalloc(n + 1), *want = xcalloc(n + 1, 1);
	float *w = xcalloc((size_t)u->rows + 1, sizeof(*w));
	float *want_w = xcalloc((size_t)u->rows + 1, sizeof(*w));
	enum status st;
	int s;

	for (s = 0; s < r->b->n; s++) {
		for (i = 0; i < (uint64_t)(u->c->tokens * u->c->k); i++) {
			uint64_t c, t = i / (uint64_t)u->c->k;
			int64_t row = place[s][i];

			for (c = 0; row >= 0 && c < h; c++)
				put(want, (uint64_t)row * h + c, u->c->bf16,
				    value(s, 0, t * h + c));
			if (row >= 0)
				want_w[row] = u->g[s].weights[i];
		}
	}
	CUDA_GOTO(out, st, cudaMemcpy(got, u->to, n, cudaMemcpyDeviceToHost));
	CUDA_GOTO(out, st, cudaMemcpy(w, u->route.row_weight,
				      4 * (uint64_t)u->rows,
				      cudaMemcpyDeviceToHost));
	for (i = 0; i < n; i++)
		*wrong += got[i] != want[i];
	for (i = 0; i < (uint64_t)u->rows; i++)
		*wrong += w[i] != want_w[i];
out:
	free(got);
	free(want);
	free(w);
	free(want_w);
	return st;
}

/* Element c of token t, summed as the kernels say they do: at each rank in
 * fp32, another rank's sum rounded once. All values are multiples of 1/128,
 * so the order of a sum does not matter. */
static float sum_of(struct bench_rank *r, struct direct_run *u,
		    int32_t *const *all_places, uint64_t t, uint64_t c)
{
	uint64_t k = (uint64_t)u->c->k, h = (uint64_t)u->c->hidden, j;
	float total = 0, part;
	int d;

	for (d = 0; d < r->b->n; d++) {
		for (part = 0, j = 0; j < k; j++) {
			int64_t row = all_places[d][t * k + j];

			if (row >= 0)
				part += value(d, 1, (uint64_t)row * h + c);
		}
		total += d == r->rank || !u->c->bf16
			? part : ref_from_bf16(ref_bf16(part));
	}
	return u->c->bf16 ? ref_from_bf16(ref_bf16(total)) : total;
}

/* all_places[d]: this rank's pairs at rank d. */
static enum status check_sums(struct bench_rank *r, struct direct_run *u,
			      int32_t *const *all_places, int *wrong)
{
	uint64_t k = (uint64_t)u->c->k, h = (uint64_t)u->c->hidden, t, c;
	uint64_t tokens = (uint64_t)u->c->tokens, i;
	char *got = xmalloc(tokens * u->row_bytes + 1);
	float *pair = xmalloc(tokens * k * 4 + 1);
	enum status st;
	int d;

	CUDA_GOTO(out, st, cudaMemcpy(got, u->out, tokens * u->row_bytes,
				      cudaMemcpyDeviceToHost));
	CUDA_GOTO(out, st, cudaMemcpy(pair, r->window + u->out_pair,
				      tokens * k * 4, cudaMemcpyDeviceToHost));
	for (t = 0; t < tokens; t++) {
		for (c = 0; c < h; c++)
			*wrong += get(got, t * h + c, u->c->bf16) !=
				  sum_of(r, u, all_places, t, c);
	}
	for (i = 0; i < tokens * k; i++) {
		float want = 0;

		for (d = 0; d < r->b->n; d++) {
			if (all_places[d][i] >= 0)
				want = value(d, 2,
					     (uint64_t)all_places[d][i]);
		}
		*wrong += pair[i] != want;
	}
out:
	free(got);
	free(pair);
	return st;
}

static enum status run_direct(struct bench_rank *r, struct direct_run *u,
			      int *wrong)
{
	int local = u->c->experts / r->b->n, s, e;
	struct direct_combine c = {
		.rows = u->to, .columns = u->c->hidden, .bf16 = u->c->bf16,
		.stage = u->stage, .out = u->out, .pair = u->pair,
		.out_pair = u->out_pair
	};
	const int32_t *matrix;
	enum status st;

	(void)local;
	st = cuda_direct_route(r->direct, &u->route, 1, r->s);
	if (!st)
		st = cuda_direct_counts(r->direct, &u->route, 1, r->s,
					&matrix);
	for (s = 0; s < r->b->n && !st; s++) {
		for (e = 0; e < u->c->experts; e++)
			*wrong += matrix[s * u->c->experts + e] !=
				  kept_of(u, s, e);
	}
	if (!st)
		st = cuda_direct_dispatch(r->direct, &u->route, u->x,
					  u->row_bytes, u->to, r->s);
	if (st)
		return st;
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->s));
	st = cuda_direct_error(r->direct);
	if (!st) {
		int32_t *mine[RANKS_MAX], *away[RANKS_MAX];
		size_t pairs = (size_t)(u->c->tokens * u->c->k) + 1;
		int32_t *first = xcalloc((size_t)(u->c->experts * r->b->n), 4);
		int32_t *count = xcalloc((size_t)u->c->experts, 4);
		struct ffn_rows rows;
		int d;

		for (d = 0; d < r->b->n; d++) {
			mine[d] = xcalloc(pairs, 4);
			away[d] = xcalloc(pairs, 4);
			layout_of(u, r->b->n, d, first, count, &rows);
			places_of(u, r->b->n, d, r->rank, first, away[d]);
		}
		layout_of(u, r->b->n, r->rank, first, count, &rows);
		for (d = 0; d < r->b->n; d++)
			places_of(u, r->b->n, r->rank, d, first, mine[d]);
		st = bench_spoil(r, u->to);
		if (!st)
			st = check_rows(r, u, mine, wrong);
		if (!st)
			st = upload_values(u->to, (uint64_t)u->rows *
					   (uint64_t)u->c->hidden, u->c->bf16,
					   r->rank, 1);
		if (!st)
			st = upload_values(u->pair, (uint64_t)u->rows, false,
					   r->rank, 2);
		if (!st)
			st = cuda_direct_combine(r->direct, &u->route, &c, 1,
						 r->s);
		if (!st)
			st = cuda_status(cudaStreamSynchronize(r->s),
					 "cudaStreamSynchronize()");
		if (!st)
			st = cuda_direct_error(r->direct);
		if (!st)
			st = check_sums(r, u, away, wrong);
		for (d = 0; d < r->b->n; d++) {
			free(mine[d]);
			free(away[d]);
		}
		free(first);
		free(count);
	}
out:
	return st;
}

static enum status one_direct(struct bench_rank *r, const struct direct_case *c,
			      int seed)
{
	struct direct_run u = { .c = c };
	int n = r->b->n, wrong = 0, s;
	int32_t *first = xcalloc((size_t)(c->experts * n), 4);
	int32_t *count = xcalloc((size_t)c->experts, 4);
	struct ffn_rows rows;
	enum status st;

	make_routing(&u, n, seed);
	lay_out(&u, n);
	layout_of(&u, n, r->rank, first, count, &rows);
	u.rows = ffn_rows_first(&rows, rows.experts);
	u.route.rows_max = u.rows;
	st = bench_window(r, u.end);
	if (!st)
		st = upload(r, &u);
	if (!st)
		st = run_direct(r, &u, &wrong);
	if (!st)
		wrong = (int)bench_largest(r, wrong);
	if (!st && bench_count(r, wrong))
		printf("check direct %d tokens, %d experts, k %d, hidden %d, "
		       "skew %g, capacity %d, %s, %s: %d wrong\n", c->tokens,
		       c->experts, c->k, c->hidden, c->skew, c->capacity,
		       c->bf16 ? "bf16" : "fp32",
		       rows.stride ? "padded" : "packed", wrong);
	cudaFree(u.route.place);
	cudaFree(u.route.slot);
	cudaFree(u.route.kept);
	cudaFree(u.route.row_weight);
	cudaFree(u.to);
	cudaFree(u.out);
	cudaFree(u.pair);
	for (s = 0; s < n; s++)
		bench_routing_free(&u.g[s]);
	free(first);
	free(count);
	return st;
}

enum status bench_check_direct(struct bench_rank *r)
{
	static const struct direct_case cases[] = {
		{ 257, 64, 8, 2, 0, 0, 0, true },
		{ 300, 4104, 16, 4, 0.7, 0, 0, true },
		{ 199, 20, 8, 3, 0.9, 0, 0, false },
		{ 512, 2048, 64, 6, 0, 0, 0, true },
		{ 256, 128, 8, 2, 0.5, 40, 40 * RANKS_MAX, true },
		{ 100, 5000, 8, 8, 0, 0, 0, false },
		{ 1, 8, 8, 1, 0, 0, 0, true },
	};
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < COUNT(cases) && !st; i++)
		st = one_direct(r, &cases[i], (int)i);
	return st;
}
