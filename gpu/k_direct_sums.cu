/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sums of the direct exchange: what a rank's experts made of another's tokens
 * is added up and sent, the receiver adds its own experts' rows. Either in
 * two kernels with a barrier between them, or in one:
 *
 * Tokens are cut into segments. The first half of the blocks sends them in
 * order; the last block to be done with a segment raises its flag at every
 * other rank. The other blocks, and those that have sent all, take tokens in
 * order and add up those whose segment has come from everyone: the link and
 * the memory are busy at the same time. Senders have the lower block numbers,
 * so that they run first and nobody waits for a block that cannot start.
 */
#include "gpu/k_direct_common.h"

#define SEGMENT_BYTES (64 * 1024)	/* of rows, at least */
#define UNIT_ITEMS 8		/* of a warp, that it takes to add up at once */
#define BLOCKS_EACH 4		/* on each multiprocessor */
#define LIMITED_THREADS 1024	/* of a block, when few of them have to do */

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

static bool are_countable(uint64_t items)
{
	return items <= INT32_MAX;
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
template<typename E>
static __global__ void __launch_bounds__(BLOCK)
send_sums(const __grid_constant__ struct k_direct d,
	  const __grid_constant__ struct k_direct_route r,
	  const __grid_constant__ struct k_direct_sums a, struct row_items w)
{
	unsigned items = w.pieces * (d.ranks - 1) * r.tokens;
	unsigned i = blockIdx.x * WARPS + threadIdx.x / WARP;

	if (has_failed(d)) {
		return;
	}
	for (; i < items; i += gridDim.x * WARPS) {
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

template<typename E>
static __global__ void __launch_bounds__(BLOCK)
add_sums(const __grid_constant__ struct k_direct d,
	 const __grid_constant__ struct k_direct_route r,
	 const __grid_constant__ struct k_direct_sums a, struct row_items w)
{
	unsigned items = w.pieces * r.tokens;
	unsigned i = blockIdx.x * WARPS + threadIdx.x / WARP;

	if (has_failed(d)) {
		return;
	}
	for (; i < items; i += gridDim.x * WARPS) {
		add_item<E>(d, r, a, w, i);
	}
}

/* One block of `senders` is done with a segment; the last one says so. */
static __device__ inline void segment_sent(const struct k_direct &d,
					   unsigned senders, int segment,
					   uint64_t seq)
{
	struct k_direct_ctl *own = d.ctl[d.rank];

	__syncthreads();
	if (threadIdx.x) {
		return;
	}
	__threadfence_system();
	if (atomicAdd(&own->segment_done[segment], 1u) != senders - 1) {
		return;
	}
	own->segment_done[segment] = 0;
	__threadfence_system();
	for (int p = 0; p < d.ranks; p++) {
		if (p != d.rank) {
			store_release(&d.ctl[p]->segment_flag[segment][d.rank],
				      seq);
		}
	}
}

/* Items go round all warps of the senders, whatever their segment. */
template<typename E>
static __device__ void send_segments(const struct k_direct &d,
				     const struct k_direct_route &r,
				     const struct k_direct_sums &a,
				     struct row_items w, int segments,
				     unsigned senders, uint64_t seq)
{
	unsigned warps = blockDim.x / WARP;
	unsigned i = blockIdx.x * warps + threadIdx.x / WARP;

	for (int g = 0; g < segments; g++) {
		unsigned end = (unsigned)order_first(r.tokens, g + 1,
						     segments) *
			       (d.ranks - 1) * w.pieces;

		for (; i < end; i += senders * warps) {
			send_item<E>(d, r, a, w, i);
		}
		segment_sent(d, senders, g, seq);
	}
}

/* The segments of tokens [first, end) are here; all threads. */
static __device__ inline void await_segments(const struct k_direct &d,
					     const struct k_direct_route &r,
					     uint64_t first, uint64_t end,
					     int segments, uint64_t seq)
{
	int p = threadIdx.x;
	int g = order_chunk(first, r.tokens, segments);
	int last = order_chunk(end - 1, r.tokens, segments);

	for (; p < d.ranks && p != d.rank && g <= last; g++) {
		if (has_failed(d)) {
			break;
		}
		await(d, &d.ctl[d.rank]->segment_flag[g][p], seq, p);
	}
	__syncthreads();
}

/* Units of tokens, in order, whoever is free. */
template<typename E>
static __device__ void add_segments(const struct k_direct &d,
				    const struct k_direct_route &r,
				    const struct k_direct_sums &a,
				    struct row_items w, int segments,
				    uint64_t seq)
{
	__shared__ unsigned taken;
	unsigned warps = blockDim.x / WARP;
	unsigned unit = (warps * UNIT_ITEMS + w.pieces - 1) / w.pieces;

	for (;;) {
		unsigned first, end;

		__syncthreads();
		if (threadIdx.x == 0) {
			taken = atomicAdd(&d.ctl[d.rank]->unit_next, 1u);
		}
		__syncthreads();
		first = taken * unit;
		end = min(first + unit, (unsigned)r.tokens);
		if (first >= end) {
			return;
		}
		await_segments(d, r, first, end, segments, seq);
		for (unsigned i = first * w.pieces + threadIdx.x / WARP;
		     i < end * w.pieces; i += warps) {
			add_item<E>(d, r, a, w, i);
		}
	}
}

/* The last block leaves everything as the next exchange wants it. */
static __device__ inline void sums_done(const struct k_direct &d, uint64_t seq)
{
	struct k_direct_ctl *own = d.ctl[d.rank];

	__syncthreads();
	if (threadIdx.x == 0 &&
	    atomicAdd(&own->blocks_done, 1u) == gridDim.x - 1) {
		own->blocks_done = 0;
		own->unit_next = 0;
		own->segment_epoch = seq;
	}
}

template<typename E>
static __global__ void __launch_bounds__(LIMITED_THREADS)
exchange_sums(const __grid_constant__ struct k_direct d,
	      const __grid_constant__ struct k_direct_route r,
	      const __grid_constant__ struct k_direct_sums a,
	      struct row_items w, int segments, unsigned senders)
{
	uint64_t seq = *(volatile uint64_t *)
			&d.ctl[d.rank]->segment_epoch + 1;

	if (has_failed(d)) {
		return;
	}
	if (blockIdx.x < senders) {
		send_segments<E>(d, r, a, w, segments, senders, seq);
	}
	add_segments<E>(d, r, a, w, segments, seq);
	sums_done(d, seq);
}

extern "C" cudaError_t k_direct_send_sums(const struct k_direct *d,
					  const struct k_direct_route *r,
					  const struct k_direct_sums *c,
					  int ctas, cudaStream_t s)
{
	struct row_items w = items_of(c);
	uint64_t items = (uint64_t)w.pieces * (d->ranks - 1) * r->tokens;
	unsigned grid = limited(k_grid(items, WARPS), ctas);

	if (!items) {
		return cudaSuccess;
	}
	if (!are_countable(items)) {
		return cudaErrorInvalidValue;
	}
	if (c->bf16) {
		send_sums<vec_bf16><<<grid, BLOCK, 0, s>>>(*d, *r, *c, w);
	} else {
		send_sums<vec_f32><<<grid, BLOCK, 0, s>>>(*d, *r, *c, w);
	}
	return cudaGetLastError();
}

extern "C" cudaError_t k_direct_add_sums(const struct k_direct *d,
					 const struct k_direct_route *r,
					 const struct k_direct_sums *c,
					 int ctas, cudaStream_t s)
{
	struct row_items w = items_of(c);
	uint64_t items = (uint64_t)w.pieces * r->tokens;
	unsigned grid = limited(k_grid(items, WARPS), ctas);

	if (!items) {
		return cudaSuccess;
	}
	if (!are_countable(items)) {
		return cudaErrorInvalidValue;
	}
	if (c->bf16) {
		add_sums<vec_bf16><<<grid, BLOCK, 0, s>>>(*d, *r, *c, w);
	} else {
		add_sums<vec_f32><<<grid, BLOCK, 0, s>>>(*d, *r, *c, w);
	}
	return cudaGetLastError();
}

/* The same on all ranks, whatever their devices are. */
static int segments_of(const struct k_direct_route *r, uint64_t row_bytes)
{
	uint64_t n = (uint64_t)r->tokens * row_bytes / SEGMENT_BYTES;

	return n < 1 ? 1 : n > K_DIRECT_SEGMENTS ? K_DIRECT_SEGMENTS : (int)n;
}

extern "C" cudaError_t k_direct_exchange_sums(const struct k_direct *d,
					      const struct k_direct_route *r,
					      const struct k_direct_sums *c,
					      int ctas, cudaStream_t s)
{
	struct row_items w = items_of(c);
	int threads = ctas > 0 ? LIMITED_THREADS : BLOCK, sms;
	uint64_t items = (uint64_t)w.pieces * (d->ranks - 1) * r->tokens;
	int segments = segments_of(r, c->row_bytes);
	unsigned grid, senders, most;
	bool has_bulk;
	cudaError_t rc = device_of(&sms, &has_bulk);

	if (rc != cudaSuccess) {
		return rc;
	}
	if (!are_countable(items) ||
	    !are_countable((uint64_t)w.pieces * r->tokens)) {
		return cudaErrorInvalidValue;
	}
	most = ctas > 0 ? (unsigned)ctas : (unsigned)sms * BLOCKS_EACH;
	grid = limited(2 * k_grid(items, threads / WARP), (int)most);
	senders = grid > 1 ? grid / 2 : 1;
	if (c->bf16) {
		exchange_sums<vec_bf16><<<grid, threads, 0, s>>>(*d, *r, *c, w,
								 segments,
								 senders);
	} else {
		exchange_sums<vec_f32><<<grid, threads, 0, s>>>(*d, *r, *c, w,
								segments,
								senders);
	}
	return cudaGetLastError();
}

extern "C" cudaError_t k_direct_load_sums(void)
{
	struct cudaFuncAttributes a;
	const void *const all[] = {
		(const void *)send_sums<vec_bf16>,
		(const void *)send_sums<vec_f32>,
		(const void *)add_sums<vec_bf16>,
		(const void *)add_sums<vec_f32>,
		(const void *)exchange_sums<vec_bf16>,
		(const void *)exchange_sums<vec_f32>
	};
	cudaError_t rc = cudaSuccess;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (rc == cudaSuccess) {
			rc = cudaFuncGetAttributes(&a, all[i]);
		}
	}
	return rc;
}
