/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exchanges by NCCL. Buffers: 0 send, 1 receive; a set of one: exchanges
 * read what a kernel has just written.
 */
#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/k.h"
#include "gpu/ref.h"

#include <stdlib.h>
#include <string.h>

#define ELEMENT sizeof(float)
/* Results up to here are compared with the CPU twin, larger ones on the GPU
 * with the same formula. */
#define TWIN_ELEMENTS_MAX (1u << 18)

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0)
#define HAVE_NCCL_ALLTOALL 1
#endif

static void exchange_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	size[0] = ref_send_elements(c, rank) * ELEMENT;
	size[1] = ref_result_elements(c, rank) * ELEMENT;
}

static enum status exchange_plan(struct cuda_rank *r, struct cuda_work *w)
{
	w->comm = cuda_comm_find(r, w->c.work.ctas);
	return ST_OK;
}

static enum status exchange_fill(struct cuda_rank *r, struct cuda_work *w,
				 int set)
{
	return cuda_status(k_fill(cuda_buffer(w, set, 0), w->size[0] / ELEMENT,
				  false, cuda_key(w, r->rank, FILL_SEND),
				  r->main), "k_fill()");
}

/* One send and one receive for each peer in one group. */
static enum status grouped(struct cuda_rank *r, struct cuda_work *w,
			   const float *send, float *receive, cudaStream_t s)
{
	uint64_t count[CUDA_RANKS_MAX], sent = 0;
	enum status st;
	int p;

	work_counts(&w->c, r->rank, count);
	NCCL_GOTO(out, st, ncclGroupStart());
	for (p = 0; p < w->c.ranks; p++) {
		/* counts are the same for every source */
		NCCL_GOTO(end, st, ncclSend(send + sent, count[p], ncclFloat, p,
					    w->comm, s));
		NCCL_GOTO(end, st, ncclRecv(receive + (uint64_t)p *
					    count[r->rank], count[r->rank],
					    ncclFloat, p, w->comm, s));
		sent += count[p];
	}
	NCCL_GOTO(out, st, ncclGroupEnd());
	return ST_OK;
end:
	ncclGroupEnd();
out:
	return st;
}

static enum status launch_alltoall(struct cuda_rank *r, struct cuda_work *w,
				   int set, cudaStream_t s)
{
	const float *send = cuda_buffer(w, set, 0);
	float *receive = cuda_buffer(w, set, 1);

#ifdef HAVE_NCCL_ALLTOALL
	if (!strcmp(w->c.work.variant, "even"))
		return cuda_status_nccl(
			ncclAlltoAll(send, receive, w->size[0] / ELEMENT /
				     (uint64_t)w->c.ranks, ncclFloat, w->comm,
				     s), "ncclAlltoAll()");
#endif
	return grouped(r, w, send, receive, s);
}

static enum status launch_sendrecv(struct cuda_rank *r, struct cuda_work *w,
				   int set, cudaStream_t s)
{
	int n = w->c.ranks;
	uint64_t count = w->size[0] / ELEMENT;
	enum status st;

	NCCL_GOTO(out, st, ncclGroupStart());
	NCCL_GOTO(end, st, ncclSend(cuda_buffer(w, set, 0), count, ncclFloat,
				    (r->rank + 1) % n, w->comm, s));
	NCCL_GOTO(end, st, ncclRecv(cuda_buffer(w, set, 1), count, ncclFloat,
				    (r->rank + n - 1) % n, w->comm, s));
	NCCL_GOTO(out, st, ncclGroupEnd());
	return ST_OK;
end:
	ncclGroupEnd();
out:
	return st;
}

static enum status launch_allgather(struct cuda_rank *r, struct cuda_work *w,
				    int set, cudaStream_t s)
{
	(void)r;
	return cuda_status_nccl(ncclAllGather(cuda_buffer(w, set, 0),
					      cuda_buffer(w, set, 1),
					      w->size[0] / ELEMENT, ncclFloat,
					      w->comm, s), "ncclAllGather()");
}

static enum status launch_reducescatter(struct cuda_rank *r,
					struct cuda_work *w, int set,
					cudaStream_t s)
{
	(void)r;
	return cuda_status_nccl(ncclReduceScatter(cuda_buffer(w, set, 0),
						  cuda_buffer(w, set, 1),
						  w->size[1] / ELEMENT,
						  ncclFloat, ncclSum, w->comm,
						  s), "ncclReduceScatter()");
}

