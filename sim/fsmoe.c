/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/fsmoe.h"

#include "sim/chain.h"
#include "sim/stages.h"

#include <math.h>
#include <string.h>

#define ELEMENT_BYTES 4		/* the paper trains in fp32 */
#define BACKWARD 2		/* products of a backward pass per forward */
#define ATTENTION_PRODUCTS 6	/* Q K V, scores, values, output */
#define PIECE_BYTES 30e6	/* Lina's micro-operations */
#define PIECES_MAX 64
#define TABLE_POINTS 129
#define TABLE_PASSES 2	/* the table ends at so many passes' time */
#define ORDER_FIXED 0
#define ORDER_GRADIENT_LAST 3	/* of sim/chain.c */

/* What the systems choose from; the search takes the others after them. */
static const int degrees[] = { 1, 2, 4, 8, 3, 5, 6, 7, 10, 12, 16 };
#define SYSTEM_DEGREES 4
#define ALL_DEGREES ((int)(sizeof(degrees) / sizeof(degrees[0])))

const struct fsmoe_policy_row fsmoe_policies[FSMOE_POLICY_N] = {
	[FSMOE_DEEPSPEED] = {
		"deepspeed", "DeepSpeed-MoE: sequential, tensor-parallel "
		"ranks exchange copies, gradients at the end",
		true, true, true, true, false, GRADIENT_END },
	[FSMOE_TUTEL] = {
		"tutel", "Tutel with PipeMoE's degree, one for both passes",
		true, true, false, false, false, GRADIENT_END },
	[FSMOE_TUTEL_IMPROVED] = {
		"tutel-improved", "and gradients beside the attention",
		true, true, false, false, false, GRADIENT_WINDOW },
	[FSMOE_LINA] = {
		"pipemoe-lina", "PipeMoE and gradients in pieces of 30 MB "
		"wherever the network is idle",
		true, true, false, false, false, GRADIENT_PIECES },
	[FSMOE_NO_IIO] = {
		"fsmoe-no-iio", "FSMoE with node and network on one lane",
		true, false, false, false, false, GRADIENT_PAPER },
	[FSMOE_FSMOE] = {
		"fsmoe", "FSMoE: its fixed order, degrees per pass, "
		"gradients in two steps",
		false, false, false, false, false, GRADIENT_PAPER },
	[FSMOE_SEARCHED] = {
		"searched", "best order, degrees per pass, gradients by "
		"dynamic programming",
		false, false, false, false, true, GRADIENT_SEARCHED },
};

int fsmoe_policy_find(const char *name)
{
	for (int i = 0; i < FSMOE_POLICY_N; i++) {
		if (!strcmp(fsmoe_policies[i].name, name))
			return i;
	}
	return -1;
}

/* ---- sizes and costs ---- */

static double tokens(const struct fsmoe_layer *l)
{
	return l->batch * l->sequence;
}

/* Elements of all copies of a node's tokens. */
static double routed(const struct fsmoe_layer *l)
{
	return l->copies * tokens(l) * l->hidden;
}

/* A shard of the expert: MACs of all that the node's expert receives. */
static double expert_macs(const struct fsmoe_testbed *t,
			  const struct fsmoe_layer *l)
{
	return l->products * routed(l) * l->ffn / t->gpus;
}

static double gemms_s(const struct fsmoe_testbed *t, int products,
		      double macs)
{
	return curve_eval(&t->gemm, macs) +
		(products - 1) * curve_eval(&t->gemm, 0);
}

/* Products, and scores that pass through memory. */
static double attention_s(const struct fsmoe_testbed *t,
			  const struct fsmoe_layer *l)
{
	double scores = l->batch * l->sequence * l->sequence;
	double macs = l->attention * tokens(l) + 2 * scores * l->hidden;

	return gemms_s(t, ATTENTION_PRODUCTS, macs / t->gpus) +
		t->score_passes * ELEMENT_BYTES * scores * l->heads /
		t->gpus / t->memory_Bps;
}

/* Reduce-scatter before the gate and all-gather after the layer. */
static double tensor_s(const struct fsmoe_testbed *t,
		       const struct fsmoe_layer *l)
{
	double n = tokens(l) * l->hidden;

	return curve_eval(&t->ag, n) + curve_eval(&t->rs, n);
}

void fsmoe_parts(const struct fsmoe_testbed *t, const struct fsmoe_layer *l,
		 bool backward, struct fsmoe_parts *out)
{
	double n = tokens(l) * l->hidden, twice = backward ? BACKWARD : 1;

	*out = (struct fsmoe_parts){
		.a2a = 2 * curve_eval(&t->a2a, routed(l)),
		.ag = curve_eval(&t->ag, routed(l)) + curve_eval(&t->ag, n),
		.rs = curve_eval(&t->rs, routed(l)) + curve_eval(&t->rs, n),
		.experts = twice * gemms_s(t, l->products,
					   expert_macs(t, l)),
		.attention = twice * attention_s(t, l),
		.ar = backward ? curve_eval(&t->ar, l->attention) : 0,
	};
}

