/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/matrix.h"

#include "base/mem.h"
#include "base/outfile.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 32	/* bytes of a wrong cell that a message shows */

struct reader {
	const char *path;
	const char *at, *line;	/* now; begin of its line */
	int line_number;
	int ranks, columns;	/* wanted */
	int rows, cells;	/* read; cells: of this row */
	int width;	/* of the first row; 0: not yet known */
	double *out;
};

static enum status fail(const struct reader *r, const char *at,
			const char *what)
{
	int n = (int)strcspn(at, " \t\r\n,");

	return err_set(ST_INPUT, "%s:%d:%d: '%.*s' %s", r->path,
		       r->line_number, (int)(at - r->line) + 1,
		       n < SHOWN_MAX ? n : SHOWN_MAX, at, what);
}

static bool is_end(char c)
{
	return c == '\0' || c == ' ' || c == '\t' || c == ',' ||
	       c == '\r' || c == '\n';
}

static enum status read_cell(struct reader *r, double *value_p)
{
	const char *begin = r->at;
	double v = 0;

	if (is_end(*begin))
		return err_set(ST_INPUT, "%s:%d:%d: a cell is empty", r->path,
			       r->line_number, (int)(begin - r->line) + 1);
	if (*begin == '-')
		return fail(r, begin, "is negative: bytes are 0 or more");
	while (isdigit((unsigned char)*r->at) && v <= MATRIX_CELL_MAX) {
		v = v * 10 + (*r->at++ - '0');
	}
	if (v > MATRIX_CELL_MAX)
		return fail(r, begin, "is more than 1e15 bytes");
	if (!is_end(*r->at))
		return fail(r, begin, "is not a whole number of bytes");
	*value_p = v;
	return ST_OK;
}

static void skip_blanks(struct reader *r)
{
	while (*r->at == ' ' || *r->at == '\t' || *r->at == '\r')
		r->at++;
}

/* Past blanks and at most one comma; false at the end of the line. */
static bool next_cell(struct reader *r)
{
	skip_blanks(r);
	if (*r->at == ',') {
		r->at++;
		skip_blanks(r);
		return true;	/* an empty cell is the caller's to find */
	}
	return *r->at != '\n' && *r->at != '\0';
}

static enum status store(struct reader *r, const char *at, double value)
{
	if (r->width && r->cells == r->width)
		return err_set(ST_INPUT, "%s:%d:%d: this row has more than "
			       "the %d cells of the first one", r->path,
			       r->line_number, (int)(at - r->line) + 1,
			       r->width);
	/* a wrong size is reported once the size is known; see check_size() */
	if (r->cells < r->columns && r->rows < r->ranks)
		r->out[(size_t)r->rows * (size_t)r->columns +
		       (size_t)r->cells] = value;
	r->cells++;
	return ST_OK;
}

static enum status end_row(struct reader *r)
{
	if (!r->width)
		r->width = r->cells;
	if (r->cells != r->width)
		return err_set(ST_INPUT, "%s:%d:%d: this row has %d cells, "
			       "the first one has %d", r->path,
			       r->line_number, (int)(r->at - r->line) + 1,
			       r->cells, r->width);
	r->rows++;
	return ST_OK;
}

static enum status read_row(struct reader *r)
{
	enum status st = ST_OK;
	double value = 0;

	r->line = r->at;
	r->line_number++;
	r->cells = 0;
	skip_blanks(r);
	if (*r->at == '#') {
		r->at += strcspn(r->at, "\n");
		return ST_OK;
	}
	if (*r->at == '\n' || *r->at == '\0')
		return ST_OK;
	do {
		const char *at = r->at;

		st = read_cell(r, &value);
		if (!st)
			st = store(r, at, value);
	} while (!st && next_cell(r));
	return st ? st : end_row(r);
}

static enum status check_size(const struct reader *r)
{
	bool square = r->columns == r->ranks;

	if (!r->rows)
		return err_set(ST_INPUT, "%s: no matrix in this file",
			       r->path);
	if (square && r->rows != r->width)
		return err_set(ST_INPUT, "%s: %d rows of %d cells: the matrix "
			       "must be square", r->path, r->rows, r->width);
	if (square && r->rows != r->ranks)
		return err_set(ST_INPUT, "%s: the matrix is for %d ranks, the "
			       "cluster has %d GPUs", r->path, r->rows,
			       r->ranks);
	if (r->rows != r->ranks || r->width != r->columns)
		return err_set(ST_INPUT, "%s: %d rows of %d cells: the "
			       "cluster has %d GPUs in %d nodes", r->path,
			       r->rows, r->width, r->ranks, r->columns);
	return ST_OK;
}

static enum status read_text(struct reader *r, const char *end)
{
	enum status st = ST_OK;

	while (!st && r->at < end) {
		st = read_row(r);
		if (!st && r->at < end && *r->at == '\0')
			st = err_set(ST_INPUT, "%s:%d:%d: a NUL byte: this is "
				     "no text", r->path, r->line_number,
				     (int)(r->at - r->line) + 1);
		if (*r->at == '\n')
			r->at++;
	}
	return st ? st : check_size(r);
}

enum status matrix_load(const char *path, int ranks, int columns,
			double **cells_p)
{
	struct reader r = { .path = path, .ranks = ranks,
			    .columns = columns };
	size_t cells = (size_t)ranks * (size_t)columns, len;
	enum status st;
	char *text;

	/* a cell is a digit and a separator at least */
	if (cells > MATRIX_FILE_MAX / 2)
		return err_set(ST_INPUT, "%s: the cluster has %d GPUs: a "
			       "matrix for them would be larger than %u MiB",
			       path, ranks, MATRIX_FILE_MAX >> 20);
	st = infile_read(path, MATRIX_FILE_MAX, &text, &len);
	if (st)
		return st;
	r.out = xcalloc(cells, sizeof(*r.out));
	r.at = text;
	st = read_text(&r, text + len);
	free(text);
	if (st)
		free(r.out);
	else
		*cells_p = r.out;
	return st;
}
