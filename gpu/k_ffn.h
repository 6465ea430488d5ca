/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Launchers of the kernels between an expert's products (cuda_ffn.h); the
 * rules of gpu/k.h hold. */
#ifndef GPU_K_FFN_H
#define GPU_K_FFN_H

#include "gpu/ffn_rows.h"

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stdint.h>

/* Rows as a kernel's argument. Padded: those behind count[e] are tails. */
struct k_ffn_rows {
	int64_t total;		/* of a buffer, tails included */
	int64_t stride;		/* 0: packed, no tails */
	int32_t count[FFN_EXPERTS_MAX];
};

struct k_ffn_act {
	void *pre, *h;
	const void *g;
	const float *r;
	float *dr;
	int ffn;
	bool gated, bf16;
};

#ifdef __cplusplus
extern "C" {
#endif

/* h = r act(pre), 0 in tails */
cudaError_t k_ffn_act(const struct k_ffn_act *a, const struct k_ffn_rows *rows,
		      cudaStream_t s);

/* pre = r g act'(pre), 0 in tails; dr = sum g act(pre) */
cudaError_t k_ffn_act_back(const struct k_ffn_act *a,
			   const struct k_ffn_rows *rows, cudaStream_t s);

/* row_bytes: a multiple of 16 */
cudaError_t k_ffn_zero_tails(void *p, uint64_t row_bytes,
			     const struct k_ffn_rows *rows, cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
