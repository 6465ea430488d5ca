/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writers at once, writers killed at any moment, damaged files. Every writer
 * is a process of its own; the parent only looks at what they left.
 */
#include "base/buf.h"
#include "profiles/store.h"
#include "tests/unit/store_help.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* last: it needs the four above */
#include <cmocka.h>

#define WRITERS 4
#define BATCHES 25
#define BATCH 3
#define RACERS 12
#define RACES 12
#define KILLS 50
#define KILL_FRESH_US 12000	/* while the file is being made */
#define KILL_GROWN_US 40000
#define FULL_BYTES 200000
#define FLIPS 300
#define SEED 20261122

static uint64_t random_state = SEED;

/* xorshift64: the same moments and bytes in every run */
static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

/* The batch'th batch of writer `who`. */
static void make_batch(int who, int batch, struct sample s[BATCH])
{
	int i;

	for (i = 0; i < BATCH; i++)
		s[i] = numbered_sample(((int64_t)who << 32) +
				       batch * BATCH + i);
}

/* In a child: writes batches, the number of each into `fd` once it is in. */
static void write_batches(const char *path, int who, int batches, int fd)
{
	struct run_info info = full_run;
	struct sample s[BATCH];
	struct store *db;
	int64_t run;
	int i;

	info.gpus = who;
	if (store_open(path, STORE_WRITE, &db) ||
	    store_run(db, &info, NULL, &run))
		goto fail;
	for (i = 0; i < batches; i++) {
		make_batch(who, i, s);
		if (store_add(db, run, s, BATCH))
			goto fail;
		if (write(fd, &i, sizeof(i)) != sizeof(i))
			_exit(2);
	}
	store_close(db);
	_exit(0);
fail:
	fprintf(stderr, "writer %d: %s\n", who, err_msg());
	_exit(1);
}

static pid_t start_writer(const char *path, int who, int batches, int *fd_p)
{
	int fd[2];
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(fd[0]);
		write_batches(path, who, batches, fd[1]);
	}
	close(fd[1]);
	*fd_p = fd[0];
	return pid;
}

/* How many batches were told of: each number follows the one before. */
static int read_told(int fd)
{
	int n = 0, batch;

	while (read(fd, &batch, sizeof(batch)) == sizeof(batch))
		assert_int_equal(batch, n++);
	close(fd);
	return n;
}

struct tally {
	int *next;	/* of each writer: the sample that must come now */
	int n;
};

static enum status tally_sample(void *arg, int64_t run,
				const struct run_info *info,
				const struct sample *s)
{
	struct tally *t = arg;
	struct sample want;

	(void)run;
	assert_in_range(info->gpus, 0, t->n - 1);
	want = numbered_sample(((int64_t)info->gpus << 32) +
			       t->next[info->gpus]++);
	assert_memory_equal(s, &want, sizeof(want));
	return ST_OK;
}

/* All that was told is there, in order, no batch is there in part, and
 * nothing else: `told` batches, or one more that could not be told of. */
static void expect_told(const char *path, const int *told, int n)
{
	struct store *db = opened(path, STORE_READ);
	int next[KILLS] = { 0 };
	struct tally t = { .next = next, .n = n };
	int i;

	assert_int_equal(store_each(db, tally_sample, &t), ST_OK);
	for (i = 0; i < n; i++) {
		if (next[i] != told[i] * BATCH &&
		    next[i] != (told[i] + 1) * BATCH)
			fail_msg("writer %d told of %d batches, %d samples "
				 "are there", i, told[i], next[i]);
	}
	expect_sound(db);
	store_close(db);
}

static void test_writers_at_once(void **state)
{
	const char *path = scratch_path("together.db");
	int fd[WRITERS], told[WRITERS], status, i;
	pid_t pid[WRITERS];

	(void)state;
	for (i = 0; i < WRITERS; i++)	/* all make the file, too */
		pid[i] = start_writer(path, i, BATCHES, &fd[i]);
	for (i = 0; i < WRITERS; i++) {
		told[i] = read_told(fd[i]);
		assert_int_equal(told[i], BATCHES);
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_samples(path), WRITERS * BATCHES * BATCH);
	expect_told(path, told, WRITERS);
}

/* Many at once make one file: one of them does, and all get it. */
static void test_makers_at_once(void **state)
{
	int fd[RACERS], status, i, round;
	pid_t pid[RACERS];
	char name[32];

	(void)state;
	for (round = 0; round < RACES; round++) {
		snprintf(name, sizeof(name), "race-%d.db", round);
		for (i = 0; i < RACERS; i++)
			pid[i] = start_writer(scratch_path(name), i, 0,
					      &fd[i]);
		for (i = 0; i < RACERS; i++) {
			close(fd[i]);
			assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
			assert_int_equal(status, 0);
		}
	}
}

