/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables that a device applies (gpu/layer_plan.h): applied on the CPU to
 * numbered rows of all ranks, for random layers, every algorithm and both
 * directions. A row is the number of its token (plus 1; 0: nothing), a scalar
 * that of its copy. Expected: every expert cell holds what its sources put
 * into theirs, in order, behind it zeros; and every token gets back the sum
 * of what its copies became.
 */
#include "gpu/layer_plan.h"
#include "gpu/layer_route.h"
#include "tests/unit/layer_help.h"
#include "tests/unit/layer_world.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CASES 120
#define MANY 40		/* times as many tokens */

static void buffers_make(struct node *n, int chunk)
{
	const struct layer_chunk *c = &n->pass.chunk[chunk];
	const struct xchg *x = &c->to.x;
	int b;

	for (b = 0; b < XCHG_BUFFER_N; b++) {
		if (b == (x->has_esp ? XCHG_ALL : XCHG_OUT))
			n->buffer[b] = dirty(layout_rows(c));
		else if (b == XCHG_OUT && !x->n_steps)
			n->buffer[b] = n->buffer[XCHG_IN];
		else
			n->buffer[b] = dirty(x->rows[b]);
	}
	if (!x->n_steps && !x->has_esp) {
		free(n->buffer[XCHG_OUT]);
		n->buffer[XCHG_OUT] = n->buffer[XCHG_IN];
	}
	n->send = dirty(n->pass.send_rows);
	n->recv = dirty(n->pass.recv_rows);
	n->all_send = dirty(n->pass.all_send_rows);
	n->all_recv = dirty(n->pass.all_recv_rows);
}

static void buffers_free(struct node *n)
{
	int b;

	if (n->buffer[XCHG_OUT] == n->buffer[XCHG_IN])
		n->buffer[XCHG_OUT] = NULL;
	for (b = 0; b < XCHG_BUFFER_N; b++) {
		free(n->buffer[b]);
		n->buffer[b] = NULL;
	}
	free(n->send);
	free(n->recv);
	free(n->all_send);
	free(n->all_recv);
}

/* As the kernels do it: k_layer_move(), k_layer_sum(). */
static void move(const struct node *n, const struct layer_table *t,
		 int64_t *src0, int64_t *src1, int64_t *dst0, int64_t *dst1)
{
	const struct k_run *run = (const void *)(n->blob.p + t->at);
	int64_t total = 0;
	int i, r;

	for (i = 0; i < t->n; i++) {
		int64_t *src = run[i].from >= 0 &&
			       run[i].from & K_LAYER_SECOND ? src1 : src0;
		int64_t *dst = run[i].to & K_LAYER_SECOND ? dst1 : dst0;

		assert_true(run[i].rows > 0);
		assert_int_equal(run[i].start, total);
		for (r = 0; r < run[i].rows; r++) {
			dst[(run[i].to & ~K_LAYER_SECOND) + r] =
				run[i].from < 0 ? 0 :
				src[(run[i].from & ~K_LAYER_SECOND) + r];
		}
		total += run[i].rows;
	}
	assert_int_equal(total, t->rows);
}

static void sums(const struct node *n, const struct layer_sums *s,
		 int64_t *src0, int64_t *src1, int64_t *dst)
{
	const int32_t *first = (const void *)(n->blob.p + s->first);
	const int32_t *list = (const void *)(n->blob.p + s->list);
	const int32_t *to = (const void *)(n->blob.p + s->to);
	int32_t l;
	int64_t i;

	for (i = 0; i < s->rows; i++) {
		int64_t sum = 0;

		for (l = first[i]; l < first[i + 1]; l++) {
			sum += (list[l] & K_LAYER_SECOND ? src1 : src0)
				[list[l] & ~K_LAYER_SECOND];
		}
		dst[to[i]] = sum;
	}
}

/* Some with enough rows that cells are padded. */
static struct layer_case next_case(uint64_t *random)
{
	struct layer_case c = help_case(random);

