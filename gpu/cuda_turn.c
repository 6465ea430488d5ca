/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What passes between kernels (gpu/turn.h, gpu/work.h):
 *
 *	allgather counts	each rank's counts to all, back to the host,
 *				which waits: how long a GPU stands still until
 *				its host knows them and starts the next kernel
 *	launch		m kernels, each after the one before:
 *			kernel	on one stream, launched one by one
 *			stream	on two in turn, joined by events
 *			graph	on one, captured
 *				(product: gpu/cuda_calls.c)
 *	plan		see gpu/turn.h; the GPU waits for its host
 *
 * The events around a repetition see the host's time where the GPU has
 * nothing else to do. Buffers of a launch: 0 the numbers 1 .. m; each kernel
 * writes one more than the kernel before it.
 */
#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/k.h"
#include "gpu/turn.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MAX_S 20.0		/* for the counts; then a rank is gone */
#define SPINS 1024		/* looks between two looks at the clock */
#define LAUNCHES_MAX 4096

struct cuda_turn {
	struct turn *plan;
	const struct cuda_op *gather;	/* the exchange itself */
	void *host;			/* pinned: what came back */
	cudaEvent_t counted, join[2];
	cudaGraphExec_t graph[CUDA_TURN_SETS];
};

void cuda_turn_free(struct cuda_turn *t)
{
	int i;

	if (!t)
		return;
	turn_free(t->plan);
	if (t->counted)
		cudaEventDestroy(t->counted);
	for (i = 0; i < 2; i++) {
		if (t->join[i])
			cudaEventDestroy(t->join[i]);
	}
	for (i = 0; i < CUDA_TURN_SETS; i++) {
		if (t->graph[i])
			cudaGraphExecDestroy(t->graph[i]);
	}
	cudaFreeHost(t->host);
	free(t);
}

/* ---- counts ---- */

static const struct cuda_op *plain_gather(void)
{
	static const struct bench_work w = { .op = "allgather" };

	return cuda_op_find(&w);
}

static void counts_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	plain_gather()->sizes(c, rank, size);
}

static enum status counts_plan(struct cuda_rank *r, struct cuda_work *w)
{
	struct cuda_turn *t = xcalloc(1, sizeof(*t));
	enum status st;

	w->turn = t;
	t->gather = plain_gather();
	CUDA_GOTO(out, st, cudaMallocHost(&t->host, w->size[1]));
	CUDA_GOTO(out, st, cudaEventCreateWithFlags(&t->counted,
						    cudaEventDisableTiming));
	st = t->gather->plan(r, w);
out:
	return st;
}

static enum status counts_fill(struct cuda_rank *r, struct cuda_work *w,
			       int set)
{
	return plain_gather()->fill(r, w, set);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum status wait_counted(const struct cuda_turn *t)
{
	double start_s = now_s();
	cudaError_t rc = cudaErrorNotReady;
	int i;

	while (rc == cudaErrorNotReady) {
		for (i = 0; i < SPINS && rc == cudaErrorNotReady; i++)
			rc = cudaEventQuery(t->counted);
		if (now_s() - start_s > WAIT_MAX_S)
			return err_set(ST_FAIL, "counts did not arrive in "
				       "%g s", WAIT_MAX_S);
	}
	return cuda_status(rc, "cudaEventQuery()");
}

static enum status counts_launch(struct cuda_rank *r, struct cuda_work *w,
				 int set, cudaStream_t s)
{
	struct cuda_turn *t = w->turn;
	enum status st = t->gather->launch(r, w, set, s);

	if (st)
		return st;
	CUDA_GOTO(out, st, cudaMemcpyAsync(t->host, cuda_buffer(w, set, 1),
					   w->size[1], cudaMemcpyDeviceToHost,
					   s));
	CUDA_GOTO(out, st, cudaEventRecord(t->counted, s));
	st = wait_counted(t);
out:
	return st;
}

/* What was gathered, and that the host has the same. */
static enum status counts_check(struct cuda_rank *r, struct cuda_work *w,
				int set, int64_t *wrong_p)
{
	uint64_t n = w->size[1] / sizeof(uint32_t), i;
	uint32_t *got = xcalloc(n, sizeof(*got));
	const uint32_t *host = w->turn->host;
	enum status st;

	CUDA_GOTO(out, st, cudaMemcpy(got, cuda_buffer(w, set, 1), w->size[1],
				      cudaMemcpyDeviceToHost));
	for (i = 0; i < n && !w->c.plant_fault; i++)
		*wrong_p += got[i] != host[i];
	st = w->turn->gather->check(r, w, set, wrong_p);
out:
	free(got);
	return st;
}

/* ---- launches ---- */

static bool launch_can(const struct bench_work *w)
{
	return w->m <= LAUNCHES_MAX;
}

static void launch_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	(void)rank;
	size[0] = (c->work.m ? c->work.m : 1) * sizeof(int32_t);
}

static enum status launch_in_turn(struct cuda_work *w, int set,
				  cudaStream_t s)
{
	int32_t *at = cuda_buffer(w, set, 0);
	enum status st = ST_OK;
	uint64_t i;

	for (i = 0; i < w->c.work.m && !st; i++)
		st = cuda_status(k_tick(at + i, i ? at + i - 1 : NULL, s),
				 "k_tick()");
	return st;
}

static enum status pass_on(cudaStream_t from, cudaStream_t to, cudaEvent_t e)
{
	enum status st;

