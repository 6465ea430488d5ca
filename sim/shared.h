/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Several jobs on one fabric: what each loses to the others.
 *
 * The jobs' clusters are parts of one fabric: the same nodes, NICs and fabric
 * keys; its nodes are all of theirs, placed side by side or in turn. Whole
 * nodes belong to one job, so jobs meet on leaf and spine (pod) links only.
 *
 * A job's exchange is solved on the whole fabric twice: alone, and with the
 * others exchanging all the while (each goes through its exchanges in program
 * order, over and over). The flows' part of every exchange is then what it
 * takes there, and the step is run again with those times:
 *
 * Faults are the fabric's: every scenario has the same list, its nodes are
 * counted over all jobs as they are placed, its leaves are the fabric's. A
 * job is planned on its own nodes with their faults (and those of rails);
 * other leaves' faults are in the solutions on the whole fabric.
 *
 *	alone_s		nobody else on the fabric
 *	worst_s		every exchange meets all the others' exchanges
 *	mean_s		jobs that know nothing of one another: an exchange
 *			meets others for the share of time in which one at
 *			least is exchanging
 */
#ifndef SIM_SHARED_H
#define SIM_SHARED_H

#include "sim/search.h"

#define SHARED_JOBS_MAX 16

enum placement { PLACE_BLOCK, PLACE_INTERLEAVED };

struct shared_job {
	const struct scenario *s;	/* with the faults of its own nodes */
	struct plan plan;
	const struct degraded *fault;	/* of the fabric; the same for all */
	int n_faults;
	/* out */
	double alone_s, worst_s, mean_s;
	/* flow part of all its exchanges between nodes: with others over
	 * alone; 1 when it has none */
	double exchange_slowdown;
	double exchange_share;	/* of its step alone, all such exchanges */
};

/*
 * Of the fabric's faults (those of every s[i]) what job `which` has to be
 * planned with, by its own numbers; *out is owned, free(). ST_INPUT: the
 * lists differ, or no job has such a node.
 */
enum status shared_own_faults(const struct scenario *const *s, int n,
			      enum placement place, int which,
			      struct degraded **out_p, int *n_p);

/*
 * ST_INPUT names the key in which the jobs' fabrics differ, or the exchange
 * that is too large to be simulated flow by flow.
 */
enum status shared_run(struct shared_job *job, int n, enum placement place);

#endif
