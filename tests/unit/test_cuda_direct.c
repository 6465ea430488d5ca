/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The direct exchange and the experts' products on every GPU of this host
 * against the host's own count of them (tests/bench/bench_gpu_check.c, _ffn.c);
 * a planted fault is seen in every one of the checks. Skipped without a GPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/bench/bench_gpu.h"

#include <stdio.h>
#include <stdlib.h>

static struct bench *bench;

static enum status check_rank(void *arg, int rank)
{
	struct bench_rank *r = &bench->rank[rank];
	enum status (*check)(struct bench_rank *r) =
		*(enum status (**)(struct bench_rank *))arg;

	cudaSetDevice(rank);
	return check(r);
}

static void run(enum status (*check)(struct bench_rank *r), bool fault)
{
	if (!bench)
		skip();
	bench->plant_fault = fault;
	bench->checks = bench->wrong = 0;
	if (ranks_call(bench->all, check_rank, &check))
		fail_msg("%s", err_msg());
	assert_true(bench->checks > 0);
	assert_int_equal(bench->wrong, fault ? bench->checks : 0);
}

static void test_exchange(void **state)
{
	(void)state;
	run(bench_check_direct, false);
}

static void test_exchange_fault(void **state)
{
	(void)state;
	run(bench_check_direct, true);
}

static void test_experts(void **state)
{
	(void)state;
	run(bench_check_ffn, false);
}

static void test_experts_fault(void **state)
{
	(void)state;
	run(bench_check_ffn, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_exchange_fault),
		cmocka_unit_test(test_experts),
		cmocka_unit_test(test_experts_fault),
	};
	enum status st = bench_open(&bench);
	int failed;

	if (st && st != ST_UNAVAILABLE) {
		fprintf(stderr, "%s\n", err_msg());
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	fflush(stdout);
	_Exit(failed ? 1 : 0);	/* threads wait for more */
}
