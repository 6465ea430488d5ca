/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast db: what a profile database holds, is it sound, JSON lines. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/cli.h"
#include "profiles/fit.h"
#include "profiles/jsonl.h"
#include "profiles/store.h"
#include "reports/table.h"
#include "scenarios/measured_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSONL_MAX (256u << 20)	/* bytes of a file for --load */

enum { KEY_CHECK = 0x2000, KEY_MIGRATE, KEY_SAVE, KEY_LOAD, KEY_FITS };

struct opts {
	struct cli_common common;
	bool check, migrate;
	const char *save, *load, *fits;
};

static const struct argp_option options[] = {
	{ "check", KEY_CHECK, NULL, 0,
	  "look for damage; exit code 3 when there is any", 0 },
	{ "migrate", KEY_MIGRATE, NULL, 0,
	  "bring an older schema up to this program's", 0 },
	{ "save", KEY_SAVE, "OUT.jsonl", 0,
	  "write the runs and samples as JSON lines", 0 },
	{ "load", KEY_LOAD, "IN.jsonl", 0,
	  "add the runs of a file of JSON lines that are not there yet", 0 },
	{ "fits", KEY_FITS, "OUT.json", 0,
	  "write the curves and products that a forecast takes", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case KEY_CHECK:
		o->check = true;
		return 0;
	case KEY_MIGRATE:
		o->migrate = true;
		return 0;
	case KEY_SAVE:
		o->save = arg;
		return 0;
	case KEY_LOAD:
		o->load = arg;
		return 0;
	case KEY_FITS:
		o->fits = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { .argp = &cli_common_argp },
					      { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "FILE",
	.doc = "What a profile database holds: its runs, samples and fits.",
	.children = children,
};

/* Everything that is told about the database. */
struct content {
	struct store_summary sum;
	struct store_run_row *run;	/* owned */
	struct store_group *group;	/* owned */
	struct fit_row *fit;	/* owned */
	size_t n_runs, cap_runs, n_groups, cap_groups, n_fits;
	struct buf problems;
	int n_problems;
	bool unreadable;	/* in part: no sums */
};

static enum status take_run(void *arg, const struct store_run_row *r)
{
	struct content *c = arg;

	c->run = array_grow(c->run, &c->cap_runs, c->n_runs + 1,
			    sizeof(*c->run));
	c->run[c->n_runs++] = *r;
	return ST_OK;
}

static enum status take_group(void *arg, const struct store_group *g)
{
	struct content *c = arg;

	c->group = array_grow(c->group, &c->cap_groups, c->n_groups + 1,
			      sizeof(*c->group));
	c->group[c->n_groups++] = *g;
	return ST_OK;
}

static enum status collect_rows(struct store *db, struct content *c)
{
	enum status st = store_summary(db, &c->sum);

	if (!st)
		st = store_each_run(db, take_run, c);
	if (!st)
		st = store_each_group(db, take_group, c);
	if (!st)
		st = store_fits(db, &c->fit, &c->n_fits);
	return st;
}

/* What is damaged cannot be told, but the problems can. */
static enum status collect(struct store *db, bool check, struct content *c)
{
	enum status st = ST_OK;

	if (check)
		st = store_check(db, &c->problems, &c->n_problems);
	if (st)
		return st;
	st = collect_rows(db, c);
	if (st != ST_INPUT || !c->n_problems)
		return st;
	c->unreadable = true;
	err_clear();
	return ST_OK;
}

static void content_release(struct content *c)
{
	free(c->run);
	free(c->group);
	free(c->fit);
	buf_release(&c->problems);
}

/* ---- JSON ---- */

static json_t *json_runs(const struct content *c)
{
	json_t *out = json_array(), *row;
	size_t i;

	for (i = 0; i < c->n_runs; i++) {
		const struct store_run_row *r = &c->run[i];

		row = run_info_json(&r->info);
		json_object_del(row, "type");
		json_object_set_new(row, "run", json_integer(r->run));
		json_object_set_new(row, "key", json_string(r->key));
		json_object_set_new(row, "samples", json_integer(r->samples));
		json_array_append_new(out, row);
	}
	return out;
}

static json_t *json_groups(const struct content *c)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < c->n_groups; i++) {
		const struct store_group *g = &c->group[i];

		json_array_append_new(out, json_pack(
			"{s:s, s:s, s:I, s:I, s:i, s:i, s:f, s:f}",
			"op", g->op, "tier", g->tier,
			"samples", (json_int_t)g->samples,
			"wrong", (json_int_t)g->wrong,
			"min_ranks", g->min_ranks, "max_ranks", g->max_ranks,
			"min_bytes", g->min_bytes, "max_bytes", g->max_bytes));
	}
	return out;
}

