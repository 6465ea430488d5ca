/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The best few candidates, in order. Ties go to the simpler plan: fewer
 * chunks, then the earlier algorithm, then the lower limit of CTAs (none
 * first), then less capacity; so that the same scenario gives the same list on every machine.
 */
#ifndef SIM_SEARCH_LIST_H
#define SIM_SEARCH_LIST_H

#include "sim/search.h"

struct candidate_list {
	struct candidate *item;	/* sorted; owned */
	int n, max;
};

/* By value, then by the tie rule; for qsort(). */
int candidate_compare(const void *a, const void *b);

/* Puts *k where it belongs, or drops it when the list is full of better. */
void candidate_list_add(struct candidate_list *l, const struct candidate *k);

/* Value that a candidate must beat to get in: INFINITY until
 * full. */
double candidate_list_limit(const struct candidate_list *l);

#endif
