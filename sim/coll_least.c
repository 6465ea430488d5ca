/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What no algorithm can do without, from one look at the traffic.
 *
 * Whatever the hops, bytes from one node to another leave it by its NICs and
 * enter the other one by its; those from leaf to leaf take the one link above
 * the leaf. A node's P ports take out / (P C) at least, however they share it.
 * dedup sends distinct tokens only (node_bytes), all others every copy.
 */
#include "sim/coll_int.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* Sums in another order than the flows', and what rounding makes of it. */
#define ROUNDING 1e-6

struct crossing {
	const struct net *net;
	/* [0] leaves, [1] enters; each [nodes], [leaves] */
	double *node[2], *leaf[2];
};

static void cross_add(struct crossing *x, int src, int dst, double bytes)
{
	int a = src / x->net->leaf_nodes, b = dst / x->net->leaf_nodes;

	if (src == dst)
		return;
	x->node[0][src] += bytes;
	x->node[1][dst] += bytes;
	if (a == b)
		return;
	x->leaf[0][a] += bytes;
	x->leaf[1][b] += bytes;
}

/* Rank r's cells: those to one node follow one another. */
static void cross_cells(struct crossing *x, const struct traffic *t, size_t r)
{
	const double *row = t->bytes + r * (size_t)t->n_ranks;
	size_t gpus = (size_t)x->net->cluster.gpus_per_node, step, peers;
	size_t d = traffic_first(t, r, &step, &peers);
	size_t end = d + peers * step;

	while (d < end) {
		size_t node = d / gpus, behind = (node + 1) * gpus;
		double sum = 0;

		for (; d < end && d < behind; d += step)
			sum += row[d];
		cross_add(x, (int)(r / gpus), (int)node, sum);
	}
}

static void cross_distinct(struct crossing *x, const struct traffic *t,
			   size_t r)
{
	size_t nodes = (size_t)x->net->cluster.nodes, m;
	size_t gpus = (size_t)x->net->cluster.gpus_per_node;

	for (m = 0; m < nodes; m++) {
		cross_add(x, (int)(r / gpus), (int)m,
			  t->node_bytes[r * nodes + m]);
	}
}

static double most(double *const v[2], int n)
{
	double max = 0;
	int i;

	for (i = 0; i < n; i++)
		max = fmax(max, fmax(v[0][i], v[1][i]));
	return max;
}

void coll_crossing_of(const struct net *net, const struct traffic *t,
		      bool distinct, struct coll_crossing *out)
{
	struct crossing x = { .net = net };
	size_t nodes = (size_t)net->cluster.nodes, r;
	int i;

	*out = (struct coll_crossing){ 0 };
	if (!t->bytes)
		return;
	for (i = 0; i < 2; i++) {
		x.node[i] = xcalloc(nodes, sizeof(double));
		x.leaf[i] = xcalloc(nodes, sizeof(double));
	}
	for (r = 0; r < (size_t)t->n_ranks; r++) {
		if (distinct && t->node_bytes)
			cross_distinct(&x, t, r);
		else
			cross_cells(&x, t, r);
	}
	out->node_bytes = most(x.node, net->cluster.nodes);
	out->leaf_bytes = most(x.leaf, net->cluster.nodes);
	for (i = 0; i < 2; i++) {
		free(x.node[i]);
		free(x.leaf[i]);
	}
}

/* Nothing is said where nodes differ, or racks join them by NVLink. */
static bool is_plain(const struct net *net)
{
	const struct gpu *g = &net->cluster.gpu;

	/* a faster low-latency protocol would take less */
	return !net->uneven && net->domain == net->cluster.gpus_per_node &&
	       net->count[LINK_NIC_UP] > 0 &&
	       g->intra.ll_efficiency <= g->intra.efficiency &&
	       g->inter.ll_efficiency <= g->inter.efficiency;
}

static double crossing_s(const struct net *net, const struct coll_crossing *c)
{
	double t;

	if (!is_plain(net))
		return 0;
	t = c->node_bytes / net->ports /
		net->capacity_Bps[net->first[LINK_NIC_UP]];
	if (net->count[LINK_LEAF_UP] > 0 &&
	    net->cluster.fabric.kind != FABRIC_RAIL)
		t = fmax(t, c->leaf_bytes /
			 net->capacity_Bps[net->first[LINK_LEAF_UP]]);
	return t * (1 - ROUNDING);
}

enum status coll_least(const struct coll_spec *spec, enum a2a_alg alg,
		       const struct traffic *t, bool reverse,
		       const struct coll_crossing *crossing, struct coll *out)
{
	struct coll_build b;
	enum status st;
	int i;

	coll_build_init(&b, spec, t, reverse);
	st = coll_check_size(&b);
	if (st)
		return st;
	*out = (struct coll){ .n_steps = a2a_table[alg].n_steps };
	for (i = 0; i < out->n_steps; i++) {
		struct a2a_step row = a2a_step_at(alg, reverse, i);
		struct coll_step *s = &out->step[i];

		*s = (struct coll_step){ .lane = row.lane,
			.beside = row.beside, .busiest_link = -1,
			.ll_fixed_s = INFINITY };
		if (row.lane == LANE_INTER && alg != A2A_DIRECT)
			s->flow_s = s->bound_s = crossing_s(spec->net,
							    crossing);
	}
	return ST_OK;
}

bool coll_lists_flows(const struct coll_spec *spec, enum a2a_alg alg,
		      const struct traffic *t)
{
	struct coll_build b;

	coll_build_init(&b, spec, t, false);
	b.part[0].rounds = alg == A2A_PAIRWISE;
	return !coll_symmetric(&b) || (alg == A2A_DEDUP && t->node_bytes) ||
		(alg == A2A_DIRECT && t->rank_bytes);
}
