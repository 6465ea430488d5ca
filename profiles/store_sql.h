/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside the store: SQLite with our statuses and messages, migrations, and
 * rows to and from structs. Only profiles/store*.c and its unit test include
 * this.
 */
#ifndef PROFILES_STORE_SQL_H
#define PROFILES_STORE_SQL_H

#include "profiles/store.h"

#include <sqlite3.h>

#define STORE_APPLICATION_ID 0x6d6f6563	/* "moec", PRAGMA application_id */

struct store {
	sqlite3 *sql;
	char *path;	/* owned */
	bool reading;	/* opened with STORE_READ */
	int version;	/* of the schema; 0: no tables yet */
	int failed;	/* what the last call that failed returned */
};

/* A text of SQLite may quote a damaged file: printable ASCII of it. */
#define SQL_TEXT_MAX 256
void sql_plain(const char *text, char *out, size_t size);

/* The status and message of a failed call; `rc` is what it returned. */
enum status sql_error(struct store *db, int rc);

enum status sql_exec(struct store *db, const char *text);
enum status sql_prepare(struct store *db, const char *text,
			sqlite3_stmt **out_p);
/* The next row: *row_p false at the end. */
enum status sql_step(struct store *db, sqlite3_stmt *s, bool *row_p);
/* The first column of the first row. */
enum status sql_integer(struct store *db, const char *text, int64_t *out);

/* The write lock comes first, so that no transaction fails half-way for
 * another writer. sql_end() commits, or rolls back when `st` is not ST_OK,
 * and keeps that status and its message. */
enum status sql_begin(struct store *db);
enum status sql_end(struct store *db, enum status st);

/* A step of the schema: `sql` brings version - 1 to version. */
struct migration {
	int version;
	const char *sql;
};

extern const struct migration store_migrations[];	/* version 0 ends it */

/* Applies what is missing, all in one transaction, or nothing. */
enum status store_migrate(struct store *db, const struct migration *m);

enum column_type { COLUMN_TEXT, COLUMN_INT, COLUMN_INT64, COLUMN_REAL };

struct column {
	const char *name;
	enum column_type type;
	size_t offset, size;	/* in the struct */
	int since;	/* the schema version that brought it */
};

struct columns {
	const struct column *column;
	int n;
};

extern const struct columns run_columns, sample_columns, fit_columns;

/* "a, b, c" and "?, ?, ?"; columns that `version` of the schema lacks are
 * the values 0 and '', so that older files are read as they are. */
struct buf;
void columns_names(const struct columns *c, int version, struct buf *out);
void columns_marks(const struct columns *c, struct buf *out);
/* Parameters from `first` (1...) on; they borrow the struct's texts. */
enum status columns_bind(struct store *db, sqlite3_stmt *s, int first,
			 const struct columns *c, const void *row);
/* Results from `first` (0...) on; refuses what does not fit the struct. */
enum status columns_read(const struct store *db, sqlite3_stmt *s, int first,
			 const struct columns *c, void *row);

#endif