	if (!c.count) {
		c.tokens *= MANY;
		c.capacity *= MANY;
	}
	return c;
}

/* Which step of which way. */
struct which {
	int chunk, step;	/* step -1: esp */
	bool back, flat, at_experts;
};

static const struct layer_way *way_of(const struct node *n,
				      const struct which *q)
{
	const struct layer_chunk *c = &n->pass.chunk[q->chunk];

	if (q->flat && c->has_flat && q->step >= 0)
		return q->back ? &c->back_flat : &c->to_flat;
	return q->back ? &c->back : &c->to;
}

static const struct layer_step *step_of(const struct node *n,
					const struct which *q)
{
	const struct layer_way *w = way_of(n, q);

	return q->step < 0 ? &w->esp : &w->step[q->step];
}

static unsigned parts_of(const struct node *n, const struct which *q)
{
	const struct layer_way *w = way_of(n, q);

	if (q->step < 0)
		return q->at_experts ? 0 : LAYER_ALL;
	return layer_step_parts(w, w->x.rank, q->step, q->at_experts);
}

/* Scratch of the lane, which others have used since, where a step is done at
 * once on its own; else that of the chunk. */
static int64_t *scratch(const struct node *n, const struct which *q,
			bool is_send)
{
	const struct layer_chunk *c = &n->pass.chunk[q->chunk];
	struct which own = *q;

	own.at_experts = false;
	if (parts_of(n, &own) == LAYER_ALL)
		return is_send ? n->send : n->recv;
	return is_send ? n->all_send + c->send_at : n->all_recv + c->recv_at;
}

static int64_t *message_base(const struct node *n, const struct which *q,
			     bool is_send)
{
	const struct layer_step *s = step_of(n, q);

	if (is_send)
		return s->x->pack.n ? scratch(n, q, true)
				    : n->buffer[s->x->from];
	return s->x->unpack.n ? scratch(n, q, false) : n->buffer[s->x->to];
}

static void deliver(struct world *w, const struct which *q, int src,
		    const struct xchg_message *m)
{
	const struct layer_step *to = step_of(&w->node[m->peer], q);
	int i;

	for (i = 0; i < to->x->recv.n; i++) {
		const struct xchg_message *r = &to->x->recv.message[i];

		if (r->peer != src)
			continue;
		assert_int_equal(r->rows, m->rows);
		assert_int_equal(r->round, m->round);
		assert_true(parts_of(&w->node[m->peer], q) & LAYER_POST);
		memcpy(message_base(&w->node[m->peer], q, false) + r->first,
		       message_base(&w->node[src], q, true) + m->first,
		       (size_t)m->rows * sizeof(int64_t));
		return;
	}
	fail();
}

static void pack(struct node *n, const struct which *q)
{
	const struct layer_step *s = step_of(n, q);
	int64_t *from = n->buffer[s->x->from];
	int64_t *to = n->buffer[s->x->to];

	move(n, &s->pack, from, from, scratch(n, q, true), to);
	if (s->self == SELF_COPY)
		memmove(to + s->copy.to, from + s->copy.from,
			(size_t)s->copy.rows * sizeof(*to));
}

static void unpack(struct node *n, const struct which *q)
{
	const struct layer_step *s = step_of(n, q);
	int64_t *own = s->x->pack.n ? scratch(n, q, true)
				    : n->buffer[s->x->from];
	int64_t *to = n->buffer[s->x->to], *recv = scratch(n, q, false);

	if (s->x->unpack_adds)
		sums(n, &s->sums, recv, own, to);
	else
		move(n, &s->unpack, recv, own, to, to);
}

static void apply(struct world *w, const struct which *q)
{
	int r, i;

	for (r = 0; r < w->ranks; r++) {
		if (parts_of(&w->node[r], q) & LAYER_PACK)
			pack(&w->node[r], q);
	}
	for (r = 0; r < w->ranks; r++) {
		const struct layer_step *s = step_of(&w->node[r], q);

		for (i = 0; i < s->x->send.n; i++) {
			if (s->x->send.message[i].peer == r)
				continue;
			if (parts_of(&w->node[r], q) & LAYER_POST)
				deliver(w, q, r, &s->x->send.message[i]);
			else
				assert_true(q->at_experts);
		}
	}
	for (r = 0; r < w->ranks; r++) {
		if (parts_of(&w->node[r], q) & LAYER_UNPACK)
			unpack(&w->node[r], q);
	}
}

