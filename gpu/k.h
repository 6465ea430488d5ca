/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernels of the cuda backend: launchers only, so that C can call them. Each
 * queues its work on `s` and returns what the launch said; nothing waits.
 * Pointers are device pointers, aligned to 256 bytes; bf16 is uint16_t.
 *
 * Every kernel has a CPU twin (gpu/ref.h) or checks data that gpu/fill.h
 * makes. Memory-bound ones move 16 bytes per thread where rows allow it.
 */
#ifndef GPU_K_H
#define GPU_K_H

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stdint.h>

#define K_EXPERTS_MAX 1024	/* of topk and sort */
#define K_RANKS_MAX 64		/* ranks whose sum k_wrong_sum() knows */

#ifdef __cplusplus
extern "C" {
#endif

/* p[i] = fill_value(key, i); ids[i] = fill_expert(key, i, n_experts) */
cudaError_t k_fill(void *p, uint64_t n, bool bf16, uint32_t key,
		   cudaStream_t s);
cudaError_t k_fill_ids(int32_t *ids, uint64_t n, uint32_t key, int n_experts,
		       cudaStream_t s);
/* ref_logit(key, i) */
cudaError_t k_fill_logits(float *p, uint64_t n, uint32_t key, cudaStream_t s);

/*
 * The checks: *wrong += how many elements are not what gpu/fill.h's values
 * give, all of them exact. Of the sum of fill_value(key[r], first + i) over
 * n_keys ranks (one: what was sent):
 */
cudaError_t k_wrong_sum(const float *p, uint64_t n, const uint32_t *key,
			int n_keys, uint64_t first, unsigned long long *wrong,
			cudaStream_t s);

/*
 * Softmax and top-k of m rows of n logits (n <= K_EXPERTS_MAX, k <= n): one
 * warp a token. ids and weights are m x k, largest first, equal logits by
 * lower id; counts[n] of all pairs.
 */
cudaError_t k_topk(const float *logits, int32_t *ids, float *weights,
		   int32_t *counts, uint64_t m, int n, int k, cudaStream_t s);

/*
 * pos[i]: place of pair i when the pairs are ordered by expert, stable.
 * Counting sort: histograms of chunks, their prefix sums, positions.
 */
uint64_t k_sort_workspace_bytes(uint64_t pairs, int n);
cudaError_t k_sort(const int32_t *ids, int32_t *pos, uint64_t pairs, int n,
		   void *workspace, cudaStream_t s);

/* The same; total[n]: pairs of each expert, on the device. */
cudaError_t k_sort_counts(const int32_t *ids, int32_t *pos, uint64_t pairs,
			  int n, int32_t *total, void *workspace,
			  cudaStream_t s);

/* out row pos[i * k + j] = x row i, for j < k; one warp a row */
cudaError_t k_permute(const void *x, const int32_t *pos, void *out,
		      uint64_t m, uint64_t row_bytes, int k, cudaStream_t s);

/* out row i = sum over j < k of w[i * k + j] * y row pos[i * k + j], fp32 */
cudaError_t k_combine(const void *y, const int32_t *pos, const float *w,
		      void *out, uint64_t m, uint64_t n, int k, bool bf16,
		      cudaStream_t s);

/* y = 2 x + 1 */
cudaError_t k_stream(const void *x, void *y, uint64_t n, bool bf16,
		     cudaStream_t s);

/* copy (a 1, b 0) and stream (2, 1): a * fill_value(key, i) + b */
cudaError_t k_wrong_scaled(const void *p, uint64_t n, bool bf16, uint32_t key,
			   float a, float b, unsigned long long *wrong,
			   cudaStream_t s);
/* Results of k_permute() and k_combine(), rows of n of either kind. */
cudaError_t k_wrong_permute(const void *out, const int32_t *pos, uint64_t m,
			    uint64_t n, int k, bool bf16, uint32_t key,
			    unsigned long long *wrong, cudaStream_t s);
cudaError_t k_wrong_combine(const void *out, const int32_t *pos, uint64_t m,
			    uint64_t n, int k, bool bf16, uint32_t key,
			    uint32_t key_w, unsigned long long *wrong,
			    cudaStream_t s);

/*
 * Counts of top-k: takes every id off its expert's count, which has to leave
 * none (counts is changed so); ids that are no experts are wrong.
 */
cudaError_t k_wrong_counts(const int32_t *ids, uint64_t pairs, int32_t *counts,
			   int n, unsigned long long *wrong, cudaStream_t s);

/*
 * Positions of k_sort() of fill_expert(key, i, n): each place is some pair's,
 * and from place to place (expert, pair) goes up; only the stable order is
 * so. inverse: room for `pairs` numbers, overwritten.
 */
cudaError_t k_wrong_sort(const int32_t *pos, uint64_t pairs, int n,
			 uint32_t key, int32_t *inverse,
			 unsigned long long *wrong, cudaStream_t s);

/* *to = *from + 1; from NULL: 1. A kernel as short as can be. */
cudaError_t k_tick(int32_t *to, const int32_t *from, cudaStream_t s);

/* Nothing, for so long, on one multiprocessor. */
cudaError_t k_pause(unsigned int ns, cudaStream_t s);

/* Cycles and nanoseconds of a busy multiprocessor: its clock as it runs. */
cudaError_t k_clock(unsigned long long *cycles_and_ns, cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