static enum status launch_allreduce(struct cuda_rank *r, struct cuda_work *w,
				    int set, cudaStream_t s)
{
	(void)r;
	return cuda_status_nccl(ncclAllReduce(cuda_buffer(w, set, 0),
					      cuda_buffer(w, set, 1),
					      w->size[1] / ELEMENT, ncclFloat,
					      ncclSum, w->comm, s),
				"ncclAllReduce()");
}

/* Small results: element by element against gpu/ref_exchange.c. */
static enum status check_twin(struct cuda_rank *r, struct cuda_work *w, int set,
			      int64_t *wrong_p)
{
	uint64_t n = w->size[1] / ELEMENT, i;
	float *got = xmalloc(n * ELEMENT), *want = xmalloc(n * ELEMENT);
	enum status st;

	CUDA_GOTO(out, st, cudaMemcpy(got, cuda_buffer(w, set, 1), n * ELEMENT,
				      cudaMemcpyDeviceToHost));
	ref_exchange(&w->c, r->rank, 0, n, want);
	for (i = 0; i < n; i++)
		*wrong_p += !(got[i] == want[i]);
out:
	free(got);
	free(want);
	return st;
}

/* A run of elements that is the sum of what n_keys ranks have there. */
static enum status count_sum(struct cuda_rank *r, const float *p, uint64_t n,
			     const uint32_t *key, int n_keys, uint64_t first)
{
	if (!n)
		return ST_OK;
	return cuda_status(k_wrong_sum(p, n, key, n_keys, first, r->counter,
				       r->main), "k_wrong_sum()");
}

/* One block from each source. */
static enum status count_blocks(struct cuda_rank *r, struct cuda_work *w,
				const float *got, uint64_t block,
				uint64_t first)
{
	enum status st = ST_OK;
	int p;

	for (p = 0; p < w->c.ranks && !st; p++) {
		uint32_t key = cuda_key(w, p, FILL_SEND);

		st = count_sum(r, got + (uint64_t)p * block, block, &key, 1,
			       first);
	}
	return st;
}

static enum status count_wrong(struct cuda_rank *r, struct cuda_work *w,
			       const float *got)
{
	const char *op = w->c.work.op;
	uint64_t n = w->size[1] / ELEMENT, count[CUDA_RANKS_MAX], first = 0;
	uint32_t key[CUDA_RANKS_MAX];
	int p, ranks = w->c.ranks;

	for (p = 0; p < ranks; p++)
		key[p] = cuda_key(w, p, FILL_SEND);
	if (!strcmp(op, "allgather"))
		return count_blocks(r, w, got, w->size[0] / ELEMENT, 0);
	if (!strcmp(op, "sendrecv"))
		return count_sum(r, got, n, &key[(r->rank + ranks - 1) % ranks],
				 1, 0);
	if (!strcmp(op, "allreduce"))
		return count_sum(r, got, n, key, ranks, 0);
	if (!strcmp(op, "reducescatter"))
		return count_sum(r, got, n, key, ranks, (uint64_t)r->rank * n);
	work_counts(&w->c, r->rank, count);
	for (p = 0; p < r->rank; p++)
		first += count[p];
	return count_blocks(r, w, got, count[r->rank], first);
}

static enum status exchange_check(struct cuda_rank *r, struct cuda_work *w,
				  int set, int64_t *wrong_p)
{
	unsigned long long wrong = 0;
	enum status st;

	if (w->size[1] / ELEMENT <= TWIN_ELEMENTS_MAX)
		return check_twin(r, w, set, wrong_p);
	CUDA_GOTO(out, st, cudaMemsetAsync(r->counter, 0, sizeof(wrong),
					   r->main));
	st = count_wrong(r, w, cuda_buffer(w, set, 1));
	if (st)
		goto out;
	CUDA_GOTO(out, st, cudaMemcpyAsync(&wrong, r->counter, sizeof(wrong),
					   cudaMemcpyDeviceToHost, r->main));
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->main));
	*wrong_p += (int64_t)wrong;
out:
	return st;
}

#define EXCHANGE(op, ...) { \
	.name = #op, \
	.variants = { __VA_ARGS__ }, \
	.is_fp32_only = true, \
	.result = 1, \
	.sizes = exchange_sizes, \
	.plan = exchange_plan, \
	.fill = exchange_fill, \
	.launch = launch_##op, \
	.check = exchange_check, \
}

const struct cuda_op cuda_exchanges[] = {
	EXCHANGE(alltoall, "even", "uneven"),
	EXCHANGE(sendrecv, ""),
	EXCHANGE(allgather, ""),
	EXCHANGE(reducescatter, ""),
	EXCHANGE(allreduce, ""),
	{ .name = NULL }
};
