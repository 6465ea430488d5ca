/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/program_int.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

bool group_in_domain(const struct cluster *c, int group, int stride)
{
	int domain = c->gpus_per_node, block = group * stride;

	if (c->fabric.kind == FABRIC_RACK && c->fabric.gpus_per_rack > domain)
		domain = c->fabric.gpus_per_rack;
	return group == 1 || cluster_gpus(c) <= domain || domain % block == 0;
}

int layout_expert_copies(const struct layout *l, const struct model *m)
{
	return l->ep > m->experts ? l->ep / m->experts : 1;
}

const char *direct_why_not(const struct cluster *c, int group, int stride)
{
	if (c->intra.kind != INTRA_NVSWITCH &&
	    c->intra.kind != INTRA_NVLINK_MESH)
		return "the GPUs of a node do not all reach each other by "
		       "NVLink ('cluster.intra.kind')";
	if (!group_in_domain(c, group, stride))
		return "the groups span NVLink domains";
	if (!(c->gpu.direct.efficiency > 0))
		return "there are no constants for it ('comm.direct', or "
		       "measurements of alltoall, variant direct)";
	return NULL;
}

const char *direct_why_not_layout(const struct cluster *c,
				  const struct layout *l,
				  const struct model *m)
{
	if (l->ep == 1)
		return "nothing is exchanged (ep=1)";
	if (l->esp > 1)
		return "experts are sharded (esp above 1)";
	if (layout_expert_copies(l, m) > 1)
		return "experts have copies (ep above their number)";
	return direct_why_not(c, l->ep, l->esp);
}

const char *direct_why_not_plan(const struct cluster *c, const struct plan *p,
				const struct model *m)
{
	if (p->alltoall != A2A_DIRECT)
		return NULL;
	if (p->technique_mask & ~(1u << TECH_BASELINE | TECH_SCHEDULES))
		return "it goes with no technique that changes rows";
	return direct_why_not_layout(c, &p->layout, m);
}

static bool has_tech(const struct pass *p, enum technique_id t)
{
	return p->out->plan.technique_mask & 1u << t;
}

/* Copied experts come behind the dispatch on its lane. */
static void add_shadow(struct pass *p)
{
	const struct layout *l = &p->out->plan.layout;

	if (p->backward || !has_tech(p, TECH_SHADOWING) || l->ep == 1)
		return;
	p->shadow = pass_add_op(p, OP_SHADOW,
			   pass_group_lane(p->cluster, l->ep, l->esp));
	pass_add_dep(p, p->shadow, p->known);
}

static int add_expert(struct pass *p, enum op_kind kind, int chunk)
{
	int d, op = pass_add_chunk_op(p, kind, LANE_COMPUTE, chunk);

	for (d = 0; d < p->n_end[chunk]; d++)
		pass_add_dep(p, op, p->end[chunk][d]);
	return op;
}

/*
 * Gradients of dense layers that this pass' exchanges leave room for: after
 * the way to the experts, where the lane waits for them (FSMoE).
 */
static void add_dense_gradients(struct pass *p, int first)
{
	const struct plan *plan = &p->out->plan;
	const struct layout *l = &plan->layout;
	int i, op, n = plan->gradient_pieces;
	int group = l->dp * l->ep * l->esp / l->tp;	/* replicas */

	if (plan->dense) {	/* of the block before: they are there */
		first = p->known;
		n = plan->dense_pieces;
	}
	if ((!(plan->gradient_bytes > 0) && !plan->dense) || group < 2)
		return;
	n = n > 1 ? n : 1;
	for (i = 0; i < n; i++) {
		op = pass_add_op(p, OP_ALLREDUCE_GATE,
			    pass_group_lane(p->cluster, group, l->tp));
		p->out->op[op].step = ALLREDUCE_DENSE;
		p->out->op[op].chunk = i;
		p->out->op[op].n_chunks = n;
		pass_add_dep(p, op, first);
	}
}

