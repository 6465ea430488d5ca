/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scenarios/measured.h and scenarios/curve_json.h. */
#include "scenarios/measured.h"

#include "base/buf.h"
#include "base/mem.h"
#include "scenarios/curve_json.h"
#include "scenarios/scenario.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void near(double got, double want, double tolerance)
{
	if (!(fabs(got - want) <= tolerance * fabs(want)))
		fail_msg("%.12g is not %.12g within %g", got, want,
			 tolerance);
}

/* xorshift64*: the same numbers everywhere */
static uint64_t seed = 88172645463325252ull;

static double uniform(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (double)(seed * 0x2545f4914f6cdd1dull >> 11) / 9007199254740992.0;
}

/* ---- products ---- */

static double law(double m, double n, double k, double batch)
{
	return 5e-6 + 2 * m * n * k * batch / 7e14 +
		2 * (n * k * batch) / 4e12;
}

static int grid_points(struct product_point *p)
{
	const double m[] = { 16, 64, 256, 1024 }, n[] = { 512, 2048, 8192 };
	const double k[] = { 1024, 4096 };
	int i, j, l, used = 0;

	for (i = 0; i < 4; i++) {
		for (j = 0; j < 3; j++) {
			for (l = 0; l < 2; l++)
				p[used++] = (struct product_point){
					m[i], n[j], k[l], 1,
					law(m[i], n[j], k[l], 1) };
		}
	}
	return used;
}

/* At the points themselves; between them the law, which is linear in each of
 * m, n, k when it is at the corners of a cell: it has no squares. */
static void test_points(void **state)
{
	struct product_point p[32];
	struct product_table t;
	int n = grid_points(p), i;
	bool outside = true;

	(void)state;
	assert_int_equal(product_table_init(&t, DT_BF16, "", p, n), ST_OK);
	for (i = 0; i < n; i++) {
		near(product_seconds(&t, p[i].m, p[i].n, p[i].k, 1, &outside),
		     p[i].seconds, 1e-9);
		assert_false(outside);
	}
	for (i = 0; i < 1000; i++) {
		double m = 16 + 1008 * uniform(), k = 1024 + 3072 * uniform();
		double c = 512 + 7680 * uniform();

		near(product_seconds(&t, m, c, k, 1, &outside),
		     law(m, c, k, 1), 1e-9);
		assert_false(outside);
	}
	/* columns of a batch count together */
	near(product_seconds(&t, 64, 512, 1024, 4, NULL),
	     product_seconds(&t, 64, 2048, 1024, 1, NULL), 1e-12);
	product_table_release(&t);
}

/* Outside the nearest point's rate counts: twice the rows, twice the time. */
static void test_outside(void **state)
{
	struct product_point p[32];
	struct product_table t;
	int n = grid_points(p);
	bool outside = false;

	(void)state;
	assert_int_equal(product_table_init(&t, DT_BF16, "", p, n), ST_OK);
	near(product_seconds(&t, 2048, 2048, 4096, 1, &outside),
	     2 * law(1024, 2048, 4096, 1), 1e-9);
	assert_true(outside);
	near(product_seconds(&t, 8, 512, 512, 1, &outside),
	     law(16, 512, 1024, 1) / 4, 1e-9);
	assert_true(outside);
	product_seconds(&t, 16, 512, 1024, 1, &outside);
	assert_false(outside);
	product_table_release(&t);
}

/*
 * More work never takes less time: tables from scattered points with times
 * that are off by up to a factor of four either way, so that neighbours often
 * are the wrong way round; probed along each size, inside and outside.
 */
#ifdef __SANITIZE_ADDRESS__	/* four times as long */
#define MONOTONE_ROUNDS 8
#else
#define MONOTONE_ROUNDS 30
#endif

static void test_monotone(void **state)
{
	struct product_point p[100];
	struct product_table t;
	int round, i, n, axis;

	(void)state;
	for (round = 0; round < MONOTONE_ROUNDS; round++) {
		n = 1 + (int)(uniform() * 99);
		for (i = 0; i < n; i++) {
			p[i] = (struct product_point){
				floor(exp2(14 * uniform())),
				floor(64 * exp2(8 * uniform())),
				floor(64 * exp2(8 * uniform())),
				1 + floor(8 * uniform()), 0 };
			p[i].seconds = law(p[i].m, p[i].n, p[i].k,
					   p[i].batch) *
				exp2(4 * uniform() - 2);
		}
		assert_int_equal(product_table_init(&t, DT_BF16, "", p, n),
				 ST_OK);
		for (i = 0; i < 2000; i++) {
			double a[4] = { exp2(16 * uniform()),
					32 * exp2(10 * uniform()),
					32 * exp2(10 * uniform()),
					1 + floor(9 * uniform()) };
			double before = product_seconds(&t, a[0], a[1], a[2],
							a[3], NULL), after;

			assert_true(before > 0 && isfinite(before));
			axis = (int)(4 * uniform());
			a[axis] *= 1 + uniform() * uniform();
			after = product_seconds(&t, a[0], a[1], a[2], a[3],
						NULL);
			assert_true(after >= before * (1 - 1e-12));
		}
		product_table_release(&t);
	}
}

