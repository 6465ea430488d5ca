/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A block in the pipeline (FlowMoE, 2025): dense part and layer are both cut
 * in r chunks, and a chunk's dense part begins as soon as its rows are back
 * from the layer before, while other chunks' are still under way.
 *
 * Blocks follow one another, so that what repeats is a cycle; with r = 2,
 *
 *	COMPUTE	A1 A2 E1 E2 | A1 A2 ...
 *	INTER	   D1 D2 C1 | C2 D1 D2 ...
 *
 * with A the dense part, gate and permutation. The program is one cycle, cut
 * where A1 begins: it starts with the last chunk's way back from the block
 * before and ends when the others' are done. At the cut A1 has waited for
 * both lanes, and the last chunk for nothing later, so that the cycle's time
 * is the program's: exactly for r = 2 without ESP groups, else what is at the
 * cut on other lanes is counted once too often (a reduce-scatter, the
 * unpermutation of what came back). With r > 2 A1 waits for all but the last
 * chunk. Chunk 0 of what goes back is therefore the block before's last.
 *
 * Backward the same, of the blocks in reverse; a chunk's rows go back when its
 * weight gradients are done. The all-reduce of the dense part above is cut in
 * pieces, which an order of the plan puts among the exchanges (D, C and X; by
 * default behind the way to the experts).
 */
#include "scenarios/program_int.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static int add_chunk(struct pass *p, enum op_kind kind, int chunk, int dep)
{
	int op = pass_add_chunk_op(p, kind, LANE_COMPUTE, chunk);

	if (dep >= 0)
		pass_add_dep(p, op, dep);
	return op;
}

/* What the chunk waits for: the last stage of its way. */
static int add_at_end(struct pass *p, enum op_kind kind, int chunk)
{
	int op = pass_add_chunk_op(p, kind, LANE_COMPUTE, chunk);

	for (int i = 0; i < p->n_end[chunk]; i++)
		pass_add_dep(p, op, p->end[chunk][i]);
	return op;
}

/* Rows that came back, to the dense part of the next block. */
static int arrive(struct pass *p, int chunk)
{
	if (!p->backward)
		return add_at_end(p, OP_UNPERMUTE, chunk);
	return add_chunk(p, OP_GATE_BWD, chunk,
			 add_at_end(p, OP_PERMUTE_BWD, chunk));
}

/* The dense part, and rows ready to be sent. */
static int leave(struct pass *p, int chunk, int dep)
{
	if (p->backward) {
		dep = add_chunk(p, OP_DENSE_BWD, chunk, dep);
		return add_chunk(p, OP_UNPERMUTE_BWD, chunk, dep);
	}
	dep = add_chunk(p, OP_DENSE, chunk, dep);
	dep = add_chunk(p, OP_GATE, chunk, dep);
	p->out->op[dep].plans = 1;
	return add_chunk(p, OP_PERMUTE, chunk, dep);
}

static int expert(struct pass *p, int chunk)
{
	int op;

	if (!p->backward)
		return add_at_end(p, OP_EXPERT, chunk);
	op = add_at_end(p, OP_EXPERT_BWD_DATA, chunk);
	if (!chunk && p->degree != p->out->plan.degree_forward)
		p->out->op[op].plans = p->degree;
	return add_chunk(p, OP_EXPERT_BWD_WEIGHT, chunk, op);
}

/* The last chunk of the block before, on its way back beside the first ones'
 * dense part; `start` is what the pass waits for, or -1. */
static int cross(struct pass *p, int start)
{
	p->n_end[0] = 0;
	if (start >= 0)
		pass_ends_set(p, 0, start);
	for (int s = 0; s < p->back.n_stages; s++)
		pass_add_stage(p, &p->back, 0, s);
	return arrive(p, 0);
}

static void add_shared(struct pass *p, int dep)
{
	int op;

	if (!p->model->shared_experts)
		return;
	op = pass_add_op(p, p->backward ? OP_SHARED_BWD : OP_SHARED,
			 LANE_COMPUTE);
	pass_add_dep(p, op, dep);
}

