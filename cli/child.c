/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/child.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READ_STEP 4096
#define EXEC_FAILED 127
#define WAIT_STEP_NS 2000000	/* between looks whether it has ended */

struct child {
	pid_t pid;
	int out;	/* our end of its stdout */
	char *name;
	char *text;	/* what was read: `used` bytes are handed out */
	size_t len, used, cap;
	bool eof;
};

/* What the signal handler kills, and what it passes the signal on to. */
static volatile sig_atomic_t group;
static const int caught[] = { SIGINT, SIGTERM, SIGHUP };
#define N_CAUGHT (sizeof(caught) / sizeof(caught[0]))
static struct sigaction before[N_CAUGHT];

static void on_signal(int sig)
{
	size_t i;

	if (group > 0)
		kill(-(pid_t)group, SIGKILL);
	for (i = 0; i < N_CAUGHT; i++) {
		if (caught[i] == sig)
			sigaction(sig, &before[i], NULL);
	}
	raise(sig);
}

static void signals_take(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	size_t i;

	sigemptyset(&sa.sa_mask);
	for (i = 0; i < N_CAUGHT; i++) {
		sigaction(caught[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			sigaction(caught[i], &sa, NULL);
	}
}

static void signals_give_back(void)
{
	size_t i;

	for (i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &before[i], NULL);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Between fork and exec: system calls only. */
static void become(const char *const *argv, int in, int out, pid_t parent)
{
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXEC_FAILED);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execv(argv[0], (char *const *)argv);
	_exit(EXEC_FAILED);
}

/* A file in memory that holds the text already: nobody has to wait for
 * anybody. */
static enum status text_file(const char *text, size_t len, int *fd_p)
{
	int fd;

	if (len > CHILD_TEXT_MAX)
		return err_set(ST_FAIL, "a job of %zu bytes is too long", len);
	fd = memfd_create("job", MFD_CLOEXEC);
	if (fd < 0)
		return err_set(ST_FAIL, "cannot make a file in memory: %m");
	if (write(fd, text, len) != (ssize_t)len ||
	    lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return err_set(ST_FAIL, "cannot write a file in memory: %m");
	}
	*fd_p = fd;
	return ST_OK;
}

/* No signal may come between the fork and the handler's knowing of it. */
static pid_t fork_known(const char *const *argv, int in, int out)
{
	sigset_t block, old;
	pid_t parent = getpid(), pid;
	size_t i;

	sigemptyset(&block);
	for (i = 0; i < N_CAUGHT; i++)
		sigaddset(&block, caught[i]);
	sigprocmask(SIG_BLOCK, &block, &old);
	pid = fork();
	if (!pid)
		become(argv, in, out, parent);
	if (pid > 0) {
		setpgid(pid, pid);	/* whoever of us is first */
		group = pid;
		signals_take();
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

enum status child_start(const char *const *argv, const char *text, size_t len,
			struct child **out_p)
{
	enum status st;
	struct child *c;
	int in = -1, fd[2];
	pid_t pid;

	if (access(argv[0], X_OK))
		return err_set(ST_FAIL, "cannot run '%s': %m", argv[0]);
	st = text_file(text, len, &in);
	if (st)
		return st;
	if (pipe2(fd, O_CLOEXEC)) {
		close(in);
		return err_set(ST_FAIL, "cannot make a pipe: %m");
	}
	pid = fork_known(argv, in, fd[1]);
	close(in);
	close(fd[1]);
	if (pid < 0) {
		close(fd[0]);
		return err_set(ST_FAIL, "cannot start '%s': %m", argv[0]);
	}
	fcntl(fd[0], F_SETFL, O_NONBLOCK);	/* the deadline is poll's */
	c = xcalloc(1, sizeof(*c));
	c->pid = pid;
	c->out = fd[0];
	c->name = xstrdup(argv[0]);
	*out_p = c;
	return ST_OK;
}

static const char *line_end(const struct child *c)
{
	if (c->used == c->len)
		return NULL;
	return memchr(c->text + c->used, '\n', c->len - c->used);
}

bool child_has_line(const struct child *c)
{
	return line_end(c) != NULL;
}

static const char *take_line(struct child *c)
{
	char *line = c->text + c->used;
	const char *end = line_end(c);
	size_t n = end ? (size_t)(end - line) : c->len - c->used;

	line[n] = '\0';	/* the newline, or the byte kept free */
	c->used += n + (end ? 1 : 0);
	return line;
}

static enum status read_more(struct child *c)
{
	ssize_t n;

	if (c->used)
		memmove(c->text, c->text + c->used, c->len - c->used);
	c->len -= c->used;
	c->used = 0;
	if (c->len > CHILD_LINE_MAX)
		return err_set(ST_FAIL, "'%s' wrote a line of more than %d "
			       "bytes", c->name, CHILD_LINE_MAX);
	c->text = array_grow(c->text, &c->cap, c->len + READ_STEP + 1, 1);
	n = read(c->out, c->text + c->len, READ_STEP);
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return err_set(ST_FAIL, "cannot read from '%s': %m", c->name);
	c->eof = !n;
	c->len += n > 0 ? (size_t)n : 0;
	return ST_OK;
}

/* Until there is something to read. */
static enum status wait_readable(struct child *c, double until_s,
				 double deadline_s)
{
	struct pollfd p = { .fd = c->out, .events = POLLIN };
	double left = until_s - now_s();
	int n = left > 0 ? poll(&p, 1, (int)(left * 1e3) + 1) : 0;

	if (n < 0 && errno != EINTR)
		return err_set(ST_FAIL, "cannot wait for '%s': %m", c->name);
	if (n || now_s() < until_s)
		return ST_OK;
	child_kill(c);
	return err_set(ST_FAIL, "'%s' wrote nothing for %g s and was killed",
		       c->name, deadline_s);
}

enum status child_line(struct child *c, double deadline_s,
		       const char **line_p)
{
	double until_s = now_s() + deadline_s;
	enum status st = ST_OK;

	while (!st && !child_has_line(c) && !c->eof) {
		st = wait_readable(c, until_s, deadline_s);
		if (!st)
			st = read_more(c);
	}
	if (!st)
		*line_p = c->used < c->len ? take_line(c) : NULL;
	return st;
}

void child_kill(struct child *c)
{
	kill(-c->pid, SIGKILL);
	kill(c->pid, SIGKILL);
}

static int wait_ended(struct child *c, double deadline_s)
{
	const struct timespec step = { 0, WAIT_STEP_NS };
	double until_s = now_s() + deadline_s;
	int state = 0;

	while (!waitpid(c->pid, &state, WNOHANG)) {
		if (now_s() > until_s)
			child_kill(c);
		nanosleep(&step, NULL);
	}
	return state;
}

enum status child_end(struct child *c, double deadline_s, int *code_p)
{
	enum status st = ST_OK;
	int state;

	*code_p = 0;
	if (!c)
		return ST_OK;
	close(c->out);
	state = wait_ended(c, deadline_s);
	kill(-c->pid, SIGKILL);	/* what it left behind */
	group = 0;
	signals_give_back();
	*code_p = WIFEXITED(state) ? WEXITSTATUS(state) : 0;
	if (WIFSIGNALED(state))
		st = err_set(ST_FAIL, "'%s' was killed by signal %d (%s)",
			     c->name, WTERMSIG(state),
			     strsignal(WTERMSIG(state)));
	else if (*code_p == EXEC_FAILED)
		st = err_set(ST_FAIL, "cannot run '%s'", c->name);
	free(c->name);
	free(c->text);
	free(c);
	return st;
}