/* Repeats of a point: their geometric mean. */
static void test_repeats(void **state)
{
	const struct product_point p[] = { { 8, 8, 8, 1, 1e-6 },
					   { 8, 8, 8, 1, 4e-6 } };
	struct product_table t;

	(void)state;
	assert_int_equal(product_table_init(&t, DT_FP16, "", p, 2), ST_OK);
	assert_int_equal(t.dtype, DT_FP16);
	near(product_seconds(&t, 8, 8, 8, 1, NULL), 2e-6, 1e-9);
	product_table_release(&t);
}

static void test_bad_points(void **state)
{
	const struct product_point bad[] = { { 1, 1, 1, 1, 1 },
					     { 1, 0, 1, 1, 1 } };
	const struct product_point nan_point = { 1, 1, 1, 1, NAN };
	struct product_table t;

	(void)state;
	assert_int_equal(product_table_init(&t, DT_BF16, "", bad, 0), ST_INPUT);
	assert_int_equal(product_table_init(&t, DT_BF16, "", bad, 2), ST_INPUT);
	assert_non_null(strstr(err_msg(), "'2'"));
	assert_int_equal(product_table_init(&t, DT_BF16, "", &nan_point, 1),
			 ST_INPUT);
}

/* ---- curves ---- */

static struct measured_curve curve_of(const char *op, const char *tier,
				      int ranks, double a, double b, double c)
{
	struct measured_curve m = {
		.ranks = ranks, .min_bytes = 1024, .max_bytes = 1e9,
		.curve = curve_make(a, b, c, CURVE_MEASURED),
		.smooth = curve_make(a, b, c, CURVE_MEASURED),
	};

	snprintf(m.op, sizeof(m.op), "%s", op);
	snprintf(m.tier, sizeof(m.tier), "%s", tier);
	return m;
}

static void test_find(void **state)
{
	struct measured_curve c[] = {
		curve_of("alltoall", "nvlink", 2, 1, 0, 0),
		curve_of("alltoall", "nvlink", 8, 1, 0, 0),
		curve_of("alltoall", "socket", 4, 1, 0, 0),
	};
	const struct measured m = { .n_curves = 3, .curve = c };

	(void)state;
	assert_ptr_equal(measured_find(&m, "alltoall", "nvlink", 2), &c[0]);
	assert_ptr_equal(measured_find(&m, "alltoall", "nvlink", 3), &c[0]);
	/* 4 is as far from 2 as from 8: the larger */
	assert_ptr_equal(measured_find(&m, "alltoall", "nvlink", 4), &c[1]);
	assert_ptr_equal(measured_find(&m, "alltoall", "nvlink", 64), &c[1]);
	assert_ptr_equal(measured_find(&m, "alltoall", "socket", 64), &c[2]);
	assert_null(measured_find(&m, "alltoall", "shm", 2));
	assert_null(measured_find(&m, "allreduce", "nvlink", 2));
	assert_false(measured_has_products(&m, DT_BF16));
	assert_false(measured_has_products(NULL, DT_BF16));
}

static struct cluster host(int nodes, int gpus)
{
	struct cluster c = {
		.nodes = nodes, .gpus_per_node = gpus,
		.gpu = { .nvlink_Bps = 400e9, .hbm_Bps = 4e12,
			 .hbm_efficiency = 0.5, .kernel_s = 9e-6,
			 .intra = { .efficiency = 0.1, .launch_s = 1,
				    .message_s = 0.5e-6, .ramp = 7,
				    .ll_launch_s = 0, .ll_efficiency = 0.9 },
			 .inter = { .efficiency = 0.2, .launch_s = 2,
				    .message_s = 1e-6 } },
	};

	c.intra.kind = INTRA_NVSWITCH;
	c.intra.bandwidth_Bps = 400e9;
	c.intra.latency_s = 1e-6;
	c.nic.per_gpu = 2;
	c.nic.bandwidth_Bps = 25e9;
	c.nic.latency_s = 3e-6;
	return c;
}

