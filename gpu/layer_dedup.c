/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One copy per (token, node): dedup. (n, g) sends each of its tokens that has
 * experts on node m once to (m, g), which hands it on to the ranks (m, h)
 * whose experts chose it, once for each expert (sim/coll_dedup.c has its
 * cost). MID0 of (m, g): the tokens from (0, g), (1, g) ..
 */
#include "gpu/layer_exchange_int.h"

#include "base/mem.h"

#include <stdlib.h>

/* A source's rows for one node: which of them stands for each token. */
struct distinct {
	int32_t first, end;	/* rows of IN */
	int32_t n;		/* different tokens */
	int32_t *index;		/* [end - first]: number of the row's token
				   among them, -1: empty slot */
};

static void distinct_make(const struct xchg_make *m, int src, int node,
			  struct distinct *d)
{
	const int32_t *token = m->in->token[src];
	int32_t *number = xmalloc((size_t)m->c->tokens * sizeof(*number));
	int slot = 0, t;
	int32_t i;

	while (slot < m->slots && make_home(m, src, slot) / m->gpus < node)
		slot++;
	d->first = make_first(m, src, slot);
	while (slot < m->slots && make_home(m, src, slot) / m->gpus == node)
		slot++;
	d->end = make_first(m, src, slot);
	d->index = xcalloc((size_t)(d->end - d->first) + 1,
			   sizeof(*d->index));
	for (t = 0; t < m->c->tokens; t++)
		number[t] = -1;
	for (d->n = 0, i = d->first; i < d->end; i++) {
		t = token[i];
		if (t >= 0 && number[t] < 0)
			number[t] = d->n++;
		d->index[i - d->first] = t < 0 ? -1 : number[t];
	}
	free(number);
}

/* To each node what is for it; `lead`: the rows that go. */
static void inter_send(const struct xchg_make *m, struct xchg *x)
{
	struct xchg_step *s = &x->step[0];
	int g = m->rank % m->gpus, node;
	int32_t at = 0, i, next;

	x->lead = xcalloc((size_t)x->rows[XCHG_IN] + 1, 1);
	for (node = 0; node < m->ranks / m->gpus; node++) {
		struct distinct d;

		distinct_make(m, m->rank, node, &d);
		for (i = d.first, next = 0; i < d.end; i++) {
			if (d.index[i - d.first] != next)
				continue;
			x->lead[i] = 1;
			moves_add(&s->pack, i, at + next++, 1, true);
		}
		side_add(&s->send, node * m->gpus + g, at, d.n);
		at += d.n;
		free(d.index);
	}
}

/* All that comes from (n, g) for node m: MID0, and on from there. */
struct fan {
	int nodes;
	struct distinct *from;	/* [nodes] */
	int32_t *base;		/* [nodes] in MID0 */
};

static void fan_make(const struct xchg_make *m, struct fan *f)
{
	int g = m->rank % m->gpus, node = m->rank / m->gpus, n;
	int32_t at = 0;

	f->nodes = m->ranks / m->gpus;
	f->from = xcalloc((size_t)f->nodes, sizeof(*f->from));
	f->base = xcalloc((size_t)f->nodes, sizeof(*f->base));
	for (n = 0; n < f->nodes; n++) {
		distinct_make(m, n * m->gpus + g, node, &f->from[n]);
		f->base[n] = at;
		at += f->from[n].n;
	}
}

static void fan_release(struct fan *f)
{
	int n;

	for (n = 0; n < f->nodes; n++)
		free(f->from[n].index);
	free(f->from);
	free(f->base);
}

/* Filled rows of a cell; they come first. */
static int32_t filled(const struct xchg_make *m, int src, int slot)
{
	int32_t n = make_cell(m, src, slot);
	const int32_t *token = m->in->token[src] + make_first(m, src, slot);

	while (n > 0 && token[n - 1] < 0)
		n--;
	return n;
}

