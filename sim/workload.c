/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From counts per rank and expert to bytes per rank pair and rows per
 * expert, for a layout (scenarios/scenario.h: which rank is what).
 */
#include "scenarios/program.h"
#include "sim/world.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static void world_init(struct world *w, const struct routing *r,
		       const struct cluster *c, const struct layout *l)
{
	*w = (struct world){ .routing = r, .n = r->ranks, .nodes = c->nodes,
			     .gpus_per_node = c->gpus_per_node, .ep = l->ep,
			     .esp = l->esp, .local = 1, .replicas = 1 };
	if (l->ep > r->experts) {
		w->replicas = l->ep / r->experts;
	} else {
		w->local = r->experts / l->ep;
	}
}

/*
 * Copies per (rank, expert) when all cells are alike and split evenly over
 * the replicas; 0 when they are not.
 */
static int64_t even_cell(const struct world *w)
{
	const struct routing *r = w->routing;
	int64_t n = (int64_t)r->ranks * r->experts, i;

	if (r->n_levels > 1) {
		return 0;
	}
	for (i = 1; i < n && !r->n_levels; i++) {
		if (r->count[i] != r->count[0]) {
			return 0;
		}
	}
	return r->count[0] % w->replicas ? 0 : r->count[0];
}

/* Every rank sends `each` rows to every expert replica of its EP group. */
static void fill_balanced(const struct world *w, double each,
			  struct workload *out)
{
	size_t n = (size_t)w->n * (size_t)w->local, i;

	out->dispatch = (struct traffic){ .n_ranks = w->n, .group = w->ep,
		.stride = w->esp,
		.each = each * w->local * out->token_bytes };
	for (i = 0; i < n; i++) {
		out->rows[i] = each * w->ep * w->esp;
	}
}

/* One source rank: bytes to and rows at every replica of every expert. */
static void fill_source(const struct world *w, int src, struct workload *out)
{
	double *bytes = out->dispatch.bytes + (size_t)src * (size_t)w->n;
	int x, j;

	/* pages that are written first are not mapped twice */
	for (j = 0; j < w->ep; j++) {
		bytes[world_peer(w, src, j)] = 0;
	}
	for (x = 0; x < w->routing->experts; x++) {
		for (j = 0; j < w->replicas; j++) {
			double n = (double)world_copies(w, src, x, j);
			int dst = world_peer(w, src, world_ep_of(w, x, j));

			bytes[dst] += n * out->token_bytes;
			out->rows[dst * w->local + x % w->local] += n;
		}
	}
}

/* An ESP group gathers its tokens: each of its ranks computes all of them. */
static void gather_rows(const struct world *w, double *rows)
{
	int base, i, s;

	for (base = 0; w->esp > 1 && base < w->n; base += w->esp) {
		for (i = 0; i < w->local; i++) {
			double sum = 0;

			for (s = 0; s < w->esp; s++) {
				sum += rows[(base + s) * w->local + i];
			}
			for (s = 0; s < w->esp; s++) {
				rows[(base + s) * w->local + i] = sum;
			}
		}
	}
}

static enum status fill_dense(const struct world *w, struct workload *out)
{
	int src;

	if (w->n > WORKLOAD_DENSE_RANKS_MAX) {
		return err_set(ST_INPUT, "search.capacity: an uneven dropless "
			       "exchange of %d ranks is above %d ranks; give a "
			       "capacity factor or routing.kind uniform",
			       w->n, WORKLOAD_DENSE_RANKS_MAX);
	}
	out->dispatch = (struct traffic){ .n_ranks = w->n, .group = w->ep,
					  .stride = w->esp };
	out->dispatch.bytes = xcalloc((size_t)w->n * (size_t)w->n,
				      sizeof(*out->dispatch.bytes));
	for (src = 0; src < w->n; src++) {
		fill_source(w, src, out);
	}
	gather_rows(w, out->rows);
	return ST_OK;
}

static bool all_equal(const double *v, size_t n)
{
	size_t i;

	for (i = 1; i < n; i++) {
		if (v[i] != v[0]) {
			return false;
		}
	}
	return true;
}

