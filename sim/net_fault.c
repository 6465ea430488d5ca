/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/net_fault.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static enum status refuse(const struct degraded *f, const char *why)
{
	if (f->kind == FAULT_LEAF)
		return err_set(ST_INPUT, "key 'faults.degraded': leaf %d: %s",
			       f->index, why);
	return err_set(ST_INPUT, "key 'faults.degraded': %s %d:%d: %s",
		       fault_kind_name(f->kind), f->node, f->index, why);
}

/* A link of a class, by its number in the class. */
static void scale(struct net *net, enum link_class k, int i, double share)
{
	net->capacity_Bps[net->first[k] + i] *= share;
	net->uneven = true;
}

static void lose_port(struct net *net, int node, int port)
{
	if (!net->port_gone)
		net->port_gone = xcalloc((size_t)net->cluster.nodes *
					 (size_t)net->ports, 1);
	net->port_gone[node * net->ports + port] = 1;
	net->uneven = true;
}

static enum status fault_nic(struct net *net, const struct degraded *f)
{
	int i = f->node * net->ports + f->index;

	if (!net->count[LINK_NIC_UP])
		return refuse(f, "one node uses no NIC");
	if (f->index >= net->ports)
		return refuse(f, "the node has no such NIC port");
	if (f->share == 0) {
		lose_port(net, f->node, f->index);
		return ST_OK;
	}
	scale(net, LINK_NIC_UP, i, f->share);
	scale(net, LINK_NIC_DOWN, i, f->share);
	return ST_OK;
}

/* Mesh: every link that begins or ends at the GPU. */
static void scale_mesh(struct net *net, int node, int gpu, double share)
{
	int g = net->cluster.gpus_per_node;

	for (int a = 0; a < g; a++) {
		for (int b = 0; b < g; b++) {
			if (a != b && (a == gpu || b == gpu))
				scale(net, LINK_NVLINK_PAIR,
				      (node * g + a) * (g - 1) + b - (b > a),
				      share);
		}
	}
}

/* nvlink-pairs: both directions of a pair's link. Without it there is PCIe. */
static enum status fault_pair(struct net *net, const struct degraded *f)
{
	int g = net->cluster.gpus_per_node, end[2] = { f->index, f->index ^ 1 };

	if (end[1] >= g)
		return refuse(f, "the GPU has no neighbour on NVLink");
	if (f->share == 0 && !net->pair_gone)
		net->pair_gone = xcalloc((size_t)net->n_ranks, 1);
	for (int i = 0; i < 2; i++) {
		if (f->share == 0) {
			net->pair_gone[f->node * g + end[i]] = 1;
			net->uneven = true;
		} else {
			scale(net, LINK_NVLINK_PAIR, f->node * g + end[i],
			      f->share);
		}
	}
	return ST_OK;
}

static enum status fault_nvlink(struct net *net, const struct degraded *f)
{
	int g = net->cluster.gpus_per_node, rank = f->node * g + f->index;

	if (net->cluster.intra.kind == INTRA_NVLINK_PAIRS &&
	    net->count[LINK_NVLINK_PAIR])
		return fault_pair(net, f);
	if (!net->count[LINK_NVLINK_UP] && !net->count[LINK_NVLINK_PAIR])
		return refuse(f, "the cluster has no NVLink");
	if (f->share == 0)
		return refuse(f, "without NVLink the GPU is cut off from its "
			      "node");
	if (net->count[LINK_NVLINK_UP]) {
		scale(net, LINK_NVLINK_UP, rank, f->share);
		scale(net, LINK_NVLINK_DOWN, rank, f->share);
	} else {
		scale_mesh(net, f->node, f->index, f->share);
	}
	return ST_OK;
}

static enum status fault_pcie(struct net *net, const struct degraded *f)
{
	int rank = f->node * net->cluster.gpus_per_node + f->index;

	if (!net->count[LINK_PCIE_UP])
		return refuse(f, "the cluster's GPUs do not talk over PCIe");
	if (f->share == 0)
		return refuse(f, "without PCIe the GPU is cut off");
	scale(net, LINK_PCIE_UP, rank, f->share);
	scale(net, LINK_PCIE_DOWN, rank, f->share);
	return ST_OK;
}

