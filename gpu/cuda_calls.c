/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * launch product (gpu/work.h): m products, each a call of its own over side
 * streams, as layers make them that have different rows for each expert
 * (cuda_ffn.h, FFN_EACH). Each has a number of rows that no other has, so that
 * each call finds a problem of its own, and repetitions take the products of a
 * layer in turn: what a host needs to queue such calls is mostly what it does
 * not find in its caches, and a loop over one call says half of it. They are so
 * small that the GPU waits for its host.
 *
 * Buffers: 0 rows, 1 a square weight for each product, 2 the results of the
 * last repetition.
 */
#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/cuda_ffn_int.h"
#include "gpu/k.h"
#include "gpu/ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 64		/* hidden and ffn: no depth to split, which would
				   be kernels more */
#define ROWS_LEAST 17		/* of the first product; then one more each */
#define SAMPLES 64		/* elements that are checked */

struct cuda_calls {
	struct cuda_ffn *ffn;	/* the rank's */
	int32_t *count;
	unsigned n;		/* repetitions so far */
};

/* What a layer does with one weight, forward and backward. */
static const enum ffn_product in_turn[] = {
	FFN_PRE, FFN_Y, FFN_G, FFN_DX
};
#define N_IN_TURN (sizeof(in_turn) / sizeof(in_turn[0]))

void cuda_calls_free(struct cuda_calls *c)
{
	if (c)
		free(c->count);
	free(c);
}

static bool calls_can(const struct bench_work *w)
{
	return w->m <= FFN_EXPERTS_MAX;
}

static uint64_t first_row(uint64_t product)
{
	return product * ROWS_LEAST + product * (product - !!product) / 2;
}

static void calls_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	uint64_t m = c->work.m ? c->work.m : 1;
	uint64_t e = (uint64_t)work_element_bytes(c->work.dtype);

	(void)rank;
	size[0] = size[2] = first_row(m) * WIDTH * e;
	size[1] = m * WIDTH * WIDTH * e;
}

static enum status calls_plan(struct cuda_rank *r, struct cuda_work *w)
{
	/* a call knows one expert, whatever their number */
	const struct ffn_shape shape = {
		.experts = 1, .hidden = WIDTH, .ffn = WIDTH,
		.bf16 = cuda_is_bf16(&w->c.work)
	};
	struct cuda_calls *c = xcalloc(1, sizeof(*c));
	uint64_t i;

	w->calls = c;
	c->count = xcalloc(w->c.work.m, sizeof(*c->count));
	for (i = 0; i < w->c.work.m; i++)
		c->count[i] = (int32_t)(ROWS_LEAST + i);
	return cuda_ffn_get(&r->ffn, &shape, &c->ffn);
}

static enum status calls_fill(struct cuda_rank *r, struct cuda_work *w,
			      int set)
{
	uint64_t e = (uint64_t)work_element_bytes(w->c.work.dtype);
	bool is_bf16 = cuda_is_bf16(&w->c.work);
	enum status st;

	CUDA_GOTO(out, st, k_fill(cuda_buffer(w, set, 0), w->size[0] / e,
				  is_bf16, cuda_key(w, r->rank, FILL_A),
				  r->main));
	CUDA_GOTO(out, st, k_fill(cuda_buffer(w, set, 1), w->size[1] / e,
				  is_bf16, cuda_key(w, r->rank, FILL_B),
				  r->main));
out:
	return st;
}

static enum status calls_launch(struct cuda_rank *r, struct cuda_work *w,
				int set, cudaStream_t s)
{
	struct cuda_calls *c = w->calls;
	enum ffn_product p = in_turn[c->n++ % N_IN_TURN];
	const struct ffn_rows rows = { .experts = (int)w->c.work.m,
				       .count = c->count };
	void *in = cuda_buffer(w, set, 0), *out = cuda_buffer(w, set, 2);
	void *weight = cuda_buffer(w, set, 1);
	const struct ffn_buffers b = {
		.x = in, .h = in, .dy = in, .w1 = weight, .w2 = weight,
		.pre = p == FFN_DX ? in : out, .y = out, .g = out, .dx = out
	};

	(void)r;
	return ffn_multiply_by(c->ffn, p, &rows, &b, FFN_EACH, 0, s);
}

/* Every problem is made, and the kernels' code is there. */
static enum status calls_tune(struct cuda_rank *r, struct cuda_work *w)
{
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < N_IN_TURN && !st; i++)
		st = calls_launch(r, w, 0, r->main);
	if (!st)
		st = cuda_status(cudaStreamSynchronize(r->main),
				 "cudaStreamSynchronize()");
	return st;
}

/* The last repetition's: backward by the weight transposed. */
static bool is_turned(const struct cuda_calls *c)
{
	enum ffn_product last = in_turn[(c->n - 1) % N_IN_TURN];

	return last == FFN_G || last == FFN_DX;
}

static double value_of(const struct cuda_work *w, int rank, uint64_t at)
{
	uint32_t a = cuda_key(w, rank, FILL_A), b = cuda_key(w, rank, FILL_B);
	uint64_t row = at / WIDTH, column = at % WIDTH, e = 0, i;
	uint64_t step = WIDTH, from;
	double sum = 0;

	while (row >= first_row(e + 1))
		e++;
	from = e * WIDTH * WIDTH + column;
	if (is_turned(w->calls)) {
		from = (e * WIDTH + column) * WIDTH;
		step = 1;
	}
	for (i = 0; i < WIDTH; i++)
		sum += (double)fill_value(a, row * WIDTH + i) *
		       (double)fill_value(b, from + i * step);
	return sum;
}

static double element(const char *raw, bool is_bf16)
{
	uint16_t h;
	float f;

	if (!is_bf16) {
		memcpy(&f, raw, sizeof(f));
		return (double)f;
	}
	memcpy(&h, raw, sizeof(h));
	return (double)ref_from_bf16(h);
}

/* The first element, where a fault is planted, and some by chance. */
static enum status calls_check(struct cuda_rank *r, struct cuda_work *w,
			       int set, int64_t *wrong_p)
{
	struct bench_work like = { .op = "gemm", .k = WIDTH };
	size_t e = (size_t)work_element_bytes(w->c.work.dtype);
	uint64_t total = w->size[2] / e, at = 0, i;
	uint32_t key = cuda_key(w, r->rank, FILL_STREAM_N);
	double tolerance;
	char raw[sizeof(float)];
	enum status st = ST_OK;

	memcpy(like.dtype, w->c.work.dtype, sizeof(like.dtype));
	tolerance = ref_tolerance(&like);
	for (i = 0; i < SAMPLES; i++) {
		CUDA_GOTO(out, st, cudaMemcpy(raw, (char *)cuda_buffer(
			w, set, 2) + at * e, e, cudaMemcpyDeviceToHost));
		/* a NaN is wrong */
		*wrong_p += !(fabs(element(raw, cuda_is_bf16(&w->c.work)) -
				   value_of(w, r->rank, at)) <= tolerance);
		at = fill_bits(key, i) % total;
	}
out:
	return st;
}

const struct cuda_op cuda_call_ops[] = {
	{
		.name = "launch",
		.variants = { "product" },
		.result = 2,
		.can = calls_can,
		.sizes = calls_sizes,
		.plan = calls_plan,
		.fill = calls_fill,
		.tune = calls_tune,
		.launch = calls_launch,
		.check = calls_check,
	},
	{ .name = NULL }
};
