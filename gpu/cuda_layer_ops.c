/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ops of a program, each on the stream of its lane. */
#include "gpu/cuda_layer_exchange.h"

#include <stddef.h>

/* Smaller layers are not worth the time to tune their products. */
#define TUNE_FLOPS 1e9

static bool is_local(const struct cuda_layer *l)
{
	return l->c.plan.layout.ep * l->c.plan.layout.esp == 1;
}

/* What tokens send, and what comes home to them. */
static void *home_out(const struct cuda_layer *l, int pass)
{
	return !is_local(l) ? l->in : pass ? l->ye : l->kept.x;
}

static void *home_back(const struct cuda_layer *l, int pass)
{
	return !is_local(l) ? l->in : pass ? l->dxe : l->ye;
}

static struct k_slots slots_of(const struct cuda_layer *l, int pass)
{
	const struct layout *y = &l->c.plan.layout;

	return (struct k_slots){
		.h = { .n_experts = l->c.experts,
		       .copies = layer_copies(&l->c), .local = l->local,
		       .ep_index = l->rank->rank / y->esp % y->ep },
		.capacity = (int)l->c.capacity,
		.chunks = l->pass[pass].chunks,
		.start = l->pass[pass].start,
	};
}

/* Rows of x or dy to where they are sent from. */
static enum status permute(struct cuda_layer *l, int pass, const void *rows)
{
	cudaStream_t s = l->lane[LANE_COMPUTE];
	struct k_slots slots = slots_of(l, pass);
	void *to = home_out(l, pass);
	enum status st = ST_OK;

	if (l->is_static)
		CUDA_GOTO(out, st, k_layer_zero_slots(
			to, l->expert_total, l->row_bytes, &slots, s));
	CUDA_GOTO(out, st, k_layer_permute(rows, l->pass[pass].pos, to,
					   (uint64_t)l->c.tokens,
					   l->row_bytes, l->c.k, s));
out:
	return st;
}

/* The weights of the rows; those of empty slots are 0. */
static enum status put_weights(struct cuda_layer *l)
{
	cudaStream_t s = l->lane[LANE_COMPUTE];
	float *to = is_local(l) ? l->kept.r : l->in_s;
	enum status st = ST_OK;

	if (l->is_static)
		CUDA_GOTO(out, st, cudaMemsetAsync(
			to, 0, (size_t)l->pass[0].plan.rows[XCHG_IN] *
			sizeof(*to), s));
	CUDA_GOTO(out, st, k_layer_scatter_f32(l->weights, l->pass[0].pos, to,
					       l->pairs, s));
out:
	return st;
}

/* dedup: only one row of a token comes back from each node. */
static enum status lead_positions(struct cuda_layer *l, int pass)
{
	struct cuda_pass *p = &l->pass[pass];

	if (l->c.plan.alltoall != A2A_DEDUP || is_local(l))
		return ST_OK;
	return cuda_status(k_layer_leads(
		p->pos, (const uint8_t *)p->tables + p->plan.lead, p->add_pos,
		l->pairs, l->lane[LANE_COMPUTE]), "k_layer_leads()");
}

static enum status combine(struct cuda_layer *l, int pass, void *out)
{
	const struct cuda_pass *p = &l->pass[pass];
	bool leads = l->c.plan.alltoall == A2A_DEDUP && !is_local(l);

	return cuda_status(k_layer_combine(
		home_back(l, pass), leads ? p->add_pos : p->pos, NULL, out,
		l->c.shared_ffn > 0, (uint64_t)l->c.tokens,
		(uint64_t)l->c.hidden, l->c.k, layer_is_bf16(l),
		l->lane[LANE_COMPUTE]), "k_layer_combine()");
}

/* Dropless: the counts, then plans of the pass behind what is queued. */
static enum status op_gate(struct cuda_layer *l, const struct op *op)
{
	enum status st = cuda_layer_gate(l);

