/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a layer on one rank, and taking it down. */
#include "gpu/cuda_layer.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define BESIDE_PART 8	/* of the multiprocessors, beside products */

static int gcd(int a, int b)
{
	return b ? gcd(b, a % b) : a;
}

static enum status check_sizes(const struct cuda_layer *l)
{
	if (l->slots > K_EXPERTS_MAX || l->c.experts > K_EXPERTS_MAX)
		return err_set(ST_INPUT, "backend 'cuda' has at most %d "
			       "experts, not %d", K_EXPERTS_MAX, l->slots);
	if (l->fine > CUDA_LAYER_CHUNKS_MAX)
		return err_set(ST_INPUT, "backend 'cuda' has at most %d chunks "
			       "that both degrees divide, not %d",
			       CUDA_LAYER_CHUNKS_MAX, l->fine);
	return cuda_layer_direct_check(l);
}

/* Is a pass a chain, each op after the one before it? Then one stream does,
 * and nothing waits for events. */
static bool is_chain(const struct cuda_layer *l, int pass)
{
	return cuda_layer_is_direct(l) && l->pass[pass].chunks == 1 &&
	       l->c.plan.layout.dp == 1 && !l->c.shared_ffn &&
	       !(pass && (l->c.plan.overlap || layer_dense_of(&l->c).n));
}

static void set_sizes(struct cuda_layer *l)
{
	const struct plan *p = &l->c.plan;

	l->ranks = layer_ranks(&l->c);
	l->local = layer_local_experts(&l->c);
	l->slots = layer_slots(&l->c);
	l->element = layer_is_bf16(l) ? sizeof(uint16_t) : sizeof(float);
	l->row_bytes = (size_t)l->c.hidden * l->element;
	l->pairs = (uint64_t)l->c.tokens * (uint64_t)l->c.k;
	l->is_static = l->c.capacity > 0;
	l->is_planned = l->is_static || (l->c.count && l->c.counts_known);
	l->pass[0].chunks = p->degree_forward;
	l->pass[1].chunks = p->degree_backward;
	l->is_chain[0] = is_chain(l, 0);
	l->is_chain[1] = is_chain(l, 1);
	l->fine = p->degree_forward / gcd(p->degree_forward,
					  p->degree_backward) *
		  p->degree_backward;
}

/* The COMPUTE lane is the rank's own stream. */
static enum status open_lanes(struct cuda_layer *l)
{
	int low, high, i;
	enum status st;

	l->lane[LANE_COMPUTE] = l->rank->main;
	CUDA_GOTO(out, st, cudaDeviceGetStreamPriorityRange(&low, &high));
	for (i = 0; i < LANE_N; i++) {
		CUDA_GOTO(out, st, cudaEventCreateWithFlags(
			&l->joined[i], cudaEventDisableTiming));
		if (i != LANE_COMPUTE)
			CUDA_GOTO(out, st, cudaStreamCreateWithPriority(
				&l->lane[i], cudaStreamNonBlocking, high));
	}
	CUDA_GOTO(out, st, cudaEventCreateWithFlags(&l->counted,
						    cudaEventDisableTiming));
out:
	return st;
}

/* Events of ops that another lane waits for, or may (needs_previous). */
static enum status open_events(struct cuda_layer *l)
{
	const struct program *p = l->program;
	const struct op *op = p->op;
	enum status st = ST_OK;
	int i, d;

	l->done = xcalloc((size_t)p->n_ops, sizeof(cudaEvent_t));
	l->is_awaited = xcalloc((size_t)p->n_ops, sizeof(*l->is_awaited));
	for (i = 0; i < p->n_ops; i++) {
		for (d = 0; d < op[i].n_deps; d++) {
			if (layer_stream(l, &op[op[i].dep[d]]) !=
			    layer_stream(l, &op[i]))
				l->is_awaited[op[i].dep[d]] = true;
		}
		d = program_previous_step(p, i);
		if (d >= 0 && layer_stream(l, &op[d]) != layer_stream(l, &op[i]))
			l->is_awaited[d] = true;
	}
	for (i = 0; i < p->n_ops; i++) {
		if (l->is_awaited[i])
			CUDA_GOTO(out, st, cudaEventCreateWithFlags(
				&l->done[i], cudaEventDisableTiming));
	}
out:
	return st;
}

