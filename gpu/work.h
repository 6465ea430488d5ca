/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One benchmark case, as plain data without pointers (so that it can be sent
 * to other processes), and what follows from its shape: bytes, counts of an
 * uneven exchange, the data itself.
 *
 * Shapes by op; E: bytes of an element of `dtype`:
 *
 *	alltoall sendrecv allgather reducescatter allreduce
 *		bytes: nccl-tests' size (what one rank sends in all; the
 *		message; the whole result; the input; the buffer).
 *		dtype fp32. sendrecv: rank r sends to r+1 (mod ranks) and
 *		receives from r-1 at once.
 *	gemm	batch products C = A (m x k) B (k x n); m: rows per expert.
 *		Variants strided-batched, per-expert, grouped: the same
 *		result; weights-each, adding and adding-each (to what is
 *		there) with A stored as k x m;
 *		sustained, half-empty: gpu/cuda_gemm.c.
 *	gate	m tokens of k (hidden) times k x n experts; logits fp32
 *	topk	m tokens, n experts, the k largest of the softmax of fp32
 *		logits: ids int32, weights fp32 (their softmax
 *		probabilities), counts per expert int32
 *	sort	m*k expert ids of n experts: stable position of each pair
 *		when ordered by expert, int32
 *	permute	m rows of n elements, each copied to k places: pair i*k+j of
 *		row i goes to the place that sort gives it (`batch` experts)
 *	combine	the way back: m rows of n elements, each the weighted sum
 *		(fp32, then rounded) of its k rows in the sorted order.
 *		Variant direct: gpu/cuda_direct_sums.c
 *	stream	m elements: y = 2 x + 1 (read one array, write another)
 *	copy	m elements: y = x by the copy engine or memcpy
 *	launch	m kernels, one after the other; bytes is m. Variant product:
 *		gpu/cuda_calls.c
 *	plan	gpu/turn.h; bytes: of the choices
 *
 * bytes of gate .. copy is memory traffic, work_set_bytes(). allgather counts:
 * the result is fetched by the host as well, which waits for it.
 */
#ifndef GPU_WORK_H
#define GPU_WORK_H

#include "scenarios/sample.h"

#include <stdbool.h>
#include <stdint.h>

#define WORK_RANKS_MAX 1024

struct bench_work {
	char op[SAMPLE_TEXT];	/* "": none */
	char variant[SAMPLE_TEXT];
	char dtype[SAMPLE_TEXT];	/* bf16 fp32 */
	int ctas;		/* limit of the communicator; 0: none */
	uint64_t bytes;
	uint64_t m, n, k, batch;
};

struct bench_case {
	struct bench_work work;
	struct bench_work beside;	/* contention; op "": alone */
	char tier[SAMPLE_TEXT];
	int ranks;
	uint64_t seed;
	/* check() changes one element of the result before it compares: a
	 * test of the test, which has to give wrong > 0 */
	bool plant_fault;
};

/* 4 (fp32, int32) or 2 (bf16); 0: unknown dtype. */
int work_element_bytes(const char *dtype);

/* Exchanges: the nearest size that divides into whole 16-byte vectors, at
 * least one for each rank. */
uint64_t work_round_bytes(uint64_t bytes, int ranks);

/* Memory traffic of gate .. copy from their shape, and of gemm: operands and
 * result once. Exchanges keep what they have. */
void work_set_bytes(struct bench_work *w);

/* Sets m (and bytes) of gate .. copy so that about `bytes` are moved. */
void work_set_size(struct bench_work *w, uint64_t bytes);

/* FLOP of gemm and gate, else 0. */
double work_flops(const struct bench_work *w);

/* Bytes of buffers that one rank needs, all included, upper bound. */
uint64_t work_memory(const struct bench_case *c);

/*
 * Elements (fp32) that `src` sends to each rank in an alltoall: even, or
 * uneven: shares 1, 1/2, 1/3 ... of rank 0, 1, 2 .. (rank 0 is hot), in whole
 * 16-byte vectors; sums to bytes / 4. Rank dst's elements lie in src's send
 * buffer in order of dst, in dst's receive buffer in order of src.
 */
void work_counts(const struct bench_case *c, int src, uint64_t *per_dst);

/* Uneven alltoall: the larger of sent and received bytes, without its own,
 * of the busiest rank; else 0. */
double work_busiest_bytes(const struct bench_case *c);

#endif
