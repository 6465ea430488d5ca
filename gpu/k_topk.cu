/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Softmax and top-k: a group of W lanes holds the n logits of a token in
 * registers, PER of them a lane (expert e is lane e % W, slot e / W), and
 * takes the largest k times. Few experts need few lanes, so a warp has
 * 32 / W tokens at once. Counts are gathered in shared memory first.
 */
#include "gpu/k_common.h"
#include "gpu/k_layer.h"

#include <math_constants.h>

#define TOKENS_EACH 4	/* of a group, at least: one sum of counts for them */

struct best {
	float v;
	int id;
};

/* Larger value first, lower id on a tie. */
static __device__ inline bool better(struct best a, struct best b)
{
	return a.v > b.v || (a.v == b.v && a.id < b.id);
}

template<int W>
static __device__ inline struct best group_best(struct best b)
{
#pragma unroll
	for (int d = W / 2; d > 0; d /= 2) {
		struct best o;

		o.v = __shfl_xor_sync(~0u, b.v, d);
		o.id = __shfl_xor_sync(~0u, b.id, d);
		b = better(o, b) ? o : b;
	}
	return b;
}

template<int W>
static __device__ inline float group_sum(float f)
{
#pragma unroll
	for (int d = W / 2; d > 0; d /= 2) {
		f += __shfl_xor_sync(~0u, f, d);
	}
	return f;
}

template<int W, int PER>
static __device__ inline struct best lane_best(const float *v, int lane)
{
	struct best b = { -CUDART_INF_F, K_EXPERTS_MAX };

#pragma unroll
	for (int i = 0; i < PER; i++) {
		struct best o = { v[i], i * W + lane };

		b = better(o, b) ? o : b;
	}
	return b;
}

/*
 * Largest first. The weights are of all experts (then experts are counted), or
 * CHOSEN: of the k chosen alone. All lanes of a warp go through here together;
 * `is_token` is false for a group that has run out of tokens.
 */
template<int W, int PER, bool CHOSEN>
static __device__ void token_topk(const float *logits, int32_t *ids,
				  float *weights, int32_t *counts, int n,
				  int k, bool is_token)
{
	int lane = threadIdx.x % W;
	float v[PER], max = 0, sum = 0;

#pragma unroll
	for (int i = 0; i < PER; i++) {
		int e = i * W + lane;

		v[i] = is_token && e < n ? logits[e] : -CUDART_INF_F;
	}
	for (int j = 0; j < k; j++) {
		struct best b = group_best<W>(lane_best<W, PER>(v, lane));

		if (j == 0) {
			max = b.v;
		}
		if (j == 0 && !CHOSEN) {
#pragma unroll
			for (int i = 0; i < PER; i++) {
				sum += expf(v[i] - max);
			}
			sum = group_sum<W>(sum);
		}
#pragma unroll
		for (int i = 0; i < PER; i++) {
			if (i * W + lane == b.id) {
				v[i] = -CUDART_INF_F;
			}
		}
		if (CHOSEN) {
			float e = expf(b.v - max);

			sum += e;
			if (lane == j % W && is_token) {
				ids[j] = b.id;
				weights[j] = e;
			}
		} else if (lane == 0 && is_token) {
			ids[j] = b.id;
			weights[j] = expf(b.v - max) / sum;
			if (b.id < n) {
				atomicAdd(&counts[b.id], 1);
			}
		}
	}
	for (int j = lane; CHOSEN && is_token && j < k; j += W) {
		weights[j] /= sum;
	}
}

template<int W, int PER, bool CHOSEN>
static __global__ void topk(const float *logits, int32_t *ids, float *weights,
			    int32_t *counts, uint64_t m, int n, int k)
{
	__shared__ int32_t block_counts[K_EXPERTS_MAX];
	const int tokens = BLOCK / W;	/* of a block at once */
	uint64_t first = (uint64_t)blockIdx.x * tokens;

	for (int e = threadIdx.x; !CHOSEN && e < n; e += BLOCK) {
		block_counts[e] = 0;
	}
	__syncthreads();
	for (; first < m; first += (uint64_t)gridDim.x * tokens) {
		uint64_t t = first + threadIdx.x / W;

		token_topk<W, PER, CHOSEN>(logits + t * n, ids + t * k,
					   weights + t * k, block_counts, n,
					   k, t < m);
	}
	if (CHOSEN) {
		return;
	}
	__syncthreads();
	for (int e = threadIdx.x; e < n; e += BLOCK) {
		if (block_counts[e]) {
			atomicAdd(&counts[e], block_counts[e]);
		}
	}
}

template<bool CHOSEN>
static cudaError_t launch(const float *logits, int32_t *ids, float *weights,
			  int32_t *counts, uint64_t m, int n, int k,
			  cudaStream_t s)
{
#define TOPK(W, PER) \
	topk<W, PER, CHOSEN><<<k_grid(m, BLOCK / (W) * TOKENS_EACH), BLOCK, \
			       0, s>>>(logits, ids, weights, counts, m, n, k)
	if (n <= 8) {
		TOPK(8, 1);
	} else if (n <= 16) {
		TOPK(16, 1);
	} else if (n <= 1 * WARP) {
		TOPK(WARP, 1);
	} else if (n <= 2 * WARP) {
		TOPK(WARP, 2);
	} else if (n <= 4 * WARP) {
		TOPK(WARP, 4);
	} else if (n <= 8 * WARP) {
		TOPK(WARP, 8);
	} else {
		TOPK(WARP, K_EXPERTS_MAX / WARP);
	}
#undef TOPK
	return cudaGetLastError();
}

static bool is_known(int n, int k)
{
	return n >= 1 && n <= K_EXPERTS_MAX && k >= 1 && k <= n;
}

extern "C" cudaError_t k_topk(const float *logits, int32_t *ids,
			      float *weights, int32_t *counts, uint64_t m,
			      int n, int k, cudaStream_t s)
{
	cudaError_t rc;

	if (!is_known(n, k)) {
		return cudaErrorInvalidValue;
	}
	rc = cudaMemsetAsync(counts, 0, n * sizeof(*counts), s);
	return rc != cudaSuccess ? rc : launch<false>(logits, ids, weights,
						      counts, m, n, k, s);
}

extern "C" cudaError_t k_layer_choose(const float *logits, int32_t *ids,
				      float *weights, uint64_t tokens, int n,
				      int k, cudaStream_t s)
{
	return is_known(n, k) ? launch<true>(logits, ids, weights, NULL,
					     tokens, n, k, s)
			      : cudaErrorInvalidValue;
}