/* One cell from MID0 to SEND. */
static void fan_cell(const struct xchg_make *m, const struct fan *f, int n,
		     int slot, int32_t at, struct xchg_moves *pack)
{
	int src = n * m->gpus + m->rank % m->gpus;
	const struct distinct *d = &f->from[n];
	int32_t i, first = make_first(m, src, slot) - d->first;

	for (i = 0; i < filled(m, src, slot); i++) {
		moves_add(pack, f->base[n] + d->index[first + i], at + i, 1,
			  true);
	}
}

/* To (m, h): by (local expert, source node), as it wants them. */
static void fan_send(const struct xchg_make *m, const struct fan *f, int h,
		     struct xchg_step *s)
{
	int dst = m->rank / m->gpus * m->gpus + h, local, n;
	int32_t first = s->pack.n ? s->pack.move[s->pack.n - 1].to +
				    s->pack.move[s->pack.n - 1].rows : 0;
	int32_t at = first;

	for (local = 0; local < m->local; local++) {
		for (n = 0; n < f->nodes; n++) {
			int src = n * m->gpus + m->rank % m->gpus;
			int slot = make_slot(m, dst, local);

			if (!make_same_group(m, src, dst))
				continue;
			fan_cell(m, f, n, slot, at, &s->pack);
			at += filled(m, src, slot);
		}
	}
	side_add(&s->send, dst, first, at - first);
}

/* Where each (local expert, source) lies in OUT: [local * ranks]. */
static int32_t *out_places(const struct xchg_make *m)
{
	int32_t *out = xcalloc((size_t)m->local * (size_t)m->ranks,
			       sizeof(*out)), at = 0;
	int local, src;

	for (local = 0; local < m->local; local++) {
		for (src = 0; src < m->ranks; src++) {
			out[local * m->ranks + src] = at;
			if (make_same_group(m, src, m->rank))
				at += make_cell(m, src,
						make_slot(m, m->rank, local));
		}
	}
	return out;
}

/* From (m, g): the sources (n, g), and zeros for their empty slots. */
static int32_t fan_receive(const struct xchg_make *m, int g, int32_t at,
			   const int32_t *place, struct xchg_step *s)
{
	int local, n, src, slot, nodes = m->ranks / m->gpus;
	int32_t first = at;

	for (local = 0; local < m->local; local++) {
		for (n = 0; n < nodes; n++) {
			int32_t rows, to;

			src = n * m->gpus + g;
			slot = make_slot(m, m->rank, local);
			if (!make_same_group(m, src, m->rank))
				continue;
			rows = filled(m, src, slot);
			to = place[local * m->ranks + src];
			moves_add(&s->unpack, at, to, rows, true);
			moves_add(&s->unpack, -1, to + rows,
				  make_cell(m, src, slot) - rows, true);
			at += rows;
		}
	}
	side_add(&s->recv, m->rank / m->gpus * m->gpus + g, first,
		 at - first);
	return at;
}

void dedup_build(const struct xchg_make *m, struct xchg *x)
{
	struct xchg_step *inter = &x->step[0], *out = &x->step[1];
	int32_t at = 0, *place = out_places(m);
	struct fan f;
	int i, g = m->rank % m->gpus;

	inter->from = XCHG_IN;
	inter->to = out->from = XCHG_MID0;
	out->to = XCHG_OUT;
	out->needs_previous = true;
	inter_send(m, x);
	fan_make(m, &f);
	for (i = 0; i < f.nodes; i++) {
		side_add(&inter->recv, i * m->gpus + g, f.base[i],
			 f.from[i].n);
	}
	x->rows[XCHG_MID0] = inter->recv.rows;
	for (i = 0; i < m->gpus; i++) {
		fan_send(m, &f, i, out);
		at = fan_receive(m, i, at, place, out);
	}
	for (i = 0; i < 2; i++) {
		side_sort(m, &x->step[i].send, false);
		side_sort(m, &x->step[i].recv, true);
	}
	fan_release(&f);
	free(place);
}
