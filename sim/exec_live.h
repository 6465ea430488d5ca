/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exchanges that run together, flow by flow.
 *
 * One max-min engine (sim/fair.h) that holds the flows of exchanges which
 * share links. An exchange joins with all of its flows, they start in its
 * own order (all together, by window, by rounds: struct coll_step), and it
 * is done when its slowest one is. An exchange alone takes what coll.h
 * solved for it, up to what merging changes.
 *
 * Members go by a number below EXEC_LIVE_MAX; the number is free again when
 * the member is done. Where a caller stops changes nothing: completions that
 * merge stay together, and whoever joins in the middle of them comes after
 * the last one.
 */
#ifndef SIM_EXEC_LIVE_H
#define SIM_EXEC_LIVE_H

#include "sim/coll.h"

#define EXEC_LIVE_MAX 16

/* Exchanges of more flows are not run flow by flow. */
#define EXEC_LIVE_FLOWS_MAX (1 << 17)

struct exec_live;

/* `net` is borrowed. The clock is at 0. */
struct exec_live *exec_live_new(const struct net *net);
void exec_live_free(struct exec_live *p);

/* Are the step's flows known, and few enough? */
bool exec_live_takes(const struct coll_step *s);

/*
 * Starts the flows of `s` (borrowed until it is done) now, each with `factor`
 * times its bytes. Completions merge as far as every member allows: factor *
 * merge_s of its step.
 */
void exec_live_join(struct exec_live *p, int who, const struct coll_step *s,
		    double factor);

/*
 * Runs to until_s (INFINITY: no limit), or until members are done: returns
 * the set of those (bit `who`), 0 for none, and the time of the first of the
 * completions that merged with theirs.
 */
unsigned exec_live_run(struct exec_live *p, double until_s, double *first_s);

bool exec_live_has(const struct exec_live *p, int who);	/* not done */
double exec_live_finish(const struct exec_live *p, int who);	/* once done */
/* Bytes carried over a link so far. */
double exec_live_link_bytes(const struct exec_live *p, int link);

#endif
