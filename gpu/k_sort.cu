/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stable counting sort of expert ids, three kernels:
 *
 *	histogram	hist[e][c]: pairs of expert e in chunk c
 *	row_scan	hist[e][c] -> pairs of e in chunks before c; total[e]
 *	place		pos = start of e + hist[e][c] + rank within chunk
 *
 * With few experts and chunks every block of place adds up what it needs of
 * the histograms, hist[c][e], by itself, and there is no row_scan.
 *
 * Within a chunk each warp has a run of pairs of its own and its own row of
 * counters, so that the order of warps is the order of pairs.
 */
#include "gpu/k_common.h"

#define RUN 128			/* pairs of one warp; a multiple of WARP */
#define CHUNK (WARPS * RUN)	/* pairs of one block */
/* Counts that each block of place adds up, at most, for want of row_scan: more
 * take longer than another kernel (2 x H200: 8 experts, 256 chunks 9 us against
 * 14; 128 experts, 128 chunks 21 against 14). */
#define OWN_SCAN_COUNTS 4096

static __device__ inline int warp_scan(int v)	/* inclusive */
{
	int lane = threadIdx.x % WARP;

	for (int d = 1; d < WARP; d *= 2) {
		int o = __shfl_up_sync(~0u, v, d);

		v += lane >= d ? o : 0;
	}
	return v;
}

static __global__ void histogram(const int32_t *ids, uint64_t pairs, int n,
				 int32_t *hist, bool by_chunk)
{
	__shared__ int32_t count[K_EXPERTS_MAX];
	uint64_t first = (uint64_t)blockIdx.x * CHUNK;

	for (int e = threadIdx.x; e < n; e += BLOCK) {
		count[e] = 0;
	}
	__syncthreads();
	for (int i = threadIdx.x; i < CHUNK && first + i < pairs; i += BLOCK) {
		atomicAdd(&count[ids[first + i]], 1);
	}
	__syncthreads();
	for (int e = threadIdx.x; e < n; e += BLOCK) {
		hist[by_chunk ? (uint64_t)blockIdx.x * n + e
			      : (uint64_t)e * gridDim.x + blockIdx.x] =
			count[e];
	}
}

/* A warp an expert. */
static __global__ void row_scan(int32_t *hist, int32_t *total, int n,
				int chunks)
{
	int e = blockIdx.x * WARPS + threadIdx.x / WARP;
	int lane = threadIdx.x % WARP;
	int sum = 0;

	if (e >= n) {
		return;
	}
	hist += (uint64_t)e * chunks;
	for (int c = 0; c < chunks; c += WARP) {
		int v = c + lane < chunks ? hist[c + lane] : 0;
		int up_to = warp_scan(v);

		if (c + lane < chunks) {
			hist[c + lane] = sum + up_to - v;
		}
		sum += __shfl_sync(~0u, up_to, WARP - 1);
	}
	if (lane == 0) {
		total[e] = sum;
	}
}

/* start[e] = sum of total[] before e; the first warp does it. */
static __device__ void scan_totals(const int32_t *total, int32_t *start, int n)
{
	int sum = 0;

	if (threadIdx.x >= WARP) {
		return;
	}
	for (int e = threadIdx.x; e - (int)threadIdx.x < n; e += WARP) {
		int v = e < n ? total[e] : 0;
		int up_to = warp_scan(v);

		if (e < n) {
			start[e] = sum + up_to - v;
		}
		sum += __shfl_sync(~0u, up_to, WARP - 1);
	}
}

/*
 * Of n <= BLOCK experts: before[e] in the chunks before this one, total[e] in
 * all of them. BLOCK / n threads an expert, each with its share of the chunks.
 */
static __device__ void own_scan(const int32_t *hist, int chunks, int n,
				int32_t *before, int32_t *total)
{
	__shared__ int32_t part[2][BLOCK];
	int each = BLOCK / n, i = threadIdx.x;
	int e = i % n, first = i / n, low = 0, all = 0;

#pragma unroll 8
	for (int c = first; first < each && c < chunks; c += each) {
		int v = hist[(uint64_t)c * n + e];

		low += c < (int)blockIdx.x ? v : 0;
		all += v;
	}
	part[0][i] = low;
	part[1][i] = all;
	__syncthreads();
	if (i < n) {
		low = all = 0;
		for (int j = 0; j < each; j++) {
			low += part[0][j * n + i];
			all += part[1][j * n + i];
		}
		before[i] = low;
		total[i] = all;
	}
	__syncthreads();
}

