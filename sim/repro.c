/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/repro.h"

#include "base/buf.h"
#include "sim/repro_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far beyond any constant; keeps products finite. */
#define VALUE_MAX 1e16

const struct repro_row repro_table[] = {
	{ "fsmoe", repro_fsmoe_open, repro_fsmoe_measure,
	  repro_fsmoe_close },
	{ 0 },
};

enum status repro_unknown(int n, const char *const *word)
{
	struct buf b = { 0 };
	enum status st;

	for (int i = 0; i < n; i++)
		buf_addf(&b, "%s%s", i ? " " : "", word[i]);
	st = err_set(ST_INPUT, "unknown measure '%.120s'", buf_str(&b));
	buf_release(&b);
	return st;
}

enum status repro_get(const struct paper *p, const char *prefix,
		      const struct repro_want *want, int n)
{
	char name[128];
	enum status st = ST_OK;

	for (int i = 0; i < n && !st; i++) {
		snprintf(name, sizeof(name), "%s%s", prefix, want[i].name);
		st = paper_get(p, name, want[i].value_p);
		if (!st && !(*want[i].value_p >= want[i].least &&
			     *want[i].value_p <= VALUE_MAX))
			st = err_set(ST_INPUT, "%s: '%s' is %g, must be in "
				     "%g..%g", p->path, name,
				     *want[i].value_p, want[i].least,
				     VALUE_MAX);
	}
	return st;
}

/* Any paper whose file has parts of runs. */
static const struct repro_row in_simulator = {
	"", repro_run_open, repro_run_measure, repro_run_close
};

static const struct repro_row *find(const struct paper *p)
{
	const struct repro_row *r = repro_table;

	if (p->n_parts)
		return &in_simulator;
	while (r->name && strcmp(r->name, p->name))
		r++;
	return r->name ? r : NULL;
}

static double row_error(const struct paper_row *row, double predicted)
{
	if (predicted < row->low)
		return predicted / row->low - 1;
	if (predicted > row->high)
		return predicted / row->high - 1;
	return 0;
}

static enum status run_rows(const struct paper *p, const struct repro_row *f,
			    struct repro *state, struct repro_result *out)
{
	enum status st;

	for (int i = 0; i < p->n_rows; i++) {
		const struct paper_row *row = &p->row[i];

		st = f->measure(state, row->n_words, row->word,
				&out->predicted[i]);
		if (!st && !(out->predicted[i] >= 0 &&
			     out->predicted[i] < INFINITY))
			st = err_set(ST_INPUT, "the constants give no finite "
				     "forecast of this row");
		if (st)
			return err_prefix(st, "%s", row->where);
		out->error[i] = row_error(row, out->predicted[i]);
		out->mean_abs_error += fabs(out->error[i]) / p->n_rows;
		if (!row->gave) {
			out->mean_free_error += fabs(out->error[i]);
			out->n_free++;
		}
	}
	if (out->n_free)
		out->mean_free_error /= out->n_free;
	return ST_OK;
}

enum status repro_run(const struct paper *p, struct repro_result *out)
{
	const struct repro_row *f = find(p);
	struct repro_result r = { .n = p->n_rows };
	struct repro *state;
	enum status st;

	if (!f)
		return err_set(ST_INPUT, "%s: nothing reproduces '%.60s'",
			       p->path, p->name);
	st = f->open(p, &state);
	if (st)
		return st;
	r.predicted = xcalloc((size_t)p->n_rows + 1, sizeof(double));
	r.error = xcalloc((size_t)p->n_rows + 1, sizeof(double));
	st = run_rows(p, f, state, &r);
	f->close(state);
	if (st)
		repro_release(&r);
	else
		*out = r;
	return st;
}

void repro_release(struct repro_result *r)
{
	free(r->predicted);
	free(r->error);
	*r = (struct repro_result){ 0 };
}
