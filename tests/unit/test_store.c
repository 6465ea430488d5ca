/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The database: every field comes back, keys are unique, fits are replaced
 * as a whole, old schemas are migrated, and what is refused, with which
 * status and message.
 */
#include "base/buf.h"
#include "profiles/store_sql.h"
#include "tests/unit/store_help.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* last: it needs the four above */
#include <cmocka.h>

#define NOBODY 65534

/* ---- rows ---- */

struct seen {
	int n;
	int64_t run[8];
	struct run_info info[8];
	struct sample sample[8];
};

static enum status see(void *arg, int64_t run, const struct run_info *info,
		       const struct sample *s)
{
	struct seen *seen = arg;

	assert_in_range(seen->n, 0, 7);
	seen->run[seen->n] = run;
	seen->info[seen->n] = *info;
	seen->sample[seen->n++] = *s;
	return ST_OK;
}

/* Two runs, written in turns: read in order of run, then of insertion. */
static void test_round_trip(void **state)
{
	const char *path = scratch_path("round.db");
	struct store *db = opened(path, STORE_WRITE);
	struct run_info host = { .backend = "host" };
	struct sample s[3] = { full_sample, { .op = "copy" },
			       { .op = "stream", .median_s = 0x1p-1060,
				 .wrong = -1 } };
	struct seen seen = { 0 };
	int64_t a, b;

	(void)state;
	assert_int_equal(store_run(db, &full_run, NULL, &a), ST_OK);
	assert_int_equal(store_run(db, &host, NULL, &b), ST_OK);
	assert_true(a > 0 && b > a);
	assert_int_equal(store_add(db, b, s, 2), ST_OK);
	assert_int_equal(store_add(db, a, s + 2, 1), ST_OK);
	assert_int_equal(store_add(db, a, s, 1), ST_OK);
	assert_int_equal(store_add(db, a, NULL, 0), ST_OK);
	store_close(db);
	db = opened(path, STORE_READ);
	assert_int_equal(store_each(db, see, &seen), ST_OK);
	assert_int_equal(seen.n, 4);
	assert_memory_equal(&seen.sample[0], &s[2], sizeof(*s));
	assert_memory_equal(&seen.sample[1], &s[0], sizeof(*s));
	assert_memory_equal(&seen.sample[2], &s[0], sizeof(*s));
	assert_memory_equal(&seen.sample[3], &s[1], sizeof(*s));
	assert_true(seen.run[1] == a && seen.run[2] == b);
	assert_memory_equal(&seen.info[1], &full_run, sizeof(full_run));
	assert_memory_equal(&seen.info[2], &host, sizeof(host));
	expect_sound(db);
	store_close(db);
}

static enum status stop(void *arg, int64_t run, const struct run_info *info,
			const struct sample *s)
{
	(void)run;
	(void)info;
	(void)s;
	++*(int *)arg;
	return err_set(ST_UNAVAILABLE, "enough");
}

static void test_callback_ends(void **state)
{
	struct store *db = opened(STORE_MEMORY, STORE_WRITE);
	struct sample s[2] = { full_sample, full_sample };
	int64_t run;
	int n = 0;

	(void)state;
	assert_int_equal(store_import(db, &full_run, NULL, s, 2, &run), ST_OK);
	assert_int_equal(store_each(db, stop, &n), ST_UNAVAILABLE);
	assert_int_equal(n, 1);
	assert_int_equal(store_add(db, run, s, 2), ST_OK);
	store_close(db);
}

static enum status see_run(void *arg, const struct store_run_row *r)
{
	struct store_run_row *rows = arg;

	rows[r->run - 1] = *r;
	return ST_OK;
}

static enum status see_group(void *arg, const struct store_group *g)
{
	struct store_group **p = arg;

	*(*p)++ = *g;
	return ST_OK;
}

