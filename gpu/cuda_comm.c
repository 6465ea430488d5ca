/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/cuda.h"

#include <time.h>

/*
 * Without an end for so long a rank gives up. The runner's own deadline is
 * shorter unless its user asks for more; this one ends a run whose
 * coordinator itself hangs.
 */
#define DEADLINE_S 120.0
#define POLL_NS 20000		/* between two looks at an event */
#define ASYNC_EVERY 50		/* looks between two at the communicators */

bool cuda_comm_need(const struct cuda_rank *r, int ctas)
{
	return !cuda_comm_find(r, ctas);
}

ncclComm_t cuda_comm_find(const struct cuda_rank *r, int ctas)
{
	int i;

	for (i = 0; i < r->n_comms; i++) {
		if (r->comm[i].ctas == ctas)
			return r->comm[i].comm;
	}
	return NULL;
}

enum status cuda_comm_id(ncclUniqueId *id)
{
	return cuda_status_nccl(ncclGetUniqueId(id), "ncclGetUniqueId()");
}

/*
 * Hopper's default is clusters of four blocks, which need four free
 * multiprocessors in one part of the chip. Beside a product that leaves just
 * as many, here and there, they would wait for its end.
 */
void cuda_comm_limit(ncclConfig_t *config, int ctas)
{
	config->maxCTAs = ctas;
	config->cgaClusterSize = 1;
}

/*
 * Blocking: a non-blocking communicator starts a thread for every group,
 * which would be part of each measured time.
 */
enum status cuda_comm_make(struct cuda_rank *r, int n_ranks, int ctas,
			   const ncclUniqueId *id)
{
	ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
	ncclComm_t comm;
	enum status st;

	if (r->n_comms == CUDA_COMMS_MAX)
		return err_set(ST_INPUT, "more than %d different CTA limits",
			       CUDA_COMMS_MAX);
	if (ctas)
		cuda_comm_limit(&config, ctas);
	NCCL_GOTO(out, st, ncclCommInitRankConfig(&comm, n_ranks, *id, r->rank,
						  &config));
	r->comm[r->n_comms++] = (struct cuda_comm){ ctas, comm };
out:
	return st;
}

static enum status async_error(struct cuda_rank *r)
{
	ncclResult_t rc = ncclSuccess;
	enum status st = ST_OK;
	int i;

	for (i = 0; i < r->n_comms && !st; i++) {
		NCCL_GOTO(out, st, ncclCommGetAsyncError(r->comm[i].comm, &rc));
		if (rc != ncclInProgress)
			NCCL_GOTO(out, st, rc);
	}
out:
	return st;
}

static void abort_all(struct cuda_rank *r)
{
	while (r->n_comms > 0)
		ncclCommAbort(r->comm[--r->n_comms].comm);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum status look(struct cuda_rank *r, struct ranks *all, double start)
{
	if (ranks_failed(all))
		return err_set(ST_FAIL, "rank %d: another rank failed",
			       r->rank);
	if (now_s() - start > DEADLINE_S)
		return err_set(ST_FAIL, "rank %d: no end of its work after "
			       "%g s", r->rank, DEADLINE_S);
	return async_error(r);
}

enum status cuda_wait(struct cuda_rank *r, struct ranks *all, cudaEvent_t e)
{
	const struct timespec nap = { .tv_nsec = POLL_NS };
	double start = now_s();
	enum status st = ST_OK;
	cudaError_t rc;
	int looks = 0;

	while (!st && (rc = cudaEventQuery(e)) != cudaSuccess) {
		if (rc != cudaErrorNotReady)
			st = cuda_status(rc, "cudaEventQuery()");
		else if (++looks % ASYNC_EVERY == 0)
			st = look(r, all, start);
		nanosleep(&nap, NULL);
	}
	if (st)
		abort_all(r);
	return st;
}
