/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making the data of benchmarks. */
#include "gpu/k_common.h"

static __global__ void fill(void *p, uint64_t n, bool bf16, uint32_t key)
{
	for (EACH(i, n)) {
		elem_store(p, i, bf16, fill_value(key, i));
	}
}

static __global__ void fill_ids(int32_t *ids, uint64_t n, uint32_t key,
				int n_experts)
{
	for (EACH(i, n)) {
		ids[i] = fill_expert(key, i, n_experts);
	}
}

static __global__ void fill_logits(float *p, uint64_t n, uint32_t key)
{
	for (EACH(i, n)) {
		p[i] = (float)(fill_bits(key, i) >> 8) * 0x1p-23f - 1.0f;
	}
}

extern "C" cudaError_t k_fill(void *p, uint64_t n, bool bf16, uint32_t key,
			      cudaStream_t s)
{
	fill<<<k_grid(n, BLOCK), BLOCK, 0, s>>>(p, n, bf16, key);
	return cudaGetLastError();
}

extern "C" cudaError_t k_fill_ids(int32_t *ids, uint64_t n, uint32_t key,
				  int n_experts, cudaStream_t s)
{
	fill_ids<<<k_grid(n, BLOCK), BLOCK, 0, s>>>(ids, n, key, n_experts);
	return cudaGetLastError();
}

extern "C" cudaError_t k_fill_logits(float *p, uint64_t n, uint32_t key,
				     cudaStream_t s)
{
	fill_logits<<<k_grid(n, BLOCK), BLOCK, 0, s>>>(p, n, key);
	return cudaGetLastError();
}
