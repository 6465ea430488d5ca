/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/jitter_jobs.h"

#include "base/mem.h"
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 50000000	/* between looks at how far they are */

struct task {
	const struct fault_spec *f;
	struct evaluation *e;
	enum exec_model model;
	int jobs;
	double *time_s;		/* [repeats], shared; NaN: not yet */
};

static pid_t start(const struct task *t, int first)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(ST_FAIL);
	_exit(jitter_run(t->f, t->e, t->model, first, t->jobs, t->f->repeats,
			 t->time_s));
}

static void show(const struct task *t)
{
	int done = 0;

	for (int i = 0; i < t->f->repeats; i++)
		done += !isnan(t->time_s[i]);
	cli_progress((void *)"runs", done, t->f->repeats);
}

static enum status end(const struct task *t, pid_t pid)
{
	const struct timespec pause = { 0, LOOK_NS };
	pid_t got;
	int code = 0;

	while ((got = waitpid(pid, &code, WNOHANG)) == 0 ||
	       (got < 0 && errno == EINTR)) {
		show(t);
		nanosleep(&pause, NULL);
	}
	if (got == pid && WIFEXITED(code) && WEXITSTATUS(code) == ST_OK)
		return ST_OK;
	if (got == pid && WIFSIGNALED(code))
		return err_set(ST_FAIL, "a process of the jittered runs ended "
			       "by signal %d", WTERMSIG(code));
	return err_set(ST_FAIL, "a process of the jittered runs failed");
}

static enum status spread(const struct task *t)
{
	pid_t *pid = xcalloc((size_t)t->jobs, sizeof(*pid));
	enum status st = ST_OK, one;
	int n = 0;

	for (; n < t->jobs && !st; n += !st) {
		pid[n] = start(t, n);
		if (pid[n] < 0)
			st = err_set(ST_FAIL, "cannot start a process: %m");
	}
	for (int i = 0; i < n; i++) {
		if (st)
			kill(pid[i], SIGKILL);
		one = end(t, pid[i]);
		st = st ? st : one;
	}
	cli_progress_end();
	free(pid);
	return st;
}

enum status jitter_jobs(const struct fault_spec *f, struct evaluation *e,
			enum exec_model model, int jobs,
			struct jitter_stats *out)
{
	size_t bytes = (size_t)f->repeats * sizeof(double);
	struct task t = { f, e, model, jobs < f->repeats ? jobs : f->repeats,
			  NULL };
	enum status st;

	t.time_s = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t.time_s == MAP_FAILED)
		return err_set(ST_FAIL, "no memory for %d runs", f->repeats);
	for (int i = 0; i < f->repeats; i++)
		t.time_s[i] = NAN;
	st = t.jobs > 1 ? spread(&t) :
		jitter_run(f, e, model, 0, 1, f->repeats, t.time_s);
	if (!st)
		*out = jitter_sum_up(t.time_s, f->repeats);
	munmap(t.time_s, bytes);
	return st;
}
