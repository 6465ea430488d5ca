/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The direct exchange (gpu/cuda_direct.h) of tokens in several chunks. */
#ifndef GPU_CUDA_DIRECT_CELLS_H
#define GPU_CUDA_DIRECT_CELLS_H

#include "gpu/cuda_direct.h"

/*
 * A pass of several chunks at once, one barrier for all of them. Positions
 * are counted over the whole pass, ordered by (chunk, expert, token); a cell
 * { first position, copies } is what a rank sends to an expert in a chunk.
 *
 * Dropless, chunk i of n has the tokens [i T / n, (i + 1) T / n) of every
 * rank. With a capacity C it has of every (rank, expert) the copies number
 * [i C / n, (i + 1) C / n), so that a token's copies may be in different
 * chunks; positions of dropped ones are negative.
 */
struct direct_cells {
	int tokens, k, experts, chunks;
	int32_t capacity;	/* of (rank, expert); 0: dropless */
	/* window: */
	uint64_t ids, pos, weights;	/* as in struct direct_route */
	uint64_t cells;		/* int32 [ranks][chunks][experts][2] */
	/* own memory: copies of [chunks][experts], or with a capacity of
	 * [experts], dropped ones too; then also first positions of all
	 * cells, and where each expert's rows begin in a chunk (first row of
	 * the chunk is 0), [chunks][experts/ranks + 1] */
	const int32_t *totals, *start, *fixed;
	const int64_t *row_base;	/* [chunks + 1]: in the rows' buffers */
	int32_t *place;		/* cuda_direct_place_numbers() */
	int32_t *slot;		/* [chunks][ranks][experts/ranks][3] */
	int32_t *kept;		/* [chunks][experts/ranks] */
	int32_t *tail;		/* [chunks][experts/ranks][2] */
	int32_t *host_kept;	/* the same as kept, on the mapped host */
	float *row_weight;	/* NULL: not wanted */
};

uint64_t cuda_direct_place_numbers(const struct direct_cells *c, int ranks);

/* Cells to everyone, a barrier, then kept: all that the host may wait for. */
enum status cuda_direct_cells(struct cuda_direct *d,
			      const struct direct_cells *c, int channel,
			      cudaStream_t s);
/* After it: places and weights of rows. */
enum status cuda_direct_places(struct cuda_direct *d,
			       const struct direct_cells *c, cudaStream_t s);
/*
 * After the places of both passes, with a capacity: from where the rows of a
 * chunk of `back` come in the rows of `forward`, as table of runs, of
 * cuda_direct_runs() runs. `fine`: a number of chunks that both degrees
 * divide.
 */
struct k_run;
enum status cuda_direct_regroup(struct cuda_direct *d,
				const struct direct_cells *forward,
				const struct direct_cells *back, int chunk,
				int fine, struct k_run *run, cudaStream_t s);
int cuda_direct_runs(const struct direct_cells *back, int ranks, int fine);

/* The route of one chunk: what cuda_direct_dispatch() and the sums want.
 * Offsets of tokens' rows in a window are the caller's to move. */
struct direct_route cuda_direct_chunk(const struct cuda_direct *d,
				      const struct direct_cells *c,
				      int chunk);

#endif
