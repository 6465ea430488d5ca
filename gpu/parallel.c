/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define THREADS_MAX 64

struct parallel {
	parallel_fn *fn;
	void *arg;
	int n;
	atomic_int next;
};

static void *work(void *arg)
{
	struct parallel *p = arg;
	int i;

	while ((i = atomic_fetch_add(&p->next, 1)) < p->n)
		p->fn(p->arg, i);
	return NULL;
}

void parallel_for(int threads, int n, parallel_fn *fn, void *arg)
{
	struct parallel p = { .fn = fn, .arg = arg, .n = n };
	pthread_t thread[THREADS_MAX];
	int i, started = 0;

	if (threads <= 0)
		threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	for (i = 1; i < threads && i < n; i++) {
		if (pthread_create(&thread[started], NULL, work, &p))
			break;
		started++;
	}
	work(&p);
	for (i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
}
