/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/ref.h"

#define ELEMENT 4	/* fp32 */

struct bench_case ref_beside(const struct bench_case *c)
{
	struct bench_case other = *c;

	other.work = c->beside;
	other.beside = c->work;
	return other;
}

uint64_t ref_send_elements(const struct bench_case *c, int rank)
{
	uint64_t n = c->work.bytes / ELEMENT;

	(void)rank;
	return strcmp(c->work.op, "allgather") ? n : n / (uint64_t)c->ranks;
}

uint64_t ref_result_elements(const struct bench_case *c, int rank)
{
	uint64_t n = c->work.bytes / ELEMENT;
	uint64_t count[WORK_RANKS_MAX];

	if (!strcmp(c->work.op, "reducescatter"))
		return n / (uint64_t)c->ranks;
	if (strcmp(c->work.op, "alltoall"))
		return n;
	work_counts(c, 0, count);	/* the same for every source */
	return count[rank] * (uint64_t)c->ranks;
}

static uint32_t send_key(const struct bench_case *c, int rank)
{
	return fill_key(c->seed, rank, FILL_SEND);
}

/* Blocks of equal length, one for each source, from `offset` in its buffer. */
static void blocks(const struct bench_case *c, uint64_t block, uint64_t offset,
		   uint64_t first, uint64_t n, float *out)
{
	uint64_t i, e;

	for (i = 0; i < n && block; i++) {
		e = first + i;
		out[i] = fill_value(send_key(c, (int)(e / block)),
				    offset + e % block);
	}
}

static void alltoall(const struct bench_case *c, int rank, uint64_t first,
		     uint64_t n, float *out)
{
	uint64_t count[WORK_RANKS_MAX], offset = 0;
	int d;

	work_counts(c, 0, count);
	for (d = 0; d < rank; d++)
		offset += count[d];
	blocks(c, count[rank], offset, first, n, out);
}

/* Sums of all ranks' elements offset + first .. */
static void reduce(const struct bench_case *c, uint64_t first, uint64_t n,
		   float *out)
{
	uint64_t i;
	int r;

	memset(out, 0, n * sizeof(*out));
	for (r = 0; r < c->ranks; r++) {
		uint32_t key = send_key(c, r);

		for (i = 0; i < n; i++)
			out[i] += fill_value(key, first + i);
	}
}

static void sendrecv(const struct bench_case *c, int rank, uint64_t first,
		     uint64_t n, float *out)
{
	uint32_t key = send_key(c, (rank + c->ranks - 1) % c->ranks);
	uint64_t i;

	for (i = 0; i < n; i++)
		out[i] = fill_value(key, first + i);
}

void ref_exchange(const struct bench_case *c, int rank, uint64_t first,
		  uint64_t n, float *out)
{
	const char *op = c->work.op;
	uint64_t block = c->work.bytes / ELEMENT / (uint64_t)c->ranks;

	if (!strcmp(op, "alltoall"))
		alltoall(c, rank, first, n, out);
	else if (!strcmp(op, "allgather"))
		blocks(c, block, 0, first, n, out);
	else if (!strcmp(op, "reducescatter"))
		reduce(c, (uint64_t)rank * block + first, n, out);
	else if (!strcmp(op, "allreduce"))
		reduce(c, first, n, out);
	else
		sendrecv(c, rank, first, n, out);
}
