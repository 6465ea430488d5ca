/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A layer's device memory and its data. */
#include "gpu/cuda_layer.h"

#include "base/mem.h"
#include "gpu/layer_route.h"

#include <stdlib.h>
#include <string.h>

#define GB 1e9
#define POISON 0xff	/* bytes; a NaN, what nobody wrote is seen */

static enum status no_room(const struct cuda_layer *l, uint64_t bytes)
{
	size_t free_bytes = 0, total = 0;

	(void)cudaGetLastError();
	cudaMemGetInfo(&free_bytes, &total);
	return err_set(ST_FAIL, "rank %d: out of GPU memory: a buffer of %.3g "
		       "GB for the layer, %.3g GB of %.3g GB free",
		       l->rank->rank, (double)bytes / GB,
		       (double)free_bytes / GB, (double)total / GB);
}

enum status cuda_layer_alloc(struct cuda_layer *l, void *out_p, uint64_t bytes)
{
	void *p = NULL;
	cudaError_t rc;

	memcpy(out_p, &p, sizeof(p));
	if (!bytes)
		return ST_OK;
	rc = cudaMalloc(&p, bytes);
	if (rc == cudaErrorMemoryAllocation)
		return no_room(l, bytes);
	if (rc != cudaSuccess)
		return cuda_status(rc, "cudaMalloc()");
	rc = cudaMemsetAsync(p, POISON, bytes, l->lane[LANE_COMPUTE]);
	l->owned = array_grow(l->owned, &l->cap_owned, l->n_owned + 1,
			      sizeof(*l->owned));
	l->owned[l->n_owned++] = p;
	memcpy(out_p, &p, sizeof(p));
	return cuda_status(rc, "cudaMemsetAsync()");
}

/* What to allocate: a list, so that one loop does it. */
struct want {
	void *out_p;
	uint64_t bytes;
};

static enum status alloc_all(struct cuda_layer *l, const struct want *w,
			     size_t n)
{
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < n && !st; i++)
		st = cuda_layer_alloc(l, w[i].out_p, w[i].bytes);
	return st;
}

#define ALLOC_ALL(l, w) alloc_all((l), (w), sizeof(w) / sizeof((w)[0]))

static uint64_t w1_elements(const struct cuda_layer *l)
{
	return (uint64_t)l->local * (uint64_t)l->c.hidden *
	       (uint64_t)layer_shard_ffn(&l->c) *
	       (uint64_t)layer_w1_parts(&l->c);
}

static uint64_t w2_elements(const struct cuda_layer *l)
{
	return w1_elements(l) / (uint64_t)layer_w1_parts(&l->c);
}

static uint64_t ws2_elements(const struct cuda_layer *l)
{
	return (uint64_t)l->c.hidden * (uint64_t)l->c.shared_ffn;
}

static enum status alloc_tensors(struct cuda_layer *l)
{
	const struct layer_case *c = &l->c;
	uint64_t rows = (uint64_t)c->tokens * l->row_bytes, e = l->element;
	uint64_t w1 = w1_elements(l) * e, w2 = w2_elements(l) * e;
	uint64_t ws2 = ws2_elements(l) * e;
	uint64_t ws1 = ws2 * (uint64_t)layer_w1_parts(c);
	uint64_t gate = (uint64_t)c->hidden * (uint64_t)c->experts;
	uint64_t inner = (uint64_t)c->tokens * (uint64_t)c->shared_ffn * e;
	uint64_t scores = (uint64_t)c->tokens * (uint64_t)c->experts;
	const struct want w[] = {
		{ &l->y, rows },
		{ &l->dx, rows }, { &l->wg, gate * e }, { &l->w1, w1 },
		{ &l->w2, w2 }, { &l->ws1, ws1 }, { &l->ws2, ws2 },
		{ &l->dw1, w1 }, { &l->dw2, w2 }, { &l->dws1, ws1 },
		{ &l->dws2, ws2 }, { &l->dwg, gate * sizeof(float) },
		{ &l->dlogits, scores * e },
		{ &l->logits, scores * sizeof(float) },
		{ &l->shared_pre, inner * (uint64_t)layer_w1_parts(c) },
		{ &l->shared_h, inner }, { &l->shared_g, inner },
	};