/*
 * Everything from `first` (the permutation, or its mirror image) to the end
 * of the last exchange. Dispatch-first: the whole way to the experts comes
 * before the way back on every lane (Tutel, section 3.3 of its paper).
 *
 * With one chunk nothing of the layer runs side by side (DeepSpeed-MoE):
 * shared experts and weight gradients come before the exchange that could
 * have hidden them. Unless the plan says that it hides them: then they need
 * no more than in a pass of several chunks.
 */
static void add_exchange(struct pass *p, int first, int shared)
{
	int i, sequential = p->degree == 1 &&
			    p->out->plan.overlap == OVERLAP_NONE;
	int last = p->degree - 1;

	for (i = 0; i < p->degree; i++)
		pass_ends_set(p, i, sequential && shared >= 0 ? shared : first);
	pass_add_path(p, &p->to, 0);
	add_shadow(p);
	if (p->shadow >= 0)
		p->end[last][p->n_end[last]++] = p->shadow;
	if (p->backward)
		add_dense_gradients(p, first);
	for (i = 0; i < p->degree; i++) {
		p->expert[i] = add_expert(p, p->backward ? OP_EXPERT_BWD_DATA :
					  OP_EXPERT, i);
	}
	if (p->backward && p->degree != p->out->plan.degree_forward)
		p->out->op[p->expert[0]].plans = p->degree;
	/* all input gradients first: their exchange waits for them */
	for (i = 0; p->backward && i < p->degree; i++)
		p->weight[i] = add_expert(p, OP_EXPERT_BWD_WEIGHT, i);
	for (i = 0; i < p->degree; i++) {
		pass_ends_set(p, i, sequential && p->backward ? p->weight[i] :
			 p->expert[i]);
		if (p->migrate >= 0)
			p->end[i][p->n_end[i]++] = p->migrate;
	}
	pass_add_path(p, &p->back, 0);
}

/* After the last chunk: a lane's ops of earlier chunks are done by then. */
static int add_join(struct pass *p, enum op_kind kind)
{
	int d, last = p->degree - 1;
	int op = pass_add_op(p, kind, LANE_COMPUTE);

	for (d = 0; d < p->n_end[last]; d++)
		pass_add_dep(p, op, p->end[last][d]);
	return op;
}

/* BASE's exchange of tokens, after `dep` or, -1, first. Returns its index, or
 * `dep`. */
static int add_shuffle(struct pass *p, enum op_kind kind, int dep)
{
	const struct layout *l = &p->out->plan.layout;
	int op;

	if (!has_tech(p, TECH_GATE_BASE) || l->ep == 1)
		return dep;
	op = pass_add_op(p, kind, pass_group_lane(p->cluster, l->ep, l->esp));
	if (dep >= 0)
		pass_add_dep(p, op, dep);
	return op;
}

static void lower_forward(struct pass *p)
{
	unsigned mask = p->out->plan.technique_mask;
	int permute, shared = -1, last = -1;

	if (p->out->plan.dense)
		last = pass_add_op(p, OP_DENSE, LANE_COMPUTE);
	last = add_shuffle(p, OP_SHUFFLE, last);
	p->known = pass_add_op(p, OP_GATE, LANE_COMPUTE);
	if (last >= 0)
		pass_add_dep(p, p->known, last);
	last = p->known;
	p->out->op[last].plans = p->degree;
	if (has_tech(p, TECH_MIGRATION)) {
		p->migrate = pass_add_op(p, OP_MIGRATE, LANE_HOST);
		pass_add_dep(p, p->migrate, p->known);
	}
	if (technique_compresses(mask))
		last = pass_add_after(p, OP_COMPRESS, last);
	permute = pass_add_after(p, OP_PERMUTE, last);
	if (p->model->shared_experts)
		shared = pass_add_after(p, OP_SHARED, permute);
	add_exchange(p, permute, shared);
	if (technique_restores(mask))
		last = pass_add_after(p, OP_UNPERMUTE,
				      add_join(p, OP_RESTORE));
	else
		last = add_join(p, OP_UNPERMUTE);
	add_shuffle(p, OP_UNSHUFFLE, last);
}