/*
 * By hand, 8 ranks, all-to-all of S bytes: 12 us + S * 2.5e-12 + 2e-9
 * sqrt(S); r = 7/8 S goes over the link.
 *	efficiency	(7/8 / 2.5e-12 = 350e9) / 400e9 = 0.875
 *	launch		12 - 1 (latency) - 7 * 0.5 (messages) = 7.5 us
 *	ramp		2e-9 / sqrt(7/8)
 * Memory: 3 us + n / 3.2e12: 0.8 of 4e12.
 */
static void test_apply(void **state)
{
	struct measured_curve c[] = {
		curve_of("alltoall", "nvlink", 8, 12e-6, 2.5e-12, 2e-9),
		curve_of("alltoall", "shm", 8, 1, 1, 0),
		curve_of("allgather", "nvlink", 8, 1, 1, 0),
		curve_of("stream", "memory", 1, 3e-6, 1 / 3.2e12, 0),
	};
	const struct measured m = { .n_curves = 4, .curve = c };
	struct cluster k = host(1, 8);
	const struct comm_tier *t = &k.gpu.intra;
	struct measured_fold f = measured_apply(&m, &k);

	(void)state;
	near(t->efficiency, 0.875, 1e-12);
	near(t->launch_s, 7.5e-6, 1e-12);
	near(t->message_s, 0.5e-6, 1e-12);
	near(t->ramp, 2e-9 / sqrt(0.875), 1e-12);
	/* the low-latency protocol cannot be faster than what was measured */
	near(t->ll_launch_s, 7.5e-6, 1e-12);
	near(t->ll_efficiency, 0.875, 1e-12);
	near(k.gpu.kernel_s, 3e-6, 1e-9);
	near(k.gpu.hbm_efficiency, 0.8, 1e-9);
	assert_ptr_equal(f.intra.curve, &c[0]);
	near(f.intra.max_bytes, 0.875e9, 1e-12);
	near(f.intra.min_bytes, 896, 1e-12);
	assert_ptr_equal(f.memory.curve, &c[3]);
	assert_null(f.inter.curve);
	near(k.gpu.inter.efficiency, 0.2, 0);	/* not measured: as it was */
	near(k.gpu.inter.launch_s, 2, 0);
}

/*
 * The direct exchange of 8 ranks, 6 us + S * 2.1875e-12: r = 7/8 S, so 400e9
 * of 400e9; launch 6 - 1, no message, no low-latency protocol. Measured with
 * two ranks it says nothing about eight.
 */
static void test_apply_direct(void **state)
{
	struct measured_curve c = curve_of(MEASURED_DIRECT, "nvlink", 8, 6e-6,
					   2.1875e-12, 0);
	const struct measured m = { .n_curves = 1, .curve = &c };
	struct cluster k = host(1, 8);
	struct measured_fold f;

	(void)state;
	f = measured_apply(&m, &k);
	assert_ptr_equal(f.direct.curve, &c);
	assert_null(f.intra.curve);
	near(k.gpu.direct.efficiency, 1, 1e-12);
	near(k.gpu.direct.launch_s, 5e-6, 1e-12);
	near(k.gpu.direct.message_s, 0, 0);
	near(k.gpu.direct.ll_launch_s, 5e-6, 1e-12);
	k = host(1, 8);
	c.ranks = 2;
	f = measured_apply(&m, &k);
	assert_null(f.direct.curve);
	near(k.gpu.direct.efficiency, 0, 0);
}

/*
 * Collectives of their own, 8 ranks. All-reduce, 40 us + S * 5e-12 + 3e-9
 * sqrt(S): r = 14/8 S; 14 latencies and 14 messages in its pipeline.
 *	efficiency	(14/8 / 5e-12 = 350e9) / 400e9 = 0.875
 *	launch		40 - 14 * 1 - 14 * 0.5 = 19 us
 *	ramp		3e-9 / sqrt(14/8)
 * All-gather of four says nothing about eight.
 */
static void test_apply_collectives(void **state)
{
	struct measured_curve c[] = {
		curve_of("alltoall", "nvlink", 8, 12e-6, 2.5e-12, 2e-9),
		curve_of("allreduce", "nvlink", 8, 40e-6, 5e-12, 3e-9),
		curve_of("allgather", "nvlink", 4, 12e-6, 5e-12, 0),
	};
	const struct measured m = { .n_curves = 3, .curve = c };
	struct cluster k = host(1, 8);
	const struct comm_tier *t = &k.gpu.intra_op[COMM_ALLREDUCE];

	(void)state;
	measured_apply(&m, &k);
	near(t->efficiency, 0.875, 1e-12);
	near(t->launch_s, 19e-6, 1e-12);
	near(t->message_s, 0.5e-6, 1e-12);
	near(t->ramp, 3e-9 / sqrt(1.75), 1e-12);
	near(k.gpu.intra.launch_s, 7.5e-6, 1e-12);
	near(k.gpu.intra_op[COMM_ALLGATHER].efficiency, 0, 0);
	near(k.gpu.intra_op[COMM_SENDRECV].efficiency, 0, 0);
	near(k.gpu.inter_op[COMM_ALLREDUCE].efficiency, 0, 0);
}

