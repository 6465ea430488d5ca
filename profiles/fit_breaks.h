/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the pieces of a curve end. Private to profiles/fit*.c. */
#ifndef PROFILES_FIT_BREAKS_H
#define PROFILES_FIT_BREAKS_H

#include "profiles/fit_model.h"

/* Blocks at which pieces end; the last piece has no end. */
struct breaks {
	int n;
	int at[FIT_PIECES_MAX];
};

static inline int breaks_from(const struct breaks *b, int piece)
{
	return piece ? b->at[piece - 1] + 1 : 0;
}

static inline int breaks_to(const struct breaks *b, int piece, int blocks)
{
	return piece < b->n ? b->at[piece] : blocks - 1;
}

/*
 * The breaks of least weighted squares, u[i] the weight of sample i, by
 * dynamic programming over blocks (Bellman 1961): the best way to cover the
 * blocks up to `to` with k pieces is a best way for k - 1 pieces, and one
 * more. Joined pieces are judged as chords between the median times of the
 * blocks where they meet, others by their own best line (with the shape's
 * square root). False when there are too few blocks.
 */
bool breaks_search(const struct fit_data *d, const double *u,
		   const struct fit_shape *shape, struct breaks *out);

#endif
