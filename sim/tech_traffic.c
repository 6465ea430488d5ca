/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_apply.h"

#include "base/mem.h"
#include "sim/cost_layer.h"

#include <stdlib.h>

static int node_of(const struct tech_place *at, int rank)
{
	return rank / at->s->cluster.gpus_per_node;
}

/* Ranks of src's EP group: first + i * esp. */
static int group_first(const struct tech_place *at, int rank)
{
	int esp = at->layout->esp, block = esp * at->layout->ep;

	return rank / block * block + rank % esp;
}

static void make_dense(const struct tech_place *at, struct traffic *t)
{
	size_t n = (size_t)t->n_ranks;
	double each = t->each;

	if (t->bytes)
		return;
	t->bytes = xcalloc(n * n, sizeof(*t->bytes));
	for (int src = 0; src < t->n_ranks; src++) {
		int first = group_first(at, src);

		for (int i = 0; i < at->layout->ep; i++)
			t->bytes[(size_t)src * n + (size_t)(first +
				i * at->layout->esp)] = each;
	}
	t->each = 0;
}

/* The combine is the dispatch turned round. */
static void renew_combine(const struct tech_place *at, struct workload *w)
{
	traffic_release(&w->combine);
	traffic_transpose(&w->dispatch, at->s->cluster.nodes, &w->combine);
}

struct row {	/* one source's traffic */
	double leaves, all;
	int local;		/* ranks of the group in its node */
};

/* What the copies that stay go to: experts of the node, as popular among
 * them as they are. */
static double local_share(const struct row *r, double bytes)
{
	double stays = r->all - r->leaves;

	return stays > 0 ? bytes / stays : 1.0 / r->local;
}

static struct row row_of(const struct tech_place *at, const struct traffic *t,
			 int src)
{
	const double *bytes = t->bytes ? t->bytes + (size_t)src *
		(size_t)t->n_ranks : NULL;
	int first = group_first(at, src);
	struct row r = { 0 };

	for (int i = 0; i < at->layout->ep; i++) {
		int dst = first + i * at->layout->esp;
		double b = bytes ? bytes[dst] : t->each;

		r.all += b;
		if (node_of(at, dst) == node_of(at, src))
			r.local++;
		else
			r.leaves += b;
	}
	return r;
}

double tech_leaving(const struct tech_place *at, const struct workload *w)
{
	double leaves = 0, all = 0;

	for (int src = 0; src < w->ranks; src++) {
		struct row r = row_of(at, &w->dispatch, src);

		leaves += r.leaves;
		all += r.all;
	}
	return all > 0 ? leaves / all : 0;
}

/* One source; returns the bytes that moved. */
static double keep_row(const struct tech_place *at, double keep, int src,
		       struct traffic *t)
{
	double *bytes = t->bytes + (size_t)src * (size_t)t->n_ranks;
	struct row r = row_of(at, t, src);
	int first = group_first(at, src), nodes = at->s->cluster.nodes;

	if (!r.local || !(r.leaves > 0))
		return 0;
	for (int i = 0; i < at->layout->ep; i++) {
		int dst = first + i * at->layout->esp;

		if (node_of(at, dst) == node_of(at, src))
			bytes[dst] += keep * r.leaves *
				local_share(&r, bytes[dst]);
		else
			bytes[dst] *= 1 - keep;
	}
	for (int m = 0; t->node_bytes && m < nodes; m++) {
		if (m != node_of(at, src))
			t->node_bytes[src * nodes + m] *= 1 - keep;
	}
	return keep * r.leaves;
}

static void column_sums(const struct traffic *t, double *sum)
{
	size_t n = (size_t)t->n_ranks;

	for (size_t src = 0; src < n; src++) {
		for (size_t dst = 0; dst < n; dst++)
			sum[dst] += t->bytes[src * n + dst];
	}
}

/* Rows follow the bytes that arrive at the ranks of an ESP group. */
static void scale_rows(const struct tech_place *at, const double *before,
		       const double *after, struct workload *w)
{
	int esp = at->layout->esp;

	for (int base = 0; base < w->ranks; base += esp) {
		double b = 0, a = 0;

		for (int s = 0; s < esp; s++) {
			b += before[base + s];
			a += after[base + s];
		}
		for (int i = 0; b > 0 && i < esp * w->local_experts; i++)
			w->rows[base * w->local_experts + i] *= a / b;
	}
}

double tech_keep_local(const struct tech_place *at, double keep,
		       struct workload *w)
{
	double *sum = xcalloc(2 * (size_t)w->ranks, sizeof(*sum));
	double moved = 0, all = 0;

	make_dense(at, &w->dispatch);
	column_sums(&w->dispatch, sum);
	for (int src = 0; src < w->ranks; src++) {
		all += row_of(at, &w->dispatch, src).all;
		moved += keep_row(at, keep, src, &w->dispatch);
	}
	column_sums(&w->dispatch, sum + w->ranks);
	scale_rows(at, sum, sum + w->ranks, w);
	renew_combine(at, w);
	free(sum);
	return all > 0 ? moved / all : 0;
}

static void scale_all(double *v, size_t n, double by)
{
	for (size_t i = 0; v && i < n; i++)
		v[i] *= by;
}

void tech_scale_bytes(double rate, const struct tech_place *at,
		      struct workload *w)
{
	struct traffic *t = &w->dispatch;
	size_t n = (size_t)w->ranks;

	t->each *= rate;
	t->node_each *= rate;
	traffic_scale(t, rate);
	scale_all(t->node_bytes, n * (size_t)at->s->cluster.nodes, rate);
	renew_combine(at, w);
}

void tech_scale(double rate, const struct tech_place *at, struct workload *w)
{
	tech_scale_bytes(rate, at, w);
	scale_all(w->rows, (size_t)w->ranks * (size_t)w->local_experts, rate);
}

/*
 * Experts come to every rank: the same bytes from each, all experts of the
 * group or as many as the rank's tokens need, and one copy to each node where
 * the exchange can make use of that. The rank's own copies are then computed
 * at home, spread over the slots; several experts on a rank slow each other
 * down as if there were more rows. Backward they are fetched again, unless
 * they were kept, and their gradients go back.
 */
void tech_fetch(const struct tech_place *at, struct workload *w,
		struct tech_effect *e)
{
	const struct model *m = &at->s->model;
	const struct layout *l = at->layout;
	bool keep = at->s->technique.fetch.keep;
	double need = at->s->technique.fetch.experts;
	double share = need > 0 && need < m->experts ? need / m->experts : 1;
	double expert = layer_expert_params(m, (double)m->expert_ffn / l->esp) *
		dtype_bytes(m->dtype);
	double each = expert * m->experts * share / l->ep;
	double more = m->experts * share * (l->ep - 1) / l->ep;
	double rows = (double)layout_tokens(l, m) * m->experts_per_token *
		l->esp / w->local_experts *
		(1 + at->s->technique.fetch.slowdown * more);

	traffic_release(&w->dispatch);
	w->dispatch = (struct traffic){
		.n_ranks = w->ranks, .group = l->ep, .stride = l->esp,
		.each = each, .node_each = each,
	};
	renew_combine(at, w);
	for (int i = 0; i < w->ranks * w->local_experts; i++)
		w->rows[i] = rows;
	e->combine_share = 0;
	if (keep)
		e->combine_bwd_share = 0;
	e->memory_bytes = expert * m->experts * share *
		(keep ? (double)m->moe_layers / l->pp : 1);
}
