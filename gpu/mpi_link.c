/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The only file that knows MPI. */
#include "config.h"

#include "gpu/mpi_link.h"

#ifndef HAVE_MPI

#include <stdlib.h>

/* What launchers tell their processes. */
static long started_as_many(void)
{
	const char *n = getenv("OMPI_COMM_WORLD_SIZE");

	if (!n)
		n = getenv("PMI_SIZE");
	return n ? strtol(n, NULL, 10) : 1;
}

enum status mpi_start(int *members_p)
{
	*members_p = 1;
	if (started_as_many() > 1)
		return err_set(ST_UNAVAILABLE, "this moecast-run was built "
			       "without MPI and cannot be %ld processes",
			       started_as_many());
	return ST_OK;
}

int mpi_member(void)
{
	return 0;
}

enum status mpi_serve(void)
{
	return ST_OK;
}

enum status mpi_team(const char *backend, const struct backend_options *opt,
		     struct team_link *out)
{
	(void)opt;
	(void)out;
	return err_set(ST_FAIL, "backend '%s': built without MPI", backend);
}

void mpi_end(void)
{
}

void mpi_abort(enum status st)
{
	(void)st;
}

#else

#include "base/mem.h"

#include <limits.h>
#include <mpi.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TAG 1		/* of requests and replies */
#define PIECE (1 << 30)	/* bytes of one message: MPI counts in int */
#define NAP_NS 50000	/* between two looks for a message */

/* What the others have to know of a job. */
struct hello {
	char backend[SAMPLE_TEXT];
	int ranks;
	uint64_t seed;
};

static struct {
	int member, members, hosts, local;
	MPI_Comm lane[TEAM_LANES];
} world;

/* Launchers set one of these; MPI_Init() without any would work too, but a
 * plain run must not pay for it. */
static bool has_launcher(void)
{
	static const char *const names[] = {
		"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "PMI_RANK"
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (getenv(names[i]))
			return true;
	}
	return false;
}

/* Hosts are groups of processes that can share memory. */
static enum status look_around(void)
{
	MPI_Comm host;
	int locals = 1, least, most;

	MPI_Comm_rank(MPI_COMM_WORLD, &world.member);
	MPI_Comm_size(MPI_COMM_WORLD, &world.members);
	MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED,
			    world.member, MPI_INFO_NULL, &host);
	MPI_Comm_rank(host, &world.local);
	MPI_Comm_size(host, &locals);
	MPI_Comm_free(&host);
	MPI_Allreduce(&locals, &least, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
	MPI_Allreduce(&locals, &most, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
	if (least != most)
		return err_set(ST_INPUT, "mpirun gave one host %d processes "
			       "and another %d: they must be as many", least,
			       most);
	if (world.members > TEAM_MEMBERS_MAX)
		return err_set(ST_INPUT, "mpirun started %d processes; at "
			       "most %d can measure together", world.members,
			       TEAM_MEMBERS_MAX);
	world.hosts = world.members / locals;
	return ST_OK;
}

enum status mpi_start(int *members_p)
{
	int level = 0, i;
	enum status st;

	*members_p = 1;
	if (!has_launcher())
		return ST_OK;
	MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level);
	if (level < MPI_THREAD_MULTIPLE)
		return err_set(ST_UNAVAILABLE, "this MPI has no "
			       "MPI_THREAD_MULTIPLE");
	st = look_around();
	*members_p = world.members;
	for (i = 0; i < TEAM_LANES; i++)
		MPI_Comm_dup(MPI_COMM_WORLD, &world.lane[i]);
	if (world.members == 1)
		MPI_Finalize();
	return st;
}

int mpi_member(void)
{
	return world.member;
}

/* ---- messages ---- */

static void nap(void)
{
	const struct timespec t = { .tv_nsec = NAP_NS };

	nanosleep(&t, NULL);
}

static bool send_to(int member, const void *p, size_t n)
{
	const char *at = p;
	size_t step;

	for (; n > 0; n -= step, at += step) {
		step = n < PIECE ? n : PIECE;
		if (MPI_Send(at, (int)step, MPI_BYTE, member, TAG,
			     MPI_COMM_WORLD))
			return false;
	}
	return true;
}

