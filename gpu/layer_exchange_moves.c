/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pieces of exchange plans: moves, messages, the way back. */
#include "gpu/layer_exchange_int.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void moves_add(struct xchg_moves *m, int32_t from, int32_t to, int32_t rows,
	       bool set)
{
	struct xchg_move *last = m->n ? &m->move[m->n - 1] : NULL;

	if (!rows)
		return;
	if (last && last->set == set && last->to + last->rows == to &&
	    (from < 0 ? last->from < 0 :
	     last->from >= 0 && last->from + last->rows == from)) {
		last->rows += rows;
		return;
	}
	m->move = array_grow(m->move, &m->cap, (size_t)m->n + 1,
			     sizeof(*m->move));
	m->move[m->n++] = (struct xchg_move){ from, to, rows, set };
}

void xchg_moves_add(struct xchg_moves *m, int32_t from, int32_t to,
		    int32_t rows)
{
	moves_add(m, from, to, rows, true);
}

void side_add(struct xchg_side *s, int peer, int32_t first, int32_t rows)
{
	if (!rows)
		return;
	s->message = xrealloc_array(s->message, (size_t)s->n + 1,
				    sizeof(*s->message));
	s->message[s->n++] = (struct xchg_message){ peer, first, rows, 0 };
	s->rows += rows;
}

/* NCCL's order: node first, then local rank; 0: itself. */
static int shift(const struct xchg_make *m, int from, int to)
{
	int nodes = m->ranks / m->gpus;
	int hop = (to / m->gpus - from / m->gpus + nodes) % nodes;

	return hop * m->gpus + (to % m->gpus - from % m->gpus + m->gpus) %
	       m->gpus;
}

void side_sort(const struct xchg_make *m, struct xchg_side *s, bool is_recv)
{
	struct xchg_message one;
	int i, j, key;

	for (i = 1; i < s->n; i++) {
		one = s->message[i];
		key = is_recv ? shift(m, one.peer, m->rank) :
				shift(m, m->rank, one.peer);
		for (j = i; j > 0; j--) {
			int p = s->message[j - 1].peer;

			if ((is_recv ? shift(m, p, m->rank) :
				       shift(m, m->rank, p)) <= key)
				break;
			s->message[j] = s->message[j - 1];
		}
		s->message[j] = one;
	}
}

void xchg_scratch(struct xchg *x)
{
	int i;

	x->send_rows = x->recv_rows = 0;
	for (i = 0; i <= x->n_steps; i++) {
		const struct xchg_step *s = i < x->n_steps ? &x->step[i] :
							     &x->esp;

		if (s->pack.n && s->send.rows > x->send_rows)
			x->send_rows = s->send.rows;
		if (s->unpack.n && s->recv.rows > x->recv_rows)
			x->recv_rows = s->recv.rows;
	}
}

static void step_release(struct xchg_step *s)
{
	free(s->pack.move);
	free(s->unpack.move);
	free(s->send.message);
	free(s->recv.message);
}

void xchg_release(struct xchg *x)
{
	int i;

	for (i = 0; i < A2A_STEPS_MAX; i++)
		step_release(&x->step[i]);
	step_release(&x->esp);
	free(x->expert_first);
	free(x->in_first);
	free(x->lead);
	*x = (struct xchg){ 0 };
}

static void side_copy(const struct xchg_side *from, struct xchg_side *to)
{
	*to = *from;
	to->message = xcalloc((size_t)from->n + 1, sizeof(*to->message));
	if (from->n) {
		memcpy(to->message, from->message,
		       (size_t)from->n * sizeof(*to->message));
	}
}

/* What was packed together is taken apart; zeros stay behind. */
static void moves_back(const struct xchg_moves *m, struct xchg_moves *out)
{
	int i;

	for (i = 0; i < m->n; i++) {
		const struct xchg_move *v = &m->move[i];

		if (v->from >= 0)
			moves_add(out, v->to, v->from, v->rows, true);
	}
}

/* A row that went to several places comes back as their sum. */
static void moves_back_sum(const struct xchg_moves *m, int32_t rows,
			   struct xchg_moves *out)
{
	uint8_t *seen = xcalloc((size_t)rows + 1, 1);
	int32_t j, to;
	int i;

	for (i = 0; i < m->n; i++) {
		for (j = 0; j < m->move[i].rows; j++) {
			to = m->move[i].from + j;
			moves_add(out, m->move[i].to + j, to, 1, !seen[to]);
			seen[to] = 1;
		}
	}
	free(seen);
}

static void step_reverse(const struct xchg *x, const struct xchg_step *s,
			 struct xchg_step *out)
{
	*out = (struct xchg_step){ .from = s->to, .to = s->from,
				   .rounds = s->rounds };
	moves_back(&s->unpack, &out->pack);
	out->unpack_adds = x->lead && s->from != XCHG_IN;
	if (out->unpack_adds)
		moves_back_sum(&s->pack, x->rows[s->from], &out->unpack);
	else
		moves_back(&s->pack, &out->unpack);
	side_copy(&s->recv, &out->send);
	side_copy(&s->send, &out->recv);
}

/* Reduce-scatter: what each member made of my rows, added up. */
static void esp_reverse(const struct xchg *x, struct xchg_step *out)
{
	int32_t n = x->rows[XCHG_OUT];
	int i;

	step_reverse(x, &x->esp, out);
	out->unpack_adds = true;
	out->recv.rows = 0;
	for (i = 0; i < out->recv.n; i++) {
		int member = out->recv.message[i].peer % out->recv.n;

		/* the sum is in order of members on all of them */
		out->recv.message[i].first = member * n;
		out->recv.rows += n;
	}
	free(out->unpack.move);
	out->unpack = (struct xchg_moves){ 0 };
	for (i = 0; i < out->recv.n; i++)
		moves_add(&out->unpack, i * n, 0, n, i == 0);
}

void xchg_reverse(const struct xchg *to, struct xchg *out)
{
	struct xchg x = { .rank = to->rank, .back = true,
			  .n_steps = to->n_steps, .has_esp = to->has_esp };
	int i;

	memcpy(x.rows, to->rows, sizeof(x.rows));
	for (i = 0; i < to->n_steps; i++) {
		const struct xchg_step *s = &to->step[to->n_steps - 1 - i];

		step_reverse(to, s, &x.step[i]);
		if (i > 0) {
			s = &to->step[to->n_steps - i];
			x.step[i].beside = s->beside;
			x.step[i].needs_previous = s->needs_previous;
		}
	}
	if (to->has_esp)
		esp_reverse(to, &x.esp);
	xchg_scratch(&x);
	*out = x;
}

void xchg_expand(const struct xchg_moves *m, int32_t *out, int32_t rows)
{
	int32_t i;
	int j;

	for (i = 0; i < rows; i++)
		out[i] = -1;
	for (j = 0; j < m->n; j++) {
		const struct xchg_move *v = &m->move[j];

		for (i = 0; i < v->rows; i++)
			out[v->to + i] = v->from < 0 ? -1 : v->from + i;
	}
}
