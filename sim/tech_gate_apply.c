/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Another gate in the layer: the popularity that the scenario's routing
 * shows is what tokens want; the gate is run on a sample of them, and its
 * shares of experts and copies per token make a new routing.
 */
#include "sim/tech_apply.h"

#include "base/mem.h"
#include "sim/coll.h"
#include "sim/tech_gates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_MAX 1024
#define TEMPERATURE 0.1		/* of dts: the end of its annealing */

int tech_gate_of(unsigned mask)
{
	static const struct {
		enum technique_id tech;
		enum gate_kind gate;
	} row[] = {
		{ TECH_GATE_KTOP1, GATE_KTOP1 }, { TECH_GATE_SAM, GATE_SAM },
		{ TECH_GATE_BASE, GATE_BASE }, { TECH_GATE_HASH, GATE_HASH },
		{ TECH_GATE_DTS, GATE_DTS },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (mask & 1u << row[i].tech)
			return (int)row[i].gate;
	}
	return -1;
}

/* The groups of switch and mixture: the nodes of an EP group, or halves. */
static int sam_groups(const struct tech_place *at)
{
	const struct model *m = &at->s->model;
	int groups = at->s->cluster.nodes;

	if (groups < 2 || m->experts % groups ||
	    m->experts / groups < m->experts_per_token)
		groups = 2;
	return groups;
}

static struct gate_spec spec_of(const struct tech_place *at,
				enum gate_kind kind)
{
	const struct model *m = &at->s->model;
	bool one = kind == GATE_BASE || kind == GATE_HASH || kind == GATE_DTS;

	return (struct gate_spec){
		.kind = kind, .experts = m->experts,
		.k = one ? 1 : m->experts_per_token,
		.groups = sam_groups(at), .temperature = TEMPERATURE,
		.seed = at->s->routing.seed,
	};
}

const char *tech_gate_cannot(const struct tech_place *at, int kind)
{
	const struct model *m = &at->s->model;
	struct gate_spec spec = spec_of(at, (enum gate_kind)kind);

	if (m->experts > GATE_EXPERTS_MAX)
		return "too many experts for a gate that is run";
	if (kind == GATE_KTOP1 && m->experts % spec.k)
		return "k does not divide the experts";
	if (kind == GATE_SAM && (m->experts % spec.groups ||
				 m->experts / spec.groups < spec.k))
		return "experts make no groups of k or more";
	return NULL;
}

static int sample_tokens(int experts)
{
	double most = GATE_BASE_STEPS_MAX / ((double)experts * experts);

	return (int)fmax(1, fmin(SAMPLE_MAX, most));
}

/* Runs the gate on the routing's popularity, once per kind and tokens. */
static enum status measure(const struct tech_place *at, int kind,
			   struct tech_gate *g)
{
	const struct routing *r = at->routing;
	const struct model *m = &at->s->model;
	struct gate_spec spec = spec_of(at, (enum gate_kind)kind);
	struct gate_shape shape = {
		.tokens = r->tokens, .dim = m->hidden,
		.element_bytes = dtype_bytes(m->dtype),
	};
	double *p = xcalloc((size_t)r->experts, sizeof(*p));
	struct gate_effect e;
	enum status st;

	for (int rank = 0; rank < r->ranks; rank++) {
		for (int x = 0; x < r->experts; x++)
			p[x] += (double)routing_count(r, rank, x);
	}
	free(g->share);
	g->share = xcalloc((size_t)r->experts, sizeof(*g->share));
	st = gate_effect_make(&spec, p, sample_tokens(r->experts), &shape,
			      g->share, &e);
	free(p);
	if (st)
		return st;
	if (kind == GATE_HASH && at->s->technique.words > 0)
		gate_word_shares(at->s->technique.words, r->experts,
				 spec.seed, g->share);
	g->tokens = r->tokens;
	g->copies = e.copies_per_token;
	g->quality = e.quality;
	g->forward = e.forward;
	g->backward = e.backward;
	return ST_OK;
}

void tech_cache_release(struct tech_cache *c)
{
	for (int i = 0; i < TECH_GATES; i++)
		free(c->gate[i].share);
	*c = (struct tech_cache){ 0 };
}

