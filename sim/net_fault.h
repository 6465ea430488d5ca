/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Faults of a cluster, laid on its network: capacities of degraded links,
 * and which NIC ports are gone. sim/net.c calls this at the end of
 * net_init(); a network without faults has neither table.
 */
#ifndef SIM_NET_FAULT_H
#define SIM_NET_FAULT_H

#include "sim/net.h"

/* ST_INPUT names the fault that this network has no place for. */
enum status net_fault_init(struct net *net);

/* The port by which a node's traffic of `port` leaves: itself, or the next
 * one that works. */
int net_fault_port(const struct net *net, int node, int port);

/* A NIC port's link, or a pair's, that is gone: no route takes it. */
bool net_link_gone(const struct net *net, int link);

/* Share of its speed that a rank's GPU has; 1: all. */
double net_gpu_share(const struct net *net, int rank);

/* The slowest GPU's share, of ranks 0, step, 2 step, .. */
double net_gpu_share_least(const struct net *net, int step);

#endif
