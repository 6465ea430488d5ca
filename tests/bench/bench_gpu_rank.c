/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ranks as threads, one for each GPU, their windows, data and times. */
#include "bench_gpu.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define BATCHES 5

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_largest(struct bench_rank *r, double mine)
{
	double most = 0;
	int i;

	r->b->number[r->rank] = mine;
	ranks_barrier(r->b->all);
	for (i = 0; i < r->b->n; i++)
		most = r->b->number[i] > most ? r->b->number[i] : most;
	ranks_barrier(r->b->all);
	return most;
}

bool bench_count(struct bench_rank *r, bool mine)
{
	bool any = bench_largest(r, mine) > 0;

	if (r->rank)
		return false;
	r->b->checks++;
	r->b->wrong += any;
	return true;
}

enum status bench_spoil(struct bench_rank *r, void *device)
{
	/* of neither type a number that comes up here: 5e4 and more */
	return !r->b->plant_fault ? ST_OK :
		cuda_status(cudaMemset(device, 0x47, 4), "cudaMemset()");
}

static enum status call_n(struct bench_rank *r, bench_fn *fn, void *arg, int n)
{
	enum status st = ST_OK;
	int i;

	for (i = 0; i < n && !st; i++)
		st = fn(r, arg);
	return st;
}

static enum status capture(struct bench_rank *r, bench_fn *fn, void *arg,
			   int n, cudaGraphExec_t *out_p)
{
	cudaGraph_t graph = NULL;
	enum status st;

	CUDA_GOTO(out, st, cudaStreamBeginCapture(
		r->s, cudaStreamCaptureModeThreadLocal));
	st = call_n(r, fn, arg, n);
	if (cudaStreamEndCapture(r->s, &graph) != cudaSuccess && !st)
		st = err_set(ST_FAIL, "capture failed");
	if (!st)
		CUDA_GOTO(out, st, cudaGraphInstantiate(out_p, graph, 0));
out:
	if (graph)
		cudaGraphDestroy(graph);
	return st;
}

static enum status one_batch(struct bench_rank *r, bench_fn *fn, void *arg,
			     int n, cudaGraphExec_t graph, double *s_p)
{
	float ms;
	enum status st;

	ranks_barrier(r->b->all);
	CUDA_GOTO(out, st, cudaEventRecord(r->start, r->s));
	if (graph)
		CUDA_GOTO(out, st, cudaGraphLaunch(graph, r->s));
	else
		st = call_n(r, fn, arg, n);
	if (st)
		return st;
	CUDA_GOTO(out, st, cudaEventRecord(r->stop, r->s));
	CUDA_GOTO(out, st, cudaEventSynchronize(r->stop));
	CUDA_GOTO(out, st, cudaEventElapsedTime(&ms, r->start, r->stop));
	*s_p = bench_largest(r, (double)ms * 1e-3 / n);
	if (r->direct)
		st = cuda_direct_error(r->direct);
out:
	return st;
}

enum status bench_time(struct bench_rank *r, bench_fn *fn, void *arg, int n,
		       bool as_graph, double *seconds_p)
{
	cudaGraphExec_t graph = NULL;
	double s[BATCHES], first;
	enum status st;
	int i;

	st = one_batch(r, fn, arg, 1, NULL, &first);	/* warms up */
	if (!st && as_graph)
		st = capture(r, fn, arg, n, &graph);
	if (!st && graph)
		st = one_batch(r, fn, arg, n, graph, &first);
	for (i = 0; i < BATCHES && !st; i++)
		st = one_batch(r, fn, arg, n, graph, &s[i]);
	if (graph)
		cudaGraphExecDestroy(graph);
	if (st)
		return st;
	qsort(s, BATCHES, sizeof(*s), ascending);
	*seconds_p = s[BATCHES / 2];
	return ST_OK;
}

static enum status gather(void *arg, const void *mine, size_t bytes, void *all)
{
	struct bench_rank *r = arg;
	int i;

