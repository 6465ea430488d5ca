/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a job: opens the backend, measures until everything is certain enough
 * or the budget is spent, and hands out what it finds, one piece at a time.
 */
#ifndef GPU_RUN_H
#define GPU_RUN_H

#include "gpu/backend.h"
#include "gpu/job.h"

struct run_sink {
	void *arg;
	enum status (*run)(void *arg, const struct run_info *info);
	enum status (*samples)(void *arg, const struct sample *s, int n);
	/* about to do `what`; spent of budget seconds are over */
	enum status (*progress)(void *arg, double spent_s, double budget_s,
				const char *what);
	void (*beat)(void *arg);	/* something moved */
	/* the backend that runs, or NULL: for the watchdog's abort */
	void (*backend)(void *arg, const struct backend_ops *ops,
			struct backend *b);
};

struct run_options {
	const char *tier;	/* this one and its exchanges only, or NULL */
	double budget_share;	/* of the job's, for this part; 0: all */
	const struct team_link *team;	/* processes of MPI, or NULL */
};

/* Of the budget, for a tier that another process measures: sockets need
 * many repetitions of slow exchanges, but not when it has to be quick. */
#define RUN_OTHER_SHARE 0.2
double run_tier_share(const struct job *j, const char *tier);

/* The job's, or its standard profile's. */
double run_budget_s(const struct job *j);

/*
 * The part of the job that this process can do: everything but tiers that
 * need another environment; those are listed in *other (room for
 * BACKEND_TIERS_MAX), *n_other_p of them.
 */
enum status run_job(const struct job *j, const struct run_options *o,
		    const struct run_sink *sink, const char **other,
		    int *n_other_p);

#endif
