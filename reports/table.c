/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/table.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/units.h"
#include "reports/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2		/* blanks between columns */
#define TEXT_LEAST 8	/* a text column shrinks no further */
#define BAR_WIDTH 20

struct layout_column {
	int width, floor;
};

void table_init(struct table *t, const struct table_column *columns, int n)
{
	*t = (struct table){ .column = columns, .n_columns = n };
}

void table_release(struct table *t)
{
	size_t i;

	for (i = 0; i < t->n_cells; i++)
		free(t->cell[i]);
	free(t->cell);
	*t = (struct table){ 0 };
}

static void add_cell(struct table *t, char *text)
{
	t->cell = array_grow(t->cell, &t->cap, t->n_cells + 1,
			     sizeof(*t->cell));
	t->cell[t->n_cells++] = text;
}

void table_text(struct table *t, const char *text)
{
	add_cell(t, text_clean(text));
}

void table_blank(struct table *t)
{
	add_cell(t, xstrdup(""));
}

/* 65280 -> "65,280" */
static void group_digits(double value, char *out, size_t size)
{
	char digits[40];
	struct buf b = { 0 };
	size_t i, n;

	n = (size_t)snprintf(digits, sizeof(digits), "%.0f", value);
	for (i = 0; i < n && n < sizeof(digits); i++) {
		if (i && digits[i - 1] != '-' && !((n - i) % 3))
			buf_puts(&b, ",");
		buf_add(&b, digits + i, 1);
	}
	snprintf(out, size, "%s", buf_str(&b));
	buf_release(&b);
}

char *table_value_text(double value, enum table_kind kind, char *out,
		       size_t size)
{
	if (!isfinite(value)) {
		snprintf(out, size, "%s", isnan(value) ? "-" :
			 value < 0 ? "-inf" : "inf");
		return out;
	}
	switch (kind) {
	case TABLE_TIME:
		return unit_human(value, U_TIME, out, size);
	case TABLE_BYTES:
		return unit_human(value, U_BYTES, out, size);
	case TABLE_RATE:
		return unit_human(value, U_RATE, out, size);
	case TABLE_PERCENT:
		snprintf(out, size, "%.1f %%", value * 100);
		break;
	case TABLE_FACTOR:
		snprintf(out, size, "%.2fx", value);
		break;
	case TABLE_COUNT:
		if (fabs(value) < 1e15) {
			group_digits(value, out, size);
			break;
		}
		/* fall through */
	default:
		snprintf(out, size, "%.4g", value);
	}
	return out;
}

void table_bar(struct buf *out, double fraction, int width)
{
	int n;

	if (!(fraction > 0))
		return;
	n = (int)(fmin(fraction, 1) * width + 0.5);
	buf_fill(out, '#', (size_t)(n ? n : 1));
}

static int bar_width(const struct table_column *c)
{
	return c->max_width ? c->max_width : BAR_WIDTH;
}

void table_value(struct table *t, double value)
{
	const struct table_column *c = &t->column[t->n_cells %
						  (size_t)t->n_columns];
	char text[TABLE_VALUE_MAX];
	struct buf bar = { 0 };

	if (c->kind == TABLE_BAR) {
		table_bar(&bar, value, bar_width(c));
		add_cell(t, buf_take(&bar));
		return;
	}
	add_cell(t, xstrdup(table_value_text(value, c->kind, text,
					     sizeof(text))));
}

/*
 * Takes the next line of at most `width` characters off *p: whole words, or
 * a part of one that is too long. Returns its bytes; *p then points behind
 * the blanks that follow.
 */
static size_t take_line(const char **p, size_t width)
{
	const char *s = *p, *end, *last = NULL;
	size_t n = text_bytes(s, width ? width : 1);

	end = s + n;
	if (*end && *end != ' ') {
		for (last = end; last > s && last[-1] != ' '; last--)
			;
		if (last > s)
			end = last;
	}
	n = (size_t)(end - s);
	while (n && s[n - 1] == ' ')
		n--;
	while (*end == ' ')
		end++;
	*p = end;
	return n;
}

static size_t longest_word(const char *text)
{
	size_t best = 0, n;
	char *word;

	while (*text) {
		n = strcspn(text, " ");
		word = xstrndup(text, n);
		if (text_width(word) > best)
			best = text_width(word);
		free(word);
		text += n;
		text += strspn(text, " ");
	}
	return best;
}

static int max_int(int a, int b)
{
	return a > b ? a : b;
}

/* Natural width, and how far the column may shrink. */
static struct layout_column measure(const struct table *t, int col)
{
	const struct table_column *c = &t->column[col];
	bool soft = c->kind == TABLE_TEXT;
	int cells = 0, words;
	struct layout_column l;
	size_t i;

	for (i = (size_t)col; i < t->n_cells; i += (size_t)t->n_columns)
		cells = max_int(cells, (int)text_width(t->cell[i]));
	words = (int)longest_word(c->title);
	if (c->max_width && soft && cells > c->max_width)
		cells = c->max_width;
	l.width = max_int(cells, (int)text_width(c->title));
	l.floor = max_int(soft && cells > TEXT_LEAST ? TEXT_LEAST : cells,
			  words);
	return l;
}