	return ALLOC_ALL(l, w);
}

/* What others read, too, when they can. */
static enum status alloc_shown(struct cuda_layer *l)
{
	uint64_t rows = (uint64_t)l->c.tokens * l->row_bytes;
	uint64_t n = l->pairs * sizeof(int32_t);
	const struct want w[] = {
		{ &l->x, rows }, { &l->dy, rows }, { &l->ids, n },
		{ &l->weights, n }, { &l->pass[0].pos, n },
		{ &l->pass[1].pos, n },
	};

	return cuda_layer_is_direct(l) ? cuda_layer_direct_window(l)
				       : ALLOC_ALL(l, w);
}

static enum status alloc_routing(struct cuda_layer *l)
{
	uint64_t n = l->pairs * sizeof(int32_t);
	uint64_t cells = (uint64_t)l->fine * (uint64_t)l->slots *
			 sizeof(int32_t);
	uint64_t all = cells * (uint64_t)l->ranks;
	const struct want w[] = {
		{ &l->slot_ids, n }, { &l->keys, n },
		{ &l->sorted, n }, { &l->fine_pos, n },
		{ &l->pass[0].add_pos, n }, { &l->pass[1].add_pos, n },
		{ &l->pass[0].start, cells }, { &l->pass[1].start, cells },
		{ &l->pass[0].totals, cells }, { &l->pass[1].totals, cells },
		{ &l->fine_totals, cells }, { &l->cells, all },
		{ &l->expert_total, K_EXPERTS_MAX * sizeof(int32_t) },
		{ &l->pulse, sizeof(int32_t) },
		{ &l->sort_workspace, k_sort_workspace_bytes(
			l->pairs, K_EXPERTS_MAX) },
	};
	enum status st = ALLOC_ALL(l, w);

	if (!st)
		CUDA_GOTO(out, st, cudaMallocHost((void **)&l->cells_host,
						  all));
out:
	return st;
}

static enum status fill(struct cuda_layer *l, void *p, enum layer_tensor t,
			struct k_fill_part f)
{
	f.key = layer_key(l->c.seed, l->rank->rank, t);
	if (f.scale == 0)
		f.scale = 1;
	return cuda_status(k_layer_fill(p, layer_is_bf16(l), &f,
					l->lane[LANE_COMPUTE]),
			   "k_layer_fill()");
}

static enum status fill_rows(struct cuda_layer *l, void *p,
			     enum layer_tensor t, int rows, int cols,
			     float scale)
{
	return fill(l, p, t, (struct k_fill_part){
		.rows = (uint64_t)rows, .cols = (uint64_t)cols,
		.ld = (uint64_t)cols, .pitch = (uint64_t)cols,
		.scale = scale });
}

/* One part (silu's columns, or the factors) of a local expert's w1. */
static enum status fill_w1_part(struct cuda_layer *l, int expert, int part)
{
	const struct layer_case *c = &l->c;
	int parts = layer_w1_parts(c), shard = layer_shard_ffn(c);
	uint64_t at = (uint64_t)expert * (uint64_t)c->hidden *
		      (uint64_t)(parts * shard) + (uint64_t)(part * shard);

	return fill(l, (char *)l->w1 + at * l->element, LAYER_W1,
		    (struct k_fill_part){
			.rows = (uint64_t)c->hidden, .cols = (uint64_t)shard,
			.ld = (uint64_t)(parts * shard),
			.first = layer_w1_index(c, l->rank->rank, expert, 0,
						part * shard),
			.pitch = (uint64_t)c->ffn * (uint64_t)parts,
			.scale = layer_weight_scale(c->hidden) });
}