/* Returns its index, or that of `dep` where there is nothing to sum. */
static int add_allreduce(struct pass *p, enum op_kind kind, int step,
			 int group, int stride, int dep)
{
	int op;

	if (group == 1)
		return dep;
	op = pass_add_op(p, kind, pass_group_lane(p->cluster, group, stride));
	p->out->op[op].step = step;
	pass_add_dep(p, op, dep);
	return op;
}

/*
 * The all-reduces come after the exchanges on their lane: an exchange is
 * waited for inside the layer, an all-reduce only at its end (Lina).
 */
static void add_expert_allreduces(struct pass *p, int shared)
{
	const struct layout *l = &p->out->plan.layout;
	int weight = p->weight[p->degree - 1];
	int copies = layout_expert_copies(l, p->model);

	if (shared >= 0) {
		add_allreduce(p, OP_ALLREDUCE_GATE, ALLREDUCE_SHARED,
			      l->dp * l->ep * l->esp, 1, shared);
	}
	/* both sum the same gradients */
	weight = add_allreduce(p, OP_ALLREDUCE_EXPERT, ALLREDUCE_COPIES,
			       copies, l->esp, weight);
	add_allreduce(p, OP_ALLREDUCE_EXPERT, ALLREDUCE_DP, l->dp,
		      l->ep * l->esp, weight);
}

static void lower_backward(struct pass *p)
{
	const struct layout *l = &p->out->plan.layout;
	unsigned mask = p->out->plan.technique_mask;
	int first = p->out->n_forward - 1, gate, shared = -1;

	p->known = first;
	if (p->out->plan.dense)
		first = pass_add_after(p, OP_DENSE_BWD, first);
	first = add_shuffle(p, OP_SHUFFLE, first);
	first = pass_add_after(p, OP_UNPERMUTE_BWD, first);
	if (technique_compresses(mask))
		first = pass_add_after(p, OP_COMPRESS_BWD, first);
	if (p->model->shared_experts)
		shared = pass_add_after(p, OP_SHARED_BWD, first);
	add_exchange(p, first, shared);
	if (has_tech(p, TECH_SHADOWING))
		add_allreduce(p, OP_SHADOW_BWD, 0, l->ep, l->esp,
			      p->weight[p->degree - 1]);
	add_expert_allreduces(p, shared);
	if (technique_restores(mask))
		gate = pass_add_after(p, OP_PERMUTE_BWD,
				 add_join(p, OP_RESTORE_BWD));
	else
		gate = add_join(p, OP_PERMUTE_BWD);
	gate = pass_add_after(p, OP_GATE_BWD, gate);
	add_shuffle(p, OP_UNSHUFFLE, gate);
	add_allreduce(p, OP_ALLREDUCE_GATE, ALLREDUCE_ROUTER,
		      l->dp * l->ep * l->esp, 1, gate);
}

static enum status check_plan(const struct plan *p)
{
	if (p->degree_forward < 1 || p->degree_forward > PLAN_DEGREE_MAX ||
	    p->degree_backward < 1 || p->degree_backward > PLAN_DEGREE_MAX)
		return err_set(ST_INPUT, "plan: 'degree' is '%d/%d', must be "
			       "in 1..%d", p->degree_forward,
			       p->degree_backward, PLAN_DEGREE_MAX);
	if ((unsigned)p->alltoall >= A2A_N) {
		return err_set(ST_INPUT, "plan: 'alltoall' is '%d', must be "
			       "below %d", (int)p->alltoall, A2A_N);
	}
	if (p->dense && p->gradient_bytes > 0)
		return err_set(ST_INPUT, "plan: 'dense' and 'gradient' do not "
			       "go together");
	return ST_OK;
}

