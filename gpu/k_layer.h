/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernels of a layer on the cuda backend (gpu/layer.h says what they are
 * for): launchers, with the rules of gpu/k.h. All of them are bound by
 * memory: 16 bytes a lane where a row is a multiple of that, sums in fp32.
 *
 * A token's k pairs (t, j) have positions pos[t * k + j]: the row of the
 * expert-sorted order that holds the pair's copy, or -1 when it was dropped.
 */
#ifndef GPU_K_LAYER_H
#define GPU_K_LAYER_H

#include "gpu/layer_order.h"

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A rows x cols part of a matrix that is `pitch` wide, whose element (0, 0)
 * is element `first` of its stream:
 *
 *	p[r * ld + c] = fill_value(key, first + r * pitch + c) * scale
 */
struct k_fill_part {
	uint64_t rows, cols, ld;
	uint64_t first, pitch;
	float scale;
	uint32_t key;
};

cudaError_t k_layer_fill(void *p, bool bf16, const struct k_fill_part *f,
			 cudaStream_t s);

/* The k largest logits of a row of n, as k_topk() takes them, and
 * weights[t][j] = softmax over the k chosen. */
cudaError_t k_layer_choose(const float *logits, int32_t *ids, float *weights,
			   uint64_t tokens, int n, int k, cudaStream_t s);
/* Of given ids: the weights alone. */
cudaError_t k_layer_weights(const float *logits, const int32_t *ids,
			    float *weights, uint64_t tokens, int n, int k,
			    cudaStream_t s);

/*
 * keys[i] = c % group * n + ids[i], c the token's chunk (gpu/layer_order.h):
 * k_sort() by the keys of a group of chunks gives the order of chunk, id,
 * token; its workspace begins with the counts.
 */
cudaError_t k_layer_keys(const int32_t *ids, int32_t *keys, uint64_t tokens,
			 int n, int k, int chunks, int group,
			 cudaStream_t s);
/* pos[i] += by */
cudaError_t k_layer_shift(int32_t *pos, uint64_t n, int32_t by,
			  cudaStream_t s);

/*
 * Slots (gpu/layer_exchange.h): which home of its expert each pair takes, in
 * turn. sorted[] is k_sort()'s by expert, total[e] pairs of each of
 * n_experts. slot[i] goes where ids[i] would: it is sorted by in its place.
 */
struct k_homes {
	int n_experts, copies, local, ep_index;
};

cudaError_t k_layer_homes(const int32_t *ids, const int32_t *sorted,
			  const int32_t *total, int32_t *slot, uint64_t pairs,
			  const struct k_homes *h, cudaStream_t s);

/*
 * Capacity: pos[i] of the first `capacity` pairs of each expert, -1 of the
 * others; start[chunk][slot]: first row of a slot's cell in a chunk.
 */
struct k_slots {
	struct k_homes h;
	int capacity, chunks;
	const int32_t *start;
};

cudaError_t k_layer_slots(const int32_t *ids, const int32_t *sorted,
			  const int32_t *total, int32_t *pos, uint64_t pairs,
			  const struct k_slots *c, cudaStream_t s);
/* Zeroes the rows of slots that no token has. */
cudaError_t k_layer_zero_slots(void *rows, const int32_t *total,
			       uint64_t row_bytes, const struct k_slots *c,
			       cudaStream_t s);

/* out[i] = pos[i] where lead[pos[i]], else -1 */
cudaError_t k_layer_leads(const int32_t *pos, const uint8_t *lead,
			  int32_t *out, uint64_t pairs, cudaStream_t s);

/* out row pos[t * k + j] = x row t, for every j that was not dropped */
cudaError_t k_layer_permute(const void *x, const int32_t *pos, void *out,
			    uint64_t tokens, uint64_t row_bytes, int k,
			    cudaStream_t s);

/* Moves runs of rows between up to two places on either side; `rows` is of
 * all runs, which are on the device, 16-byte aligned. */
struct k_move {
	const void *src[2];
	void *dst[2];
	const struct k_run *run;
	int n;
	uint64_t rows;
};

cudaError_t k_layer_move(const struct k_move *m, uint64_t row_bytes,
			 cudaStream_t s);
/* The same for rows of one float. */
cudaError_t k_layer_move_f32(const struct k_move *m, cudaStream_t s);

/*
 * Sums: row to[i] of dst = sum over l in [first[i], first[i + 1]) of row
 * list[l] of src, in that order; K_LAYER_SECOND as above. fp32 sums.
 */
struct k_sums {
	const void *src[2];
	void *dst;
	const int32_t *first, *list, *to;
	uint64_t rows;
};

cudaError_t k_layer_sum(const struct k_sums *m, uint64_t n, bool bf16,
			cudaStream_t s);

/* out[pos[i]] = w[i], where pos[i] >= 0 */
cudaError_t k_layer_scatter_f32(const float *w, const int32_t *pos,
				float *out, uint64_t pairs, cudaStream_t s);

/*
 * out row t = [out row t +] sum over kept j of w[t * k + j] * row pos[t*k+j];
 * w NULL: 1 each.
 */
cudaError_t k_layer_combine(const void *rows, const int32_t *pos,
			    const float *w, void *out, bool add,
			    uint64_t tokens, uint64_t n, int k, bool bf16,
			    cudaStream_t s);

/*
 * Softmax's backward over the chosen k, written into rows of all n experts
 * (zero elsewhere): w_j (g_j - sum_i w_i g_i), g_j = g[pos[t * k + j]], or 0
 * where the pair was dropped. pos NULL: g is by pair.
 */
cudaError_t k_layer_weights_bwd(const int32_t *ids, const int32_t *pos,
				const float *w, const float *g, void *dlogits,
				uint64_t tokens, int n, int k, bool bf16,
				cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
