/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The plans as jobs for the runner. Layers on the same ranks and tier go into
 * one job; a row finds its plan again by the label that its task had.
 */
#include "cli/validate.h"

#include "base/buf.h"
#include "base/mem.h"
#include "cli/runner.h"
#include "sim/route.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TASKS_MAX 256	/* of one job (gpu/job.h) */
#define LABEL "case-"
#define BUDGET_LEAST_S 1.0	/* of a job; 0 is no limit there */

/* A trial of a contest, as a task. */
struct ref {
	struct contest *c;
	size_t trial;
};

struct batch {
	const struct validate *v;
	double budget_s;
	struct ref ref[TASKS_MAX];
	size_t n;
};

/* ---- the job ---- */

/* The copies that the forecast counted, for every source rank. */
static enum status counts_json(const struct contest *c, const struct plan *p,
			       json_t **out_p)
{
	struct routing r;
	json_t *rows, *row;
	enum status st;
	int i, e;

	st = routing_make(&c->s.routing, &c->s.model, &p->layout,
			  cluster_gpus(&c->s.cluster), &r);
	if (st)
		return st;
	rows = json_array();
	for (i = 0; i < r.ranks; i++) {
		row = json_array();
		for (e = 0; e < r.experts; e++)
			json_array_append_new(row, json_integer(
				(json_int_t)routing_count(&r, i, e)));
		json_array_append_new(rows, row);
	}
	routing_release(&r);
	*out_p = rows;
	return ST_OK;
}

static json_t *task_shape(const struct contest *c, const struct plan *p)
{
	const struct model *m = &c->s.model;
	const struct cluster *k = &c->s.cluster;

	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:b, s:s, s:i, s:i}",
			 "op", "layer", "tokens", layout_tokens(&p->layout, m),
			 "hidden", m->hidden, "ffn", m->expert_ffn,
			 "experts", m->experts, "k", m->experts_per_token,
			 "gated", m->gated, "dtype", dtype_name(m->dtype),
			 "nodes", k->nodes, "gpus_per_node",
			 k->gpus_per_node);
}

static enum status task_json(const struct batch *b, size_t i, json_t **out_p)
{
	const struct contest *c = b->ref[i].c;
	const struct plan *p = &c->trial[b->ref[i].trial].plan;
	json_t *j = task_shape(c, p), *counts = NULL;
	struct buf plan = { 0 };
	enum status st = counts_json(c, p, &counts);
	char label[32];

	plan_print(p, &plan);
	snprintf(label, sizeof(label), LABEL "%zu", i);
	json_object_set_new(j, "plan", json_string(buf_str(&plan)));
	json_object_set_new(j, "label", json_string(label));
	json_object_set_new(j, "seed", json_integer(b->v->seed));
	if (c->s.model.shared_ffn)
		json_object_set_new(j, "shared_ffn",
				    json_integer(c->s.model.shared_ffn));
	if (counts)
		json_object_set_new(j, "counts", counts);
	buf_release(&plan);
	if (st)
		json_decref(j);
	else
		*out_p = j;
	return st;
}

static bool is_host(const struct validate *v)
{
	return !strcmp(v->backend, "host");
}

/* Sockets between GPUs need processes of several hosts: the runner emulates
 * those (gpu/run.h). The host's ranks are threads. */
static int emulated(const struct validate *v, const struct contest *c)
{
	const struct cluster *k = &c->s.cluster;

	return !is_host(v) && k->nodes > 1 && !strcmp(c->tier, "socket") ?
		k->nodes : 0;
}

static json_t *job_head(const struct batch *b, const struct contest *c)
{
	const struct validate *v = b->v;
	json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:i}",
			      "schema", "moecast.job/1", "backend", v->backend,
			      "ranks", cluster_gpus(&c->s.cluster),
			      "emulate_nodes", emulated(v, c), "budget_s",
			      b->budget_s, "deadline_s", v->deadline_s,
			      "seed", v->seed);

	if (!is_host(v))
		json_object_set_new(j, "tiers", json_pack("[s]", c->tier));
	return j;
}

static enum status job_text(const struct batch *b, char **out_p)
{
	json_t *j = job_head(b, b->ref[0].c), *tasks = json_array(), *t;
	enum status st = ST_OK;
	size_t i;

	json_object_set_new(j, "tasks", tasks);
	for (i = 0; i < b->n && !st; i++) {
		st = task_json(b, i, &t);
		if (!st)
			json_array_append_new(tasks, t);
	}
	if (!st)
		*out_p = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return st;
}

/* ---- its rows ---- */

