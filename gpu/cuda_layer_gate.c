/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate of a layer, forward and backward, and the order of what is sent. */
#include "gpu/cuda_layer.h"

#include "gpu/layer_math.h"

#include <string.h>

#define SPINS_MAX 20000		/* looks before the slower wait takes over */

static const float one = 1, zero = 0, kept_bf16 = MATH_BF16_KEPT;

static cudaDataType_t type_of(const struct cuda_layer *l)
{
	return layer_is_bf16(l) ? CUDA_R_16BF : CUDA_R_32F;
}

/*
 * Row-major matrices are their transposes to cuBLAS. Logits stay fp32:
 * rounding them would change the choice of experts.
 */
static enum status logits(struct cuda_layer *l)
{
	const struct layer_case *c = &l->c;

	return cuda_status_blas(cublasGemmEx(
		l->blas, CUBLAS_OP_N, CUBLAS_OP_N, c->experts, c->tokens,
		c->hidden, &one, l->wg, type_of(l), c->experts, l->x,
		type_of(l), c->hidden, &zero, l->logits, CUDA_R_32F,
		c->experts, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
		"cublasGemmEx()");
}

/* Given routings have their experts already. */
static enum status choose(struct cuda_layer *l, cudaStream_t s)
{
	const struct layer_case *c = &l->c;
	uint64_t tokens = (uint64_t)c->tokens;

	if (!c->count)
		return cuda_status(k_layer_choose(l->logits, l->ids,
						  l->weights, tokens,
						  c->experts, c->k, s),
				   "k_layer_choose()");
	return cuda_status(k_layer_weights(l->logits, l->ids, l->weights,
					   tokens, c->experts, c->k, s),
			   "k_layer_weights()");
}

static struct k_homes homes(const struct cuda_layer *l)
{
	const struct layout *y = &l->c.plan.layout;

	return (struct k_homes){
		.n_experts = l->c.experts, .copies = layer_copies(&l->c),
		.local = l->local, .ep_index = l->rank->rank / y->esp % y->ep,
	};
}

/* Every pair's number among the pairs of its expert. */
static enum status sort_by_expert(struct cuda_layer *l, cudaStream_t s)
{
	return cuda_status(k_sort_counts(l->ids, l->sorted, l->pairs,
					 l->c.experts, l->expert_total,
					 l->sort_workspace, s),
			   "k_sort_counts()");
}

/* Chunks [first, end) of n, as many as k_sort() can tell apart. */
static enum status sort_group(struct cuda_layer *l, int first, int end, int n,
			      int32_t *pos, int32_t *totals, cudaStream_t s)
{
	int64_t tokens = l->c.tokens, k = l->c.k;
	int64_t at = order_first(tokens, first, n) * k;
	int64_t pairs = order_first(tokens, end, n) * k - at;
	int bins = (end - first) * l->slots;
	size_t bytes = (size_t)bins * sizeof(*totals);
	const int32_t *keys = n == 1 ? l->slot_ids : l->keys;
	enum status st;

	totals += (int64_t)first * l->slots;
	if (!pairs)
		return cuda_status(cudaMemsetAsync(totals, 0, bytes, s),
				   "cudaMemsetAsync()");
	CUDA_GOTO(out, st, k_sort_counts(keys + at, pos + at, (uint64_t)pairs,
					 bins, totals, l->sort_workspace, s));
	if (at)
		CUDA_GOTO(out, st, k_layer_shift(pos + at, (uint64_t)pairs,
						 (int32_t)at, s));
out:
	return st;
}

/* By (chunk of n, slot, token): positions, and copies of each cell. */
static enum status sort_chunks(struct cuda_layer *l, int n, int32_t *pos,
			       int32_t *totals, cudaStream_t s)
{
	int each = K_EXPERTS_MAX / l->slots, i, end;
	enum status st = ST_OK;

	if (each > n)
		each = n;
	if (n > 1)
		CUDA_GOTO(out, st, k_layer_keys(l->slot_ids, l->keys,
						(uint64_t)l->c.tokens,
						l->slots, l->c.k, n, each, s));
	for (i = 0; i < n && !st; i = end) {
		end = i + each < n ? i + each : n;
		st = sort_group(l, i, end, n, pos, totals, s);
	}
out:
	return st;
}

enum status cuda_layer_gather_cells(struct cuda_layer *l)
{
	cudaStream_t s = l->lane[LANE_COMPUTE];
	size_t n = (size_t)l->fine * (size_t)l->slots;
	const int32_t *all = l->fine_totals;
	enum status st = ST_OK;

