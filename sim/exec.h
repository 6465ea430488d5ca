/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a program in virtual time.
 *
 * Lane model: each op has one duration (cost_op), ops are list-scheduled on
 * their lanes in program order.
 *
 * Flow model: the ops that are active at one time, at most one per lane,
 * share the links of the net, the GPUs' memory and their SMs. An op goes
 * through parts: a delay (launch, latency, ramp), its flows, its copies.
 *
 * Links are shared flow by flow: when two exchanges are in their flows at one
 * time and their routes have a link in common, the flows of both, what is
 * left of them, go through one max-min engine (sim/exec_pool.h), in the order
 * in which each starts them (window, rounds); each flow ends by itself and an
 * exchange with its slowest flow. An exchange of more than
 * EXEC_LIVE_FLOWS_MAX flows shares as a whole instead, with the mean load
 * that it puts on each link; one that keeps no flows (sim/cost.c) shares no
 * links.
 *
 * Memory is shared op by op: a part that takes t alone uses bytes / (bandwidth
 * * t) of the busiest GPU's; speeds are max-min fair. Exchanges in the engine
 * then slow down together, as one. While a product and a collective run side
 * by side, each loses a share of its speed: comm_tier.product_loss (else what
 * the SMs that the collective holds are of all: gpu.comm_sms, or the limit of
 * an exchange's CTAs, sim/limit.h) and comm_tier.own_loss.
 *
 * The host shares nothing: its ops take cost_op().
 *
 * An op that never shares takes exactly its cost_op(), and what its host is
 * late (struct op_host), so where nothing is shared both models give the same
 * times to the picosecond.
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
	uint64_t lane_busy_ps[LANES_ALL];
	uint64_t kind_ps[OP_KIND_N];	/* sum over ops of that kind */
	int n_links;
	struct exec_link link[EXEC_LINKS];	/* busiest first */
	bool links_shared;	/* no link can be over its capacity */
	uint64_t events;	/* lane: ops; flow: ends of parts of ops */
};

enum status exec_run(const struct program *p, const struct cost *c,
		     enum exec_model model, struct exec_result *out);
void exec_release(struct exec_result *r);

/* The flow model with some kinds of sharing switched off; NULL: lane. */
struct exec_sharing {
	bool links, memory, sms;
};

extern const struct exec_sharing exec_share_all, exec_share_nothing;

enum status exec_run_sharing(const struct program *p, const struct cost *c,
			     const struct exec_sharing *sharing,
			     struct exec_result *out);

/*
 * Lane model, time only: no allocation, for the search. `end_ps` is scratch
 * for p->n_ops values.
 */
uint64_t exec_lane_time(const struct program *p, const struct cost *c,
			uint64_t *end_ps);

/* Asserts: deps and lane order respected, busy times add up. */
void exec_check(const struct program *p, const struct exec_result *r);

#endif
