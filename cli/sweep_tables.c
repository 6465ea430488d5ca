/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The answer as tables: times and plans at a glance, where the best plan
 * changes, which upgrade pays next. */
#include "base/buf.h"
#include "cli/sweep_next.h"
#include "reports/chart_heat.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define COLUMNS_MAX 12	/* values along x; of more, some */
#define ROWS_MAX 400

/* ---- one row for each combination of the keys but x ---- */

struct matrix {
	struct page *page;
	const struct sweep_view *v;
	int x, step;	/* every how many-th value */
	/* what stands in a cell */
	void (*cell)(const struct sweep_view *v, long point, struct buf *out);
};

static void matrix_head(const struct matrix *m)
{
	const struct sweep_view *v = m->v;
	const struct view_axis *x = &v->axis[m->x];
	const char *head[SWEEP_AXES_MAX + COLUMNS_MAX];
	char *name[COLUMNS_MAX];
	int n = 0, k = 0;

	for (int i = 0; i < v->n_axes; i++) {
		if (i != m->x)
			head[n++] = v->axis[i].name;
	}
	for (int i = 0; i < x->n; i += m->step) {
		name[k] = xasprintf("%s %s", x->name, x->label[x->order[i]]);
		head[n++] = name[k++];
	}
	page_table_begin(m->page, head, n, n);
	while (k)
		free(name[--k]);
}

static void matrix_row(const struct matrix *m, long point)
{
	const struct sweep_view *v = m->v;
	const struct view_axis *x = &v->axis[m->x];
	struct buf text = { 0 };
	long at = point, next;

	page_row(m->page);
	for (int i = 0; i < v->n_axes; i++) {
		if (i != m->x)
			page_cell(m->page, v->axis[i].label[
				  view_index(v, point, i)]);
	}
	/* from the axis' smallest value up */
	while ((next = next_neighbour(v, at, m->x, true)) >= 0)
		at = next;
	for (int i = 0; i < x->n; i++) {
		if (i % m->step == 0) {
			m->cell(v, at, &text);
			page_cell(m->page, buf_str(&text));
			buf_clear(&text);
		}
		next = next_neighbour(v, at, m->x, false);
		at = next < 0 ? at : next;
	}
	page_row_end(m->page);
	buf_release(&text);
}

static void put_matrix(struct matrix *m)
{
	const struct sweep_view *v = m->v;
	int y, rows = 0;

	view_axes_shown(v, &m->x, &y);
	if (y >= 0 && v->axis[y].numeric && v->axis[y].n > v->axis[m->x].n)
		m->x = y;
	m->step = (v->axis[m->x].n + COLUMNS_MAX - 1) / COLUMNS_MAX;
	matrix_head(m);
	for (long p = 0; p < v->n_points && rows < ROWS_MAX; p++) {
		if (view_index(v, p, m->x))
			continue;
		matrix_row(m, p);
		rows++;
	}
	page_table_end(m->page);
	if (rows == ROWS_MAX)
		page_text(m->page, "There are more rows; the table of all "
			  "points and the CSV have them.");
}

/* ---- times and plans ---- */

static void time_cell(const struct sweep_view *v, long point, struct buf *out)
{
	const struct view_point *at = &v->point[point];
	char time[TABLE_VALUE_MAX], letter[CHART_LETTER_MAX];

	if (at->plan < 0) {
		buf_puts(out, at->reason ? "no plan" : "not yet");
		return;
	}
	buf_addf(out, "%s %s", table_value_text(at->time_s, TABLE_TIME, time,
						sizeof(time)),
		 chart_heat_letter(at->plan, letter));
}

static void put_letters(struct page *p, const struct sweep_view *v)
{
	static const char *const head[] = { "letter", "plan", "best at" };
	long *wins = xcalloc((size_t)v->n_plans + 1, sizeof(*wins));
	char letter[CHART_LETTER_MAX], text[64];

	for (long i = 0; i < v->n_points; i++) {
		if (v->point[i].plan >= 0)
			wins[v->point[i].plan]++;
	}
	page_table_begin(p, head, 3, 3);
	for (int i = 0; i < v->n_plans; i++) {
		page_row(p);
		page_cell(p, chart_heat_letter(i, letter));
		page_cell(p, v->plan[i]);
		snprintf(text, sizeof(text), "%ld points", wins[i]);
		page_cell(p, text);
		page_row_end(p);
	}
	page_table_end(p);
	free(wins);
}

