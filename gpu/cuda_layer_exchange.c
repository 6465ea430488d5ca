/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Applies one step of an exchange plan: pack, messages, unpack. */
#include "gpu/cuda_layer_exchange.h"

/* One kind of rows of a step, with its buffers; all begin at the chunk. */
struct transfer {
	const struct layer_step *step;
	bool is_scalar;
	unsigned parts;		/* enum layer_part: that are done now */
	void *from, *to, *send, *recv;
};

struct way_at {
	struct cuda_layer *l;
	const struct layer_chunk *chunk;
	int pass;
	enum cuda_direction d;
};

static bool has_no_exchange(const struct cuda_layer *l)
{
	const struct layout *y = &l->c.plan.layout;

	return y->ep * y->esp == 1;
}

/* The experts' side of a way: what they read, or what they made. */
static void *expert_rows(const struct way_at *w)
{
	struct cuda_layer *l = w->l;
	void *to = w->pass ? l->ye : l->kept.x;
	void *from = w->pass ? l->dxe : l->ye;

	return layer_row(l, w->d == TO_EXPERTS ? to : from,
			 w->chunk->layout_base);
}

static void *buffer(const struct way_at *w, enum xchg_buffer b)
{
	const struct cuda_layer *l = w->l;
	int64_t at = w->chunk->base[b];
	bool esp = w->chunk->to.x.has_esp;

	if (b == (esp ? XCHG_ALL : XCHG_OUT))
		return expert_rows(w);
	if (b == XCHG_MID0 || b == XCHG_MID1)
		return layer_row(l, l->mid[b - XCHG_MID0], at);
	/* with ep 1, OUT is IN */
	if (b == XCHG_OUT && w->chunk->to.x.n_steps)
		return layer_row(l, l->out, at);
	return layer_row(l, l->in, at);
}

static float *scalars(const struct way_at *w, enum xchg_buffer b)
{
	const struct cuda_layer *l = w->l;
	int64_t at = w->chunk->base[b];

	if (b == (w->chunk->to.x.has_esp ? XCHG_ALL : XCHG_OUT))
		return (w->d == TO_EXPERTS ? l->kept.r : l->dr) +
		       w->chunk->layout_base;
	if (b == XCHG_OUT && w->chunk->to.x.n_steps)
		return l->out_s + at;
	return l->in_s + at;
}

/* With scratch of a lane. */
static struct transfer transfer_rows(const struct way_at *w,
				     const struct layer_step *step, int lane)
{
	return (struct transfer){
		.step = step, .parts = LAYER_ALL,
		.from = buffer(w, step->x->from), .to = buffer(w, step->x->to),
		.send = w->l->send[lane], .recv = w->l->recv[lane],
	};
}

static struct transfer transfer_scalars(const struct way_at *w,
					const struct layer_step *step,
					int lane)
{
	return (struct transfer){
		.step = step, .is_scalar = true, .parts = LAYER_ALL,
		.from = scalars(w, step->x->from),
		.to = scalars(w, step->x->to),
		.send = w->l->send_s[lane], .recv = w->l->recv_s[lane],
	};
}

/* Some parts of a step, the others on another lane: scratch of the chunk. */
static struct transfer part_rows(const struct way_at *w,
				 const struct layer_step *step, unsigned parts)
{
	struct transfer t = transfer_rows(w, step, LANE_COMPUTE);

	t.parts = parts;
	t.send = layer_row(w->l, w->l->all_send, w->chunk->send_at);
	t.recv = layer_row(w->l, w->l->all_recv, w->chunk->recv_at);
	return t;
}

static struct transfer part_scalars(const struct way_at *w,
				    const struct layer_step *step,
				    unsigned parts)
{
	struct transfer t = transfer_scalars(w, step, LANE_COMPUTE);

	t.parts = parts;
	t.send = w->l->all_send_s + w->chunk->send_at;
	t.recv = w->l->all_recv_s + w->chunk->recv_at;
	return t;
}

/* Weights go out forward, their gradients come home backward. */
static bool has_scalars(const struct way_at *w)
{
	return w->pass ? w->d == FROM_EXPERTS : w->d == TO_EXPERTS;
}

static enum status move(struct cuda_layer *l, const struct transfer *t,
			int pass, const struct layer_table *table,
			struct k_move m, cudaStream_t s)
{
	m.run = (const struct k_run *)(l->pass[pass].tables + table->at);
	m.n = table->n;
	m.rows = (uint64_t)table->rows;
	return cuda_status(t->is_scalar ? k_layer_move_f32(&m, s)
			   : k_layer_move(&m, l->row_bytes, s),
			   "k_layer_move()");
}

