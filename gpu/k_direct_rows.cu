/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows of the direct exchange. Sources take turns item by item (a token of
 * the next rank, then of the one after it, ...), so that the link to every
 * peer and the own memory are busy all the time.
 */
#include "gpu/k_direct_common.h"

/* Vectors of a row that a warp moves at a time, when threads move them. */
#define STORE_WIDTH (4 * WARP)
/* Bulk copies: warps of a block, pieces of a warp in flight, their size; the
 * blocks are as large as two where few of them have to do. */
#define BULK_WARPS 4
#define BULK_WARPS_LIMITED (2 * BULK_WARPS)
#define BULK_STAGES 3
#define BULK_PIECE 8192
#define BULK_BLOCKS 2		/* on each multiprocessor */

struct rows_arg {
	uint64_t from, row;	/* offset; bytes of a row */
	char *to;
};

/* A token of a source, and a piece of its row. */
struct item {
	int source;
	uint64_t token, at, bytes;
};

/*
 * The j-th item of the warp `w` of `warps`: pieces w, w + warps, ... of the
 * tokens, each of all sources in turn; false: it has no more.
 */
static __device__ inline bool item_of(const struct k_direct &d, int tokens,
				      unsigned j, unsigned w, unsigned warps,
				      uint64_t row, uint64_t piece,
				      struct item *it)
{
	unsigned pieces = (unsigned)((row + piece - 1) / piece);
	uint64_t u = w + (uint64_t)(j / d.ranks) * warps;

	it->source = (int)(j + d.rank + 1) % d.ranks;
	it->token = u / pieces;
	it->at = u % pieces * piece;
	it->bytes = it->at + piece < row ? piece : row - it->at;
	return it->token < (uint64_t)tokens;
}

static uint64_t units_of(int tokens, uint64_t row, uint64_t piece)
{
	return (row + piece - 1) / piece * (uint64_t)tokens;
}

/* Rows behind each expert's last; blocks of BULK_WARPS warps or more. */
static __device__ void zero_tails(const struct k_direct &d,
				  const struct k_direct_route &r,
				  const struct rows_arg &a)
{
	int local = r.experts / d.ranks;
	int grid = (int)gridDim.x, step = grid > local ? grid / local : 1;
	uint64_t n = a.row / sizeof(uint4);

	if (grid > local && (int)blockIdx.x >= step * local) {
		return;
	}
	for (int e = blockIdx.x % local; e < local; e += grid) {
		int64_t row = r.tail[2 * e] + blockIdx.x / local;

		for (; row < r.tail[2 * e + 1]; row += step) {
			uint4 *p = (uint4 *)(a.to + row * a.row);

			for (uint64_t c = threadIdx.x; c < n;
			     c += blockDim.x) {
				p[c] = make_uint4(0, 0, 0, 0);
			}
		}
	}
}

/* A warp an item; each vector is read once and stored k times or less. */
static __global__ void __launch_bounds__(BLOCK)
dispatch_store(const __grid_constant__ struct k_direct d,
	       const __grid_constant__ struct k_direct_route r,
	       const struct rows_arg a)
{
	const uint64_t piece = STORE_WIDTH * sizeof(uint4);
	unsigned w = blockIdx.x * WARPS + threadIdx.x / WARP;
	int lane = threadIdx.x % WARP;
	struct item it;

	if (has_failed(d)) {
		return;
	}
	for (unsigned j = 0; item_of(d, r.tokens, j, w, gridDim.x * WARPS,
				     a.row, piece, &it); j++) {
		const int32_t *p = places(r, it.source, it.token);
		const uint4 *x = (const uint4 *)(d.window[it.source] + a.from +
						 it.token * a.row + it.at);
		int mine = lane < r.k ? p[lane] : -1;
		int vectors = (int)(it.bytes / sizeof(uint4));
		uint4 v[STORE_WIDTH / WARP];

		if (!__ballot_sync(0xffffffffu, mine >= 0)) {
			continue;
		}
#pragma unroll
		for (int u = 0; u < STORE_WIDTH / WARP; u++) {
			if (u * WARP + lane < vectors) {
				v[u] = x[u * WARP + lane];
			}
		}
		for (int to_j = 0; to_j < r.k; to_j++) {
			int64_t row = __shfl_sync(0xffffffffu, mine, to_j);
			uint4 *to = (uint4 *)(a.to + row * a.row + it.at);

			if (row < 0) {
				continue;
			}
#pragma unroll
			for (int u = 0; u < STORE_WIDTH / WARP; u++) {
				if (u * WARP + lane < vectors) {
					to[u * WARP + lane] = v[u];
				}
			}
		}
	}
	zero_tails(d, r, a);
}

