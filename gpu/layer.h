/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One MoE layer as a case for a backend: the program of a plan, run forward
 * and backward on real ranks with real data.
 *
 * Who is what: rank = node * gpus_per_node + local rank, and the layout's
 * order inside the world (scenarios/layout.h; pp is 1): an ESP group is
 * neighbours, an EP group ranks esp apart. Every rank brings `tokens` tokens.
 *
 * Data (gpu/fill.h with layer_key(), so that every rank and every CPU twin
 * makes any element alone): all are multiples of a power of two, so the
 * logits are exact in fp32 whatever the order of their sums, and routing is a
 * matter of integers:
 *
 *	x[t][h]		fill_value(), bf16-exact	tokens x hidden
 *	wg[h][e]	fill_value() * LAYER_GATE_SCALE	hidden x experts
 *	w1[e][h][c]	fill_value() * layer_weight_scale(hidden)
 *			c < ffn * (gated ? 2 : 1); gated: the first ffn columns
 *			go through silu, the others multiply (w1 | w3)
 *	w2[e][c][h]	fill_value() * layer_weight_scale(ffn)
 *	ws1[h][c], ws2[c][h]	shared experts: as w1, w2 with shared_ffn
 *	dy[t][h]	fill_value(): gradient of the layer's output
 *
 * x and dy differ from rank to rank, weights are the same everywhere. Element
 * i of fill_value(key, i) is counted in the whole tensor, row-major, e.g.
 * w1: (e * hidden + h) * width + c with width = ffn or 2 ffn.
 *
 * What a rank holds: local_experts experts (gpu/layer_exchange.h says which)
 * and of each the ESP shard s = rank % esp: columns [s F', (s + 1) F') of the
 * ffn, F' = ffn / esp; local w1 is [local_experts][hidden][F'] or, gated,
 * [..][hidden][2 F'] (its silu columns, then its factors), local w2
 * [local_experts][F'][hidden]. layer_w1_index() and layer_w2_index() say
 * which element of the whole tensor a local one is.
 *
 * Forward: logits = x wg; route: the k largest logits, equal ones by lower
 * expert (or, `count` given, the experts that the counts prescribe,
 * layer_given_ids()); weights: softmax over the k chosen logits (that is the
 * softmax over all experts, renormalised over the chosen ones). capacity > 0:
 * of each (source rank, expert) the first `capacity` copies in token order
 * stay, the others are dropped (they add nothing; weights are not
 * renormalised), and the exchange moves all `capacity` slots, empty ones as
 * zeros; capacity 0: dropless, exact counts. y[t] = sum over kept j of
 * weight[t][j] * FFN_e(x[t]) + shared FFN(x[t]); FFN: gelu (erf) or
 * silu(a) * b.
 *
 * Chunks: chunk i of n has, dropless, the copies of tokens [i*T/n, (i+1)*T/n)
 * of every rank; with a capacity C the slots [i*C/n, (i+1)*C/n) of every
 * (source rank, expert). So what is dropped does not depend on the degree,
 * which may differ between forward and backward. More chunks than tokens (or
 * slots) leave some empty.
 *
 * Backward: dx (through experts and gate), dwg, dw1, dw2 (and dws1, dws2).
 * Expert gradients are summed over expert copies and dp replicas, dwg and
 * those of shared experts over all ranks; every holder has the sum. With
 * g[t][j] = dy[t] . FFN_e(x[t]) of kept copies (0 of dropped ones):
 * dlogit[t][j] = w_j (g_j - sum_i w_i g_i), dwg[h][e] += x[t][h] dlogit,
 * dx[t][h] += dlogit[t][j] wg[h][e].
 */
#ifndef GPU_LAYER_H
#define GPU_LAYER_H

#include "base/status.h"
#include "gpu/fill.h"
#include "scenarios/plan.h"
#include "scenarios/program.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAYER_GATE_SCALE (1.0f / 64)
#define LAYER_RANKS_MAX 64
#define LAYER_K_MAX 32
#define LAYER_EXPERTS_MAX 4096
#define LAYER_HIDDEN_MAX 65536	/* sums of 2^14 each fit 31 bits */
#define LAYER_FFN_MAX 1048576
#define LAYER_TOKENS_MAX (1 << 22)
#define LAYER_LABEL 64
#define LAYER_TEXT 256	/* of layer_describe() */

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
	char tier[32];		/* "": whatever there is between the ranks */
	char label[LAYER_LABEL];
	bool plant_fault;	/* a test of the check: must be found */
	bool graph;		/* capture in a CUDA graph where sizes are
				   static */
	bool counts_known;	/* `count` is, before a step; else a step has
				   to find it out, as with any routing */
};

/* gpu/layer_case.c */
void layer_case_release(struct layer_case *c);

/*
 * All rules: ranges, k <= experts, ranks = dp ep esp, pp = 1, the rules of a layout,
 * a capacity exactly when the plan has a factor, counts that sum to tokens *
 * k with no cell above tokens, sizes that fit 31 bits of rows. Message:
 * "field 'k': 9 is above 'experts', 8".
 */
enum status layer_case_check(const struct layer_case *c);

/*
 * As one JSON object, and back (checked): fields as in the job's task
 * (gpu/job.h) plus "plant_fault", "graph" and "counts_known". free() the text. Messages:
 * "field 'plan': ...".
 */
char *layer_case_text(const struct layer_case *c);
enum status layer_case_parse(const char *text, size_t len,
			     struct layer_case *out);

/* Slots of a factor: max(1, ceil(k tokens factor / experts)). */
int64_t layer_capacity(const struct layer_case *c, double factor);

/* "mixtral-4k 4096x4096x14336 e8 k2 swiglu bf16 dropless routed seed 1":
 * shape, routing and label, never the plan. */
void layer_describe(const struct layer_case *c, char out[LAYER_TEXT]);

/* The program of the plan, on a cluster of this many nodes and GPUs. */
enum status layer_program(const struct layer_case *c, struct program *out);

/* "bf16" or "fp32". */
static inline const char *layer_dtype(const struct layer_case *c)
{
	return c->dtype == DT_BF16 ? "bf16" : "fp32";
}

static inline int layer_ranks(const struct layer_case *c)
{
	return c->nodes * c->gpus_per_node;
}

/* Experts (slots) on one rank, and copies of one in an EP group. */
static inline int layer_local_experts(const struct layer_case *c)
{
	int ep = c->plan.layout.ep;

	return ep > c->experts ? 1 : c->experts / ep;
}

static inline int layer_copies(const struct layer_case *c)
{
	int ep = c->plan.layout.ep;

	return ep > c->experts ? ep / c->experts : 1;
}

static inline int layer_shard_ffn(const struct layer_case *c)
{
	return c->ffn / c->plan.layout.esp;
}

/* The expert behind a rank's local one. */
static inline int layer_expert(const struct layer_case *c, int rank, int local)
{
	int ep = rank / c->plan.layout.esp % c->plan.layout.ep;

	return ep / layer_copies(c) * layer_local_experts(c) + local;
}

/* Columns of w1 as a multiple of the ffn. */
static inline int layer_w1_parts(const struct layer_case *c)
{
	return c->gated ? 2 : 1;
}

/* The element of the whole w1 behind row h, column j of a local expert. */
static inline uint64_t layer_w1_index(const struct layer_case *c, int rank,
				      int local, int h, int j)
{
	int shard = layer_shard_ffn(c), s = rank % c->plan.layout.esp;
	uint64_t width = (uint64_t)c->ffn * (uint64_t)layer_w1_parts(c);
	uint64_t e = (uint64_t)layer_expert(c, rank, local);

	return (e * (uint64_t)c->hidden + (uint64_t)h) * width +
	       (uint64_t)(j / shard) * (uint64_t)c->ffn +
	       (uint64_t)(s * shard + j % shard);
}

static inline uint64_t layer_w2_index(const struct layer_case *c, int rank,
				      int local, int j, int h)
{
	uint64_t e = (uint64_t)layer_expert(c, rank, local);
	uint64_t row = (uint64_t)(rank % c->plan.layout.esp) *
		       (uint64_t)layer_shard_ffn(c) + (uint64_t)j;

	return (e * (uint64_t)c->ffn + row) * (uint64_t)c->hidden +
	       (uint64_t)h;
}

/*
 * The tensors. layer_key() of an input is its key for fill_value(); the
 * other half are what a check compares (gpu/layer_ref.h).
 */
enum layer_tensor {
	LAYER_X, LAYER_DY, LAYER_WG, LAYER_W1, LAYER_W2, LAYER_WS1, LAYER_WS2,
	LAYER_Y, LAYER_DX, LAYER_DLOGIT, LAYER_DWG, LAYER_DW1, LAYER_DW2,
	LAYER_DWS1, LAYER_DWS2, LAYER_TENSOR_N,
	LAYER_DENSE = LAYER_TENSOR_N	/* gpu/layer_dense.h */
};

#define LAYER_SEED_SALT 0x6c61796572ull	/* "layer" */

/* Weights: rank 0's key on all ranks. */
FILL_FN uint32_t layer_key(uint64_t seed, int rank, enum layer_tensor t)
{
	return fill_key(seed ^ LAYER_SEED_SALT,
			t <= LAYER_DY ? rank : 0, (int)t);
}

/*
 * The largest power of two that is not above 4 / sqrt(n): a sum of n products
 * with fill_value()s then has a root mean square of 2/3 .. 4/3.
 */
FILL_FN float layer_weight_scale(int n)
{
	float s = 4;

	while (s * s * (float)n > 16)
		s /= 2;
	return s;
}

/* What a check found, all ranks, against the CPU twin in double. */
struct layer_check {
	int64_t wrong_integers;	/* ids, positions, counts, drops: any; sums
				   of dense gradients */
	/* largest |got - want| / (|want| + scale of the tensor), sampled;
	 * scale: root mean square of the wanted samples. dwg includes
	 * dlogit, dw1 and dw2 the shared experts */
	double error_y, error_dx, error_dwg, error_dw1, error_dw2;
	int64_t compared;	/* elements */
	bool correct;		/* all within the dtype's tolerance */
};

#define LAYER_TOLERANCE_FP32 1e-5
#define LAYER_TOLERANCE_BF16 2e-2

#endif
