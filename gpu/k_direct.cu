/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Barrier, counts and places of the direct exchange. */
#include "gpu/k_direct_common.h"

#define ONE 1024	/* threads of a kernel of one block */

static __global__ void __launch_bounds__(K_DIRECT_RANKS)
barrier(const __grid_constant__ struct k_direct d, int channel)
{
	__shared__ uint64_t seq;

	if (threadIdx.x == 0) {
		seq = ++d.ctl[d.rank]->epoch[channel];
	}
	__syncthreads();
	if (has_failed(d)) {
		return;
	}
	MEET(d, flag[channel], seq);
}

extern "C" cudaError_t k_direct_barrier(const struct k_direct *d, int channel,
					cudaStream_t s)
{
	barrier<<<1, K_DIRECT_RANKS, 0, s>>>(*d, channel);
	return cudaGetLastError();
}

/* Own row of counts to everyone's matrix. */
static __device__ void send_counts(const struct k_direct &d,
				   const struct k_direct_route &r)
{
	const int32_t *own = (const int32_t *)(d.window[d.rank] + r.counts) +
			     d.rank * r.experts;

	for (int i = threadIdx.x; i < d.ranks * r.experts; i += blockDim.x) {
		int p = i / r.experts, e = i % r.experts;

		if (p != d.rank) {
			int32_t *to = (int32_t *)(d.window[p] + r.counts);

			to[d.rank * r.experts + e] = own[e];
		}
	}
}

static __device__ inline int32_t capped(const struct k_direct_route &r,
					int32_t n)
{
	return r.capacity && n > r.capacity ? r.capacity : n;
}

/* Inclusive sums of one number of each thread, in place; ONE threads. */
static __device__ int64_t scan(int64_t v, int64_t *shared)
{
	int i = threadIdx.x;

	shared[i] = v;
	__syncthreads();
	for (int step = 1; step < ONE; step *= 2) {
		int64_t before = i >= step ? shared[i - step] : 0;

		__syncthreads();
		shared[i] += before;
		__syncthreads();
	}
	v = shared[i];
	__syncthreads();
	return v;
}

/*
 * slot[s][e] = { pairs of source s for experts before e, row here of its
 * first pair for e }. A thread an expert, so at most ONE of them.
 */
static __device__ void make_slots(const struct k_direct &d,
				  const struct k_direct_route &r)
{
	__shared__ int64_t shared[ONE];
	__shared__ int32_t most;
	const volatile int32_t *matrix =
		(const volatile int32_t *)(d.window[d.rank] + r.counts);
	int local = r.experts / d.ranks, e = threadIdx.x;
	int mine = e - d.rank * local;
	bool is_here = mine >= 0 && mine < local, is_any = e < r.experts;
	int64_t all, total = 0, stride = r.stride, first;

	if (e == 0) {
		most = 0;
	}
	__syncthreads();
	for (int s = 0; is_here && s < d.ranks; s++) {
		total += capped(r, matrix[s * r.experts + e]);
	}
	if (is_here) {
		atomicMax(&most, (int32_t)total);
		r.kept[mine] = (int32_t)total;
	}
	first = scan(is_here ? total : 0, shared);
	all = shared[ONE - 1];
	first -= total;
	if (!stride) {
		stride = ffn_stride(local, most, all);
	}
	if (stride) {
		first = mine * stride;
	}
	if (is_here && ((stride && total > stride) ||
			first + (stride ? stride : total) > r.rows_max)) {
		fail(d, K_DIRECT_ROOM, mine);
	}
	for (int s = 0; s < d.ranks; s++) {
		int32_t n = is_any ? matrix[s * r.experts + e] : 0;
		int64_t before = scan(n, shared) - n;

		if (is_here) {
			r.slot[2 * (s * local + mine)] = (int32_t)before;
			r.slot[2 * (s * local + mine) + 1] = (int32_t)first;
			first += capped(r, n);
		}
		if (is_any) {
			r.host_counts[s * r.experts + e] = capped(r, n);
		}
	}
	if (e == 0) {
		r.slot[2 * d.ranks * local] = (int32_t)stride;
	}
}

static __global__ void __launch_bounds__(ONE)
counts(const __grid_constant__ struct k_direct d,
       const __grid_constant__ struct k_direct_route r, int channel)
{
	__shared__ uint64_t seq;

	if (threadIdx.x == 0) {
		seq = ++d.ctl[d.rank]->epoch[channel];
	}
	__syncthreads();
	if (has_failed(d)) {
		return;
	}
	send_counts(d, r);
	MEET(d, flag[channel], seq);
	if (!has_failed(d)) {
		make_slots(d, r);
	}
}

extern "C" cudaError_t k_direct_counts(const struct k_direct *d,
				       const struct k_direct_route *r,
				       int channel, cudaStream_t s)
{
	counts<<<1, ONE, 0, s>>>(*d, *r, channel);
	return cudaGetLastError();
}

/* Weights of rows behind the experts' last. */
static __device__ void zero_weights(const struct k_direct &d,
				    const struct k_direct_route &r)
{
	int local = r.experts / d.ranks;
	int64_t stride = r.slot[2 * d.ranks * local];

	for (EACH(i, (uint64_t)(local * stride))) {
		if ((int64_t)i % stride >= r.kept[i / stride]) {
			r.row_weight[i] = 0;
		}
	}
}

static __global__ void __launch_bounds__(BLOCK)
place(const __grid_constant__ struct k_direct d,
      const __grid_constant__ struct k_direct_route r)
{
	uint64_t pairs = (uint64_t)r.tokens * r.k;
	int local = r.experts / d.ranks;

	if (has_failed(d)) {
		return;
	}
	for (EACH(i, d.ranks * pairs)) {
		int s = (int)(i / pairs);
		uint64_t at = i % pairs;
		const char *w = d.window[s];
		int e = ((const int32_t *)(w + r.ids))[at] - d.rank * local;
		int32_t to = -1, nth;

		if (e >= 0 && e < local) {
			const int32_t *slot = r.slot + 2 * (s * local + e);

			nth = ((const int32_t *)(w + r.pos))[at] - slot[0];
			to = r.capacity && nth >= r.capacity ? -2
							     : slot[1] + nth;
		}
		r.place[i] = to;
		if (to >= 0 && r.row_weight) {
			r.row_weight[to] =
				((const float *)(w + r.weights))[at];
		}
	}
	if (r.row_weight) {
		zero_weights(d, r);
	}
}

extern "C" cudaError_t k_direct_place(const struct k_direct *d,
				      const struct k_direct_route *r,
				      cudaStream_t s)
{
	uint64_t n = (uint64_t)d->ranks * r->tokens * r->k;

	place<<<k_grid(n, BLOCK), BLOCK, 0, s>>>(*d, *r);
	return cudaGetLastError();
}

extern "C" cudaError_t k_direct_load(void)
{
	struct cudaFuncAttributes a;
	cudaError_t rc = cudaFuncGetAttributes(&a, barrier);

	if (rc == cudaSuccess) {
		rc = cudaFuncGetAttributes(&a, counts);
	}
	return rc == cudaSuccess ? cudaFuncGetAttributes(&a, place) : rc;
}
