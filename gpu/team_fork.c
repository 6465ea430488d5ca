/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/team.h"

#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
	pid_t pid;
	int fd;
};

struct fork_link {
	int n;
	struct worker worker[TEAM_MEMBERS_MAX];
};

bool team_move(int fd, void *p, size_t n, bool is_write)
{
	char *at = p;
	ssize_t got;

	while (n > 0) {
		got = is_write ? send(fd, at, n, MSG_NOSIGNAL)
			       : read(fd, at, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

static bool put(void *arg, int member, const void *p, size_t n)
{
	struct fork_link *l = arg;

	return team_move(l->worker[member].fd, (void *)p, n, true);
}

static bool get(void *arg, int member, void *p, size_t n)
{
	struct fork_link *l = arg;

	return team_move(l->worker[member].fd, p, n, false);
}

static int wait_any(void *arg, const bool *wanted)
{
	struct pollfd f[TEAM_MEMBERS_MAX];
	struct fork_link *l = arg;
	int i;

	for (i = 0; i < l->n; i++)	/* poll() passes over -1 */
		f[i] = (struct pollfd){ wanted[i] ? l->worker[i].fd : -1,
					POLLIN, 0 };
	while (poll(f, (nfds_t)l->n, -1) < 0) {
		if (errno != EINTR)
			return -1;
	}
	for (i = 0; i < l->n && !f[i].revents; i++)
		;
	return i < l->n ? i : -1;
}

static void kill_all(void *arg)
{
	struct fork_link *l = arg;
	int i;

	for (i = 0; i < l->n; i++)
		kill(l->worker[i].pid, SIGKILL);
}

static void close_all(void *arg)
{
	struct fork_link *l = arg;
	int i;

	for (i = 0; i < l->n; i++)
		close(l->worker[i].fd);
	for (i = 0; i < l->n; i++)
		waitpid(l->worker[i].pid, NULL, 0);
	free(l);
}

/* The one link of a worker: its end of the socket pair. */
static bool put_up(void *arg, int member, const void *p, size_t n)
{
	(void)member;
	return team_move(*(int *)arg, (void *)p, n, true);
}

static bool get_up(void *arg, int member, void *p, size_t n)
{
	(void)member;
	return team_move(*(int *)arg, p, n, false);
}

struct task {
	const struct team_part *part;
	const struct backend_options *opt;
	void (*begin)(int member);
	struct team_place at;
};

static enum status start(struct fork_link *l, const struct task *t)
{
	struct worker *w = &l->worker[l->n];
	struct team_link up = { .put = put_up, .get = get_up };
	int fd[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return err_set(ST_FAIL, "cannot make a socket pair: %m");
	w->pid = fork();
	if (w->pid < 0) {
		close(fd[0]);
		close(fd[1]);
		return err_set(ST_FAIL, "cannot fork: %m");
	}
	if (w->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < l->n; i++)
			close(l->worker[i].fd);
		close(fd[0]);
		t->begin(t->at.member);
		up.arg = &fd[1];
		team_serve(&up, t->part, t->opt, &t->at);
		_exit(0);
	}
	close(fd[1]);
	w->fd = fd[0];
	l->n++;
	return ST_OK;
}

enum status team_fork(int members, const struct team_part *part,
		      const struct backend_options *opt,
		      void (*begin)(int member), struct team_link *out)
{
	struct fork_link *l = xcalloc(1, sizeof(*l));
	struct task t = { .part = part, .opt = opt, .begin = begin,
			  .at = { .members = members, .hosts = members,
				  .is_emulated = true } };
	enum status st = ST_OK;

	for (; t.at.member < members && !st; t.at.member++)
		st = start(l, &t);
	if (st) {
		kill_all(l);
		close_all(l);
		return st;
	}
	*out = (struct team_link){ .arg = l, .members = members, .put = put,
				   .get = get, .wait = wait_any,
				   .kill = kill_all, .close = close_all };
	return ST_OK;
}
