/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All-to-all algorithms worked by hand on 2 nodes of 2 GPUs, balanced
 * traffic folded against flow by flow, and the laws of rings.
 *
 * Times in the comments are in microseconds, bytes in MB: 100 GB/s of NVLink
 * carry 0.1 MB/us, a NIC of 10 GB/s 0.01 MB/us, HBM of 1000 GB/s 1 MB/us.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/status.h"
#include "sim/coll.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MB 1e6
#define US 1e-6
#define NEAR(a, b) assert_near((a), (b), __LINE__)

static void assert_near(double a, double b, int line)
{
	if (fabs(a - b) > 1e-9 * fmax(fabs(a), fabs(b)) + 1e-18)
		fail_msg("line %d: %.15g is not %.15g", line, a, b);
}

static struct cluster make_cluster(int nodes, int gpus)
{
	struct cluster c = { .nodes = nodes, .gpus_per_node = gpus };

	c.gpu.hbm_Bps = 1000e9;
	c.gpu.hbm_efficiency = 1;
	c.gpu.kernel_s = 2 * US;
	c.gpu.intra = (struct comm_tier){ .efficiency = 1, .launch_s = 5 * US,
					  .message_s = 0.1 * US };
	c.gpu.inter = (struct comm_tier){ .efficiency = 1,
					  .launch_s = 10 * US,
					  .message_s = 0.5 * US };
	c.intra.kind = INTRA_NVSWITCH;
	c.intra.bandwidth_Bps = 100e9;
	c.intra.latency_s = 1 * US;
	c.intra.pcie_Bps = 25e9;
	c.intra.gpus_per_switch = 2;
	c.intra.switches_per_socket = 1;
	c.intra.socket_Bps = 15e9;
	c.nic.per_gpu = 1;
	c.nic.bandwidth_Bps = 10e9;
	c.nic.latency_s = 3 * US;
	c.fabric.kind = FABRIC_NONBLOCKING;
	c.fabric.oversubscription = 1;
	c.fabric.core_oversubscription = 1;
	c.fabric.nodes_per_leaf = 2;
	c.fabric.leaves_per_pod = 2;
	c.fabric.gpus_per_rack = 2 * gpus;
	return c;
}

struct bench {
	struct net net;
	struct coll_spec spec;
	struct coll coll;
};

static void bench_init(struct bench *b, const struct cluster *c)
{
	*b = (struct bench){ 0 };
	if (net_init(&b->net, c, NET_EFFECTIVE))
		fail_msg("%s", err_msg());
	b->spec.net = &b->net;
}

static void bench_release(struct bench *b)
{
	coll_release(&b->coll);
	net_release(&b->net);
}

static const struct coll *solve(struct bench *b, enum a2a_alg alg,
				const struct traffic *t, bool reverse)
{
	coll_release(&b->coll);
	if (coll_alltoall(&b->spec, alg, t, reverse, &b->coll))
		fail_msg("%s", err_msg());
	return &b->coll;
}

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

static struct traffic expand(const struct traffic *t, int nodes)
{
	int n = t->n_ranks, span = t->group * t->stride, s, d, m;
	struct traffic out = *t;

	out.bytes = xcalloc((size_t)n * (size_t)n, sizeof(double));
	for (s = 0; s < n; s++) {
		for (d = 0; d < n; d++) {
			if (s % t->stride == d % t->stride &&
			    s / span == d / span)
				out.bytes[s * n + d] = t->each;
		}
	}
	if (!(t->node_each > 0))
		return out;
	out.node_each = 0;
	out.node_bytes = xcalloc((size_t)n * (size_t)nodes, sizeof(double));
	for (s = 0; s < n; s++) {
		for (d = 0; d < n; d++) {
			m = d / (n / nodes);
			if (out.bytes[s * n + d] > 0)
				out.node_bytes[s * nodes + m] = t->node_each;
		}
	}
	return out;
}

static void compare(const struct coll *a, const struct coll *b)
{
	int i;

	assert_int_equal(a->n_steps, b->n_steps);
	assert_int_equal(a->messages, b->messages);
	for (i = 0; i < a->n_steps; i++) {
		const struct coll_step *x = &a->step[i], *y = &b->step[i];

		NEAR(x->flow_s, y->flow_s);
		NEAR(x->bound_s, y->bound_s);
		NEAR(x->fixed_s, y->fixed_s);
		NEAR(x->copy_s, y->copy_s);
		NEAR(x->busiest_bytes, y->busiest_bytes);
		NEAR(x->largest_bytes, y->largest_bytes);
		NEAR(coll_step_time(x, 0.3), coll_step_time(y, 0.3));
		assert_true(x->bound_s <= x->flow_s * (1 + 1e-9));
	}
}

