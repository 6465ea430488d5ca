/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by sim/exec*.c. */
#ifndef SIM_EXEC_INT_H
#define SIM_EXEC_INT_H

#include "sim/exec.h"

/* Earliest start of op i: its dependencies' last finish. */
uint64_t exec_deps_ready(const struct op *op, const struct exec_op *done);

/* Do the op's kernels take every SM of a measured GPU, so that another such
 * op's wait? Direct exchanges and products (exec_wait.c). */
bool exec_takes_sms(const struct program *p, const struct cost *c,
		    const struct op *op);

/*
 * The host that queues a pass' ops in array order, from the pass' begin, or the
 * end of the gate whose counts it waited for. Only ops of many calls take it
 * time (struct op_host). That it begins anew with the backward pass, where it
 * may be ahead, keeps the passes apart, as searches need them.
 */
struct host_clock {
	uint64_t begin_ps;
	double queued_s;	/* since then, of the ops before */
};

/* How much longer the op takes that starts at start_ps. */
double host_delay(const struct host_clock *h, const struct op_host *o,
		  uint64_t start_ps);
/* The op is queued; it ends at end_ps. */
void host_queue(struct host_clock *h, const struct op_host *o,
		uint64_t end_ps);

/* Fill out->op and out->events; the caller sums up. */
enum status exec_lane_run(const struct program *p, const struct cost *c,
			  struct exec_result *out);
enum status exec_flow_run(const struct program *p, const struct cost *c,
			  const struct exec_sharing *sharing,
			  struct exec_result *out);

#endif
