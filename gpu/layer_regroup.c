/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/layer_regroup.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* What one rank's experts get from each source in all chunks of a pass. */
struct pass_rows {
	int n, cells;		/* cells: local experts * sources */
	int32_t *rows;		/* [n * cells] */
	int32_t *place;		/* the same: first row in its chunk */
	int32_t *total;		/* [n + 1]: rows of chunks before */
};

/* Rows of (local expert, source) in one chunk, in the order of ALL. */
static int32_t fill_chunk(const struct layer_case *c, int rank,
			  const int32_t *count, const int32_t *first,
			  int32_t *rows, int32_t *place)
{
	const struct layout *l = &c->plan.layout;
	int block = l->ep * l->esp, base = rank / block * block, local, s;
	int home = rank / l->esp % l->ep % layer_copies(c);
	int32_t at = 0;

	for (local = 0; local < layer_local_experts(c); local++) {
		int e = layer_expert(c, rank, local);

		for (s = 0; s < block; s++) {
			int cell = (base + s) * c->experts + e;

			*rows = xchg_home_rows(c, base + s, e, home,
					       count[cell], first[cell]);
			*place++ = at;
			at += *rows++;
		}
	}
	return at;
}

static void pass_make(const struct layer_case *c, const struct layer_route *r,
		      int rank, int n, struct pass_rows *p)
{
	size_t cells = (size_t)r->ranks * (size_t)r->experts, all;
	int32_t *count = xcalloc(2 * cells, sizeof(*count));
	int i, at;

	p->n = n;
	p->cells = layer_local_experts(c) * c->plan.layout.ep *
		   c->plan.layout.esp;
	all = (size_t)n * (size_t)p->cells;
	p->rows = xcalloc(all, sizeof(*p->rows));
	p->place = xcalloc(all, sizeof(*p->place));
	p->total = xcalloc((size_t)n + 1, sizeof(*p->total));
	for (i = 0; i < n; i++) {
		at = i * p->cells;
		layer_chunk_counts(r, i, n, count, count + cells);
		p->total[i + 1] = p->total[i] +
			fill_chunk(c, rank, count, count + cells,
				   p->rows + at, p->place + at);
	}
	free(count);
}

static void pass_free(struct pass_rows *p)
{
	free(p->rows);
	free(p->place);
	free(p->total);
}

/* One cell: rows [skip, skip + n) of it, wherever forward chunks have them. */
static void regroup_cell(const struct pass_rows *f, int cell, int32_t skip,
			 int32_t n, int32_t to, struct xchg_moves *out)
{
	int i;

	for (i = 0; i < f->n && n > 0; i++) {
		int at = i * f->cells + cell;
		int32_t rows = f->rows[at] - skip, from;

		if (rows <= 0) {
			skip -= f->rows[at];
			continue;
		}
		rows = rows < n ? rows : n;
		from = f->total[i] + f->place[at] + skip;
		xchg_moves_add(out, from, to, rows);
		to += rows;
		n -= rows;
		skip = 0;
	}
}

void layer_regroup(const struct layer_case *c, const struct layer_route *r,
		   int rank, int chunk, struct xchg_moves *out)
{
	struct pass_rows forward, backward;
	int cell, i;

	*out = (struct xchg_moves){ 0 };
	pass_make(c, r, rank, c->plan.degree_forward, &forward);
	pass_make(c, r, rank, c->plan.degree_backward, &backward);
	for (cell = 0; cell < backward.cells; cell++) {
		int32_t skip = 0;
		int at = chunk * backward.cells + cell;

		for (i = 0; i < chunk; i++)
			skip += backward.rows[i * backward.cells + cell];
		regroup_cell(&forward, cell, skip, backward.rows[at],
			     backward.place[at], out);
	}
	pass_free(&forward);
	pass_free(&backward);
}
