/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/run_layer.h"

#include "gpu/bench_layer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Of the budget, for repeating; the rest is data, warm-up and checks. */
#define REPEAT_SHARE 0.4
#define CAP_MIN_S 0.02
#define CAP_MAX_S 2.0
#define CAP_QUICK_S 0.1

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int count_layers(const struct job *j)
{
	int i, n = 0;

	for (i = 0; i < j->n_tasks; i++)
		n += j->task[i].layer != NULL;
	return n;
}

bool run_has_layers(const struct job *j)
{
	return count_layers(j) > 0;
}

static enum status say(const struct run_layers *r, double spent_s,
		       const char *what)
{
	return r->sink->progress(r->sink->arg, spent_s, r->job->budget_s,
				 what);
}

/* Which result is wrong, for people; rows only say that one is. */
static enum status say_wrong(const struct run_layers *r, double spent_s,
			     const struct layer_check *k)
{
	char what[160];

	snprintf(what, sizeof(what), "wrong: integers %lld, y %.1e, dx %.1e, "
		 "dwg %.1e, dw1 %.1e, dw2 %.1e", (long long)k->wrong_integers,
		 k->error_y, k->error_dx, k->error_dwg, k->error_dw1,
		 k->error_dw2);
	return say(r, spent_s, what);
}

static enum status measure(const struct run_layers *r, double spent_s,
			   const struct layer_case *c)
{
	struct sample out[BENCH_LAYER_SAMPLES];
	struct layer_check check = { 0 };
	char shape[LAYER_TEXT], what[160];
	enum status st;

	layer_describe(c, shape);
	snprintf(what, sizeof(what), "layer %.110s on %s", shape, c->tier);
	st = say(r, spent_s, what);
	if (!st)
		st = bench_layer(&r->bench, c, out, &check);
	if (st)
		return err_prefix(st, "layer %s, %s degree %d/%d on %s", shape,
				  a2a_table[c->plan.alltoall].name,
				  c->plan.degree_forward,
				  c->plan.degree_backward, c->tier);
	if (!check.correct)
		st = say_wrong(r, spent_s, &check);
	if (st)
		return st;
	return r->sink->samples(r->sink->arg, out, BENCH_LAYER_SAMPLES);
}

/* One layer on every tier here; one rank alone has none, and runs once. */
static enum status run_task(const struct run_layers *r, double start_s,
			    const struct layer_case *task)
{
	bool alone = layer_ranks(task) == 1;
	int n = alone ? !r->is_pass : r->n_tiers, i;
	enum status st = ST_OK;

	for (i = 0; i < n && !st; i++) {
		double spent_s = r->spent_s + now_s() - start_s;
		struct layer_case c = *task;

		if (spent_s >= r->job->budget_s)
			return ST_OK;
		snprintf(c.tier, sizeof(c.tier), "%s", alone ? "memory" :
			 r->tier[i]);
		st = measure(r, spent_s, &c);
	}
	return st;
}

static double cap_s(const struct job *j)
{
	int tiers = j->n_tiers > 1 ? j->n_tiers : 1;
	double each = j->budget_s * REPEAT_SHARE / tiers / count_layers(j);

	return fmin(fmax(each, CAP_MIN_S), j->quick ? CAP_QUICK_S : CAP_MAX_S);
}

enum status run_layers(const struct run_layers *r)
{
	struct run_layers mine = *r;
	double start_s = now_s();
	enum status st = ST_OK;
	int i;

	if (!run_has_layers(r->job))
		return ST_OK;
	if (!r->bench.ops->layer_prepare)
		return err_set(ST_INPUT, "backend '%s' has no layers",
			       r->bench.ops->name);
	mine.bench.cap_s = cap_s(r->job);
	for (i = 0; i < r->job->n_tasks && !st; i++) {
		if (r->job->task[i].layer)
			st = run_task(&mine, start_s, r->job->task[i].layer);
	}
	return st;
}
