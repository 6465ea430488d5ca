/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of what a rank sends in one pass: chunk, expert, and then token
 * (dropless) or slot (capacity). One rule for the host and for the kernels
 * (define FILL_FN before, as in gpu/fill.h). Chunks: gpu/layer.h.
 */
#ifndef GPU_LAYER_ORDER_H
#define GPU_LAYER_ORDER_H

#include <stdint.h>

#ifndef FILL_FN
#define FILL_FN static inline
#endif

/* First of `total` things that is in chunk c of n. */
FILL_FN int64_t order_first(int64_t total, int c, int n)
{
	return c * total / n;
}

/* The chunk of thing i: the largest c with order_first(total, c, n) <= i,
 * c total / n < i + 1. */
FILL_FN int order_chunk(int64_t i, int64_t total, int n)
{
	return (int)(((i + 1) * n - 1) / total);
}

/* Row of a slot of expert e of `experts`, among all slots of all chunks. */
FILL_FN int64_t order_slot(int e, int64_t slot, int experts, int64_t capacity,
			   int n)
{
	int c = order_chunk(slot, capacity, n);
	int64_t first = order_first(capacity, c, n);
	int64_t end = order_first(capacity, c + 1, n);

	return experts * first + e * (end - first) + slot - first;
}

#endif
