/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plans of the algorithms that carry cells: a cell is what one source rank
 * has for one slot (an expert's home). An algorithm says on which rank a
 * cell is after each of its steps; where it lies in the buffers there, which
 * messages that makes and what has to be moved follows from the orders:
 *
 *	IN	(slot); one source
 *	MID	before step i: (next rank, the one after that .., local
 *		expert, source), so that each message is in one piece
 *	OUT	(local expert, source)
 */
#include "gpu/layer_exchange_int.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Ranks on which a cell is, one after the other: source .. home. */
#define HOLD_MAX (A2A_STEPS_MAX + 1)

struct cell {
	int src, slot, local;	/* local: expert on its home */
	int hold[HOLD_MAX];
	int32_t rows, from, to;	/* places of its first row */
};

/* The cells that leave or reach a rank in one step. */
struct cells {
	struct cell *v;
	int n;
};

/* One step of an algorithm over cells. */
struct hop {
	int level, levels;	/* from hold[level] to hold[level + 1] */
	int only;	/* lanes: 0 inside the node, 1 between; else -1 */
};

/* Shift distance inside an EP group: the round of a pairwise exchange. */
static int group_round(const struct xchg_make *m, int src, int dst)
{
	int block = m->ep * m->esp, local = 1, nodes, hop, turn;
	int from = src / m->esp % m->ep, to = dst / m->esp % m->ep;

	if (m->gpus % block == 0)
		local = m->ep;
	else if (block % m->gpus == 0)
		local = m->gpus / m->esp;
	nodes = m->ep / local;
	hop = (to / local - from / local + nodes) % nodes;
	turn = (to % local - from % local + local) % local;
	return hop * local + turn;
}

/* Where the cell is after each step, source and home included. */
static int hold_fill(const struct xchg_make *m, struct cell *c)
{
	int src = c->src, dst = make_home(m, src, c->slot), g = m->gpus;
	int n = 0;

	c->hold[n++] = src;
	if (m->in->alg == A2A_LEADER) {
		c->hold[n++] = src / g * g;
		c->hold[n++] = dst / g * g;
	} else if (m->in->alg == A2A_2D) {
		c->hold[n++] = src / g * g + dst % g;
	}
	c->hold[n++] = dst;
	return n - 1;
}

/* Does anything leave its rank in this step, on any rank? */
static bool is_trivial(const struct xchg_make *m, int step)
{
	struct cell c = { 0 };

	for (c.src = 0; c.src < m->ranks; c.src++) {
		for (c.slot = 0; c.slot < m->slots; c.slot += m->local) {
			hold_fill(m, &c);
			if (c.hold[step] != c.hold[step + 1])
				return false;
		}
	}
	return true;
}

/* Order of a MID buffer, and of what is sent: see the head of the file. */
static int compare_way(const struct cell *a, const struct cell *b, int level,
		       int levels)
{
	int i;

	for (i = level; i <= levels; i++) {
		if (a->hold[i] != b->hold[i])
			return a->hold[i] < b->hold[i] ? -1 : 1;
	}
	if (a->local != b->local)
		return a->local < b->local ? -1 : 1;
	return (a->src > b->src) - (a->src < b->src);
}

/* qsort has no argument for these; one plan at a time in a thread. */
static _Thread_local struct {
	int level, levels;
} order;

static int by_slot(const void *a, const void *b)
{
	const struct cell *x = a, *y = b;

	return (x->slot > y->slot) - (x->slot < y->slot);
}

static int by_way(const void *a, const void *b)
{
	return compare_way(a, b, order.level, order.levels);
}

/* As its sender sends it, one sender after the other. */
static int by_sender(const void *a, const void *b)
{
	const struct cell *x = a, *y = b;
	int from = order.level - 1;

	if (x->hold[from] != y->hold[from])
		return x->hold[from] < y->hold[from] ? -1 : 1;
	return compare_way(x, y, order.level, order.levels);
}

static void cells_sort(struct cells *c, int level, int levels,
		       int (*compare)(const void *, const void *))
{
	order.level = level;
	order.levels = levels;
	if (c->n)
		qsort(c->v, (size_t)c->n, sizeof(*c->v), compare);
}

/* Cells that are on the rank after `level` steps. */
static struct cells cells_at(const struct xchg_make *m, int level)
{
	struct cells out = { 0 };
	struct cell c = { 0 };
	size_t cap = 0;
	int first = level ? 0 : m->rank, end = level ? m->ranks : first + 1;

	for (c.src = first; c.src < end; c.src++) {
		for (c.slot = 0; c.slot < m->slots; c.slot++) {
			c.rows = make_cell(m, c.src, c.slot);
			c.local = c.slot % m->local;
			hold_fill(m, &c);
			if (!c.rows || c.hold[level] != m->rank)
				continue;
			out.v = array_grow(out.v, &cap, (size_t)out.n + 1,
					   sizeof(*out.v));
			out.v[out.n++] = c;
		}
	}
	return out;
}

/* Sets `from` (is_to: `to`) in the order the cells are in. */
static void cells_place(struct cells *c, bool is_to)
{
	int32_t at = 0;
	int i;

	for (i = 0; i < c->n; i++) {
		*(is_to ? &c->v[i].to : &c->v[i].from) = at;
		at += c->v[i].rows;
	}
}

static bool in_hop(const struct xchg_make *m, const struct hop *h,
		   const struct cell *c)
{
	int between = c->hold[h->level] / m->gpus !=
		      c->hold[h->level + 1] / m->gpus;

	return h->only < 0 || h->only == between;
}

/* Leaves only the cells of the hop, their order kept. */
static void cells_filter(const struct xchg_make *m, const struct hop *h,
			 struct cells *c)
{
	int i, n = 0;

	for (i = 0; i < c->n; i++) {
		if (in_hop(m, h, &c->v[i]))
			c->v[n++] = c->v[i];
	}
	c->n = n;
}

/* Does every run to or from one peer lie in one piece? */
static bool in_runs(const struct cells *c, int peer, bool is_to)
{
	int i;

	for (i = 1; i < c->n; i++) {
		const struct cell *a = &c->v[i - 1], *b = &c->v[i];

		if (a->hold[peer] == b->hold[peer] &&
		    (is_to ? a->to + a->rows != b->to :
			     a->from + a->rows != b->from))
			return false;
	}
	return true;
}

/* Messages of cells in order of peers; straight: at their own places. */
static void side_fill(const struct cells *c, int peer, bool is_to,
		      bool straight, struct xchg_side *out)
{
	int32_t at = 0, rows;
	int i, j;

	for (i = 0; i < c->n; i = j) {
		const struct cell *a = &c->v[i];

		for (rows = 0, j = i; j < c->n &&
		     c->v[j].hold[peer] == a->hold[peer]; j++)
			rows += c->v[j].rows;
		side_add(out, a->hold[peer],
			 !straight ? at : is_to ? a->to : a->from, rows);
		at += rows;
	}
}

static void hop_send(const struct xchg_make *m, const struct hop *h,
		     struct xchg_step *s)
{
	struct cells c = cells_at(m, h->level);
	int32_t at = 0;
	bool straight;
	int i;

	if (h->level)
		cells_sort(&c, h->level + 1, h->levels, by_way);
	else
		cells_sort(&c, 0, 0, by_slot);
	cells_place(&c, false);
	cells_filter(m, h, &c);
	cells_sort(&c, h->level + 1, h->levels, by_way);
	straight = in_runs(&c, h->level + 1, false);
	for (i = 0; i < c.n && !straight; i++) {
		moves_add(&s->pack, c.v[i].from, at, c.v[i].rows, true);
		at += c.v[i].rows;
	}
	side_fill(&c, h->level + 1, false, straight, &s->send);
	free(c.v);
}

static void hop_receive(const struct xchg_make *m, const struct hop *h,
			struct xchg_step *s)
{
	struct cells c = cells_at(m, h->level + 1);
	int32_t at = 0;
	bool straight;
	int i;

	/* at the home the way is one rank: (local expert, source) is left */
	cells_sort(&c, h->level + 1 < h->levels ? h->level + 2 : h->levels,
		   h->levels, by_way);
	cells_place(&c, true);
	cells_filter(m, h, &c);
	cells_sort(&c, h->level + 1, h->levels, by_sender);
	straight = in_runs(&c, h->level, true);
	for (i = 0; i < c.n && !straight; i++) {
		moves_add(&s->unpack, at, c.v[i].to, c.v[i].rows, true);
		at += c.v[i].rows;
	}
	side_fill(&c, h->level, true, straight, &s->recv);
	free(c.v);
}

static int32_t rows_at(const struct xchg_make *m, int level)
{
	struct cells c = cells_at(m, level);
	int32_t rows = 0;
	int i;

	for (i = 0; i < c.n; i++)
		rows += c.v[i].rows;
	free(c.v);
	return rows;
}

static void set_rounds(const struct xchg_make *m, struct xchg_step *s)
{
	int i;

	s->rounds = m->ep;
	for (i = 0; i < s->send.n; i++) {
		s->send.message[i].round =
			group_round(m, m->rank, s->send.message[i].peer);
	}
	for (i = 0; i < s->recv.n; i++) {
		s->recv.message[i].round =
			group_round(m, s->recv.message[i].peer, m->rank);
	}
}

static void hop_build(const struct xchg_make *m, const struct hop *h,
		      struct xchg_step *s)
{
	hop_send(m, h, s);
	hop_receive(m, h, s);
	side_sort(m, &s->send, false);
	side_sort(m, &s->recv, true);
	if (m->in->alg == A2A_PAIRWISE)
		set_rounds(m, s);
}

/* Messages inside a node and between nodes, both from IN to OUT. */
static void lanes_build(const struct xchg_make *m, struct xchg *x)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct hop h = { .levels = 1, .only = i };

		x->step[i].from = XCHG_IN;
		x->step[i].to = XCHG_OUT;
		hop_build(m, &h, &x->step[i]);
	}
}

