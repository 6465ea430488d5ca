/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A layer (gpu/layer.h) on one rank of the cuda backend.
 *
 * The program's ops are queued in its order on three streams, one for each
 * lane; an op that another lane waits for is followed by an event. So an op
 * starts when the one before it on its lane and all of its dependencies are
 * done, as in the simulator. A pass whose ops wait for each other one by one
 * takes one stream alone: a lane changed costs microseconds.
 *
 * The plan's `ctas` is the limit of the communicator that exchanges take, or
 * of the direct exchange's kernels; products that run beside exchanges leave
 * them as many multiprocessors. Without it, an exchange that overlap=weight
 * puts beside products takes an eighth of them.
 *
 * Rows travel weighted: with a row goes its weight, experts multiply by it,
 * and the way home only adds. Backward, the gradient of the weight comes home
 * beside the row. Both are scalars and travel by the flat plan in the same
 * group of messages as the first step of the rows.
 *
 * Dropless, counts are known after the gate only: they are gathered from all
 * ranks, the host waits for them once in a step, makes the plans
 * (gpu/layer_plan.h) and sends their tables after the work that is already
 * queued; those of the backward pass while the forward pass runs. Which
 * tokens share a node (dedup) is taken from the twin's routing when the case
 * is prepared. With a capacity, or counts that are known, all is known before,
 * and each pass is one CUDA graph.
 *
 * Memory: buffers of all chunks of a pass, one chunk after the other
 * (gpu/layer_plan.h); both passes and both directions share what travels,
 * while the experts' rows of the forward pass stay for the backward pass.
 */
#ifndef GPU_CUDA_LAYER_H
#define GPU_CUDA_LAYER_H

#include "gpu/cuda.h"
#include "gpu/cuda_direct_cells.h"
#include "gpu/cuda_ffn.h"
#include "gpu/k.h"
#include "gpu/k_layer.h"
#include "gpu/layer_dense.h"
#include "gpu/layer_plan.h"
#include "gpu/layer_ref.h"
#include "scenarios/program.h"

#define CUDA_PASSES 2		/* forward, backward */
#define CUDA_LAYER_CHUNKS_MAX 1024

enum cuda_direction { TO_EXPERTS, FROM_EXPERTS };

struct cuda_pass {
	int chunks;
	struct layer_pass plan;
	struct layer_blob blob;		/* tables; p is pinned */
	char *tables;			/* the same on the device */
	int32_t *pos;			/* [tokens * k] */
	int32_t *add_pos;		/* dedup: of leads only; else pos */
	int32_t *start;			/* capacity: [chunks][slots] */
	int32_t *totals;		/* [chunks][slots]: copies */
	cudaGraphExec_t graph;
};

/* What an expert works on, in the layout of a pass. */
struct cuda_rows {
	void *x, *pre, *h;
	float *r;
};

/* The direct exchange's part: offsets into the window, and its tables. */
struct layer_direct {
	struct cuda_direct *d;
	char *window;
	uint64_t x, dy, ids, weights, pair, stage;
	uint64_t pos[CUDA_PASSES], cells[CUDA_PASSES];
	struct direct_cells pass[CUDA_PASSES];
	int32_t *kept[CUDA_PASSES];	/* [chunks][local], mapped host */
	int64_t *base[CUDA_PASSES], *base_pinned[CUDA_PASSES];
	int64_t *base_device[CUDA_PASSES];
	bool is_known;		/* kept is this step's */
	struct k_run *run;	/* capacity, unequal degrees: of a chunk */
};

struct cuda_layer {
	struct layer_case c;		/* shares count */
	const struct program *program;
	struct cuda_rank *rank;
	struct ranks *all;
	int ranks, slots, local;
	size_t element, row_bytes;
	uint64_t pairs;			/* tokens * k */
	bool is_static;			/* a capacity */
	bool is_planned;		/* that, or counts that are known: no
					   step waits for anything */

