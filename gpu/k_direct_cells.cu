/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Places of a pass of several chunks: cells to everyone, where each source's
 * rows of each expert begin here, and the place of every pair.
 */
#include "gpu/k_direct_common.h"

#define ONE 1024	/* threads of a kernel of one block a chunk */
#define CHUNKS_HERE 4	/* at most, whose slots the block of cells makes */

static __device__ inline int2 *cells_of(const struct k_direct &d,
					const struct k_direct_cells &c,
					int window, int source)
{
	return (int2 *)(d.window[window] + c.cells) +
	       (uint64_t)source * c.chunks * c.experts;
}

/* Inclusive sum over a block of ONE threads; *all_p: of all. */
static __device__ int64_t block_scan(int64_t v, int64_t *all_p)
{
	__shared__ int64_t warp_sum[WARP];
	int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;

	for (int step = 1; step < WARP; step *= 2) {
		int64_t before = __shfl_up_sync(0xffffffffu, v, step);

		v += lane >= step ? before : 0;
	}
	__syncthreads();
	if (lane == WARP - 1) {
		warp_sum[warp] = v;
	}
	__syncthreads();
	if (warp == 0) {
		int64_t w = warp_sum[lane];

		for (int step = 1; step < WARP; step *= 2) {
			int64_t before = __shfl_up_sync(0xffffffffu, w, step);

			w += lane >= step ? before : 0;
		}
		warp_sum[lane] = w;
	}
	__syncthreads();
	*all_p = warp_sum[WARP - 1];
	return v + (warp ? warp_sum[warp - 1] : 0);
}

/* Of the first `capacity` copies of an expert those that the chunk has. */
static __device__ inline int32_t slots_filled(const struct k_direct_cells &c,
					      int chunk, int e)
{
	int32_t low = (int32_t)order_first(c.capacity, chunk, c.chunks);
	int32_t high = (int32_t)order_first(c.capacity, chunk + 1, c.chunks);
	int32_t n = c.totals[e];

	return n <= low ? 0 : n < high ? n - low : high - low;
}

/* A thread an expert of this rank. */
static __device__ void slots_of_chunk(const struct k_direct &d,
				      const struct k_direct_cells &c,
				      int chunk)
{
	__shared__ int32_t most;
	int local = c.experts / d.ranks;
	int mine = threadIdx.x;
	bool is_here = mine < local;
	int64_t total = 0, stride, first, end, all;
	int at = chunk * local + mine;

	__syncthreads();
	if (mine == 0) {
		most = 0;
	}
	__syncthreads();
	for (int s = 0; is_here && s < d.ranks; s++) {
		total += __ldcv(&cells_of(d, c, d.rank, s)
				[chunk * c.experts + d.rank * local + mine].y);
	}
	if (is_here) {
		atomicMax(&most, (int32_t)total);
	}
	first = block_scan(total, &all) - total;
	end = first + total;
	stride = ffn_stride(local, most, all);
	if (c.fixed && is_here) {
		first = c.fixed[chunk * (local + 1) + mine];
		end = c.fixed[chunk * (local + 1) + mine + 1];
	} else if (stride) {
		first = mine * stride;
		end = first + stride;
	}
	if (!is_here) {
		return;
	}
	if (first + total > end ||
	    c.row_base[chunk] + end > c.row_base[chunk + 1]) {
		fail(d, K_DIRECT_ROOM, mine);
	}
	c.kept[at] = (int32_t)total;
	c.host_kept[at] = (int32_t)total;
	c.tail[2 * at] = (int32_t)(first + total);
	c.tail[2 * at + 1] = (int32_t)end;
	for (int s = 0; s < d.ranks; s++) {
		int32_t *slot = c.slot +
			3 * ((uint64_t)(chunk * d.ranks + s) * local + mine);
		int2 cell = __ldcv(&cells_of(d, c, d.rank, s)
				   [chunk * c.experts + d.rank * local + mine]);

		slot[0] = cell.x;
		slot[1] = cell.y;
		slot[2] = (int32_t)first;
		first += cell.y;
	}
}

