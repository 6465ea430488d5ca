/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost_load.h"

#include "base/mem.h"
#include "sim/exec_live.h"

#include <math.h>
#include <stdlib.h>

void step_rows_take(struct link_rows *out, struct coll_step *s,
		    const struct net *net)
{
	*out = s->rows;
	s->rows = (struct link_rows){ 0 };
	if (!out->n_rows && s->flow)
		link_rows_add_flows(out, net, s->flow, (size_t)s->n_flows);
}

void step_load_init(struct step_load *l, const struct coll_step *s,
		    const struct net *net, const struct link_set *set,
		    const struct link_rows *rows)
{
	*l = (struct step_load){ .hbm_bytes = 2 * s->busiest_bytes,
				 .busiest_link = s->busiest_link };
	if (s->busiest_link >= 0) {
		l->busiest_bytes = s->bound_s *
			net->capacity_Bps[s->busiest_link];
	}
	if (!rows->n_rows)
		return;
	l->link_bytes = link_set_bytes(set, net, rows);
	/* sent bytes are read from memory, received ones written */
	l->hbm_bytes = s->flow ? coll_rank_bytes(net, s->flow,
						 (size_t)s->n_flows) :
		s->rank_bytes;
}

void step_load_release(struct step_load *l)
{
	free(l->link_bytes);
	*l = (struct step_load){ 0 };
}

void step_flows_drop(struct coll_step *s)
{
	if (s->n_flows <= EXEC_LIVE_FLOWS_MAX)
		return;
	free(s->flow);
	s->flow = NULL;
	s->n_flows = 0;
}
