/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Graphs as bit matrices. Private to sim/tech_condense.c and its tests. */
#ifndef SIM_CONDENSE_GRAPH_H
#define SIM_CONDENSE_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

struct bits {
	int n, words;	/* words per row */
	uint64_t *w;	/* [n * words] */
};

void bits_init(struct bits *b, int n);
void bits_release(struct bits *b);

static inline bool bits_get(const struct bits *b, int i, int j)
{
	return b->w[(int64_t)i * b->words + j / 64] >> (j % 64) & 1;
}

static inline void bits_set(struct bits *b, int i, int j)
{
	b->w[(int64_t)i * b->words + j / 64] |= (uint64_t)1 << (j % 64);
}

/*
 * Vectors in 16-bit fixed point: length 32767 (CONDENSE_UNIT), padded with
 * zeros. Zero vectors stay zero. Rows up to the next multiple of the tile
 * are zero vectors.
 */
#define CONDENSE_UNIT 32767
#define CONDENSE_TILE 64
struct fixed {
	int n, dim;	/* dim: padded */
	int16_t *x;	/* [(n rounded up to the tile) * dim] */
};

/* index[n]: rows of x, [.. * dim]. */
void fixed_init(struct fixed *f, const float *x, int dim, const int *index,
		int n);
void fixed_release(struct fixed *f);

/* Products of CONDENSE_MICRO rows from i on with a tile's from j on. */
#define CONDENSE_MICRO 4
void fixed_products(const struct fixed *f, int i, int j,
		    int32_t out[CONDENSE_MICRO][CONDENSE_TILE]);

/*
 * Greedy dominating set of a symmetric graph without loops: to[n], the
 * vertex that each is condensed onto, itself when kept. Returns how many are
 * kept.
 */
int bits_condense(const struct bits *graph, int *to);

#endif
