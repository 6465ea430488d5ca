/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Products by cuBLAS: C (m x n) = A (m x k) B (k x n), row-major, which to
 * cuBLAS (column-major) is C' (n x m) = B' (n x k) A' (k x m). bf16 or fp32
 * in memory, fp32 sums; no tf32. Buffers: 0 A, 1 B, 2 C, 3 pointers.
 *
 *	strided-batched	all experts in one call; the same rows for each
 *	sustained	the same, for so long that the clock is that of a GPU
 *			which does nothing else (gpu/bench.h)
 *	half-empty	sustained, with zeros in the first half of every
 *			expert's rows, as slots that are empty have
 *	per-expert	one cublasLtMatmul each, over four streams
 *	grouped		one call; each expert a group of its own, as unequal
 *			counts of rows would have it
 *	adding		strided-batched, to what is there: C = A B / 2 + C / 2,
 *			so that C = A B stays what it is; A is k x m, as rows
 *			of tokens are to the gradients of weights. Neither
 *			here nor in layers is the factor of C 1 itself, which
 *			takes longer (gpu/layer_math.h)
 *	weights-each	per-expert, and A is k x m
 *	adding-each	adding with a call for each expert, as per-expert
 *
 * All but grouped with the fastest of cublasLt's algorithms, as layers have
 * them; a gate's products with the library's own choice, as layers have those.
 */
#include "gpu/cuda_gemm.h"

#include "base/mem.h"
#include "gpu/k.h"
#include "gpu/ref.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Columns or depth of a gate's products, at most: its experts. */
#define NARROW_MAX 256

static const float one = 1, zero = 0;

static cudaDataType_t type_of(const struct bench_work *w)
{
	return cuda_is_bf16(w) ? CUDA_R_16BF : CUDA_R_32F;
}

/* 1 for gate, which has no batch. */
static uint64_t batch_of(const struct bench_work *w)
{
	return strcmp(w->op, "gemm") ? 1 : w->batch;
}

static bool product_can(const struct bench_work *w)
{
	return w->n && w->k && batch_of(w) && w->m <= INT_MAX &&
	       w->n <= INT_MAX && w->k <= INT_MAX && batch_of(w) <= INT_MAX;
}

static void product_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	const struct bench_work *w = &c->work;
	uint64_t e = (uint64_t)work_element_bytes(w->dtype);
	bool is_gate = strcmp(w->op, "gemm") != 0;

	(void)rank;
	size[0] = batch_of(w) * w->m * w->k * e;
	size[1] = batch_of(w) * w->k * w->n * e;
	size[2] = batch_of(w) * w->m * w->n * (is_gate ? sizeof(float) : e);
	size[3] = strcmp(w->variant, "grouped") ? 0
						: 3 * w->batch * sizeof(void *);
}

static void plan_groups(struct cuda_product *p, const struct bench_work *w)
{
	size_t n = w->batch, i;

	p->op = xcalloc(n, sizeof(*p->op));
	p->m = xcalloc(n, sizeof(int));
	p->n = xcalloc(n, sizeof(int));
	p->k = xcalloc(n, sizeof(int));
	p->one = xcalloc(n, sizeof(int));
	p->alpha = xcalloc(n, sizeof(float));
	p->beta = xcalloc(n, sizeof(float));
	for (i = 0; i < n; i++) {
		p->op[i] = CUBLAS_OP_N;
		p->m[i] = (int)w->m;
		p->n[i] = (int)w->n;
		p->k[i] = (int)w->k;
		p->one[i] = 1;
		p->alpha[i] = 1;
	}
}

/* A gate's: one product, of few columns or of little depth. */
static bool is_narrow(const struct bench_work *w)
{
	return w->batch == 1 && (w->n <= NARROW_MAX || w->k <= NARROW_MAX);
}

/* One for each expert. */
static bool has_calls(const struct bench_work *w)
{
	return !strcmp(w->variant, "per-expert") ||
	       !strcmp(w->variant, "weights-each") ||
	       !strcmp(w->variant, "adding-each");
}

static enum status product_plan(struct cuda_rank *r, struct cuda_work *w)
{
	const char *variant = w->c.work.variant;

	w->product = xcalloc(1, sizeof(*w->product));
	if (!strcmp(variant, "grouped")) {
		plan_groups(w->product, &w->c.work);
		return ST_OK;
	}
	if (has_calls(&w->c.work))
		return gemm_lt_plan(r, w->product, &w->c.work, 1);
	return is_narrow(&w->c.work) && !ref_adds(&w->c.work) ? ST_OK :
		gemm_lt_plan(r, w->product, &w->c.work, w->c.work.batch);
}

void cuda_product_free(struct cuda_product *p)
{
	if (!p)
		return;
	if (p->desc)
		cublasLtMatmulDescDestroy(p->desc);
	if (p->a)
		cublasLtMatrixLayoutDestroy(p->a);
	if (p->b)
		cublasLtMatrixLayoutDestroy(p->b);
	if (p->c)
		cublasLtMatrixLayoutDestroy(p->c);
	free(p->op);
	free(p->m);
	free(p->n);
	free(p->k);
	free(p->one);
	free(p->alpha);
	free(p->beta);
	free(p);
}