/*
 * One step after the other. Steps in which nothing leaves its rank do
 * nothing: where the group is in one node, or has one rank on each.
 */
static void hops_build(const struct xchg_make *m, struct xchg *x)
{
	static const enum xchg_buffer mids[] = { XCHG_MID0, XCHG_MID1 };
	int i, last = -1, mid = 0, n = x->n_steps;
	enum xchg_buffer at = XCHG_IN;

	for (i = 0; i < n; i++) {
		if (!is_trivial(m, i))
			last = i;
	}
	for (i = 0; i < n; i++) {
		struct hop h = { .level = i, .levels = n, .only = -1 };
		struct xchg_step *s = &x->step[i];

		s->from = s->to = at;
		if (is_trivial(m, i))
			continue;
		s->to = i == last ? XCHG_OUT : mids[mid++];
		hop_build(m, &h, s);
		if (s->to != XCHG_OUT)
			x->rows[s->to] = rows_at(m, i + 1);
		at = s->to;
	}
}

/*
 * The members' OUT, one after the other, into ALL: (local expert, source).
 * Sources of member s are those of its own EP group.
 */
static void esp_build(const struct xchg_make *m, struct xchg *x)
{
	int base = m->rank - m->rank % m->esp, block, s, e, local;
	struct xchg_step *step = &x->esp;
	int32_t *at = xcalloc((size_t)m->esp + 1, sizeof(*at)), to = 0;

	block = m->rank / (m->ep * m->esp) * m->ep * m->esp;
	for (s = 0; s < m->esp; s++) {
		int32_t rows = 0;

		for (e = 0; e < m->ep; e++) {
			for (local = 0; local < m->local; local++) {
				rows += make_cell(m, block + e * m->esp + s,
					make_slot(m, base + s, local));
			}
		}
		at[s + 1] = at[s] + rows;
		side_add(&step->send, base + s, 0, x->rows[XCHG_OUT]);
		side_add(&step->recv, base + s, at[s], rows);
	}
	for (local = 0; local < m->local; local++) {
		for (e = 0; e < m->ep * m->esp; e++) {
			int src = block + e;
			int32_t n = make_cell(m, src, make_slot(m, m->rank,
								local));

			moves_add(&step->unpack, at[e % m->esp], to, n, true);
			at[e % m->esp] += n;
			to += n;
		}
	}
	x->has_esp = true;
	x->rows[XCHG_ALL] = to;
	step->from = XCHG_OUT;
	step->to = XCHG_ALL;
	step->rounds = 1;
	side_sort(m, &step->send, false);
	side_sort(m, &step->recv, true);
	free(at);
}

