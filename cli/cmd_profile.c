/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast profile: has the runner measure this machine, stores, fits. */
#include "base/buf.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/runner.h"
#include "profiles/fit.h"
#include "profiles/store.h"
#include "reports/table.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_S 30
#define TIME_MAX_S 86400
#define RANKS_MAX 1024
#define TIERS_MAX 8

enum { KEY_BACKEND = 0x2000, KEY_DB, KEY_QUICK, KEY_RUNNER, KEY_BUDGET,
       KEY_DEADLINE, KEY_RANKS, KEY_NODES, KEY_TIER, KEY_SEED };

struct opts {
	struct cli_common common;
	const char *backend, *db, *runner;
	bool quick;
	double budget_s, deadline_s;
	int ranks, emulate_nodes, seed;
	const char *tier[TIERS_MAX];
	int n_tiers;
};

static const struct argp_option options[] = {
	{ "backend", KEY_BACKEND, "cuda|host", 0,
	  "what to measure: the GPUs (the default), or the processor as a "
	  "stand-in", 0 },
	{ "db", KEY_DB, "FILE", 0, "the database that takes the samples", 0 },
	{ "quick", KEY_QUICK, NULL, 0, "15 s in all", 0 },
	{ "budget", KEY_BUDGET, "TIME", 0,
	  "begin no measurement after that time", 0 },
	{ "deadline", KEY_DEADLINE, "TIME", 0,
	  "give up when nothing moves for so long (30s)", 0 },
	{ "ranks", KEY_RANKS, "N", 0, "so many ranks, not one per GPU", 0 },
	{ "emulate-nodes", KEY_NODES, "N", 0,
	  "ranks as N nodes joined by sockets", 0 },
	{ "tier", KEY_TIER, "TIER", 0,
	  "only this tier's exchanges: nvlink, shm, socket, network "
	  "(repeatable)", 0 },
	{ "seed", KEY_SEED, "N", 0, "of the random data (1)", 0 },
	{ "runner", KEY_RUNNER, "PATH", 0,
	  "the measuring program, if not " RUNNER " beside this one or "
	  "$" RUNNER_ENV, 0 },
	{ 0 },
};

static error_t parse_time(const char *option, const char *arg, double *out)
{
	double s;
	error_t e = cli_quantity(option, arg, U_TIME, &s);

	if (e)
		return e;
	if (!(s >= 0.1 && s <= TIME_MAX_S))
		return cli_usage("%s: '%s' is not in 100ms..1 day", option,
				 arg);
	*out = s;
	return 0;
}

static error_t add_tier(struct opts *o, const char *arg)
{
	if (o->n_tiers == TIERS_MAX)
		return cli_usage("--tier: more than %d times", TIERS_MAX);
	o->tier[o->n_tiers++] = arg;
	return 0;
}

static error_t parse_number(int key, char *arg, struct opts *o)
{
	switch (key) {
	case KEY_BUDGET:
		return parse_time("--budget", arg, &o->budget_s);
	case KEY_DEADLINE:
		return parse_time("--deadline", arg, &o->deadline_s);
	case KEY_RANKS:
		return cli_int("--ranks", arg, 1, RANKS_MAX, &o->ranks);
	case KEY_NODES:
		return cli_int("--emulate-nodes", arg, 1, RANKS_MAX,
			       &o->emulate_nodes);
	case KEY_SEED:
		return cli_int("--seed", arg, 0, INT_MAX, &o->seed);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case KEY_BACKEND:
		o->backend = arg;
		return 0;
	case KEY_DB:
		o->db = arg;
		return 0;
	case KEY_QUICK:
		o->quick = true;
		return 0;
	case KEY_RUNNER:
		o->runner = arg;
		return 0;
	case KEY_TIER:
		return add_tier(o, arg);
	default:
		return parse_number(key, arg, o);
	}
}

static char *job_text(const struct opts *o)
{
	json_t *tiers = json_array();
	json_t *j = json_pack("{s:s, s:s, s:b, s:i, s:i, s:f, s:f, s:i}",
			      "schema", "moecast.job/1", "backend", o->backend,
			      "quick", o->quick, "ranks", o->ranks,
			      "emulate_nodes", o->emulate_nodes, "budget_s",
			      o->budget_s, "deadline_s", o->deadline_s, "seed",
			      o->seed);
	char *text;
	int i;

	for (i = 0; i < o->n_tiers; i++)
		json_array_append_new(tiers, json_string(o->tier[i]));
	if (o->n_tiers)
		json_object_set(j, "tiers", tiers);
	json_decref(tiers);
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return text;
}

static enum status measure(const struct opts *o, struct runner *s)
{
	char *path = runner_path(o->runner), *job = job_text(o);
	enum status st = runner_run(s, path, job, o->deadline_s);

