/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost_layer.h"

#include "scenarios/measured.h"

#include <math.h>

/* Bytes of what is not of the model's type. */
#define FP32_BYTES 4
#define INDEX_BYTES 4

void layer_init(struct layer *l, const struct gpu *gpu, const struct model *m,
		const struct layout *layout, const struct workload *w)
{
	*l = (struct layer){
		.gpu = gpu,
		.model = m,
		.tokens = layout_tokens(layout, m),
		.ffn = ceil((double)m->expert_ffn / layout->esp),
		.local_experts = w->local_experts,
		.empty = w->padding_fraction,
	};
	l->copies = l->tokens * m->experts_per_token;
	l->slots = l->reads = l->copies;
	if (w->capacity > 0)
		l->slots = (double)w->capacity * m->experts;
	l->regroup = w->local_experts > 1 && layout->ep * layout->esp > 1;
	l->can_pad = layout->ep * layout->esp > 1;
	l->dropless = !(w->capacity > 0);
	if (l->dropless)
		l->spread = 1 - (double)m->experts_per_token / m->experts;
}

void layer_set_measured(struct layer *l, const struct measured *m,
			const struct layout *layout, enum a2a_alg alg)
{
	l->measured = m;
	l->pads = measured_has_products(m, l->model->dtype);
	if (l->pads)
		l->reads = l->tokens;
	/* the ESP group's exchange sorts them */
	if (l->pads && layout->esp > 1 && layout->ep == 1)
		l->regroup = false;
	l->group = layout->ep * layout->esp;
	if (l->pads && l->dropless && alg != A2A_DIRECT)
		l->plan = layout->esp > 1 ? MEASURED_PLAN_ESP :
			alg == A2A_DEDUP && layout->ep > 1 ?
			MEASURED_PLAN_DEDUP :
			MEASURED_PLAN_FLAT;
	l->adding_s = measured_adding_seconds(m, l->model->dtype);
}

void layer_set_direct(struct layer *l, const struct layout *layout,
		      const struct workload *w)
{
	l->direct = true;
	l->regroup = false;
	l->pairs = l->copies * layout->ep;
	l->sums_bytes = traffic_sums(&w->dispatch);
}

void layer_set_dedup(struct layer *l, const struct layout *layout,
		     const struct workload *w)
{
	const double *b = w->dispatch.node_bytes;
	int n = w->ranks, r, m;

	if (!l->pads || !b || !(w->token_bytes > 0) || layout->ep == 1 ||
	    layout->esp > 1)
		return;
	for (r = 0; r < n; r++) {
		for (m = 0; m < n; m++) {
			double rows = b[(size_t)r * (size_t)n + (size_t)m] /
				      w->token_bytes / n;

			l->leads += rows;
			l->leads_away += m == r ? 0 : rows;
		}
	}
}

double layer_busiest_rows(const struct workload *w)
{
	double rows, most = 0;
	int r, i;

	for (r = 0; r < w->ranks; r++) {
		rows = 0;
		for (i = 0; i < w->local_experts; i++)
			rows += w->rows[(size_t)r * w->local_experts + i];
		most = fmax(most, rows);
	}
	return most;
}

double layer_expert_params(const struct model *m, double ffn)
{
	return (m->gated ? 3 : 2) * ffn * m->hidden;
}

double layer_shared_params(const struct model *m)
{
	return m->shared_experts ? layer_expert_params(m, m->shared_ffn) : 0;
}

double layer_row_bytes(const struct layer *l)
{
	return (double)l->model->hidden * dtype_bytes(l->model->dtype);
}

static void add_product(struct work *w, const struct layer *l, double m,
			double n, double k)
{
	work_add_gemm(w, l->gpu, l->measured, l->model->dtype, m, n, k);
}

/* Seconds as measured; 0: not, then by the bytes that are moved. */
static void add_measured(struct work *w, const struct layer *l, double s, double bytes)
{
	if (!(s > 0)) {
		work_add_stream(w, l->gpu, bytes);
		return;
	}
	w->bytes += bytes;
	w->seconds += s;
}

/* A kernel as it was measured, else by the bytes that it moves. */
static void add_kernel(struct work *w, const struct layer *l, const char *op,
		       double bytes)
{
	double s = measured_kernel_seconds(l->measured, op, l->tokens,
					   l->model->experts,
					   l->model->experts_per_token);

	add_measured(w, l, s, bytes);
}

