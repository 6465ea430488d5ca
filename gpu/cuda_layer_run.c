/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Steps of a layer and their times. Before each, all ranks wait for each
 * other on the device; then
 *
 *	e0 [forward pass] e1 [backward pass] e2
 *
 * on the COMPUTE lane, into which the other lanes are joined.
 */
#include "gpu/cuda_layer.h"

#include "base/mem.h"

#include <stddef.h>
#include <string.h>

#define MS 1e-3
#define EVENTS 3	/* of a step */

static enum status join_lane(struct cuda_layer *l, int lane)
{
	enum status st;

	CUDA_GOTO(out, st, cudaEventRecord(l->joined[lane], l->lane[lane]));
	CUDA_GOTO(out, st, cudaStreamWaitEvent(l->lane[LANE_COMPUTE],
					       l->joined[lane], 0));
out:
	return st;
}

static enum status wait_op(struct cuda_layer *l, const struct op *op)
{
	cudaEvent_t end = l->joined[op->lane];
	enum status st;

	CUDA_GOTO(out, st, cudaEventRecord(end, layer_stream(l, op)));
	st = cuda_wait(l->rank, l->all, end);
	if (!st && l->direct.d)
		st = cuda_direct_error(l->direct.d);
out:
	return st;
}

/* All ops of a pass, and then the other lanes that it used. */
static enum status run_pass(struct cuda_layer *l, int pass)
{
	const struct program *p = l->program;
	int i = pass ? p->n_forward : 0, end = pass ? p->n_ops : p->n_forward;
	bool used[LANE_N] = { false };
	enum status st = ST_OK;

	for (; i < end && !st; i++) {
		used[p->op[i].lane] = !l->is_chain[pass];
		st = cuda_layer_op(l, i);
	}
	for (i = 0; i < LANE_N && !st; i++) {
		if (used[i] && i != LANE_COMPUTE)
			st = join_lane(l, i);
	}
	return st;
}

enum status cuda_layer_step(struct cuda_layer *l, cudaEvent_t middle)
{
	enum status st = run_pass(l, 0);

	if (!st)
		st = cuda_layer_fault(l);
	if (!st && middle)
		CUDA_GOTO(out, st, cudaEventRecord(middle,
						   l->lane[LANE_COMPUTE]));
	if (!st)
		st = run_pass(l, 1);
out:
	return st;
}

enum status cuda_layer_warm(struct cuda_layer *l)
{
	const struct program *p = l->program;
	enum status st = cuda_layer_align(l);
	int i;

	for (i = 0; i < p->n_ops && !st; i++) {
		st = cuda_layer_op(l, i);
		if (!st)
			st = wait_op(l, &p->op[i]);
	}
	return st;
}

static enum status capture_pass(struct cuda_layer *l, int pass)
{
	cudaStream_t s = l->lane[LANE_COMPUTE];
	cudaGraph_t graph = NULL;
	enum status st, end;

	/* this thread's calls only: other ranks capture at the same time */
	CUDA_GOTO(out, st, cudaStreamBeginCapture(
		s, cudaStreamCaptureModeThreadLocal));
	st = run_pass(l, pass);
	end = cuda_status(cudaStreamEndCapture(s, &graph),
			  "cudaStreamEndCapture()");
	if (!st)
		st = end;
	if (!st)
		CUDA_GOTO(out, st, cudaGraphInstantiate(&l->pass[pass].graph,
							graph, 0));
out:
	if (graph)
		cudaGraphDestroy(graph);
	return st;
}

enum status cuda_layer_capture(struct cuda_layer *l)
{
	enum status st = ST_OK;
	int i;

	for (i = 0; i < CUDA_PASSES && !st; i++)
		st = capture_pass(l, i);
	return st;
}

static enum status make_room(struct cuda_layer *l, int n)
{
	struct cuda_rank *r = l->rank;
	int events = EVENTS * n;
	enum status st = ST_OK;

	l->forward_s = xrealloc_array(l->forward_s, (size_t)n,
				      sizeof(double));
	l->step_s = xrealloc_array(l->step_s, (size_t)n, sizeof(double));
	if (events > r->n_events)
		r->event = xrealloc_array(r->event, (size_t)events,
					  sizeof(*r->event));
	for (; r->n_events < events; r->n_events++)
		CUDA_GOTO(out, st, cudaEventCreate(&r->event[r->n_events]));
out:
	return st;
}

static enum status step(struct cuda_layer *l, cudaEvent_t *e)
{
	cudaStream_t s = l->lane[LANE_COMPUTE];
	enum status st = cuda_layer_align(l);

	if (st)
		goto out;
	CUDA_GOTO(out, st, cudaEventRecord(e[0], s));
	if (l->pass[0].graph) {
		CUDA_GOTO(out, st, cudaGraphLaunch(l->pass[0].graph, s));
		CUDA_GOTO(out, st, cudaEventRecord(e[1], s));
		CUDA_GOTO(out, st, cudaGraphLaunch(l->pass[1].graph, s));
	} else {
		st = cuda_layer_step(l, e[1]);
	}
	if (!st)
		CUDA_GOTO(out, st, cudaEventRecord(e[2], s));
out:
	return st;
}

static enum status collect(struct cuda_layer *l, int n)
{
	cudaEvent_t *e = l->rank->event;
	enum status st = ST_OK;
	float ms = 0;
	int i;

	for (i = 0; i < n; i++, e += EVENTS) {
		CUDA_GOTO(out, st, cudaEventElapsedTime(&ms, e[0], e[1]));
		l->forward_s[i] = (double)ms * MS;
		CUDA_GOTO(out, st, cudaEventElapsedTime(&ms, e[0], e[2]));
		l->step_s[i] = (double)ms * MS;
	}
out:
	return st;
}

enum status cuda_layer_repeat(struct cuda_layer *l, int n)
{
	struct cuda_rank *r = l->rank;
	enum status st = make_room(l, n);
	int i;

	if (!st && !ranks_barrier(l->all))
		st = err_set(ST_FAIL, "rank %d: another rank failed", r->rank);
	for (i = 0; i < n && !st; i++)
		st = step(l, r->event + (ptrdiff_t)EVENTS * i);
	if (!st)
		st = cuda_wait(r, l->all, r->event[EVENTS * n - 1]);
	if (!st && l->direct.d)
		st = cuda_direct_error(l->direct.d);
	return st ? st : collect(l, n);
}
