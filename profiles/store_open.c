/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening: what stands at the path, whose it is, which version it has. */
#include "profiles/store_sql.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The longest that one writer waits for the others; a batch takes
 * milliseconds, so this means dozens of writers or a stopped one. */
#define BUSY_MS 60000
#define WAL_RETRY_MS 10	/* where SQLite itself does not wait */

#define MAGIC "SQLite format 3"	/* and a NUL: the first 16 bytes */
#define MAGIC_LEN 16

/* ---- the place ---- */

/* The directory of `path`; free() it. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") :
		xstrndup(path, (size_t)(slash - path));
}

static enum status check_parent(const char *path)
{
	char *dir = parent_of(path);
	struct stat sb;
	enum status st = ST_OK;

	if (stat(dir, &sb))
		st = err_set(ST_INPUT, "cannot make '%s': directory '%s': %m",
			     path, dir);
	else if (!S_ISDIR(sb.st_mode))
		st = err_set(ST_INPUT, "cannot make '%s': '%s' is no "
			     "directory", path, dir);
	else if (access(dir, W_OK | X_OK))
		st = err_set(ST_FAIL, "cannot write '%s': directory '%s': %m",
			     path, dir);
	free(dir);
	return st;
}

static enum status check_magic(const char *path)
{
	char head[MAGIC_LEN];
	enum status st = ST_OK;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(ST_INPUT, "cannot read '%s': %m", path);
	n = read(fd, head, sizeof(head));
	if (n < 0)
		st = err_set(ST_FAIL, "cannot read '%s': %m", path);
	else if (n && (n < MAGIC_LEN || memcmp(head, MAGIC, MAGIC_LEN) != 0))
		st = err_set(ST_INPUT, "'%s' is no profile database (it is "
			     "not an SQLite file)", path);
	close(fd);
	return st;
}

/* *exists_p: before it was opened. */
static enum status check_place(const char *path, enum store_mode mode,
			       bool *exists_p)
{
	struct stat sb;
	enum status st;

	*exists_p = false;
	if (!*path)
		return err_set(ST_INPUT, "the name of the database is empty");
	if (!strcmp(path, STORE_MEMORY) && mode != STORE_READ)
		return ST_OK;
	if (stat(path, &sb)) {
		if (errno != ENOENT || mode == STORE_READ)
			return err_set(ST_INPUT, "cannot read '%s': %m", path);
		return check_parent(path);
	}
	*exists_p = true;
	if (S_ISDIR(sb.st_mode))
		return err_set(ST_INPUT, "'%s' is a directory, not a "
			       "database", path);
	if (!S_ISREG(sb.st_mode))
		return err_set(ST_INPUT, "'%s' is no regular file", path);
	st = check_magic(path);
	if (st || mode == STORE_READ)
		return st;
	if (access(path, W_OK))
		return err_set(ST_FAIL, "cannot write '%s': %m", path);
	return check_parent(path);
}

/* ---- SQLite's side ---- */

/* As a URI, for the one option that there is no flag for: do not lock, and
 * make no files beside it. */
static char *immutable_uri(const char *path)
{
	struct buf b = { 0 };

	buf_puts(&b, *path == '/' ? "file:/" : "file:./");
	path += strspn(path, "/");
	for (; *path; path++) {
		if (strchr("%?#", *path))
			buf_addf(&b, "%%%02x", (unsigned)*path);
		else
			buf_add(&b, path, 1);
	}
	buf_puts(&b, "?immutable=1");
	return buf_take(&b);
}

static enum status open_sql(struct store *db, const char *name, int flags)
{
	int rc = sqlite3_open_v2(name, &db->sql, flags | SQLITE_OPEN_NOMUTEX,
				 NULL);

	if (rc != SQLITE_OK)
		return sql_error(db, rc);
	sqlite3_extended_result_codes(db->sql, 1);
	sqlite3_busy_timeout(db->sql, BUSY_MS);
	/* the file is input: what it says must not run functions */
	return sql_exec(db, "PRAGMA trusted_schema = OFF;"
			    "PRAGMA cell_size_check = ON");
}

static bool has_log(const struct store *db)
{
	char *log = xasprintf("%s-wal", db->path);
	struct stat sb;
	bool has = !stat(log, &sb) && sb.st_size > 0;

	free(log);
	return has;
}

/*
 * SQLite reads a WAL database by way of files that it makes beside it. Where
 * it cannot, nobody can be writing either, and the file alone is the
 * database, unless a killed writer left a log.
 */
static enum status reopen_immutable(struct store *db)
{
	char *uri;
	enum status st;

	if (has_log(db))
		return err_set(ST_FAIL, "cannot read '%s': its log '%s-wal' "
			       "has to be taken in, and the directory cannot "
			       "be written", db->path, db->path);
	uri = immutable_uri(db->path);
	sqlite3_close(db->sql);
	db->sql = NULL;
	st = open_sql(db, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
	free(uri);
	return st;
}

struct identity {
	int64_t application, version, objects;
};

static enum status identify(struct store *db, struct identity *id)
{
	enum status st = sql_exec(db, "BEGIN");	/* one moment for all three */

