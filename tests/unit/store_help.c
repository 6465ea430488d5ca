/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/store_help.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"

#include <dirent.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* last: it needs the four above */
#include <cmocka.h>

#define FILE_MAX (64 << 20)

char scratch[64];

const struct sample full_sample = {
	.op = "alltoall", .variant = "uneven", .tier = "nvlink",
	.dtype = "bf16", .beside = "gemm", .ranks = 2, .nodes = 3, .ctas = 24,
	.bytes = 1048577, .m = 2.385, .n = 3.1, .k = 0.1 + 0.2, .batch = 8,
	.busiest_bytes = 524289.5, .median_s = 1.0 / 3e5, .p95_s = 4.17e-6,
	.min_s = 3.3e-6, .max_s = 5.01e-6, .mean_s = 3.5e-6, .count = 37,
	.wrong = INT64_MAX,
	.pair = (INT64_C(1) << 40) + 3, .plan = "ep=2 esp=1 degree=4/2",
	.layer = "tokens=1024 hidden=2048",
};

const struct run_info full_run = {
	.backend = "cuda", .source = "moecast-run", .host = "node \"7\"",
	.gpu = "NVIDIA H200", .gpus = 2, .driver = "580.1", .cuda = "13.0",
	.nccl = "2.28.9", .clocks = "sm 1980 MHz, memory 3201 MHz",
	.environment = "NCCL_DEBUG=INFO NCCL_X=\xc3\xa9", .version = "0.1.0",
	.date = "2026-11-22T15:04:05Z",
};

const struct fit_row full_fit = {
	.gpu = "NVIDIA H200", .op = "alltoall", .variant = "even",
	.tier = "nvlink", .dtype = "bf16", .form = "sqrt", .ranks = 2,
	.ctas = 8, .alpha_s = 1.31e-5, .beta_s_per_byte = 2.97e-12,
	.gamma_s_per_sqrt_byte = 4.1e-9, .pieces = "[[0,1,2.5]]",
	.r2 = -0.25, .mape = 0.031, .min_bytes = 1024, .max_bytes = 1e9,
	.samples = 21,
};

struct sample numbered_sample(int64_t number)
{
	struct sample s = full_sample;

	s.bytes = (double)number;
	return s;
}

int scratch_make(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(scratch, sizeof(scratch), "%.40s/moecast.XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	return mkdtemp(scratch) && !chmod(scratch, 0755) ? 0 : -1;
}

const char *scratch_path(const char *name)
{
	static char path[4][256];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", scratch, name);
	return path[turn];
}

/* Removes them when `remove_p`; one level of directories is enough. */
static int walk(const char *dir, bool remove_p)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];
	int n = 0;

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		n++;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (remove_p && unlink(path)) {
			chmod(path, 0755);
			walk(path, true);
			rmdir(path);
		}
	}
	if (d)
		closedir(d);
	return n;
}

int scratch_files(void)
{
	return walk(scratch, false);
}

int scratch_remove(void **state)
{
	(void)state;
	walk(scratch, true);
	return rmdir(scratch);
}

struct store *opened(const char *path, enum store_mode mode)
{
	struct store *db = NULL;

	if (store_open(path, mode, &db))
		fail_msg("%s: %s", path, err_msg());
	return db;
}

void refused(const char *path, enum store_mode mode, enum status st,
	     const char *text)
{
	struct store *db = NULL;
	enum status got = store_open(path, mode, &db);

	assert_null(db);
	if (got != st || !strstr(err_msg(), path) ||
	    !strstr(err_msg(), text) || strchr(err_msg(), '\n'))
		fail_msg("status %d, not %d, or '%s' lacks '%s'", got, st,
			 err_msg(), text);
}

void expect_sound(struct store *db)
{
	struct buf b = { 0 };
	int n = -1;

	assert_int_equal(store_check(db, &b, &n), ST_OK);
	if (n)
		fail_msg("%d problems: %s", n, buf_str(&b));
	buf_release(&b);
}

int64_t count_samples(const char *path)
{
	struct store *db = opened(path, STORE_READ);
	struct store_summary s;

	assert_int_equal(store_summary(db, &s), ST_OK);
	store_close(db);
	return s.samples;
}

void raw(const char *path, const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	sqlite3_close(db);
}

void file_write(const char *path, const void *data, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

void *file_read(const char *path, size_t *n_p)
{
	char *text = NULL;

	if (infile_read(path, FILE_MAX, &text, n_p))
		fail_msg("%s", err_msg());
	return text;
}
