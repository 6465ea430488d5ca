/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A sweep over the processes of mpirun or srun. Rank 0 hands out points one
 * by one, as ranks become free; every other rank computes in a worker process
 * of its own (sweep_pool.h), so that a point that crashes does not take the
 * rank, and with it the whole run, along.
 */
#include "config.h"

#include "cli/sweep.h"

#ifdef HAVE_MPI

#include "base/buf.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TAG_READY, TAG_POINT, TAG_ROW };

#define NO_POINT (-1L)
#define RANK0_FIRST_S 2		/* a failed rank waits for rank 0 to say why */
/* Between looks for a message, ever longer: ranks do not spin */
#define POLL_MIN_NS 20000
#define POLL_MAX_NS 2000000

static int rank, size = 1;
static bool active;

/* Set by the launchers of Open MPI, MPICH and Slurm. */
static bool launched(void)
{
	return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_SIZE") ||
		getenv("PMIX_RANK");
}

enum status sweep_mpi_begin(void)
{
	if (!launched())
		return ST_OK;
	if (MPI_Init(NULL, NULL) != MPI_SUCCESS)
		return err_set(ST_FAIL, "MPI does not start");
	active = true;
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	return ST_OK;
}

int sweep_mpi_size(void)
{
	return size;
}

int sweep_mpi_rank(void)
{
	return rank;
}

/* The sender and length of the next message; sleeps meanwhile. */
static void wait_message(int source, int tag, MPI_Status *s)
{
	struct timespec pause = { 0, POLL_MIN_NS };
	int found = 0;

	for (;;) {
		MPI_Iprobe(source, tag, MPI_COMM_WORLD, &found, s);
		if (found)
			return;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < POLL_MAX_NS)
			pause.tv_nsec *= 2;
	}
}

static void send_point(struct sweep_run *r, int to, long *point_p)
{
	*point_p = sweep_next(r);
	MPI_Send(point_p, 1, MPI_LONG, to, TAG_POINT, MPI_COMM_WORLD);
}

/* An empty text: the rank is new and has no row yet. */
static char *receive_row(int *from_p)
{
	MPI_Status s;
	char *text;
	int n;

	wait_message(MPI_ANY_SOURCE, TAG_ROW, &s);
	MPI_Get_count(&s, MPI_CHAR, &n);
	text = xcalloc((size_t)n + 1, 1);
	MPI_Recv(text, n, MPI_CHAR, s.MPI_SOURCE, TAG_ROW, MPI_COMM_WORLD, &s);
	*from_p = s.MPI_SOURCE;
	return text;
}

enum status sweep_mpi_run(struct sweep_run *r)
{
	long *point = xcalloc((size_t)size, sizeof(*point));
	int working = size - 1, from;
	enum status st = ST_OK;

	while (!st && working) {
		char *text = receive_row(&from);
		struct sweep_row row = { point[from], text };

		if (*text)
			st = sweep_store_rows(r, &row, 1);
		free(text);
		if (!st) {
			send_point(r, from, &point[from]);
			working -= point[from] == NO_POINT;
		}
	}
	free(point);
	return st;
}

struct mpi_worker {
	long point;
	bool given;	/* the pool has it */
};

static long worker_next(void *arg)
{
	struct mpi_worker *w = arg;

	if (w->given)
		return NO_POINT;
	w->given = true;
	return w->point;
}

static enum status worker_rows(void *arg, const struct sweep_row *row, int n)
{
	(void)arg;
	for (int i = 0; i < n; i++)
		MPI_Send(row[i].text, (int)strlen(row[i].text), MPI_CHAR, 0,
			 TAG_ROW, MPI_COMM_WORLD);
	return ST_OK;
}

enum status sweep_mpi_work(const struct sweep_spec *spec)
{
	struct mpi_worker w = { 0 };
	struct sweep_pool *pool;
	MPI_Status s;
	enum status st = sweep_pool_start(spec, 1, &pool);

	if (st)
		return st;
	MPI_Send("", 0, MPI_CHAR, 0, TAG_ROW, MPI_COMM_WORLD);
	for (;;) {
		wait_message(0, TAG_POINT, &s);
		MPI_Recv(&w.point, 1, MPI_LONG, 0, TAG_POINT, MPI_COMM_WORLD,
			 &s);
		w.given = false;
		if (w.point == NO_POINT)
			break;
		st = sweep_pool_run(pool, worker_next, worker_rows, &w);
		if (st)
			break;
	}
	sweep_pool_stop(pool);
	return st;
}

/*
 * What is wrong with the input every rank finds: rank 0 says it, and ends
 * the others before they do.
 */
static void give_up(enum status st)
{
	const struct timespec pause = { RANK0_FIRST_S, 0 };

	if (rank)
		nanosleep(&pause, NULL);
	fprintf(stderr, "moecast sweep: %s\n", err_msg());
	fflush(stderr);
	MPI_Abort(MPI_COMM_WORLD, (int)st);
}

void sweep_mpi_end(enum status st)
{
	if (!active)
		return;
	if (st)
		give_up(st);
	MPI_Finalize();
	active = false;
}

#else

enum status sweep_mpi_begin(void)
{
	return ST_OK;
}

int sweep_mpi_size(void)
{
	return 1;
}

int sweep_mpi_rank(void)
{
	return 0;
}

enum status sweep_mpi_run(struct sweep_run *r)
{
	(void)r;
	return err_set(ST_UNAVAILABLE, "built without MPI");
}

enum status sweep_mpi_work(const struct sweep_spec *spec)
{
	(void)spec;
	return err_set(ST_UNAVAILABLE, "built without MPI");
}

void sweep_mpi_end(enum status st)
{
	(void)st;
}

#endif
