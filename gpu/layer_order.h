/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What host and kernels share of a layer's order (define FILL_FN before, as
 * in gpu/fill.h): chunks of tokens and slots (gpu/layer.h), runs of rows.
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

/*
 * A run of rows that move together: from < 0: rows of zeros; an index with
 * bit K_LAYER_SECOND set counts in the second of two places. start: rows in
 * the runs before.
 */
#define K_LAYER_SECOND 0x40000000

struct k_run {
	int32_t from, to, rows, start;
};

#endif