	cudaStream_t lane[LANE_N];
	bool is_chain[CUDA_PASSES];	/* of one stream: COMPUTE's */
	ncclComm_t comm[LANE_N], exchange[LANE_N];	/* the latter: ctas */
	ncclComm_t copies, dp, replicas;	/* NULL: groups of one */
	cudaEvent_t *done;		/* of ops that other lanes wait for */
	bool *is_awaited;
	cudaEvent_t counted, joined[LANE_N];
	cublasHandle_t blas;
	void *blas_workspace;
	struct cuda_ffn *ffn, *shared;

	/* routing; cells are of `fine` chunks, a multiple of both degrees */
	int fine;
	float *logits, *weights;
	int32_t *ids, *slot_ids, *keys, *sorted, *fine_pos;
	int32_t *expert_total, *fine_totals;
	void *sort_workspace;
	int32_t *cells, *cells_host;	/* [ranks][fine][slots] */
	int32_t *capacity_cells;
	const int32_t *cells_now;	/* that the plans are made of */
	int32_t ***token[CUDA_PASSES];	/* dedup: [chunk][rank] */

	struct cuda_pass pass[CUDA_PASSES];

	/* tensors */
	void *x, *dy, *wg, *w1, *w2, *ws1, *ws2;
	void *y, *dx, *dw1, *dw2, *dws1, *dws2, *dlogits;
	float *dwg, *dense, *dense_sum;	/* gpu/layer_dense.h */
	/* what travels; SEND and RECV: scratch of a lane, and of all chunks */
	void *in, *mid[2], *out, *send[LANE_N], *recv[LANE_N];
	void *all_send, *all_recv;
	float *in_s, *out_s, *send_s[LANE_N], *recv_s[LANE_N];
	float *all_send_s, *all_recv_s;
	int64_t in_rows, mid_rows[2], out_rows, send_rows, recv_rows;
	int64_t all_send_rows, all_recv_rows;
	/* experts: rows kept, their regrouped copies, results */
	struct cuda_rows kept, regrouped;
	void *ye, *g, *dxe;		/* ye: also the rows of dy */
	float *dr;
	int64_t layout_rows[CUDA_PASSES];
	void *shared_pre, *shared_h, *shared_g;
	struct layer_direct direct;	/* when cuda_layer_is_direct() */

	int32_t *pulse;			/* of cuda_layer_align() */
	void **owned;			/* all device memory */
	size_t n_owned, cap_owned;
	double *forward_s, *step_s;	/* of the last run */
	struct layer_trace *trace;	/* NULL: none */
};

/* The element type of NCCL and cuBLAS. */
static inline bool layer_is_bf16(const struct cuda_layer *l)
{
	return l->c.dtype == DT_BF16;
}

static inline void *layer_row(const struct cuda_layer *l, const void *base,
			      int64_t row)
{
	return (char *)base + (size_t)row * l->row_bytes;
}

/* Where an op is queued. */
static inline cudaStream_t layer_stream(const struct cuda_layer *l,
					const struct op *op)
{
	return l->lane[l->is_chain[op->backward] ? LANE_COMPUTE : op->lane];
}

/* cuda_layer_memory.c. Device memory of the layer; 0 bytes: NULL. */
enum status cuda_layer_alloc(struct cuda_layer *l, void *out_p,
			     uint64_t bytes);
/* Tensors and their data; what routing needs. */
enum status cuda_layer_tensors(struct cuda_layer *l);
/* What depends on the plans of both passes. */
enum status cuda_layer_buffers(struct cuda_layer *l);

/* cuda_layer_comm.c: communicators of lanes and groups, made when needed. */
bool cuda_layer_comm_need(const struct cuda_rank *r);
enum status cuda_layer_comms(struct cuda_layer *l, const ncclUniqueId *id);
/* All ranks begin together: what comes after on the stream. */
enum status cuda_layer_align(struct cuda_layer *l);

