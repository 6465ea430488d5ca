/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the flows of a step ask of ranks and links, and its constants. */
#include "sim/coll_int.h"

#include "base/mem.h"
#include "sim/net_fault.h"

#include <math.h>
#include <stdlib.h>

enum { INTRA, INTER, TIERS };

void coll_add(struct coll_part *p, int src, int dst, double bytes)
{
	if (!(bytes > 0) || src == dst)
		return;
	p->flow = array_grow(p->flow, &p->cap, p->n_flows + 1,
			     sizeof(*p->flow));
	p->flow[p->n_flows++] = (struct coll_flow){ src, dst, bytes, 0 };
}

void coll_pattern_expand(const struct net *net, int nodes,
			 struct coll_part *p)
{
	const struct coll_pattern *k = &p->pattern;
	int gpus = net->cluster.gpus_per_node, s, j;

	for (s = 0; s < nodes * gpus; s += k->leaders_only ? gpus : 1) {
		int first = s - s / k->stride % k->group * k->stride;

		for (j = 0; j < k->group; j++) {
			int d = first + j * k->stride;

			if (!k->remote_only || s / gpus != d / gpus)
				coll_add(p, s, d, k->each);
		}
	}
}

void coll_part_release(struct coll_part *p)
{
	free(p->flow);
	free(p->times);
	p->flow = NULL;
	p->times = NULL;
	p->n_flows = p->cap = p->cap_times = 0;
}

double coll_plus_times(double sum, double v, int n)
{
	const double exact = 9007199254740992.0;	/* 2^53 */
	double all = sum + v * n;

	/* sums of whole numbers below that are not rounded */
	if (all < exact && v == floor(v) && sum == floor(sum))
		return all;
	for (; n > 0; n--)
		sum += v;
	return sum;
}

static void add_times(struct coll_part *p, int src, int dst, double bytes,
		      int times)
{
	size_t n = p->n_flows;

	coll_add(p, src, dst, bytes);
	if (p->n_flows == n)
		return;
	p->times = array_grow(p->times, &p->cap_times, p->n_flows,
			      sizeof(*p->times));
	p->times[n] = times;
}

/* From rank s of node 0: to each of its own node, and to the first other
 * node for all of them. */
static void add_first(const struct net *net, struct coll_part *p, int s)
{
	const struct coll_pattern *k = &p->pattern;
	int gpus = net->cluster.gpus_per_node;
	int first = s - s / k->stride % k->group * k->stride;
	int local = k->stride < gpus ? gpus / k->stride : 1, j;

	if (local > k->group)
		local = k->group;
	for (j = 0; j < local && !k->remote_only; j++)
		add_times(p, s, first + j * k->stride, k->each, 1);
	for (j = local; j < 2 * local && j < k->group; j++) {
		add_times(p, s, first + j * k->stride, k->each,
			  k->group / local - 1);
	}
}

void coll_pattern_first(const struct coll_build *b, struct coll_part *p)
{
	const struct net *net = b->spec->net;
	int gpus = net->cluster.gpus_per_node, s;

	if (net->leaves > 1 || net->domain != gpus ||
	    b->spec->comm.window > 0) {
		coll_pattern_expand(net, 1, p);
		return;
	}
	for (s = 0; s < gpus; s += p->pattern.leaders_only ? gpus : 1)
		add_first(net, p, s);
}

/* Bytes on links; `touched` lets a round be cleared without a full sweep. */
struct loads {
	double *bytes;
	int *touched;
	int n;
};

static struct loads loads_new(const struct coll_view *v)
{
	size_t n = (size_t)v->n_links;

	return (struct loads){ xcalloc(n, sizeof(double)),
			       xcalloc(n, sizeof(int)), 0 };
}

static void loads_free(struct loads *l)
{
	free(l->bytes);
	free(l->touched);
}

static void loads_add(struct loads *l, int link, double bytes, int times)
{
	double *at = &l->bytes[link];

	if (*at == 0)
		l->touched[l->n++] = link;
	*at = coll_plus_times(*at, bytes, times);
}

/* Seconds of the busiest link (the lowest-numbered of equals); clears. */
static double loads_take(struct loads *l, const struct coll_view *v,
			 int *link_p)
{
	double most = 0;
	int i;

	*link_p = -1;
	for (i = 0; i < l->n; i++) {
		int k = l->touched[i];
		double t = l->bytes[k] / v->capacity_Bps[k];

		if (t > most || (t == most && k < *link_p)) {
			most = t;
			*link_p = k;
		}
		l->bytes[k] = 0;
	}
	l->n = 0;
	return most;
}

/* Per rank: what it sends and receives by tier. */
struct rank_sum {
	double sent[TIERS], received[TIERS];
	int messages[TIERS];
};

static const struct comm_tier *tier_of(const struct net *net, int tier)
{
	const struct gpu *g = &net->cluster.gpu;

	return tier == INTER ? &g->inter : &g->intra;
}

