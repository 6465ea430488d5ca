/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Buffers, data and communicators of a case on one rank. */
#include "gpu/cuda.h"

#include "gpu/cuda_direct.h"
#include "gpu/ref.h"

#define ALIGN 256ull	/* of buffers; what cudaMalloc gives */
/* Sets of buffers: together more than the L2 cache, by this much. */
#define CACHE_TIMES 2
#define SETS_MAX 16
#define POISON 0xff	/* bytes; a NaN in either type, a negative id */

static void lay_out(struct cuda_rank *r, struct cuda_work *w, uint64_t room)
{
	uint64_t want;
	int i;

	w->op->sizes(&w->c, r->rank, w->size);
	w->set_bytes = 0;
	for (i = 0; i < CUDA_BUFFERS; i++) {
		w->offset[i] = w->set_bytes;
		w->set_bytes += (w->size[i] + ALIGN - 1) / ALIGN * ALIGN;
	}
	want = !w->op->rotates ? 1
		: (CACHE_TIMES * r->l2_bytes + w->set_bytes - 1) / w->set_bytes;
	if (want > SETS_MAX)
		want = SETS_MAX;
	if (want > room / w->set_bytes)
		want = room / w->set_bytes;
	w->n_sets = want < 1 ? 1 : (int)want;
}

static enum status grow_arena(struct cuda_rank *r, uint64_t need)
{
	enum status st;

	if (need <= r->arena_bytes)
		return ST_OK;
	CUDA_GOTO(out, st, cudaFree(r->arena));
	r->arena = NULL;
	r->arena_bytes = 0;
	CUDA_GOTO(out, st, cudaMalloc((void **)&r->arena, need));
	r->arena_bytes = need;
out:
	return st;
}

static enum status fill_work(struct cuda_rank *r, struct cuda_work *w)
{
	enum status st;
	int set;

	CUDA_GOTO(out, st, cudaMemsetAsync(w->base, POISON,
					   w->set_bytes * (uint64_t)w->n_sets,
					   r->main));
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->main));
	if (w->op->plan)
		st = w->op->plan(r, w);
	for (set = 0; set < w->n_sets && !st; set++)
		st = w->op->fill(r, w, set);
	if (!st)
		CUDA_GOTO(out, st, cudaStreamSynchronize(r->main));
out:
	return st;
}

static enum status make_comm(struct cuda_rank *r, int ranks,
			     const struct bench_work *w,
			     const ncclUniqueId *id)
{
	if (!sample_op_is_exchange(w->op) || !cuda_comm_need(r, w->ctas))
		return ST_OK;
	return cuda_comm_make(r, ranks, w->ctas, id);
}

static void set_work(struct cuda_rank *r, struct cuda_work *w,
		     const struct bench_case *c, uint64_t room)
{
	*w = (struct cuda_work){ .c = *c, .op = cuda_op_find(&c->work) };
	if (w->op)
		lay_out(r, w, room);
}

/*
 * Beside an exchange with a limit on CTAs a product leaves as many
 * multiprocessors free: its kernels stay until they are done, and an exchange
 * that finds none free waits for the whole product. Without a limit it is
 * measured as it comes.
 */
static int leave_room(const struct cuda_rank *r, const struct bench_case *c)
{
	int ctas = c->beside.ctas + c->work.ctas;

	return *c->beside.op && ctas && ctas < r->sms ? r->sms - ctas : 0;
}

static uint64_t work_bytes(const struct cuda_work *w)
{
	return w->set_bytes * (uint64_t)w->n_sets;
}

enum status cuda_rank_prepare(struct cuda_rank *r, const struct bench_case *c,
			      uint64_t max_bytes, const ncclUniqueId *id)
{
	struct bench_case other = ref_beside(c);
	enum status st;

	CUDA_GOTO(out, st, cudaSetDevice(r->device));
	set_work(r, &r->work, c, max_bytes);
	set_work(r, &r->other, &other, max_bytes - work_bytes(&r->work));
	st = make_comm(r, c->ranks, &c->work, &id[0]);
	if (!st)
		st = make_comm(r, c->ranks, &c->beside, &id[1]);
	if (!st)
		st = grow_arena(r, work_bytes(&r->work) +
				work_bytes(&r->other));
	if (st)
		goto out;
	r->sm_target = leave_room(r, c);
	r->work.base = r->arena;
	r->other.base = r->arena + work_bytes(&r->work);
	st = fill_work(r, &r->work);
	if (!st && r->other.op)
		st = fill_work(r, &r->other);
	if (!st && r->work.op->tune)
		st = r->work.op->tune(r, &r->work);
	if (!st && r->other.op && r->other.op->tune)
		st = r->other.op->tune(r, &r->other);
out:
	return st;
}

void cuda_work_release(struct cuda_work *w)
{
	cuda_product_free(w->product);
	/* nobody's work is left, and this may not wait for others */
	cuda_direct_close(w->direct, false);
	cuda_turn_free(w->turn);
	cuda_calls_free(w->calls);
	*w = (struct cuda_work){ 0 };
}
