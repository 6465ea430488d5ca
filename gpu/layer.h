/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One MoE layer as a case for a backend: the program of a plan, run forward
 * and backward on real ranks with real data.
 *
 * Who is what: rank = node * gpus_per_node + local rank, and the layout's
 * order inside the world (scenarios/layout.h): an ESP group is neighbours, an
 * EP group ranks esp apart. Every rank brings `tokens` tokens.
 *
 * Data (gpu/fill.h, so that every rank and every CPU twin makes any element
 * alone): all are multiples of a power of two, so the logits are exact in
 * fp32 whatever the order of their sums, and routing is a matter of integers:
 *
 *	x[t][h]		fill_value(), bf16-exact	tokens x hidden
 *	wg[h][e]	fill_value() * LAYER_GATE_SCALE	hidden x experts
 *	w1[e][h][c]	fill_value() * layer_weight_scale(hidden)
 *			c < ffn * (gated ? 2 : 1); gated: the first ffn columns
 *			go through silu, the others multiply (w1 | w3)
 *	w2[e][c][h]	fill_value() * layer_weight_scale(ffn)
 *	dy[t][h]	fill_value(): gradient of the layer's output
 *
 * Forward: logits = x wg; route: the k largest logits, equal ones by lower
 * expert (or, `count` given, the experts that the counts prescribe,
 * layer_given_ids()); weights: softmax over the k chosen logits (that is the
 * softmax over all experts, renormalised over the chosen ones). capacity > 0:
 * of each (source rank, expert) the first `capacity` tokens in token order
 * stay, the others' copies are dropped (they add nothing; weights are not
 * renormalised), and the exchange moves all `capacity` slots; capacity 0:
 * dropless, exact counts. Chunk i of n: tokens [i*T/n, (i+1)*T/n) of every
 * rank; a capacity is cut the same way. y[t] = sum over kept j of
 * weight[t][j] * FFN_e(x[t]); FFN: gelu (erf) or silu(a) * b.
 *
 * Backward: dx (through experts and gate), dwg, dw1, dw2; expert gradients
 * are summed over expert copies and dp replicas, dwg over all ranks.
 */
#ifndef GPU_LAYER_H
#define GPU_LAYER_H

#include "base/status.h"
#include "scenarios/plan.h"
#include "scenarios/program.h"

#include <stdbool.h>
#include <stdint.h>

#define LAYER_GATE_SCALE (1.0f / 64)
#define LAYER_RANKS_MAX 64

struct layer_case {
	enum dtype dtype;	/* bf16 (fp32 sums) or fp32 */
	int tokens;		/* per rank */
	int hidden, ffn, experts, k;
	bool gated;
	int shared_ffn;		/* inner size of the shared experts; 0: none */
	int nodes, gpus_per_node;	/* ranks = product */
	struct plan plan;
	int64_t capacity;	/* slots per (source rank, expert); 0: dropless;
				   capacity_slots() of the plan's factor */
	int32_t *count;		/* [ranks * experts] prescribed copies; owned;
				   NULL: routing by the logits */
	uint64_t seed;
	bool plant_fault;	/* a test of the check: must be found */
	bool graph;		/* capture in a CUDA graph where sizes are
				   static */
};

void layer_case_release(struct layer_case *c);

/* What a check found, all ranks, against the CPU twin in double. */
struct layer_check {
	int64_t wrong_integers;	/* ids, positions, counts, drops: any */
	/* largest |got - want| / (|want| + scale of the tensor), sampled */
	double error_y, error_dx, error_dwg, error_dw1, error_dw2;
	int64_t compared;	/* elements */
	bool correct;		/* all within the dtype's tolerance */
};

#define LAYER_TOLERANCE_FP32 1e-5
#define LAYER_TOLERANCE_BF16 2e-2

#endif