/* cuda_fault.c: what a test wants to go wrong now. */
enum status cuda_layer_fault(struct cuda_layer *l);

/* cuda_layer_gate.c: on the COMPUTE lane. */
enum status cuda_layer_gate(struct cuda_layer *l);
enum status cuda_layer_gate_bwd(struct cuda_layer *l);
/* Dropless: all ranks' cells, on their way to the host. */
enum status cuda_layer_gather_cells(struct cuda_layer *l);
/* Waits for the cells of all ranks, dropless. */
enum status cuda_layer_wait_cells(struct cuda_layer *l);

/* cuda_layer_pass.c: plans of a pass, and their tables on the device. */
enum status cuda_layer_plan(struct cuda_layer *l, int pass);
void cuda_layer_plan_release(struct cuda_layer *l, int pass);
enum status cuda_layer_tables(struct cuda_layer *l, int pass);
enum status cuda_layer_tokens(struct cuda_layer *l);

/*
 * cuda_layer_direct.c: in the place of permute, exchange and unpermute.
 * cuda_layer_rows(): the experts' rows of a chunk and where they begin, of
 * any exchange; plans_steps(): the host makes plans in each step.
 */
bool cuda_layer_is_direct(const struct cuda_layer *l);
bool cuda_layer_plans_steps(const struct cuda_layer *l);
enum status cuda_layer_direct_check(const struct cuda_layer *l);
enum status cuda_layer_direct_window(struct cuda_layer *l);
int64_t cuda_layer_direct_rows(struct cuda_layer *l, int pass);
enum status cuda_layer_direct_open(struct cuda_layer *l);
void cuda_layer_direct_close(struct cuda_layer *l);
enum status cuda_layer_direct_gate(struct cuda_layer *l);
enum status cuda_layer_direct_begin_bwd(struct cuda_layer *l);
enum status cuda_layer_direct_to(struct cuda_layer *l, const struct op *op);
enum status cuda_layer_direct_from(struct cuda_layer *l, const struct op *op);
enum status cuda_layer_direct_add(struct cuda_layer *l, int pass);
/* Sets runs and rows of the move. */
enum status cuda_layer_direct_regroup(struct cuda_layer *l, int chunk,
				      struct k_move *m);
enum status cuda_layer_rows(struct cuda_layer *l, int pass, int chunk,
			    struct ffn_rows *rows, int64_t *base);

/* cuda_layer_ops.c: one op of the program; joins the lanes after a pass. */
enum status cuda_layer_op(struct cuda_layer *l, int i);
enum status cuda_layer_tune(struct cuda_layer *l);

/* cuda_layer_run.c */
enum status cuda_layer_step(struct cuda_layer *l, cudaEvent_t middle);
/* A step whose ops wait for each other on the host: what is loaded at first
 * use must not be while another kernel waits for a peer. */
enum status cuda_layer_warm(struct cuda_layer *l);
enum status cuda_layer_capture(struct cuda_layer *l);
enum status cuda_layer_repeat(struct cuda_layer *l, int n);

/* cuda_layer_trace.c: with TRACE_VARIABLE set, rank 0 prints when each op of
 * some steps began and ended, and when the parts of an op did: what is queued
 * since the mark before it on the COMPUTE lane. */
enum status cuda_layer_trace(struct cuda_layer *l);
enum status cuda_layer_trace_op(struct cuda_layer *l, int i, bool is_end);
enum status cuda_layer_mark(struct cuda_layer *l, const char *name);

/* cuda_layer.c */
/* Multiprocessors of an exchange beside products of a pass of one chunk. */
int cuda_layer_beside(const struct cuda_layer *l);
enum status cuda_layer_open(struct cuda_rank *r, struct ranks *all,
			    const struct layer_case *c,
			    const struct program *p, const ncclUniqueId *id);
void cuda_layer_close(struct cuda_rank *r);

#endif
