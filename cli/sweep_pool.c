/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/sweep_pool.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES 65536

/*
 * Points wait in a worker's pipe, so that it need not wait while the row
 * before is written: as many as it computes in AHEAD_S, for who is slow would
 * be the last to end, with points that others could have had.
 */
#define AHEAD_MAX 8
#define AHEAD_S 0.03
/* Rows that come within this time are one transaction: a wait for the disk
 * and a tenth of a millisecond of the parent's that workers could have had. */
#define GATHER_S 0.02
#define DONE_MAX (2 * AHEAD_MAX)	/* flushed from AHEAD_MAX on */

struct worker {
	pid_t pid;	/* 0: there is none */
	int to, from;	/* pipes */
	long point[AHEAD_MAX];	/* given to it; it computes the first */
	int n_points;
	long done[DONE_MAX];	/* whose rows are whole in `line` */
	int n_done;
	double began_s;		/* with the first point */
	double took_s;		/* the last took it; INFINITY: there is none */
	struct buf line;	/* what came of its answers */
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
	struct sweep_row *row;	/* [jobs * DONE_MAX] */
	double gathered_s;	/* since when rows wait; INFINITY: none does */
	/* of a run */
	sweep_next_fn *next;
	sweep_rows_fn *rows;
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
		size_t n = strlen(row);

		row[n] = '\n';	/* for its NUL: one write, one wakening */
		write_all(out, row, n + 1);
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
	w->took_s = INFINITY;
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
	*w = (struct worker){ 0 };
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
	p->row = xcalloc((size_t)jobs * DONE_MAX, sizeof(*p->row));
	p->gathered_s = INFINITY;
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
	free(p->row);
	free(p->again);
	free(p);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
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

/* It waits in its pipe, or its row has come and was not taken yet. */
static bool has_point(const struct worker *w, long point)
{
	for (int i = 0; i < w->n_points; i++) {
		if (w->point[i] == point)
			return true;
	}
	for (int i = 0; i < w->n_done; i++) {
		if (w->done[i] == point)
			return true;
	}
	return false;
}

/* Points of dead workers that nobody has now come first. */
static long next_point(struct sweep_pool *p)
{
	for (size_t i = 0; i < p->n_again; i++) {
		bool busy = false;

		for (int w = 0; w < p->jobs; w++)
			busy |= has_point(&p->worker[w], p->again[i].point);
		if (!busy)
			return p->again[i].point;
	}
	return p->next(p->arg);
}

/* Has it room for one more? */
static bool wants_point(const struct worker *w)
{
	return !w->n_points || (w->n_points < AHEAD_MAX &&
				w->n_points * w->took_s < AHEAD_S);
}

/* false: there is no point any more. */
static bool hand_out(struct sweep_pool *p, struct worker *w)
{
	long point = next_point(p);
	char text[32];
	int n;

	if (point < 0)
		return false;
	if (!w->n_points)
		w->began_s = now_s();
	w->point[w->n_points++] = point;
	n = snprintf(text, sizeof(text), "%ld\n", point);
	/* should it be dead, its end is seen when it is read from */
	if (write(w->to, text, (size_t)n) != n)
		kill(w->pid, SIGKILL);
	return true;
}

static enum status give_up(struct sweep_pool *p, long point, const char *why)
{
	struct sweep_row row = { .point = point };
	char *reason, *text;
	enum status st;

	reason = xasprintf("%d processes that computed it ended early (%s)",
			   SWEEP_TRIES, why);
	row.text = text = sweep_point_lost(p->spec, point, reason);
	tries_of(p, point, true);
	st = p->rows(p->arg, &row, 1);
	free(text);
	free(reason);
	return st;
}

static void give_again(struct sweep_pool *p, long point, int tries)
{
	p->again = array_grow(p->again, &p->cap_again, p->n_again + 1,
			      sizeof(*p->again));
	p->again[p->n_again++] = (struct again){ point, tries };
}

/* What it computed may have been its end; what waited in its pipe was not. */
static enum status replace(struct sweep_pool *p, struct worker *w)
{
	struct worker old = *w;
	char why[64];
	enum status st = ST_OK;

