/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/store_sweep.h"

#include "profiles/store_sql.h"

#include <string.h>

static enum status bind_text(struct store *db, sqlite3_stmt *s, int i,
			     const char *text)
{
	if (sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC) == SQLITE_OK)
		return ST_OK;
	return sql_error(db, sqlite3_errcode(db->sql));
}

static enum status bind_integer(struct store *db, sqlite3_stmt *s, int i,
				int64_t v)
{
	if (sqlite3_bind_int64(s, i, v) == SQLITE_OK)
		return ST_OK;
	return sql_error(db, sqlite3_errcode(db->sql));
}

/* Takes `st` of the binds; runs and ends the statement. */
static enum status run_once(struct store *db, sqlite3_stmt *s,
			    enum status st)
{
	bool row;

	if (!st)
		st = sql_step(db, s, &row);
	sqlite3_finalize(s);
	return st;
}

static enum status insert_sweep(struct store *db, const char *key,
				const char *about)
{
	sqlite3_stmt *s = NULL;
	enum status st = sql_prepare(db, "INSERT INTO sweep (key, about) "
				     "VALUES (?, ?) "
				     "ON CONFLICT (key) DO NOTHING", &s);

	if (!st)
		st = bind_text(db, s, 1, key);
	if (!st)
		st = bind_text(db, s, 2, about);
	return run_once(db, s, st);
}

static enum status find_sweep(struct store *db, const char *key,
			      int64_t *sweep_p)
{
	sqlite3_stmt *s = NULL;
	bool row = false;
	enum status st = sql_prepare(db, "SELECT id FROM sweep WHERE key = ?",
				     &s);

	if (!st)
		st = bind_text(db, s, 1, key);
	if (!st)
		st = sql_step(db, s, &row);
	if (!st && row)
		*sweep_p = sqlite3_column_int64(s, 0);
	else if (!st)
		st = err_set(ST_FAIL, "%s: the sweep is gone", db->path);
	sqlite3_finalize(s);
	return st;
}

enum status store_sweep(struct store *db, const char *key, const char *about,
			int64_t *sweep_p)
{
	enum status st = sql_begin(db);

	if (st)
		return st;
	st = insert_sweep(db, key, about);
	if (!st)
		st = find_sweep(db, key, sweep_p);
	return sql_end(db, st);
}

static enum status insert_point(struct store *db, sqlite3_stmt *s,
				const struct store_point *p)
{
	bool row;
	enum status st = bind_integer(db, s, 2, p->point);

	if (!st)
		st = bind_text(db, s, 3, p->row);
	if (!st)
		st = sql_step(db, s, &row);
	sqlite3_reset(s);
	return st;
}

static enum status insert_points(struct store *db, int64_t sweep,
				 const struct store_point *p, int n)
{
	sqlite3_stmt *s = NULL;
	enum status st = sql_prepare(db, "INSERT INTO sweep_point "
				     "(sweep, point, row) VALUES (?, ?, ?) "
				     "ON CONFLICT (sweep, point) DO NOTHING",
				     &s);

	if (!st)
		st = bind_integer(db, s, 1, sweep);
	for (int i = 0; i < n && !st; i++)
		st = insert_point(db, s, &p[i]);
	sqlite3_finalize(s);
	return st;
}

enum status store_sweep_add(struct store *db, int64_t sweep,
			    const struct store_point *p, int n)
{
	enum status st;

	for (int i = 0; i < n; i++) {
		if (strlen(p[i].row) >= SWEEP_ROW_MAX)
			return err_set(ST_FAIL, "%s: the row of point %lld is "
				       "too long", db->path,
				       (long long)p[i].point);
	}
	st = sql_begin(db);
	return st ? st : sql_end(db, insert_points(db, sweep, p, n));
}

/* A text column of a file that may be damaged; NULL: it is none. */
static const char *column_text(sqlite3_stmt *s, int i, size_t max)
{
	const char *text = (const char *)sqlite3_column_text(s, i);
	size_t n = (size_t)sqlite3_column_bytes(s, i);

	return text && n < max && strlen(text) == n ? text : NULL;
}

enum status store_sweep_each(struct store *db, int64_t sweep,
			     store_point_fn *fn, void *arg)
{
	sqlite3_stmt *s = NULL;
	bool more = false;
	enum status st = sql_prepare(db, "SELECT point, row FROM sweep_point "
				     "WHERE sweep = ? ORDER BY point", &s);

	if (!st)
		st = bind_integer(db, s, 1, sweep);
	while (!st && !(st = sql_step(db, s, &more)) && more) {
		const char *row = column_text(s, 1, SWEEP_ROW_MAX);

		st = row ? fn(arg, sqlite3_column_int64(s, 0), row) :
			err_set(ST_INPUT, "%s: point %lld of a sweep is no "
				"text", db->path,
				(long long)sqlite3_column_int64(s, 0));
	}
	sqlite3_finalize(s);
	return st;
}

enum status store_each_sweep(struct store *db, store_sweep_fn *fn, void *arg)
{
	sqlite3_stmt *s = NULL;
	bool more = false;
	enum status st;

	if (db->version < STORE_VERSION_SWEEP)
		return ST_OK;
	st = sql_prepare(db, "SELECT id, about, (SELECT count(*) FROM "
			 "sweep_point WHERE sweep = sweep.id) FROM sweep "
			 "ORDER BY id", &s);
	while (!st && !(st = sql_step(db, s, &more)) && more) {
		const char *about = column_text(s, 1, SWEEP_ROW_MAX);
		struct store_sweep_row row = {
			.sweep = sqlite3_column_int64(s, 0),
			.about = about ? about : "",
			.points = sqlite3_column_int64(s, 2),
		};

		st = fn(arg, &row);
	}
	sqlite3_finalize(s);
	return st;
}
