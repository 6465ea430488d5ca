/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a program in virtual time.
 *
 * Lane model: each op has one duration (cost_op), ops are list-scheduled on
 * their lanes in program order. Flow model: communication ops put their
 * flows on the links of the net and compute ops their HBM traffic on the
 * GPUs' memory; whatever is active at the same time shares max-min fairly.
 * Where nothing is shared both give the same times to 1e-9.
 */
#ifndef SIM_EXEC_H
#define SIM_EXEC_H

#include "scenarios/program.h"
#include "sim/cost.h"

enum exec_model { EXEC_LANE, EXEC_FLOW };

struct exec_op {
	uint64_t start_ps, finish_ps;
};

struct exec_link {
	int link;
	double utilisation;	/* bytes carried / (capacity * time) */
};

#define EXEC_LINKS 16	/* busiest links reported */

struct exec_result {
	uint64_t time_ps, forward_ps;
	struct exec_op *op;	/* [n_ops], owned */
	uint64_t lane_busy_ps[LANE_N];
	uint64_t kind_ps[OP_KIND_N];	/* sum over ops of that kind */
	int n_links;
	struct exec_link link[EXEC_LINKS];	/* busiest first */
	uint64_t events;
};

enum status exec_run(const struct program *p, const struct cost *c,
		     enum exec_model model, struct exec_result *out);
void exec_release(struct exec_result *r);

/*
 * Lane model, time only: no allocation, for the search. `end_ps` is scratch
 * for p->n_ops values.
 */
uint64_t exec_lane_time(const struct program *p, const struct cost *c,
			uint64_t *end_ps);

/* Asserts: deps and lane order respected, busy times add up. */
void exec_check(const struct program *p, const struct exec_result *r);

#endif