	(void)op;
	if (!st && cuda_layer_plans_steps(l)) {
		st = cuda_layer_gather_cells(l);
		if (!st)
			st = cuda_layer_mark(l, "counts");
		if (!st)
			st = cuda_layer_wait_cells(l);
		if (!st)
			st = cuda_layer_plan(l, 0);
		if (!st)
			st = cuda_layer_tables(l, 0);
		if (!st)
			st = cuda_layer_mark(l, "plan");
	}
	if (!st && cuda_layer_is_direct(l))
		st = cuda_layer_direct_gate(l);
	return st;
}

static enum status op_permute(struct cuda_layer *l, const struct op *op)
{
	enum status st;

	(void)op;
	if (cuda_layer_is_direct(l))
		return ST_OK;
	st = permute(l, 0, l->x);
	if (!st)
		st = put_weights(l);
	return st ? st : lead_positions(l, 0);
}

static enum status op_unpermute(struct cuda_layer *l, const struct op *op)
{
	(void)op;
	return cuda_layer_is_direct(l) ? cuda_layer_direct_add(l, 0)
				       : combine(l, 0, l->y);
}

static enum status op_unpermute_bwd(struct cuda_layer *l, const struct op *op)
{
	enum status st = ST_OK;

	(void)op;
	if (cuda_layer_plans_steps(l)) {
		st = cuda_layer_plan(l, 1);
		if (!st)
			st = cuda_layer_tables(l, 1);
	}
	if (!st && cuda_layer_is_direct(l))
		return cuda_layer_direct_begin_bwd(l);
	if (!st)
		st = permute(l, 1, l->dy);
	return st ? st : lead_positions(l, 1);
}

static enum status op_permute_bwd(struct cuda_layer *l, const struct op *op)
{
	(void)op;
	return cuda_layer_is_direct(l) ? cuda_layer_direct_add(l, 1)
				       : combine(l, 1, l->dx);
}

static enum status op_gate_bwd(struct cuda_layer *l, const struct op *op)
{
	(void)op;
	return cuda_layer_gate_bwd(l);
}

static enum status op_to(struct cuda_layer *l, const struct op *op)
{
	return cuda_layer_is_direct(l) ? cuda_layer_direct_to(l, op) :
		cuda_layer_exchange(l, op, TO_EXPERTS, layer_stream(l, op));
}

static enum status op_from(struct cuda_layer *l, const struct op *op)
{
	return cuda_layer_is_direct(l) ? cuda_layer_direct_from(l, op) :
		cuda_layer_exchange(l, op, FROM_EXPERTS, layer_stream(l, op));
}

static enum status op_allgather(struct cuda_layer *l, const struct op *op)
{
	return cuda_layer_esp(l, op, TO_EXPERTS, layer_stream(l, op));
}

static enum status op_reducescatter(struct cuda_layer *l, const struct op *op)
{
	return cuda_layer_esp(l, op, FROM_EXPERTS, layer_stream(l, op));
}

static bool is_regrouped(const struct cuda_layer *l)
{
	return l->pass[0].chunks != l->pass[1].chunks;
}

/* The experts' buffers of one chunk. */
static struct ffn_buffers expert_buffers(const struct cuda_layer *l, int pass,
					 int64_t base)
{
	const struct cuda_rows *r = pass && is_regrouped(l) ? &l->regrouped
							    : &l->kept;
	size_t at = (size_t)base;
	size_t inner = (size_t)layer_shard_ffn(&l->c) * l->element;
	size_t pre = inner * (size_t)layer_w1_parts(&l->c);
	struct ffn_buffers b = {
		.x = (char *)r->x + at * l->row_bytes,
		.w1 = l->w1, .w2 = l->w2, .r = r->r + at,
		.pre = (char *)r->pre + at * pre,
		.h = (char *)r->h + at * inner,
		.y = (char *)l->ye + at * l->row_bytes,
	};

	if (!pass)
		return b;
	b.dy = b.y;
	b.y = NULL;
	b.g = (char *)l->g + at * inner;
	b.dr = l->dr + at;
	b.dx = (char *)l->dxe + at * l->row_bytes;
	b.dw1 = l->dw1;
	b.dw2 = l->dw2;
	return b;
}

