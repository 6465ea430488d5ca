/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/sweep_pool.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES 65536

struct worker {
	pid_t pid;	/* 0: there is none */
	int to, from;	/* pipes */
	long point;	/* that it computes; -1: idle */
	struct buf line;	/* what came of its answer */
};

/* A point whose worker ended, to be given out again. */
struct again {
	long point;
	int tries;
};

struct sweep_pool {
	const struct sweep_spec *spec;
	struct worker *worker;	/* [jobs] */
	struct pollfd *poll;
	int jobs;
	struct again *again;	/* owned; stack of them */
	size_t n_again, cap_again;
	/* of a run */
	sweep_next_fn *next;
	sweep_row_fn *row;
	void *arg;
};

/* ---- the worker ---- */

static void write_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t k = write(fd, s, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			_exit(1);
		s += k;
		n -= (size_t)k;
	}
}

/* Reads points, answers rows, until the pipe is closed. */
static void worker_loop(const struct sweep_spec *spec, int in, int out)
{
	FILE *points = fdopen(in, "r");
	long point;

	while (points && fscanf(points, "%ld", &point) == 1) {
		char *row = sweep_point_row(spec, point);

		write_all(out, row, strlen(row));
		write_all(out, "\n", 1);
		free(row);
	}
	_exit(0);
}

static void close_others(const struct sweep_pool *p)
{
	for (int i = 0; i < p->jobs; i++) {
		if (p->worker[i].pid) {
			close(p->worker[i].to);
			close(p->worker[i].from);
		}
	}
}

static enum status worker_start(struct sweep_pool *p, struct worker *w)
{
	int to[2], from[2];
	pid_t parent = getpid();