/* fmax() is a call where NaN must be minded; here there are none. */
static inline double more(double a, double b)
{
	return a > b ? a : b;
}

/* Ranks from n on are left out. */
static void rank_add(const struct net *net, struct rank_sum *sum, int n,
		     const struct coll_flow *f, int times,
		     struct coll_tally *out)
{
	int tier = net_same_domain(net, f->src, f->dst) ? INTRA : INTER;
	double *sent = &sum[f->src].sent[tier];

	out->touches[tier] = true;
	*sent = coll_plus_times(*sent, f->bytes, times);
	sum[f->src].messages[tier] += times;
	if (f->dst < n)
		sum[f->dst].received[tier] += f->bytes;
	out->largest_bytes = more(out->largest_bytes, f->bytes);
}

static void rank_most(const struct net *net, const struct rank_sum *r,
		      struct coll_tally *out)
{
	int messages = r->messages[INTRA] + r->messages[INTER], i;
	double cost = 0;

	for (i = 0; i < TIERS; i++) {
		cost += r->messages[i] * tier_of(net, i)->message_s;
		out->busiest_bytes[i] = more(out->busiest_bytes[i],
					     more(r->sent[i],
						  r->received[i]));
	}
	out->message_s = more(out->message_s, cost);
	if (messages > out->messages)
		out->messages = messages;
}

static void tally_links(const struct coll_view *v, const struct coll_part *p,
			struct coll_tally *out)
{
	struct loads l = loads_new(v);
	struct route r;
	size_t i;
	int k;

	for (i = 0; i < p->n_flows; i++) {
		coll_view_route(v, p->flow[i].src, p->flow[i].dst, &r);
		out->latency_s = more(out->latency_s, r.latency_s);
		for (k = 0; k < r.n; k++) {
			loads_add(&l, r.link[k], p->flow[i].bytes,
				  coll_link_times(v->net, p, i, r.link[k]));
		}
	}
	out->bound_s = loads_take(&l, v, &out->busiest_link);
	loads_free(&l);
}

/*
 * Flows in order of key[] (0 .. n_keys - 1), stable. Returns where each key
 * begins: [n_keys + 1], owned by the caller.
 */
static size_t *sort_flows(struct coll_part *p, const int *key, size_t n_keys)
{
	struct coll_flow *out = xcalloc(p->cap, sizeof(*out));
	int *times = p->times ? xcalloc(p->cap_times, sizeof(*times)) : NULL;
	size_t *begin = xcalloc(n_keys + 2, sizeof(*begin)), i;

	for (i = 0; i < p->n_flows; i++)
		begin[key[i] + 2]++;
	for (i = 2; i < n_keys + 2; i++)
		begin[i] += begin[i - 1];
	for (i = 0; i < p->n_flows; i++) {
		if (times)
			times[begin[key[i] + 1]] = p->times[i];
		out[begin[key[i] + 1]++] = p->flow[i];
	}
	free(p->flow);
	free(p->times);
	p->flow = out;
	p->times = times;
	return begin;
}

size_t *coll_sort_by_shift(const struct coll_build *b, struct coll_part *p)
{
	int *key = xcalloc(p->n_flows, sizeof(*key));
	size_t *begin, i;

	for (i = 0; i < p->n_flows; i++) {
		key[i] = coll_shift(&b->shape, b->group, b->stride,
				    p->flow[i].src, p->flow[i].dst);
	}
	begin = sort_flows(p, key, (size_t)b->group);
	free(key);
	return begin;
}

size_t *coll_sort_by_source(const struct coll_build *b, struct coll_part *p)
{
	int *key;
	size_t *begin, i;

	free(coll_sort_by_shift(b, p));
	key = xcalloc(p->n_flows, sizeof(*key));
	for (i = 0; i < p->n_flows; i++)
		key[i] = p->flow[i].src;
	begin = sort_flows(p, key, (size_t)b->ranks);
	free(key);
	return begin;
}

struct round {
	double bound_s, latency_s, message_s;
	int link;
};

/* One round: flows [i, end) of the part. */
static struct round tally_round(const struct coll_view *v,
				const struct coll_part *p, size_t i,
				size_t end, struct loads *l)
{
	struct round t = { 0 };
	struct route r;
	int k;

	for (; i < end; i++) {
		const struct coll_flow *f = &p->flow[i];
		bool near = net_same_domain(v->net, f->src, f->dst);

		coll_view_route(v, f->src, f->dst, &r);
		t.latency_s = more(t.latency_s, r.latency_s);
		t.message_s = fmax(t.message_s, tier_of(v->net, near ? INTRA :
							INTER)->message_s);
		for (k = 0; k < r.n; k++)
			loads_add(l, r.link[k], f->bytes, 1);
	}
	t.bound_s = loads_take(l, v, &t.link);
	return t;
}

static void add_round(const struct round *t, double *longest_s,
		      struct coll_tally *out)
{
	if (t->bound_s > *longest_s) {
		*longest_s = t->bound_s;
		out->busiest_link = t->link;
	}
	out->bound_s += t->bound_s;
	out->latency_s += t->latency_s;
	out->message_s += t->message_s;
}

