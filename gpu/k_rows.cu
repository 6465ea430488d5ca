/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows of tokens: permute, combine, and the elementwise stream. A warp moves
 * 16 bytes a lane; rows that are no multiple of that go in smaller vectors.
 */
#include "gpu/k_common.h"

/*
 * Rows are cut into pieces of a warp's width, and warps take pieces: a few
 * long rows fill the GPU as well as many short ones. Neighbouring warps have
 * neighbouring pieces. `row` and `piece` are in vectors.
 */
struct piece {
	uint64_t token, at, end;
};

static __device__ inline struct piece piece_of(uint64_t unit, uint64_t row,
					       unsigned width)
{
	unsigned pieces = (unsigned)((row + width - 1) / width);
	struct piece p;

	p.token = unit / pieces;
	p.at = unit % pieces * width;
	p.end = p.at + width < row ? p.at + width : row;
	return p;
}

static unsigned pieces_grid(uint64_t m, uint64_t row, unsigned width)
{
	return k_grid(m * ((row + width - 1) / width), WARPS);
}

#define EACH_PIECE(unit, n_units) \
	uint64_t unit = (uint64_t)blockIdx.x * WARPS + threadIdx.x / WARP; \
	unit < (n_units); unit += (uint64_t)gridDim.x * WARPS

#define PERMUTE_WIDTH (4 * WARP)	/* four loads of a lane at once */

template<typename V>
static __global__ void permute(const V *x, const int32_t *pos, V *out,
			       uint64_t m, uint64_t row, int k)
{
	uint64_t units = m * ((row + PERMUTE_WIDTH - 1) / PERMUTE_WIDTH);
	int lane = threadIdx.x % WARP;

	for (EACH_PIECE(u, units)) {
		struct piece p = piece_of(u, row, PERMUTE_WIDTH);
		V v[PERMUTE_WIDTH / WARP];

#pragma unroll
		for (int i = 0; i < PERMUTE_WIDTH / WARP; i++) {
			uint64_t c = p.at + i * WARP + lane;

			if (c < p.end) {
				v[i] = x[p.token * row + c];
			}
		}
		for (int j = 0; j < k; j++) {
			uint64_t to = pos[p.token * k + j];

#pragma unroll
			for (int i = 0; i < PERMUTE_WIDTH / WARP; i++) {
				uint64_t c = p.at + i * WARP + lane;

				if (c < p.end) {
					out[to * row + c] = v[i];
				}
			}
		}
	}
}

extern "C" cudaError_t k_permute(const void *x, const int32_t *pos, void *out,
				 uint64_t m, uint64_t row_bytes, int k,
				 cudaStream_t s)
{
#define PERMUTE(V) \
	permute<V><<<pieces_grid(m, row_bytes / sizeof(V), PERMUTE_WIDTH), \
		     BLOCK, 0, s>>>((const V *)x, pos, (V *)out, m, \
				    row_bytes / sizeof(V), k)
	if (row_bytes % sizeof(uint4) == 0) {
		PERMUTE(uint4);
	} else if (row_bytes % sizeof(uint32_t) == 0) {
		PERMUTE(uint32_t);
	} else {
		PERMUTE(uint16_t);
	}
#undef PERMUTE
	return cudaGetLastError();
}

/* K rows at once, all loads before the first use. n is in vectors. */
template<typename E, int K>
static __global__ void combine(const uint4 *y, const int32_t *pos,
			       const float *w, uint4 *out, uint64_t m,
			       uint64_t n)
{
	uint64_t units = m * ((n + WARP - 1) / WARP);

	for (EACH_PIECE(u, units)) {
		struct piece p = piece_of(u, n, WARP);
		uint64_t c = p.at + threadIdx.x % WARP;
		float acc[E::N] = { 0 };
		uint4 v[K];

		if (c >= p.end) {
			continue;
		}
#pragma unroll
		for (int j = 0; j < K; j++) {
			v[j] = y[(uint64_t)pos[p.token * K + j] * n + c];
		}
#pragma unroll
		for (int j = 0; j < K; j++) {
			float f[E::N];

			E::load(v[j], f);
			for (int i = 0; i < E::N; i++) {
				acc[i] += w[p.token * K + j] * f[i];
			}
		}
		out[p.token * n + c] = E::pack(acc);
	}
}

