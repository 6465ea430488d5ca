/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Repetitions and their times. Alone, repetitions follow one another on one
 * stream with an event between each two:
 *
 *	e0 [work] e1 [work] e2 ...		seconds[i] = e(i+1) - e(i)
 *
 * A short work is over before the host has queued the next, and the times would
 * be the host's: 5 or 8 us, 12 or 16. A layer's launches are queued well ahead
 * of the device. So a work that the host cannot keep up with starts behind a
 * pause, in which some repetitions are queued; and a repetition of a short one
 * is several launches, whose mean counts, so that events do not.
 *
 *	pause e0 [work work ...] e1 [work work ...] e2 | pause e3 ...
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

#include <math.h>
#include <stddef.h>
#include <time.h>

#define MS 1e-3
#define LEAD_NS 20000	/* of the exchange: launch and start of its kernel */
#define PAIR_EVENTS 4
/* Repetitions of shorter works are several launches; no more than so many. */
#define GROUP_S 4e-5
#define GROUP_MAX 16
/* Behind a pause that is so long, and this much longer than it takes to
 * queue what comes behind it. */
#define PAUSE_MAX_S 4e-3
#define PAUSE_TIMES 1.25
#define PAUSE_LEAST_S 2e-5
/* The host keeps up with works that take so much longer than to queue. */
#define KEEPS_UP 1.5

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

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* How repetitions are queued: launches of one, repetitions behind a pause. */
struct queue {
	int group, chunk;
	double pause_s;		/* 0: none, all are one chunk */
};

/* Exchanges wait for one another: each as it comes. */
static struct queue queue_of(const struct cuda_work *w, int n)
{
	struct queue q = { 1, n, 0 };
	double each;

	if (!w->op->rotates || !(w->device_s > 0))
		return q;
	q.group = (int)fmin(fmax(ceil(GROUP_S / w->device_s), 1), GROUP_MAX);
	if (w->device_s > KEEPS_UP * w->host_s)
		return q;
	each = w->host_s * q.group;
	q.chunk = (int)fmin(fmax(PAUSE_MAX_S / each, 1), n);
	q.pause_s = PAUSE_LEAST_S + PAUSE_TIMES * q.chunk * each;
	return q;
}

/* Start of repetition i; its end is the next. */
static int event_at(const struct queue *q, int i)
{
	return i + i / q->chunk;
}

static int count_events(const struct queue *q, int n)
{
	return event_at(q, n - 1) + 2;
}

static enum status queue_one(struct cuda_rank *r, const struct queue *q, int i)
{
	cudaEvent_t *e = r->event + event_at(q, i);
	enum status st = ST_OK;
	int k;

	if (i % q->chunk == 0) {
		if (q->pause_s > 0)
			CUDA_GOTO(out, st, k_pause((unsigned int)
						   (q->pause_s * 1e9),
						   r->main));
		CUDA_GOTO(out, st, cudaEventRecord(e[0], r->main));
	}
	for (k = 0; k < q->group && !st; k++)
		st = launch(r, &r->work, i * q->group + k, r->main);
	if (!st)
		CUDA_GOTO(out, st, cudaEventRecord(e[1], r->main));
out:
	return st;
}

static void note_least(double *least, double now)
{
	if (now > 0 && (!(*least > 0) || now < *least))
		*least = now;
}

static enum status queue_alone(struct cuda_rank *r, const struct queue *q,
			       int n)
{
	double start = now_s();
	enum status st = ST_OK;
	int i;

	for (i = 0; i < n && !st; i++)
		st = queue_one(r, q, i);
	note_least(&r->work.host_s, (now_s() - start) / n / q->group);
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

static enum status collect_alone(struct cuda_rank *r, const struct queue *q,
				 int n)
{
	enum status st = ST_OK;
	cudaEvent_t *e;
	int i;

	for (i = 0; i < n && !st; i++) {
		e = r->event + event_at(q, i);
		st = between(e[0], e[1], &r->seconds[i]);
		r->seconds[i] /= q->group;
		note_least(&r->work.device_s, r->seconds[i]);
	}
	return st;
}

static enum status collect_pairs(struct cuda_rank *r, int n)
{
	enum status st = ST_OK;
	cudaEvent_t *pair;
	int i;

	for (i = 0; i < n && !st; i++) {
		pair = r->event + (ptrdiff_t)PAIR_EVENTS * i;
		st = between(pair[1], pair[2], &r->seconds[i]);
		if (!st)
			st = between(pair[0], pair[3], &r->beside_s[i]);
	}
	return st;
}

enum status cuda_rank_run(struct cuda_rank *r, struct ranks *all, int n)
{
	const struct queue q = queue_of(&r->work, n);
	int n_events = r->other.op ? PAIR_EVENTS * n : count_events(&q, n), i;
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
		st = queue_alone(r, &q, n);
	}
	/* the last pair's main event may come before the other's */
	if (!st && r->other.op)
		st = cuda_wait(r, all, r->event[n_events - 2]);
	if (!st)
		st = cuda_wait(r, all, r->event[n_events - 1]);
	if (!st)
		st = r->other.op ? collect_pairs(r, n)
				 : collect_alone(r, &q, n);
out:
	return st;
}
