/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exchange plans: rows with a name of their own are moved by them, on all
 * ranks, and have to be where the definition of OUT and ALL says, every one
 * once; and back again.
 */
#include "gpu/layer_exchange.h"
#include "gpu/layer_route.h"
#include "tests/unit/layer_help.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CASES 400
#define NOBODY (-7)	/* in rows that nobody wrote */

/* One chunk of one case, all ranks. */
struct world {
	struct layer_case c;
	enum a2a_alg alg;
	struct layer_route route;
	int ranks, chunk, n_chunks;
	int32_t *count, *first;
	int32_t **token, **copy;	/* of IN rows */
	struct xchg *to, *back;
	int64_t **row[XCHG_BUFFER_N];	/* [rank][rows] */
};

static int64_t *buffer_new(int32_t rows)
{
	int64_t *v = xmalloc(((size_t)rows + 1) * sizeof(*v));
	int32_t i;

	for (i = 0; i <= rows; i++)
		v[i] = NOBODY;
	return v;
}

static void world_open(struct world *w, enum a2a_alg alg, int chunk,
		       int n_chunks)
{
	size_t cells;
	int r, b;

	w->alg = alg;
	w->chunk = chunk;
	w->n_chunks = n_chunks;
	w->ranks = layer_ranks(&w->c);
	cells = (size_t)(w->ranks * w->c.experts);
	w->count = xcalloc(cells, sizeof(*w->count));
	w->first = xcalloc(cells, sizeof(*w->first));
	layer_chunk_counts(&w->route, chunk, n_chunks, w->count, w->first);
	w->token = layer_chunk_tokens(&w->c, &w->route, chunk, n_chunks);
	w->to = xcalloc((size_t)w->ranks, sizeof(*w->to));
	w->back = xcalloc((size_t)w->ranks, sizeof(*w->back));
	w->copy = xcalloc((size_t)w->ranks, sizeof(*w->copy));
	for (r = 0; r < w->ranks; r++) {
		struct xchg_input in = { &w->c, alg, w->count, w->first,
				(const int32_t *const *)w->token };

		assert_int_equal(xchg_build(&in, r, &w->to[r]), ST_OK);
		xchg_reverse(&w->to[r], &w->back[r]);
		w->copy[r] = xcalloc((size_t)w->to[r].rows[XCHG_IN] + 1,
				     sizeof(int32_t));
		layer_chunk_copies(&w->c, &w->route, r, chunk, n_chunks,
				   w->to[r].in_first,
				   w->first + r * w->c.experts,
				   w->to[r].rows[XCHG_IN], w->copy[r]);
	}
	for (b = 0; b < XCHG_BUFFER_N; b++) {
		w->row[b] = xcalloc((size_t)w->ranks, sizeof(*w->row[b]));
		for (r = 0; r < w->ranks; r++)
			w->row[b][r] = buffer_new(w->to[r].rows[b]);
	}
}

static void world_wipe(struct world *w, int keep)
{
	int b, r;

	for (b = 0; b < XCHG_BUFFER_N; b++) {
		for (r = 0; b != keep && r < w->ranks; r++) {
			free(w->row[b][r]);
			w->row[b][r] = buffer_new(w->to[r].rows[b]);
		}
	}
}

static void world_close(struct world *w)
{
	int b, r;

	for (r = 0; r < w->ranks; r++) {
		xchg_release(&w->to[r]);
		xchg_release(&w->back[r]);
		free(w->copy[r]);
		for (b = 0; b < XCHG_BUFFER_N; b++)
			free(w->row[b][r]);
	}
	for (b = 0; b < XCHG_BUFFER_N; b++)
		free(w->row[b]);
	free(w->to);
	free(w->back);
	free(w->copy);
	free(w->token);
	free(w->count);
	free(w->first);
}

static void move_rows(const struct xchg_moves *m, const int64_t *from,
		      int64_t *to, int32_t to_rows, bool adds)
{
	int32_t i;
	int j;

	for (j = 0; j < m->n; j++) {
		const struct xchg_move *v = &m->move[j];

		assert_true(v->rows > 0 && v->to >= 0 &&
			    v->to + v->rows <= to_rows);
		for (i = 0; i < v->rows; i++) {
			int64_t value = v->from < 0 ? 0 : from[v->from + i];
			int64_t *at = &to[v->to + i];

			if (v->set || !adds)
				assert_int_equal(*at, NOBODY);
			else
				assert_int_not_equal(*at, NOBODY);
			*at = v->set || !adds ? value : *at + value;
		}
	}
}

