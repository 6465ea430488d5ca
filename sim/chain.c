/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/chain.h"

#include "sim/lanes.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

/*
 * How an order ranks what a lane may start: lower first. With `fixed` the
 * lanes keep to array order instead.
 */
struct order {
	const char *name;
	bool fixed;
	int dispatch, gradient, combine;	/* INTER */
	int gather, scatter;			/* INTRA */
};

static const struct order orders[CHAIN_ORDERS] = {
	{ "fixed", true, 0, 1, 2, 3, 4 },
	{ "gather first", false, 0, 1, 2, 3, 4 },
	{ "scatter first", false, 0, 1, 2, 4, 3 },
	{ "gather first, gradient last", false, 0, 2, 1, 3, 4 },
	{ "scatter first, gradient last", false, 0, 2, 1, 4, 3 },
	{ "gather and combine first", false, 1, 2, 0, 3, 4 },
	{ "scatter and combine first", false, 1, 2, 0, 4, 3 },
};

const char *chain_order_name(int order)
{
	return orders[order].name;
}

static enum lane node_lane(const struct chain *c)
{
	return c->one_lane ? LANE_INTER : LANE_INTRA;
}

static void add_gradient(const struct chain *c, const struct order *o,
			 struct lanes *l)
{
	int pieces = c->pieces > 0 ? c->pieces : 1;

	for (int i = 0; c->gradient > 0 && i < pieces; i++)
		lanes_add(l, LANE_INTER, c->gradient / pieces, o->gradient,
			  -1);
}

/* D [AG] of all chunks, G, E, [RS] C of all chunks. */
static void chain_tasks(const struct chain *c, const struct order *o,
			struct lanes *l)
{
	int at[CHAIN_DEGREE_MAX];

	assert(c->r >= 1 && c->r <= CHAIN_DEGREE_MAX);
	lanes_begin(l, o->fixed ? LANES_FIXED : LANES_READY,
		    c->interference);
	for (int i = 0; i < c->r; i++) {
		at[i] = lanes_add(l, LANE_INTER, c->a, o->dispatch, -1);
		if (c->g > 0)
			at[i] = lanes_add(l, node_lane(c), c->g, o->gather,
					  at[i]);
	}
	add_gradient(c, o, l);
	for (int i = 0; i < c->r; i++)
		at[i] = lanes_add(l, LANE_COMPUTE, c->e, 0, at[i]);
	for (int i = 0; i < c->r; i++) {
		if (c->s > 0)
			at[i] = lanes_add(l, node_lane(c), c->s, o->scatter,
					  at[i]);
		lanes_add(l, LANE_INTER, c->a, o->combine, at[i]);
	}
}

double chain_order(const struct chain *c, int order)
{
	struct lanes l;

	chain_tasks(c, &orders[order], &l);
	return lanes_run(&l, NULL);
}

/*
 * Without interference each lane's tasks end at the larger of "lane free" and
 * "input there", plus their time: one pass over the chunks.
 */
static double fixed_recursion(const struct chain *c)
{
	double ag = 0, e = 0, intra, inter;
	double ends[CHAIN_DEGREE_MAX];

	for (int i = 0; i < c->r; i++) {
		ag = fmax(ag, (i + 1) * c->a) + c->g;
		e = fmax(e, ag) + c->e;
		ends[i] = e;
	}
	intra = ag;
	inter = c->r * c->a + c->gradient;
	for (int i = 0; i < c->r; i++) {
		if (c->s > 0)
			ends[i] = intra = fmax(intra, ends[i]) + c->s;
		inter = fmax(inter, ends[i]) + c->a;
	}
	return inter;
}

double chain_fixed(const struct chain *c)
{
	assert(c->r >= 1 && c->r <= CHAIN_DEGREE_MAX);
	if (c->interference > 0 || c->one_lane)
		return chain_order(c, 0);
	return fixed_recursion(c);
}

/* The predicates Q1..Q7 of the paper's section on the optimal degree. */
struct predicates {
	bool inter_slower;	/* Q1: a > g */
	bool expert_over_inter;	/* Q2 */
	bool expert_over_intra;	/* Q3 */
	bool q4, q5, q6, q7;	/* is G longer than what hides it? */
};

static struct predicates predicates_make(const struct chain *c)
{
	double r = c->r, experts = r * c->e, node = c->g + c->s;
	double wait = 2 * (r - 1) * c->a, gradient = c->gradient;

	return (struct predicates){
		.inter_slower = c->a > c->g,
		.expert_over_inter = experts > wait,
		.expert_over_intra = experts > (r - 1) * node,
		.q4 = gradient > node,
		.q5 = gradient > experts - wait + node,
		.q6 = gradient > r * node - wait,
		.q7 = gradient > node + experts - wait,
	};
}

static enum chain_case which_case(const struct predicates *q)
{
	if (q->inter_slower) {
		if (q->expert_over_inter)
			return q->q5 ? CHAIN_GRADIENT : CHAIN_EXPERT;
		return q->q4 ? CHAIN_GRADIENT : CHAIN_ALLTOALL;
	}
	if (q->expert_over_intra)
		return q->q7 ? CHAIN_GRADIENT : CHAIN_EXPERT;
	return q->q6 ? CHAIN_GRADIENT : CHAIN_INTRA;
}

double chain_closed(const struct chain *c, enum chain_case *case_p)
{
	struct predicates q = predicates_make(c);
	enum chain_case which = which_case(&q);
	double r = c->r, node = c->g + c->s;

	if (case_p)
		*case_p = which;
	switch (which) {
	case CHAIN_GRADIENT:
		return 2 * r * c->a + c->gradient;
	case CHAIN_EXPERT:
		return 2 * c->a + node + r * c->e;
	case CHAIN_ALLTOALL:
		return 2 * r * c->a + node;
	default:
		return 2 * c->a + r * node;
	}
}

/* No order can be faster: each lane's work, and one chunk's way through. */
double chain_bound(const struct chain *c)
{
	double r = c->r, inter = 2 * r * c->a + c->gradient;
	double intra = r * (c->g + c->s);

	if (c->one_lane)
		return fmax(inter + intra,
			    2 * c->a + c->g + c->s + r * c->e);
	return fmax(fmax(inter, 2 * c->a + intra),
		    2 * c->a + c->g + c->s + r * c->e);
}

double chain_best(const struct chain *c, int *order_p)
{
	double best = chain_fixed(c), bound = chain_bound(c);
	int order = 0;

	for (int i = 1; i < CHAIN_ORDERS && best > bound * (1 + 1e-12); i++) {
		double t = chain_order(c, i);

		if (t < best) {
			best = t;
			order = i;
		}
	}
	if (order_p)
		*order_p = order;
	return best;
}
