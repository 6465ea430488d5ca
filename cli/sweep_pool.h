/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Worker processes of a sweep. The parent hands out points as workers become
 * free, short ones a little before, and takes their rows; it alone writes the
 * database. A worker that ends (a signal, out of memory) is replaced and its
 * points given out again; a point that took SWEEP_TRIES workers with it
 * becomes a row that says so.
 *
 * Processes, not threads: a point that crashes takes nothing else with it.
 * No open database may cross: open it after sweep_pool_start().
 */
#ifndef CLI_SWEEP_POOL_H
#define CLI_SWEEP_POOL_H

#include "cli/sweep_point.h"

#define SWEEP_TRIES 3
#define SWEEP_JOBS_MAX 1024

struct sweep_pool;

struct sweep_row {
	long point;
	const char *text;	/* borrowed */
};

/* The rows that have come, n >= 1; a status but ST_OK ends the sweep. */
typedef enum status sweep_rows_fn(void *arg, const struct sweep_row *row,
				  int n);

/* The next point to compute; -1: there is none. */
typedef long sweep_next_fn(void *arg);

enum status sweep_pool_start(const struct sweep_spec *spec, int jobs,
			     struct sweep_pool **out_p);
/* Until next() has no more and all rows have come. */
enum status sweep_pool_run(struct sweep_pool *p, sweep_next_fn *next,
			   sweep_rows_fn *rows, void *arg);
/* Ends all workers; NULL is fine. */
void sweep_pool_stop(struct sweep_pool *p);

#endif
