/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The memory-bound ops. Buffers:
 *
 *	topk	0 logits, 1 ids, 2 weights, 3 counts
 *	sort	0 ids, 1 positions, 2 workspace
 *	permute, combine  0 rows, 1 positions, 2 result, 3 weights
 *	stream, copy	0 x, 1 y
 */
#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/k.h"
#include "gpu/ref.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Results up to so large are compared on the CPU, in all elements. */
#define TOPK_LOGITS (1u << 18)
#define TOPK_PARTS 64
#define SORT_PAIRS (1u << 18)

static uint64_t element(const struct bench_work *w)
{
	return (uint64_t)work_element_bytes(w->dtype);
}

/* The counter that checks on the device have added to. */
static enum status take_counter(struct cuda_rank *r, int64_t *wrong_p)
{
	unsigned long long wrong = 0;
	enum status st;

	CUDA_GOTO(out, st, cudaMemcpyAsync(&wrong, r->counter, sizeof(wrong),
					   cudaMemcpyDeviceToHost, r->main));
	CUDA_GOTO(out, st, cudaStreamSynchronize(r->main));
	*wrong_p += (int64_t)wrong;
out:
	return st;
}

static enum status clear_counter(struct cuda_rank *r)
{
	return cuda_status(cudaMemsetAsync(r->counter, 0, sizeof(*r->counter),
					   r->main), "cudaMemsetAsync()");
}

/* A copy of a buffer; *out_p is the caller's to free, also on failure. */
static enum status fetch(struct cuda_work *w, int set, int i, void *out_p)
{
	void *p = xmalloc(w->size[i]);

	memcpy(out_p, &p, sizeof(p));
	return cuda_status(cudaMemcpy(p, cuda_buffer(w, set, i), w->size[i],
				      cudaMemcpyDeviceToHost), "cudaMemcpy()");
}

static bool topk_can(const struct bench_work *w)
{
	return w->n >= 1 && w->n <= K_EXPERTS_MAX && w->k >= 1 && w->k <= w->n;
}

static void topk_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	const struct bench_work *w = &c->work;

	(void)rank;
	size[0] = w->m * w->n * sizeof(float);
	size[1] = w->m * w->k * sizeof(int32_t);
	size[2] = w->m * w->k * sizeof(float);
	size[3] = w->n * sizeof(int32_t);
}

static enum status topk_fill(struct cuda_rank *r, struct cuda_work *w, int set)
{
	return cuda_status(k_fill_logits(cuda_buffer(w, set, 0),
					 w->c.work.m * w->c.work.n,
					 cuda_key(w, r->rank, FILL_LOGITS),
					 r->main), "k_fill_logits()");
}

static enum status topk_launch(struct cuda_rank *r, struct cuda_work *cw,
			       int set, cudaStream_t s)
{
	const struct bench_work *w = &cw->c.work;

	(void)r;
	return cuda_status(k_topk(cuda_buffer(cw, set, 0),
				  cuda_buffer(cw, set, 1),
				  cuda_buffer(cw, set, 2),
				  cuda_buffer(cw, set, 3), w->m, (int)w->n,
				  (int)w->k, s), "k_topk()");
}

/* Rows first .. first + n - 1, by the twin. */
static int64_t topk_differ(const struct cuda_rank *r,
			   const struct cuda_work *cw, uint64_t first,
			   uint64_t n, const int32_t *ids,
			   const float *weights)
{
	const struct bench_work *w = &cw->c.work;
	uint32_t key = cuda_key(cw, r->rank, FILL_LOGITS);
	float *logits = xcalloc(n * w->n, sizeof(*logits));
	float *want_weights = xcalloc(n * w->k, sizeof(*want_weights));
	int32_t *want_ids = xcalloc(n * w->k, sizeof(*want_ids));
	int32_t *counts = xcalloc(w->n, sizeof(*counts));
	int64_t wrong = 0;
	uint64_t i;

	for (i = 0; i < n * w->n; i++)
		logits[i] = ref_logit(key, first * w->n + i);
	ref_topk(logits, n, (int)w->n, (int)w->k, want_ids, want_weights,
		 counts);
	for (i = 0; i < n * w->k; i++) {
		wrong += ids[i] != want_ids[i];
		wrong += !(fabsf(weights[i] - want_weights[i]) <=
			   (float)REF_WEIGHT_TOLERANCE * want_weights[i]);
	}
	free(counts);
	free(want_ids);
	free(want_weights);
	free(logits);
	return wrong;
}