/* What a rank has in IN of a chunk: copies + 1. */
static int64_t *copies_of(struct world *w, int rank, int chunk, int chunks)
{
	const struct layer_chunk *c = &w->node[rank].pass.chunk[chunk];
	int32_t rows = c->to.x.rows[XCHG_IN], i;
	int32_t *copy = xcalloc((size_t)rows + 1, sizeof(*copy));
	size_t n = (size_t)(w->ranks * w->c->experts);
	int32_t *count = xcalloc(2 * n, sizeof(*count));
	int64_t *out = xcalloc((size_t)rows + 1, sizeof(*out));

	layer_chunk_counts(&w->route, chunk, chunks, count, count + n);
	layer_chunk_copies(w->c, &w->route, rank, chunk, chunks,
			   c->to.x.in_first, count + n + rank * w->c->experts,
			   rows, copy);
	for (i = 0; i < rows; i++)
		out[i] = copy[i] < 0 ? 0 : (int64_t)rank * w->c->tokens *
			 w->c->k + copy[i] + 1;
	free(count);
	free(copy);
	return out;
}

static int64_t as_token(const struct world *w, int64_t copy)
{
	return copy ? (copy - 1) / w->c->k + 1 : 0;
}

/* The layout's rows that a rank has to have after the way there. */
static int64_t *expected(struct world *w, int rank, int chunk, int64_t **in,
			 bool scalars)
{
	const struct layer_chunk *c = &w->node[rank].pass.chunk[chunk];
	const struct layout *l = &w->c->plan.layout;
	int64_t *out = xcalloc((size_t)layout_rows(c) + 1, sizeof(*out)), at;
	int block = rank / (l->ep * l->esp) * l->ep * l->esp, e, p, i;

	for (e = 0; e < c->rows.experts; e++) {
		int slot = rank / l->esp % l->ep * c->rows.experts + e;

		at = c->first[e];
		for (p = block; p < block + l->ep * l->esp; p++) {
			const int32_t *first = w->node[p].pass.chunk[chunk]
						       .to.x.in_first;

			for (i = first[slot]; i < first[slot + 1]; i++)
				out[at++] = scalars ? in[p][i] :
					    as_token(w, in[p][i]);
		}
		assert_int_equal(at - c->first[e], c->count[e]);
	}
	return out;
}

static enum xchg_buffer last_buffer(const struct node *n, int chunk)
{
	return n->pass.chunk[chunk].to.x.has_esp ? XCHG_ALL : XCHG_OUT;
}

static void go(struct world *w, int chunk, bool back, bool flat)
{
	const struct layer_chunk *c = &w->node[0].pass.chunk[chunk];
	struct which q = { .chunk = chunk, .back = back, .flat = flat };
	int n = flat && c->has_flat ? c->to_flat.x.n_steps : c->to.x.n_steps;
	int i;

	if (back && c->to.x.has_esp) {
		q.step = -1;
		apply(w, &q);
	}
	/* the experts' parts are last on the way there, first on that back */
	for (q.at_experts = back, i = 0; i < 2; i++) {
		for (q.step = 0; q.step < n; q.step++)
			apply(w, &q);
		q.at_experts = !q.at_experts;
	}
	q.at_experts = false;
	if (!back && c->to.x.has_esp) {
		q.step = -1;
		apply(w, &q);
	}
}