int32_t *xchg_in_first(const struct layer_case *c, int rank,
		       const int32_t *count, const int32_t *first)
{
	int slots = xchg_slots(c), copies = layer_copies(c), e, j, i;
	int32_t *out = xcalloc((size_t)slots + 1, sizeof(*out));

	for (e = 0; e < c->experts; e++) {
		for (j = 0; j < copies; j++) {
			out[xchg_slot(c, e, j) + 1] =
				xchg_home_rows(c, rank, e, j, count[e],
					       first ? first[e] : 0);
		}
	}
	for (i = 0; i < slots; i++)
		out[i + 1] += out[i];
	return out;
}

static void make_init(struct xchg_make *m, const struct xchg_input *in,
		      int rank)
{
	const struct layer_case *c = in->c;
	size_t width, row;
	int r;

	*m = (struct xchg_make){ .in = in, .c = c, .rank = rank,
		.ranks = layer_ranks(c), .gpus = c->gpus_per_node,
		.ep = c->plan.layout.ep, .esp = c->plan.layout.esp,
		.local = layer_local_experts(c), .slots = xchg_slots(c) };
	width = (size_t)m->slots + 1;
	m->in_first = xcalloc((size_t)m->ranks * width, sizeof(*m->in_first));
	for (r = 0; r < m->ranks; r++) {
		int32_t *one;

		row = (size_t)r * (size_t)c->experts;
		one = xchg_in_first(c, r, in->count + row,
				    in->first ? in->first + row : NULL);
		memcpy(m->in_first + (size_t)r * width, one,
		       width * sizeof(*one));
		free(one);
	}
}