/* The task whose label stands in the text; NULL: none of ours. */
static const struct ref *find_task(const struct batch *b, const char *text)
{
	const char *at = strstr(text, LABEL);
	char *end;
	unsigned long i;

	if (!at || !isdigit((unsigned char)at[strlen(LABEL)]))
		return NULL;
	i = strtoul(at + strlen(LABEL), &end, 10);
	return i < b->n && !isalnum((unsigned char)*end) ? &b->ref[i] : NULL;
}

static void take_times(struct trial *t, const struct sample *s)
{
	if (!strcmp(s->variant, "step"))
		t->measured_step_s = s->median_s;
	else
		t->measured_forward_s = s->median_s;
	if (s->wrong > t->wrong)
		t->wrong = s->wrong;
}

/* The row gets the line and plan by which it can be foretold again. */
static enum status take_row(void *arg, struct sample *s)
{
	const struct batch *b = arg;
	const struct ref *ref;
	struct trial *t;
	struct buf plan = { 0 };

	if (strcmp(s->op, "layer") != 0)
		return ST_OK;
	ref = find_task(b, s->layer);
	if (!ref)
		return err_set(ST_FAIL, "a layer came back that was not asked "
			       "for: '%.80s'", s->layer);
	t = &ref->c->trial[ref->trial];
	plan_print(&t->plan, &plan);
	snprintf(s->plan, sizeof(s->plan), "%s", buf_str(&plan));
	buf_release(&plan);
	if (*ref->c->line)
		snprintf(s->layer, sizeof(s->layer), "%s", ref->c->line);
	take_times(t, s);
	return ST_OK;
}

static enum status run_batch(const struct batch *b)
{
	struct runner r = { .db = b->v->store, .db_name = b->v->db,
			    .what = "running", .sample = take_row,
			    .arg = (void *)(uintptr_t)b };
	char *path, *job;
	enum status st = job_text(b, &job);

	if (st)
		return st;
	path = runner_path(b->v->runner);
	st = runner_run(&r, path, job, b->v->deadline_s);
	free(path);
	free(job);
	return st;
}

/* ---- all of it ---- */

static bool same_place(const struct validate *v, const struct contest *a,
		       const struct contest *b)
{
	return !strcmp(a->tier, b->tier) && emulated(v, a) == emulated(v, b) &&
		cluster_gpus(&a->s.cluster) == cluster_gpus(&b->s.cluster);
}

/* Whatever is still to be run where `first` runs. */
static void fill_batch(const struct contests *all, size_t first, bool *begun,
		       struct batch *b)
{
	struct contest *c;
	size_t i, t;

	b->n = 0;
	for (i = first; i < all->n; i++) {
		c = all->c[i];
		if (begun[i] || !same_place(b->v, all->c[first], c) ||
		    b->n + c->n > TASKS_MAX)
			continue;
		begun[i] = true;
		for (t = 0; t < c->n; t++)
			b->ref[b->n++] = (struct ref){ c, t };
	}
}

static enum status check_sizes(const struct contests *all)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		if (all->c[i]->n > TASKS_MAX)
			return err_set(ST_INPUT, "%zu plans of one layer, "
				       "allowed are %d", all->c[i]->n,
				       TASKS_MAX);
	}
	return ST_OK;
}

static enum status check_measured(const struct contests *all)
{
	size_t i, t, n = 0;

	for (i = 0; i < all->n; i++) {
		for (t = 0; t < all->c[i]->n; t++)
			n += all->c[i]->trial[t].measured_step_s > 0;
	}
	return n ? ST_OK : err_set(ST_FAIL, RUNNER " measured none of the "
				   "plans");
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t count_trials(const struct contests *all)
{
	size_t i, n = 0;

	for (i = 0; i < all->n; i++)
		n += all->c[i]->n;
	return n;
}

enum status validate_run(const struct validate *v, struct contests *all)
{
	double end_s = now_s() + v->budget_s;
	struct batch b = { .v = v };
	enum status st = check_sizes(all);
	bool *begun = xcalloc(all->n + 1, sizeof(*begun));
	size_t i, left = count_trials(all);

	for (i = 0; i < all->n && !st; i++) {
		if (begun[i])
			continue;
		fill_batch(all, i, begun, &b);
		/* of what is left of the budget its share */
		b.budget_s = fmax(end_s - now_s(), BUDGET_LEAST_S) *
			(double)b.n / (double)left;
		left -= b.n;
		st = run_batch(&b);
	}
	free(begun);
	return st ? st : check_measured(all);
}
