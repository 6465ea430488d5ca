/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The program: what every rank does in one layer, forward and backward.
 *
 * A small DAG of ops on three lanes, the same for every rank (SPMD); both
 * executors (simulator, GPU runner) run it. Derived from a plan by
 * program_lower(), never written by hand.
 *
 * Semantics: ops of one lane run one at a time in the order of the array; an
 * op starts when the op before it on its lane and all its dependencies are
 * done; an op is done when the slowest rank is done. Dependencies point
 * backwards (dep < own index), so the array is a topological order.
 *
 * Sizes are shares: chunk i of n carries 1/n of the exchange and of the
 * expert work. Absolute sizes come from the routing (sim/route.h).
 */
#ifndef SCENARIOS_PROGRAM_H
#define SCENARIOS_PROGRAM_H

#include "base/status.h"
#include "scenarios/plan.h"

enum op_kind {
	OP_GATE,	/* gate product, softmax, top-k, sort */
	OP_PERMUTE,	/* tokens into expert order */
	OP_DISPATCH,	/* all-to-all to the experts, one step of it */
	OP_ALLGATHER,	/* over the ESP group */
	OP_EXPERT,	/* expert FFN */
	OP_REDUCESCATTER,	/* over the ESP group */
	OP_COMBINE,	/* all-to-all back, one step of it */
	OP_UNPERMUTE,	/* weighted sum of a token's k results */
	OP_SHARED,	/* shared experts */
	OP_UNPERMUTE_BWD,
	OP_COMBINE_BWD,	/* exchange of output gradients, as OP_DISPATCH */
	OP_EXPERT_BWD_DATA,	/* input gradients */
	OP_EXPERT_BWD_WEIGHT,	/* weight gradients */
	OP_DISPATCH_BWD,	/* exchange of input gradients, as OP_COMBINE */
	OP_PERMUTE_BWD,
	OP_GATE_BWD,
	OP_SHARED_BWD,
	OP_ALLREDUCE_GATE,	/* gradients of what all ranks replicate */
	OP_ALLREDUCE_EXPERT,	/* of experts with replicas */
	/* techniques' own work */
	OP_COMPRESS,	/* lsh: hash, cluster, mean; condensation: similar
			   tokens, whom to keep */
	OP_RESTORE,	/* lsh: results of centroids plus residuals */
	OP_COMPRESS_BWD,	/* sums of gradients of what travels as one */
	OP_RESTORE_BWD,
	OP_MIGRATE,	/* on the host: where each sequence goes on */
	OP_SHADOW,	/* copied experts to all ranks of the group */
	OP_SHADOW_BWD,	/* their gradients back */
	OP_SHUFFLE,	/* base: tokens to random ranks before their gate */
	OP_UNSHUFFLE,	/* and home behind the layer */
	/* attention and dense networks of a block (plan.dense) */
	OP_DENSE,
	OP_DENSE_BWD,
	OP_KIND_N,
};

/* Which all-reduce it is (struct op's step). */
enum allreduce_step {
	ALLREDUCE_ROUTER = 0,	/* OP_ALLREDUCE_GATE: the gate's weights */
	ALLREDUCE_SHARED = 1,	/* OP_ALLREDUCE_GATE: shared experts */
	ALLREDUCE_DENSE = 2,	/* OP_ALLREDUCE_GATE: the plan's bytes of
				   dense layers before this one */
	ALLREDUCE_COPIES = 0,	/* OP_ALLREDUCE_EXPERT: over the copies of an
				   expert inside one EP group */
	ALLREDUCE_DP = 1,	/* OP_ALLREDUCE_EXPERT: over dp */
};

#define OP_DEPS_MAX 10

struct op {
	enum op_kind kind;
	enum lane lane;
	int chunk, n_chunks;	/* share is 1/n_chunks */
	int step;		/* all-to-all ops: step in order of execution
				   (a2a_step_at()); all-reduces: below */
	int backward;		/* 0 forward, 1 backward */
	int plans;		/* chunks whose exchanges are planned with it: a
				   gate's; or those that the rows of a forward pass
				   with others are regrouped into; 0: none */
	int n_deps;
	int dep[OP_DEPS_MAX];	/* indices, each < own */
	double slow;		/* its time is so many times as long; 0: as 1.
				   Lowering leaves it 0 (sim/jitter.h) */
};

