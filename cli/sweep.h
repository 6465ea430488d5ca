/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of `moecast sweep` share: running a grid, its outputs. */
#ifndef CLI_SWEEP_H
#define CLI_SWEEP_H

#include "cli/sweep_pool.h"
#include "profiles/store_sweep.h"

#include <jansson.h>

/* ---- running: who computes the points ---- */

struct sweep_run {
	struct sweep_spec spec;
	struct store *db;
	int64_t sweep;		/* its number in db */
	char *done;		/* [n_points], owned */
	long n_done, n_failed;
	long next;		/* the next that may not be done */
	double began_s;		/* for the rate */
	long began_done;
};

/* Hands out points that are not done; stores and counts rows. */
sweep_next_fn sweep_next;	/* arg: struct sweep_run */
sweep_rows_fn sweep_store_rows;

/*
 * Points spread over the processes of mpirun (sweep_mpi.c); without MPI
 * sweep_mpi_size() is 1. Rank 0 runs the grid and owns the database, the
 * others compute and return from sweep_mpi_work() when it is done.
 */
enum status sweep_mpi_begin(void);
int sweep_mpi_size(void);
int sweep_mpi_rank(void);
enum status sweep_mpi_run(struct sweep_run *r);
enum status sweep_mpi_work(const struct sweep_spec *spec);
/* Ends MPI; after a failure all processes, with that exit code. */
void sweep_mpi_end(enum status st);

/* ---- outputs, all from the stored rows in order of their numbers ---- */

/* Parsed row; json_decref() it. ST_INPUT: the database is damaged. */
enum status sweep_row_parse(long point, const char *text, json_t **out_p);

/* The best plan of a row in one line, "flat ep=8 esp=8 dp=4 8/8"; without dp
 * it is the same one on more of the same GPUs. */
struct buf;
void sweep_row_plan(const json_t *row, bool with_dp, struct buf *out);

/* Over the sequential plan; NaN: not known. */
double sweep_row_gain(const json_t *row);

enum status sweep_print_json(const struct sweep_run *r);
enum status sweep_print_table(const struct sweep_run *r, struct buf *out);
enum status sweep_write_csv(const struct sweep_run *r, const char *path);
/* Figures and sweep.html; without gnuplot the page alone. */
enum status sweep_write_page(const struct sweep_run *r, const char *dir);
/* Table, CSV, figures and page in a directory. */
enum status sweep_write_dir(const struct sweep_run *r, const char *dir);

#endif