	CUDA_GOTO(out, st, cudaEventRecord(e, from));
	CUDA_GOTO(out, st, cudaStreamWaitEvent(to, e, 0));
out:
	return st;
}

/* Every other one on the side stream; the last is on `s`. */
static enum status launch_streams(struct cuda_rank *r, struct cuda_work *w,
				  int set, cudaStream_t s)
{
	cudaStream_t lane[2] = { s, r->side[0] };
	int32_t *at = cuda_buffer(w, set, 0);
	enum status st = ST_OK;
	uint64_t i;
	int now = 0;

	for (i = 0; i < w->c.work.m && !st; i++) {
		st = cuda_status(k_tick(at + i, i ? at + i - 1 : NULL,
					lane[now]), "k_tick()");
		if (!st && (now || i + 1 < w->c.work.m)) {
			st = pass_on(lane[now], lane[!now], w->turn->join[now]);
			now = !now;
		}
	}
	return st;
}

static enum status capture(struct cuda_rank *r, struct cuda_work *w, int set)
{
	cudaGraph_t graph = NULL;
	enum status st, end;

	CUDA_GOTO(out, st, cudaStreamBeginCapture(
		r->main, cudaStreamCaptureModeThreadLocal));
	st = launch_in_turn(w, set, r->main);
	end = cuda_status(cudaStreamEndCapture(r->main, &graph),
			  "cudaStreamEndCapture()");
	if (!st)
		st = end;
	if (!st)
		CUDA_GOTO(out, st, cudaGraphInstantiate(&w->turn->graph[set],
							graph, 0));
out:
	if (graph)
		cudaGraphDestroy(graph);
	return st;
}

static enum status launch_plan(struct cuda_rank *r, struct cuda_work *w)
{
	struct cuda_turn *t = xcalloc(1, sizeof(*t));
	enum status st = ST_OK;
	int i;

	(void)r;
	w->turn = t;
	for (i = 0; i < 2; i++)
		CUDA_GOTO(out, st, cudaEventCreateWithFlags(
			&t->join[i], cudaEventDisableTiming));
out:
	return st;
}

static enum status launch_fill(struct cuda_rank *r, struct cuda_work *w,
			       int set)
{
	return strcmp(w->c.work.variant, "graph") ? ST_OK : capture(r, w, set);
}

static enum status launch_launch(struct cuda_rank *r, struct cuda_work *w,
				 int set, cudaStream_t s)
{
	const char *variant = w->c.work.variant;

	if (!strcmp(variant, "graph"))
		return cuda_status(cudaGraphLaunch(w->turn->graph[set], s),
				   "cudaGraphLaunch()");
	return strcmp(variant, "stream") ? launch_in_turn(w, set, s)
					 : launch_streams(r, w, set, s);
}

static enum status launch_check(struct cuda_rank *r, struct cuda_work *w,
				int set, int64_t *wrong_p)
{
	uint64_t n = w->c.work.m, i;
	int32_t *got = xcalloc(n, sizeof(*got));
	enum status st;

	(void)r;
	CUDA_GOTO(out, st, cudaMemcpy(got, cuda_buffer(w, set, 0),
				      n * sizeof(*got),
				      cudaMemcpyDeviceToHost));
	for (i = 0; i < n; i++)
		*wrong_p += got[i] != (int32_t)i + 1;
out:
	free(got);
	return st;
}

/* ---- plans ---- */

static void plan_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	(void)c;
	(void)rank;
	size[0] = sizeof(int32_t);
}

static enum status plan_plan(struct cuda_rank *r, struct cuda_work *w)
{
	w->turn = xcalloc(1, sizeof(*w->turn));
	return turn_make(&w->c, r->rank, &w->turn->plan);
}

static enum status plan_fill(struct cuda_rank *r, struct cuda_work *w, int set)
{
	(void)r;
	(void)w;
	(void)set;
	return ST_OK;
}

static enum status plan_launch(struct cuda_rank *r, struct cuda_work *w,
			       int set, cudaStream_t s)
{
	enum status st = turn_plan(w->turn->plan);

	(void)r;
	/* the work that waited for it */
	return st ? st : cuda_status(k_tick(cuda_buffer(w, set, 0), NULL, s),
				     "k_tick()");
}

static enum status plan_check(struct cuda_rank *r, struct cuda_work *w,
			      int set, int64_t *wrong_p)
{
	int32_t got = 0;
	enum status st;

	(void)r;
	CUDA_GOTO(out, st, cudaMemcpy(&got, cuda_buffer(w, set, 0),
				      sizeof(got), cudaMemcpyDeviceToHost));
	*wrong_p += turn_wrong(w->turn->plan) + (got != 1);
out:
	return st;
}

const struct cuda_op cuda_turns[] = {
	{
		.name = "allgather",
		.variants = { "counts" },
		.is_fp32_only = true,
		.result = 1,
		.sizes = counts_sizes,
		.plan = counts_plan,
		.fill = counts_fill,
		.launch = counts_launch,
		.check = counts_check,
	}, {
		.name = "launch",
		.variants = { "kernel", "stream", "graph" },
		.can = launch_can,
		.sizes = launch_sizes,
		.plan = launch_plan,
		.fill = launch_fill,
		.launch = launch_launch,
		.check = launch_check,
	}, {
		.name = "plan",
		.variants = { "flat", "dedup", "esp" },
		.sizes = plan_sizes,
		.plan = plan_plan,
		.fill = plan_fill,
		.launch = plan_launch,
		.check = plan_check,
	},
	{ .name = NULL }
};
