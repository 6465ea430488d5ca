/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/step.h"

#include "base/units.h"
#include "sim/block.h"
#include "sim/dense.h"
#include "sim/gradient.h"
#include "sim/gradient_slots.h"

#include <math.h>
#include <string.h>

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

/*
 * alpha + beta n of the dense gradients' all-reduce, from two sizes: of the
 * ring or the tree, whichever is faster, as in a layer (sim/cost.c).
 */
static enum status reduction(const struct step *x, int group, int stride,
			     double bytes, struct gradient_problem *g)
{
	static const enum coll_op op[] = { COLL_ALLREDUCE,
					   COLL_ALLREDUCE_TREE };
	double best_s = INFINITY;

	for (int i = 0; i < 2; i++) {
		struct coll c;
		enum status st = coll_ring(&x->coll, op[i], group, stride,
					   bytes, &c);
		double s;

		if (st)
			return st;
		s = coll_time(&c, 1);
		if (s < best_s) {
			best_s = s;
			g->beta_s = (s - coll_time(&c, 0.5)) / (bytes / 2);
			g->alpha_s = max_0(s - g->beta_s * bytes);
		}
		coll_release(&c);
	}
	return ST_OK;
}

/* A partition's total, with passes as that function has them. */
static double total_with(const struct gradient_problem *g,
			 double (*pass_s)(const void *moe, double gradient_s),
			 const struct gradient_plan *plan)
{
	struct gradient_problem p = *g;

	p.pass_s = pass_s;
	return gradient_total(&p, plan->bytes);
}

/* A partition of ours: kept if its passes make it the best. */
static void offer(const struct gradient_problem *g,
		  const struct gradient_plan *plan, double passes_s,
		  struct step_time *t)
{
	double s = max_0(total_with(g, gradient_slots_exact, plan) - passes_s);

	if (s >= t->searched_s)
		return;
	t->searched_s = s;
	t->n_partition = g->n;
	memcpy(t->partition, plan->bytes, (size_t)g->n * sizeof(*t->partition));
}

/*
 * Every way of partitioning; what each leaves beside the passes alone. The
 * tables are straight between their points: what counts are the passes.
 */
static void compare(const struct gradient_problem *g, double passes_s,
		    struct step_time *t)
{
	struct gradient_problem fsmoe = *g;
	struct gradient_plan plan;

	fsmoe.pass_s = gradient_slots_fsmoe;
	t->searched_s = INFINITY;
	gradient_at_end(g, &plan);
	t->at_end_s = max_0(plan.total_s - passes_s);
	gradient_in_windows(g, &plan);
	t->in_windows_s = max_0(plan.total_s - passes_s);
	offer(g, &plan, passes_s, t);
	gradient_two_step(&fsmoe, 1, &plan);
	t->two_step_s = max_0(total_with(g, gradient_slots_fsmoe_exact,
					 &plan) - passes_s);
	offer(g, &plan, passes_s, t);
	gradient_best(g, &plan);
	offer(g, &plan, passes_s, t);
}

static enum status with_slots(const struct step *x, double window_s,
			      double bytes, struct gradient_problem *g,
			      struct step_time *t)
{
	const struct gradient_slots_spec spec = {
		.cluster = &x->spec->s->cluster, .model = x->m,
		.program = x->spec->program, .exec = x->spec->exec,
		.alpha_s = g->alpha_s,
	};
	struct gradient_layer layer[GRADIENT_LAYERS_MAX];
	const struct exec_result *r = spec.exec;
	struct gradient_slots *slots;
	enum status st = gradient_slots_new(&spec, &slots);

	if (st)
		return st;
	for (int i = 0; i < g->n; i++)
		layer[i] = (struct gradient_layer){
			.bytes = bytes / g->n, .window_s = window_s,
			.moe = slots };
	g->layer = layer;
	compare(g, g->n * s_from_ps(r->time_ps - r->forward_ps), t);
	gradient_slots_free(slots);
	return ST_OK;
}

/* What of the dense gradients' all-reduce sticks out of a backward pass. */
static enum status gradients(const struct step *x, double window_s,
			     struct step_time *t)
{
	const struct layout *l = x->l;
	int ranks = l->dp * l->ep * l->esp, n = (int)ceil(x->layers);
	struct gradient_problem g = { .pass_s = gradient_slots_pass,
				      .hidden_s = gradient_slots_hides };
	double bytes = dense_gradient_bytes(&x->dense), all = bytes * n;
	bool is_cut = x->spec->plan->technique_mask & 1u << TECH_GRADIENT;
	enum status st;

	/* very deep models: several layers as one */
	g.n = n < GRADIENT_LAYERS_MAX ? n : GRADIENT_LAYERS_MAX;
	if (ranks / l->tp < 2 || !(all > 0))
		return ST_OK;
	st = reduction(x, ranks / l->tp, l->tp, bytes, &g);
	if (!st)
		st = with_slots(x, window_s, all, &g, t);
	t->gradient_s = is_cut ? t->searched_s : t->in_windows_s;
	if (!is_cut)
		t->n_partition = 0;
	return st;
}

