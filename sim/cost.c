/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost.h"

#include "base/mem.h"
#include "sim/coll_mirror.h"
#include "sim/cost_layer.h"
#include "sim/cost_load.h"
#include "sim/cost_power.h"
#include "sim/cost_shared.h"
#include "sim/dense.h"
#include "sim/exec_live.h"
#include "sim/net_fault.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Router gradients are summed in fp32 whatever the model's type. */
#define ROUTER_GRADIENT_BYTES 4

/* Larger exchanges keep no flows: their loads on links are then unknown, and
 * the flow model shares only memory and SMs with them. */
#define COST_FLOWS_MAX (1 << 20)

enum cost_coll {
	COST_DISPATCH,
	COST_COMBINE,
	COST_HOME,	/* a technique's OP_COMBINE, OP_COMBINE_BWD */
	COST_HOME_BWD,
	COST_ESP_GATHER,
	COST_ESP_SCATTER,
	COST_ROUTER,
	COST_SHARED,
	COST_COPIES,
	COST_DP,
	COST_DENSE,	/* the plan's gradients of dense layers */
	COST_SHADOW,	/* copied experts there, their gradients back */
	COST_SHADOW_BWD,
	COST_SHUFFLE,	/* base: tokens among ranks, there and back */
	COST_COLL_N,
};

struct cost {
	struct cost_spec spec;
	struct tech_effect effect;
	const struct gpu *gpu;
	struct layer layer;
	struct dense dense;
	struct coll coll[COST_COLL_N];
	struct step_load load[COST_COLL_N][A2A_STEPS_MAX];
	struct link_set links;	/* of the loads */
	struct work fixed[OP_KIND_N];	/* ops that are not cut in chunks */
	struct power power;
	struct expert_costs *expert;	/* its own, or spec.shared's */
	bool own_expert;
};

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

static enum status make_esp(struct cost *c, const struct coll_spec *cs)
{
	const struct workload *w = c->spec.workload;
	int esp = c->spec.layout.esp;
	double bytes = layer_busiest_rows(w) * w->token_bytes;
	enum status st;

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

static enum status make_colls(struct cost *c)
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

static void make_loads(struct cost *c)
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

static struct work slowest_expert(const struct cost *c, const struct op *op);

static double pair_time(const struct cost *c, enum cost_coll there,
			enum cost_coll back)
{
	return coll_time(&c->coll[there], 1) + coll_time(&c->coll[back], 1);
}

static void power_init(struct cost *c)
{
	static const enum op_kind expert[] = {
		OP_EXPERT, OP_EXPERT_BWD_DATA, OP_EXPERT_BWD_WEIGHT,
	};
	static const enum cost_coll sum[] = {
		COST_ROUTER, COST_SHARED, COST_COPIES, COST_DP, COST_SHADOW,
		COST_SHADOW_BWD,
	};
	struct power *p = &c->power;
	struct op op = { .n_chunks = 1 };
	struct work work;
	size_t i;

	/* bounds of a search know no exchange in full, and use none of it */
	if (c->spec.bound_only)
		return;
	p->spared = 1 - c->gpu->exchange_power;
	for (i = 0; i < sizeof(expert) / sizeof(expert[0]); i++) {
		op.kind = expert[i];
		work = slowest_expert(c, &op);
		power_add(p, &work);
	}
	for (i = 0; i < OP_KIND_N; i++)
		power_add(p, &c->fixed[i]);
	p->chunked_s = 2 * (pair_time(c, COST_DISPATCH, COST_COMBINE) +
			    pair_time(c, COST_ESP_GATHER, COST_ESP_SCATTER));
	for (i = 0; i < sizeof(sum) / sizeof(sum[0]); i++)
		p->whole_s += coll_time(&c->coll[sum[i]], 1);
}

static enum status check_dtype(const struct cost_spec *spec)
{
	const struct gpu *g = &spec->net->cluster.gpu;
	enum dtype t = spec->model->dtype;

	if (g->flops[t] > 0)
		return ST_OK;
	return err_set(ST_INPUT, "'model.dtype' is '%s', which gpu '%s' has "
		       "no rate for", dtype_name(t), g->name);
}

enum status cost_new(const struct cost_spec *spec, struct cost **out_p)
{
	struct cost *c;
	enum status st = check_dtype(spec);
	int k;