/* count[w][e]: first position of a warp's pairs of an expert. */
static __device__ void starts(int32_t *count, const int32_t *start,
			      const int32_t *before, int stride, int n)
{
	for (int e = threadIdx.x; e < n; e += BLOCK) {
		int at = start[e] + before[(uint64_t)e * stride];

		for (int w = 0; w < WARPS; w++) {
			int c = count[w * n + e];

			count[w * n + e] = at;
			at += c;
		}
	}
}

/* OWN: hist[c][e] as counted, total is written; else as of row_scan(). */
template<bool OWN>
static __global__ void place(const int32_t *ids, int32_t *pos, uint64_t pairs,
			     int n, const int32_t *hist, int32_t *total)
{
	extern __shared__ int32_t shared[];	/* start[n], count[WARPS][n] */
	__shared__ int32_t own[OWN ? 2 * BLOCK : 1];	/* before, total */
	int32_t *start = shared, *count = shared + n;
	int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
	uint64_t first = (uint64_t)blockIdx.x * CHUNK + (uint64_t)warp * RUN;
	int32_t *mine = count + (uint64_t)warp * n;

	for (int i = threadIdx.x; i < WARPS * n; i += BLOCK) {
		count[i] = 0;
	}
	if (OWN) {
		own_scan(hist, gridDim.x, n, own, own + BLOCK);
	}
	scan_totals(OWN ? own + BLOCK : total, start, n);
	__syncthreads();
	for (int i = lane; i < RUN && first + i < pairs; i += WARP) {
		atomicAdd(&mine[ids[first + i]], 1);
	}
	__syncthreads();
	if (OWN && blockIdx.x == 0 && threadIdx.x < n) {
		total[threadIdx.x] = own[BLOCK + threadIdx.x];
	}
	starts(count, start, OWN ? own : hist + blockIdx.x,
	       OWN ? 1 : gridDim.x, n);
	__syncthreads();
	for (int i = lane; i < RUN; i += WARP) {
		bool is_pair = first + i < pairs;
		int e = is_pair ? ids[first + i] : n;
		unsigned same = __match_any_sync(~0u, e);
		int rank = __popc(same & ((1u << lane) - 1));

		if (is_pair) {
			pos[first + i] = mine[e] + rank;
		}
		__syncwarp();
		if (is_pair && rank == 0) {
			mine[e] += __popc(same);
		}
		__syncwarp();
	}
}

static uint64_t n_chunks(uint64_t pairs)
{
	return (pairs + CHUNK - 1) / CHUNK;
}

extern "C" uint64_t k_sort_workspace_bytes(uint64_t pairs, int n)
{
	return (n_chunks(pairs) + 1) * n * sizeof(int32_t);
}

extern "C" cudaError_t k_sort_counts(const int32_t *ids, int32_t *pos,
				     uint64_t pairs, int n, int32_t *total,
				     void *workspace, cudaStream_t s)
{
	unsigned chunks = (unsigned)n_chunks(pairs);
	int32_t *hist = (int32_t *)workspace + n;
	size_t shared_bytes = (WARPS + 1) * n * sizeof(int32_t);
	bool is_own = n <= BLOCK && (uint64_t)chunks * n <= OWN_SCAN_COUNTS;

	if (n < 1 || n > K_EXPERTS_MAX || pairs < 1 || pairs > INT32_MAX) {
		return cudaErrorInvalidValue;
	}
	histogram<<<chunks, BLOCK, 0, s>>>(ids, pairs, n, hist, is_own);
	if (is_own) {
		place<true><<<chunks, BLOCK, shared_bytes, s>>>(
			ids, pos, pairs, n, hist, total);
		return cudaGetLastError();
	}
	row_scan<<<(n + WARPS - 1) / WARPS, BLOCK, 0, s>>>(hist, total, n,
							   chunks);
	place<false><<<chunks, BLOCK, shared_bytes, s>>>(ids, pos, pairs, n,
							 hist, total);
	return cudaGetLastError();
}

extern "C" cudaError_t k_sort(const int32_t *ids, int32_t *pos,
			      uint64_t pairs, int n, void *workspace,
			      cudaStream_t s)
{
	return k_sort_counts(ids, pos, pairs, n, (int32_t *)workspace,
			     workspace, s);
}