	worker_end(w, why, sizeof(why));
	/* the suspect comes last, or the next end would be laid to it as well */
	for (int k = 1; k <= old.n_points && !st; k++) {
		int i = k % old.n_points;
		int tries = tries_of(p, old.point[i], true) + !i;

		give_again(p, old.point[i], tries);
		if (tries == SWEEP_TRIES)
			st = give_up(p, old.point[i], why);
	}
	return st ? st : worker_start(p, w);
}

/* The row of its first point is whole. */
static void row_ends(struct worker *w)
{
	double now = now_s();

	w->took_s = now - w->began_s;
	w->began_s = now;
	w->done[w->n_done++] = w->point[0];
	w->n_points--;
	memmove(w->point, w->point + 1,
		(size_t)w->n_points * sizeof(*w->point));
}

/* The whole rows of all workers, in one go; what follows them stays. */
static enum status take_rows(struct sweep_pool *p)
{
	enum status st;
	int n = 0;

	for (int i = 0; i < p->jobs; i++) {
		struct worker *w = &p->worker[i];
		const char *text = w->line.s;

		for (int k = 0; k < w->n_done; k++) {
			tries_of(p, w->done[k], true);
			p->row[n++] = (struct sweep_row){ w->done[k], text };
			text += strlen(text) + 1;
		}
	}
	p->gathered_s = INFINITY;
	st = n ? p->rows(p->arg, p->row, n) : ST_OK;
	for (int i = 0; i < p->jobs; i++) {
		struct worker *w = &p->worker[i];

		for (; w->n_done > 0; w->n_done--)
			buf_drop(&w->line, strlen(w->line.s) + 1);
	}
	return st;
}

static enum status serve(struct sweep_pool *p, struct worker *w)
{
	static char text[READ_BYTES];
	ssize_t n = read(w->from, text, sizeof(text));

	if (n < 0 && errno == EINTR)
		return ST_OK;
	if (n <= 0) {
		enum status st = take_rows(p);

		return st ? st : replace(p, w);
	}
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] != '\n')
			continue;
		if (!w->n_points) {	/* nobody asked */
			buf_add(&w->line, text, (size_t)i);
			kill(w->pid, SIGKILL);
			return ST_OK;
		}
		text[i] = '\0';
		row_ends(w);
		p->gathered_s = fmin(p->gathered_s, w->began_s);
	}
	buf_add(&w->line, text, (size_t)n);
	return ST_OK;
}

/* Gives points to who has room; false: all are idle, none is left. */
static bool hand_out_all(struct sweep_pool *p)
{
	bool busy = false, more = true;

	/* round after round: the last points are shared by all */
	for (int k = 0; more && k < AHEAD_MAX; k++) {
		for (int i = 0; more && i < p->jobs; i++) {
			if (p->worker[i].n_points <= k &&
			    wants_point(&p->worker[i]))
				more = hand_out(p, &p->worker[i]);
		}
	}
	for (int i = 0; i < p->jobs; i++) {
		busy |= p->worker[i].n_points > 0;
		p->poll[i] = (struct pollfd){ .fd = p->worker[i].from,
					      .events = POLLIN };
	}
	return busy;
}

/* Is it time to write the rows that have come? *wait_ms: if not, when. */
static bool must_take(const struct sweep_pool *p, int *wait_ms)
{
	double left = p->gathered_s + GATHER_S - now_s();

	for (int i = 0; i < p->jobs; i++) {
		if (p->worker[i].n_done >= AHEAD_MAX)
			return true;
	}
	*wait_ms = isinf(left) ? -1 : (int)ceil(1e3 * left);
	return left <= 0;
}

enum status sweep_pool_run(struct sweep_pool *p, sweep_next_fn *next,
			   sweep_rows_fn *rows, void *arg)
{
	enum status st = ST_OK;

	p->next = next;
	p->rows = rows;
	p->arg = arg;
	while (!st) {
		/* workers go on while rows are written */
		bool busy = hand_out_all(p);
		int wait_ms = 0;

		if (!busy || must_take(p, &wait_ms))
			st = take_rows(p);
		if (st || !busy)
			break;
		if (poll(p->poll, (nfds_t)p->jobs, wait_ms) < 0 &&
		    errno != EINTR)
			return err_set(ST_FAIL, "cannot wait for workers: %m");
		for (int i = 0; !st && i < p->jobs; i++) {
			if (p->poll[i].revents)
				st = serve(p, &p->worker[i]);
		}
	}
	return st;
}