static enum status fault_leaf(struct net *net, const struct degraded *f)
{
	bool rail = net->cluster.fabric.kind == FABRIC_RAIL;

	if (f->index >= net->count[LINK_LEAF_UP])
		return refuse(f, net->count[LINK_LEAF_UP] ?
			      "the fabric has no such leaf" :
			      "the fabric has no leaves");
	if (f->share == 0 && !rail)
		return refuse(f, "its nodes are cut off");
	for (int n = 0; f->share == 0 && n < net->cluster.nodes; n++)
		lose_port(net, n, f->index);
	if (f->share > 0) {
		scale(net, LINK_LEAF_UP, f->index, f->share);
		scale(net, LINK_LEAF_DOWN, f->index, f->share);
	}
	return ST_OK;
}

static enum status fault_gpu(struct net *net, const struct degraded *f)
{
	size_t n = (size_t)net->n_ranks, i;

	if (f->share == 0)
		return refuse(f, "a rank without a GPU cannot run: plan for "
			      "fewer GPUs");
	if (!net->gpu_share) {
		net->gpu_share = xcalloc(n, sizeof(*net->gpu_share));
		for (i = 0; i < n; i++)
			net->gpu_share[i] = 1;
	}
	net->gpu_share[f->node * net->cluster.gpus_per_node + f->index] *=
		f->share;
	return ST_OK;
}

static enum status (*const apply[FAULT_KIND_N])(struct net *,
						const struct degraded *) = {
	[FAULT_NIC] = fault_nic,
	[FAULT_NVLINK] = fault_nvlink,
	[FAULT_PCIE] = fault_pcie,
	[FAULT_LEAF] = fault_leaf,
	[FAULT_GPU] = fault_gpu,
};

static enum status check_place(const struct net *net, const struct degraded *f)
{
	if (f->node >= net->cluster.nodes)
		return refuse(f, "there is no such node");
	if (f->kind != FAULT_LEAF && f->kind != FAULT_NIC &&
	    f->index >= net->cluster.gpus_per_node)
		return refuse(f, "the node has no such GPU");
	return ST_OK;
}

/* A node whose ports are all gone; -1: every node has one. */
static int node_cut_off(const struct net *net)
{
	for (int node = 0; node < net->cluster.nodes; node++) {
		int left = 0;

		for (int p = 0; p < net->ports; p++)
			left += !net->port_gone[node * net->ports + p];
		if (!left)
			return node;
	}
	return -1;
}

enum status net_fault_init(struct net *net)
{
	const struct cluster *c = &net->cluster;
	enum status st = ST_OK;
	int node;

	for (int i = 0; !st && i < c->n_faults; i++) {
		const struct degraded *f = &c->fault[i];

		st = check_place(net, f);
		if (!st && f->share < 1)
			st = apply[f->kind](net, f);
	}
	if (st || !net->port_gone)
		return st;
	node = node_cut_off(net);
	if (node >= 0)
		return err_set(ST_INPUT, "key 'faults.degraded': node %d has "
			       "no NIC left", node);
	return ST_OK;
}

int net_fault_port(const struct net *net, int node, int port)
{
	if (!net->port_gone)
		return port;
	while (net->port_gone[node * net->ports + port])
		port = (port + 1) % net->ports;
	return port;
}

bool net_link_gone(const struct net *net, int link)
{
	enum link_class k = net_link_class(net, link);
	int i = link - net->first[k];

	if (k == LINK_NIC_UP || k == LINK_NIC_DOWN)
		return net->port_gone && net->port_gone[i];
	return k == LINK_NVLINK_PAIR && net->pair_gone && net->pair_gone[i];
}

double net_gpu_share(const struct net *net, int rank)
{
	return net->gpu_share ? net->gpu_share[rank] : 1;
}

double net_gpu_share_least(const struct net *net, int step)
{
	double least = 1;

	for (int r = 0; net->gpu_share && r < net->n_ranks; r += step)
		least = fmin(least, net->gpu_share[r]);
	return least;
}
