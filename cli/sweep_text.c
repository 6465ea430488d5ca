/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sweep as text: its points, then what every step of an upgrade brings. */
#include "base/buf.h"
#include "cli/sweep.h"
#include "cli/sweep_next.h"
#include "reports/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AXES_IN_ROWS 3	/* more: the last one, under lines with the others */
#define COLUMNS_AFTER 4		/* time, gain, tokens, plan */

struct text_out {
	const struct sweep_grid *grid;
	struct table_column column[SWEEP_AXES_MAX + COLUMNS_AFTER];
	int n_columns, first;	/* first axis that is a column */
	struct table t;
	struct buf *out;	/* groups: goes there when one is whole */
	long n_groups;
};

static double number_of(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

/* A swept value as it was given. */
static const char *given(const struct sweep_grid *g, long point, int axis)
{
	return g->axis[axis].value[sweep_grid_index(g, point, axis)];
}

/* "cluster.nic.bandwidth" -> "bandwidth", or all of it when two end alike. */
static const char *short_key(const struct sweep_grid *g, int axis)
{
	const char *key = g->axis[axis].key, *dot = strrchr(key, '.');
	const char *name = dot ? dot + 1 : key;

	for (int i = 0; i < g->n_axes; i++) {
		const char *d = strrchr(g->axis[i].key, '.');

		if (i != axis && !strcmp(d ? d + 1 : g->axis[i].key, name))
			return key;
	}
	return name;
}

/* The rows so far, under a line that says what they have in common. */
static void end_group(struct text_out *o, long point)
{
	struct buf name = { 0 }, rows = { 0 };
	const char *from;

	for (int i = 0; i < o->first; i++)
		buf_addf(&name, "%s%s %s", i ? ", " : "",
			 short_key(o->grid, i), given(o->grid, point, i));
	buf_puts(o->out, o->n_groups ? "\n" : "");
	text_wrap(o->out, "", buf_str(&name), TABLE_WIDTH);
	table_print(&o->t, &rows, 2, TABLE_WIDTH);
	from = buf_str(&rows);
	for (int i = 0; o->n_groups && i < 2 && from; i++) {
		from = strchr(from, '\n');	/* the head stands once */
		from = from ? from + 1 : NULL;
	}
	buf_puts(o->out, from ? from : "");
	table_release(&o->t);
	table_init(&o->t, o->column, o->n_columns);
	o->n_groups++;
	buf_release(&name);
	buf_release(&rows);
}

static enum status table_row(void *arg, int64_t point, const char *text)
{
	struct text_out *o = arg;
	int last = o->grid->n_axes - 1;
	struct buf plan = { 0 };
	const char *reason;
	json_t *row;
	enum status st = sweep_row_parse((long)point, text, &row);

	if (st)
		return st;
	reason = json_string_value(json_object_get(row, "reason"));
	for (int i = o->first; i < o->grid->n_axes; i++)
		table_text(&o->t, given(o->grid, (long)point, i));
	table_value(&o->t, number_of(row, "time_s"));
	table_value(&o->t, sweep_row_gain(row));
	table_value(&o->t, number_of(row, "tokens_per_s"));
	if (reason) {
		table_text(&o->t, reason);
	} else {
		sweep_row_plan(row, true, &plan);
		table_text(&o->t, buf_str(&plan));
	}
	json_decref(row);
	buf_release(&plan);
	if (o->first && sweep_grid_index(o->grid, (long)point, last) ==
	    o->grid->axis[last].n - 1)
		end_group(o, (long)point);
	return ST_OK;
}

/* In groups titles are as wide as values get: all groups are alike then. */
static void set_columns(struct text_out *o)
{
	const char *const title[] = { o->first ? "    step" : "step",
				      o->first ? "  gain" : "gain",
				      o->first ? "     tokens/s" : "tokens/s",
				      "best plan, or why there is none" };
	static const enum table_kind kind[] = { TABLE_TIME, TABLE_FACTOR,
						TABLE_COUNT, TABLE_TEXT };

	for (int i = o->first; i < o->grid->n_axes; i++)
		o->column[o->n_columns++] = (struct table_column){
			short_key(o->grid, i), TABLE_TEXT, TABLE_RIGHT, 0 };
	for (int i = 0; i < COLUMNS_AFTER; i++)
		o->column[o->n_columns++] = (struct table_column){
			title[i], kind[i], 0, 0 };
	table_init(&o->t, o->column, o->n_columns);
}

static enum status print_points(const struct sweep_run *r, struct buf *out)
{
	const struct sweep_grid *g = r->spec.grid;
	struct text_out o = { .grid = g, .out = out };
	enum status st;

	o.first = g->n_axes > AXES_IN_ROWS ? g->n_axes - 1 : 0;
	set_columns(&o);
	st = store_sweep_each(r->db, r->sweep, table_row, &o);
	if (!st && !o.first)
		table_print(&o.t, out, 0, TABLE_WIDTH);
	table_release(&o.t);
	return st;
}

/* ---- which upgrade pays next ---- */

static void step_row(struct table *t, const struct sweep_view *v, int axis,
		     int at)
{
	const char *from, *to;
	char *text;

	next_step_ends(&v->axis[axis], at, &from, &to);
	text = xasprintf("%s %s to %s", v->axis[axis].name, from, to);
	table_text(t, text);
	free(text);
	for (int i = 0; i < t->n_columns - 1; i++) {
		struct next_gains g = next_gains(v, axis, at, i);

		text = g.n ? xasprintf("%+.1f (%+.1f .. %+.1f)",
				       100 * (g.median - 1),
				       100 * (g.least - 1),
				       100 * (g.most - 1)) : xstrdup("-");
		table_text(t, text);
		free(text);
	}
}

static void print_steps(const struct sweep_view *v, struct buf *out)
{
	struct table_column column[1 + NEXT_SUBJECTS_MAX] = {
		{ "step", TABLE_TEXT, 0, 0 } };
	int axis = next_subject(v), n = next_subjects(v);
	struct table t;

	n = n < TABLE_COLUMNS_MAX - 1 ? n : TABLE_COLUMNS_MAX - 1;
	for (int i = 0; i < n; i++)
		column[1 + i] = (struct table_column){ axis < 0 ? "all points" :
			v->axis[axis].label[i], TABLE_TEXT, 0, 0 };
	table_init(&t, column, 1 + n);
	for (int i = 0; i < v->n_axes; i++) {
		for (int k = 0; next_is_upgrade(&v->axis[i]) &&
		     k < next_steps(&v->axis[i]); k++)
			step_row(&t, v, i, k);
	}
	if (t.n_cells) {
		buf_puts(out, "\nWhat every step brings: per cent more tokens "
			 "per second, median (least .. most)\nof the pairs of "
			 "points, each under its own best plan.\n\n");
		table_print(&t, out, 0, TABLE_WIDTH);
	}
	table_release(&t);
}

enum status sweep_print_table(const struct sweep_run *r, struct buf *out)
{
	struct sweep_view v;
	enum status st;

	buf_addf(out, "%ld points, %ld without a plan; simulated. Step: one "
		 "MoE layer,\nforward and backward. Gain: over the sequential "
		 "plan.\n\n", r->spec.grid->n_points, r->n_failed);
	st = print_points(r, out);
	if (!st)
		st = sweep_view_load(r->db, r->sweep, &v);
	if (st)
		return st;
	print_steps(&v, out);
	sweep_view_release(&v);
	return ST_OK;
}
