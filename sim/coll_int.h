/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files sim/coll*.c share: a collective while it is being built.
 *
 * An algorithm fills `part`, one per step of its table row, always in the
 * dispatch direction: coll_cell() shows combine traffic transposed, and the
 * driver turns flows and steps round afterwards. A part says who sends what
 * either as a pattern (balanced, every node alike) or flow by flow.
 */
#ifndef SIM_COLL_INT_H
#define SIM_COLL_INT_H

#include "sim/coll.h"

/* Every member of a group to every other, `each` bytes. */
struct coll_pattern {
	bool used;
	int group, stride;
	double each;
	bool remote_only;	/* leave out pairs of one node */
	bool leaders_only;	/* only local rank 0 of every node sends */
};

struct coll_part {
	struct coll_pattern pattern;
	struct coll_flow *flow;	/* when !pattern.used */
	size_t n_flows, cap;
	/*
	 * Of a pattern's flows those to nodes that look alike from node 0 are
	 * one that counts as many times: [n_flows]; NULL: all once. In rounds:
	 * those of as many rounds.
	 */
	int *times;
	size_t cap_times;
	/* above 1: the flows of as many equal sets of nodes are left out, and
	 * only links above the NICs would carry them, too */
	int images;
	bool one_node;	/* the flows are node 0's, inside it; all nodes' are
			   like them */
	bool rounds;	/* one shift distance after the other, with barriers */
	double copy_bytes;	/* read + written on the busiest GPU */
	int copies;	/* kernels that do it */
	bool by_leaders;	/* the copies: on local rank 0 of each node */
};

/* How a group lies on the nodes; regular: the same on every node. */
struct coll_shape {
	bool regular;
	int local;	/* members per node */
	int nodes;	/* nodes that a group spans */
	int node_stride;	/* between those, in nodes */
};

struct coll_build {
	const struct coll_spec *spec;
	const struct traffic *t;
	bool reverse;
	int ranks, nodes, gpus;	/* gpus: per node */
	int group, stride;	/* of the traffic; dense without: all, 1 */
	double scale;		/* direct: bytes that links see of one */
	struct coll_shape shape;
	struct coll_part part[A2A_STEPS_MAX];
};

/*
 * The network as the solver sees it: as it is, or folded to what node 0's
 * flows need (see coll_view.c).
 */
struct coll_view {
	const struct net *net;
	bool folded;
	int n_links;
	const double *capacity_Bps;	/* [n_links] */
	double *owned;
	const struct progress *progress;	/* see coll_spec; or NULL */
	struct coll_mirror *mirror;	/* the same */
	int first[LINK_CLASS_N], period[LINK_CLASS_N];
};

void coll_view_init(struct coll_view *v, const struct coll_spec *spec,
		    bool folded);
void coll_view_release(struct coll_view *v);
void coll_view_route(const struct coll_view *v, int src, int dst,
		     struct route *out);
/* What the part's flows put on links; folded: times what they stand for. */
void coll_view_rows(const struct coll_view *v, const struct coll_part *p,
		    struct link_rows *out);
/* A link of the network that a link of the view stands for. */
int coll_view_link(const struct coll_view *v, int link);

/* The builders, one per algorithm; the driver has checked sizes. */
void coll_build_flat(struct coll_build *b);
void coll_build_lanes(struct coll_build *b);
void coll_build_pairwise(struct coll_build *b);
void coll_build_leader(struct coll_build *b);
void coll_build_2d(struct coll_build *b);
void coll_build_dedup(struct coll_build *b);
void coll_build_direct(struct coll_build *b);

/*
 * A collective with constants of its own: *tier becomes those; returns how
 * many bytes the links, which have the tier's efficiency, see of one. The
 * ramp counts those. 1 and no change when it has none.
 */
double coll_own_constants(const struct comm_tier *own,
			  struct comm_tier *tier);

/* Patterns may be used: balanced, and the same on every node. */
bool coll_symmetric(const struct coll_build *b);

/*
 * Whom s exchanges with, itself included: peer j of coll_peers(), in order of
 * ranks.
 */
int coll_peers(const struct coll_build *b);
int coll_peer(const struct coll_build *b, int s, int j);

/* Bytes from s to d in the dispatch direction, diagonal included. */
double coll_cell(const struct coll_build *b, int s, int d);
double coll_row_sum(const struct coll_build *b, int s);	/* with diagonal */
double coll_column_sum(const struct coll_build *b, int d);