/* Row i of IN is what comes home for its copy, but for dedup's. */
static void check_home(struct world *w, int rank, int chunk, int64_t *in,
		       bool scalars)
{
	struct node *n = &w->node[rank];
	const struct layer_chunk *c = &n->pass.chunk[chunk];
	int32_t rows = c->to.x.rows[XCHG_IN], i;
	const uint8_t *lead = c->to.x.lead;
	int esp = w->c->plan.layout.esp;
	int64_t *sum = xcalloc((size_t)(w->c->tokens * w->ranks) + 1,
			       sizeof(*sum));

	for (i = 0; i < rows; i++) {
		int64_t got = n->buffer[XCHG_IN][i];

		if (scalars || !lead) {
			if (in[i])
				assert_int_equal(got, esp * (scalars ? in[i] :
					as_token(w, in[i])));
			continue;
		}
		if (in[i]) {
			sum[as_token(w, in[i])] -= esp * as_token(w, in[i]);
			sum[as_token(w, in[i])] += lead[i] ? got : 0;
		}
	}
	for (i = 0; i <= w->c->tokens * w->ranks; i++)
		assert_int_equal(sum[i], 0);
	free(sum);
}

static void check_chunk(struct world *w, int chunk, int chunks, bool scalars)
{
	int64_t **in = xcalloc((size_t)w->ranks, sizeof(*in)), *want, j;
	int r;
	int32_t i;

	for (r = 0; r < w->ranks; r++) {
		struct node *n = &w->node[r];

		buffers_make(n, chunk);
		in[r] = copies_of(w, r, chunk, chunks);
		for (i = 0; i < n->pass.chunk[chunk].to.x.rows[XCHG_IN]; i++)
			n->buffer[XCHG_IN][i] = scalars ? in[r][i] :
						as_token(w, in[r][i]);
	}
	go(w, chunk, false, scalars);
	for (r = 0; r < w->ranks; r++) {
		struct node *n = &w->node[r];
		int64_t *got = n->buffer[last_buffer(n, chunk)];

		want = expected(w, r, chunk, in, scalars);
		for (j = 0; j < layout_rows(&n->pass.chunk[chunk]); j++)
			assert_int_equal(got[j], want[j]);
		free(want);
	}
	go(w, chunk, true, scalars);
	for (r = 0; r < w->ranks; r++) {
		check_home(w, r, chunk, in[r], scalars);
		buffers_free(&w->node[r]);
		free(in[r]);
	}
	free(in);
}

static int n_padded, n_packed;	/* chunks of a rank that were seen */

static void check_pass(struct world *w, int chunks)
{
	int r, i;

	w->node = xcalloc((size_t)w->ranks, sizeof(*w->node));
	for (r = 0; r < w->ranks; r++)
		world_build(w, chunks, r, &w->node[r]);
	check_scratch(&w->node[0].pass);
	for (i = 0; i < chunks; i++) {
		check_chunk(w, i, chunks, false);
		check_chunk(w, i, chunks, true);
	}
	for (r = 0; r < w->ranks; r++) {
		for (i = 0; i < chunks; i++) {
			if (w->node[r].pass.chunk[i].rows.experts < 2)
				continue;
			if (w->node[r].pass.chunk[i].rows.stride)
				n_padded++;
			else
				n_packed++;
		}
		layer_pass_release(&w->node[r].pass);
		free(w->node[r].blob.p);
	}
	free(w->node);
}

static int lcm(int a, int b)
{
	int n = a;

	while (n % b)
		n += a;
	return n;
}

static void open_world(struct layer_case *c, struct world *w)
{
	*w = (struct world){ .c = c, .ranks = layer_ranks(c),
			     .slots = layer_slots(c) };
	w->fine = lcm(c->plan.degree_forward, c->plan.degree_backward);
	assert_int_equal(layer_route_make(c, 1, &w->route), ST_OK);
	w->cell = cells_of(w);
}

static void close_world(struct world *w)
{
	layer_route_release(&w->route);
	free(w->cell);
}

