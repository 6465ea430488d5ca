/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counting what is wrong in results, one thread an element. What it should
 * be is made anew from gpu/fill.h; the values are exact in any order of
 * summation, so "equal" is equal. Comparisons are "!(a == b)": NaN, with
 * which results are filled before a run, is wrong.
 */
#include "gpu/k_common.h"

/* Sum over the warp first: one atomic for it at most. */
static __device__ void count_wrong(unsigned mine, unsigned long long *wrong)
{
	for (int d = WARP / 2; d > 0; d /= 2) {
		mine += __shfl_xor_sync(~0u, mine, d);
	}
	if (mine && threadIdx.x % WARP == 0) {
		atomicAdd(wrong, (unsigned long long)mine);
	}
}

struct keys {
	uint32_t key[K_RANKS_MAX];
	int n;
};

static __global__ void wrong_sum(const float *p, uint64_t n, struct keys keys,
				 uint64_t first, unsigned long long *wrong)
{
	unsigned mine = 0;

	for (EACH(i, n)) {
		float sum = 0;

		for (int r = 0; r < keys.n; r++) {
			sum += fill_value(keys.key[r], first + i);
		}
		mine += !(p[i] == sum);
	}
	count_wrong(mine, wrong);
}

/* What `f` becomes when it is stored. */
static __device__ inline float stored(float f, bool bf16)
{
	return bf16 ? bf16_to_f32(f32_to_bf16(f)) : f;
}

static __global__ void wrong_scaled(const void *p, uint64_t n, bool bf16,
				    uint32_t key, float a, float b,
				    unsigned long long *wrong)
{
	unsigned mine = 0;

	for (EACH(i, n)) {
		float want = stored(a * fill_value(key, i) + b, bf16);

		mine += !(elem_load(p, i, bf16) == want);
	}
	count_wrong(mine, wrong);
}

/* Every row of the result is some pair's, so checking pairs checks it all. */
static __global__ void wrong_permute(const void *out, const int32_t *pos,
				     uint64_t m, uint64_t n, int k, bool bf16,
				     uint32_t key, unsigned long long *wrong)
{
	unsigned mine = 0;

	for (EACH(i, m * k * n)) {
		uint64_t pair = i / n, c = i % n;
		float want = fill_value(key, pair / k * n + c);

		mine += !(elem_load(out, (uint64_t)pos[pair] * n + c, bf16) ==
			  want);
	}
	count_wrong(mine, wrong);
}

static __global__ void wrong_combine(const void *out, const int32_t *pos,
				     uint64_t m, uint64_t n, int k, bool bf16,
				     uint32_t key, uint32_t key_w,
				     unsigned long long *wrong)
{
	unsigned mine = 0;

	for (EACH(i, m * n)) {
		uint64_t t = i / n, c = i % n;
		float sum = 0;

		for (int j = 0; j < k; j++) {
			uint64_t row = pos[t * k + j];

			sum += fill_value(key_w, t * k + j) *
			       fill_value(key, row * n + c);
		}
		mine += !(elem_load(out, i, bf16) == stored(sum, bf16));
	}
	count_wrong(mine, wrong);
}

static __global__ void take_off(const int32_t *ids, uint64_t pairs,
				int32_t *counts, int n,
				unsigned long long *wrong)
{
	__shared__ int32_t mine_of[K_EXPERTS_MAX];
	unsigned mine = 0;

	for (int e = threadIdx.x; e < n; e += BLOCK) {
		mine_of[e] = 0;
	}
	__syncthreads();
	for (EACH(i, pairs)) {
		int32_t id = ids[i];

		if (id < 0 || id >= n) {
			mine++;
		} else {
			atomicAdd(&mine_of[id], 1);
		}
	}
	__syncthreads();
	for (int e = threadIdx.x; e < n; e += BLOCK) {
		if (mine_of[e]) {
			atomicSub(&counts[e], mine_of[e]);
		}
	}
	count_wrong(mine, wrong);
}

static __global__ void wrong_nonzero(const int32_t *p, uint64_t n,
				     unsigned long long *wrong)
{
	unsigned mine = 0;

	for (EACH(i, n)) {
		mine += p[i] != 0;
	}
	count_wrong(mine, wrong);
}

static __global__ void invert(const int32_t *pos, uint64_t pairs,
			      int32_t *inverse, unsigned long long *wrong)
{
	unsigned mine = 0;

	for (EACH(i, pairs)) {
		int32_t at = pos[i];

		if (at < 0 || (uint64_t)at >= pairs) {
			mine++;
		} else {
			inverse[at] = (int32_t)i;
		}
	}
	count_wrong(mine, wrong);
}

/* A place that is nobody's is -1. */
static __global__ void wrong_order(const int32_t *inverse, uint64_t pairs,
				   int n, uint32_t key,
				   unsigned long long *wrong)
{
	unsigned mine = 0;

	for (EACH(i, pairs)) {
		int32_t a = inverse[i], b = i + 1 < pairs ? inverse[i + 1] : a;
		int ea, eb;

		if (a < 0) {
			mine++;
		} else if (b >= 0 && b != a) {
			ea = fill_expert(key, a, n);
			eb = fill_expert(key, b, n);
			mine += !(ea < eb || (ea == eb && a < b));
		}
	}
	count_wrong(mine, wrong);
}