/* The message of `round` from src to dst, which both sides must know. */
static void deliver(const struct xchg_step *s, const struct xchg_step *d,
		    int src, int dst, const int64_t *from, int64_t *to)
{
	const struct xchg_message *a = NULL, *b = NULL;
	int i;

	for (i = 0; i < s->send.n; i++) {
		if (s->send.message[i].peer == dst)
			a = &s->send.message[i];
	}
	for (i = 0; i < d->recv.n; i++) {
		if (d->recv.message[i].peer == src)
			b = &d->recv.message[i];
	}
	assert_true(!a == !b);
	if (!a)
		return;
	assert_int_equal(a->rows, b->rows);
	assert_int_equal(a->round, b->round);
	assert_true(a->round < s->rounds);
	for (i = 0; i < a->rows; i++)
		to[b->first + i] = from[a->first + i];
}

/* One step on all ranks; `which`: of struct xchg's steps, or -1: esp. */
static void run_step(struct world *w, const struct xchg *x, int which)
{
	int64_t **send = xcalloc((size_t)w->ranks, sizeof(*send));
	int64_t **recv = xcalloc((size_t)w->ranks, sizeof(*recv));
	int r, p;

	for (r = 0; r < w->ranks; r++) {
		const struct xchg_step *s = which < 0 ? &x[r].esp :
						       &x[r].step[which];

		send[r] = s->pack.n ? buffer_new(x[r].send_rows) :
				      w->row[s->from][r];
		recv[r] = s->unpack.n ? buffer_new(x[r].recv_rows) :
					w->row[s->to][r];
		if (s->pack.n) {
			move_rows(&s->pack, w->row[s->from][r], send[r],
				  x[r].send_rows, false);
		}
	}
	for (r = 0; r < w->ranks; r++) {
		for (p = 0; p < w->ranks; p++) {
			deliver(which < 0 ? &x[r].esp : &x[r].step[which],
				which < 0 ? &x[p].esp : &x[p].step[which],
				r, p, send[r], recv[p]);
		}
	}
	for (r = 0; r < w->ranks; r++) {
		const struct xchg_step *s = which < 0 ? &x[r].esp :
						       &x[r].step[which];

		if (s->unpack.n) {
			move_rows(&s->unpack, recv[r], w->row[s->to][r],
				  w->to[r].rows[s->to], s->unpack_adds);
			free(recv[r]);
		}
		if (s->pack.n)
			free(send[r]);
	}
	free(send);
	free(recv);
}

/* The name of a copy: 0 is an empty slot. Dedup's rows are tokens. */
static int64_t name_of(const struct world *w, int src, int32_t copy)
{
	if (copy < 0)
		return 0;
	if (w->alg == A2A_DEDUP && w->to[0].n_steps)
		copy = copy / w->c.k * w->c.k;
	return 1 + (int64_t)src * w->c.tokens * w->c.k + copy;
}

static bool same_group(const struct world *w, int a, int b)
{
	const struct layout *l = &w->c.plan.layout;

	return a / (l->ep * l->esp) == b / (l->ep * l->esp) &&
	       (a - b) % l->esp == 0;
}

/*
 * The copies of src that rank dst computes for its local expert, in token
 * order, and empty slots behind them: from the routing alone.
 */
static int expect_cell(const struct world *w, int src, int dst, int local,
		       int64_t *out)
{
	const struct layer_case *c = &w->c;
	int e = layer_expert(c, dst, local), n = 0, slots = 0, t, j;
	int64_t begin, end, at;
	int home = dst / c->plan.layout.esp % c->plan.layout.ep %
		   layer_copies(c);

	layer_chunk_range(c->capacity ? c->capacity : c->tokens, w->chunk,
			  w->n_chunks, &begin, &end);
	for (t = 0; t < c->tokens; t++) {
		for (j = 0; j < c->k; j++) {
			at = ((int64_t)src * c->tokens + t) * c->k + j;
			if (w->route.id[at] != e ||
			    xchg_home(c, src, e, w->route.pos[at]) != home)
				continue;
			if (c->capacity ? w->route.pos[at] >= begin &&
					  w->route.pos[at] < end
					: t >= begin && t < end)
				out[n++] = name_of(w, src, t * c->k + j);
		}
	}
	for (at = begin; c->capacity && at < end; at++)
		slots += xchg_home(c, src, e, at) == home;
	while (n < slots)
		out[n++] = 0;
	return n;
}

static void check_rows(const struct world *w, int dst, bool all)
{
	const struct layer_case *c = &w->c;
	const int64_t *got = w->row[all ? XCHG_ALL : XCHG_OUT][dst];
	int block = c->plan.layout.ep * c->plan.layout.esp, local, src, i, n;
	int64_t *want = xcalloc((size_t)(c->tokens * c->k + 20),
				sizeof(*want));
	int32_t at = 0;

	for (local = 0; local < layer_local_experts(c); local++) {
		if (all == w->to[dst].has_esp)
			assert_int_equal(w->to[dst].expert_first[local], at);
		for (src = 0; src < w->ranks; src++) {
			if (all ? src / block != dst / block :
				  !same_group(w, src, dst))
				continue;
			n = expect_cell(w, src, dst, local, want);
			for (i = 0; i < n; i++)
				assert_int_equal(got[at++], want[i]);
		}
	}
	assert_int_equal(at, w->to[dst].rows[all ? XCHG_ALL : XCHG_OUT]);
	free(want);
}

