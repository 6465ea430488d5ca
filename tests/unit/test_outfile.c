/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/outfile.h"

#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[] = "outfile.XXXXXX";

static int enter_scratch(void **state)
{
	(void)state;
	return !mkdtemp(scratch) || chdir(scratch);
}

static int n_files(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	while (d && readdir(d)) {
		n++;
	}
	if (d)
		closedir(d);
	return n - 2;	/* . and .. */
}

/* Each test empties the directory: what is left over was leaked. */
static int leave_nothing(void **state)
{
	(void)state;
	return n_files(".");
}

static int leave_scratch(void **state)
{
	(void)state;
	return chdir("..") || rmdir(scratch);
}

static void expect_file(const char *path, const char *want)
{
	char *text;
	size_t len;

	assert_int_equal(infile_read(path, 1000, &text, &len), ST_OK);
	assert_int_equal(len, strlen(want));
	assert_string_equal(text, want);
	free(text);
}

static void test_commit(void **state)
{
	struct outfile f;

	(void)state;
	assert_int_equal(outfile_open(&f, "a"), ST_OK);
	fputs("hello\n", f.stream);
	assert_int_not_equal(access("a", F_OK), 0);	/* not before */
	assert_int_equal(outfile_commit(&f), ST_OK);
	assert_int_equal(n_files("."), 1);
	expect_file("a", "hello\n");
	outfile_abort(&f);	/* harmless */
	assert_int_equal(outfile_commit(&f), ST_FAIL);
	expect_file("a", "hello\n");
	unlink("a");
}

static void test_abort_keeps_the_old(void **state)
{
	struct outfile f, zero = { 0 };

	(void)state;
	outfile_abort(&zero);
	assert_int_equal(outfile_write("a", "old", 3), ST_OK);
	assert_int_equal(outfile_open(&f, "a"), ST_OK);
	fputs("new", f.stream);
	outfile_abort(&f);
	expect_file("a", "old");
	assert_int_equal(n_files("."), 1);
	unlink("a");
}

static void test_mode_and_link(void **state)
{
	struct stat sb;

	(void)state;
	assert_int_equal(outfile_write("a", "old", 3), ST_OK);
	assert_int_equal(chmod("a", 0640), 0);
	assert_int_equal(symlink("a", "link"), 0);
	assert_int_equal(outfile_write("link", "new", 3), ST_OK);
	expect_file("a", "new");
	assert_int_equal(lstat("link", &sb), 0);
	assert_true(S_ISLNK(sb.st_mode));
	assert_int_equal(stat("a", &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0640);
	unlink("link");
	unlink("a");
}

static void test_errors(void **state)
{
	(void)state;
	assert_int_equal(outfile_write("none/a", "x", 1), ST_FAIL);
	assert_non_null(strstr(err_msg(), "'none/a'"));
	assert_int_equal(outfile_write(".", "x", 1), ST_FAIL);
	assert_int_equal(outfile_write("", "x", 1), ST_FAIL);
}

/* As on a full disk: the error comes on the way, or at the last flush. */
static void test_full_disk(void **state)
{
	static char large[1 << 20];
	struct rlimit old, none;
	enum status st, st_large;

	(void)state;
	assert_int_equal(outfile_write("a", "old", 3), ST_OK);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	st = outfile_write("a", "new", 3);
	st_large = outfile_write("a", large, sizeof(large));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(st, ST_FAIL);
	assert_int_equal(st_large, ST_FAIL);
	assert_int_equal(n_files("."), 1);
	expect_file("a", "old");
	unlink("a");
}

/* A pipe cannot be replaced: it gets the text and stays. */
static void test_pipe(void **state)
{
	struct stat sb;
	char text[8] = "";
	int fd;

	(void)state;
	assert_int_equal(mkfifo("p", 0600), 0);
	fd = open("p", O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(outfile_write("p", "hello", 5), ST_OK);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	close(fd);
	assert_int_equal(stat("p", &sb), 0);
	assert_true(S_ISFIFO(sb.st_mode));
	unlink("p");
}

static void test_many(void **state)
{
	struct outfile f[40];
	int i, n = 0;

	(void)state;
	for (i = 0; i < 40; i++) {
		char *path = xasprintf("f%d", i);

		n += outfile_open(&f[i], path) == ST_OK;
		free(path);
	}
	assert_in_range(n, 8, 39);	/* more are refused, not lost */
	for (i = 0; i < 40; i++) {
		outfile_abort(&f[i]);
	}
}

static void die_with_open_file(int sig)
{
	struct outfile f;

	outfile_on_signal();
	if (outfile_open(&f, "a") || fputs("half", f.stream) < 0 ||
	    fflush(f.stream) || n_files(".") != 1)
		_exit(9);
	raise(sig);
	_exit(8);	/* not reached: the signal still kills */
}

static void test_signal(void **state)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			signal(sigs[i], SIG_DFL);
			die_with_open_file(sigs[i]);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), sigs[i]);
		assert_int_equal(n_files("."), 0);
	}
}