static bool has_message(int member)
{
	int there = 0;

	MPI_Iprobe(member, TAG, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
	return there;
}

/* Naps until it comes: MPI_Recv() would take a whole processor. */
static bool receive_from(int member, void *p, size_t n)
{
	char *at = p;
	size_t step;

	for (; n > 0; n -= step, at += step) {
		step = n < PIECE ? n : PIECE;
		while (!has_message(member))
			nap();
		if (MPI_Recv(at, (int)step, MPI_BYTE, member, TAG,
			     MPI_COMM_WORLD, MPI_STATUS_IGNORE))
			return false;
	}
	return true;
}

/* ---- exchanges of floats ---- */

static bool meet(int lane)
{
	return !MPI_Barrier(world.lane[lane]);
}

/* Counts and where each begins, as MPI wants them. */
static bool lay_out(const uint64_t *count, int *n, int *at)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < world.members; i++) {
		if (count[i] > INT_MAX || sum > INT_MAX)
			return false;
		n[i] = (int)count[i];
		at[i] = (int)sum;
		sum += count[i];
	}
	return true;
}

static bool alltoallv(int lane, const float *x, const uint64_t *send, float *y,
		      const uint64_t *receive)
{
	int n[2][TEAM_MEMBERS_MAX], at[2][TEAM_MEMBERS_MAX];

	if (!lay_out(send, n[0], at[0]) || !lay_out(receive, n[1], at[1]))
		return false;
	return !MPI_Alltoallv(x, n[0], at[0], MPI_FLOAT, y, n[1], at[1],
			      MPI_FLOAT, world.lane[lane]);
}

static bool sendrecv(int lane, const float *x, float *y, uint64_t n, int to,
		     int from)
{
	return n <= INT_MAX &&
	       !MPI_Sendrecv(x, (int)n, MPI_FLOAT, to, TAG, y, (int)n,
			     MPI_FLOAT, from, TAG, world.lane[lane],
			     MPI_STATUS_IGNORE);
}

static bool allgather(int lane, const float *x, float *y, uint64_t n)
{
	return n <= INT_MAX &&
	       !MPI_Allgather(x, (int)n, MPI_FLOAT, y, (int)n, MPI_FLOAT,
			      world.lane[lane]);
}

static bool reducescatter(int lane, const float *x, float *y, uint64_t n)
{
	return n <= INT_MAX &&
	       !MPI_Reduce_scatter_block(x, y, (int)n, MPI_FLOAT, MPI_SUM,
					 world.lane[lane]);
}

static bool allreduce(int lane, const float *x, float *y, uint64_t n)
{
	return n <= INT_MAX && !MPI_Allreduce(x, y, (int)n, MPI_FLOAT, MPI_SUM,
					      world.lane[lane]);
}

static const struct team_wire wire = {
	meet, alltoallv, sendrecv, allgather, reducescatter, allreduce
};

/* ---- members ---- */

static bool put_up(void *arg, int member, const void *p, size_t n)
{
	(void)arg;
	return send_to(member, p, n);
}

static bool get_up(void *arg, int member, void *p, size_t n)
{
	(void)arg;
	return receive_from(member, p, n);
}

static enum status find_part(const char *backend,
			     const struct team_part **out_p)
{
	const struct backend_ops *ops;
	enum status st = backend_find(backend, &ops);

	if (!st && !ops->part)
		st = err_set(ST_INPUT, "backend '%s' is one process", backend);
	if (!st)
		*out_p = ops->part;
	return st;
}

static void serve(const struct team_link *up, const struct hello *h)
{
	const struct team_part *part;
	struct backend_options opt = { .ranks = h->ranks, .seed = h->seed };
	struct team_place at = { .member = world.member,
				 .members = world.members,
				 .hosts = world.hosts, .local = world.local,
				 .wire = &wire };

	if (!find_part(h->backend, &part))
		team_serve(up, part, &opt, &at);
}

enum status mpi_serve(void)
{
	const struct team_link up = { .put = put_up, .get = get_up };
	struct hello h;

