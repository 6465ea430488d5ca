/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rings and trees, as NCCL lays them.
 *
 * A group with L members on each of N nodes has L channels with 1/L of the
 * bytes each. Channel j enters a node at local member j or j+1 and leaves it
 * at the other of the two: even nodes are walked down from j (j, j-1, ..,
 * j+1), odd ones up from j+1, so that neighbours meet on one rail and every
 * channel has a NIC of its own. One node, or one member per node: the ring of
 * the members in order.
 *
 * Ring of n ranks: each of the n-1 steps moves bytes/n over every edge, so an
 * edge of a channel carries (n-1)/n of the channel's bytes (all-reduce:
 * twice), and the pipeline is n-1 edges long.
 *
 * Tree (all-reduce): inside a node a chain from the head, local member j;
 * between the heads two binary trees with half of the channel's bytes each,
 * the second one mirrored or shifted so that inner nodes of one are leaves of
 * the other (P. Sanders et al., 2009). Sums go up and results down, so every
 * edge carries its tree's bytes both ways; the pipeline is twice the depth.
 */
#include "sim/coll_int.h"
#include "sim/coll_tree.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct ring {
	struct coll_build b;
	struct coll_part part;
	struct coll_tally tally;
	double hops_s;	/* latency and message cost over the pipeline */
	double near, far;	/* bytes that the links see of one, inside and
				   between domains */
	/* [shape.nodes]: those of a group whose edges are listed; NULL: all */
	bool *pick;
	bool all;	/* list the groups of all ranks */
};

static int wrap(int i, int n)
{
	return (i % n + n) % n;
}

/* Rank of local member l on node i of the group that begins at `base`. */
static int member(const struct ring *r, int base, int i, int l)
{
	int in_order = wrap(i, r->b.shape.nodes) * r->b.shape.local +
		       wrap(l, r->b.shape.local);

	return base + in_order * r->b.stride;
}

static double edge_s(const struct ring *r, int src, int dst)
{
	const struct net *net = r->b.spec->net;
	const struct gpu *g = &net->cluster.gpu;
	bool near = net_same_domain(net, src, dst);
	struct route route;

	net_route(net, src, dst, &route);
	return route.latency_s + (near ? &g->intra : &g->inter)->message_s;
}

static void add(struct ring *r, int src, int dst, double bytes)
{
	bool near = net_same_domain(r->b.spec->net, src, dst);

	coll_add(&r->part, src, dst, bytes * (near ? r->near : r->far));
}

/* The edge by which channel l goes from node i to the next. */
static struct coll_flow ring_edge(const struct ring *r, int base, int i, int l)
{
	/* it leaves at l+1 (even) or l (odd) ... */
	int leave = i % 2 ? l : l + 1;
	/* ... and enters the next at l+1 (odd) or l (even) */
	int next = (i + 1) % r->b.shape.nodes;
	int enter = next % 2 ? l + 1 : l;

	return (struct coll_flow){ member(r, base, i, leave),
				   member(r, base, next, enter), 0, 0 };
}

/*
 * All channels together load the edges of a node alike, but for the one edge
 * that each channel leaves out where it leaves the node.
 */
static void ring_node(struct ring *r, int base, int i, double bytes)
{
	int local = r->b.shape.local, dir = i % 2 ? 1 : -1, l;
	double inside = bytes * (local - 1) / local;

	if (r->b.shape.nodes == 1)
		inside = bytes;
	for (l = 0; l < local && local > 1; l++) {
		add(r, member(r, base, i, l), member(r, base, i, l + dir),
		    inside);
	}
	for (l = 0; l < local && r->b.shape.nodes > 1; l++) {
		struct coll_flow e = ring_edge(r, base, i, l);

		add(r, e.src, e.dst, bytes / local);
	}
}

/* All edges between nodes of the slowest channel: where nodes are alike, of
 * any; the first group's first channel then goes from rank 0 to its like. */
static double ring_between(const struct ring *r)
{
	int span = r->b.group * r->b.stride, base, l, i;
	double most = 0;

	if (!r->b.spec->net->uneven)
		return r->b.shape.nodes * edge_s(r, 0, member(r, 0, 1, 0));
	for (base = 0; base < r->b.ranks; base++) {
		for (l = 0; base % span < r->b.stride &&
		     l < r->b.shape.local; l++) {
			double sum = 0;

			for (i = 0; i < r->b.shape.nodes; i++) {
				struct coll_flow e = ring_edge(r, base, i, l);

				sum += edge_s(r, e.src, e.dst);
			}
			most = fmax(most, sum);
		}
	}
	return most;
}

