/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of cuda_direct.h share. */
#ifndef GPU_CUDA_DIRECT_INT_H
#define GPU_CUDA_DIRECT_INT_H

#include "gpu/cuda_direct.h"
#include "gpu/k_direct.h"

struct cuda_direct {
	struct k_direct k;
	struct direct_group g;
	int ctas;
	bool has_bulk;
	uint32_t *error;		/* host */
	int32_t *counts;		/* host: of every channel */
	int32_t *counts_dev;
	cudaEvent_t counted[DIRECT_CHANNELS];
	cudaEvent_t fork, join[DIRECT_RANKS_MAX];
	cudaStream_t side[DIRECT_RANKS_MAX];	/* copy engines; by need */
	void *mapped[2 * DIRECT_RANKS_MAX];	/* other processes' memory */
	int n_mapped;
};

/* Experts and k within what the kernels take, else ST_INPUT. */
enum status direct_check(const struct cuda_direct *d,
			 const struct direct_route *r);

#endif
