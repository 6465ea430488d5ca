/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Passes of several chunks: gpu/cuda_direct_cells.h. */
#include "gpu/cuda_direct_cells.h"

#include "gpu/cuda.h"
#include "gpu/cuda_direct_int.h"

static struct k_direct_cells kernel_cells(const struct direct_cells *c)
{
	return (struct k_direct_cells){
		.tokens = c->tokens, .k = c->k, .experts = c->experts,
		.chunks = c->chunks, .capacity = c->capacity, .ids = c->ids,
		.pos = c->pos, .weights = c->weights, .cells = c->cells,
		.totals = c->totals, .start = c->start, .fixed = c->fixed,
		.row_base = c->row_base, .place = c->place, .slot = c->slot,
		.kept = c->kept, .tail = c->tail, .host_kept = c->host_kept,
		.row_weight = c->row_weight
	};
}

uint64_t cuda_direct_place_numbers(const struct direct_cells *c, int ranks)
{
	return (uint64_t)ranks * (uint64_t)c->tokens * (uint64_t)c->k *
	       (c->capacity ? (uint64_t)c->chunks : 1);
}

enum status cuda_direct_cells(struct cuda_direct *d,
			      const struct direct_cells *c, int channel,
			      cudaStream_t s)
{
	const struct direct_route r = {
		.tokens = c->tokens, .k = c->k, .experts = c->experts
	};
	struct k_direct_cells k = kernel_cells(c);
	enum status st = direct_check(d, &r);

	return st ? st : cuda_status(k_direct_cells(&d->k, &k, channel, s),
				     "k_direct_cells()");
}

enum status cuda_direct_places(struct cuda_direct *d,
			       const struct direct_cells *c, cudaStream_t s)
{
	struct k_direct_cells k = kernel_cells(c);

	return cuda_status(k_direct_cell_places(&d->k, &k, s),
			   "k_direct_cell_places()");
}

int cuda_direct_runs(const struct direct_cells *back, int ranks, int fine)
{
	return back->experts / ranks * (ranks * (fine / back->chunks) + 1);
}

enum status cuda_direct_regroup(struct cuda_direct *d,
				const struct direct_cells *forward,
				const struct direct_cells *back, int chunk,
				int fine, struct k_run *run, cudaStream_t s)
{
	struct k_direct_cells f = kernel_cells(forward);
	struct k_direct_cells b = kernel_cells(back);

	return cuda_status(k_direct_regroup(&d->k, &f, &b, chunk,
					    fine / b.chunks, run, s),
			   "k_direct_regroup()");
}

struct direct_route cuda_direct_chunk(const struct cuda_direct *d,
				      const struct direct_cells *c, int chunk)
{
	bool by_tokens = !c->capacity;
	int64_t first = by_tokens ? order_first(c->tokens, chunk, c->chunks)
				  : 0;
	int64_t end = by_tokens ? order_first(c->tokens, chunk + 1, c->chunks)
				: c->tokens;
	int64_t before = by_tokens ? first : (int64_t)chunk * c->tokens;
	size_t here = (size_t)(c->experts / d->g.ranks);
	size_t at = (size_t)chunk * here;

	return (struct direct_route){
		.tokens = (int)(end - first), .k = c->k,
		.experts = c->experts,
		.ids = c->ids + (uint64_t)(first * c->k) * sizeof(int32_t),
		.place = c->place + before * d->g.ranks * c->k,
		.kept = c->kept + at, .tail = c->tail + 2 * at,
		.slot = c->slot
	};
}
