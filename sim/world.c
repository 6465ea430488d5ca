/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How many different tokens a rank has for a node.
 *
 * Of T tokens with k different experts out of E each, those with an expert
 * on node m are, when the node's experts together have the share q of the
 * copies,
 *
 *	D = T * (1 - prod_{j=0}^{k-1} (1 - q - j/E) / (1 - j/E))
 *
 * which for even popularity (q = E_m/E) is the hypergeometric
 * T * (1 - C(E - E_m, k) / C(E, k)). It is kept between what any routing
 * with these counts has at least (the node's busiest expert; copies/min(k,
 * E_m)) and at most (T; copies). A trace's tokens are counted one by one.
 */
#include "sim/world.h"

#include <math.h>
#include <stdlib.h>

#define EXACT_COPIES_MAX ((int64_t)1 << 28)	/* a second or so */
#define NODE_CELLS_MAX ((size_t)1 << 26)	/* 512 MiB */

/* What a rank has for the experts of one node. */
struct node_share {
	double copies, largest;	/* in all; for one expert */
	int experts;
};

static int node_of(const struct world *w, int src, int ep_index)
{
	return world_peer(w, src, ep_index) / w->gpus_per_node;
}

static double distinct(const struct routing *r, double tokens,
		       const struct node_share *s)
{
	double q = s->copies / (tokens * r->k), none = 1, d, low, high;
	int j, most = s->experts < r->k ? s->experts : r->k;

	for (j = 0; j < r->k; j++) {
		double left = 1 - (double)j / r->experts;

		none *= fmax(0, left - q) / left;
	}
	d = tokens * (1 - none);
	low = fmax(s->largest, s->copies / most);
	high = fmin(tokens, s->copies);
	return fmin(fmax(d, low), high);
}

/* Padded exchanges have even slots, whatever the counts. */
static double sent_rows(const struct world *w, int src, int64_t capacity, int x,
			int replica)
{
	double slots = (double)capacity / w->replicas, copies;

	if (capacity && !w->only_kept)
		return slots;
	copies = (double)world_copies(w, src, x, replica);
	return capacity ? fmin(copies, slots) : copies;
}

/* The EP indices from *ep_p on that lie on one node; moves *ep_p behind
 * them. */
static void share_next(const struct world *w, int src, int64_t capacity,
		       int *ep_p, struct node_share *s)
{
	int m = node_of(w, src, *ep_p), ep = *ep_p, last = -1, x, i;
	double copies = 0, n;

	*s = (struct node_share){ 0 };
	for (; ep < w->ep && node_of(w, src, ep) == m; ep++) {
		for (i = 0; i < w->local; i++) {
			x = ep / w->replicas * w->local + i;
			n = sent_rows(w, src, capacity, x, ep % w->replicas);
			copies = x == last ? copies + n : n;
			s->experts += x != last;
			s->copies += n;
			s->largest = fmax(s->largest, copies);
			last = x;
		}
	}
	*ep_p = ep;
}

static void expect_row(const struct world *w, int src, int64_t capacity,
		       double token_bytes, double *row)
{
	const struct routing *r = w->routing;
	double tokens = capacity && !w->only_kept ?
		(double)capacity * r->experts / r->k : r->tokens;
	struct node_share s;
	int ep = 0, m;

	while (ep < w->ep) {
		m = node_of(w, src, ep);
		share_next(w, src, capacity, &ep, &s);
		row[m] = distinct(r, tokens, &s) * token_bytes;
	}
}

/* `given`: copies so far for each expert; `seen`: last token of each node. */
static void count_row(const struct world *w, int src, double token_bytes,
		      int64_t *given, int64_t *seen, double *row)
{
	const struct routing *r = w->routing;
	int64_t t;
	int i, j, m;

	for (i = 0; i < r->experts; i++) {
		given[i] = 0;
	}
	for (i = 0; i < w->nodes; i++) {
		seen[i] = -1;
	}
	for (t = 0; t < r->tokens; t++) {
		const int *x = routing_token(r, (int64_t)src * r->tokens + t);

		for (i = 0; i < r->k; i++) {
			j = world_replica(w, src, x[i], given[x[i]]++);
			m = node_of(w, src, world_ep_of(w, x[i], j));
			row[m] += seen[m] == t ? 0 : token_bytes;
			seen[m] = t;
		}
	}
}