static void test_overview(void **state)
{
	struct store *db = opened(STORE_MEMORY, STORE_WRITE);
	struct sample s[4] = { full_sample, full_sample, full_sample,
			       { .op = "copy", .bytes = 7 } };
	struct store_run_row row[2] = { 0 };
	struct store_group group[3] = { 0 }, *end = group;
	struct store_summary sum;
	int64_t run;

	(void)state;
	s[1].bytes = 3;
	s[1].wrong = 0;
	s[1].ranks = 8;
	s[2].wrong = -1;
	assert_int_equal(store_import(db, &full_run, "a", s, 4, &run), ST_OK);
	assert_int_equal(store_run(db, &full_run, NULL, &run), ST_OK);
	assert_int_equal(store_each_run(db, see_run, row), ST_OK);
	assert_int_equal(row[0].samples, 4);
	assert_string_equal(row[0].key, "a");
	assert_string_equal(row[1].key, "");
	assert_int_equal(row[1].samples, 0);
	assert_memory_equal(&row[1].info, &full_run, sizeof(full_run));
	assert_int_equal(store_each_group(db, see_group, &end), ST_OK);
	assert_ptr_equal(end, group + 2);
	assert_string_equal(group[0].op, "alltoall");
	assert_string_equal(group[0].tier, "nvlink");
	assert_int_equal(group[0].samples, 3);
	assert_int_equal(group[0].wrong, 1);
	assert_int_equal(group[0].min_ranks, 2);
	assert_int_equal(group[0].max_ranks, 8);
	assert_true(group[0].min_bytes == 3 && group[0].max_bytes == 1048577);
	assert_string_equal(group[1].op, "copy");
	assert_string_equal(group[1].tier, "");
	assert_int_equal(store_summary(db, &sum), ST_OK);
	assert_int_equal(sum.schema_version, STORE_VERSION);
	assert_true(sum.runs == 2 && sum.samples == 4 && !sum.fits);
	store_close(db);
}

static void test_unique_keys(void **state)
{
	struct store *db = opened(STORE_MEMORY, STORE_WRITE);
	struct sample s = full_sample;
	struct store_summary sum;
	int64_t a = -1, b = -1;

	(void)state;
	assert_int_equal(store_import(db, &full_run, "x:1", &s, 1, &a), ST_OK);
	assert_true(a > 0);
	assert_int_equal(store_import(db, &full_run, "x:1", &s, 1, &b), ST_OK);
	assert_int_equal(b, 0);
	assert_int_equal(store_run(db, &full_run, "x:1", &b), ST_OK);
	assert_int_equal(b, 0);
	assert_int_equal(store_run(db, &full_run, "x:2", &b), ST_OK);
	assert_true(b > a);
	assert_int_equal(store_run(db, &full_run, NULL, &a), ST_OK);
	assert_int_equal(store_run(db, &full_run, NULL, &b), ST_OK);
	assert_int_equal(store_summary(db, &sum), ST_OK);
	assert_true(sum.runs == 4 && sum.samples == 1);
	assert_int_equal(store_run(db, &full_run, "", &b), ST_INPUT);
	store_close(db);
}

/* A wrong sample in a batch: nothing of it is stored. */
static void test_batch_is_whole(void **state)
{
	struct store *db = opened(STORE_MEMORY, STORE_WRITE);
	struct sample s[3] = { full_sample, full_sample, full_sample };
	struct store_summary sum;
	int64_t run = -7;

	(void)state;
	s[2].median_s = NAN;
	assert_int_equal(store_import(db, &full_run, NULL, s, 3, &run),
			 ST_INPUT);
	assert_int_equal(run, -7);
	assert_non_null(strstr(err_msg(), "sample 3 of 3: field 'median_s'"));
	assert_int_equal(store_run(db, &full_run, NULL, &run), ST_OK);
	assert_int_equal(store_add(db, run, s, 3), ST_INPUT);
	assert_int_equal(store_add(db, run + 1, s, 2), ST_INPUT);
	assert_non_null(strstr(err_msg(), "no run 2"));
	assert_int_equal(store_summary(db, &sum), ST_OK);
	assert_true(sum.runs == 1 && sum.samples == 0);
	store_close(db);
}

/* "samples are never overwritten": not by SQL either. */
static void test_samples_stay(void **state)
{
	static const char *const texts[] = {
		"UPDATE sample SET median_s = 1", "DELETE FROM sample",
		"UPDATE run SET gpu = ''", "DELETE FROM run",
		"INSERT INTO sample SELECT 99, 99, op, variant, tier, dtype, "
		"beside, ranks, nodes, ctas, bytes, m, n, k, batch, "
		"busiest_bytes, median_s, p95_s, min_s, max_s, mean_s, count, "
		"wrong FROM sample",	/* of no run */
	};
	struct store *db = opened(STORE_MEMORY, STORE_WRITE);
	int64_t run;
	size_t i;

	(void)state;
	assert_int_equal(store_import(db, &full_run, NULL, &full_sample, 1,
				      &run), ST_OK);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(sql_exec(db, texts[i]), ST_INPUT);
	expect_sound(db);
	store_close(db);
}