static json_t *json_fits(const struct content *c)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < c->n_fits; i++) {
		const struct fit_row *f = &c->fit[i];

		json_array_append_new(out, json_pack(
			"{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:f, "
			"s:f, s:f, s:f, s:f, s:f, s:i, s:f, s:f, s:f}",
			"gpu", f->gpu, "op", f->op, "variant", f->variant,
			"tier", f->tier, "dtype", f->dtype, "form", f->form,
			"ranks", f->ranks, "ctas", f->ctas,
			"alpha_s", f->alpha_s,
			"beta_s_per_byte", f->beta_s_per_byte,
			"gamma_s_per_sqrt_byte", f->gamma_s_per_sqrt_byte,
			"r2", f->r2, "mape", f->mape,
			"min_bytes", f->min_bytes, "max_bytes", f->max_bytes,
			"samples", f->samples, "n", f->n, "k", f->k,
			"batch", f->batch));
	}
	return out;
}

static json_t *json_problems(const struct content *c)
{
	json_t *out = json_array();
	const char *line = buf_str(&c->problems);
	size_t n;

	for (; *line; line += n + 1) {
		n = strcspn(line, "\n");
		json_array_append_new(out, json_stringn_nocheck(line, n));
	}
	return out;
}

/* null: cannot be read */
static json_t *json_sum(const struct content *c, int64_t n)
{
	return c->unreadable ? json_null() : json_integer(n);
}

static enum status print_json(const struct content *c)
{
	return cli_print_json(json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"schema", "moecast.db/1",
		"schema_version", json_sum(c, c->sum.schema_version),
		"runs", json_sum(c, c->sum.runs),
		"samples", json_sum(c, c->sum.samples),
		"fits", json_sum(c, c->sum.fits),
		"problems", json_problems(c),
		"run_rows", json_runs(c),
		"groups", json_groups(c),
		"fit_rows", json_fits(c)));
}

/* ---- text ---- */

static void print_runs(const struct content *c, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "run", TABLE_COUNT, 0, 0 },
		{ "date", TABLE_TEXT, 0, 0 },
		{ "backend", TABLE_TEXT, 0, 0 },
		{ "host", TABLE_TEXT, TABLE_CUT, 0 },
		{ "GPUs", TABLE_COUNT, 0, 0 },
		{ "GPU", TABLE_TEXT, TABLE_CUT, 0 },
		{ "samples", TABLE_COUNT, 0, 0 },
	};
	struct table t;
	size_t i;

	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < c->n_runs; i++) {
		const struct store_run_row *r = &c->run[i];

		table_value(&t, (double)r->run);
		table_text(&t, r->info.date);
		table_text(&t, r->info.backend);
		table_text(&t, r->info.host);
		table_value(&t, r->info.gpus);
		table_text(&t, r->info.gpu);
		table_value(&t, (double)r->samples);
	}
	buf_puts(out, "\n");
	table_print(&t, out, 2, TABLE_WIDTH);
	table_release(&t);
}

