/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host backend: every result right, every planted fault found; the CPU
 * twins by hand; ranks that fail. */
#include "gpu/backend.h"
#include "gpu/fill.h"
#include "gpu/layer_math.h"
#include "gpu/ranks.h"
#include "gpu/ref.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define REPEATS 3

static const struct bench_work works[] = {
	{ "alltoall", "even", "fp32", 0, 4096, 0, 0, 0, 0 },
	{ "alltoall", "uneven", "fp32", 0, 4096, 0, 0, 0, 0 },
	{ "sendrecv", "", "fp32", 0, 1236, 0, 0, 0, 0 },
	{ "allgather", "", "fp32", 0, 6000, 0, 0, 0, 0 },
	{ "reducescatter", "", "fp32", 0, 6000, 0, 0, 0, 0 },
	{ "allreduce", "", "fp32", 0, 6000, 0, 0, 0, 0 },
	{ "gemm", "per-expert", "fp32", 0, 0, 37, 19, 53, 3 },
	{ "gate", "", "fp32", 0, 0, 37, 8, 53, 0 },
	{ "topk", "", "fp32", 0, 0, 101, 17, 3, 0 },
	{ "sort", "", "fp32", 0, 0, 101, 17, 3, 0 },
	{ "permute", "", "fp32", 0, 0, 31, 7, 3, 5 },
	{ "combine", "", "fp32", 0, 0, 31, 7, 3, 5 },
	{ "stream", "", "fp32", 0, 0, 1001, 0, 0, 0 },
	{ "copy", "", "fp32", 0, 0, 1001, 0, 0, 0 },
	{ "allgather", "counts", "fp32", 0, 6000, 0, 0, 0, 0 },
	{ "launch", "kernel", "fp32", 0, 0, 17, 0, 0, 0 },
	{ "plan", "flat", "fp32", 0, 0, 101, 840, 3, 2 },
	{ "plan", "dedup", "fp32", 0, 0, 101, 840, 3, 1 },
	{ "plan", "esp", "fp32", 0, 0, 101, 840, 3, 3 },
};
#define N_WORKS (sizeof(works) / sizeof(works[0]))

static struct bench_case case_of(const struct bench_work *w, int ranks)
{
	struct bench_case c = { .work = *w, .tier = "shm", .ranks = ranks,
				.seed = 2385 };

	if (w->bytes)
		c.work.bytes = work_round_bytes(w->bytes, ranks);
	work_set_bytes(&c.work);
	return c;
}

static int64_t wrong_of(struct backend *b, const struct bench_case *c)
{
	double seconds[REPEATS], beside_s[REPEATS];
	int64_t wrong = -1;
	int i;

	assert_true(backend_host.can(b, c));
	assert_int_equal(backend_host.prepare(b, c), ST_OK);
	assert_int_equal(backend_host.run(b, REPEATS, seconds, beside_s),
			 ST_OK);
	for (i = 0; i < REPEATS; i++)
		assert_true(seconds[i] >= 0 && seconds[i] < 10);
	assert_int_equal(backend_host.check(b, &wrong), ST_OK);
	backend_host.release(b);
	return wrong;
}

static void test_results(void **state)
{
	static const int counts[] = { 1, 2, 3, 4, 7 };
	size_t r, i;

	(void)state;
	for (r = 0; r < sizeof(counts) / sizeof(counts[0]); r++) {
		struct backend_options opt = { .ranks = counts[r] };
		struct backend *b;

		assert_int_equal(backend_host.open(&opt, &b), ST_OK);
		for (i = 0; i < N_WORKS; i++) {
			struct bench_case c = case_of(&works[i], counts[r]);

			assert_int_equal(wrong_of(b, &c), 0);
			c.plant_fault = true;
			if (wrong_of(b, &c) < 1)
				fail_msg("%s: no fault found", works[i].op);
		}
		backend_host.close(b);
	}
}

static void test_contention(void **state)
{
	struct backend_options opt = { .ranks = 3 };
	struct bench_case c;
	struct backend *b;

	(void)state;
	c = case_of(&works[6], 3);
	c.beside = case_of(&works[1], 3).work;
	assert_int_equal(backend_host.open(&opt, &b), ST_OK);
	assert_int_equal(wrong_of(b, &c), 0);
	c.plant_fault = true;
	assert_true(wrong_of(b, &c) > 0);
	backend_host.close(b);
}