	fflush(NULL);
	if (pipe(to))
		return err_set(ST_FAIL, "cannot make a pipe: %m");
	if (pipe(from)) {
		close(to[0]);
		close(to[1]);
		return err_set(ST_FAIL, "cannot make a pipe: %m");
	}
	w->pid = fork();
	if (!w->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close_others(p);
		close(to[1]);
		close(from[0]);
		worker_loop(p->spec, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	if (w->pid < 0) {
		close(to[1]);
		close(from[0]);
		w->pid = 0;
		return err_set(ST_FAIL, "cannot start a worker: %m");
	}
	w->to = to[1];
	w->from = from[0];
	w->point = -1;
	return ST_OK;
}

/* Closes and waits; `why` says how it ended. */
static void worker_end(struct worker *w, char *why, size_t size)
{
	int code = 0;

	close(w->to);
	close(w->from);
	while (waitpid(w->pid, &code, 0) < 0 && errno == EINTR)
		;
	if (why && WIFSIGNALED(code))
		snprintf(why, size, "signal %d", WTERMSIG(code));
	else if (why)
		snprintf(why, size, "status %d", WEXITSTATUS(code));
	buf_release(&w->line);
	*w = (struct worker){ .point = -1 };
}

/* ---- the parent ---- */

enum status sweep_pool_start(const struct sweep_spec *spec, int jobs,
			     struct sweep_pool **out_p)
{
	struct sweep_pool *p = xcalloc(1, sizeof(*p));
	enum status st = ST_OK;

	signal(SIGPIPE, SIG_IGN);	/* a dead worker's pipe */
	p->spec = spec;
	p->worker = xcalloc((size_t)jobs, sizeof(*p->worker));
	p->poll = xcalloc((size_t)jobs, sizeof(*p->poll));
	for (; !st && p->jobs < jobs; p->jobs++)
		st = worker_start(p, &p->worker[p->jobs]);
	if (st)
		sweep_pool_stop(p);
	else
		*out_p = p;
	return st;
}

void sweep_pool_stop(struct sweep_pool *p)
{
	if (!p)
		return;
	for (int i = 0; i < p->jobs; i++) {
		if (!p->worker[i].pid)
			continue;
		kill(p->worker[i].pid, SIGKILL);
		worker_end(&p->worker[i], NULL, 0);
	}
	free(p->worker);
	free(p->poll);
	free(p->again);
	free(p);
}

/* How many workers this point took with it. */
static int tries_of(struct sweep_pool *p, long point, bool forget)
{
	for (size_t i = 0; i < p->n_again; i++) {
		int tries = p->again[i].tries;

		if (p->again[i].point != point)
			continue;
		if (forget)
			p->again[i] = p->again[--p->n_again];
		return tries;
	}
	return 0;
}

/* Points of dead workers that nobody computes now come first. */
static long next_point(struct sweep_pool *p)
{
	for (size_t i = 0; i < p->n_again; i++) {
		bool busy = false;

		for (int w = 0; w < p->jobs; w++)
			busy |= p->worker[w].point == p->again[i].point;
		if (!busy)
			return p->again[i].point;
	}
	return p->next(p->arg);
}

static void hand_out(struct sweep_pool *p, struct worker *w)
{
	char text[32];
	int n;

	w->point = next_point(p);
	if (w->point < 0)
		return;
	n = snprintf(text, sizeof(text), "%ld\n", w->point);
	/* should it be dead, its end is seen when it is read from */
	if (write(w->to, text, (size_t)n) != n)
		kill(w->pid, SIGKILL);
}

static enum status take_row(struct sweep_pool *p, struct worker *w)
{
	long point = w->point;
	enum status st;

	w->line.s[w->line.len - 1] = '\0';
	tries_of(p, point, true);
	w->point = -1;
	st = p->row(p->arg, point, w->line.s);
	buf_clear(&w->line);
	return st;
}

static enum status give_up(struct sweep_pool *p, long point, const char *why)
{
	char *row, *reason;
	enum status st;

	reason = xasprintf("%d processes that computed it ended early (%s)",
			   SWEEP_TRIES, why);
	row = sweep_point_lost(p->spec, point, reason);
	tries_of(p, point, true);
	st = p->row(p->arg, point, row);
	free(row);
	free(reason);
	return st;
}

static enum status replace(struct sweep_pool *p, struct worker *w)
{
	long point = w->point;
	int tries;
	char why[64];
	enum status st = ST_OK;

	worker_end(w, why, sizeof(why));
	if (point >= 0) {
		tries = tries_of(p, point, true) + 1;
		p->again = array_grow(p->again, &p->cap_again,
				      p->n_again + 1, sizeof(*p->again));
		p->again[p->n_again++] = (struct again){ point, tries };
		if (tries == SWEEP_TRIES)
			st = give_up(p, point, why);
	}
	return st ? st : worker_start(p, w);
}

static enum status serve(struct sweep_pool *p, struct worker *w)
{
	static char text[READ_BYTES];
	ssize_t n = read(w->from, text, sizeof(text));

	if (n < 0 && errno == EINTR)
		return ST_OK;
	if (n <= 0)
		return replace(p, w);
	buf_add(&w->line, text, (size_t)n);
	return w->line.s[w->line.len - 1] == '\n' ? take_row(p, w) : ST_OK;
}

/* Gives every idle worker a point; false: all are idle, none is left. */
static bool hand_out_all(struct sweep_pool *p)
{
	bool busy = false;

	for (int i = 0; i < p->jobs; i++) {
		struct worker *w = &p->worker[i];

		if (w->point < 0)
			hand_out(p, w);
		busy |= w->point >= 0;
		p->poll[i] = (struct pollfd){ .fd = w->from,
					      .events = POLLIN };
	}
	return busy;
}

enum status sweep_pool_run(struct sweep_pool *p, sweep_next_fn *next,
			   sweep_row_fn *row, void *arg)
{
	enum status st = ST_OK;

	p->next = next;
	p->row = row;
	p->arg = arg;
	while (!st && hand_out_all(p)) {
		if (poll(p->poll, (nfds_t)p->jobs, -1) < 0 && errno != EINTR)
			st = err_set(ST_FAIL, "cannot wait for workers: %m");
		for (int i = 0; !st && i < p->jobs; i++) {
			if (p->poll[i].revents)
				st = serve(p, &p->worker[i]);
		}
	}
	return st;
}
