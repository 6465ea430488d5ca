/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A few tasks on the three lanes of a GPU, in seconds: the smallest model in
 * which the schedules of the published systems can be compared. The full
 * program (scenarios/program.h) is for a scenario; this is for closed forms,
 * searches over orders and the reproduction of papers, where a hundred
 * thousand schedules take a second.
 */
#ifndef SIM_LANES_H
#define SIM_LANES_H

#include "scenarios/technique.h"

#define LANE_TASKS_MAX 320
#define LANE_DEPS_MAX 2

struct lane_task {
	enum lane lane;
	int priority;		/* lower first; LANES_READY only */
	int n_deps;
	int dep[LANE_DEPS_MAX];	/* indices, each < own */
	double work_s;		/* alone */
};

enum lanes_rule {
	LANES_FIXED,	/* a lane takes its tasks in array order */
	LANES_READY,	/* an idle lane takes the ready task of lowest
			   (priority, index): no lane waits by choice */
};

struct lanes {
	enum lanes_rule rule;
	/*
	 * While INTRA and INTER both work, each advances at 1 / (1 +
	 * interference): 0 is no interference, 1 is what two activities
	 * that share everything do to one another.
	 */
	double interference;
	int n;
	struct lane_task task[LANE_TASKS_MAX];
};

/* Empty, without clearing the tasks: cheap. */
void lanes_begin(struct lanes *l, enum lanes_rule rule, double interference);

/* Appends a task; dep < 0: none. Returns its index. */
int lanes_add(struct lanes *l, enum lane lane, double work_s, int priority,
	      int dep);
void lanes_dep(struct lanes *l, int task, int dep);

/* When the last task is done; finish[n] may be NULL. */
double lanes_run(const struct lanes *l, double *finish);

#endif
