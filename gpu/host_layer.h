/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The host backend's layers: one thread for each rank runs the program, op
 * by op in the order of the array; messages are copies between the ranks'
 * buffers. Numbers are double; bf16 cases round what a GPU would store in
 * bf16 (rows, activations, results), so that they err as one does.
 */
#ifndef GPU_HOST_LAYER_H
#define GPU_HOST_LAYER_H

#include "gpu/layer_dense.h"
#include "gpu/layer_exchange.h"
#include "gpu/layer_route.h"
#include "gpu/ranks.h"

/* Rows on their way in one direction of one chunk. */
struct host_flow {
	const struct xchg *plan;
	const struct xchg *shape;	/* the plan that has rows[] */
	int width;		/* elements of a row */
	double *buffer[XCHG_BUFFER_N];	/* made when first asked for */
};

struct host_chunk {
	struct xchg to, back;
	struct xchg flat_to, flat_back;	/* dedup: of the scalars */
	int32_t *row;		/* [tokens * k]: row of IN, -1 */
	struct host_flow go, come;	/* rows to the experts, and back */
	struct host_flow weight, g;	/* dedup: scalars, the same ways */
	int rows;		/* that the experts here compute */
	double *x, *pre;	/* expert inputs, first products */
	double *slope;		/* backward: of pre */
	double *dout;		/* backward: gradients of outputs, weighted */
};

struct host_pass {
	int n;
	struct host_chunk *chunk;
};

struct host_layer_rank {
	double *t[LAYER_TENSOR_N];	/* enum layer_tensor; local parts */
	double *g;		/* [tokens * k] dy . FFN(x) */
	double *shared_pre, *shared_y, *shared_dx;
	double *dense, *dense_sum;	/* gpu/layer_dense.h */
	struct host_pass pass[2];	/* forward, backward */
	double *forward_s, *step_s;
	/* what peers may fetch during a step of an exchange */
	const double *outgoing;
	const struct xchg_side *side;
};

struct host_layer {
	struct layer_case c;
	struct program program;
	struct layer_route route;	/* each rank writes its part */
	int16_t *wg;		/* bytes */
	struct ranks *ranks;
	struct host_layer_rank *rank;
	int n_ranks, repetitions;
	bool dedup, is_bf16;
};

/* A value as it is stored. */
double host_store(const struct host_layer *l, double v);

/* Elements of a rank's tensor. */
size_t host_layer_size(const struct host_layer *l, enum layer_tensor t);

/* host_layer_comm.c. Each meets the other ranks; false: one of them failed.
 * step -1: the ESP group's. */
bool host_exchange(struct host_layer *l, int rank, struct host_flow *f,
		   int step);
bool host_allreduce(struct host_layer *l, int rank, enum layer_tensor t,
		    int base, int group, int stride);
bool host_allreduce_dense(struct host_layer *l, int rank,
			  const struct op *op);
double *host_flow_rows(struct host_flow *f, enum xchg_buffer b);
void host_flow_release(struct host_flow *f);

/* host_layer_chunk.c: plans of both passes, once all ranks are routed. */
enum status host_chunks_open(struct host_layer *l, int rank);
void host_chunks_close(struct host_layer *l, int rank);

/* The rows that experts work on: ALL, or OUT without ESP. */
double *host_expert_rows(struct host_flow *f);

/* host_layer_expert.c: one chunk. */
void host_expert(struct host_layer *l, int rank, struct host_chunk *k);
void host_expert_data(struct host_layer *l, int rank, int chunk);
void host_expert_weight(struct host_layer *l, int rank, int chunk);
void host_shared(struct host_layer *l, int rank);
void host_shared_back(struct host_layer *l, int rank);

/* host_layer_gate.c: everything between tokens and rows. */
void host_permute(struct host_layer *l, int rank);
void host_unpermute(struct host_layer *l, int rank);
void host_unpermute_back(struct host_layer *l, int rank);
void host_permute_back(struct host_layer *l, int rank);
void host_gate_back(struct host_layer *l, int rank);

/* host_layer.c; see gpu/backend.h. */
enum status host_layer_prepare(const struct layer_case *c,
			       struct host_layer **out_p);
enum status host_layer_run(struct host_layer *l, int n, double *forward_s,
			   double *step_s);
enum status host_layer_check(struct host_layer *l, struct layer_check *out);
void host_layer_release(struct host_layer *l);	/* NULL is fine */

#endif
