/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of bench_gpu share: ranks as threads, data, times. */
#ifndef TESTS_BENCH_GPU_H
#define TESTS_BENCH_GPU_H

#include "gpu/cuda.h"
#include "gpu/cuda_direct.h"
#include "gpu/cuda_ffn.h"
#include "gpu/ranks.h"

#define RANKS_MAX 8
#define CARD_MAX 4096

struct bench;

struct bench_rank {
	struct bench *b;
	int rank;
	cudaStream_t s;
	cudaEvent_t start, stop;
	char *window;
	uint64_t window_bytes;
	struct cuda_direct *direct;
	ncclComm_t comm;
};

struct bench {
	int n;
	struct ranks *all;
	ncclUniqueId id;
	char cards[RANKS_MAX][CARD_MAX];
	double number[RANKS_MAX];	/* for largest() */
	struct bench_rank rank[RANKS_MAX];
	const char *what;		/* argument of the run */
};

/* One batch of work on r->s, `n` times. */
typedef enum status bench_fn(struct bench_rank *r, void *arg);

/* Median seconds of one call, of the slowest rank; batches of `n` calls,
 * as a CUDA graph or as they come. All ranks together. */
enum status bench_time(struct bench_rank *r, bench_fn *fn, void *arg, int n,
		       bool as_graph, double *seconds_p);

/* The largest of all ranks' numbers. */
double bench_largest(struct bench_rank *r, double mine);

/* A window of so many bytes (contents lost) and its exchange. */
enum status bench_window(struct bench_rank *r, uint64_t bytes);

/* Random routing of a rank's tokens: k different experts each; `skew` 0 for
 * even, else expert 0 is drawn so much more often. The host's arrays. */
struct bench_routing {
	int tokens, k, experts;
	int32_t *ids, *pos, *counts;	/* [tokens * k], same, [experts] */
	float *weights;
};
void bench_routing_make(struct bench_routing *g, int tokens, int k,
			int experts, double skew, uint64_t seed);
void bench_routing_free(struct bench_routing *g);

/* bench_gpu_watch.c: bf16 numbers of about the normal distribution times
 * `scale`; one such number. */
enum status bench_fill(struct bench_rank *r, void *to, uint64_t n_elements,
		       double scale);
double bench_normal(uint64_t *state);

/* NVML's handle, NULL without; clock and power until r->stop has come. */
void *bench_watch_open(int device);
void bench_watch(struct bench_rank *r, void *device);

/* bench_gpu_check.c, _ffn.c, _layer.c, _tune.c: one rank's part, results on stdout
 * by rank 0. */
enum status bench_check_direct(struct bench_rank *r);
enum status bench_check_ffn(struct bench_rank *r);
enum status bench_layers(struct bench_rank *r);
enum status bench_tune(struct bench_rank *r);

#endif
