/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static pthread_t thread;
static struct timespec kicked;
static double limit_s;
static void (*on_late)(void);
static bool stopping;

static struct timespec later(struct timespec t, double s)
{
	t.tv_sec += (time_t)s;
	t.tv_nsec += (long)((s - (double)(time_t)s) * 1e9);
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

/* Sleeps until the time at which the last kick would be too old. */
static bool wait_late(void)
{
	struct timespec until = later(kicked, limit_s), now;
	int e = 0;

	while (!stopping && e != ETIMEDOUT)
		e = pthread_cond_timedwait(&wake, &lock, &until);
	clock_gettime(CLOCK_MONOTONIC, &now);
	until = later(kicked, limit_s);
	return !stopping && (now.tv_sec > until.tv_sec ||
			     (now.tv_sec == until.tv_sec &&
			      now.tv_nsec >= until.tv_nsec));
}

static void *watch(void *arg)
{
	bool late = false;

	pthread_mutex_lock(&lock);
	while (!stopping && !late)
		late = wait_late();
	pthread_mutex_unlock(&lock);
	if (late)
		on_late();
	return arg;
}

enum status watchdog_start(double deadline_s, void (*late)(void))
{
	pthread_condattr_t attr;
	int e;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wake, &attr);
	pthread_condattr_destroy(&attr);
	limit_s = deadline_s;
	on_late = late;
	stopping = false;
	clock_gettime(CLOCK_MONOTONIC, &kicked);
	e = pthread_create(&thread, NULL, watch, NULL);
	if (e)
		return err_set(ST_FAIL, "cannot start a thread: error %d", e);
	return ST_OK;
}

void watchdog_kick(void)
{
	pthread_mutex_lock(&lock);
	clock_gettime(CLOCK_MONOTONIC, &kicked);
	pthread_mutex_unlock(&lock);
}

void watchdog_stop(void)
{
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	pthread_cond_destroy(&wake);
}
