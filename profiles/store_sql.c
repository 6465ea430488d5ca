/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/store_sql.h"

#include <stdio.h>

enum status sql_error(struct store *db, int rc)
{
	const char *why = db->sql ? sqlite3_errmsg(db->sql) :
		sqlite3_errstr(rc);

	db->failed = rc;
	switch (rc & 0xff) {	/* the rest is the extended code */
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
		return err_set(ST_INPUT, "'%s' is a damaged database: %s",
			       db->path, why);
	case SQLITE_ERROR:	/* our own texts are right: its tables are not */
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return err_set(ST_INPUT, "'%s': %s", db->path, why);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(ST_FAIL, "'%s' stays locked by another "
			       "program", db->path);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return err_set(ST_FAIL, "cannot %s '%s': %s",
			       db->reading ? "read" : "write", db->path, why);
	default:
		return err_set(ST_FAIL, "'%s': %s", db->path, why);
	}
}

enum status sql_exec(struct store *db, const char *text)
{
	int rc = sqlite3_exec(db->sql, text, NULL, NULL, NULL);

	return rc == SQLITE_OK ? ST_OK : sql_error(db, rc);
}

enum status sql_prepare(struct store *db, const char *text,
			sqlite3_stmt **out_p)
{
	int rc = sqlite3_prepare_v2(db->sql, text, -1, out_p, NULL);

	return rc == SQLITE_OK ? ST_OK : sql_error(db, rc);
}

enum status sql_step(struct store *db, sqlite3_stmt *s, bool *row_p)
{
	int rc = sqlite3_step(s);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return sql_error(db, rc);
	*row_p = rc == SQLITE_ROW;
	return ST_OK;
}

enum status sql_integer(struct store *db, const char *text, int64_t *out)
{
	sqlite3_stmt *s = NULL;
	bool row = false;
	enum status st = sql_prepare(db, text, &s);

	if (!st)
		st = sql_step(db, s, &row);
	if (!st)
		*out = row ? sqlite3_column_int64(s, 0) : 0;
	sqlite3_finalize(s);
	return st;
}

enum status sql_begin(struct store *db)
{
	return sql_exec(db, "BEGIN IMMEDIATE");
}

enum status sql_end(struct store *db, enum status st)
{
	if (!st)
		st = sql_exec(db, "COMMIT");
	/* some failures have rolled back already */
	if (st && !sqlite3_get_autocommit(db->sql))
		sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	return st;
}