/*
 * Product T x E x hidden, then softmax (logits in, fp32 out), top-k (fp32
 * in, k weights and indices out), and a counting sort of the T*k indices
 * (read, write with their positions).
 */
static void gate_work(const struct layer *l, struct work *w)
{
	const struct model *m = l->model;
	double scores = l->tokens * m->experts;
	double routed = l->tokens * m->experts_per_token;

	add_product(w, l, l->tokens, m->experts, m->hidden);
	work_add_stream(w, l->gpu, scores *
			(dtype_bytes(m->dtype) + FP32_BYTES));
	add_kernel(w, l, "topk", scores * FP32_BYTES +
		   routed * (FP32_BYTES + INDEX_BYTES));
	add_kernel(w, l, "sort", routed * 3 * INDEX_BYTES);
}

/* The gradient of x: where products were measured, it is added to that of the
 * experts' rows, which is there. */
static void add_gate_data(const struct layer *l, struct work *w)
{
	struct gemm_group group = {
		.n_products = 1, .repeat = 1, .rows = &l->tokens,
		.row_scale = 1, .n = l->model->hidden, .k = l->model->experts,
		.adds = l->pads, .adding_s = l->adding_s,
	};

	work_add_gemms(w, l->gpu, l->measured, l->model->dtype, &group);
}

/* Softmax and top-k backward in one pass over the scores; two products. */
static void gate_bwd_work(const struct layer *l, struct work *w)
{
	const struct model *m = l->model;

	work_add_stream(w, l->gpu, l->tokens * m->experts *
			(FP32_BYTES + dtype_bytes(m->dtype)));
	add_gate_data(l, w);
	add_product(w, l, m->hidden, m->experts, l->tokens);
}

/*
 * Before a direct exchange the ranks wait for one another: with counts, from
 * which each finds the place of every copy of its group (expert and position
 * in; place and weight out), or, backward, until the gradients are there.
 */
static void add_sums(const struct layer *l, struct work *w)
{
	double bytes = l->sums_bytes + l->tokens * layer_row_bytes(l);
	double s = measured_sums_seconds(l->measured, bytes + l->copies *
					 (FP32_BYTES + INDEX_BYTES),
					 l->model->hidden,
					 l->model->experts_per_token);

	add_measured(w, l, s, bytes);
}

static void direct_work(const struct layer *l, enum op_kind kind,
			struct work *w)
{
	switch (kind) {
	case OP_PERMUTE:
		w->seconds += l->gpu->direct.launch_s;
		work_add_stream(w, l->gpu, l->pairs *
				(3 * INDEX_BYTES + FP32_BYTES));
		break;
	case OP_UNPERMUTE_BWD:
		w->seconds += l->gpu->direct.launch_s;
		break;
	default:	/* UNPERMUTE, PERMUTE_BWD: rows in, their sum out */
		if (l->pads)	/* they have to be there */
			w->seconds += l->gpu->direct.launch_s;
		add_sums(l, w);
		break;
	}
}

/* The nearest link first: there are curves of one tier or two. */
static const struct measured_curve *counts_curve(const struct layer *l)
{
	static const char *const tier[] = {
		"nvlink", "shm", "network", "socket",
	};
	const struct measured_curve *c = NULL;
	size_t i;

	for (i = 0; !c && i < sizeof(tier) / sizeof(tier[0]); i++)
		c = measured_find(l->measured, MEASURED_COUNTS, tier[i],
				  l->group);
	return c;
}

static void turn_work(const struct layer *l, int chunks, struct work *out)
{
	const struct model *m = l->model;
	const struct measured_curve *c;

	if (!l->plan)
		return;
	c = counts_curve(l);
	if (c)
		out->seconds += curve_eval(&c->curve, INDEX_BYTES *
					   (double)m->experts * chunks);
	out->seconds += measured_plan_seconds(l->measured, l->plan, l->copies,
					      m->experts, chunks);
}

/* Inputs, what went into the activation and came out, and results: each row
 * is read and written. */
