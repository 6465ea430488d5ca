/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Products by CBLAS when configured, else by a plain loop; the rest of a
 * layer by the CPU twins. Every rank works for itself. */
#include "config.h"

#include "gpu/host.h"

#include "base/mem.h"
#include "gpu/ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_CBLAS
#include <cblas.h>
#endif

static float *random_values(struct host_work *hw, int rank, int stream,
			    uint64_t n)
{
	uint32_t key = fill_key(hw->c.seed, rank, stream);
	float *x = host_alloc(n, sizeof(*x));
	uint64_t i;

	for (i = 0; i < n; i++)
		x[i] = fill_value(key, i);
	return x;
}

static uint64_t batch_of(const struct bench_work *w)
{
	return strcmp(w->op, "gemm") ? 1 : w->batch;
}

static void fill_product(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];
	uint64_t batch = batch_of(w);

	b->x = random_values(hw, rank, FILL_A, batch * w->m * w->k);
	b->w = random_values(hw, rank, FILL_B, batch * w->k * w->n);
	b->y = host_alloc(batch * w->m * w->n, sizeof(*b->y));
}

/* y (m x n) = x (m x k) w (k x n), row-major. */
static void product(const struct bench_work *s, const float *x, const float *w,
		    float *y)
{
#ifdef HAVE_CBLAS
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)s->m,
		    (int)s->n, (int)s->k, 1, x, (int)s->k, w, (int)s->n, 0, y,
		    (int)s->n);
#else
	uint64_t i, j, l;

	memset(y, 0, s->m * s->n * sizeof(*y));
	for (i = 0; i < s->m; i++) {
		for (l = 0; l < s->k; l++) {
			float a = x[i * s->k + l];

			for (j = 0; j < s->n; j++)
				y[i * s->n + j] += a * w[l * s->n + j];
		}
	}
#endif
}

static bool step_product(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];
	uint64_t e;

	for (e = 0; e < batch_of(w); e++) {
		product(w, b->x + e * w->m * w->k, b->w + e * w->k * w->n,
			b->y + e * w->m * w->n);
	}
	return true;
}

static int64_t wrong_product(struct host_work *hw, int rank)
{
	double tolerance = ref_tolerance(&hw->c.work), want;
	int64_t bad = 0;
	uint64_t i;
	int s;

	for (s = 0; s < ref_product_samples(&hw->c.work); s++) {
		i = ref_product_index(&hw->c, rank, s);
		want = ref_product_value(&hw->c, rank, i);
		/* so that NaN is wrong, too */
		bad += !(fabs((double)hw->rank[rank].y[i] - want) <=
			 tolerance);
	}
	return bad;
}

static void fill_topk(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];
	uint32_t key = fill_key(hw->c.seed, rank, FILL_LOGITS);
	uint64_t i;

	b->x = host_alloc(w->m * w->n, sizeof(*b->x));
	b->y = host_alloc(w->m * w->k, sizeof(*b->y));
	b->ids = host_alloc(w->m * w->k, sizeof(*b->ids));
	b->counts = host_alloc(w->n, sizeof(*b->counts));
	for (i = 0; i < w->m * w->n; i++)
		b->x[i] = ref_logit(key, i);
}

static bool step_topk(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];

	ref_topk(b->x, w->m, (int)w->n, (int)w->k, b->ids, b->y, b->counts);
	return true;
}

/* The twin is what ran; so the properties that define the result are looked
 * at instead: nothing that was left out comes before the last one chosen. */
static int64_t wrong_in_row(const float *row, const int32_t *ids,
			    const float *weight, int n, int k)
{
	double sum = 0;
	int64_t bad = 0;
	int e, j, larger;

	for (e = 0; e < n; e++)
		sum += exp((double)row[e]);
	for (j = 0; j < k; j++) {
		for (e = 0, larger = 0; e < n; e++) {
			larger += row[e] > row[ids[j]] ||
				  (row[e] == row[ids[j]] && e < ids[j]);
		}
		bad += larger != j;
		bad += !(fabs((double)weight[j] * sum -
			      exp((double)row[ids[j]])) <=
			 REF_WEIGHT_TOLERANCE * exp((double)row[ids[j]]));
	}
	return bad;
}

static int64_t wrong_topk(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];
	int64_t bad = 0, total = 0;
	uint64_t i;

	for (i = 0; i < w->m; i++) {
		bad += wrong_in_row(b->x + i * w->n, b->ids + i * w->k,
				    b->y + i * w->k, (int)w->n, (int)w->k);
	}
	for (i = 0; i < w->n; i++)
		total += b->counts[i];
	return bad + (total != (int64_t)(w->m * w->k));
}

static void fill_ids(struct host_work *hw, int rank, uint64_t experts)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];
	uint32_t key = fill_key(hw->c.seed, rank, FILL_IDS);
	uint64_t i;

	b->ids = host_alloc(w->m * w->k, sizeof(*b->ids));
	b->pos = host_alloc(w->m * w->k, sizeof(*b->pos));
	for (i = 0; i < w->m * w->k; i++)
		b->ids[i] = fill_expert(key, i, (int)experts);
}

static void fill_sort(struct host_work *hw, int rank)
{
	fill_ids(hw, rank, hw->c.work.n);
}

static bool step_sort(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];

	ref_sort(b->ids, w->m * w->k, (int)w->n, b->pos);
	return true;
}

/* Written back in sorted order: every place taken once, ids ascending, equal
 * ones in their old order. */
