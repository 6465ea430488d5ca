/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All-to-all algorithms worked by hand on 2 nodes of 2 GPUs.
 *
 * Times in the comments are in microseconds, bytes in MB: 100 GB/s of NVLink
 * carry 0.1 MB/us, a NIC of 10 GB/s 0.01 MB/us, HBM of 1000 GB/s 1 MB/us.
 */
#include "tests/unit/coll_bench.h"

/* Cell (i, j) is 4i + j + 1 MB, the diagonal included. */
static struct traffic numbered(void)
{
	struct traffic t = { .n_ranks = 4,
			     .bytes = xcalloc(16, sizeof(double)) };
	int i;

	for (i = 0; i < 16; i++)
		t.bytes[i] = (i + 1) * MB;
	return t;
}

/*
 * From node 1 to node 0: 2->0 9, 2->1 10, 3->0 13, 3->1 14. Each of the four
 * NIC ports has two flows: 0.005 each. 2->0 ends at 1800, 2->1 (held by port
 * down 1) at 2000, 3->0 at 2600, and 3->1 has the port of 3 for its last MB:
 * 2700. Everything else is done by then (NVLink: 15 MB, 150).
 */
#define FLAT_US 2700.0

static void test_flat(void **state)
{
	struct cluster c = make_cluster(2, 2);
	struct traffic t = numbered();
	const struct coll *x;
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	b.spec.keep_flows = true;
	x = solve(&b, A2A_FLAT, &t, false);
	coll_check(&b.spec, A2A_FLAT, &t, false, x);
	assert_int_equal(x->n_steps, 1);
	assert_int_equal(x->step[0].n_flows, 12);
	assert_int_equal(x->messages, 3);
	NEAR(x->step[0].flow_s, FLAT_US * US);
	NEAR(x->step[0].bound_s, 2700 * US);
	/* launch of the NIC tier, 1 + 2 messages, NIC latency */
	NEAR(x->step[0].fixed_s, (10 + 0.1 + 2 * 0.5 + 3) * US);
	NEAR(coll_time(x, 1), (FLAT_US + 14.1) * US);
	NEAR(coll_time(x, 0.25), (FLAT_US / 4 + 14.1) * US);
	assert_int_equal(net_link_class(&b.net, x->step[0].busiest_link),
			 LINK_NIC_UP);
	traffic_release(&t);
	bench_release(&b);
}

static void test_lanes(void **state)
{
	struct cluster c = make_cluster(2, 2);
	struct traffic t = numbered();
	const struct coll *x;
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	b.spec.keep_flows = true;
	x = solve(&b, A2A_LANES, &t, false);
	coll_check(&b.spec, A2A_LANES, &t, false, x);
	assert_int_equal(x->n_steps, 2);
	assert_int_equal(x->step[0].beside, 0);
	assert_int_equal(x->step[1].beside, 1);
	NEAR(coll_step_time(&x->step[0], 1), (5 + 0.1 + 1 + 150) * US);
	NEAR(coll_step_time(&x->step[1], 1), (10 + 1 + 3 + FLAT_US) * US);
	NEAR(coll_time(x, 1), 2714 * US);
	traffic_release(&t);
	bench_release(&b);
}

/*
 * gather 1->0 26, 3->2 58 (580); copy of node 1's 100, read and written (200)
 * exchange 0->2 3+4+7+8 = 22, 2->0 9+10+13+14 = 46 (4600)
 * copy of what node 1 received, 36 + 40 = 76, twice (152)
 * scatter 0->1 32, 2->3 40 (400)
 */
