/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The best order of a pass' ops (technique `order`).
 *
 * In the lane model a pass is a job shop of three machines: every op has a
 * duration, a lane and dependencies. Candidates are the rules of
 * scenarios/order.h and list scheduling by several priorities; then all active
 * schedules, depth first (Giffler and Thompson 1960: they contain an optimal
 * one), with bounds and dominance, until `nodes` have been looked at. So the
 * result is never slower than any rule, and exact when the search ended by
 * itself.
 */
#ifndef SIM_ORDER_SEARCH_H
#define SIM_ORDER_SEARCH_H

#include "scenarios/program.h"

#include <stdint.h>

struct cost;

struct order_found {
	struct pass_order order;
	uint64_t time_ps;	/* of the pass in that order */
	uint64_t plain_ps;	/* dispatch-first */
	uint64_t bound_ps;	/* no order is faster */
	bool exact;		/* none is faster than time_ps */
	long nodes;
};

/* Enough for passes of up to four chunks, mostly. */
#define ORDER_NODES 4000

/*
 * `p` is lowered with both passes dispatch-first; duration_ps[n_ops]. The
 * pass begins with all lanes free. nodes 0: no depth-first search. Passes of
 * more than ORDER_PLACES_MAX movable ops get the best rule.
 */
void order_search(const struct program *p, int pass,
		  const uint64_t *duration_ps, long nodes,
		  struct order_found *out);

/* Only bound_ps and plain_ps of it, cheaply. */
void order_bound(const struct program *p, int pass,
		 const uint64_t *duration_ps, struct order_found *out);

/* Every op's time in the lane model; n_ops values. */
void order_durations(const struct program *p, const struct cost *c,
		     uint64_t *duration_ps);

/*
 * The plan's program dispatch-first, with what may overlap at degree 1
 * overlapping, and the times of its ops, which the caller frees.
 */
enum status order_lower(const struct cluster *cl, const struct model *m,
			const struct cost *c, const struct plan *plan,
			struct program *out, uint64_t **duration_p);

/* Gives the plan orders, overlap at degree 1, and the technique's bit. */
void order_set(struct plan *p, const struct pass_order *forward,
	       const struct pass_order *backward);

/* The same with the best orders for that cost, if they gain anything. `p` has
 * neither order nor overlap yet. */
enum status order_plan(const struct cluster *cl, const struct model *m,
		       const struct cost *c, struct plan *p);

/* All orders, one by one, without bounds: for tests of tiny passes. */
uint64_t order_brute_force(const struct program *p, int pass,
			   const uint64_t *duration_ps);

#endif