static __global__ void __launch_bounds__(ONE)
slots(const __grid_constant__ struct k_direct d,
      const __grid_constant__ struct k_direct_cells c)
{
	if (!has_failed(d)) {
		slots_of_chunk(d, c, blockIdx.x);
	}
}

/* Own cells { first position, copies } to all ranks; slots of few chunks. */
static __global__ void __launch_bounds__(ONE)
cells(const __grid_constant__ struct k_direct d,
      const __grid_constant__ struct k_direct_cells c, int channel)
{
	__shared__ uint64_t seq;
	int n = c.chunks * c.experts;
	int64_t before = 0;

	if (threadIdx.x == 0) {
		seq = ++d.ctl[d.rank]->epoch[channel];
	}
	__syncthreads();
	if (has_failed(d)) {
		return;
	}
	for (int at = 0; at < n; at += ONE) {
		int i = at + threadIdx.x;
		bool is_any = i < n;
		int2 cell = make_int2(0, 0);
		int64_t all;

		if (c.start) {
			if (is_any) {
				cell.x = c.start[i];
				cell.y = slots_filled(c, i / c.experts,
						      i % c.experts);
			}
		} else {
			cell.y = is_any ? c.totals[i] : 0;
			cell.x = (int32_t)(before +
				 block_scan(cell.y, &all) - cell.y);
			before += all;
		}
		for (int p = 0; is_any && p < d.ranks; p++) {
			cells_of(d, c, p, d.rank)[i] = cell;
		}
	}
	MEET(d, flag[channel], seq);
	if (c.chunks > CHUNKS_HERE || __syncthreads_or(has_failed(d))) {
		return;
	}
	for (int chunk = 0; chunk < c.chunks; chunk++) {
		slots_of_chunk(d, c, chunk);
	}
}

extern "C" cudaError_t k_direct_cells(const struct k_direct *d,
				      const struct k_direct_cells *c,
				      int channel, cudaStream_t s)
{
	cells<<<1, ONE, 0, s>>>(*d, *c, channel);
	if (c->chunks > CHUNKS_HERE) {
		slots<<<(unsigned)c->chunks, ONE, 0, s>>>(*d, *c);
	}
	return cudaGetLastError();
}

/* Of the pair `at` of source s, in this chunk; see enum k_direct_place. */
static __device__ inline int32_t place_of(const struct k_direct &d,
					  const struct k_direct_cells &c,
					  int chunk, int s, uint64_t at)
{
	const char *w = d.window[s];
	int local = c.experts / d.ranks;
	int e = ((const int32_t *)(w + c.ids))[at];
	int32_t p = ((const int32_t *)(w + c.pos))[at];
	int mine = e - d.rank * local;

	if (p < 0) {
		return s == d.rank ? K_DIRECT_DROPPED : K_DIRECT_NOT_HERE;
	}
	if (mine >= 0 && mine < local) {
		const int32_t *slot = c.slot +
			3 * ((uint64_t)(chunk * d.ranks + s) * local + mine);
		int32_t nth = p - slot[0];

		return nth >= 0 && nth < slot[1] ? slot[2] + nth
						 : K_DIRECT_NOT_HERE;
	}
	if (s == d.rank) {
		int2 cell = cells_of(d, c, d.rank, s)[chunk * c.experts + e];
		int32_t nth = p - cell.x;

		return nth >= 0 && nth < cell.y ? K_DIRECT_ELSEWHERE
						: K_DIRECT_NOT_HERE;
	}
	return K_DIRECT_NOT_HERE;
}

/*
 * By tokens: a pair is in one chunk; by capacity: every chunk has a table of
 * all pairs. Tables lie chunk after chunk, in them source after source.
 */
