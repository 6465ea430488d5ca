/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/params.h"

#define NORMS_PER_LAYER 2

double params_ffn(int hidden, int ffn, bool gated, bool bias)
{
	double up = gated ? 2 : 1;	/* gate and up, or up alone */
	double h = hidden, f = ffn;

	return (up + 1) * h * f + (bias ? up * f + h : 0);
}

static double latent_attention(const struct arch *a, double h)
{
	double heads = a->heads;
	double key = (double)a->qk_nope + a->qk_rope;
	double query, q = a->q_rank, c = a->kv_rank;

	/* the ranks themselves: a norm after each down projection */
	query = q > 0 ? h * q + q + q * heads * key : h * heads * key;
	return query + h * (c + a->qk_rope) + c +
	       c * heads * ((double)a->qk_nope + a->v_head) +
	       heads * a->v_head * h;
}

double params_attention(const struct arch *a, int hidden)
{
	double h = hidden;
	double q = (double)a->heads * a->head_dim;
	double kv = (double)a->kv_heads * a->head_dim;
	double small = (a->qkv_bias ? q + 2 * kv : 0) +
		       (a->out_bias ? h : 0) +
		       (a->qk_norm ? 2 * a->head_dim : 0) +
		       (a->sinks ? a->heads : 0);

	if (a->kv_rank > 0)
		return latent_attention(a, h);
	return 2 * h * q + 2 * h * kv + small;
}

static double state_space(const struct arch *a, double h)
{
	double d = a->ssm_expand * h;
	double s = a->ssm_states, rank = a->ssm_rank;

	return 3 * h * d + d * (a->ssm_conv + 1.0) + d * (rank + 2 * s) +
	       rank * d + d + d * s + d;
}

/* What every token passes in a MoE layer beside the routed experts. */
static double moe_layer_other(const struct arch *a, const struct model *m)
{
	double router = (double)m->hidden * m->experts;

	if (a->router_bias)
		router += m->experts;
	if (m->shared_ffn > 0)
		router += params_ffn(m->hidden, m->shared_ffn, m->gated,
				     a->expert_bias);
	return router + (a->shared_gate ? m->hidden : 0);
}

void params_count(const struct arch *a, struct model *m)
{
	double h = m->hidden;
	double embedding = a->vocab * h;
	double expert = params_ffn(m->hidden, m->expert_ffn, m->gated,
				   a->expert_bias);
	double dense = params_ffn(m->hidden, m->dense_ffn, a->dense_gated,
				  false);
	double other;

	other = embedding * (a->tied ? 1 : 2) + a->positions * h;
	other += a->attention_blocks * params_attention(a, m->hidden);
	other += a->ssm_layers * state_space(a, h);
	other += (m->layers - m->moe_layers) * dense;
	other += m->moe_layers * moe_layer_other(a, m);
	other += (NORMS_PER_LAYER * m->layers + 1.0) * h;
	m->params_other = other;
	m->params_total = other + (double)m->moe_layers * m->experts * expert;
	m->params_active = other - (a->lookup_inactive ? embedding : 0) +
			   (double)m->moe_layers * m->experts_per_token *
			   expert;
}

#define ATTENTION_PRODUCTS 4	/* of h x h */

void params_estimate(struct model *m)
{
	double h = m->hidden, layers = m->layers;
	double expert = params_ffn(m->hidden, m->expert_ffn, m->gated, false);
	double routed = (double)m->moe_layers * m->experts * expert;
	struct arch a = { .dense_gated = m->gated };

	if (m->params_other == 0 && m->params_total > routed)
		m->params_other = m->params_total - routed;
	if (m->params_other == 0) {
		m->params_other = layers * ATTENTION_PRODUCTS * h * h +
			m->moe_layers * moe_layer_other(&a, m) +
			(layers - m->moe_layers) *
			params_ffn(m->hidden, m->dense_ffn, m->gated, false);
	}
	if (m->params_total == 0)
		m->params_total = m->params_other + routed;
	if (m->params_active == 0)
		m->params_active = m->params_other +
			(double)m->moe_layers * m->experts_per_token * expert;
}
