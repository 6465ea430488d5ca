/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/lanes.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* Work left below this share of a task is rounding. */
#define LEFT_SHARE 1e-12

struct run {
	const struct lanes *l;
	bool done[LANE_TASKS_MAX];
	/* tasks of each lane that wait, in array order */
	int wait[LANE_N][LANE_TASKS_MAX], n_wait[LANE_N], first[LANE_N];
	int now[LANE_N];	/* running task, -1: idle */
	double left_s[LANE_N];
};

void lanes_begin(struct lanes *l, enum lanes_rule rule, double interference)
{
	l->rule = rule;
	l->interference = interference;
	l->n = 0;
}

int lanes_add(struct lanes *l, enum lane lane, double work_s, int priority,
	      int dep)
{
	struct lane_task *t = &l->task[l->n];

	assert(l->n < LANE_TASKS_MAX && work_s >= 0);
	*t = (struct lane_task){ .lane = lane, .priority = priority,
				 .work_s = work_s };
	if (dep >= 0)
		t->dep[t->n_deps++] = dep;
	return l->n++;
}

void lanes_dep(struct lanes *l, int task, int dep)
{
	struct lane_task *t = &l->task[task];

	assert(t->n_deps < LANE_DEPS_MAX && dep < task);
	t->dep[t->n_deps++] = dep;
}

static bool ready(const struct run *r, int i)
{
	const struct lane_task *t = &r->l->task[i];

	for (int d = 0; d < t->n_deps; d++) {
		if (!r->done[t->dep[d]])
			return false;
	}
	return true;
}

/* The task that an idle lane starts; -1: none. */
static int pick_fixed(struct run *r, int lane)
{
	int i;

	if (r->first[lane] == r->n_wait[lane])
		return -1;
	i = r->wait[lane][r->first[lane]];
	if (!ready(r, i))
		return -1;
	r->first[lane]++;
	return i;
}

static int pick_ready(struct run *r, int lane)
{
	int *wait = r->wait[lane], best = -1, at = 0;

	for (int k = r->first[lane]; k < r->n_wait[lane]; k++) {
		const struct lane_task *t = &r->l->task[wait[k]];

		if (best >= 0 && t->priority >= r->l->task[best].priority)
			continue;
		if (!ready(r, wait[k]))
			continue;
		best = wait[k];
		at = k;
	}
	if (best < 0)
		return -1;
	for (; at > r->first[lane]; at--)
		wait[at] = wait[at - 1];
	r->first[lane]++;
	return best;
}

static void start_tasks(struct run *r)
{
	for (int lane = 0; lane < LANE_N; lane++) {
		int i;

		if (r->now[lane] >= 0)
			continue;
		i = r->l->rule == LANES_FIXED ? pick_fixed(r, lane) :
			pick_ready(r, lane);
		if (i < 0)
			continue;
		r->now[lane] = i;
		r->left_s[lane] = r->l->task[i].work_s;
	}
}

static double speed(const struct run *r, int lane)
{
	if (lane == LANE_COMPUTE || r->now[LANE_INTRA] < 0 ||
	    r->now[LANE_INTER] < 0)
		return 1;
	return 1 / (1 + r->l->interference);
}

/* To the next end of a task; negative: nothing runs. */
static double advance(struct run *r, double now_s, double *finish)
{
	double step = INFINITY, v[LANE_N];

	for (int lane = 0; lane < LANE_N; lane++) {
		v[lane] = speed(r, lane);
		if (r->now[lane] >= 0)
			step = fmin(step, r->left_s[lane] / v[lane]);
	}
	if (isinf(step))
		return -1;
	for (int lane = 0; lane < LANE_N; lane++) {
		int i = r->now[lane];

		if (i < 0)
			continue;
		r->left_s[lane] -= step * v[lane];
		if (r->left_s[lane] > LEFT_SHARE * r->l->task[i].work_s)
			continue;
		r->done[i] = true;
		r->now[lane] = -1;
		if (finish)
			finish[i] = now_s + step;
	}
	return step;
}

static void run_begin(struct run *r, const struct lanes *l)
{
	r->l = l;
	for (int lane = 0; lane < LANE_N; lane++) {
		r->now[lane] = -1;
		r->n_wait[lane] = r->first[lane] = 0;
	}
	for (int i = 0; i < l->n; i++) {
		int lane = (int)l->task[i].lane;

		r->done[i] = false;
		r->wait[lane][r->n_wait[lane]++] = i;
	}
}

double lanes_run(const struct lanes *l, double *finish)
{
	struct run r;
	double now_s = 0, step;

	run_begin(&r, l);
	for (;;) {
		start_tasks(&r);
		step = advance(&r, now_s, finish);
		if (step < 0)
			return now_s;
		now_s += step;
	}
}
