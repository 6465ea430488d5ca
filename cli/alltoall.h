/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast alltoall: what the table and the matrix share. */
#ifndef CLI_ALLTOALL_H
#define CLI_ALLTOALL_H

#include "cli/cli.h"
#include "sim/coll.h"

#define ALLTOALL_ROWS_MAX 1000

/*
 * busbw = algbw * factor * (n - 1) / n is nccl-tests' (PERFORMANCE.md): the
 * rate of the busiest link when the operation is done at the least cost.
 */
struct alltoall_op {
	const char *name;
	double factor;
	bool shares;	/* (n - 1) / n applies */
	int n_ways;	/* ways to do it; the fastest counts */
	enum coll_op way[2];	/* not for the all-to-all */
};

struct alltoall_opts {
	struct cli_common common;
	int algorithm;
	const struct alltoall_op *op;	/* first row: the all-to-all */
	double min_bytes, max_bytes, factor;
	const char *matrix, *node_matrix, *flows;
	bool ideal;
	double merge_s;
	/* given by the user */
	bool has_algorithm, has_sizes;
};

struct alltoall_row {
	double bytes, time_s, algbw_Bps, busbw_Bps;
};

struct alltoall_job {
	const struct alltoall_opts *o;
	struct net net;
	struct coll_spec spec;
	struct alltoall_row row[ALLTOALL_ROWS_MAX];
	int n_rows;
};

/* "flat", ..., "ideal", "ring". */
const char *alltoall_algorithm(const struct alltoall_opts *o);

/* {"op": ..., "algorithm": ..., "ranks": ...} */
json_t *alltoall_head(const struct alltoall_job *j);

/* Reads --matrix, runs it, prints it, writes --flows. */
enum status alltoall_matrix(struct alltoall_job *j);

#endif
