/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/link_rows.h"

#include "base/mem.h"
#include "sim/coll.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Kinds times rows of a step that are looked up in a table; with more nodes
 * are no longer taken together. */
#define PAIRS_MAX (1 << 20)

struct link_grid link_grid_of(const struct net *net)
{
	struct link_grid g = { 0 };
	int k;

	for (k = 0; k < LINK_LEAF_UP; k++) {
		g.at[k] = g.per_node;
		g.per[k] = net->count[k] / net->cluster.nodes;
		g.per_node += g.per[k];
	}
	for (; k < LINK_CLASS_N; k++) {
		g.at[k] = g.fabric;
		g.fabric += net->count[k];
	}
	return g;
}

static double *sum_links(const struct net *net, const struct coll_flow *f,
			 size_t n)
{
	double *bytes = xcalloc((size_t)net->n_links + 1, sizeof(*bytes));
	struct route r;
	size_t i;
	int k;

	for (i = 0; i < n; i++) {
		if (f[i].src == f[i].dst)
			continue;
		net_route(net, f[i].src, f[i].dst, &r);
		for (k = 0; k < r.n; k++)
			bytes[r.link[k]] += f[i].bytes;
	}
	return bytes;
}

static void take_row(const struct net *net, const struct link_grid *g,
		     const double *bytes, int node, double *row)
{
	for (int k = 0; k < LINK_LEAF_UP; k++) {
		if (g->per[k])
			memcpy(row + g->at[k], bytes + net->first[k] +
			       node * g->per[k],
			       (size_t)g->per[k] * sizeof(*row));
	}
}

static void take_fabric(const struct net *net, const struct link_grid *g,
			const double *bytes, double *fabric)
{
	for (int k = LINK_LEAF_UP; k < LINK_CLASS_N; k++) {
		for (int i = 0; i < net->count[k]; i++)
			fabric[g->at[k] + i] = bytes[net->first[k] + i];
	}
}

static size_t hash_row(const double *row, size_t n)
{
	uint64_t h = 14695981039346656037u, v;	/* FNV-1a, by words */

	for (size_t i = 0; i < n; i++) {
		memcpy(&v, &row[i], sizeof(v));
		h = (h ^ v) * 1099511628211u;
		h ^= h >> 32;
	}
	return (size_t)h;
}

/* Rows that are there already, by hash: number + 1, 0: empty. */
struct row_table {
	int *slot;
	size_t mask;
};

/* The number of row `n` of `rows`: an equal one's before it, or n. */
static int row_number(struct row_table *t, const double *rows, size_t width,
		      int n)
{
	const double *row = rows + (size_t)n * width;
	size_t at = hash_row(row, width) & t->mask;

	while (t->slot[at]) {
		const double *old = rows + (size_t)(t->slot[at] - 1) * width;

		if (!memcmp(old, row, width * sizeof(*row)))
			return t->slot[at] - 1;
		at = (at + 1) & t->mask;
	}
	t->slot[at] = n + 1;
	return n;
}

void link_rows_add_flows(struct link_rows *out, const struct net *net,
			 const struct coll_flow *f, size_t n)
{
	struct link_grid g = link_grid_of(net);
	size_t width = (size_t)g.per_node, nodes = (size_t)net->cluster.nodes;
	double *sum = sum_links(net, f, n);
	double *rows = xcalloc(nodes * width + (size_t)g.fabric + 1,
			       sizeof(*rows));
	struct row_table t = { .mask = 1 };
	int node, k;

	while (t.mask < 2 * nodes)
		t.mask = 2 * t.mask + 1;
	t.slot = xcalloc(t.mask + 1, sizeof(*t.slot));
	*out = (struct link_rows){ .row = xcalloc(nodes, sizeof(*out->row)) };
	for (node = 0; node < net->cluster.nodes; node++) {
		take_row(net, &g, sum, node,
			 rows + (size_t)out->n_rows * width);
		k = row_number(&t, rows, width, out->n_rows);
		out->row[node] = k;
		out->n_rows += k == out->n_rows;
	}
	take_fabric(net, &g, sum, rows + (size_t)out->n_rows * width);
	out->bytes = xrealloc_array(rows, (size_t)out->n_rows * width +
				    (size_t)g.fabric + 1, sizeof(*rows));
	free(t.slot);
	free(sum);
}

void link_rows_release(struct link_rows *r)
{
	free(r->row);
	free(r->bytes);
	*r = (struct link_rows){ 0 };
}

/* ---- kinds of nodes ---- */

static void split_all(struct link_set *s, int nodes)
{
	for (int i = 0; i < nodes; i++)
		s->kind[i] = i;
	s->n_kinds = nodes;
}

/* Nodes of one kind with different rows become kinds of their own, numbered
 * as they come. */
