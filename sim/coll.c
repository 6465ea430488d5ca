/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/coll.h"

#include "base/mem.h"
#include "scenarios/technique.h"
#include "sim/coll_int.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static void (*const builders[A2A_N])(struct coll_build *b) = {
	[A2A_FLAT] = coll_build_flat,
	[A2A_LEADER] = coll_build_leader,
	[A2A_2D] = coll_build_2d,
	[A2A_LANES] = coll_build_lanes,
	[A2A_DEDUP] = coll_build_dedup,
	[A2A_PAIRWISE] = coll_build_pairwise,
	[A2A_DIRECT] = coll_build_direct,
};

/* Combine: the same hops the other way. */
static void turn_round(struct coll_part *p)
{
	size_t i;

	for (i = 0; i < p->n_flows; i++) {
		int src = p->flow[i].src;

		p->flow[i].src = p->flow[i].dst;
		p->flow[i].dst = src;
	}
}

static void solve_flows(struct coll_build *b, const struct coll_view *v,
			struct coll_part *p, struct coll_step *out)
{
	struct coll_tally t;

	coll_tally_flows(b, v, p, &t);
	coll_price(b->spec, p, &t, out);
	out->merge_s = coll_merge(b->spec, t.bound_s);
	out->flow_s = b->spec->bound_only ? t.bound_s :
					    coll_makespan(b, v, p, &t);
	out->merge_error_s = t.merge_error_s;
}

/* Node 0's flows for every node. */
static void repeat_node(const struct coll_build *b, struct coll_part *p)
{
	size_t n = p->n_flows, i;
	int m;

	for (m = 1; m < b->nodes; m++) {
		for (i = 0; i < n; i++) {
			const struct coll_flow f = p->flow[i];

			coll_add(p, f.src + m * b->gpus, f.dst + m * b->gpus,
				 f.bytes);
			p->flow[p->n_flows - 1].finish_s = f.finish_s;
		}
	}
}

/* The flows for the caller, in the order in which they start. */
static void keep_flows(const struct coll_build *b, struct coll_part *p,
		       struct coll_step *out)
{
	size_t *begin = NULL;
	int i;

	if (p->pattern.used) {
		coll_part_release(p);
		coll_pattern_expand(b->spec->net, b->nodes, p);
	}
	if (p->one_node)
		repeat_node(b, p);
	if (p->rounds && p->n_flows) {
		begin = coll_sort_by_shift(b, p);
		out->n_rounds = b->group;
		out->round_begin = xcalloc((size_t)b->group + 1,
					   sizeof(*out->round_begin));
		for (i = 0; i <= b->group; i++)
			out->round_begin[i] = (int)begin[i];
	} else if (b->spec->comm.window > 0 && p->n_flows) {
		begin = coll_sort_by_source(b, p);
		out->window = b->spec->comm.window;
	}
	free(begin);
	out->flow = p->flow;
	out->n_flows = (int)p->n_flows;
}

/* Flows of all nodes, from node 0's. */
static double all_flows(const struct coll_build *b, const struct coll_part *p)
{
	double n = 0;
	size_t i;

	for (i = 0; i < p->n_flows; i++)
		n += coll_times(p, i);
	return n * (p->pattern.used || p->one_node ? b->nodes : 1);
}

/* What node 0's flows of a pattern say of all links, from a folded view. */
static void say_rows(const struct coll_build *b, const struct coll_view *v,
		     const struct coll_part *p, struct coll_step *out)
{
	double *rank = xcalloc((size_t)b->gpus, sizeof(*rank));
	size_t i;

	coll_view_rows(v, p, &out->rows);
	for (i = 0; i < p->n_flows; i++) {
		double *sum = &rank[p->flow[i].src];

		/* it receives as much as it sends */
		*sum = coll_plus_times(*sum, p->flow[i].bytes,
				       2 * coll_times(p, i));
		out->rank_bytes = fmax(out->rank_bytes, *sum);
	}
	free(rank);
}

/* A pattern by node 0's flows; the others only if they are asked for. */
static void solve_part(struct coll_build *b, struct coll_part *p,
		       struct coll_step *out)
{
	struct coll_view v;

	coll_view_init(&v, b->spec, p->pattern.used);
	if (p->pattern.used)
		coll_pattern_first(b, p);
	else if (b->reverse)
		turn_round(p);
	solve_flows(b, &v, p, out);
	if (b->spec->keep_flows && p->pattern.used && b->spec->flows_max &&
	    all_flows(b, p) > b->spec->flows_max) {
		say_rows(b, &v, p, out);
		coll_part_release(p);
	} else if (b->spec->keep_flows) {
		keep_flows(b, p, out);
	} else {
		coll_part_release(p);
	}
	coll_view_release(&v);
	p->flow = NULL;
}