void next_put_glance(struct page *p, const struct sweep_view *v)
{
	struct matrix m = { .page = p, .v = v, .cell = time_cell };

	page_heading(p, 2, "At a glance");
	page_text(p, "Step time of the best plan, and the plan's letter; "
		  "what the letters stand for is below.");
	put_matrix(&m);
	if (!v->n_plans)
		return;
	page_heading(p, 2, "The plans that win");
	page_text(p, "Exchange, degrees of the layout that are not 1, chunks "
		  "forward / backward, capacity factor where there is one. "
		  "How many replicas of the experts there are (dp) follows "
		  "from the number of GPUs and does not make another plan.");
	put_letters(p, v);
}

/* ---- comparing pairs of neighbours ---- */

/* Why rows are missing. */
static void put_left_out(struct page *p, const struct sweep_view *v)
{
	for (int i = 0; i < v->n_axes; i++) {
		const struct view_axis *x = &v->axis[i];
		char *text;

		if (next_steps(x) || x->n < 2)
			continue;
		text = xasprintf("The %d steps of %s are not listed.",
				 x->n - 1, x->name);
		page_text(p, text);
		free(text);
	}
}

static void pair_head(struct page *p, const struct sweep_view *v,
		      const char *first)
{
	const char *head[1 + NEXT_SUBJECTS_MAX] = { first };
	int axis = next_subject(v), n = next_subjects(v);

	for (int i = 0; i < n; i++)
		head[1 + i] = axis < 0 ? "all points" :
			      v->axis[axis].label[i];
	page_table_begin(p, head, 1 + n, 1 + n);
}

typedef void pair_cell_fn(const struct sweep_view *v, int axis, int at,
			  int subject, struct buf *out);

static void pair_row(struct page *p, const struct sweep_view *v, int axis,
		     int at, pair_cell_fn *cell)
{
	const struct view_axis *x = &v->axis[axis];
	struct buf text = { 0 };
	const char *from, *to;

	next_step_ends(x, at, &from, &to);
	buf_addf(&text, "%s %s to %s", x->name, from, to);
	page_row(p);
	page_cell(p, buf_str(&text));
	for (int i = 0; i < next_subjects(v); i++) {
		buf_clear(&text);
		cell(v, axis, at, i, &text);
		page_cell(p, buf_str(&text));
	}
	page_row_end(p);
	buf_release(&text);
}

/* ---- where the best plan changes ---- */

static void change_cell(const struct sweep_view *v, int axis, int at,
			int subject, struct buf *out)
{
	char from[CHART_LETTER_MAX], to[CHART_LETTER_MAX];
	long n = 0, changes = 0, example = -1, other;

	for (long p = 0; p < v->n_points; p++) {
		if (!next_is_of(v, p, subject) || !next_is_step(v, p, axis, at))
			continue;
		other = next_neighbour(v, p, axis, v->axis[axis].down);
		if (v->point[p].plan < 0 || v->point[other].plan < 0)
			continue;
		n++;
		if (v->point[p].plan == v->point[other].plan)
			continue;
		if (!changes++)
			example = p;
	}
	if (!n)
		buf_puts(out, "-");
	else if (!changes)
		buf_addf(out, "never (of %ld)", n);
	if (!changes)
		return;
	other = next_neighbour(v, example, axis, v->axis[axis].down);
	buf_addf(out, "%ld of %ld, such as %s to %s", changes, n,
		 chart_heat_letter(v->point[example].plan, from),
		 chart_heat_letter(v->point[other].plan, to));
}

void next_put_changes(struct page *p, const struct sweep_view *v)
{
	int subject = next_subject(v);

	page_heading(p, 2, "Where the best plan changes");
	page_text(p, "Of the pairs of points that differ in this step alone: "
		  "how many have different best plans.");
	pair_head(p, v, "step");
	for (int i = 0; i < v->n_axes; i++) {
		for (int k = 0; i != subject && k < next_steps(&v->axis[i]);
		     k++)
			pair_row(p, v, i, k, change_cell);
	}
	page_table_end(p);
	put_left_out(p, v);
}

/* ---- which upgrade pays next ---- */

/* Elasticity of a step: per cent more tokens per second for one per cent
 * more; NaN: the key is no positive number. */