/* What direct needs, where it can be. Even traffic: as much to every rank. */
static void fill_distinct(const struct world *w, const struct cluster *c,
			  struct workload *out)
{
	struct traffic *t = &out->dispatch;

	if (w->ep == 1 || w->replicas > 1 ||
	    direct_why_not(c, w->ep, w->esp)) {
		return;
	}
	t->rank_bytes = world_rank_bytes(w, out->capacity, out->token_bytes);
	if (t->rank_bytes && !t->bytes &&
	    all_equal(t->rank_bytes, (size_t)w->n * (size_t)w->ep)) {
		t->rank_each = t->rank_bytes[0];
		free(t->rank_bytes);
		t->rank_bytes = NULL;
	}
}

static void count_kept(const struct routing *r, struct workload *out)
{
	out->routed = (int64_t)r->ranks * r->tokens * r->k;
	out->kept = out->capacity ? capacity_kept(r, out->capacity) :
		    out->routed;
	out->dropped = out->routed - out->kept;
	out->drop_fraction = (double)out->dropped / (double)out->routed;
	out->padding_fraction = out->capacity ?
		capacity_padding(r, out->capacity) : 0;
}

enum status workload_make(const struct routing *r, const struct cluster *c,
			  const struct model *m, const struct layout *l,
			  double factor, struct workload *out)
{
	struct workload v = { .ranks = r->ranks };
	struct world w;
	int64_t cell;
	enum status st = ST_OK;

	world_init(&w, r, c, l);
	assert(w.n == w.nodes * w.gpus_per_node);
	assert(w.n % (w.ep * w.esp) == 0);
	assert(w.ep * w.local == r->experts * w.replicas);
	v.local_experts = w.local;
	v.token_bytes = (double)m->hidden * dtype_bytes(m->dtype);
	v.capacity = factor > 0 ? capacity_slots(r, factor) : 0;
	v.rows = xcalloc((size_t)w.n * (size_t)w.local, sizeof(*v.rows));
	cell = v.capacity ? v.capacity : even_cell(&w);
	if (cell) {
		fill_balanced(&w, (double)cell / w.replicas, &v);
	} else {
		st = fill_dense(&w, &v);
	}
	if (st) {
		free(v.rows);
		return st;
	}
	count_kept(r, &v);
	v.dispatch.empty = v.padding_fraction;
	v.dispatch.node_bytes = world_node_bytes(&w, v.capacity, v.token_bytes);
	fill_distinct(&w, c, &v);
	traffic_transpose(&v.dispatch, c->nodes, &v.combine);
	workload_check(&v);
	*out = v;
	return ST_OK;
}

void workload_release(struct workload *w)
{
	traffic_release(&w->dispatch);
	traffic_release(&w->combine);
	free(w->rows);
	*w = (struct workload){ 0 };
}

/* Rows that leave the ranks (or stay on them), ESP gathers not counted. */
static double rows_sent(const struct workload *w)
{
	const struct traffic *t = &w->dispatch;
	size_t n = (size_t)t->n_ranks, i, j, step, peers;
	double sum = 0;

	if (!t->bytes) {
		return t->each * t->group * t->n_ranks / w->token_bytes;
	}
	for (i = 0; i < n; i++) {
		j = traffic_first(t, i, &step, &peers);
		for (; peers--; j += step) {
			sum += t->bytes[i * n + j];
		}
	}
	return sum / w->token_bytes;
}

void workload_check(const struct workload *w)
{
	int n = w->ranks * w->local_experts, i;
	double sum = 0, sent = rows_sent(w);

	for (i = 0; i < n; i++) {
		assert(w->rows[i] >= 0);
		sum += w->rows[i];
	}
	/* stride is esp: that many ranks compute every row */
	assert(fabs(sum - sent * w->dispatch.stride) <= 1e-9 * sum);
	assert(w->routed == w->kept + w->dropped && w->dropped >= 0);
	assert(w->capacity || fabs(sent - (double)w->kept) <= 1e-9 * sent);
	(void)sum;
	(void)sent;
}
