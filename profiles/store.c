/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/store_sql.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "INSERT INTO table (before, columns) VALUES (?, ...)" */
static enum status prepare_insert(struct store *db, const char *table,
				  const char *before,
				  const struct columns *c, const char *after,
				  sqlite3_stmt **out_p)
{
	struct buf b = { 0 };
	enum status st;

	buf_addf(&b, "INSERT INTO %s (%s%s", table, before,
		 *before ? ", " : "");
	columns_names(c, db->version, &b);
	buf_addf(&b, ") VALUES (%s", *before ? "?, " : "");
	columns_marks(c, &b);
	buf_addf(&b, ")%s", after);
	st = sql_prepare(db, buf_str(&b), out_p);
	buf_release(&b);
	return st;
}

/* One row without a result. */
static enum status run_once(struct store *db, sqlite3_stmt *s)
{
	bool row;
	enum status st = sql_step(db, s, &row);

	sqlite3_reset(s);
	return st;
}

/* ---- writing ---- */

static enum status insert_run(struct store *db, const struct run_info *info,
			      const char *key, int64_t *run_p)
{
	sqlite3_stmt *s = NULL;
	enum status st;

	st = prepare_insert(db, "run", "key", &run_columns,
			    " ON CONFLICT (key) DO NOTHING", &s);
	if (!st && key &&
	    sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC) != SQLITE_OK)
		st = sql_error(db, sqlite3_errcode(db->sql));
	if (!st)
		st = columns_bind(db, s, 2, &run_columns, info);
	if (!st)
		st = run_once(db, s);
	if (!st)
		*run_p = sqlite3_changes64(db->sql) ?
			sqlite3_last_insert_rowid(db->sql) : 0;
	sqlite3_finalize(s);
	return st;
}

static enum status insert_samples(struct store *db, int64_t run,
				  const struct sample *s, size_t n)
{
	sqlite3_stmt *stmt = NULL;
	enum status st;
	size_t i;

	st = prepare_insert(db, "sample", "run", &sample_columns, "", &stmt);
	if (!st && sqlite3_bind_int64(stmt, 1, run) != SQLITE_OK)
		st = sql_error(db, sqlite3_errcode(db->sql));
	for (i = 0; !st && i < n; i++) {
		st = columns_bind(db, stmt, 2, &sample_columns, &s[i]);
		if (!st)
			st = run_once(db, stmt);
	}
	sqlite3_finalize(stmt);
	return st;
}

static enum status check_key(const char *key)
{
	if (key && (!*key || strlen(key) >= STORE_KEY_MAX))
		return err_set(ST_INPUT, "the key '%.80s' of a run must have "
			       "1 to %d bytes", key, STORE_KEY_MAX - 1);
	return ST_OK;
}

static enum status check_samples(const struct sample *s, size_t n)
{
	enum status st;
	size_t i;

	for (i = 0; i < n; i++) {
		st = sample_check(&s[i]);
		if (st)
			return err_prefix(st, "sample %zu of %zu", i + 1, n);
	}
	return ST_OK;
}

enum status store_run(struct store *db, const struct run_info *info,
		      const char *key, int64_t *run_p)
{
	return store_import(db, info, key, NULL, 0, run_p);
}

enum status store_import(struct store *db, const struct run_info *info,
			 const char *key, const struct sample *s, size_t n,
			 int64_t *run_p)
{
	enum status st = run_info_check(info);
	int64_t run = 0;

	if (!st)
		st = check_key(key);
	if (!st)
		st = check_samples(s, n);
	if (!st)
		st = sql_begin(db);
	if (st)
		return st;
	st = insert_run(db, info, key, &run);
	if (!st && run && n)
		st = insert_samples(db, run, s, n);
	st = sql_end(db, st);
	if (!st)
		*run_p = run;
	return st;
}

static enum status check_run(struct store *db, int64_t run)
{
	char text[64];
	int64_t found;
	enum status st;

	snprintf(text, sizeof(text), "SELECT count(*) FROM run WHERE id = %lld",
		 (long long)run);
	st = sql_integer(db, text, &found);
	if (!st && !found)
		st = err_set(ST_INPUT, "'%s' has no run %lld", db->path,
			     (long long)run);
	return st;
}

enum status store_add(struct store *db, int64_t run, const struct sample *s,
		      size_t n)
{
	enum status st = check_samples(s, n);

	if (!st)
		st = sql_begin(db);
	if (st)
		return st;
	st = check_run(db, run);
	if (!st)
		st = insert_samples(db, run, s, n);
	return sql_end(db, st);
}

