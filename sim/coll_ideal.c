/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/coll_int.h"

#include <stdlib.h>

static void add_pairs(struct coll_build *b, int nodes, struct coll_part *p)
{
	int peers = coll_peers(b), s, j;

	for (s = 0; s < nodes * b->gpus; s++) {
		for (j = 0; j < peers; j++) {
			int d = coll_peer(b, s, j);

			coll_add(p, s, d, coll_cell(b, s, d));
		}
	}
}

static void keep(struct coll_build *b, bool folded, struct coll_part *p,
		 struct coll_ideal *out)
{
	if (!b->spec->keep_flows) {
		free(p->flow);
		return;
	}
	if (folded) {
		free(p->flow);
		*p = (struct coll_part){ 0 };
		add_pairs(b, b->nodes, p);
	}
	out->flow = p->flow;
	out->n_flows = p->n_flows;
}

enum status coll_ideal(const struct coll_spec *spec, const struct traffic *t,
		       struct coll_ideal *out)
{
	struct coll_part p = { 0 };
	struct coll_tally tally;
	struct coll_build b;
	struct coll_view v;
	double merge_s;
	enum status st;
	bool folded;

	coll_build_init(&b, spec, t, false);
	st = coll_check_size(&b);
	if (st)
		return st;
	folded = coll_symmetric(&b);
	coll_view_init(&v, spec, folded);
	add_pairs(&b, folded ? 1 : b.nodes, &p);
	coll_tally_flows(&b, &v, &p, &tally);
	merge_s = spec->merge_s > 0 ? spec->merge_s :
				      spec->tolerance * tally.bound_s;
	*out = (struct coll_ideal){ .bound_s = tally.bound_s,
				    .busiest_link = tally.busiest_link };
	if (p.n_flows)
		out->makespan_s = coll_solve(&v, p.flow, p.n_flows, true, 0,
					     merge_s, &out->merge_error_s);
	coll_view_release(&v);
	keep(&b, folded, &p, out);
	return ST_OK;
}