/* Tokens one by one, where there is a trace and it is not too long. */
static int can_count(const struct world *w, int64_t capacity)
{
	const struct routing *r = w->routing;

	return r->trace && !capacity &&
		(int64_t)w->n * r->tokens * r->k <= EXACT_COPIES_MAX;
}

struct row_scratch {
	int64_t *given, *seen;	/* NULL: expected, not counted */
};

static struct row_scratch scratch_new(const struct world *w, int64_t capacity)
{
	struct row_scratch s = { 0 };

	if (can_count(w, capacity)) {
		s.given = xcalloc((size_t)w->routing->experts,
				  sizeof(*s.given));
		s.seen = xcalloc((size_t)w->nodes, sizeof(*s.seen));
	}
	return s;
}

static void scratch_free(struct row_scratch *s)
{
	free(s->seen);
	free(s->given);
}

static void fill_row(const struct world *w, int src, int64_t capacity,
		     double token_bytes, const struct row_scratch *s,
		     double *row)
{
	if (s->given) {
		count_row(w, src, token_bytes, s->given, s->seen, row);
	} else {
		expect_row(w, src, capacity, token_bytes, row);
	}
}

/* Some node has two experts of one EP group. */
static int can_repeat(const struct world *w)
{
	int src, ep;
	struct node_share s;

	for (src = 0; src < w->n; src += src % w->esp == w->esp - 1 ?
	     w->ep * w->esp - w->esp + 1 : 1) {
		for (ep = 0; ep < w->ep;) {
			share_next(w, src, 1, &ep, &s);
			if (s.experts > 1) {
				return 1;
			}
		}
	}
	return 0;
}

double *world_node_bytes(const struct world *w, int64_t capacity,
			 double token_bytes)
{
	size_t cells = (size_t)w->n * (size_t)w->nodes;
	struct row_scratch scratch;
	double *out;
	int src;

	if (w->routing->k == 1 || cells > NODE_CELLS_MAX || !can_repeat(w)) {
		return NULL;
	}
	out = xcalloc(cells, sizeof(*out));
	scratch = scratch_new(w, capacity);
	for (src = 0; src < w->n; src++) {
		fill_row(w, src, capacity, token_bytes, &scratch,
			 out + (size_t)src * (size_t)w->nodes);
	}
	scratch_free(&scratch);
	return out;
}

/* Every rank is a node of its own. */
double *world_rank_bytes(const struct world *w, int64_t capacity,
			 double token_bytes)
{
	struct world alone = *w;
	struct row_scratch scratch;
	double *out, *row;
	int src, ep;

	if ((w->routing->k == 1 || w->local == 1) && !capacity) {
		return NULL;
	}
	alone.nodes = w->n;
	alone.gpus_per_node = 1;
	alone.only_kept = true;
	out = xcalloc((size_t)w->n * (size_t)w->ep, sizeof(*out));
	row = xcalloc((size_t)w->n, sizeof(*row));
	scratch = scratch_new(&alone, capacity);
	for (src = 0; src < w->n; src++) {
		for (ep = 0; ep < w->ep; ep++) {
			row[world_peer(w, src, ep)] = 0;
		}
		fill_row(&alone, src, capacity, token_bytes, &scratch, row);
		for (ep = 0; ep < w->ep; ep++) {
			out[(size_t)src * (size_t)w->ep + (size_t)ep] =
				row[world_peer(w, src, ep)];
		}
	}
	scratch_free(&scratch);
	free(row);
	return out;
}