static void fill_in(struct world *w)
{
	int r, i;

	for (r = 0; r < w->ranks; r++) {
		for (i = 0; i < w->to[r].rows[XCHG_IN]; i++)
			w->row[XCHG_IN][r][i] = name_of(w, r, w->copy[r][i]);
	}
}

static void forward(struct world *w)
{
	int i, r;

	fill_in(w);
	for (i = 0; i < w->to[0].n_steps; i++)
		run_step(w, w->to, i);
	for (r = 0; r < w->ranks; r++) {
		if (!w->to[0].n_steps) {	/* IN is OUT */
			memcpy(w->row[XCHG_OUT][r], w->row[XCHG_IN][r],
			       (size_t)w->to[r].rows[XCHG_IN] *
			       sizeof(int64_t));
		}
		check_rows(w, r, false);
	}
	if (!w->to[0].has_esp)
		return;
	run_step(w, w->to, -1);
	for (r = 0; r < w->ranks; r++)
		check_rows(w, r, true);
}

/* ESP members each have a part of the rows; their sum comes back. */
static void reduce(struct world *w)
{
	int r, i, esp = w->c.plan.layout.esp;

	for (r = 0; r < w->ranks; r++) {
		for (i = 0; i < w->to[r].rows[XCHG_ALL]; i++)
			w->row[XCHG_ALL][r][i] *= 1 + r % esp;
	}
	world_wipe(w, XCHG_ALL);
	run_step(w, w->back, -1);
	for (r = 0; r < w->ranks; r++) {
		for (i = 0; i < w->to[r].rows[XCHG_OUT]; i++)
			w->row[XCHG_OUT][r][i] /= esp * (esp + 1) / 2;
		check_rows(w, r, false);
	}
}

/* Dedup: what comes back is the sum over the token's copies on a node. */
static int64_t expect_back(const struct world *w, int r, int i)
{
	const struct xchg *x = &w->to[r];
	int64_t name = name_of(w, r, w->copy[r][i]), n = 0;
	int g = w->c.gpus_per_node, slot, local = layer_local_experts(&w->c);
	int node[2], j, which, at[2] = { i, 0 };

	if (w->alg != A2A_DEDUP)
		return name;
	for (j = 0; j < x->rows[XCHG_IN]; j++) {
		at[1] = j;
		for (which = 0; which < 2; which++) {
			for (slot = 0; x->in_first[slot + 1] <= at[which];)
				slot++;
			node[which] = (r + (slot / local -
				r / w->c.plan.layout.esp %
				w->c.plan.layout.ep) *
				w->c.plan.layout.esp) / g;
		}
		if (w->token[r][j] == w->token[r][i] && node[0] == node[1])
			n++;
	}
	return name * n;
}

static void check_back(struct world *w)
{
	int r, i;

	for (r = 0; r < w->ranks; r++) {
		for (i = 0; i < w->to[r].rows[XCHG_IN]; i++) {
			int64_t got = w->row[XCHG_IN][r][i];

			if (w->to[r].lead && !w->to[r].lead[i])
				assert_int_equal(got, NOBODY);
			else
				assert_int_equal(got, expect_back(w, r, i));
		}
	}
}

static void backward(struct world *w)
{
	int i;

	if (w->to[0].has_esp)
		reduce(w);
	if (!w->to[0].n_steps)
		return;
	world_wipe(w, XCHG_OUT);
	for (i = 0; i < w->back[0].n_steps; i++)
		run_step(w, w->back, i);
	check_back(w);
}

/* No message crosses where its step may not: steps inside a node, rails. */
static void check_ways(const struct world *w)
{
	int r, i, j, g = w->c.gpus_per_node;

	for (r = 0; r < w->ranks; r++) {
		for (i = 0; i < w->to[r].n_steps; i++) {
			const struct xchg_side *s = &w->to[r].step[i].send;
			struct a2a_step a = a2a_step_at(w->alg, 0, i);

			for (j = 0; j < s->n; j++) {
				int p = s->message[j].peer;

				if (a.lane == LANE_INTRA)
					assert_int_equal(p / g, r / g);
				if (w->alg == A2A_DEDUP && i == 0)
					assert_int_equal(p % g, r % g);
				if (w->alg == A2A_LEADER && i == 1)
					assert_true(p % g == 0 && r % g == 0);
			}
		}
	}
}

