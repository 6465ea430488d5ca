/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * MPI: the processes that mpirun started, as a team (gpu/team.h), one rank of
 * a job each. Process 0 coordinates: its main thread asks, another one of its
 * threads is member 0. Without mpirun, and in a build without MPI, nothing of
 * this does anything.
 */
#ifndef GPU_MPI_LINK_H
#define GPU_MPI_LINK_H

#include "gpu/team.h"

/*
 * Before anything else. *members_p: how many processes there are; 1: this one
 * alone, none of the rest is to be called. ST_UNAVAILABLE: started by mpirun,
 * but built without MPI or it has no threads.
 */
enum status mpi_start(int *members_p);

int mpi_member(void);	/* this process; 0 coordinates */

/* Members but 0: serves one job, whatever it is. */
enum status mpi_serve(void);

/* Member 0: tells the others the job's backend. */
enum status mpi_team(const char *backend, const struct backend_options *opt,
		     struct team_link *out);

/* Member 0 ends with one of these: when all went well; else, all processes
 * with this status. */
void mpi_end(void);
void mpi_abort(enum status st);

#endif
