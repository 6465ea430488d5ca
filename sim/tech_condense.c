/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_condense.h"
#include "sim/condense_graph.h"

#include "base/mem.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double condense_threshold(double loss_first, double loss_last)
{
	return 1 / (1 + exp((loss_first - loss_last) / loss_first));
}

void condense_history_release(struct condense_history *h)
{
	free(h->high);
	free(h->low);
	*h = (struct condense_history){ 0 };
}

void condense_result_release(struct condense_result *r)
{
	free(r->to);
	*r = (struct condense_result){ 0 };
}

/* One expert's list, and what the pairs of it are compared with. */
struct list {
	int *token;	/* [n]: token of each entry */
	int *copy;	/* [n] */
	int n;
	struct bits graph;
	struct fixed fixed;
	struct bits *was_high, *was_low;	/* by token; NULL: no history */
	struct bits *high, *low;
	/* products at least this: an edge; above: sure; below: never */
	int64_t edge, sure, never;
	int64_t computed, edges;
};

/* Least product whose similarity reaches s; s > 0 where it is clipped. */
static double product_at(enum condense_scale scale, double s)
{
	double cosine = scale == CONDENSE_HALF ? 2 * s - 1 : s;

	return cosine * CONDENSE_UNIT * CONDENSE_UNIT;
}

static enum status spec_check(const struct condense_spec *s)
{
	if (!(s->threshold > 0 && s->threshold <= 1)) {
		return err_set(ST_INPUT, "condense: threshold '%g' is not above "
			       "0 and at most 1", s->threshold);
	}
	if (!(s->never >= 0 && s->never <= s->sure && s->sure <= 1)) {
		return err_set(ST_INPUT, "condense: 0 <= S2 '%g' <= S1 '%g' <= "
			       "1 does not hold", s->never, s->sure);
	}
	return ST_OK;
}

static void set_limits(struct list *l, const struct condense_spec *s)
{
	l->edge = (int64_t)ceil(product_at(s->scale, s->threshold));
	l->sure = (int64_t)floor(product_at(s->scale, s->sure));
	l->never = s->never > 0 ?
		(int64_t)ceil(product_at(s->scale, s->never)) : INT64_MIN;
}

static void mark(const struct list *l, struct bits *b, int i, int j)
{
	if (l->token[i] != l->token[j]) {
		bits_set(b, l->token[i], l->token[j]);
		bits_set(b, l->token[j], l->token[i]);
	}
}

/*
 * Bit j: p[j] >= limit. Comparisons as bytes 0 or 1, then eight of them to a
 * byte: the product brings byte i to bit 56 + i.
 */
static uint64_t at_least(const int32_t *p, int64_t limit)
{
	unsigned char yes[CONDENSE_TILE];
	int32_t most = INT32_MIN, l;
	uint64_t mask = 0;

	for (int j = 0; j < CONDENSE_TILE; j++) {
		most = p[j] > most ? p[j] : most;
	}
	if (most < limit) {
		return 0;
	}
	l = limit < INT32_MIN ? INT32_MIN : (int32_t)limit;
	for (int j = 0; j < CONDENSE_TILE; j++) {
		yes[j] = p[j] >= l;
	}
	for (int j = 0; j < CONDENSE_TILE; j += 8) {
		uint64_t eight = 0;

		for (int b = 0; b < 8; b++) {
			eight |= (uint64_t)yes[j + b] << (8 * b);
		}
		mask |= (eight * 0x0102040810204080u >> 56) << j;
	}
	return mask;
}

static void mark_all(const struct list *l, struct bits *b, int i, int j0,
		     uint64_t mask)
{
	while (mask) {
		int j = j0 + __builtin_ctzll(mask);

		mark(l, b, i, j);
		mask &= mask - 1;
	}
}

static void add_edges(struct list *l, int i, int j0, uint64_t mask)
{
	l->graph.w[(int64_t)i * l->graph.words + j0 / 64] |= mask;
	l->edges += __builtin_popcountll(mask);
	while (mask) {
		bits_set(&l->graph, j0 + __builtin_ctzll(mask), i);
		mask &= mask - 1;
	}
}

/*
 * Takes the pairs (i, j0..) of `open` whose similarity is known from the
 * block before; returns those that are left.
 */
