/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Emulated nodes: one process for each, with an NCCL_HOSTID of its own, so
 * that NCCL takes them for different hosts and goes through sockets on
 * loopback. Each has a rank for each GPU; processes share the GPUs and take
 * turns on them, so results are right and times are those of sockets only
 * for sizes that take far longer than a turn.
 *
 * The coordinator forks before it touches CUDA, and speaks with each worker
 * over a socket pair: one request, one reply. A worker that fails or dies
 * ends the others.
 */
#include "config.h"

#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/layer_ref.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum request_kind {
	REQ_ID, REQ_PREPARE, REQ_RUN, REQ_CHECK, REQ_RELEASE,
	REQ_LAYER_ID, REQ_LAYER_PREPARE, REQ_LAYER_RUN, REQ_LAYER_CHECK,
	REQ_LAYER_RELEASE
};

struct request {
	enum request_kind kind;
	int n;			/* REQ_RUN */
	struct bench_case c;	/* REQ_ID, REQ_PREPARE */
	ncclUniqueId id[2];
	/* REQ_LAYER_PREPARE: bytes of text that follow, a layer_case_text() */
	size_t text;
};

/* After a REQ_RUN or REQ_LAYER_RUN that went well: 2 * n doubles. */
struct reply {
	enum status st;
	char message[512];
	ncclUniqueId id[2];
	int64_t wrong;
	struct layer_check layer;
	struct backend_info info;	/* of the first, unasked reply */
};

struct worker {
	pid_t pid;
	int fd;
};

struct nodes {
	int n;
	struct worker worker[CUDA_RANKS_MAX];
};