/* ---- the MoE part of one pass ---- */

struct pass {
	const struct fsmoe_testbed *t;
	const struct fsmoe_layer *l;
	const struct fsmoe_policy_row *p;
	bool backward;
	int degree;		/* 0: the best for each reduction */
	bool has_table;
	double step_s, table[TABLE_POINTS];
};

static int n_degrees(const struct pass *x)
{
	return x->p->orders ? ALL_DEGREES : SYSTEM_DEGREES;
}

static struct chain pass_chain(const struct pass *x, int r)
{
	const struct fsmoe_testbed *t = x->t;
	double n = routed(x->l) / r, twice = x->backward ? BACKWARD : 1;
	double sent = x->p->duplicates ? t->duplicates : 1;

	return (struct chain){
		.r = r,
		.a = curve_eval(&t->a2a, n * sent),
		.g = curve_eval(&t->ag, n),
		.s = curve_eval(&t->rs, n),
		.e = twice * gemms_s(t, x->l->products,
				     expert_macs(t, x->l) / r),
		.interference = t->interference,
		.one_lane = x->p->one_lane,
	};
}

/* Not to overlap is an order too, and pays where both lanes share much. */
static double best_order(const struct chain *c)
{
	struct chain one = *c;
	double best = chain_best(c, NULL);

	one.one_lane = true;
	if (c->interference > 0 && chain_bound(&one) < best)
		best = fmin(best, chain_best(&one, NULL));
	return best;
}

static double degree_s(const struct pass *x, int r, double gradient_s)
{
	struct chain c = pass_chain(x, r);

	c.gradient = gradient_s;
	if (x->p->orders)
		return best_order(&c);
	if (x->p->gradient == GRADIENT_PIECES && gradient_s > 0) {
		double piece = curve_eval(&x->t->ar,
					  PIECE_BYTES / ELEMENT_BYTES);

		c.pieces = (int)fmin(ceil(gradient_s / piece), PIECES_MAX);
		return chain_order(&c, ORDER_GRADIENT_LAST);
	}
	return chain_order(&c, ORDER_FIXED);
}

static double degree_bound(const struct pass *x, int r, double gradient_s)
{
	struct chain c = pass_chain(x, r);

	c.gradient = gradient_s;
	return chain_bound(&c);
}

/* Exact. */
static double evaluate(const struct pass *x, double gradient_s)
{
	double best = INFINITY;

	if (x->degree)
		return degree_s(x, x->degree, gradient_s);
	for (int i = 0; i < n_degrees(x); i++) {
		if (degree_bound(x, degrees[i], gradient_s) < best)
			best = fmin(best, degree_s(x, degrees[i],
						   gradient_s));
	}
	return best;
}

/*
 * A gradient partition asks for many reductions of the same layer: it gets
 * TABLE_POINTS exact values, straight lines between them, and beyond, where
 * the reduction is longer than the pass, one second more for each.
 */
static void table_make(struct pass *x)
{
	x->step_s = TABLE_PASSES * evaluate(x, 0) / (TABLE_POINTS - 1);
	for (int i = 0; i < TABLE_POINTS; i++)
		x->table[i] = evaluate(x, i * x->step_s);
	x->has_table = true;
}

static double pass_s(const void *moe, double gradient_s)
{
	const struct pass *x = moe;
	double at;
	int i;

	if (!x->has_table)
		return evaluate(x, gradient_s);
	at = gradient_s / x->step_s;
	if (at >= TABLE_POINTS - 1)
		return x->table[TABLE_POINTS - 1] +
			(at - (TABLE_POINTS - 1)) * x->step_s;
	i = (int)at;
	return x->table[i] + (at - i) * (x->table[i + 1] - x->table[i]);
}

/* The degree that a pass without gradients takes. */
static int best_degree(const struct pass *x)
{
	int best = 1;
	double s = INFINITY;

	for (int i = 0; i < n_degrees(x) && !x->p->sequential; i++) {
		double d = degree_s(x, degrees[i], 0);

		if (d < s) {
			s = d;
			best = degrees[i];
		}
	}
	return best;
}

static int common_degree(const struct pass *f, const struct pass *b)
{
	int best = 1;
	double s = INFINITY;

	for (int i = 0; i < n_degrees(f) && !f->p->sequential; i++) {
		double d = degree_s(f, degrees[i], 0) +
			degree_s(b, degrees[i], 0);

		if (d < s) {
			s = d;
			best = degrees[i];
		}
	}
	return best;
}

/* How long a reduction costs nothing, by bisection on the forecast. */
#define HIDDEN_ROUNDS 24
#define HIDDEN_SLACK 1e-9

