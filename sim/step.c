/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/step.h"

#include "base/units.h"
#include "sim/dense.h"
#include "sim/gradient.h"

#include <math.h>

/* The optimizer reads and writes its state, and passes over gradients and
 * weights. */
#define STATE_PASSES 2.0
#define WEIGHT_PASSES 2.0

struct step {
	const struct step_spec *spec;
	const struct model *m;
	const struct layout *l;
	const struct gpu *g;
	struct coll_spec coll;
	double element;		/* bytes */
	double tokens;		/* of a tensor group, one micro-batch */
	double layers, moe_layers;	/* of one stage */
	struct dense dense;
};

/* A pass of a layer's dense parts, on one GPU. */
struct pass {
	double dense, tensor;
};

static double max_0(double v)
{
	return v > 0 ? v : 0;
}

static void step_init(struct step *x, const struct step_spec *spec)
{
	const struct scenario *s = spec->s;
	const struct model *m = &s->model;
	const struct layout *l = &spec->plan->layout;

	*x = (struct step){
		.spec = spec, .m = m, .l = l, .g = &s->cluster.gpu,
		.coll = { .net = spec->net, .comm = s->comm,
			  .tolerance = s->search.flow_tolerance },
		.element = dtype_bytes(m->dtype),
		.tokens = (double)layout_tokens(l, m) * l->tp,
		.layers = (double)m->layers / l->pp,
		.moe_layers = (double)m->moe_layers / l->pp,
	};
	dense_init(&x->dense, x->g, m, l);
}

static double dense_s(const struct step *x, bool backward)
{
	struct work w;

	dense_work(&x->dense, backward, 1, &w);
	return w.seconds;
}

/* ---- gradients ---- */

struct moe_pass {
	double backward_s, inter_s;	/* and what INTER does in it */
};

/* A reduction fills the network's idle time in the MoE part. */
static double moe_with(const void *moe, double gradient_s)
{
	const struct moe_pass *p = moe;

	return fmax(p->backward_s, p->inter_s + gradient_s);
}

static double moe_hides(const void *moe)
{
	const struct moe_pass *p = moe;

	return p->backward_s - p->inter_s;
}

static struct moe_pass moe_backward(const struct step *x)
{
	const struct program *p = x->spec->program;
	const struct exec_result *r = x->spec->exec;
	struct moe_pass out = {
		.backward_s = s_from_ps(r->time_ps - r->forward_ps),
	};

	for (int i = p->n_forward; i < p->n_ops; i++) {
		if (p->op[i].lane == LANE_INTER)
			out.inter_s += s_from_ps(r->op[i].finish_ps -
						 r->op[i].start_ps);
	}
	/* ops on a shared link may overlap by rounding */
	out.inter_s = fmin(out.inter_s, out.backward_s);
	return out;
}

/* alpha + beta n of the dense gradients' all-reduce, from two sizes. */
static enum status reduction(const struct step *x, int group, int stride,
			     double bytes, struct gradient_problem *g)
{
	struct coll c;
	enum status st = coll_ring(&x->coll, COLL_ALLREDUCE, group, stride,
				   bytes, &c);

	if (st)
		return st;
	g->beta_s = (coll_time(&c, 1) - coll_time(&c, 0.5)) / (bytes / 2);
	g->alpha_s = max_0(coll_time(&c, 1) - g->beta_s * bytes);
	coll_release(&c);
	return ST_OK;
}

/* Every way of partitioning; what each leaves beside the passes alone. */
static void compare(const struct gradient_problem *g, double passes_s,
		    struct step_time *t)
{
	struct gradient_plan plan;

	gradient_at_end(g, &plan);
	t->at_end_s = max_0(plan.total_s - passes_s);
	gradient_in_windows(g, &plan);
	t->in_windows_s = max_0(plan.total_s - passes_s);
	gradient_two_step(g, 1, &plan);
	t->two_step_s = max_0(plan.total_s - passes_s);
	gradient_best(g, &plan);
	t->searched_s = max_0(plan.total_s - passes_s);
	t->gradient_s = t->searched_s;
}

