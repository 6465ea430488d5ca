/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the max-min solver: the order of links, put right (fair*.c only). */
#ifndef SIM_FAIR_ORDER_H
#define SIM_FAIR_ORDER_H

#include "sim/fair_int.h"

/* fair_solve.c */
/* What earlier links leave of link number `link`, and how many it holds. */
double fair_rest(struct fair *f, int link, int *held_p);
/* The link is full at that level. */
void fair_accept(struct fair *f, int link, double level, double rest,
		 int held);
/* A link's pieces count as not yet filled. */
void fair_unfill(struct fair *f, int link);

/* fair_move.c */
/*
 * Flows that cross `link` and are held at places [from, to) are put in
 * f->moves; f->count[place - from] counts them.
 */
size_t fair_find_held(struct fair *f, int link, int from, int to);
/*
 * Where the link at place `at` comes, not before place `first`, when others
 * leave `rest` to the `held` flows that it holds there. Going back over link
 * q gives it back what q's flows had here; these are f->moves, *n_p of them.
 */
size_t fair_place_back(struct fair *f, const struct fair_comp *c, size_t first,
		       size_t at, double rest, int held, size_t *n_p);
/*
 * Puts the link at place `at` at place `to`, before it, with the flows that
 * cross it and are held from there on: among the first n of f->moves.
 */
void fair_carry_back(struct fair *f, struct fair_comp *c, size_t at,
		     size_t to, size_t n);
/*
 * The link at place `at` has risen above levels that follow (the old ones
 * are a good guess of the new): it is put off to place `to`.
 */
void fair_put_off(struct fair *f, struct fair_comp *c, size_t at, size_t to);

/* fair_guess.c: false: the order was right, the levels are there. */
bool fair_guess(struct fair *f, struct fair_comp *c);

#endif
