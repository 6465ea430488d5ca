/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/store_sql.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEMS_MAX 100	/* listed; all are counted */

struct check {
	struct store *db;
	struct buf *out;
	int n;
	int64_t run, sample;	/* the sample'th of that run */
};

static void add_problem(struct check *c, const char *text)
{
	char plain[SQL_TEXT_MAX];

	sql_plain(text, plain, sizeof(plain));
	if (c->n < PROBLEMS_MAX)
		buf_addf(c->out, "%s\n", plain);
	c->n++;
}

/* A damaged database is a finding, a failing disk is not. */
static enum status finding(struct check *c, enum status st, const char *what)
{
	char text[SQL_TEXT_MAX];

	if (st != ST_INPUT)
		return st;
	snprintf(text, sizeof(text), "%s: %s", what, err_msg());
	add_problem(c, text);
	err_clear();
	return ST_OK;
}

/* ---- SQLite's own ---- */

/* One row may be several lines, the first of them a title. */
static void add_lines(struct check *c, const char *text)
{
	char line[SQL_TEXT_MAX];
	size_t n;

	for (; *text; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		if (*line && strncmp(line, "***", 3) != 0)
			add_problem(c, line);
	}
}

static enum status check_pages(struct check *c)
{
	char text[64];
	const char *line;
	sqlite3_stmt *s = NULL;
	bool row = false;
	enum status st;

	snprintf(text, sizeof(text), "PRAGMA integrity_check(%d)",
		 PROBLEMS_MAX);
	st = sql_prepare(c->db, text, &s);
	if (!st)
		st = sql_step(c->db, s, &row);
	while (!st && row) {
		line = (const char *)sqlite3_column_text(s, 0);
		if (line && strcmp(line, "ok") != 0)
			add_lines(c, line);
		st = sql_step(c->db, s, &row);
	}
	sqlite3_finalize(s);
	return finding(c, st, "pages");
}

static enum status check_references(struct check *c)
{
	char text[160];
	sqlite3_stmt *s = NULL;
	bool row = false;
	enum status st = sql_prepare(c->db, "PRAGMA foreign_key_check", &s);

	if (!st)
		st = sql_step(c->db, s, &row);
	while (!st && row) {
		snprintf(text, sizeof(text), "%s %lld belongs to no %s",
			 (const char *)sqlite3_column_text(s, 0),
			 (long long)sqlite3_column_int64(s, 1),
			 (const char *)sqlite3_column_text(s, 2));
		add_problem(c, text);
		st = sql_step(c->db, s, &row);
	}
	sqlite3_finalize(s);
	return finding(c, st, "references");
}

/* ---- the schema: what the migrations would make ---- */

/* What has no text is SQLite's own: the index of a UNIQUE. */
#define OBJECTS "SELECT type, name, sql FROM sqlite_master " \
	"WHERE sql IS NOT NULL ORDER BY type, name"

static enum status list_objects(struct store *db, struct buf *out)
{
	sqlite3_stmt *s = NULL;
	bool row = false;
	enum status st = sql_prepare(db, OBJECTS, &s);

	if (!st)
		st = sql_step(db, s, &row);
	while (!st && row) {
		buf_addf(out, "%s %s: %s\n",
			 (const char *)sqlite3_column_text(s, 0),
			 (const char *)sqlite3_column_text(s, 1),
			 (const char *)sqlite3_column_text(s, 2));
		st = sql_step(db, s, &row);
	}
	sqlite3_finalize(s);
	return st;
}

/* The schema of the database's version, made afresh. */
static enum status wanted_objects(const struct store *db, struct buf *out)
{
	struct migration steps[STORE_VERSION + 1] = { 0 };
	struct store fresh = { .path = (char *)STORE_MEMORY };
	enum status st = ST_OK;

	memcpy(steps, store_migrations, (size_t)db->version * sizeof(*steps));
	if (sqlite3_open(STORE_MEMORY, &fresh.sql) != SQLITE_OK)
		st = sql_error(&fresh, sqlite3_errcode(fresh.sql));
	if (!st)
		st = store_migrate(&fresh, steps);
	if (!st)
		st = list_objects(&fresh, out);
	sqlite3_close(fresh.sql);
	return st;
}

static enum status check_schema(struct check *c)
{
	struct buf have = { 0 }, want = { 0 };
	enum status st = wanted_objects(c->db, &want);

	if (!st)
		st = finding(c, list_objects(c->db, &have), "schema");
	if (!st && strcmp(buf_str(&have), buf_str(&want)) != 0)
		add_problem(c, "tables, indexes or triggers differ from those "
			    "of this schema version");
	buf_release(&have);
	buf_release(&want);
	return st;
}

/* ---- values ---- */

static enum status check_run(void *arg, const struct store_run_row *r)
{
	char what[32];

	snprintf(what, sizeof(what), "run %lld", (long long)r->run);
	return finding(arg, run_info_check(&r->info), what);
}

static enum status check_sample(void *arg, int64_t run,
				const struct run_info *info,
				const struct sample *s)
{
	struct check *c = arg;
	char what[64];

	(void)info;
	c->sample = run == c->run ? c->sample + 1 : 1;
	c->run = run;
	snprintf(what, sizeof(what), "run %lld, sample %lld of it",
		 (long long)run, (long long)c->sample);
	return finding(c, sample_check(s), what);
}

static enum status check_values(struct check *c)
{
	struct fit_row *fit = NULL;
	size_t n;
	enum status st = store_each_run(c->db, check_run, c);

	st = finding(c, st, "runs");
	if (!st)
		st = finding(c, store_each(c->db, check_sample, c), "samples");
	if (!st)
		st = finding(c, store_fits(c->db, &fit, &n), "fits");
	free(fit);
	return st;
}

enum status store_check(struct store *db, struct buf *out, int *n_p)
{
	struct check c = { .db = db, .out = out };
	enum status st = check_pages(&c);

	if (!st)
		st = check_references(&c);
	if (!st)
		st = check_schema(&c);
	if (!st)
		st = check_values(&c);
	if (!st)
		*n_p = c.n;
	return st;
}