/* ---- fits ---- */

static const struct fit_row fit_a = {
	.gpu = "NVIDIA H200", .op = "alltoall", .variant = "even",
	.tier = "nvlink", .dtype = "bf16", .form = "sqrt", .ranks = 2,
	.ctas = 8, .alpha_s = 1.31e-5, .beta_s_per_byte = 2.97e-12,
	.gamma_s_per_sqrt_byte = 4.1e-9, .pieces = "[[0,1,2.5]]",
	.r2 = -0.25, .mape = 0.031, .min_bytes = 1024, .max_bytes = 1e9,
	.samples = 21,
};

static void expect_fits(struct store *db, const struct fit_row *f, size_t n)
{
	struct fit_row *got = NULL;
	size_t count = 99;

	assert_int_equal(store_fits(db, &got, &count), ST_OK);
	assert_int_equal(count, n);
	if (n)
		assert_memory_equal(got, f, n * sizeof(*f));
	free(got);
}

static void test_fits(void **state)
{
	const char *path = scratch_path("fits.db");
	struct store *db = opened(path, STORE_WRITE);
	struct fit_row two[2] = { fit_a, fit_a }, bad[2] = { fit_a, fit_a };

	(void)state;
	expect_fits(db, NULL, 0);
	two[0].ctas = 4;
	assert_int_equal(store_set_fits(db, two, 2), ST_OK);
	expect_fits(db, two, 2);
	/* the same group twice, a NaN: all as it was */
	assert_int_equal(store_set_fits(db, bad, 2), ST_INPUT);
	expect_fits(db, two, 2);
	bad[1].ctas = 4;
	bad[1].mape = NAN;
	assert_int_equal(store_set_fits(db, bad, 2), ST_INPUT);
	expect_fits(db, two, 2);
	assert_int_equal(store_set_fits(db, two + 1, 1), ST_OK);
	store_close(db);
	db = opened(path, STORE_READ);
	expect_fits(db, two + 1, 1);
	expect_sound(db);
	store_close(db);
	db = opened(path, STORE_WRITE);
	assert_int_equal(store_set_fits(db, NULL, 0), ST_OK);
	expect_fits(db, NULL, 0);
	store_close(db);
}

/* The vectors of the FNV reference (draft-eastlake-fnv, 128 bits). */
static void test_key(void **state)
{
	char key[STORE_KEY_MAX];

	(void)state;
	store_key("k", "", 0, key);
	assert_string_equal(key, "k:6c62272e07bb014262b821756295c58d");
	store_key("k", "a", 1, key);
	assert_string_equal(key, "k:d228cb696f1a8caf78912b704e4a8964");
	store_key("k", "foobar", 6, key);
	assert_string_equal(key, "k:343e1662793c64bf6f0d3597ba446f18");
}

/* ---- versions ---- */

static void raw(const char *path, const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	sqlite3_close(db);
}

static void expect_empty(const char *path)
{
	struct store *db = opened(path, STORE_READ);
	struct store_summary sum;
	struct seen seen = { 0 };

	assert_int_equal(store_summary(db, &sum), ST_OK);
	assert_true(!sum.schema_version && !sum.runs && !sum.fits);
	assert_int_equal(store_each(db, see, &seen), ST_OK);
	expect_fits(db, NULL, 0);
	expect_sound(db);
	store_close(db);
}

/* What a writer leaves that was killed before its schema was in. */
static void test_version_0(void **state)
{
	const char *none = scratch_path("none.db");
	const char *bare = scratch_path("bare.db");

	(void)state;
	file_write(none, "", 0);
	raw(bare, "PRAGMA journal_mode = WAL");
	expect_empty(none);
	expect_empty(bare);
	store_close(opened(none, STORE_WRITE));
	store_close(opened(bare, STORE_NO_MIGRATE));
	assert_int_equal(count_samples(none), 0);
	assert_int_equal(count_samples(bare), 0);
}

#define OURS "PRAGMA application_id = 1836016995;"	/* "moec" */