static double hidden_s(const void *moe)
{
	double free_s = pass_s(moe, 0) * (1 + HIDDEN_SLACK);
	double low = 0, high = free_s;

	for (int i = 0; i < HIDDEN_ROUNDS; i++) {
		double mid = (low + high) / 2;

		if (pass_s(moe, mid) <= free_s)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* ---- gradients ---- */

/* Pieces have their own start-up each: as a rate. */
static void reduction(const struct pass *x, double *alpha_s, double *beta_s)
{
	double piece = PIECE_BYTES / ELEMENT_BYTES;

	*alpha_s = curve_eval(&x->t->ar, 0);
	*beta_s = curve_eval(&x->t->ar, 1) - *alpha_s;
	if (x->p->gradient == GRADIENT_PIECES) {
		*beta_s += *alpha_s / piece;
		*alpha_s = 0;
	}
}

/*
 * The dense part of a generalised layer. A system with a lane for the node
 * reduces beside the tensor group's collectives too; both then slow down, and
 * what that saves is 1 - interference of their time.
 */
static struct gradient_layer moe_layer(const struct pass *x)
{
	double window = BACKWARD * attention_s(x->t, x->l);

	if (!x->p->one_lane)
		window += fmax(0, 1 - x->t->interference) *
			tensor_s(x->t, x->l);
	return (struct gradient_layer){ .bytes = x->l->attention,
					.window_s = window, .moe = x };
}

static void run_gradients(const struct gradient_problem *g,
			  const struct pass *x, struct gradient_plan *out)
{
	switch (x->p->gradient) {
	case GRADIENT_END:
		gradient_at_end(g, out);
		break;
	case GRADIENT_WINDOW:
		gradient_in_windows(g, out);
		break;
	case GRADIENT_PIECES:
	case GRADIENT_PAPER:
		gradient_two_step(g, 1, out);
		break;
	default:
		gradient_best(g, out);
		break;
	}
}

/* Seconds of the MoE parts and gradients of `layers` backward passes. */
static double gradients_s(struct pass *x, int layers)
{
	struct gradient_layer layer[GRADIENT_LAYERS_MAX];
	struct gradient_problem g = { .n = layers, .layer = layer,
				      .pass_s = pass_s,
				      .hidden_s = hidden_s };
	struct gradient_plan plan;

	table_make(x);
	for (int i = 0; i < layers; i++)
		layer[i] = moe_layer(x);
	reduction(x, &g.alpha_s, &g.beta_s);
	run_gradients(&g, x, &plan);
	return plan.total_s;
}

/* The same for one of many layers, each with the gradients of one. */
static double steady_s(const struct pass *x)
{
	struct gradient_layer layer = moe_layer(x);
	struct gradient_problem g = { .n = 1, .layer = &layer,
				      .pass_s = pass_s };
	double all, window;

	reduction(x, &g.alpha_s, &g.beta_s);
	all = g.alpha_s + g.beta_s * layer.bytes;
	window = x->p->gradient == GRADIENT_END ? 0 : layer.window_s;
	if (x->p->gradient <= GRADIENT_WINDOW)
		return pass_s(x, 0) + fmax(0, all - window);
	return gradient_layer_time(&g, 0, layer.bytes);
}

/* ---- layers and models ---- */

static void set_degrees(struct pass *f, struct pass *b)
{
	if (f->p->one_degree) {
		f->degree = b->degree = common_degree(f, b);
		return;
	}
	f->degree = best_degree(f);
	b->degree = 0;
}

void fsmoe_layer_time(const struct fsmoe_testbed *t,
		      const struct fsmoe_layer *l, enum fsmoe_policy policy,
		      struct fsmoe_times *out)
{
	struct pass f = { .t = t, .l = l, .p = &fsmoe_policies[policy] };
	struct pass b = { .t = t, .l = l, .p = &fsmoe_policies[policy],
			  .backward = true };

	set_degrees(&f, &b);
	out->degree_forward = f.degree;
	out->degree_backward = b.degree ? b.degree : best_degree(&b);
	out->forward_s = pass_s(&f, 0) + attention_s(t, l) + tensor_s(t, l);
	out->backward_s = steady_s(&b) + BACKWARD * attention_s(t, l) +
		tensor_s(t, l);
}

double fsmoe_model_time(const struct fsmoe_testbed *t,
			const struct fsmoe_layer *l, int layers, int stages,
			int batches, enum fsmoe_policy policy)
{
	struct pass f = { .t = t, .l = l, .p = &fsmoe_policies[policy] };
	struct pass b = { .t = t, .l = l, .p = &fsmoe_policies[policy],
			  .backward = true };
	int own = (layers + stages - 1) / stages;
	double dense = attention_s(t, l) + tensor_s(t, l), last, plain;
	struct stages pipe = { .kind = STAGES_GPIPE, .stages = stages,
			       .batches = batches };

	set_degrees(&f, &b);
	plain = own * (pass_s(&b, 0) + dense + attention_s(t, l));
	last = gradients_s(&b, own) + own * (dense + attention_s(t, l));
	pipe.forward_s = own * (pass_s(&f, 0) + dense);
	pipe.backward_s = plain;
	/* gradients are complete, and reduced, in the last micro-batch */
	return stages_time(&pipe) + last - plain;
}
