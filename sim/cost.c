/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost_int.h"

#include "base/mem.h"
#include "sim/cost_shared.h"
#include "sim/net_fault.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
	st = cost_make_colls(c);
	if (st) {
		cost_free(c);
		return st;
	}
	if (spec->keep_flows)
		cost_make_loads(c);
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
	double end_s;

	layer_expert_work(&c->layer, op->kind, rows, 1.0 / op->n_chunks,
			  op->chunk > 0, &work);
	work_slow(&work, net_gpu_share(c->spec.net, rank));
	end_s = fmax(work.seconds + work.late_s,
		     most->seconds + most->late_s);
	if (work.seconds > most->seconds)
		*most = work;
	most->late_s = end_s - most->seconds;
	most->host_s = fmax(most->host_s, work.host_s);
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

double cost_op_queued(const struct cost *c, const struct op *op,
		      struct op_host *out)
{
	double slow = op->slow > 0 ? op->slow : 1;
	struct work w;

	*out = (struct op_host){ 0 };
	if (op_kind_is_comm(op->kind))
		return cost_op(c, op);
	w = op_work(c, op);
	out->is_met = op->kind == OP_GATE && c->layer.dropless;
	out->host_s = w.host_s;
	out->late_s = fmax(w.late_s - (slow - 1) * w.seconds, 0);
	return slow * w.seconds;
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
