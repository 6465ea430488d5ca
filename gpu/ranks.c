/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/ranks.h"

#include "base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Looks at the barrier that often before it gives up the processor. */
#define SPIN_MAX 2000
/* Yields that often before it sleeps. */
#define YIELD_MAX 50
#define MESSAGE_MAX 512

struct rank_thread {
	struct ranks *all;
	int rank;
	pthread_t thread;
};

struct ranks {
	int n, started;
	struct rank_thread *thread;	/* owned */
	pthread_mutex_t lock;
	pthread_cond_t begin, end, meet;

	/* one call; under the lock */
	ranks_fn *fn;
	void *arg;
	unsigned call;	/* number of the call that runs */
	int running;
	bool stop;

	/* the barrier: arrivals, and how often all have met */
	atomic_int arrived;
	atomic_uint met;
	atomic_bool failed;
	enum status status;
	char message[MESSAGE_MAX];
};

static void fail(struct ranks *r, enum status st)
{
	pthread_mutex_lock(&r->lock);
	if (!atomic_load(&r->failed)) {
		r->status = st;
		snprintf(r->message, sizeof(r->message), "%s", err_msg());
	}
	atomic_store(&r->failed, true);
	pthread_cond_broadcast(&r->meet);
	pthread_mutex_unlock(&r->lock);
}

/* The next call, or false at the end. */
static bool next_call(struct ranks *r, unsigned *seen_p)
{
	bool stop;

	pthread_mutex_lock(&r->lock);
	while (!r->stop && r->call == *seen_p)
		pthread_cond_wait(&r->begin, &r->lock);
	stop = r->stop;
	*seen_p = r->call;
	pthread_mutex_unlock(&r->lock);
	return !stop;
}

static void *serve(void *arg)
{
	struct rank_thread *t = arg;
	struct ranks *r = t->all;
	unsigned seen = 0;
	enum status st;

	while (next_call(r, &seen)) {
		err_clear();
		st = r->fn(r->arg, t->rank);
		if (st)
			fail(r, st);
		pthread_mutex_lock(&r->lock);
		if (!--r->running)
			pthread_cond_signal(&r->end);
		pthread_mutex_unlock(&r->lock);
	}
	return NULL;
}

static enum status start_threads(struct ranks *r)
{
	int i, e;

	for (i = 0; i < r->n; i++) {
		r->thread[i].all = r;
		r->thread[i].rank = i;
		e = pthread_create(&r->thread[i].thread, NULL, serve,
				   &r->thread[i]);
		if (e)
			return err_set(ST_FAIL,
				       "cannot start the thread of rank %d: "
				       "error %d", i, e);
		r->started++;
	}
	return ST_OK;
}

enum status ranks_start(int n, struct ranks **out_p)
{
	struct ranks *r = xcalloc(1, sizeof(*r));
	enum status st;

	r->n = n;
	r->thread = xcalloc((size_t)n, sizeof(*r->thread));
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->begin, NULL);
	pthread_cond_init(&r->end, NULL);
	pthread_cond_init(&r->meet, NULL);
	st = start_threads(r);
	if (st)
		ranks_stop(r);
	else
		*out_p = r;
	return st;
}

void ranks_stop(struct ranks *r)
{
	int i;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->begin);
	pthread_mutex_unlock(&r->lock);
	for (i = 0; i < r->started; i++)
		pthread_join(r->thread[i].thread, NULL);
	pthread_cond_destroy(&r->meet);
	pthread_cond_destroy(&r->end);
	pthread_cond_destroy(&r->begin);
	pthread_mutex_destroy(&r->lock);
	free(r->thread);
	free(r);
}

int ranks_count(const struct ranks *r)
{
	return r->n;
}

void ranks_begin(struct ranks *r, ranks_fn *fn, void *arg)
{
	pthread_mutex_lock(&r->lock);
	r->fn = fn;
	r->arg = arg;
	if (!atomic_load(&r->failed)) {
		r->running = r->n;
		r->call++;
		pthread_cond_broadcast(&r->begin);
	}
	pthread_mutex_unlock(&r->lock);
}

enum status ranks_wait(struct ranks *r)
{
	enum status st = ST_OK;

	pthread_mutex_lock(&r->lock);
	while (r->running)
		pthread_cond_wait(&r->end, &r->lock);
	if (atomic_load(&r->failed))
		st = err_set(r->status, "%s", r->message);
	pthread_mutex_unlock(&r->lock);
	return st;
}

enum status ranks_call(struct ranks *r, ranks_fn *fn, void *arg)
{
	ranks_begin(r, fn, arg);
	return ranks_wait(r);
}

bool ranks_failed(struct ranks *r)
{
	return atomic_load(&r->failed);
}

static void sleep_until_met(struct ranks *r, unsigned met)
{
	pthread_mutex_lock(&r->lock);
	while (atomic_load(&r->met) == met && !atomic_load(&r->failed))
		pthread_cond_wait(&r->meet, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

static void wait_until_met(struct ranks *r, unsigned met)
{
	int i;

	for (i = 0; i < SPIN_MAX + YIELD_MAX; i++) {
		if (atomic_load(&r->met) != met || atomic_load(&r->failed))
			return;
		if (i >= SPIN_MAX)
			sched_yield();
	}
	sleep_until_met(r, met);
}

bool ranks_barrier(struct ranks *r)
{
	unsigned met = atomic_load(&r->met);

	if (atomic_fetch_add(&r->arrived, 1) + 1 < r->n) {
		wait_until_met(r, met);
		return !atomic_load(&r->failed);
	}
	atomic_store(&r->arrived, 0);
	pthread_mutex_lock(&r->lock);
	atomic_fetch_add(&r->met, 1);
	pthread_cond_broadcast(&r->meet);
	pthread_mutex_unlock(&r->lock);
	return !atomic_load(&r->failed);
}