static void test_mkdir(void **state)
{
	(void)state;
	assert_int_equal(outfile_mkdir("d/e//f/"), ST_OK);
	assert_int_equal(outfile_mkdir("d/e/f"), ST_OK);
	assert_int_equal(outfile_write("d/file", "", 0), ST_OK);
	assert_int_equal(outfile_mkdir("d/file"), ST_FAIL);
	assert_int_equal(outfile_mkdir("d/file/x"), ST_FAIL);
	assert_int_equal(outfile_mkdir(""), ST_FAIL);
	assert_int_equal(outfile_mkdir("/"), ST_OK);
	unlink("d/file");
	rmdir("d/e/f");
	rmdir("d/e");
	rmdir("d");
}

static void test_read_refuses(void **state)
{
	char *text = NULL;
	size_t len = 7;

	(void)state;
	assert_int_equal(outfile_write("a", "12345", 5), ST_OK);
	assert_int_equal(infile_read("a", 4, &text, &len), ST_INPUT);
	assert_int_equal(infile_read("none", 4, &text, &len), ST_INPUT);
	assert_int_equal(infile_read(".", 4, &text, &len), ST_INPUT);
	assert_int_equal(infile_read("/dev/zero", 4, &text, &len), ST_INPUT);
	assert_int_equal(mkfifo("p", 0600), 0);
	assert_int_equal(infile_read("p", 4, &text, &len), ST_INPUT);
	assert_null(text);
	assert_int_equal(len, 7);
	assert_int_equal(infile_read("a", 5, &text, &len), ST_OK);
	assert_int_equal(len, 5);
	free(text);
	unlink("a");
	unlink("p");
}

static void test_read_large(void **state)
{
	size_t size = 300000, len, i;
	char *text = xmalloc(size), *back;

	(void)state;
	for (i = 0; i < size; i++) {
		text[i] = (char)(i * 7 % 251);	/* NULs as well */
	}
	assert_int_equal(outfile_write("a", text, size), ST_OK);
	assert_int_equal(infile_read("a", size, &back, &len), ST_OK);
	assert_int_equal(len, size);
	assert_memory_equal(text, back, size);
	assert_int_equal(back[len], 0);
	free(back);
	free(text);
	unlink("a");
}

#define scratch_test(f) cmocka_unit_test_teardown(f, leave_nothing)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_commit),
		scratch_test(test_abort_keeps_the_old),
		scratch_test(test_mode_and_link),
		scratch_test(test_errors),
		scratch_test(test_full_disk),
		scratch_test(test_pipe),
		scratch_test(test_many),
		scratch_test(test_signal),
		scratch_test(test_mkdir),
		scratch_test(test_read_refuses),
		scratch_test(test_read_large),
	};

	return cmocka_run_group_tests_name("outfile", tests, enter_scratch,
					   leave_scratch);
}
