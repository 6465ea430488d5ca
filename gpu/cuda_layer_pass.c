/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plans of a pass: made on the host from the counts of all ranks, their
 * tables copied to the device. The first plans of a case are made when it is
 * prepared and say how much room there has to be.
 */
#include "gpu/cuda_layer.h"

#include "base/mem.h"
#include "gpu/layer_route.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_SLACK 8	/* one part in so many, and then some */
#define TABLE_ROOM 4096

void cuda_layer_plan_release(struct cuda_layer *l, int pass)
{
	layer_pass_release(&l->pass[pass].plan);
}

/* Into the pinned room, or first: into memory that grows. */
enum status cuda_layer_plan(struct cuda_layer *l, int pass)
{
	struct cuda_pass *p = &l->pass[pass];
	struct layer_cells cells = {
		.ranks = l->ranks, .chunks = l->fine, .slots = l->slots,
		.cell = l->cells_now,
	};
	struct layer_pass_input in = {
		.c = &l->c, .rank = l->rank->rank, .chunks = p->chunks,
		.padded = true, .cells = &cells,
		.is_direct = cuda_layer_is_direct(l),
		.token = (int32_t **const *)l->token[pass],
	};
	enum status st;

	cuda_layer_plan_release(l, pass);
	p->blob.used = 0;
	st = layer_pass_build(&in, &p->blob, &p->plan);
	if (!st && pass && p->chunks != l->pass[0].chunks)
		layer_pass_regroup(&in, &l->pass[0].plan, &p->plan, &p->blob);
	if (!st && p->blob.overflow)
		st = err_set(ST_FAIL, "rank %d: the tables of a pass have "
			     "grown since the layer was prepared",
			     l->rank->rank);
	return st;
}

static bool fits_scratch(const struct cuda_layer *l,
			 const struct layer_pass *p)
{
	const struct xchg *x = &p->chunk[0].to.x;
	bool all = x->has_esp || (p->all_send_rows <= l->all_send_rows &&
				  p->all_recv_rows <= l->all_recv_rows);

	return all && ((!x->has_esp && x->n_steps <= 1) ||
		       (p->send_rows <= l->send_rows &&
			p->recv_rows <= l->recv_rows));
}

static bool fits(const struct cuda_layer *l, int pass)
{
	const struct layer_pass *p = &l->pass[pass].plan;

	return p->rows[XCHG_IN] <= l->in_rows &&
	       p->rows[XCHG_MID0] <= l->mid_rows[0] &&
	       p->rows[XCHG_MID1] <= l->mid_rows[1] &&
	       p->rows[XCHG_OUT] <= l->out_rows &&
	       fits_scratch(l, p) &&
	       p->layout_rows <= l->layout_rows[pass];
}

/* Replaces the memory of the first plan by pinned memory of a fixed size. */
static enum status pin_tables(struct cuda_layer *l, struct cuda_pass *p)
{
	uint64_t cap = p->blob.used + p->blob.used / TABLE_SLACK + TABLE_ROOM;
	char *pinned = NULL;
	enum status st;

	CUDA_GOTO(out, st, cudaMallocHost((void **)&pinned, cap));
	if (p->blob.used)
		memcpy(pinned, p->blob.p, p->blob.used);
	free(p->blob.p);
	p->blob.p = pinned;
	p->blob.cap = cap;
	p->blob.fixed = true;
	st = cuda_layer_alloc(l, &p->tables, cap);
out:
	return st;
}

/* Capacity: where every cell begins among all rows of IN. */
static enum status put_starts(struct cuda_layer *l, struct cuda_pass *p)
{
	size_t slots = (size_t)l->slots, n = slots * (size_t)p->chunks, j;
	int32_t *start = xcalloc(n, sizeof(*start));
	enum status st;
	int i;

	for (i = 0; i < p->chunks; i++) {
		const struct layer_chunk *c = &p->plan.chunk[i];

		for (j = 0; j < slots; j++) {
			start[(size_t)i * slots + j] =
				(int32_t)c->base[XCHG_IN] +
				c->to.x.in_first[j];
		}
	}
	CUDA_GOTO(out, st, cudaMemcpy(p->start, start, n * sizeof(*start),
				      cudaMemcpyHostToDevice));
out:
	free(start);
	return st;
}

/* After the work that is queued on the COMPUTE lane. */
enum status cuda_layer_tables(struct cuda_layer *l, int pass)
{
	struct cuda_pass *p = &l->pass[pass];
	cudaStream_t s = l->lane[LANE_COMPUTE];
	enum status st = ST_OK;

	if (!p->blob.fixed)
		st = pin_tables(l, p);
	else if (!fits(l, pass))
		st = err_set(ST_FAIL, "rank %d: the routing needs more room "
			     "than when the layer was prepared",
			     l->rank->rank);
	if (!st && l->is_static)
		st = put_starts(l, p);
	if (!st && p->blob.used)
		CUDA_GOTO(out, st, cudaMemcpyAsync(
			p->tables, p->blob.p, p->blob.used,
			cudaMemcpyHostToDevice, s));
out:
	return st;
}

/* dedup: which tokens the rows of IN are of, on all ranks. */
enum status cuda_layer_tokens(struct cuda_layer *l)
{
	struct layer_route route;
	enum status st;
	int i, j, n;

	if (l->c.plan.alltoall != A2A_DEDUP ||
	    l->c.plan.layout.ep * l->c.plan.layout.esp == 1)
		return ST_OK;
	st = layer_route_make(&l->c, 1, &route);
	if (st)
		return st;
	for (i = 0; i < CUDA_PASSES; i++) {
		n = l->pass[i].chunks;
		l->token[i] = xcalloc((size_t)n, sizeof(*l->token[i]));
		for (j = 0; j < n; j++)
			l->token[i][j] = layer_chunk_tokens(&l->c, &route, j,
							    n);
	}
	layer_route_release(&route);
	return ST_OK;
}
