/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/layer_plan.h"

#include "base/mem.h"
#include "gpu/layer_route.h"
#include "gpu/layer_table.h"

#include <stdlib.h>
#include <string.h>

/* One chunk while it is made. */
struct making {
	const struct layer_pass_input *in;
	struct layer_blob *blob;
	struct layer_chunk *chunk;
	int index, local;
	int32_t *count, *first;	/* [ranks * experts] */
	struct table_layout layout;
	struct table_range *range;	/* [local] */
	struct xchg_moves tails;
};

int32_t *layer_capacity_cells(const struct layer_case *c, int chunks)
{
	int ranks = layer_ranks(c), slots = layer_slots(c);
	int copies = layer_copies(c), r, i, e, home;
	int32_t *cell = xcalloc((size_t)ranks * (size_t)chunks *
				(size_t)slots, sizeof(*cell));
	int64_t n, end;

	for (r = 0; r < ranks; r++) {
		for (i = 0; i < chunks; i++) {
			int32_t *row = cell + ((size_t)r * (size_t)chunks +
					       (size_t)i) * (size_t)slots;

			n = order_first(c->capacity, i, chunks);
			end = order_first(c->capacity, i + 1, chunks);
			for (; n < end; n++) {
				for (e = 0; e < c->experts; e++) {
					home = copies == 1 ? 0 :
						xchg_home(c, r, e, n);
					row[xchg_slot(c, e, home)]++;
				}
			}
		}
	}
	return cell;
}

/* Cells of a chunk of `n`, and of all before it, by expert. */
static void chunk_counts(const struct layer_pass_input *in, int index,
			 int32_t *count, int32_t *first)
{
	const struct layer_cells *cells = in->cells;
	int each = cells->chunks / in->chunks, copies = layer_copies(in->c);
	int r, i, e, j;

	for (r = 0; r < cells->ranks; r++) {
		int32_t *n = count + (size_t)r * (size_t)in->c->experts;
		int32_t *before = first + (size_t)r * (size_t)in->c->experts;

		for (i = 0; i < (index + 1) * each; i++) {
			const int32_t *cell = cells->cell +
				((size_t)r * (size_t)cells->chunks +
				 (size_t)i) * (size_t)cells->slots;
			int32_t *to = i < index * each ? before : n;

			for (e = 0; e < in->c->experts; e++) {
				for (j = 0; j < copies; j++)
					to[e] += cell[xchg_slot(in->c, e, j)];
			}
		}
	}
}

static enum xchg_buffer final_buffer(const struct xchg *x)
{
	return x->has_esp ? XCHG_ALL : XCHG_OUT;
}

/* Are all rows that arrive at the experts moved there? */
static bool can_move(const struct xchg *x)
{
	const struct xchg_step *s;
	int i;

	if (x->has_esp)
		return x->esp.unpack.n || !x->esp.recv.n;
	for (i = 0; i < x->n_steps; i++) {
		s = &x->step[i];
		if (s->to == XCHG_OUT && s->recv.n && !s->unpack.n)
			return false;
	}
	return x->n_steps > 0;
}

static void layout_make(struct making *m, bool padded)
{
	const struct xchg *x = &m->chunk->to.x;
	struct layer_chunk *c = m->chunk;
	int64_t at = 0;
	int e;

	c->count = xcalloc((size_t)m->local, sizeof(*c->count));
	c->first = xcalloc((size_t)m->local + 1, sizeof(*c->first));
	for (e = 0; e < m->local; e++)
		c->count[e] = x->expert_first[e + 1] - x->expert_first[e];
	c->rows = ffn_rows_of(c->count, m->local);
	if (!padded)
		c->rows.stride = 0;
	m->range = xcalloc((size_t)m->local, sizeof(*m->range));
	for (e = 0; e < m->local; e++) {
		c->first[e] = at;
		m->range[e] = (struct table_range){ x->expert_first[e],
						    c->count[e], (int32_t)at };
		at += c->rows.stride ? c->rows.stride : c->count[e];
		if (c->first[e] + c->count[e] < at)
			xchg_moves_add(&m->tails, -1, (int32_t)c->first[e] +
				       c->count[e], (int32_t)(at -
				       c->first[e]) - c->count[e]);
	}
	c->first[m->local] = at;
	m->layout = (struct table_layout){
		.buffer = final_buffer(x),
		.map = { c->rows.stride ? m->local : 0, m->range },
		.tails = &m->tails,
	};
}

