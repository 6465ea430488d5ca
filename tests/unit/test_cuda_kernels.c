/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gate's kernels and the direct exchange without NCCL, cuBLAS and graphs,
 * so that compute-sanitizer can look at every one of them
 * (tests/sanitize_gpu.sh). Experts return what they get: with whole numbers in
 * the rows, what comes home is k times the token, exactly. Ranks are threads,
 * on one device where there are not enough; MOECAST_KERNELS_RANKS: how many.
 * Skipped without a GPU.
 */
#include "gpu/cuda.h"
#include "gpu/cuda_direct_cells.h"
#include "gpu/k.h"
#include "gpu/k_layer.h"
#include "gpu/ranks.h"
#include "gpu/ref.h"

#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RANKS_MAX 4
#define VALUES 31		/* of rows' elements: -15 .. 15 */
#define ROWS_EACH 128		/* padding of an expert, at most */
#define TIMEOUT_S 20

struct shape {
	int tokens, columns, experts, k, chunks;
	bool bf16;
};

struct world {
	struct ranks *all;
	int n, devices;
	const void *card[RANKS_MAX];
	const struct shape *s;
	int wrong[RANKS_MAX];
};

/* What a rank has: offsets are into the window. */
struct rank_data {
	struct world *w;
	int rank;
	cudaStream_t stream;
	char *window;
	uint64_t x, ids, pos, weights, cells, pair, stage, bytes;
	struct cuda_direct *direct;
	struct direct_cells c;
	int32_t *keys, *totals, *host_kept;
	int64_t *bases, room;
	void *workspace;
	char *rows, *out;
};

static struct world world;

static size_t element(const struct shape *s)
{
	return s->bf16 ? sizeof(uint16_t) : sizeof(float);
}

static float value(int rank, int t, int c)
{
	return (float)((rank * 7 + t * 13 + c * 5) % VALUES - VALUES / 2);
}

static float weight(int rank, int pair)
{
	return 1.0f + (float)(rank * 1000 + pair);
}

static enum status gather(void *arg, const void *mine, size_t bytes, void *all)
{
	struct rank_data *d = arg;
	int p;

	d->w->card[d->rank] = mine;
	if (!ranks_barrier(d->w->all))
		return err_set(ST_FAIL, "another rank failed");
	for (p = 0; p < d->w->n; p++)
		memcpy((char *)all + (size_t)p * bytes, d->w->card[p], bytes);
	return ranks_barrier(d->w->all) ? ST_OK
		: err_set(ST_FAIL, "another rank failed");
}

static uint64_t take(uint64_t *end, uint64_t bytes)
{
	uint64_t at = *end;

	*end += (bytes + 255) / 256 * 256;
	return at;
}

static void lay_out(struct rank_data *d)
{
	const struct shape *s = d->w->s;
	uint64_t rows = (uint64_t)s->tokens * (uint64_t)s->columns *
			element(s);
	uint64_t pairs = (uint64_t)(s->tokens * s->k) * sizeof(int32_t);

	d->x = take(&d->bytes, rows);
	d->ids = take(&d->bytes, pairs);
	d->pos = take(&d->bytes, pairs);
	d->weights = take(&d->bytes, pairs);
	d->pair = take(&d->bytes, pairs);
	d->cells = take(&d->bytes, (uint64_t)(d->w->n * s->chunks *
					      s->experts) * 8);
	d->stage = take(&d->bytes, rows * (uint64_t)d->w->n);
	d->room = (int64_t)d->w->n * s->tokens * s->k * 2 +
		  (int64_t)s->experts * ROWS_EACH;
}

static enum status make_memory(struct rank_data *d)
{
	const struct shape *s = d->w->s;
	size_t row = (size_t)s->columns * element(s);
	size_t rows = (size_t)d->room * (size_t)s->chunks;
	size_t cells = (size_t)(s->chunks * s->experts);
	size_t pairs = (size_t)(s->tokens * s->k);
	enum status st;