/* Every algorithm, direction and window: balanced against flow by flow. */
static void compare_all(const struct cluster *c, int group, int stride)
{
	int n = c->nodes * c->gpus_per_node, alg, i;
	struct traffic even = { .n_ranks = n, .each = 2.385 * MB,
				.group = group, .stride = stride,
				.node_each = 3.1 * MB };
	struct traffic dense = expand(&even, c->nodes);
	struct bench x, y;

	bench_init(&x, c);
	bench_init(&y, c);
	y.spec.keep_flows = true;
	for (i = 0; i < A2A_N * 4; i++) {
		alg = i / 4;
		x.spec.comm.window = y.spec.comm.window = i % 4 / 2 * 3;
		solve(&x, alg, &even, i % 2);
		solve(&y, alg, &dense, i % 2);
		compare(&x.coll, &y.coll);
		coll_check(&y.spec, alg, &dense, i % 2, &y.coll);
	}
	traffic_release(&dense);
	bench_release(&x);
	bench_release(&y);
}

static void compare_groups(const struct cluster *c)
{
	int n = c->nodes * c->gpus_per_node;

	compare_all(c, n, 1);
	compare_all(c, c->gpus_per_node, 1);
	compare_all(c, 2, 1);
	compare_all(c, n / 2, 2);
	compare_all(c, c->gpus_per_node * 2, 1);
	compare_all(c, c->nodes, c->gpus_per_node);
	compare_all(c, 3, c->gpus_per_node * 2);
	compare_all(c, 3, 1);	/* across nodes in the middle: not regular */
}

static void test_balanced(void **state)
{
	struct cluster c = make_cluster(6, 4);
	int kind;

	(void)state;
	for (kind = FABRIC_NONBLOCKING; kind <= FABRIC_RACK; kind++) {
		c = make_cluster(6, 4);
		c.fabric.kind = (enum fabric_kind)kind;
		c.fabric.oversubscription = 3;
		c.fabric.core_oversubscription = 1.5;
		c.fabric.leaves_per_pod = 3;
		compare_groups(&c);
		c.fabric.nodes_per_leaf = 4;	/* the last one half full */
		compare_groups(&c);
	}
	c = make_cluster(6, 4);
	c.fabric.kind = FABRIC_RAIL;
	c.pxn = true;
	compare_groups(&c);
	c.nic.per_gpu = 0;
	c.nic.per_node = 2;
	compare_groups(&c);
	for (kind = INTRA_NVLINK_PAIRS; kind <= INTRA_PCIE; kind++) {
		c = make_cluster(6, 4);
		c.intra.kind = (enum intra_kind)kind;
		compare_groups(&c);
	}
}

static uint64_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/*
 * Uneven, with empty cells: bytes conserved, the bound holds, and combine of
 * the transposed traffic takes what dispatch takes (the network is the same
 * both ways). One rank sends G - 1 messages where it received them, so only
 * the flows are compared.
 */
