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
	bool done[LANE_TASKS_MAX], taken[LANE_TASKS_MAX];
	int next[LANE_N];	/* LANES_FIXED: first task not yet taken */
	int now[LANE_N];	/* running task, -1: idle */
	double left_s[LANE_N];
};

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
	int i = r->next[lane];

	while (i < r->l->n && (int)r->l->task[i].lane != lane)
		i++;
	r->next[lane] = i;
	if (i == r->l->n || !ready(r, i))
		return -1;
	r->next[lane] = i + 1;
	return i;
}

static int pick_ready(const struct run *r, int lane)
{
	int best = -1;

	for (int i = 0; i < r->l->n; i++) {
		const struct lane_task *t = &r->l->task[i];

		if ((int)t->lane != lane || r->taken[i] || !ready(r, i))
			continue;
		if (best < 0 || t->priority < r->l->task[best].priority)
			best = i;
	}
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
		r->taken[i] = true;
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

double lanes_run(const struct lanes *l, double *finish)
{
	struct run r = { .l = l };
	double now_s = 0, step;

	for (int lane = 0; lane < LANE_N; lane++)
		r.now[lane] = -1;
	for (;;) {
		start_tasks(&r);
		step = advance(&r, now_s, finish);
		if (step < 0)
			return now_s;
		now_s += step;
	}
}