	CUDA_GOTO(out, st, cudaStreamCreateWithFlags(&d->stream,
						     cudaStreamNonBlocking));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->window, d->bytes));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->rows, rows * row));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->out, d->bytes));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->keys, pairs * 4));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->totals, cells * 4));
	CUDA_GOTO(out, st, cudaMalloc(&d->workspace, k_sort_workspace_bytes(
		pairs, K_EXPERTS_MAX)));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->bases,
				      (size_t)(s->chunks + 1) * 8));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->c.place, 4 * pairs *
				      (size_t)d->w->n));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->c.slot, 12 * cells));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->c.kept, 4 * cells));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->c.tail, 8 * cells));
	CUDA_GOTO(out, st, cudaMalloc((void **)&d->c.row_weight, rows * 4));
	CUDA_GOTO(out, st, cudaHostAlloc((void **)&d->host_kept, 4 * cells,
					 cudaHostAllocMapped));
	CUDA_GOTO(out, st, cudaHostGetDevicePointer(
		(void **)&d->c.host_kept, d->host_kept, 0));
out:
	return st;
}

static void free_memory(struct rank_data *d)
{
	cuda_direct_close(d->direct, !ranks_failed(d->w->all));
	cudaFree(d->window);
	cudaFree(d->rows);
	cudaFree(d->out);
	cudaFree(d->keys);
	cudaFree(d->totals);
	cudaFree(d->workspace);
	cudaFree(d->bases);
	cudaFree(d->c.place);
	cudaFree(d->c.slot);
	cudaFree(d->c.kept);
	cudaFree(d->c.tail);
	cudaFree(d->c.row_weight);
	cudaFreeHost(d->host_kept);
	if (d->stream)
		cudaStreamDestroy(d->stream);
}

/* Experts of a token follow each other; more tokens begin with the first. */
static void make_ids(const struct rank_data *d, int32_t *ids)
{
	const struct shape *s = d->w->s;
	int t, j, first;

	for (t = 0; t < s->tokens; t++) {
		first = t % 3 ? (t * 11 + d->rank) % s->experts : 0;
		for (j = 0; j < s->k; j++)
			ids[t * s->k + j] = (first + j) % s->experts;
	}
}

static void put(const struct shape *s, void *p, size_t at, float f)
{
	uint16_t h = ref_bf16(f);

	if (s->bf16)
		memcpy((char *)p + at * sizeof(h), &h, sizeof(h));
	else
		memcpy((char *)p + at * sizeof(f), &f, sizeof(f));
}

static enum status upload(struct rank_data *d)
{
	const struct shape *s = d->w->s;
	size_t n = (size_t)s->tokens * (size_t)s->columns, i;
	size_t pairs = (size_t)(s->tokens * s->k);
	char *x = xcalloc(n, element(s));
	int32_t *ids = xcalloc(pairs, sizeof(*ids));
	float *w = xcalloc(pairs, sizeof(*w));
	int64_t *base = xcalloc((size_t)s->chunks + 1, sizeof(*base));
	enum status st;