/* With barriers: every round pays its latency, message and busiest link. */
static void tally_rounds(const struct coll_build *b,
			 const struct coll_view *v, struct coll_part *p,
			 struct coll_tally *out)
{
	struct loads l = loads_new(v);
	size_t *begin = coll_sort_by_shift(b, p);
	struct round *round = xcalloc((size_t)b->group, sizeof(*round));
	double longest_s = 0;
	int d;

	out->message_s = 0;
	out->busiest_link = -1;
	for (d = 0; d < b->group; d++) {
		int k = coll_round(b, p, d);

		if (begin[k] == begin[k + 1])
			continue;
		if (k == d)
			round[d] = tally_round(v, p, begin[d], begin[d + 1],
					       &l);
		add_round(&round[k], &longest_s, out);
	}
	free(round);
	free(begin);
	loads_free(&l);
}

void coll_tally_flows(const struct coll_build *b, const struct coll_view *v,
		      struct coll_part *p, struct coll_tally *out)
{
	const struct net *net = v->net;
	/* folded: node 0's flows, and each rank receives what it sends */
	int n = v->folded ? b->gpus : b->ranks, r;
	struct rank_sum *sum = xcalloc((size_t)n, sizeof(*sum));
	size_t i;

	*out = (struct coll_tally){ .busiest_link = -1 };
	for (i = 0; i < p->n_flows; i++)
		rank_add(net, sum, n, &p->flow[i], coll_times(p, i), out);
	for (r = 0; r < n; r++)
		rank_most(net, &sum[r], out);
	free(sum);
	if (p->rounds)
		tally_rounds(b, v, p, out);
	else
		tally_links(v, p, out);
	out->busiest_link = coll_view_link(v, out->busiest_link);
}

double coll_own_constants(const struct comm_tier *own, struct comm_tier *tier)
{
	double bytes;

	if (!(own->efficiency > 0))
		return 1;
	bytes = tier->efficiency / own->efficiency;
	*tier = *own;
	tier->ramp /= sqrt(bytes);
	return bytes;
}

/* Launch, ramp and protocol of the tiers that the step touches. */
static void price_tier(const struct comm_tier *c, double busiest_bytes,
		       struct coll_step *out, double launch[2])
{
	double ramp = c->ramp * sqrt(busiest_bytes);
	double slow = c->ll_efficiency > 0 ? c->efficiency / c->ll_efficiency :
					     INFINITY;

	launch[0] = fmax(launch[0], c->launch_s);
	launch[1] = fmax(launch[1], c->ll_launch_s);
	out->ll_slowdown = fmax(out->ll_slowdown, slow);
	if (ramp > out->ramp * sqrt(out->busiest_bytes)) {
		out->ramp = c->ramp;
		out->busiest_bytes = busiest_bytes;
	}
}

/* Of the slowest GPU that copies. */
static double copy_Bps(const struct net *net, const struct coll_part *p)
{
	const struct gpu *g = &net->cluster.gpu;
	int step = p->by_leaders ? net->cluster.gpus_per_node : 1;

	return g->hbm_Bps * g->hbm_efficiency * net_gpu_share_least(net, step);
}

void coll_price(const struct coll_spec *spec, const struct coll_part *p,
		const struct coll_tally *t, struct coll_step *out)
{
	const struct gpu *g = &spec->net->cluster.gpu;
	double launch[2] = { 0, 0 }, rest;
	int i;

	out->ramp = out->busiest_bytes = out->ll_slowdown = 0;
	for (i = 0; i < TIERS; i++) {
		if (t->touches[i])
			price_tier(tier_of(spec->net, i), t->busiest_bytes[i],
				   out, launch);
	}
	rest = t->message_s + t->latency_s + p->copies * g->kernel_s;
	out->fixed_s = launch[0] + rest;
	out->ll_fixed_s = launch[1] + rest;
	if (!(spec->comm.ll_bytes > 0) || isinf(out->ll_slowdown) ||
	    !(t->largest_bytes > 0)) {
		out->ll_fixed_s = INFINITY;
		out->ll_slowdown = 1;
	}
	out->ll_bytes = spec->comm.ll_bytes;
	out->largest_bytes = t->largest_bytes;
	out->messages = t->messages;
	out->bound_s = t->bound_s;
	out->busiest_link = t->busiest_link;
	out->copy_s = p->copy_bytes > 0 ?
		p->copy_bytes / copy_Bps(spec->net, p) : 0;
}

double coll_rank_bytes(const struct net *net, const struct coll_flow *f,
		       size_t n)
{
	double *rank = xcalloc((size_t)net->n_ranks, sizeof(*rank));
	double most = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		rank[f[i].src] += f[i].bytes;
		rank[f[i].dst] += f[i].bytes;
	}
	for (i = 0; i < (size_t)net->n_ranks; i++)
		most = more(most, rank[i]);
	free(rank);
	return most;
}
