/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FSMoE's generalised layer (attention and a MoE layer) under linear costs,
 * as every system that it is compared with would run it. The layout is the
 * paper's: tensor and expert-sharding groups are a node's GPUs, expert
 * parallel groups go across nodes, one expert per node.
 */
#ifndef SIM_FSMOE_H
#define SIM_FSMOE_H

#include "base/curve.h"
#include "sim/gradient.h"

#include <stdbool.h>

/* A cluster by its fits: seconds as a function of elements, or of MACs. */
struct fsmoe_testbed {
	int nodes, gpus;	/* gpus of one node */
	struct curve gemm;	/* of MACs */
	struct curve a2a, ar;	/* of elements of one node */
	struct curve ag, rs;	/* of elements that one GPU has after (ag) or
				   before (rs) it */
	double memory_Bps;	/* reached by a kernel that streams */
	double interference;	/* between node and network, sim/lanes.h */
	double score_passes;	/* of the attention scores through memory */
	double duplicates;	/* copies of a token that a system without
				   duplicate dropping sends */
};

struct fsmoe_layer {
	double batch, sequence, heads, hidden, ffn;
	int products;		/* of an expert: 2, gated 3 */
	double copies;		/* k f: copies of a token, padding included */
	double attention;	/* parameters of the attention, elements */
};

enum fsmoe_policy {
	FSMOE_DEEPSPEED, FSMOE_TUTEL, FSMOE_TUTEL_IMPROVED, FSMOE_LINA,
	FSMOE_NO_IIO, FSMOE_FSMOE, FSMOE_SEARCHED, FSMOE_POLICY_N,
};

struct fsmoe_policy_row {
	const char *name, *help;
	bool one_lane;		/* node and network never at once */
	bool one_degree;	/* for both passes */
	bool sequential;	/* degree 1 */
	bool duplicates;	/* no duplicate dropping */
	bool orders;		/* all of sim/chain.h, not the fixed one */
	enum { GRADIENT_END, GRADIENT_WINDOW, GRADIENT_PIECES,
	       GRADIENT_PAPER, GRADIENT_SEARCHED } gradient;
};

extern const struct fsmoe_policy_row fsmoe_policies[FSMOE_POLICY_N];
int fsmoe_policy_find(const char *name);	/* -1: none */

/* Seconds of the parts of one layer, whole (degree 1). */
struct fsmoe_parts {
	double a2a;	/* both directions */
	double ag, rs;	/* of the expert shards and of the tensor group */
	double experts, attention;
	double ar;	/* backward only */
};
void fsmoe_parts(const struct fsmoe_testbed *t, const struct fsmoe_layer *l,
		 bool backward, struct fsmoe_parts *out);

struct fsmoe_times {
	double forward_s, backward_s;	/* of the whole generalised layer */
	int degree_forward, degree_backward;
};

/* One of many equal layers: it reduces as many gradients as it makes. */
void fsmoe_layer_time(const struct fsmoe_testbed *t,
		      const struct fsmoe_layer *l, enum fsmoe_policy policy,
		      struct fsmoe_times *out);

/*
 * A model of n such layers; with stages > 1 by GPipe, each stage its share of
 * the layers, `batches` micro-batches of the layer's batch. Seconds of a
 * step.
 */
double fsmoe_model_time(const struct fsmoe_testbed *t,
			const struct fsmoe_layer *l, int layers, int stages,
			int batches, enum fsmoe_policy policy);

#endif
