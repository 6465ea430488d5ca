/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Max-min fair sharing of a folded exchange by classes of flows.
 *
 * In a folded view thousands of flows take the same links with the same
 * bytes. They have the same rate at all times, so a class of w flows is one
 * unknown with weight w: progressive filling raises the rate of all classes
 * together, a link of capacity C is full at C / (sum of the weights that are
 * not yet frozen on it). A few dozen classes stand for a million flows.
 */
#include "sim/coll_int.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES_MAX 512	/* more: flow by flow is no slower */
#define SLOTS (4 * CLASSES_MAX)	/* of the hash table, a power of two */
/* Completions that rounding alone sets apart are one. */
#define SAME_TIME 1e-12

struct flow_class {
	struct route route;
	double weight, bytes;
	double left;	/* bytes of one flow */
	double rate;
	bool begun, frozen;
};

struct classes {
	const struct coll_view *v;
	int n;
	struct flow_class c[CLASSES_MAX];
	int slot[SLOTS];	/* index + 1, 0: empty */
	double *room, *weight;	/* of links, while filling */
	double now_s;
};

static unsigned hash_route(const struct route *r)
{
	unsigned h = 2166136261u;	/* FNV-1a over link numbers */
	int i;

	for (i = 0; i < r->n; i++)
		h = (h ^ (unsigned)r->link[i]) * 16777619u;
	return h ^ h >> 15;
}

static bool same_class(const struct flow_class *c, const struct route *r,
		       double bytes)
{
	return c->route.n == r->n && c->bytes == bytes &&
	       c->route.latency_s == r->latency_s &&
	       !memcmp(c->route.link, r->link,
		       (size_t)r->n * sizeof(*r->link));
}

static bool add_flow(struct classes *k, const struct coll_flow *f, int times)
{
	struct route r;
	unsigned at;

	coll_view_route(k->v, f->src, f->dst, &r);
	at = hash_route(&r) % SLOTS;
	while (k->slot[at] && !same_class(&k->c[k->slot[at] - 1], &r,
					  f->bytes))
		at = (at + 1) % SLOTS;
	if (!k->slot[at]) {
		if (k->n == CLASSES_MAX)
			return false;
		k->c[k->n] = (struct flow_class){ .route = r,
			.bytes = f->bytes, .left = f->bytes };
		k->slot[at] = ++k->n;
	}
	k->c[k->slot[at] - 1].weight += times;
	return true;
}

static bool is_active(const struct flow_class *c)
{
	return c->begun && c->left > 0;
}

/* The lowest level at which a link with unfrozen flows is full. */
static double next_level(const struct classes *k)
{
	double level = INFINITY;
	int i;

	for (i = 0; i < k->v->n_links; i++) {
		if (k->weight[i] > 0)
			level = fmin(level, k->room[i] / k->weight[i]);
	}
	return level;
}

static bool is_held(const struct classes *k, const struct flow_class *c,
		    double level)
{
	int i;

	for (i = 0; i < c->route.n; i++) {
		int l = c->route.link[i];

		if (k->room[l] <= level * k->weight[l] * (1 + SAME_TIME))
			return true;
	}
	return false;
}

static void freeze(struct classes *k, struct flow_class *c, double level)
{
	int i;

	c->frozen = true;
	c->rate = level;
	for (i = 0; i < c->route.n; i++) {
		k->room[c->route.link[i]] -= level * c->weight;
		k->weight[c->route.link[i]] -= c->weight;
	}
}

/* Returns the number of unfrozen classes. */
static int fill_begin(struct classes *k)
{
	int i, j, n = 0;

	for (i = 0; i < k->v->n_links; i++) {
		k->room[i] = k->v->capacity_Bps[i];
		k->weight[i] = 0;
	}
	for (i = 0; i < k->n; i++) {
		struct flow_class *c = &k->c[i];

		c->frozen = !is_active(c);
		n += !c->frozen;
		for (j = 0; j < c->route.n && !c->frozen; j++)
			k->weight[c->route.link[j]] += c->weight;
	}
	return n;
}

static void fill_rates(struct classes *k)
{
	bool held[CLASSES_MAX];
	int n = fill_begin(k), i;

	while (n > 0) {
		double level = next_level(k);

		/* decide for all before rooms change */
		for (i = 0; i < k->n; i++)
			held[i] = !k->c[i].frozen &&
				  is_held(k, &k->c[i], level);
		for (i = 0; i < k->n; i++) {
			if (held[i]) {
				freeze(k, &k->c[i], level);
				n--;
			}
		}
	}
}

/* Next completion or begin. */
static double next_event(const struct classes *k)
{
	double t = INFINITY;
	int i;

	for (i = 0; i < k->n; i++) {
		const struct flow_class *c = &k->c[i];

		if (!c->begun)
			t = fmin(t, c->route.latency_s);
		else if (c->left > 0)
			t = fmin(t, k->now_s + c->left / c->rate);
	}
	return t;
}

/* Whoever made next_event() say t is done at t, whatever rounding leaves. */
static void advance(struct classes *k, double t)
{
	int i;

	for (i = 0; i < k->n; i++) {
		struct flow_class *c = &k->c[i];

		if (is_active(c)) {
			double end = k->now_s + c->left / c->rate;

			c->left = end <= t * (1 + SAME_TIME) ? 0 :
				c->left - c->rate * (t - k->now_s);
		}
		if (c->route.latency_s <= t)
			c->begun = true;
	}
	k->now_s = t;
}

static double run(struct classes *k, bool begin)
{
	double t, last = 0;
	int i;

	for (i = 0; i < k->n; i++)
		k->c[i].begun = !begin;
	fill_rates(k);
	while (t = next_event(k), isfinite(t)) {
		advance(k, t);
		fill_rates(k);
		last = t;
	}
	return last;
}

bool coll_class_solve(const struct coll_view *v, const struct coll_flow *f,
		      const int *times, size_t n, bool begin,
		      double *makespan_s)
{
	struct classes *k = xcalloc(1, sizeof(*k));
	bool ok = true;
	size_t i;

	k->v = v;
	for (i = 0; i < n && ok; i++)
		ok = add_flow(k, &f[i], times ? times[i] : 1);
	if (ok) {
		k->room = xcalloc((size_t)v->n_links, sizeof(double));
		k->weight = xcalloc((size_t)v->n_links, sizeof(double));
		*makespan_s = run(k, begin);
	}
	free(k->room);
	free(k->weight);
	free(k);
	return ok;
}
