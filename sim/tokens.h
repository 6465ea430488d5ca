/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Token sets: vectors to hash, compress, route and condense.
 *
 * Synthetic: a share of the tokens lies in clusters; two tokens of one
 * cluster have the given cosine on average, all others 0. A token is
 *
 *	x = sqrt(s) c + sqrt(1 - s) g,  |c| = |g| = 1, g orthogonal to c
 *
 * with its cluster's centre c and a direction g of its own, so that
 * cos(x, x') = s + (1 - s) g.g' and E[g.g'] = 0; times sqrt(dim), the norm
 * that a layer norm leaves. Same spec, same numbers on every machine.
 *
 * From a file: text, one token a line, numbers separated by blanks or
 * commas, '#' begins a comment; or raw fp32 in the machine's byte order, with
 * `dim` given. Every number must be finite.
 */
#ifndef SIM_TOKENS_H
#define SIM_TOKENS_H

#include "base/status.h"

#include <stdint.h>

#define TOKENS_MAX (1 << 22)
#define TOKENS_DIM_MAX (1 << 16)
#define TOKENS_VALUES_MAX (1L << 28)	/* 1 GiB of floats */

struct tokens {
	int n, dim;
	float *x;	/* [n * dim], one token after the other; owned */
	int *cluster;	/* [n], -1: in none; owned; NULL: from a file */
};

struct tokens_spec {
	int n, dim;
	double clustered;	/* share of the tokens in clusters, 0..1 */
	int clusters;		/* >= 1; a token's is drawn evenly */
	double similarity;	/* cosine inside a cluster, 0..1 */
	uint64_t seed;
};

static inline const float *tokens_at(const struct tokens *t, int i)
{
	return t->x + (int64_t)i * t->dim;
}

/* ST_INPUT names what is out of range. */
enum status tokens_make(const struct tokens_spec *spec, struct tokens *out);
/* dim 0: text; else raw fp32 of that dimension. */
enum status tokens_read(const char *path, int dim, struct tokens *out);
void tokens_release(struct tokens *t);

/* Cosine of two vectors; 0 when one is 0. */
double tokens_cosine(const float *a, const float *b, int dim);

#endif