	for (i = 0; i < n; i++)
		put(s, x, i, value(d->rank, (int)(i / (size_t)s->columns),
				   (int)(i % (size_t)s->columns)));
	make_ids(d, ids);
	for (i = 0; i < pairs; i++)
		w[i] = weight(d->rank, (int)i);
	for (i = 0; i <= (size_t)s->chunks; i++)
		base[i] = (int64_t)i * d->room;
	CUDA_GOTO(out, st, cudaMemset(d->window, 0xff, d->bytes));
	CUDA_GOTO(out, st, cudaMemcpy(d->window + d->x, x, n * element(s),
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(d->window + d->ids, ids, pairs * 4,
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(d->window + d->weights, w, pairs * 4,
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(d->bases, base,
				      (size_t)(s->chunks + 1) * 8,
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaDeviceSynchronize());
out:
	free(x);
	free(ids);
	free(w);
	free(base);
	return st;
}

/* Positions by (chunk, expert, token), cells, places. */
static enum status route(struct rank_data *d)
{
	const struct shape *s = d->w->s;
	uint64_t pairs = (uint64_t)(s->tokens * s->k);
	const int32_t *ids = (int32_t *)(d->window + d->ids);
	int32_t *pos = (int32_t *)(d->window + d->pos);
	enum status st;

	d->c.tokens = s->tokens;
	d->c.k = s->k;
	d->c.experts = s->experts;
	d->c.chunks = s->chunks;
	d->c.ids = d->ids;
	d->c.pos = d->pos;
	d->c.weights = d->weights;
	d->c.cells = d->cells;
	d->c.totals = d->totals;
	d->c.row_base = d->bases;
	CUDA_GOTO(out, st, k_layer_keys(ids, d->keys, (uint64_t)s->tokens,
					s->experts, s->k, s->chunks,
					s->chunks, d->stream));
	CUDA_GOTO(out, st, k_sort_counts(d->keys, pos, pairs,
					 s->chunks * s->experts, d->totals,
					 d->workspace, d->stream));
	st = cuda_direct_cells(d->direct, &d->c, 0, d->stream);
	if (!st)
		st = cuda_direct_places(d->direct, &d->c, d->stream);
out:
	return st;
}

/* There and back, a chunk after the other. */
static enum status exchange(struct rank_data *d)
{
	const struct shape *s = d->w->s;
	uint64_t row = (uint64_t)s->columns * element(s), token;
	enum status st = ST_OK;
	int i;

	for (i = 0; i < s->chunks && !st; i++) {
		struct direct_route r = cuda_direct_chunk(d->direct, &d->c, i);
		char *rows = d->rows + (uint64_t)(i * d->room) * row;
		struct direct_combine c = {
			.rows = rows, .columns = s->columns, .bf16 = s->bf16,
			.is_marked = true,
			.pair = d->c.row_weight + i * d->room,
		};

		token = (uint64_t)order_first(s->tokens, i, s->chunks);
		c.stage = d->stage + token * (uint64_t)d->w->n * row;
		c.out = d->out + token * row;
		c.out_pair = d->pair + token * (uint64_t)s->k * 4;
		/* few and large blocks, or many */
		cuda_direct_limit(d->direct, i % 2 ? 2 : 0);
		st = cuda_direct_dispatch(d->direct, &r, d->x + token * row,
					  row, rows, d->stream);
		if (!st)
			st = cuda_direct_combine(d->direct, &r, &c, 0,
						 d->stream);
	}
	if (!st)
		CUDA_GOTO(out, st, cudaStreamSynchronize(d->stream));
	if (!st)
		st = cuda_direct_error(d->direct);
out:
	return st;
}

static float get(const struct shape *s, const void *p, size_t at)
{
	uint16_t h;
	float f;

	if (s->bf16) {
		memcpy(&h, (const char *)p + at * sizeof(h), sizeof(h));
		return ref_from_bf16(h);
	}
	memcpy(&f, (const char *)p + at * sizeof(f), sizeof(f));
	return f;
}

static enum status compare(struct rank_data *d)
{
	const struct shape *s = d->w->s;
	size_t n = (size_t)s->tokens * (size_t)s->columns, i;
	size_t pairs = (size_t)(s->tokens * s->k);
	char *y = xcalloc(n, element(s));
	float *w = xcalloc(pairs, sizeof(*w));
	enum status st;

	CUDA_GOTO(out, st, cudaMemcpy(y, d->out, n * element(s),
				      cudaMemcpyDeviceToHost));
	CUDA_GOTO(out, st, cudaMemcpy(w, d->window + d->pair, pairs * 4,
				      cudaMemcpyDeviceToHost));
	for (i = 0; i < n; i++) {
		float want = (float)s->k *
			     value(d->rank, (int)(i / (size_t)s->columns),
				   (int)(i % (size_t)s->columns));

		d->w->wrong[d->rank] += !(get(s, y, i) == want);
	}
	for (i = 0; i < pairs; i++)
		d->w->wrong[d->rank] += !(w[i] == weight(d->rank, (int)i));
out:
	free(y);
	free(w);
	return st;
}

static enum status one_rank(void *arg, int rank)
{
	struct world *w = arg;
	struct rank_data d = { .w = w, .rank = rank };
	struct direct_group g = { .rank = rank, .ranks = w->n,
				  .gather = gather, .arg = &d,
				  .timeout_s = TIMEOUT_S };
	int limit;
	enum status st;

	CUDA_GOTO(out, st, cudaSetDevice(rank % w->devices));
	lay_out(&d);
	st = make_memory(&d);
	if (!st)
		st = cuda_direct_open(&g, d.window, &d.direct);
	/* twice: everything is left as the next exchange wants it; then with
	 * few large blocks */
	for (limit = 0; limit < 3 && !st; limit++) {
		cuda_direct_limit(d.direct, limit ? 2 * limit - 1 : 0);
		st = upload(&d);
		if (!st && !ranks_barrier(w->all))
			st = err_set(ST_FAIL, "another rank failed");
		if (!st)
			st = route(&d);
		if (!st)
			st = exchange(&d);
		if (!st)
			st = compare(&d);
		if (!st && !ranks_barrier(w->all))
			st = err_set(ST_FAIL, "another rank failed");
	}
	free_memory(&d);
out:
	return st;
}

static void test_exchange(void **state)
{
	static const struct shape shapes[] = {
		{ 96, 64, 8, 2, 1, true },
		{ 61, 72, 4, 3, 1, false },
		{ 700, 256, 8, 4, 1, false },
		{ 200, 64, 16, 2, 3, true },
		{ 150, 32, 128, 8, 6, true },	/* more bins than a block */
		{ 5, 32, 8, 2, 8, false },	/* chunks without tokens */
		{ 64, 4352, 8, 2, 1, true },	/* rows in pieces */
	};
	size_t i;
	int r;

	(void)state;
	if (!world.n)
		skip();
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		world.s = &shapes[i];
		memset(world.wrong, 0, sizeof(world.wrong));
		if (ranks_call(world.all, one_rank, &world))
			fail_msg("shape %zu: %s", i, err_msg());
		for (r = 0; r < world.n; r++)
			assert_int_equal(world.wrong[r], 0);
	}
}

/* Weights of the chosen alone, by their softmax in double precision. */
static int choose_differs(const float *logits, const int32_t *id,
			  const float *w, const int32_t *want, int k)
{
	double sum = 0, p;
	int j, wrong = 0;

	for (j = 0; j < k; j++)
		sum += exp((double)logits[want[j]] - (double)logits[want[0]]);
	for (j = 0; j < k; j++) {
		p = exp((double)logits[want[j]] -
			(double)logits[want[0]]) / sum;
		wrong += id[j] != want[j] || !(fabs((double)w[j] - p) < 1e-6);
	}
	return wrong;
}

/* On managed memory: both sides read it. */
static void *managed(size_t bytes)
{
	void *p = NULL;

	assert_int_equal(cudaMallocManaged(&p, bytes, cudaMemAttachGlobal),
			 cudaSuccess);
	return p;
}

static void check_gate(int m, int n, int k)
{
	size_t pairs = (size_t)(m * k), i, logits = (size_t)(m * n);
	float *x = managed(logits * sizeof(*x)), *w = managed(pairs * 4);
	int32_t *ids = managed(pairs * 4), *pos = managed(pairs * 4);
	int32_t *total = managed((size_t)n * 4);
	void *workspace = managed(k_sort_workspace_bytes(pairs, n));
	int32_t *want = xcalloc(pairs, 4), *want_pos = xcalloc(pairs, 4);
	int32_t *counts = xcalloc((size_t)n, 4);
	float *all = xcalloc(pairs, 4);
	int t;

	for (i = 0; i < logits; i++)
		x[i] = ref_logit(17, i);
	ref_topk(x, (uint64_t)m, n, k, want, all, counts);
	ref_sort(want, pairs, n, want_pos);
	assert_int_equal(k_layer_choose(x, ids, w, (uint64_t)m, n, k, 0), 0);
	assert_int_equal(k_sort_counts(ids, pos, pairs, n, total, workspace,
				       0), 0);
	assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
	for (t = 0; t < m; t++)
		assert_int_equal(choose_differs(x + (size_t)(t * n),
						ids + t * k, w + t * k,
						want + t * k, k), 0);
	assert_memory_equal(pos, want_pos, pairs * 4);
	assert_memory_equal(total, counts, (size_t)n * 4);
	cudaFree(x);
	cudaFree(w);
	cudaFree(ids);
	cudaFree(pos);
	cudaFree(total);
	cudaFree(workspace);
	free(want);
	free(want_pos);
	free(counts);
	free(all);
}

static void test_gate(void **state)
{
	(void)state;
	if (!world.n)
		skip();
	assert_int_equal(cudaSetDevice(0), cudaSuccess);
	check_gate(1, 1, 1);
	check_gate(700, 8, 2);
	check_gate(333, 9, 9);
	check_gate(1000, 64, 6);
	check_gate(515, 128, 8);
	check_gate(40, 300, 40);
	check_gate(33, 1024, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_exchange),
	};
	const char *ranks = getenv("MOECAST_KERNELS_RANKS");
	int failed;

	if (cudaGetDeviceCount(&world.devices) != cudaSuccess)
		world.devices = 0;
	world.n = !world.devices ? 0 : ranks ? (int)strtol(ranks, NULL, 10)
					     : 2;
	if (world.n > RANKS_MAX || (world.n && ranks_start(world.n,
							   &world.all)))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ranks_stop(world.all);
	return failed ? 1 : 0;
}
