/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One message per pair, straight: flat, lanes, pairwise. */
#include "sim/coll_int.h"

static void pattern_set(const struct coll_build *b, struct coll_part *p,
			bool remote_only)
{
	p->pattern = (struct coll_pattern){
		.used = true, .group = b->t->group, .stride = b->t->stride,
		.each = b->t->each, .remote_only = remote_only };
}

void coll_build_flat(struct coll_build *b)
{
	int s, j, n = coll_peers(b);

	if (coll_symmetric(b)) {
		pattern_set(b, &b->part[0], false);
		return;
	}
	for (s = 0; s < b->ranks; s++) {
		for (j = 0; j < n; j++) {
			int d = coll_peer(b, s, j);

			coll_add(&b->part[0], s, d, coll_cell(b, s, d));
		}
	}
}

void coll_build_pairwise(struct coll_build *b)
{
	b->part[0].rounds = true;
	coll_build_flat(b);
}

/*
 * ScheMoE's Pipe-A2A: messages inside the node and messages between nodes
 * on a communicator and a stream of their own.
 */
void coll_build_lanes(struct coll_build *b)
{
	int s, j, n = coll_peers(b);

	if (coll_symmetric(b)) {
		pattern_set(b, &b->part[0], false);
		b->part[0].pattern.group = b->shape.local;
		pattern_set(b, &b->part[1], true);
		return;
	}
	for (s = 0; s < b->ranks; s++) {
		for (j = 0; j < n; j++) {
			int d = coll_peer(b, s, j);
			int remote = s / b->gpus != d / b->gpus;

			coll_add(&b->part[remote], s, d, coll_cell(b, s, d));
		}
	}
}