static void test_refusals(void **state)
{
	struct backend_options nodes = { .emulate_nodes = 2 };
	struct backend_options many = { .ranks = 1000 };
	struct backend_options two = { .ranks = 2 };
	struct bench_case c = case_of(&works[0], 2);
	const struct backend_ops *ops;
	struct backend *b;

	(void)state;
	assert_int_equal(backend_host.open(&nodes, &b), ST_INPUT);
	assert_non_null(strstr(err_msg(), "cannot emulate nodes"));
	assert_int_equal(backend_host.open(&many, &b), ST_INPUT);
	assert_int_equal(backend_host.open(&two, &b), ST_OK);
	snprintf(c.tier, sizeof(c.tier), "nvlink");
	assert_false(backend_host.can(b, &c));
	assert_int_equal(backend_host.prepare(b, &c), ST_INPUT);
	c = case_of(&works[0], 2);
	snprintf(c.work.dtype, sizeof(c.work.dtype), "bf16");
	assert_false(backend_host.can(b, &c));
	c = case_of(&works[0], 2);
	snprintf(c.work.variant, sizeof(c.work.variant), "odd");
	assert_false(backend_host.can(b, &c));
	backend_host.close(b);
	assert_int_equal(backend_find("hots", &ops), ST_INPUT);
	assert_non_null(strstr(err_msg(), "did you mean 'host'"));
}

static void test_topk_by_hand(void **state)
{
	/* ties: the lower id first */
	static const float logits[] = { 1, 3, 3, 2, 0, 0, 0, 0 };
	int32_t ids[4], counts[4];
	float w[4];
	double sum = exp(-2) + 1 + 1 + exp(-1);

	(void)state;
	ref_topk(logits, 2, 4, 2, ids, w, counts);
	assert_int_equal(ids[0], 1);
	assert_int_equal(ids[1], 2);
	assert_int_equal(ids[2], 0);
	assert_int_equal(ids[3], 1);
	assert_true(fabs((double)w[0] - 1 / sum) < 1e-6);
	assert_true(fabs((double)w[3] - 0.25) < 1e-6);
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[1], 2);
	assert_int_equal(counts[2], 1);
	assert_int_equal(counts[3], 0);
}

static void test_sort_by_hand(void **state)
{
	static const int32_t ids[] = { 2, 0, 1, 0, 2, 1 };
	static const int32_t want[] = { 4, 0, 2, 1, 5, 3 };
	static const float x[] = { 1, 2, 3 }, w[] = { 1, 2, 1, 2, 1, 2 };
	int32_t pos[6];
	float y[6], z[3];

	(void)state;
	ref_sort(ids, 6, 3, pos);
	assert_memory_equal(pos, want, sizeof(want));
	/* rows of one: x0 to 4 and 0, x1 to 2 and 1, x2 to 5 and 3 */
	ref_permute(x, pos, 3, 1, 2, y);
	assert_true(y[4] == 1 && y[0] == 1 && y[2] == 2 && y[1] == 2);
	assert_true(y[5] == 3 && y[3] == 3);
	ref_combine(y, pos, w, 3, 1, 2, z);
	assert_true(z[0] == 3 && z[1] == 6 && z[2] == 9);
}

static void test_bf16(void **state)
{
	(void)state;
	assert_int_equal(ref_bf16(1.0f), 0x3f80);
	/* 1 + 2^-8 lies between 1 and 1 + 2^-7: to even, 1 */
	assert_int_equal(ref_bf16(1.00390625f), 0x3f80);
	/* 1 + 3 * 2^-8: to even, 1 + 2 * 2^-7 */
	assert_int_equal(ref_bf16(1.01171875f), 0x3f82);
	assert_true(ref_from_bf16(0xbf80) == -1.0f);
}

/*
 * Sums of chunks in bf16 keep a factor a little below 1 of what is there:
 * nothing added leaves every number as it is; what is added, |p| < 1 to
 * 1/2 <= |s| < 1, gives the plain sum, or its neighbour where the sum is a tie
 * but for 2^-24 and the float's own rounding of as much (a place of the sum is
 * 2^-7 at most, 2^-22 away from the tie).
 */