struct program {
	struct plan plan;
	int n_ops, n_forward;	/* ops [0, n_forward) are the forward pass */
	struct op *op;		/* owned */
	size_t cap;
};

/*
 * Lowers the plan for this model on this cluster. Forward: gate, permute,
 * then per chunk dispatch, [all-gather], expert, [reduce-scatter], combine,
 * dispatch-first order (all D before all C on a lane, Tutel), then
 * unpermute. Backward: the mirror image with data and weight gradients and
 * the all-reduces. The forward pass ends before the backward one begins.
 * `inter` lanes fall back to INTRA when an EP group stays inside a node;
 * ep = 1 has no exchange. With degree 1 shared experts and weight gradients
 * come before the exchange beside which they could have run, unless the plan
 * says overlap=weight. The plan's dense gradients, in pieces, come after the
 * way to the experts (FSMoE). Another order of the plan lays the same ops,
 * with the same dependencies, in that order (scenarios/order.h); ST_INPUT
 * when it does not fit.
 *
 * Techniques of the plan have ops of their own where their systems have them.
 * Compression stands between gate and permutation, and after the last
 * exchange (LSH-MoE, Luffy); a migration's plan is made on the host as soon
 * as the gate is known, and the combine waits for it (Luffy); copied experts
 * travel behind the dispatch and the last chunk of the experts waits for them,
 * their gradients after the exchanges of the backward pass (FasterMoE). Tokens
 * of BASE's gate come from random ranks before it and go home behind the layer,
 * both ways in both passes.
 *
 * dense=whole: the dense part comes before the layer forward; backward that of
 * the block above comes first, and its gradients are summed where the lane has
 * room. dense=chunks: scenarios/program_pipe.c.
 */
enum status program_lower(const struct plan *p, const struct cluster *c,
			  const struct model *m, struct program *out);
void program_release(struct program *p);

/* The same for dense=chunks, into an empty program that has its plan; called
 * by program_lower() alone. */
enum status program_lower_pipe(const struct cluster *c, const struct model *m,
			       struct program *out);

/* Asserts the invariants above; for tests and MOECAST_CHECK=1. */
void program_check(const struct program *p);

/*
 * The op that is the step before op i of the same exchange, if it stands
 * before it; else -1. forwarded_step(): only where op i sends on what that
 * one brings, though both start together (struct a2a_row, forwards): those
 * stand in their order in the array.
 */
int program_previous_step(const struct program *p, int i);
int program_forwarded_step(const struct program *p, int i);

/* Copies of each expert inside an EP group: ep / experts, at least 1. */
int layout_expert_copies(const struct layout *l, const struct model *m);

/*
 * Does every group of `group` ranks `stride` apart stay inside a node (a
 * rack's NVLink domain)? A group of one always does.
 */
bool group_in_domain(const struct cluster *c, int group, int stride);

/*
 * Why groups of so many ranks cannot exchange `direct` on this cluster (a
 * text without a subject), or NULL: every group must lie inside an NVLink
 * domain, and the GPU have constants for it. With a layout and a model also
 * whether the runner's exchange does it: no ESP shards, no copies of experts.
 */
const char *direct_why_not(const struct cluster *c, int group, int stride);
const char *direct_why_not_layout(const struct cluster *c,
				  const struct layout *l,
				  const struct model *m);
/* Of a whole plan: rows are as the gate sent them, no techniques. NULL, too,
 * when it exchanges otherwise. */
const char *direct_why_not_plan(const struct cluster *c, const struct plan *p,
				const struct model *m);

bool op_kind_is_comm(enum op_kind k);
/* A step of the all-to-all, there or back. */
bool op_kind_is_exchange(enum op_kind k);
const char *op_kind_name(enum op_kind k);	/* "dispatch", ... */
const char *op_kind_breakdown(enum op_kind k);	/* "alltoall", "expert", ... */

#endif
