/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The last part of the direct exchange's way home alone: op combine, variant
 * direct. Rank 0 of two, as many experts on each: a token's copies at the own
 * experts are added up with the row that the other rank has sent for those at
 * its experts (k_direct_add_sums(), weighted rows, fp32 sums). What is sent
 * lies there already, so that no other rank is needed: every rank plays the
 * first one. Buffers: 0 rows of the experts, then what was sent; 1 experts of
 * the pairs, then the flags that the kernel looks at; 2 places; 3 sums.
 */
#include "gpu/cuda.h"

#include "base/mem.h"
#include "gpu/k.h"
#include "gpu/k_direct.h"
#include "gpu/ref.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define RANKS 2
#define K_MAX 32		/* a lane for each copy */
#define VECTOR 16		/* bytes that the kernel moves at once */
#define ALIGN 256
#define SAMPLES 64		/* tokens, from the first to the last */

enum { ROWS, IDS, PLACES, SUMS };

static uint64_t element(const struct bench_work *w)
{
	return (uint64_t)work_element_bytes(w->dtype);
}

static uint64_t pairs_of(const struct bench_work *w)
{
	return w->m * w->k;
}

static uint64_t rows_bytes(const struct bench_work *w)
{
	return pairs_of(w) * w->n * element(w);
}

static uint64_t sent_bytes(const struct bench_work *w)
{
	return w->m * w->n * element(w);
}