struct cell {
	double part;		/* what rounding down left over */
	int expert;
};

static int by_part(const void *va, const void *vb)
{
	const struct cell *a = va, *b = vb;

	if (a->part != b->part)
		return a->part > b->part ? -1 : 1;
	return a->expert - b->expert;
}

/* tokens * k copies by the shares, no cell above tokens; largest remainder,
 * then wherever there is room. */
static void fill_row(const double *share, const struct routing *r,
		     struct cell *cell, int64_t *row)
{
	int64_t all = (int64_t)r->tokens * r->k, left = all;

	for (int x = 0; x < r->experts; x++) {
		double want = share[x] * (double)all;

		row[x] = (int64_t)fmin(floor(want), r->tokens);
		cell[x] = (struct cell){ want - (double)row[x], x };
		left -= row[x];
	}
	qsort(cell, (size_t)r->experts, sizeof(*cell), by_part);
	while (left > 0) {
		for (int i = 0; i < r->experts && left > 0; i++) {
			if (row[cell[i].expert] >= r->tokens)
				continue;
			row[cell[i].expert]++;
			left--;
		}
	}
}

/* The same for every rank: no chance in it. */
static void new_routing(const struct tech_place *at,
			const struct tech_gate *g, struct routing *out)
{
	const struct routing *r = at->routing;
	size_t n = (size_t)r->experts;
	struct cell *cell = xcalloc(n, sizeof(*cell));
	double k = floor(g->copies + 0.5);

	*out = (struct routing){
		.ranks = r->ranks, .experts = r->experts,
		.tokens = r->tokens,
		.k = (int)fmin(fmax(k, 1), r->experts),
	};
	out->count = xcalloc((size_t)r->ranks * n, sizeof(*out->count));
	fill_row(g->share, out, cell, out->count);
	for (int rank = 1; rank < r->ranks; rank++)
		memcpy(out->count + (size_t)rank * n, out->count,
		       n * sizeof(*out->count));
	free(cell);
}

/* What it takes with no token. */
static double fixed_s(const struct tech_place *at, const struct tech_cost *c)
{
	const struct tech_cost fixed = {
		.kernels = c->kernels, .host_syncs = c->host_syncs,
		.exchanges = c->exchanges, .messages = c->messages,
	};

	return tech_own_s(at, &fixed);
}

enum status tech_shuffle(const struct coll_spec *cs, const struct layout *l,
			 double bytes, struct coll *out)
{
	const struct traffic t = {
		.n_ranks = cs->net->n_ranks, .group = l->ep, .stride = l->esp,
		.each = bytes / l->ep,
	};

	return bytes > 0 && l->ep > 1 ?
		coll_alltoall(cs, A2A_FLAT, &t, false, out) : ST_OK;
}

enum status tech_gate(const struct tech_place *at, int kind, double factor,
		      struct routing *routing, struct workload *w,
		      struct tech_effect *e)
{
	struct tech_gate *g = &at->cache->gate[kind];
	struct workload made;
	enum status st = ST_OK;

	if (g->tokens != at->routing->tokens)
		st = measure(at, kind, g);
	if (st)
		return st;
	new_routing(at, g, routing);
	st = workload_make(routing, &at->s->cluster, &at->s->model,
			   at->layout, factor, &made);
	if (st) {
		routing_release(routing);
		return st;
	}
	workload_release(w);
	*w = made;
	/* copies that a gate of fewer choices leaves out count as well */
	e->rerouted = fmax(0, 1 - g->quality * fmin(1, g->copies /
			   at->s->model.experts_per_token));
	e->gate_s[0] = tech_own_s(at, &g->forward);
	e->gate_s[1] = tech_own_s(at, &g->backward);
	e->gate_fixed_s[0] = fixed_s(at, &g->forward);
	if (kind == GATE_BASE)
		e->shuffle_bytes = (double)at->routing->tokens *
			at->s->model.hidden * dtype_bytes(at->s->model.dtype);
	e->gate_fixed_s[1] = fixed_s(at, &g->backward);
	return ST_OK;
}
