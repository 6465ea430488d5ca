/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/layer_dense.h"

#include "gpu/layer_order.h"

#include <math.h>

#define SAMPLES 4	/* of a piece: both ends, and these less one between */

struct layer_dense layer_dense_of(const struct layer_case *c)
{
	const struct layout *y = &c->plan.layout;
	struct layer_dense d = { .group = layer_ranks(c) / y->tp,
				 .stride = y->tp };

	if (d.group > 1)
		d.n = (int64_t)ceil(c->plan.gradient_bytes / sizeof(float));
	return d;
}

void layer_dense_piece(const struct layer_dense *d, const struct op *op,
		       int64_t *first_p, int64_t *end_p)
{
	*first_p = order_first(d->n, op->chunk, op->n_chunks);
	*end_p = order_first(d->n, op->chunk + 1, op->n_chunks);
}

uint32_t layer_dense_key(const struct layer_case *c, int rank)
{
	return fill_key(c->seed ^ LAYER_SEED_SALT, rank, (int)LAYER_DENSE);
}

/* Multiples of 1/128 below 1: exact in fp32. */
static double sum_at(const struct layer_case *c, const struct layer_dense *d,
		     int rank, int64_t i)
{
	double sum = 0;
	int r;

	for (r = rank % d->stride; r < layer_ranks(c); r += d->stride)
		sum += (double)fill_value(layer_dense_key(c, r), (uint64_t)i);
	return sum;
}

enum status layer_dense_check(const struct layer_case *c,
			      const struct layer_fetch *f, int rank,
			      int64_t *wrong_p)
{
	struct layer_dense d = layer_dense_of(c);
	int pieces = c->plan.gradient_pieces > 1 ? c->plan.gradient_pieces : 1;
	struct op op = { .n_chunks = pieces };
	int64_t first, end, at[SAMPLES + 1];
	double got[SAMPLES + 1];
	enum status st = ST_OK;
	int i, n;

	for (; d.n && op.chunk < pieces && !st; op.chunk++) {
		layer_dense_piece(&d, &op, &first, &end);
		n = end > first ? SAMPLES + 1 : 0;
		for (i = 0; i < n; i++)
			at[i] = first + (end - 1 - first) * i / SAMPLES;
		st = f->elements(f->arg, LAYER_DENSE, rank, at, n, got);
		for (i = 0; i < n && !st; i++)
			*wrong_p += !(got[i] == sum_at(c, &d, rank, at[i]));
	}
	return st;
}