static void test_exchanges(void **state)
{
	uint64_t random = 99;
	struct world w;
	int i, alg;

	(void)state;
	for (i = 0; i < CASES; i++) {
		struct layer_case c = next_case(&random);

		for (alg = 0; alg < A2A_N; alg++) {
			c.plan.alltoall = (enum a2a_alg)alg;
			open_world(&c, &w);
			check_pass(&w, c.plan.degree_forward);
			close_world(&w);
		}
		free(c.count);
	}
	assert_true(n_padded > CASES && n_packed > CASES);
}

/* All chunks' layouts of one rank, one after the other. */
static int64_t *all_rows(struct world *w, int rank, int chunks)
{
	const struct layer_pass *p = &w->node[rank].pass;
	int64_t *all = xcalloc((size_t)p->layout_rows + 1, sizeof(*all));
	int64_t **in = xcalloc((size_t)w->ranks, sizeof(*in)), *part;
	int i, r;

	for (i = 0; i < chunks; i++) {
		for (r = 0; r < w->ranks; r++)
			in[r] = copies_of(w, r, i, chunks);
		part = expected(w, rank, i, in, true);
		memcpy(all + p->chunk[i].layout_base, part,
		       (size_t)layout_rows(&p->chunk[i]) * sizeof(*all));
		free(part);
		for (r = 0; r < w->ranks; r++)
			free(in[r]);
	}
	free(in);
	return all;
}

static struct node *build_all(struct world *w, int chunks)
{
	int r;

	w->node = xcalloc((size_t)w->ranks, sizeof(*w->node));
	for (r = 0; r < w->ranks; r++)
		world_build(w, chunks, r, &w->node[r]);
	return w->node;
}

static void free_all(struct world *w, struct node *n)
{
	int r;

	for (r = 0; r < w->ranks; r++) {
		layer_pass_release(&n[r].pass);
		free(n[r].blob.p);
	}
	free(n);
}

static void check_regroup(struct world *w)
{
	int f = w->c->plan.degree_forward, b = w->c->plan.degree_backward;
	struct layer_cells cells = { w->ranks, w->fine, w->slots, w->cell };
	struct node *forward = build_all(w, f), *back;
	int64_t **kept = xcalloc((size_t)w->ranks, sizeof(*kept)), j;
	int r, i;

	for (r = 0; r < w->ranks; r++)
		kept[r] = all_rows(w, r, f);
	back = build_all(w, b);
	for (r = 0; r < w->ranks; r++) {
		struct layer_pass_input in = {
			.c = w->c, .rank = r, .chunks = b, .padded = true,
			.cells = &cells,
		};
		int64_t *want = all_rows(w, r, b);

		layer_pass_regroup(&in, &forward[r].pass, &back[r].pass,
				   &back[r].blob);
		for (i = 0; i < b; i++) {
			const struct layer_chunk *c = &back[r].pass.chunk[i];
			int64_t *got = dirty(layout_rows(c));

			move(&back[r], &c->regroup, kept[r], NULL, got, NULL);
			for (j = 0; j < layout_rows(c); j++)
				assert_int_equal(got[j],
						 want[c->layout_base + j]);
			free(got);
		}
		free(want);
	}
	for (r = 0; r < w->ranks; r++)
		free(kept[r]);
	free(kept);
	free_all(w, forward);
	free_all(w, back);
}

static void test_regroup(void **state)
{
	uint64_t random = 5;
	struct world w;
	int i;

	(void)state;
	for (i = 0; i < CASES; i++) {
		struct layer_case c = next_case(&random);

		open_world(&c, &w);
		check_regroup(&w);
		close_world(&w);
		free(c.count);
	}
}

/* A blob of fixed size says when something did not fit. */
static void test_fixed(void **state)
{
	char room[64];
	struct layer_blob b = { .p = room, .cap = sizeof(room),
				.fixed = true };
	const int32_t ten[10] = { 0 };

	(void)state;
	assert_int_equal(layer_blob_add(&b, ten, 4), 0);
	assert_int_equal(layer_blob_add(&b, ten, sizeof(ten)), 16);
	assert_false(b.overflow);
	layer_blob_add(&b, ten, 8);
	assert_true(b.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_regroup),
		cmocka_unit_test(test_fixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