static uint64_t take_history(struct list *l, int i, int j0, uint64_t open)
{
	uint64_t high = 0, low = 0, left = open;

	while (left) {
		int bit = __builtin_ctzll(left), j = l->token[j0 + bit];

		high |= (uint64_t)bits_get(l->was_high, l->token[i], j) << bit;
		low |= (uint64_t)bits_get(l->was_low, l->token[i], j) << bit;
		left &= left - 1;
	}
	add_edges(l, i, j0, high);
	mark_all(l, l->high, i, j0, high);
	mark_all(l, l->low, i, j0, low);
	return open & ~high & ~low;
}

static void take_products(struct list *l, int i, int j0, uint64_t open,
			  const int32_t *p)
{
	l->computed += __builtin_popcountll(open);
	add_edges(l, i, j0, at_least(p, l->edge) & open);
	if (l->high) {
		mark_all(l, l->high, i, j0, at_least(p, l->sure + 1) & open);
		mark_all(l, l->low, i, j0, ~at_least(p, l->never) & open);
	}
}

/* Rows i0 .. i0 + 3 against columns j0 .. j0 + 63, below the diagonal. */
static void compare_strip(struct list *l, int i0, int j0)
{
	int32_t product[CONDENSE_MICRO][CONDENSE_TILE];
	uint64_t open[CONDENSE_MICRO] = { 0 }, any = 0;

	for (int r = 0; r < CONDENSE_MICRO && i0 + r < l->n; r++) {
		int below = i0 + r - j0;

		open[r] = below >= CONDENSE_TILE ? ~(uint64_t)0 :
			((uint64_t)1 << below) - 1;
		if (l->was_high) {
			open[r] = take_history(l, i0 + r, j0, open[r]);
		}
		any |= open[r];
	}
	if (!any) {
		return;
	}
	fixed_products(&l->fixed, i0, j0, product);
	for (int r = 0; r < CONDENSE_MICRO && i0 + r < l->n; r++) {
		take_products(l, i0 + r, j0, open[r], product[r]);
	}
}

static void compare_all(struct list *l)
{
	for (int i = 0; i < l->n; i += CONDENSE_TILE) {
		for (int j = 0; j <= i; j += CONDENSE_TILE) {
			for (int s = 0; s < CONDENSE_TILE; s += CONDENSE_MICRO) {
				compare_strip(l, i + s, j);
			}
		}
	}
}

static void condense_list(struct list *l, const struct tokens *t,
			  struct condense_result *r)
{
	int *to = xcalloc((size_t)l->n + 1, sizeof(*to));

	bits_init(&l->graph, l->n);
	fixed_init(&l->fixed, t->x, t->dim, l->token, l->n);
	compare_all(l);
	r->kept += bits_condense(&l->graph, to);
	for (int i = 0; i < l->n; i++) {
		r->to[l->copy[i]] = l->token[to[i]];
	}
	r->copies += l->n;
	r->pairs += (int64_t)l->n * (l->n - 1) / 2;
	fixed_release(&l->fixed);
	bits_release(&l->graph);
	free(to);
}

static double distance_error(const struct condense_result *r,
			     const struct tokens *t)
{
	double off = 0, all = 0;

	for (int i = 0; i < r->n * r->k; i++) {
		const float *x = tokens_at(t, i / r->k);
		const float *y = r->to[i] < 0 ? x : tokens_at(t, r->to[i]);

		for (int d = 0; r->to[i] >= 0 && d < t->dim; d++) {
			off += ((double)x[d] - y[d]) * ((double)x[d] - y[d]);
			all += (double)x[d] * x[d];
		}
	}
	return all > 0 ? sqrt(off / all) : 0;
}

/* Copies by expert: entries of expert e are order[first[e]..first[e + 1]). */
static int *sort_copies(const int *expert, int copies, int experts,
			int **first_p)
{
	int *first = xcalloc((size_t)experts + 2, sizeof(*first));
	int *order = xcalloc((size_t)copies + 1, sizeof(*order));

	for (int i = 0; i < copies; i++) {
		int e = expert ? expert[i] : 0;

		if (e >= 0) {
			first[e + 2]++;
		}
	}
	for (int e = 1; e < experts + 2; e++) {
		first[e] += first[e - 1];
	}
	/* first[e + 1] is now where expert e starts, and moves to its end */
	for (int i = 0; i < copies; i++) {
		int e = expert ? expert[i] : 0;

		if (e >= 0) {
			order[first[e + 1]++] = i;
		}
	}
	*first_p = first;
	return order;
}

struct block {
	struct list list;
	struct bits was_high, was_low, high, low;
};

