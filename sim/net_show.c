/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a net says about itself: names of links, bisection. */
#include "sim/net.h"

#include "base/mem.h"
#include "sim/net_fault.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum link_class net_link_class(const struct net *net, int link)
{
	int k = 0;

	while (k + 1 < LINK_CLASS_N &&
	       link >= net->first[k] + net->count[k]) {
		k++;
	}
	return k;
}

static const char *const class_names[LINK_CLASS_N] = {
	[LINK_NVLINK_UP] = "nvlink up",
	[LINK_NVLINK_DOWN] = "nvlink down",
	[LINK_NVLINK_PAIR] = "nvlink",
	[LINK_PCIE_UP] = "pcie up",
	[LINK_PCIE_DOWN] = "pcie down",
	[LINK_SWITCH_UP] = "pcie switch up",
	[LINK_SWITCH_DOWN] = "pcie switch down",
	[LINK_SOCKET] = "socket link",
	[LINK_NIC_UP] = "nic up",
	[LINK_NIC_DOWN] = "nic down",
	[LINK_LEAF_UP] = "leaf up",
	[LINK_LEAF_DOWN] = "leaf down",
	[LINK_POD_UP] = "pod up",
	[LINK_POD_DOWN] = "pod down",
};

const char *link_class_name(enum link_class c)
{
	return class_names[c];
}

/* Destination of link i of those that leave one of n peers. */
static int peer(int i, int n)
{
	int from = i / (n - 1) % n, to = i % (n - 1);

	return to + (to >= from);
}

static void pair_name(const struct net *net, int i, char *out, size_t size)
{
	int g = net->cluster.gpus_per_node;

	if (net->cluster.intra.kind == INTRA_NVLINK_MESH) {
		snprintf(out, size, "node %d gpu %d to gpu %d nvlink",
			 i / (g - 1) / g, i / (g - 1) % g, peer(i, g));
	} else {
		snprintf(out, size, "node %d gpu %d to gpu %d nvlink", i / g,
			 i % g, i % g ^ 1);
	}
}

char *net_link_name(const struct net *net, int link, char *out, size_t size)
{
	enum link_class k = net_link_class(net, link);
	int i = link - net->first[k], g = net->cluster.gpus_per_node;
	int s = net->sockets;
	bool shared = net->ports < g;
	const char *leaf = "leaf %d %s";

	switch (k) {
	case LINK_NVLINK_PAIR:
		pair_name(net, i, out, size);
		break;
	case LINK_SWITCH_UP:
	case LINK_SWITCH_DOWN:
		snprintf(out, size, "node %d switch %d %s", i / net->switches,
			 i % net->switches, k == LINK_SWITCH_UP ? "up" :
			 "down");
		break;
	case LINK_SOCKET:
		snprintf(out, size, "node %d socket %d to socket %d",
			 i / (s - 1) / s, i / (s - 1) % s, peer(i, s));
		break;
	case LINK_NIC_UP:
	case LINK_NIC_DOWN:
		snprintf(out, size, shared ? "node %d nic %d %s" :
			 "node %d gpu %d nic %s", i / net->ports,
			 i % net->ports, k == LINK_NIC_UP ? "up" : "down");
		break;
	case LINK_LEAF_UP:
	case LINK_LEAF_DOWN:
		if (net->cluster.fabric.kind == FABRIC_RAIL) {
			leaf = "rail %d leaf %s";
		} else if (net->cluster.fabric.kind == FABRIC_RACK) {
			leaf = "rack %d %s";
		}
		snprintf(out, size, leaf, i, k == LINK_LEAF_UP ? "up" :
			 "down");
		break;
	case LINK_POD_UP:
	case LINK_POD_DOWN:
		snprintf(out, size, "pod %d %s", i, k == LINK_POD_UP ? "up" :
			 "down");
		break;
	default:
		snprintf(out, size, "node %d gpu %d %s", i / g, i % g,
			 class_names[k]);
	}
	return out;
}

/*
 * What a group of the tree can still send up from its part of the first half
 * and take down into its part of the second. Traffic between the halves is
 * best met as low in the tree as possible (meeting one level higher uses
 * more links and no fewer below), so the largest flow is found bottom up.
 */
struct halves {
	double up, down;
	double met;	/* already crossed inside */
};

static void halves_add(struct halves *h, const struct halves *child)
{
	h->up += child->up;
	h->down += child->down;
	h->met += child->met;
}

static void halves_meet(struct halves *h)
{
	double x = fmin(h->up, h->down);

	h->met += x;
	h->up -= x;
	h->down -= x;
}

static void halves_clip(struct halves *h, double capacity)
{
	h->up = fmin(h->up, capacity);
	h->down = fmin(h->down, capacity);
}

/* Link i of a class; 0 when there is none, or it is gone. */
static double capacity_of(const struct net *net, enum link_class k, int i)
{
	int link = net->first[k] + i;

	return i < net->count[k] && !net_link_gone(net, link) ?
		net->capacity_Bps[link] : 0;
}