static enum status topk_rows(struct cuda_rank *r, struct cuda_work *cw,
			     int set, uint64_t first, uint64_t n,
			     int64_t *wrong_p)
{
	const struct bench_work *w = &cw->c.work;
	uint64_t at = first * w->k, many = n * w->k;
	int32_t *ids = xcalloc(many, sizeof(*ids));
	float *weights = xcalloc(many, sizeof(*weights));
	enum status st;

	CUDA_GOTO(out, st, cudaMemcpy(ids, (const int32_t *)cuda_buffer(cw,
						set, 1) + at,
				      many * sizeof(*ids),
				      cudaMemcpyDeviceToHost));
	CUDA_GOTO(out, st, cudaMemcpy(weights, (const float *)cuda_buffer(cw,
						set, 2) + at,
				      many * sizeof(*weights),
				      cudaMemcpyDeviceToHost));
	*wrong_p += topk_differ(r, cw, first, n, ids, weights);
out:
	free(weights);
	free(ids);
	return st;
}

/*
 * The rows by the twin: all of them up to TOPK_LOGITS logits, else as many in
 * TOPK_PARTS parts from the first row to the last. The counts of all pairs on
 * the device.
 */
static enum status topk_check(struct cuda_rank *r, struct cuda_work *cw,
			      int set, int64_t *wrong_p)
{
	const struct bench_work *w = &cw->c.work;
	uint64_t rows = TOPK_LOGITS / w->n / TOPK_PARTS + 1, i;
	bool is_all = w->m <= rows * TOPK_PARTS;
	int parts = is_all ? 1 : TOPK_PARTS;
	enum status st = ST_OK;

	rows = is_all ? w->m : rows;
	for (i = 0; i < (uint64_t)parts && !st; i++)
		st = topk_rows(r, cw, set, is_all ? 0 :
			       (w->m - rows) * i / (TOPK_PARTS - 1), rows,
			       wrong_p);
	if (!st)
		st = clear_counter(r);
	if (st)
		goto out;
	CUDA_GOTO(out, st, k_wrong_counts(cuda_buffer(cw, set, 1),
					  w->m * w->k, cuda_buffer(cw, set, 3),
					  (int)w->n, r->counter, r->main));
	st = take_counter(r, wrong_p);
out:
	return st;
}

static bool sort_can(const struct bench_work *w)
{
	return w->n >= 1 && w->n <= K_EXPERTS_MAX && w->k >= 1 &&
	       w->m <= INT_MAX && w->m * w->k <= INT_MAX;
}

static void sort_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	const struct bench_work *w = &c->work;

	(void)rank;
	size[0] = w->m * w->k * sizeof(int32_t);
	size[1] = size[0];
	size[2] = k_sort_workspace_bytes(w->m * w->k, (int)w->n);
}

static enum status sort_fill(struct cuda_rank *r, struct cuda_work *w, int set)
{
	return cuda_status(k_fill_ids(cuda_buffer(w, set, 0),
				      w->c.work.m * w->c.work.k,
				      cuda_key(w, r->rank, FILL_IDS),
				      (int)w->c.work.n, r->main),
			   "k_fill_ids()");
}

static enum status sort_launch(struct cuda_rank *r, struct cuda_work *w,
			       int set, cudaStream_t s)
{
	(void)r;
	return cuda_status(k_sort(cuda_buffer(w, set, 0), cuda_buffer(w, set, 1),
				  w->c.work.m * w->c.work.k, (int)w->c.work.n,
				  cuda_buffer(w, set, 2), s), "k_sort()");
}

/* Positions by the twin: pairs of n experts; the caller's to free. */
static int32_t *twin_positions(const struct cuda_rank *r,
			       const struct cuda_work *w, uint64_t pairs, int n)
{
	uint32_t key = cuda_key(w, r->rank, FILL_IDS);
	int32_t *ids = xcalloc(pairs, sizeof(*ids));
	int32_t *pos = xcalloc(pairs, sizeof(*pos));
	uint64_t i;

	for (i = 0; i < pairs; i++)
		ids[i] = fill_expert(key, i, n);
	ref_sort(ids, pairs, n, pos);
	free(ids);
	return pos;
}