static void test_leader(void **state)
{
	struct cluster c = make_cluster(2, 2);
	struct traffic t = numbered();
	const struct coll *x;
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	b.spec.keep_flows = true;
	x = solve(&b, A2A_LEADER, &t, false);
	coll_check(&b.spec, A2A_LEADER, &t, false, x);
	assert_int_equal(x->n_steps, 3);
	NEAR(coll_step_time(&x->step[0], 1), (5 + 0.1 + 1 + 2 + 780) * US);
	NEAR(coll_step_time(&x->step[1], 1), (10 + 0.5 + 3 + 4600) * US);
	NEAR(coll_step_time(&x->step[2], 1), (5 + 0.1 + 1 + 2 + 552) * US);
	NEAR(coll_time(x, 1), 5961.7 * US);
	traffic_release(&t);
	bench_release(&b);
}

/*
 * intra 0->1 2+4, 1->0 5+7, 2->3 10+12, 3->2 13+15 = 28 (280), after a copy
 * of rank 3's 58, twice (116)
 * inter 0->2 3+7, 1->3 4+8, 2->0 9+13, 3->1 10+14 = 24 (2400), after a copy
 * of what rank 3 then holds, 10+14+12+16 = 52, twice (104)
 */
static void test_2d(void **state)
{
	struct cluster c = make_cluster(2, 2);
	struct traffic t = numbered();
	const struct coll *x;
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	b.spec.keep_flows = true;
	x = solve(&b, A2A_2D, &t, false);
	coll_check(&b.spec, A2A_2D, &t, false, x);
	assert_int_equal(x->n_steps, 2);
	NEAR(coll_step_time(&x->step[0], 1), (5 + 0.1 + 1 + 2 + 396) * US);
	NEAR(coll_step_time(&x->step[1], 1), (10 + 0.5 + 3 + 2 + 2504) * US);
	traffic_release(&t);
	bench_release(&b);
}

/*
 * inter 0->2 3+4, 1->3 7+8, 2->0 9+10, 3->1 13+14 = 27 (2700)
 * fan-out 0->1 2+10, 1->0 5+13, 2->3 4+12, 3->2 7+15 = 22 (220)
 * With node_bytes 9 from rank 3 to node 0 and 19 from rank 2 as before, the
 * exchange takes 19 (1900) and the fan-out is the same.
 */
static void test_dedup(void **state)
{
	struct cluster c = make_cluster(2, 2);
	struct traffic t = numbered();
	double distinct[8] = { 3 * MB, 7 * MB, 11 * MB, 15 * MB,
			       19 * MB, 23 * MB, 9 * MB, 31 * MB };
	const struct coll *x;
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	b.spec.keep_flows = true;
	x = solve(&b, A2A_DEDUP, &t, false);
	coll_check(&b.spec, A2A_DEDUP, &t, false, x);
	NEAR(coll_step_time(&x->step[0], 1), (10 + 0.5 + 3 + 2700) * US);
	NEAR(coll_step_time(&x->step[1], 1), (5 + 0.1 + 1 + 220) * US);
	NEAR(coll_time(x, 1), 2713.5 * US);
	t.node_bytes = xcalloc(8, sizeof(double));
	memcpy(t.node_bytes, distinct, sizeof(distinct));
	x = solve(&b, A2A_DEDUP, &t, false);
	coll_check(&b.spec, A2A_DEDUP, &t, false, x);
	NEAR(coll_time(x, 1), 1913.5 * US);
	NEAR(coll_step_time(&x->step[1], 1), (5 + 0.1 + 1 + 220) * US);
	traffic_release(&t);
	bench_release(&b);
}

static double finish_of(const struct coll_step *s, int src, int dst)
{
	int i;

	for (i = 0; i < s->n_flows; i++) {
		if (s->flow[i].src == src && s->flow[i].dst == dst)
			return s->flow[i].finish_s;
	}
	return NAN;
}

/*
 * shift 1: 2, 5, 12, 15 over NVLink (150); shift 2: 0->2 3, 1->3 8, 2->0 9,
 * 3->1 14 (1400); shift 3: 0->3 4, 1->2 7, 2->1 10, 3->0 13 (1300). Each
 * round has its message and its latency.
 */