static __global__ void __launch_bounds__(BLOCK)
cell_places(const __grid_constant__ struct k_direct d,
	    const __grid_constant__ struct k_direct_cells c)
{
	uint64_t pairs = (uint64_t)c.tokens * c.k, n = d.ranks * pairs;
	int local = c.experts / d.ranks;

	if (has_failed(d)) {
		return;
	}
	if (c.start) {
		n *= c.chunks;
	}
	for (EACH(i, n)) {
		int chunk = (int)(i / (d.ranks * pairs));
		int s = (int)(i / pairs) % d.ranks;
		uint64_t at = i % pairs, to = i;
		int32_t place;

		if (!c.start && c.chunks > 1) {
			uint64_t first, end;

			chunk = order_chunk(at / c.k, c.tokens, c.chunks);
			first = order_first(c.tokens, chunk, c.chunks);
			end = order_first(c.tokens, chunk + 1, c.chunks);
			to = (d.ranks * first + s * (end - first)) * c.k +
			     at - first * c.k;
		}
		place = place_of(d, c, chunk, s, at);
		c.place[to] = place;
		if (place >= 0 && c.row_weight) {
			c.row_weight[c.row_base[chunk] + place] =
				((const float *)(d.window[s] +
						 c.weights))[at];
		}
	}
	for (int e = blockIdx.x; c.row_weight && e < c.chunks * local;
	     e += gridDim.x) {
		int row = c.tail[2 * e] + (int)threadIdx.x;

		for (; row < c.tail[2 * e + 1]; row += BLOCK) {
			c.row_weight[c.row_base[e / local] + row] = 0;
		}
	}
}

extern "C" cudaError_t k_direct_cell_places(const struct k_direct *d,
					    const struct k_direct_cells *c,
					    cudaStream_t s)
{
	uint64_t n = (uint64_t)d->ranks * c->tokens * c->k *
		     (c->start ? c->chunks : 1);

	cell_places<<<k_grid(n, BLOCK), BLOCK, 0, s>>>(*d, *c);
	return cudaGetLastError();
}

/*
 * With a capacity and unequal degrees: where the rows of a backward chunk are
 * in the forward pass's layout, as runs by (local expert, source, finest
 * chunk) and one of zeros behind each expert. A source's rows follow those of
 * the one before it, whose number only the device knows. Empty runs have the
 * start of the next one.
 */
static __global__ void __launch_bounds__(BLOCK)
regroup(const __grid_constant__ struct k_direct d,
	const __grid_constant__ struct k_direct_cells f,
	const __grid_constant__ struct k_direct_cells b, int chunk, int each,
	struct k_run *run)
{
	int local = b.experts / d.ranks, fine = each * b.chunks;
	int per_expert = d.ranks * each + 1;
	int low = (int)order_first(b.capacity, chunk, b.chunks);

	for (int i = threadIdx.x; i < local * per_expert; i += BLOCK) {
		int e = i / per_expert, s = i % per_expert / each;
		int at = chunk * each + i % per_expert % each;
		const int32_t *to, *from;
		int g, first, rows;

		if (s == d.ranks) {
			const int32_t *tail = b.tail + 2 * (chunk * local + e);

			run[i] = { -1, tail[0], tail[1] - tail[0], tail[0] };
			continue;
		}
		g = at / (fine / f.chunks);
		to = b.slot + 3 * ((uint64_t)(chunk * d.ranks + s) * local + e);
		from = f.slot + 3 * ((uint64_t)(g * d.ranks + s) * local + e);
		first = (int)order_first(b.capacity, at, fine) - low;
		rows = (int)order_first(b.capacity, at + 1, fine) - low;
		rows = max(min(rows, to[1]) - first, 0);
		first = min(first, to[1]);
		run[i] = { (int32_t)f.row_base[g] + from[2] + low + first -
			   (int32_t)order_first(f.capacity, g, f.chunks),
			   to[2] + first, rows, to[2] + first };
	}
}

extern "C" cudaError_t k_direct_regroup(const struct k_direct *d,
					const struct k_direct_cells *f,
					const struct k_direct_cells *b,
					int chunk, int each, struct k_run *run,
					cudaStream_t s)
{
	regroup<<<1, BLOCK, 0, s>>>(*d, *f, *b, chunk, each, run);
	return cudaGetLastError();
}

extern "C" cudaError_t k_direct_load_cells(void)
{
	struct cudaFuncAttributes a;
	cudaError_t rc = cudaFuncGetAttributes(&a, cells);

	if (rc == cudaSuccess) {
		rc = cudaFuncGetAttributes(&a, slots);
	}
	if (rc == cudaSuccess) {
		rc = cudaFuncGetAttributes(&a, regroup);
	}
	return rc == cudaSuccess ? cudaFuncGetAttributes(&a, cell_places)
				 : rc;
}
