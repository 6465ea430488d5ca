/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast sweep: the grid of all --set lists, each point at its best plan. */
#include "config.h"

#include "base/buf.h"
#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/profile_use.h"
#include "cli/sweep.h"
#include "cli/sweep_view.h"
#include "scenarios/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


enum { KEY_DB = 0x3000, KEY_CSV, KEY_LANE };

struct opts {
	struct cli_common common;
	int jobs;
	const char *db, *csv, *dir;
	bool lane_only;
};

static const struct argp_option options[] = {
	{ "db", KEY_DB, "FILE", 0,
	  "database that keeps every finished point (needed)", 0 },
	{ "jobs", 'j', "N", 0,
	  "processes (default: one for each processor)", 0 },
	{ "csv", KEY_CSV, "FILE", 0, "write the rows as a table for others",
	  0 },
	{ "output", 'o', "DIR", 0, "write table, CSV, figures and a page of them there", 0 },
	{ "lane", KEY_LANE, NULL, 0,
	  "lane model only: faster, links are not shared", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case KEY_DB:
		o->db = arg;
		return 0;
	case 'j':
		return cli_int("--jobs", arg, 1, SWEEP_JOBS_MAX, &o->jobs);
	case KEY_CSV:
		o->csv = arg;
		return 0;
	case 'o':
		o->dir = arg;
		return 0;
	case KEY_LANE:
		o->lane_only = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 },
					      { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SCENARIO",
	.doc = "The best plan at every point of a grid: --set KEY=V1,V2,... "
	       "or KEY=A..B*FACTOR or KEY=A..B+STEP, several of them. Every "
	       "finished point is in the database at once; the same call goes "
	       "on where it stopped.",
	.children = children,
};

/* ---- what is swept ---- */

/* Sections that take a name: more than the key table has. */
static bool names_a_source(const char *key)
{
	return !strcmp(key, "cluster") || !strcmp(key, "model");
}

static bool key_known(const char *key)
{
	if (key_find(key) || names_a_source(key))
		return true;
	return !strncmp(key, "cluster.gpu.", 12) && gpu_key_find(key + 12);
}

static enum status check_keys(const struct sweep_grid *g)
{
	for (int i = 0; i < g->n_axes; i++) {
		const char *names[256], *key = g->axis[i].key;
		char hint[128];
		size_t n = 0;

		if (key_known(key))
			continue;
		while (n < n_scenario_keys && n < 256) {
			names[n] = scenario_keys[n].name;
			n++;
		}
		return err_set(ST_INPUT, "--set: unknown key '%s'%s", key,
			       nearest_hint(key, names, n, hint, sizeof(hint)));
	}
	return ST_OK;
}

/* The first point that can be loaded decides what the sweep is about. */
static enum status load_first(const struct sweep_spec *spec,
			      struct scenario *s)
{
	int n = sweep_grid_sets(spec->grid);
	struct scenario_set *sets = xcalloc((size_t)n, sizeof(*sets));
	struct arena arena = { 0 };
	enum status st = ST_INPUT;

	for (long p = 0; st == ST_INPUT && p < spec->grid->n_points; p++) {
		sweep_grid_point(spec->grid, p, &arena, sets);
		st = scenario_load(s, spec->path, sets, n);
		arena_release(&arena);
	}
	free(sets);
	return st;
}

/*
 * All that decides the rows: the scenario as it was understood, what its
 * measurements are, the grid, the program.
 */
static enum status identity(const struct sweep_spec *spec, struct buf *out,
			    struct buf *about)
{
	const struct sweep_grid *g = spec->grid;
	struct profile_use use;
	struct scenario s;
	enum status st = load_first(spec, &s);

	if (st)
		return err_prefix(st, "no point of the sweep can be");
	st = profile_use_load(&use, &s);
	buf_addf(out, "%s\n%s\n%s\n%d\n", PACKAGE_STRING, spec->path,
		 st ? "" : use.note, spec->lane_only);
	scenario_print(&s, out);
	sweep_about(spec, &s, !st && use.active ? use.note :
		    "GPU data sheet and named efficiencies", about);
	profile_use_release(&use);
	scenario_release(&s);
	for (int i = 0; i < g->n_fixed; i++)
		buf_addf(out, "%s\n", g->fixed[i]);
	for (int i = 0; i < g->n_axes; i++) {
		buf_addf(out, "%s", g->axis[i].key);
		for (int v = 0; v < g->axis[i].n; v++)
			buf_addf(out, ",%s", g->axis[i].value[v]);
		buf_puts(out, "\n");
	}
	return st;
}

/* ---- running ---- */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

long sweep_next(void *arg)
{
	struct sweep_run *r = arg;

	while (r->next < r->spec.grid->n_points && r->done[r->next])
		r->next++;
	return r->next < r->spec.grid->n_points ? r->next++ : -1;
}

static void show_progress(struct sweep_run *r)
{
	static char what[64];
	double spent = now_s() - r->began_s;

	snprintf(what, sizeof(what), "sweep %ld of %ld, %.0f/s,", r->n_done,
		 r->spec.grid->n_points,
		 spent > 0 ? (double)(r->n_done - r->began_done) / spent : 0);
	cli_progress(what, (double)(r->n_done - r->began_done),
		     (double)(r->spec.grid->n_points - r->began_done));
}

/* Rows are JSON without spaces; in a text the quotes would be escaped. */
static bool row_failed(const char *row)
{
	return strstr(row, "\"reason\":") != NULL;
}

enum status sweep_store_rows(void *arg, const struct sweep_row *row, int n)
{
	struct sweep_run *r = arg;
	struct store_point *p = xcalloc((size_t)n, sizeof(*p));
	enum status st;

	for (int i = 0; i < n; i++)
		p[i] = (struct store_point){ row[i].point, row[i].text };
	st = store_sweep_add(r->db, r->sweep, p, n);
	free(p);
	for (int i = 0; i < n && !st; i++) {
		r->done[row[i].point] = 1;
		r->n_done++;
		r->n_failed += row_failed(row[i].text);
	}
	if (!st)
		show_progress(r);
	return st;
}

static enum status take_old(void *arg, int64_t point, const char *row)
{
	struct sweep_run *r = arg;

	if (point < 0 || point >= r->spec.grid->n_points)
		return err_set(ST_INPUT, "the database has a point %lld that "
			       "this sweep has not", (long long)point);
	r->done[point] = 1;
	r->n_done++;
	r->n_failed += row_failed(row);
	return ST_OK;
}

static enum status open_db(const char *path, const struct buf *id,
			   const struct buf *about, struct sweep_run *r)
{
	char key[STORE_KEY_MAX];
	enum status st = store_open(path, STORE_WRITE, &r->db);

	if (st)
		return st;
	store_key("sweep", id->s, id->len, key);
	st = store_sweep(r->db, key, buf_str(about), &r->sweep);
	if (!st)
		st = store_sweep_each(r->db, r->sweep, take_old, r);
	r->began_s = now_s();
	r->began_done = r->n_done;
	return st;
}

static enum status outputs(const struct opts *o, const struct sweep_run *r)
{
	struct buf text = { 0 };
	enum status st = ST_OK;

	if (o->csv)
		st = sweep_write_csv(r, o->csv);
	if (!st && o->dir)
		st = sweep_write_dir(r, o->dir);
	if (!st && o->common.json)
		st = sweep_print_json(r);
	if (!st && !o->common.json) {
		st = sweep_print_table(r, &text);
		fputs(buf_str(&text), stdout);
	}
	buf_release(&text);
	return st;
}

/* Rank 0, or the only process: workers first, then the database. */
static enum status run(const struct opts *o, const struct buf *id,
		       const struct buf *about, struct sweep_run *r)
{
	struct sweep_pool *pool = NULL;
	bool spread = sweep_mpi_size() > 1;
	enum status st = ST_OK;

	if (!spread)
		st = sweep_pool_start(&r->spec, o->jobs, &pool);
	if (!st)
		st = open_db(o->db, id, about, r);
	if (!st && r->began_done)
		cli_warn("%ld of %ld points were there already",
			 r->began_done, r->spec.grid->n_points);
	if (!st)
		st = spread ? sweep_mpi_run(r) :
			sweep_pool_run(pool, sweep_next, sweep_store_rows, r);
	sweep_pool_stop(pool);
	cli_progress_end();
	if (!st)
		st = outputs(o, r);
	store_close(r->db);
	return st;
}

static enum status sweep(struct opts *o, const struct sweep_grid *g)
{
	struct sweep_run r = { .spec = { o->common.input, g, o->lane_only } };
	struct buf id = { 0 }, about = { 0 };
	enum status st = check_keys(g);

	if (!st)
		st = identity(&r.spec, &id, &about);
	if (!st && sweep_mpi_rank()) {
		st = sweep_mpi_work(&r.spec);
	} else if (!st) {
		r.done = xcalloc((size_t)g->n_points, 1);
		st = run(o, &id, &about, &r);
		free(r.done);
	}
	buf_release(&about);
	buf_release(&id);
	return st;
}

static int default_jobs(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > SWEEP_JOBS_MAX ? SWEEP_JOBS_MAX : (int)n;
}

enum status cmd_sweep(int argc, char **argv)
{
	struct opts o = { .jobs = default_jobs() };
	struct sweep_grid g;
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = cli_need_input(&o.common, "scenario file");
	if (!st && !o.db)
		st = err_set(ST_INPUT, "--db FILE is missing; try --help");
	if (!st)
		st = sweep_grid_make(o.common.sets, o.common.n_sets, &g);
	if (!st) {
		st = sweep_mpi_begin();
		if (!st)
			st = sweep(&o, &g);
		sweep_mpi_end(st);
		sweep_grid_release(&g);
	}
	cli_common_release(&o.common);
	return st;
}