/* One writer, killed after so long; how many batches it told of. */
static int kill_writer(const char *path, int who, uint64_t after_us)
{
	int fd, status, told;
	pid_t pid = start_writer(path, who, 1 << 30, &fd);

	usleep((useconds_t)after_us);
	assert_int_equal(kill(pid, SIGKILL), 0);
	told = read_told(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return told;
}

static void test_kill_one_file(void **state)
{
	const char *path = scratch_path("killed.db");
	int told[KILLS], i, sum = 0;

	(void)state;
	for (i = 0; i < KILLS; i++) {
		told[i] = kill_writer(path, i, random_below(KILL_GROWN_US));
		sum += told[i];
		if (!access(path, F_OK))
			expect_told(path, told, i + 1);
	}
	print_message("%d killed writers: %d batches\n", KILLS, sum);
	assert_true(sum > 0);
}

/* Killed while it makes the file: the next one goes on with what is there. */
static void test_kill_new_files(void **state)
{
	char name[32];
	int i, told[2];

	(void)state;
	for (i = 0; i < KILLS; i++) {
		snprintf(name, sizeof(name), "fresh-%d.db", i);
		told[0] = kill_writer(scratch_path(name), 0,
				      random_below(KILL_FRESH_US));
		if (!access(scratch_path(name), F_OK))
			expect_told(scratch_path(name), told, 1);
		told[1] = kill_writer(scratch_path(name), 1, KILL_GROWN_US);
		if (!access(scratch_path(name), F_OK))
			expect_told(scratch_path(name), told, 2);
	}
}

/* ---- a full disk ---- */

/* In a child whose files cannot grow any more: 0 when it went as it should:
 * a batch fails with a message, and the database is still of use. */
static int write_until_full(const char *path)
{
	struct rlimit limit = { FULL_BYTES, FULL_BYTES };
	struct store_summary sum;
	struct sample s[BATCH];
	struct store *db;
	enum status st = ST_OK;
	int64_t run;
	int i;

	signal(SIGXFSZ, SIG_IGN);
	if (store_open(path, STORE_WRITE, &db) ||
	    store_run(db, &full_run, NULL, &run) ||
	    setrlimit(RLIMIT_FSIZE, &limit))
		return 1;
	for (i = 0; !st && i < FULL_BYTES; i++) {
		make_batch(0, i, s);
		st = store_add(db, run, s, BATCH);
	}
	if (st != ST_FAIL || !strstr(err_msg(), path))
		return 2;
	/* i - 1 batches went in, the last did not, nor did a part of it */
	if (store_summary(db, &sum) || sum.samples != (i - 1) * BATCH)
		return 3;
	store_close(db);
	return sum.samples > 0 ? 0 : 4;
}

static void test_full_disk(void **state)
{
	const char *path = scratch_path("full.db");
	struct store *db;
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(write_until_full(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	db = opened(path, STORE_WRITE);
	expect_sound(db);
	store_close(db);
}

/* ---- damaged files ---- */

static enum status well_formed(void *arg, int64_t run,
			       const struct run_info *info,
			       const struct sample *s)
{
	(void)run;
	(void)info;
	*(bool *)arg = *(bool *)arg && !sample_check(s);
	return ST_OK;
}

/*
 * Reads, checks and adds to a file that may hold anything. True when the
 * damage was seen; what is not seen must give samples within their rules.
 */
static bool damage_seen(const char *path)
{
	struct buf b = { 0 };
	struct store *db;
	bool good = true;
	int n = 0;
	int64_t run;
	enum status st = store_open(path, STORE_READ, &db);

	if (st) {
		assert_int_equal(st, ST_INPUT);
		assert_non_null(strstr(err_msg(), path));
		return true;
	}
	assert_int_equal(store_check(db, &b, &n), ST_OK);
	st = store_each(db, well_formed, &good);
	assert_true(st == ST_OK || st == ST_INPUT);
	assert_true(n || (!st && good));
	store_close(db);
	if (!store_open(path, STORE_WRITE, &db)) {
		st = store_import(db, &full_run, NULL, &full_sample, 1, &run);
		assert_true(st == ST_OK || st == ST_INPUT);
		store_close(db);
	}
	buf_release(&b);
	return n > 0;
}

/* Several pages: 400 samples. */
static void *sound_file(size_t *n_p)
{
	const char *path = scratch_path("sound.db");
	struct store *db = opened(path, STORE_WRITE);
	struct sample s[400];
	int64_t run;
	size_t i;

	for (i = 0; i < 400; i++)
		s[i] = numbered_sample((int64_t)i);
	assert_int_equal(store_import(db, &full_run, "k", s, 400, &run),
			 ST_OK);
	store_close(db);
	return file_read(path, n_p);
}

static void remove_log(const char *path)
{
	char name[300];

	snprintf(name, sizeof(name), "%s-wal", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s-shm", path);
	unlink(name);
}

static void test_flipped(void **state)
{
	const char *path = scratch_path("flipped.db");
	size_t n, at;
	unsigned char *data = sound_file(&n), old;
	int i, seen = 0;

	(void)state;
	for (i = 0; i < FLIPS; i++) {
		/* the header and the schema as often as the rest */
		at = random_below(i % 2 ? n : 4096);
		old = data[at];
		data[at] ^= (unsigned char)(1 + random_below(255));
		file_write(path, data, n);
		seen += damage_seen(path);
		remove_log(path);
		data[at] = old;
	}
	print_message("%d of %d flipped bytes were seen\n", seen, FLIPS);
	assert_true(seen > 0);
	file_write(path, data, n);
	assert_false(damage_seen(path));
	free(data);
}

/* A page of noise anywhere, a cut anywhere: always seen. */
static void test_noise_and_cuts(void **state)
{
	const char *path = scratch_path("noise.db");
	size_t n, page, i, cut;
	unsigned char *data = sound_file(&n), *copy = malloc(n);

	(void)state;
	assert_non_null(copy);
	assert_true(n > 4 * 4096 && n % 4096 == 0);
	for (page = 0; page < n / 4096; page++) {
		memcpy(copy, data, n);
		for (i = 0; i < 4096; i++)
			copy[page * 4096 + i] = (unsigned char)
				random_below(256);
		file_write(path, copy, n);
		assert_true(damage_seen(path));
		remove_log(path);
	}
	for (cut = 1; cut < n; cut += 1 + random_below(4096)) {
		file_write(path, data, cut);
		assert_true(damage_seen(path));
		remove_log(path);
	}
	free(copy);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writers_at_once),
		cmocka_unit_test(test_makers_at_once),
		cmocka_unit_test(test_kill_one_file),
		cmocka_unit_test(test_kill_new_files),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_noise_and_cuts),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
