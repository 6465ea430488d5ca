/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/turn.h"

#include "base/mem.h"
#include "gpu/layer_route.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Rows are as short as they can be: only their number is planned. */
#define WIDTH 8

struct turn {
	struct layer_case c;
	struct layer_route route;
	struct layer_pass_input in;
	struct layer_cells cells;
	int32_t *cell;
	int32_t ***token;	/* [chunks]; NULL: not dedup */
	struct layer_blob blob;
	struct layer_pass pass;
};

static enum a2a_alg algorithm(const struct bench_work *w)
{
	return strcmp(w->variant, "dedup") ? A2A_FLAT : A2A_DEDUP;
}

static struct layer_case case_of(const struct bench_work *w, int ranks,
				 uint64_t seed)
{
	bool esp = !strcmp(w->variant, "esp");
	bool apart = !strcmp(w->variant, "dedup");
	struct layer_case c = {
		.dtype = DT_BF16, .tokens = (int)w->m, .hidden = WIDTH,
		.ffn = WIDTH * ranks, .experts = (int)w->n, .k = (int)w->k,
		.nodes = apart ? ranks : 1, .gpus_per_node = apart ? 1 : ranks,
		.seed = seed,
	};

	c.plan.layout = (struct layout){ .ep = esp ? 1 : ranks,
		.esp = esp ? ranks : 1, .tp = 1, .dp = 1, .pp = 1 };
	c.plan.alltoall = algorithm(w);
	c.plan.degree_forward = c.plan.degree_backward = (int)w->batch;
	return c;
}

bool turn_can(const struct bench_work *w, int ranks)
{
	/* m is not known yet when it is 0 */
	return ranks <= LAYER_RANKS_MAX && w->n >= 1 && w->k >= 1 &&
	       w->k <= w->n && w->n <= LAYER_EXPERTS_MAX &&
	       w->n % (uint64_t)ranks == 0 && w->k <= LAYER_K_MAX &&
	       w->m <= LAYER_TOKENS_MAX &&
	       w->m * w->k * (uint64_t)ranks <= INT_MAX && w->batch >= 1 &&
	       w->batch <= PLAN_DEGREE_MAX;
}

/* The counts of all ranks and chunks, as the gate would bring them. */
static void make_cells(struct turn *t, int chunks)
{
	size_t slots = (size_t)layer_slots(&t->c), all;
	size_t experts = (size_t)t->c.experts, r, e;
	int ranks = layer_ranks(&t->c), i;
	int32_t *count, *first;

	all = (size_t)ranks * experts;
	count = xcalloc(2 * all, sizeof(*count));
	first = count + all;
	t->cell = xcalloc((size_t)ranks * (size_t)chunks * slots,
			  sizeof(*t->cell));
	for (i = 0; i < chunks; i++) {
		layer_chunk_counts(&t->route, i, chunks, count, first);
		for (r = 0; r < (size_t)ranks; r++) {
			int32_t *row = t->cell +
				(r * (size_t)chunks + (size_t)i) * slots;

			for (e = 0; e < experts; e++)
				row[xchg_slot(&t->c, (int)e, 0)] =
					count[r * experts + e];
		}
	}
	free(count);
	t->cells = (struct layer_cells){ ranks, chunks, (int)slots, t->cell };
}

static void make_tokens(struct turn *t, int chunks)
{
	int i;

	t->token = xcalloc((size_t)chunks, sizeof(*t->token));
	for (i = 0; i < chunks; i++)
		t->token[i] = layer_chunk_tokens(&t->c, &t->route, i, chunks);
}

enum status turn_make(const struct bench_case *c, int rank,
		      struct turn **out_p)
{
	struct turn *t = xcalloc(1, sizeof(*t));
	int chunks = (int)c->work.batch;
	enum status st;

	t->c = case_of(&c->work, c->ranks, c->seed);
	st = layer_case_check(&t->c);
	if (!st)
		st = layer_route_make(&t->c, 1, &t->route);
	if (st) {
		turn_free(t);
		return st;
	}
	make_cells(t, chunks);
	if (t->c.plan.alltoall == A2A_DEDUP)
		make_tokens(t, chunks);
	t->in = (struct layer_pass_input){
		.c = &t->c, .rank = rank, .chunks = chunks, .padded = true,
		.cells = &t->cells, .token = (int32_t **const *)t->token,
	};
	*out_p = t;
	return ST_OK;
}

void turn_free(struct turn *t)
{
	int i;

	if (!t)
		return;
	layer_pass_release(&t->pass);
	for (i = 0; t->token && i < t->in.chunks; i++)
		free(t->token[i]);
	free(t->token);
	free(t->cell);
	free(t->blob.p);
	layer_route_release(&t->route);
	layer_case_release(&t->c);
	free(t);
}

enum status turn_plan(struct turn *t)
{
	layer_pass_release(&t->pass);
	t->blob.used = 0;
	return layer_pass_build(&t->in, &t->blob, &t->pass);
}

/* Copies that are sent to the rank's experts. */
static int64_t rows_wanted(const struct turn *t, int chunk)
{
	int local = layer_local_experts(&t->c), ranks = t->cells.ranks, r, e;
	int first = t->c.plan.layout.ep > 1 ? t->in.rank * local : 0;
	int64_t sum = 0;

	for (r = 0; r < ranks; r++) {
		const int32_t *row = t->cell +
			((size_t)r * (size_t)t->cells.chunks + (size_t)chunk) *
			(size_t)t->cells.slots;

		for (e = 0; e < local; e++)
			sum += row[first + e];
	}
	return sum;
}

int64_t turn_wrong(const struct turn *t)
{
	int64_t wrong = t->pass.n != t->in.chunks, sum;
	int i, e;

	for (i = 0; i < t->pass.n; i++) {
		const struct layer_chunk *c = &t->pass.chunk[i];

		for (e = 0, sum = 0; e < c->rows.experts; e++)
			sum += c->count[e];
		wrong += sum != rows_wanted(t, i);
	}
	return wrong;
}