/* Narrows the widest column that still may until the table fits. */
static void fit(const struct table *t, struct layout_column *l, int room)
{
	int i, total, widest;

	for (;;) {
		total = GAP * (t->n_columns - 1);
		widest = -1;
		for (i = 0; i < t->n_columns; i++) {
			total += l[i].width;
			if (l[i].width > l[i].floor &&
			    (widest < 0 || l[i].width > l[widest].width))
				widest = i;
		}
		if (total <= room || widest < 0)
			return;
		l[widest].width--;
	}
}

static bool is_right(const struct table_column *c)
{
	if (c->kind == TABLE_TEXT)
		return c->flags & TABLE_RIGHT;
	return c->kind != TABLE_BAR && !(c->flags & TABLE_LEFT);
}

static void put_cell(struct buf *out, const char *text, size_t bytes,
		     int width, bool right)
{
	char *part = xstrndup(text, bytes);
	int pad = width - (int)text_width(part);

	if (right && pad > 0)
		buf_fill(out, ' ', (size_t)pad);
	buf_puts(out, part);
	if (!right && pad > 0)
		buf_fill(out, ' ', (size_t)pad);
	free(part);
}

static void put_cut(struct buf *out, const char *text, int width, bool right)
{
	char *cut;

	if ((int)text_width(text) <= width) {
		put_cell(out, text, strlen(text), width, right);
		return;
	}
	cut = xasprintf("%.*s..", (int)text_bytes(text, (size_t)max_int(
			width - 2, 0)), text);
	put_cell(out, cut, text_bytes(cut, (size_t)width), width, right);
	free(cut);
}

static void end_line(struct buf *out)
{
	while (out->len && out->s[out->len - 1] == ' ')
		out->len--;
	buf_puts(out, "\n");
}

/* One row of cells; wraps until every cell is used up. */
static void put_row(const struct table *t, const struct layout_column *l,
		    const char **rest, int indent, bool title,
		    struct buf *out)
{
	const struct table_column *c;
	bool more = true;
	const char *s;
	size_t n;
	int i;

	while (more) {
		more = false;
		buf_fill(out, ' ', (size_t)indent);
		for (i = 0; i < t->n_columns; i++) {
			c = &t->column[i];
			if (i)
				buf_fill(out, ' ', GAP);
			s = rest[i];
			if (!title && (c->flags & TABLE_CUT)) {
				put_cut(out, s, l[i].width, is_right(c));
				rest[i] = "";
				continue;
			}
			n = take_line(&rest[i], (size_t)l[i].width);
			put_cell(out, s, n, l[i].width, is_right(c));
			more = more || *rest[i];
		}
		end_line(out);
	}
}

static void put_head(const struct table *t, const struct layout_column *l,
		     int indent, struct buf *out)
{
	const char *rest[TABLE_COLUMNS_MAX];
	int i;

	for (i = 0; i < t->n_columns && !*t->column[i].title; i++)
		;
	if (i == t->n_columns)
		return;
	for (i = 0; i < t->n_columns; i++)
		rest[i] = t->column[i].title;
	put_row(t, l, rest, indent, true, out);
	buf_fill(out, ' ', (size_t)indent);
	for (i = 0; i < t->n_columns; i++) {
		if (i)
			buf_fill(out, ' ', GAP);
		buf_fill(out, '-', (size_t)l[i].width);
	}
	end_line(out);
}

void table_print(const struct table *t, struct buf *out, int indent,
		 int width)
{
	struct layout_column l[TABLE_COLUMNS_MAX];
	const char *rest[TABLE_COLUMNS_MAX];
	size_t row, cell;
	int i;

	for (i = 0; i < t->n_columns; i++)
		l[i] = measure(t, i);
	fit(t, l, width - indent);
	put_head(t, l, indent, out);
	for (row = 0; row < t->n_cells; row += (size_t)t->n_columns) {
		for (i = 0; i < t->n_columns; i++) {
			cell = row + (size_t)i;
			rest[i] = cell < t->n_cells ? t->cell[cell] : "";
		}
		put_row(t, l, rest, indent, false, out);
	}
}

void text_wrap(struct buf *out, const char *head, const char *text,
	       int width)
{
	size_t indent = text_width(head), n;
	char *clean = text_clean(text);
	const char *rest = clean + strspn(clean, " "), *s;
	bool first = true;

	do {
		if (first)
			buf_puts(out, head);
		else
			buf_fill(out, ' ', indent);
		first = false;
		s = rest;
		n = take_line(&rest, (size_t)max_int(width - (int)indent, 1));
		buf_add(out, s, n);
		end_line(out);
	} while (*rest);
	free(clean);
}

void table_add_value(struct buf *out, double value, enum table_kind kind)
{
	char text[TABLE_VALUE_MAX];

	buf_puts(out, table_value_text(value, kind, text, sizeof(text)));
}
