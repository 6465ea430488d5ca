/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All ranks of a layer with the tables of their passes, for tests. */
#ifndef TESTS_UNIT_LAYER_WORLD_H
#define TESTS_UNIT_LAYER_WORLD_H

#include "gpu/layer_plan.h"
#include "gpu/layer_route.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DIRTY (-1000000)	/* what was never written */

static inline int64_t layout_rows(const struct layer_chunk *c)
{
	return c->first[c->rows.experts];
}

static inline int64_t *dirty(int64_t n)
{
	int64_t *p = xcalloc((size_t)n + 1, sizeof(*p)), i;

	for (i = 0; i <= n; i++)
		p[i] = DIRTY;
	return p;
}

/* Each chunk's SEND and RECV lie behind the one's before, with enough room. */
static inline void check_scratch(const struct layer_pass *p)
{
	int i, j;

	for (i = 0; i < p->n; i++) {
		const struct layer_chunk *c = &p->chunk[i];
		const struct layer_way *w[] = { &c->to, &c->back, &c->to_flat,
						&c->back_flat };
		bool last = i == p->n - 1;
		int64_t send = last ? p->all_send_rows : c[1].send_at;
		int64_t recv = last ? p->all_recv_rows : c[1].recv_at;

		assert_true(i || (!c->send_at && !c->recv_at));
		for (j = 0; j < 4; j++) {
			assert_true(c->send_at + w[j]->x.send_rows <= send);
			assert_true(c->recv_at + w[j]->x.recv_rows <= recv);
		}
	}
}

/* One rank: its pass, and buffers of one chunk. */
struct node {
	struct layer_pass pass;
	struct layer_blob blob;
	int64_t *buffer[XCHG_BUFFER_N], *send, *recv, *all_send, *all_recv;
};

struct world {
	struct layer_case *c;
	struct layer_route route;
	int ranks, fine, slots;
	int32_t *cell;
	struct node *node;
};

static int32_t *cells_of(struct world *w)
{
	size_t experts = (size_t)w->c->experts;
	int32_t *cell, *count, *first;
	int f, r, e;
	int64_t i;

	if (w->c->capacity)
		return layer_capacity_cells(w->c, w->fine);
	cell = xcalloc((size_t)(w->ranks * w->fine * w->slots), sizeof(*cell));
	count = xcalloc(2 * (size_t)w->ranks * experts, sizeof(*count));
	first = count + (size_t)w->ranks * experts;
	for (f = 0; f < w->fine; f++) {
		layer_chunk_counts(&w->route, f, w->fine, count, first);
		for (r = 0; r < w->ranks; r++) {
			for (e = 0; e < w->c->experts; e++) {
				size_t at = (size_t)r * experts + (size_t)e;

				for (i = 0; i < count[at]; i++) {
					int home = xchg_home(w->c, r, e,
							     first[at] + i);

					cell[(r * w->fine + f) * w->slots +
					     xchg_slot(w->c, e, home)]++;
				}
			}
		}
	}
	free(count);
	return cell;
}

static void world_build(struct world *w, int chunks, int rank,
			struct node *out)
{
	struct layer_cells cells = { w->ranks, w->fine, w->slots, w->cell };
	int32_t ***token = xcalloc((size_t)chunks, sizeof(*token));
	struct layer_pass_input in = {
		.c = w->c, .rank = rank, .chunks = chunks, .padded = true,
		.cells = &cells,
	};
	int i;

	for (i = 0; i < chunks; i++)
		token[i] = layer_chunk_tokens(w->c, &w->route, i, chunks);
	in.token = w->c->plan.alltoall == A2A_DEDUP ?
		   (int32_t **const *)token : NULL;
	assert_int_equal(layer_pass_build(&in, &out->blob, &out->pass), ST_OK);
	for (i = 0; i < chunks; i++)
		free(token[i]);
	free(token);
}

#endif