/* Any k, any row. */
static __global__ void combine_any(const void *y, const int32_t *pos,
				   const float *w, void *out, uint64_t m,
				   uint64_t n, int k, bool bf16)
{
	uint64_t t = (uint64_t)blockIdx.x * WARPS + threadIdx.x / WARP;
	int lane = threadIdx.x % WARP;

	for (; t < m; t += (uint64_t)gridDim.x * WARPS) {
		for (uint64_t c = lane; c < n; c += WARP) {
			float acc = 0;

			for (int j = 0; j < k; j++) {
				uint64_t row = pos[t * k + j];

				acc += w[t * k + j] *
				       elem_load(y, row * n + c, bf16);
			}
			elem_store(out, t * n + c, bf16, acc);
		}
	}
}

template<typename E>
static bool combine_vectors(const void *y, const int32_t *pos, const float *w,
			    void *out, uint64_t m, uint64_t n, int k,
			    cudaStream_t s)
{
	unsigned grid = pieces_grid(m, n / E::N, WARP);

	if (n % E::N) {
		return false;
	}
#define COMBINE(K) \
	case K: \
		combine<E, K><<<grid, BLOCK, 0, s>>>((const uint4 *)y, pos, w, \
						     (uint4 *)out, m, \
						     n / E::N); \
		return true
	switch (k) {
	COMBINE(1);
	COMBINE(2);
	COMBINE(4);
	COMBINE(6);
	COMBINE(8);
	}
#undef COMBINE
	return false;
}

extern "C" cudaError_t k_combine(const void *y, const int32_t *pos,
				 const float *w, void *out, uint64_t m,
				 uint64_t n, int k, bool bf16, cudaStream_t s)
{
	bool is_done = bf16 ? combine_vectors<vec_bf16>(y, pos, w, out, m, n,
							k, s)
			    : combine_vectors<vec_f32>(y, pos, w, out, m, n,
						       k, s);

	if (!is_done) {
		combine_any<<<k_grid(m, WARPS), BLOCK, 0, s>>>(
			y, pos, w, out, m, n, k, bf16);
	}
	return cudaGetLastError();
}

template<typename E>
static __device__ inline uint4 scaled(uint4 v)
{
	float f[E::N];

	E::load(v, f);
	for (int i = 0; i < E::N; i++) {
		f[i] = 2.0f * f[i] + 1.0f;
	}
	return E::pack(f);
}

#define IN_FLIGHT 4	/* loads of a thread before its first store */

/* n vectors; a block takes IN_FLIGHT * BLOCK of them at a time. */
template<typename E>
static __global__ void stream(const uint4 *x, uint4 *y, uint64_t n)
{
	uint64_t at = (uint64_t)blockIdx.x * BLOCK * IN_FLIGHT + threadIdx.x;

	for (; at < n; at += (uint64_t)gridDim.x * BLOCK * IN_FLIGHT) {
		uint4 v[IN_FLIGHT];

#pragma unroll
		for (int i = 0; i < IN_FLIGHT; i++) {
			if (at + i * BLOCK < n) {
				v[i] = x[at + i * BLOCK];
			}
		}
#pragma unroll
		for (int i = 0; i < IN_FLIGHT; i++) {
			if (at + i * BLOCK < n) {
				y[at + i * BLOCK] = scaled<E>(v[i]);
			}
		}
	}
}

static __global__ void stream_rest(const void *x, void *y, uint64_t first,
				   uint64_t n, bool bf16)
{
	uint64_t i = first + threadIdx.x;

	if (i < n) {
		elem_store(y, i, bf16, 2.0f * elem_load(x, i, bf16) + 1.0f);
	}
}

extern "C" cudaError_t k_stream(const void *x, void *y, uint64_t n, bool bf16,
				cudaStream_t s)
{
	uint64_t per = bf16 ? vec_bf16::N : vec_f32::N;
	uint64_t vectors = n / per;
	unsigned grid = k_grid(vectors, BLOCK * IN_FLIGHT);

	if (vectors && bf16) {
		stream<vec_bf16><<<grid, BLOCK, 0, s>>>((const uint4 *)x,
							(uint4 *)y, vectors);
	} else if (vectors) {
		stream<vec_f32><<<grid, BLOCK, 0, s>>>((const uint4 *)x,
						       (uint4 *)y, vectors);
	}
	if (n % per) {
		stream_rest<<<1, WARP, 0, s>>>(x, y, vectors * per, n, bf16);
	}
	return cudaGetLastError();
}
