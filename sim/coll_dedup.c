/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One copy per (token, destination node): dedup, as DeepEP's kernels do it.
 *
 * (n, g) sends a token that has experts on node m once to (m, g), on its own
 * rail; (m, g) hands it to the GPUs of node m whose experts chose it, as it
 * arrives: the fan-out runs beside the exchange (the table says so), and the
 * slower of the two is the time of both. What stays in a node goes straight
 * into the fan-out. Combine runs backwards: partial sums are reduced on the
 * node before they cross the NIC.
 */
#include "sim/coll_int.h"

#include "base/mem.h"

#include <stdlib.h>

/* Bytes of distinct tokens between rank r and each node. */
static void distinct(const struct coll_build *b, int r, double *row)
{
	const double *given = b->t->node_bytes;
	int j, m, n = coll_peers(b);

	for (m = 0; m < b->nodes; m++)
		row[m] = given ? given[(size_t)r * (size_t)b->nodes +
				       (size_t)m] : 0;
	for (j = 0; !given && j < n; j++) {
		int d = coll_peer(b, r, j);

		row[d / b->gpus] += coll_cell(b, r, d);
	}
	for (m = 0; b->t->node_each > 0 && m < b->nodes; m++)
		row[m] = row[m] > 0 ? b->t->node_each : 0;
}

static void dedup_inter(struct coll_build *b)
{
	double *row = xcalloc((size_t)b->nodes, sizeof(*row));
	int r, m;

	for (r = 0; r < b->ranks; r++) {
		distinct(b, r, row);
		for (m = 0; m < b->nodes; m++) {
			if (m == r / b->gpus)
				continue;
			coll_add(&b->part[0], r, m * b->gpus + r % b->gpus,
				 row[m]);
		}
	}
	free(row);
}

/* Node m: from where a token lands, (m, g), to its experts, (m, h). */
static void dedup_fanout(struct coll_build *b, int m, double *hop)
{
	int gpus = b->gpus, h, i, j, n = coll_peers(b);

	for (i = 0; i < gpus * gpus; i++)
		hop[i] = 0;
	for (h = 0; h < gpus; h++) {
		int d = m * gpus + h;

		for (j = 0; j < n; j++) {
			int s = coll_peer(b, d, j);

			hop[s % gpus * gpus + h] += coll_cell(b, s, d);
		}
	}
	for (i = 0; i < gpus * gpus; i++) {
		coll_add(&b->part[1], m * gpus + i / gpus,
			 m * gpus + i % gpus, hop[i]);
	}
}

static void dedup_dense(struct coll_build *b)
{
	size_t gpus = (size_t)b->gpus;
	double *hop = xcalloc(gpus * gpus, sizeof(*hop));
	int m;

	dedup_inter(b);
	for (m = 0; m < b->nodes; m++)
		dedup_fanout(b, m, hop);
	free(hop);
}

void coll_build_dedup(struct coll_build *b)
{
	const struct coll_shape *s = &b->shape;
	const struct traffic *t = b->t;

	if (!coll_symmetric(b) || t->node_bytes) {
		dedup_dense(b);
		return;
	}
	b->part[0].pattern = (struct coll_pattern){
		.used = true, .group = s->nodes,
		.stride = s->node_stride * b->gpus,
		.each = t->node_each > 0 ? t->node_each :
					   t->each * s->local };
	b->part[1].pattern = (struct coll_pattern){
		.used = true, .group = s->local, .stride = t->stride,
		.each = t->each * s->nodes };
}