/* Units [from, to) cut at `cut`, each with `per` links of a class. */
static struct halves halves_of(const struct net *net, enum link_class k,
			       int from, int to, int cut, int per)
{
	struct halves h = { 0 };

	for (int i = from * per; i < to * per; i++)
		*(i < cut * per ? &h.up : &h.down) += capacity_of(net, k, i);
	return h;
}

static int imin(int a, int b)
{
	return a < b ? a : b;
}

/* One leaf: its nodes meet in it, or, in a rack, over NVLink. */
static struct halves leaf_halves(const struct net *net, int leaf, int cut)
{
	const struct cluster *c = &net->cluster;
	int from = leaf * net->leaf_nodes;
	int to = imin(from + net->leaf_nodes, c->nodes);
	struct halves h = halves_of(net, LINK_NIC_UP, from, to, cut,
				    net->ports);

	if (c->fabric.kind == FABRIC_RACK) {
		struct halves nv = halves_of(net, LINK_NVLINK_UP, from, to,
					     cut, c->gpus_per_node);

		h.met = fmin(nv.up, nv.down);
	} else {
		halves_meet(&h);
	}
	if (net->count[LINK_LEAF_UP] && c->fabric.kind != FABRIC_RAIL) {
		halves_clip(&h, capacity_of(net, LINK_LEAF_UP, leaf));
	}
	return h;
}

static double fabric_bisection(const struct net *net)
{
	struct halves all = { 0 };

	for (int p = 0; p < net->pods; p++) {
		struct halves pod = { 0 };
		int to = imin((p + 1) * net->pod_leaves, net->leaves);

		for (int l = p * net->pod_leaves; l < to; l++) {
			struct halves h = leaf_halves(net, l,
						net->cluster.nodes / 2);

			halves_add(&pod, &h);
		}
		halves_meet(&pod);
		if (net->count[LINK_POD_UP]) {
			halves_clip(&pod, capacity_of(net, LINK_POD_UP, p));
		}
		halves_add(&all, &pod);
	}
	halves_meet(&all);
	return all.met;
}

/* One socket's share of the PCIe tree, its GPUs cut at `cut`. */
static struct halves socket_halves(const struct net *net, int socket, int cut)
{
	struct halves all = { 0 };
	int from = socket * net->socket_switches;
	int to = imin(from + net->socket_switches, net->switches);

	for (int s = from; s < to; s++) {
		struct halves h = halves_of(net, LINK_PCIE_UP,
					    s * net->switch_gpus,
					    imin((s + 1) * net->switch_gpus,
						 net->cluster.gpus_per_node),
					    cut, 1);

		halves_meet(&h);
		if (net->count[LINK_SWITCH_UP]) {
			halves_clip(&h, capacity_of(net, LINK_SWITCH_UP, s));
		}
		halves_add(&all, &h);
	}
	halves_meet(&all);
	return all;
}

/* Sockets are joined pairwise: what is left of each meets each other one. */
static double pcie_bisection(const struct net *net, int cut)
{
	double met = 0, link = capacity_of(net, LINK_SOCKET, 0);
	struct halves *h = xcalloc(net->sockets, sizeof(*h));

	for (int i = 0; i < net->sockets; i++) {
		h[i] = socket_halves(net, i, cut);
		met += h[i].met;
	}
	for (int i = 0; i < net->sockets; i++) {
		for (int j = 0; j < net->sockets; j++) {
			double x = i == j ? 0 :
				   fmin(link, fmin(h[i].up, h[j].down));

			h[i].up -= x;
			h[j].down -= x;
			met += x;
		}
	}
	free(h);
	return met;
}

/* Every link of the mesh from the first half to the second. */
static double mesh_bisection(const struct net *net, int cut)
{
	int g = net->cluster.gpus_per_node;
	double sum = 0;

	for (int a = 0; a < cut; a++) {
		for (int b = cut; b < g; b++)
			sum += capacity_of(net, LINK_NVLINK_PAIR,
					   a * (g - 1) + b - 1);
	}
	return sum;
}

/* The one pair that the cut divides, if any. */
static double pair_bisection(const struct net *net, int cut)
{
	return cut % 2 ? capacity_of(net, LINK_NVLINK_PAIR, cut - 1) : 0;
}

static double node_bisection(const struct net *net)
{
	int g = net->cluster.gpus_per_node, cut = g / 2;
	struct halves h;

	switch (net->cluster.intra.kind) {
	case INTRA_NVSWITCH:
		h = halves_of(net, LINK_NVLINK_UP, 0, g, cut, 1);
		return fmin(h.up, h.down);
	case INTRA_NVLINK_MESH:
		return mesh_bisection(net, cut);
	case INTRA_NVLINK_PAIRS:
		return pcie_bisection(net, cut) + pair_bisection(net, cut);
	default:
		return pcie_bisection(net, cut);
	}
}

double net_bisection_Bps(const struct net *net)
{
	return net->cluster.nodes == 1 ? node_bisection(net) :
	       fabric_bisection(net);
}