/*
 * Blocks sum the gradients of a dense part inside the next one's backward
 * pass, which takes so much longer in the last micro-batch; layers without
 * experts beside their own dense part; the first layer's come at the end.
 */
static enum status block_gradients(const struct step *x, double window_s,
				   double longer_s, struct step_time *t)
{
	const struct layout *l = x->l;
	double bytes = dense_gradient_bytes(&x->dense), sum_s;
	int group = l->dp * l->ep * l->esp / l->tp;
	struct gradient_problem g = { .n = 1 };
	enum status st;

	t->gradient_s = x->moe_layers * max_0(longer_s);
	if (group < 2 || !(bytes > 0))
		return ST_OK;
	st = reduction(x, group, l->tp, bytes, &g);
	if (st)
		return st;
	sum_s = g.alpha_s + g.beta_s * bytes;
	t->gradient_s += sum_s + (x->layers - x->moe_layers) *
		max_0(sum_s - window_s);
	t->at_end_s = x->layers * sum_s;
	t->in_windows_s = t->two_step_s = t->searched_s = t->gradient_s;
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

/* Of one stage; without MoE layers. */
static struct stages stages_of(const struct step *x, const struct pass *f,
			       const struct pass *b)
{
	const struct training *tr = &x->spec->s->training;

	return (struct stages){
		.kind = tr->gpipe ? STAGES_GPIPE : STAGES_1F1B,
		.stages = x->l->pp, .batches = tr->micro_batches,
		.forward_s = x->layers * (f->dense + f->tensor),
		.backward_s = x->layers * (b->dense + b->tensor),
		.hop_s = hop_s(x),
	};
}

static void add_up(const struct step *x, const struct pass *f,
		   const struct pass *b, const double moe_s[2],
		   struct step_time *t)
{
	double forward = moe_s[0], both = moe_s[0] + moe_s[1];
	const struct training *tr = &x->spec->s->training;
	struct stages p = stages_of(x, f, b);
	double m = p.batches;

	p.forward_s += x->moe_layers * forward;
	p.backward_s += x->moe_layers * (both - forward);
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

/* A layer's passes; of a block, what it takes beside its dense part. */
static enum status layers(const struct step *x, const struct pass *f,
			  const struct pass *b, double moe_s[2],
			  struct step_time *t)
{
	const struct program *p = x->spec->program;
	const struct exec_result *r = x->spec->exec;
	double with_s[2];

	if (!p->plan.dense) {
		moe_s[0] = s_from_ps(r->forward_ps);
		moe_s[1] = s_from_ps(r->time_ps - r->forward_ps);
		return gradients(x, b->dense + b->tensor, t);
	}
	block_whole_s(x->m, p, r, true, with_s);
	block_whole_s(x->m, p, r, false, moe_s);
	with_s[1] -= moe_s[1];
	moe_s[0] -= f->dense + f->tensor;
	moe_s[1] -= b->dense + b->tensor;
	return block_gradients(x, b->dense + b->tensor, with_s[1], t);
}

double step_per_layer(const struct scenario *s, const struct layout *l,
		      double step_s)
{
	return step_s * l->tp * l->pp /
		((double)s->training.micro_batches * s->model.moe_layers);
}

enum status step_share(const struct scenario *s, const struct net *net,
		       const struct layout *l, struct step_share *out)
{
	const struct plan plan = { .layout = *l };
	const struct step_spec spec = { .s = s, .net = net, .plan = &plan };
	struct pass f = { 0 }, b = { 0 };
	struct stages p;
	struct step x;
	enum status st;

	step_init(&x, &spec);
	f.dense = dense_s(&x, false);
	b.dense = dense_s(&x, true);
	st = dense_tensor(&x.dense, &x.coll, 1, &f.tensor);
	if (st)
		return st;
	b.tensor = f.tensor;
	p = stages_of(&x, &f, &b);
	if (s->training.recompute)
		p.backward_s += p.forward_s;
	out->again = s->training.recompute;
	out->offset_s = step_per_layer(s, l, stages_time(&p));
	/* stages_time() is linear in what a stage takes */
	p.forward_s = x.moe_layers;
	p.backward_s = p.hop_s = 0;
	out->scale = step_per_layer(s, l, stages_time(&p));
	return ST_OK;
}

enum status step_run(const struct step_spec *spec, struct step_time *out)
{
	struct step_time t = { 0 };
	struct pass f = { 0 }, b = { 0 };
	double moe_s[2];
	struct step x;
	enum status st;

	step_init(&x, spec);
	f.dense = dense_s(&x, false);
	b.dense = dense_s(&x, true);
	st = dense_tensor(&x.dense, &x.coll, 1, &f.tensor);
	b.tensor = f.tensor;
	if (!st)
		st = layers(&x, &f, &b, moe_s, &t);
	if (st)
		return st;
	add_up(&x, &f, &b, moe_s, &t);
	*out = t;
	return ST_OK;
}
