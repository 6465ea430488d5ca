/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exchange of our own beside NCCL's: op alltoall, variant direct, where
 * all ranks are threads of this process and reach each other by NVLink.
 * Buffers: 0 what NCCL's would send, 1 what it would have received, 2 and 3
 * the same in the window with blocks that begin at multiples of 16 bytes.
 */
#include "gpu/cuda.h"

#include "gpu/cuda_direct_alltoall.h"
#include "gpu/ref.h"

#include <stdio.h>
#include <string.h>

#define ELEMENT sizeof(float)
#define BLOCK_ALIGN 16u		/* cuda_direct_alltoall()'s */

enum { PLAIN_SEND, PLAIN_RECEIVE, SEND, RECEIVE };

bool cuda_direct_can(const struct backend *b, const struct bench_case *c)
{
	return !b->team && c->ranks == ranks_count(b->ranks) &&
	       c->ranks <= DIRECT_RANKS_MAX && !strcmp(c->tier, "nvlink");
}

static uint64_t block_bytes(const struct bench_case *c)
{
	uint64_t count[CUDA_RANKS_MAX];

	work_counts(c, 0, count);
	return count[0] * ELEMENT;	/* even */
}

static uint64_t padded_bytes(const struct bench_case *c)
{
	return (block_bytes(c) + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
}

static void direct_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	size[PLAIN_SEND] = ref_send_elements(c, rank) * ELEMENT;
	size[PLAIN_RECEIVE] = ref_result_elements(c, rank) * ELEMENT;
	size[SEND] = padded_bytes(c) * (uint64_t)c->ranks;
	size[RECEIVE] = size[SEND];
}

/* NCCL's variant of the same: its data and its check. */
static const struct cuda_op *plain(const struct cuda_work *w)
{
	struct bench_work even = w->c.work;

	snprintf(even.variant, sizeof(even.variant), "even");
	return cuda_op_find(&even);
}

struct gather {
	struct cuda_rank *r;
	const struct cuda_work *w;
};

static enum status gather(void *arg, const void *mine, size_t bytes, void *all)
{
	const struct gather *g = arg;
	struct cuda_rank *r = g->r;
	size_t n = (size_t)g->w->c.ranks * bytes;
	char *from = NULL;
	enum status st;

	CUDA_GOTO(out, st, cudaMalloc((void **)&from, n + bytes));
	CUDA_GOTO(out, st, cudaMemcpyAsync(from, mine, bytes,
					   cudaMemcpyHostToDevice, r->main));
	NCCL_GOTO(out, st, ncclAllGather(from, from + bytes, bytes, ncclChar,
					 cuda_comm_find(r, g->w->c.work.ctas),
					 r->main));
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->main));
	CUDA_GOTO(out, st, cudaMemcpy(all, from + bytes, n,
				      cudaMemcpyDeviceToHost));
out:
	cudaFree(from);
	return st;
}

/* The arena is the window: alike on all ranks, as all sizes are. It may have
 * moved since the last case. */
static enum status direct_plan(struct cuda_rank *r, struct cuda_work *w)
{
	struct gather arg = { r, w };
	struct direct_group g = { .rank = r->rank, .ranks = w->c.ranks,
				  .gather = gather, .arg = &arg };
	enum status st = cuda_direct_open(&g, r->arena, &w->direct);

	if (!st)
		cuda_direct_limit(w->direct, w->c.work.ctas);
	return st;
}

static enum status copy_blocks(struct cuda_rank *r, struct cuda_work *w,
			       int set, int from, int to)
{
	uint64_t block = block_bytes(&w->c), padded = padded_bytes(&w->c);

	return cuda_status(
		cudaMemcpy2DAsync(cuda_buffer(w, set, to),
				  to == SEND ? padded : block,
				  cuda_buffer(w, set, from),
				  from == RECEIVE ? padded : block, block,
				  (size_t)w->c.ranks, cudaMemcpyDeviceToDevice,
				  r->main), "cudaMemcpy2DAsync()");
}

static enum status direct_fill(struct cuda_rank *r, struct cuda_work *w,
			       int set)
{
	enum status st = plain(w)->fill(r, w, set);

	return st ? st : copy_blocks(r, w, set, PLAIN_SEND, SEND);
}

static enum status direct_launch(struct cuda_rank *r, struct cuda_work *w,
				 int set, cudaStream_t s)
{
	const char *send = cuda_buffer(w, set, SEND);
	const char *receive = cuda_buffer(w, set, RECEIVE);

	return cuda_direct_alltoall(w->direct, (uint64_t)(send - r->arena),
				    (uint64_t)(receive - r->arena),
				    padded_bytes(&w->c), DIRECT_AUTO, 0, s);
}

static enum status direct_check(struct cuda_rank *r, struct cuda_work *w,
				int set, int64_t *wrong_p)
{
	enum status st = cuda_direct_error(w->direct);

	if (!st)
		st = copy_blocks(r, w, set, RECEIVE, PLAIN_RECEIVE);
	if (st)
		return st;
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->main));
	st = plain(w)->check(r, w, set, wrong_p);
out:
	return st;
}

const struct cuda_op cuda_direct_ops[] = {
	{
		.name = "alltoall",
		.variants = { "direct" },
		.is_fp32_only = true,
		.result = RECEIVE,
		.sizes = direct_sizes,
		.plan = direct_plan,
		.fill = direct_fill,
		.launch = direct_launch,
		.check = direct_check,
	},
	{ .name = NULL }
};
