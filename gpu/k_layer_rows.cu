/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of a layer: permute, move, combine. */
#include "gpu/k_elem.h"
#include "gpu/k_layer.h"

#define LOADS 4			/* of a lane before its first store */
#define WIDTH (LOADS * WARP)	/* vectors of a piece */

template<typename V>
static __device__ inline void piece_load(const V *row, struct k_piece p, V *v)
{
	int lane = threadIdx.x % WARP;

#pragma unroll
	for (int i = 0; i < LOADS; i++) {
		uint64_t c = p.at + i * WARP + lane;

		if (c < p.end) {
			v[i] = row[c];
		}
	}
}

template<typename V>
static __device__ inline void piece_store(V *row, struct k_piece p, const V *v)
{
	int lane = threadIdx.x % WARP;

#pragma unroll
	for (int i = 0; i < LOADS; i++) {
		uint64_t c = p.at + i * WARP + lane;

		if (c < p.end) {
			row[c] = v[i];
		}
	}
}

/* `row` is the vectors of a row. */
template<typename V>
static __global__ void permute(const V *x, const int32_t *pos, V *out,
			       uint64_t tokens, uint64_t row, int k)
{
	for (EACH_UNIT(u, tokens * k_pieces(row, WIDTH))) {
		struct k_piece p = k_piece_of(u, row, WIDTH);
		V v[LOADS];

		piece_load(x + p.row * row, p, v);
		for (int j = 0; j < k; j++) {
			int32_t to = pos[p.row * k + j];

			if (to >= 0) {
				piece_store(out + (uint64_t)to * row, p, v);
			}
		}
	}
}

extern "C" cudaError_t k_layer_permute(const void *x, const int32_t *pos,
				       void *out, uint64_t tokens,
				       uint64_t row_bytes, int k,
				       cudaStream_t s)
{
#define PERMUTE(V) \
	permute<V><<<k_grid(tokens * k_pieces(row_bytes / sizeof(V), WIDTH), \
			    WARPS), BLOCK, 0, s>>>( \
		(const V *)x, pos, (V *)out, tokens, row_bytes / sizeof(V), k)
	if (!tokens || !row_bytes) {
		return cudaSuccess;
	}
	K_BY_BYTES(row_bytes, PERMUTE);
#undef PERMUTE
	return cudaGetLastError();
}

static __device__ inline unsigned second(int32_t i)
{
	return (unsigned)i / K_LAYER_SECOND;
}

static __device__ inline uint64_t place(int32_t i)
{
	return (unsigned)i % K_LAYER_SECOND;
}

/* The run that holds row r: the last that starts at or before it; there are
 * no empty ones. */
static __device__ inline struct k_run run_of(const struct k_run *run, int n,
					     int32_t r)
{
	int low = 0, high = n - 1;

	while (low < high) {
		int mid = (low + high + 1) / 2;

		if (run[mid].start <= r) {
			low = mid;
		} else {
			high = mid - 1;
		}
	}
	return run[low];
}

template<typename V>
static __global__ void move(struct k_move m, uint64_t row)
{
	for (EACH_UNIT(u, m.rows * k_pieces(row, WIDTH))) {
		struct k_piece p = k_piece_of(u, row, WIDTH);
		struct k_run run = run_of(m.run, m.n, (int32_t)p.row);
		uint64_t at = p.row - run.start;
		V v[LOADS];

		memset(v, 0, sizeof(v));
		if (run.from >= 0) {
			piece_load((const V *)(second(run.from) ? m.src[1]
								: m.src[0]) +
				   (place(run.from) + at) * row, p, v);
		}
		piece_store((V *)(second(run.to) ? m.dst[1] : m.dst[0]) +
			    (place(run.to) + at) * row, p, v);
	}
}

extern "C" cudaError_t k_layer_move(const struct k_move *m, uint64_t row_bytes,
				    cudaStream_t s)
{
#define MOVE(V) \
	move<V><<<k_grid(m->rows * k_pieces(row_bytes / sizeof(V), WIDTH), \
			 WARPS), BLOCK, 0, s>>>(*m, row_bytes / sizeof(V))
	if (!m->rows || !row_bytes) {
		return cudaSuccess;
	}
	K_BY_BYTES(row_bytes, MOVE);
#undef MOVE
	return cudaGetLastError();
}

static __global__ void move_f32(struct k_move m)
{
	for (EACH(i, m.rows)) {
		struct k_run run = run_of(m.run, m.n, (int32_t)i);
		const float *src = (const float *)m.src[0];
		float *dst = (float *)m.dst[0];
		uint64_t at = i - run.start;

		if (run.from >= 0 && second(run.from)) {
			src = (const float *)m.src[1];
		}
		if (second(run.to)) {
			dst = (float *)m.dst[1];
		}
		dst[place(run.to) + at] = run.from >= 0 ?
			src[place(run.from) + at] : 0.0f;
	}
}

extern "C" cudaError_t k_layer_move_f32(const struct k_move *m, cudaStream_t s)
{
	if (!m->rows) {
		return cudaSuccess;
	}
	move_f32<<<k_grid(m->rows, BLOCK), BLOCK, 0, s>>>(*m);
	return cudaGetLastError();
}

