/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chrome/Perfetto trace JSON: https://ui.perfetto.dev opens it.
 *
 * One process per pid, one lane per (pid, tid), complete events (ph "X") with
 * ts and dur in microseconds; picoseconds are its six decimals, so nothing is
 * rounded. Events come out in the order given: same input, same bytes.
 *
 *	struct trace *t = trace_new();
 *
 *	trace_process(t, 0, "every rank");
 *	trace_lane(t, 0, 1, "compute");
 *	trace_event(t, &(struct trace_event){ .name = "expert 1/4",
 *		.category = "expert", .tid = 1, .start_ps = 0,
 *		.finish_ps = 1000000 });
 *	st = trace_write(t, path);
 *	trace_free(t);
 */
#ifndef REPORTS_TRACE_H
#define REPORTS_TRACE_H

#include "base/status.h"
#include "scenarios/program.h"

#include <stdint.h>

struct trace;

#define TRACE_ARGS_MAX 6

struct trace_arg {
	const char *name;	/* NULL ends the list */
	const char *text;	/* NULL: the number counts */
	double number;
};

struct trace_event {
	const char *name, *category;	/* copied */
	int pid, tid;
	uint64_t start_ps, finish_ps;	/* finish >= start */
	struct trace_arg arg[TRACE_ARGS_MAX];
};

struct trace *trace_new(void);
void trace_free(struct trace *t);	/* NULL is fine */
void trace_process(struct trace *t, int pid, const char *name);
/* Lanes are shown in the order of their tid. */
void trace_lane(struct trace *t, int pid, int tid, const char *name);
void trace_event(struct trace *t, const struct trace_event *e);

/* Shown by the viewers as the file's metadata. */
void trace_note(struct trace *t, const char *name, const char *text);

/* Whole file or none. */
enum status trace_write(const struct trace *t, const char *path);

/* The text that trace_write() writes. */
struct buf;
void trace_print(const struct trace *t, struct buf *out);

/*
 * One op of a program that has run, as the reports need it. Shared by the
 * trace, the Gantt chart and the plan report.
 */
struct report_op {
	enum op_kind kind;
	enum lane lane;
	int chunk, n_chunks;
	int backward;
	uint64_t start_ps, finish_ps;
};

/* Adds process 0 with one lane per enum lane, and the ops. */
void trace_add_ops(struct trace *t, const struct report_op *op, int n);

#endif