static double elasticity(const struct view_axis *x, int at, double gain)
{
	int from = x->down ? x->n - 1 - at : at;
	double a = x->value[x->order[from]];
	double b = x->value[x->order[x->down ? from - 1 : from + 1]];

	if (!x->numeric || !(a > 0) || !(b > 0))
		return NAN;
	return log(gain) / fabs(log(b / a));
}

static void gain_cell(const struct sweep_view *v, int axis, int at,
		      int subject, struct buf *out)
{
	struct next_gains g = next_gains(v, axis, at, subject);
	double e = elasticity(&v->axis[axis], at, g.median);

	if (!g.n) {
		buf_puts(out, "-");
		return;
	}
	buf_addf(out, "%+.1f %% (%+.1f .. %+.1f)", 100 * (g.median - 1),
		 100 * (g.least - 1), 100 * (g.most - 1));
	if (!isnan(e))
		buf_addf(out, ", elasticity %.2f", e);
}

static void next_cell(const struct sweep_view *v, long point, struct buf *out)
{
	struct next_upgrade u = next_best(v, point);
	const struct view_axis *x;

	if (v->point[point].plan < 0)
		buf_puts(out, "no plan");
	else if (u.axis < 0)
		buf_puts(out, "nothing left");
	else if (u.gain < 1 + NEXT_LEAST)
		buf_puts(out, "none pays");
	if (buf_str(out)[0])
		return;
	x = &v->axis[u.axis];
	buf_addf(out, "%s %s: %+.1f %%", x->name,
		 x->label[view_index(v, u.to, u.axis)], 100 * (u.gain - 1));
}

/* "mixtral-8x7b: nic bandwidth first at 80 points, none pays at 4". */
static void put_subject(struct page *p, const struct sweep_view *v,
			int subject)
{
	long first[SWEEP_AXES_MAX] = { 0 }, none = 0, last = 0;
	int axis = next_subject(v);
	struct buf b = { 0 };
	const char *sep = "";

	for (long i = 0; i < v->n_points; i++) {
		struct next_upgrade u = next_best(v, i);

		if (!next_is_of(v, i, subject) || v->point[i].plan < 0)
			continue;
		if (u.axis < 0)
			last++;
		else if (u.gain < 1 + NEXT_LEAST)
			none++;
		else
			first[u.axis]++;
	}
	buf_addf(&b, "%s: ", axis < 0 ? "all points" :
		 v->axis[axis].label[subject]);
	for (int i = 0; i < v->n_axes; i++) {
		if (!first[i])
			continue;
		buf_addf(&b, "%s%s pays most at %ld points", sep,
			 v->axis[i].name, first[i]);
		sep = ", ";
	}
	if (none)
		buf_addf(&b, "%sno step pays %g %% at %ld", sep,
			 100 * NEXT_LEAST, none);
	if (last)
		buf_addf(&b, "%snothing is left to upgrade at %ld",
			 none ? ", " : sep, last);
	page_item(p, buf_str(&b));
	buf_release(&b);
}

static bool has_upgrades(const struct sweep_view *v)
{
	bool any = false;

	for (int i = 0; i < v->n_axes; i++)
		any |= next_is_upgrade(&v->axis[i]);
	return any;
}

void next_put_upgrades(struct page *p, const struct sweep_view *v)
{
	if (!has_upgrades(v))
		return;
	page_heading(p, 2, "Which upgrade pays next, of those in the sweep");
	page_text(p, "Tokens per second after a step over those before it, "
		  "each under its own best plan.");
	page_list_begin(p);
	for (int i = 0; i < next_subjects(v); i++)
		put_subject(p, v, i);
	page_list_end(p);
	page_text(p, "What each step brings: median over the pairs of points, "
		  "least and most; elasticity of the median, in per cent of "
		  "speed for one per cent more.");
	pair_head(p, v, "step");
	for (int i = 0; i < v->n_axes; i++) {
		for (int k = 0; next_is_upgrade(&v->axis[i]) &&
		     k < next_steps(&v->axis[i]); k++)
			pair_row(p, v, i, k, gain_cell);
	}
	page_table_end(p);
}

void next_put_each(struct page *p, const struct sweep_view *v)
{
	struct matrix m = { .page = p, .v = v, .cell = next_cell };

	if (!has_upgrades(v))
		return;
	page_heading(p, 2, "The next upgrade at every point");
	page_text(p, "The step that gains most tokens per second, and what it "
		  "gains.");
	put_matrix(&m);
}