static void test_pairwise(void **state)
{
	struct cluster c = make_cluster(2, 2);
	struct traffic t = numbered();
	const struct coll *x;
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	b.spec.keep_flows = true;
	x = solve(&b, A2A_PAIRWISE, &t, false);
	coll_check(&b.spec, A2A_PAIRWISE, &t, false, x);
	NEAR(x->step[0].flow_s, 2850 * US);
	NEAR(x->step[0].bound_s, 2850 * US);
	NEAR(finish_of(&x->step[0], 0, 1), 20 * US);
	NEAR(finish_of(&x->step[0], 0, 2), (150 + 300) * US);
	NEAR(finish_of(&x->step[0], 0, 3), (1550 + 400) * US);
	NEAR(x->step[0].fixed_s, (10 + 0.1 + 0.5 + 0.5 + 1 + 3 + 3) * US);
	traffic_release(&t);
	bench_release(&b);
}

/*
 * One node of 3, units of 0.1 MB/us. Window 1: 0->1 (1 unit) and 1->2 (5) at
 * once; at 1, 0->2 (1) joins 1->2 on port down 2, half each: 0->2 ends at 3,
 * 1->2 at 6, then 1->0 (1) at 7. All at once: 0->1, 0->2, 1->0 have half a
 * port until 2, 1->2 has 4 left then: 6.
 */
static void test_window(void **state)
{
	static const double units[9] = { 0, 1, 1, 1, 0, 5, 0, 0, 0 };
	struct cluster c = make_cluster(1, 3);
	struct traffic t = { .n_ranks = 3,
			     .bytes = xcalloc(9, sizeof(double)) };
	struct bench b;
	int i;

	(void)state;
	for (i = 0; i < 9; i++)
		t.bytes[i] = units[i] * 0.1 * MB;
	bench_init(&b, &c);
	NEAR(solve(&b, A2A_FLAT, &t, false)->step[0].flow_s, 6 * US);
	b.spec.comm.window = 1;
	NEAR(solve(&b, A2A_FLAT, &t, false)->step[0].flow_s, 7 * US);
	b.spec.comm.window = 2;
	NEAR(solve(&b, A2A_FLAT, &t, false)->step[0].flow_s, 6 * US);
	traffic_release(&t);
	bench_release(&b);
}

/* 1 MB per pair over NVLink, 3 peers: 30 us + fixed 5 + 3 * 0.1 + 1. */
static void test_protocol(void **state)
{
	struct cluster c = make_cluster(1, 4);
	struct traffic t = { .n_ranks = 4, .each = MB, .group = 4,
			     .stride = 1 };
	const struct coll *x;
	struct bench b;

	(void)state;
	c.gpu.intra.ramp = 4e-9;
	c.gpu.intra.ll_launch_s = 2 * US;
	c.gpu.intra.ll_efficiency = 0.25;
	bench_init(&b, &c);
	b.spec.comm.ll_bytes = 0.1 * MB;
	x = solve(&b, A2A_FLAT, &t, false);
	/* the ramp counts what one rank sends to others: 3 MB */
	NEAR(coll_time(x, 1), (6.3 + 30) * US + 4e-9 * sqrt(3e6));
	/* a tenth: 100 kB per message, the switch, is still allowed */
	NEAR(coll_time(x, 0.01), (3.3 + 4 * 0.3) * US);
	NEAR(coll_time(x, 0.1),
	     fmin((3.3 + 4 * 3) * US, (6.3 + 3) * US + 4e-9 * sqrt(3e5)));
	/* one byte more and it is not, though it would be faster */
	b.spec.comm.ll_bytes = 0.01 * MB - 1;
	x = solve(&b, A2A_FLAT, &t, false);
	NEAR(coll_time(x, 0.01), (6.3 + 0.3) * US + 4e-9 * sqrt(3e4));
	bench_release(&b);
}