static void test_uneven(void **state)
{
	struct cluster c = make_cluster(3, 4);
	uint64_t seed = 7;
	struct bench b;
	int alg, i, k;

	(void)state;
	c.fabric.kind = FABRIC_RAIL;
	c.fabric.oversubscription = 2;
	bench_init(&b, &c);
	b.spec.keep_flows = true;
	for (i = 0; i < 20; i++) {
		struct traffic t = { .n_ranks = 12,
				     .bytes = xcalloc(144, sizeof(double)) };
		struct traffic back;

		for (k = 0; k < 144; k++) {
			t.bytes[k] = random_next(&seed) % 3 ?
				(double)(random_next(&seed) % 999983) : 0;
		}
		traffic_transpose(&t, 3, &back);
		for (alg = 0; alg < A2A_N; alg++) {
			double sum = 0;

			solve(&b, alg, &t, false);
			coll_check(&b.spec, alg, &t, false, &b.coll);
			for (k = 0; k < b.coll.n_steps; k++)
				sum += b.coll.step[k].flow_s;
			solve(&b, alg, &back, true);
			coll_check(&b.spec, alg, &back, true, &b.coll);
			for (k = 0; k < b.coll.n_steps; k++)
				sum -= b.coll.step[k].flow_s;
			assert_true(fabs(sum) < 1e-12);
		}
		traffic_release(&t);
		traffic_release(&back);
	}
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

static double ring_flow(struct bench *b, enum coll_op op, int group,
			int stride, double bytes)
{
	coll_release(&b->coll);
	if (coll_ring(&b->spec, op, group, stride, bytes, &b->coll))
		fail_msg("%s", err_msg());
	assert_int_equal(b->coll.n_steps, 1);
	assert_true(b->coll.step[0].bound_s <=
		    b->coll.step[0].flow_s * (1 + 1e-9));
	return b->coll.step[0].flow_s;
}

/*
 * busbw (nccl-tests) is the link's rate: on one node NVLink's; on many, L
 * rings over L NICs: each NIC carries (n-1)/n / L of the bytes.
 */
static void test_ring(void **state)
{
	struct cluster c = make_cluster(1, 8);
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	NEAR(ring_flow(&b, COLL_ALLGATHER, 8, 1, 8 * MB),
	     7.0 / 8 * 8 * MB / 100e9);
	/* 7 edges, each latency 1 and message 0.1 */
	NEAR(b.coll.step[0].fixed_s, (5 + 7 * 1.1) * US);
	assert_int_equal(b.coll.step[0].lane, LANE_INTRA);
	NEAR(ring_flow(&b, COLL_REDUCESCATTER, 4, 2, 8 * MB),
	     3.0 / 4 * 8 * MB / 100e9);
	NEAR(ring_flow(&b, COLL_ALLREDUCE, 8, 1, 8 * MB),
	     2 * 7.0 / 8 * 8 * MB / 100e9);
	NEAR(ring_flow(&b, COLL_ALLREDUCE, 1, 1, 8 * MB), 0);
	NEAR(coll_time(&b.coll, 1), 0);
	NEAR(ring_flow(&b, COLL_SENDRECV, 8, 1, 8 * MB), 8 * MB / 100e9);
	bench_release(&b);
	c = make_cluster(4, 8);
	c.fabric.kind = FABRIC_RAIL;
	c.fabric.oversubscription = 100;	/* rings stay on their rail */
	bench_init(&b, &c);
	NEAR(ring_flow(&b, COLL_ALLGATHER, 32, 1, 32 * MB),
	     31.0 / 32 * 32 * MB / 8 / 10e9);
	assert_int_equal(b.coll.step[0].lane, LANE_INTER);
	/* replicas of one local rank: one ring over one NIC */
	NEAR(ring_flow(&b, COLL_ALLREDUCE, 4, 8, 4 * MB),
	     2 * 3.0 / 4 * 4 * MB / 10e9);
	NEAR(b.coll.step[0].fixed_s, (10 + 2 * 3 * 3.5) * US);
	bench_release(&b);
}

/*
 * Two nodes: both trees are the one pair, half of the bytes each, both ways:
 * bytes / NIC. From four nodes on an inner node sends half up and half to
 * each of two children in its tree and half up in the other: 2 * bytes.
 */
static void test_tree(void **state)
{
	struct cluster c = make_cluster(8, 1);
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	NEAR(ring_flow(&b, COLL_ALLREDUCE_TREE, 2, 1, 4 * MB),
	     4 * MB / 10e9);
	NEAR(ring_flow(&b, COLL_ALLREDUCE_TREE, 8, 1, 4 * MB),
	     2 * 4 * MB / 10e9);
	/* 3 levels up, 3 down */
	NEAR(b.coll.step[0].fixed_s, (10 + 6 * 3.5) * US);
	assert_true(ring_flow(&b, COLL_ALLREDUCE_TREE, 4, 1, 4 * MB) <=
		    2 * 4 * MB / 10e9 * (1 + 1e-9));
	bench_release(&b);
}

/* 100,000 GPUs in what a test can wait for; EP groups inside nodes too. */
static void test_large(void **state)
{
	struct cluster c = make_cluster(12500, 8);
	struct traffic t = { .n_ranks = 100000, .each = 1e3, .group = 100000,
			     .stride = 1 };
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	/* 99,992 messages over the NIC, 7 beside them over NVLink */
	NEAR(solve(&b, A2A_FLAT, &t, false)->step[0].flow_s,
	     99992 * 1e3 / 10e9);
	t.group = 8;
	NEAR(solve(&b, A2A_FLAT, &t, false)->step[0].flow_s,
	     7 * 1e3 / 100e9);
	NEAR(b.coll.step[0].fixed_s, (5 + 7 * 0.1 + 1) * US);
	bench_release(&b);
}

static void test_too_many(void **state)
{
	struct cluster c = make_cluster(2501, 4);
	struct traffic t = { .n_ranks = 10004, .each = 1e3, .group = 10004,
			     .stride = 1 };
	struct bench b;

	(void)state;
	c.fabric.kind = FABRIC_LEAF_SPINE;
	bench_init(&b, &c);
	assert_int_equal(coll_alltoall(&b.spec, A2A_FLAT, &t, false, &b.coll),
			 ST_INPUT);
	assert_non_null(strstr(err_msg(), "10004 of 10004 GPUs"));
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
		cmocka_unit_test(test_balanced),
		cmocka_unit_test(test_uneven),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_leader_formula),
		cmocka_unit_test(test_bound_only),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
