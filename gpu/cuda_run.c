/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Repetitions and their times. Alone, repetitions follow one another on one
 * stream with an event between each two:
 *
 *	e0 [work] e1 [work] e2 ...		seconds[i] = e(i+1) - e(i)
 *
 * With a work beside it, that starts first and the next pair waits for both:
 *
 *	main	s0 pause w0 [work        ] m0 wait b0 | s1 ...
 *	beside	wait s0 [beside              ] b0     |
 *
 * A product takes every multiprocessor that it finds, and an exchange that
 * comes a microsecond later then waits for all of it. The pause makes sure
 * that the exchange has its own when the product comes, as it has in a
 * pipeline that starts exchanges as early as it can.
 */
#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/k.h"

#include <stddef.h>

#define MS 1e-3
#define LEAD_NS 20000	/* of the exchange: launch and start of its kernel */
#define PAIR_EVENTS 4

static enum status make_room(struct cuda_rank *r, int n, int n_events)
{
	enum status st = ST_OK;

	r->seconds = xrealloc_array(r->seconds, (size_t)n, sizeof(double));
	r->beside_s = xrealloc_array(r->beside_s, (size_t)n, sizeof(double));
	r->event = xrealloc_array(r->event, (size_t)(n_events > r->n_events ?
						     n_events : r->n_events),
				  sizeof(cudaEvent_t));
	for (; r->n_events < n_events; r->n_events++)
		CUDA_GOTO(out, st, cudaEventCreate(&r->event[r->n_events]));
out:
	return st;
}

static enum status launch(struct cuda_rank *r, struct cuda_work *w, int i,
			  cudaStream_t s)
{
	w->last_set = i % w->n_sets;
	return w->op->launch(r, w, w->last_set, s);
}

static enum status queue_alone(struct cuda_rank *r, int n)
{
	enum status st;
	int i;

	CUDA_GOTO(out, st, cudaEventRecord(r->event[0], r->main));
	for (i = 0; i < n; i++) {
		st = launch(r, &r->work, i, r->main);
		if (st)
			goto out;
		CUDA_GOTO(out, st, cudaEventRecord(r->event[i + 1], r->main));
	}
out:
	return st;
}

/* Events of pair i: start, start of the main work, its end, the other's. */
static enum status queue_pair(struct cuda_rank *r, int i)
{
	cudaEvent_t *e = r->event + (ptrdiff_t)PAIR_EVENTS * i;
	enum status st;

	CUDA_GOTO(out, st, cudaEventRecord(e[0], r->main));
	CUDA_GOTO(out, st, cudaStreamWaitEvent(r->beside, e[0], 0));
	st = launch(r, &r->other, i, r->beside);
	if (st)
		goto out;
	CUDA_GOTO(out, st, cudaEventRecord(e[3], r->beside));
	CUDA_GOTO(out, st, k_pause(LEAD_NS, r->main));
	CUDA_GOTO(out, st, cudaEventRecord(e[1], r->main));
	st = launch(r, &r->work, i, r->main);
	if (st)
		goto out;
	CUDA_GOTO(out, st, cudaEventRecord(e[2], r->main));
	CUDA_GOTO(out, st, cudaStreamWaitEvent(r->main, e[3], 0));
out:
	return st;
}

static enum status between(cudaEvent_t from, cudaEvent_t to, double *seconds)
{
	float ms = 0;
	enum status st;

	CUDA_GOTO(out, st, cudaEventElapsedTime(&ms, from, to));
	*seconds = (double)ms * MS;
out:
	return st;
}

static enum status collect(struct cuda_rank *r, int n)
{
	cudaEvent_t *e = r->event, *pair;
	enum status st = ST_OK;
	int i;

	for (i = 0; i < n && !st; i++) {
		if (!r->other.op) {
			st = between(e[i], e[i + 1], &r->seconds[i]);
			continue;
		}
		pair = e + (ptrdiff_t)PAIR_EVENTS * i;
		st = between(pair[1], pair[2], &r->seconds[i]);
		if (!st)
			st = between(pair[0], pair[3], &r->beside_s[i]);
	}
	return st;
}

enum status cuda_rank_run(struct cuda_rank *r, struct ranks *all, int n)
{
	int n_events = r->other.op ? PAIR_EVENTS * n : n + 1, i;
	enum status st;

	CUDA_GOTO(out, st, cudaSetDevice(r->device));
	st = make_room(r, n, n_events);
	if (st)
		goto out;
	if (!ranks_barrier(all))
		return err_set(ST_FAIL, "rank %d: another rank failed",
			       r->rank);
	if (r->other.op) {
		for (i = 0; i < n && !st; i++)
			st = queue_pair(r, i);
	} else {
		st = queue_alone(r, n);
	}
	/* the last pair's main event may come before the other's */
	if (!st && r->other.op)
		st = cuda_wait(r, all, r->event[n_events - 2]);
	if (!st)
		st = cuda_wait(r, all, r->event[n_events - 1]);
	if (!st)
		st = collect(r, n);
out:
	return st;
}
