/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The schema, as the steps that lead to it. A step that a release had is
 * never changed: a new one is added, and STORE_VERSION with it.
 */
#include "profiles/store_sql.h"

#include <stdio.h>

/* Columns are the fields of the structs (store_row.c); 9e999 is infinity. */
static const char version_1[] =
"CREATE TABLE run (\n"
"	id INTEGER PRIMARY KEY,\n"
"	key TEXT UNIQUE,\n"
"	backend TEXT NOT NULL CHECK (backend <> ''),\n"
"	source TEXT NOT NULL,\n"
"	host TEXT NOT NULL,\n"
"	gpu TEXT NOT NULL,\n"
"	gpus INTEGER NOT NULL CHECK (gpus >= 0),\n"
"	driver TEXT NOT NULL,\n"
"	cuda TEXT NOT NULL,\n"
"	nccl TEXT NOT NULL,\n"
"	clocks TEXT NOT NULL,\n"
"	environment TEXT NOT NULL,\n"
"	version TEXT NOT NULL,\n"
"	date TEXT NOT NULL\n"
") STRICT;\n"
"CREATE TABLE sample (\n"
"	id INTEGER PRIMARY KEY,\n"
"	run INTEGER NOT NULL REFERENCES run (id),\n"
"	op TEXT NOT NULL CHECK (op <> ''),\n"
"	variant TEXT NOT NULL,\n"
"	tier TEXT NOT NULL,\n"
"	dtype TEXT NOT NULL,\n"
"	beside TEXT NOT NULL,\n"
"	ranks INTEGER NOT NULL CHECK (ranks >= 0),\n"
"	nodes INTEGER NOT NULL CHECK (nodes >= 0),\n"
"	ctas INTEGER NOT NULL CHECK (ctas >= 0),\n"
"	bytes REAL NOT NULL CHECK (bytes >= 0 AND bytes < 9e999),\n"
"	m REAL NOT NULL CHECK (m >= 0 AND m < 9e999),\n"
"	n REAL NOT NULL CHECK (n >= 0 AND n < 9e999),\n"
"	k REAL NOT NULL CHECK (k >= 0 AND k < 9e999),\n"
"	batch REAL NOT NULL CHECK (batch >= 0 AND batch < 9e999),\n"
"	busiest_bytes REAL NOT NULL\n"
"		CHECK (busiest_bytes >= 0 AND busiest_bytes < 9e999),\n"
"	median_s REAL NOT NULL CHECK (median_s >= 0 AND median_s < 9e999),\n"
"	p95_s REAL NOT NULL CHECK (p95_s >= 0 AND p95_s < 9e999),\n"
"	min_s REAL NOT NULL CHECK (min_s >= 0 AND min_s < 9e999),\n"
"	max_s REAL NOT NULL CHECK (max_s >= 0 AND max_s < 9e999),\n"
"	mean_s REAL NOT NULL CHECK (mean_s >= 0 AND mean_s < 9e999),\n"
"	count INTEGER NOT NULL CHECK (count >= 0),\n"
"	wrong INTEGER NOT NULL CHECK (wrong >= -1)\n"
") STRICT;\n"
"CREATE INDEX sample_by_run ON sample (run);\n"
"CREATE INDEX sample_by_op ON sample (op, tier);\n"
"CREATE TABLE fit (\n"
"	id INTEGER PRIMARY KEY,\n"
"	gpu TEXT NOT NULL,\n"
"	op TEXT NOT NULL CHECK (op <> ''),\n"
"	variant TEXT NOT NULL,\n"
"	tier TEXT NOT NULL,\n"
"	dtype TEXT NOT NULL,\n"
"	form TEXT NOT NULL,\n"
"	ranks INTEGER NOT NULL CHECK (ranks >= 0),\n"
"	ctas INTEGER NOT NULL CHECK (ctas >= 0),\n"
"	alpha_s REAL NOT NULL\n"
"		CHECK (alpha_s >= 0 AND alpha_s < 9e999),\n"
"	beta_s_per_byte REAL NOT NULL\n"
"		CHECK (beta_s_per_byte >= 0 AND beta_s_per_byte < 9e999),\n"
"	gamma_s_per_sqrt_byte REAL NOT NULL\n"
"		CHECK (gamma_s_per_sqrt_byte >= 0\n"
"		       AND gamma_s_per_sqrt_byte < 9e999),\n"
"	pieces TEXT NOT NULL,\n"
"	r2 REAL NOT NULL CHECK (r2 > -9e999 AND r2 <= 1),\n"
"	mape REAL NOT NULL CHECK (mape >= 0 AND mape < 9e999),\n"
"	min_bytes REAL NOT NULL CHECK (min_bytes >= 0),\n"
"	max_bytes REAL NOT NULL\n"
"		CHECK (max_bytes >= min_bytes AND max_bytes < 9e999),\n"
"	samples INTEGER NOT NULL CHECK (samples >= 0),\n"
"	UNIQUE (gpu, op, variant, tier, dtype, ranks, ctas)\n"
") STRICT;\n"
/* what was measured stays as it was measured */
"CREATE TRIGGER run_stays BEFORE UPDATE ON run\n"
"BEGIN SELECT RAISE(ABORT, 'runs are never changed'); END;\n"
"CREATE TRIGGER run_kept BEFORE DELETE ON run\n"
"BEGIN SELECT RAISE(ABORT, 'runs are never deleted'); END;\n"
"CREATE TRIGGER sample_stays BEFORE UPDATE ON sample\n"
"BEGIN SELECT RAISE(ABORT, 'samples are never changed'); END;\n"
"CREATE TRIGGER sample_kept BEFORE DELETE ON sample\n"
"BEGIN SELECT RAISE(ABORT, 'samples are never deleted'); END;\n";

