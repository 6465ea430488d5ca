/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cuda backend: one thread (gpu/ranks.h) and one GPU for each rank.
 * Exchanges are NCCL's, products cuBLAS's, the rest are kernels (gpu/k.h).
 *
 * Emulated nodes are a team (gpu/team.h) of one process each, with an
 * NCCL_HOSTID of its own, so that NCCL takes them for different hosts and goes
 * through sockets on loopback. Where there are fewer GPUs than ranks they share
 * them and take turns on them, so results are right and times are those of
 * sockets only for sizes that take far longer than a turn. Under MPI the
 * team's processes have GPUs of their own.
 *
 * This header is what its files share. A work (the main one of a case, and
 * the one beside it) has its buffers in the rank's arena, as several equal
 * sets: repetition i works on set i % n_sets, so that a small work does not
 * find its data in the L2 cache. Buffers are filled with NaN before the
 * inputs are written; what a kernel forgets to write is seen as wrong.
 *
 * All functions here run on a rank's thread with its device current, unless
 * they say otherwise.
 */
#ifndef GPU_CUDA_H
#define GPU_CUDA_H

#include "gpu/backend.h"
#include "gpu/cuda_ffn.h"
#include "gpu/layer.h"
#include "gpu/ranks.h"
#include "gpu/team.h"

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <nccl.h>
#include <stdbool.h>
#include <stdint.h>

#define CUDA_RANKS_MAX 64
#define CUDA_BUFFERS 4		/* of one set, at most */
#define CUDA_VARIANTS 8
#define CUDA_TURN_SETS 1	/* of what passes between kernels */
#define CUDA_SIDE_STREAMS 4	/* of one product for each expert */
#define CUDA_COMMS_MAX 64	/* CTA limits and layers' groups in a process */
#define CUDA_LT_WORKSPACE_BYTES (32u << 20)	/* cuBLAS's advice for Hopper */

struct cuda_rank;
struct cuda_product;
struct cuda_layer;
struct cuda_direct;
struct cuda_turn;
struct cuda_calls;

struct cuda_work {
	struct bench_case c;	/* this work as its main one */
	const struct cuda_op *op;	/* NULL: no work */
	uint64_t size[CUDA_BUFFERS];	/* bytes; from op->sizes() */
	uint64_t offset[CUDA_BUFFERS];	/* in a set */
	uint64_t set_bytes;
	int n_sets, last_set;
	char *base;		/* of set 0, in the rank's arena */
	/* of one repetition so far, the least: on the host to queue it, and
	 * on the device; 0: not known yet (cuda_run.c) */
	double host_s, device_s;
	ncclComm_t comm;	/* exchanges: borrowed from the rank */
	struct cuda_product *product;	/* owned */
	struct cuda_direct *direct;	/* owned */
	struct cuda_turn *turn;	/* owned */
	struct cuda_calls *calls;	/* owned */
};

/*
 * An op: its buffers, the data of one set, one repetition on a stream (no
 * waiting), and how many elements of a set's result are wrong.
 */
struct cuda_op {
	const char *name;
	const char *variants[CUDA_VARIANTS];	/* none: "" */
	bool rotates;		/* has several sets */
	bool is_fp32_only;
	int result;		/* buffer that a planted fault changes */
	/* shape, of any size (m may be 0: not known yet); may be NULL */
	bool (*can)(const struct bench_work *w);
	void (*sizes)(const struct bench_case *c, int rank, uint64_t *size);
	enum status (*plan)(struct cuda_rank *r, struct cuda_work *w);
	enum status (*fill)(struct cuda_rank *r, struct cuda_work *w, int set);
	/* how to do it, with all sets filled; waits; may be NULL */
	enum status (*tune)(struct cuda_rank *r, struct cuda_work *w);
	enum status (*launch)(struct cuda_rank *r, struct cuda_work *w, int set,
			      cudaStream_t s);
	enum status (*check)(struct cuda_rank *r, struct cuda_work *w, int set,
			     int64_t *wrong_p);
};

/* Communicators by CTA limit; the same on every rank. */
struct cuda_comm {
	int ctas;
	ncclComm_t comm;
};

/* Which of cublasLt's algorithms a product takes (cuda_gemm_lt.c). */
#define CUDA_TUNED_MAX 64
struct cuda_tuned {
	uint64_t m, n, k, batch;	/* 0: none */
	char variant[SAMPLE_TEXT], dtype[SAMPLE_TEXT];
	int sm_target, chosen;
};

struct cuda_rank {
	int rank, device;
	uint64_t l2_bytes, free_bytes;
	int sms;		/* multiprocessors */
	double sm_mhz;		/* their clock when it was opened */
	int sm_target;		/* how many a product may take; 0: all */
	cudaStream_t main, beside, side[CUDA_SIDE_STREAMS];
	cudaEvent_t fork, join[CUDA_SIDE_STREAMS];
	cudaEvent_t *event;	/* of repetitions; grown */
	int n_events;
	cublasHandle_t blas;
	cublasLtHandle_t lt;
	void *lt_workspace;	/* one for each side stream */
	struct cuda_tuned tuned[CUDA_TUNED_MAX];
	unsigned n_tuned;	/* so far; the last are kept */
	unsigned long long *counter;	/* two numbers on the device */
	char *arena;
	uint64_t arena_bytes;
	struct cuda_comm comm[CUDA_COMMS_MAX];
	int n_comms;
	struct cuda_work work, other;	/* main one, one beside it */
	double *seconds, *beside_s;	/* of the last run */
	int64_t wrong;
	struct cuda_layer *layer;	/* the prepared one, or NULL */
	struct ffn_kept ffn;	/* of layers so far */
};


