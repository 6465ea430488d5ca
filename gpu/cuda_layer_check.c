/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process's part of the check: how the comparison gets at the results. */
#include "gpu/cuda_layer.h"

#include "base/mem.h"
#include "gpu/ref.h"

#include <stdlib.h>
#include <string.h>

static struct cuda_layer *layer_of(struct backend *b, int rank)
{
	return b->rank[rank - b->rank[0].rank].layer;
}

static double decode(const void *p, bool bf16)
{
	uint16_t h;
	float f;

	if (bf16) {
		memcpy(&h, p, sizeof(h));
		return (double)ref_from_bf16(h);
	}
	memcpy(&f, p, sizeof(f));
	return (double)f;
}

static const void *tensor_of(const struct cuda_layer *l, enum layer_tensor t)
{
	switch (t) {
	case LAYER_Y:
		return l->y;
	case LAYER_DX:
		return l->dx;
	case LAYER_DWG:
		return l->dwg;
	case LAYER_DW1:
		return l->dw1;
	case LAYER_DW2:
		return l->dw2;
	case LAYER_DWS1:
		return l->dws1;
	case LAYER_DWS2:
		return l->dws2;
	case LAYER_DENSE:
		return l->dense_sum;
	default:
		return NULL;
	}
}

static enum status fetch_samples(const struct cuda_layer *l, const void *base,
				 bool bf16, const int64_t *index, int n,
				 double *out)
{
	size_t e = bf16 ? sizeof(uint16_t) : sizeof(float);
	enum status st = ST_OK;
	float raw;
	int i;

	(void)l;
	for (i = 0; i < n; i++) {
		size_t at = index ? (size_t)index[i] : (size_t)i;

		CUDA_GOTO(out, st, cudaMemcpy(&raw, (const char *)base +
					      at * e, e,
					      cudaMemcpyDeviceToHost));
		out[i] = decode(&raw, bf16);
	}
out:
	return st;
}

/* Rows of all experts on the device, of the chosen k in the comparison. */
static enum status fetch_dlogits(const struct cuda_layer *l,
				 const int64_t *index, int n, double *out)
{
	uint64_t experts = (uint64_t)l->c.experts, k = (uint64_t)l->c.k;
	uint64_t bytes = (uint64_t)l->c.tokens * experts * l->element, at;
	int32_t *id = xcalloc(l->pairs + 1, sizeof(*id));
	char *all = xmalloc(bytes + 1);
	enum status st;
	int i;

	CUDA_GOTO(out, st, cudaMemcpy(all, l->dlogits, bytes,
				      cudaMemcpyDeviceToHost));
	CUDA_GOTO(out, st, cudaMemcpy(id, l->ids, l->pairs * sizeof(*id),
				      cudaMemcpyDeviceToHost));
	for (i = 0; i < n; i++) {
		at = index ? (uint64_t)index[i] : (uint64_t)i;
		out[i] = decode(all + (at / k * experts + (uint64_t)id[at]) *
				l->element, layer_is_bf16(l));
	}
out:
	free(id);
	free(all);
	return st;
}

static enum status elements(void *arg, enum layer_tensor t, int rank,
			    const int64_t *index, int n, double *out)
{
	struct cuda_layer *l = layer_of(arg, rank);
	const void *base = tensor_of(l, t);
	enum status st;

	CUDA_GOTO(out, st, cudaSetDevice(l->rank->device));
	if (t == LAYER_DLOGIT)
		return fetch_dlogits(l, index, n, out);
	if (!base)
		return err_set(ST_FAIL, "rank %d has no tensor %d", rank,
			       (int)t);
	st = fetch_samples(l, base, t != LAYER_DWG && t != LAYER_DENSE &&
			   layer_is_bf16(l), index, n, out);
out:
	return st;
}

/*
 * From the row of a copy in IN back to its number among its rank's copies
 * for that expert: the row's cell, its place there, and the copies in the
 * chunks before.
 */
struct numbers {
	const struct cuda_layer *l;
	const struct layer_cells *cells;
	const struct layer_pass *plan;
	int rank;
};

static int64_t copies_before(const struct numbers *q, int expert, int chunk)
{
	int each = q->cells->chunks / q->plan->n, i, j;
	const int32_t *cell = q->cells->cell + (size_t)q->rank *
		(size_t)q->cells->chunks * (size_t)q->cells->slots;
	int64_t n = 0;

	for (i = 0; i < chunk * each; i++) {
		for (j = 0; j < layer_copies(&q->l->c); j++)
			n += cell[(size_t)i * (size_t)q->cells->slots +
				  (size_t)xchg_slot(&q->l->c, expert, j)];
	}
	return n;
}

/* -1: the row is in no cell of the expert. */
static int32_t number_of(const struct numbers *q, int expert, int64_t row)
{
	const struct layer_case *c = &q->l->c;
	int copies = layer_copies(c), i, j, slot;
	int64_t first, at;

	for (i = 0; i < q->plan->n; i++) {
		const struct layer_chunk *k = &q->plan->chunk[i];

		at = row - k->base[XCHG_IN];
		if (at < 0 || at >= k->to.x.rows[XCHG_IN])
			continue;
		for (j = 0; j < copies; j++) {
			slot = xchg_slot(c, expert, j);
			if (at < k->to.x.in_first[slot] ||
			    at >= k->to.x.in_first[slot + 1])
				continue;
			/* the first copy of the chunk that this home takes */
			first = copies_before(q, expert, i);
			while (xchg_home(c, q->rank, expert, first) != j)
				first++;
			return (int32_t)(first + (at -
				k->to.x.in_first[slot]) * copies);
		}
	}
	return -1;
}

/* Dropped copies have no row: their number is right when there are as many
 * before them as the capacity. */
static void number_all(const struct numbers *q, const int32_t *id,
		       int32_t *pos)
{
	const struct layer_case *c = &q->l->c;
	int32_t *seen = xcalloc((size_t)c->experts, sizeof(*seen)), n;
	uint64_t i;

	for (i = 0; i < q->l->pairs; i++) {
		if (id[i] < 0 || id[i] >= c->experts) {
			pos[i] = -1;
			continue;
		}
		n = seen[id[i]]++;
		if (pos[i] >= 0)
			pos[i] = number_of(q, id[i], pos[i]);
		else if (c->capacity && n >= c->capacity)
			pos[i] = n;
	}
	free(seen);
}

static enum status routing(void *arg, int rank, int32_t *id, int32_t *pos)
{
	struct cuda_layer *l = layer_of(arg, rank);
	struct layer_cells cells = {
		.ranks = l->ranks, .chunks = l->fine, .slots = l->slots,
		.cell = l->cells_now,
	};
	struct numbers q = { l, &cells, &l->pass[0].plan, rank };
	size_t bytes = l->pairs * sizeof(*id);
	enum status st;

	CUDA_GOTO(out, st, cudaSetDevice(l->rank->device));
	CUDA_GOTO(out, st, cudaMemcpy(id, l->ids, bytes,
				      cudaMemcpyDeviceToHost));
	CUDA_GOTO(out, st, cudaMemcpy(pos, l->pass[0].pos, bytes,
				      cudaMemcpyDeviceToHost));
	number_all(&q, id, pos);
out:
	return st;
}

enum status cuda_part_layer_check(struct backend *b, struct layer_check *out)
{
	struct layer_fetch f = {
		.arg = b, .elements = elements, .routing = routing
	};

	return layer_ref_check(&b->layer, &f, b->rank[0].rank,
			       ranks_count(b->ranks), 0, out);
}