/* Where the flags begin in buffer IDS. */
static uint64_t flags_at(const struct bench_work *w)
{
	uint64_t bytes = pairs_of(w) * sizeof(int32_t);

	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static bool sums_can(const struct bench_work *w)
{
	return w->batch >= RANKS && w->batch <= K_EXPERTS_MAX &&
	       w->batch % RANKS == 0 && w->k >= 1 && w->k <= K_MAX && w->n &&
	       w->n * element(w) % VECTOR == 0 && w->m <= INT_MAX &&
	       pairs_of(w) <= INT_MAX;
}

static void sums_sizes(const struct bench_case *c, int rank, uint64_t *size)
{
	const struct bench_work *w = &c->work;

	(void)rank;
	size[ROWS] = rows_bytes(w) + sent_bytes(w);
	size[IDS] = flags_at(w) + sizeof(struct k_direct_ctl);
	size[PLACES] = pairs_of(w) * sizeof(int32_t);
	size[SUMS] = sent_bytes(w);
}

/* Experts of the pairs, and the rows of those that are here: by expert. */
struct routing {
	int32_t *ids, *places;
};

static void routing_make(const struct cuda_work *cw, int rank,
			 struct routing *out)
{
	const struct bench_work *w = &cw->c.work;
	uint64_t n = pairs_of(w), i;
	uint32_t key = cuda_key(cw, rank, FILL_IDS);

	out->ids = xcalloc(n + 1, sizeof(*out->ids));
	out->places = xcalloc(n + 1, sizeof(*out->places));
	for (i = 0; i < n; i++)
		out->ids[i] = fill_expert(key, i, (int)w->batch);
	ref_sort(out->ids, n, (int)w->batch, out->places);
	for (i = 0; i < n; i++) {
		if (out->ids[i] >= (int)w->batch / RANKS)
			out->places[i] = K_DIRECT_ELSEWHERE;
	}
}

static void routing_release(struct routing *r)
{
	free(r->ids);
	free(r->places);
}

static enum status sums_fill(struct cuda_rank *r, struct cuda_work *cw,
			     int set)
{
	const struct bench_work *w = &cw->c.work;
	char *rows = cuda_buffer(cw, set, ROWS), *ids = cuda_buffer(cw, set,
								    IDS);
	bool bf16 = cuda_is_bf16(w);
	struct routing q;
	enum status st;

	routing_make(cw, r->rank, &q);
	CUDA_GOTO(out, st, cudaMemcpy(ids, q.ids, pairs_of(w) *
				      sizeof(int32_t),
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemcpy(cuda_buffer(cw, set, PLACES), q.places,
				      cw->size[PLACES],
				      cudaMemcpyHostToDevice));
	CUDA_GOTO(out, st, cudaMemsetAsync(ids + flags_at(w), 0,
					   sizeof(struct k_direct_ctl),
					   r->main));
	CUDA_GOTO(out, st, k_fill(rows, pairs_of(w) * w->n, bf16,
				  cuda_key(cw, r->rank, FILL_X), r->main));
	CUDA_GOTO(out, st, k_fill(rows + rows_bytes(w), w->m * w->n, bf16,
				  cuda_key(cw, r->rank, FILL_SEND), r->main));
	CUDA_GOTO(out, st, k_direct_load_sums());
out:
	routing_release(&q);
	return st;
}

/* The stage has the other rank's part behind one of this rank, which is not
 * there: rows end where it begins. */
static enum status sums_launch(struct cuda_rank *r, struct cuda_work *cw,
			       int set, cudaStream_t s)
{
	const struct bench_work *w = &cw->c.work;
	char *base = cuda_buffer(cw, set, 0);
	char *ids = cuda_buffer(cw, set, IDS), *rows = cuda_buffer(cw, set,
								    ROWS);
	struct k_direct d = {
		.ranks = RANKS, .window = { base },
		.ctl = { (struct k_direct_ctl *)(ids + flags_at(w)) },
	};
	struct k_direct_route route = {
		.tokens = (int)w->m, .k = (int)w->k, .experts = (int)w->batch,
		.ids = (uint64_t)(ids - base),
		.place = cuda_buffer(cw, set, PLACES),
	};
	struct k_direct_sums sums = {
		.rows = rows, .row_bytes = w->n * element(w),
		.bf16 = cuda_is_bf16(w), .is_marked = true, .chunks = 1,
		.stage = (uint64_t)(rows - base) + rows_bytes(w) -
			 sent_bytes(w),
		.out = cuda_buffer(cw, set, SUMS),
	};

	(void)r;
	return cuda_status(k_direct_add_sums(&d, &route, &sums, 0, s),
			   "k_direct_add_sums()");
}

/* Exact: few multiples of 1/128, rounded once. */
static float want_of(const struct cuda_work *cw, int rank,
		     const struct routing *q, uint64_t token, uint64_t column)
{
	const struct bench_work *w = &cw->c.work;
	uint32_t own = cuda_key(cw, rank, FILL_X);
	uint32_t sent = cuda_key(cw, rank, FILL_SEND);
	bool is_elsewhere = false;
	float sum = 0;
	uint64_t i;

	for (i = token * w->k; i < (token + 1) * w->k; i++) {
		if (q->places[i] < 0)
			is_elsewhere = true;
		else
			sum += fill_value(own, (uint64_t)q->places[i] * w->n +
					       column);
	}
	if (is_elsewhere)
		sum += fill_value(sent, token * w->n + column);
	return cuda_is_bf16(w) ? ref_from_bf16(ref_bf16(sum)) : sum;
}

static float decode(const char *row, bool bf16, uint64_t i)
{
	uint16_t h;
	float f;

	if (!bf16) {
		memcpy(&f, row + i * sizeof(f), sizeof(f));
		return f;
	}
	memcpy(&h, row + i * sizeof(h), sizeof(h));
	return ref_from_bf16(h);
}

static enum status sums_check(struct cuda_rank *r, struct cuda_work *cw,
			      int set, int64_t *wrong_p)
{
	const struct bench_work *w = &cw->c.work;
	uint64_t bytes = w->n * element(w), token, i, c;
	char *row = xmalloc(bytes);
	struct routing q;
	enum status st = ST_OK;

	routing_make(cw, r->rank, &q);
	for (i = 0; i <= SAMPLES; i++) {
		token = (w->m - 1) * i / SAMPLES;
		CUDA_GOTO(out, st, cudaMemcpy(
			row, (char *)cuda_buffer(cw, set, SUMS) +
			token * bytes, bytes, cudaMemcpyDeviceToHost));
		for (c = 0; c < w->n; c++)
			*wrong_p += decode(row, cuda_is_bf16(w), c) !=
				    want_of(cw, r->rank, &q, token, c);
	}
out:
	routing_release(&q);
	free(row);
	return st;
}

const struct cuda_op cuda_direct_sums[] = {
	{
		.name = "combine",
		.variants = { "direct" },
		.rotates = true,
		.result = SUMS,
		.can = sums_can,
		.sizes = sums_sizes,
		.fill = sums_fill,
		.launch = sums_launch,
		.check = sums_check,
	},
	{ .name = NULL }
};
