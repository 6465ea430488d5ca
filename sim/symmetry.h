/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Balanced all-to-all on a symmetric cluster, without simulating each flow.
 *
 * When the cluster looks the same from every rank, all flows of one class
 * (those that symmetry maps onto each other) have the same rate at all
 * times, and so do all links of one class. So it is enough to follow the
 * flows of rank 0, each standing for n_ranks, over one link of each class:
 * a problem of a few classes whatever the number of ranks. The result is
 * that of sim/fair.h on all flows.
 *
 * Which symmetry: write a rank in mixed radix along the cluster's levels
 * (switch, socket, node, leaf, pod) and the group's stride and end; rotating
 * a digit maps links to links and groups to groups. It needs every level to
 * divide the next. With a window, the shift order must be kept too: that
 * leaves rotations of nodes and of local ranks, for which nothing may group
 * nodes or a node's GPUs (no leaves, racks, PCIe trees, shared NICs).
 */
#ifndef SIM_SYMMETRY_H
#define SIM_SYMMETRY_H

#include "sim/net.h"

#include <stdbool.h>

/*
 * Every rank sends `each` bytes to each other one of its group: the `group`
 * ranks `stride` apart ((r / stride) / group and r % stride equal).
 *
 * with_latency: a flow holds no bandwidth until its route's latency has
 * passed. window > 0: a rank has at most that many flows under way, in shift
 * order: step d = 1, 2, ... goes from (node n, local g) to ((n + d / G) mod
 * N, (g + d % G) mod G), and the next one starts when one finishes; only for
 * one group of all ranks.
 *
 * *makespan_s: the last finish time; *bound_s (may be NULL): bytes over
 * capacity of the busiest link, never more. False, and nothing set: the
 * cluster is not symmetric enough; simulate every flow instead.
 */
bool symmetry_alltoall(const struct net *net, int group, int stride,
		       double each, bool with_latency, int window,
		       double *makespan_s, double *bound_s);

#endif
