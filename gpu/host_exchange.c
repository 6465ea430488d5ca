/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exchanges between threads, every rank fetches from the others' buffers; and
 * between processes. */
#include "gpu/host.h"

#include "base/mem.h"
#include "gpu/ref.h"

#include <stdlib.h>
#include <string.h>

#define CHECK_CHUNK 65536	/* elements that the twin makes at a time */

static void fill(struct host_work *hw, int rank)
{
	struct host_buffers *b = &hw->rank[rank];
	uint32_t key = fill_key(hw->c.seed, rank, FILL_SEND);
	uint64_t i, n = ref_send_elements(&hw->c, rank);

	b->x = host_alloc(n, sizeof(*b->x));
	b->y = host_alloc(ref_result_elements(&hw->c, rank), sizeof(*b->y));
	for (i = 0; i < n; i++)
		b->x[i] = fill_value(key, i);
}

static int64_t wrong(struct host_work *hw, int rank)
{
	uint64_t n = ref_result_elements(&hw->c, rank), i, step;
	float *want = xmalloc(CHECK_CHUNK * sizeof(*want));
	int64_t bad = 0;

	for (i = 0; i < n; i += step) {
		step = n - i < CHECK_CHUNK ? n - i : CHECK_CHUNK;
		ref_exchange(&hw->c, rank, i, step, want);
		bad += host_differ(hw->rank[rank].y + i, want, step);
	}
	free(want);
	return bad;
}

static bool alltoall(struct host_work *hw, int rank)
{
	uint64_t count[WORK_RANKS_MAX], offset = 0;
	float *y = hw->rank[rank].y;
	int n = hw->c.ranks, i, src;

	work_counts(&hw->c, 0, count);
	for (i = 0; i < rank; i++)
		offset += count[i];
	for (i = 0; i < n; i++) {
		src = (rank + i) % n;	/* not all at the same source */
		memcpy(y + (uint64_t)src * count[rank],
		       hw->rank[src].x + offset, count[rank] * sizeof(*y));
	}
	return ranks_barrier(hw->ranks);
}

static bool sendrecv(struct host_work *hw, int rank)
{
	int n = hw->c.ranks;

	memcpy(hw->rank[rank].y, hw->rank[(rank + n - 1) % n].x,
	       hw->c.work.bytes);
	return ranks_barrier(hw->ranks);
}

static bool allgather(struct host_work *hw, int rank)
{
	uint64_t block = hw->c.work.bytes / sizeof(float) /
			 (uint64_t)hw->c.ranks;
	int n = hw->c.ranks, i, src;

	for (i = 0; i < n; i++) {
		src = (rank + i) % n;
		memcpy(hw->rank[rank].y + (uint64_t)src * block,
		       hw->rank[src].x, block * sizeof(float));
	}
	return ranks_barrier(hw->ranks);
}

/* out = sum over all ranks of their elements first .. first + n - 1. */
static void sum_slice(struct host_work *hw, uint64_t first, uint64_t n,
		      float *out)
{
	uint64_t i;
	int r;

	memcpy(out, hw->rank[0].x + first, n * sizeof(*out));
	for (r = 1; r < hw->c.ranks; r++) {
		const float *x = hw->rank[r].x + first;

		for (i = 0; i < n; i++)
			out[i] += x[i];
	}
}

static bool reducescatter(struct host_work *hw, int rank)
{
	uint64_t block = ref_result_elements(&hw->c, rank);

	sum_slice(hw, (uint64_t)rank * block, block, hw->rank[rank].y);
	return ranks_barrier(hw->ranks);
}

/* Each rank sums its slice in place, then fetches the other slices. */
static bool allreduce(struct host_work *hw, int rank)
{
	uint64_t block = hw->c.work.bytes / sizeof(float) /
			 (uint64_t)hw->c.ranks;
	uint64_t at = (uint64_t)rank * block;
	int n = hw->c.ranks, i;

	sum_slice(hw, at, block, hw->rank[rank].y + at);
	if (!ranks_barrier(hw->ranks))
		return false;
	for (i = 1; i < n; i++) {
		at = (uint64_t)((rank + i) % n) * block;
		memcpy(hw->rank[rank].y + at,
		       hw->rank[(rank + i) % n].y + at,
		       block * sizeof(float));
	}
	return ranks_barrier(hw->ranks);
}

const struct host_op host_exchanges[] = {
	{ "alltoall", { "even", "uneven" }, fill, alltoall, wrong },
	{ "sendrecv", { "" }, fill, sendrecv, wrong },
	{ "allgather", { "", "counts" }, fill, allgather, wrong },
	{ "reducescatter", { "" }, fill, reducescatter, wrong },
	{ "allreduce", { "" }, fill, allreduce, wrong },
	{ 0 },
};

/* ---- one rank a process ---- */

static bool wire_alltoall(struct host_work *hw, int rank)
{
	uint64_t send[WORK_RANKS_MAX], receive[WORK_RANKS_MAX];
	struct host_buffers *b = &hw->rank[rank];
	int i;

	work_counts(&hw->c, rank, send);
	for (i = 0; i < hw->c.ranks; i++)	/* the same for every source */
		receive[i] = send[rank];
	return hw->wire->alltoallv(hw->lane, b->x, send, b->y, receive);
}

static bool wire_sendrecv(struct host_work *hw, int rank)
{
	struct host_buffers *b = &hw->rank[rank];
	int n = hw->c.ranks;

	return hw->wire->sendrecv(hw->lane, b->x, b->y,
				  hw->c.work.bytes / sizeof(float),
				  (rank + 1) % n, (rank + n - 1) % n);
}

static bool wire_allgather(struct host_work *hw, int rank)
{
	struct host_buffers *b = &hw->rank[rank];

	return hw->wire->allgather(hw->lane, b->x, b->y,
				   ref_send_elements(&hw->c, rank));
}

static bool wire_reducescatter(struct host_work *hw, int rank)
{
	struct host_buffers *b = &hw->rank[rank];

	return hw->wire->reducescatter(hw->lane, b->x, b->y,
				       ref_result_elements(&hw->c, rank));
}

static bool wire_allreduce(struct host_work *hw, int rank)
{
	struct host_buffers *b = &hw->rank[rank];

	return hw->wire->allreduce(hw->lane, b->x, b->y,
				   ref_result_elements(&hw->c, rank));
}

const struct host_op host_wire_exchanges[] = {
	{ "alltoall", { "even", "uneven" }, fill, wire_alltoall, wrong },
	{ "sendrecv", { "" }, fill, wire_sendrecv, wrong },
	{ "allgather", { "", "counts" }, fill, wire_allgather, wrong },
	{ "reducescatter", { "" }, fill, wire_reducescatter, wrong },
	{ "allreduce", { "" }, fill, wire_allreduce, wrong },
	{ 0 },
};