/* Curves with a limit of CTAs stand beside those without. */
static void test_find_limited(void **state)
{
	struct measured_curve c[] = {
		curve_of("alltoall", "nvlink", 2, 1, 0, 0),
		curve_of("alltoall", "nvlink", 2, 1, 0, 0),
		curve_of("alltoall", "nvlink", 2, 1, 0, 0),
	};
	const struct measured m = { .n_curves = 3, .curve = c };

	(void)state;
	c[0].ctas = 4;
	c[1].ctas = 16;
	assert_ptr_equal(measured_find(&m, "alltoall", "nvlink", 2), &c[2]);
	assert_ptr_equal(measured_find_limited(&m, "alltoall", "nvlink", 2, 4),
			 &c[0]);
	assert_ptr_equal(measured_find_limited(&m, "alltoall", "nvlink", 2, 7),
			 &c[0]);
	assert_ptr_equal(measured_find_limited(&m, "alltoall", "nvlink", 2, 9),
			 &c[1]);
}

/*
 * Limits. By hand, as in test_apply(), 8 ranks: 16 us + S * 5e-12 under 4
 * CTAs: efficiency 7/8 / 5e-12 / 400e9 = 0.4375, launch 16 - 1 - 3.5 = 11.5
 * us. Under 8 another exchange was measured, under 12 with four ranks only:
 * neither is offered. Products lose 0.2 beside the exchange with its 20 SMs,
 * so 0.04 beside 4 of them; under 16 it was measured, 0.15.
 */
static void test_apply_limits(void **state)
{
	struct measured_curve c[] = {
		curve_of("alltoall", "nvlink", 8, 12e-6, 2.5e-12, 2e-9),
		curve_of("alltoall", "nvlink", 8, 14e-6, 2.5e-12, 0),
		curve_of("alltoall", "nvlink", 8, 16e-6, 5e-12, 0),
		curve_of("sendrecv", "nvlink", 8, 1e-6, 1e-12, 0),
		curve_of("alltoall", "nvlink", 4, 1e-6, 1e-12, 0),
		curve_of("alltoall", "socket", 2, 20e-6, 1e-11, 0),
	};
	struct measured_contention beside[] = {
		{ .tier = "nvlink", .product_loss = 0.2, .own_loss = 0.05 },
		{ .tier = "nvlink", .ctas = 16, .product_loss = 0.15,
		  .own_loss = 0.1 },
	};
	const struct measured m = { .n_curves = 6, .curve = c,
		.n_contention = 2, .contention = beside };
	static const int ctas[] = { 0, 16, 4, 8, 12, 0 };
	struct cluster k = host(1, 8);
	const struct comm_limit *l = k.gpu.limit;
	int i;

	(void)state;
	for (i = 0; i < 6; i++)
		c[i].ctas = ctas[i];
	k.gpu.comm_sms = 20;
	measured_apply(&m, &k);
	near(k.gpu.intra.efficiency, 0.875, 1e-12);
	near(k.gpu.intra.product_loss, 0.2, 0);
	assert_int_equal(k.gpu.n_limits, 2);
	assert_int_equal(l[0].ctas, 4);
	near(l[0].intra.efficiency, 0.4375, 1e-12);
	near(l[0].intra.launch_s, 11.5e-6, 1e-12);
	near(l[0].intra.ramp, 0, 0);
	near(l[0].intra.product_loss, 0.04, 1e-12);
	near(l[0].intra.own_loss, 0.05, 0);
	assert_int_equal(l[1].ctas, 16);
	near(l[1].intra.efficiency, 0.875, 1e-12);
	near(l[1].intra.product_loss, 0.15, 0);
	near(l[1].intra.own_loss, 0.1, 0);
	/* two nodes: between them no limit was measured */
	k = host(2, 8);
	measured_apply(&m, &k);
	assert_int_equal(k.gpu.n_limits, 0);
	near(k.gpu.intra.efficiency, 0.875, 1e-12);
	c[3] = curve_of("alltoall", "socket", 2, 25e-6, 1e-10, 0);
	c[3].ctas = 4;
	k = host(2, 8);
	measured_apply(&m, &k);
	assert_int_equal(k.gpu.n_limits, 1);
	assert_int_equal(l[0].ctas, 4);
	/* half of S over 50 GB/s at 1e-10 s per byte of S: a tenth */
	near(l[0].inter.efficiency, 0.1, 1e-12);
	near(l[0].intra.efficiency, 0.4375, 1e-12);
}