static enum status op_expert(struct cuda_layer *l, const struct op *op)
{
	struct ffn_buffers b;
	struct ffn_rows rows;
	int64_t base;
	enum status st = cuda_layer_rows(l, 0, op->chunk, &rows, &base);

	if (st)
		return st;
	b = expert_buffers(l, 0, base);
	st = cuda_layer_arrive(l, op);
	if (!st)
		st = cuda_ffn_forward(l->ffn, &rows, &b,
				      l->lane[LANE_COMPUTE]);
	return st ? st : cuda_layer_depart(l, op);
}

/* What the forward chunks kept, in the order of this backward chunk. */
static enum status regroup(struct cuda_layer *l, int chunk)
{
	const struct layer_chunk *c = &l->pass[1].plan.chunk[chunk];
	size_t inner = (size_t)layer_shard_ffn(&l->c) * l->element;
	size_t pre = inner * (size_t)layer_w1_parts(&l->c);
	struct ffn_buffers to = expert_buffers(l, 1, c->layout_base);
	struct k_move m = {
		.run = (const struct k_run *)(l->pass[1].tables +
					      c->regroup.at),
		.n = c->regroup.n, .rows = (uint64_t)c->regroup.rows,
		.src = { l->kept.x },
		.dst = { layer_row(l, l->regrouped.x, c->layout_base) },
	};
	cudaStream_t s = l->lane[LANE_COMPUTE];
	enum status st = ST_OK;

	if (cuda_layer_is_direct(l) && l->is_static)
		st = cuda_layer_direct_regroup(l, chunk, &m);
	if (st)
		return st;
	CUDA_GOTO(out, st, k_layer_move(&m, l->row_bytes, s));
	m.src[0] = l->kept.pre;
	m.dst[0] = to.pre;
	CUDA_GOTO(out, st, k_layer_move(&m, pre, s));
	m.src[0] = l->kept.h;
	m.dst[0] = to.h;
	CUDA_GOTO(out, st, k_layer_move(&m, inner, s));
	m.src[0] = l->kept.r;
	m.dst[0] = l->regrouped.r + c->layout_base;
	CUDA_GOTO(out, st, k_layer_move_f32(&m, s));
out:
	return st;
}

static enum status op_expert_bwd_data(struct cuda_layer *l,
				      const struct op *op)
{
	struct ffn_buffers b;
	struct ffn_rows rows;
	int64_t base;
	enum status st = cuda_layer_rows(l, 1, op->chunk, &rows, &base);

	if (!st && is_regrouped(l))
		st = regroup(l, op->chunk);
	if (!st)
		st = cuda_layer_arrive(l, op);
	if (st)
		return st;
	b = expert_buffers(l, 1, base);
	st = cuda_ffn_backward_data(l->ffn, &rows, &b, l->lane[LANE_COMPUTE]);
	return st ? st : cuda_layer_depart(l, op);
}

static enum status op_expert_bwd_weight(struct cuda_layer *l,
					const struct op *op)
{
	struct ffn_buffers b;
	struct ffn_rows rows;
	int64_t base;
	enum status st = cuda_layer_rows(l, 1, op->chunk, &rows, &base);

	if (st)
		return st;
	b = expert_buffers(l, 1, base);
	return cuda_ffn_backward_weights(l->ffn, &rows, &b, op->chunk > 0,
					 l->lane[LANE_COMPUTE]);
}

static struct ffn_buffers shared_buffers(const struct cuda_layer *l)
{
	return (struct ffn_buffers){
		.x = l->x, .w1 = l->ws1, .w2 = l->ws2, .pre = l->shared_pre,
		.h = l->shared_h, .y = l->y, .dy = l->dy, .g = l->shared_g,
		.dx = l->dx, .dw1 = l->dws1, .dw2 = l->dws2,
	};
}

static enum status op_shared(struct cuda_layer *l, const struct op *op)
{
	struct ffn_rows rows = { .experts = 1, .count = &l->c.tokens };
	struct ffn_buffers b = shared_buffers(l);

