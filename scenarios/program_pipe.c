/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A block in the pipeline (FlowMoE, 2025): dense part and layer are both cut
 * in two chunks, and a chunk's dense part begins as soon as its rows are back
 * from the layer before, while the other chunk's are still under way.
 *
 * Blocks follow one another, so that what repeats is a cycle:
 *
 *	COMPUTE	A1 A2 E1 E2 | A1 A2 ...
 *	INTER	   D1 D2 C1 | C2 D1 D2 ...
 *
 * with A the dense part, gate and permutation. The program is one cycle, cut
 * where A1 begins: it starts with the last chunk's way back from the block
 * before and ends when the first chunk's is done. At the cut A1 has waited for
 * both lanes, and C2 for nothing later, so that the cycle's time is the
 * program's: exactly, without ESP groups, else at most a chunk's
 * reduce-scatter too long. Chunk 0 of what goes back is therefore the block
 * before's second. Backward the same, of the blocks in reverse; a chunk's rows
 * go back when its weight gradients are done. The all-reduce of the dense part
 * above is cut in pieces, which an order of the plan puts among the exchanges
 * (D, C and X; by default behind the way to the experts).
 */
#include "scenarios/program.h"

#include "base/mem.h"

#include <assert.h>

#define CHUNKS 2

struct pipe {
	struct program *out;
	const struct cluster *cluster;
	const struct model *model;
	int backward;
	enum lane exchange, sums, esp;
	bool has_esp;
	int start;		/* forward: -1; backward: the op before */
	int pieces, laid;	/* of the all-reduce; how many are there */
	int places;		/* exchanges there */
};

static int add(struct pipe *p, enum op_kind kind, enum lane lane, int chunk,
	       int dep)
{
	struct program *o = p->out;
	struct op op = { .kind = kind, .lane = lane, .chunk = chunk,
			 .n_chunks = CHUNKS, .backward = p->backward };

	if (dep >= 0)
		op.dep[op.n_deps++] = dep;
	o->op = array_grow(o->op, &o->cap, (size_t)o->n_ops + 1,
			   sizeof(*o->op));
	o->op[o->n_ops] = op;
	return o->n_ops++;
}

static void add_piece(struct pipe *p)
{
	int op = add(p, OP_ALLREDUCE_GATE, p->sums, p->laid++, p->start);

	p->out->op[op].n_chunks = p->pieces;
	p->out->op[op].step = ALLREDUCE_DENSE;
}

/* The pieces that the plan has before its next exchange. */
static void add_pieces(struct pipe *p)
{
	const struct pass_order *o = &p->out->plan.order[p->backward];
	int at = 0, i, exchanges = 0;

	if (!p->backward)
		return;
	if (o->rule != ORDER_GIVEN) {
		while (p->places == CHUNKS + 1 && p->laid < p->pieces)
			add_piece(p);
		return;
	}
	for (i = 0; i < o->n && exchanges <= p->places; i++) {
		bool sum = order_is_sum(o->place[i]);

		exchanges += !sum;
		at += sum;
	}
	while (p->laid < at && p->laid < p->pieces)
		add_piece(p);
}

static int exchange(struct pipe *p, bool back, int chunk, int dep)
{
	static const enum op_kind kind[2][2] = {
		{ OP_DISPATCH, OP_COMBINE },
		{ OP_COMBINE_BWD, OP_DISPATCH_BWD },
	};
	int op;

	add_pieces(p);
	p->places++;
	if (back && p->has_esp)
		dep = add(p, OP_REDUCESCATTER, p->esp, chunk, dep);
	op = add(p, kind[p->backward][back], p->exchange, chunk, dep);
	if (!back && p->has_esp)
		op = add(p, OP_ALLGATHER, p->esp, chunk, op);
	return op;
}

/* Rows that came back, to the dense part of the next block. */
static int arrive(struct pipe *p, int chunk, int dep)
{
	if (!p->backward)
		return add(p, OP_UNPERMUTE, LANE_COMPUTE, chunk, dep);
	dep = add(p, OP_PERMUTE_BWD, LANE_COMPUTE, chunk, dep);
	return add(p, OP_GATE_BWD, LANE_COMPUTE, chunk, dep);
}

/* The dense part, and rows ready to be sent. */
static int leave(struct pipe *p, int chunk, int dep)
{
	if (p->backward) {
		dep = add(p, OP_DENSE_BWD, LANE_COMPUTE, chunk, dep);
		return add(p, OP_UNPERMUTE_BWD, LANE_COMPUTE, chunk, dep);
	}
	dep = add(p, OP_DENSE, LANE_COMPUTE, chunk, dep);
	dep = add(p, OP_GATE, LANE_COMPUTE, chunk, dep);
	return add(p, OP_PERMUTE, LANE_COMPUTE, chunk, dep);
}