/* Time of n-1 edges of the ring: all but an average one. */
static double ring_hops(const struct ring *r)
{
	const struct coll_shape *s = &r->b.shape;
	int n = r->b.group, inside = s->nodes * (s->local - 1);
	double sum = 0;

	if (s->local > 1)
		sum += (s->nodes == 1 ? n : inside) *
		       edge_s(r, 0, member(r, 0, 0, 1));
	if (s->nodes > 1)
		sum += ring_between(r);
	return sum * (n - 1) / n;
}

static void both_ways(struct ring *r, int a, int b, double bytes)
{
	add(r, a, b, bytes);
	add(r, b, a, bytes);
}

static void tree_node(struct ring *r, int base, int i, double bytes)
{
	int local = r->b.shape.local, n = r->b.shape.nodes, j, l;
	int up = tree_parent(i, n);

	/* chain j: member j, j+1, .., j-1: every edge but the one into j */
	for (l = 0; l < local && local > 1; l++) {
		both_ways(r, member(r, base, i, l), member(r, base, i, l + 1),
			  bytes * (local - 1) / local);
	}
	for (j = 0; j < local && up >= 0; j++) {
		both_ways(r, member(r, base, i, j), member(r, base, up, j),
			  bytes / local / 2);
		both_ways(r, member(r, base, tree_second(i, n), j),
			  member(r, base, tree_second(up, n), j),
			  bytes / local / 2);
	}
}

/* From node i of a channel up to the root: of the slower of the two trees,
 * edges taken the slower way. */
static double tree_path(const struct ring *r, int base, int i, int j)
{
	int n = r->b.shape.nodes, up;
	double sum[2] = { 0 };

	for (; (up = tree_parent(i, n)) >= 0; i = up) {
		for (int t = 0; t < 2; t++) {
			int a = member(r, base, t ? tree_second(i, n) : i, j);
			int b = member(r, base, t ? tree_second(up, n) : up, j);

			sum[t] += fmax(edge_s(r, a, b), edge_s(r, b, a));
		}
	}
	return fmax(sum[0], sum[1]);
}

/* Edges between nodes, up a tree: as ring_between(). */
static double tree_between(const struct ring *r)
{
	int span = r->b.group * r->b.stride, base, j, i;
	double most = 0;

	if (!r->b.spec->net->uneven)
		return ceil(log2(r->b.shape.nodes)) *
		       edge_s(r, 0, member(r, 0, 1, 0));
	for (base = 0; base < r->b.ranks; base++) {
		for (j = 0; base % span < r->b.stride &&
		     j < r->b.shape.local; j++) {
			for (i = 1; i < r->b.shape.nodes; i++)
				most = fmax(most, tree_path(r, base, i, j));
		}
	}
	return most;
}

static double tree_hops(const struct ring *r)
{
	const struct coll_shape *s = &r->b.shape;
	double sum = 0;

	if (s->local > 1)
		sum += (s->local - 1) * edge_s(r, 0, member(r, 0, 0, 1));
	if (s->nodes > 1)
		sum += tree_between(r);
	return 2 * sum;
}

static void send_recv(struct ring *r, int base, double bytes)
{
	int i;

	for (i = 0; i < r->b.group; i++) {
		add(r, base + i * r->b.stride,
		    base + (i + 1) % r->b.group * r->b.stride, bytes);
	}
}

/* Bytes that one edge of a whole ring (all channels) carries. */
static double edge_bytes(const struct ring *r, enum coll_op op, double bytes)
{
	double n = r->b.group;

	switch (op) {
	case COLL_ALLGATHER:
	case COLL_REDUCESCATTER:
		return bytes * (n - 1) / n;
	case COLL_ALLREDUCE:
		return 2 * bytes * (n - 1) / n;
	default:
		return bytes;
	}
}

static void add_group(struct ring *r, enum coll_op op, int base,
		      double bytes)
{
	int i;

	if (op == COLL_SENDRECV) {
		send_recv(r, base, bytes);
		return;
	}
	for (i = 0; i < r->b.shape.nodes; i++) {
		if (r->pick && !r->pick[i])
			continue;
		if (op == COLL_ALLREDUCE_TREE)
			tree_node(r, base, i, bytes);
		else
			ring_node(r, base, i, bytes);
	}
}

static double pipeline_s(const struct ring *r, enum coll_op op)
{
	if (op == COLL_ALLREDUCE_TREE)
		return tree_hops(r);
	if (op == COLL_SENDRECV)
		return r->tally.latency_s + r->tally.message_s;
	return ring_hops(r) * (op == COLL_ALLREDUCE ? 2 : 1);
}

