/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the search for orders: a pass as a job shop. */
#ifndef SIM_ORDER_INT_H
#define SIM_ORDER_INT_H

#include "sim/order_search.h"

#define SHOP_OPS_MAX (ORDER_PLACES_MAX + 8)
#define SHOP_BEFORE_MAX 32

/*
 * Op i is op first + i of the program. before[]: what must be done when it
 * starts. Beside the dependencies: chunks of a kind stay in order; weight
 * gradients come after the data gradients of their chunk; the ops that cannot
 * be moved stand first or last on their lane.
 */
struct shop {
	int n, first;
	int lane[SHOP_OPS_MAX];
	int kind[SHOP_OPS_MAX];		/* movable: order_kind(); else -1 */
	uint64_t time[SHOP_OPS_MAX];
	int n_before[SHOP_OPS_MAX];
	int before[SHOP_OPS_MAX][SHOP_BEFORE_MAX];
	uint64_t head[SHOP_OPS_MAX];	/* earliest start */
	uint64_t tail[SHOP_OPS_MAX];	/* least time after its end */
	int by_tail[LANES_ALL][SHOP_OPS_MAX];	/* longest tail first */
	int n_lane[LANES_ALL];
};

/* False: the pass has too many ops. */
bool shop_make(const struct program *p, int pass, const uint64_t *duration_ps,
	       struct shop *s);
uint64_t shop_bound(const struct shop *s);

/* The best list schedule of several priorities; fills the sequence. */
uint64_t shop_list(const struct shop *s, int *sequence);

/*
 * Depth first below *best_ps; a better sequence replaces the given one.
 * Returns whether the search ended by itself.
 */
bool shop_search(const struct shop *s, long nodes, uint64_t *best_ps,
		 int *sequence, long *looked_p);

#endif