/* "2", "2 to 8"; "" when there is nothing but 0. */
static void range_cell(struct table *t, double min, double max,
		       enum table_kind kind)
{
	char low[TABLE_VALUE_MAX], high[TABLE_VALUE_MAX];
	char text[2 * TABLE_VALUE_MAX + 8];

	table_value_text(min, kind, low, sizeof(low));
	table_value_text(max, kind, high, sizeof(high));
	if (!strcmp(low, high))
		snprintf(text, sizeof(text), "%s", max > 0 ? high : "");
	else
		snprintf(text, sizeof(text), "%s to %s", low, high);
	table_text(t, text);
}

static void print_groups(const struct content *c, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "op", TABLE_TEXT, 0, 0 },
		{ "tier", TABLE_TEXT, 0, 0 },
		{ "samples", TABLE_COUNT, 0, 0 },
		{ "wrong", TABLE_COUNT, 0, 0 },
		{ "ranks", TABLE_TEXT, 0, 0 },
		{ "size", TABLE_TEXT, 0, 0 },
	};
	struct table t;
	size_t i;

	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < c->n_groups; i++) {
		const struct store_group *g = &c->group[i];

		table_text(&t, g->op);
		table_text(&t, g->tier);
		table_value(&t, (double)g->samples);
		table_value(&t, (double)g->wrong);
		range_cell(&t, g->min_ranks, g->max_ranks, TABLE_COUNT);
		range_cell(&t, g->min_bytes, g->max_bytes, TABLE_BYTES);
	}
	buf_puts(out, "\n");
	table_print(&t, out, 2, TABLE_WIDTH);
	table_release(&t);
}

static void print_fits(const struct content *c, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "fit", TABLE_TEXT, TABLE_CUT, 0 },
		{ "tier", TABLE_TEXT, TABLE_CUT, 0 },
		{ "ranks", TABLE_COUNT, 0, 0 },
		{ "CTAs", TABLE_COUNT, 0, 0 },
		{ "form", TABLE_TEXT, TABLE_CUT, 0 },
		{ "latency", TABLE_TIME, 0, 0 },
		{ "rate", TABLE_RATE, 0, 0 },
		{ "error", TABLE_PERCENT, 0, 0 },
	};
	char shape[64], name[2 * sizeof(c->fit->op) + sizeof(shape) + 4];
	struct table t;
	size_t i;

	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < c->n_fits; i++) {
		const struct fit_row *f = &c->fit[i];

		fit_shape_text(f, shape, sizeof(shape));
		snprintf(name, sizeof(name), "%s%s%s%s%s", f->op,
			 *f->variant ? " " : "", f->variant,
			 *shape ? ", " : "", shape);
		table_text(&t, name);
		table_text(&t, f->tier);
		table_value(&t, f->ranks);
		table_value(&t, f->ctas);
		table_text(&t, f->form);
		table_value(&t, f->alpha_s);
		table_value(&t, f->beta_s_per_byte > 0 ?
			    1 / f->beta_s_per_byte : NAN);
		table_value(&t, f->mape);
	}
	buf_puts(out, "\n");
	table_print(&t, out, 2, TABLE_WIDTH);
	table_release(&t);
}

static void print_text(const char *path, bool check, const struct content *c)
{
	struct buf b = { 0 };

	if (c->unreadable)
		buf_addf(&b, "%s: cannot be read in full\n", path);
	else
		buf_addf(&b, "%s: schema version %d, %lld runs, %lld samples, "
			 "%lld fits\n", path, c->sum.schema_version,
			 (long long)c->sum.runs, (long long)c->sum.samples,
			 (long long)c->sum.fits);
	if (c->n_runs)
		print_runs(c, &b);
	if (c->n_groups)
		print_groups(c, &b);
	if (c->n_fits)
		print_fits(c, &b);
	if (check && !c->n_problems)
		buf_puts(&b, "\nchecked: no problems\n");
	if (c->n_problems)
		buf_addf(&b, "\nproblems:\n%s", buf_str(&c->problems));
	fputs(buf_str(&b), stdout);
	buf_release(&b);
}

