/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Many independent pieces of work on a few threads. Which thread does which
 * piece is open, so results must not depend on it.
 */
#ifndef GPU_PARALLEL_H
#define GPU_PARALLEL_H

typedef void parallel_fn(void *arg, int i);

/* fn(arg, i) for i in [0, n); threads 0: as many as processors. Where
 * threads cannot be started, the caller does all. */
void parallel_for(int threads, int n, parallel_fn *fn, void *arg);

#endif
