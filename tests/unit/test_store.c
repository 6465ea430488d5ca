/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The database: every field comes back, keys are unique, fits are replaced
 * as a whole, old schemas are migrated.
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
/* last: it needs the four above */
#include <cmocka.h>

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

/* Bytes 18 and 19 of the file are 2 in WAL mode (SQLite's file format). */
static void test_modes(void **state)
{
	const char *path = scratch_path("modes.db");
	struct store *db = opened(path, STORE_WRITE);
	unsigned char *head;
	int64_t on;
	size_t n;

	(void)state;
	assert_int_equal(sql_integer(db, "PRAGMA foreign_keys", &on), ST_OK);
	assert_int_equal(on, 1);
	assert_int_equal(sql_integer(db, "PRAGMA synchronous", &on), ST_OK);
	assert_int_equal(on, 2);	/* FULL: each commit is on the disk */
	store_close(db);
	head = file_read(path, &n);
	assert_true(n > 100 && head[18] == 2 && head[19] == 2);
	free(head);
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
	struct fit_row two[2] = { full_fit, full_fit };
	struct fit_row bad[2] = { full_fit, full_fit };

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
		{ 2, "CREATE TABLE never (x)" },
		{ STORE_VERSION + 1, "ALTER TABLE fit ADD COLUMN note TEXT" },
		{ STORE_VERSION + 2, "UPDATE fit SET note = 'four'" }, { 0 },
	};
	static const struct migration bad[] = {
		{ 1, "" }, { STORE_VERSION + 1, "CREATE TABLE extra (x)" },
		{ STORE_VERSION + 2, "CREATE TABLE extra (x)" }, { 0 },
	};
	const char *path = scratch_path("steps.db");
	struct store *db = opened(path, STORE_WRITE);
	char later[32];
	int64_t n;

	(void)state;
	snprintf(later, sizeof(later), "schema version %d", STORE_VERSION + 2);
	assert_int_equal(store_set_fits(db, &full_fit, 1), ST_OK);
	assert_int_equal(store_migrate(db, bad), ST_INPUT);
	assert_non_null(strstr(err_msg(), later));
	assert_int_equal(db->version, STORE_VERSION);
	assert_int_equal(sql_integer(db, "PRAGMA user_version", &n), ST_OK);
	assert_int_equal(n, STORE_VERSION);
	assert_int_equal(sql_integer(db, "SELECT count(*) FROM sqlite_master "
				     "WHERE name = 'extra'", &n), ST_OK);
	assert_int_equal(n, 0);
	assert_int_equal(store_migrate(db, good), ST_OK);
	assert_int_equal(db->version, STORE_VERSION + 2);
	assert_int_equal(sql_integer(db, "SELECT note = 'four' FROM fit", &n),
			 ST_OK);
	assert_int_equal(n, 1);
	assert_int_equal(sql_integer(db, "SELECT count(*) FROM sqlite_master "
				     "WHERE name = 'never'", &n), ST_OK);
	assert_int_equal(n, 0);
	store_close(db);
	refused(path, STORE_READ, ST_INPUT, "use a newer moecast");
	refused(path, STORE_WRITE, ST_INPUT, later);
}

/* A file of the first release: the layers' columns are not there. */
static void make_version_1(const char *path)
{
	raw(path, store_migrations[0].sql);
	raw(path, OURS "PRAGMA user_version = 1");
	raw(path, "INSERT INTO run (backend, source, host, gpu, gpus, driver,"
	    "cuda, nccl, clocks, environment, version, date) VALUES ('host',"
	    "'moecast-run', 'h', '', 0, '', '', '', '', '', '0.1', '')");
	raw(path, "INSERT INTO sample (run, op, variant, tier, dtype, beside,"
	    "ranks, nodes, ctas, bytes, m, n, k, batch, busiest_bytes,"
	    "median_s, p95_s, min_s, max_s, mean_s, count, wrong) VALUES (1,"
	    "'copy', '', 'memory', '', '', 1, 1, 0, 4096, 0, 0, 0, 0, 0,"
	    "1e-5, 0, 0, 0, 0, 20, 0)");
}

static void expect_version_1_row(struct store *db)
{
	struct seen seen = { 0 };

	assert_int_equal(store_each(db, see, &seen), ST_OK);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.sample[0].op, "copy");
	assert_true(seen.sample[0].bytes == 4096);
	assert_string_equal(seen.sample[0].plan, "");
	assert_string_equal(seen.sample[0].layer, "");
	assert_int_equal(seen.sample[0].pair, 0);
	assert_int_equal(seen.sample[0].wrong, 0);
}

/* Read as it is (and stays so); written to only when brought up. */
static void test_version_1(void **state)
{
	const char *path = scratch_path("first.db");
	struct store_summary sum;
	struct store *db;
	int64_t columns;

	(void)state;
	make_version_1(path);
	db = opened(path, STORE_READ);
	assert_int_equal(store_summary(db, &sum), ST_OK);
	assert_int_equal(sum.schema_version, 1);
	expect_version_1_row(db);
	expect_sound(db);
	store_close(db);
	refused(path, STORE_NO_MIGRATE, ST_INPUT, "db --migrate");
	db = opened(path, STORE_WRITE);
	expect_version_1_row(db);
	assert_int_equal(store_add(db, 1, &full_sample, 1), ST_OK);
	assert_int_equal(sql_integer(db, "SELECT count(*) FROM "
		"pragma_table_info('sample') WHERE name IN ('plan', 'layer', "
		"'pair')", &columns), ST_OK);
	assert_int_equal(columns, 3);
	expect_sound(db);
	store_close(db);
	assert_int_equal(count_samples(path), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_modes),
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
		cmocka_unit_test(test_version_1),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