/* A workspace of its own: what cuBLAS allocates cannot be captured. Setting
 * the stream comes first, it resets the workspace. */
static enum status open_blas(struct cuda_layer *l)
{
	enum status st = cuda_layer_alloc(l, &l->blas_workspace,
					  CUDA_LT_WORKSPACE_BYTES);

	if (st)
		return st;
	BLAS_GOTO(out, st, cublasCreate(&l->blas));
	BLAS_GOTO(out, st, cublasSetStream(l->blas, l->lane[LANE_COMPUTE]));
	BLAS_GOTO(out, st, cublasSetWorkspace(l->blas, l->blas_workspace,
					      CUDA_LT_WORKSPACE_BYTES));
out:
	return st;
}

int cuda_layer_beside(const struct cuda_layer *l)
{
	return l->c.plan.ctas ? l->c.plan.ctas : l->rank->sms / BESIDE_PART;
}

/*
 * Multiprocessors that products of a part leave to the exchanges beside them.
 * With overlap=weight and one chunk the exchange begins with dw2's products;
 * what is left of it then keeps its multiprocessors until it is done, and
 * those of dw1 take them after it.
 */
static int left_by(const struct cuda_layer *l, enum ffn_part part,
		   bool is_shared)
{
	if (l->pass[part != FFN_FORWARD].chunks > 1)
		return l->c.plan.ctas;
	if (!l->c.plan.overlap)
		return 0;
	if (is_shared)
		return l->c.plan.ctas;
	return part == FFN_WEIGHTS_2 ? cuda_layer_beside(l) : 0;
}

static void leave(const struct cuda_layer *l, struct cuda_ffn *f,
		  bool is_shared)
{
	int part;

	for (part = 0; part < FFN_PARTS; part++)
		cuda_ffn_leave(f, (enum ffn_part)part,
			       left_by(l, (enum ffn_part)part, is_shared));
}

static enum status open_ffn(struct cuda_layer *l)
{
	struct ffn_shape shape = {
		.experts = l->local, .hidden = l->c.hidden,
		.ffn = layer_shard_ffn(&l->c), .gated = l->c.gated,
		.bf16 = layer_is_bf16(l),
	};
	enum status st = cuda_ffn_get(&l->rank->ffn, &shape, &l->ffn);

	if (!st)
		leave(l, l->ffn, false);
	if (st || !l->c.shared_ffn)
		return st;
	shape.experts = 1;
	shape.ffn = l->c.shared_ffn;
	st = cuda_ffn_get(&l->rank->ffn, &shape, &l->shared);
	if (!st)
		leave(l, l->shared, true);
	return st;
}

static enum status wait_all(struct cuda_layer *l)
{
	cudaStream_t s = l->lane[LANE_COMPUTE];
	enum status st;

	CUDA_GOTO(out, st, cudaEventRecord(l->counted, s));
	st = cuda_wait(l->rank, l->all, l->counted);
	if (!st && l->direct.d)
		st = cuda_direct_error(l->direct.d);
out:
	return st;
}

/* Where both passes have the same chunks they share their positions. */
static void share(struct cuda_layer *l)
{
	if (layer_copies(&l->c) == 1)
		l->slot_ids = l->ids;
	if (l->pass[0].chunks == l->pass[1].chunks) {
		l->pass[1].pos = l->pass[0].pos;
		l->direct.pos[1] = l->direct.pos[0];
	}
}

/* The counts of the first pass, or those of the capacity. */
static enum status first_cells(struct cuda_layer *l)
{
	enum status st;

	if (l->is_static) {
		l->cells_now = l->capacity_cells =
			layer_capacity_cells(&l->c, l->fine);
		return ST_OK;
	}
	st = cuda_layer_gate(l);
	if (!st)
		st = cuda_layer_gather_cells(l);
	if (!st)
		st = cuda_wait(l->rank, l->all, l->counted);
	l->cells_now = l->cells_host;
	return st;
}

static enum status first_plans(struct cuda_layer *l)
{
	enum status st = cuda_layer_tokens(l);
	int i;

	if (!st)
		st = first_cells(l);
	for (i = 0; i < CUDA_PASSES && !st; i++)
		st = cuda_layer_plan(l, i);
	if (!st)
		st = cuda_layer_buffers(l);
	for (i = 0; i < CUDA_PASSES && !st; i++)
		st = cuda_layer_tables(l, i);
	if (!st && cuda_layer_is_direct(l))
		st = cuda_layer_direct_open(l);
	return st;
}

