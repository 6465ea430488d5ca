/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_gpu [check|alltoall|layers|tune]...: the exchange of our own and the
 * experts' products on every GPU of this host, a thread for each: first
 * whether they are right, then how fast they are.
 */
#include "bench_gpu.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES 5
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

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

struct exchange {
	uint64_t bytes;		/* one rank's, all blocks */
	int way;		/* -1: NCCL */
};

static enum status exchange_once(struct bench_rank *r, void *arg)
{
	const struct exchange *x = arg;
	char *to = r->window + x->bytes;

	if (x->way >= 0)
		return cuda_direct_alltoall(r->direct, 0, x->bytes,
					    x->bytes / (uint64_t)r->b->n,
					    (enum direct_way)x->way, 0, r->s);
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0)
	return cuda_status_nccl(ncclAlltoAll(
		r->window, to, x->bytes / (uint64_t)r->b->n, ncclChar, r->comm,
		r->s), "ncclAlltoAll()");
#else
	(void)to;
	return err_set(ST_UNAVAILABLE, "no ncclAlltoAll()");
#endif
}

/* Does every block hold what its source has sent? The source's first words
 * and last ones of each block are its number, the destination's and these. */
static enum status mark(struct bench_rank *r, uint64_t bytes, bool check,
			int *wrong)
{
	uint64_t block = bytes / (uint64_t)r->b->n;
	enum status st = ST_OK;
	int p, end;

	for (p = 0; p < r->b->n; p++) {
		for (end = 0; end < 2; end++) {
			uint64_t at = (uint64_t)p * block + (end ? block - 4
								 : 0);
			int32_t v = (r->rank * RANKS_MAX + p) * 2 + end + 1;
			int32_t got;

			if (!check) {
				CUDA_GOTO(out, st, cudaMemcpy(
					r->window + at, &v, 4,
					cudaMemcpyHostToDevice));
				continue;
			}
			CUDA_GOTO(out, st, cudaMemcpy(
				&got, r->window + bytes + at, 4,
				cudaMemcpyDeviceToHost));
			*wrong += got != (p * RANKS_MAX + r->rank) * 2 + end + 1;
		}
	}
	if (check) {
		CUDA_GOTO(out, st, cudaMemset(r->window + bytes, 0, bytes));
		CUDA_GOTO(out, st, cudaDeviceSynchronize());
	}
out:
	return st;
}

struct try {
	const char *name;
	int way, ctas;
};

static enum status one_size(struct bench_rank *r, uint64_t bytes)
{
	static const struct try tries[] = {
		{ "nccl", -1, 0 }, { "store16", DIRECT_STORE, 16 },
		{ "store32", DIRECT_STORE, 32 },
		{ "store128", DIRECT_STORE, 128 },
		{ "bulk8", DIRECT_BULK, 8 }, { "bulk16", DIRECT_BULK, 16 },
		{ "bulk32", DIRECT_BULK, 32 }, { "bulk64", DIRECT_BULK, 64 },
		{ "engine", DIRECT_ENGINE, 0 }, { "auto", DIRECT_AUTO, 0 },
	};
	bool is_small = bytes <= 8u << 20;
	struct exchange x = { bytes, 0 };
	enum status st = ST_OK;
	double s, loop;
	int wrong = 0;
	size_t i;

	if (r->rank == 0)
		printf("%8.0f KB", (double)bytes / 1024);
	for (i = 0; i < COUNT(tries) && !st; i++) {
		x.way = tries[i].way;
		cuda_direct_limit(r->direct, tries[i].ctas);
		st = mark(r, bytes, false, NULL);
		if (!st)
			st = bench_time(r, exchange_once, &x, is_small ? 50 : 5,
					is_small, &s);
		if (!st && is_small && (!i || i + 1 == COUNT(tries)))
			st = bench_time(r, exchange_once, &x, 50, false,
					&loop);
		if (st)
			break;
		if (r->rank == 0)
			printf("  %s %.1f", tries[i].name, s * 1e6);
		if (r->rank == 0 && is_small &&
		    (!i || i + 1 == COUNT(tries)))
			printf(" (loop %.1f)", loop * 1e6);
		st = mark(r, bytes, true, &wrong);
	}
	cuda_direct_limit(r->direct, 0);
	wrong = (int)bench_largest(r, wrong);
	if (r->rank == 0)
		printf("  us%s\n", wrong ? "  WRONG" : "");
	fflush(stdout);
	return st;
}

static enum status bench_alltoall(struct bench_rank *r)
{
	const uint64_t most = 1ull << 30;
	enum status st = bench_window(r, 2 * most);
	uint64_t bytes;

	if (r->rank == 0)
		printf("# alltoall of %d ranks, bytes of one rank; as graph "
		       "up to 8 MB\n", r->b->n);
	for (bytes = 1024; bytes <= most && !st; bytes *= 4)
		st = one_size(r, bytes);
	return st;
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

static enum status rank_run(void *arg, int rank)
{
	struct bench *b = arg;
	struct bench_rank *r = &b->rank[rank];
	enum status st;

	cudaSetDevice(rank);
	if (!strcmp(b->what, "check")) {
		st = bench_check_direct(r);
		return st ? st : bench_check_ffn(r);
	}
	if (!strcmp(b->what, "alltoall"))
		return bench_alltoall(r);
	if (!strcmp(b->what, "layers"))
		return bench_layers(r);
	if (!strcmp(b->what, "tune"))
		return bench_tune(r);
	return err_set(ST_INPUT, "'%s': check, alltoall, layers or tune",
		       b->what);
}

static enum status run_all(struct bench *b, int argc, char **argv)
{
	static const char *const all[] = { "check", "alltoall", "layers" };
	enum status st = ranks_call(b->all, rank_open, b);
	int n = argc > 1 ? argc - 1 : (int)COUNT(all), i;

	for (i = 0; i < n && !st; i++) {
		b->what = argc > 1 ? argv[i + 1] : all[i];
		st = ranks_call(b->all, rank_run, b);
	}
	return st;
}

int main(int argc, char **argv)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	enum status st;

	setenv("NCCL_NVLS_ENABLE", "0", 1);
	if (cudaGetDeviceCount(&b->n) != cudaSuccess || b->n < 1) {
		fprintf(stderr, "bench_gpu: no GPU\n");
		return 77;
	}
	if (b->n > RANKS_MAX)
		b->n = RANKS_MAX;
	st = cuda_status_nccl(ncclGetUniqueId(&b->id), "ncclGetUniqueId()");
	if (!st)
		st = ranks_start(b->n, &b->all);
	if (!st)
		st = run_all(b, argc, argv);
	if (st)
		fprintf(stderr, "bench_gpu: %s\n", err_msg());
	fflush(stdout);
	_Exit(st ? 1 : 0);
}
