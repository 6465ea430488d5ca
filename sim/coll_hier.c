/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * In two hops: leader (HetuMoE's H-A2A) and 2d (Tutel's 2DH). Both bring
 * the bytes for one destination node together before the NIC, and pay for
 * it with layout copies through HBM.
 */
#include "sim/coll_int.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* A layout change reads every byte once and writes it once. */
#define COPY_TRIPS 2

static double node_sum(const struct coll_build *b, int node,
		       double (*of)(const struct coll_build *, int))
{
	double sum = 0;
	int g;

	for (g = 0; g < b->gpus; g++)
		sum += of(b, node * b->gpus + g);
	return sum;
}

static void leader_copies(struct coll_build *b)
{
	double in = 0, out = 0;
	int n;

	/* a node's only GPU has all of it as it is */
	if (b->gpus == 1)
		return;
	for (n = 0; n < (b->t->bytes ? b->nodes : 1); n++) {
		in = fmax(in, node_sum(b, n, coll_row_sum));
		out = fmax(out, node_sum(b, n, coll_column_sum));
	}
	b->part[0].copy_bytes = COPY_TRIPS * in;
	b->part[2].copy_bytes = COPY_TRIPS * out;
	b->part[0].copies = b->part[2].copies = 1;
	b->part[0].by_leaders = b->part[2].by_leaders = true;
}

/* The whole buffer goes to the leader, what stays in the node included. */
static void leader_gather(struct coll_build *b, int nodes)
{
	int n, g;

	for (n = 0; n < nodes; n++) {
		int leader = n * b->gpus;

		for (g = 1; g < b->gpus; g++) {
			int r = leader + g;

			coll_add(&b->part[0], r, leader, coll_row_sum(b, r));
			coll_add(&b->part[2], leader, r,
				 coll_column_sum(b, r));
		}
	}
}

/* All that node n has for each node, in one message. */
static void leader_row(struct coll_build *b, int n, double *row)
{
	int g, j, m, peers = coll_peers(b);

	for (m = 0; m < b->nodes; m++)
		row[m] = 0;
	for (g = 0; g < b->gpus; g++) {
		int s = n * b->gpus + g;

		for (j = 0; j < peers; j++) {
			int d = coll_peer(b, s, j);

			row[d / b->gpus] += coll_cell(b, s, d);
		}
	}
	for (m = 0; m < b->nodes; m++)
		coll_add(&b->part[1], n * b->gpus, m * b->gpus, row[m]);
}

static void leader_exchange(struct coll_build *b)
{
	double *row = xcalloc((size_t)b->nodes, sizeof(*row));
	int n;

	for (n = 0; n < b->nodes; n++)
		leader_row(b, n, row);
	free(row);
}

/*
 * Every pair of nodes of a group exchanges local^2 messages in one, for each
 * of the gpus / local groups that share these nodes.
 */
static void leader_pattern(struct coll_build *b)
{
	const struct coll_shape *s = &b->shape;

	b->part[1].pattern = (struct coll_pattern){
		.used = true, .leaders_only = true, .group = s->nodes,
		.stride = s->node_stride * b->gpus,
		.each = b->t->each * s->local * b->gpus };
}

void coll_build_leader(struct coll_build *b)
{
	bool same = coll_symmetric(b);

	leader_gather(b, same ? 1 : b->nodes);
	b->part[0].one_node = b->part[2].one_node = same;
	leader_copies(b);
	if (same)
		leader_pattern(b);
	else
		leader_exchange(b);
}

/*
 * Step 1: (n, g) gives (n, h) all that is for local rank h of any node.
 * Step 2: (n, h) gives (m, h) what its node has for it. hop1 is
 * [gpus * gpus] of one node, hop2 [gpus * nodes].
 */
static void two_d_node(struct coll_build *b, int n, double *hop1,
		       double *hop2)
{
	int gpus = b->gpus, nodes = b->nodes, g, j, i;
	int peers = coll_peers(b);

	for (i = 0; i < gpus * gpus; i++)
		hop1[i] = 0;
	for (i = 0; i < gpus * nodes; i++)
		hop2[i] = 0;
	for (g = 0; g < gpus; g++) {
		for (j = 0; j < peers; j++) {
			int d = coll_peer(b, n * gpus + g, j);
			double v = coll_cell(b, n * gpus + g, d);

			hop1[g * gpus + d % gpus] += v;
			hop2[d % gpus * nodes + d / gpus] += v;
		}
	}
	for (i = 0; i < gpus * gpus; i++) {
		coll_add(&b->part[0], n * gpus + i / gpus,
			 n * gpus + i % gpus, hop1[i]);
	}
	for (i = 0; i < gpus * nodes; i++) {
		coll_add(&b->part[1], n * gpus + i / nodes,
			 i % nodes * gpus + i / nodes, hop2[i]);
	}
}

/* Strided copies before each exchange: of the whole buffer on each GPU. */
static void two_d_copies(struct coll_build *b, const double *hop1,
			 const double *hop2)
{
	int gpus = b->gpus, nodes = b->nodes, g, i;

	for (g = 0; g < gpus; g++) {
		double first = 0, second = 0;

		for (i = 0; i < gpus; i++)
			first += hop1[g * gpus + i];
		for (i = 0; i < nodes; i++)
			second += hop2[g * nodes + i];
		b->part[0].copy_bytes = fmax(b->part[0].copy_bytes,
					     COPY_TRIPS * first);
		b->part[1].copy_bytes = fmax(b->part[1].copy_bytes,
					     COPY_TRIPS * second);
	}
}

static void two_d_dense(struct coll_build *b)
{
	size_t gpus = (size_t)b->gpus, nodes = (size_t)b->nodes;
	double *hop1 = xcalloc(gpus * gpus, sizeof(*hop1));
	double *hop2 = xcalloc(gpus * nodes, sizeof(*hop2));
	int n;

	for (n = 0; n < b->nodes; n++) {
		two_d_node(b, n, hop1, hop2);
		two_d_copies(b, hop1, hop2);
	}
	free(hop1);
	free(hop2);
}

static void two_d_pattern(struct coll_build *b)
{
	const struct coll_shape *s = &b->shape;
	const struct traffic *t = b->t;
	int i;

	b->part[0].pattern = (struct coll_pattern){
		.used = true, .group = s->local, .stride = t->stride,
		.each = t->each * s->nodes };
	b->part[1].pattern = (struct coll_pattern){
		.used = true, .group = s->nodes,
		.stride = s->node_stride * b->gpus,
		.each = t->each * s->local };
	for (i = 0; i < 2; i++)
		b->part[i].copy_bytes = COPY_TRIPS * t->group * t->each;
}

static bool is_empty(const struct coll_part *p)
{
	return p->pattern.used ? p->pattern.group < 2 : p->n_flows == 0;
}

/* With one hop only there is nothing to lay out: it is the flat exchange. */
void coll_build_2d(struct coll_build *b)
{
	struct coll_part *p = b->part;
	int i;

	if (coll_symmetric(b))
		two_d_pattern(b);
	else
		two_d_dense(b);
	for (i = 0; i < 2; i++) {
		p[i].copies = 1;
		if (is_empty(&p[0]) || is_empty(&p[1]))
			p[i].copy_bytes = p[i].copies = 0;
	}
}