/* Tables of a way; towards the experts one of its steps does the tails. */
static void way_tables(struct making *m, struct layer_way *w)
{
	bool has_tails = !w->x.back && m->tails.n;
	int i;

	for (i = 0; i < w->x.n_steps; i++) {
		const struct xchg_step *s = &w->x.step[i];
		bool now = has_tails && s->to == m->layout.buffer &&
			   s->unpack.n;

		layer_step_make(m->blob, s, m->in->rank, &m->layout, now,
				&w->step[i]);
		has_tails = has_tails && !now;
	}
	if (w->x.has_esp)
		layer_step_make(m->blob, &w->x.esp, m->in->rank, &m->layout,
				has_tails, &w->esp);
}

static enum status build_plans(struct making *m)
{
	struct xchg_input in = {
		.c = m->in->c, .alg = m->in->c->plan.alltoall,
		.count = m->count, .first = m->first,
		.token = m->in->token ?
			(const int32_t *const *)m->in->token[m->index] : NULL,
	};
	struct layer_chunk *c = m->chunk;
	enum status st = xchg_build(&in, m->in->rank, &c->to.x);

	if (st)
		return st;
	xchg_reverse(&c->to.x, &c->back.x);
	c->has_flat = in.alg != A2A_FLAT;
	if (!c->has_flat)
		return ST_OK;
	in.alg = A2A_FLAT;
	st = xchg_build(&in, m->in->rank, &c->to_flat.x);
	if (!st)
		xchg_reverse(&c->to_flat.x, &c->back_flat.x);
	return st;
}

static enum status chunk_build(struct making *m)
{
	struct layer_chunk *c = m->chunk;
	enum status st;
	bool padded;

	chunk_counts(m->in, m->index, m->count, m->first);
	st = build_plans(m);
	if (st)
		return st;
	padded = m->in->padded && can_move(&c->to.x) &&
		 (!c->has_flat || can_move(&c->to_flat.x));
	layout_make(m, m->in->is_direct || padded);
	if (m->in->is_direct)
		return ST_OK;
	way_tables(m, &c->to);
	way_tables(m, &c->back);
	if (c->has_flat) {
		way_tables(m, &c->to_flat);
		way_tables(m, &c->back_flat);
	}
	return ST_OK;
}

static void raise(int64_t *most, int64_t n)
{
	if (n > *most)
		*most = n;
}

/* SEND and RECV of a chunk, for any step of its ways. */
static void chunk_scratch(struct layer_pass *p, struct layer_chunk *c)
{
	const struct layer_way *way[] = { &c->to, &c->back, &c->to_flat,
					  &c->back_flat };
	int64_t send = 0, recv = 0;
	size_t i;

	for (i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
		raise(&send, way[i]->x.send_rows);
		raise(&recv, way[i]->x.recv_rows);
	}
	raise(&p->send_rows, send);
	raise(&p->recv_rows, recv);
	c->send_at = p->all_send_rows;
	c->recv_at = p->all_recv_rows;
	p->all_send_rows += send;
	p->all_recv_rows += recv;
}

/* Chunks one after the other in all buffers. */
static void pass_place(struct layer_pass *p)
{
	struct layer_chunk *c;
	int i, b;

	for (i = 0; i < p->n; i++) {
		c = &p->chunk[i];
		for (b = 0; b < XCHG_BUFFER_N; b++) {
			c->base[b] = p->rows[b];
			p->rows[b] += c->to.x.rows[b];
		}
		c->layout_base = p->layout_rows;
		p->layout_rows += c->first[c->rows.experts];
		chunk_scratch(p, c);
	}
}

static bool has_messages(const struct xchg_side *side, int rank)
{
	int i;

	for (i = 0; i < side->n; i++) {
		if (side->message[i].peer != rank)
			return true;
	}
	return false;
}

/* The step with the last messages to the experts (-1: none), or the first
 * from them (n_steps: none). */
static int split_at(const struct xchg *x, int rank)
{
	int by = x->back ? 1 : -1, i;

	for (i = x->back ? 0 : x->n_steps - 1; i >= 0 && i < x->n_steps;
	     i += by) {
		if (has_messages(&x->step[i].send, rank) ||
		    has_messages(&x->step[i].recv, rank))
			break;
	}
	return i;
}

unsigned layer_step_parts(const struct layer_way *w, int rank, int step,
			  bool at_experts)
{
	int at = split_at(&w->x, rank);
	unsigned experts = 0;

	if (step == at)
		experts = w->x.back ? LAYER_PACK : LAYER_UNPACK;
	else if (w->x.back ? step < at : step > at)
		experts = LAYER_ALL;
	if (w->x.has_esp)
		experts = 0;
	return at_experts ? experts : LAYER_ALL & ~experts;
}

static void pass_leads(struct layer_pass *p, struct layer_blob *blob)
{
	uint8_t *lead = xcalloc((size_t)p->rows[XCHG_IN] + 1, 1);
	int i;

	for (i = 0; i < p->n; i++) {
		const struct layer_chunk *c = &p->chunk[i];

		if (c->to.x.lead && c->to.x.rows[XCHG_IN])
			memcpy(lead + c->base[XCHG_IN], c->to.x.lead,
			       (size_t)c->to.x.rows[XCHG_IN]);
	}
	p->lead = layer_blob_add(blob, lead, (uint64_t)p->rows[XCHG_IN]);
	free(lead);
}