static int expert(struct pipe *p, int chunk, int dep)
{
	if (!p->backward)
		return add(p, OP_EXPERT, LANE_COMPUTE, chunk, dep);
	dep = add(p, OP_EXPERT_BWD_DATA, LANE_COMPUTE, chunk, dep);
	return add(p, OP_EXPERT_BWD_WEIGHT, LANE_COMPUTE, chunk, dep);
}

/* Returns the last chunk's expert op; *shared_p: shared experts, or -1. */
static int cycle(struct pipe *p, int *shared_p)
{
	int ready[CHUNKS], there[CHUNKS], done[CHUNKS], i;

	/* reads: ready to be sent, at the experts, computed */
	ready[0] = leave(p, 0, p->start);
	ready[1] = leave(p, 1, arrive(p, 0, exchange(p, true, 0, p->start)));
	*shared_p = -1;
	if (p->model->shared_experts) {
		*shared_p = add(p, p->backward ? OP_SHARED_BWD : OP_SHARED,
				LANE_COMPUTE, 0, ready[1]);
		p->out->op[*shared_p].n_chunks = 1;
	}
	for (i = 0; i < CHUNKS; i++)
		there[i] = exchange(p, false, i, ready[i]);
	for (i = 0; i < CHUNKS; i++)
		done[i] = expert(p, i, there[i]);
	arrive(p, 1, exchange(p, true, 1, done[0]));
	while (p->laid < p->pieces)
		add_piece(p);
	return done[CHUNKS - 1];
}

static int add_sum(struct pipe *p, enum op_kind kind, int step, int group,
		   int stride, int dep)
{
	enum lane lane = group_in_domain(p->cluster, group, stride) ?
		LANE_INTRA : LANE_INTER;
	int op;

	if (group == 1)
		return dep;
	op = add(p, kind, lane, 0, dep);
	p->out->op[op].n_chunks = 1;
	p->out->op[op].step = step;
	return op;
}

/* All-reduces of the layer itself, as in a layer alone. */
static void add_sums(struct pipe *p, int weight, int shared)
{
	const struct layout *l = &p->out->plan.layout;
	int last = p->out->n_ops - 1, all = l->dp * l->ep * l->esp;

	while (p->out->op[last].kind != OP_GATE_BWD)
		last--;
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
	unsigned none = p->technique_mask & ~(1u << TECH_BASELINE);

	if (p->degree_forward == CHUNKS && p->degree_backward == CHUNKS &&
	    p->layout.ep > 1 && a2a_table[p->alltoall].n_steps == 1 &&
	    !none && !p->overlap && p->order[0].rule == ORDER_DISPATCH_FIRST &&
	    (p->order[1].rule == ORDER_DISPATCH_FIRST ||
	     p->order[1].rule == ORDER_GIVEN))
		return ST_OK;
	return err_set(ST_INPUT, "plan: 'dense' is 'chunks', which needs "
		       "degree=2/2, an exchange of one step, and no "
		       "technique; 'order' may have the backward pass' D, C "
		       "and X");
}

enum status program_lower_pipe(const struct cluster *c, const struct model *m,
			       struct program *out)
{
	const struct layout *l = &out->plan.layout;
	int group = l->dp * l->ep * l->esp / l->tp, weight, shared;
	struct pipe p = {
		.out = out, .cluster = c, .model = m, .start = -1,
		.exchange = group_in_domain(c, l->ep, l->esp) ? LANE_INTRA :
			LANE_INTER,
		.sums = group_in_domain(c, group, l->tp) ? LANE_INTRA :
			LANE_INTER,
		.esp = group_in_domain(c, l->esp, 1) ? LANE_INTRA :
			LANE_INTER,
		.has_esp = l->esp > 1,
	};
	enum status st = check(&out->plan);

	if (st)
		return st;
	cycle(&p, &shared);
	out->n_forward = out->n_ops;
	p.backward = 1;
	p.places = 0;
	p.start = out->n_ops - 1;
	p.pieces = group <= 1 ? 0 : out->plan.dense_pieces > 1 ?
		out->plan.dense_pieces : 1;
	weight = cycle(&p, &shared);
	add_sums(&p, weight, shared);
	return ST_OK;
}
