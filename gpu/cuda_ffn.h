/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The experts of one rank: their two or three products and what lies between
 * them, on rows that are sorted by expert. One object a rank (and one at a
 * time on a stream); it owns side streams, descriptors and workspaces.
 *
 *	pre = x w1		rows x columns, columns = ffn * (gated ? 2 : 1)
 *	h   = r act(pre)	rows x ffn; act: gelu (erf), or silu(a) * b where
 *				pre = [a | b]; r: the row's weight, or 1
 *	y   = h w2		rows x hidden
 *
 * With r the weight of the gate, y comes weighted: what combines the rows has
 * only to add. Backward, from dy (unweighted: the gradient of the combined
 * sum):
 *
 *	g    = dy w2'		gradient of h
 *	dr   = sum_c g act(pre)	of the row's weight: no y and no dot of rows
 *				of hidden needed
 *	dpre = r g act'(pre)	in the place of pre
 *	dx   = dpre w1'
 *	dw2  = h' dy,  dw1 = x' dpre
 *
 * Elements are bf16 or fp32, weights' gradients too; sums are fp32. With
 * `add` a gradient is added to what is there, rounded once a chunk: n chunks
 * in bf16 cost up to n/2 units in the last place.
 *
 * Rows of expert e: [ffn_rows_first(), + count[e]). Padded (stride > 0):
 * e * stride; rows count[e] .. stride - 1 exist in every buffer, and in x and
 * dy are zero (cuda_ffn_zero_tails(), or cuda_direct_dispatch() has done it);
 * these functions write zeros there in h and dpre, anything in y, g, dx, dr.
 * Packed (stride 0): expert after expert without gaps. All counts may be 0.
 *
 * How a product is done, chosen for each product and shape by what was
 * measured in cuda_ffn_tune(), else by a rule: one strided-batched call over
 * all experts (padded only; far ahead for many experts), or one call for each
 * expert, over side streams or one after the other. (cuBLAS's grouped product
 * reaches 300 TFLOP/s on an H200 where these reach 600 to 800.)
 *
 * Everything is queued on `s` and on streams that fork from it and join it
 * again; nothing waits. Counts are on the host. Calls can be captured in a
 * CUDA graph once the same shapes have run (or been tuned) before.
 */
#ifndef GPU_CUDA_FFN_H
#define GPU_CUDA_FFN_H

#include "base/status.h"
#include "gpu/ffn_rows.h"

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stdint.h>

struct ffn_shape {
	int experts;		/* of this rank */
	int hidden, ffn;	/* multiples of 8 (bf16) or 4 (fp32) */
	bool gated;
	bool bf16;		/* else fp32 */
};

/* Device pointers, 256-byte aligned. */
struct ffn_buffers {
	const void *x;		/* rows x hidden */
	const void *w1;		/* experts x hidden x columns */
	const void *w2;		/* experts x ffn x hidden */
	const float *r;		/* rows; NULL: all 1 */
	void *pre;		/* rows x columns; backward: becomes dpre */
	void *h;		/* rows x ffn; kept for the backward pass */
	void *y;		/* rows x hidden */
	/* backward only: */
	const void *dy;		/* rows x hidden */
	void *g;		/* rows x ffn; scratch */
	float *dr;		/* rows; NULL: not wanted */
	void *dx;		/* rows x hidden */
	void *dw1, *dw2;	/* like w1, w2 */
};

struct cuda_ffn;

/* On the current device. */
enum status cuda_ffn_open(const struct ffn_shape *shape,
			  struct cuda_ffn **out_p);
void cuda_ffn_close(struct cuda_ffn *f);	/* NULL is fine */

/* One of those kept, or a new one in the place of the one that was not used
 * for longest: what tuning found serves later layers. */
#define FFN_KEPT 4
struct ffn_kept {
	struct cuda_ffn *f[FFN_KEPT];	/* the last used first */
};
enum status cuda_ffn_get(struct ffn_kept *kept, const struct ffn_shape *shape,
			 struct cuda_ffn **out_p);
void cuda_ffn_close_kept(struct ffn_kept *kept);

/* Products of a part leave so many multiprocessors to others (an exchange
 * beside them); 0: none. Holds for later calls; part of what is tuned. */
enum ffn_part {
	FFN_FORWARD, FFN_DATA,
	FFN_WEIGHTS_2, FFN_WEIGHTS_1,	/* dw2, and dw1 after it */
	FFN_PARTS
};
void cuda_ffn_leave(struct cuda_ffn *f, enum ffn_part part, int sms);

enum status cuda_ffn_forward(struct cuda_ffn *f, const struct ffn_rows *rows,
			     const struct ffn_buffers *b, cudaStream_t s);

/* g, dr, dpre, dx */
enum status cuda_ffn_backward_data(struct cuda_ffn *f,
				   const struct ffn_rows *rows,
				   const struct ffn_buffers *b,
				   cudaStream_t s);

/* dw1, dw2; after cuda_ffn_backward_data() of the same rows */
enum status cuda_ffn_backward_weights(struct cuda_ffn *f,
				      const struct ffn_rows *rows,
				      const struct ffn_buffers *b, bool add,
				      cudaStream_t s);

/*
 * Times every way and several of cuBLAS's algorithms on these rows and
 * buffers, whose contents are lost (they should hold real data: zeros run
 * faster), and keeps the fastest for this shape: the two products of the
 * forward pass; all six of a first chunk; those of a later one, which add to
 * weights' gradients (other algorithms are fastest when much is read). Waits:
 * 0.25 s a product or, where that is longer, 60 runs of it; 0.05 s for other
 * numbers of rows later, and no time at all for padded ones that are known and
 * for packed ones within a tenth of those known.
 */
enum ffn_tuned { FFN_TUNE_FORWARD, FFN_TUNE_FIRST, FFN_TUNE_LATER };
enum status cuda_ffn_tune(struct cuda_ffn *f, const struct ffn_rows *rows,
			  const struct ffn_buffers *b, enum ffn_tuned what,
			  cudaStream_t s);

/* Zeroes rows count[e] .. stride - 1 of a buffer of rows x columns. */
enum status cuda_ffn_zero_tails(const struct ffn_shape *shape,
				const struct ffn_rows *rows, void *buffer,
				int columns, cudaStream_t s);

/*
 * For measurements: the products and the ways of doing one.
 */
enum ffn_product {
	FFN_PRE, FFN_Y, FFN_G, FFN_DX, FFN_DW2, FFN_DW1,
	FFN_DW2_ADDED, FFN_DW1_ADDED,	/* to what is there */
	FFN_PRODUCTS
};
enum ffn_way { FFN_BATCHED, FFN_EACH, FFN_IN_TURN, FFN_WAYS };

/* What was chosen, "batched/3" or "each/0"; for reports. */
void cuda_ffn_choice(struct cuda_ffn *f, const struct ffn_rows *rows,
		     enum ffn_product p, char *out, int size);

/* Forces a way for all products that allow it; -1: the choice again. */
void cuda_ffn_force(struct cuda_ffn *f, int way);

#endif