static int64_t wrong_sort(struct host_work *hw, int rank)
{
	struct host_buffers *b = &hw->rank[rank];
	uint64_t pairs = hw->c.work.m * hw->c.work.k, i;
	uint64_t *at = xmalloc(pairs * sizeof(*at));
	int64_t bad = 0;

	for (i = 0; i < pairs; i++)
		at[i] = pairs;
	for (i = 0; i < pairs; i++) {
		if (b->pos[i] >= 0 && (uint64_t)b->pos[i] < pairs)
			at[b->pos[i]] = i;
	}
	for (i = 0; i < pairs; i++) {
		bad += at[i] == pairs;
		if (!i || at[i] == pairs || at[i - 1] == pairs)
			continue;
		bad += b->ids[at[i]] < b->ids[at[i - 1]] ||
		       (b->ids[at[i]] == b->ids[at[i - 1]] &&
			at[i] < at[i - 1]);
	}
	free(at);
	return bad;
}

static void fill_permute(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];

	fill_ids(hw, rank, w->batch);
	ref_sort(b->ids, w->m * w->k, (int)w->batch, b->pos);
	b->x = random_values(hw, rank, FILL_X, w->m * w->n);
	b->y = host_alloc(w->m * w->k * w->n, sizeof(*b->y));
}

static bool step_permute(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];

	ref_permute(b->x, b->pos, w->m, (int)w->n, (int)w->k, b->y);
	return true;
}

static int64_t wrong_permute(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];
	uint32_t key = fill_key(hw->c.seed, rank, FILL_X);
	int64_t bad = 0;
	uint64_t i, c;

	for (i = 0; i < w->m * w->k; i++) {
		const float *row = b->y + (uint64_t)b->pos[i] * w->n;

		for (c = 0; c < w->n; c++)
			bad += row[c] != fill_value(key, i / w->k * w->n + c);
	}
	return bad;
}

static void fill_combine(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];

	fill_ids(hw, rank, w->batch);
	ref_sort(b->ids, w->m * w->k, (int)w->batch, b->pos);
	b->x = random_values(hw, rank, FILL_X, w->m * w->k * w->n);
	b->w = random_values(hw, rank, FILL_WEIGHTS, w->m * w->k);
	b->y = host_alloc(w->m * w->n, sizeof(*b->y));
}

static bool step_combine(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];

	ref_combine(b->x, b->pos, b->w, w->m, (int)w->n, (int)w->k, b->y);
	return true;
}

/* Element by element, from the generator, in double: sums of multiples of
 * 2^-14 are exact in both. */
static int64_t wrong_combine(struct host_work *hw, int rank)
{
	const struct bench_work *w = &hw->c.work;
	struct host_buffers *b = &hw->rank[rank];
	uint32_t key_x = fill_key(hw->c.seed, rank, FILL_X);
	uint32_t key_w = fill_key(hw->c.seed, rank, FILL_WEIGHTS);
	uint64_t i, c, j, pair;
	int64_t bad = 0;
	double sum;

	for (i = 0; i < w->m * w->n; i++) {
		c = i % w->n;
		for (j = 0, sum = 0; j < w->k; j++) {
			pair = i / w->n * w->k + j;
			sum += (double)fill_value(key_w, pair) *
			       (double)fill_value(key_x,
					(uint64_t)b->pos[pair] * w->n + c);
		}
		bad += (double)b->y[i] != sum;
	}
	return bad;
}

static void fill_stream(struct host_work *hw, int rank)
{
	struct host_buffers *b = &hw->rank[rank];

	b->x = random_values(hw, rank, FILL_X, hw->c.work.m);
	b->y = host_alloc(hw->c.work.m, sizeof(*b->y));
}

static bool step_stream(struct host_work *hw, int rank)
{
	struct host_buffers *b = &hw->rank[rank];

	ref_stream(b->x, hw->c.work.m, b->y);
	return true;
}

static bool step_copy(struct host_work *hw, int rank)
{
	struct host_buffers *b = &hw->rank[rank];

	memcpy(b->y, b->x, hw->c.work.m * sizeof(*b->y));
	return true;
}

static int64_t wrong_stream(struct host_work *hw, int rank)
{
	bool copy = !strcmp(hw->c.work.op, "copy");
	uint32_t key = fill_key(hw->c.seed, rank, FILL_X);
	const float *y = hw->rank[rank].y;
	int64_t bad = 0;
	uint64_t i;

	for (i = 0; i < hw->c.work.m; i++) {
		float x = fill_value(key, i);

		bad += y[i] != (copy ? x : 2 * x + 1);
	}
	return bad;
}

const struct host_op host_kernels[] = {
	{ "gemm", { "per-expert" }, fill_product, step_product, wrong_product },
	{ "gate", { "" }, fill_product, step_product, wrong_product },
	{ "topk", { "" }, fill_topk, step_topk, wrong_topk },
	{ "sort", { "" }, fill_sort, step_sort, wrong_sort },
	{ "permute", { "" }, fill_permute, step_permute, wrong_permute },
	{ "combine", { "" }, fill_combine, step_combine, wrong_combine },
	{ "stream", { "" }, fill_stream, step_stream, wrong_stream },
	{ "copy", { "" }, fill_stream, step_copy, wrong_stream },
	{ "launch", { "kernel" }, host_fill_launch, host_step_launch,
	  host_wrong_launch },
	{ "plan", { "flat", "dedup", "esp" }, host_fill_plan, host_step_plan,
	  host_wrong_plan },
	{ 0 },
};