struct backend {
	struct team *team;	/* that does all this; then only info: */
	struct team_place at;	/* of this process */
	int first_device;
	struct backend_info info;	/* ranks: of all nodes */
	struct ranks *ranks;
	struct cuda_rank *rank;	/* one for each of this process */
	struct layer_case layer;	/* the prepared one */
	struct program layer_program;
};

/* End with a NULL name. */
extern const struct cuda_op cuda_exchanges[];
extern const struct cuda_op cuda_products[];
extern const struct cuda_op cuda_kernels[];
extern const struct cuda_op cuda_direct_ops[];
extern const struct cuda_op cuda_direct_sums[];
extern const struct cuda_op cuda_turns[];
extern const struct cuda_op cuda_call_ops[];

/* cuda_direct_bench.c: do all ranks reach each other's memory? */
bool cuda_direct_can(const struct backend *b, const struct bench_case *c);

/*
 * Status of a call, with a message that names it; CUDA_GOTO and the others
 * jump on failure: CUDA_GOTO(out, st, cudaMalloc(&p, n));
 */
enum status cuda_status(cudaError_t rc, const char *call);
enum status cuda_status_nccl(ncclResult_t rc, const char *call);
enum status cuda_status_blas(cublasStatus_t rc, const char *call);
#define CUDA_GOTO(label, st, call) \
	do { \
		(st) = cuda_status((call), #call); \
		if (st) \
			goto label; \
	} while (0)
#define NCCL_GOTO(label, st, call) \
	do { \
		(st) = cuda_status_nccl((call), #call); \
		if (st) \
			goto label; \
	} while (0)
#define BLAS_GOTO(label, st, call) \
	do { \
		(st) = cuda_status_blas((call), #call); \
		if (st) \
			goto label; \
	} while (0)

/* Buffer `i` of a set. */
static inline void *cuda_buffer(const struct cuda_work *w, int set, int i)
{
	return w->base + (uint64_t)set * w->set_bytes + w->offset[i];
}

bool cuda_is_bf16(const struct bench_work *w);
/* Rank's key of a stream (enum fill_stream) in this work's data. */
uint32_t cuda_key(const struct cuda_work *w, int rank, int stream);

/* cuda_device.c: everything of a rank; what the machine is (any thread). */
enum status cuda_rank_open(struct cuda_rank *r);
void cuda_rank_close(struct cuda_rank *r, bool is_sound);
void cuda_describe(struct backend *b);

/*
 * cuda_comm.c. A communicator with a CTA limit (0: none) is made once, by
 * all ranks together when cuda_comm_need() says so; `id` comes from
 * cuda_comm_id(), called once for all of them. cuda_wait(): until `e`, or an asynchronous
 * error of a communicator, the failure of another rank or the deadline;
 * then all communicators are aborted.
 */
bool cuda_comm_need(const struct cuda_rank *r, int ctas);
void cuda_comm_limit(ncclConfig_t *config, int ctas);
enum status cuda_comm_id(ncclUniqueId *id);
enum status cuda_comm_make(struct cuda_rank *r, int n_ranks, int ctas,
			   const ncclUniqueId *id);
ncclComm_t cuda_comm_find(const struct cuda_rank *r, int ctas);
enum status cuda_wait(struct cuda_rank *r, struct ranks *all, cudaEvent_t e);

/* cuda_gemm.c */
void cuda_product_free(struct cuda_product *p);	/* NULL is fine */

/* cuda_turn.c, cuda_calls.c; NULL is fine */
void cuda_turn_free(struct cuda_turn *t);
void cuda_calls_free(struct cuda_calls *c);

/* cuda_prepare.c: lays the works out in the arena, fills them. */
enum status cuda_rank_prepare(struct cuda_rank *r, const struct bench_case *c,
			      uint64_t max_bytes, const ncclUniqueId *id);

void cuda_work_release(struct cuda_work *w);

/* By op and variant; NULL: there is none. */
const struct cuda_op *cuda_op_find(const struct bench_work *w);

/* cuda_layer_part.c, cuda_layer_check.c: this process's part of a layer. */
enum status cuda_part_layer_id(struct backend *b, void *id);
enum status cuda_part_layer_prepare(struct backend *b,
				    const struct layer_case *c,
				    const void *id);
enum status cuda_part_layer_run(struct backend *b, int n, double *forward_s,
				double *step_s);
enum status cuda_part_layer_check(struct backend *b, struct layer_check *out);
void cuda_part_layer_release(struct backend *b);

/* cuda_run.c: n repetitions of the prepared works; see backend.h. */
enum status cuda_rank_run(struct cuda_rank *r, struct ranks *all, int n);

#endif
