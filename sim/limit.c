/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/limit.h"

#include "base/buf.h"

#include <assert.h>

static enum status not_measured(const struct gpu *g, int ctas)
{
	struct buf list = { 0 };
	int i;

	for (i = 0; i < g->n_limits; i++)
		buf_addf(&list, "%s%d", i ? ", " : "", g->limit[i].ctas);
	err_set(ST_INPUT, "'ctas' is '%d', but exchanges of this cluster's "
		"GPUs were not measured under that limit (measured: %s)",
		ctas, list.len ? buf_str(&list) : "none");
	buf_release(&list);
	return ST_INPUT;
}

/* Collectives without constants of their own had the tier's. */
static void keep(struct comm_tier *op, const struct comm_tier *tier)
{
	int i;

	for (i = 0; i < COMM_OP_N; i++) {
		if (!(op[i].efficiency > 0))
			op[i] = *tier;
	}
}

enum status limit_gpu(struct gpu *g, int ctas)
{
	int i = 0;

	assert(!g->ctas);
	if (!ctas)
		return ST_OK;
	while (i < g->n_limits && g->limit[i].ctas != ctas)
		i++;
	if (i == g->n_limits)
		return not_measured(g, ctas);
	keep(g->intra_op, &g->intra);
	keep(g->inter_op, &g->inter);
	g->unlimited = (struct comm_limit){ 0, g->intra, g->inter };
	g->intra = g->limit[i].intra;
	g->inter = g->limit[i].inter;
	g->ctas = ctas;
	return ST_OK;
}

enum status limit_net(const struct cluster *c, int ctas, struct net *out)
{
	struct cluster limited = *c;
	enum status st = limit_gpu(&limited.gpu, ctas);

	return st ? st : net_init(out, &limited, NET_EFFECTIVE);
}
