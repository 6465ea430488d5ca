/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Launchers of the kernels of cuda_direct.h; the rules of gpu/k.h hold. */
#ifndef GPU_K_DIRECT_H
#define GPU_K_DIRECT_H

#include "gpu/ffn_rows.h"
#include "gpu/layer_order.h"

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stdint.h>

#define K_DIRECT_RANKS 64
#define K_DIRECT_CHANNELS 8
#define K_DIRECT_BLOCKS 264	/* of an all-to-all, that meet their twins */

/* What went wrong, in the error word: (what << 16) | detail */
enum k_direct_fault {
	K_DIRECT_FINE,
	K_DIRECT_SILENT,	/* no answer from rank `detail` */
	K_DIRECT_ROOM,		/* more rows than room */
};

/* Of each rank, reached by all: flags are written by the others. */
struct k_direct_ctl {
	uint64_t flag[K_DIRECT_CHANNELS][K_DIRECT_RANKS];
	uint64_t block_flag[K_DIRECT_BLOCKS][K_DIRECT_RANKS];
	/* own: */
	uint64_t epoch[K_DIRECT_CHANNELS];
	uint64_t block_epoch[K_DIRECT_BLOCKS];
	uint32_t failed;
};

/* Places of pairs that have no row here. */
enum k_direct_place {
	K_DIRECT_NOT_HERE = -1,
	K_DIRECT_DROPPED = -2,
	K_DIRECT_ELSEWHERE = -3,	/* own ones, in this chunk */
};

/* The group, as a kernel's argument. */
struct k_direct {
	int rank, ranks;
	uint64_t timeout_ns;
	uint32_t *error;	/* on the host, mapped */
	char *window[K_DIRECT_RANKS];
	struct k_direct_ctl *ctl[K_DIRECT_RANKS];
};

/* struct direct_route with what the kernels need; offsets into windows. */
struct k_direct_route {
	int tokens, k, experts;
	int64_t stride;
	int32_t capacity;
	int64_t rows_max;
	uint64_t ids, pos, weights, counts;
	int32_t *place, *slot, *kept, *tail;
	float *row_weight;
	int32_t *host_counts;	/* mapped: [ranks][experts], capped */
};

/* struct direct_cells with what the kernels need. */
struct k_direct_cells {
	int tokens, k, experts, chunks;
	int32_t capacity;
	uint64_t ids, pos, weights, cells;
	const int32_t *totals, *start, *fixed;
	const int64_t *row_base;
	int32_t *place, *slot, *kept, *tail, *host_kept;
	float *row_weight;
};

struct k_direct_sums {
	const void *rows;
	uint64_t row_bytes;
	bool bf16;
	uint64_t stage;
	void *out;
	const float *pair;
	uint64_t out_pair;
	bool add, is_marked;
	int chunks;
	uint64_t place_step, stage_step;
	const int64_t *row_base;
};

#ifdef __cplusplus
extern "C" {
#endif

cudaError_t k_direct_barrier(const struct k_direct *d, int channel,
			     cudaStream_t s);
cudaError_t k_direct_counts(const struct k_direct *d,
			    const struct k_direct_route *r, int channel,
			    cudaStream_t s);
cudaError_t k_direct_place(const struct k_direct *d,
			   const struct k_direct_route *r, cudaStream_t s);

cudaError_t k_direct_cells(const struct k_direct *d,
			   const struct k_direct_cells *c, int channel,
			   cudaStream_t s);
cudaError_t k_direct_cell_places(const struct k_direct *d,
				 const struct k_direct_cells *c,
				 cudaStream_t s);

/* run: [experts / ranks * (ranks * each + 1)]; `each`: finest chunks of one
 * of the backward pass `b` */
struct k_run;
cudaError_t k_direct_regroup(const struct k_direct *d,
			     const struct k_direct_cells *f,
			     const struct k_direct_cells *b, int chunk,
			     int each, struct k_run *run, cudaStream_t s);

/* By bulk copies where the device has them and `bulk`, else by threads. */
cudaError_t k_direct_dispatch(const struct k_direct *d,
			      const struct k_direct_route *r, uint64_t from,
			      uint64_t row_bytes, void *to, int ctas,
			      bool bulk, cudaStream_t s);
/* ctas > 0: so many blocks at most, and large ones. */
cudaError_t k_direct_send_sums(const struct k_direct *d,
			       const struct k_direct_route *r,
			       const struct k_direct_sums *c, int ctas,
			       cudaStream_t s);
cudaError_t k_direct_add_sums(const struct k_direct *d,
			      const struct k_direct_route *r,
			      const struct k_direct_sums *c, int ctas,
			      cudaStream_t s);

/* ctas <= K_DIRECT_BLOCKS */
cudaError_t k_direct_alltoall(const struct k_direct *d, uint64_t send,
			      uint64_t receive, uint64_t bytes, int ctas,
			      bool bulk, cudaStream_t s);

/* Once for a device, before any of the kernels that wait: loads them all. */
cudaError_t k_direct_load(void);
cudaError_t k_direct_load_rows(void);
cudaError_t k_direct_load_sums(void);
cudaError_t k_direct_load_cells(void);
cudaError_t k_direct_load_copy(void);

#ifdef __cplusplus
}
#endif

#endif