/*
 * The same by bulk copies: a warp has BULK_STAGES pieces on their way into
 * shared memory, then sends each to its places; lane j has the j-th of them.
 * Few blocks keep a link busy, and no registers hold data.
 */
static __global__ void __launch_bounds__(BULK_WARPS_LIMITED * WARP)
dispatch_bulk(const __grid_constant__ struct k_direct d,
	      const __grid_constant__ struct k_direct_route r,
	      const struct rows_arg a, uint32_t piece)
{
#ifdef HAVE_BULK
	extern __shared__ __align__(128) char pieces[];
	__shared__ uint64_t bars[BULK_WARPS_LIMITED][BULK_STAGES];
	int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
	unsigned warps = blockDim.x / WARP;
	unsigned w = blockIdx.x * warps + warp, j = 0;
	char *own = pieces + warp * BULK_STAGES * piece;
	uint32_t parity = 0;
	bool is_more = true;

	if (has_failed(d)) {
		return;
	}
	if (lane < BULK_STAGES) {
		bar_init(&bars[warp][lane]);
	}
	bar_init_done();
	__syncwarp();
	while (is_more) {
		int32_t to[BULK_STAGES];
		struct item it[BULK_STAGES];
		bool is_full[BULK_STAGES];

#pragma unroll
		for (int u = 0; u < BULK_STAGES; u++) {
			is_full[u] = false;
			while (!is_full[u]) {
				is_more = item_of(d, r.tokens, j++, w,
						  gridDim.x * warps,
						  a.row, piece, &it[u]);
				if (!is_more) {
					break;
				}
				to[u] = lane < r.k ? places(r, it[u].source,
							    it[u].token)[lane]
						   : -1;
				is_full[u] = __any_sync(0xffffffffu,
							to[u] >= 0);
			}
			if (is_full[u] && lane == 0) {
				bulk_load(own + u * piece,
					  d.window[it[u].source] + a.from +
					  it[u].token * a.row + it[u].at,
					  (uint32_t)it[u].bytes,
					  &bars[warp][u]);
			}
		}
#pragma unroll
		for (int u = 0; u < BULK_STAGES; u++) {
			if (!is_full[u]) {
				continue;
			}
			bar_wait(&bars[warp][u], parity);
			if (to[u] >= 0) {
				bulk_store(a.to + to[u] * a.row + it[u].at,
					   own + u * piece,
					   (uint32_t)it[u].bytes);
			}
			bulk_commit();
		}
		bulk_wait_read();
		__syncwarp();
		parity ^= 1;
	}
	bulk_wait();
	zero_tails(d, r, a);
#endif
}

static cudaError_t allow_shared(uint32_t bytes)
{
	return cudaFuncSetAttribute(
		dispatch_bulk, cudaFuncAttributeMaxDynamicSharedMemorySize,
		(int)bytes);
}

extern "C" cudaError_t k_direct_dispatch(const struct k_direct *d,
					 const struct k_direct_route *r,
					 uint64_t from, uint64_t row_bytes,
					 void *to, int ctas, bool bulk,
					 cudaStream_t s)
{
	const struct rows_arg a = { from, row_bytes, (char *)to };
	uint32_t piece = row_bytes < BULK_PIECE ? (uint32_t)row_bytes
						: BULK_PIECE;
	uint64_t n;
	bool has_bulk;
	int sms;
	cudaError_t rc = device_of(&sms, &has_bulk);

	if (rc != cudaSuccess) {
		return rc;
	}
	if (bulk && has_bulk && r->k <= WARP) {
		int warps = ctas > 0 ? BULK_WARPS_LIMITED : BULK_WARPS;

		n = units_of(r->tokens, row_bytes, piece);
		if (n > (uint64_t)sms * BULK_BLOCKS * BULK_WARPS) {
			n = (uint64_t)sms * BULK_BLOCKS * BULK_WARPS;
		}
		dispatch_bulk<<<limited(k_grid(n, warps), ctas), warps * WARP,
				warps * BULK_STAGES * piece, s>>>(*d, *r, a,
								  piece);
	} else {
		n = units_of(r->tokens, row_bytes,
			     STORE_WIDTH * sizeof(uint4));
		dispatch_store<<<limited(k_grid(n, WARPS), ctas), BLOCK, 0,
				 s>>>(*d, *r, a);
	}
	return cudaGetLastError();
}

extern "C" cudaError_t k_direct_load_rows(void)
{
	struct cudaFuncAttributes a;
	const void *const all[] = {
		(const void *)dispatch_store, (const void *)dispatch_bulk
	};
	cudaError_t rc = cudaSuccess;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (rc == cudaSuccess) {
			rc = cudaFuncGetAttributes(&a, all[i]);
		}
	}
	return rc == cudaSuccess
		? allow_shared(BULK_WARPS_LIMITED * BULK_STAGES *
			       BULK_PIECE) : rc;
}