/*
 * Do the groups that begin in node 0 stand for all? Others then are images of
 * them, and share no link with them: groups inside a node; and those between
 * nodes, where no leaf sets nodes apart and none takes part, as flows stay on
 * their rail. (A ring over an odd number of nodes changes rails once.)
 */
static bool first_node_does(const struct ring *r, enum coll_op op)
{
	const struct net *net = r->b.spec->net;
	const struct coll_shape *s = &r->b.shape;

	if (!s->regular || net->uneven || r->b.spec->keep_flows || r->all)
		return false;
	if (s->nodes == 1 || op == COLL_SENDRECV)
		return s->nodes == 1;
	return net->leaves == 1 && net->domain == r->b.gpus &&
	       net->ports == r->b.gpus &&
	       (op == COLL_ALLREDUCE_TREE || s->local == 1 ||
		s->nodes % 2 == 0);
}

static int gcd(int a, int b)
{
	return b ? gcd(b, a % b) : a;
}

/*
 * Ranks from 0 on whose groups are whole nodes; where nodes are alike, the
 * next ones' are their images.
 */
static int first_ranks(const struct ring *r)
{
	const struct net *net = r->b.spec->net;
	int span = r->b.group * r->b.stride;

	if (net->uneven || net->leaves > 1 || net->domain != r->b.gpus ||
	    r->b.spec->keep_flows || r->all)
		return r->b.ranks;
	return span / gcd(span, r->b.gpus) * r->b.gpus;
}

static void fill_groups(struct ring *r, enum coll_op op, double bytes)
{
	int span = r->b.group * r->b.stride, base;
	int ranks = first_node_does(r, op) ? r->b.gpus : first_ranks(r);

	r->part.images = ranks < r->b.ranks ? r->b.ranks / ranks : 1;
	for (base = 0; base < ranks; base++) {
		if (base % span < r->b.stride)
			add_group(r, op, base, edge_bytes(r, op, bytes));
	}
}

/*
 * Where nodes are alike one of each kind shows what the busiest rank and link
 * have: of a ring an even and an odd one.
 */
static void pick_nodes(struct ring *r, enum coll_op op)
{
	int n = r->b.shape.nodes;

	if (n == 1 || !first_node_does(r, op))
		return;
	r->pick = xcalloc((size_t)n, sizeof(*r->pick));
	if (op == COLL_ALLREDUCE_TREE)
		tree_pick(n, r->pick);
	else
		r->pick[0] = r->pick[1] = r->pick[n - 1] = true;
}

/* From now on all edges, whatever stands for others. */
static void list_all(struct ring *r, enum coll_op op, double bytes)
{
	r->all = true;
	free(r->pick);
	r->pick = NULL;
	r->part.n_flows = 0;
	fill_groups(r, op, bytes);
}

static double flows_s(struct ring *r, enum coll_op op, double bytes,
		      const struct coll_view *v)
{
	const struct coll_spec *spec = r->b.spec;

	if (spec->bound_only ||
	    coll_ends_at_bound(spec->net, &r->part, r->tally.bound_s))
		return r->tally.bound_s;
	list_all(r, op, bytes);
	return coll_makespan(&r->b, v, &r->part, &r->tally);
}

static void ring_solve(struct ring *r, enum coll_op op, double bytes,
		       struct coll_step *out)
{
	const struct coll_spec *spec = r->b.spec;
	struct coll_view v;

	coll_view_init(&v, spec, false);
	coll_tally_flows(&r->b, &v, &r->part, &r->tally);
	/* the pipeline's sum stands for one route and the messages */
	r->tally.message_s = r->part.n_flows ? pipeline_s(r, op) : 0;
	r->tally.latency_s = 0;
	coll_price(spec, &r->part, &r->tally, out);
	out->merge_s = coll_merge(spec, r->tally.bound_s);
	out->lane = r->tally.touches[1] ? LANE_INTER : LANE_INTRA;
	out->flow_s = flows_s(r, op, bytes, &v);
	coll_view_release(&v);
}

static enum comm_op constants_of(enum coll_op op)
{
	switch (op) {
	case COLL_ALLGATHER:
		return COMM_ALLGATHER;
	case COLL_REDUCESCATTER:
		return COMM_REDUCESCATTER;
	case COLL_SENDRECV:
		return COMM_SENDRECV;
	default:
		return COMM_ALLREDUCE;
	}
}

