/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One pass of a MoE layer in r chunks, each of which goes
 *
 *	D dispatch (INTER) -> AG all-gather (INTRA) -> E experts (COMPUTE)
 *	  -> RS reduce-scatter (INTRA) -> C combine (INTER)
 *
 * with a slice of the gradient all-reduce, G, on INTER. FSMoE (Pan et al.,
 * ASPLOS 2025) runs the fixed order INTER: D_1..D_r G C_1..C_r, INTRA:
 * AG_1..AG_r RS_1..RS_r, and gives closed forms of its makespan. They are
 * here beside the exact makespan of that order and a search over orders.
 */
#ifndef SIM_CHAIN_H
#define SIM_CHAIN_H

#include <stdbool.h>

/* Largest number of chunks. */
#define CHAIN_DEGREE_MAX 32

struct chain {
	int r;
	double a, g, s, e;	/* seconds of one chunk's D or C, AG, RS, E */
	double gradient;	/* seconds of G in all; 0: none */
	int pieces;		/* G in so many equal pieces; 0 means 1 */
	double interference;	/* see sim/lanes.h */
	bool one_lane;		/* AG and RS run on INTER too: systems
				   without a lane for the node */
};

enum chain_case {	/* what bounds the fixed order */
	CHAIN_GRADIENT = 1,	/* inter-node exchanges and gradients */
	CHAIN_EXPERT = 2,
	CHAIN_ALLTOALL = 3,
	CHAIN_INTRA = 4,
};

/* Exact makespan of the fixed order. */
double chain_fixed(const struct chain *c);

/*
 * The closed form (interference 0, two lanes, G in one piece), and which
 * case it is. Never above chain_fixed().
 */
double chain_closed(const struct chain *c, enum chain_case *case_p);

/* Orders that chain_order() knows: 0 is the fixed one. */
#define CHAIN_ORDERS 7
double chain_order(const struct chain *c, int order);
const char *chain_order_name(int order);

/* No order is faster than this. */
double chain_bound(const struct chain *c);

/* The best of those; *order_p may be NULL. */
double chain_best(const struct chain *c, int *order_p);

/*
 * The best of all orders of the lanes in which no lane waits while it could
 * work, by depth-first search, for small r and interference 0.
 */
#define CHAIN_EXACT_MAX 4
double chain_exact(const struct chain *c);

#endif
