/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Collectives as steps of flows.
 *
 * A collective is a few steps; a step is a fixed time (launch, per-message
 * cost, route latency, launches of layout copies) followed by flows that all
 * start together and share the links max-min fairly. With `share` of the
 * bytes its time is the smaller of
 *
 *	simple	fixed + ramp * sqrt(share * busiest rank's bytes)
 *		+ share * (makespan of the flows + copies)
 *	low latency, when the largest message * share <= comm.ll_bytes
 *		ll_fixed + share * (makespan * ll_slowdown + copies)
 *
 * so that coll_step_time(step, share) is exact for every chunk of a
 * pipelined exchange: the flow part scales with its size.
 *
 * Constants come from struct comm_tier (the GPU file) and struct comm_spec:
 *	launch_s	once per step, of the slowest tier that it touches
 *	message_s	times the number of messages that one rank sends, by
 *			the message's tier, for the rank where that is most
 *	latency		the longest route of the step, once
 *	ramp		of the tier where ramp * sqrt(busiest rank) is largest
 *	protocol	ll_launch_s replaces launch_s; ll_slowdown is
 *			efficiency / ll_efficiency; no ramp
 *	window		at most that many peers in flight per rank, started in
 *			shift order: for d = 1.., rank (node n, local g) sends
 *			to (n + d / L, g + d % L), both modulo (NCCL's order of
 *			node first, then local rank; L members per node)
 *
 * Algorithms (enum a2a_alg; equations in doc/model.md): flat, leader, 2d,
 * lanes, dedup, pairwise, direct. Gathers, layout copies and scatters are steps or
 * copy bytes of their own and are never left out; direct has none but what stays on its
 * rank, and constants of its own (gpu.direct). A node is the cluster's
 * (gpus_per_node), also where a rack joins several by NVLink.
 */
#ifndef SIM_COLL_H
#define SIM_COLL_H

#include "base/progress.h"
#include "scenarios/scenario.h"
#include "sim/link_rows.h"
#include "sim/net.h"

/*
 * Who sends how much to whom, over all ranks of the cluster. Dense
 * (bytes != NULL) or balanced (bytes == NULL): within each group of
 * `group` ranks apart by `stride` (rank r's group: same r % stride and same
 * r / (stride * group), which divides n_ranks), every rank sends `each` bytes
 * to every other.
 * Diagonal cells are local copies: no link, HBM only.
 */
struct traffic {
	int n_ranks;
	double *bytes;		/* [n*n] row-major: src, dst; owned; or NULL */
	double each;		/* balanced */
	/*
	 * Balanced: see above. Dense: the groups inside which it flows (cells
	 * outside them are 0 and never read); 0: one group of all ranks.
	 */
	int group, stride;
	/*
	 * Dedup: bytes of distinct tokens of rank r to node m (transposed:
	 * back), [n * nodes]; owned; NULL: no token goes twice to one.
	 */
	double *node_bytes;
	/* Balanced, instead of node_bytes: to each other node; 0: as NULL. */
	double node_each;
	/*
	 * Direct: the same to member i of its group, itself included,
	 * [n * group]; NULL: no token goes twice to one rank. Balanced
	 * without: rank_each to every one; 0: `each`.
	 */
	double *rank_bytes;
	double rank_each;
	double empty;	/* share of `bytes` that are empty slots: not in
			   rank_bytes, where direct only writes zeros */
};

/* Distinct bytes of a rank for member `peer` of its group (dispatch). */
double traffic_distinct(const struct traffic *t, int rank, int peer);
/* Of the rank where they are most: its copies for itself, and a row from each
 * other rank that has copies of a token: what it adds up in the end. */
double traffic_sums(const struct traffic *t);

/* The first rank of a rank's group, how far to the next, how many. */
size_t traffic_first(const struct traffic *t, size_t rank, size_t *step_p,
		     size_t *n_p);
void traffic_release(struct traffic *t);
/* combine from dispatch */
void traffic_transpose(const struct traffic *t, int nodes, struct traffic *out);
/* `share` of all bytes, the flows in proportion; *out is the caller's. */
void traffic_share(const struct traffic *t, int nodes, double share,
		   struct traffic *out);
void traffic_scale(struct traffic *t, double share);	/* `bytes` */
double traffic_total(const struct traffic *t);	/* off-diagonal */
double traffic_busiest(const struct traffic *t);	/* max over ranks of
					sent or received off-diagonal bytes */

struct coll_flow {
	int src, dst;	/* ranks */
	double bytes;
	double finish_s;	/* after the step's fixed part; 0: not solved
				   flow by flow */
};

struct coll_step {
	enum lane lane;
	int beside;		/* starts with the step before it */
	double fixed_s;		/* see above; with the copies' launches */
	double copy_s;		/* HBM copies of layout changes; scales */
	double ramp;		/* s per sqrt(byte) */
	double busiest_bytes;	/* of one rank; what ramp applies to */
	double largest_bytes;	/* one message; what the switch looks at */
	double ll_bytes;	/* comm.ll_bytes */
	double ll_fixed_s;	/* INFINITY: the protocol is not allowed */
	double ll_slowdown;	/* flow part times this under low latency */
	double flow_s;		/* makespan of the flows at share 1 */
	double bound_s;		/* busiest link alone: <= flow_s */
	double merge_error_s;	/* most that merging can have added */
	int busiest_link;	/* -1: no flow; else the one that takes bound_s
				   (pairwise: in the longest round) */
	int messages;		/* most that one rank sends */
	double merge_s;		/* that the flows are solved with; see fair.h */
	struct coll_flow *flow;	/* owned; NULL unless keep_flows */
	int n_flows;		/* 0 when `flow` is NULL */
	/*
	 * How the kept flows start. n_rounds > 0: those of round k,
	 * [round_begin[k], round_begin[k + 1]), together when round k - 1 is
	 * done. window > 0: sorted by source, at most that many of one source
	 * at a time, in the order of the array. Else all together.
	 */
	int window, n_rounds;
	int *round_begin;	/* [n_rounds + 1], owned */
	/* in the place of flows that are too many (coll_spec.flows_max): what
	 * they put on links, and what the busiest rank sends and receives */
	struct link_rows rows;
	double rank_bytes;
};

struct coll {
	int n_steps;
	struct coll_step step[A2A_STEPS_MAX];
	int messages;		/* most that one rank sends, all steps */
};

struct coll_spec {
	const struct net *net;	/* NET_EFFECTIVE */
	struct comm_spec comm;
	const struct progress *progress;	/* of long solutions; or NULL */
	struct coll_mirror *mirror;	/* (coll_mirror.h) or NULL */
	double merge_s;		/* see fair.h; 0: exact */
	double tolerance;	/* alternative: merge = tolerance * bound_s */
	bool bound_only;	/* set flow_s = bound_s: a lower bound, cheap */
	bool keep_flows;	/* fill coll_step.flow */
	int flows_max;	/* above that coll_step.rows will do; 0: no limit */
	bool places_rows;	/* direct: a layer's dispatch, rows to their
				   places; else blocks as they were measured */
};

/*
 * reverse: the combine direction (steps of the table in reverse order, each
 * with its flows turned round); `t` is then already the transposed traffic.
 * t->n_ranks is the cluster's. ST_INPUT when the exchange needs more flows
 * than COLL_FLOWS_MAX (symmetric balanced ones need none).
 */
#define COLL_FLOWS_MAX (1 << 25)
enum status coll_alltoall(const struct coll_spec *spec, enum a2a_alg alg,
			  const struct traffic *t, bool reverse,
			  struct coll *out);

/* Bytes that leave or enter a node, and a leaf, where that is most: of dense
 * traffic, else 0. distinct: of tokens that go to a node once. */
struct coll_crossing {
	double node_bytes, leaf_bytes;
};
void coll_crossing_of(const struct net *net, const struct traffic *t,
		      bool distinct, struct coll_crossing *out);
/*
 * As coll_alltoall(), errors too, but at what the crossing alone takes: no
 * step is longer than that one's, whatever the share.
 */
enum status coll_least(const struct coll_spec *spec, enum a2a_alg alg,
		       const struct traffic *t, bool reverse,
		       const struct coll_crossing *crossing, struct coll *out);
/* Does coll_alltoall() go through more flows than one node's? */
bool coll_lists_flows(const struct coll_spec *spec, enum a2a_alg alg,
		      const struct traffic *t);

enum coll_op { COLL_ALLGATHER, COLL_REDUCESCATTER, COLL_ALLREDUCE,
	       COLL_ALLREDUCE_TREE, COLL_SENDRECV };

/*
 * Over every group {rank: base + i*stride, i < group} at once; `bytes` is
 * nccl-tests' size: all-gather: of the whole result; reduce-scatter: of the
 * whole input; all-reduce: of the buffer; send/recv: what a rank sends to
 * the next one. Ring unless _TREE. One step.
 *
 * As many rings (or trees) as a node has members of the group, each with an
 * equal part of the bytes and another place to leave the node, so that all
 * NICs work. Equations in doc/model.md.
 */
enum status coll_ring(const struct coll_spec *spec, enum coll_op op,
		      int group, int stride, double bytes, struct coll *out);

/* Gives a collective of coll_ring() without flows those that it has with
 * spec->keep_flows. */
void coll_ring_flows(const struct coll_spec *spec, enum coll_op op, int group,
		     int stride, double bytes, struct coll *c);

void coll_release(struct coll *c);

/* Most that a rank sends and receives. */
double coll_rank_bytes(const struct net *net, const struct coll_flow *f,
		       size_t n);

/*
 * The same exchange with nothing but links and latencies: every pair's flow
 * begins when its route's latency has passed, no launch, message cost,
 * window or protocol; rates are those of spec->net (NET_NOMINAL for the data
 * sheet's). With keep_flows `flow` has each pair's finish time.
 */
struct coll_ideal {
	double makespan_s;
	double bound_s;		/* busiest link alone, without latency */
	double merge_error_s;
	int busiest_link;	/* -1: no flow */
	struct coll_flow *flow;	/* owned; NULL unless keep_flows */
	size_t n_flows;		/* 0 unless keep_flows */
};

enum status coll_ideal(const struct coll_spec *spec, const struct traffic *t,
		       struct coll_ideal *out);

/* Is the low-latency protocol the faster one for `share` of the sizes? */
bool coll_step_low_latency(const struct coll_step *s, double share);
/* Seconds of one step when its sizes are multiplied by `share`. */
double coll_step_time(const struct coll_step *s, double share);
/* All steps, one after the other but for those beside the one before. */
double coll_time(const struct coll *c, double share);

/*
 * Asserts that the flows of `c` (made with keep_flows) deliver `t`: bytes
 * are conserved at every rank and hop, every flow's ends are where the
 * algorithm puts them, the bound is a bound. For tests and MOECAST_CHECK=1.
 */
void coll_check(const struct coll_spec *spec, enum a2a_alg alg,
		const struct traffic *t, bool reverse, const struct coll *c);

#endif