	(void)op;
	return cuda_ffn_forward(l->shared, &rows, &b, l->lane[LANE_COMPUTE]);
}

static enum status op_shared_bwd(struct cuda_layer *l, const struct op *op)
{
	struct ffn_rows rows = { .experts = 1, .count = &l->c.tokens };
	struct ffn_buffers b = shared_buffers(l);
	cudaStream_t s = l->lane[LANE_COMPUTE];
	enum status st = cuda_ffn_backward_data(l->shared, &rows, &b, s);

	(void)op;
	return st ? st : cuda_ffn_backward_weights(l->shared, &rows, &b, false,
						   s);
}

static enum status sum_over(void *p, uint64_t n, bool bf16, ncclComm_t comm,
			    cudaStream_t s)
{
	if (!comm || !n)
		return ST_OK;
	return cuda_status_nccl(ncclAllReduce(p, p, n, bf16 ? ncclBfloat16
							    : ncclFloat,
					      ncclSum, comm, s),
				"ncclAllReduce()");
}

/* Both of a pair w1, w2. */
static enum status sum_pair(struct cuda_layer *l, void *w1, void *w2,
			    uint64_t n, ncclComm_t comm, cudaStream_t s)
{
	uint64_t parts = (uint64_t)layer_w1_parts(&l->c);
	enum status st = sum_over(w1, n * parts, layer_is_bf16(l), comm, s);

	return st ? st : sum_over(w2, n, layer_is_bf16(l), comm, s);
}

/* A piece, between the layer's own exchanges. */
static enum status sum_dense(struct cuda_layer *l, const struct op *op,
			     cudaStream_t s)
{
	struct layer_dense d = layer_dense_of(&l->c);
	int64_t first, end;

	layer_dense_piece(&d, op, &first, &end);
	if (first == end)
		return ST_OK;
	return cuda_status_nccl(ncclAllReduce(
		l->dense + first, l->dense_sum + first, (size_t)(end - first),
		ncclFloat, ncclSum, l->replicas, s), "ncclAllReduce()");
}

static enum status op_allreduce_gate(struct cuda_layer *l,
				     const struct op *op)
{
	uint64_t hidden = (uint64_t)l->c.hidden;
	ncclComm_t comm = l->comm[op->lane];
	cudaStream_t s = layer_stream(l, op);

	if (op->step == ALLREDUCE_DENSE)
		return sum_dense(l, op, s);
	if (op->step == ALLREDUCE_SHARED)
		return sum_pair(l, l->dws1, l->dws2, hidden *
				(uint64_t)l->c.shared_ffn, comm, s);
	return sum_over(l->dwg, hidden * (uint64_t)l->c.experts, false, comm,
			s);
}

static enum status op_allreduce_expert(struct cuda_layer *l,
				       const struct op *op)
{
	uint64_t n = (uint64_t)l->local * (uint64_t)l->c.hidden *
		     (uint64_t)layer_shard_ffn(&l->c);

	return sum_pair(l, l->dw1, l->dw2, n, op->step == ALLREDUCE_DP ?
			l->dp : l->copies, layer_stream(l, op));
}

typedef enum status op_fn(struct cuda_layer *l, const struct op *op);

static op_fn *const op_table[OP_KIND_N] = {
	[OP_GATE] = op_gate,
	[OP_PERMUTE] = op_permute,
	[OP_DISPATCH] = op_to,
	[OP_ALLGATHER] = op_allgather,
	[OP_EXPERT] = op_expert,
	[OP_REDUCESCATTER] = op_reducescatter,
	[OP_COMBINE] = op_from,
	[OP_UNPERMUTE] = op_unpermute,
	[OP_SHARED] = op_shared,
	[OP_UNPERMUTE_BWD] = op_unpermute_bwd,
	[OP_COMBINE_BWD] = op_to,
	[OP_EXPERT_BWD_DATA] = op_expert_bwd_data,
	[OP_EXPERT_BWD_WEIGHT] = op_expert_bwd_weight,
	[OP_DISPATCH_BWD] = op_from,
	[OP_PERMUTE_BWD] = op_permute_bwd,
	[OP_GATE_BWD] = op_gate_bwd,
	[OP_SHARED_BWD] = op_shared_bwd,
	[OP_ALLREDUCE_GATE] = op_allreduce_gate,
	[OP_ALLREDUCE_EXPERT] = op_allreduce_expert,
};

