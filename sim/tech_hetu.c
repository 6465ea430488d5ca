/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_hetu.h"

#include <math.h>

const enum a2a_alg hetu_alg[HETU_ALGS] = { A2A_FLAT, A2A_LEADER, A2A_2D };

enum { FLAT, LEADER };

static enum status measure(const struct coll_spec *spec, double bytes,
			   struct hetu_point *p)
{
	int n = spec->net->n_ranks;
	struct traffic t = { .n_ranks = n, .each = bytes / n, .group = n,
			     .stride = 1 };

	p->bytes = bytes;
	p->best = 0;
	for (int a = 0; a < HETU_ALGS; a++) {
		struct coll c;
		enum status st = coll_alltoall(spec, hetu_alg[a], &t, false,
					       &c);

		if (st) {
			return st;
		}
		p->time_s[a] = coll_time(&c, 1);
		coll_release(&c);
		p->best = p->time_s[a] < p->time_s[p->best] ? a : p->best;
	}
	return ST_OK;
}

static enum status open_net(const struct cluster *cluster, int nodes,
			    struct net *net)
{
	struct cluster c = *cluster;

	if (nodes < 1) {
		return err_set(ST_INPUT, "crossover: %d nodes", nodes);
	}
	c.nodes = nodes;
	return net_init(net, &c, NET_EFFECTIVE);
}

enum status hetu_crossover(const struct cluster *cluster,
			   const struct comm_spec *comm, const int *nodes,
			   int n_nodes, const double *bytes, int n_sizes,
			   struct hetu_point *out)
{
	enum status st = ST_OK;

	for (int i = 0; i < n_nodes && !st; i++) {
		struct net net;
		struct coll_spec spec = { .net = &net, .comm = *comm };

		st = open_net(cluster, nodes[i], &net);
		if (st) {
			break;
		}
		for (int j = 0; j < n_sizes && !st; j++, out++) {
			out->nodes = nodes[i];
			st = measure(&spec, bytes[j], out);
		}
		net_release(&net);
	}
	return st;
}

#define CROSSING_PRECISION 1.01	/* ratio of the ends of the last interval */

enum status hetu_crossing(const struct cluster *cluster,
			  const struct comm_spec *comm, int nodes,
			  double least, double most, double *bytes_p)
{
	struct net net;
	struct coll_spec spec = { .net = &net, .comm = *comm };
	enum status st = open_net(cluster, nodes, &net);

	if (st) {
		return st;
	}
	/* invariant: leader wins at `least` (or nothing is below), not above */
	while (!st && most > least * CROSSING_PRECISION) {
		struct hetu_point p;
		double mid = sqrt(least * most);

		st = measure(&spec, mid, &p);
		if (!st && p.time_s[LEADER] < p.time_s[FLAT]) {
			least = mid;
		} else {
			most = mid;
		}
	}
	net_release(&net);
	if (!st) {
		*bytes_p = least;
	}
	return st;
}
