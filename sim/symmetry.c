/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/symmetry.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS 10	/* of the cluster and the group */
#define SAME_TIME 1e-12	/* relative: finish times that are one */

/* Links that symmetry maps onto each other. */
struct orbit {
	int32_t key;	/* first link of the class, or the link itself */
	double capacity;
	double share;	/* n_ranks / links of the orbit */
	double rest, weight;	/* while filling */
};

/* Flows from rank 0 with the same orbits and latency. */
struct kind {
	int n;		/* links */
	int orbit[ROUTE_LINKS_MAX];
	double latency_s;
	int count;	/* destinations */
};

/* Flows of a kind under way: `count` of each rank. */
struct item {
	int kind, count;
	double begin_s, left, rate;
	bool frozen;
};

struct quotient {
	const struct net *net;
	bool with_latency;
	double each;
	struct orbit *orbits;
	size_t n_orbits, cap_orbits;
	struct kind *kinds;
	size_t n_kinds, cap_kinds;
	struct item *items;
	size_t n_items, cap_items;
	int next, window;	/* next step to start, 0: none is left */
};

static int cmp_long(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* Every level divides the next. */
static bool divides(const struct net *net, long group, long stride)
{
	long g = net->cluster.gpus_per_node;
	long leaf = g * net->leaf_nodes;
	long v[LEVELS] = {
		stride, stride * group, g, leaf, leaf * net->pod_leaves,
		net->n_ranks, net->switch_gpus,
		(long)net->switch_gpus * net->socket_switches,
		g % net->ports ? g + 1 : g / net->ports,
		net->cluster.intra.kind == INTRA_NVLINK_PAIRS ? 2 : 1,
	};

	if (leaf > net->n_ranks) {	/* one rack, not all of it used */
		v[3] = v[4] = net->n_ranks;
	}
	qsort(v, LEVELS, sizeof(v[0]), cmp_long);
	for (int i = 1; i < LEVELS; i++) {
		if (v[i] % v[i - 1]) {
			return false;
		}
	}
	return v[LEVELS - 1] == net->n_ranks;
}

static bool shift_symmetric(const struct net *net, int group)
{
	const struct cluster *c = &net->cluster;

	return group == net->n_ranks && net->ports == c->gpus_per_node &&
	       (c->intra.kind == INTRA_NVSWITCH ||
		c->intra.kind == INTRA_NVLINK_MESH) &&
	       net->leaves == 1 &&
	       (net->domain == c->gpus_per_node ||
		net->domain >= net->n_ranks);
}

/*
 * Links of a class are one orbit, but those between ordered pairs (of GPUs,
 * of sockets) are one for each distance: that of rank 0's own link.
 */
static int orbit_find(struct quotient *q, int link)
{
	const struct net *net = q->net;
	enum link_class k = net_link_class(net, link);
	int links = net->count[k], key = net->first[k];
	struct orbit *o;

	if (k == LINK_NVLINK_PAIR) {
		key = link;
		links = net->n_ranks;
	} else if (k == LINK_SOCKET) {
		key = link;
		links = net->cluster.nodes * net->sockets;
	}
	for (size_t i = 0; i < q->n_orbits; i++) {
		if (q->orbits[i].key == key) {
			return (int)i;
		}
	}
	q->orbits = array_grow(q->orbits, &q->cap_orbits, q->n_orbits + 1,
			       sizeof(*q->orbits));
	o = &q->orbits[q->n_orbits];
	o->key = key;
	o->capacity = net->capacity_Bps[link];
	o->share = (double)net->n_ranks / links;
	return (int)q->n_orbits++;
}

static int kind_find(struct quotient *q, int dst)
{
	struct kind k = { 0 };
	struct route r;

	net_route(q->net, 0, dst, &r);
	k.n = r.n;
	k.latency_s = r.latency_s;
	for (int i = 0; i < r.n; i++) {
		k.orbit[i] = orbit_find(q, r.link[i]);
	}
	for (size_t i = 0; i < q->n_kinds; i++) {
		const struct kind *x = &q->kinds[i];

		if (x->n == k.n && x->latency_s == k.latency_s &&
		    !memcmp(x->orbit, k.orbit, k.n * sizeof(k.orbit[0]))) {
			return (int)i;
		}
	}
	q->kinds = array_grow(q->kinds, &q->cap_kinds, q->n_kinds + 1,
			      sizeof(*q->kinds));
	q->kinds[q->n_kinds] = k;
	return (int)q->n_kinds++;
}

static void item_add(struct quotient *q, int kind, int count, double now)
{
	q->items = array_grow(q->items, &q->cap_items, q->n_items + 1,
			      sizeof(*q->items));
	q->items[q->n_items++] = (struct item){
		kind, count, now + (q->with_latency ?
				    q->kinds[kind].latency_s : 0),
		q->each, 0, true,
	};
}

/* Starts steps of the shift order until the window is full. */
static void fill_window(struct quotient *q, double now)
{
	int g = q->net->cluster.gpus_per_node, n = q->net->n_ranks;

	while (q->next > 0 && q->n_items < (size_t)q->window) {
		int d = q->next++;

		/* from rank 0 step d goes to node d / g, local d % g: d */
		item_add(q, kind_find(q, d / g * g + d % g), 1, now);
		q->next = q->next < n ? q->next : 0;
	}
}

/* Adds an item's flows per link, times x, to the orbits' weights. */
static void weigh(struct quotient *q, const struct item *it, double x)
{
	const struct kind *k = &q->kinds[it->kind];

	for (int i = 0; i < k->n; i++) {
		struct orbit *o = &q->orbits[k->orbit[i]];

		o->weight += x * o->share * it->count;
	}
}

static bool meets(const struct quotient *q, const struct item *it,
		  double level)
{
	const struct kind *k = &q->kinds[it->kind];

	for (int i = 0; i < k->n; i++) {
		const struct orbit *o = &q->orbits[k->orbit[i]];

		if (o->rest <= level * o->weight * (1 + SAME_TIME)) {
			return true;
		}
	}
	return false;
}

/* Flows that meet a full link stop at this level. */
static size_t freeze(struct quotient *q, double level)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n_items; i++) {
		struct item *it = &q->items[i];

		if (!it->frozen && meets(q, it, level)) {
			it->frozen = true;
			it->rate = level;
			n++;
		}
	}
	return n;
}

