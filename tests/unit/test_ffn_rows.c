/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the rows of a rank's experts lie (gpu/ffn_rows.h): the rule that the
 * host and the kernels share. And the way from a routing to places, as
 * gpu/cuda_direct.h says it, against a plain list of who comes in which order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gpu/ffn_rows.h"

#include <stdlib.h>

/*
 * Strides are multiples of 16 and padding is at most 60 % of the rows:
 *	5 experts, most 100 of 268: 112 * 5 = 560 > 1.6 * 268 = 428.8: packed
 *	5 experts, most 60 of 268: 64 * 5 = 320 <= 428.8: padded, 64
 *	2 experts, 10 and 10: 16 * 2 = 32 <= 32: padded, at the very bound
 *	2 experts, 10 and 9: 32 > 30.4: packed
 *	1 expert is always padded; nothing at all has stride 0
 */
static void test_stride(void **state)
{
	(void)state;
	assert_int_equal(ffn_stride(5, 100, 268), 0);
	assert_int_equal(ffn_stride(5, 60, 268), 64);
	assert_int_equal(ffn_stride(2, 10, 20), 16);
	assert_int_equal(ffn_stride(2, 10, 19), 0);
	assert_int_equal(ffn_stride(1, 1, 1), 16);
	assert_int_equal(ffn_stride(4, 0, 0), 0);
	assert_int_equal(ffn_stride(2, 16, 32), 16);
	assert_int_equal(ffn_stride(2, 17, 34), 0);	/* 64 > 54.4 */
	/* rows past 2^31 */
	assert_int_equal(ffn_stride(1024, 4194304, (int64_t)1024 * 4194304),
			 4194304);
}

static void test_first(void **state)
{
	const int32_t uneven[] = { 100, 0, 37, 130, 1 };
	const int32_t even[] = { 50, 60, 58, 49, 51 };
	struct ffn_rows r = ffn_rows_of(uneven, 5);
	const int64_t want[] = { 0, 100, 100, 137, 267, 268 };
	int e;

	(void)state;
	assert_int_equal(r.stride, 0);
	for (e = 0; e <= 5; e++)
		assert_int_equal(ffn_rows_first(&r, e), want[e]);
	r = ffn_rows_of(even, 5);
	assert_int_equal(r.stride, 64);
	for (e = 0; e <= 5; e++)
		assert_int_equal(ffn_rows_first(&r, e), 64 * e);
}

#define RANKS 3
#define EXPERTS 6		/* two on a rank */
#define TOKENS 40
#define K 3

struct routing {
	int32_t id[RANKS][TOKENS * K], pos[RANKS][TOKENS * K];
	int32_t count[RANKS][EXPERTS];
};

static unsigned next(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Positions are numbers in a rank's order of experts, then of tokens:
 * k_sort()'s. `hot`: in 16, that a token's first expert is 0. */
static void make(struct routing *g, unsigned hot, unsigned *state)
{
	int r, i, j, e, at[EXPERTS + 1];

	*g = (struct routing){ 0 };
	for (r = 0; r < RANKS; r++) {
		for (i = 0; i < TOKENS * K; i++) {
			do {
				e = next(state) % 16 < hot ? 0 :
				    (int)(next(state) % EXPERTS);
				for (j = i - i % K; j < i &&
				     g->id[r][j] != e; j++)
					;
			} while (j < i);
			g->id[r][i] = e;
			g->count[r][e]++;
		}
		at[0] = 0;
		for (e = 0; e < EXPERTS; e++)
			at[e + 1] = at[e] + g->count[r][e];
		for (i = 0; i < TOKENS * K; i++)
			g->pos[r][i] = at[g->id[r][i]]++;
	}
}

static int32_t kept(int32_t n, int32_t capacity)
{
	return capacity && n > capacity ? capacity : n;
}

/* The formula: row of a pair at its expert's rank; -2: dropped. */
static int64_t place(const struct routing *g, const struct ffn_rows *rows,
		     int home, int src, int i, int32_t capacity)
{
	int e = g->id[src][i], s, x;
	int64_t number = g->pos[src][i], before = 0;

	for (x = 0; x < e; x++)
		number -= g->count[src][x];
	if (capacity && number >= capacity)
		return -2;
	for (s = 0; s < src; s++)
		before += kept(g->count[s][e], capacity);
	return ffn_rows_first(rows, e - home * (EXPERTS / RANKS)) + before +
	       number;
}

/* Expert by expert, source by source, token by token. */
static void list_home(const struct routing *g, int home, int32_t capacity)
{
	int local = EXPERTS / RANKS, e, s, i;
	int32_t count[EXPERTS / RANKS] = { 0 };
	struct ffn_rows rows;
	int64_t row, next_row;

	for (e = 0; e < local; e++) {
		for (s = 0; s < RANKS; s++)
			count[e] += kept(g->count[s][home * local + e],
					 capacity);
	}
	rows = ffn_rows_of(count, local);
	for (e = 0; e < local; e++) {
		next_row = ffn_rows_first(&rows, e);
		for (s = 0; s < RANKS; s++) {
			int seen = 0;

			for (i = 0; i < TOKENS * K; i++) {
				if (g->id[s][i] != home * local + e)
					continue;
				row = place(g, &rows, home, s, i, capacity);
				if (capacity && seen++ >= capacity)
					assert_int_equal(row, -2);
				else
					assert_int_equal(row, next_row++);
			}
		}
		assert_int_equal(next_row, ffn_rows_first(&rows, e) +
				 count[e]);
		assert_true(next_row <= ffn_rows_first(&rows, e + 1));
	}
}

static void test_places(void **state)
{
	static const int32_t capacity[] = { 0, 1, 15, TOKENS };
	unsigned random = 7, hot;
	struct routing g;
	size_t c;
	int home;

	(void)state;
	for (hot = 0; hot <= 16; hot += 8) {
		make(&g, hot == 16 ? 15 : hot, &random);
		for (c = 0; c < sizeof(capacity) / sizeof(*capacity); c++) {
			for (home = 0; home < RANKS; home++)
				list_home(&g, home, capacity[c]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stride),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
