/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/net.h"

#include "sim/net_fault.h"

static void add(const struct net *net, struct route *r, enum link_class k,
		int i)
{
	r->link[r->n++] = net->first[k] + i;
}

/* GPU a to GPU b (local ranks) of one node over its PCIe tree. */
static void add_pcie(const struct net *net, struct route *r, int node, int a,
		     int b)
{
	int g = net->cluster.gpus_per_node, n = net->sockets;
	int sa = a / net->switch_gpus, sb = b / net->switch_gpus;
	int ka = sa / net->socket_switches, kb = sb / net->socket_switches;

	add(net, r, LINK_PCIE_UP, node * g + a);
	if (sa != sb) {
		add(net, r, LINK_SWITCH_UP, node * net->switches + sa);
		if (ka != kb) {
			add(net, r, LINK_SOCKET,
			    (node * n + ka) * (n - 1) + kb - (kb > ka));
		}
		add(net, r, LINK_SWITCH_DOWN, node * net->switches + sb);
	}
	add(net, r, LINK_PCIE_DOWN, node * g + b);
}

/* Two ranks of one domain. */
static void add_intra(const struct net *net, struct route *r, int src,
		      int dst)
{
	int g = net->cluster.gpus_per_node;
	int node = src / g, a = src % g, b = dst % g;

	r->latency_s += net->cluster.intra.latency_s;
	switch (net->cluster.intra.kind) {
	case INTRA_NVSWITCH:
		add(net, r, LINK_NVLINK_UP, src);
		add(net, r, LINK_NVLINK_DOWN, dst);
		break;
	case INTRA_NVLINK_MESH:
		add(net, r, LINK_NVLINK_PAIR, src * (g - 1) + b - (b > a));
		break;
	case INTRA_NVLINK_PAIRS:
		if (a / 2 == b / 2 &&
		    !(net->pair_gone && net->pair_gone[src])) {
			add(net, r, LINK_NVLINK_PAIR, src);
			break;
		}
		add_pcie(net, r, node, a, b);
		break;
	case INTRA_PCIE:
		add_pcie(net, r, node, a, b);
		break;
	}
}

static int port_of(const struct net *net, int local)
{
	if (net->ports == net->cluster.gpus_per_node)
		return local;
	return (int)((int64_t)local * net->ports / net->cluster.gpus_per_node);
}

/* The links above the NICs; p, q: the two ports' rails. */
static void add_fabric(const struct net *net, struct route *r, int src_node,
		       int p, int dst_node, int q)
{
	int a = src_node / net->leaf_nodes, b = dst_node / net->leaf_nodes;
	bool pods = net->count[LINK_POD_UP] > 0 &&
		    a / net->pod_leaves != b / net->pod_leaves;

	if (net->cluster.fabric.kind == FABRIC_RAIL) {
		a = p;
		b = q;
	}
	if (net->count[LINK_LEAF_UP] == 0 || a == b) {
		return;
	}
	add(net, r, LINK_LEAF_UP, a);
	if (pods) {
		add(net, r, LINK_POD_UP, a / net->pod_leaves);
		add(net, r, LINK_POD_DOWN, b / net->pod_leaves);
	}
	add(net, r, LINK_LEAF_DOWN, b);
}

/* The first GPU of a port: where traffic of a port that is gone goes. */
static int gpu_of_port(const struct net *net, int node, int port)
{
	int g = net->cluster.gpus_per_node;

	return node * g + (int)(((int64_t)port * g + net->ports - 1) /
				net->ports);
}

/* Two nodes; p, q: the ports of source and destination. */
static void add_inter(const struct net *net, struct route *r, int src,
		      int dst)
{
	int g = net->cluster.gpus_per_node, a = src / g, b = dst / g;
	int p = port_of(net, src % g), q = port_of(net, dst % g);
	int to = net_fault_port(net, b, q);
	int from = net_fault_port(net, a, net->cluster.pxn ? to : p);
	/* pxn: by the local GPU that has the destination's place */
	int via = from == q ? a * g + dst % g : gpu_of_port(net, a, from);

	r->latency_s += net->cluster.nic.latency_s;
	if (from != p)
		add_intra(net, r, src, via);
	add(net, r, LINK_NIC_UP, a * net->ports + from);
	add_fabric(net, r, a, from, b, to);
	add(net, r, LINK_NIC_DOWN, b * net->ports + to);
	if (to != q)
		add_intra(net, r, gpu_of_port(net, b, to), dst);
}

void net_route(const struct net *net, int src, int dst, struct route *out)
{
	out->n = 0;
	out->latency_s = 0;
	if (net_same_domain(net, src, dst))
		add_intra(net, out, src, dst);
	else
		add_inter(net, out, src, dst);
}