static void test_bf16_kept(void **state)
{
	uint32_t key = fill_key(3, 0, 0);
	uint32_t h, at;
	int differ = 0;
	double middle;
	float s, p, got, want;

	(void)state;
	for (h = 0; h <= 0xffff; h++) {
		s = ref_from_bf16((uint16_t)h);
		if (isfinite(s))
			assert_int_equal(ref_bf16(MATH_BF16_KEPT * s), h);
	}
	for (at = 0; at < 1 << 20; at++) {
		s = ref_from_bf16((uint16_t)(0x3f00 | (at & 0x807f)));
		p = (float)(int32_t)fill_bits(key, at) * 0x1p-31f;
		got = ref_from_bf16(ref_bf16(fmaf(MATH_BF16_KEPT, s, p)));
		want = ref_from_bf16(ref_bf16(s + p));
		middle = ((double)got + (double)want) / 2;
		differ += got != want;
		assert_true(got == want || fabs((double)s + (double)p - middle)
			    <= 0x1p-22);
	}
	assert_in_range(differ, 0, 1 << 10);
}

/* Shares 1 and 1/2, in units of 4 elements. */
static void test_uneven_by_hand(void **state)
{
	struct bench_case c = { .work = { .op = "alltoall",
					  .variant = "uneven", .bytes = 352 },
				.ranks = 2 };
	uint64_t count[2];

	(void)state;
	work_counts(&c, 1, count);
	/* of 88: 58.7 -> 56 and 29.3 -> 28; what is left goes to rank 0 */
	assert_int_equal(count[0], 60);
	assert_int_equal(count[1], 28);
	/* rank 0 gets 60 elements from rank 1 */
	assert_true(work_busiest_bytes(&c) == 240);
	snprintf(c.work.variant, sizeof(c.work.variant), "even");
	assert_true(work_busiest_bytes(&c) == 0);
}

static enum status fail_on_two(void *arg, int rank)
{
	struct ranks *r = *(struct ranks **)arg;

	if (rank == 2)
		return err_set(ST_UNAVAILABLE, "rank two has no device");
	while (ranks_barrier(r))
		;
	return err_set(ST_FAIL, "rank %d was alone", rank);
}

/*
 * 2 products of 2 x 3 by 3 x 1. By rows A of the second begins at 6: row 1 is
 * 9, 10, 11. Stored as 3 x 2 its row 1 is every other one from 7: 7, 9, 11. B of
 * the second begins at 3, and C's element 3 is that row's.
 */
static void test_turned_product(void **state)
{
	struct bench_case c = { .work = { .op = "gemm", .m = 2, .n = 1, .k = 3,
					  .batch = 2, .dtype = "fp32" },
				.seed = 7 };
	static const char *const turned[] = { "adding", "adding-each",
					      "weights-each" };
	uint32_t a = fill_key(7, 0, FILL_A), b = fill_key(7, 0, FILL_B);
	double rows = 0, columns = 0;
	uint64_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		rows += (double)fill_value(a, 9 + i) * fill_value(b, 3 + i);
		columns += (double)fill_value(a, 7 + 2 * i) *
			fill_value(b, 3 + i);
	}
	assert_true(fabs(rows - columns) > 1e-3);
	assert_true(ref_product_value(&c, 0, 3) == rows);
	for (i = 0; i < sizeof(turned) / sizeof(turned[0]); i++) {
		snprintf(c.work.variant, sizeof(c.work.variant), "%s",
			 turned[i]);
		assert_true(ref_product_value(&c, 0, 3) == columns);
	}
}

static void test_failing_rank(void **state)
{
	struct ranks *r;

	(void)state;
	assert_int_equal(ranks_start(5, &r), ST_OK);
	assert_int_equal(ranks_call(r, fail_on_two, &r), ST_UNAVAILABLE);
	assert_string_equal(err_msg(), "rank two has no device");
	/* it stays failed */
	assert_int_equal(ranks_call(r, fail_on_two, &r), ST_UNAVAILABLE);
	ranks_stop(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_contention),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_topk_by_hand),
		cmocka_unit_test(test_sort_by_hand),
		cmocka_unit_test(test_bf16),
		cmocka_unit_test(test_bf16_kept),
		cmocka_unit_test(test_uneven_by_hand),
		cmocka_unit_test(test_turned_product),
		cmocka_unit_test(test_failing_rank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
