/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/host_layer.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows that nobody writes are not numbers: they would be seen. */
static double *rows_new(int32_t rows, int width)
{
	size_t n = (size_t)rows * (size_t)width, i;
	double *v = xmalloc((n + 1) * sizeof(*v));

	for (i = 0; i < n; i++)
		v[i] = NAN;
	return v;
}

double *host_flow_rows(struct host_flow *f, enum xchg_buffer b)
{
	if (b == XCHG_ALL && !f->shape->has_esp)
		b = XCHG_OUT;
	if (b == XCHG_OUT && !f->shape->n_steps)
		b = XCHG_IN;
	if (!f->buffer[b])
		f->buffer[b] = rows_new(f->shape->rows[b], f->width);
	return f->buffer[b];
}

double *host_expert_rows(struct host_flow *f)
{
	return host_flow_rows(f, XCHG_ALL);
}

void host_flow_release(struct host_flow *f)
{
	int i;

	for (i = 0; i < XCHG_BUFFER_N; i++)
		free(f->buffer[i]);
	*f = (struct host_flow){ 0 };
}

static void move(const struct xchg_move *v, int width, bool adds,
		 const double *from, double *to)
{
	size_t w = (size_t)width, n = (size_t)v->rows * w, i;

	to += (size_t)v->to * w;
	if (v->from < 0) {
		memset(to, 0, n * sizeof(*to));
	} else if (!adds || v->set) {
		memcpy(to, from + (size_t)v->from * w, n * sizeof(*to));
	} else {
		from += (size_t)v->from * w;
		for (i = 0; i < n; i++)
			to[i] += from[i];
	}
}

static void move_all(const struct xchg_moves *m, int width, bool adds,
		     const double *from, double *to)
{
	int i;

	for (i = 0; i < m->n; i++)
		move(&m->move[i], width, adds, from, to);
}

/* What each peer has for this rank. */
static void fetch(const struct host_layer *l, int rank,
		  const struct xchg_step *s, int width, double *to)
{
	size_t w = (size_t)width;
	int i, j;

	for (i = 0; i < s->recv.n; i++) {
		const struct xchg_message *m = &s->recv.message[i];
		const struct host_layer_rank *peer = &l->rank[m->peer];

		for (j = 0; peer->side->message[j].peer != rank; j++)
			;
		memcpy(to + (size_t)m->first * w, peer->outgoing +
		       (size_t)peer->side->message[j].first * w,
		       (size_t)m->rows * w * sizeof(*to));
	}
}

/* Sums are made in full and stored once. */
static void store_rows(const struct host_layer *l, double *v, size_t n)
{
	size_t i;

	for (i = 0; l->is_bf16 && i < n; i++)
		v[i] = host_store(l, v[i]);
}

bool host_exchange(struct host_layer *l, int rank, struct host_flow *f,
		   int step)
{
	const struct xchg *p = f->plan;
	const struct xchg_step *s = step < 0 ? &p->esp : &p->step[step];
	struct host_layer_rank *me = &l->rank[rank];
	double *to = host_flow_rows(f, s->to), *send = NULL, *recv = NULL;
	bool alive;

	me->outgoing = host_flow_rows(f, s->from);
	me->side = &s->send;
	if (s->pack.n) {
		send = rows_new(p->send_rows, f->width);
		move_all(&s->pack, f->width, false, me->outgoing, send);
		me->outgoing = send;
	}
	if (s->unpack.n)
		recv = rows_new(p->recv_rows, f->width);
	alive = ranks_barrier(l->ranks);
	if (alive) {
		fetch(l, rank, s, f->width, recv ? recv : to);
		alive = ranks_barrier(l->ranks);
	}
	if (alive && recv)
		move_all(&s->unpack, f->width, s->unpack_adds, recv, to);
	if (alive && s->unpack_adds && f->width > 1)
		store_rows(l, to, (size_t)f->shape->rows[s->to] *
			   (size_t)f->width);
	free(recv);
	free(send);
	return alive;
}

bool host_allreduce(struct host_layer *l, int rank, enum layer_tensor t,
		    int base, int group, int stride)
{
	size_t n = host_layer_size(l, t), i;
	double *sum = xcalloc(n + 1, sizeof(*sum));
	bool alive = ranks_barrier(l->ranks);
	int r;

	for (r = 0; alive && r < group; r++) {
		const double *v = l->rank[base + r * stride].t[t];

		for (i = 0; i < n; i++)
			sum[i] += v[i];
	}
	alive = alive && ranks_barrier(l->ranks);
	for (i = 0; alive && i < n; i++)
		l->rank[rank].t[t][i] = host_store(l, sum[i]);
	free(sum);
	return alive;
}

bool host_allreduce_dense(struct host_layer *l, int rank, const struct op *op)
{
	struct layer_dense d = layer_dense_of(&l->c);
	bool alive = ranks_barrier(l->ranks);
	int64_t i, first, end;
	int r;

	layer_dense_piece(&d, op, &first, &end);
	for (i = first; alive && i < end; i++) {
		double sum = 0;

		for (r = rank % d.stride; r < l->n_ranks; r += d.stride)
			sum += l->rank[r].dense[i];
		l->rank[rank].dense_sum[i] = sum;
	}
	return alive;
}