/* Adds a flow; nothing when bytes is 0 or src is dst. */
void coll_add(struct coll_part *p, int src, int dst, double bytes);

/* The pattern's flows that start in the first `nodes` nodes, to p->flow. */
void coll_pattern_expand(const struct net *net, int nodes,
			 struct coll_part *p);

/* Those of node 0, with `times` where that can be. */
void coll_pattern_first(const struct coll_build *b, struct coll_part *p);

/* sum + v + v + ... (n times), to the last bit. */
double coll_plus_times(double sum, double v, int n);

static inline int coll_times(const struct coll_part *p, size_t i)
{
	return p->times ? p->times[i] : 1;
}

/* How many of the part's flow i a link carries. */
static inline int coll_link_times(const struct net *net,
				  const struct coll_part *p, size_t i,
				  int link)
{
	if (p->images > 1 && link >= net->first[LINK_LEAF_UP])
		return p->images;
	return coll_times(p, i);
}

/*
 * Round d of a part in rounds: with `times` the place of its like, among
 * those inside the node and those to the first other one.
 */
static inline int coll_round(const struct coll_build *b,
			     const struct coll_part *p, int d)
{
	int local = b->shape.local;

	return p->times && d >= 2 * local ? local + d % local : d;
}

void coll_part_release(struct coll_part *p);

struct coll_shape coll_shape_of(const struct cluster *c, int group,
				int stride);

/* Distance from src to dst in shift order: 1 .. group - 1. */
int coll_shift(const struct coll_shape *s, int group, int stride, int src,
	       int dst);

/* What the flows of one step ask of ranks and links. */
struct coll_tally {
	bool touches[2];	/* [0] inside a node, [1] between nodes */
	double busiest_bytes[2];	/* of one rank, sent or received */
	int messages;		/* most that one rank sends */
	double largest_bytes;	/* of one message */
	/* rounds: each of these is a sum over rounds */
	double message_s;	/* of the rank where it is most */
	double latency_s;	/* longest route */
	double bound_s;		/* busiest link */
	double merge_error_s;	/* set by coll_makespan() */
	int busiest_link;	/* rounds: of the longest one */
};

/* Sorts the flows when the part goes by rounds. */
void coll_tally_flows(const struct coll_build *b, const struct coll_view *v,
		      struct coll_part *p, struct coll_tally *out);

/*
 * Sort the part's flows by shift distance, or by source and then distance;
 * return where each distance (source) begins, free() it.
 */
size_t *coll_sort_by_shift(const struct coll_build *b, struct coll_part *p);
size_t *coll_sort_by_source(const struct coll_build *b, struct coll_part *p);

/* Rows of the traffic and of the network that go with them. */
void coll_build_init(struct coll_build *b, const struct coll_spec *spec,
		     const struct traffic *t, bool reverse);
/* ST_INPUT when the flows are too many to be listed. */
enum status coll_check_size(const struct coll_build *b);

/*
 * All flows [0, n) together; begin: after their routes' latencies, else at
 * 0. finish_s is set, `after_s` added. Returns the makespan.
 */
double coll_solve(const struct coll_view *v, struct coll_flow *f, size_t n,
		  bool begin, double after_s, double merge_s,
		  double *error_p);

/* The part's flows, all together, with their `times`, at 0. */
double coll_solve_part(const struct coll_view *v, struct coll_part *p,
		       double merge_s, double *error_p);

/*
 * The same for a folded view, by classes of equal flows, without finish
 * times; false when there are too many classes.
 */
bool coll_class_solve(const struct coll_view *v, const struct coll_flow *f,
		      const int *times, size_t n, bool begin,
		      double *makespan_s);

/*
 * True: flows that start together are all done when the busiest link is, at
 * bound_s. False: they may be.
 */
bool coll_ends_at_bound(const struct net *net, const struct coll_part *p,
			double bound_s);

/* What fair.h is to merge. */
double coll_merge(const struct coll_spec *s, double bound_s);

/*
 * Makespan of the flows: window, rounds and merging as the spec says. Sets
 * finish_s (not in folded views).
 */
double coll_makespan(const struct coll_build *b, const struct coll_view *v,
		     struct coll_part *p, struct coll_tally *t);

/* Constants of the step from its tally; flow_s is left alone. */
void coll_price(const struct coll_spec *spec, const struct coll_part *p,
		const struct coll_tally *t, struct coll_step *out);

#endif