/* What of the dense gradients' all-reduce sticks out of a backward pass. */
static enum status gradients(const struct step *x, double window_s,
			     struct step_time *t)
{
	const struct layout *l = x->l;
	int ranks = l->dp * l->ep * l->esp, n = (int)ceil(x->layers);
	struct gradient_layer layer[GRADIENT_LAYERS_MAX];
	struct moe_pass moe = moe_backward(x);
	struct gradient_problem g = { .layer = layer, .pass_s = moe_with,
				      .hidden_s = moe_hides };
	double bytes = dense_gradient_bytes(&x->dense), all = bytes * n;
	enum status st;

	/* very deep models: several layers as one */
	g.n = n < GRADIENT_LAYERS_MAX ? n : GRADIENT_LAYERS_MAX;
	if (ranks / l->tp < 2 || !(all > 0))
		return ST_OK;
	st = reduction(x, ranks / l->tp, l->tp, bytes, &g);
	if (st)
		return st;
	for (int i = 0; i < g.n; i++)
		layer[i] = (struct gradient_layer){
			.bytes = all / g.n, .window_s = window_s,
			.moe = &moe };
	compare(&g, g.n * moe.backward_s, t);
	return ST_OK;
}

/* ---- the step ---- */

/* A tensor's way to the next stage. */
static double hop_s(const struct step *x)
{
	const struct cluster *c = &x->spec->s->cluster;
	const struct comm_tier *t = &x->g->inter;
	double bytes = x->tokens / x->l->tp * x->m->hidden * x->element;

	if (x->l->pp == 1)
		return 0;
	return t->launch_s + t->message_s + c->nic.latency_s +
		bytes / (c->nic.bandwidth_Bps * t->efficiency);
}

static double optimizer_s(const struct step *x)
{
	return cost_stream(x->g, STATE_PASSES * x->spec->optimizer_bytes +
			   WEIGHT_PASSES * x->spec->parameter_bytes);
}

static void add_up(const struct step *x, const struct pass *f,
		   const struct pass *b, struct step_time *t)
{
	const struct exec_result *r = x->spec->exec;
	double forward = s_from_ps(r->forward_ps);
	double both = s_from_ps(r->time_ps);
	const struct training *tr = &x->spec->s->training;
	struct stages p = {
		.kind = tr->gpipe ? STAGES_GPIPE : STAGES_1F1B,
		.stages = x->l->pp, .batches = tr->micro_batches,
		.forward_s = x->layers * (f->dense + f->tensor) +
			x->moe_layers * forward,
		.backward_s = x->layers * (b->dense + b->tensor) +
			x->moe_layers * (both - forward),
		.hop_s = hop_s(x),
	};
	double m = p.batches;

	/* recomputation: another forward pass but for what is kept */
	if (tr->recompute)
		p.backward_s += p.forward_s;
	t->moe_s = m * x->moe_layers * (both + tr->recompute * forward);
	t->dense_s = m * x->layers * (b->dense +
				      (1 + tr->recompute) * f->dense);
	t->tensor_s = m * x->layers * (b->tensor +
				       (1 + tr->recompute) * f->tensor);
	t->optimizer_s = optimizer_s(x);
	t->batches = p.batches;
	t->stages = p.stages;
	t->time_s = stages_time(&p);
	t->bubble_s = max_0(t->time_s - m * (p.forward_s + p.backward_s));
	t->time_s += t->gradient_s + t->optimizer_s;
	t->tokens = m * layout_tokens(x->l, x->m) *
		(cluster_gpus(&x->spec->s->cluster) / x->l->pp);
	t->tokens_per_s = t->tokens / t->time_s;
}

enum status step_run(const struct step_spec *spec, struct step_time *out)
{
	struct step_time t = { 0 };
	struct pass f = { 0 }, b = { 0 };
	struct step x;
	enum status st;

	step_init(&x, spec);
	f.dense = dense_s(&x, false);
	b.dense = dense_s(&x, true);
	st = dense_tensor(&x.dense, &x.coll, 1, &f.tensor);
	b.tensor = f.tensor;
	if (!st)
		st = gradients(&x, b.dense + b.tensor, &t);
	if (st)
		return st;
	add_up(&x, &f, &b, &t);
	*out = t;
	return ST_OK;
}
