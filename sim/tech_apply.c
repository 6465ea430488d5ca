/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_apply.h"

#include "sim/tech_condense.h"
#include "sim/tech_locmoe.h"
#include "sim/tech_lsh.h"
#include "sim/tech_migrate.h"

#include <math.h>
#include <stdlib.h>

/* Lists that are measured: enough for a rate within a few percent. */
#define LIST_MIN 16
#define LIST_MAX 512
#define DIM_MAX 1024
#define SEQUENCES_TRIED_MAX 4096

const struct tech_effect tech_none = {
	.rate = 1, .combine_share = 1, .combine_bwd_share = 1,
	.gate_s = { -1, -1 }, .permute_s = { -1, -1 },
	.unpermute_s = { -1, -1 },
};

static int count_bits(unsigned mask)
{
	int n = 0;

	for (; mask; mask &= mask - 1)
		n++;
	return n;
}

int tech_sets(unsigned allowed, unsigned *out, int max)
{
	int n = 0;

	allowed &= ~TECH_SCHEDULES;
	for (int bits = 1; bits < TECH_N; bits++) {
		for (unsigned m = 1; m <= allowed && n < max; m++) {
			if (!(m & ~allowed) && count_bits(m) == bits &&
			    technique_mask_fits(m))
				out[n++] = m;
		}
	}
	return n;
}

/* ---- measuring on tokens ---- */

static double copies_of(const struct tech_place *at)
{
	return (double)layout_tokens(at->layout, &at->s->model) *
		at->s->model.experts_per_token;
}

/* A list: the copies of one rank for one expert. */
static int list_tokens(const struct tech_place *at)
{
	double n = copies_of(at) / at->s->model.experts;

	return (int)fmin(fmax(n, LIST_MIN), LIST_MAX);
}

static struct tokens_spec tokens_of(const struct tech_place *at)
{
	const struct tech_spec *t = &at->s->technique;
	int n = list_tokens(at);

	return (struct tokens_spec){
		.n = n,
		.dim = at->s->model.hidden < DIM_MAX ? at->s->model.hidden :
			DIM_MAX,
		.clustered = t->clustered,
		.clusters = (int)fmax(1, t->clustered * n / t->cluster_size),
		.similarity = t->similarity,
		.seed = at->s->routing.seed,
	};
}

static struct lsh_spec lsh_of(const struct tech_place *at, int dim)
{
	const struct tech_spec *t = &at->s->technique;
	int buckets = t->lsh.buckets & ~1;

	return (struct lsh_spec){
		.rotation = LSH_HADAMARD, .hashes = t->lsh.hashes,
		.buckets = buckets < 2 || buckets > 2 * dim ? 0 : buckets,
		.rounds = LSH_ROUNDS_DEFAULT, .seed = at->s->routing.seed,
	};
}

static enum status measure_lsh(const struct tech_place *at)
{
	const struct tech_spec *t = &at->s->technique;
	struct tokens_spec tokens = tokens_of(at);
	struct lsh_spec spec = lsh_of(at, tokens.dim);
	struct lsh_point p = { t->lsh.rate, t->lsh.error };
	enum status st = ST_OK;

	if (!(p.rate > 0))
		st = lsh_measure(&spec, &tokens, &p);
	at->cache->lsh_rate = p.rate;
	at->cache->lsh_error = p.centroid_error;
	return st;
}

/*
 * The first block computes all pairs, the others what the block before left
 * open; tokens are taken to keep their similarities from block to block.
 */
static enum status condense_with_history(const struct tech_place *at,
					 const struct condense_spec *spec,
					 const struct tokens *tokens,
					 struct condense_result *r)
{
	double layers = fmax(at->s->model.moe_layers, 1), share;
	struct condense_history known = { 0 };
	enum status st = condense_run(spec, tokens, NULL, 1, 1, &known, r);

	if (st)
		return st;
	condense_result_release(r);
	st = condense_run(spec, tokens, NULL, 1, 1, &known, r);
	condense_history_release(&known);
	if (st)
		return st;
	share = r->pairs ? (double)r->computed / (double)r->pairs : 0;
	at->cache->condense_computed = (1 + (layers - 1) * share) / layers;
	return ST_OK;
}

