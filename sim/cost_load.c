/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost_load.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static void add_flow(struct step_load *l, const struct net *net,
		     const struct coll_flow *f)
{
	struct route route;
	int i;

	net_route(net, f->src, f->dst, &route);
	for (i = 0; i < route.n; i++)
		l->link_bytes[route.link[i]] += f->bytes;
}

/* Sent bytes are read from memory, received ones written. */
static double busiest_hbm(const struct coll_step *s, const struct net *net)
{
	double *rank = xcalloc((size_t)net->n_ranks, sizeof(*rank));
	double most = 0;
	int i;

	for (i = 0; i < s->n_flows; i++) {
		rank[s->flow[i].src] += s->flow[i].bytes;
		rank[s->flow[i].dst] += s->flow[i].bytes;
	}
	for (i = 0; i < net->n_ranks; i++)
		most = fmax(most, rank[i]);
	free(rank);
	return most;
}

void step_load_init(struct step_load *l, const struct coll_step *s,
		    const struct net *net)
{
	int i;

	*l = (struct step_load){ .hbm_bytes = 2 * s->busiest_bytes,
				 .busiest_link = s->busiest_link };
	if (s->busiest_link >= 0) {
		l->busiest_bytes = s->bound_s *
			net->capacity_Bps[s->busiest_link];
	}
	if (!s->flow)
		return;
	l->link_bytes = xcalloc((size_t)net->n_links, sizeof(*l->link_bytes));
	for (i = 0; i < s->n_flows; i++) {
		if (s->flow[i].src != s->flow[i].dst)
			add_flow(l, net, &s->flow[i]);
	}
	l->hbm_bytes = busiest_hbm(s, net);
}

void step_load_release(struct step_load *l)
{
	free(l->link_bytes);
	*l = (struct step_load){ 0 };
}