	if (bytes > CARD_MAX)
		return err_set(ST_FAIL, "card of %zu bytes", bytes);
	memcpy(r->b->cards[r->rank], mine, bytes);
	if (!ranks_barrier(r->b->all))
		return err_set(ST_FAIL, "another rank failed");
	for (i = 0; i < r->b->n; i++)
		memcpy((char *)all + (size_t)i * bytes, r->b->cards[i], bytes);
	return ranks_barrier(r->b->all) ? ST_OK
		: err_set(ST_FAIL, "another rank failed");
}

enum status bench_window(struct bench_rank *r, uint64_t bytes)
{
	struct direct_group g = {
		.rank = r->rank, .ranks = r->b->n, .gather = gather, .arg = r
	};
	enum status st;

	if (r->direct) {
		cuda_direct_close(r->direct, true);
		r->direct = NULL;
	}
	ranks_barrier(r->b->all);
	CUDA_GOTO(out, st, cudaFree(r->window));
	r->window = NULL;
	CUDA_GOTO(out, st, cudaMalloc((void **)&r->window, bytes));
	CUDA_GOTO(out, st, cudaMemset(r->window, 0, bytes));
	CUDA_GOTO(out, st, cudaDeviceSynchronize());
	r->window_bytes = bytes;
	st = cuda_direct_open(&g, r->window, &r->direct);
out:
	return st;
}

static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static int32_t draw(struct bench_routing *g, double skew, uint64_t *state)
{
	if (skew > 0 && (double)(next(state) % 1000) < 1000 * skew)
		return 0;
	return (int32_t)(next(state) % (uint64_t)g->experts);
}

void bench_routing_make(struct bench_routing *g, int tokens, int k,
			int experts, double skew, uint64_t seed)
{
	int32_t *at = xcalloc((size_t)experts + 1, sizeof(*at));
	int n = tokens * k, i, j, e;
	uint64_t state = seed;

	*g = (struct bench_routing){ .tokens = tokens, .k = k,
				     .experts = experts };
	g->ids = xcalloc((size_t)n + 1, sizeof(*g->ids));
	g->pos = xcalloc((size_t)n + 1, sizeof(*g->pos));
	g->weights = xcalloc((size_t)n + 1, sizeof(*g->weights));
	g->counts = xcalloc((size_t)experts, sizeof(*g->counts));
	for (i = 0; i < n; i++) {
		do {
			e = draw(g, skew, &state);
			for (j = i - i % k; j < i && g->ids[j] != e; j++)
				;
		} while (j < i);
		g->ids[i] = e;
		g->weights[i] = (float)(next(&state) % 128 + 1) / 128;
		g->counts[e]++;
	}
	for (e = 0; e < experts; e++)
		at[e + 1] = at[e] + g->counts[e];
	for (i = 0; i < n; i++)
		g->pos[i] = at[g->ids[i]]++;
	free(at);
}

void bench_routing_free(struct bench_routing *g)
{
	free(g->ids);
	free(g->pos);
	free(g->weights);
	free(g->counts);
}

static enum status rank_open(void *arg, int rank)
{
	struct bench *b = arg;
	struct bench_rank *r = &b->rank[rank];
	enum status st;

	r->b = b;
	r->rank = rank;
	CUDA_GOTO(out, st, cudaSetDevice(rank));
	CUDA_GOTO(out, st, cudaStreamCreateWithFlags(&r->s,
						     cudaStreamNonBlocking));
	CUDA_GOTO(out, st, cudaEventCreate(&r->start));
	CUDA_GOTO(out, st, cudaEventCreate(&r->stop));
	NCCL_GOTO(out, st, ncclCommInitRank(&r->comm, b->n, b->id, rank));
out:
	return st;
}

enum status bench_open(struct bench **out_p)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	enum status st;

	setenv("NCCL_NVLS_ENABLE", "0", 1);
	if (cudaGetDeviceCount(&b->n) != cudaSuccess || b->n < 1) {
		free(b);
		return err_set(ST_UNAVAILABLE, "no GPU");
	}
	if (b->n > RANKS_MAX)
		b->n = RANKS_MAX;
	*out_p = b;
	st = cuda_status_nccl(ncclGetUniqueId(&b->id), "ncclGetUniqueId()");
	if (!st)
		st = ranks_start(b->n, &b->all);
	return st ? st : ranks_call(b->all, rank_open, b);
}