static enum status sort_check_twin(struct cuda_rank *r, struct cuda_work *w,
				   int set, int64_t *wrong_p)
{
	uint64_t pairs = w->c.work.m * w->c.work.k, i;
	int32_t *got = NULL, *want;
	enum status st = fetch(w, set, 1, &got);

	if (!st) {
		want = twin_positions(r, w, pairs, (int)w->c.work.n);
		for (i = 0; i < pairs; i++)
			*wrong_p += got[i] != want[i];
		free(want);
	}
	free(got);
	return st;
}

/* Few pairs by the twin, many on the device; the ids are overwritten. */
static enum status sort_check(struct cuda_rank *r, struct cuda_work *w, int set,
			      int64_t *wrong_p)
{
	uint64_t pairs = w->c.work.m * w->c.work.k;
	enum status st;

	if (pairs <= SORT_PAIRS)
		return sort_check_twin(r, w, set, wrong_p);
	st = clear_counter(r);
	if (st)
		goto out;
	CUDA_GOTO(out, st, k_wrong_sort(cuda_buffer(w, set, 1), pairs,
					(int)w->c.work.n,
					cuda_key(w, r->rank, FILL_IDS),
					cuda_buffer(w, set, 0), r->counter,
					r->main));
	st = take_counter(r, wrong_p);
out:
	return st;
}

static bool rows_can(const struct bench_work *w)
{
	return w->batch >= 1 && w->batch <= K_EXPERTS_MAX && w->n >= 1 &&
	       w->k >= 1 && w->m <= INT_MAX && w->m * w->k <= INT_MAX;
}

static void permute_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	const struct bench_work *w = &c->work;

	(void)rank;
	size[0] = w->m * w->n * element(w);
	size[1] = w->m * w->k * sizeof(int32_t);
	size[2] = size[0] * w->k;
}

static void combine_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	const struct bench_work *w = &c->work;

	(void)rank;
	size[2] = w->m * w->n * element(w);
	size[0] = size[2] * w->k;
	size[1] = w->m * w->k * sizeof(int32_t);
	size[3] = w->m * w->k * sizeof(float);
}

/* Positions come from the twin, so that a wrong sort cannot send rows out
 * of the buffer. */
static enum status rows_fill(struct cuda_rank *r, struct cuda_work *cw, int set)
{
	const struct bench_work *w = &cw->c.work;
	int32_t *pos = twin_positions(r, cw, w->m * w->k, (int)w->batch);
	enum status st;

	CUDA_GOTO(out, st, cudaMemcpy(cuda_buffer(cw, set, 1), pos, cw->size[1],
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, k_fill(cuda_buffer(cw, set, 0),
				  cw->size[0] / element(w), cuda_is_bf16(w),
				  cuda_key(cw, r->rank, FILL_X), r->main));
	if (cw->size[3])
		CUDA_GOTO(out, st, k_fill(cuda_buffer(cw, set, 3), w->m * w->k,
					  false, cuda_key(cw, r->rank,
							  FILL_WEIGHTS),
					  r->main));
out:
	free(pos);
	return st;
}

static enum status permute_launch(struct cuda_rank *r, struct cuda_work *cw,
				  int set, cudaStream_t s)
{
	const struct bench_work *w = &cw->c.work;

	(void)r;
	return cuda_status(k_permute(cuda_buffer(cw, set, 0),
				     cuda_buffer(cw, set, 1),
				     cuda_buffer(cw, set, 2), w->m,
				     w->n * element(w), (int)w->k, s),
			   "k_permute()");
}

static enum status permute_check(struct cuda_rank *r, struct cuda_work *cw,
				 int set, int64_t *wrong_p)
{
	const struct bench_work *w = &cw->c.work;
	enum status st = clear_counter(r);

	if (st)
		goto out;
	CUDA_GOTO(out, st, k_wrong_permute(cuda_buffer(cw, set, 2),
					   cuda_buffer(cw, set, 1), w->m, w->n,
					   (int)w->k, cuda_is_bf16(w),
					   cuda_key(cw, r->rank, FILL_X),
					   r->counter, r->main));
	st = take_counter(r, wrong_p);
out:
	return st;
}

static enum status combine_launch(struct cuda_rank *r, struct cuda_work *cw,
				  int set, cudaStream_t s)
{
	const struct bench_work *w = &cw->c.work;

	(void)r;
	return cuda_status(k_combine(cuda_buffer(cw, set, 0),
				     cuda_buffer(cw, set, 1),
				     cuda_buffer(cw, set, 3),
				     cuda_buffer(cw, set, 2), w->m, w->n,
				     (int)w->k, cuda_is_bf16(w), s),
			   "k_combine()");
}

static enum status combine_check(struct cuda_rank *r, struct cuda_work *cw,
				 int set, int64_t *wrong_p)
{
	const struct bench_work *w = &cw->c.work;
	enum status st = clear_counter(r);

	if (st)
		goto out;
	CUDA_GOTO(out, st, k_wrong_combine(cuda_buffer(cw, set, 2),
					   cuda_buffer(cw, set, 1), w->m, w->n,
					   (int)w->k, cuda_is_bf16(w),
					   cuda_key(cw, r->rank, FILL_X),
					   cuda_key(cw, r->rank, FILL_WEIGHTS),
					   r->counter, r->main));
	st = take_counter(r, wrong_p);
out:
	return st;
}

static void stream_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	(void)rank;
	size[0] = size[1] = c->work.m * element(&c->work);
}

