/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Backward chunks need what forward chunks left on the expert's rank (rows
 * of ALL, or OUT: inputs, activations), and the two degrees may differ.
 * The forward rows of all chunks lie one chunk after the other; `from` of a
 * move counts there, `to` in the backward chunk's rows. Equal degrees: one
 * move, or none when empty.
 */
#ifndef GPU_LAYER_REGROUP_H
#define GPU_LAYER_REGROUP_H

#include "gpu/layer_exchange.h"
#include "gpu/layer_route.h"

void layer_regroup(const struct layer_case *c, const struct layer_route *r,
		   int rank, int chunk, struct xchg_moves *out);

#endif
