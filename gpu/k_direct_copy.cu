/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An all-to-all of equal blocks in one kernel. Block b of the grid meets
 * block b of every other rank before (their buffers may be written) and after
 * (what they wrote is here); what the b-th blocks do not write is the affair
 * of others, so nobody waits for the whole grid.
 */
#include "gpu/k_direct_common.h"

#define THREADS 512
#define STORES 4		/* vectors of a thread before the first store */
#define BULK_WARPS 4
#define BULK_STAGES 3
#define BULK_PIECE 16384

struct copy_arg {
	uint64_t send, receive, bytes;
};

/* By threads: the grid takes a stretch of each peer's block in turn. */
static __device__ void copy_store(const struct k_direct &d,
				  const struct copy_arg &a)
{
	uint64_t n = a.bytes / sizeof(uint4);
	uint64_t step = (uint64_t)gridDim.x * THREADS;
	uint64_t at = (uint64_t)blockIdx.x * THREADS + threadIdx.x;

	for (; at < n; at += step * STORES) {
		for (int j = 0; j < d.ranks; j++) {
			int p = (d.rank + 1 + j) % d.ranks;
			const uint4 *from = (const uint4 *)(
				d.window[d.rank] + a.send) + p * n;
			uint4 *to = (uint4 *)(d.window[p] + a.receive) +
				    d.rank * n;
			uint4 v[STORES];

#pragma unroll
			for (int u = 0; u < STORES; u++) {
				if (at + u * step < n) {
					v[u] = from[at + u * step];
				}
			}
#pragma unroll
			for (int u = 0; u < STORES; u++) {
				if (at + u * step < n) {
					to[at + u * step] = v[u];
				}
			}
		}
	}
}

static __device__ inline uint64_t next_epoch(const struct k_direct &d)
{
	__shared__ uint64_t seq;

	if (threadIdx.x == 0) {
		seq = d.ctl[d.rank]->block_epoch[blockIdx.x];
		d.ctl[d.rank]->block_epoch[blockIdx.x] = seq + 2;
	}
	__syncthreads();
	return seq;
}

static __global__ void __launch_bounds__(THREADS)
alltoall_store(const __grid_constant__ struct k_direct d,
	       const struct copy_arg a)
{
	uint64_t seq = next_epoch(d);

	if (has_failed(d)) {
		return;
	}
	MEET(d, block_flag[blockIdx.x], seq + 1);
	copy_store(d, a);
	MEET(d, block_flag[blockIdx.x], seq + 2);
}

#ifdef HAVE_BULK
/* One thread of each of the first warps. */
static __device__ void copy_bulk(const struct k_direct &d,
				 const struct copy_arg &a, char *own,
				 uint64_t *bars)
{
	unsigned w = blockIdx.x * BULK_WARPS + threadIdx.x / WARP, j = 0;
	unsigned warps = gridDim.x * BULK_WARPS;
	uint32_t parity = 0;
	bool is_more = true;

	while (is_more) {
		uint64_t at[BULK_STAGES];
		uint32_t bytes[BULK_STAGES];
		int peer[BULK_STAGES];

#pragma unroll
		for (int u = 0; u < BULK_STAGES; u++, j++) {
			at[u] = (w + (uint64_t)(j / d.ranks) * warps) *
				BULK_PIECE;
			peer[u] = (int)(j + d.rank + 1) % d.ranks;
			is_more = at[u] < a.bytes;
			bytes[u] = !is_more ? 0
				: at[u] + BULK_PIECE < a.bytes ? BULK_PIECE
				: (uint32_t)(a.bytes - at[u]);
			if (is_more) {
				bulk_load(own + u * BULK_PIECE,
					  d.window[d.rank] + a.send +
					  peer[u] * a.bytes + at[u],
					  bytes[u], &bars[u]);
			}
		}
#pragma unroll
		for (int u = 0; u < BULK_STAGES; u++) {
			if (bytes[u]) {
				bar_wait(&bars[u], parity);
				bulk_store(d.window[peer[u]] + a.receive +
					   d.rank * a.bytes + at[u],
					   own + u * BULK_PIECE, bytes[u]);
				bulk_commit();
			}
		}
		bulk_wait_read();
		parity ^= 1;
	}
	bulk_wait();
}
#endif

static __global__ void __launch_bounds__(BULK_WARPS * WARP)
alltoall_bulk(const __grid_constant__ struct k_direct d,
	      const struct copy_arg a)
{
#ifdef HAVE_BULK
	extern __shared__ __align__(128) char pieces[];
	__shared__ uint64_t bars[BULK_WARPS][BULK_STAGES];
	int warp = threadIdx.x / WARP;
	uint64_t seq = next_epoch(d);

	if (has_failed(d)) {
		return;
	}
	if (threadIdx.x % WARP < BULK_STAGES) {
		bar_init(&bars[warp][threadIdx.x % WARP]);
	}
	bar_init_done();
	MEET(d, block_flag[blockIdx.x], seq + 1);
	if (threadIdx.x % WARP == 0) {
		copy_bulk(d, a, pieces + warp * BULK_STAGES * BULK_PIECE,
			  bars[warp]);
	}
	/* what the copy engine wrote, then the flag */
	asm volatile("fence.proxy.async;" : : : "memory");
	MEET(d, block_flag[blockIdx.x], seq + 2);
#endif
}

extern "C" cudaError_t k_direct_alltoall(const struct k_direct *d,
					 uint64_t send, uint64_t receive,
					 uint64_t bytes, int ctas, bool bulk,
					 cudaStream_t s)
{
	const struct copy_arg a = { send, receive, bytes };

	if (bulk) {
		alltoall_bulk<<<ctas, BULK_WARPS * WARP,
				BULK_WARPS * BULK_STAGES * BULK_PIECE, s>>>(*d,
									    a);
	} else {
		alltoall_store<<<ctas, THREADS, 0, s>>>(*d, a);
	}
	return cudaGetLastError();
}

extern "C" cudaError_t k_direct_load_copy(void)
{
	struct cudaFuncAttributes a;
	cudaError_t rc = cudaFuncGetAttributes(&a, alltoall_store);

	if (rc == cudaSuccess) {
		rc = cudaFuncGetAttributes(&a, alltoall_bulk);
	}
	return rc == cudaSuccess
		? cudaFuncSetAttribute(
			alltoall_bulk,
			cudaFuncAttributeMaxDynamicSharedMemorySize,
			BULK_WARPS * BULK_STAGES * BULK_PIECE) : rc;
}