/* What is left for those that have not stopped. */
static void subtract(struct quotient *q)
{
	for (size_t i = 0; i < q->n_orbits; i++) {
		q->orbits[i].rest = q->orbits[i].capacity;
		q->orbits[i].weight = 0;
	}
	for (size_t i = 0; i < q->n_items; i++) {
		const struct item *it = &q->items[i];
		const struct kind *k = &q->kinds[it->kind];

		if (!it->frozen) {
			weigh(q, it, 1);
			continue;
		}
		for (int h = 0; h < k->n; h++) {
			struct orbit *o = &q->orbits[k->orbit[h]];

			o->rest -= it->rate * o->share * it->count;
		}
	}
}

/* Progressive filling over the orbits. */
static void set_rates(struct quotient *q, double now)
{
	size_t todo = 0;

	for (size_t i = 0; i < q->n_items; i++) {
		struct item *it = &q->items[i];

		it->rate = 0;
		it->frozen = it->begin_s > now;
		todo += !it->frozen;
	}
	while (todo > 0) {
		double level = INFINITY;

		subtract(q);
		for (size_t i = 0; i < q->n_orbits; i++) {
			const struct orbit *o = &q->orbits[i];

			if (o->weight > 0) {
				level = fmin(level, o->rest / o->weight);
			}
		}
		todo -= freeze(q, level);
	}
}

/* To the next begin or finish; returns its time. */
static double advance(struct quotient *q, double now)
{
	double t = INFINITY;
	size_t k = 0;

	for (size_t i = 0; i < q->n_items; i++) {
		const struct item *it = &q->items[i];

		t = fmin(t, it->begin_s > now ? it->begin_s :
			 now + it->left / it->rate);
	}
	for (size_t i = 0; i < q->n_items; i++) {
		struct item *it = &q->items[i];
		bool active = it->begin_s <= now;

		if (active &&
		    now + it->left / it->rate <= t * (1 + SAME_TIME)) {
			continue;
		}
		if (active) {
			it->left -= it->rate * (t - now);
		}
		q->items[k++] = *it;
	}
	q->n_items = k;
	return t;
}

static double run(struct quotient *q)
{
	double now = 0;

	if (q->window > 0) {
		fill_window(q, now);
	}
	while (q->n_items > 0) {
		set_rates(q, now);
		now = advance(q, now);
		if (q->window > 0) {
			fill_window(q, now);
		}
	}
	return now;
}

static double busiest(struct quotient *q)
{
	double longest = 0;

	for (size_t i = 0; i < q->n_orbits; i++) {
		q->orbits[i].weight = 0;
	}
	for (size_t i = 0; i < q->n_kinds; i++) {
		struct item it = { .kind = (int)i,
				   .count = q->kinds[i].count };

		weigh(q, &it, q->each);
	}
	for (size_t i = 0; i < q->n_orbits; i++) {
		longest = fmax(longest, q->orbits[i].weight /
			       q->orbits[i].capacity);
	}
	return longest;
}

bool symmetry_alltoall(const struct net *net, int group, int stride,
		       double each, bool with_latency, int window,
		       double *makespan_s, double *bound_s)
{
	struct quotient q = { .net = net, .with_latency = with_latency,
			      .each = each, .next = 1, .window = window };

	if (group < 1 || stride < 1 || group > net->n_ranks ||
	    stride > net->n_ranks || !divides(net, group, stride) ||
	    (window > 0 && !shift_symmetric(net, group))) {
		return false;
	}
	for (int i = 1; i < group; i++) {
		int k = kind_find(&q, i * stride);	/* may move q.kinds */

		q.kinds[k].count++;
	}
	for (size_t i = 0; i < q.n_kinds && !window && each > 0; i++) {
		item_add(&q, (int)i, q.kinds[i].count, 0);
	}
	if (group == 1 || each <= 0) {
		q.window = 0;	/* nothing moves */
	}
	*makespan_s = run(&q);
	if (bound_s) {
		*bound_s = busiest(&q);
	}
	free(q.orbits);
	free(q.kinds);
	free(q.items);
	return true;
}