static void regroup_work(const struct layer *l, double rows, struct work *out)
{
	const struct model *m = l->model;
	double row = 2.0 * m->hidden + (m->gated ? 3 : 2) * l->ffn;

	if (l->pads && l->can_pad)
		work_add_stream(out, l->gpu,
				2 * rows * row * dtype_bytes(m->dtype));
}

void layer_plan_work(const struct layer *l, enum op_kind kind, int chunks,
		     double rows, struct work *out)
{
	if (kind == OP_GATE)
		turn_work(l, chunks, out);
	else
		regroup_work(l, rows, out);
}

static bool is_permutation(enum op_kind k)
{
	return k == OP_PERMUTE || k == OP_UNPERMUTE || k == OP_PERMUTE_BWD ||
		k == OP_UNPERMUTE_BWD;
}

/* Dedup: one row of each token to where it leaves for another node, or from
 * where it came. */
static void lead_work(const struct layer *l, struct work *out)
{
	if (l->leads > 0)
		work_add_stream(out, l->gpu, 2 * l->leads_away * layer_row_bytes(l));
}

void layer_work(const struct layer *l, enum op_kind kind, struct work *out)
{
	double row = layer_row_bytes(l);

	*out = (struct work){ 0 };
	if (l->direct && is_permutation(kind)) {
		direct_work(l, kind, out);
		return;
	}
	switch (kind) {
	case OP_GATE:
		gate_work(l, out);
		break;
	case OP_GATE_BWD:
		gate_bwd_work(l, out);
		break;
	case OP_PERMUTE:	/* a gather: each slot is read and written */
		work_add_stream(out, l->gpu, (l->reads + l->slots) * row);
		lead_work(l, out);
		break;
	case OP_UNPERMUTE:	/* k copies in, their weighted sum out */
	case OP_PERMUTE_BWD:	/* k gradients in, their sum out */
		work_add_stream(out, l->gpu, ((l->leads > 0 ? l->leads :
				l->copies) + l->tokens) * row);
		lead_work(l, out);
		break;
	case OP_UNPERMUTE_BWD:
		/* output gradients and results in (for the gate's weights),
		 * scaled gradients out */
		work_add_stream(out, l->gpu, (l->pads ?
				l->reads + l->slots :
				l->tokens + l->copies + l->slots) * row);
		lead_work(l, out);
		break;
	case OP_SHARED:
	case OP_SHARED_BWD:
		layer_shared_work(l, kind, out);
		break;
	default:
		break;
	}
}

void layer_chunk_work(const struct layer *l, const struct tech_effect *e,
		      enum op_kind kind, int n, struct work *out)
{
	int backward = kind == OP_GATE_BWD;
	struct layer chunk = *l;

	chunk.tokens /= n;
	chunk.copies /= n;
	chunk.reads /= n;
	chunk.slots /= n;
	chunk.pairs /= n;
	chunk.sums_bytes /= n;
	chunk.leads /= n;
	chunk.leads_away /= n;
	layer_work(&chunk, kind, out);
	if ((kind == OP_GATE || backward) && e->gate_s[backward] >= 0)
		out->seconds = e->gate_fixed_s[backward] +
			(e->gate_s[backward] - e->gate_fixed_s[backward]) / n;
}

/* A technique's own for the layer's op of both passes; negative: none. */
static void instead(const double *s, enum op_kind forward,
		    enum op_kind backward, struct work *fixed)
{
	if (s[0] >= 0)
		fixed[forward].seconds = s[0];
	if (s[1] >= 0)
		fixed[backward].seconds = s[1];
}

void layer_own_work(const struct tech_effect *e, struct work *fixed)
{
	fixed[OP_COMPRESS].seconds = e->compress_s[0];
	fixed[OP_COMPRESS_BWD].seconds = e->compress_s[1];
	fixed[OP_RESTORE].seconds = e->restore_s[0];
	fixed[OP_RESTORE_BWD].seconds = e->restore_s[1];
	fixed[OP_MIGRATE].seconds = e->host_s;
	instead(e->gate_s, OP_GATE, OP_GATE_BWD, fixed);
	instead(e->permute_s, OP_PERMUTE, OP_PERMUTE_BWD, fixed);
	instead(e->unpermute_s, OP_UNPERMUTE, OP_UNPERMUTE_BWD, fixed);
}