/* The replicas of the dense part, and how many pieces their sum is in. */
static int dense_group(const struct layout *l)
{
	return l->dp * l->ep * l->esp / l->tp;
}

static int count_pieces(const struct plan *p)
{
	if (dense_group(&p->layout) < 2)
		return 0;
	return p->dense_pieces > 1 ? p->dense_pieces : 1;
}

static void add_pieces(struct pass *p, int start)
{
	const struct layout *l = &p->out->plan.layout;
	int n = count_pieces(&p->out->plan);
	enum lane lane = pass_group_lane(p->cluster, dense_group(l), l->tp);

	for (int i = 0; i < n; i++) {
		int op = pass_add_op(p, OP_ALLREDUCE_GATE, lane);

		p->out->op[op].chunk = i;
		p->out->op[op].n_chunks = n;
		p->out->op[op].step = ALLREDUCE_DENSE;
		pass_add_dep(p, op, start);
	}
}

static void cycle(struct pass *p, int start)
{
	int last = p->degree - 1, i;

	/* reads: ready to be sent, at the experts, computed */
	for (i = 0; i < last; i++)
		pass_ends_set(p, i, leave(p, i, start));
	i = p->end[0][0];
	pass_ends_set(p, last, leave(p, last, cross(p, start)));
	pass_ends_set(p, 0, i);
	add_shared(p, p->end[last][0]);
	pass_add_path(p, &p->to, 0);
	if (p->backward)
		add_pieces(p, start);
	for (i = 0; i < p->degree; i++)
		p->expert[i] = expert(p, i);
	for (i = 0; i < last; i++)
		pass_ends_set(p, i + 1, p->expert[i]);
	pass_add_path(p, &p->back, 1);
	for (i = 1; i <= last; i++)
		arrive(p, i);
}

static bool is_piece(const struct op *o)
{
	return o->kind == OP_ALLREDUCE_GATE && o->step == ALLREDUCE_DENSE;
}

/* Pieces that the order has before its n-th exchange. */
static int pieces_before(const struct pass_order *o, int n)
{
	int exchanges = 0, pieces = 0;

	for (int i = 0; i < o->n && exchanges <= n; i++) {
		bool sum = order_is_sum(o->place[i]);

		exchanges += !sum;
		pieces += sum;
	}
	return pieces;
}

/* Has the order the pass' exchanges one after the other, and all pieces? */
static enum status check_places(const struct program *p)
{
	const struct pass_order *o = &p->plan.order[1];
	int at = 0, pieces = 0;

	for (int i = p->n_forward; i < p->n_ops; i++) {
		if (!op_kind_is_exchange(p->op[i].kind))
			continue;
		for (; at < o->n && order_is_sum(o->place[at]); at++)
			pieces++;
		if (at == o->n || o->place[at] != order_kind(&p->op[i]))
			goto err;
		at++;
	}
	for (; at < o->n && order_is_sum(o->place[at]); at++)
		pieces++;
	if (at == o->n && pieces == count_pieces(&p->plan))
		return ST_OK;
err:
	return err_set(ST_INPUT, "plan: 'order' does not have the exchanges of "
		       "the backward pass in their order and %d times 'X', as "
		       "'dense' wants", count_pieces(&p->plan));
}

/* The pieces to where the plan has them. */
static void lay_pieces(struct program *p)
{
	const struct pass_order *o = &p->plan.order[1];
	int n = p->n_ops - p->n_forward, at = 0, exchanges = 0;
	int pieces = count_pieces(&p->plan), laid = 0, first = p->n_forward;
	int *sequence;

	if (o->rule != ORDER_GIVEN || !pieces)
		return;
	sequence = xcalloc((size_t)n, sizeof(*sequence));
	while (!is_piece(&p->op[first]))
		first++;
	for (int i = p->n_forward; i < p->n_ops; i++) {
		int before = laid;

		if (is_piece(&p->op[i]))
			continue;
		if (op_kind_is_exchange(p->op[i].kind))
			before = pieces_before(o, exchanges++);
		for (; laid < before && laid < pieces; laid++)
			sequence[at++] = first + laid;
		sequence[at++] = i;
	}
	for (; laid < pieces; laid++)
		sequence[at++] = first + laid;
	order_lay(p, 1, sequence);
	free(sequence);
}