static enum status measure_condense(const struct tech_place *at)
{
	const struct tech_spec *t = &at->s->technique;
	struct condense_spec spec = {
		.scale = CONDENSE_CLIP,
		.threshold = t->condensation.threshold,
		.sure = CONDENSE_SURE_DEFAULT,
		.never = CONDENSE_NEVER_DEFAULT,
	};
	struct tokens_spec tspec = tokens_of(at);
	struct condense_result r;
	struct tokens tokens;
	enum status st;

	at->cache->condense_rate = t->condensation.rate;
	at->cache->condense_error = t->condensation.error;
	at->cache->condense_computed = 1;
	if (t->condensation.rate > 0)
		return ST_OK;
	st = tokens_make(&tspec, &tokens);
	if (st)
		return st;
	st = condense_with_history(at, &spec, &tokens, &r);
	tokens_release(&tokens);
	if (st)
		return st;
	at->cache->condense_rate = condense_rate(&r);
	at->cache->condense_error = r.error;
	at->cache->condense_edges = (double)r.edges / (double)r.copies;
	condense_result_release(&r);
	return ST_OK;
}

static enum status measure(const struct tech_place *at)
{
	enum status st;

	if (at->cache->list == list_tokens(at))
		return ST_OK;
	st = measure_lsh(at);
	if (!st)
		st = measure_condense(at);
	if (!st)
		at->cache->list = list_tokens(at);
	return st;
}

/* ---- one technique after the other ---- */

/* Compute, the small exchanges beside it, and what the host waits for. */
double tech_own_s(const struct tech_place *at, const struct tech_cost *c)
{
	const struct cluster *cl = &at->s->cluster;
	const struct comm_tier *tier = &cl->gpu.inter;
	double latency = cl->nic.latency_s, link = cl->nic.bandwidth_Bps;

	if (group_in_domain(cl, at->layout->ep, at->layout->esp)) {
		tier = &cl->gpu.intra;
		latency = cl->intra.latency_s;
		link = cl->intra.bandwidth_Bps;
	}
	return tech_cost_compute_s(c, &cl->gpu, at->s->model.dtype) +
		c->host_syncs * cl->gpu.kernel_s +
		c->exchanges * (tier->ll_launch_s + latency) +
		c->messages * tier->message_s +
		c->exchange_bytes / (link * tier->efficiency);
}

/* Of one pass: 0 forward, 1 backward. */
static void add_own(const struct tech_place *at, const struct tech_cost *before,
		    const struct tech_cost *after, int pass,
		    struct tech_effect *e)
{
	e->compress_s[pass] += tech_own_s(at, before);
	e->restore_s[pass] += tech_own_s(at, after);
}

static enum status apply_lsh(const struct tech_place *at, struct workload *w,
			     struct tech_effect *e)
{
	const struct model *m = &at->s->model;
	struct lsh_shape shape = {
		.tokens = layout_tokens(at->layout, m),
		.copies = copies_of(at), .dim = m->hidden,
		.element_bytes = dtype_bytes(m->dtype),
		.peers = at->layout->ep - 1, .experts = m->experts,
	};
	struct lsh_spec spec = lsh_of(at, m->hidden);
	struct lsh_effect effect;
	enum status st = measure(at);

	if (st)
		return st;
	lsh_effect_make(&spec, &shape, (struct lsh_point){
		at->cache->lsh_rate, at->cache->lsh_error }, &effect);
	tech_scale(effect.rate, at, w);
	e->rate *= effect.rate;
	e->error += effect.error;
	add_own(at, &effect.before[0], &effect.after[0], 0, e);
	add_own(at, &effect.before[1], &effect.after[1], 1, e);
	return ST_OK;
}

static enum status apply_condense(const struct tech_place *at,
				  struct workload *w, struct tech_effect *e)
{
	const struct model *m = &at->s->model;
	struct condense_shape shape = {
		.copies = copies_of(at), .experts = m->experts,
		.dim = m->hidden, .element_bytes = dtype_bytes(m->dtype),
		.peers = at->layout->ep - 1,
	};
	struct condense_effect effect;
	enum status st = measure(at);