static enum status stream_fill(struct cuda_rank *r, struct cuda_work *w,
			       int set)
{
	return cuda_status(k_fill(cuda_buffer(w, set, 0), w->c.work.m,
				  cuda_is_bf16(&w->c.work),
				  cuda_key(w, r->rank, FILL_X), r->main),
			   "k_fill()");
}

static enum status stream_launch(struct cuda_rank *r, struct cuda_work *w,
				 int set, cudaStream_t s)
{
	(void)r;
	return cuda_status(k_stream(cuda_buffer(w, set, 0),
				    cuda_buffer(w, set, 1), w->c.work.m,
				    cuda_is_bf16(&w->c.work), s), "k_stream()");
}

static enum status copy_launch(struct cuda_rank *r, struct cuda_work *w,
			       int set, cudaStream_t s)
{
	(void)r;
	return cuda_status(cudaMemcpyAsync(cuda_buffer(w, set, 1),
					   cuda_buffer(w, set, 0), w->size[0],
					   cudaMemcpyDeviceToDevice, s),
			   "cudaMemcpyAsync()");
}

static enum status scaled_check(struct cuda_rank *r, struct cuda_work *cw,
				int set, int64_t *wrong_p, float a, float b)
{
	const struct bench_work *w = &cw->c.work;
	enum status st = clear_counter(r);

	if (st)
		goto out;
	CUDA_GOTO(out, st, k_wrong_scaled(cuda_buffer(cw, set, 1), w->m,
					  cuda_is_bf16(w),
					  cuda_key(cw, r->rank, FILL_X), a, b,
					  r->counter, r->main));
	st = take_counter(r, wrong_p);
out:
	return st;
}

static enum status stream_check(struct cuda_rank *r, struct cuda_work *w,
				int set, int64_t *wrong_p)
{
	return scaled_check(r, w, set, wrong_p, 2, 1);
}

static enum status copy_check(struct cuda_rank *r, struct cuda_work *w,
			      int set, int64_t *wrong_p)
{
	return scaled_check(r, w, set, wrong_p, 1, 0);
}

#define KERNEL(op, shape, fits, data, at) { \
	.name = #op, \
	.variants = { "" }, \
	.rotates = true, \
	.result = at, \
	.can = fits, \
	.sizes = shape##_sizes, \
	.launch = op##_launch, \
	.check = op##_check, \
	.fill = data##_fill \
}

const struct cuda_op cuda_kernels[] = {
	KERNEL(topk, topk, topk_can, topk, 1),
	KERNEL(sort, sort, sort_can, sort, 1),
	KERNEL(permute, permute, rows_can, rows, 2),
	KERNEL(combine, combine, rows_can, rows, 2),
	KERNEL(stream, stream, NULL, stream, 1),
	KERNEL(copy, stream, NULL, stream, 1),
	{ .name = NULL }
};
