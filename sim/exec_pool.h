/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exchanges that run together (sim/exec_live.h), remembered.
 *
 * The chunks of a pipeline meet in the same way again and again. What happens
 * between exec_pool_reset() and the next one depends only on who joins when
 * with what; as long as that is what it was in an earlier such session, the
 * answers come from there. At the first difference the engine is started and
 * brought to where the session is. The answers are the same to the last bit.
 */
#ifndef SIM_EXEC_POOL_H
#define SIM_EXEC_POOL_H

#include "sim/exec_live.h"

struct exec_pool;

/* `net` is borrowed. The pool's clock is at 0. */
struct exec_pool *exec_pool_new(const struct net *net);
void exec_pool_free(struct exec_pool *p);
/* A new session, without members and at 0; all members must be done. */
void exec_pool_reset(struct exec_pool *p);

/* Starts `s` now, as exec_live_join(); borrowed as long as the pool is. */
void exec_pool_join(struct exec_pool *p, int who, const struct coll_step *s,
		    double factor);

/*
 * Runs to until_s (INFINITY: no limit), or until members are done: returns
 * the set of those (bit `who`), 0 for none. The clock is then at the last
 * end among them, else at until_s. With merging (see fair.h) that may be
 * past until_s.
 */
unsigned exec_pool_run(struct exec_pool *p, double until_s);

double exec_pool_now(const struct exec_pool *p);
bool exec_pool_has(const struct exec_pool *p, int who);	/* not done */
double exec_pool_finish(const struct exec_pool *p, int who);	/* once done */
/* Sessions that needed the engine so far. */
int exec_pool_solved(const struct exec_pool *p);

#endif
