/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A table of measured exchanges: a header that names columns, in any order,
 * then one row for each sample. Needed: op, ranks, bytes, seconds. Others
 * have the names of struct sample's fields. Commas between cells, quotes
 * around a cell if one likes; '#' starts a comment line, of which
 * "# gpu: NAME" and the like set the run's fields.
 */
#include "profiles/import.h"

#include "base/nearest.h"
#include "scenarios/lines.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 64
#define INT_MAX_VALUE 2147483647.0

enum cell_type { CELL_OP, CELL_TEXT, CELL_INT, CELL_WRONG, CELL_REAL };

struct column {
	const char *name;
	enum cell_type type;
	size_t offset;
	bool needed;
};

#define AT(field) offsetof(struct sample, field)

static const struct column columns[] = {
	{ "op", CELL_OP, AT(op), true },
	{ "ranks", CELL_INT, AT(ranks), true },
	{ "bytes", CELL_REAL, AT(bytes), true },
	{ "seconds", CELL_REAL, AT(median_s), true },
	{ "variant", CELL_TEXT, AT(variant), false },
	{ "tier", CELL_TEXT, AT(tier), false },
	{ "dtype", CELL_TEXT, AT(dtype), false },
	{ "beside", CELL_TEXT, AT(beside), false },
	{ "nodes", CELL_INT, AT(nodes), false },
	{ "ctas", CELL_INT, AT(ctas), false },
	{ "m", CELL_REAL, AT(m), false },
	{ "n", CELL_REAL, AT(n), false },
	{ "k", CELL_REAL, AT(k), false },
	{ "batch", CELL_REAL, AT(batch), false },
	{ "busiest_bytes", CELL_REAL, AT(busiest_bytes), false },
	{ "p95_s", CELL_REAL, AT(p95_s), false },
	{ "min_s", CELL_REAL, AT(min_s), false },
	{ "max_s", CELL_REAL, AT(max_s), false },
	{ "mean_s", CELL_REAL, AT(mean_s), false },
	{ "count", CELL_INT, AT(count), false },
	{ "wrong", CELL_WRONG, AT(wrong), false },
};

#define N_COLUMNS (sizeof(columns) / sizeof(*columns))

#define INFO(field) { #field, offsetof(struct run_info, field), \
		      sizeof(((struct run_info *)NULL)->field) }
static const struct {
	const char *name;
	size_t offset, size;
} facts[] = {
	INFO(source), INFO(host), INFO(gpu), INFO(driver), INFO(cuda),
	INFO(nccl), INFO(clocks), INFO(environment), INFO(date),
};

struct reader {
	struct import *im;
	const char *name;
	int line;
	int n;		/* columns of the header; 0: not read yet */
	const struct column *column[COLUMNS_MAX];	/* NULL: not used */
	struct run_info info;
};

/* ---- cells ---- */

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " ");
	n = strlen(s);
	while (n && s[n - 1] == ' ') {
		s[--n] = '\0';
	}
	if (n >= 2 && s[0] == '"' && s[n - 1] == '"') {
		s[n - 1] = '\0';
		s++;
	}
	return s;
}

/* Splits at commas, in place; -1: more than COLUMNS_MAX. */
static int split(char *line, char **cells)
{
	int n = 0;

	for (;;) {
		char *comma = strchr(line, ',');

		if (n == COLUMNS_MAX)
			return -1;
		if (comma)
			*comma = '\0';
		cells[n++] = trim(line);
		if (!comma)
			return n;
		line = comma + 1;
	}
}

static bool read_number(const char *cell, double min, double *v_p)
{
	char *end;

	*v_p = strtod(cell, &end);
	return end != cell && !*end && isfinite(*v_p) && *v_p >= min;
}

static bool put_cell(const struct column *c, const char *cell,
		     struct sample *s)
{
	char *field = (char *)s + c->offset;
	const char *op = c->type == CELL_OP ? import_op(cell) : NULL;
	double v;

	switch (c->type) {
	case CELL_OP:
	case CELL_TEXT:
		cell = op ? op : cell;
		return snprintf(field, SAMPLE_TEXT, "%s", cell) < SAMPLE_TEXT;
	case CELL_REAL:
		return read_number(cell, 0, (double *)(void *)field);
	case CELL_INT:
		if (!read_number(cell, 0, &v) || v > INT_MAX_VALUE ||
		    v != floor(v))
			return false;
		*(int *)(void *)field = (int)v;
		return true;
	default:
		if (!read_number(cell, -1, &v) || v > 1e15 || v != floor(v))
			return false;
		s->wrong = (int64_t)v;
		return true;
	}
}

