/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which field of which struct is which column. */
#include "profiles/store_sql.h"

#include "base/buf.h"

#include <limits.h>
#include <string.h>

#define COLUMN(s, f, type) COLUMN_SINCE(1, s, f, type)
#define COLUMN_SINCE(v, s, f, type) \
	{ #f, type, offsetof(struct s, f), sizeof(((struct s *)0)->f), v }
#define COLUMNS(a) { a, sizeof(a) / sizeof((a)[0]) }

static const struct column run_column[] = {
	COLUMN(run_info, backend, COLUMN_TEXT),
	COLUMN(run_info, source, COLUMN_TEXT),
	COLUMN(run_info, host, COLUMN_TEXT),
	COLUMN(run_info, gpu, COLUMN_TEXT),
	COLUMN(run_info, gpus, COLUMN_INT),
	COLUMN(run_info, driver, COLUMN_TEXT),
	COLUMN(run_info, cuda, COLUMN_TEXT),
	COLUMN(run_info, nccl, COLUMN_TEXT),
	COLUMN(run_info, clocks, COLUMN_TEXT),
	COLUMN(run_info, environment, COLUMN_TEXT),
	COLUMN(run_info, version, COLUMN_TEXT),
	COLUMN(run_info, date, COLUMN_TEXT),
};

static const struct column sample_column[] = {
	COLUMN(sample, op, COLUMN_TEXT),
	COLUMN(sample, variant, COLUMN_TEXT),
	COLUMN(sample, tier, COLUMN_TEXT),
	COLUMN(sample, dtype, COLUMN_TEXT),
	COLUMN(sample, beside, COLUMN_TEXT),
	COLUMN(sample, ranks, COLUMN_INT),
	COLUMN(sample, nodes, COLUMN_INT),
	COLUMN(sample, ctas, COLUMN_INT),
	COLUMN(sample, bytes, COLUMN_REAL),
	COLUMN(sample, m, COLUMN_REAL),
	COLUMN(sample, n, COLUMN_REAL),
	COLUMN(sample, k, COLUMN_REAL),
	COLUMN(sample, batch, COLUMN_REAL),
	COLUMN(sample, busiest_bytes, COLUMN_REAL),
	COLUMN(sample, median_s, COLUMN_REAL),
	COLUMN(sample, p95_s, COLUMN_REAL),
	COLUMN(sample, min_s, COLUMN_REAL),
	COLUMN(sample, max_s, COLUMN_REAL),
	COLUMN(sample, mean_s, COLUMN_REAL),
	COLUMN(sample, count, COLUMN_INT),
	COLUMN(sample, wrong, COLUMN_INT64),
	COLUMN_SINCE(2, sample, pair, COLUMN_INT64),
	COLUMN_SINCE(2, sample, plan, COLUMN_TEXT),
	COLUMN_SINCE(2, sample, layer, COLUMN_TEXT),
};

static const struct column fit_column[] = {
	COLUMN(fit_row, gpu, COLUMN_TEXT),
	COLUMN(fit_row, op, COLUMN_TEXT),
	COLUMN(fit_row, variant, COLUMN_TEXT),
	COLUMN(fit_row, tier, COLUMN_TEXT),
	COLUMN(fit_row, dtype, COLUMN_TEXT),
	COLUMN(fit_row, form, COLUMN_TEXT),
	COLUMN(fit_row, ranks, COLUMN_INT),
	COLUMN(fit_row, ctas, COLUMN_INT),
	COLUMN(fit_row, alpha_s, COLUMN_REAL),
	COLUMN(fit_row, beta_s_per_byte, COLUMN_REAL),
	COLUMN(fit_row, gamma_s_per_sqrt_byte, COLUMN_REAL),
	COLUMN(fit_row, pieces, COLUMN_TEXT),
	COLUMN(fit_row, r2, COLUMN_REAL),
	COLUMN(fit_row, mape, COLUMN_REAL),
	COLUMN(fit_row, min_bytes, COLUMN_REAL),
	COLUMN(fit_row, max_bytes, COLUMN_REAL),
	COLUMN(fit_row, samples, COLUMN_INT),
	COLUMN_SINCE(3, fit_row, n, COLUMN_REAL),
	COLUMN_SINCE(3, fit_row, k, COLUMN_REAL),
	COLUMN_SINCE(3, fit_row, batch, COLUMN_REAL),
};

const struct columns run_columns = COLUMNS(run_column);
const struct columns sample_columns = COLUMNS(sample_column);
const struct columns fit_columns = COLUMNS(fit_column);

/* What a row has that was stored before there was the column. */
static const char *column_default(const struct column *c)
{
	return c->type == COLUMN_TEXT ? "''" : "0";
}

void columns_names(const struct columns *c, int version, struct buf *out)
{
	const struct column *column;
	int i;

	for (i = 0; i < c->n; i++) {
		column = &c->column[i];
		buf_addf(out, "%s%s", i ? ", " : "", column->since > version ?
			 column_default(column) : column->name);
	}
}

void columns_marks(const struct columns *c, struct buf *out)
{
	int i;

	for (i = 0; i < c->n; i++)
		buf_puts(out, i ? ", ?" : "?");
}

static int bind_one(sqlite3_stmt *s, int at, const struct column *c,
		    const char *field)
{
	switch (c->type) {
	case COLUMN_TEXT:
		return sqlite3_bind_text(s, at, field,
					 (int)strnlen(field, c->size),
					 SQLITE_STATIC);
	case COLUMN_INT:
		return sqlite3_bind_int(s, at, *(const int *)field);
	case COLUMN_INT64:
		return sqlite3_bind_int64(s, at, *(const int64_t *)field);
	default:
		return sqlite3_bind_double(s, at, *(const double *)field);
	}
}

enum status columns_bind(struct store *db, sqlite3_stmt *s, int first,
			 const struct columns *c, const void *row)
{
	int i, rc = SQLITE_OK;

	for (i = 0; rc == SQLITE_OK && i < c->n; i++)
		rc = bind_one(s, first + i, &c->column[i],
			      (const char *)row + c->column[i].offset);
	return rc == SQLITE_OK ? ST_OK : sql_error(db, rc);
}

static bool read_text(sqlite3_stmt *s, int at, char *out, size_t size)
{
	const unsigned char *text = sqlite3_column_text(s, at);
	size_t n = (size_t)sqlite3_column_bytes(s, at);

	if (!text || n >= size || memchr(text, 0, n))
		return false;
	memcpy(out, text, n);
	memset(out + n, 0, size - n);
	return true;
}

static bool read_int(sqlite3_stmt *s, int at, int *out)
{
	int64_t i = sqlite3_column_int64(s, at);

	if (i < INT_MIN || i > INT_MAX)
		return false;
	*out = (int)i;
	return true;
}

static bool read_one(sqlite3_stmt *s, int at, const struct column *c,
		     char *field)
{
	switch (c->type) {
	case COLUMN_TEXT:
		return read_text(s, at, field, c->size);
	case COLUMN_INT:
		return read_int(s, at, (int *)field);
	case COLUMN_INT64:
		*(int64_t *)field = sqlite3_column_int64(s, at);
		return true;
	default:
		*(double *)field = sqlite3_column_double(s, at);
		return true;
	}
}

enum status columns_read(const struct store *db, sqlite3_stmt *s, int first,
			 const struct columns *c, void *row)
{
	int i;

	for (i = 0; i < c->n; i++) {
		if (!read_one(s, first + i, &c->column[i],
			      (char *)row + c->column[i].offset))
			return err_set(ST_INPUT, "'%s' is a damaged database: "
				       "column '%s' holds no such value",
				       db->path, c->column[i].name);
	}
	return ST_OK;
}
