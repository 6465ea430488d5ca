/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/net.h"

#include "base/mem.h"
#include "sim/net_fault.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

/* Links are numbered in an int32_t and some code wants twice as many. */
#define LINKS_MAX (INT32_MAX / 4)

static int ceil_div(int a, int b)
{
	return a / b + (a % b != 0);
}

static bool has_pcie(const struct cluster *c)
{
	return c->intra.kind == INTRA_PCIE ||
	       c->intra.kind == INTRA_NVLINK_PAIRS;
}

static bool has_leaves(const struct cluster *c)
{
	return c->fabric.kind == FABRIC_LEAF_SPINE ||
	       c->fabric.kind == FABRIC_FAT_TREE;
}

static enum status need_positive(const char *key, double v)
{
	if (!(v > 0) || isinf(v)) {
		return err_set(ST_INPUT, "'%s' is %g: must be above 0", key,
			       v);
	}
	return ST_OK;
}

static enum status check_sizes(const struct cluster *c)
{
	if (c->nodes < 1) {
		return err_set(ST_INPUT,
			       "'cluster.nodes' is %d: must be at least 1",
			       c->nodes);
	}
	if (c->gpus_per_node < 1) {
		return err_set(ST_INPUT,
			       "'cluster.gpus_per_node' is %d: must be at "
			       "least 1", c->gpus_per_node);
	}
	if ((double)c->nodes * c->gpus_per_node > LINKS_MAX / 16) {
		return err_set(ST_INPUT,
			       "'cluster.nodes' is %d: %d GPUs each make more "
			       "than %d ranks", c->nodes, c->gpus_per_node,
			       LINKS_MAX / 16);
	}
	return ST_OK;
}

static enum status check_nic(const struct cluster *c)
{
	int per_gpu = c->nic.per_gpu, per_node = c->nic.per_node;

	if (c->nodes == 1) {
		return ST_OK;
	}
	if (per_gpu < 0 || per_node < 0 || (per_gpu > 0) == (per_node > 0)) {
		return err_set(ST_INPUT,
			       "'cluster.nic.per_gpu' is %d and "
			       "'cluster.nic.per_node' is %d: exactly one "
			       "must be above 0", per_gpu, per_node);
	}
	if (per_node > c->gpus_per_node && per_node % c->gpus_per_node) {
		return err_set(ST_INPUT,
			       "'cluster.nic.per_node' is %d: must be at most "
			       "or a multiple of the %d GPUs of a node",
			       per_node, c->gpus_per_node);
	}
	return need_positive("cluster.nic.bandwidth", c->nic.bandwidth_Bps);
}

static enum status check_rack(const struct cluster *c)
{
	int size = c->fabric.gpus_per_rack;

	if (c->intra.kind != INTRA_NVSWITCH) {
		return err_set(ST_INPUT,
			       "'cluster.fabric.kind' is 'rack': "
			       "'cluster.intra.kind' must be 'nvswitch'");
	}
	if (size < 1 || size % c->gpus_per_node) {
		return err_set(ST_INPUT,
			       "'cluster.fabric.gpus_per_rack' is %d: must be "
			       "a multiple of the %d GPUs of a node", size,
			       c->gpus_per_node);
	}
	return ST_OK;
}

static enum status check_fabric(const struct cluster *c)
{
	enum status st = ST_OK;

	if (c->fabric.kind == FABRIC_RACK && (st = check_rack(c))) {
		return st;
	}
	if (c->nodes == 1 || c->fabric.kind == FABRIC_NONBLOCKING) {
		return ST_OK;
	}
	st = need_positive("cluster.fabric.oversubscription",
			   c->fabric.oversubscription);
	if (st || !has_leaves(c)) {
		return st;
	}
	if (c->fabric.nodes_per_leaf < 1) {
		return err_set(ST_INPUT,
			       "'cluster.fabric.nodes_per_leaf' is %d: must be "
			       "at least 1", c->fabric.nodes_per_leaf);
	}
	if (c->fabric.kind != FABRIC_FAT_TREE) {
		return ST_OK;
	}
	if (c->fabric.leaves_per_pod < 1) {
		return err_set(ST_INPUT,
			       "'cluster.fabric.leaves_per_pod' is %d: must be "
			       "at least 1", c->fabric.leaves_per_pod);
	}
	return need_positive("cluster.fabric.core_oversubscription",
			     c->fabric.core_oversubscription);
}

static enum status check_intra(const struct cluster *c)
{
	if (c->gpus_per_node == 1 && c->fabric.kind != FABRIC_RACK) {
		return ST_OK;
	}
	if (c->intra.kind != INTRA_PCIE || c->intra.pcie_Bps <= 0) {
		return need_positive("cluster.intra.bandwidth",
				     c->intra.bandwidth_Bps);
	}
	return ST_OK;
}

