/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HetuMoE's leader all-to-all against flat and 2D: who is faster, over sizes
 * and numbers of nodes.
 *
 * The leader exchange sends G^2 times larger messages between nodes, by one
 * GPU per node, after gathering and transforming all of the node's data
 * there. It wins while a flat exchange is made of messages too small to fill
 * the NIC, and where a node has one NIC anyway.
 */
#ifndef SIM_TECH_HETU_H
#define SIM_TECH_HETU_H

#include "sim/coll.h"

#define HETU_ALGS 3
extern const enum a2a_alg hetu_alg[HETU_ALGS];	/* flat, leader, 2d */

struct hetu_point {
	int nodes;
	double bytes;	/* that one GPU sends in all, its own part included */
	double time_s[HETU_ALGS];
	int best;	/* index into hetu_alg; ties: the first */
};

/* A cluster like this one with other numbers of nodes; even exchanges over
 * all of its GPUs. out[n_nodes * n_sizes], sizes fastest. */
enum status hetu_crossover(const struct cluster *cluster,
			   const struct comm_spec *comm, const int *nodes,
			   int n_nodes, const double *bytes, int n_sizes,
			   struct hetu_point *out);

/*
 * The size up to which leader is faster than flat on `nodes` nodes, between
 * the two given ones, by bisection to 1 %: `least` when it is at no size, and
 * `most` when at all of them. Assumes one crossing.
 */
enum status hetu_crossing(const struct cluster *cluster,
			  const struct comm_spec *comm, int nodes,
			  double least, double most, double *bytes_p);

#endif
