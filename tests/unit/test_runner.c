/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The runner's helpers: the watchdog, and the process for another tier. That
 * one starts /proc/self/exe: this program, which then plays the runner.
 */
#include "gpu/pass.h"
#include "gpu/watchdog.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_S 0.5

static atomic_int late;

static void note_late(void)
{
	atomic_fetch_add(&late, 1);
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void test_kicked(void **state)
{
	int i;

	(void)state;
	atomic_store(&late, 0);
	/* a hundred times the pause: a busy machine may take its time */
	assert_int_equal(watchdog_start(1, note_late), ST_OK);
	for (i = 0; i < 30; i++) {
		watchdog_kick();
		sleep_ms(10);
	}
	watchdog_stop();
	assert_int_equal(atomic_load(&late), 0);
}

static void test_late(void **state)
{
	int i;

	(void)state;
	atomic_store(&late, 0);
	assert_int_equal(watchdog_start(DEADLINE_S, note_late), ST_OK);
	watchdog_kick();
	sleep_ms(50);
	assert_int_equal(atomic_load(&late), 0);
	for (i = 0; i < 500 && !atomic_load(&late); i++)
		sleep_ms(10);
	watchdog_stop();
	assert_int_equal(atomic_load(&late), 1);
}

/* What the other process does is told by its job. */
static int play_runner(char **argv)
{
	char job[64] = "";

	if (!fgets(job, sizeof(job), stdin))
		return 9;
	if (!strcmp(job, "killed"))
		raise(SIGKILL);
	if (!strcmp(job, "five"))
		return 5;
	if (!strcmp(job, "endless")) {
		for (;;) {
			puts("line");
			fflush(stdout);
		}
	}
	printf("%s|%s|%s", argv[2], argv[3], argv[4]);
	if (argv[5])
		printf("|%s|%s", argv[5], argv[6]);
	printf("\n%s|%s", getenv("PASS_NEW"), getenv("PASS_OLD"));
	return 0;
}

struct heard {
	char line[4][128];
	int n;
	enum status answer;
};

static enum status hear(void *arg, const char *line)
{
	struct heard *h = arg;

	if (h->n < 4)
		snprintf(h->line[h->n], sizeof(h->line[0]), "%s", line);
	h->n++;
	return h->answer ? err_set(h->answer, "enough") : ST_OK;
}

static enum status pass(const char *job, struct heard *h)
{
	static const char *const env[] = { "PASS_NEW=a", "PASS_OLD=b", NULL };

	return pass_run("socket", 0.2, 0, env, job, strlen(job), hear, h);
}

static void test_pass(void **state)
{
	struct heard h = { 0 };

	(void)state;
	setenv("PASS_OLD", "was", 1);
	assert_int_equal(pass("talk", &h), ST_OK);
	assert_int_equal(h.n, 2);
	assert_string_equal(h.line[0], "socket|--budget-share|0.2");
	assert_string_equal(h.line[1], "a|b");
	assert_string_equal(getenv("PASS_OLD"), "was");
}

/* Emulated nodes, and nothing of the environment changed. */
static void test_pass_nodes(void **state)
{
	struct heard h = { 0 };

	(void)state;
	setenv("PASS_OLD", "was", 1);
	unsetenv("PASS_NEW");
	assert_int_equal(pass_run("socket", 0.5, 3, NULL, "talk", 4, hear, &h),
			 ST_OK);
	assert_string_equal(h.line[0], "socket|--budget-share|0.5|"
				       "--emulate-nodes|3");
	assert_string_equal(h.line[1], "(null)|was");
}

static void test_pass_fails(void **state)
{
	struct heard h = { 0 };

	(void)state;
	assert_int_equal(pass("five", &h), ST_FAIL);
	assert_string_equal(err_msg(), "tier 'socket': its process ended with "
				       "status 5");
	assert_int_equal(pass("killed", &h), ST_FAIL);
	assert_string_equal(err_msg(), "tier 'socket': its process was killed "
				       "by signal 9");
	/* the line's own error counts, and the process is ended */
	h.answer = ST_INPUT;
	assert_int_equal(pass("endless", &h), ST_INPUT);
	assert_string_equal(err_msg(), "enough");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kicked),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_pass_nodes),
		cmocka_unit_test(test_pass_fails),
	};

	if (argc > 4 && !strcmp(argv[1], "--tier"))
		return play_runner(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