static enum status pack(struct cuda_layer *l, const struct transfer *t,
			int pass, cudaStream_t s)
{
	const struct xchg_move *c = &t->step->copy;
	size_t bytes = t->is_scalar ? sizeof(float) : l->row_bytes;
	struct k_move m = { .src = { t->from, t->from },
			    .dst = { t->send, t->to } };

	if (t->step->self == SELF_COPY)
		return cuda_status(cudaMemcpyAsync(
			(char *)t->to + (size_t)c->to * bytes,
			(const char *)t->from + (size_t)c->from * bytes,
			(size_t)c->rows * bytes, cudaMemcpyDeviceToDevice, s),
			"cudaMemcpyAsync()");
	return move(l, t, pass, &t->step->pack, m, s);
}

static enum status add_up(struct cuda_layer *l, const struct transfer *t,
			  int pass, const void *own, cudaStream_t s)
{
	const struct layer_sums *q = &t->step->sums;
	const char *tables = l->pass[pass].tables;
	struct k_sums m = {
		.src = { t->recv, own }, .dst = t->to,
		.first = (const int32_t *)(tables + q->first),
		.list = (const int32_t *)(tables + q->list),
		.to = (const int32_t *)(tables + q->to),
		.rows = (uint64_t)q->rows,
	};

	return cuda_status(k_layer_sum(
		&m, t->is_scalar ? 1 : (uint64_t)l->c.hidden,
		!t->is_scalar && layer_is_bf16(l), s), "k_layer_sum()");
}

static enum status unpack(struct cuda_layer *l, const struct transfer *t,
			  int pass, cudaStream_t s)
{
	const void *own = t->step->x->pack.n ? t->send : t->from;
	struct k_move m = { .src = { t->recv, own },
			    .dst = { t->to, t->to } };

	if (t->step->x->unpack_adds)
		return add_up(l, t, pass, own, s);
	return move(l, t, pass, &t->step->unpack, m, s);
}

/* Messages of a side in one round; the rank's own is none. */
static int count_round(const struct xchg_side *side, int rank, int round)
{
	int i, n = 0;

	for (i = 0; i < side->n; i++) {
		n += side->message[i].peer != rank &&
		     side->message[i].round == round;
	}
	return n;
}

static enum status post(struct cuda_layer *l, const struct transfer *t,
			bool is_send, int round, ncclComm_t comm,
			cudaStream_t s)
{
	const struct xchg_step *x = t->step->x;
	const struct xchg_side *side = is_send ? &x->send : &x->recv;
	char *base = is_send ? (x->pack.n ? t->send : t->from)
			     : (x->unpack.n ? t->recv : t->to);
	ncclDataType_t type = !t->is_scalar && layer_is_bf16(l) ? ncclBfloat16
								: ncclFloat;
	size_t columns = t->is_scalar ? 1 : (size_t)l->c.hidden;
	size_t bytes = t->is_scalar ? sizeof(float) : l->row_bytes;
	enum status st = ST_OK;
	int i;

	for (i = 0; i < side->n; i++) {
		const struct xchg_message *m = &side->message[i];
		void *p = base + (size_t)m->first * bytes;
		size_t n = (size_t)m->rows * columns;

		if (m->peer == l->rank->rank || m->round != round)
			continue;
		if (is_send)
			NCCL_GOTO(out, st, ncclSend(p, n, type, m->peer, comm,
						    s));
		else
			NCCL_GOTO(out, st, ncclRecv(p, n, type, m->peer, comm,
						    s));
	}
out:
	return st;
}

static enum status send_round(struct cuda_layer *l, const struct transfer *t,
			      int n, int round, ncclComm_t comm,
			      cudaStream_t s)
{
	int i, messages = 0;
	enum status st;

	for (i = 0; i < n; i++) {
		if (t[i].parts & LAYER_POST)
			messages += count_round(&t[i].step->x->send,
						l->rank->rank, round) +
				    count_round(&t[i].step->x->recv,
						l->rank->rank, round);
	}
	if (!messages)
		return ST_OK;
	NCCL_GOTO(out, st, ncclGroupStart());
	for (i = 0; i < n && !st; i++) {
		if (!(t[i].parts & LAYER_POST))
			continue;
		st = post(l, &t[i], true, round, comm, s);
		if (!st)
			st = post(l, &t[i], false, round, comm, s);
	}
	if (st)
		ncclGroupEnd();
	else
		NCCL_GOTO(out, st, ncclGroupEnd());
out:
	return st;
}

