/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Data of a layer, its routing in integers, and the gate's small pieces. */
#include "gpu/k_elem.h"
#include "gpu/k_layer.h"
#include "gpu/layer_order.h"

#include <math_constants.h>

static __global__ void fill(void *p, bool bf16, struct k_fill_part f)
{
	uint64_t n = f.rows * f.cols;

	for (EACH(i, n)) {
		uint64_t r = i / f.cols, c = i % f.cols;

		elem_store(p, r * f.ld + c, bf16, f.scale *
			   fill_value(f.key, f.first + r * f.pitch + c));
	}
}

extern "C" cudaError_t k_layer_fill(void *p, bool bf16,
				    const struct k_fill_part *f,
				    cudaStream_t s)
{
	if (!f->rows || !f->cols) {
		return cudaSuccess;
	}
	fill<<<k_grid(f->rows * f->cols, BLOCK), BLOCK, 0, s>>>(p, bf16, *f);
	return cudaGetLastError();
}

/* A thread a token: k is small, and a token's pairs are neighbours. */
static __global__ void weights(const float *logits, const int32_t *ids,
			       float *w, uint64_t tokens, int n, int k)
{
	for (EACH(t, tokens)) {
		const float *row = logits + t * n;
		float max = -CUDART_INF_F, sum = 0;

		for (int j = 0; j < k; j++) {
			max = fmaxf(max, row[ids[t * k + j]]);
		}
		for (int j = 0; j < k; j++) {
			sum += expf(row[ids[t * k + j]] - max);
		}
		for (int j = 0; j < k; j++) {
			w[t * k + j] = expf(row[ids[t * k + j]] - max) / sum;
		}
	}
}

extern "C" cudaError_t k_layer_weights(const float *logits, const int32_t *ids,
				       float *w, uint64_t tokens, int n,
				       int k, cudaStream_t s)
{
	if (!tokens) {
		return cudaSuccess;
	}
	weights<<<k_grid(tokens, BLOCK), BLOCK, 0, s>>>(logits, ids, w, tokens,
							n, k);
	return cudaGetLastError();
}

static __global__ void make_keys(const int32_t *ids, int32_t *keys,
				 uint64_t tokens, int n, int k, int chunks,
				 int group)
{
	for (EACH(i, tokens * k)) {
		keys[i] = order_chunk(i / k, tokens, chunks) % group * n +
			  ids[i];
	}
}

extern "C" cudaError_t k_layer_keys(const int32_t *ids, int32_t *keys,
				    uint64_t tokens, int n, int k, int chunks,
				    int group, cudaStream_t s)
{
	if (!tokens) {
		return cudaSuccess;
	}
	make_keys<<<k_grid(tokens * k, BLOCK), BLOCK, 0, s>>>(
		ids, keys, tokens, n, k, chunks, group);
	return cudaGetLastError();
}

static __global__ void shift(int32_t *pos, uint64_t n, int32_t by)
{
	for (EACH(i, n)) {
		pos[i] += by;
	}
}

extern "C" cudaError_t k_layer_shift(int32_t *pos, uint64_t n, int32_t by,
				     cudaStream_t s)
{
	if (!n) {
		return cudaSuccess;
	}
	shift<<<k_grid(n, BLOCK), BLOCK, 0, s>>>(pos, n, by);
	return cudaGetLastError();
}

/* start[e]: pairs of experts before e; every block makes its own. */
static __device__ inline void scan_experts(const int32_t *total,
					   int32_t *start, int n)
{
	if (threadIdx.x == 0) {
		int32_t at = 0;

		for (int e = 0; e < n; e++) {
			start[e] = at;
			at += total[e];
		}
	}
	__syncthreads();
}

/* Slot of copy i of an expert: xchg_slot() and xchg_home(). */
static __device__ inline int slot_of(struct k_homes h, int e, int i)
{
	int home = (h.ep_index + e + i) % h.copies;

	return (e / h.local * h.copies + home) * h.local + e % h.local;
}

static __global__ void homes(const int32_t *ids, const int32_t *sorted,
			     const int32_t *total, int32_t *slot,
			     uint64_t pairs, struct k_homes h)
{
	__shared__ int32_t start[K_EXPERTS_MAX];

	scan_experts(total, start, h.n_experts);
	for (EACH(i, pairs)) {
		slot[i] = slot_of(h, ids[i], sorted[i] - start[ids[i]]);
	}
}

extern "C" cudaError_t k_layer_homes(const int32_t *ids, const int32_t *sorted,
				     const int32_t *total, int32_t *slot,
				     uint64_t pairs, const struct k_homes *h,
				     cudaStream_t s)
{
	if (h->n_experts < 1 || h->n_experts > K_EXPERTS_MAX) {
		return cudaErrorInvalidValue;
	}
	if (!pairs) {
		return cudaSuccess;
	}
	homes<<<k_grid(pairs, BLOCK * 4), BLOCK, 0, s>>>(ids, sorted, total,
							 slot, pairs, *h);
	return cudaGetLastError();
}

/* Row of copy i of expert e, which has a slot of its own. */
static __device__ inline int64_t slot_row(struct k_slots c, int e, int i)
{
	int chunk = order_chunk(i, c.capacity, c.chunks);
	int first = (int)order_first(c.capacity, chunk, c.chunks);
	int slots = c.h.n_experts * c.h.copies;

	return c.start[chunk * slots + slot_of(c.h, e, i)] +
	       (i - first) / c.h.copies;
}

