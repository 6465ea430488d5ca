/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compute ops of an MoE layer as kernels of one rank. Private to cost*.c. */
#ifndef SIM_COST_LAYER_H
#define SIM_COST_LAYER_H

#include "scenarios/program.h"
#include "sim/cost_kernel.h"
#include "sim/route.h"
#include "sim/tech_apply.h"

/* What the kernels need to know of one rank's layer. */
struct layer {
	const struct gpu *gpu;
	const struct model *model;
	const struct measured *measured;	/* products; may be NULL */
	double tokens;		/* of one rank */
	double copies;		/* routed copies that a rank sends */
	double reads;		/* rows that a permutation reads: each copy, or
				   each token once (a runner's kernel) */
	double slots;		/* the same with padding; = copies when dropless */
	double ffn;		/* inner size of one rank's expert shard */
	int local_experts;
	bool dropless;
	double empty;		/* share of the slots that stay empty */
	/* experts' rows as the runner lays them out (gpu/ffn_rows.h): padded
	 * to those of the expert that has most, unless that is too many */
	bool pads, can_pad;
	double spread;		/* of an expert's rows in a chunk: their variance
				   is so many times share (1 - share) rows */
	double adding_s;	/* see measured_adding_seconds() */
	bool regroup;		/* arriving rows must be sorted by expert */
	/* direct: the exchange permutes and regroups, what is left is ... */
	const char *plan;	/* measured curve of the host's plan; NULL: none */
	int group;		/* ranks that exchange */
	bool direct;
	double pairs;		/* ... to find places for these copies */
	double sums_bytes;	/* ... to add these rows; see traffic_sums() */
	/* a runner's dedup on nodes of one GPU, 0 else: rows of distinct tokens
	 * to any node, and to the others */
	double leads, leads_away;
};

void layer_init(struct layer *l, const struct gpu *gpu, const struct model *m,
		const struct layout *layout, const struct workload *w);

/* Products and kernels as measured; may be NULL. */
void layer_set_measured(struct layer *l, const struct measured *m,
			const struct layout *layout, enum a2a_alg alg);

/* The layer exchanges `direct`; ep > 1. */
void layer_set_direct(struct layer *l, const struct layout *layout,
		      const struct workload *w);

/*
 * The layer runs by dedup on nodes of one GPU, where no other GPU has the
 * fan-out: its moves are the runner's. After layer_set_measured().
 */
void layer_set_dedup(struct layer *l, const struct layout *layout,
		     const struct workload *w);

/*
 * What a dropless layer adds to an op that plans `chunks` exchanges: the gate's
 * counts go to the host, which makes the plan while the GPU waits; rows of a
 * pass of other chunks are regrouped, `rows` of them. Only where it was measured.
 */
void layer_plan_work(const struct layer *l, enum op_kind kind, int chunks,
		     double rows, struct work *out);

/* An op without chunks: gate, permute, unpermute, shared, ... */
void layer_work(const struct layer *l, enum op_kind kind, struct work *out);

/* The same of the rows of one of n chunks; a gate may be a technique's. */
void layer_chunk_work(const struct layer *l, const struct tech_effect *e,
		      enum op_kind kind, int n, struct work *out);

/* Techniques' own work, and a gate that is not the layer's: [OP_KIND_N]. */
void layer_own_work(const struct tech_effect *e, struct work *fixed);

/*
 * An expert op on a rank with these rows per local expert, times share. adds:
 * gradients of weights are added to those of an earlier chunk.
 */
void layer_expert_work(const struct layer *l, enum op_kind kind,
		       const double *rows, double share, bool adds,
		       struct work *out);

/* The same for shared experts; nothing when there are none. */
void layer_shared_work(const struct layer *l, enum op_kind kind,
		       struct work *out);

double layer_row_bytes(const struct layer *l);

/* Rows of the rank that computes most, over all its experts. */
double layer_busiest_rows(const struct workload *w);

/* Weights of one expert shard, elements; of shared experts together. */
double layer_expert_params(const struct model *m, double ffn);
double layer_shared_params(const struct model *m);

#endif
