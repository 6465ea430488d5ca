/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory per GPU; the equations: doc/model.md, section "Memory". */
#include "sim/cost.h"
#include "sim/cost_layer.h"

#include <math.h>

/* Mixed-precision Adam: fp32 weights and two moments (Rajbhandari et al.,
 * ZeRO, 2020, section 3.1). */
#define OPTIMIZER_BYTES 12.0

/*
 * Activations that the attention part of a layer keeps, in vectors of
 * `hidden` per token: two norms' inputs, the attention's input, Q, K, V and
 * its output (Korthikanti et al., 2022, section 4, without the score matrix,
 * which FlashAttention recomputes, and without dropout).
 */
#define ATTENTION_VECTORS 7.0
#define SCORE_BYTES 4.0		/* gate scores are kept in fp32 */

struct sizes {
	const struct scenario *s;
	const struct plan *plan;
	const struct workload *w;
	double tokens, copies, slots;	/* of one rank */
	double rows;		/* computed by the busiest rank */
	double ffn;		/* of one expert shard */
	double element;		/* bytes */
};

static struct sizes sizes_make(const struct scenario *s, const struct plan *p,
			       const struct workload *w)
{
	const struct model *m = &s->model;
	struct sizes z = {
		.s = s, .plan = p, .w = w,
		.tokens = layout_tokens(&p->layout, m),
		.rows = layer_busiest_rows(w),
		.ffn = ceil((double)m->expert_ffn / p->layout.esp),
		.element = dtype_bytes(m->dtype),
	};

	z.copies = z.tokens * m->experts_per_token;
	z.slots = w->capacity > 0 ? (double)w->capacity * m->experts :
		z.copies;
	return z;
}

/* Elements of the routed experts, and of all else, on one GPU. */
static double expert_params(const struct sizes *z)
{
	const struct model *m = &z->s->model;

	return z->w->local_experts * layer_expert_params(m, z->ffn) *
		m->moe_layers / z->plan->layout.pp;
}

static double other_params(const struct sizes *z)
{
	const struct layout *l = &z->plan->layout;

	return z->s->model.params_other / ((double)l->tp * l->pp);
}

static double optimizer_bytes(const struct sizes *z)
{
	const struct layout *l = &z->plan->layout;
	double other = other_params(z), expert = expert_params(z);

	if (z->s->training.zero >= 1) {
		other /= (double)l->dp * l->ep * l->esp / l->tp;
		expert /= (double)l->dp *
			layout_expert_copies(l, &z->s->model);
	}
	return OPTIMIZER_BYTES * (other + expert);
}

/* What one MoE layer's FFN keeps: rows in, inner, results, gate scores. */
static double moe_activations(const struct sizes *z)
{
	const struct model *m = &z->s->model;
	double inner = (m->gated ? 3 : 2) * z->ffn;
	double shared = m->shared_experts ?
		(m->gated ? 3.0 : 2.0) * m->shared_ffn : 0;

	return z->element * (z->tokens * (m->hidden + shared) +
			     z->rows * (m->hidden + inner) +
			     z->copies * m->hidden) +
		SCORE_BYTES * z->tokens * m->experts;
}

static double dense_activations(const struct sizes *z)
{
	const struct model *m = &z->s->model;

	return z->element * z->tokens *
		(m->hidden + (m->gated ? 3.0 : 2.0) * m->dense_ffn);
}

/*
 * A stage holds layers / pp layers of each of the pp micro-batches that are
 * in flight at its start (1F1B), so that pp cancels. Recomputation keeps the
 * layers' inputs, and one layer at a time in full.
 */
static double activation_bytes(const struct sizes *z)
{
	const struct model *m = &z->s->model;
	double input = z->element * z->tokens * m->hidden;
	double attention = ATTENTION_VECTORS * input;
	double moe = moe_activations(z);
	int dense_layers = m->layers - m->moe_layers;

	if (z->s->training.recompute)
		return m->layers * input + attention + moe;
	return m->layers * attention + m->moe_layers * moe +
		dense_layers * dense_activations(z);
}

/*
 * One buffer to send from and one to receive into, shared by all layers; the
 * leader of a node holds those of its G ranks twice more. direct has its
 * tokens where the others reach them, and room for a sum of each from every
 * rank.
 */
static double buffer_bytes(const struct sizes *z)
{
	double send = z->slots * z->w->token_bytes;
	double bytes = send + z->rows * z->w->token_bytes;

	if (z->plan->alltoall == A2A_DIRECT && z->plan->layout.ep > 1)
		bytes += (1.0 + z->plan->layout.ep) * z->tokens *
			z->w->token_bytes - send;
	if (z->plan->alltoall == A2A_LEADER && z->plan->layout.ep > 1)
		bytes += 2 * z->s->cluster.gpus_per_node * send;
	return bytes;
}

void memory_estimate(const struct scenario *s, const struct plan *p,
		     const struct workload *w, struct memory_use *out)
{
	struct sizes z = sizes_make(s, p, w);

	*out = (struct memory_use){
		.parameters = z.element * (other_params(&z) +
					   expert_params(&z)),
		.optimizer = optimizer_bytes(&z),
		.activations = activation_bytes(&z),
		.buffers = buffer_bytes(&z),
	};
	out->gradients = out->parameters;
	out->total = out->parameters + out->gradients + out->optimizer +
		out->activations + out->buffers;
}