static enum status fill_local(struct cuda_layer *l, int expert)
{
	const struct layer_case *c = &l->c;
	int shard = layer_shard_ffn(c), part;
	uint64_t at = (uint64_t)expert * (uint64_t)shard *
		      (uint64_t)c->hidden;
	enum status st = ST_OK;

	for (part = 0; part < layer_w1_parts(c) && !st; part++)
		st = fill_w1_part(l, expert, part);
	if (st)
		return st;
	return fill(l, (char *)l->w2 + at * l->element, LAYER_W2,
		    (struct k_fill_part){
			.rows = (uint64_t)shard, .cols = (uint64_t)c->hidden,
			.ld = (uint64_t)c->hidden,
			.first = layer_w2_index(c, l->rank->rank, expert, 0,
						0),
			.pitch = (uint64_t)c->hidden,
			.scale = layer_weight_scale(c->ffn) });
}

static enum status fill_tensors(struct cuda_layer *l)
{
	const struct layer_case *c = &l->c;
	int shared = c->shared_ffn, e;
	enum status st = fill_rows(l, l->x, LAYER_X, c->tokens, c->hidden, 1);

	if (!st)
		st = fill_rows(l, l->dy, LAYER_DY, c->tokens, c->hidden, 1);
	if (!st)
		st = fill_rows(l, l->wg, LAYER_WG, c->hidden, c->experts,
			       LAYER_GATE_SCALE);
	for (e = 0; e < l->local && !st; e++)
		st = fill_local(l, e);
	if (st || !shared)
		return st;
	st = fill_rows(l, l->ws1, LAYER_WS1, c->hidden,
		       shared * layer_w1_parts(c),
		       layer_weight_scale(c->hidden));
	if (!st)
		st = fill_rows(l, l->ws2, LAYER_WS2, shared, c->hidden,
			       layer_weight_scale(shared));
	return st;
}

/* Dense gradients of the rank, and room for their sums. */
static enum status make_dense(struct cuda_layer *l)
{
	struct layer_dense d = layer_dense_of(&l->c);
	uint64_t n = (uint64_t)d.n;
	struct k_fill_part f = { .rows = 1, .cols = n, .ld = n, .pitch = n,
				 .key = layer_dense_key(&l->c, l->rank->rank),
				 .scale = 1 };
	const struct want w[] = {
		{ &l->dense, n * sizeof(float) },
		{ &l->dense_sum, n * sizeof(float) },
	};
	enum status st = ALLOC_ALL(l, w);

	if (st || !n)
		return st;
	return cuda_status(k_layer_fill(l->dense, false, &f,
					l->lane[LANE_COMPUTE]),
			   "k_layer_fill()");
}

static enum status give_ids(struct cuda_layer *l)
{
	int32_t *id = xcalloc(l->pairs + 1, sizeof(*id));
	enum status st;

	layer_given_ids(&l->c, l->rank->rank, id);
	CUDA_GOTO(out, st, cudaMemcpy(l->ids, id, l->pairs * sizeof(*id),
				      cudaMemcpyHostToDevice));
out:
	free(id);
	return st;
}

enum status cuda_layer_tensors(struct cuda_layer *l)
{
	enum status st = alloc_tensors(l);

	if (!st)
		st = alloc_shown(l);
	if (!st)
		st = alloc_routing(l);
	if (!st)
		st = fill_tensors(l);
	if (!st)
		st = make_dense(l);
	if (!st)
		CUDA_GOTO(out, st, cudaStreamSynchronize(
			l->lane[LANE_COMPUTE]));
	if (!st && l->c.count)
		st = give_ids(l);
out:
	return st;
}

static void most(int64_t *to, int64_t n)
{
	if (n > *to)
		*to = n;
}

/* A way's only step has scratch of its chunk alone (cuda_layer_arrive()). */
static void count_scratch(struct cuda_layer *l, const struct layer_pass *p)
{
	const struct xchg *x = &p->chunk[0].to.x;

	if (!x->has_esp) {
		most(&l->all_send_rows, p->all_send_rows);
		most(&l->all_recv_rows, p->all_recv_rows);
	}
	if (x->has_esp || x->n_steps > 1) {
		most(&l->send_rows, p->send_rows);
		most(&l->recv_rows, p->recv_rows);
	}
}