	if (l->ranks > 1) {
		NCCL_GOTO(out, st, ncclAllGather(
			l->fine_totals, l->cells, n, ncclInt32,
			cuda_comm_find(l->rank, 0), s));
		all = l->cells;
	}
	CUDA_GOTO(out, st, cudaMemcpyAsync(
		l->cells_host, all, n * (size_t)l->ranks * sizeof(*all),
		cudaMemcpyDeviceToHost, s));
	CUDA_GOTO(out, st, cudaEventRecord(l->counted, s));
out:
	return st;
}

/* Of the finest chunks, which plans are made of: they may be a pass's own. */
static enum status sort_dropless(struct cuda_layer *l, cudaStream_t s)
{
	struct cuda_pass *f = &l->pass[0], *b = &l->pass[1];
	struct k_homes h = homes(l);
	enum status st = ST_OK;

	if (h.copies > 1) {
		st = sort_by_expert(l, s);
		if (st)
			return st;
		CUDA_GOTO(out, st, k_layer_homes(l->ids, l->sorted,
						 l->expert_total, l->slot_ids,
						 l->pairs, &h, s));
	}
	st = sort_chunks(l, f->chunks, f->pos, f->chunks == l->fine ?
			 l->fine_totals : f->totals, s);
	if (!st && b->chunks != f->chunks)
		st = sort_chunks(l, b->chunks, b->pos, b->chunks == l->fine ?
				 l->fine_totals : b->totals, s);
	if (!st && f->chunks != l->fine && b->chunks != l->fine &&
	    (cuda_layer_plans_steps(l) || !l->cells_now))
		st = sort_chunks(l, l->fine, l->fine_pos, l->fine_totals, s);
out:
	return st;
}

static enum status sort_capacity(struct cuda_layer *l, cudaStream_t s)
{
	struct k_slots slots = { .h = homes(l),
				 .capacity = (int)l->c.capacity };
	enum status st = sort_by_expert(l, s);
	int i;

	for (i = 0; i < CUDA_PASSES && !st; i++) {
		if (i && l->pass[i].pos == l->pass[0].pos)
			break;
		slots.chunks = l->pass[i].chunks;
		slots.start = l->pass[i].start;
		CUDA_GOTO(out, st, k_layer_slots(l->ids, l->sorted,
						 l->expert_total,
						 l->pass[i].pos, l->pairs,
						 &slots, s));
	}
out:
	return st;
}

enum status cuda_layer_gate(struct cuda_layer *l)
{
	cudaStream_t s = l->lane[LANE_COMPUTE];
	enum status st = logits(l);

	if (!st)
		st = cuda_layer_mark(l, "logits");
	if (!st)
		st = choose(l, s);
	if (!st)
		st = cuda_layer_mark(l, "choice");
	if (!st)
		st = l->is_static ? sort_capacity(l, s) : sort_dropless(l, s);
	return st ? st : cuda_layer_mark(l, "sort");
}

enum status cuda_layer_wait_cells(struct cuda_layer *l)
{
	cudaError_t rc = cudaErrorNotReady;
	int i;

	for (i = 0; i < SPINS_MAX && rc == cudaErrorNotReady; i++)
		rc = cudaEventQuery(l->counted);
	if (rc == cudaErrorNotReady)
		return cuda_wait(l->rank, l->all, l->counted);
	return cuda_status(rc, "cudaEventQuery()");
}

/* dx += dlogits wg', dwg = x' dlogits */
enum status cuda_layer_gate_bwd(struct cuda_layer *l)
{
	const struct layer_case *c = &l->c;
	cudaStream_t s = l->lane[LANE_COMPUTE];
	bool is_local = c->plan.layout.ep * c->plan.layout.esp == 1;
	bool direct = cuda_layer_is_direct(l);
	const float *g = is_local ? l->dr : l->in_s;
	cudaDataType_t t = type_of(l);
	enum status st;

	CUDA_GOTO(out, st, k_layer_weights_bwd(
		l->ids, direct ? NULL : l->pass[1].pos, l->weights,
		direct ? (float *)(l->direct.window + l->direct.pair) : g,
		l->dlogits, (uint64_t)c->tokens, c->experts, c->k,
		layer_is_bf16(l), s));
	BLAS_GOTO(out, st, cublasGemmEx(
		l->blas, CUBLAS_OP_T, CUBLAS_OP_N, c->hidden, c->tokens,
		c->experts, &one, l->wg, t, c->experts, l->dlogits, t,
		c->experts, layer_is_bf16(l) ? &kept_bf16 : &one, l->dx, t,
		c->hidden, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
	BLAS_GOTO(out, st, cublasGemmEx(
		l->blas, CUBLAS_OP_N, CUBLAS_OP_T, c->experts, c->hidden,
		c->tokens, &one, l->dlogits, t, c->experts, l->x, t,
		c->hidden, &zero, l->dwg, CUDA_R_32F, c->experts,
		CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
out:
	return st;
}
