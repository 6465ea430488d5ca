/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Softmax and top-k: a warp holds the n logits of a token in registers, PER
 * of them a lane (expert e is lane e % 32, slot e / 32), and takes the
 * largest k times. Counts are gathered in shared memory first.
 */
#include "gpu/k_common.h"

#include <math_constants.h>

struct best {
	float v;
	int id;
};

/* Larger value first, lower id on a tie. */
static __device__ inline bool better(struct best a, struct best b)
{
	return a.v > b.v || (a.v == b.v && a.id < b.id);
}

static __device__ inline struct best warp_best(struct best b)
{
	for (int d = WARP / 2; d > 0; d /= 2) {
		struct best o;

		o.v = __shfl_xor_sync(~0u, b.v, d);
		o.id = __shfl_xor_sync(~0u, b.id, d);
		b = better(o, b) ? o : b;
	}
	return b;
}

static __device__ inline float warp_sum(float f)
{
	for (int d = WARP / 2; d > 0; d /= 2) {
		f += __shfl_xor_sync(~0u, f, d);
	}
	return f;
}

template<int PER>
static __device__ inline struct best lane_best(const float *v, int lane)
{
	struct best b = { -CUDART_INF_F, K_EXPERTS_MAX };

#pragma unroll
	for (int i = 0; i < PER; i++) {
		struct best o = { v[i], i * WARP + lane };

		b = better(o, b) ? o : b;
	}
	return b;
}

template<int PER>
static __device__ void token_topk(const float *logits, int32_t *ids,
				  float *weights, int32_t *counts, int n, int k)
{
	int lane = threadIdx.x % WARP;
	float v[PER], max = 0, sum = 0;

#pragma unroll
	for (int i = 0; i < PER; i++) {
		int e = i * WARP + lane;

		v[i] = e < n ? logits[e] : -CUDART_INF_F;
	}
	for (int j = 0; j < k; j++) {
		struct best b = warp_best(lane_best<PER>(v, lane));

		if (j == 0) {
			max = b.v;
#pragma unroll
			for (int i = 0; i < PER; i++) {
				sum += expf(v[i] - max);
			}
			sum = warp_sum(sum);
		}
#pragma unroll
		for (int i = 0; i < PER; i++) {
			if (i * WARP + lane == b.id) {
				v[i] = -CUDART_INF_F;
			}
		}
		if (lane == 0) {
			ids[j] = b.id;
			weights[j] = expf(b.v - max) / sum;
			if (b.id < n) {
				atomicAdd(&counts[b.id], 1);
			}
		}
	}
}

template<int PER>
static __global__ void topk(const float *logits, int32_t *ids, float *weights,
			    int32_t *counts, uint64_t m, int n, int k)
{
	__shared__ int32_t block_counts[K_EXPERTS_MAX];
	uint64_t t = (uint64_t)blockIdx.x * WARPS + threadIdx.x / WARP;

	for (int e = threadIdx.x; e < n; e += BLOCK) {
		block_counts[e] = 0;
	}
	__syncthreads();
	for (; t < m; t += (uint64_t)gridDim.x * WARPS) {
		token_topk<PER>(logits + t * n, ids + t * k, weights + t * k,
				block_counts, n, k);
	}
	__syncthreads();
	for (int e = threadIdx.x; e < n; e += BLOCK) {
		if (block_counts[e]) {
			atomicAdd(&counts[e], block_counts[e]);
		}
	}
}

extern "C" cudaError_t k_topk(const float *logits, int32_t *ids,
			      float *weights, int32_t *counts, uint64_t m,
			      int n, int k, cudaStream_t s)
{
	unsigned grid = k_grid(m, WARPS * 4);
	cudaError_t rc;

	if (n < 1 || n > K_EXPERTS_MAX || k < 1 || k > n) {
		return cudaErrorInvalidValue;
	}
	rc = cudaMemsetAsync(counts, 0, n * sizeof(*counts), s);
	if (rc != cudaSuccess) {
		return rc;
	}
#define TOPK(per) \
	topk<per><<<grid, BLOCK, 0, s>>>(logits, ids, weights, counts, m, n, k)
	if (n <= 1 * WARP) {
		TOPK(1);
	} else if (n <= 2 * WARP) {
		TOPK(2);
	} else if (n <= 4 * WARP) {
		TOPK(4);
	} else if (n <= 8 * WARP) {
		TOPK(8);
	} else {
		TOPK(K_EXPERTS_MAX / WARP);
	}
#undef TOPK
	return cudaGetLastError();
}
