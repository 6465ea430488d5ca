/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The direct exchange (gpu/cuda_direct.h) under a layer. x, dy, routing and
 * what comes home lie in one window of each rank; a group is an EP group.
 *
 * Barriers, and what they make safe:
 *	cells (OP_GATE)		x and the routing are there: dispatch reads
 *	each chunk's combine	its sums are there; the rank's reads of others'
 *				x and routing are done
 *	start of backward	dy is there; the stage, which both passes
 *				share, has been read
 * Dropless, the host learns the sizes of the experts' rows when it queues
 * their first product: the rows are on their way by then.
 */
#include "gpu/cuda_layer.h"

#include "base/mem.h"
#include "gpu/layer_order.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_ALIGN 256
#define ROOM_SLACK 16		/* one part in so many, dropless */
#define ROOM_ROWS 64		/* and so many more */

bool cuda_layer_is_direct(const struct cuda_layer *l)
{
	const struct layout *y = &l->c.plan.layout;

	return l->c.plan.alltoall == A2A_DIRECT && y->ep * y->esp > 1;
}

static bool is_regrouped(const struct cuda_layer *l)
{
	return l->pass[0].chunks != l->pass[1].chunks;
}

/* Whose plans are made in each step: see cuda_layer_direct_gate(). */
bool cuda_layer_plans_steps(const struct cuda_layer *l)
{
	return !l->is_planned && (!cuda_layer_is_direct(l) || is_regrouped(l));
}

enum status cuda_layer_direct_check(const struct cuda_layer *l)
{
	const struct layout *y = &l->c.plan.layout;

	if (!cuda_layer_is_direct(l))
		return ST_OK;
	if (y->esp > 1 || layer_copies(&l->c) > 1)
		return err_set(ST_INPUT, "field 'plan': alltoall 'direct' has "
			       "no ESP shards and no copies of experts");
	if (l->c.gpus_per_node % y->ep)
		return err_set(ST_INPUT, "field 'plan': alltoall 'direct' "
			       "wants ep groups inside a node, not ep %d on "
			       "nodes of %d", y->ep, l->c.gpus_per_node);
	return ST_OK;
}

static int group_size(const struct cuda_layer *l)
{
	return l->c.plan.layout.ep;
}

static uint64_t take(uint64_t *used, uint64_t bytes)
{
	uint64_t at = *used;

	*used += (bytes + WINDOW_ALIGN - 1) / WINDOW_ALIGN * WINDOW_ALIGN;
	return at;
}

/* With a capacity a chunk's sums may be of any token. */
static uint64_t stage_bytes(const struct cuda_layer *l)
{
	uint64_t all = (uint64_t)group_size(l) * (uint64_t)l->c.tokens *
		       l->row_bytes;
	int n = l->pass[0].chunks > l->pass[1].chunks ? l->pass[0].chunks
						      : l->pass[1].chunks;

	return l->is_static ? all * (uint64_t)n : all;
}

/* Before the tensors: some of them are in it. */
enum status cuda_layer_direct_window(struct cuda_layer *l)
{
	struct layer_direct *d = &l->direct;
	uint64_t rows = (uint64_t)l->c.tokens * l->row_bytes, used = 0;
	uint64_t pairs = l->pairs * sizeof(int32_t), cells;
	enum status st;
	int i;

	d->x = take(&used, rows);
	d->dy = take(&used, rows);
	d->ids = take(&used, pairs);
	d->weights = take(&used, pairs);
	d->pair = take(&used, pairs);
	for (i = 0; i < CUDA_PASSES; i++) {
		cells = (uint64_t)group_size(l) * (uint64_t)l->slots *
			(uint64_t)l->pass[i].chunks * 2 * sizeof(int32_t);
		d->pos[i] = take(&used, pairs);
		d->cells[i] = take(&used, cells);
	}
	d->stage = take(&used, stage_bytes(l));
	st = cuda_layer_alloc(l, &d->window, used);
	if (st)
		return st;
	l->x = d->window + d->x;
	l->dy = d->window + d->dy;
	l->ids = (int32_t *)(d->window + d->ids);
	l->weights = (float *)(d->window + d->weights);
	for (i = 0; i < CUDA_PASSES; i++)
		l->pass[i].pos = (int32_t *)(d->window + d->pos[i]);
	return ST_OK;
}

