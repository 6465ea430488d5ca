/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast reproduce: papers' tables by simulation. */
#include "base/buf.h"
#include "base/outfile.h"
#include "cli/cli.h"
#include "cli/reproduce.h"
#include "reports/repro_text.h"
#include "scenarios/datadir.h"
#include "sim/repro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct opts {
	struct cli_common common;
	const char *dir;
};

static const struct argp_option options[] = {
	{ "output", 'o', "DIR", 0,
	  "write the table and a figure of it into this directory", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'o':
		o->dir = arg;
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
	.args_doc = "PAPER|all",
	.doc = "Forecasts what a paper reports and shows both side by side, "
	       "with every assumption. PAPER is a shipped name or a file.",
	.children = children,
};

static json_t *json_row(const struct repro_report *r, int i)
{
	const struct paper_row *row = &r->paper->row[i];
	json_t *j = json_object();
	const char *note = repro_note(r, i);

	json_object_set_new(j, "paper", json_string(r->paper->name));
	json_object_set_new(j, "case", json_string(row->name));
	/* of a range the end that is nearer to the forecast */
	json_object_set_new(j, "reported", json_real(
		2 * r->predicted[i] < row->low + row->high ? row->low :
		row->high));
	if (row->low != row->high)
		json_object_set_new(j, "reported_range",
			json_pack("[f, f]", row->low, row->high));
	json_object_set_new(j, "predicted", json_real(r->predicted[i]));
	json_object_set_new(j, "error", json_real(r->error[i]));
	json_object_set_new(j, "source", json_string(row->source));
	if (note)
		json_object_set_new(j, "note", json_string(note));
	if (row->gave)
		json_object_set_new(j, "gave", json_string(row->gave));
	return j;
}

static json_t *json_values(const struct paper *p, bool assumed)
{
	json_t *out = json_array();

	for (int i = 0; i < p->n_values; i++) {
		const struct paper_value *v = &p->value[i];

		if (v->assumed == assumed)
			json_array_append_new(out, json_pack(
				"{s:s, s:s, s:f, s:s}", "paper", p->name,
				"name", v->name, "value", v->value,
				assumed ? "why" : "source", v->why));
	}
	return out;
}

/* Assumptions that are no numbers. */
static void json_add_parts(const struct paper *p, json_t *out)
{
	for (int i = 0; i < p->n_parts; i++) {
		const struct paper_part *part = &p->part[i];

		if (part->why)
			json_array_append_new(out, json_pack(
				"{s:s, s:s, s:s}", "paper", p->name,
				"name", part->name, "why", part->why));
	}
}

static json_t *json_report(const struct repro_report *r)
{
	json_t *rows = json_array(), *root = json_object();
	json_t *assumptions = json_values(r->paper, true);

	for (int i = 0; i < r->paper->n_rows; i++)
		json_array_append_new(rows, json_row(r, i));
	json_object_set_new(root, "schema",
			    json_string("moecast.reproduce/1"));
	json_object_set_new(root, "paper", json_string(r->paper->name));
	json_object_set_new(root, "title", json_string(r->paper->title));
	json_object_set_new(root, "rows", rows);
	json_object_set_new(root, "mean_abs_error",
			    json_real(r->mean_abs_error));
	json_object_set_new(root, "free_rows", json_integer(r->n_free));
	json_object_set_new(root, "free_mean_abs_error",
			    json_real(r->mean_free_error));
	json_add_parts(r->paper, assumptions);
	json_object_set_new(root, "assumptions", assumptions);
	json_object_set_new(root, "constants", json_values(r->paper, false));
	return root;
}

static enum status write_files(const struct opts *o,
			       const struct repro_report *r)
{
	enum status st = outfile_mkdir(o->dir);

	if (!st)
		st = repro_files_write(r, o->dir);
	if (!st && !strcmp(r->paper->name, "hetumoe"))
		st = reproduce_crossover(o->dir);
	if (st == ST_UNAVAILABLE) {
		cli_warn("no figures: %s", err_msg());
		st = ST_OK;
	}
	return st;
}

/* One paper; its JSON to *json_p when asked for, else its text to stdout. */
static enum status reproduce(const struct opts *o, const char *name,
			     json_t **json_p)
{
	struct repro_result result;
	struct repro_report r;
	struct buf text = { 0 };
	struct paper p;
	enum status st = paper_load(&p, name);

	if (st)
		return st;
	st = repro_run(&p, &result);
	if (st)
		goto out;
	r = (struct repro_report){ &p, result.predicted, result.error,
				   result.mean_abs_error,
				   result.mean_free_error, result.n_free };
	if (o->dir)
		st = write_files(o, &r);
	if (!st && o->common.json) {
		*json_p = json_report(&r);
	} else if (!st) {
		repro_text(&r, &text);
		fputs(buf_str(&text), stdout);
	}
	buf_release(&text);
	repro_release(&result);
out:
	paper_release(&p);
	return st;
}

static enum status reproduce_all(const struct opts *o, json_t **json_p)
{
	struct buf names = { 0 };
	json_t *list = json_array(), *rows = json_array();
	json_t *assumptions = json_array();
	enum status st = ST_OK;
	char *rest, *name;
	bool first = true;

	data_names(DATA_PAPER, &names);
	rest = names.s;
	while (!st && rest && (name = strtok_r(rest, " ", &rest))) {
		json_t *one = NULL;

		if (!first && !o->common.json)
			puts("");
		first = false;
		st = reproduce(o, name, &one);
		if (!one)
			continue;
		json_array_extend(rows, json_object_get(one, "rows"));
		json_array_extend(assumptions,
				  json_object_get(one, "assumptions"));
		json_array_append_new(list, one);
	}
	*json_p = json_pack("{s:s, s:s, s:o, s:o, s:o}",
			    "schema", "moecast.reproduce/1", "paper", "all",
			    "rows", rows, "assumptions", assumptions,
			    "papers", list);
	buf_release(&names);
	return st;
}

enum status cmd_reproduce(int argc, char **argv)
{
	struct opts o = { .dir = NULL };
	json_t *json = NULL;
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = cli_need_input(&o.common, "paper");
	if (!st && o.common.n_sets > 0)
		st = err_set(ST_INPUT, "--set: a paper has no scenario keys "
			     "to override");
	if (!st && !strcmp(o.common.input, "all"))
		st = reproduce_all(&o, &json);
	else if (!st)
		st = reproduce(&o, o.common.input, &json);
	if (!st && o.common.json)
		st = cli_print_json(json);
	else
		json_decref(json);
	cli_common_release(&o.common);
	return st;
}