static void run_case(struct layer_case *c, enum a2a_alg alg)
{
	struct world w = { .c = *c };
	int chunk;

	assert_int_equal(layer_route_make(&w.c, 1, &w.route), ST_OK);
	for (chunk = 0; chunk < c->plan.degree_forward; chunk++) {
		world_open(&w, alg, chunk, c->plan.degree_forward);
		forward(&w);
		check_ways(&w);
		backward(&w);
		world_close(&w);
	}
	layer_route_release(&w.route);
}

static void test_random(void **state)
{
	uint64_t random = 20240117;
	int i, alg;

	(void)state;
	for (i = 0; i < CASES; i++) {
		struct layer_case c = help_case(&random);

		for (alg = 0; alg < A2A_N; alg++)
			run_case(&c, (enum a2a_alg)alg);
		free(c.count);
	}
}

/* Messages of rank r in a step, without its own. */
static int sent(const struct xchg *x, int step)
{
	const struct xchg_side *s = &x->step[step].send;
	int i, n = 0;

	for (i = 0; i < s->n; i++)
		n += s->message[i].peer != x->rank;
	return n;
}

/*
 * 3 nodes of 4, one expert on each rank, everybody sends to all: what
 * doc/model.md's table says. Rank 4 is a leader, rank 5 is not.
 */
static void test_message_counts(void **state)
{
	static const struct {
		enum a2a_alg alg;
		int leader[3], other[3];
	} want[] = {
		{ A2A_FLAT, { 11 }, { 11 } },
		{ A2A_LEADER, { 0, 2, 3 }, { 1, 0, 0 } },
		{ A2A_2D, { 3, 2 }, { 3, 2 } },
		{ A2A_LANES, { 3, 8 }, { 3, 8 } },
		{ A2A_DEDUP, { 2, 3 }, { 2, 3 } },
		{ A2A_PAIRWISE, { 11 }, { 11 } },
	};
	struct world w = { .c = { .tokens = 24, .hidden = 8, .ffn = 8,
				  .experts = 12, .k = 12, .nodes = 3,
				  .gpus_per_node = 4 } };
	size_t i;
	int s;

	(void)state;
	w.c.plan.layout = (struct layout){ 12, 1, 1, 1, 1 };
	assert_int_equal(layer_route_make(&w.c, 1, &w.route), ST_OK);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		world_open(&w, want[i].alg, 0, 1);
		for (s = 0; s < w.to[4].n_steps; s++) {
			assert_int_equal(sent(&w.to[4], s), want[i].leader[s]);
			assert_int_equal(sent(&w.to[5], s), want[i].other[s]);
		}
		world_close(&w);
	}
	layer_route_release(&w.route);
}

/* Every token has all 4 experts, 2 on each of 2 nodes: once to each node. */
static void test_dedup_rows(void **state)
{
	struct world w = { .c = { .tokens = 10, .hidden = 8, .ffn = 8,
				  .experts = 4, .k = 4, .nodes = 2,
				  .gpus_per_node = 2 } };
	int i;

	(void)state;
	w.c.plan.layout = (struct layout){ 4, 1, 1, 1, 1 };
	assert_int_equal(layer_route_make(&w.c, 1, &w.route), ST_OK);
	world_open(&w, A2A_DEDUP, 0, 1);
	assert_int_equal(w.to[0].step[0].send.n, 2);
	for (i = 0; i < 2; i++)
		assert_int_equal(w.to[0].step[0].send.message[i].rows, 10);
	/* tokens of ranks 0 and 2 to each rank of the node */
	for (i = 0; i < 2; i++)
		assert_int_equal(w.to[0].step[1].send.message[i].rows, 20);
	assert_true(w.to[0].step[1].needs_previous);
	assert_true(w.back[0].step[1].needs_previous);
	world_close(&w);
	layer_route_release(&w.route);
}

/* Nothing is copied where messages can lie as they are. */
static void test_no_copies(void **state)
{
	struct world w = { .c = { .tokens = 24, .hidden = 8, .ffn = 8,
				  .experts = 4, .k = 2, .nodes = 2,
				  .gpus_per_node = 2 } };

	(void)state;
	w.c.plan.layout = (struct layout){ 4, 1, 1, 1, 1 };
	assert_int_equal(layer_route_make(&w.c, 1, &w.route), ST_OK);
	world_open(&w, A2A_FLAT, 0, 1);
	assert_int_equal(w.to[1].step[0].pack.n, 0);
	assert_int_equal(w.to[1].step[0].unpack.n, 0);
	world_close(&w);
	world_open(&w, A2A_2D, 0, 1);
	assert_true(w.to[1].step[0].pack.n > 0);
	world_close(&w);
	layer_route_release(&w.route);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_message_counts),
		cmocka_unit_test(test_dedup_rows),
		cmocka_unit_test(test_no_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
