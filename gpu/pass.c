/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/pass.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELF "/proc/self/exe"
#define EXEC_FAILED 127

extern char **environ;

static atomic_int running;	/* pid of the pass, or 0 */

struct spawn {
	const char *argv[8];
	char **envp;	/* owned list, borrowed texts */
	int in, out;	/* the child's stdin and stdout */
};

/* Ours without the names that `env` sets, then `env`. */
static char **merge_environment(const char *const *env)
{
	size_t n = 0, have = 0, i, j;
	char **out;

	while (environ[have])
		have++;
	for (i = 0; env[i]; i++)
		;
	out = xcalloc(have + i + 1, sizeof(*out));
	for (j = 0; j < have; j++) {
		size_t len = strcspn(environ[j], "=") + 1;

		for (i = 0; env[i] && strncmp(env[i], environ[j], len); i++)
			;
		if (!env[i])
			out[n++] = environ[j];
	}
	for (i = 0; env[i]; i++)
		out[n++] = (char *)env[i];
	return out;
}

/* Between fork and exec: nothing but system calls. */
static void become(const struct spawn *s, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXEC_FAILED);
	dup2(s->in, STDIN_FILENO);
	dup2(s->out, STDOUT_FILENO);
	execve(SELF, (char *const *)s->argv, s->envp);
	_exit(EXEC_FAILED);
}

/* The job goes through a file: a pipe might fill up before it is read. */
static enum status job_file(const char *job, size_t len, FILE **out_p)
{
	FILE *f = tmpfile();

	if (!f)
		return err_set(ST_FAIL, "cannot make a temporary file: %m");
	if (fwrite(job, 1, len, f) != len || fflush(f) ||
	    lseek(fileno(f), 0, SEEK_SET) < 0) {
		fclose(f);
		return err_set(ST_FAIL, "cannot write a temporary file: %m");
	}
	*out_p = f;
	return ST_OK;
}

static enum status forward(int fd, pass_line_fn *fn, void *arg)
{
	FILE *f = fdopen(fd, "r");
	enum status st = ST_OK;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while (f && !st && (n = getline(&line, &cap, f)) >= 0) {
		if (n && line[n - 1] == '\n')
			line[n - 1] = '\0';
		st = fn(arg, line);
	}
	free(line);
	if (f)
		fclose(f);
	return st;
}

static int reap(pid_t pid)
{
	int state = 0;

	while (waitpid(pid, &state, 0) < 0 && errno == EINTR)
		;
	atomic_store(&running, 0);
	return state;
}

static enum status outcome(const char *tier, int state)
{
	if (WIFSIGNALED(state))
		return err_set(ST_FAIL, "tier '%s': its process was killed by "
			       "signal %d", tier, WTERMSIG(state));
	if (WEXITSTATUS(state))
		return err_set(ST_FAIL, "tier '%s': its process ended with "
			       "status %d", tier, WEXITSTATUS(state));
	return ST_OK;
}

static enum status start(const struct spawn *s, pid_t *pid_p)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return err_set(ST_FAIL, "cannot start a process: %m");
	if (!pid)
		become(s, parent);
	atomic_store(&running, pid);
	*pid_p = pid;
	return ST_OK;
}

static enum status run_piped(const char *tier, struct spawn *s,
			     pass_line_fn *fn, void *arg)
{
	enum status st;
	pid_t pid = 0;
	int fd[2], state;

	if (pipe2(fd, O_CLOEXEC))
		return err_set(ST_FAIL, "cannot make a pipe: %m");
	s->out = fd[1];
	st = start(s, &pid);
	close(fd[1]);
	if (st) {
		close(fd[0]);
		return st;
	}
	st = forward(fd[0], fn, arg);
	if (st)
		kill(pid, SIGKILL);
	state = reap(pid);
	return st ? st : outcome(tier, state);	/* st says it better */
}

enum status pass_run(const char *tier, double budget_share, int nodes,
		     const char *const *env, const char *job, size_t job_len,
		     pass_line_fn *fn, void *arg)
{
	static const char *const no_env[] = { NULL };
	char *share = xasprintf("%.9g", budget_share);
	char *count = xasprintf("%d", nodes);
	struct spawn s = { .argv = { "moecast-run", "--tier", tier,
				     "--budget-share", share,
				     nodes ? "--emulate-nodes" : NULL,
				     count } };
	FILE *in = NULL;
	enum status st = job_file(job, job_len, &in);

	if (!st) {
		s.in = fileno(in);
		s.envp = merge_environment(env ? env : no_env);
		st = run_piped(tier, &s, fn, arg);
		free(s.envp);
		fclose(in);
	}
	free(count);
	free(share);
	return st;
}

void pass_kill(void)
{
	pid_t pid = atomic_load(&running);

	if (pid > 0)
		kill(pid, SIGKILL);
}
