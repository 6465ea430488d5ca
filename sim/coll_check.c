/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/coll_int.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Sums of doubles in different orders. */
#define CHECK_TOLERANCE 1e-9

static bool equal(double a, double b, double scale)
{
	return fabs(a - b) <= CHECK_TOLERANCE * (fabs(scale) + 1);
}

static double traffic_cell(const struct traffic *t, int s, int d)
{
	struct coll_build b = { .t = t, .ranks = t->n_ranks };

	return coll_cell(&b, s, d);
}

/*
 * Whatever the hops: a rank sends its own bytes and all that it received for
 * others, so sent - received is what it had minus what it is to have.
 */
static void check_balance(const struct traffic *t, const struct coll *c)
{
	int n = t->n_ranks, i, j, k;
	double *net = xcalloc((size_t)n, sizeof(*net)), total;

	total = traffic_total(t);
	for (k = 0; k < c->n_steps; k++) {
		for (i = 0; i < c->step[k].n_flows; i++) {
			const struct coll_flow *f = &c->step[k].flow[i];

			net[f->src] += f->bytes;
			net[f->dst] -= f->bytes;
		}
	}
	for (i = 0; i < n; i++) {
		for (j = 0; j < n; j++)
			net[i] -= traffic_cell(t, i, j) -
				  traffic_cell(t, j, i);
		assert(equal(net[i], 0, total));	/* nothing is lost */
	}
	free(net);
}

/* One hop: each pair's bytes, once. */
static void check_pairs(const struct traffic *t, const struct coll *c)
{
	size_t n = (size_t)t->n_ranks, i;
	double *sent = xcalloc(n * n, sizeof(*sent));
	int k, j;

	for (k = 0; k < c->n_steps; k++) {
		for (j = 0; j < c->step[k].n_flows; j++) {
			const struct coll_flow *f = &c->step[k].flow[j];

			sent[(size_t)f->src * n + (size_t)f->dst] += f->bytes;
		}
	}
	for (i = 0; i < n * n; i++) {
		int s = (int)(i / n), d = (int)(i % n);
		double want = s == d ? 0 : traffic_cell(t, s, d);

		assert(equal(sent[i], want, want));
	}
	free(sent);
}

/*
 * Direct: at most each pair's bytes (less when a token has two experts at one
 * rank), as many as the links see of them; and something where there is any.
 */
static void check_direct(const struct coll_spec *spec,
			 const struct traffic *t, const struct coll *c)
{
	struct gpu g = spec->net->cluster.gpu;
	double scale = coll_own_constants(&g.direct, &g.intra);
	double sent = 0, most = traffic_total(t) * scale;
	int j;

	for (j = 0; j < c->step[0].n_flows; j++) {
		const struct coll_flow *f = &c->step[0].flow[j];
		double cell = traffic_cell(t, f->src, f->dst) * scale;

		assert(f->bytes <= cell * (1 + CHECK_TOLERANCE));
		sent += f->bytes;
	}
	assert((sent > 0) == (most > 0));
	if (!t->rank_bytes && !(t->rank_each > 0))
		assert(equal(sent, most, most));
}

/* Dedup: what reaches and leaves each node's fan-out. */
static void check_dedup(const struct coll_spec *spec, const struct traffic *t,
			bool reverse, const struct coll *c)
{
	int g = spec->net->cluster.gpus_per_node, i, j;
	const struct coll_step *nic = &c->step[reverse ? 1 : 0];
	const struct coll_step *fan = &c->step[reverse ? 0 : 1];
	int n = t->n_ranks;
	double *want = xcalloc((size_t)n, sizeof(*want));

	/* a final GPU gets all its copies but those that land on it */
	for (i = 0; i < n; i++) {
		for (j = 0; j < n; j++)
			want[i] += i % g == j % g ? 0 : reverse ?
				traffic_cell(t, i, j) : traffic_cell(t, j, i);
	}
	for (i = 0; i < fan->n_flows; i++) {
		const struct coll_flow *f = &fan->flow[i];

		want[reverse ? f->src : f->dst] -= f->bytes;
	}
	for (i = 0; i < n; i++)
		assert(equal(want[i], 0, traffic_total(t)));
	for (i = 0; i < nic->n_flows; i++) {
		const struct coll_flow *f = &nic->flow[i];
		int rank = reverse ? f->dst : f->src;
		int node = (reverse ? f->src : f->dst) / g;
		size_t at = (size_t)rank * (size_t)(n / g) + (size_t)node;

		assert(!t->node_bytes || f->bytes == t->node_bytes[at]);
	}
	free(want);
}

/* Where each algorithm's hops may begin and end. */
static bool ends_right(enum a2a_alg alg, enum lane lane, int g,
		       const struct coll_flow *f)
{
	bool node = f->src / g == f->dst / g, rail = f->src % g == f->dst % g;

	switch (alg) {
	case A2A_LEADER:
		return lane == LANE_INTRA ?
			node && (f->src % g == 0 || f->dst % g == 0) :
			!node && f->src % g == 0 && f->dst % g == 0;
	case A2A_2D:
	case A2A_DEDUP:
		return lane == LANE_INTRA ? node : !node && rail;
	case A2A_LANES:
		return (lane == LANE_INTRA) == node;
	default:
		return true;
	}
}

static void check_step(const struct coll_spec *spec, enum a2a_alg alg,
		       const struct coll_step *s)
{
	int i, g = spec->net->cluster.gpus_per_node;

	assert(s->bound_s <= s->flow_s * (1 + CHECK_TOLERANCE));
	for (i = 0; i < s->n_flows; i++) {
		const struct coll_flow *f = &s->flow[i];

		assert(f->src >= 0 && f->src < spec->net->n_ranks);
		assert(f->dst >= 0 && f->dst < spec->net->n_ranks);
		assert(f->src != f->dst && f->bytes > 0);
		assert(ends_right(alg, s->lane, g, f));
	}
}

void coll_check(const struct coll_spec *spec, enum a2a_alg alg,
		const struct traffic *t, bool reverse, const struct coll *c)
{
	bool one_hop = alg == A2A_FLAT || alg == A2A_LANES ||
		       alg == A2A_PAIRWISE;
	int i;

	for (i = 0; i < c->n_steps; i++)
		check_step(spec, alg, &c->step[i]);
	if (one_hop)
		check_pairs(t, c);
	if (alg == A2A_DEDUP)
		check_dedup(spec, t, reverse, c);
	else if (alg == A2A_DIRECT)
		check_direct(spec, t, c);
	else
		check_balance(t, c);
}