static __global__ void slots(const int32_t *ids, const int32_t *sorted,
			     const int32_t *total, int32_t *pos,
			     uint64_t pairs, struct k_slots c)
{
	__shared__ int32_t start[K_EXPERTS_MAX];

	scan_experts(total, start, c.h.n_experts);
	for (EACH(i, pairs)) {
		int e = ids[i], n = sorted[i] - start[e];

		pos[i] = n < c.capacity ? (int32_t)slot_row(c, e, n) : -1;
	}
}

extern "C" cudaError_t k_layer_slots(const int32_t *ids, const int32_t *sorted,
				     const int32_t *total, int32_t *pos,
				     uint64_t pairs, const struct k_slots *c,
				     cudaStream_t s)
{
	int n = c->h.n_experts;

	if (n < 1 || n > K_EXPERTS_MAX || c->capacity < 1 || c->chunks < 1) {
		return cudaErrorInvalidValue;
	}
	if (!pairs) {
		return cudaSuccess;
	}
	slots<<<k_grid(pairs, BLOCK * 4), BLOCK, 0, s>>>(ids, sorted, total,
							 pos, pairs, *c);
	return cudaGetLastError();
}

/* A warp a slot; those that tokens have are passed over. */
template<typename V>
static __global__ void zero_slots(V *rows, const int32_t *total, uint64_t row,
				  struct k_slots s)
{
	V zero;

	memset(&zero, 0, sizeof(zero));
	for (EACH_UNIT(u, (uint64_t)s.h.n_experts * s.capacity)) {
		int e = (int)(u / s.capacity), i = (int)(u % s.capacity);
		uint64_t at;

		if (i < total[e]) {
			continue;
		}
		at = slot_row(s, e, i) * row;
		for (uint64_t c = threadIdx.x % WARP; c < row; c += WARP) {
			rows[at + c] = zero;
		}
	}
}

extern "C" cudaError_t k_layer_zero_slots(void *rows, const int32_t *total,
					  uint64_t row_bytes,
					  const struct k_slots *c,
					  cudaStream_t s)
{
	uint64_t n = (uint64_t)c->h.n_experts * c->capacity;

#define ZERO(V) \
	zero_slots<V><<<k_grid(n, WARPS), BLOCK, 0, s>>>( \
		(V *)rows, total, row_bytes / sizeof(V), *c)
	K_BY_BYTES(row_bytes, ZERO);
#undef ZERO
	return cudaGetLastError();
}

static __global__ void leads(const int32_t *pos, const uint8_t *lead,
			     int32_t *out, uint64_t pairs)
{
	for (EACH(i, pairs)) {
		out[i] = pos[i] >= 0 && lead[pos[i]] ? pos[i] : -1;
	}
}

extern "C" cudaError_t k_layer_leads(const int32_t *pos, const uint8_t *lead,
				     int32_t *out, uint64_t pairs,
				     cudaStream_t s)
{
	if (!pairs) {
		return cudaSuccess;
	}
	leads<<<k_grid(pairs, BLOCK), BLOCK, 0, s>>>(pos, lead, out, pairs);
	return cudaGetLastError();
}

static __global__ void scatter_f32(const float *w, const int32_t *pos,
				   float *out, uint64_t pairs)
{
	for (EACH(i, pairs)) {
		if (pos[i] >= 0) {
			out[pos[i]] = w[i];
		}
	}
}

extern "C" cudaError_t k_layer_scatter_f32(const float *w, const int32_t *pos,
					   float *out, uint64_t pairs,
					   cudaStream_t s)
{
	if (!pairs) {
		return cudaSuccess;
	}
	scatter_f32<<<k_grid(pairs, BLOCK), BLOCK, 0, s>>>(w, pos, out, pairs);
	return cudaGetLastError();
}

static __device__ inline float gradient_of(const float *g, const int32_t *pos,
					   uint64_t i)
{
	if (!pos) {
		return g[i];
	}
	return pos[i] >= 0 ? g[pos[i]] : 0.0f;
}

/* A warp a token. */
static __global__ void weights_bwd(const int32_t *ids, const int32_t *pos,
				   const float *w, const float *g,
				   void *dlogits, uint64_t tokens, int n,
				   int k, bool bf16)
{
	int lane = threadIdx.x % WARP;

	for (EACH_UNIT(t, tokens)) {
		float mean = 0;

		for (uint64_t i = t * k + lane; i < (t + 1) * k; i += WARP) {
			mean += w[i] * gradient_of(g, pos, i);
		}
		for (int d = WARP / 2; d > 0; d /= 2) {
			mean += __shfl_xor_sync(0xffffffffu, mean, d);
		}
		for (int e = lane; e < n; e += WARP) {
			elem_store(dlogits, t * n + e, bf16, 0);
		}
		__syncwarp();
		for (uint64_t i = t * k + lane; i < (t + 1) * k; i += WARP) {
			elem_store(dlogits, t * n + ids[i], bf16, w[i] *
				   (gradient_of(g, pos, i) - mean));
		}
	}
}

extern "C" cudaError_t k_layer_weights_bwd(const int32_t *ids,
					   const int32_t *pos, const float *w,
					   const float *g, void *dlogits,
					   uint64_t tokens, int n, int k,
					   bool bf16, cudaStream_t s)
{
	if (!tokens) {
		return cudaSuccess;
	}
	weights_bwd<<<k_grid(tokens, WARPS), BLOCK, 0, s>>>(
		ids, pos, w, g, dlogits, tokens, n, k, bf16);
	return cudaGetLastError();
}
