/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The direct exchange of blocks as they are, for measurements. */
#ifndef GPU_CUDA_DIRECT_ALLTOALL_H
#define GPU_CUDA_DIRECT_ALLTOALL_H

#include "gpu/cuda_direct.h"

/*
 * The exchange alone: block p of `send` (window) to block `rank` of
 * `receive` (window) at rank p; blocks of `bytes`, a multiple of 16. When
 * the stream is through, everything has come and `send` may be changed. For
 * measurements: `way`, or DIRECT_AUTO by size.
 */
enum direct_way {
	DIRECT_AUTO,
	DIRECT_STORE,		/* threads store 16 bytes each */
	DIRECT_BULK,		/* bulk copies through shared memory */
	DIRECT_ENGINE,		/* copy engines */
	DIRECT_WAYS
};

enum status cuda_direct_alltoall(struct cuda_direct *d, uint64_t send,
				 uint64_t receive, uint64_t bytes,
				 enum direct_way way, int channel,
				 cudaStream_t s);

#endif
