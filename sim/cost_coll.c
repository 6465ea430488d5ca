/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The exchanges and sums of a layer, as collectives with their loads. */
#include "sim/cost_int.h"

#include "sim/coll_mirror.h"
#include "sim/exec_live.h"

/* Router gradients are summed in fp32 whatever the model's type. */
#define ROUTER_GRADIENT_BYTES 4

/* Larger exchanges keep no flows: their loads on links are then unknown, and
 * the flow model shares only memory and SMs with them. */
#define COST_FLOWS_MAX (1 << 20)

static enum status make_ring(struct cost *c, const struct coll_spec *cs,
			     enum cost_coll which, enum coll_op op, int group,
			     int stride, double bytes)
{
	enum status st;

	if (group == 1 || !(bytes > 0))
		return ST_OK;
	st = cost_shared_ring(c->spec.shared, cs, op, group, stride, bytes,
			      &c->coll[which]);
	if (!st && cs->keep_flows)
		coll_ring_flows(cs, op, group, stride, bytes, &c->coll[which]);
	return st;
}

/* Ring or tree, whichever is faster: so does NCCL. */
static enum status make_allreduce(struct cost *c, const struct coll_spec *cs,
				  enum cost_coll which, int group, int stride,
				  double bytes)
{
	struct coll_spec plain = *cs;
	enum coll_op op = COLL_ALLREDUCE;
	struct coll tree;
	enum status st;

	if (group < 2 || !(bytes > 0))
		return ST_OK;
	plain.keep_flows = false;
	/* what runs apart is taken off a block, so a bound has all of it */
	plain.bound_only = cs->bound_only && which != COST_DENSE;
	st = make_ring(c, &plain, which, op, group, stride, bytes);
	if (!st)
		st = cost_shared_ring(c->spec.shared, &plain,
				      COLL_ALLREDUCE_TREE, group, stride,
				      bytes, &tree);
	if (st)
		return st;
	if (coll_time(&tree, 1) < coll_time(&c->coll[which], 1)) {
		c->coll[which] = tree;
		op = COLL_ALLREDUCE_TREE;
	}
	if (cs->keep_flows)
		coll_ring_flows(cs, op, group, stride, bytes, &c->coll[which]);
	return ST_OK;
}

/*
 * As the runner does it: every member sends its rows to every other, and
 * those of all are sorted by expert; back, they are packed for their ranks,
 * sent, and added up with what the rank itself made.
 */
static enum status send_esp(struct cost *c, const struct coll_spec *cs,
			    double bytes)
{
	int esp = c->spec.layout.esp;
	const struct traffic t = {
		.n_ranks = c->spec.net->n_ranks, .group = esp, .stride = 1,
		.each = bytes / esp,
	};
	struct coll_spec few = *cs;
	enum status st;

	if ((double)t.n_ranks * esp > COST_FLOWS_MAX)
		few.keep_flows = false;
	st = coll_alltoall(&few, A2A_FLAT, &t, false,
			   &c->coll[COST_ESP_GATHER]);
	if (!st)
		st = coll_alltoall(&few, A2A_FLAT, &t, true,
				   &c->coll[COST_ESP_SCATTER]);
	if (st)
		return st;
	c->coll[COST_ESP_GATHER].step[0].copy_s +=
		cost_stream(c->gpu, 2 * bytes);
	c->coll[COST_ESP_SCATTER].step[0].copy_s +=
		cost_stream(c->gpu, 2 * bytes) +
		cost_stream(c->gpu, bytes + bytes / esp);
	return ST_OK;
}

static enum status make_esp(struct cost *c, const struct coll_spec *cs)
{
	const struct workload *w = c->spec.workload;
	int esp = c->spec.layout.esp;
	double bytes = layer_busiest_rows(w) * w->token_bytes;
	enum status st;

	if (esp > 1 && c->layer.pads && bytes > 0)
		return send_esp(c, cs, bytes);
	st = make_ring(c, cs, COST_ESP_GATHER, COLL_ALLGATHER, esp, 1, bytes);
	if (st)
		return st;
	return make_ring(c, cs, COST_ESP_SCATTER, COLL_REDUCESCATTER, esp, 1,
			 bytes);
}

static enum status make_allreduces(struct cost *c, const struct coll_spec *cs)
{
	const struct model *m = c->spec.model;
	const struct layout *l = &c->spec.layout;
	int b = dtype_bytes(m->dtype), all = l->dp * l->ep * l->esp;
	double experts = c->layer.local_experts *
		layer_expert_params(m, c->layer.ffn) * b;
	const struct {
		enum cost_coll which;
		int group, stride;
		double bytes;
	} row[] = {
		{ COST_ROUTER, all, 1, (double)m->hidden * m->experts *
		  ROUTER_GRADIENT_BYTES },
		{ COST_SHARED, all, 1, layer_shared_params(m) * b },
		{ COST_COPIES, layout_expert_copies(l, m), l->esp, experts },
		{ COST_DP, l->dp, l->ep * l->esp, experts },
		{ COST_DENSE, all / l->tp, l->tp, c->spec.dense_bytes },
	};
	enum status st = ST_OK;
	size_t i;

