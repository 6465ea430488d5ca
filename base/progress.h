/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Progress of long work, from whoever does it to whoever shows it. fn is
 * called now and then (not more often than every few thousand steps) with
 * work done and in all, in the same unit; NULL: nobody listens. It must not
 * change the work.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

struct progress {
	void (*fn)(void *arg, double done, double total);
	void *arg;
};

static inline void progress_report(const struct progress *p, double done,
				   double total)
{
	if (p && p->fn)
		p->fn(p->arg, done, total);
}

#endif
