/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cluster as directed links and routes.
 *
 * Every link has a capacity in bytes per second; a route is a list of links
 * and a latency (the sum of its hops' latencies). The rules are those of
 * doc/model.md, section "Links"; in short, with G = gpus_per_node:
 *
 *	nvswitch	source's NVLink up, destination's NVLink down
 *	nvlink-pairs	2i <-> 2i+1: their own link; others: the PCIe tree
 *	nvlink-mesh	one link per ordered pair, bandwidth / (G - 1)
 *	pcie		GPU port up, [switch up, [socket link,] switch down,]
 *			GPU port down
 *	nonblocking	NIC up, NIC down
 *	rail		the same for equal local ranks (NIC indices); others
 *			also leaf up (source's rail), leaf down (dest's rail)
 *	leaf-spine	leaf up/down between leaves of nodes_per_leaf nodes
 *	fat-tree	and pod up/down between pods of leaves_per_pod leaves
 *	rack		NVLink inside a rack of gpus_per_rack GPUs, else NIC
 *			up, rack up, rack down, NIC down
 *	pxn		between different local ranks of different nodes: the
 *			source's NVLink up, NVLink down of the local GPU on
 *			the destination's rail, that GPU's NIC up, the
 *			destination's NIC down
 *
 * A NIC port is what a GPU has for its share: per_gpu > 0: per_gpu NICs
 * bundled into one port; per_node: NIC g * per_node / G, shared (more NICs
 * than GPUs: per_node / G bundled into one port). A rail is a port's index
 * within its node. PXN is taken when source and destination are on different
 * rails; the local GPU on the destination's rail is the one with the
 * destination's local rank, and it is reached by the node's own kind of link.
 *
 * PCIe ports have pcie_Bps (0: intra.bandwidth); gpus_per_switch GPUs share
 * a switch with one uplink of that rate (0: one switch, no uplinks);
 * switches_per_socket switches share a socket (0: one socket). Sockets are
 * joined pairwise, socket_Bps per direction.
 *
 * A fabric link takes its group's NIC ports / oversubscription; the last
 * group may have fewer nodes and still has that capacity.
 *
 * Faults (cluster.fault): a degraded link has a share of its capacity; the
 * traffic of a NIC port that is gone takes the node's own kind of link to the
 * first GPU of the next port that works, and leaves there (arrives: the same
 * way back). With pxn it leaves by the port that the destination's node takes
 * it in at, where that one works. nvlink-pairs without their link talk over
 * PCIe.
 *
 * Latency: inside a domain intra.latency; between nodes nic.latency; PXN
 * adds intra.latency.
 *
 * Rates: NET_NOMINAL is the data sheet (`alltoall --ideal`); NET_EFFECTIVE
 * multiplies NVLink/PCIe links by gpu.intra.efficiency and NIC and fabric
 * links by gpu.inter.efficiency.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "scenarios/scenario.h"

#include <stddef.h>
#include <stdint.h>

enum net_rates { NET_NOMINAL, NET_EFFECTIVE };

/* Links of one class have the same capacity and the same role. */
enum link_class {
	LINK_NVLINK_UP, LINK_NVLINK_DOWN, LINK_NVLINK_PAIR,
	LINK_PCIE_UP, LINK_PCIE_DOWN, LINK_SWITCH_UP, LINK_SWITCH_DOWN,
	LINK_SOCKET,
	LINK_NIC_UP, LINK_NIC_DOWN, LINK_LEAF_UP, LINK_LEAF_DOWN,
	LINK_POD_UP, LINK_POD_DOWN,
	LINK_CLASS_N,
};

/* over PCIe (5) to another NIC, a fat tree (6), over PCIe again */
#define ROUTE_LINKS_MAX 16

struct route {
	int n;
	int32_t link[ROUTE_LINKS_MAX];
	double latency_s;
};

struct net {
	struct cluster cluster;	/* a copy */
	int n_ranks, n_links;
	double *capacity_Bps;	/* [n_links] */
	/* first link index and number of links of each class */
	int first[LINK_CLASS_N], count[LINK_CLASS_N];
	/* derived; all at least 1 */
	int ports;		/* NIC ports of a node */
	double port_Bps;	/* nominal, of one NIC port */
	int domain;		/* ranks of an NVLink domain: G, or a rack's */
	int leaf_nodes, leaves;	/* nodes under a leaf (a rack) and how many */
	int pod_leaves, pods;
	int switch_gpus, switches;	/* PCIe switches of a node */
	int socket_switches, sockets;	/* sockets of a node */
	/* faults (sim/net_fault.h); NULL: none of that kind */
	bool uneven;		/* links or routes of some nodes differ */
	char *port_gone;	/* [nodes * ports] */
	char *pair_gone;	/* [n_ranks]: its NVLink to its neighbour */
	double *gpu_share;	/* [n_ranks], share of its speed */
};

/*
 * Memory is O(ranks); mesh: O(ranks * G). Free with net_release().
 * ST_INPUT names the key when the cluster makes no network.
 */
enum status net_init(struct net *net, const struct cluster *c,
		     enum net_rates rates);
void net_release(struct net *net);

/* src != dst, both in [0, n_ranks). Never fails. O(1). */
void net_route(const struct net *net, int src, int dst, struct route *out);

enum link_class net_link_class(const struct net *net, int link);

/* "node 3 gpu 5 nvlink up", "rail 2 leaf down", ...; returns `out`. */
char *net_link_name(const struct net *net, int link, char *out, size_t size);
const char *link_class_name(enum link_class c);

/* Do two ranks share a node (for rack: a rack's NVLink domain)? */
bool net_same_domain(const struct net *net, int a, int b);

/*
 * Bytes per second, one direction, that can cross the worst cut of the nodes
 * into two halves (floor(N/2) first nodes against the rest); 1 node: between
 * halves of its GPUs.
 */
double net_bisection_Bps(const struct net *net);

#endif
