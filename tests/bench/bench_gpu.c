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

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

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
	int n = argc > 1 ? argc - 1 : (int)COUNT(all), i;
	enum status st = ST_OK;

	for (i = 0; i < n && !st; i++) {
		b->what = argc > 1 ? argv[i + 1] : all[i];
		st = ranks_call(b->all, rank_run, b);
	}
	return st;
}

int main(int argc, char **argv)
{
	struct bench *b = NULL;
	enum status st = bench_open(&b);

	if (st == ST_UNAVAILABLE) {
		fprintf(stderr, "bench_gpu: %s\n", err_msg());
		return 77;
	}
	if (!st)
		st = run_all(b, argc, argv);
	if (st)
		fprintf(stderr, "bench_gpu: %s\n", err_msg());
	fflush(stdout);
	_Exit(st || b->wrong ? 1 : 0);
}
