/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/layer_table.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define BLOB_ALIGN 16
#define BLOB_FIRST 65536

uint64_t layer_blob_add(struct layer_blob *b, const void *data, uint64_t n)
{
	uint64_t at = (b->used + BLOB_ALIGN - 1) / BLOB_ALIGN * BLOB_ALIGN;

	if (at + n > b->cap && b->fixed) {
		b->overflow = true;
		return 0;
	}
	while (at + n > b->cap) {
		b->cap = b->cap ? 2 * b->cap : BLOB_FIRST;
		b->p = xrealloc_array(b->p, b->cap, 1);
	}
	if (n)
		memcpy(b->p + at, data, n);
	b->used = at + n;
	return at;
}

/* Row v elsewhere; *n_p rows at most follow one another there, too. */
static int32_t map_row(const struct table_map *m, int32_t v, int32_t *n_p)
{
	int low = 0, high, mid;
	int32_t at, left;

	if (!m || !m->n || v < 0)
		return v;
	high = m->n;	/* the first range that begins behind v */
	while (low < high) {
		mid = (low + high) / 2;
		if (m->range[mid].first <= v)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < m->n && m->range[low].first - v < *n_p)
		*n_p = m->range[low].first - v;
	if (!low)
		return v;
	at = v - m->range[low - 1].first;
	left = m->range[low - 1].rows - at;
	if (left <= 0)
		return v;
	if (left < *n_p)
		*n_p = left;
	return m->range[low - 1].to + at;
}

struct runs {
	struct k_run *run;
	size_t cap;
	int n;
	int32_t rows;
};

/* A run that goes on where the last one ended is part of it. */
static void runs_add(struct runs *r, int32_t from, int32_t to, int32_t rows)
{
	struct k_run *last = r->n ? &r->run[r->n - 1] : NULL;

	if (last && last->to + last->rows == to && (from < 0 ? last->from < 0 :
	    last->from >= 0 && last->from + last->rows == from)) {
		last->rows += rows;
	} else {
		r->run = array_grow(r->run, &r->cap, (size_t)r->n + 1,
				    sizeof(*r->run));
		r->run[r->n++] = (struct k_run){ from, to, rows, r->rows };
	}
	r->rows += rows;
}

static void runs_add_move(struct runs *r, struct xchg_move m,
			  const struct table_map *from,
			  const struct table_map *to)
{
	int32_t n, f, t;

	while (m.rows > 0) {
		n = m.rows;
		f = map_row(from, m.from, &n);
		t = map_row(to, m.to, &n);
		runs_add(r, f, t, n);
		m.from += m.from < 0 ? 0 : n;
		m.to += n;
		m.rows -= n;
	}
}

void layer_table_make(struct layer_blob *blob, const struct xchg_moves *m,
		      const struct table_map *from, const struct table_map *to,
		      const struct xchg_moves *tails, struct layer_table *out)
{
	struct runs r = { 0 };
	int i;

	for (i = 0; i < m->n; i++)
		runs_add_move(&r, m->move[i], from, to);
	for (i = 0; tails && i < tails->n; i++)
		runs_add_move(&r, tails->move[i], NULL, NULL);
	*out = (struct layer_table){ .n = r.n, .rows = r.rows };
	out->at = layer_blob_add(blob, r.run, (uint64_t)r.n * sizeof(*r.run));
	free(r.run);
}

/* Sums as lists, in the order in which their rows are first set. */
struct lists {
	int32_t *index;		/* of a row in `to`; -1: none yet */
	int32_t *first, *list, *to;
	int32_t n;
};

static int32_t last_row(const struct xchg_moves *m)
{
	int32_t last = 0;
	int i;

	for (i = 0; i < m->n; i++) {
		if (m->move[i].to + m->move[i].rows > last)
			last = m->move[i].to + m->move[i].rows;
	}
	return last;
}