static enum status apply(struct cuda_layer *l, const struct transfer *t, int n,
			 int pass, ncclComm_t comm, cudaStream_t s)
{
	enum status st = ST_OK;
	int i, rounds = 1;

	for (i = 0; i < n && !st; i++) {
		if (t[i].step->x->rounds > rounds)
			rounds = t[i].step->x->rounds;
		if (t[i].parts & LAYER_PACK)
			st = pack(l, &t[i], pass, s);
	}
	for (i = 0; i < rounds && !st; i++)
		st = send_round(l, t, n, i, comm, s);
	for (i = 0; i < n && !st; i++) {
		if (t[i].parts & LAYER_UNPACK)
			st = unpack(l, &t[i], pass, s);
	}
	return st;
}

static const struct layer_way *rows_way(const struct way_at *w)
{
	return w->d == TO_EXPERTS ? &w->chunk->to : &w->chunk->back;
}

static const struct layer_way *scalars_way(const struct way_at *w)
{
	if (!w->chunk->has_flat)
		return rows_way(w);
	return w->d == TO_EXPERTS ? &w->chunk->to_flat : &w->chunk->back_flat;
}

enum status cuda_layer_exchange(struct cuda_layer *l, const struct op *op,
				enum cuda_direction d, cudaStream_t s)
{
	const struct layer_chunk *c =
		&l->pass[op->backward].plan.chunk[op->chunk];
	struct way_at w = { l, c, op->backward, d };
	const struct layer_way *rows = rows_way(&w), *flat = scalars_way(&w);
	struct transfer t[2];
	unsigned parts;
	int n = 0;

	if (has_no_exchange(l) || op->step >= rows->x.n_steps)
		return ST_OK;
	parts = layer_step_parts(rows, l->rank->rank, op->step, false);
	t[n++] = parts == LAYER_ALL
		? transfer_rows(&w, &rows->step[op->step], op->lane)
		: part_rows(&w, &rows->step[op->step], parts);
	if (op->step == 0 && has_scalars(&w)) {
		parts = layer_step_parts(flat, l->rank->rank, 0, false);
		t[n++] = parts == LAYER_ALL
			? transfer_scalars(&w, &flat->step[0], op->lane)
			: part_scalars(&w, &flat->step[0], parts);
	}
	return apply(l, t, n, op->backward, l->exchange[op->lane], s);
}

/* No messages: the chunk's scratch is free for one step after another. */
static enum status at_experts(struct cuda_layer *l, const struct op *expert,
			      enum cuda_direction d)
{
	const struct layer_chunk *c =
		&l->pass[expert->backward].plan.chunk[expert->chunk];
	struct way_at w = { l, c, expert->backward, d };
	const struct layer_way *way = rows_way(&w);
	enum status st = ST_OK;
	struct transfer t;
	unsigned parts;
	int i;

	if (has_no_exchange(l) || cuda_layer_is_direct(l) || c->to.x.has_esp)
		return ST_OK;
	for (i = 0; i < way->x.n_steps && !st; i++) {
		parts = layer_step_parts(way, l->rank->rank, i, true);
		t = part_rows(&w, &way->step[i], parts);
		if (parts)
			st = apply(l, &t, 1, w.pass, NULL,
				   l->lane[LANE_COMPUTE]);
	}
	if (st || !has_scalars(&w))
		return st;
	way = scalars_way(&w);
	t = part_scalars(&w, &way->step[0],
			 layer_step_parts(way, l->rank->rank, 0, true));
	return apply(l, &t, 1, w.pass, NULL, l->lane[LANE_COMPUTE]);
}

enum status cuda_layer_arrive(struct cuda_layer *l, const struct op *expert)
{
	return at_experts(l, expert, TO_EXPERTS);
}

enum status cuda_layer_depart(struct cuda_layer *l, const struct op *expert)
{
	return at_experts(l, expert, FROM_EXPERTS);
}

enum status cuda_layer_esp(struct cuda_layer *l, const struct op *op,
			   enum cuda_direction d, cudaStream_t s)
{
	const struct layer_chunk *c =
		&l->pass[op->backward].plan.chunk[op->chunk];
	struct way_at w = { l, c, op->backward, d };
	const struct layer_way *way = d == TO_EXPERTS ? &c->to : &c->back;
	struct transfer t[2];
	int n = 0;

	t[n++] = transfer_rows(&w, &way->esp, op->lane);
	if (has_scalars(&w))
		t[n++] = transfer_scalars(&w, &way->esp, op->lane);
	return apply(l, t, n, op->backward, l->comm[op->lane], s);
}