static enum status insert_fits(struct store *db, const struct fit_row *f,
			       size_t n)
{
	sqlite3_stmt *s = NULL;
	enum status st = prepare_insert(db, "fit", "", &fit_columns, "", &s);
	size_t i;

	for (i = 0; !st && i < n; i++) {
		st = columns_bind(db, s, 1, &fit_columns, &f[i]);
		if (!st)
			st = run_once(db, s);
	}
	sqlite3_finalize(s);
	return st;
}

enum status store_set_fits(struct store *db, const struct fit_row *f, size_t n)
{
	enum status st = sql_begin(db);

	if (st)
		return st;
	st = sql_exec(db, "DELETE FROM fit");
	if (!st)
		st = insert_fits(db, f, n);
	return sql_end(db, st);
}

/* ---- reading ---- */

/* "SELECT columns, more FROM rest" */
static enum status prepare_select(struct store *db, const char *more,
				  const struct columns *c, const char *rest,
				  sqlite3_stmt **out_p)
{
	struct buf b = { 0 };
	enum status st;

	buf_puts(&b, "SELECT ");
	columns_names(c, db->version, &b);
	buf_addf(&b, "%s FROM %s", more, rest);
	st = sql_prepare(db, buf_str(&b), out_p);
	buf_release(&b);
	return st;
}

static enum status run_info_of(struct store *db, int64_t run,
			       struct run_info *out)
{
	sqlite3_stmt *s = NULL;
	bool row = false;
	enum status st = prepare_select(db, "", &run_columns,
					"run WHERE id = ?", &s);

	if (!st && sqlite3_bind_int64(s, 1, run) != SQLITE_OK)
		st = sql_error(db, sqlite3_errcode(db->sql));
	if (!st)
		st = sql_step(db, s, &row);
	if (!st && !row)
		st = err_set(ST_INPUT, "'%s' is a damaged database: samples "
			     "of run %lld, which is not there", db->path,
			     (long long)run);
	if (!st)
		st = columns_read(db, s, 0, &run_columns, out);
	sqlite3_finalize(s);
	return st;
}

/* The run's fields are read once per run: samples come in its order. */
static enum status each_sample(struct store *db, sqlite3_stmt *s,
			       store_sample_fn *fn, void *arg)
{
	struct run_info info = { 0 };
	struct sample sample = { 0 };
	int64_t run = 0, next;
	bool row = true, known = false;
	enum status st = sql_step(db, s, &row);

	while (!st && row) {
		next = sqlite3_column_int64(s, sample_columns.n);
		if (!known || next != run) {
			st = run_info_of(db, next, &info);
			run = next;
			known = true;
		}
		if (!st)
			st = columns_read(db, s, 0, &sample_columns, &sample);
		if (!st)
			st = fn(arg, run, &info, &sample);
		if (!st)
			st = sql_step(db, s, &row);
	}
	return st;
}

enum status store_each(struct store *db, store_sample_fn *fn, void *arg)
{
	sqlite3_stmt *s = NULL;
	enum status st;

	if (!db->version)
		return ST_OK;
	st = prepare_select(db, ", run", &sample_columns,
			    "sample ORDER BY run, id", &s);
	if (!st)
		st = each_sample(db, s, fn, arg);
	sqlite3_finalize(s);
	return st;
}

static enum status read_run(struct store *db, sqlite3_stmt *s,
			    struct store_run_row *out)
{
	const unsigned char *key = sqlite3_column_text(s, run_columns.n + 1);

	memset(out, 0, sizeof(*out));
	out->run = sqlite3_column_int64(s, run_columns.n);
	out->samples = sqlite3_column_int64(s, run_columns.n + 2);
	if (key)
		snprintf(out->key, sizeof(out->key), "%s", (const char *)key);
	return columns_read(db, s, 0, &run_columns, &out->info);
}

enum status store_each_run(struct store *db, store_run_fn *fn, void *arg)
{
	static const char more[] = ", id, key, "
		"(SELECT count(*) FROM sample WHERE sample.run = run.id)";
	struct store_run_row r;
	sqlite3_stmt *s = NULL;
	bool row = false;
	enum status st;

	if (!db->version)
		return ST_OK;
	st = prepare_select(db, more, &run_columns, "run ORDER BY id", &s);
	if (!st)
		st = sql_step(db, s, &row);
	while (!st && row) {
		st = read_run(db, s, &r);
		if (!st)
			st = fn(arg, &r);
		if (!st)
			st = sql_step(db, s, &row);
	}
	sqlite3_finalize(s);
	return st;
}

