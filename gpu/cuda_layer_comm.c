/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Communicators of layers: one of all ranks for each exchange lane, so that
 * lanes run side by side (peers of a plan are ranks of all), and one for each
 * way to divide the ranks into groups that all-reduce. They are split off the
 * communicator of all ranks once and stay; a key stands in the place of the
 * CTA limit of those that benchmarks use. Exchanges of a plan with `ctas` have
 * communicators of their own, with that limit; collectives keep theirs.
 */
#include "gpu/cuda_layer.h"

#define KEY_LANE (-1)			/* minus the lane */
#define KEY_GROUP (-16)			/* minus size * ranks + stride */
#define KEY_LIMIT (-(1 << 24))		/* minus ctas * lanes + lane */

bool cuda_layer_comm_need(const struct cuda_rank *r)
{
	return cuda_comm_need(r, 0);
}

/* Ranks of one color, in their order; all ranks call. ctas: at most, or 0. */
static enum status split(struct cuda_layer *l, int key, int color, int ctas,
			 ncclComm_t *out_p)
{
	struct cuda_rank *r = l->rank;
	ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
	ncclComm_t comm;
	enum status st = ST_OK;

	*out_p = cuda_comm_find(r, key);
	if (*out_p)
		return ST_OK;
	if (r->n_comms == CUDA_COMMS_MAX)
		return err_set(ST_INPUT, "more than %d different "
			       "communicators", CUDA_COMMS_MAX);
	if (ctas)
		cuda_comm_limit(&config, ctas);
	NCCL_GOTO(out, st, ncclCommSplit(cuda_comm_find(r, 0), color, r->rank,
					 &comm, &config));
	r->comm[r->n_comms++] = (struct cuda_comm){ key, comm };
	*out_p = comm;
out:
	return st;
}

/* Groups of `size` ranks that are `stride` apart, inside blocks of both. */
static enum status split_group(struct cuda_layer *l, int size, int stride,
			       ncclComm_t *out_p)
{
	int rank = l->rank->rank, block = size * stride;

	*out_p = NULL;
	if (size == 1)
		return ST_OK;
	return split(l, KEY_GROUP - size * l->ranks - stride,
		     rank / block * stride + rank % stride, 0, out_p);
}

/* Of a lane: for collectives, and for exchanges. */
static enum status split_lane(struct cuda_layer *l, int lane)
{
	int ctas = l->c.plan.ctas;
	enum status st = split(l, KEY_LANE - lane, 0, 0, &l->comm[lane]);

	l->exchange[lane] = l->comm[lane];
	if (st || !ctas || cuda_layer_is_direct(l))
		return st;
	return split(l, KEY_LIMIT - ctas * LANE_N - lane, 0, ctas,
		     &l->exchange[lane]);
}

enum status cuda_layer_comms(struct cuda_layer *l, const ncclUniqueId *id)
{
	const struct layout *y = &l->c.plan.layout;
	struct layer_dense dense = layer_dense_of(&l->c);
	enum status st = ST_OK;
	int i;

	if (l->ranks == 1)
		return ST_OK;
	if (cuda_layer_comm_need(l->rank))
		st = cuda_comm_make(l->rank, l->ranks, 0, id);
	for (i = 0; i < LANE_N && !st; i++) {
		if (i != LANE_COMPUTE)
			st = split_lane(l, i);
	}
	if (!st)
		st = split_group(l, layer_copies(&l->c), y->esp, &l->copies);
	if (!st)
		st = split_group(l, y->dp, y->ep * y->esp, &l->dp);
	if (!st && dense.n)
		st = split_group(l, dense.group, dense.stride, &l->replicas);
	return st;
}

/* One number, so that it costs no more than a message. */
enum status cuda_layer_align(struct cuda_layer *l)
{
	if (l->ranks == 1)
		return ST_OK;
	return cuda_status_nccl(ncclAllReduce(
		l->pulse, l->pulse, 1, ncclInt32, ncclSum,
		cuda_comm_find(l->rank, 0), l->lane[LANE_COMPUTE]),
		"ncclAllReduce()");
}