/* A quarter of every cell takes what a share of a quarter takes. */
static void test_share(void **state)
{
	struct cluster c = make_cluster(2, 2);
	struct traffic t = numbered(), quarter = numbered();
	struct bench b;
	double time;
	int alg, i;

	(void)state;
	c.gpu.intra.ramp = 3e-9;
	c.gpu.inter.ramp = 7e-9;
	c.gpu.inter.ll_efficiency = c.gpu.intra.ll_efficiency = 0.6;
	bench_init(&b, &c);
	b.spec.comm.ll_bytes = 3.9 * MB;
	for (i = 0; i < 16; i++)
		quarter.bytes[i] /= 4;
	for (alg = 0; alg < A2A_N; alg++) {
		time = coll_time(solve(&b, alg, &t, false), 0.25);
		NEAR(coll_time(solve(&b, alg, &quarter, false), 1), time);
	}
	traffic_release(&t);
	traffic_release(&quarter);
	bench_release(&b);
}

/*
 * HetuMoE's H-A2A of S bytes per GPU on N nodes of G GPUs:
 *	(G-1) S / NVLink + 2 (2 G S) / HBM + (N-1) alpha
 *	+ G S (N-1)/N / NIC + (G-1) S / NVLink
 * and here the three launches, the messages and latencies of gather and
 * scatter and two kernels.
 */
static void test_leader_formula(void **state)
{
	const double g = 4, n = 3, s = 12 * MB;
	struct cluster c = make_cluster(3, 4);
	struct traffic t = { .n_ranks = 12, .each = MB, .group = 12,
			     .stride = 1 };
	double want = 2 * (g - 1) * s / 100e9 + 4 * g * s / 1000e9 +
		(n - 1) * 0.5 * US + g * s * (n - 1) / n / 10e9;
	struct bench b;

	(void)state;
	want += (5 + 0.1 + 1 + 2 + 10 + 3 + 5 + 0.3 + 1 + 2) * US;
	bench_init(&b, &c);
	NEAR(coll_time(solve(&b, A2A_LEADER, &t, false), 1), want);
	bench_release(&b);
}

/*
 * Four nodes of one GPU: nothing to gather, nothing is copied. The exchange
 * alone, 3 messages of 1 MB at 10 GB/s: 10 + 3 * 0.5 + 3 + 300 us.
 */
static void test_leader_alone(void **state)
{
	struct cluster c = make_cluster(4, 1);
	struct traffic t = { .n_ranks = 4, .each = MB, .group = 4,
			     .stride = 1 };
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	NEAR(coll_time(solve(&b, A2A_LEADER, &t, false), 1),
	     (10 + 1.5 + 3 + 300) * US);
	NEAR(coll_time(solve(&b, A2A_LEADER, &t, false), 1),
	     coll_time(solve(&b, A2A_FLAT, &t, false), 1));
	bench_release(&b);
}

static void test_bound_only(void **state)
{
	struct cluster c = make_cluster(2, 2);
	struct traffic t = numbered();
	double bound[A2A_STEPS_MAX];
	struct bench b;
	int alg, i;

	(void)state;
	bench_init(&b, &c);
	for (alg = 0; alg < A2A_N; alg++) {
		b.spec.bound_only = true;
		solve(&b, alg, &t, false);
		for (i = 0; i < b.coll.n_steps; i++) {
			NEAR(b.coll.step[i].flow_s, b.coll.step[i].bound_s);
			bound[i] = b.coll.step[i].bound_s;
		}
		b.spec.bound_only = false;
		solve(&b, alg, &t, false);
		for (i = 0; i < b.coll.n_steps; i++) {
			NEAR(b.coll.step[i].bound_s, bound[i]);
			assert_true(bound[i] <= b.coll.step[i].flow_s *
				    (1 + 1e-9));
		}
	}
	traffic_release(&t);
	bench_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flat),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_leader),
		cmocka_unit_test(test_2d),
		cmocka_unit_test(test_dedup),
		cmocka_unit_test(test_pairwise),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_protocol),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_leader_formula),
		cmocka_unit_test(test_leader_alone),
		cmocka_unit_test(test_bound_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