static void test_older_version(void **state)
{
	const char *path = scratch_path("old.db");
	struct store *db;
	struct store_summary sum;
	struct buf b = { 0 };
	int64_t run;
	int n;

	(void)state;
	raw(path, OURS "CREATE TABLE old (x); INSERT INTO old VALUES (7)");
	refused(path, STORE_NO_MIGRATE, ST_INPUT, "db --migrate");
	db = opened(path, STORE_READ);
	assert_int_equal(store_summary(db, &sum), ST_OK);
	assert_int_equal(sum.schema_version, 0);
	store_close(db);
	db = opened(path, STORE_WRITE);
	assert_int_equal(store_run(db, &full_run, NULL, &run), ST_OK);
	assert_int_equal(sql_integer(db, "SELECT x FROM old", &run), ST_OK);
	assert_int_equal(run, 7);
	/* a table that this version does not have is a finding */
	assert_int_equal(store_check(db, &b, &n), ST_OK);
	assert_int_equal(n, 1);
	assert_non_null(strstr(buf_str(&b), "differ"));
	buf_release(&b);
	store_close(db);
	store_close(opened(path, STORE_NO_MIGRATE));
}

/* Steps of schemas to come: taken in order, or not at all. */
static void test_migrations(void **state)
{
	static const struct migration good[] = {
		{ 1, "CREATE TABLE never (x)" },
		{ 2, "ALTER TABLE fit ADD COLUMN note TEXT" },
		{ 3, "UPDATE fit SET note = 'three'" }, { 0 },
	};
	static const struct migration bad[] = {
		{ 1, "" }, { 2, "CREATE TABLE extra (x)" },
		{ 3, "CREATE TABLE extra (x)" }, { 0 },
	};
	const char *path = scratch_path("steps.db");
	struct store *db = opened(path, STORE_WRITE);
	int64_t n;

	(void)state;
	assert_int_equal(store_set_fits(db, &fit_a, 1), ST_OK);
	assert_int_equal(store_migrate(db, bad), ST_INPUT);
	assert_non_null(strstr(err_msg(), "schema version 3"));
	assert_int_equal(db->version, 1);
	assert_int_equal(sql_integer(db, "PRAGMA user_version", &n), ST_OK);
	assert_int_equal(n, 1);
	assert_int_equal(sql_integer(db, "SELECT count(*) FROM sqlite_master "
				     "WHERE name = 'extra'", &n), ST_OK);
	assert_int_equal(n, 0);
	assert_int_equal(store_migrate(db, good), ST_OK);
	assert_int_equal(db->version, 3);
	assert_int_equal(sql_integer(db, "SELECT note = 'three' FROM fit", &n),
			 ST_OK);
	assert_int_equal(n, 1);
	assert_int_equal(sql_integer(db, "SELECT count(*) FROM sqlite_master "
				     "WHERE name = 'never'", &n), ST_OK);
	assert_int_equal(n, 0);
	store_close(db);
	refused(path, STORE_READ, ST_INPUT, "use a newer moecast");
	refused(path, STORE_WRITE, ST_INPUT, "schema version 3");
}

/* ---- refusals ---- */

static void test_not_ours(void **state)
{
	const char *other = scratch_path("other.db");
	const char *text = scratch_path("text.db");
	const char *shorter = scratch_path("short.db");

	(void)state;
	raw(other, "CREATE TABLE sample (id)");
	refused(other, STORE_READ, ST_INPUT, "another program's");
	refused(other, STORE_WRITE, ST_INPUT, "another program's");
	raw(other, "DROP TABLE sample; PRAGMA application_id = 5");
	refused(other, STORE_WRITE, ST_INPUT, "another program's");
	file_write(text, "cluster: {nodes: 8}\n", 20);
	refused(text, STORE_READ, ST_INPUT, "not an SQLite file");
	refused(text, STORE_WRITE, ST_INPUT, "not an SQLite file");
	file_write(shorter, "SQLite", 6);
	refused(shorter, STORE_WRITE, ST_INPUT, "not an SQLite file");
	/* ours by its mark, but without tables */
	raw(scratch_path("gone.db"), OURS "PRAGMA user_version = 1");
	refused(scratch_path("gone.db"), STORE_WRITE, ST_INPUT, "damaged");
}