/* layers, and which two rows of contention belong together */
static const char version_2[] =
"ALTER TABLE sample ADD COLUMN pair INTEGER NOT NULL DEFAULT 0\n"
"	CHECK (pair >= 0);\n"
"ALTER TABLE sample ADD COLUMN plan TEXT NOT NULL DEFAULT '';\n"
"ALTER TABLE sample ADD COLUMN layer TEXT NOT NULL DEFAULT '';\n";

/* fits by shape; they are derived, so they are made again when asked for */
static const char version_3[] =
"DROP TABLE fit;\n"
"CREATE TABLE fit (\n"
"	id INTEGER PRIMARY KEY,\n"
"	gpu TEXT NOT NULL,\n"
"	op TEXT NOT NULL CHECK (op <> ''),\n"
"	variant TEXT NOT NULL,\n"
"	tier TEXT NOT NULL,\n"
"	dtype TEXT NOT NULL,\n"
"	form TEXT NOT NULL,\n"
"	ranks INTEGER NOT NULL CHECK (ranks >= 0),\n"
"	ctas INTEGER NOT NULL CHECK (ctas >= 0),\n"
"	alpha_s REAL NOT NULL\n"
"		CHECK (alpha_s >= 0 AND alpha_s < 9e999),\n"
"	beta_s_per_byte REAL NOT NULL\n"
"		CHECK (beta_s_per_byte >= 0 AND beta_s_per_byte < 9e999),\n"
"	gamma_s_per_sqrt_byte REAL NOT NULL\n"
"		CHECK (gamma_s_per_sqrt_byte >= 0\n"
"		       AND gamma_s_per_sqrt_byte < 9e999),\n"
"	pieces TEXT NOT NULL,\n"
"	r2 REAL NOT NULL CHECK (r2 > -9e999 AND r2 <= 1),\n"
"	mape REAL NOT NULL CHECK (mape >= 0 AND mape < 9e999),\n"
"	min_bytes REAL NOT NULL CHECK (min_bytes >= 0),\n"
"	max_bytes REAL NOT NULL\n"
"		CHECK (max_bytes >= min_bytes AND max_bytes < 9e999),\n"
"	samples INTEGER NOT NULL CHECK (samples >= 0),\n"
"	n REAL NOT NULL CHECK (n >= 0),\n"
"	k REAL NOT NULL CHECK (k >= 0),\n"
"	batch REAL NOT NULL CHECK (batch >= 0),\n"
"	UNIQUE (gpu, op, variant, tier, dtype, ranks, ctas, n, k, batch)\n"
") STRICT;\n";
/* Sweeps: what was computed, by number (store_sweep.h). */
static const char version_4[] =
"CREATE TABLE sweep (\n"
"	id INTEGER PRIMARY KEY,\n"
"	key TEXT NOT NULL UNIQUE,\n"
"	about TEXT NOT NULL\n"
") STRICT;\n"
"CREATE TABLE sweep_point (\n"
"	sweep INTEGER NOT NULL REFERENCES sweep (id),\n"
"	point INTEGER NOT NULL CHECK (point >= 0),\n"
"	row TEXT NOT NULL,\n"
"	PRIMARY KEY (sweep, point)\n"
") STRICT, WITHOUT ROWID;\n";

const struct migration store_migrations[] = {
	{ 1, version_1 },
	{ 2, version_2 },
	{ 3, version_3 },
	{ 4, version_4 },
	{ 0 },
};

_Static_assert(sizeof(store_migrations) / sizeof(store_migrations[0]) ==
	       STORE_VERSION + 1, "a step for each version");

static enum status set_version(struct store *db, int version)
{
	char text[96];

	snprintf(text, sizeof(text), "PRAGMA application_id = %d;"
		 "PRAGMA user_version = %d", STORE_APPLICATION_ID, version);
	return sql_exec(db, text);
}

/* Within the transaction: another process may have been faster. */
static enum status apply_steps(struct store *db, const struct migration *m,
			       int *version_p)
{
	int64_t version;
	enum status st = sql_integer(db, "PRAGMA user_version", &version);

	for (; !st && m->version; m++) {
		if (m->version <= version)
			continue;
		st = sql_exec(db, m->sql);
		if (st)
			return err_prefix(st, "schema version %d", m->version);
		st = set_version(db, m->version);
		version = m->version;
	}
	if (!st)
		*version_p = (int)version;
	return st;
}

enum status store_migrate(struct store *db, const struct migration *m)
{
	int version = db->version;
	enum status st = sql_begin(db);

	if (st)
		return st;
	st = sql_end(db, apply_steps(db, m, &version));
	if (!st)
		db->version = version;
	return st;
}
