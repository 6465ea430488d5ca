/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The named choices: all-to-all algorithms, techniques, and the steps that
 * an all-to-all algorithm is made of. Tables, one row each; everything that
 * lists, parses or documents them walks the table.
 */
#ifndef SCENARIOS_TECHNIQUE_H
#define SCENARIOS_TECHNIQUE_H

#include <stdbool.h>

/*
 * The lanes of a GPU: ops on one lane run in program order, one at a time.
 * The host works beside them: LANE_HOST is not among the LANE_N of a GPU.
 */
enum lane { LANE_COMPUTE, LANE_INTRA, LANE_INTER, LANE_N,
	    LANE_HOST = LANE_N, LANES_ALL };

enum a2a_alg {
	A2A_FLAT,	/* grouped send/recv to every peer (NCCL, DeepSpeed) */
	A2A_LEADER,	/* gather to one GPU per node (HetuMoE) */
	A2A_2D,		/* intra-node, then same local rank (Tutel 2DH) */
	A2A_LANES,	/* intra and inter side by side (ScheMoE Pipe-A2A) */
	A2A_DEDUP,	/* one copy per destination node, fan-out (DeepEP) */
	A2A_PAIRWISE,	/* shift exchanges, one peer at a time (FasterMoE) */
	A2A_DIRECT,	/* rows straight to and from their places at the peer,
			   fused with permute and unpermute (DeepEP inside a
			   node); EP groups inside one NVLink domain only */
	A2A_N,
};

/*
 * One step of an algorithm. Steps of one all-to-all run in order, except
 * that a step with `beside` set starts together with the one before it.
 */
struct a2a_step {
	const char *name;	/* "gather", "inter", ... */
	enum lane lane;		/* of the exchange; INTER: INTRA when the
				   group is inside one domain */
	int beside;
};

#define A2A_STEPS_MAX 4

struct a2a_row {
	const char *name;	/* in scenarios, plans, JSON */
	const char *help;
	int n_steps;
	bool forwards;	/* a step sends on what the one brings beside which it
			   starts: row by row, or else after it */
	struct a2a_step dispatch[A2A_STEPS_MAX];	/* combine: reversed */
};

extern const struct a2a_row a2a_table[A2A_N];

/*
 * Step i in order of execution: of the dispatch, or of the combine
 * (reverse), which runs the dispatch's steps last to first.
 */
struct a2a_step a2a_step_at(enum a2a_alg alg, int reverse, int i);

/* Index, or -1. */
int a2a_find(const char *name);

enum technique_id {
	TECH_BASELINE,
	TECH_LSH,		/* LSH-MoE: centroids instead of tokens */
	TECH_CONDENSATION,	/* Luffy: one of tokens that are alike */
	TECH_MIGRATION,		/* Luffy: sequences go where their tokens are */
	TECH_LOCALITY,		/* LocMoE: a gate that prefers the node */
	TECH_TOPOLOGY,		/* FasterMoE, TA-MoE: few copies leave it */
	TECH_SHADOWING,		/* FasterMoE: hot experts are copied */
	TECH_EXPERT_FETCH,	/* Janus: experts move, tokens stay */
	/* other gates than top-k: sim/tech_gates.h */
	TECH_GATE_KTOP1, TECH_GATE_SAM, TECH_GATE_BASE, TECH_GATE_HASH,
	TECH_GATE_DTS,
	/* of the program alone: rows, bytes and costs of ops stay */
	TECH_ORDER,		/* FSMoE: the best order of ops on the lanes */
	TECH_GRADIENT,		/* FSMoE: dense gradients in idle slots */
	TECH_ATTENTION,		/* FlowMoE: attention in the pipeline */
	TECH_N,
};

/* Techniques that change the program and nothing else. */
#define TECH_SCHEDULES (1u << TECH_ORDER | 1u << TECH_GRADIENT | \
			1u << TECH_ATTENTION)

struct technique_row {
	const char *name;
	const char *help;
	const char *source;	/* system, and where it is described */
	const char *file;	/* that implements it */
	unsigned excludes;	/* bits of those it cannot go with */
	bool reroutes;		/* changes which expert a token goes to */
};

extern const struct technique_row technique_table[TECH_N];
int technique_find(const char *name);

/* Have bits of their own ops in the program (scenarios/program.h)? */
bool technique_compresses(unsigned mask);	/* rows before they are sent */
bool technique_restores(unsigned mask);		/* and after they came back */

/* Can the techniques of that mask be used together? 0 is no technique. */
bool technique_mask_fits(unsigned mask);

const char *lane_name(enum lane l);	/* "compute", "intra", "inter", "host" */

#endif