/* `plain` becomes the spec without a window, its net `net` the spec's with
 * the collective's constants. */
static void ring_init(struct ring *r, const struct coll_spec *spec,
		      enum coll_op op, int group, int stride,
		      struct coll_spec *plain, struct net *net)
{
	const struct cluster *c = &spec->net->cluster;
	struct gpu *g = &net->cluster.gpu;

	*net = *spec->net;
	*plain = *spec;
	plain->comm.window = 0;
	plain->net = net;
	*r = (struct ring){ .b = { .spec = plain, .nodes = c->nodes,
				   .gpus = c->gpus_per_node,
				   .ranks = net->n_ranks,
				   .group = group, .stride = stride,
				   .shape = coll_shape_of(c, group,
							  stride) } };
	if (!r->b.shape.regular) {
		r->b.shape.local = 1;
		r->b.shape.nodes = group;
	}
	r->near = coll_own_constants(&g->intra_op[constants_of(op)], &g->intra);
	r->far = coll_own_constants(&g->inter_op[constants_of(op)], &g->inter);
}

static void take_flows(struct ring *r, struct coll *c)
{
	c->step[0].flow = r->part.flow;
	c->step[0].n_flows = (int)r->part.n_flows;
}

enum status coll_ring(const struct coll_spec *spec, enum coll_op op,
		      int group, int stride, double bytes, struct coll *out)
{
	struct coll_spec plain;
	struct net net;
	struct ring r;

	ring_init(&r, spec, op, group, stride, &plain, &net);
	*out = (struct coll){ .n_steps = 1 };
	pick_nodes(&r, op);
	fill_groups(&r, op, bytes);
	ring_solve(&r, op, bytes, &out->step[0]);
	free(r.pick);
	out->messages = out->step[0].messages;
	if (spec->keep_flows)
		take_flows(&r, out);
	else
		free(r.part.flow);
	return ST_OK;
}

/* Edges of all groups. */
static double count_all(const struct ring *r, enum coll_op op)
{
	const struct coll_shape *s = &r->b.shape;
	double inside = s->local > 1 ? (double)s->nodes * s->local : 0;
	double groups = (double)r->b.ranks / r->b.group;

	if (op == COLL_SENDRECV)
		return r->b.ranks;
	if (op == COLL_ALLREDUCE_TREE)
		return groups * (2 * inside + 4.0 * (s->nodes - 1) * s->local);
	return groups * (inside + (s->nodes > 1 ?
				   (double)s->nodes * s->local : 0));
}

/* Rows of the nodes that are picked stand for all of their kind. */
static void spread_kinds(const struct ring *r, enum coll_op op,
			 struct link_rows *rows)
{
	const struct coll_shape *s = &r->b.shape;
	int *kind = xcalloc((size_t)s->nodes, sizeof(*kind)), m;
	int row[TREE_KINDS_MAX], n = 0;

	if (s->nodes > 1)
		tree_kinds(s->nodes, op == COLL_ALLREDUCE_TREE, kind);
	for (m = 0; m < r->b.nodes; m++) {
		int i = s->nodes > 1 ? m / s->node_stride % s->nodes : 0;

		/* nodes come in the order of their first ones */
		if (kind[i] == n)
			row[n++] = rows->row[m];
		rows->row[m] = row[kind[i]];
	}
	free(kind);
}

/* Instead of flows that are too many what they put on the links. */
static void say_rows(struct ring *r, enum coll_op op, double bytes,
		     struct coll_step *out)
{
	bool few;

	pick_nodes(r, op);
	few = first_node_does(r, op);
	r->all = !few;
	fill_groups(r, op, bytes);
	link_rows_add_flows(&out->rows, r->b.spec->net, r->part.flow,
			    r->part.n_flows);
	if (few)
		spread_kinds(r, op, &out->rows);
	out->rank_bytes = coll_rank_bytes(r->b.spec->net, r->part.flow,
					  r->part.n_flows);
	coll_part_release(&r->part);
	free(r->pick);
}

void coll_ring_flows(const struct coll_spec *spec, enum coll_op op, int group,
		     int stride, double bytes, struct coll *c)
{
	struct coll_spec plain;
	struct net net;
	struct ring r;

	ring_init(&r, spec, op, group, stride, &plain, &net);
	plain.keep_flows = false;
	if (spec->flows_max && count_all(&r, op) > spec->flows_max) {
		say_rows(&r, op, bytes, &c->step[0]);
		return;
	}
	plain.keep_flows = true;
	fill_groups(&r, op, bytes);
	take_flows(&r, c);
}