static void derive_tree(struct net *net)
{
	const struct cluster *c = &net->cluster;
	int g = c->gpus_per_node;

	net->switch_gpus = g;
	if (has_pcie(c) && c->intra.gpus_per_switch > 0 &&
	    c->intra.gpus_per_switch < g) {
		net->switch_gpus = c->intra.gpus_per_switch;
	}
	net->switches = ceil_div(g, net->switch_gpus);
	net->socket_switches = net->switches;
	if (c->intra.switches_per_socket > 0 &&
	    c->intra.switches_per_socket < net->switches) {
		net->socket_switches = c->intra.switches_per_socket;
	}
	net->sockets = ceil_div(net->switches, net->socket_switches);
}

static void derive_fabric(struct net *net)
{
	const struct cluster *c = &net->cluster;
	int g = c->gpus_per_node, bundle;

	net->ports = c->nic.per_gpu > 0 || c->nic.per_node > g ||
		     c->nic.per_node < 1 ? g : c->nic.per_node;
	bundle = c->nic.per_gpu > 0 ? c->nic.per_gpu :
		 c->nic.per_node > g ? c->nic.per_node / g : 1;
	net->port_Bps = bundle * c->nic.bandwidth_Bps;
	net->domain = g;
	net->leaf_nodes = c->nodes;
	if (has_leaves(c) && c->fabric.nodes_per_leaf > 0 &&
	    c->fabric.nodes_per_leaf < c->nodes) {
		net->leaf_nodes = c->fabric.nodes_per_leaf;
	}
	if (c->fabric.kind == FABRIC_RACK) {
		net->domain = c->fabric.gpus_per_rack;
		net->leaf_nodes = net->domain / g;
	}
	net->leaves = ceil_div(c->nodes, net->leaf_nodes);
	net->pod_leaves = net->leaves;
	if (c->fabric.kind == FABRIC_FAT_TREE &&
	    c->fabric.leaves_per_pod > 0 &&
	    c->fabric.leaves_per_pod < net->leaves) {
		net->pod_leaves = c->fabric.leaves_per_pod;
	}
	net->pods = ceil_div(net->leaves, net->pod_leaves);
}

static void count_intra(struct net *net)
{
	const struct cluster *c = &net->cluster;
	int g = c->gpus_per_node, *count = net->count;

	if (net->domain == 1) {
		return;
	}
	if (c->intra.kind == INTRA_NVSWITCH) {
		count[LINK_NVLINK_UP] = net->n_ranks;
		count[LINK_NVLINK_DOWN] = net->n_ranks;
	} else if (c->intra.kind == INTRA_NVLINK_MESH) {
		count[LINK_NVLINK_PAIR] = net->n_ranks * (g - 1);
	} else if (c->intra.kind == INTRA_NVLINK_PAIRS) {
		count[LINK_NVLINK_PAIR] = net->n_ranks;
	}
	if (!has_pcie(c)) {
		return;
	}
	count[LINK_PCIE_UP] = net->n_ranks;
	count[LINK_PCIE_DOWN] = net->n_ranks;
	if (net->switches > 1) {
		count[LINK_SWITCH_UP] = c->nodes * net->switches;
		count[LINK_SWITCH_DOWN] = c->nodes * net->switches;
	}
	count[LINK_SOCKET] = c->nodes * net->sockets * (net->sockets - 1);
}

static void count_fabric(struct net *net)
{
	const struct cluster *c = &net->cluster;
	int *count = net->count, leaves = 0;

	if (c->nodes == 1) {
		return;
	}
	count[LINK_NIC_UP] = c->nodes * net->ports;
	count[LINK_NIC_DOWN] = c->nodes * net->ports;
	if (c->fabric.kind == FABRIC_RAIL) {
		leaves = net->ports;
	} else if (c->fabric.kind != FABRIC_NONBLOCKING) {
		leaves = net->leaves;
	}
	count[LINK_LEAF_UP] = leaves;
	count[LINK_LEAF_DOWN] = leaves;
	if (c->fabric.kind == FABRIC_FAT_TREE && net->pods > 1) {
		count[LINK_POD_UP] = net->pods;
		count[LINK_POD_DOWN] = net->pods;
	}
}

/* More than LINKS_MAX would wrap in count_intra(). */
static enum status check_links(const struct net *net)
{
	const struct cluster *c = &net->cluster;
	double per_gpu = c->intra.kind == INTRA_NVLINK_MESH ?
			 c->gpus_per_node : 0;
	double sockets = has_pcie(c) ? (double)net->sockets * net->sockets : 0;

	if (per_gpu * net->n_ranks + sockets * c->nodes > LINKS_MAX / 2) {
		return err_set(ST_INPUT,
			       "'cluster.gpus_per_node' is %d: the links of "
			       "%d nodes would be more than %d",
			       c->gpus_per_node, c->nodes, LINKS_MAX / 2);
	}
	return ST_OK;
}