	if (st)
		return st;
	c = xcalloc(1, sizeof(*c));
	c->spec = *spec;
	c->effect = spec->effect ? *spec->effect : tech_none;
	c->gpu = &spec->net->cluster.gpu;
	c->own_expert = !spec->shared || spec->keep_flows;
	c->expert = c->own_expert ? expert_costs_new() :
		cost_shared_experts(spec->shared);
	layer_init(&c->layer, c->gpu, spec->model, &spec->layout,
		   spec->workload);
	layer_set_measured(&c->layer, spec->measured, &spec->layout,
			   spec->alltoall);
	if (spec->alltoall == A2A_DEDUP && c->spec.net->cluster.gpus_per_node == 1)
		layer_set_dedup(&c->layer, &spec->layout, spec->workload);
	dense_init(&c->dense, c->gpu, spec->model, &spec->layout);
	if (spec->alltoall == A2A_DIRECT && spec->layout.ep > 1)
		layer_set_direct(&c->layer, &spec->layout, spec->workload);
	st = make_colls(c);
	if (st) {
		cost_free(c);
		return st;
	}
	if (spec->keep_flows)
		make_loads(c);
	for (k = 0; k < OP_KIND_N; k++)
		layer_work(&c->layer, (enum op_kind)k, &c->fixed[k]);
	layer_own_work(&c->effect, c->fixed);
	for (k = 0; k < OP_KIND_N; k++)
		work_slow(&c->fixed[k], net_gpu_share_least(spec->net, 1));
	power_init(c);
	*out_p = c;
	return ST_OK;
}

void cost_free(struct cost *c)
{
	int i, j;

	if (!c)
		return;
	for (i = 0; i < COST_COLL_N; i++) {
		for (j = 0; j < A2A_STEPS_MAX; j++)
			step_load_release(&c->load[i][j]);
		coll_release(&c->coll[i]);
	}
	link_set_release(&c->links);
	if (c->own_expert)
		expert_costs_free(c->expert);
	free(c);
}

static int expert_kind(const struct op *op)
{
	switch (op->kind) {
	case OP_EXPERT:
		return EXPERT_FORWARD;
	case OP_EXPERT_BWD_DATA:
		return EXPERT_DATA;
	case OP_EXPERT_BWD_WEIGHT:
		return op->chunk ? EXPERT_WEIGHT_ADD : EXPERT_WEIGHT;
	default:
		return -1;
	}
}

static void take_slower(const struct cost *c, const struct op *op, int rank,
			struct work *most)
{
	const struct workload *w = c->spec.workload;
	const double *rows = w->rows + (size_t)rank * (size_t)w->local_experts;
	struct work work;

	layer_expert_work(&c->layer, op->kind, rows, 1.0 / op->n_chunks,
			  op->chunk > 0, &work);
	work_slow(&work, net_gpu_share(c->spec.net, rank));
	if (work.seconds > most->seconds)
		*most = work;
}

/* The slowest rank's; a rank with the rows of the one before is skipped,
 * where all are as fast. */
static struct work slowest_expert(const struct cost *c, const struct op *op)
{
	struct work most = { 0 };
	int i;

	if (c->spec.net->gpu_share) {
		for (i = 0; i < c->spec.workload->ranks; i++)
			take_slower(c, op, i, &most);
		return most;
	}
	expert_costs_list(c->expert, c->spec.workload);
	for (i = 0; i < c->expert->n_ranks; i++)
		take_slower(c, op, c->expert->rank[i], &most);
	return most;
}

static struct work dense_op(const struct cost *c, const struct op *op)
{
	const struct coll_spec cs = {
		.net = c->spec.net, .comm = c->spec.comm,
		.tolerance = c->spec.tolerance,
	};

	return dense_op_work(&c->dense, &cs, op->kind == OP_DENSE_BWD,
			     op->n_chunks);
}

static struct work plain_work(const struct cost *c, const struct op *op)
{
	int kind = expert_kind(op);
	struct expert_cost *e;
	struct work work;

