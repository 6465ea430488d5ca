/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When each op of a step runs, as the device saw it; for tuning by hand. */
#include "gpu/cuda_layer.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define TRACE_VARIABLE "MOECAST_LAYER_TRACE"
#define TRACE_STEPS 10		/* mean of; after as many that heat it up */
#define US_PER_MS 1e3

static enum status open_trace(struct cuda_layer *l)
{
	int n = 2 * l->program->n_ops, i;
	enum status st = ST_OK;

	l->trace = xcalloc((size_t)n, sizeof(*l->trace));
	for (i = 0; i < n && !st; i++)
		st = cuda_status(cudaEventCreate(&l->trace[i]),
				 "cudaEventCreate()");
	return st;
}

static void close_trace(struct cuda_layer *l)
{
	int i;

	for (i = 0; i < 2 * l->program->n_ops; i++) {
		if (l->trace[i])
			cudaEventDestroy(l->trace[i]);
	}
	free(l->trace);
	l->trace = NULL;
}

static enum status one_step(struct cuda_layer *l)
{
	enum status st = cuda_layer_align(l);

	if (!st)
		st = cuda_layer_step(l, NULL);
	if (st)
		return st;
	CUDA_GOTO(out, st, cudaEventRecord(l->joined[LANE_COMPUTE],
					   l->lane[LANE_COMPUTE]));
	st = cuda_wait(l->rank, l->all, l->joined[LANE_COMPUTE]);
out:
	return st;
}

/* Adds begin and end of each op, from the begin of the first. */
static enum status add_times(const struct cuda_layer *l, double *us)
{
	enum status st = ST_OK;
	float ms;
	int i;

	for (i = 0; i < 2 * l->program->n_ops; i++) {
		CUDA_GOTO(out, st, cudaEventElapsedTime(&ms, l->trace[0],
							l->trace[i]));
		us[i] += (double)ms * US_PER_MS / TRACE_STEPS;
	}
out:
	return st;
}

static void print_times(const struct cuda_layer *l, const double *us)
{
	const struct op *op = l->program->op;
	char text[LAYER_TEXT];
	int i;

	layer_describe(&l->c, text);
	fprintf(stderr, "# %s %s %d/%d: microseconds from, to, of\n", text,
		a2a_table[l->c.plan.alltoall].name, l->pass[0].chunks,
		l->pass[1].chunks);
	for (i = 0; i < l->program->n_ops; i++)
		fprintf(stderr, "%9.1f %9.1f %8.1f  %-7s %s %d.%d\n",
			us[2 * i], us[2 * i + 1], us[2 * i + 1] - us[2 * i],
			lane_name(op[i].lane), op_kind_name(op[i].kind),
			op[i].chunk, op[i].step);
}

enum status cuda_layer_trace(struct cuda_layer *l)
{
	double *us;
	enum status st;
	int i;

	if (!getenv(TRACE_VARIABLE))
		return ST_OK;
	us = xcalloc((size_t)(2 * l->program->n_ops), sizeof(*us));
	st = open_trace(l);
	for (i = 0; i < 2 * TRACE_STEPS && !st; i++) {
		st = one_step(l);
		if (!st && i >= TRACE_STEPS)
			st = add_times(l, us);
	}
	if (!st && l->rank->rank == 0)
		print_times(l, us);
	close_trace(l);
	free(us);
	return st;
}