enum status layer_pass_build(const struct layer_pass_input *in,
			     struct layer_blob *blob, struct layer_pass *out)
{
	size_t n = (size_t)in->cells->ranks * (size_t)in->c->experts;
	struct layer_pass p = { .n = in->chunks };
	struct making m;
	enum status st = ST_OK;
	int i;

	p.chunk = xcalloc((size_t)p.n, sizeof(*p.chunk));
	for (i = 0; i < p.n && !st; i++) {
		m = (struct making){ .in = in, .blob = blob, .index = i,
				     .chunk = &p.chunk[i],
				     .local = layer_local_experts(in->c) };
		m.count = xcalloc(2 * n, sizeof(*m.count));
		m.first = m.count + n;
		st = chunk_build(&m);
		free(m.count);
		free(m.range);
		free(m.tails.move);
	}
	if (!st)
		pass_place(&p);
	if (!st && in->c->plan.alltoall == A2A_DEDUP)
		pass_leads(&p, blob);
	if (st)
		layer_pass_release(&p);
	else
		*out = p;
	return st;
}

static void way_release(struct layer_way *w)
{
	xchg_release(&w->x);
}

void layer_pass_release(struct layer_pass *p)
{
	int i;

	for (i = 0; i < p->n && p->chunk; i++) {
		way_release(&p->chunk[i].to);
		way_release(&p->chunk[i].back);
		way_release(&p->chunk[i].to_flat);
		way_release(&p->chunk[i].back_flat);
		free(p->chunk[i].count);
		free(p->chunk[i].first);
	}
	free(p->chunk);
	*p = (struct layer_pass){ 0 };
}

/*
 * Regrouping. Both layouts have their rows by (chunk, local expert, source,
 * token); cells are of the finest chunks, so each goes from one place to
 * another in one piece.
 */
struct regroup {
	const struct layer_pass_input *in;
	const struct layer_pass *forward;
	int first_rank, n_ranks, slot;
};

/* Rows of source s, local expert e, finest chunk f. */
static int32_t regroup_cell(const struct regroup *g, int s, int e, int f)
{
	const struct layer_cells *c = g->in->cells;

	return c->cell[((size_t)(g->first_rank + s) * (size_t)c->chunks +
			(size_t)f) * (size_t)c->slots +
		       (size_t)(g->slot + e)];
}

/* Where (source, local expert, finest chunk) begins in a pass's layout,
 * counted over all of its chunks. */
static int64_t regroup_place(const struct regroup *g,
			     const struct layer_pass *p, int s, int e, int f)
{
	int each = g->in->cells->chunks / p->n, q, i;
	const struct layer_chunk *c = &p->chunk[f / each];
	int64_t at = c->layout_base + c->first[e];

	for (q = 0; q <= s; q++) {
		for (i = f / each * each; i < (f / each + 1) * each &&
		     (q < s || i < f); i++)
			at += regroup_cell(g, q, e, i);
	}
	return at;
}

static void regroup_chunk(const struct regroup *g, struct layer_pass *back,
			  int index, struct layer_blob *blob)
{
	int each = g->in->cells->chunks / back->n, e, s, f;
	struct layer_chunk *c = &back->chunk[index];
	struct xchg_moves m = { 0 };
	int32_t rows, to;

	for (e = 0; e < c->rows.experts; e++) {
		to = (int32_t)c->first[e];
		for (s = 0; s < g->n_ranks; s++) {
			for (f = index * each; f < (index + 1) * each; f++) {
				rows = regroup_cell(g, s, e, f);
				xchg_moves_add(&m, (int32_t)regroup_place(
					g, g->forward, s, e, f), to, rows);
				to += rows;
			}
		}
		rows = (int32_t)(c->first[e + 1] - to);
		xchg_moves_add(&m, -1, to, rows);
	}
	layer_table_make(blob, &m, NULL, NULL, NULL, &c->regroup);
	free(m.move);
}

void layer_pass_regroup(const struct layer_pass_input *in,
			const struct layer_pass *forward,
			struct layer_pass *back, struct layer_blob *blob)
{
	const struct layout *l = &in->c->plan.layout;
	int block = l->ep * l->esp, i;
	struct regroup g = {
		.in = in, .forward = forward,
		.first_rank = in->rank / block * block, .n_ranks = block,
		.slot = in->rank / l->esp % l->ep *
			layer_local_experts(in->c),
	};

	for (i = 0; i < back->n; i++)
		regroup_chunk(&g, back, i, blob);
}