void coll_build_init(struct coll_build *b, const struct coll_spec *spec,
		     const struct traffic *t, bool reverse)
{
	const struct cluster *c = &spec->net->cluster;

	*b = (struct coll_build){
		.spec = spec, .t = t, .reverse = reverse,
		.ranks = t->n_ranks, .nodes = c->nodes,
		.gpus = c->gpus_per_node, .group = t->group,
		.stride = t->stride };
	if (t->bytes && t->group <= 0) {
		b->group = t->n_ranks;
		b->stride = 1;
	}
	b->shape = coll_shape_of(c, b->group, b->stride);
}

/* Flow by flow: at most one per pair of peers in any step. */
enum status coll_check_size(const struct coll_build *b)
{
	double flows = (double)b->ranks * coll_peers(b);

	if (coll_symmetric(b) && !b->spec->keep_flows)
		return ST_OK;
	if (flows <= COLL_FLOWS_MAX)
		return ST_OK;
	return err_set(ST_INPUT, "an exchange among %d of %d GPUs makes %.0f "
		       "flows on this network: at most %d can be simulated "
		       "one by one", coll_peers(b), b->ranks, flows,
		       COLL_FLOWS_MAX);
}

/* Steps in the direction's order. */
static void place_steps(struct coll_build *b, enum a2a_alg alg,
			struct coll *out)
{
	int n = a2a_table[alg].n_steps, i;

	out->n_steps = n;
	for (i = 0; i < n; i++) {
		struct a2a_step row = a2a_step_at(alg, b->reverse, i);
		struct coll_step *s = &out->step[i];

		s->lane = row.lane;
		s->beside = row.beside;
		solve_part(b, &b->part[b->reverse ? n - 1 - i : i], s);
		out->messages += s->messages;
	}
}

/* Constants of its own in the place of the tier's; all flows at once. */
static double use_direct(struct coll_spec *spec, struct net *net)
{
	struct gpu *g = &net->cluster.gpu;

	spec->net = net;
	spec->comm = (struct comm_spec){ 0 };
	return coll_own_constants(&g->direct, &g->intra);
}

enum status coll_alltoall(const struct coll_spec *given, enum a2a_alg alg,
			  const struct traffic *t, bool reverse,
			  struct coll *out)
{
	struct coll_spec own = *given;
	const struct coll_spec *spec = &own;
	struct net net = *given->net;
	struct coll_build b;
	double scale = 1;
	enum status st;

	if (alg == A2A_DIRECT)
		scale = use_direct(&own, &net);
	assert(t->n_ranks == spec->net->n_ranks);
	assert(t->bytes || t->n_ranks % (t->group * t->stride) == 0);
	coll_build_init(&b, spec, t, reverse);
	b.scale = scale;
	st = coll_check_size(&b);
	if (st)
		return st;
	*out = (struct coll){ 0 };
	builders[alg](&b);
	place_steps(&b, alg, out);
	return ST_OK;
}

void coll_release(struct coll *c)
{
	int i;

	for (i = 0; i < c->n_steps; i++) {
		free(c->step[i].flow);
		free(c->step[i].round_begin);
		link_rows_release(&c->step[i].rows);
	}
	*c = (struct coll){ 0 };
}

static double simple_time(const struct coll_step *s, double share)
{
	return s->fixed_s + s->ramp * sqrt(share * s->busiest_bytes) +
		share * (s->flow_s + s->copy_s);
}

/* INFINITY where the protocol is not allowed. */
static double low_latency_time(const struct coll_step *s, double share)
{
	if (share * s->largest_bytes > s->ll_bytes || isinf(s->ll_fixed_s))
		return INFINITY;
	return s->ll_fixed_s +
		share * (s->flow_s * s->ll_slowdown + s->copy_s);
}

bool coll_step_low_latency(const struct coll_step *s, double share)
{
	return low_latency_time(s, share) < simple_time(s, share);
}

double coll_step_time(const struct coll_step *s, double share)
{
	return fmin(simple_time(s, share), low_latency_time(s, share));
}

double coll_time(const struct coll *c, double share)
{
	double now = 0, begin = 0;
	int i;

	for (i = 0; i < c->n_steps; i++) {
		if (!c->step[i].beside)
			begin = now;
		now = fmax(now, begin + coll_step_time(&c->step[i], share));
	}
	return now;
}