/* Of all ranks; this group's are `all`. */
static enum status gather(void *arg, const void *mine, size_t bytes, void *all)
{
	struct cuda_layer *l = arg;
	int n = group_size(l), first = l->rank->rank / n * n;
	cudaStream_t s = l->lane[LANE_COMPUTE];
	char *from = NULL;
	enum status st;

	CUDA_GOTO(out, st, cudaMalloc((void **)&from, bytes *
				      ((size_t)l->ranks + 1)));
	CUDA_GOTO(out, st, cudaMemcpyAsync(from, mine, bytes,
					   cudaMemcpyHostToDevice, s));
	NCCL_GOTO(out, st, ncclAllGather(from, from + bytes, bytes, ncclChar,
					 cuda_comm_find(l->rank, 0), s));
	CUDA_GOTO(out, st, cudaEventRecord(l->counted, s));
	st = cuda_wait(l->rank, l->all, l->counted);
	if (!st)
		CUDA_GOTO(out, st, cudaMemcpy(
			all, from + bytes + (size_t)first * bytes,
			(size_t)n * bytes, cudaMemcpyDeviceToHost));
out:
	cudaFree(from);
	return st;
}

/* Where chunks' rows begin; dropless with room for other routings. */
static int64_t *make_bases(const struct cuda_layer *l, int pass)
{
	const struct layer_pass *p = &l->pass[pass].plan;
	int64_t *base = xcalloc((size_t)p->n + 1, sizeof(*base)), rows;
	int i;

	for (i = 0; i < p->n; i++) {
		rows = p->chunk[i].first[p->chunk[i].rows.experts];
		if (!l->is_planned && !is_regrouped(l))
			rows = (rows + rows / ROOM_SLACK + ROOM_ROWS) /
			       FFN_ALIGN * FFN_ALIGN;
		base[i + 1] = base[i] + rows;
	}
	return base;
}

/* Rows of all chunks of a pass; before the buffers are made. */
int64_t cuda_layer_direct_rows(struct cuda_layer *l, int pass)
{
	struct layer_direct *d = &l->direct;

	free(d->base[pass]);
	d->base[pass] = make_bases(l, pass);
	return d->base[pass][l->pass[pass].chunks];
}

/* Regrouped and dropless: bases follow the plans. */
static enum status put_bases(struct cuda_layer *l, int pass)
{
	struct layer_direct *d = &l->direct;
	size_t n = (size_t)l->pass[pass].chunks + 1;

	cuda_layer_direct_rows(l, pass);
	memcpy(d->base_pinned[pass], d->base[pass], n * sizeof(int64_t));
	return cuda_status(cudaMemcpyAsync(
		d->base_device[pass], d->base_pinned[pass],
		n * sizeof(int64_t), cudaMemcpyHostToDevice,
		l->lane[LANE_COMPUTE]), "cudaMemcpyAsync()");
}

/* Capacity: where each expert's rows begin in each chunk. */
static enum status put_fixed(struct cuda_layer *l, int pass, int32_t **out_p)
{
	const struct layer_pass *p = &l->pass[pass].plan;
	size_t each = (size_t)l->local + 1, n = each * (size_t)p->n, e;
	int32_t *fixed = xcalloc(n, sizeof(*fixed));
	enum status st = cuda_layer_alloc(l, out_p, n * sizeof(*fixed));
	int i;

	for (i = 0; i < p->n && !st; i++) {
		for (e = 0; e < each; e++)
			fixed[(size_t)i * each + e] =
				(int32_t)p->chunk[i].first[e];
	}
	/* pageable: it has been copied when the call is back */
	if (!st)
		CUDA_GOTO(out, st, cudaMemcpyAsync(
			*out_p, fixed, n * sizeof(*fixed),
			cudaMemcpyHostToDevice, l->lane[LANE_COMPUTE]));
out:
	free(fixed);
	return st;
}