/* ---- what writes ---- */

/* Reading first: what is not there is not made. */
static enum status migrate(const char *path)
{
	struct store *db;
	enum status st = store_open(path, STORE_READ, &db);

	if (st)
		return st;
	store_close(db);
	st = store_open(path, STORE_WRITE, &db);
	if (!st)
		store_close(db);
	return st;
}

static void tell_loaded(const struct jsonl_result *r, const char *from)
{
	size_t i;

	for (i = 0; i < r->n_skips; i++)
		cli_warn("%s:%d: skipped: %s", from, r->skip[i].line,
			 r->skip[i].why);
}

static enum status load(const char *path, const char *from)
{
	struct jsonl_result r = { 0 };
	struct store *db = NULL;
	char *text = NULL;
	size_t len;
	enum status st = infile_read(from, JSONL_MAX, &text, &len);

	if (!st)
		st = store_open(path, STORE_WRITE, &db);
	if (!st)
		st = store_load_jsonl(db, from, text, len, &r);
	if (!st)
		tell_loaded(&r, from);
	jsonl_result_release(&r);
	store_close(db);
	free(text);
	return st;
}

static enum status save(struct store *db, const char *to)
{
	struct buf b = { 0 };
	enum status st = store_save_jsonl(db, &b);

	if (!st)
		st = outfile_write(to, buf_str(&b), b.len);
	buf_release(&b);
	return st;
}

struct infos {
	struct run_info *run;	/* owned */
	size_t n, cap;
};

static enum status take_info(void *arg, const struct store_run_row *r)
{
	struct infos *f = arg;

	f->run = array_grow(f->run, &f->cap, f->n + 1, sizeof(*f->run));
	f->run[f->n++] = r->info;
	return ST_OK;
}

static enum status write_fits(struct store *db, const char *to)
{
	struct measured m = { 0 };
	struct infos infos = { 0 };
	struct buf b = { 0 };
	enum status st = fit_measured(db, &m);

	if (!st)
		st = store_each_run(db, take_info, &infos);
	if (!st) {
		measured_json_print(&m, infos.run, infos.n, &b);
		st = outfile_write(to, buf_str(&b), b.len);
	}
	measured_release(&m);
	free(infos.run);
	buf_release(&b);
	return st;
}

static enum status show(const struct opts *o, struct store *db)
{
	const char *path = o->common.input;
	bool check = o->check || o->common.json;
	struct content c = { 0 };
	enum status st = collect(db, check, &c);

	if (!st && o->common.json)
		st = print_json(&c);
	else if (!st)
		print_text(path, check, &c);
	if (!st && o->check && c.n_problems)
		st = err_set(ST_MISMATCH, "'%s' has %d problem%s", path,
			     c.n_problems, c.n_problems > 1 ? "s" : "");
	content_release(&c);
	return st;
}

static enum status run(const struct opts *o)
{
	const char *path = o->common.input;
	struct store *db = NULL;
	enum status st = ST_OK;

	if (o->migrate)
		st = migrate(path);
	if (!st && o->load)
		st = load(path, o->load);
	if (!st)
		st = store_open(path, STORE_READ, &db);
	if (!st && o->save)
		st = save(db, o->save);
	if (!st && o->fits)
		st = write_fits(db, o->fits);
	if (!st)
		st = show(o, db);
	store_close(db);
	return st;
}

enum status cmd_db(int argc, char **argv)
{
	struct opts o = { 0 };
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = cli_need_input(&o.common, "database");
	if (!st && o.common.n_sets > 0)
		st = err_set(ST_INPUT, "--set: a database has no scenario "
			     "keys to override");
	if (!st)
		st = run(&o);
	cli_common_release(&o.common);
	return st;
}