static enum status meet(struct cuda_layer *l)
{
	return ranks_barrier(l->all) ? ST_OK :
		err_set(ST_FAIL, "rank %d: another rank failed",
			l->rank->rank);
}

/*
 * Through shared memory NCCL's kernels are slower in a graph: 50 MB take 2.30 ms
 * there and 2.10 outside, both alone (2 x H200, NCCL 2.28.3), a step of
 * dsv2-lite-8k 22.6 and 21.4. Such steps are long enough to be queued in time.
 */
static bool is_captured(const struct cuda_layer *l)
{
	return l->c.graph && l->is_planned && strcmp(l->c.tier, "shm");
}

/* Nobody enters an exchange whose peer could not get its memory. */
static enum status make(struct cuda_layer *l)
{
	enum status st = cuda_layer_tensors(l);

	share(l);
	if (!st)
		st = meet(l);
	if (!st)
		st = first_plans(l);
	if (!st)
		st = meet(l);
	/* what NCCL connects and cuBLAS loads at first use */
	if (!st)
		st = cuda_layer_warm(l);
	if (!st)
		st = wait_all(l);
	if (!st)
		st = cuda_layer_tune(l);
	if (!st && is_captured(l)) {
		/* the tuned products once more, before they are captured */
		st = cuda_layer_warm(l);
		if (!st)
			st = wait_all(l);
		if (!st)
			st = cuda_layer_capture(l);
	}
	return st ? st : cuda_layer_trace(l);
}

enum status cuda_layer_open(struct cuda_rank *r, struct ranks *all,
			    const struct layer_case *c,
			    const struct program *p, const ncclUniqueId *id)
{
	struct cuda_layer *l = xcalloc(1, sizeof(*l));
	enum status st;

	r->layer = l;
	l->c = *c;
	l->program = p;
	l->rank = r;
	l->all = all;
	set_sizes(l);
	CUDA_GOTO(out, st, cudaSetDevice(r->device));
	st = check_sizes(l);
	if (!st)
		st = open_lanes(l);
	if (!st)
		st = open_events(l);
	if (!st)
		st = open_blas(l);
	if (!st)
		st = open_ffn(l);
	if (!st)
		st = meet(l);
	if (!st)
		st = cuda_layer_comms(l, id);
	if (!st)
		st = make(l);
out:
	return st;
}

static void close_pass(struct cuda_layer *l, int pass)
{
	struct cuda_pass *p = &l->pass[pass];
	int i;

	if (p->graph)
		cudaGraphExecDestroy(p->graph);
	cuda_layer_plan_release(l, pass);
	if (p->blob.fixed)
		cudaFreeHost(p->blob.p);
	else
		free(p->blob.p);
	for (i = 0; l->token[pass] && i < p->chunks; i++)
		free(l->token[pass][i]);
	free(l->token[pass]);
}

static void close_lanes(struct cuda_layer *l)
{
	int i;

	for (i = 0; i < LANE_N; i++) {
		if (l->joined[i])
			cudaEventDestroy(l->joined[i]);
		if (l->lane[i] && l->lane[i] != l->lane[LANE_COMPUTE])
			cudaStreamDestroy(l->lane[i]);
	}
	for (i = 0; l->done && i < l->program->n_ops; i++) {
		if (l->done[i])
			cudaEventDestroy(l->done[i]);
	}
	if (l->counted)
		cudaEventDestroy(l->counted);
}

void cuda_layer_close(struct cuda_rank *r)
{
	struct cuda_layer *l = r->layer;
	int i;

	if (!l)
		return;
	cudaSetDevice(r->device);
	for (i = 0; i < CUDA_PASSES; i++)
		close_pass(l, i);
	close_lanes(l);
	cuda_layer_direct_close(l);
	if (l->blas)
		cublasDestroy(l->blas);
	while (l->n_owned > 0)
		cudaFree(l->owned[--l->n_owned]);
	cudaFreeHost(l->cells_host);
	free(l->capacity_cells);
	free(l->owned);
	free(l->done);
	free(l->is_awaited);
	free(l->forward_s);
	free(l->step_s);
	free(l);
	r->layer = NULL;
}