static void split_kinds(struct link_set *s, const struct link_rows *r,
			int nodes)
{
	int *number, n = 0, i;

	if (!r->row || r->n_rows < 2 || s->n_kinds == nodes)
		return;
	if ((double)s->n_kinds * r->n_rows > PAIRS_MAX) {
		split_all(s, nodes);
		return;
	}
	number = xcalloc((size_t)s->n_kinds * (size_t)r->n_rows,
			 sizeof(*number));
	for (i = 0; i < nodes; i++) {
		int *at = &number[s->kind[i] * r->n_rows + r->row[i]];

		if (!*at)
			*at = ++n;
		s->kind[i] = *at - 1;
	}
	s->n_kinds = n;
	free(number);
}

/* The first nodes of each kind: like[kind * LINK_LIKE_MAX + i], -1: no more. */
static int *first_nodes(const struct link_set *s, int nodes)
{
	size_t all = (size_t)s->n_kinds * LINK_LIKE_MAX, i;
	int *like = xcalloc(all, sizeof(*like));
	int *n = xcalloc((size_t)s->n_kinds, sizeof(*n)), node;

	for (i = 0; i < all; i++)
		like[i] = -1;
	for (node = 0; node < nodes; node++) {
		int k = s->kind[node];

		if (n[k] < LINK_LIKE_MAX)
			like[k * LINK_LIKE_MAX + n[k]++] = node;
	}
	free(n);
	return like;
}

/* Number `s->n` becomes link `i` of class k of these nodes. */
static void add_number(struct link_set *s, const struct net *net,
		       const struct link_grid *g, int k, int i,
		       const int *nodes)
{
	int end = s->begin[s->n], j;

	for (j = 0; j < LINK_LIKE_MAX && nodes[j] >= 0; j++)
		s->link[end++] = net->first[k] + nodes[j] * g->per[k] + i;
	s->begin[++s->n] = end;
}

static void number_links(struct link_set *s, const struct net *net)
{
	struct link_grid g = link_grid_of(net);
	int nodes = net->cluster.nodes, *like = first_nodes(s, nodes);
	size_t n = (size_t)s->n_kinds * (size_t)g.per_node +
		(size_t)g.fabric, listed = 0;
	int kind, k, i;

	for (kind = 0; kind < s->n_kinds * LINK_LIKE_MAX; kind++)
		listed += like[kind] >= 0;
	s->begin = xcalloc(n + 1, sizeof(*s->begin));
	s->link = xcalloc(listed * (size_t)g.per_node + (size_t)g.fabric + 1,
			  sizeof(*s->link));
	for (kind = 0; kind < s->n_kinds; kind++) {
		for (k = 0; k < LINK_LEAF_UP; k++) {
			for (i = 0; i < g.per[k]; i++) {
				add_number(s, net, &g, k, i,
					   like + kind * LINK_LIKE_MAX);
			}
		}
	}
	for (k = LINK_LEAF_UP; k < LINK_CLASS_N; k++) {
		for (i = 0; i < net->count[k]; i++) {
			s->link[s->begin[s->n]] = net->first[k] + i;
			s->begin[s->n + 1] = s->begin[s->n] + 1;
			s->n++;
		}
	}
	free(like);
}

void link_set_init(struct link_set *s, const struct net *net,
		   const struct link_rows *rows, int n)
{
	int nodes = net->cluster.nodes, i;

	*s = (struct link_set){ .n_kinds = 1 };
	s->kind = xcalloc((size_t)nodes, sizeof(*s->kind));
	if (net->uneven)
		split_all(s, nodes);
	for (i = 0; i < n; i++)
		split_kinds(s, &rows[i], nodes);
	number_links(s, net);
}

void link_set_release(struct link_set *s)
{
	free(s->begin);
	free(s->link);
	free(s->kind);
	*s = (struct link_set){ 0 };
}

int link_set_find(const struct link_set *s, const struct net *net, int link)
{
	struct link_grid g;
	int k, i;

	if (!s->kind)
		return link;
	g = link_grid_of(net);
	k = (int)net_link_class(net, link);
	i = link - net->first[k];
	if (k >= LINK_LEAF_UP)
		return s->n_kinds * g.per_node + g.at[k] + i;
	return s->kind[i / g.per[k]] * g.per_node + g.at[k] + i % g.per[k];
}

double *link_set_bytes(const struct link_set *s, const struct net *net,
		       const struct link_rows *rows)
{
	struct link_grid g = link_grid_of(net);
	double *bytes = xcalloc((size_t)s->n + 1, sizeof(*bytes));
	size_t width = (size_t)g.per_node;
	int node, next = 0;

	/* kinds are numbered in the order of their first nodes */
	for (node = 0; node < net->cluster.nodes && next < s->n_kinds; node++) {
		int row = rows->row ? rows->row[node] : 0;

		if (s->kind && s->kind[node] != next)
			continue;
		memcpy(bytes + (size_t)next++ * width,
		       rows->bytes + (size_t)row * width,
		       width * sizeof(*bytes));
	}
	memcpy(bytes + (size_t)s->n_kinds * width,
	       rows->bytes + (size_t)rows->n_rows * width,
	       (size_t)g.fabric * sizeof(*bytes));
	return bytes;
}