	for (i = 0; !st && i < sizeof(row) / sizeof(row[0]); i++) {
		st = make_allreduce(c, cs, row[i].which, row[i].group,
				    row[i].stride, row[i].bytes);
	}
	return st;
}

/* Where techniques change what comes home; a share of 0 is no exchange. */
static enum status make_home(struct cost *c, const struct coll_spec *cs)
{
	const struct cost_spec *s = &c->spec;
	const struct {
		double share;
		const struct traffic *traffic;
		bool reverse;
		enum cost_coll which;
	} way[] = {
		{ c->effect.combine_share, &s->workload->combine, true,
		  COST_HOME },
		{ c->effect.combine_bwd_share, &s->workload->dispatch, false,
		  COST_HOME_BWD },
	};
	enum status st = ST_OK;

	for (int i = 0; i < 2 && !st; i++) {
		struct traffic t;

		if (way[i].share == 1 || !(way[i].share > 0))
			continue;
		traffic_share(way[i].traffic, s->net->cluster.nodes,
			      way[i].share, &t);
		st = coll_alltoall(cs, s->alltoall, &t, way[i].reverse,
				   &c->coll[way[i].which]);
		traffic_release(&t);
	}
	return st;
}

static enum status make_alltoalls(struct cost *c, struct coll_spec cs)
{
	const struct cost_spec *s = &c->spec;
	enum status st;

	if (s->layout.ep == 1)
		return ST_OK;
	if (s->least) {
		return cost_shared_least(s->shared, &cs, s->alltoall,
					 s->workload, &c->coll[COST_DISPATCH],
					 &c->coll[COST_COMBINE]);
	}
	if ((double)s->net->n_ranks * s->layout.ep > COST_FLOWS_MAX)
		cs.keep_flows = false;
	st = coll_alltoall(&cs, s->alltoall, &s->workload->dispatch, false,
			   &c->coll[COST_DISPATCH]);
	if (!st)
		st = coll_alltoall(&cs, s->alltoall, &s->workload->combine,
				   true, &c->coll[COST_COMBINE]);
	if (!st)
		st = make_home(c, &cs);
	return st ? st : tech_shuffle(&cs, &s->layout, c->effect.shuffle_bytes,
				      &c->coll[COST_SHUFFLE]);
}

/*
 * Copied experts come from the ranks that hold them, as many from each: a ring
 * all-gather of their parameters over the EP group, and back a reduce-scatter.
 */
static enum status make_shadows(struct cost *c, const struct coll_spec *cs)
{
	const struct layout *l = &c->spec.layout;
	double bytes = c->effect.shadow_bytes;
	enum status st = make_ring(c, cs, COST_SHADOW, COLL_ALLGATHER, l->ep,
				   l->esp, bytes);

	return st ? st : make_ring(c, cs, COST_SHADOW_BWD, COLL_REDUCESCATTER,
				   l->ep, l->esp, bytes);
}

enum status cost_make_colls(struct cost *c)
{
	const struct cost_spec *s = &c->spec;
	struct coll_spec cs = {
		.net = s->net, .comm = s->comm, .tolerance = s->tolerance,
		.bound_only = s->bound_only, .keep_flows = s->keep_flows,
		.progress = s->progress, .places_rows = true,
		.flows_max = EXEC_LIVE_FLOWS_MAX, .mirror = coll_mirror_new(),
	};
	enum status st = make_alltoalls(c, cs);

	if (!st)
		st = make_esp(c, &cs);
	if (!st)
		st = make_allreduces(c, &cs);
	if (!st)
		st = make_shadows(c, &cs);
	coll_mirror_free(cs.mirror);
	return st;
}

void cost_make_loads(struct cost *c)
{
	struct link_rows rows[COST_COLL_N * A2A_STEPS_MAX];
	const struct net *net = c->spec.net;
	int i, j, n = 0;

	for (i = 0; i < COST_COLL_N; i++) {
		for (j = 0; j < c->coll[i].n_steps; j++)
			step_rows_take(&rows[n++], &c->coll[i].step[j], net);
	}
	link_set_init(&c->links, net, rows, n);
	for (i = 0, n = 0; i < COST_COLL_N; i++) {
		for (j = 0; j < c->coll[i].n_steps; j++) {
			step_load_init(&c->load[i][j], &c->coll[i].step[j],
				       net, &c->links, &rows[n]);
			link_rows_release(&rows[n++]);
			step_flows_drop(&c->coll[i].step[j]);
		}
	}
}