/* The whole exchange has to fit 31 bits of rows: then so does any buffer. */
static enum status check_rows(const struct xchg_input *in)
{
	int64_t cells = (int64_t)layer_ranks(in->c) * in->c->experts, i;
	int64_t sum = 0;

	for (i = 0; i < cells; i++)
		sum += in->count[i];
	if (sum > INT32_MAX)
		return err_set(ST_INPUT, "the exchange of a layer has %lld "
			       "rows, more than %d", (long long)sum,
			       INT32_MAX);
	return ST_OK;
}

static void experts_place(const struct xchg_make *m, struct xchg *x)
{
	int block = m->rank / (m->ep * m->esp) * m->ep * m->esp, i, r;
	int32_t at = 0;

	x->expert_first = xcalloc((size_t)m->local + 1,
				  sizeof(*x->expert_first));
	for (i = 0; i < m->local; i++) {
		for (r = block; r < block + m->ep * m->esp; r++)
			at += make_cell(m, r, make_slot(m, m->rank, i));
		x->expert_first[i + 1] = at;
	}
	for (i = 0; i < m->ranks; i++) {
		for (r = 0; make_same_group(m, i, m->rank) && r < m->local;
		     r++) {
			x->rows[XCHG_OUT] +=
				make_cell(m, i, make_slot(m, m->rank, r));
		}
	}
	x->rows[XCHG_IN] = make_first(m, m->rank, m->slots);
}

enum status xchg_build(const struct xchg_input *in, int rank,
		       struct xchg *out)
{
	struct xchg x = { .rank = rank };
	struct xchg_make m;
	enum status st = check_rows(in);
	int i;

	if (st)
		return st;
	make_init(&m, in, rank);
	assert(in->alg != A2A_DEDUP || in->token || m.ep == 1);
	x.n_steps = m.ep > 1 ? a2a_table[in->alg].n_steps : 0;
	for (i = 0; i < x.n_steps; i++) {
		x.step[i].beside = a2a_step_at(in->alg, 0, i).beside;
		x.step[i].rounds = 1;
	}
	experts_place(&m, &x);
	if (x.n_steps && in->alg == A2A_DEDUP)
		dedup_build(&m, &x);
	else if (x.n_steps && in->alg == A2A_LANES)
		lanes_build(&m, &x);
	else if (x.n_steps)
		hops_build(&m, &x);
	if (m.esp > 1)
		esp_build(&m, &x);
	xchg_scratch(&x);
	x.in_first = xcalloc((size_t)m.slots + 1, sizeof(*x.in_first));
	for (i = 0; i <= m.slots; i++)
		x.in_first[i] = make_first(&m, rank, i);
	free(m.in_first);
	*out = x;
	return ST_OK;
}
