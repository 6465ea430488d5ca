/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Collectives as steps of flows.
 *
 * A collective is a few steps; a step is a fixed time (launch, per-message
 * cost, layout copies) followed by flows that all start together and share
 * the links max-min fairly. Its time is
 *
 *	fixed + ramp * sqrt(busiest rank's bytes) + makespan of the flows
 *
 * so that for one size s the flow part scales with s: coll_step_time(step,
 * share) is exact for every chunk of a pipelined exchange.
 *
 * Constants come from struct comm_tier (the GPU file) and struct comm_spec:
 *	launch_s	once per step, of the slowest tier that it touches
 *	message_s	times the largest number of messages one rank sends
 *	protocol	messages up to comm.ll_bytes may go by the low-latency
 *			protocol (ll_launch_s, ll_efficiency, no ramp); each
 *			step takes the faster of the two
 *	window		at most that many peers in flight per rank, started in
 *			shift order: for d = 1.., rank (node n, local g) sends
 *			to (n + d / G, g + d % G), both modulo (NCCL's order of
 *			node first, then local rank)
 *
 * Algorithms (enum a2a_alg; equations in doc/model.md): flat, leader, 2d,
 * lanes, dedup, pairwise. Gathers, layout copies and scatters are steps or
 * copy bytes of their own and are never left out.
 */
#ifndef SIM_COLL_H
#define SIM_COLL_H

#include "scenarios/scenario.h"
#include "sim/net.h"

/*
 * Who sends how much to whom, over all ranks of the cluster. Dense
 * (bytes != NULL) or balanced (bytes == NULL): within each group of
 * `group` ranks apart by `stride` (rank r's group: same r % stride and same
 * r / (stride * group)), every rank sends `each` bytes to every other.
 * Diagonal cells are local copies: no link, HBM only.
 */
struct traffic {
	int n_ranks;
	double *bytes;		/* [n*n] row-major: src, dst; owned; or NULL */
	double each;		/* balanced */
	int group, stride;	/* balanced; dense: 0 */
	/*
	 * What dedup needs: bytes of distinct tokens from rank r to node m,
	 * [n * nodes]; owned; NULL: no token goes twice to one node.
	 */
	double *node_bytes;
};

void traffic_release(struct traffic *t);
void traffic_transpose(const struct traffic *t, int nodes,
		       struct traffic *out);	/* combine from dispatch */
double traffic_total(const struct traffic *t);	/* off-diagonal */
double traffic_busiest(const struct traffic *t);	/* max over ranks of
					sent or received off-diagonal bytes */

struct coll_flow {
	int src, dst;	/* ranks */
	double bytes;
};

struct coll_step {
	enum lane lane;
	int beside;		/* starts with the step before it */
	double fixed_s;		/* launch + messages + copies' launches */
	double copy_s;		/* HBM copies of layout changes; scales */
	double ramp;		/* s per sqrt(byte) */
	double busiest_bytes;	/* of one rank; what ramp applies to */
	double ll_fixed_s;	/* INFINITY: the protocol is not allowed */
	double ll_slowdown;	/* flow part times this under low latency */
	double flow_s;		/* makespan of the flows at share 1 */
	double bound_s;		/* busiest link alone: <= flow_s */
	struct coll_flow *flow;	/* owned; NULL when solved by symmetry */
	int n_flows;
};

struct coll {
	int n_steps;
	struct coll_step step[A2A_STEPS_MAX];
	int messages;		/* most that one rank sends */
};

struct coll_spec {
	const struct net *net;	/* NET_EFFECTIVE */
	struct comm_spec comm;
	double merge_s;		/* see fair.h; 0: exact */
	double tolerance;	/* alternative: merge = tolerance * bound_s */
	bool bound_only;	/* set flow_s = bound_s: a lower bound, cheap */
	bool keep_flows;	/* fill coll_step.flow */
};

/* reverse: the combine direction (steps of the table in reverse order);
 * `t` is then already the transposed traffic. */
enum status coll_alltoall(const struct coll_spec *spec, enum a2a_alg alg,
			  const struct traffic *t, bool reverse,
			  struct coll *out);

enum coll_op { COLL_ALLGATHER, COLL_REDUCESCATTER, COLL_ALLREDUCE,
	       COLL_ALLREDUCE_TREE };

/*
 * Over every group {rank: base + i*stride, i < group} at once; `bytes` is
 * nccl-tests' size: all-gather: of the whole result; reduce-scatter: of the
 * whole input; all-reduce: of the buffer. Ring unless _TREE. One step.
 */
enum status coll_ring(const struct coll_spec *spec, enum coll_op op,
		      int group, int stride, double bytes, struct coll *out);

void coll_release(struct coll *c);

/* Seconds of one step when its sizes are multiplied by `share`. */
double coll_step_time(const struct coll_step *s, double share);
double coll_time(const struct coll *c, double share);	/* all steps */

#endif