#define CLOCK_NS 2000000ull	/* long enough for the timer's coarse steps */

static __global__ void clock_rate(unsigned long long *cycles_and_ns)
{
	unsigned long long start, now;
	long long cycles = clock64();

	asm volatile("mov.u64 %0, %globaltimer;" : "=l"(start));
	do {
		asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
	} while (now - start < CLOCK_NS);
	cycles_and_ns[0] = clock64() - cycles;
	cycles_and_ns[1] = now - start;
}

extern "C" cudaError_t k_wrong_sum(const float *p, uint64_t n,
				   const uint32_t *key, int n_keys,
				   uint64_t first, unsigned long long *wrong,
				   cudaStream_t s)
{
	struct keys keys;

	if (n_keys < 1 || n_keys > K_RANKS_MAX) {
		return cudaErrorInvalidValue;
	}
	keys.n = n_keys;
	for (int r = 0; r < n_keys; r++) {
		keys.key[r] = key[r];
	}
	wrong_sum<<<k_grid(n, BLOCK), BLOCK, 0, s>>>(p, n, keys, first, wrong);
	return cudaGetLastError();
}

extern "C" cudaError_t k_wrong_scaled(const void *p, uint64_t n, bool bf16,
				      uint32_t key, float a, float b,
				      unsigned long long *wrong,
				      cudaStream_t s)
{
	wrong_scaled<<<k_grid(n, BLOCK), BLOCK, 0, s>>>(p, n, bf16, key, a, b,
							wrong);
	return cudaGetLastError();
}

extern "C" cudaError_t k_wrong_permute(const void *out, const int32_t *pos,
				       uint64_t m, uint64_t n, int k,
				       bool bf16, uint32_t key,
				       unsigned long long *wrong,
				       cudaStream_t s)
{
	wrong_permute<<<k_grid(m * k * n, BLOCK), BLOCK, 0, s>>>(
		out, pos, m, n, k, bf16, key, wrong);
	return cudaGetLastError();
}

extern "C" cudaError_t k_wrong_combine(const void *out, const int32_t *pos,
				       uint64_t m, uint64_t n, int k,
				       bool bf16, uint32_t key,
				       uint32_t key_w,
				       unsigned long long *wrong,
				       cudaStream_t s)
{
	wrong_combine<<<k_grid(m * n, BLOCK), BLOCK, 0, s>>>(
		out, pos, m, n, k, bf16, key, key_w, wrong);
	return cudaGetLastError();
}

extern "C" cudaError_t k_wrong_counts(const int32_t *ids, uint64_t pairs,
				      int32_t *counts, int n,
				      unsigned long long *wrong,
				      cudaStream_t s)
{
	if (n < 1 || n > K_EXPERTS_MAX) {
		return cudaErrorInvalidValue;
	}
	take_off<<<k_grid(pairs, BLOCK), BLOCK, 0, s>>>(ids, pairs, counts, n,
							wrong);
	wrong_nonzero<<<k_grid(n, BLOCK), BLOCK, 0, s>>>(counts, n, wrong);
	return cudaGetLastError();
}

extern "C" cudaError_t k_wrong_sort(const int32_t *pos, uint64_t pairs, int n,
				    uint32_t key, int32_t *inverse,
				    unsigned long long *wrong, cudaStream_t s)
{
	unsigned grid = k_grid(pairs, BLOCK);
	cudaError_t rc = cudaMemsetAsync(inverse, 0xff, pairs * sizeof(*pos),
					 s);

	if (rc != cudaSuccess) {
		return rc;
	}
	invert<<<grid, BLOCK, 0, s>>>(pos, pairs, inverse, wrong);
	wrong_order<<<grid, BLOCK, 0, s>>>(inverse, pairs, n, key, wrong);
	return cudaGetLastError();
}

static __global__ void pause_for(unsigned int ns)
{
	unsigned long long start, now;

	asm volatile("mov.u64 %0, %globaltimer;" : "=l"(start));
	do {
		asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
	} while (now - start < ns);
}

extern "C" cudaError_t k_pause(unsigned int ns, cudaStream_t s)
{
	pause_for<<<1, 1, 0, s>>>(ns);
	return cudaGetLastError();
}

static __global__ void tick(int32_t *to, const int32_t *from)
{
	*to = (from ? *from : 0) + 1;
}

extern "C" cudaError_t k_tick(int32_t *to, const int32_t *from, cudaStream_t s)
{
	tick<<<1, 1, 0, s>>>(to, from);
	return cudaGetLastError();
}

extern "C" cudaError_t k_clock(unsigned long long *cycles_and_ns,
			       cudaStream_t s)
{
	clock_rate<<<1, 1, 0, s>>>(cycles_and_ns);
	return cudaGetLastError();
}