static void lists_count(struct lists *l, const struct xchg_moves *m)
{
	int32_t r, to;
	int i;

	for (i = 0; i < m->n; i++) {
		for (r = 0; r < m->move[i].rows; r++) {
			to = m->move[i].to + r;
			if (l->index[to] < 0) {
				l->to[l->n] = to;
				l->index[to] = l->n++;
			}
			l->first[l->index[to] + 1]++;
		}
	}
	for (r = 0; r < l->n; r++)
		l->first[r + 1] += l->first[r];
}

static void lists_fill(struct lists *l, const struct xchg_moves *m,
		       const struct table_map *from)
{
	int32_t *next = xcalloc((size_t)l->n + 1, sizeof(*next)), r, one, at;
	int i;

	memcpy(next, l->first, (size_t)l->n * sizeof(*next));
	for (i = 0; i < m->n; i++) {
		for (r = 0; r < m->move[i].rows; r++) {
			one = 1;
			at = l->index[m->move[i].to + r];
			l->list[next[at]++] = map_row(from, m->move[i].from + r,
						      &one);
		}
	}
	free(next);
}

static void sums_make(struct layer_blob *blob, const struct xchg_moves *m,
		      const struct table_map *from, struct layer_sums *out)
{
	size_t rows = (size_t)last_row(m), total = 0;
	struct lists l = { 0 };
	int i;

	for (i = 0; i < m->n; i++)
		total += (size_t)m->move[i].rows;
	l.index = xmalloc((rows + 1) * sizeof(*l.index));
	memset(l.index, 0xff, (rows + 1) * sizeof(*l.index));
	l.first = xcalloc(rows + 2, sizeof(*l.first));
	l.to = xcalloc(rows + 1, sizeof(*l.to));
	l.list = xcalloc(total + 1, sizeof(*l.list));
	lists_count(&l, m);
	lists_fill(&l, m, from);
	out->rows = l.n;
	out->first = layer_blob_add(blob, l.first, ((uint64_t)l.n + 1) *
				    sizeof(*l.first));
	out->list = layer_blob_add(blob, l.list, total * sizeof(*l.list));
	out->to = layer_blob_add(blob, l.to, (uint64_t)l.n * sizeof(*l.to));
	free(l.index);
	free(l.first);
	free(l.to);
	free(l.list);
}

/* The rank's own message of a side; NULL: none. A plan has one at most. */
static const struct xchg_message *own(const struct xchg_side *s, int rank)
{
	int i;

	for (i = 0; i < s->n; i++) {
		if (s->message[i].peer == rank)
			return &s->message[i];
	}
	return NULL;
}

static const struct table_map *layout_map(const struct table_layout *l,
					  enum xchg_buffer b)
{
	return l && l->buffer == b ? &l->map : NULL;
}

void layer_step_make(struct layer_blob *blob, const struct xchg_step *s,
		     int rank, const struct table_layout *layout, bool tails,
		     struct layer_step *out)
{
	const struct xchg_message *from = own(&s->send, rank);
	const struct xchg_message *to = own(&s->recv, rank);
	struct table_range out_of, into;
	struct table_map pack_to = { 0, &into }, unpack_from = { 0, &out_of };

	*out = (struct layer_step){ .x = s };
	if (from && to && s->unpack.n) {
		out->self = SELF_UNPACK;
		out_of = (struct table_range){ to->first, to->rows,
					       from->first | K_LAYER_SECOND };
		unpack_from.n = 1;
	} else if (from && to && s->pack.n) {
		out->self = SELF_PACK;
		into = (struct table_range){ from->first, from->rows,
					     to->first | K_LAYER_SECOND };
		pack_to.n = 1;
	} else if (from && to) {
		out->self = SELF_COPY;
		out->copy = (struct xchg_move){ .from = from->first,
						.to = to->first,
						.rows = to->rows };
	}
	layer_table_make(blob, &s->pack, layout_map(layout, s->from), &pack_to,
			 NULL, &out->pack);
	if (s->unpack_adds)
		sums_make(blob, &s->unpack, &unpack_from, &out->sums);
	else
		layer_table_make(blob, &s->unpack, &unpack_from,
				 layout_map(layout, s->to),
				 tails ? layout->tails : NULL, &out->unpack);
}