/*
 * Between nodes: send/recv of S takes 20 us + S / 40e9, of 2 x 25e9: 0.8;
 * launch 20 - 3 (latency) - 1 (message) = 16 us. Without NVLink samples
 * shared memory serves, and a rate above the link's is cut to it.
 */
static void test_apply_inter(void **state)
{
	struct measured_curve c[] = {
		curve_of("sendrecv", "socket", 2, 20e-6, 1 / 40e9, 0),
		curve_of("alltoall", "shm", 2, 0.2e-6, 1e-15, 0),
	};
	const struct measured m = { .n_curves = 2, .curve = c };
	struct cluster k = host(2, 4);
	struct measured_fold f = measured_apply(&m, &k);

	(void)state;
	near(k.gpu.inter.efficiency, 0.8, 1e-12);
	near(k.gpu.inter.launch_s, 16e-6, 1e-12);
	near(k.gpu.inter.ramp, 0, 0);
	near(f.inter.max_bytes, 1e9, 1e-12);
	near(k.gpu.intra.efficiency, 1, 0);
	/* 0.2 us less 1 us of latency: nothing is left, also per message */
	near(k.gpu.intra.launch_s, 0, 0);
	near(k.gpu.intra.message_s, 0, 0);
	near(k.gpu.kernel_s, 9e-6, 0);

	/* one node, one GPU: there is nothing to fold */
	k = host(1, 1);
	f = measured_apply(&m, &k);
	assert_null(f.intra.curve);
	assert_null(f.inter.curve);
	near(k.gpu.inter.launch_s, 2, 0);
}

/* On PCIe shared memory is the way, also where NVLink was measured. */
static void test_apply_pcie(void **state)
{
	struct measured_curve c[] = {
		curve_of("alltoall", "nvlink", 4, 9e-6, 1e-12, 0),
		curve_of("alltoall", "shm", 4, 30e-6, 0.75 / 20e9, 0),
	};
	const struct measured m = { .n_curves = 2, .curve = c };
	struct cluster k = host(1, 4);

	(void)state;
	k.intra.kind = INTRA_PCIE;
	k.intra.bandwidth_Bps = 25e9;
	measured_apply(&m, &k);
	near(k.gpu.intra.efficiency, 0.8, 1e-12);
}

/* ---- JSON of curves ---- */

static void test_json(void **state)
{
	struct curve f = { .n = 3, .source = CURVE_MEASURED, .piece = {
		{ 1e4 / 3, 1e-6 / 3, 1e-12 / 7, 0 },
		{ 7e6, 2e-6, 1e-13, 3e-9 / 11 },
		{ INFINITY, 3e-6, 0, 0 } } }, g;
	struct buf b = { 0 };

	(void)state;
	curve_json_print(&f, &b);
	assert_true(b.len < 512);	/* struct fit_row has so much room */
	assert_int_equal(curve_json_parse(b.s, CURVE_MEASURED, &g), ST_OK);
	assert_int_equal(g.n, 3);
	assert_memory_equal(g.piece, f.piece, 3 * sizeof(*f.piece));
	buf_release(&b);
}

static void test_bad_json(void **state)
{
	static const char *const bad[] = {
		"", "7", "[]", "[7]", "{}", "[{}]", "[", "null",
		"[{\"upto\": 1, \"a\": 0, \"b\": 0, \"c\": 0}]",
		"[{\"upto\": null, \"a\": \"x\", \"b\": 0, \"c\": 0}]",
		"[{\"upto\": 5, \"a\": 0, \"b\": 0, \"c\": 0}, {\"upto\": 5, "
		"\"a\": 0, \"b\": 0, \"c\": 0}, {\"upto\": null, \"a\": 0, "
		"\"b\": 0, \"c\": 0}]",
	};
	struct curve f = { .n = 77 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(curve_json_parse(bad[i], CURVE_MEASURED, &f),
				 ST_INPUT);
	assert_int_equal(f.n, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_bad_points),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_apply_limits),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_apply_collectives),
		cmocka_unit_test(test_apply_direct),
		cmocka_unit_test(test_find_limited),
		cmocka_unit_test(test_apply_inter),
		cmocka_unit_test(test_apply_pcie),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_bad_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