static enum status alloc_tables(struct cuda_layer *l, int pass,
				struct direct_cells *c)
{
	struct layer_direct *d = &l->direct;
	size_t chunks = (size_t)c->chunks, local = (size_t)l->local;
	size_t n = chunks * local * sizeof(int32_t);
	size_t ranks = (size_t)group_size(l);
	enum status st = cuda_layer_alloc(
		l, &c->place, cuda_direct_place_numbers(c, (int)ranks) *
		sizeof(int32_t));

	if (!st)
		st = cuda_layer_alloc(l, &c->slot, 3 * ranks * n);
	if (!st)
		st = cuda_layer_alloc(l, &c->kept, n);
	if (!st)
		st = cuda_layer_alloc(l, &c->tail, 2 * n);
	if (!st)
		st = cuda_layer_alloc(l, &d->base_device[pass],
				      (chunks + 1) * sizeof(int64_t));
	if (st)
		return st;
	CUDA_GOTO(out, st, cudaHostAlloc((void **)&d->kept[pass], n,
					 cudaHostAllocMapped));
	CUDA_GOTO(out, st, cudaHostGetDevicePointer((void **)&c->host_kept,
						    d->kept[pass], 0));
	CUDA_GOTO(out, st, cudaMallocHost((void **)&d->base_pinned[pass],
					  (chunks + 1) * sizeof(int64_t)));
	c->row_base = d->base_device[pass];
out:
	return st;
}

static enum status open_pass(struct cuda_layer *l, int pass)
{
	struct layer_direct *d = &l->direct;
	struct cuda_pass *p = &l->pass[pass];
	struct direct_cells *c = &d->pass[pass];
	int32_t *fixed = NULL;
	enum status st;

	*c = (struct direct_cells){
		.tokens = l->c.tokens, .k = l->c.k, .experts = l->slots,
		.chunks = p->chunks, .capacity = (int32_t)l->c.capacity,
		.ids = d->ids, .pos = d->pos[pass], .weights = d->weights,
		.cells = d->cells[pass],
		.row_weight = pass ? NULL : l->kept.r,
	};
	if (l->is_static) {
		c->totals = l->expert_total;
		c->start = p->start;
		st = put_fixed(l, pass, &fixed);
		if (st)
			return st;
		c->fixed = fixed;
	} else {
		c->totals = p->chunks == l->fine ? l->fine_totals : p->totals;
	}
	st = alloc_tables(l, pass, c);
	return st ? st : put_bases(l, pass);
}

enum status cuda_layer_direct_open(struct cuda_layer *l)
{
	struct layer_direct *d = &l->direct;
	int n = group_size(l);
	struct direct_group g = {
		.rank = l->rank->rank % n, .ranks = n, .gather = gather,
		.arg = l,
	};
	enum status st = open_pass(l, 0);

	if (!st && is_regrouped(l))
		st = open_pass(l, 1);
	else
		d->pass[1] = d->pass[0];
	if (!st && is_regrouped(l) && l->is_static)
		st = cuda_layer_alloc(l, &d->run, sizeof(struct k_run) *
				      (size_t)cuda_direct_runs(
					&d->pass[1], n, l->fine));
	if (!st && !ranks_barrier(l->all))
		st = err_set(ST_FAIL, "rank %d: another rank failed",
			     l->rank->rank);
	return st ? st : cuda_direct_open(&g, d->window, &d->d);
}

void cuda_layer_direct_close(struct cuda_layer *l)
{
	struct layer_direct *d = &l->direct;
	int i;

	/* nobody's work is left, and this may not wait for others */
	cuda_direct_close(d->d, false);
	for (i = 0; i < CUDA_PASSES; i++) {
		free(d->base[i]);
		cudaFreeHost(d->kept[i]);
		cudaFreeHost(d->base_pinned[i]);
	}
}

static int64_t row_base(const struct cuda_layer *l, int pass, int chunk)
{
	return l->direct.base[is_regrouped(l) ? pass : 0][chunk];
}

