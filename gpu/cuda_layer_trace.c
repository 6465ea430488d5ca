/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When each op of a step runs, as the device saw it; for tuning by hand. A
 * pause before each step lets the host queue what follows, as it has in steps
 * that follow each other.
 */
#include "gpu/cuda_layer.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define TRACE_VARIABLE "MOECAST_LAYER_TRACE"
#define TRACE_STEPS 10		/* mean of; after as many that heat it up */
#define LEAD_NS 1000000
#define MARKS_MAX 32
#define US_PER_MS 1e3

struct layer_trace {
	cudaEvent_t *op;	/* [2 * ops]: around each one */
	cudaEvent_t mark[MARKS_MAX];
	const char *name[MARKS_MAX];
	int n_marks;		/* of this step */
	double *us, mark_us[MARKS_MAX];	/* sums; of a mark: its end */
};

static enum status open_events(cudaEvent_t *e, int n)
{
	enum status st = ST_OK;
	int i;

	for (i = 0; i < n && !st; i++)
		st = cuda_status(cudaEventCreate(&e[i]), "cudaEventCreate()");
	return st;
}

static enum status open_trace(struct cuda_layer *l)
{
	size_t n = 2 * (size_t)l->program->n_ops;
	struct layer_trace *t = xcalloc(1, sizeof(*t));
	enum status st;

	l->trace = t;
	t->op = xcalloc(n, sizeof(*t->op));
	t->us = xcalloc(n, sizeof(*t->us));
	st = open_events(t->op, (int)n);
	return st ? st : open_events(t->mark, MARKS_MAX);
}

static void close_events(cudaEvent_t *e, int n)
{
	while (n > 0) {
		if (e[--n])
			cudaEventDestroy(e[n]);
	}
}

static void close_trace(struct cuda_layer *l)
{
	struct layer_trace *t = l->trace;

	close_events(t->op, 2 * l->program->n_ops);
	close_events(t->mark, MARKS_MAX);
	free(t->op);
	free(t->us);
	free(t);
	l->trace = NULL;
}

enum status cuda_layer_trace_op(struct cuda_layer *l, int i, bool is_end)
{
	if (!l->trace)
		return ST_OK;
	return cuda_status(cudaEventRecord(l->trace->op[2 * i + is_end],
					   layer_stream(l,
							&l->program->op[i])),
			   "cudaEventRecord()");
}

enum status cuda_layer_mark(struct cuda_layer *l, const char *name)
{
	struct layer_trace *t = l->trace;

	if (!t || t->n_marks == MARKS_MAX)
		return ST_OK;
	t->name[t->n_marks] = name;
	return cuda_status(cudaEventRecord(t->mark[t->n_marks++],
					   l->lane[LANE_COMPUTE]),
			   "cudaEventRecord()");
}

static enum status one_step(struct cuda_layer *l)
{
	enum status st;

	l->trace->n_marks = 0;
	CUDA_GOTO(out, st, k_pause(LEAD_NS, l->lane[LANE_COMPUTE]));
	st = cuda_layer_align(l);
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

static enum status add_time(const struct layer_trace *t, cudaEvent_t e,
			    double *us)
{
	float ms = 0;
	enum status st = cuda_status(cudaEventElapsedTime(&ms, t->op[0], e),
				     "cudaEventElapsedTime()");

	*us += (double)ms * US_PER_MS / TRACE_STEPS;
	return st;
}

/* Adds begin and end of each op, from the begin of the first. */
static enum status add_times(const struct cuda_layer *l)
{
	struct layer_trace *t = l->trace;
	enum status st = ST_OK;
	int i;

	for (i = 0; i < 2 * l->program->n_ops && !st; i++)
		st = add_time(t, t->op[i], &t->us[i]);
	for (i = 0; i < t->n_marks && !st; i++)
		st = add_time(t, t->mark[i], &t->mark_us[i]);
	return st;
}

static void print_times(const struct cuda_layer *l)
{
	const struct layer_trace *t = l->trace;
	const struct op *op = l->program->op;
	const double *us = t->us;
	char text[LAYER_TEXT];
	int i;

	layer_describe(&l->c, text);
	fprintf(stderr, "# %s ep %d esp %d %s %d/%d rank %d: microseconds "
		"from, to, of\n", text, l->c.plan.layout.ep, l->c.plan.layout.esp,
		a2a_table[l->c.plan.alltoall].name, l->pass[0].chunks,
		l->pass[1].chunks, l->rank->rank);
	for (i = 0; i < l->program->n_ops; i++)
		fprintf(stderr, "%9.1f %9.1f %8.1f  %-7s %s %d.%d\n",
			us[2 * i], us[2 * i + 1], us[2 * i + 1] - us[2 * i],
			lane_name(op[i].lane), op_kind_name(op[i].kind),
			op[i].chunk, op[i].step);
	for (i = 0; i < t->n_marks; i++)
		fprintf(stderr, "%9s %9.1f %8.1f  part %s\n", "",
			t->mark_us[i], t->mark_us[i] -
			(i ? t->mark_us[i - 1] : us[0]), t->name[i]);
}

enum status cuda_layer_trace(struct cuda_layer *l)
{
	enum status st;
	int i;

	if (!getenv(TRACE_VARIABLE))
		return ST_OK;
	st = open_trace(l);
	for (i = 0; i < 2 * TRACE_STEPS && !st; i++) {
		st = one_step(l);
		if (!st && i >= TRACE_STEPS)
			st = add_times(l);
	}
	if (!st) {
		flockfile(stderr);	/* ranks are threads, or processes */
		print_times(l);
		funlockfile(stderr);
	}
	close_trace(l);
	return st;
}
