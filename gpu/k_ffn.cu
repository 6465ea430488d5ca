/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Between the products of an expert: activation and its derivative. A warp
 * takes a row, so that the sum over a row needs no shared memory; several
 * vectors of a lane are loaded before the first is used.
 */
#include "gpu/k_common.h"
#include "gpu/k_ffn.h"

#include <math_constants.h>

#define UNROLL 2	/* vectors of each operand in flight for a lane */

/*
 * What an activation and its derivative are made of. Exact enough for fp32;
 * for bf16 with the fast exponential and division, which are off by parts in
 * 10^6, and erf by Abramowitz and Stegun 7.1.26, off by 1.5e-7.
 */
template<bool FAST>
static __device__ inline float sigmoid(float a)
{
	return FAST ? __fdividef(1.0f, 1.0f + __expf(-a))
		    : 1.0f / (1.0f + expf(-a));
}

/* Phi(x) of the normal distribution, and its density. */
template<bool FAST>
static __device__ inline float normal(float x, float *density)
{
	const float z = fabsf(x) * 0.70710678f;	/* 1/sqrt(2) */
	float bell = FAST ? __expf(-z * z) : expf(-z * z), t, tail;

	*density = bell * 0.39894228f;	/* 1/sqrt(2 pi) */
	if (!FAST) {
		return 0.5f * erfcf(-x * 0.70710678f);
	}
	t = __fdividef(1.0f, 1.0f + 0.3275911f * z);
	tail = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f +
		t * (-1.453152027f + t * 1.061405429f)))) * bell * 0.5f;
	return x < 0 ? tail : 1.0f - tail;
}

template<bool FAST>
static __device__ inline float gelu(float x, float *slope)
{
	float density, below = normal<FAST>(x, &density);

	*slope = below + x * density;
	return x * below;
}

template<bool FAST>
static __device__ inline float silu(float a, float *slope)
{
	float s = sigmoid<FAST>(a);

	*slope = s * (1.0f + a * (1.0f - s));
	return a * s;
}

/* A row behind its expert's last? */
static __device__ inline bool is_tail(const struct k_ffn_rows &rows,
				      uint64_t row)
{
	unsigned e, stride = (unsigned)rows.stride;

	if (!stride) {
		return false;
	}
	e = (unsigned)row / stride;
	return (unsigned)row - e * stride >= (unsigned)rows.count[e];
}

#define EACH_ROW(row, n) \
	uint64_t row = (uint64_t)blockIdx.x * WARPS + threadIdx.x / WARP; \
	row < (uint64_t)(n); row += (uint64_t)gridDim.x * WARPS

static __device__ inline void zero_row(uint4 *p, int n, int lane)
{
	for (int c = lane; c < n; c += WARP) {
		p[c] = make_uint4(0, 0, 0, 0);
	}
}

/* One vector of h from one of pre (GATED: two). */
template<typename E, bool GATED, bool FAST>
static __device__ inline uint4 act_vector(const uint4 &va, const uint4 &vb,
					  float r)
{
	float a[E::N], b[E::N], slope;

	E::load(va, a);
	if (GATED) {
		E::load(vb, b);
	}
#pragma unroll
	for (int i = 0; i < E::N; i++) {
		a[i] = GATED ? silu<FAST>(a[i], &slope) * b[i] * r
			     : gelu<FAST>(a[i], &slope) * r;
	}
	return E::pack(a);
}

/* n: vectors of a row of h */
template<typename E, bool GATED, bool FAST>
static __global__ void __launch_bounds__(BLOCK)
act(const uint4 *pre, uint4 *h, const float *r, int n,
    const __grid_constant__ struct k_ffn_rows rows)
{
	int lane = threadIdx.x % WARP;

	for (EACH_ROW(row, rows.total)) {
		const uint4 *a = pre + row * (GATED ? 2 * n : n);
		uint4 *out = h + row * n;
		float w;

		if (is_tail(rows, row)) {
			zero_row(out, n, lane);
			continue;
		}
		w = r ? r[row] : 1.0f;
		for (int c = lane; c < n; c += UNROLL * WARP) {
			uint4 va[UNROLL], vb[UNROLL];

#pragma unroll
			for (int u = 0; u < UNROLL; u++) {
				int i = c + u * WARP;

				if (i < n) {
					va[u] = a[i];
					vb[u] = GATED ? a[n + i] : va[u];
				}
			}
#pragma unroll
			for (int u = 0; u < UNROLL; u++) {
				int i = c + u * WARP;

				if (i < n) {
					out[i] = act_vector<E, GATED, FAST>(
						va[u], vb[u], w);
				}
			}
		}
	}
}

/* In place; returns what the vector adds to dr. */
template<typename E, bool GATED, bool FAST>
static __device__ inline float back_vector(uint4 *va, uint4 *vb,
					   const uint4 &vg, float r)
{
	float a[E::N], b[E::N], g[E::N], slope, value, sum = 0;

	E::load(*va, a);
	E::load(vg, g);
	if (GATED) {
		E::load(*vb, b);
	}
#pragma unroll
	for (int i = 0; i < E::N; i++) {
		value = GATED ? silu<FAST>(a[i], &slope)
			      : gelu<FAST>(a[i], &slope);
		sum += g[i] * (GATED ? value * b[i] : value);
		g[i] *= r;
		a[i] = g[i] * slope * (GATED ? b[i] : 1.0f);
		b[i] = g[i] * value;
	}
	*va = E::pack(a);
	if (GATED) {
		*vb = E::pack(b);
	}
	return sum;
}

