/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text tables that fit a terminal.
 *
 *	static const struct table_column columns[] = {
 *		{ "system", TABLE_TEXT, 0, 0 },
 *		{ "time", TABLE_TIME, 0, 0 },
 *		{ "share", TABLE_BAR, 0, 20 },
 *	};
 *	struct table t;
 *
 *	table_init(&t, columns, 3);
 *	table_text(&t, "sequential");
 *	table_value(&t, 3.2e-3);
 *	table_value(&t, 0.5);
 *	table_print(&t, out, 2, TABLE_WIDTH);
 *	table_release(&t);
 *
 * Cells are given row by row, left to right; an unfinished last row is filled
 * with blanks. Text stands left, everything else right. A table wider than
 * asked shrinks its text columns: cells are wrapped at blanks (TABLE_CUT: cut,
 * with ".." at the end), words longer than the column are broken. No line is
 * longer than the width as long as the columns' least widths fit. Output is
 * what the cells are: ASCII tables from ASCII cells, no colours.
 */
#ifndef REPORTS_TABLE_H
#define REPORTS_TABLE_H

#include <stddef.h>

struct buf;

#define TABLE_WIDTH 80
#define TABLE_COLUMNS_MAX 12

enum table_kind {	/* how a value prints; all SI */
	TABLE_TEXT,
	TABLE_TIME,	/* seconds: "3.21 ms" */
	TABLE_BYTES,	/* "1.5 GB" */
	TABLE_RATE,	/* bytes per second: "47.1 GB/s" */
	TABLE_PERCENT,	/* fraction: "12.3 %" */
	TABLE_FACTOR,	/* "1.84x" */
	TABLE_COUNT,	/* whole number: "65,280" */
	TABLE_NUMBER,	/* "%.4g" */
	TABLE_BAR,	/* fraction: "######", max_width for 1.0 */
};

enum table_flags {
	TABLE_CUT = 1,	/* cut instead of wrapping */
	TABLE_LEFT = 2,	/* values to the left */
	TABLE_RIGHT = 4,	/* text to the right */
};

struct table_column {
	const char *title;	/* "" for none; borrowed */
	enum table_kind kind;
	unsigned flags;
	int max_width;	/* 0: as wide as needed; bars: 20 */
};

struct table {
	const struct table_column *column;	/* borrowed */
	int n_columns;
	char **cell;	/* owned, row-major */
	size_t n_cells, cap;
};

void table_init(struct table *t, const struct table_column *columns, int n);
void table_release(struct table *t);

/* The next cell, whatever its column's kind; the text is copied, control
 * characters become blanks. */
void table_text(struct table *t, const char *text);
/* The next cell, printed by its column's kind; NaN: "-". */
void table_value(struct table *t, double value);
void table_blank(struct table *t);

/* Titles, a rule, the rows; every line starts with `indent` blanks. A table
 * whose titles are all "" has no head. */
void table_print(const struct table *t, struct buf *out, int indent,
		 int width);

/* One value as a cell of that kind would show it; returns `out`. */
#define TABLE_VALUE_MAX 64
char *table_value_text(double value, enum table_kind kind, char *out,
		       size_t size);

/* The same, added to a text. */
void table_add_value(struct buf *out, double value, enum table_kind kind);

/* '#' for a fraction of `width`, rounded; at least one when it is not 0. */
void table_bar(struct buf *out, double fraction, int width);

/*
 * A paragraph, wrapped at blanks: the first line starts with `head`, the
 * others with as many blanks.
 */
void text_wrap(struct buf *out, const char *head, const char *text,
	       int width);

#endif
