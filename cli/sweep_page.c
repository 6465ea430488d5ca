/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The page of a sweep: the question, the answer, figures, table, sources. */
#include "config.h"

#include "base/buf.h"
#include "base/outfile.h"
#include "cli/cli.h"
#include "cli/sweep.h"
#include "cli/sweep_figures.h"
#include "cli/sweep_next.h"
#include "reports/gnuplot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLE_ROWS_MAX 2000	/* of a page; the CSV has all */
#define VALUES_SHOWN 24		/* of a key */
#define SYSTEM_FIRST 0		/* what the table's gain is over */

/* ---- question and answer ---- */

static void put_axis(struct page *p, const struct view_axis *x)
{
	struct buf b = { 0 };

	buf_addf(&b, "%s: ", x->key);
	for (int i = 0; i < x->n && i < VALUES_SHOWN; i++)
		buf_addf(&b, "%s%s", i ? ", " : "", x->label[i]);
	if (x->n > VALUES_SHOWN)
		buf_addf(&b, ", .. %s (%d values)", x->label[x->n - 1], x->n);
	page_item(p, buf_str(&b));
	buf_release(&b);
}

static void put_question(struct page *p, const struct sweep_view *v)
{
	char *text = xasprintf("How fast is one MoE layer of %s under its "
			       "best plan, which plan is that, and where "
			       "does it change? For every combination of",
			       v->path);

	page_heading(p, 2, "The question");
	page_text(p, text);
	free(text);
	page_list_begin(p);
	for (int i = 0; i < v->n_axes; i++)
		put_axis(p, &v->axis[i]);
	page_list_end(p);
	for (int i = 0; i < v->n_fixed; i++) {
		text = xasprintf("At every point: %s.", v->fixed[i]);
		page_text(p, text);
		free(text);
	}
}

static void put_point(struct page *p, const struct sweep_view *v,
		      const char *what, long point)
{
	const struct view_point *at = &v->point[point];
	char time[TABLE_VALUE_MAX], rate[TABLE_VALUE_MAX], *text;
	struct buf name = { 0 };

	view_name(v, point, NULL, &name);
	text = xasprintf("%s: %s; step %s, %s tokens/s, plan: %s", what,
			 buf_str(&name),
			 table_value_text(at->time_s, TABLE_TIME, time,
					  sizeof(time)),
			 table_value_text(at->tokens_per_s, TABLE_COUNT, rate,
					  sizeof(rate)),
			 v->plan[at->plan]);
	page_item(p, text);
	free(text);
	buf_release(&name);
}

/* Of the points with that value on that axis; axis -1: of all. */
static void put_best(struct page *p, const struct sweep_view *v, int axis,
		     int index)
{
	long fastest = view_fastest(v, axis, index);

	if (fastest < 0 && axis >= 0) {
		char *text = xasprintf("%s has no plan at any point",
				       v->axis[axis].label[index]);

		page_item(p, text);
		free(text);
	}
	if (fastest < 0)
		return;
	put_point(p, v, "least step time", fastest);
	put_point(p, v, "most tokens per second",
		  view_most_tokens(v, axis, index));
}

static const char *plans_win(const struct sweep_view *v, char *out,
			     size_t size)
{
	if (v->n_plans == 1)
		snprintf(out, size, "the same plan wins everywhere");
	else
		snprintf(out, size, "%d different plans win", v->n_plans);
	return out;
}

static void put_answer(struct page *p, const struct sweep_view *v)
{
	int subject = next_subject(v);
	char number[64];
	char *text = xasprintf("%ld of %ld points have a plan; %s.",
			       v->n_done - v->n_failed, v->n_points,
			       plans_win(v, number, sizeof(number)));

	page_heading(p, 2, "The answer in short");
	page_list_begin(p);
	page_item(p, text);
	free(text);
	for (int i = 0; i < (subject < 0 ? 1 : v->axis[subject].n); i++)
		put_best(p, v, subject, i);
	if (v->n_done < v->n_points) {
		text = xasprintf("%ld points were not computed yet: the same "
				 "call goes on with them.",
				 v->n_points - v->n_done);
		page_item(p, text);
		free(text);
	}
	page_list_end(p);
}

/* ---- table ---- */

static void put_row(struct page *p, const struct sweep_view *v, long point)
{
	const struct view_point *at = &v->point[point];
	bool good = at->plan >= 0;

	page_row(p);
	for (int i = 0; i < v->n_axes; i++)
		page_cell(p, v->axis[i].label[view_index(v, point, i)]);
	page_cell(p, good ? v->plan[at->plan] : at->reason ? at->reason :
		  "not computed yet");
	page_value(p, good ? at->time_s : NAN, TABLE_TIME);
	page_value(p, good && at->speedup[SYSTEM_FIRST] > 0 ?
		   (double)at->speedup[SYSTEM_FIRST] : NAN, TABLE_FACTOR);
	page_value(p, good ? at->tokens_per_s : NAN, TABLE_COUNT);
	page_value(p, good ? at->memory_bytes : NAN, TABLE_BYTES);
	page_value(p, good ? at->drop_fraction : NAN, TABLE_PERCENT);
	page_row_end(p);
}

