/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parameter counts of a transformer with MoE layers, from its shape.
 *
 * Symbols: h hidden, V vocabulary, H heads, K key/value heads, D head size,
 * f inner size of a feed-forward network, E experts, k experts per token.
 *
 *	attention	h*H*D + 2*h*K*D + H*D*h
 *	  latent (MLA)	h*q + q*H*(n+r)  [or h*H*(n+r) without q]
 *			+ h*(c+r) + c*H*(n+v) + H*v*h, with q, c the ranks of
 *			the query and key/value projections, n and r the part
 *			of a head without and with rotary position, v the
 *			value head (DeepSeek-V2, section 2.1)
 *	  state space	3*h*d + d*(conv+1) + d*(R+2*s) + R*d + d + d*s + d,
 *			d = expand*h, s states, R rank of the step size
 *			(Mamba as in Jamba)
 *	feed-forward	g*h*f, g = 3 when gated, else 2
 *	router		h*E
 *	embeddings	V*h once when input and output share them, else twice
 *
 * plus biases where the family has them and two norms a layer. Total counts
 * every expert, active only k of E in each MoE layer. Families whose
 * authors leave the input embedding (a look-up, no product) out of "active"
 * say so with `lookup_inactive`.
 */
#ifndef SCENARIOS_PARAMS_H
#define SCENARIOS_PARAMS_H

#include "scenarios/scenario.h"

struct arch {
	int vocab;
	int positions;		/* learned position embeddings; 0: none */
	bool tied;		/* output embedding is the input one */
	bool lookup_inactive;
	int heads, kv_heads, head_dim;
	int attention_blocks;	/* layers, and decoder cross-attention */
	bool qkv_bias, out_bias;
	bool qk_norm;		/* over one head's elements */
	bool sinks;		/* one learned logit per head */
	/* latent attention when kv_rank > 0 */
	int q_rank, kv_rank, qk_nope, qk_rope, v_head;
	/* layers with a state-space block instead of attention */
	int ssm_layers, ssm_expand, ssm_states, ssm_conv, ssm_rank;
	bool dense_gated;	/* the non-MoE layers' network has 3 products */
	bool expert_bias, router_bias;
	bool shared_gate;	/* one more output beside the shared expert */
};

/* Weights and biases of one network of inner size `ffn`. */
double params_ffn(int hidden, int ffn, bool gated, bool bias);

/* Of one attention block. */
double params_attention(const struct arch *a, int hidden);

/* Fills params_total, params_active and params_other of `m`, whose shape
 * fields are set. */
void params_count(const struct arch *a, struct model *m);

/*
 * The same when only struct model is known: fills those of the three counts
 * that are still 0, without embeddings and norms, attention as 4*h*h.
 */
void params_estimate(struct model *m);

#endif
