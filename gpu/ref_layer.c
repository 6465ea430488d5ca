/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/ref.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static uint64_t product_batch(const struct bench_work *w)
{
	return strcmp(w->op, "gemm") ? 1 : w->batch;
}

bool ref_is_turned(const struct bench_work *w)
{
	return ref_adds(w) || (!strcmp(w->op, "gemm") &&
			       !strcmp(w->variant, "weights-each"));
}

bool ref_adds(const struct bench_work *w)
{
	return !strcmp(w->op, "gemm") &&
	       (!strcmp(w->variant, "adding") ||
		!strcmp(w->variant, "adding-each"));
}

uint64_t ref_product_index(const struct bench_case *c, int rank, int s)
{
	const struct bench_work *w = &c->work;
	uint64_t total = product_batch(w) * w->m * w->n;
	uint32_t key = fill_key(c->seed, rank, FILL_STREAM_N);
	uint64_t h = fill_bits(key, (uint64_t)s);

	h = h << 32 | fill_bits(key + 1, (uint64_t)s);
	return h % total;
}

int ref_product_samples(const struct bench_work *w)
{
	uint64_t n = REF_TERMS / (w->k ? w->k : 1);

	if (n > REF_SAMPLES)
		return REF_SAMPLES;
	return n < REF_SAMPLES_MIN ? REF_SAMPLES_MIN : (int)n;
}

double ref_product_value(const struct bench_case *c, int rank, uint64_t index)
{
	const struct bench_work *w = &c->work;
	uint64_t col = index % w->n, row = index / w->n;	/* of all */
	uint64_t e = row / w->m, b = e * w->k * w->n + col, l;
	uint64_t a = row * w->k, step = 1;
	uint32_t key_a = fill_key(c->seed, rank, FILL_A);
	uint32_t key_b = fill_key(c->seed, rank, FILL_B);
	double sum = 0;

	if (ref_is_turned(w)) {
		a = e * w->k * w->m + row % w->m;
		step = w->m;
	}
	for (l = 0; l < w->k; l++) {
		sum += (double)fill_value(key_a, a + l * step) *
		       (double)fill_value(key_b, b + l * w->n);
	}
	return sum;
}

double ref_tolerance(const struct bench_work *w)
{
	bool short_result = !strcmp(w->op, "gemm") && !strcmp(w->dtype, "bf16");
	double spread = sqrt((double)w->k) / 3;

	/* four times the usual sum, and the type's rounding unit */
	return 4 * spread * (short_result ? 0x1p-8 : 0x1p-18);
}

/* Larger logit first, then lower id. */
static bool before(const float *row, int a, int b)
{
	return row[a] > row[b] || (row[a] == row[b] && a < b);
}

/* Insertion into the k best so far, in order. */
static void best_of_row(const float *row, int n, int k, int32_t *best)
{
	int have = 0, e, j;

	for (e = 0; e < n; e++) {
		if (have == k && !before(row, e, best[k - 1]))
			continue;
		j = have < k ? have++ : k - 1;
		for (; j > 0 && before(row, e, best[j - 1]); j--)
			best[j] = best[j - 1];
		best[j] = e;
	}
}

void ref_topk(const float *logits, uint64_t m, int n, int k, int32_t *ids,
	      float *weights, int32_t *counts)
{
	uint64_t i;
	int e, j;

	memset(counts, 0, (size_t)n * sizeof(*counts));
	for (i = 0; i < m; i++) {
		const float *row = logits + i * (uint64_t)n;
		int32_t *best = ids + i * (uint64_t)k;
		float sum = 0;

		best_of_row(row, n, k, best);
		for (e = 0; e < n; e++)
			sum += expf(row[e] - row[best[0]]);
		for (j = 0; j < k; j++) {
			weights[i * (uint64_t)k + (uint64_t)j] =
				expf(row[best[j]] - row[best[0]]) / sum;
			counts[best[j]]++;
		}
	}
}

void ref_sort(const int32_t *ids, uint64_t pairs, int n, int32_t *pos)
{
	int32_t *next = xcalloc((size_t)n + 1, sizeof(*next));
	uint64_t i;
	int e;

	for (i = 0; i < pairs; i++)
		next[ids[i] + 1]++;
	for (e = 0; e < n; e++)
		next[e + 1] += next[e];
	for (i = 0; i < pairs; i++)
		pos[i] = next[ids[i]]++;
	free(next);
}

void ref_permute(const float *x, const int32_t *pos, uint64_t m, int n, int k,
		 float *y)
{
	uint64_t i, row = (uint64_t)n;
	int j;

	for (i = 0; i < m; i++) {
		for (j = 0; j < k; j++) {
			memcpy(y + (uint64_t)pos[i * (uint64_t)k +
						 (uint64_t)j] * row,
			       x + i * row, row * sizeof(*y));
		}
	}
}

static void add_row(const float *x, float w, int n, float *y)
{
	int c;

	for (c = 0; c < n; c++)
		y[c] += w * x[c];
}

void ref_combine(const float *x, const int32_t *pos, const float *w,
		 uint64_t m, int n, int k, float *y)
{
	uint64_t i, pair, row = (uint64_t)n;
	int j;

	for (i = 0; i < m; i++) {
		memset(y + i * row, 0, row * sizeof(*y));
		for (j = 0; j < k; j++) {
			pair = i * (uint64_t)k + (uint64_t)j;
			add_row(x + (uint64_t)pos[pair] * row, w[pair], n,
				y + i * row);
		}
	}
}

void ref_stream(const float *x, uint64_t m, float *y)
{
	uint64_t i;

	for (i = 0; i < m; i++)
		y[i] = 2 * x[i] + 1;
}
