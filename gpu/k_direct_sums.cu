/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sums of the direct exchange: what a rank's experts made of another's tokens
 * is added up and sent; behind a barrier the receiver adds its own experts'
 * rows. Where few multiprocessors have to do, blocks are as large as they can
 * be: a warp has four vectors of 16 bytes a lane on their way, no more.
 */
#include "gpu/k_direct_common.h"

#define BLOCK_LIMITED 1024	/* threads of one of few blocks */

template<typename E>
static __device__ inline void add_vector(const uint4 &v, float *acc)
{
	float f[E::N];

	E::load(v, f);
#pragma unroll
	for (int i = 0; i < E::N; i++) {
		acc[i] += f[i];
	}
}

/* acc += the rows' vectors; those of negative place are none. */
template<typename E, int K>
static __device__ inline void add_rows(const uint4 *rows, const int32_t *p,
				       uint64_t n, uint64_t c, float *acc)
{
	uint4 v[K];
	bool is_there[K];

#pragma unroll
	for (int j = 0; j < K; j++) {
		int64_t row = p[j];

		is_there[j] = row >= 0;
		if (is_there[j]) {
			v[j] = rows[row * n + c];
		}
	}
#pragma unroll
	for (int j = 0; j < K; j++) {
		if (is_there[j]) {
			add_vector<E>(v[j], acc);
		}
	}
}

/* Of k rows, four at a time. */
template<typename E>
static __device__ inline void add_all(const uint4 *rows, const int32_t *p,
				      int k, uint64_t n, uint64_t c,
				      float *acc)
{
	for (; k >= 4; k -= 4, p += 4) {
		add_rows<E, 4>(rows, p, n, c, acc);
	}
	if (k >= 2) {
		add_rows<E, 2>(rows, p, n, c, acc);
		k -= 2;
		p += 2;
	}
	if (k) {
		add_rows<E, 1>(rows, p, n, c, acc);
	}
}

/* Of vectors of rows: n in a row, moved by a warp's width at a time. Items are
 * numbered in 31 bits: divisions of longer numbers take as long as an item. */
struct row_items {
	uint64_t n;
	unsigned pieces;
};

static struct row_items items_of(const struct k_direct_sums *c)
{
	uint64_t n = c->row_bytes / sizeof(uint4);

	return { n, (unsigned)((n + WARP - 1) / WARP) };
}

/* The i-th item to send: tokens in order, each to all other ranks. */
template<typename E>
static __device__ inline void send_item(const struct k_direct &d,
					const struct k_direct_route &r,
					const struct k_direct_sums &a,
					struct row_items w, unsigned i)
{
	unsigned token = i / w.pieces / (d.ranks - 1);
	int to = (int)(i / w.pieces % (d.ranks - 1) + d.rank + 1) % d.ranks;
	int lane = threadIdx.x % WARP;
	const int32_t *p = places(r, to, token);
	unsigned c = i % w.pieces * WARP + lane;
	float acc[E::N] = { 0 };
	int mine = lane < r.k ? p[lane] : -1;

	if (!__any_sync(0xffffffffu, mine != -1)) {
		return;
	}
	if (a.pair && i % w.pieces == 0 && mine != -1) {
		float *out = (float *)(d.window[to] + a.out_pair);

		out[token * r.k + lane] = mine < 0 ? 0 : a.pair[mine];
	}
	if (c < w.n) {
		uint4 *out = (uint4 *)(d.window[to] + a.stage) +
			     ((uint64_t)d.rank * r.tokens + token) * w.n;

		add_all<E>((const uint4 *)a.rows, p, r.k, w.n, c, acc);
		out[c] = E::pack(acc);
	}
}

/*
 * What this rank's experts made of another's tokens: sums in fp32, one row
 * for each token that has an expert here, into the other's stage.
 */
template<typename E, int THREADS>
static __global__ void __launch_bounds__(THREADS)
send_sums(const __grid_constant__ struct k_direct d,
	  const __grid_constant__ struct k_direct_route r,
	  const __grid_constant__ struct k_direct_sums a, struct row_items w)
{
	unsigned items = w.pieces * (d.ranks - 1) * r.tokens;
	unsigned warps = gridDim.x * (THREADS / WARP);
	unsigned i = blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP;

	if (has_failed(d)) {
		return;
	}
	for (; i < items; i += warps) {
		send_item<E>(d, r, a, w, i);
	}
}

/* The rank that adds up this lane's pair of an own token; own: none other. */
static __device__ inline int sender_of(const struct k_direct &d,
				       const struct k_direct_route &r,
				       const struct k_direct_sums &a,
				       const int32_t *p, uint64_t token)
{
	const int32_t *ids = (const int32_t *)(d.window[d.rank] + r.ids);
	int lane = threadIdx.x % WARP;

	if (lane >= r.k || (a.is_marked && p[lane] != K_DIRECT_ELSEWHERE)) {
		return d.rank;
	}
	return ids[token * r.k + lane] / (r.experts / d.ranks);
}

static __device__ inline bool is_own_pair(int32_t place)
{
	return place >= 0 || place == K_DIRECT_DROPPED;
}

/*
 * The own experts' rows and the others' sums, of all chunks that a token has
 * a part in, on top of what is there with a.add. The i-th item of all.
 */
