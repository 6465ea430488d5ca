/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/host_layer.h"

#include "base/mem.h"

#include <stdlib.h>

/* Plans of a chunk with an algorithm, there and back. */
static enum status plans_make(struct host_layer *l, int rank,
			      const struct xchg_input *in, struct xchg *to,
			      struct xchg *back)
{
	enum status st = xchg_build(in, rank, to);

	(void)l;
	if (!st)
		xchg_reverse(to, back);
	return st;
}

static void flow_init(struct host_flow *f, const struct xchg *plan,
		      const struct xchg *shape, int width)
{
	*f = (struct host_flow){ .plan = plan, .shape = shape,
				 .width = width };
}

static void flows_init(struct host_layer *l, struct host_chunk *k)
{
	flow_init(&k->go, &k->to, &k->to, l->c.hidden);
	flow_init(&k->come, &k->back, &k->to, l->c.hidden);
	if (l->dedup) {
		flow_init(&k->weight, &k->flat_to, &k->flat_to, 1);
		flow_init(&k->g, &k->flat_back, &k->flat_to, 1);
	}
}

static enum status chunk_open(struct host_layer *l, int rank, int chunk,
			      int n_chunks, struct host_chunk *k)
{
	const struct layer_case *c = &l->c;
	size_t cells = (size_t)l->n_ranks * (size_t)c->experts;
	int32_t *count = xcalloc(2 * cells, sizeof(*count));
	int32_t *first = count + cells, **token = NULL;
	struct xchg_input in = { .c = c, .alg = c->plan.alltoall,
				 .count = count, .first = first };
	enum status st;

	layer_chunk_counts(&l->route, chunk, n_chunks, count, first);
	if (l->dedup)
		token = layer_chunk_tokens(c, &l->route, chunk, n_chunks);
	in.token = (const int32_t *const *)token;
	st = plans_make(l, rank, &in, &k->to, &k->back);
	in.alg = A2A_FLAT;
	if (!st && l->dedup)
		st = plans_make(l, rank, &in, &k->flat_to, &k->flat_back);
	if (!st) {
		k->rows = k->to.expert_first[layer_local_experts(c)];
		k->row = xcalloc((size_t)c->tokens * (size_t)c->k,
				 sizeof(*k->row));
		layer_chunk_rows(c, &l->route, rank, chunk, n_chunks,
				 k->to.in_first,
				 first + (size_t)rank * (size_t)c->experts,
				 k->row);
		flows_init(l, k);
	}
	free(token);
	free(count);
	return st;
}

static void chunk_close(struct host_chunk *k)
{
	host_flow_release(&k->go);
	host_flow_release(&k->come);
	host_flow_release(&k->weight);
	host_flow_release(&k->g);
	xchg_release(&k->to);
	xchg_release(&k->back);
	xchg_release(&k->flat_to);
	xchg_release(&k->flat_back);
	free(k->row);
	free(k->x);
	free(k->pre);
	free(k->slope);
	free(k->dout);
}

void host_chunks_close(struct host_layer *l, int rank)
{
	int p, i;

	for (p = 0; p < 2; p++) {
		struct host_pass *pass = &l->rank[rank].pass[p];

		for (i = 0; i < pass->n; i++)
			chunk_close(&pass->chunk[i]);
		free(pass->chunk);
		*pass = (struct host_pass){ 0 };
	}
}

enum status host_chunks_open(struct host_layer *l, int rank)
{
	const struct plan *plan = &l->c.plan;
	enum status st = ST_OK;
	int p, i;

	for (p = 0; p < 2; p++) {
		struct host_pass *pass = &l->rank[rank].pass[p];

		pass->n = p ? plan->degree_backward : plan->degree_forward;
		pass->chunk = xcalloc((size_t)pass->n, sizeof(*pass->chunk));
		for (i = 0; i < pass->n && !st; i++)
			st = chunk_open(l, rank, i, pass->n, &pass->chunk[i]);
	}
	return st;
}