static void count_rows(struct cuda_layer *l)
{
	const struct layer_pass *p;
	int i;

	for (i = 0; i < CUDA_PASSES; i++) {
		p = &l->pass[i].plan;
		most(&l->in_rows, p->rows[XCHG_IN]);
		most(&l->mid_rows[0], p->rows[XCHG_MID0]);
		most(&l->mid_rows[1], p->rows[XCHG_MID1]);
		most(&l->out_rows, p->rows[XCHG_OUT]);
		count_scratch(l, p);
		l->layout_rows[i] = cuda_layer_is_direct(l)
			? cuda_layer_direct_rows(l, i) : p->layout_rows;
	}
}

static enum status alloc_rows(struct cuda_layer *l, struct cuda_rows *r,
			      int64_t rows)
{
	uint64_t n = (uint64_t)rows;
	uint64_t inner = n * (uint64_t)layer_shard_ffn(&l->c) * l->element;
	const struct want w[] = {
		{ &r->x, n * l->row_bytes }, { &r->h, inner },
		{ &r->pre, inner * (uint64_t)layer_w1_parts(&l->c) },
		{ &r->r, n * sizeof(float) },
	};

	return ALLOC_ALL(l, w);
}

static enum status alloc_travel(struct cuda_layer *l)
{
	bool esp = l->c.plan.layout.esp > 1;
	uint64_t in = (uint64_t)l->in_rows;
	uint64_t out = esp ? (uint64_t)l->out_rows : 0;
	uint64_t send = (uint64_t)l->send_rows, recv = (uint64_t)l->recv_rows;
	uint64_t all = (uint64_t)l->all_send_rows;
	uint64_t all_recv = (uint64_t)l->all_recv_rows;
	uint64_t b = l->row_bytes, f = sizeof(float);
	const struct want w[] = {
		{ &l->in, in * b }, { &l->in_s, in * f },
		{ &l->mid[0], (uint64_t)l->mid_rows[0] * b },
		{ &l->mid[1], (uint64_t)l->mid_rows[1] * b },
		{ &l->out, out * b }, { &l->out_s, out * f },
		{ &l->send[LANE_INTRA], send * b },
		{ &l->send[LANE_INTER], send * b },
		{ &l->recv[LANE_INTRA], recv * b },
		{ &l->recv[LANE_INTER], recv * b },
		{ &l->send_s[LANE_INTRA], send * f },
		{ &l->send_s[LANE_INTER], send * f },
		{ &l->recv_s[LANE_INTRA], recv * f },
		{ &l->recv_s[LANE_INTER], recv * f },
		{ &l->all_send, all * b }, { &l->all_recv, all_recv * b },
		{ &l->all_send_s, all * f }, { &l->all_recv_s, all_recv * f },
	};

	return ALLOC_ALL(l, w);
}

enum status cuda_layer_buffers(struct cuda_layer *l)
{
	int64_t rows, back;
	enum status st;

	count_rows(l);
	back = l->layout_rows[1];
	rows = l->layout_rows[0] > back ? l->layout_rows[0] : back;
	st = cuda_layer_is_direct(l) ? ST_OK : alloc_travel(l);
	if (!st)
		st = alloc_rows(l, &l->kept, l->layout_rows[0]);
	if (!st && l->pass[0].chunks != l->pass[1].chunks)
		st = alloc_rows(l, &l->regrouped, back);
	if (!st) {
		const struct want w[] = {
			{ &l->ye, (uint64_t)rows * l->row_bytes },
			{ &l->dxe, (uint64_t)back * l->row_bytes },
			{ &l->g, (uint64_t)back * l->element *
				 (uint64_t)layer_shard_ffn(&l->c) },
			{ &l->dr, (uint64_t)back * sizeof(float) },
		};

		st = ALLOC_ALL(l, w);
	}
	return st;
}