	free(job);
	free(path);
	return st;
}

/* Fits are of a GPU, or of a backend without one; see store.h. */
static bool is_ours(const struct runner *s, const struct fit_row *f)
{
	return !strcmp(f->gpu, *s->info.gpu ? s->info.gpu : s->info.backend);
}

static json_t *fit_json(const struct fit_row *f)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:f, "
			 "s:f, s:f, s:f, s:s, s:i, s:f, s:f, s:f}", "op", f->op, "variant",
			 f->variant, "tier", f->tier, "dtype", f->dtype,
			 "ranks", f->ranks, "ctas", f->ctas, "alpha_s",
			 f->alpha_s, "beta_s_per_byte", f->beta_s_per_byte,
			 "gamma_s_per_sqrt_byte", f->gamma_s_per_sqrt_byte,
			 "r2", f->r2, "mape", f->mape, "min_bytes",
			 f->min_bytes, "max_bytes", f->max_bytes, "form",
			 f->form, "samples", f->samples, "n", f->n, "k",
			 f->k, "batch", f->batch);
}

static enum status print_json(const struct runner *s,
			      const struct fit_row *f, size_t n)
{
	json_t *fits = json_array();
	size_t i;

	for (i = 0; i < n; i++) {
		if (is_ours(s, &f[i]))
			json_array_append_new(fits, fit_json(&f[i]));
	}
	return cli_print_json(json_pack("{s:I, s:I, s:o}", "run",
					(json_int_t)s->run, "samples",
					(json_int_t)s->stored, "fits", fits));
}

static void print_text(const struct opts *o, const struct runner *s,
		       const struct fit_row *f, size_t n)
{
	static const struct table_column columns[] = {
		{ "op", TABLE_TEXT, 0, 0 },
		{ "variant", TABLE_TEXT, 0, 0 },
		{ "tier", TABLE_TEXT, 0, 0 },
		{ "ctas", TABLE_COUNT, 0, 0 },
		{ "start", TABLE_TIME, 0, 0 },
		{ "rate", TABLE_RATE, 0, 0 },
		{ "R^2", TABLE_NUMBER, 0, 0 },
		{ "error", TABLE_PERCENT, 0, 0 },
		{ "samples", TABLE_COUNT, 0, 0 },
	};
	struct buf out = { 0 };
	struct table t;
	size_t i;

	table_init(&t, columns, (int)(sizeof(columns) / sizeof(columns[0])));
	for (i = 0; i < n; i++) {
		if (!is_ours(s, &f[i]))
			continue;
		table_text(&t, f[i].op);
		table_text(&t, f[i].variant);
		table_text(&t, f[i].tier);
		table_value(&t, f[i].ctas);
		table_value(&t, f[i].alpha_s);
		table_value(&t, f[i].beta_s_per_byte > 0 ?
				1 / f[i].beta_s_per_byte : 0);
		table_value(&t, f[i].r2);
		table_value(&t, f[i].mape);
		table_value(&t, f[i].samples);
	}
	table_print(&t, &out, 0, TABLE_WIDTH);
	table_release(&t);
	printf("run %lld in %s: %lld samples\n\n%s", (long long)s->run, o->db,
	       (long long)s->stored, buf_str(&out));
	buf_release(&out);
}

static enum status fit_and_print(const struct opts *o, const struct runner *s)
{
	struct fit_row *fits = NULL;
	size_t n = 0;
	int n_fits;
	enum status st = fit_database(s->db, &n_fits);

	if (!st)
		st = store_fits(s->db, &fits, &n);
	if (!st && o->common.json)
		st = print_json(s, fits, n);
	else if (!st)
		print_text(o, s, fits, n);
	free(fits);
	return st;
}

static enum status check_opts(const struct opts *o)
{
	if (o->common.n_sets)
		return err_set(ST_INPUT, "--set: there is no scenario here");
	if (!o->db)
		return err_set(ST_INPUT, "--db FILE is missing; try --help");
	return ST_OK;
}

static enum status profile(const struct opts *o)
{
	struct runner s = { .db_name = o->db, .what = "measuring" };
	enum status st = check_opts(o);

	if (!st)
		st = store_open(o->db, STORE_WRITE, &s.db);
	if (!st)
		st = measure(o, &s);
	if (!st)
		st = fit_and_print(o, &s);
	store_close(s.db);
	return st;
}

enum status cmd_profile(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ .argp = &cli_common_noarg_argp }, { 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Measures this machine (exchanges, products, the "
		       "layer's other kernels, and both at once), stores "
		       "every sample in the database and fits cost curves.",
		.children = children,
	};
	struct opts o = { .backend = "cuda", .deadline_s = DEADLINE_S,
			  .seed = 1 };
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = profile(&o);
	cli_common_release(&o.common);
	return st;
}
