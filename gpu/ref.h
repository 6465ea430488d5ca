/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CPU twins: what each benchmark has to give. The host backend runs them,
 * every backend is checked against them.
 *
 * Compared are: exchanges, sort, permute, combine, stream, copy: every
 * element, exactly (fill.h's values make the sums exact); topk: ids (of a
 * large one those of rows here and there) and counts exactly, weights within
 * REF_WEIGHT_TOLERANCE; gemm and gate: REF_SAMPLES
 * elements of each rank's result, drawn by seed, within ref_tolerance().
 * Data: fill.h with fill_key(c->seed, rank, stream), element i in row-major
 * order:
 *
 *	exchanges	FILL_SEND
 *	gemm, gate	FILL_A (batch x m x k), FILL_B (batch x k x n)
 *	topk		FILL_LOGITS by ref_logit()
 *	sort		FILL_IDS by fill_expert(key, i, n)
 *	permute, combine  FILL_X rows (combine: the m*k sorted rows), FILL_IDS
 *			by fill_expert(key, i, batch), FILL_WEIGHTS
 *	stream, copy	FILL_X
 */
#ifndef GPU_REF_H
#define GPU_REF_H

#include "gpu/fill.h"
#include "gpu/work.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Elements of a product that are checked: so many, fewer when each is a sum
 * of many terms; the CPU makes about REF_TERMS of them in a millisecond. */
#define REF_SAMPLES 256
#define REF_SAMPLES_MIN 32
#define REF_TERMS (1u << 18)
#define REF_WEIGHT_TOLERANCE 1e-5	/* relative; fp32 exp and sum */

/* Of a beside work the case is the same with beside in work's place. */
struct bench_case ref_beside(const struct bench_case *c);

/* Elements (fp32) that a rank sends and that its result has. */
uint64_t ref_send_elements(const struct bench_case *c, int rank);
uint64_t ref_result_elements(const struct bench_case *c, int rank);

/* Elements first .. first + n - 1 of the result of an exchange. */
void ref_exchange(const struct bench_case *c, int rank, uint64_t first,
		  uint64_t n, float *out);

/* The gemm is added to what is there; its A is stored as k x m. */
bool ref_adds(const struct bench_work *w);
bool ref_is_turned(const struct bench_work *w);
/* How many elements of gemm's or gate's result are checked, the s-th of
 * them, and its value. */
int ref_product_samples(const struct bench_work *w);
uint64_t ref_product_index(const struct bench_case *c, int rank, int s);
double ref_product_value(const struct bench_case *c, int rank,
			 uint64_t index);
/*
 * Allowed difference: a sum of k terms of size 1/3 (root mean square of
 * fill_value's product) is about sqrt(k)/3; it may be off by two roundings of
 * the result's type and by fp32 accumulation.
 */
double ref_tolerance(const struct bench_work *w);

/* Logit i: 24 random bits in [-1, 1), so equal ones are rare. */
static inline float ref_logit(uint32_t key, uint64_t i)
{
	return (float)(fill_bits(key, i) >> 8) * 0x1p-23f - 1;
}

/* The k largest of each row of n, the lowest id first among equal ones, with
 * their softmax probabilities over the row; counts per expert. */
void ref_topk(const float *logits, uint64_t m, int n, int k, int32_t *ids,
	      float *weights, int32_t *counts);

/* pos[i]: place of pair i when the pairs are ordered by id, stably. */
void ref_sort(const int32_t *ids, uint64_t pairs, int n, int32_t *pos);

/* y[pos[i*k+j]] = x[i], and y[i] = sum over j of w[i*k+j] x[pos[i*k+j]];
 * rows of n. */
void ref_permute(const float *x, const int32_t *pos, uint64_t m, int n, int k,
		 float *y);
void ref_combine(const float *x, const int32_t *pos, const float *w,
		 uint64_t m, int n, int k, float *y);
void ref_stream(const float *x, uint64_t m, float *y);

/* Round to nearest, ties to even; no NaN comes here. */
static inline uint16_t ref_bf16(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

static inline float ref_from_bf16(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

#endif