static void put_table(struct page *p, const struct sweep_view *v)
{
	const char *head[SWEEP_AXES_MAX + 6];
	long shown = v->n_points < TABLE_ROWS_MAX ? v->n_points :
		     TABLE_ROWS_MAX;
	char *gain = xasprintf("over %s", v->n_systems ?
			       v->system[SYSTEM_FIRST] : "baseline");
	char *more;
	int n = 0;

	for (; n < v->n_axes; n++)
		head[n] = v->axis[n].name;
	head[n++] = "best plan, or why there is none";
	head[n++] = "step";
	head[n++] = gain;
	head[n++] = "tokens/s";
	head[n++] = "memory";
	head[n++] = "dropped";
	page_heading(p, 2, "All points");
	page_table_begin(p, head, n, v->n_axes + 1);
	for (long i = 0; i < shown; i++)
		put_row(p, v, i);
	page_table_end(p);
	if (shown < v->n_points) {
		more = xasprintf("The first %ld of %ld points; the CSV and "
				 "the database have all.", shown,
				 v->n_points);
		page_text(p, more);
		free(more);
	}
	free(gain);
}

/* ---- what it rests on ---- */

static void put_assumptions(struct page *p, const struct sweep_view *v)
{
	bool lane = v->model[0] == 'l';
	char *costs = xasprintf("Costs: %s.", v->costs);

	page_heading(p, 2, "Assumptions");
	page_list_begin(p);
	page_item(p, "All times are simulated; nothing here was measured on "
		  "the cluster that is asked about.");
	page_item(p, costs);
	page_item(p, "A step is one MoE layer, forward and backward, gradient "
		  "exchange included; the rest of the model is not in it.");
	page_item(p, lane ? "Lane model: each operation by itself, links are "
		  "not shared between operations." :
		  "Flow model: operations that run at one time share links "
		  "(max-min fair), memory and SMs.");
	page_item(p, "Ranks start each operation together; computation has "
		  "no noise, and no fault happens but those that the "
		  "scenario names.");
	page_item(p, "A leaf switch of the fabrics leaf-spine and fat-tree "
		  "has cluster.fabric.radix ports, and half of them go to "
		  "nodes at any oversubscription, unless "
		  "cluster.fabric.nodes_per_leaf says how many nodes.");
	page_item(p, "The best plan is the best of those that the scenario "
		  "lets the search try (search.*, layout.*), within memory "
		  "and the share of tokens that may be dropped.");
	page_list_end(p);
	free(costs);
}

static void put_scenario(struct page *p, const struct sweep_view *v)
{
	page_heading(p, 2, "The scenario");
	page_text(p, "All keys of the first point that can be; the swept ones "
		  "take the values above.");
	page_pre(p, v->scenario);
}

enum status sweep_section(const struct figure_sink *s,
			  const struct sweep_view *v)
{
	bool drawn = !gnuplot_check();
	enum status st = ST_OK;

	put_question(s->page, v);
	put_answer(s->page, v);
	if (view_first(v) >= 0) {
		next_put_upgrades(s->page, v);
		next_put_changes(s->page, v);
		next_put_glance(s->page, v);
		next_put_each(s->page, v);
	}
	if (!drawn) {
		page_text(s->page, "There are no figures: gnuplot was not "
			  "there.");
		err_clear();
	} else {
		st = sweep_draw_slices(s, v);
		if (!st)
			st = sweep_draw_base(s, v);
	}
	if (st)
		return st;
	put_table(s->page, v);
	put_assumptions(s->page, v);
	put_scenario(s->page, v);
	return ST_OK;
}

static enum status write_page(const struct sweep_view *v, const char *dir)
{
	struct figure_files files = { 0 };
	struct page p = { 0 };
	const struct figure_sink sink = { dir, "", &files, &p };
	char *path = xasprintf("%s/sweep.html", dir);
	enum status st;

	page_begin(&p, v->text);
	st = sweep_section(&sink, v);
	page_text(&p, PACKAGE_STRING);
	page_end(&p);
	if (!st)
		st = outfile_write(path, buf_str(&p.out), p.out.len);
	if (st)
		figure_files_remove(&files);
	figure_files_release(&files);
	page_release(&p);
	free(path);
	return st;
}

enum status sweep_write_page(const struct sweep_run *r, const char *dir)
{
	struct sweep_view v;
	enum status st = gnuplot_check();

	if (st) {
		cli_warn("no figures: %s", err_msg());
		err_clear();
	}
	st = sweep_view_load(r->db, r->sweep, &v);
	if (st)
		return st;
	st = write_page(&v, dir);
	sweep_view_release(&v);
	return st;
}