/* K rows at once, all loads before the first use; row is in vectors. */
template<typename E, int K>
static __global__ void combine(const typename E::V *rows, const int32_t *pos,
			       const float *w, typename E::V *out, bool add,
			       uint64_t tokens, uint64_t row)
{
	for (EACH_UNIT(u, tokens * k_pieces(row, WARP))) {
		struct k_piece p = k_piece_of(u, row, WARP);
		uint64_t c = p.at + threadIdx.x % WARP;
		float acc[E::N] = { 0 };
		typename E::V v[K];

		if (c >= p.end) {
			continue;
		}
#pragma unroll
		for (int j = 0; j < K; j++) {
			int32_t from = pos[p.row * K + j];

			memset(&v[j], 0, sizeof(v[j]));
			if (from >= 0) {
				v[j] = rows[(uint64_t)from * row + c];
			}
		}
		if (add) {
			E::load(out[p.row * row + c], acc);
		}
#pragma unroll
		for (int j = 0; j < K; j++) {
			float f[E::N], wj = w ? w[p.row * K + j] : 1.0f;

			E::load(v[j], f);
#pragma unroll
			for (int i = 0; i < E::N; i++) {
				acc[i] += wj * f[i];
			}
		}
		out[p.row * row + c] = E::pack(acc);
	}
}

/* Any k, one row after the other. */
template<typename E>
static __global__ void combine_any(const typename E::V *rows,
				   const int32_t *pos, const float *w,
				   typename E::V *out, bool add,
				   uint64_t tokens, uint64_t row, int k)
{
	for (EACH_UNIT(u, tokens * k_pieces(row, WARP))) {
		struct k_piece p = k_piece_of(u, row, WARP);
		uint64_t c = p.at + threadIdx.x % WARP;
		float acc[E::N] = { 0 };

		if (c >= p.end) {
			continue;
		}
		if (add) {
			E::load(out[p.row * row + c], acc);
		}
		for (int j = 0; j < k; j++) {
			int32_t from = pos[p.row * k + j];
			float f[E::N], wj = w ? w[p.row * k + j] : 1.0f;

			if (from < 0) {
				continue;
			}
			E::load(rows[(uint64_t)from * row + c], f);
#pragma unroll
			for (int i = 0; i < E::N; i++) {
				acc[i] += wj * f[i];
			}
		}
		out[p.row * row + c] = E::pack(acc);
	}
}

template<typename E>
static void combine_launch(const void *rows, const int32_t *pos,
			   const float *w, void *out, bool add,
			   uint64_t tokens, uint64_t n, int k, cudaStream_t s)
{
	typedef typename E::V V;
	uint64_t row = n / E::N;
	unsigned grid = k_grid(tokens * k_pieces(row, WARP), WARPS);

#define COMBINE(K) \
	case K: \
		combine<E, K><<<grid, BLOCK, 0, s>>>( \
			(const V *)rows, pos, w, (V *)out, add, tokens, row); \
		return
	switch (k) {
	COMBINE(1);
	COMBINE(2);
	COMBINE(4);
	COMBINE(6);
	COMBINE(8);
	}
#undef COMBINE
	combine_any<E><<<grid, BLOCK, 0, s>>>((const V *)rows, pos, w,
					      (V *)out, add, tokens, row, k);
}

extern "C" cudaError_t k_layer_combine(const void *rows, const int32_t *pos,
				       const float *w, void *out, bool add,
				       uint64_t tokens, uint64_t n, int k,
				       bool bf16, cudaStream_t s)
{
#define CALL(E) combine_launch<E>(rows, pos, w, out, add, tokens, n, k, s)
	if (!tokens || !n) {
		return cudaSuccess;
	}
	K_BY_ELEM(bf16, n, CALL);
#undef CALL
	return cudaGetLastError();
}

template<typename E>
static __global__ void sum_rows(struct k_sums m, uint64_t row)
{
	typedef typename E::V V;

	for (EACH_UNIT(u, m.rows * k_pieces(row, WARP))) {
		struct k_piece p = k_piece_of(u, row, WARP);
		uint64_t c = p.at + threadIdx.x % WARP;
		int32_t end = m.first[p.row + 1];
		float acc[E::N] = { 0 };

		if (c >= p.end) {
			continue;
		}
		for (int32_t l = m.first[p.row]; l < end; l++) {
			int32_t from = m.list[l];
			const V *src = (const V *)(second(from) ? m.src[1]
								: m.src[0]);
			float f[E::N];

			E::load(src[place(from) * row + c], f);
#pragma unroll
			for (int i = 0; i < E::N; i++) {
				acc[i] += f[i];
			}
		}
		((V *)m.dst)[(uint64_t)m.to[p.row] * row + c] = E::pack(acc);
	}
}

extern "C" cudaError_t k_layer_sum(const struct k_sums *m, uint64_t n,
				   bool bf16, cudaStream_t s)
{
#define CALL(E) \
	sum_rows<E><<<k_grid(m->rows * k_pieces(n / E::N, WARP), WARPS), \
		      BLOCK, 0, s>>>(*m, n / E::N)
	if (!m->rows || !n) {
		return cudaSuccess;
	}
	K_BY_ELEM(bf16, n, CALL);
#undef CALL
	return cudaGetLastError();
}