static void test_places(void **state)
{
	int files = scratch_files();

	(void)state;
	refused(scratch_path("nowhere.db"), STORE_READ, ST_INPUT,
		"No such file");
	refused(scratch_path("no/where.db"), STORE_WRITE, ST_INPUT,
		"No such file");
	refused("", STORE_WRITE, ST_INPUT, "empty");
	refused(STORE_MEMORY, STORE_READ, ST_INPUT, "No such file");
	refused("/dev/null", STORE_WRITE, ST_INPUT, "no regular file");
	assert_int_equal(scratch_files(), files);
	assert_int_equal(mkdir(scratch_path("dir"), 0755), 0);
	refused(scratch_path("dir"), STORE_READ, ST_INPUT, "a directory");
	refused(scratch_path("dir"), STORE_WRITE, ST_INPUT, "a directory");
	file_write(scratch_path("file"), "", 0);
	refused(scratch_path("file/x.db"), STORE_WRITE, ST_INPUT,
		"Not a directory");
}

/* In a child, as a user whom root's rights do not help. */
static int as_nobody(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!geteuid() && setuid(NOBODY))
			_exit(77);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void require(bool ok)
{
	if (!ok) {
		fprintf(stderr, "%s\n", err_msg());
		_exit(1);
	}
}

static void in_read_only_place(void)
{
	const char *path = scratch_path("ro/a?%.db");
	struct store *db = NULL;
	struct store_summary sum;

	if (access(path, R_OK) || !access(scratch_path("ro"), W_OK))
		_exit(77);
	require(store_open(path, STORE_WRITE, &db) == ST_FAIL);
	require(strstr(err_msg(), "cannot write") != NULL);
	require(store_open(scratch_path("ro/b.db"), STORE_WRITE, &db) ==
		ST_FAIL);
	require(strstr(err_msg(), "cannot write") != NULL);
	/* but it can be read there */
	require(!store_open(path, STORE_READ, &db));
	require(!store_summary(db, &sum) && sum.samples == 1);
	store_close(db);
	/* unless what a killed writer left has to be taken in first */
	require(store_open(scratch_path("ro/log.db"), STORE_READ, &db) ==
		ST_FAIL);
	require(strstr(err_msg(), "log") != NULL);
}

static void test_read_only_place(void **state)
{
	struct store *db;
	int64_t run;
	int rc;

	(void)state;
	assert_int_equal(mkdir(scratch_path("ro"), 0755), 0);
	db = opened(scratch_path("ro/a?%.db"), STORE_WRITE);
	assert_int_equal(store_import(db, &full_run, NULL, &full_sample, 1,
				      &run), ST_OK);
	store_close(db);
	store_close(opened(scratch_path("ro/log.db"), STORE_WRITE));
	file_write(scratch_path("ro/log.db-wal"), "left over", 9);
	assert_int_equal(chmod(scratch_path("ro"), 0555), 0);
	rc = as_nobody(in_read_only_place);
	chmod(scratch_path("ro"), 0755);
	if (rc == 77)
		skip();
	assert_int_equal(rc, 0);
}

/* Reading leaves the directory as it was, beside a writer too. */
static void test_reading_leaves_nothing(void **state)
{
	const char *path = scratch_path("still.db");
	struct store *db = opened(path, STORE_WRITE), *reader;
	struct store_summary sum;
	int64_t run;
	int files;

	(void)state;
	assert_int_equal(store_import(db, &full_run, NULL, &full_sample, 1,
				      &run), ST_OK);
	store_close(db);
	files = scratch_files();
	assert_int_equal(count_samples(path), 1);
	assert_int_equal(scratch_files(), files);
	db = opened(path, STORE_WRITE);
	reader = opened(path, STORE_READ);
	assert_int_equal(store_add(db, run, &full_sample, 1), ST_OK);
	assert_int_equal(store_summary(reader, &sum), ST_OK);
	assert_int_equal(sum.samples, 2);
	assert_int_equal(store_add(reader, run, &full_sample, 1), ST_FAIL);
	store_close(db);
	store_close(reader);
	assert_int_equal(scratch_files(), files);
	assert_int_equal(count_samples(path), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_callback_ends),
		cmocka_unit_test(test_overview),
		cmocka_unit_test(test_unique_keys),
		cmocka_unit_test(test_batch_is_whole),
		cmocka_unit_test(test_samples_stay),
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_version_0),
		cmocka_unit_test(test_older_version),
		cmocka_unit_test(test_migrations),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_read_only_place),
		cmocka_unit_test(test_reading_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