static bool move_all(int fd, void *buf, size_t n, bool is_write)
{
	char *p = buf;
	ssize_t got;

	while (n > 0) {
		got = is_write ? send(fd, p, n, MSG_NOSIGNAL) : read(fd, p, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

/* Two numbers for each repetition. */
static double *make_room(double *seconds, int n)
{
	size_t count = 2 * (size_t)n;

	seconds = xrealloc_array(seconds, count, sizeof(double));
	memset(seconds, 0, count * sizeof(double));
	return seconds;
}

static enum status serve_layer(struct backend *b, const struct request *q,
			       const char *text, struct reply *p,
			       double **seconds_p)
{
	struct layer_case c;
	enum status st;

	switch (q->kind) {
	case REQ_LAYER_ID:
		return cuda_part_layer_id(b, &p->id[0]);
	case REQ_LAYER_PREPARE:
		st = layer_case_parse(text, q->text, &c);
		if (st)
			return st;
		st = cuda_part_layer_prepare(b, &c, &q->id[0]);
		layer_case_release(&c);
		return st;
	case REQ_LAYER_RUN:
		*seconds_p = make_room(*seconds_p, q->n);
		return cuda_part_layer_run(b, q->n, *seconds_p,
					   *seconds_p + q->n);
	case REQ_LAYER_CHECK:
		return cuda_part_layer_check(b, &p->layer);
	default:
		break;
	}
	cuda_part_layer_release(b);
	return ST_OK;
}

static enum status serve(struct backend *b, const struct request *q,
			 const char *text, struct reply *p,
			 double **seconds_p)
{
	switch (q->kind) {
	case REQ_ID:
		return cuda_part_ids(b, &q->c, p->id);
	case REQ_PREPARE:
		return cuda_part_prepare(b, &q->c, q->id);
	case REQ_RUN:
		*seconds_p = make_room(*seconds_p, q->n);
		return cuda_part_run(b, q->n, *seconds_p, *seconds_p + q->n);
	case REQ_CHECK:
		return cuda_part_check(b, &p->wrong);
	case REQ_RELEASE:
		break;
	default:
		return serve_layer(b, q, text, p, seconds_p);
	}
	cuda_part_release(b);
	return ST_OK;
}

/* A request and its text, which is the caller's to free. */
static bool next_request(int fd, struct request *q, char **text_p)
{
	free(*text_p);
	*text_p = NULL;
	if (!move_all(fd, q, sizeof(*q), false))
		return false;
	*text_p = xmalloc(q->text + 1);
	return !q->text || move_all(fd, *text_p, q->text, false);
}

static bool answer(int fd, struct reply *p, enum status st)
{
	p->st = st;
	snprintf(p->message, sizeof(p->message), "%s", st ? err_msg() : "");
	return move_all(fd, p, sizeof(*p), true);
}

static void work(int fd, const struct cuda_part *part, uint64_t seed)
{
	static struct reply p;
	struct backend *b = NULL;
	struct request q;
	double *seconds = NULL;
	char *text = NULL;
	enum status st = cuda_part_open(part, seed, &b);

	if (!st)
		cuda_part_info(b, &p.info);
	if (!answer(fd, &p, st) || st)
		return;
	while (next_request(fd, &q, &text)) {
		memset(&p, 0, sizeof(p));
		st = serve(b, &q, text, &p, &seconds);
		if (!answer(fd, &p, st))
			break;
		if (!st && (q.kind == REQ_RUN || q.kind == REQ_LAYER_RUN) &&
		    !move_all(fd, seconds, 2 * (size_t)q.n * sizeof(double),
			      true))
			break;
	}
	cuda_part_close(b);
	free(seconds);
	free(text);
}

static void set_environment(int node)
{
	char id[32];

	snprintf(id, sizeof(id), "moecast-node-%d", node);
	setenv("NCCL_HOSTID", id, 1);
	setenv("NCCL_NET", "Socket", 1);
	setenv("NCCL_SOCKET_IFNAME", "lo", 1);
}

static enum status start(struct nodes *all, const struct cuda_part *part,
			 uint64_t seed)
{
	struct worker *w = &all->worker[all->n];
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
		for (i = 0; i < all->n; i++)
			close(all->worker[i].fd);
		close(fd[0]);
		set_environment(part->node);
		work(fd[1], part, seed);
		_exit(0);
	}
	close(fd[1]);
	w->fd = fd[0];
	all->n++;
	return ST_OK;
}

void cuda_nodes_kill(struct nodes *all)
{
	int i;

	for (i = 0; i < all->n; i++)
		kill(all->worker[i].pid, SIGKILL);
}

/* A worker ends by itself when its socket closes; one that hangs after a
 * failure has been killed before. */
void cuda_nodes_close(struct nodes *all)
{
	int i;

	if (!all)
		return;
	for (i = 0; i < all->n; i++)
		close(all->worker[i].fd);
	for (i = 0; i < all->n; i++)
		waitpid(all->worker[i].pid, NULL, 0);
	free(all);
}

static enum status read_reply(struct nodes *all, int i, struct reply *p)
{
	if (!move_all(all->worker[i].fd, p, sizeof(*p), false))
		return err_set(ST_FAIL, "the process of node %d died", i);
	p->message[sizeof(p->message) - 1] = '\0';
	return p->st ? err_set(p->st, "node %d: %s", i, p->message) : ST_OK;
}

/* Replies in the order in which they come, so that the first failure is
 * seen while the others still wait for that node. */
static enum status gather(struct nodes *all, struct reply *reply)
{
	struct pollfd f[CUDA_RANKS_MAX];
	enum status st = ST_OK;
	int left = all->n, i;

	for (i = 0; i < all->n; i++)
		f[i] = (struct pollfd){ all->worker[i].fd, POLLIN, 0 };
	while (left > 0 && !st) {
		if (poll(f, (nfds_t)all->n, -1) < 0 && errno != EINTR)
			st = err_set(ST_FAIL, "poll: %m");
		for (i = 0; i < all->n && !st; i++) {
			if (f[i].fd < 0 || !f[i].revents)
				continue;
			st = read_reply(all, i, &reply[i]);
			f[i].fd = -1;	/* poll() passes over it */
			left--;
		}
	}
	if (st)
		cuda_nodes_kill(all);
	return st;
}

static enum status ask_with(struct nodes *all, struct request *q, char *text,
			    struct reply *reply)
{
	int i;

	for (i = 0; i < all->n; i++) {
		if (!move_all(all->worker[i].fd, q, sizeof(*q), true) ||
		    !move_all(all->worker[i].fd, text, q->text, true)) {
			cuda_nodes_kill(all);
			return err_set(ST_FAIL, "the process of node %d died",
				       i);
		}
	}
	return gather(all, reply);
}

static enum status ask(struct nodes *all, struct request *q,
		       struct reply *reply)
{
	return ask_with(all, q, NULL, reply);
}

enum status cuda_nodes_open(const struct backend_options *opt,
			    struct backend_info *info, struct nodes **out_p)
{
	struct nodes *all = xcalloc(1, sizeof(*all));
	struct reply *reply = xcalloc(CUDA_RANKS_MAX, sizeof(*reply));
	struct cuda_part part = { .nodes = opt->emulate_nodes,
				  .ranks = opt->ranks };
	enum status st = ST_OK;

	for (; part.node < part.nodes && !st; part.node++)
		st = start(all, &part, opt->seed);
	if (st)
		cuda_nodes_kill(all);
	else
		st = gather(all, reply);
	if (st) {
		cuda_nodes_close(all);
	} else {
		*info = reply[0].info;
		*out_p = all;
	}
	free(reply);
	return st;
}

/* Ids are made by the first node, where their listeners live. */
static enum status ask_ids(struct nodes *all, struct request *q,
			   ncclUniqueId *id, struct reply *reply)
{
	enum status st;

	if (!move_all(all->worker[0].fd, q, sizeof(*q), true))
		st = err_set(ST_FAIL, "the process of node 0 died");
	else
		st = read_reply(all, 0, reply);
	if (st)
		cuda_nodes_kill(all);
	else
		memcpy(id, reply->id, sizeof(reply->id));
	return st;
}

enum status cuda_nodes_prepare(struct nodes *all, const struct bench_case *c)
{
	struct reply *reply = xcalloc((size_t)all->n, sizeof(*reply));
	struct request q = { .kind = REQ_ID, .c = *c };
	enum status st = ask_ids(all, &q, q.id, reply);

	q.kind = REQ_PREPARE;
	if (!st)
		st = ask(all, &q, reply);
	free(reply);
	return st;
}

/* Of the slowest node; `other` may be NULL. */
static enum status ask_times(struct nodes *all, enum request_kind kind, int n,
			     double *seconds, double *other)
{
	struct reply *reply = xcalloc((size_t)all->n, sizeof(*reply));
	double *part = xcalloc(2 * (size_t)n, sizeof(*part));
	struct request q = { .kind = kind, .n = n };
	enum status st = ask(all, &q, reply);
	int i, j;

	for (i = 0; i < all->n && !st; i++) {
		if (!move_all(all->worker[i].fd, part,
			      2 * (size_t)n * sizeof(*part), false))
			st = err_set(ST_FAIL, "the process of node %d died",
				     i);
		for (j = 0; j < n && !st; j++) {
			if (!i || part[j] > seconds[j])
				seconds[j] = part[j];
			if (other && (!i || part[n + j] > other[j]))
				other[j] = part[n + j];
		}
	}
	free(part);
	free(reply);
	return st;
}

enum status cuda_nodes_run(struct nodes *all, int n, double *seconds,
			   double *beside_s)
{
	return ask_times(all, REQ_RUN, n, seconds, beside_s);
}

enum status cuda_nodes_check(struct nodes *all, int64_t *wrong_p)
{
	struct reply *reply = xcalloc((size_t)all->n, sizeof(*reply));
	struct request q = { .kind = REQ_CHECK };
	enum status st = ask(all, &q, reply);
	int i;

	if (!st) {
		*wrong_p = 0;
		for (i = 0; i < all->n; i++)
			*wrong_p += reply[i].wrong;
	}
	free(reply);
	return st;
}

void cuda_nodes_release(struct nodes *all)
{
	struct reply *reply = xcalloc((size_t)all->n, sizeof(*reply));
	struct request q = { .kind = REQ_RELEASE };

	(void)ask(all, &q, reply);
	free(reply);
}

enum status cuda_nodes_layer_prepare(struct nodes *all,
				     const struct layer_case *c)
{
	struct reply *reply = xcalloc((size_t)all->n, sizeof(*reply));
	struct request q = { .kind = REQ_LAYER_ID };
	enum status st = ask_ids(all, &q, q.id, reply);
	char *text = layer_case_text(c);

	q.kind = REQ_LAYER_PREPARE;
	q.text = strlen(text);
	if (!st)
		st = ask_with(all, &q, text, reply);
	free(text);
	free(reply);
	return st;
}

enum status cuda_nodes_layer_run(struct nodes *all, int n, double *forward_s,
				 double *step_s)
{
	return ask_times(all, REQ_LAYER_RUN, n, forward_s, step_s);
}

enum status cuda_nodes_layer_check(struct nodes *all, struct layer_check *out)
{
	struct reply *reply = xcalloc((size_t)all->n, sizeof(*reply));
	struct request q = { .kind = REQ_LAYER_CHECK };
	enum status st = ask(all, &q, reply);
	int i;

	if (!st) {
		*out = reply[0].layer;
		for (i = 1; i < all->n; i++)
			layer_check_join(out, &reply[i].layer);
	}
	free(reply);
	return st;
}

void cuda_nodes_layer_release(struct nodes *all)
{
	struct reply *reply = xcalloc((size_t)all->n, sizeof(*reply));
	struct request q = { .kind = REQ_LAYER_RELEASE };

	(void)ask(all, &q, reply);
	free(reply);
}