	if (st)
		return st;
	shape.computed = at->cache->condense_computed;
	shape.edges = at->cache->condense_edges;
	condense_effect_make(&shape, at->cache->condense_rate,
			     at->cache->condense_error, &effect);
	tech_scale(effect.rate, at, w);
	e->rate *= effect.rate;
	e->error += effect.error;
	e->compress_s[0] += tech_own_s(at, &effect.forward);
	e->compress_s[1] += tech_own_s(at, &effect.backward);
	return ST_OK;
}

static enum status measure_migration(const struct tech_place *at)
{
	const struct tech_spec *t = &at->s->technique;
	const struct model *m = &at->s->model;
	const struct cluster *c = &at->s->cluster;
	int ep = at->layout->ep;
	struct sequences_spec spec = {
		.n = (int)fmin((double)ep * m->batch_per_gpu,
			       SEQUENCES_TRIED_MAX),
		.gpus = ep, .k = m->experts_per_token,
		.length_min = m->sequence, .length_max = m->sequence,
		.hot = t->migration.hot < ep ? t->migration.hot : ep,
		.focus = t->migration.focus, .seed = at->s->routing.seed,
	};
	struct migrate_spec how = {
		.candidates = t->migration.candidates < ep ?
			t->migration.candidates : ep,
		.slack = MIGRATE_SLACK_DEFAULT,
		.row_bytes = (double)m->hidden * dtype_bytes(m->dtype),
		.hidden = m->hidden,
		.attention_macs = c->gpu.flops[m->dtype] *
			c->gpu.gemm_efficiency / 2,
		.link_Bps = c->nic.bandwidth_Bps,
		.post_norm = t->migration.post_norm,
	};
	struct sequences s;
	struct migrate_result r;
	struct migrate_effect effect;
	enum status st = sequences_make(&spec, &s);

	if (st)
		return st;
	st = migrate_run(&how, &s, &r);
	if (!st) {
		migrate_effect_make(&how, &s, layout_tokens(at->layout, m),
				    m->experts_per_token, &r, &effect);
		at->cache->migrate_gpus = ep;
		at->cache->migrate_share = effect.combine_share;
		at->cache->migrate_host_s = effect.controller_s +
			tech_own_s(at, &effect.forward);
		migrate_result_release(&r);
	}
	sequences_release(&s);
	return st;
}

static enum status apply_migration(const struct tech_place *at,
				   struct tech_effect *e)
{
	if (at->cache->migrate_gpus != at->layout->ep) {
		enum status st = measure_migration(at);

		if (st)
			return st;
	}
	e->combine_share *= at->cache->migrate_share;
	e->combine_bwd_share *= at->cache->migrate_share;
	e->host_s += at->cache->migrate_host_s;
	return ST_OK;
}

/*
 * Copies that may leave the node, of all: as asked, else what a NIC carries
 * beside NVLink, but no more are kept than may be sent elsewhere.
 */
static double topology_limit(const struct tech_place *at, double leaves)
{
	const struct cluster *c = &at->s->cluster;
	double nics = c->nic.per_gpu ? c->nic.per_gpu :
		(double)c->nic.per_node / c->gpus_per_node;

	if (at->s->technique.topology > 0)
		return at->s->technique.topology;
	return fmax(leaves - at->s->constraints.max_reroute,
		    nics * c->nic.bandwidth_Bps / c->intra.bandwidth_Bps);
}

/*
 * Share of the leaving copies that LocMoE's gate keeps: as asked, else what
 * its loss makes of an even router, but no more than may be sent elsewhere.
 */
static double locality_keep(const struct tech_place *at, double leaves)
{
	const struct model *m = &at->s->model;
	struct locmoe_spec spec = {
		.experts = m->experts, .nodes = at->s->cluster.nodes,
		.alpha = LOCMOE_ALPHA_DEFAULT, .mu = LOCMOE_MU_DEFAULT,
		.lambda = LOCMOE_LAMBDA_DEFAULT,
		.epsilon = LOCMOE_EPSILON_DEFAULT,
	};
	struct locmoe_effect effect;

	if (at->s->technique.locality > 0)
		return at->s->technique.locality;
	locmoe_effect_make(&spec, locmoe_mean_share(&spec),
			   layout_tokens(at->layout, m), m->hidden,
			   dtype_bytes(m->dtype), 0, &effect);
	return fmin(1 - effect.inter_factor,
		    at->s->constraints.max_reroute / leaves);
}