/* Matrix `i` of an expert, and its bytes. */
static uint64_t matrix_bytes(const struct cuda_work *w, int i)
{
	return w->size[i] / batch_of(&w->c.work);
}

static char *matrix(const struct cuda_work *w, int set, int i, uint64_t expert)
{
	return (char *)cuda_buffer(w, set, i) + expert * matrix_bytes(w, i);
}

/* The arrays of pointers that the grouped product wants: B, A, C. */
static enum status fill_pointers(struct cuda_work *w, int set)
{
	static const int order[3] = { 1, 0, 2 };
	uint64_t batch = w->c.work.batch, e;
	void **p = xcalloc(3 * batch, sizeof(*p));
	enum status st;
	int i;

	for (i = 0; i < 3; i++) {
		for (e = 0; e < batch; e++)
			p[(uint64_t)i * batch + e] = matrix(w, set, order[i],
							    e);
	}
	CUDA_GOTO(out, st, cudaMemcpy(cuda_buffer(w, set, 3), p, w->size[3],
				      cudaMemcpyHostToDevice));
out:
	free(p);
	return st;
}

static enum status launch_strided(struct cuda_rank *r, struct cuda_work *cw,
				  int set, bool add, cudaStream_t s)
{
	const struct bench_work *w = &cw->c.work;
	cudaDataType_t t = type_of(w);
	int m = (int)w->m, n = (int)w->n, k = (int)w->k;
	enum status st;

	if (cw->product->desc)
		return gemm_lt_launch(r, cw->product, matrix(cw, set, 1, 0),
				      matrix(cw, set, 0, 0),
				      matrix(cw, set, 2, 0), add, 0, s);
	BLAS_GOTO(out, st, cublasSetStream(r->blas, s));
	BLAS_GOTO(out, st, cublasSetSmCountTarget(r->blas, r->sm_target));
	BLAS_GOTO(out, st, cublasGemmStridedBatchedEx(
		r->blas, CUBLAS_OP_N, CUBLAS_OP_N, n, m, k, &one,
		matrix(cw, set, 1, 0), t, n, (long long)w->k * n,
		matrix(cw, set, 0, 0), t, k, (long long)w->m * k, &zero,
		matrix(cw, set, 2, 0), t, n, (long long)w->m * n,
		(int)w->batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
out:
	return st;
}

static bool is_half_empty(const struct bench_work *w)
{
	return !strcmp(w->variant, "half-empty");
}

/* Rows of each expert that are zeros. */
static uint64_t empty_rows(const struct bench_work *w)
{
	return is_half_empty(w) ? w->m / 2 : 0;
}

static enum status empty_half(struct cuda_rank *r, const struct cuda_work *w,
			      int set)
{
	const struct bench_work *bw = &w->c.work;
	uint64_t row = bw->k * (uint64_t)work_element_bytes(bw->dtype);

	if (!empty_rows(bw))
		return ST_OK;
	return cuda_status(cudaMemset2DAsync(cuda_buffer(w, set, 0),
					     bw->m * row, 0,
					     empty_rows(bw) * row,
					     batch_of(bw), r->main),
			   "cudaMemset2DAsync()");
}

static enum status launch_one(struct cuda_rank *r, struct cuda_work *w, int set,
			      uint64_t expert, bool add)
{
	int side = (int)(expert % CUDA_SIDE_STREAMS);

	return gemm_lt_launch(r, w->product, matrix(w, set, 1, expert),
			      matrix(w, set, 0, expert),
			      matrix(w, set, 2, expert), add, side,
			      r->side[side]);
}

/* Over the side streams, which start after `s` and which `s` waits for. */
static enum status launch_experts(struct cuda_rank *r, struct cuda_work *w,
				  int set, bool add, cudaStream_t s)
{
	uint64_t e;
	enum status st;
	int i;

	CUDA_GOTO(out, st, cudaEventRecord(r->fork, s));
	for (i = 0; i < CUDA_SIDE_STREAMS; i++)
		CUDA_GOTO(out, st, cudaStreamWaitEvent(r->side[i], r->fork, 0));
	for (e = 0; e < w->c.work.batch; e++) {
		st = launch_one(r, w, set, e, add);
		if (st)
			goto out;
	}
	for (i = 0; i < CUDA_SIDE_STREAMS; i++) {
		CUDA_GOTO(out, st, cudaEventRecord(r->join[i], r->side[i]));
		CUDA_GOTO(out, st, cudaStreamWaitEvent(s, r->join[i], 0));
	}
out:
	return st;
}

static enum status launch_lt(struct cuda_rank *r, struct cuda_work *w,
			     int set, bool add, cudaStream_t s)
{
	return has_calls(&w->c.work) ? launch_experts(r, w, set, add, s)
				     : launch_strided(r, w, set, add, s);
}

static enum status product_fill(struct cuda_rank *r, struct cuda_work *w,
				int set)
{
	static const int stream[2] = { FILL_A, FILL_B };
	uint64_t e = (uint64_t)work_element_bytes(w->c.work.dtype);
	enum status st;
	int i;

	for (i = 0; i < 2; i++) {
		CUDA_GOTO(out, st, k_fill(cuda_buffer(w, set, i),
					  w->size[i] / e,
					  cuda_is_bf16(&w->c.work),
					  cuda_key(w, r->rank, stream[i]),
					  r->main));
	}
	if (w->size[3])
		st = fill_pointers(w, set);
	if (!st && is_half_empty(&w->c.work))
		st = empty_half(r, w, set);
	if (!st && ref_adds(&w->c.work))
		st = launch_lt(r, w, set, false, r->main);
out:
	return st;
}

static enum status launch_grouped(struct cuda_rank *r, struct cuda_work *w,
				  int set, cudaStream_t s)
{
	const struct cuda_product *p = w->product;
	uint64_t batch = w->c.work.batch;
	cudaDataType_t t = type_of(&w->c.work);
	void **pointers = cuda_buffer(w, set, 3);
	enum status st;

	BLAS_GOTO(out, st, cublasSetStream(r->blas, s));
	BLAS_GOTO(out, st, cublasSetSmCountTarget(r->blas, r->sm_target));
	BLAS_GOTO(out, st, cublasGemmGroupedBatchedEx(
		r->blas, p->op, p->op, p->n, p->m, p->k, p->alpha,
		(const void *const *)pointers, t, p->n,
		(const void *const *)(pointers + batch), t, p->k, p->beta,
		pointers + 2 * batch, t, p->n, (int)batch, p->one,
		CUBLAS_COMPUTE_32F));
out:
	return st;
}

static enum status launch_gemm(struct cuda_rank *r, struct cuda_work *w,
			       int set, cudaStream_t s)
{
	if (!strcmp(w->c.work.variant, "grouped"))
		return launch_grouped(r, w, set, s);
	return launch_lt(r, w, set, ref_adds(&w->c.work), s);
}

/* Logits stay fp32: rounding them would change the choice of experts. */
static enum status launch_gate(struct cuda_rank *r, struct cuda_work *cw,
			       int set, cudaStream_t s)
{
	const struct bench_work *w = &cw->c.work;
	cudaDataType_t t = type_of(w);
	int m = (int)w->m, n = (int)w->n, k = (int)w->k;
	enum status st;

	BLAS_GOTO(out, st, cublasSetStream(r->blas, s));
	BLAS_GOTO(out, st, cublasGemmEx(
		r->blas, CUBLAS_OP_N, CUBLAS_OP_N, n, m, k, &one,
		cuda_buffer(cw, set, 1), t, n, cuda_buffer(cw, set, 0), t, k,
		&zero, cuda_buffer(cw, set, 2), CUDA_R_32F, n,
		CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
out:
	return st;
}

static double element(const void *p, bool is_bf16)
{
	uint16_t h;
	float f;

	if (is_bf16) {
		memcpy(&h, p, sizeof(h));
		return (double)ref_from_bf16(h);
	}
	memcpy(&f, p, sizeof(f));
	return (double)f;
}

/* Some elements, drawn anew for each seed. */
static enum status product_check(struct cuda_rank *r, struct cuda_work *w,
				 int set, int64_t *wrong_p)
{
	const struct bench_work *bw = &w->c.work;
	bool is_bf16 = cuda_is_bf16(bw) && !strcmp(bw->op, "gemm");
	double tolerance = ref_tolerance(bw), got, want;
	int samples = ref_product_samples(bw), i;
	size_t e = is_bf16 ? sizeof(uint16_t) : sizeof(float);
	enum status st = ST_OK;
	uint64_t at;
	float raw;

	for (i = 0; i < samples; i++) {
		at = ref_product_index(&w->c, r->rank, i);
		want = at / bw->n % bw->m < empty_rows(bw) ? 0 :
			ref_product_value(&w->c, r->rank, at);
		CUDA_GOTO(out, st, cudaMemcpy(&raw, (char *)cuda_buffer(
			w, set, 2) + at * e, e, cudaMemcpyDeviceToHost));
		got = element(&raw, is_bf16);
		/* a NaN is wrong */
		*wrong_p += !(got - want <= tolerance &&
			      want - got <= tolerance);
	}
out:
	return st;
}

const struct cuda_op cuda_products[] = {
	{
		.name = "gemm",
		.variants = { "strided-batched", "per-expert", "grouped",
			      "sustained", "half-empty", "adding",
			      "weights-each", "adding-each" },
		.rotates = true,
		.result = 2,
		.can = product_can,
		.sizes = product_sizes,
		.plan = product_plan,
		.tune = gemm_lt_tune,
		.fill = product_fill,
		.launch = launch_gemm,
		.check = product_check,
	}, {
		.name = "gate",
		.variants = { "" },
		.rotates = true,
		.result = 2,
		.can = product_can,
		.sizes = product_sizes,
		.fill = product_fill,
		.launch = launch_gate,
		.check = product_check,
	},
	{ .name = NULL }
};
