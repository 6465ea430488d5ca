/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gradients of dense layers that a layer's backward pass sums between its own
 * exchanges: the plan's word gradient=BYTES/PIECES. There is no dense layer;
 * what is summed is a buffer of so many bytes in fp32, filled with values
 * whose sums are exact, and goes into a second one, so that every step sums
 * the same.
 *
 * Replicas: ranks `stride` (tp) apart, all of a layer's. Groups of one sum
 * nothing, and there is no op then (scenarios/program.c).
 */
#ifndef GPU_LAYER_DENSE_H
#define GPU_LAYER_DENSE_H

#include "gpu/layer_ref.h"

#define LAYER_DENSE_BYTES_MAX (1ull << 40)

struct layer_dense {
	int64_t n;		/* elements; 0: nothing is summed */
	int group, stride;	/* of replicas */
};

struct layer_dense layer_dense_of(const struct layer_case *c);

/* Elements [first, end) of an op, a piece. */
void layer_dense_piece(const struct layer_dense *d, const struct op *op,
		       int64_t *first_p, int64_t *end_p);

/* Key of a rank's own values for fill_value(). */
uint32_t layer_dense_key(const struct layer_case *c, int rank);

/* Adds to *wrong_p: elements of a rank (LAYER_DENSE) that are not the sum,
 * among the ends of all pieces and some between them. */
enum status layer_dense_check(const struct layer_case *c,
			      const struct layer_fetch *f, int rank,
			      int64_t *wrong_p);

#endif