	if (op->kind == OP_DENSE || op->kind == OP_DENSE_BWD)
		return dense_op(c, op);
	if (kind < 0) {
		work = c->fixed[op->kind];
		if (op->n_chunks > 1) {
			layer_chunk_work(&c->layer, &c->effect, op->kind,
					 op->n_chunks, &work);
			work_slow(&work, net_gpu_share_least(c->spec.net, 1));
		}
		work_hold(&work, power_holds(&c->power, 1));
		return work;
	}
	assert(op->n_chunks >= 1 && op->n_chunks <= PLAN_DEGREE_MAX);
	e = &c->expert->at[kind * (PLAN_DEGREE_MAX + 1) + op->n_chunks];
	if (!e->known) {
		e->work = slowest_expert(c, op);
		e->known = true;
	}
	/* others with other exchanges share the work, not the power */
	work = e->work;
	work_hold(&work, power_holds(&c->power, op->n_chunks));
	return work;
}

static struct work op_work(const struct cost *c, const struct op *op)
{
	struct work work = plain_work(c, op);

	if (op->plans)
		layer_plan_work(&c->layer, op->kind, op->plans,
				layer_busiest_rows(c->spec.workload), &work);
	return work;
}

/* Which collective an op is a step of; COST_COLL_N: none. */
static enum cost_coll op_coll(const struct cost *c, const struct op *op)
{
	switch (op->kind) {
	case OP_DISPATCH:
		return COST_DISPATCH;
	case OP_COMBINE_BWD:
		return c->effect.combine_bwd_share == 1 ? COST_DISPATCH :
			COST_HOME_BWD;
	case OP_COMBINE:
		return c->effect.combine_share == 1 ? COST_COMBINE :
			COST_HOME;
	case OP_DISPATCH_BWD:
		return COST_COMBINE;
	case OP_ALLGATHER:
		return COST_ESP_GATHER;
	case OP_REDUCESCATTER:
		return COST_ESP_SCATTER;
	case OP_ALLREDUCE_GATE:
		return op->step == ALLREDUCE_SHARED ? COST_SHARED :
			op->step == ALLREDUCE_DENSE ? COST_DENSE :
			COST_ROUTER;
	case OP_ALLREDUCE_EXPERT:
		return op->step == ALLREDUCE_DP ? COST_DP : COST_COPIES;
	case OP_SHADOW:
		return COST_SHADOW;
	case OP_SHADOW_BWD:
		return COST_SHADOW_BWD;
	case OP_SHUFFLE:
	case OP_UNSHUFFLE:
		return COST_SHUFFLE;
	default:
		return COST_COLL_N;
	}
}

/* Only all-to-alls have more than one step. */
static int op_step(const struct cost *c, const struct op *op)
{
	enum cost_coll which = op_coll(c, op);

	return which <= COST_HOME_BWD ? op->step : 0;
}

const struct coll_step *cost_op_step(const struct cost *c,
				     const struct op *op)
{
	enum cost_coll which = op_coll(c, op);

	if (which == COST_COLL_N || op_step(c, op) >= c->coll[which].n_steps)
		return NULL;
	return &c->coll[which].step[op_step(c, op)];
}

const struct step_load *cost_op_load(const struct cost *c,
				     const struct op *op)
{
	if (!cost_op_step(c, op))
		return NULL;
	return &c->load[op_coll(c, op)][op_step(c, op)];
}

double cost_op(const struct cost *c, const struct op *op)
{
	double slow = op->slow > 0 ? op->slow : 1;
	const struct coll_step *step;

	if (!op_kind_is_comm(op->kind))
		return slow * op_work(c, op).seconds;
	step = cost_op_step(c, op);
	return step ? slow * coll_step_time(step, 1.0 / op->n_chunks) : 0;
}

double cost_op_outside(const struct cost *c, const struct op *op)
{
	return op_kind_is_comm(op->kind) ? 0 : op_work(c, op).outside_s;
}

double cost_op_first(const struct cost *c, const struct op *op)
{
	struct work w;

	if (op_kind_is_comm(op->kind) || !c->layer.pads)
		return 0;
	w = op_work(c, op);
	return w.seconds > 0 ? w.first_s / w.seconds : 0;
}

double cost_op_hbm_bytes(const struct cost *c, const struct op *op)
{
	if (op_kind_is_comm(op->kind))
		return 0;
	return op_work(c, op).bytes;
}

double cost_apart_s(const struct cost *c, int pass, bool sums)
{
	struct op op = { .kind = pass ? OP_DENSE_BWD : OP_DENSE,
			 .n_chunks = 1 };
	double s = dense_op(c, &op).seconds;

	return sums ? fmax(s, coll_time(&c->coll[COST_DENSE], 1)) : s;
}

const struct link_set *cost_links(const struct cost *c)
{
	return &c->links;
}

const struct net *cost_net(const struct cost *c)
{
	return c->spec.net;
}