static const struct direct_cells *cells_of(const struct cuda_layer *l,
					   int pass)
{
	return &l->direct.pass[is_regrouped(l) ? pass : 0];
}

static enum status route(struct cuda_layer *l, int pass)
{
	const struct direct_cells *c = cells_of(l, pass);
	cudaStream_t s = l->lane[LANE_COMPUTE];
	enum status st = cuda_direct_cells(l->direct.d, c, LANE_COMPUTE, s);

	if (!st && !l->is_planned && !cuda_layer_plans_steps(l))
		st = cuda_status(cudaEventRecord(l->counted, s),
				 "cudaEventRecord()");
	if (!st)
		st = cuda_layer_mark(l, "cells");
	if (!st)
		st = cuda_direct_places(l->direct.d, c, s);
	return st ? st : cuda_layer_mark(l, "places");
}

enum status cuda_layer_direct_gate(struct cuda_layer *l)
{
	enum status st = ST_OK;

	l->direct.is_known = l->is_planned || cuda_layer_plans_steps(l);
	if (cuda_layer_plans_steps(l))
		st = put_bases(l, 0);
	return st ? st : route(l, 0);
}

enum status cuda_layer_direct_begin_bwd(struct cuda_layer *l)
{
	enum status st = ST_OK;

	if (!is_regrouped(l))
		return cuda_direct_barrier(l->direct.d, LANE_COMPUTE,
					   l->lane[LANE_COMPUTE]);
	if (cuda_layer_plans_steps(l))
		st = put_bases(l, 1);
	return st ? st : route(l, 1);
}

/* Dropless and planned by the device alone: waits once a step. */
enum status cuda_layer_rows(struct cuda_layer *l, int pass, int chunk,
			    struct ffn_rows *rows, int64_t *base)
{
	const struct layer_chunk *c = &l->pass[pass].plan.chunk[chunk];
	enum status st;

	*rows = c->rows;
	*base = c->layout_base;
	if (!cuda_layer_is_direct(l) || l->is_planned ||
	    cuda_layer_plans_steps(l))
		return ST_OK;
	if (!l->direct.is_known) {
		st = cuda_layer_wait_cells(l);
		if (!st)
			st = cuda_direct_error(l->direct.d);
		if (st)
			return st;
		l->direct.is_known = true;
	}
	*rows = ffn_rows_of(l->direct.kept[0] + chunk * l->local, l->local);
	*base = row_base(l, pass, chunk);
	return ST_OK;
}

/*
 * With a capacity the rows of an expert lie without gaps, other than the
 * plan's slots: how many there are only the device knows.
 */
enum status cuda_layer_direct_regroup(struct cuda_layer *l, int chunk,
				      struct k_move *m)
{
	struct layer_direct *d = &l->direct;

	m->run = d->run;
	m->n = cuda_direct_runs(&d->pass[1], group_size(l), l->fine);
	m->rows = (uint64_t)(d->base[1][chunk + 1] - d->base[1][chunk]);
	return cuda_direct_regroup(d->d, &d->pass[0], &d->pass[1], chunk,
				   l->fine, d->run, l->lane[LANE_COMPUTE]);
}

static struct direct_route chunk_of(const struct cuda_layer *l, int pass,
				    int chunk)
{
	return cuda_direct_chunk(l->direct.d, cells_of(l, pass), chunk);
}

/* First token of a chunk: what offsets of tokens' rows are moved by. */
static uint64_t first_token(const struct cuda_layer *l, int pass, int chunk)
{
	return l->is_static ? 0 : (uint64_t)order_first(
		l->c.tokens, chunk, l->pass[pass].chunks);
}

/*
 * CTAs of an exchange's kernels: the plan's; else as many as run best, or
 * beside products that take every multiprocessor: a part of them.
 */
static int ctas_of(const struct cuda_layer *l, const struct op *op)
{
	bool is_beside = l->c.plan.overlap && op->kind == OP_DISPATCH_BWD &&
			 op->n_chunks == 1;

	if (l->c.plan.ctas)
		return l->c.plan.ctas;
	return is_beside ? cuda_layer_beside(l) : 0;
}

