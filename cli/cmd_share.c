/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast share: several jobs on one fabric. */
#include "base/buf.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/fill.h"
#include "cli/profile_use.h"
#include "reports/table.h"
#include "sim/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct opts {
	struct cli_common common;
	const char *path[SHARED_JOBS_MAX];
	int n;
	enum placement place;
};

struct job {
	struct scenario s;
	struct scenario own;	/* s with the faults of its own nodes alone;
				   not released */
	struct degraded *fault;	/* those, owned */
	struct profile_use profile;
	bool loaded;
};

static const struct argp_option options[] = {
	{ "place", 'p', "block|interleaved", 0,
	  "the jobs' nodes side by side (default), or one of each in turn", 0 },
	{ 0 },
};

static error_t add_path(struct opts *o, const char *path)
{
	if (o->n == SHARED_JOBS_MAX)
		return cli_usage("more than %d scenarios", SHARED_JOBS_MAX);
	o->path[o->n++] = path;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case ARGP_KEY_ARG:
		return add_path(o, arg);
	case 'p':
		if (strcmp(arg, "block") && strcmp(arg, "interleaved"))
			return cli_usage("--place: '%s' must be 'block' or "
					 "'interleaved'", arg);
		o->place = *arg == 'b' ? PLACE_BLOCK : PLACE_INTERLEAVED;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{ &cli_common_noarg_argp, 0, NULL, 0 }, { 0 }
};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SCENARIO SCENARIO...",
	.doc = "Jobs that share the leaf and spine links of one fabric, each "
	       "with its best plan on nodes of its own: how much slower than "
	       "alone. --set holds for all of them.",
	.children = children,
};

static enum status load(const struct opts *o, int i, struct job *j)
{
	enum status st = scenario_load(&j->s, o->path[i], o->common.sets,
				       o->common.n_sets);

	if (st)
		return st;
	j->loaded = true;
	return profile_use_load(&j->profile, &j->s);
}

/* On its own nodes, with their faults. */
static enum status plan(const struct opts *o, struct job *job, int i,
			struct shared_job *out)
{
	const struct search_options search = { .top = 1 };
	const struct scenario *all[SHARED_JOBS_MAX];
	struct job *j = &job[i];
	struct search_result r;
	enum status st;

	for (int k = 0; k < o->n; k++)
		all[k] = &job[k].s;
	j->own = j->s;
	st = shared_own_faults(all, o->n, o->place, i, &j->fault,
			       &j->own.cluster.n_faults);
	if (st)
		return st;
	j->own.cluster.fault = j->fault;
	st = search_run(&j->own, &search, &r);
	if (st)
		return st;
	*out = (struct shared_job){ .s = &j->own, .plan = r.best.plan,
				    .fault = j->s.cluster.fault,
				    .n_faults = j->s.cluster.n_faults };
	search_release(&r);
	return ST_OK;
}

/* ---- output ---- */

static const char *place_name(enum placement p)
{
	return p == PLACE_BLOCK ? "block" : "interleaved";
}

static enum status print_json(const struct opts *o,
			      const struct shared_job *job)
{
	json_t *rows = json_array();

	for (int i = 0; i < o->n; i++) {
		const struct shared_job *j = &job[i];

		json_array_append_new(rows, json_pack(
			"{s:s, s:i, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
			"scenario", o->path[i],
			"nodes", j->s->cluster.nodes,
			"knobs", json_knobs(&j->plan),
			"alone_s", j->alone_s,
			"time_s", j->worst_s,
			"mean_s", j->mean_s,
			"slowdown", j->worst_s / j->alone_s,
			"slowdown_mean", j->mean_s / j->alone_s,
			"exchange_slowdown", j->exchange_slowdown,
			"exchange_share", j->exchange_share));
	}
	return cli_print_json(json_pack("{s:s, s:s, s:o}",
					"schema", "moecast.share/1",
					"place", place_name(o->place),
					"rows", rows));
}

static void print_text(const struct opts *o, const struct shared_job *job)
{
	static const struct table_column columns[] = {
		{ "job", TABLE_TEXT, 0, 0 },
		{ "nodes", TABLE_COUNT, 0, 0 },
		{ "alone", TABLE_TIME, 0, 0 },
		{ "mean", TABLE_TIME, 0, 0 },
		{ "worst", TABLE_TIME, 0, 0 },
		{ "slower, mean", TABLE_PERCENT, 0, 0 },
		{ "worst", TABLE_PERCENT, 0, 0 },
		{ "exchanges", TABLE_PERCENT, 0, 0 },
	};
	struct buf b = { 0 };
	struct table t;
	char name[40];

	buf_addf(&b, "%d jobs on one fabric, nodes %s; simulated step of each "
		 "at its best plan\n\n", o->n, o->place == PLACE_BLOCK ?
		 "side by side" : "in turn");
	table_init(&t, columns, 8);
	for (int i = 0; i < o->n; i++) {
		const struct shared_job *j = &job[i];
		const char *slash = strrchr(o->path[i], '/');

		snprintf(name, sizeof(name), "%d %.18s", i + 1,
			 slash ? slash + 1 : o->path[i]);
		table_text(&t, name);
		table_value(&t, j->s->cluster.nodes);
		table_value(&t, j->alone_s);
		table_value(&t, j->mean_s);
		table_value(&t, j->worst_s);
		table_value(&t, j->mean_s / j->alone_s - 1);
		table_value(&t, j->worst_s / j->alone_s - 1);
		table_value(&t, j->exchange_slowdown - 1);
	}
	table_print(&t, &b, 0, TABLE_WIDTH);
	table_release(&t);
	buf_puts(&b, "\nworst: every exchange meets the others' exchanges; "
		 "mean: jobs that know\nnothing of one another; exchanges: "
		 "how much longer their flows take, worst\n");
	fputs(buf_str(&b), stdout);
	buf_release(&b);
}

static enum status run(const struct opts *o, struct job *job,
		       struct shared_job *shared)
{
	enum status st = ST_OK;

	for (int i = 0; !st && i < o->n; i++)
		st = load(o, i, &job[i]);
	for (int i = 0; !st && i < o->n; i++)
		st = plan(o, job, i, &shared[i]);
	if (!st)
		st = shared_run(shared, o->n, o->place);
	if (st)
		return st;
	if (o->common.json)
		return print_json(o, shared);
	print_text(o, shared);
	return ST_OK;
}

enum status cmd_share(int argc, char **argv)
{
	struct opts o = { 0 };
	struct job *job = xcalloc(SHARED_JOBS_MAX, sizeof(*job));
	struct shared_job shared[SHARED_JOBS_MAX];
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st && o.n < 2)
		st = err_set(ST_INPUT, "two scenarios at least; try --help");
	if (!st)
		st = run(&o, job, shared);
	for (int i = 0; i < SHARED_JOBS_MAX; i++) {
		if (!job[i].loaded)
			continue;
		profile_use_release(&job[i].profile);
		free(job[i].fault);
		scenario_release(&job[i].s);
	}
	free(job);
	cli_common_release(&o.common);
	return st;
}