static void apply_reroute(const struct tech_place *at, unsigned mask,
			  struct workload *w, struct tech_effect *e)
{
	if (mask & 1u << TECH_LOCALITY) {
		double leaves = tech_leaving(at, w);

		if (leaves > 0)
			e->rerouted = tech_keep_local(at,
				locality_keep(at, leaves), w);
	}
	if (mask & 1u << TECH_TOPOLOGY) {
		double leaves = tech_leaving(at, w);
		double limit = topology_limit(at, leaves);

		if (leaves > limit)
			e->rerouted = tech_keep_local(at, 1 - limit / leaves,
						      w);
	}
}

/* Static text when the set makes no sense here. */
static const char *cannot(const struct tech_place *at, unsigned mask,
			  const struct workload *w)
{
	const struct layout *l = at->layout;
	unsigned reroute = 1u << TECH_LOCALITY | 1u << TECH_TOPOLOGY;

	if (l->ep == 1)
		return "nothing is exchanged";
	if (mask & reroute) {
		if (w->ranks > WORKLOAD_DENSE_RANKS_MAX)
			return "too many ranks for uneven traffic";
		if (group_in_domain(&at->s->cluster, l->ep, l->esp))
			return "no token leaves its node";
		if (at->s->cluster.nodes > at->s->model.experts)
			return "some nodes have no expert";
	}
	if (mask & 1u << TECH_SHADOWING && !w->dispatch.bytes &&
	    tech_gate_of(mask) < 0)
		return "all experts are equally popular";
	if (mask & 1u << TECH_EXPERT_FETCH && w->capacity)
		return "needs exact counts";
	return NULL;
}

/* All but the gate, which may have made another routing. */
static enum status apply_rest(const struct tech_place *at, unsigned mask,
			      struct workload *w, struct tech_effect *e)
{
	enum status st = ST_OK;

	/* counts are shadowing's input, so it comes before compression and
	 * before a gate that sends copies elsewhere */
	if (mask & 1u << TECH_SHADOWING &&
	    (!w->dispatch.bytes || !tech_shadow(at, w, e)))
		e->why_not = "no expert is worth copying";
	apply_reroute(at, mask, w, e);
	if (mask & (1u << TECH_LOCALITY | 1u << TECH_TOPOLOGY) &&
	    !(e->rerouted > 0))
		e->why_not = "no token leaves its node";
	if (mask & 1u << TECH_EXPERT_FETCH)
		tech_fetch(at, w, e);
	if (mask & 1u << TECH_LSH)
		st = apply_lsh(at, w, e);
	if (!st && mask & 1u << TECH_CONDENSATION)
		st = apply_condense(at, w, e);
	if (!st && mask & 1u << TECH_MIGRATION)
		st = apply_migration(at, e);
	return st;
}

enum status tech_apply(const struct tech_place *at, unsigned mask,
		       struct workload *w, struct tech_effect *out)
{
	struct tech_effect e = tech_none;
	struct tech_place place = *at;
	struct routing routing = { 0 };
	int gate = tech_gate_of(mask);
	enum status st = ST_OK;

	if (at->s->technique.one_hot)
		tech_one_hot(at, &e);
	mask &= ~(1u << TECH_BASELINE | TECH_SCHEDULES);
	e.why_not = mask ? cannot(at, mask, w) : NULL;
	if (!e.why_not && gate >= 0)
		e.why_not = tech_gate_cannot(at, gate);
	if (mask && !e.why_not && gate >= 0) {
		st = tech_gate(at, gate, at->factor, &routing, w, &e);
		place.routing = &routing;
	}
	if (mask && !e.why_not && !st)
		st = apply_rest(&place, mask, w, &e);
	if (routing.count)
		routing_release(&routing);
	/* rows, not fetched experts */
	if (!st && at->s->comm.replicated && at->layout->tp > 1 &&
	    !(mask & 1u << TECH_EXPERT_FETCH))
		tech_scale_bytes(at->layout->tp, at, w);
	if (!st)
		*out = e;
	return st;
}
