/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the check of a database finds, what is refused at opening, with which
 * status and message, and what reading leaves behind: nothing.
 */
#include "base/buf.h"
#include "profiles/store_sql.h"
#include "tests/unit/store_help.h"

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

/* ---- the check: each kind of damage that SQL can do ---- */

static void expect_problems(const char *sql, int want, const char *text)
{
	const char *path = scratch_path("hurt.db");
	struct store *db = opened(path, STORE_WRITE);
	struct sample s[2] = { full_sample, full_sample };
	struct buf b = { 0 };
	int64_t run;
	int n;

	assert_int_equal(store_import(db, &full_run, "k", s, 2, &run), ST_OK);
	assert_int_equal(store_set_fits(db, &full_fit, 1), ST_OK);
	expect_sound(db);
	store_close(db);
	raw(path, sql);
	db = opened(path, STORE_READ);
	assert_int_equal(store_check(db, &b, &n), ST_OK);
	if (n != want || !strstr(buf_str(&b), text))
		fail_msg("%d problems, '%s' lacks '%s'", n, buf_str(&b), text);
	buf_release(&b);
	store_close(db);
	assert_int_equal(unlink(path), 0);
}

/* The first sample again, as number 9, of that run and with that op. */
#define COPY_SAMPLE(run, op) \
	"INSERT INTO sample SELECT 9, " run ", " op ", variant, tier, dtype," \
	"beside, ranks, nodes, ctas, bytes, m, n, k, batch, busiest_bytes," \
	"median_s, p95_s, min_s, max_s, mean_s, count, wrong, pair, plan, layer FROM sample " \
	"WHERE id = 1"

static void test_check(void **state)
{
	(void)state;
	expect_problems("PRAGMA ignore_check_constraints = ON;"
			"UPDATE fit SET mape = -1", 1, "CHECK");
	/* the second: its run cannot be read with it */
	expect_problems(COPY_SAMPLE("9", "op"), 2,
			"sample 9 belongs to no run");
	expect_problems(COPY_SAMPLE("1", "'alltoal'"), 1,
			"run 1, sample 3 of it: field 'op'");
	expect_problems("DROP TRIGGER run_stays;"
			"CREATE TRIGGER run_stays BEFORE UPDATE ON run "
			"BEGIN SELECT 1; END", 1, "differ");
	expect_problems("DROP INDEX sample_by_op", 1, "differ");
	expect_problems("INSERT INTO run SELECT 2, NULL, backend, source, "
			"host, gpu || char(10), gpus, driver, cuda, nccl, "
			"clocks, environment, version, date FROM run", 1,
			"run 2: field 'gpu'");
}

/* Noise in the page of a table: writers refuse the file, the check tells. */
static void test_damaged_page(void **state)
{
	const char *path = scratch_path("page.db");
	struct store *db = opened(path, STORE_WRITE);
	unsigned char *data;
	int64_t run, page;
	struct buf b = { 0 };
	size_t n;
	int found;

	(void)state;
	assert_int_equal(store_import(db, &full_run, "k", &full_sample, 1,
				      &run), ST_OK);
	assert_int_equal(sql_integer(db, "SELECT rootpage FROM sqlite_master "
				     "WHERE name = 'sample_by_op'", &page),
			 ST_OK);
	store_close(db);
	data = file_read(path, &n);
	memset(data + (page - 1) * 4096 + 3, 0x5a, 5);	/* cells, content */
	file_write(path, data, n);
	free(data);
	refused(path, STORE_WRITE, ST_INPUT, "damaged");
	db = opened(path, STORE_READ);
	assert_int_equal(store_check(db, &b, &found), ST_OK);
	assert_true(found > 0);
	store_close(db);
	buf_release(&b);
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
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_damaged_page),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_read_only_place),
		cmocka_unit_test(test_reading_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
