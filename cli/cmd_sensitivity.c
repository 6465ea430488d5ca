/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast sensitivity: which resource pays next. */
#include "base/buf.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/profile_use.h"
#include "reports/table.h"
#include "sim/sensitivity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define STEPS_DEFAULT 3

struct opts {
	struct cli_common common;
	int steps;
	struct profile_use profile;
};

static const struct argp_option options[] = {
	{ "steps", 'n', "N", 0,
	  "how many upgrades, one after the other, to look at (default 3; "
	  "0: only the elasticities)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'n':
		return cli_int("--steps", arg, 0, SENSITIVITY_PATH_MAX,
			       &o->steps);
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
	.doc = "How many per cent the best plan's step time falls for 1 % "
	       "more of each rate, or 1 % less of each latency, planning "
	       "again each time; and which upgrade pays until which value.",
	.children = children,
};

/*
 * The value from which another resource pays more: where the path leaves the
 * one that leads now (INFINITY: it leads as far as was looked); what it has
 * now for those that another one leads already; NaN: nobody looked.
 */
static double limit_of(const struct sensitivity *v, int row)
{
	if (row)
		return v->row[row].value;
	return v->n_path ? v->path[0].until : NAN;
}

static json_t *number_or_null(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *json_rows(const struct sensitivity *v)
{
	json_t *out = json_array();

	for (int i = 0; i < v->n_rows; i++)
		json_array_append_new(out, json_pack("{s:s, s:f, s:o, s:f, s:s}",
			"resource", resource_name(v->row[i].resource),
			"elasticity", v->row[i].elasticity,
			"limit", number_or_null(limit_of(v, i)),
			"value", v->row[i].value,
			"unit", resource_unit(v->row[i].resource)));
	return out;
}

static json_t *json_path(const struct sensitivity *v)
{
	json_t *out = json_array();

	for (int i = 0; i < v->n_path; i++)
		json_array_append_new(out, json_pack("{s:s, s:f, s:o, s:f}",
			"resource", resource_name(v->path[i].resource),
			"from", v->path[i].from,
			"until", number_or_null(v->path[i].until),
			"time_s", v->path[i].time_s));
	return out;
}

static enum status print_json(const struct opts *o,
			      const struct sensitivity *v)
{
	json_t *root = json_pack("{s:s, s:f, s:o, s:o}",
		"schema", "moecast.sensitivity/1",
		"time_s", v->time_s,
		"rows", json_rows(v),
		"path", json_path(v));

	profile_use_json(&o->profile, root);
	return cli_print_json(root);
}

/* ---- text ---- */

static enum unit_kind unit_of(enum resource r)
{
	const char *u = resource_unit(r);

	return !strcmp(u, "s") ? U_TIME : !strcmp(u, "bytes/s") ? U_RATE :
		!strcmp(u, "FLOP/s") ? U_FLOPS : U_FRACTION;
}

static const char *human(enum resource r, double v, char *text, size_t size)
{
	return unit_human(v, unit_of(r), text, size);
}

static void print_path(const struct sensitivity *v, struct buf *out)
{
	char from[UNIT_TEXT_MAX], until[UNIT_TEXT_MAX], time[UNIT_TEXT_MAX];

	for (int i = 0; i < v->n_path; i++) {
		const struct sensitivity_step *p = &v->path[i];

		human(p->resource, p->from, from, sizeof(from));
		unit_human(p->time_s, U_TIME, time, sizeof(time));
		buf_addf(out, "%s %s from %s ", i ? "then" : "next",
			 resource_name(p->resource), from);
		if (isfinite(p->until))
			buf_addf(out, "until %s (step %s)\n",
				 human(p->resource, p->until, until,
				       sizeof(until)), time);
		else
			buf_addf(out, "on, at least %g-fold (step %s)\n",
				 SENSITIVITY_FACTOR_MAX, time);
	}
}

static void print_text(const struct sensitivity *v)
{
	static const struct table_column columns[] = {
		{ "resource", TABLE_TEXT, 0, 0 },
		{ "now", TABLE_TEXT, TABLE_RIGHT, 0 },
		{ "elasticity", TABLE_NUMBER, 0, 0 },
		{ "", TABLE_BAR, 0, 30 },
	};
	char text[UNIT_TEXT_MAX];
	struct buf out = { 0 };
	struct table t;

	buf_addf(&out, "simulated step %s; elasticity: per cent that it "
		 "falls for 1 %% more\n(latencies: 1 %% less), best plan "
		 "each time\n\n",
		 unit_human(v->time_s, U_TIME, text, sizeof(text)));
	table_init(&t, columns, 4);
	for (int i = 0; i < v->n_rows; i++) {
		const struct sensitivity_row *r = &v->row[i];

		table_text(&t, resource_name(r->resource));
		table_text(&t, human(r->resource, r->value, text,
				     sizeof(text)));
		table_value(&t, r->elasticity);
		table_value(&t, fmin(fmax(r->elasticity, 0), 1));
	}
	table_print(&t, &out, 0, TABLE_WIDTH);
	table_release(&t);
	if (v->n_path) {
		buf_puts(&out, "\nwhere the next dollar goes\n");
		print_path(v, &out);
	}
	fputs(buf_str(&out), stdout);
	buf_release(&out);
}

static enum status run(struct opts *o, const struct scenario *s)
{
	const struct progress progress = { cli_progress,
					   (void *)"sensitivity" };
	struct sensitivity v;
	enum status st = sensitivity_run(s, o->steps, &progress, &v);

	cli_progress_end();
	if (st)
		return st;
	if (o->common.json)
		return print_json(o, &v);
	print_text(&v);
	return ST_OK;
}

enum status cmd_sensitivity(int argc, char **argv)
{
	struct opts o = { .steps = STEPS_DEFAULT };
	struct scenario s;
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = cli_load(&o.common, &s);
	if (!st) {
		st = profile_use_load(&o.profile, &s);
		if (!st)
			st = run(&o, &s);
		scenario_release(&s);
	}
	profile_use_release(&o.profile);
	cli_common_release(&o.common);
	return st;
}