/* The pass' last op of a kind; -1: none. */
static int last_of(const struct program *p, enum op_kind kind)
{
	int i = p->n_ops - 1;

	while (i >= p->n_forward && p->op[i].kind != kind)
		i--;
	return i >= p->n_forward ? i : -1;
}

static int add_sum(struct pass *p, enum op_kind kind, int step, int group,
		   int stride, int dep)
{
	int op;

	if (group == 1)
		return dep;
	op = pass_add_op(p, kind, pass_group_lane(p->cluster, group, stride));
	p->out->op[op].step = step;
	pass_add_dep(p, op, dep);
	return op;
}

/* All-reduces of the layer itself, as in a layer alone. */
static void add_sums(struct pass *p)
{
	const struct layout *l = &p->out->plan.layout;
	int last = last_of(p->out, OP_GATE_BWD);
	int weight = last_of(p->out, OP_EXPERT_BWD_WEIGHT);
	int shared = last_of(p->out, OP_SHARED_BWD);
	int all = l->dp * l->ep * l->esp;

	if (shared >= 0)
		add_sum(p, OP_ALLREDUCE_GATE, ALLREDUCE_SHARED, all, 1,
			shared);
	weight = add_sum(p, OP_ALLREDUCE_EXPERT, ALLREDUCE_COPIES,
			 layout_expert_copies(l, p->model), l->esp, weight);
	add_sum(p, OP_ALLREDUCE_EXPERT, ALLREDUCE_DP, l->dp, l->ep * l->esp,
		weight);
	add_sum(p, OP_ALLREDUCE_GATE, ALLREDUCE_ROUTER, all, 1, last);
}

static enum status check(const struct plan *p)
{
	unsigned bad = technique_table[TECH_ATTENTION].excludes;

	if (p->degree_forward > 1 && p->degree_backward > 1 &&
	    p->layout.ep > 1 && !(p->technique_mask & bad) && !p->overlap &&
	    p->order[0].rule == ORDER_DISPATCH_FIRST &&
	    (p->order[1].rule == ORDER_DISPATCH_FIRST ||
	     p->order[1].rule == ORDER_GIVEN))
		return ST_OK;
	return err_set(ST_INPUT, "plan: 'dense' is 'chunks', which needs two "
		       "chunks or more in both passes, an exchange, and no "
		       "technique that excludes '%s'; 'order' may have the "
		       "backward pass' D, C and X",
		       technique_table[TECH_ATTENTION].name);
}

static enum status lower_pass(const struct cluster *c, const struct model *m,
			      int backward, struct program *out)
{
	struct pass p = {
		.out = out, .cluster = c, .model = m, .backward = backward,
		.degree = backward ? out->plan.degree_backward :
			out->plan.degree_forward,
		.shadow = -1, .migrate = -1,
	};

	pass_paths_make(&p);
	cycle(&p, out->n_ops - 1);
	if (!backward) {
		out->n_forward = out->n_ops;
		return ST_OK;
	}
	if (out->plan.order[1].rule == ORDER_GIVEN && check_places(out))
		return ST_INPUT;
	lay_pieces(out);
	add_sums(&p);
	return ST_OK;
}

enum status program_lower_pipe(const struct cluster *c, const struct model *m,
			       struct program *out)
{
	enum status st = check(&out->plan);

	if (st)
		return st;
	lower_pass(c, m, 0, out);
	st = lower_pass(c, m, 1, out);
	if (st)
		program_release(out);
	return st;
}