static bool read_cells(struct reader *r, char **cells, struct sample *s)
{
	int i;

	for (i = 0; i < r->n; i++) {
		const struct column *c = r->column[i];

		if (!c || (!*cells[i] && !c->needed))
			continue;
		if (put_cell(c, cells[i], s))
			continue;
		notes_add(&r->im->skip, r->line, "%s '%.40s' is not a %s",
			  c->name, cells[i], c->type <= CELL_TEXT ?
			  "short text" : "number in its range");
		return false;
	}
	return true;
}

static void read_row(struct reader *r, char **cells, int n)
{
	struct sample s = { .wrong = -1 };

	if (n != r->n) {
		notes_add(&r->im->skip, r->line, "%d cells where the header "
			  "has %d", n, r->n);
		return;
	}
	if (!read_cells(r, cells, &s))
		return;
	if (!(s.median_s > 0) || (sample_op_is_exchange(s.op) &&
				  (s.ranks < 2 || !(s.bytes > 0)))) {
		notes_add(&r->im->skip, r->line, "an exchange needs 2 ranks "
			  "or more, bytes and seconds above 0");
		return;
	}
	if (import_sample(r->im, r->line, &r->info, &s))
		r->im->rows++;
}

/* ---- header and comments ---- */

static const struct column *find_column(const char *name)
{
	size_t i;

	for (i = 0; i < N_COLUMNS; i++) {
		if (!strcmp(columns[i].name, name))
			return &columns[i];
	}
	return NULL;
}

static void note_column(struct reader *r, const char *name)
{
	const char *names[N_COLUMNS];
	char hint[96];
	size_t i;

	for (i = 0; i < N_COLUMNS; i++) {
		names[i] = columns[i].name;
	}
	notes_add(&r->im->skip, r->line, "column '%.40s' is not used%s", name,
		  nearest_hint(name, names, N_COLUMNS, hint, sizeof(hint)));
}

static bool has_column(const struct reader *r, const struct column *c)
{
	int i;

	for (i = 0; i < r->n; i++) {
		if (r->column[i] == c)
			return true;
	}
	return false;
}

static enum status check_header(const struct reader *r)
{
	size_t i;

	for (i = 0; i < N_COLUMNS; i++) {
		if (columns[i].needed && !has_column(r, &columns[i]))
			return err_set(ST_INPUT, "%s:%d: no column '%s'; "
				       "needed are op, ranks, bytes and "
				       "seconds", r->name, r->line,
				       columns[i].name);
	}
	return ST_OK;
}

static enum status read_header(struct reader *r, char **cells, int n)
{
	for (r->n = 0; r->n < n; r->n++) {
		const struct column *c = find_column(cells[r->n]);

		if (c && has_column(r, c))
			return err_set(ST_INPUT, "%s:%d: column '%s' is there "
				       "twice", r->name, r->line, c->name);
		if (!c)
			note_column(r, cells[r->n]);
		r->column[r->n] = c;
	}
	return check_header(r);
}

/* "# gpu: NVIDIA H200" */
static void read_fact(struct reader *r, char *line)
{
	char *colon = strchr(line, ':'), *name, *value;
	size_t i;

	if (!colon)
		return;
	*colon = '\0';
	name = trim(line + 1);
	value = trim(colon + 1);
	for (i = 0; i < sizeof(facts) / sizeof(*facts); i++) {
		if (!strcmp(facts[i].name, name))
			snprintf((char *)&r->info + facts[i].offset,
				 facts[i].size, "%s", value);
	}
}

static enum status read_line(struct reader *r, struct lines *l)
{
	char *cells[COLUMNS_MAX], *line = l->line + strspn(l->line, " ");
	int n;

	r->line = l->number;
	if (*line == '#') {
		read_fact(r, line);
		return ST_OK;
	}
	if (!*line)
		return ST_OK;
	n = l->cut ? -1 : split(line, cells);
	if (n < 0 && !r->n)
		return err_set(ST_INPUT, "%s:%d: the header is too long",
			       r->name, r->line);
	if (n < 0) {
		notes_add(&r->im->skip, r->line, "the line is too long");
		return ST_OK;
	}
	if (!r->n)
		return read_header(r, cells, n);
	read_row(r, cells, n);
	return ST_OK;
}

enum status import_csv(const char *name, const char *text, size_t len,
		       struct import *out)
{
	struct lines l = { .text = text, .len = len };
	struct reader r = { .im = out, .name = name };
	enum status st = ST_OK;

	r.info = import_info("csv", name);
	while (!st && lines_next(&l)) {
		st = read_line(&r, &l);
	}
	if (!st && !r.n)
		st = err_set(ST_INPUT, "%s: no header with the columns op, "
			     "ranks, bytes, seconds", name);
	return st;
}
