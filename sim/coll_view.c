/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Balanced traffic on a regular cluster, from node 0 alone.
 *
 * Nodes are then interchangeable: permutations of nodes inside a leaf, of
 * leaves inside a pod and of pods map the network, and the traffic, onto
 * themselves and reach every node. So links with the same role in different
 * nodes (leaves, pods) carry images of the same flows. Fold each such orbit
 * into one link and keep only the flows that start in node 0: if the cluster
 * has f times as many nodes as the orbit has links, a link of the orbit
 * carries f images of each kept flow that uses it, and the folded link gets
 * capacity / f. Max-min rates are unique, hence equal among images, and the
 * folded problem has the same rates and finish times as the whole one.
 */
#include "sim/coll_int.h"

#include "base/mem.h"

#include <stdlib.h>

static bool nested(int a, int b)
{
	return a % b == 0 || b % a == 0;
}

/* Leaves and pods are full, and groups fit into them or are made of them. */
static bool hierarchy_fits(const struct net *net, const struct coll_shape *s)
{
	int pod_nodes = net->leaf_nodes * net->pod_leaves, i;
	int edge[2] = { s->node_stride, s->node_stride * s->nodes };

	if (net->cluster.nodes % net->leaf_nodes ||
	    net->leaves % net->pod_leaves)
		return false;
	for (i = 0; i < 2; i++) {
		if (!nested(edge[i], net->leaf_nodes) ||
		    !nested(edge[i], pod_nodes))
			return false;
	}
	return true;
}

/*
 * Shifts by a number of nodes keep the order of peers only where all nodes
 * look alike from everywhere.
 */
static bool is_flat(const struct net *net)
{
	return net->leaves == 1;
}

bool coll_symmetric(const struct coll_build *b)
{
	bool ordered = b->part[0].rounds || b->spec->comm.window > 0;

	if (b->t->bytes || !b->shape.regular || b->spec->net->uneven)
		return false;
	return hierarchy_fits(b->spec->net, &b->shape) &&
	       (!ordered || is_flat(b->spec->net));
}

void coll_view_init(struct coll_view *v, const struct coll_spec *spec,
		    bool folded)
{
	const struct net *net = spec->net;
	int k, i, nodes = net->cluster.nodes;

	*v = (struct coll_view){ .net = net, .folded = folded,
				 .progress = spec->progress,
				 .mirror = folded ? NULL : spec->mirror };
	if (!folded) {
		v->n_links = net->n_links;
		v->capacity_Bps = net->capacity_Bps;
		return;
	}
	for (k = 0; k < LINK_CLASS_N; k++) {
		int n = net->count[k];

		v->first[k] = v->n_links;
		v->period[k] = k == LINK_LEAF_UP || k == LINK_LEAF_DOWN ?
			(net->leaves > 1 ? 1 : n) : n < nodes ? 1 : n / nodes;
		v->n_links += n ? v->period[k] : 0;
	}
	v->owned = xcalloc((size_t)v->n_links, sizeof(*v->owned));
	for (k = 0; k < LINK_CLASS_N; k++) {
		int n = net->count[k];

		for (i = 0; n && i < v->period[k]; i++) {
			double images = (double)nodes * v->period[k] / n;

			v->owned[v->first[k] + i] =
				net->capacity_Bps[net->first[k]] / images;
		}
	}
	v->capacity_Bps = v->owned;
}

void coll_view_release(struct coll_view *v)
{
	free(v->owned);
	*v = (struct coll_view){ 0 };
}

void coll_view_route(const struct coll_view *v, int src, int dst,
		     struct route *out)
{
	int i;

	net_route(v->net, src, dst, out);
	for (i = 0; v->folded && i < out->n; i++) {
		int k = (int)net_link_class(v->net, out->link[i]);

		out->link[i] = v->first[k] + (out->link[i] -
			v->net->first[k]) % v->period[k];
	}
}

int coll_view_link(const struct coll_view *v, int link)
{
	int k;

	if (!v->folded || link < 0)
		return link;
	for (k = LINK_CLASS_N - 1; v->first[k] > link ||
	     !v->net->count[k]; k--)
		;
	return v->net->first[k] + link - v->first[k];
}

/* Bytes over the links of the view. */
static double *view_bytes(const struct coll_view *v, const struct coll_part *p)
{
	double *bytes = xcalloc((size_t)v->n_links + 1, sizeof(*bytes));
	struct route r;
	size_t i;
	int k;

	for (i = 0; i < p->n_flows; i++) {
		coll_view_route(v, p->flow[i].src, p->flow[i].dst, &r);
		for (k = 0; k < r.n; k++) {
			double *at = &bytes[r.link[k]];

			*at = coll_plus_times(*at, p->flow[i].bytes,
					      coll_times(p, i));
		}
	}
	return bytes;
}

void coll_view_rows(const struct coll_view *v, const struct coll_part *p,
		    struct link_rows *out)
{
	struct link_grid g = link_grid_of(v->net);
	double *bytes = view_bytes(v, p), *fabric;
	int k, i, nodes = v->net->cluster.nodes;

	*out = (struct link_rows){ .n_rows = 1 };
	out->bytes = xcalloc((size_t)(g.per_node + g.fabric) + 1,
			     sizeof(*out->bytes));
	fabric = out->bytes + g.per_node;
	for (k = 0; k < LINK_LEAF_UP; k++) {
		for (i = 0; i < g.per[k]; i++)
			out->bytes[g.at[k] + i] = bytes[v->first[k] + i];
	}
	for (; k < LINK_CLASS_N; k++) {
		double images = v->net->count[k] ? (double)nodes *
			v->period[k] / v->net->count[k] : 0;

		for (i = 0; i < v->net->count[k]; i++) {
			fabric[g.at[k] + i] = images *
				bytes[v->first[k] + i % v->period[k]];
		}
	}
	free(bytes);
}
