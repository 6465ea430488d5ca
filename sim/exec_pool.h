/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exchanges that run together, flow by flow.
 *
 * One max-min engine (sim/fair.h) that holds the flows of exchanges which
 * share links. An exchange joins with all of its flows, they start in its
 * own order (all together, by window, by rounds: struct coll_step), and it
 * is done when its slowest one is. An exchange alone in a pool takes what
 * coll.h solved for it, up to what merging changes.
 *
 * Members go by a number below EXEC_POOL_MAX; the number is free again when
 * the member is done.
 */
#ifndef SIM_EXEC_POOL_H
#define SIM_EXEC_POOL_H

#include "sim/coll.h"

#define EXEC_POOL_MAX LANE_N

/* Exchanges of more flows are not run flow by flow. */
#define EXEC_POOL_FLOWS_MAX (1 << 17)

struct exec_pool;

/* `net` is borrowed. The pool's clock is at 0. */
struct exec_pool *exec_pool_new(const struct net *net);
void exec_pool_free(struct exec_pool *p);
/* Without members and at 0 again. */
void exec_pool_reset(struct exec_pool *p);

/* Are the step's flows known, and few enough? */
bool exec_pool_takes(const struct coll_step *s);

/*
 * Starts the flows of `s` (borrowed until it is done) now, each with `factor`
 * times its bytes. Completions merge as far as every member allows: factor *
 * merge_s of its step.
 */
void exec_pool_join(struct exec_pool *p, int who, const struct coll_step *s,
		    double factor);

/*
 * Runs to until_s (INFINITY: no limit), or until members are done: returns
 * the set of those (bit `who`), 0 for none. Merging may have taken the clock
 * a little past their end.
 */
unsigned exec_pool_run(struct exec_pool *p, double until_s);

double exec_pool_now(const struct exec_pool *p);
bool exec_pool_has(const struct exec_pool *p, int who);	/* not done */
double exec_pool_finish(const struct exec_pool *p, int who);	/* once done */
/* Bytes that the pool has carried over a link since the last reset. */
double exec_pool_link_bytes(const struct exec_pool *p, int link);

#endif
