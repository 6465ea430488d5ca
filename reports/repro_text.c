/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/repro_text.h"

#include "base/buf.h"
#include "base/outfile.h"
#include "reports/chart.h"
#include "reports/gnuplot.h"
#include "reports/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_DRAWN_MAX (CHART_BARS_MAX / 2)

const char *repro_note(const struct repro_report *r, int row)
{
	if (!(fabs(r->error[row]) > REPRO_MISS))
		return NULL;
	return r->paper->row[row].note ? r->paper->row[row].note :
		"not explained";
}

static char *reported_text(const struct paper_row *row)
{
	if (row->low == row->high)
		return xasprintf("%.4g", row->low);
	return xasprintf("%.4g-%.4g", row->low, row->high);
}

static void add_row(const struct repro_report *r, int i, struct table *t)
{
	char *reported = reported_text(&r->paper->row[i]);
	char error[32];

	snprintf(error, sizeof(error), "%+.1f %%%s%s", 100 * r->error[i],
		 r->paper->row[i].gave ? " =" : "  ",
		 repro_note(r, i) ? " !" : "  ");
	table_text(t, r->paper->row[i].name);
	table_text(t, reported);
	table_value(t, r->predicted[i]);
	table_text(t, error);
	free(reported);
}

static void add_rows(const struct repro_report *r, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "case", TABLE_TEXT, 0, 0 },
		{ "reported", TABLE_TEXT, TABLE_RIGHT, 0 },
		{ "forecast", TABLE_NUMBER, 0, 0 },
		{ "error", TABLE_TEXT, TABLE_RIGHT, 0 },
	};
	struct table t;

	table_init(&t, columns, 4);
	for (int i = 0; i < r->paper->n_rows; i++)
		add_row(r, i, &t);
	table_print(&t, out, 2, TABLE_WIDTH);
	table_release(&t);
	buf_addf(out, "\n  mean absolute error of %d rows: %.1f %%\n",
		 r->paper->n_rows, 100 * r->mean_abs_error);
	if (r->n_free == r->paper->n_rows)
		return;
	buf_puts(out, "  (=: an assumption was taken from this row, or from "
		 "those that it divides)\n");
	buf_addf(out, "  mean absolute error of the other %d: %.1f %%\n",
		 r->n_free, 100 * r->mean_free_error);
}

static void add_misses(const struct repro_report *r, struct buf *out)
{
	bool any = false;

	for (int i = 0; i < r->paper->n_rows; i++) {
		const char *note = repro_note(r, i);
		char *line;

		if (!note)
			continue;
		if (!any)
			buf_addf(out, "\nMissed by more than %.0f %% (!):\n",
				 100 * REPRO_MISS);
		any = true;
		line = xasprintf("%s: %s", r->paper->row[i].name, note);
		text_wrap(out, "  - ", line, TABLE_WIDTH);
		free(line);
	}
}

static void add_assumptions(const struct repro_report *r, struct buf *out)
{
	buf_puts(out, "\nAssumptions (what the paper leaves open):\n");
	for (int i = 0; i < r->paper->n_values; i++) {
		const struct paper_value *v = &r->paper->value[i];
		char *line;

		if (!v->assumed)
			continue;
		line = xasprintf("%s = %g: %s", v->name, v->value, v->why);
		text_wrap(out, "  - ", line, TABLE_WIDTH);
		free(line);
	}
	for (int i = 0; i < r->paper->n_parts; i++) {
		const struct paper_part *part = &r->paper->part[i];
		char *line;

		if (!part->why)
			continue;
		line = xasprintf("%s: %s", part->name, part->why);
		text_wrap(out, "  - ", line, TABLE_WIDTH);
		free(line);
	}
}

static bool has_values(const struct paper *p, const char *part)
{
	size_t n = strlen(part);

	for (int i = 0; i < p->n_values; i++) {
		if (!strncmp(p->value[i].name, part, n) &&
		    p->value[i].name[n] == '.')
			return true;
	}
	return false;
}

/* What `moecast simulate` would be told, beside the constants. */
static void add_parts(const struct repro_report *r, struct buf *out)
{
	if (r->paper->n_parts)
		buf_puts(out, "\nRuns in the simulator are made of these:\n");
	for (int i = 0; i < r->paper->n_parts; i++) {
		const struct paper_part *part = &r->paper->part[i];
		struct buf line = { 0 };

		buf_addf(&line, "%s:", part->name);
		if (part->scenario)
			buf_addf(&line, " scenario %s", part->scenario);
		if (part->policy)
			buf_addf(&line, " policy %s", part->policy);
		for (int k = 0; k < part->n_sets; k++)
			buf_addf(&line, " %s", part->set[k]);
		if (has_values(r->paper, part->name))
			buf_puts(&line, " its constants");
		if (buf_str(&line)[line.len - 1] == ':')
			buf_puts(&line, " nothing more");
		text_wrap(out, "  - ", buf_str(&line), TABLE_WIDTH);
		buf_release(&line);
	}
}

void repro_text(const struct repro_report *r, struct buf *out)
{
	text_wrap(out, "", r->paper->title, TABLE_WIDTH);
	buf_puts(out, "\n");
	add_rows(r, out);
	add_misses(r, out);
	add_assumptions(r, out);
	add_parts(r, out);
}

/* ---- figure ---- */

static bool is_drawn(const struct paper *p, const struct paper_row *row)
{
	char *word = xasprintf(" %s ", row->word[0]);
	bool drawn = strstr(p->plot, word) != NULL;

	free(word);
	return drawn;
}

static int make_bars(const struct repro_report *r, struct chart_bar *bar,
		     char **text)
{
	int n = 0;

	for (int i = 0; i < r->paper->n_rows && n < ROWS_DRAWN_MAX; i++) {
		const struct paper_row *row = &r->paper->row[i];

		if (!is_drawn(r->paper, row))
			continue;
		text[2 * n] = reported_text(row);
		text[2 * n + 1] = xasprintf("%.3g forecast", r->predicted[i]);
		bar[2 * n] = (struct chart_bar){
			.label = row->name,
			.value = (row->low + row->high) / 2,
			.value_text = text[2 * n],
		};
		bar[2 * n + 1] = (struct chart_bar){
			.label = " ", .value = r->predicted[i],
			.value_text = text[2 * n + 1], .chosen = true,
		};
		n++;
	}
	return n;
}

static enum status write_figure(const struct repro_report *r,
				const char *path)
{
	struct chart_bar bar[CHART_BARS_MAX];
	char *text[CHART_BARS_MAX];
	int n = make_bars(r, bar, text);
	struct chart_bars c = {
		.head = { .title = "Reported and forecast",
			  .subtitle = r->paper->title },
		.axis = "speedup (x)", .reference = 1,
		.bar = bar, .n_bars = 2 * n,
	};
	enum status st = n ? chart_bars_write(&c, path) : ST_OK;

	for (int i = 0; i < 2 * n; i++)
		free(text[i]);
	return st;
}

enum status repro_files_write(const struct repro_report *r, const char *dir)
{
	static const char *const suffix[] = { "svg", "png" };
	struct buf text = { 0 };
	char *path = xasprintf("%s/%s.txt", dir, r->paper->name);
	enum status st;

	repro_text(r, &text);
	st = outfile_write(path, text.s, text.len);
	free(path);
	buf_release(&text);
	for (int i = 0; i < 2 && !st; i++) {
		path = xasprintf("%s/%s-speedup.%s", dir, r->paper->name,
				 suffix[i]);
		st = write_figure(r, path);
		free(path);
	}
	return st;
}
