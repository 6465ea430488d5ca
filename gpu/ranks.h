/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rank threads: one thread for each rank of this process, started once; each
 * call runs one function on all of them and returns when all have returned.
 *
 * Ranks that meet in a barrier wait with ranks_barrier(): it returns false as
 * soon as one rank's function has failed, so nobody waits for a dead
 * peer. After a failure every further call fails with the same message.
 */
#ifndef GPU_RANKS_H
#define GPU_RANKS_H

#include "base/status.h"

#include <stdbool.h>

struct ranks;

/* Returns a status; its message (base/status.h) is handed to the caller. */
typedef enum status ranks_fn(void *arg, int rank);

enum status ranks_start(int n, struct ranks **out_p);
void ranks_stop(struct ranks *r);	/* NULL is fine */
int ranks_count(const struct ranks *r);

/* The first rank that failed decides status and message. */
enum status ranks_call(struct ranks *r, ranks_fn *fn, void *arg);

/* The same in two halves, for two groups of threads at once. */
void ranks_begin(struct ranks *r, ranks_fn *fn, void *arg);
enum status ranks_wait(struct ranks *r);

/* For ranks, inside a call. */
bool ranks_barrier(struct ranks *r);	/* false: someone failed */
bool ranks_failed(struct ranks *r);

#endif