	if (!receive_from(0, &h, sizeof(h)))
		return err_set(ST_FAIL, "process 0 is gone");
	serve(&up, &h);
	mpi_end();
	return ST_OK;
}

/* ---- the coordinator ---- */

struct coordinator {
	int fd[2];	/* to its own member's thread, and that one's end */
	pthread_t thread;
	struct hello hello;
	atomic_bool killed;
};

static bool put(void *arg, int member, const void *p, size_t n)
{
	struct coordinator *c = arg;

	return member ? send_to(member, p, n)
		      : team_move(c->fd[0], (void *)p, n, true);
}

static bool get(void *arg, int member, void *p, size_t n)
{
	struct coordinator *c = arg;

	return member ? receive_from(member, p, n)
		      : team_move(c->fd[0], p, n, false);
}

static bool has_own(const struct coordinator *c)
{
	struct pollfd f = { c->fd[0], POLLIN, 0 };

	return poll(&f, 1, 0) > 0;
}

static int wait_any(void *arg, const bool *wanted)
{
	const struct coordinator *c = arg;
	int i;

	for (;; nap()) {
		for (i = 0; i < world.members; i++) {
			if (wanted[i] && (i ? has_message(i) : has_own(c)))
				return i;
		}
	}
}

static bool put_own(void *arg, int member, const void *p, size_t n)
{
	const struct coordinator *c = arg;

	(void)member;
	return team_move(c->fd[1], (void *)p, n, true);
}

static bool get_own(void *arg, int member, void *p, size_t n)
{
	const struct coordinator *c = arg;

	(void)member;
	return team_move(c->fd[1], p, n, false);
}

static void *own_member(void *arg)
{
	struct coordinator *c = arg;
	const struct team_link up = { .arg = c, .put = put_own,
				      .get = get_own };

	serve(&up, &c->hello);
	close(c->fd[1]);
	return NULL;
}

/* The others end with mpi_abort(), which the caller owes them. */
static void kill_all(void *arg)
{
	struct coordinator *c = arg;

	atomic_store(&c->killed, true);
}

/* After a failure the own member may hang for ever; the process ends soon. */
static void close_all(void *arg)
{
	struct coordinator *c = arg;

	if (atomic_load(&c->killed)) {
		pthread_detach(c->thread);
		return;
	}
	pthread_join(c->thread, NULL);
	close(c->fd[0]);
	free(c);
}

static bool greet(const struct hello *h)
{
	bool ok = true;
	int i;

	for (i = 1; i < world.members; i++)
		ok = ok && send_to(i, h, sizeof(*h));
	return ok;
}

static enum status start_own(struct coordinator *c)
{
	int e;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->fd))
		return err_set(ST_FAIL, "cannot make a socket pair: %m");
	e = pthread_create(&c->thread, NULL, own_member, c);
	return e ? err_set(ST_FAIL, "cannot start a thread: error %d", e)
		 : ST_OK;
}

enum status mpi_team(const char *backend, const struct backend_options *opt,
		     struct team_link *out)
{
	const struct team_part *part;
	struct coordinator *c;
	enum status st = find_part(backend, &part);

	if (!st && opt->emulate_nodes)
		st = err_set(ST_INPUT, "nodes are emulated by one process, "
			     "not by %d of mpirun's", world.members);
	if (st)
		return st;
	c = xcalloc(1, sizeof(*c));
	c->hello = (struct hello){ .ranks = opt->ranks, .seed = opt->seed };
	snprintf(c->hello.backend, sizeof(c->hello.backend), "%s", backend);
	if (!greet(&c->hello))
		st = err_set(ST_FAIL, "cannot reach mpirun's other processes");
	if (!st)
		st = start_own(c);
	if (st)
		return st;
	*out = (struct team_link){ .arg = c, .members = world.members,
				   .put = put, .get = get, .wait = wait_any,
				   .kill = kill_all, .close = close_all };
	return ST_OK;
}

void mpi_end(void)
{
	int i;

	for (i = 0; i < TEAM_LANES; i++)
		MPI_Comm_free(&world.lane[i]);
	MPI_Finalize();
}

void mpi_abort(enum status st)
{
	MPI_Abort(MPI_COMM_WORLD, (int)st);
}

#endif
