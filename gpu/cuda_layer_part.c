/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process's part of a layer: see backend.h for what each call does. */
#include "gpu/cuda_layer.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct open_call {
	struct backend *b;
	const ncclUniqueId *id;
};

static enum status open_rank(void *arg, int rank)
{
	struct open_call *call = arg;
	struct backend *b = call->b;

	return cuda_layer_open(&b->rank[rank], b->ranks, &b->layer,
			       &b->layer_program, call->id);
}

static enum status check_ranks(struct backend *b, const struct layer_case *c)
{
	int nodes = b->info.nodes, ranks = b->info.ranks;

	if (layer_ranks(c) > ranks)
		return err_set(ST_UNAVAILABLE, "the layer wants %d ranks on %d "
			       "GPUs, but there are %d", layer_ranks(c),
			       layer_ranks(c), ranks);
	if (layer_ranks(c) != ranks || (nodes > 1 && c->nodes != nodes))
		return err_set(ST_INPUT, "the layer wants %d nodes of %d "
			       "ranks, the backend has %d nodes of %d",
			       c->nodes, c->gpus_per_node, nodes,
			       ranks / nodes);
	return ST_OK;
}

static struct layer_case copy_case(const struct layer_case *c)
{
	struct layer_case copy = *c;
	size_t n = (size_t)layer_ranks(c) * (size_t)c->experts;

	if (c->count) {
		copy.count = xcalloc(n, sizeof(*copy.count));
		memcpy(copy.count, c->count, n * sizeof(*copy.count));
	}
	return copy;
}

/* Only when the communicator of all ranks is still to be made. */
enum status cuda_part_layer_id(struct backend *b, void *id)
{
	if (b->info.ranks == 1 || !cuda_comm_need(&b->rank[0], 0))
		return ST_OK;
	return cuda_comm_id(id);
}

void cuda_part_layer_release(struct backend *b)
{
	int i;

	for (i = 0; i < ranks_count(b->ranks); i++)
		cuda_layer_close(&b->rank[i]);
	program_release(&b->layer_program);
	layer_case_release(&b->layer);
}

enum status cuda_part_layer_prepare(struct backend *b,
				    const struct layer_case *c,
				    const void *id)
{
	struct open_call call = { b, id };
	enum status st = check_ranks(b, c);

	if (!st)
		st = layer_program(c, &b->layer_program);
	if (st)
		return st;
	b->layer = copy_case(c);
	st = ranks_call(b->ranks, open_rank, &call);
	if (st)
		cuda_part_layer_release(b);
	return st;
}

struct run_call {
	struct backend *b;
	int n;
};

static enum status run_rank(void *arg, int rank)
{
	struct run_call *call = arg;
	struct cuda_rank *r = &call->b->rank[rank];
	enum status st;

	CUDA_GOTO(out, st, cudaSetDevice(r->device));
	st = cuda_layer_repeat(r->layer, call->n);
out:
	return st;
}

/* Of the slowest rank. */
enum status cuda_part_layer_run(struct backend *b, int n, double *forward_s,
				double *step_s)
{
	struct run_call call = { b, n };
	enum status st = ranks_call(b->ranks, run_rank, &call);
	const struct cuda_layer *l;
	int i, j;

	for (j = 0; j < ranks_count(b->ranks) && !st; j++) {
		l = b->rank[j].layer;
		for (i = 0; i < n; i++) {
			if (!j || l->forward_s[i] > forward_s[i])
				forward_s[i] = l->forward_s[i];
			if (!j || l->step_s[i] > step_s[i])
				step_s[i] = l->step_s[i];
		}
	}
	return st;
}