template<typename E>
static __device__ inline void add_item(const struct k_direct &d,
				       const struct k_direct_route &r,
				       const struct k_direct_sums &a,
				       struct row_items w, unsigned i)
{
	int lane = threadIdx.x % WARP;
	unsigned token = i / w.pieces, c = i % w.pieces * WARP + lane;
	float *out_pair = (float *)(d.window[d.rank] + a.out_pair);
	uint4 *out = (uint4 *)a.out + token * w.n + c;
	float acc[E::N] = { 0 };

	if (a.add && c < w.n) {
		E::load(*out, acc);
	}
	for (int q = 0; q < a.chunks; q++) {
		const int32_t *p = places(r, d.rank, token) + q * a.place_step;
		int64_t base = a.row_base ? a.row_base[q] : 0;
		const uint4 *stage = (const uint4 *)
			(d.window[d.rank] + a.stage + q * a.stage_step);
		int where = sender_of(d, r, a, p, token);
		unsigned same = __match_any_sync(0xffffffffu, where);
		unsigned from = __ballot_sync(0xffffffffu, where != d.rank &&
					      __ffs(same) - 1 == lane);

		if (a.pair && i % w.pieces == 0 && lane < r.k &&
		    is_own_pair(p[lane])) {
			out_pair[token * r.k + lane] = p[lane] < 0
				? 0 : a.pair[base + p[lane]];
		}
		if (c < w.n) {
			add_all<E>((const uint4 *)a.rows + base * w.n, p, r.k,
				   w.n, c, acc);
		}
		while (from) {
			int s = __shfl_sync(0xffffffffu, where,
					    __ffs(from) - 1);
			int64_t at = (int64_t)s * r.tokens + token;

			from &= from - 1;
			if (c < w.n) {
				add_vector<E>(__ldcg(stage + at * w.n + c),
					      acc);
			}
		}
	}
	if (c < w.n) {
		*out = E::pack(acc);
	}
}

template<typename E, int THREADS>
static __global__ void __launch_bounds__(THREADS)
add_sums(const __grid_constant__ struct k_direct d,
	 const __grid_constant__ struct k_direct_route r,
	 const __grid_constant__ struct k_direct_sums a, struct row_items w)
{
	unsigned items = w.pieces * r.tokens;
	unsigned warps = gridDim.x * (THREADS / WARP);
	unsigned i = blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP;

	if (has_failed(d)) {
		return;
	}
	for (; i < items; i += warps) {
		add_item<E>(d, r, a, w, i);
	}
}

typedef void sums_kernel(struct k_direct, struct k_direct_route,
			 struct k_direct_sums, struct row_items);

/* [few and large blocks][bf16] */
static sums_kernel *const send_kernel[2][2] = {
	{ send_sums<vec_f32, BLOCK>, send_sums<vec_bf16, BLOCK> },
	{ send_sums<vec_f32, BLOCK_LIMITED>,
	  send_sums<vec_bf16, BLOCK_LIMITED> }
};
static sums_kernel *const add_kernel[2][2] = {
	{ add_sums<vec_f32, BLOCK>, add_sums<vec_bf16, BLOCK> },
	{ add_sums<vec_f32, BLOCK_LIMITED>, add_sums<vec_bf16, BLOCK_LIMITED> }
};

/* `each`: items of a piece of a token's row. */
static cudaError_t launch(sums_kernel *const kernel[2][2],
			  const struct k_direct *d,
			  const struct k_direct_route *r,
			  const struct k_direct_sums *c, int each, int ctas,
			  cudaStream_t s)
{
	struct row_items w = items_of(c);
	uint64_t items = (uint64_t)w.pieces * each * r->tokens;
	int few = ctas > 0, threads = few ? BLOCK_LIMITED : BLOCK;
	unsigned grid = limited(k_grid(items, threads / WARP), ctas);

	if (!items) {
		return cudaSuccess;
	}
	if (items > INT32_MAX) {
		return cudaErrorInvalidValue;
	}
	kernel[few][c->bf16]<<<grid, threads, 0, s>>>(*d, *r, *c, w);
	return cudaGetLastError();
}

extern "C" cudaError_t k_direct_send_sums(const struct k_direct *d,
					  const struct k_direct_route *r,
					  const struct k_direct_sums *c,
					  int ctas, cudaStream_t s)
{
	return launch(send_kernel, d, r, c, d->ranks - 1, ctas, s);
}

extern "C" cudaError_t k_direct_add_sums(const struct k_direct *d,
					 const struct k_direct_route *r,
					 const struct k_direct_sums *c,
					 int ctas, cudaStream_t s)
{
	return launch(add_kernel, d, r, c, 1, ctas, s);
}

extern "C" cudaError_t k_direct_load_sums(void)
{
	struct cudaFuncAttributes a;
	cudaError_t rc = cudaSuccess;

	for (int i = 0; i < 4 && rc == cudaSuccess; i++) {
		rc = cudaFuncGetAttributes(
			&a, (const void *)send_kernel[i / 2][i % 2]);
		if (rc == cudaSuccess) {
			rc = cudaFuncGetAttributes(
				&a, (const void *)add_kernel[i / 2][i % 2]);
		}
	}
	return rc;
}
