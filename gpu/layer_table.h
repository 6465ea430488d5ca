/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a plan's moves to tables of runs; what gpu/layer_plan.c is made of. */
#ifndef GPU_LAYER_TABLE_H
#define GPU_LAYER_TABLE_H

#include "gpu/layer_plan.h"

/* Ranges of rows that are elsewhere: row first + i is row to + i. Sorted by
 * first; empty ones do no harm. */
struct table_range {
	int32_t first, rows, to;
};

struct table_map {
	int n;
	const struct table_range *range;
};

/* Cells of the experts in the plan's order, in the layout's. */
struct table_layout {
	enum xchg_buffer buffer;	/* which one it is the layout of */
	struct table_map map;
	const struct xchg_moves *tails;	/* rows of zeros behind the cells */
};

void layer_table_make(struct layer_blob *blob, const struct xchg_moves *m,
		      const struct table_map *from, const struct table_map *to,
		      const struct xchg_moves *tails, struct layer_table *out);

/* tails: this step zeroes the layout's tails. */
void layer_step_make(struct layer_blob *blob, const struct xchg_step *s,
		     int rank, const struct table_layout *layout, bool tails,
		     struct layer_step *out);

#endif
