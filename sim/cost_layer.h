/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compute ops of an MoE layer as kernels of one rank. Private to cost.c. */
#ifndef SIM_COST_LAYER_H
#define SIM_COST_LAYER_H

#include "scenarios/program.h"
#include "sim/cost_kernel.h"
#include "sim/route.h"

/* What the kernels need to know of one rank's layer. */
struct layer {
	const struct gpu *gpu;
	const struct model *model;
	const struct measured *measured;	/* products; may be NULL */
	double tokens;		/* of one rank */
	double copies;		/* routed copies that a rank sends */
	double slots;		/* the same with padding; = copies when dropless */
	double ffn;		/* inner size of one rank's expert shard */
	int local_experts;
	double empty;		/* share of the slots that stay empty */
	bool regroup;		/* arriving rows must be sorted by expert */
	/* direct: the exchange permutes and regroups, what is left is ... */
	bool direct;
	double pairs;		/* ... to find places for these copies */
	double sums_bytes;	/* ... to add these rows; see traffic_sums() */
};

void layer_init(struct layer *l, const struct gpu *gpu, const struct model *m,
		const struct layout *layout, const struct workload *w);

/* The layer exchanges `direct`; ep > 1. */
void layer_set_direct(struct layer *l, const struct layout *layout,
		      const struct workload *w);

/* An op without chunks: gate, permute, unpermute, shared, ... */
void layer_work(const struct layer *l, enum op_kind kind, struct work *out);

/* The same of the rows of one of n chunks. */
void layer_chunk_work(const struct layer *l, enum op_kind kind, int n,
		      struct work *out);

/*
 * An expert op on a rank with these rows per local expert, times share. adds:
 * gradients of weights are added to those of an earlier chunk.
 */
void layer_expert_work(const struct layer *l, enum op_kind kind,
		       const double *rows, double share, bool adds,
		       struct work *out);

/* Rows of the rank that computes most, over all its experts. */
double layer_busiest_rows(const struct workload *w);

/* Weights of one expert shard, elements; of shared experts together. */
double layer_expert_params(const struct model *m, double ffn);
double layer_shared_params(const struct model *m);

#endif