static void history_in(struct block *b, struct condense_history *h, int n)
{
	if (!h) {
		return;
	}
	if (h->n) {
		int words = (n + 63) / 64;

		b->was_high = (struct bits){ n, words, h->high };
		b->was_low = (struct bits){ n, words, h->low };
		b->list.was_high = &b->was_high;
		b->list.was_low = &b->was_low;
	}
	bits_init(&b->high, n);
	bits_init(&b->low, n);
	b->list.high = &b->high;
	b->list.low = &b->low;
}

static void history_out(struct block *b, struct condense_history *h, int n)
{
	if (h) {
		condense_history_release(h);
		*h = (struct condense_history){ n, b->high.w, b->low.w };
	}
}

static enum status lists_check(const int *first, int experts)
{
	for (int e = 0; e < experts; e++) {
		int n = first[e + 1] - first[e];

		if (n > CONDENSE_LIST_MAX) {
			return err_set(ST_INPUT, "condense: %d tokens for "
				       "expert %d, at most %d can be compared",
				       n, e, CONDENSE_LIST_MAX);
		}
	}
	return ST_OK;
}

static void run_lists(struct block *b, const struct tokens *t,
		      const int *order, const int *first, int experts,
		      struct condense_result *r)
{
	struct list *l = &b->list;
	int *token = xcalloc((size_t)r->n * (size_t)r->k, sizeof(*token));

	for (int e = 0; e < experts; e++) {
		l->n = first[e + 1] - first[e];
		l->copy = (int *)order + first[e];
		l->token = token;
		for (int i = 0; i < l->n; i++) {
			token[i] = l->copy[i] / r->k;
		}
		condense_list(l, t, r);
	}
	r->computed = l->computed;
	r->edges = l->edges;
	free(token);
}

enum status condense_run(const struct condense_spec *spec,
			 const struct tokens *t, const int *expert, int k,
			 int experts, struct condense_history *history,
			 struct condense_result *out)
{
	struct condense_result r = { .n = t->n, .k = expert ? k : 1 };
	struct block b = { 0 };
	int *order, *first;
	enum status st = spec_check(spec);

	if (st) {
		return st;
	}
	if (history && history->n && history->n != t->n) {
		return err_set(ST_INPUT, "condense: history of %d tokens, not "
			       "%d", history->n, t->n);
	}
	order = sort_copies(expert, r.n * r.k, expert ? experts : 1, &first);
	st = lists_check(first, expert ? experts : 1);
	if (!st) {
		r.to = xmalloc((size_t)r.n * (size_t)r.k * sizeof(*r.to));
		memset(r.to, 0xff, (size_t)r.n * (size_t)r.k * sizeof(*r.to));
		set_limits(&b.list, spec);
		history_in(&b, history, t->n);
		run_lists(&b, t, order, first, expert ? experts : 1, &r);
		history_out(&b, history, t->n);
		r.error = distance_error(&r, t);
		*out = r;
	}
	free(order);
	free(first);
	return st;
}

/* ---- costs ---- */

#define ID_BYTES 4.0

/*
 * Forward, for lists of n = copies / experts: half a Gram matrix (the
 * triangle), its bits written and read, the greedy steps read every edge
 * once; the kept rows are packed by the permutation that the layer has
 * anyway; afterwards copies that were condensed read their result, which the
 * layer's unpermute does by index. Backward: gradients of condensed copies
 * are added onto the kept one's before the exchange.
 */
void condense_effect_make(const struct condense_shape *s, double rate,
			  double error, struct condense_effect *out)
{
	double n = s->copies / s->experts;
	double pairs = s->experts * n * (n - 1) / 2;
	double row = (double)s->dim * s->element_bytes;
	struct tech_cost f = { 0 }, b = { 0 };

	f.gemm_flop = 2 * pairs * s->computed * s->dim;
	f.hbm_bytes = s->copies * row + 2 * (2 * pairs / 8) +
		ID_BYTES * s->edges * s->copies + 2 * ID_BYTES * s->copies;
	f.kernels = 3;	/* products and bits, greedy, table */
	f.exchanges = 1;	/* rows per peer: sizes differ now */
	f.exchange_bytes = ID_BYTES * s->experts;
	f.messages = s->peers;
	f.host_syncs = 1;
	b.hbm_bytes = s->copies * row * (1 + rate);
	b.vector_flop = s->copies * s->dim * (1 - rate);
	b.kernels = 1;
	*out = (struct condense_effect){ .rate = rate, .error = error,
					 .forward = f, .backward = b };
}