/* Data sheet capacity of one link of a class, before efficiency. */
static double class_capacity(const struct net *net, enum link_class k)
{
	const struct cluster *c = &net->cluster;
	double pcie = c->intra.pcie_Bps > 0 ? c->intra.pcie_Bps :
		      c->intra.bandwidth_Bps;
	double leaf = net->leaf_nodes * (double)net->ports * net->port_Bps /
		      c->fabric.oversubscription;

	switch (k) {
	case LINK_NVLINK_UP:
	case LINK_NVLINK_DOWN:
		return c->intra.bandwidth_Bps;
	case LINK_NVLINK_PAIR:
		return c->intra.kind == INTRA_NVLINK_MESH ?
		       c->intra.bandwidth_Bps / (c->gpus_per_node - 1) :
		       c->intra.bandwidth_Bps;
	case LINK_PCIE_UP:
	case LINK_PCIE_DOWN:
	case LINK_SWITCH_UP:
	case LINK_SWITCH_DOWN:
		return pcie;
	case LINK_SOCKET:
		return c->intra.socket_Bps;
	case LINK_NIC_UP:
	case LINK_NIC_DOWN:
		return net->port_Bps;
	case LINK_LEAF_UP:
	case LINK_LEAF_DOWN:
		return c->fabric.kind == FABRIC_RAIL ?
		       c->nodes * net->port_Bps / c->fabric.oversubscription :
		       leaf;
	case LINK_POD_UP:
	case LINK_POD_DOWN:
		return net->pod_leaves * leaf / c->fabric.core_oversubscription;
	default:
		return 0;
	}
}

static const char *const class_key[LINK_CLASS_N] = {
	[LINK_NVLINK_UP] = "cluster.intra.bandwidth",
	[LINK_NVLINK_DOWN] = "cluster.intra.bandwidth",
	[LINK_NVLINK_PAIR] = "cluster.intra.bandwidth",
	[LINK_PCIE_UP] = "cluster.intra.pcie",
	[LINK_PCIE_DOWN] = "cluster.intra.pcie",
	[LINK_SWITCH_UP] = "cluster.intra.pcie",
	[LINK_SWITCH_DOWN] = "cluster.intra.pcie",
	[LINK_SOCKET] = "cluster.intra.socket",
	[LINK_NIC_UP] = "cluster.nic.bandwidth",
	[LINK_NIC_DOWN] = "cluster.nic.bandwidth",
	[LINK_LEAF_UP] = "cluster.fabric.oversubscription",
	[LINK_LEAF_DOWN] = "cluster.fabric.oversubscription",
	[LINK_POD_UP] = "cluster.fabric.core_oversubscription",
	[LINK_POD_DOWN] = "cluster.fabric.core_oversubscription",
};

static enum status fill_capacities(struct net *net, enum net_rates rates)
{
	const struct gpu *gpu = &net->cluster.gpu;

	net->capacity_Bps = xmalloc((net->n_links + 1) *
				    sizeof(*net->capacity_Bps));
	for (int k = 0; k < LINK_CLASS_N; k++) {
		double v = class_capacity(net, k), e = 1;
		enum status st;

		if (net->count[k] == 0) {
			continue;
		}
		if (rates == NET_EFFECTIVE) {
			e = k < LINK_NIC_UP ? gpu->intra.efficiency :
			    gpu->inter.efficiency;
		}
		st = need_positive(class_key[k], v);
		if (!st) {
			st = need_positive(k < LINK_NIC_UP ?
					   "gpu.intra.efficiency" :
					   "gpu.inter.efficiency", e);
		}
		if (st) {
			return st;
		}
		for (int i = 0; i < net->count[k]; i++) {
			net->capacity_Bps[net->first[k] + i] = v * e;
		}
	}
	return ST_OK;
}

static enum status net_check(const struct cluster *c)
{
	enum status st;

	if ((st = check_sizes(c)) || (st = check_nic(c)) ||
	    (st = check_fabric(c))) {
		return st;
	}
	return check_intra(c);
}

enum status net_init(struct net *net, const struct cluster *c,
		     enum net_rates rates)
{
	struct net t = { .cluster = *c };
	enum status st = net_check(c);

	if (st) {
		return st;
	}
	t.n_ranks = c->nodes * c->gpus_per_node;
	derive_tree(&t);
	derive_fabric(&t);
	if ((st = check_links(&t))) {
		return st;
	}
	count_intra(&t);
	count_fabric(&t);
	for (int k = 0; k < LINK_CLASS_N; k++) {
		t.first[k] = t.n_links;
		t.n_links += t.count[k];
	}
	if ((st = fill_capacities(&t, rates)) || (st = net_fault_init(&t))) {
		net_release(&t);
		return st;
	}
	*net = t;
	return ST_OK;
}

void net_release(struct net *net)
{
	free(net->capacity_Bps);
	free(net->port_gone);
	free(net->pair_gone);
	free(net->gpu_share);
	net->capacity_Bps = NULL;
	net->port_gone = NULL;
	net->pair_gone = NULL;
	net->gpu_share = NULL;
	net->n_links = 0;
}

bool net_same_domain(const struct net *net, int a, int b)
{
	return a / net->domain == b / net->domain;
}
