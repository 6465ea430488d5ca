/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The limits of CTAs that the planner tries, and the network under each. */
#include "sim/search_priv.h"

#include "base/mem.h"
#include "sim/limit.h"

#include <assert.h>
#include <stdlib.h>

static void list_limits(struct search *x)
{
	const struct knob_int *k = &x->s->search.ctas;
	const struct gpu *g = &x->s->cluster.gpu;
	int i;

	if (k->is_auto) {
		x->ctas[x->n_ctas++] = 0;
		for (i = 0; i < g->n_limits; i++)
			x->ctas[x->n_ctas++] = g->limit[i].ctas;
		return;
	}
	for (; x->n_ctas < k->n; x->n_ctas++)
		x->ctas[x->n_ctas] = k->v[x->n_ctas];
}

void search_limits_release(struct search *x)
{
	while (x->n_limits > 0)
		net_release(&x->net[--x->n_limits]);
	free(x->net);
	x->net = NULL;
}

enum status search_limits_init(struct search *x)
{
	enum status st;
	int n;

	list_limits(x);
	n = x->n_ctas;
	if (!search_limit_listed(x, 0))
		x->ctas[n++] = 0;
	x->net = xcalloc((size_t)n, sizeof(*x->net));
	for (; x->n_limits < n; x->n_limits++) {
		int ctas = x->ctas[x->n_limits];

		st = limit_net(&x->s->cluster, ctas, &x->net[x->n_limits]);
		if (st == ST_INPUT && ctas)
			st = err_prefix(st, "%s: search.ctas",
					scenario_where(x->s, "search.ctas"));
		if (st) {
			search_limits_release(x);
			return st;
		}
	}
	return ST_OK;
}

bool search_limit_listed(const struct search *x, int ctas)
{
	int i = 0;

	while (i < x->n_ctas && x->ctas[i] != ctas)
		i++;
	return i < x->n_ctas;
}

const struct net *search_net(const struct search *x, int ctas)
{
	int i = 0;

	while (i < x->n_limits && x->ctas[i] != ctas)
		i++;
	assert(i < x->n_limits);
	return &x->net[i];
}