static __device__ inline float warp_sum(float v)
{
#pragma unroll
	for (int i = WARP / 2; i > 0; i /= 2) {
		v += __shfl_xor_sync(0xffffffffu, v, i);
	}
	return v;
}

template<typename E, bool GATED, bool FAST>
static __global__ void __launch_bounds__(BLOCK)
act_back(uint4 *pre, const uint4 *g, const float *r, float *dr, int n,
	 const __grid_constant__ struct k_ffn_rows rows)
{
	int lane = threadIdx.x % WARP, width = GATED ? 2 * n : n;

	for (EACH_ROW(row, rows.total)) {
		uint4 *a = pre + row * width;
		float w, sum = 0;

		if (is_tail(rows, row)) {
			zero_row(a, width, lane);
			continue;
		}
		w = r ? r[row] : 1.0f;
		for (int c = lane; c < n; c += UNROLL * WARP) {
			uint4 va[UNROLL], vb[UNROLL], vg[UNROLL];

#pragma unroll
			for (int u = 0; u < UNROLL; u++) {
				int i = c + u * WARP;

				if (i < n) {
					va[u] = a[i];
					vb[u] = GATED ? a[n + i] : va[u];
					vg[u] = g[row * n + i];
				}
			}
#pragma unroll
			for (int u = 0; u < UNROLL; u++) {
				int i = c + u * WARP;

				if (i >= n) {
					continue;
				}
				sum += back_vector<E, GATED, FAST>(
					&va[u], &vb[u], vg[u], w);
				a[i] = va[u];
				if (GATED) {
					a[n + i] = vb[u];
				}
			}
		}
		sum = warp_sum(sum);
		if (dr && lane == 0) {
			dr[row] = sum;
		}
	}
}

static unsigned row_grid(const struct k_ffn_rows *rows)
{
	return k_grid((uint64_t)rows->total, WARPS);
}

#define FFN_KERNEL(kernel, args) do { \
	unsigned grid = row_grid(rows); \
	if (a->bf16 && a->gated) \
		kernel<vec_bf16, true, true><<<grid, BLOCK, 0, s>>> args; \
	else if (a->bf16) \
		kernel<vec_bf16, false, true><<<grid, BLOCK, 0, s>>> args; \
	else if (a->gated) \
		kernel<vec_f32, true, false><<<grid, BLOCK, 0, s>>> args; \
	else \
		kernel<vec_f32, false, false><<<grid, BLOCK, 0, s>>> args; \
} while (0)

extern "C" cudaError_t k_ffn_act(const struct k_ffn_act *a,
				 const struct k_ffn_rows *rows, cudaStream_t s)
{
	int n = a->ffn / (a->bf16 ? vec_bf16::N : vec_f32::N);

	if (!rows->total) {
		return cudaSuccess;
	}
	FFN_KERNEL(act, ((const uint4 *)a->pre, (uint4 *)a->h, a->r, n, *rows));
	return cudaGetLastError();
}

extern "C" cudaError_t k_ffn_act_back(const struct k_ffn_act *a,
				      const struct k_ffn_rows *rows,
				      cudaStream_t s)
{
	int n = a->ffn / (a->bf16 ? vec_bf16::N : vec_f32::N);

	if (!rows->total) {
		return cudaSuccess;
	}
	FFN_KERNEL(act_back, ((uint4 *)a->pre, (const uint4 *)a->g, a->r,
			      a->dr, n, *rows));
	return cudaGetLastError();
}

/* Blocks (x, expert). */
static __global__ void zero_tails(uint4 *p, int n,
				  const __grid_constant__ struct k_ffn_rows rows)
{
	uint64_t e = blockIdx.y;
	uint64_t at = (e * rows.stride + rows.count[e]) * n;
	uint64_t end = (e + 1) * rows.stride * n;

	at += (uint64_t)blockIdx.x * BLOCK + threadIdx.x;
	for (; at < end; at += (uint64_t)gridDim.x * BLOCK) {
		p[at] = make_uint4(0, 0, 0, 0);
	}
}

extern "C" cudaError_t k_ffn_zero_tails(void *p, uint64_t row_bytes,
					const struct k_ffn_rows *rows,
					cudaStream_t s)
{
	int64_t experts = rows->stride ? rows->total / rows->stride : 0;
	int64_t longest = 0;
	dim3 grid;

	for (int64_t e = 0; e < experts; e++) {
		if (rows->stride - rows->count[e] > longest) {
			longest = rows->stride - rows->count[e];
		}
	}
	if (!longest) {
		return cudaSuccess;
	}
	grid.x = k_grid((uint64_t)longest * row_bytes / sizeof(uint4),
			4 * BLOCK);
	grid.y = (unsigned)experts;
	zero_tails<<<grid, BLOCK, 0, s>>>((uint4 *)p,
					  (int)(row_bytes / sizeof(uint4)),
					  *rows);
	return cudaGetLastError();
}