static const struct column group_column[] = {
	{ "op", COLUMN_TEXT, offsetof(struct store_group, op), SAMPLE_TEXT, 1 },
	{ "tier", COLUMN_TEXT, offsetof(struct store_group, tier),
	  SAMPLE_TEXT, 1 },
	{ "count(*)", COLUMN_INT64, offsetof(struct store_group, samples),
	  0, 1 },
	{ "total(wrong > 0)", COLUMN_INT64,
	  offsetof(struct store_group, wrong), 0, 1 },
	{ "min(ranks)", COLUMN_INT, offsetof(struct store_group, min_ranks),
	  0, 1 },
	{ "max(ranks)", COLUMN_INT, offsetof(struct store_group, max_ranks),
	  0, 1 },
	{ "min(bytes)", COLUMN_REAL, offsetof(struct store_group, min_bytes),
	  0, 1 },
	{ "max(bytes)", COLUMN_REAL, offsetof(struct store_group, max_bytes),
	  0, 1 },
};
static const struct columns group_columns = {
	group_column, sizeof(group_column) / sizeof(group_column[0])
};

enum status store_each_group(struct store *db, store_group_fn *fn, void *arg)
{
	struct store_group g;
	sqlite3_stmt *s = NULL;
	bool row = false;
	enum status st;

	if (!db->version)
		return ST_OK;
	st = prepare_select(db, "", &group_columns,
			    "sample GROUP BY op, tier ORDER BY op, tier", &s);
	if (!st)
		st = sql_step(db, s, &row);
	while (!st && row) {
		memset(&g, 0, sizeof(g));
		st = columns_read(db, s, 0, &group_columns, &g);
		if (!st)
			st = fn(arg, &g);
		if (!st)
			st = sql_step(db, s, &row);
	}
	sqlite3_finalize(s);
	return st;
}

enum status store_fits(struct store *db, struct fit_row **out_p, size_t *n_p)
{
	struct fit_row *f = NULL;
	size_t n = 0, cap = 0;
	sqlite3_stmt *s = NULL;
	bool row = false;
	enum status st = ST_OK;

	if (db->version)
		st = prepare_select(db, "", &fit_columns,
				    "fit ORDER BY id", &s);
	if (s && !st)
		st = sql_step(db, s, &row);
	while (!st && row) {
		f = array_grow(f, &cap, n + 1, sizeof(*f));
		memset(&f[n], 0, sizeof(f[n]));
		st = columns_read(db, s, 0, &fit_columns, &f[n++]);
		if (!st)
			st = sql_step(db, s, &row);
	}
	sqlite3_finalize(s);
	if (st) {
		free(f);
		return st;
	}
	*out_p = f;
	*n_p = n;
	return ST_OK;
}

static enum status count_rows(struct store *db, struct store_summary *s)
{
	enum status st = sql_exec(db, "BEGIN");	/* one moment for all */

	if (st)
		return st;
	st = sql_integer(db, "SELECT count(*) FROM run", &s->runs);
	if (!st)
		st = sql_integer(db, "SELECT count(*) FROM sample",
				 &s->samples);
	if (!st)
		st = sql_integer(db, "SELECT count(*) FROM fit", &s->fits);
	return sql_end(db, st);
}

enum status store_summary(struct store *db, struct store_summary *out)
{
	struct store_summary s = { .schema_version = db->version };
	enum status st = db->version ? count_rows(db, &s) : ST_OK;

	if (!st)
		*out = s;
	return st;
}

/* ---- keys ---- */

/* FNV-1a with 128 bits (Fowler, Noll, Vo): not for adversaries, but no two
 * files of one user will meet in it. */
#define FNV_PRIME_HIGH 0x1000000
#define FNV_PRIME_LOW 0x13b

void store_key(const char *kind, const void *data, size_t len,
	       char key[STORE_KEY_MAX])
{
	unsigned __int128 hash, prime;
	const unsigned char *p = data;
	size_t i;

	hash = ((unsigned __int128)0x6c62272e07bb0142 << 64) |
		0x62b821756295c58d;
	prime = ((unsigned __int128)FNV_PRIME_HIGH << 64) | FNV_PRIME_LOW;
	for (i = 0; i < len; i++)
		hash = (hash ^ p[i]) * prime;
	snprintf(key, STORE_KEY_MAX, "%.40s:%016llx%016llx", kind,
		 (unsigned long long)(hash >> 64), (unsigned long long)hash);
}