	if (st)
		return st;
	st = sql_integer(db, "SELECT count(*) FROM sqlite_master",
			 &id->objects);
	if (!st)
		st = sql_integer(db, "PRAGMA application_id",
				 &id->application);
	if (!st)
		st = sql_integer(db, "PRAGMA user_version", &id->version);
	return sql_end(db, st);
}

static enum status check_identity(struct store *db, const struct identity *id)
{
	bool ours = id->application == STORE_APPLICATION_ID;

	if (!ours && (id->application || id->version || id->objects))
		return err_set(ST_INPUT, "'%s' is no profile database (it is "
			       "another program's SQLite file)", db->path);
	if (id->version > STORE_VERSION)
		return err_set(ST_INPUT, "'%s' has schema version %lld, this "
			       "program knows versions up to %d: use a newer "
			       "moecast", db->path, (long long)id->version,
			       STORE_VERSION);
	if (id->version < 0 || (id->version > 0 && !id->objects))
		return err_set(ST_INPUT, "'%s' is a damaged database: schema "
			       "version %lld, %lld tables and indexes",
			       db->path, (long long)id->version,
			       (long long)id->objects);
	db->version = (int)id->version;
	return ST_OK;
}

static bool wants_files(const struct store *db)
{
	int rc = db->failed & 0xff;

	return rc == SQLITE_CANTOPEN || rc == SQLITE_READONLY;
}

static enum status open_to_read(struct store *db)
{
	struct identity id = { 0 };
	/* "read-write", so that its files go away again; never a new one */
	enum status st = open_sql(db, db->path, SQLITE_OPEN_READWRITE);

	if (!st)
		st = sql_exec(db, "PRAGMA query_only = ON");
	if (!st)
		st = identify(db, &id);
	if (st && db->sql && wants_files(db)) {
		st = reopen_immutable(db);
		if (!st)
			st = identify(db, &id);
	}
	return st ? st : check_identity(db, &id);
}

/* SQLite does not wait for other connections when it changes the mode. */
static enum status set_wal(struct store *db)
{
	int waited, rc;

	for (waited = 0; ; waited += WAL_RETRY_MS) {
		rc = sqlite3_exec(db->sql, "PRAGMA journal_mode = WAL",
				  NULL, NULL, NULL);
		if ((rc & 0xff) != SQLITE_BUSY || waited >= BUSY_MS)
			break;
		usleep(WAL_RETRY_MS * 1000);
	}
	return rc == SQLITE_OK ? ST_OK : sql_error(db, rc);
}

/* Before measuring for minutes: can it be added to? */
static enum status check_sound(struct store *db)
{
	sqlite3_stmt *s = NULL;
	const char *text;
	bool row = false;
	enum status st = sql_prepare(db, "PRAGMA quick_check(1)", &s);

	if (!st)
		st = sql_step(db, s, &row);
	text = row ? (const char *)sqlite3_column_text(s, 0) : NULL;
	if (!st && (!text || strcmp(text, "ok") != 0))
		st = err_set(ST_INPUT, "'%s' is a damaged database: %s",
			     db->path, text ? text : "unreadable");
	sqlite3_finalize(s);
	return st;
}

static enum status open_to_write(struct store *db, bool migrate, bool exists)
{
	struct identity id = { 0 };
	enum status st = open_sql(db, db->path, SQLITE_OPEN_READWRITE |
				  SQLITE_OPEN_CREATE);

	if (!st)
		st = identify(db, &id);
	if (!st)
		st = check_identity(db, &id);
	if (!st && !migrate && id.objects && db->version < STORE_VERSION)
		st = err_set(ST_INPUT, "'%s' has schema version %d, older "
			     "than this program's %d: 'moecast db --migrate' "
			     "brings it up", db->path, db->version,
			     STORE_VERSION);
	if (!st && exists)
		st = check_sound(db);
	if (!st)
		st = set_wal(db);
	if (!st)
		st = sql_exec(db, "PRAGMA synchronous = FULL");
	if (!st && db->version < STORE_VERSION)
		st = store_migrate(db, store_migrations);
	if (!st)
		st = sql_exec(db, "PRAGMA foreign_keys = ON");
	return st;
}

enum status store_open(const char *path, enum store_mode mode,
		       struct store **out_p)
{
	struct store *db;
	bool exists;
	enum status st = check_place(path, mode, &exists);

	if (st)
		return st;
	db = xcalloc(1, sizeof(*db));
	db->path = xstrdup(path);
	db->reading = mode == STORE_READ;
	st = db->reading ? open_to_read(db) :
		open_to_write(db, mode == STORE_WRITE, exists);
	if (st)
		store_close(db);
	else
		*out_p = db;
	return st;
}

void store_close(struct store *db)
{
	if (!db)
		return;
	sqlite3_close(db->sql);
	free(db->path);
	free(db);
}
