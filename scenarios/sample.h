/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A sample: one timed (or imported) row, and the run that it belongs to.
 *
 * The runner writes them as JSON lines, profiles/ stores them, fits and
 * reports read them; nobody else knows their form. Text fields are plain
 * ASCII names. Times are seconds of one operation.
 */
#ifndef SCENARIOS_SAMPLE_H
#define SCENARIOS_SAMPLE_H

#include "base/status.h"

#include <jansson.h>
#include <stdint.h>

#define SAMPLE_TEXT 32
#define SAMPLE_LONG 256	/* of a plan or a layer */

struct sample {
	/*
	 * What: alltoall allgather reducescatter allreduce sendrecv (size in
	 * `bytes`, nccl-tests' meaning: what one rank sends in all, resp. the
	 * whole result, input, buffer, message); gemm (m, n, k, batch: one
	 * product per expert of m rows); gate topk sort permute combine
	 * stream copy (`bytes` moved through memory); launch (`bytes`: so many
	 * kernels or products, one after the other); plan (`bytes` of choices
	 * that a rank's host plans an exchange from; gpu/turn.h); layer (a
	 * whole MoE layer by a plan: m tokens per rank, n hidden, k ffn, batch
	 * experts).
	 */
	char op[SAMPLE_TEXT];
	/* even, uneven; strided-batched, per-expert, grouped; a layer's:
	 * forward, step (forward and backward); ... */
	char variant[SAMPLE_TEXT];
	/* nvlink shm socket network (exchanges); memory compute */
	char tier[SAMPLE_TEXT];
	char dtype[SAMPLE_TEXT];	/* bf16, fp32, ... */
	/* what ran beside it: "" alone, else the other op (contention) */
	char beside[SAMPLE_TEXT];
	int ranks, nodes;
	int ctas;		/* limit of the communicator; 0: none */
	double bytes;
	double m, n, k, batch;	/* shape, gpu/work.h; 0: has none */
	double busiest_bytes;	/* uneven: of the busiest rank; else 0 */
	double median_s, p95_s, min_s, max_s, mean_s;
	int count;		/* repetitions behind them */
	int64_t wrong;		/* elements that were wrong; -1: not checked */
	/* contention: rows of one pair share it, within a run; 0: none */
	int64_t pair;
	char plan[SAMPLE_LONG];	/* a layer's: plan text (scenarios/plan.h) */
	char layer[SAMPLE_LONG];	/* shape, routing and label */
};

struct run_info {
	char backend[SAMPLE_TEXT];	/* cuda, host, import */
	char source[128];	/* "moecast-run", "nccl-tests", ... */
	char host[64], gpu[64];
	int gpus;
	char driver[SAMPLE_TEXT], cuda[SAMPLE_TEXT], nccl[SAMPLE_TEXT];
	char clocks[64];	/* seen, "sm 1980 MHz, memory 3201 MHz" */
	char environment[512];	/* NCCL_* and CUDA_* that were set */
	char version[SAMPLE_TEXT];	/* of the program */
	char date[SAMPLE_TEXT];	/* 2026-11-22T15:04:05Z */
};

/*
 * JSON objects {"type": "sample", ...} and {"type": "run", ...}. Reading
 * refuses wrong types, negative or non-finite times and unknown ops; the
 * message names the field ("field 'median_s': ..."). Fields are called as in
 * the structs; needed are op and median_s, backend for a run, the others are
 * 0 or "" when missing (and are left out when they are). Unknown fields are
 * passed over. Dump reals with JSON_REAL_PRECISION(17): then a sample comes
 * back bit by bit.
 */
json_t *sample_json(const struct sample *s);
enum status sample_from_json(const json_t *j, struct sample *out);
json_t *run_info_json(const struct run_info *r);
enum status run_info_from_json(const json_t *j, struct run_info *out);

/*
 * The same rules on the structs, wherever they came from: texts end and have
 * no control characters, numbers are finite and not negative (wrong: from -1
 * up), the op is known, a gemm and a layer have their shape, a layer is
 * "forward" or "step", min_s <= median_s <= max_s
 * where given.
 */
enum status sample_check(const struct sample *s);
enum status run_info_check(const struct run_info *r);

/* Is it one of the ops above; is it an exchange? */
int sample_op_known(const char *op);
int sample_op_is_exchange(const char *op);

#endif
