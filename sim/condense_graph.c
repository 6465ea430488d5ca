/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/condense_graph.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAD 32	/* elements: whole vectors of any width, no remainder loop */

void bits_init(struct bits *b, int n)
{
	b->n = n;
	b->words = (n + 63) / 64;
	b->w = xcalloc((size_t)n * (size_t)b->words + 1, sizeof(*b->w));
}

void bits_release(struct bits *b)
{
	free(b->w);
	*b = (struct bits){ 0 };
}

/* ---- products ---- */

static void fix_row(const float *x, int dim, int16_t *out)
{
	double norm = 0;

	for (int d = 0; d < dim; d++) {
		norm += (double)x[d] * x[d];
	}
	norm = norm > 0 ? CONDENSE_UNIT / sqrt(norm) : 0;
	for (int d = 0; d < dim; d++) {
		out[d] = (int16_t)lrint(x[d] * norm);
	}
}

void fixed_init(struct fixed *f, const float *x, int dim, const int *index,
		int n)
{
	size_t rows = (size_t)(n + CONDENSE_TILE - 1) / CONDENSE_TILE *
		CONDENSE_TILE;

	f->n = n;
	f->dim = (dim + PAD - 1) / PAD * PAD;
	f->x = xcalloc(rows * (size_t)f->dim, sizeof(*f->x));
	for (int i = 0; i < n; i++) {
		fix_row(x + (int64_t)index[i] * dim, dim,
			f->x + (int64_t)i * f->dim);
	}
}

void fixed_release(struct fixed *f)
{
	free(f->x);
	*f = (struct fixed){ 0 };
}

/*
 * 4 x 4 products at once, each its own variable, so that the compiler keeps
 * them in vector registers and multiplies 8 (SSE2) or 16 (AVX2) pairs of 16
 * bits per instruction. Integers: the width does not change the result.
 */
static inline __attribute__((always_inline)) void
products_4x4(const int16_t *restrict a, const int16_t *restrict b, int dim,
	     int32_t *restrict out)
{
	const int16_t *a1 = a + dim, *a2 = a1 + dim, *a3 = a2 + dim;
	const int16_t *b1 = b + dim, *b2 = b1 + dim, *b3 = b2 + dim;
	int32_t s00 = 0, s01 = 0, s02 = 0, s03 = 0;
	int32_t s10 = 0, s11 = 0, s12 = 0, s13 = 0;
	int32_t s20 = 0, s21 = 0, s22 = 0, s23 = 0;
	int32_t s30 = 0, s31 = 0, s32 = 0, s33 = 0;

	for (int d = 0; d < dim; d++) {
		s00 += a[d] * b[d];
		s01 += a[d] * b1[d];
		s02 += a[d] * b2[d];
		s03 += a[d] * b3[d];
		s10 += a1[d] * b[d];
		s11 += a1[d] * b1[d];
		s12 += a1[d] * b2[d];
		s13 += a1[d] * b3[d];
		s20 += a2[d] * b[d];
		s21 += a2[d] * b1[d];
		s22 += a2[d] * b2[d];
		s23 += a2[d] * b3[d];
		s30 += a3[d] * b[d];
		s31 += a3[d] * b1[d];
		s32 += a3[d] * b2[d];
		s33 += a3[d] * b3[d];
	}
	memcpy(out, (int32_t[]){ s00, s01, s02, s03 }, 16);
	out += CONDENSE_TILE;
	memcpy(out, (int32_t[]){ s10, s11, s12, s13 }, 16);
	out += CONDENSE_TILE;
	memcpy(out, (int32_t[]){ s20, s21, s22, s23 }, 16);
	out += CONDENSE_TILE;
	memcpy(out, (int32_t[]){ s30, s31, s32, s33 }, 16);
}

static void products(const int16_t *a, const int16_t *b, int dim,
		     int32_t out[CONDENSE_MICRO][CONDENSE_TILE])
{
	for (int c = 0; c < CONDENSE_TILE; c += CONDENSE_MICRO) {
		products_4x4(a, b + (int64_t)c * dim, dim, &out[0][c]);
	}
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2"))) static void
products_avx2(const int16_t *a, const int16_t *b, int dim,
	      int32_t out[CONDENSE_MICRO][CONDENSE_TILE])
{
	for (int c = 0; c < CONDENSE_TILE; c += CONDENSE_MICRO) {
		products_4x4(a, b + (int64_t)c * dim, dim, &out[0][c]);
	}
}

static bool have_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}
#else
#define products_avx2 products
#define have_avx2() false
#endif

void fixed_products(const struct fixed *f, int i, int j,
		    int32_t out[CONDENSE_MICRO][CONDENSE_TILE])
{
	const int16_t *a = f->x + (int64_t)i * f->dim;
	const int16_t *b = f->x + (int64_t)j * f->dim;

	(have_avx2() ? products_avx2 : products)(a, b, f->dim, out);
}

/* ---- dominating set ---- */

struct greedy {
	const struct bits *graph;
	uint64_t *alive;	/* [words] */
	int *degree;		/* [n], among the living; -1: gone */
};

static int next_bit(uint64_t *w)
{
	int bit = __builtin_ctzll(*w);

	*w &= *w - 1;
	return bit;
}

/* Vertex u goes: its living neighbours lose an edge. */
static void bury(struct greedy *g, int u)
{
	const uint64_t *row = g->graph->w + (int64_t)u * g->graph->words;

	g->alive[u / 64] &= ~((uint64_t)1 << (u % 64));
	g->degree[u] = -1;
	for (int w = 0; w < g->graph->words; w++) {
		uint64_t left = row[w] & g->alive[w];

		while (left) {
			g->degree[64 * w + next_bit(&left)]--;
		}
	}
}

static int busiest(const struct greedy *g)
{
	int best = 0, n = g->graph->n;

	for (int i = 1; i < n; i++) {
		best = g->degree[i] > g->degree[best] ? i : best;
	}
	return best;
}

static void greedy_init(struct greedy *g, const struct bits *graph)
{
	g->graph = graph;
	g->alive = xcalloc((size_t)graph->words + 1, sizeof(*g->alive));
	g->degree = xcalloc((size_t)graph->n + 1, sizeof(*g->degree));
	for (int i = 0; i < graph->n; i++) {
		g->alive[i / 64] |= (uint64_t)1 << (i % 64);
		for (int w = 0; w < graph->words; w++) {
			g->degree[i] += __builtin_popcountll(
				graph->w[(int64_t)i * graph->words + w]);
		}
	}
}

int bits_condense(const struct bits *graph, int *to)
{
	struct greedy g;
	int kept = graph->n, v;

	greedy_init(&g, graph);
	for (int i = 0; i < graph->n; i++) {
		to[i] = i;
	}
	while (graph->n && g.degree[v = busiest(&g)] > 0) {
		const uint64_t *row = graph->w + (int64_t)v * graph->words;

		for (int w = 0; w < graph->words; w++) {
			uint64_t left = row[w] & g.alive[w];

			while (left) {
				int u = 64 * w + next_bit(&left);

				to[u] = v;
				kept--;
				bury(&g, u);
			}
		}
		bury(&g, v);
	}
	free(g.alive);
	free(g.degree);
	return kept;
}