enum status cuda_layer_direct_to(struct cuda_layer *l, const struct op *op)
{
	struct layer_direct *d = &l->direct;
	int pass = op->backward;
	struct direct_route r = chunk_of(l, pass, op->chunk);
	uint64_t from = (pass ? d->dy : d->x) +
			first_token(l, pass, op->chunk) * l->row_bytes;
	void *to = layer_row(l, pass ? l->ye : l->kept.x,
			     row_base(l, pass, op->chunk));

	cuda_direct_limit(d->d, ctas_of(l, op));
	return cuda_direct_dispatch(d->d, &r, from, l->row_bytes, to,
				    layer_stream(l, op));
}

static struct direct_combine sums_of(const struct cuda_layer *l, int pass,
				     int chunk)
{
	const struct layer_direct *d = &l->direct;
	uint64_t token = first_token(l, pass, chunk), all;
	int64_t base = row_base(l, pass, chunk);

	all = (uint64_t)group_size(l) * (uint64_t)l->c.tokens * l->row_bytes;
	return (struct direct_combine){
		.rows = layer_row(l, pass ? l->dxe : l->ye, base),
		.columns = l->c.hidden, .bf16 = layer_is_bf16(l),
		.is_marked = true, .add = l->c.shared_ffn > 0,
		.stage = d->stage + (l->is_static
			? (uint64_t)chunk * all
			: token * (uint64_t)group_size(l) * l->row_bytes),
		.out = layer_row(l, pass ? l->dx : l->y, (int64_t)token),
		.pair = pass ? l->dr + base : NULL,
		.out_pair = d->pair + token * (uint64_t)l->c.k * sizeof(float),
	};
}

/* Sums that need nothing else are added beside later chunks' products. */
static bool adds_early(const struct cuda_layer *l, int pass)
{
	return !l->c.shared_ffn &&
	       (!l->is_static || l->pass[pass].chunks == 1);
}

enum status cuda_layer_direct_from(struct cuda_layer *l, const struct op *op)
{
	struct cuda_direct *d = l->direct.d;
	struct direct_route r = chunk_of(l, op->backward, op->chunk);
	struct direct_combine c = sums_of(l, op->backward, op->chunk);
	cudaStream_t s = layer_stream(l, op);
	enum status st;

	cuda_direct_limit(d, ctas_of(l, op));
	if (adds_early(l, op->backward))
		return cuda_direct_combine(d, &r, &c, LANE_INTRA, s);
	st = cuda_direct_send_sums(d, &r, &c, s);
	return st ? st : cuda_direct_barrier(d, LANE_INTRA, s);
}

/* With a capacity a token's copies are in different chunks. */
static enum status add_all_chunks(struct cuda_layer *l, int pass)
{
	struct direct_route r = chunk_of(l, pass, 0);
	struct direct_combine c = sums_of(l, pass, 0);

	c.chunks = l->pass[pass].chunks;
	c.place_step = (uint64_t)group_size(l) * l->pairs;
	c.stage_step = (uint64_t)group_size(l) * (uint64_t)l->c.tokens *
		       l->row_bytes;
	c.row_base = cells_of(l, pass)->row_base;
	return cuda_direct_add_sums(l->direct.d, &r, &c,
				    l->lane[LANE_COMPUTE]);
}

enum status cuda_layer_direct_add(struct cuda_layer *l, int pass)
{
	struct direct_route r;
	struct direct_combine c;
	enum status st = ST_OK;
	int i;

	if (adds_early(l, pass))
		return ST_OK;
	cuda_direct_limit(l->direct.d, 0);	/* nothing is beside it */
	if (l->is_static)
		return add_all_chunks(l, pass);
	for (i = 0; i < l->pass[pass].chunks && !st; i++) {
		r = chunk_of(l, pass, i);
		c = sums_of(l, pass, i);
		st = cuda_direct_add_sums(l->direct.d, &r, &c,
					  l->lane[LANE_COMPUTE]);
	}
	return st;
}