/*
 * A step that the table puts beside the one before it and that needs what
 * that one brings (dedup's fan-out; see gpu/layer_exchange.h).
 */
static bool needs_previous(const struct cuda_layer *l, int i)
{
	const struct op *op = &l->program->op[i];
	const struct layer_chunk *c;
	bool to = op->kind == OP_DISPATCH || op->kind == OP_COMBINE_BWD;

	if (!op->step || !(to || op->kind == OP_COMBINE ||
			   op->kind == OP_DISPATCH_BWD))
		return false;
	c = &l->pass[op->backward].plan.chunk[op->chunk];
	return (to ? &c->to : &c->back)->x.step[op->step].needs_previous;
}

static enum status wait_for(struct cuda_layer *l, int i, int dep)
{
	const struct op *op = l->program->op;

	if (layer_stream(l, &op[dep]) == layer_stream(l, &op[i]) ||
	    op[dep].backward != op[i].backward)
		return ST_OK;
	return cuda_status(cudaStreamWaitEvent(layer_stream(l, &op[i]),
					       l->done[dep], 0),
			   "cudaStreamWaitEvent()");
}

/* Passes follow each other on the COMPUTE lane, into which all are joined. */
enum status cuda_layer_op(struct cuda_layer *l, int i)
{
	const struct op *op = &l->program->op[i];
	enum status st = ST_OK;
	int d;

	for (d = 0; d < op->n_deps && !st; d++)
		st = wait_for(l, i, op->dep[d]);
	if (!st && needs_previous(l, i))
		st = wait_for(l, i, program_previous_step(l->program, i));
	if (!st)
		st = cuda_layer_trace_op(l, i, false);
	if (!st)
		st = op_table[op->kind](l, op);
	if (!st)
		st = cuda_layer_trace_op(l, i, true);
	if (!st && l->is_awaited[i])
		CUDA_GOTO(out, st, cudaEventRecord(l->done[i],
						   layer_stream(l, op)));
out:
	return st;
}

static double rows_flops(const struct cuda_layer *l, const struct ffn_rows *r)
{
	double rows = 0;
	int e;

	for (e = 0; e < r->experts; e++)
		rows += r->count[e];
	return 2 * rows * l->c.hidden * layer_shard_ffn(&l->c);
}

static enum status tune_chunk(struct cuda_layer *l, int pass, int chunk)
{
	enum ffn_tuned what = !pass ? FFN_TUNE_FORWARD : chunk ?
			      FFN_TUNE_LATER : FFN_TUNE_FIRST;
	struct ffn_buffers b;
	struct ffn_rows rows;
	int64_t base;
	enum status st = cuda_layer_rows(l, pass, chunk, &rows, &base);

	if (st || rows_flops(l, &rows) < TUNE_FLOPS)
		return st;
	b = expert_buffers(l, pass, base);
	if (pass)
		b.y = (char *)l->ye + (size_t)base * l->row_bytes;
	return cuda_ffn_tune(l->ffn, &rows, &b, what, l->lane[LANE_COMPUTE]);
}

/*
 * On what a step has left in the buffers. Chunks of other rows than the first
 * one's want other algorithms: mixtral-1k in 8 chunks took 0.37 ms forward at
 * 64 rows and 0.58 at 80 with what is best for 64.
 */
enum status cuda_layer_tune(struct cuda_layer *l)
{
	enum status st = ST_OK;
	int pass, i;

	for (pass = 1; pass >= 0; pass--) {
		if (!pass && !is_regrouped(l))
			break;
		for (i = 0; i < l->pass[pass].chunks && !st; i++)
			st = tune_chunk(l, pass, i);
	}
	return st;
}