/* All but the arrays, which are large and mostly not used. */
static void pass_init(struct pass *p, const struct cluster *c,
		      const struct model *m, struct program *out, int backward)
{
	memset(p, 0, offsetof(struct pass, expert));
	p->out = out;
	p->cluster = c;
	p->model = m;
	p->backward = backward;
	p->degree = backward ? out->plan.degree_backward :
		out->plan.degree_forward;
	p->shadow = p->migrate = -1;
}

enum status program_lower(const struct plan *p, const struct cluster *c,
			  const struct model *m, struct program *out)
{
	struct pass forward, backward;
	enum status st = check_plan(p);

	if (st)
		return st;
	*out = (struct program){ .plan = *p };
	if (p->dense == DENSE_CHUNKS)
		return program_lower_pipe(c, m, out);
	pass_init(&forward, c, m, out, 0);
	pass_init(&backward, c, m, out, 1);
	pass_paths_make(&forward);
	pass_paths_make(&backward);
	lower_forward(&forward);
	out->n_forward = out->n_ops;
	lower_backward(&backward);
	st = order_lay_plan(out);
	if (st)
		program_release(out);
	return st;
}

void program_release(struct program *p)
{
	free(p->op);
	*p = (struct program){ 0 };
}

static void check_op(const struct program *p, int i)
{
	const struct op *op = &p->op[i];
	int d;

	assert((unsigned)op->kind < OP_KIND_N);
	assert((unsigned)op->lane < LANES_ALL);
	assert(op->n_chunks >= 1 && op->n_chunks <= PLAN_DEGREE_MAX);
	assert(op->chunk >= 0 && op->chunk < op->n_chunks);
	assert(op->step >= 0 && op->step < A2A_STEPS_MAX);
	assert(op->backward == (i >= p->n_forward));
	assert(op->n_deps >= 0 && op->n_deps <= OP_DEPS_MAX);
	/* blocks in chunks begin with what the block before left */
	assert(op->n_deps > 0 || i == 0 || p->plan.dense == DENSE_CHUNKS);
	for (d = 0; d < op->n_deps; d++)
		assert(op->dep[d] >= 0 && op->dep[d] < i);
	assert((op->lane == LANE_INTRA || op->lane == LANE_INTER) ==
	       op_kind_is_comm(op->kind));
	assert(!op->step || !op_kind_is_exchange(op->kind) ||
	       !a2a_table[p->plan.alltoall].forwards ||
	       program_forwarded_step(p, i) >= 0);
}

int program_previous_step(const struct program *p, int i)
{
	const struct op *o = &p->op[i];
	int j = i;

	if (!o->step || !op_kind_is_exchange(o->kind))
		return -1;
	while (--j >= 0) {
		const struct op *q = &p->op[j];

		if (q->kind == o->kind && q->chunk == o->chunk &&
		    q->backward == o->backward && q->step == o->step - 1)
			return j;
	}
	return -1;
}

int program_forwarded_step(const struct program *p, int i)
{
	return a2a_table[p->plan.alltoall].forwards ?
		program_previous_step(p, i) : -1;
}

/* Chunks of each (kind, step, pass) must come in order and be complete. */
static void check_chunks(const struct program *p, int i)
{
	const struct op *a = &p->op[i], *b;
	int j, seen = 0;

	for (j = 0; j < p->n_ops; j++) {
		b = &p->op[j];
		if (b->kind != a->kind || b->step != a->step ||
		    b->backward != a->backward)
			continue;
		assert(b->chunk == seen && b->lane == a->lane);
		seen++;
	}
	assert(seen == a->n_chunks);
}

void program_check(const struct program *p)
{
	int i;

	assert(p->n_ops > 0 && p->n_forward > 0 && p->n_forward < p->n_ops);
	for (i = 0; i < p->n_ops; i++) {
		check_op(p, i);
		check_chunks(p, i);
	}
	assert(p->op[p->n_forward - 1].kind == OP_UNPERMUTE ||
	       p->op[p->n_forward - 1].kind == OP_UNSHUFFLE);
}
