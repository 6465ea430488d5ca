/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Faults of a cluster: capacities and routes by hand, conservation on any
 * fabric, balanced exchanges against the same flow by flow.
 */
#include "tests/unit/coll_bench.h"

#include "scenarios/faults.h"
#include "sim/net_fault.h"

static struct arena arena;

static struct cluster with(struct cluster c, const char *text)
{
	c.fault = NULL;
	c.n_faults = 0;
	if (faults_parse(text, &arena, &c.fault, &c.n_faults))
		fail_msg("%s", err_msg());
	return c;
}

static void make(struct net *net, const struct cluster *c)
{
	if (net_init(net, c, NET_NOMINAL))
		fail_msg("%s", err_msg());
}

static void refused(struct cluster c, const char *text, const char *why)
{
	struct net net;

	c = with(c, text);
	err_clear();
	assert_int_equal(net_init(&net, &c, NET_NOMINAL), ST_INPUT);
	if (!strstr(err_msg(), why))
		fail_msg("'%s' has no '%s'", err_msg(), why);
}

static double capacity(const struct net *net, enum link_class k, int i)
{
	return net->capacity_Bps[net->first[k] + i];
}

/* ---- capacities ---- */

static void test_shares(void **state)
{
	struct cluster c = make_cluster(4, 4);
	struct net net;

	(void)state;
	c.fabric.kind = FABRIC_RAIL;
	c = with(c, "nic 1:2 50%, nvlink 0:3 0.25,leaf 2 10%,gpu 3:1 80%, "
		 "nic 1:2 50%");
	make(&net, &c);
	assert_true(net.uneven);
	/* said twice: a quarter; both directions; no other */
	NEAR(capacity(&net, LINK_NIC_UP, 6), 10e9 / 4);
	NEAR(capacity(&net, LINK_NIC_DOWN, 6), 10e9 / 4);
	NEAR(capacity(&net, LINK_NIC_UP, 5), 10e9);
	NEAR(capacity(&net, LINK_NVLINK_UP, 3), 25e9);
	NEAR(capacity(&net, LINK_NVLINK_DOWN, 3), 25e9);
	NEAR(capacity(&net, LINK_NVLINK_UP, 7), 100e9);
	/* a rail's leaf: 4 nodes x 10 GB/s */
	NEAR(capacity(&net, LINK_LEAF_UP, 2), 4e9);
	NEAR(capacity(&net, LINK_LEAF_DOWN, 1), 40e9);
	NEAR(net_gpu_share(&net, 13), 0.8);
	NEAR(net_gpu_share(&net, 12), 1);
	NEAR(net_gpu_share_least(&net, 1), 0.8);
	NEAR(net_gpu_share_least(&net, 4), 1);
	/* nodes 0, 1 against 2, 3: 8 ports of 10 GB/s, one at a quarter */
	NEAR(net_bisection_Bps(&net), 72.5e9);
	net_release(&net);
}

/* 100 % is no fault; a slow GPU leaves the network as it is. */
static void test_nothing(void **state)
{
	struct cluster c = with(make_cluster(2, 2), "nic 0:0 100%,gpu 1:1 0.5");
	struct net net;

	(void)state;
	make(&net, &c);
	assert_false(net.uneven);
	net_release(&net);
}

static void test_mesh_and_pairs(void **state)
{
	struct cluster c = make_cluster(1, 4);
	struct net net;
	struct route r;

	(void)state;
	c.intra.kind = INTRA_NVLINK_MESH;
	c = with(c, "nvlink 0:1 50%");
	make(&net, &c);
	/* every link to and from GPU 1, none else */
	for (int a = 0; a < 4; a++) {
		for (int b = 0; b < 4; b++) {
			if (a == b)
				continue;
			net_route(&net, a, b, &r);
			NEAR(net.capacity_Bps[r.link[0]],
			     (a == 1 || b == 1 ? 0.5 : 1) * 100e9 / 3);
		}
	}
	/* 0, 1 against 2, 3: two links of a third, two of half of that */
	NEAR(net_bisection_Bps(&net), 100e9);
	net_release(&net);

	c = make_cluster(2, 4);
	c.intra.kind = INTRA_NVLINK_PAIRS;
	c = with(c, "nvlink 0:1 50%, nvlink 1:2 gone");
	make(&net, &c);
	net_route(&net, 0, 1, &r);
	assert_int_equal(r.n, 1);
	NEAR(net.capacity_Bps[r.link[0]], 50e9);
	net_route(&net, 2, 3, &r);
	NEAR(net.capacity_Bps[r.link[0]], 100e9);
	/* GPUs 2, 3 of node 1 without their link: one switch's two ports */
	for (int i = 0; i < 2; i++) {
		net_route(&net, 6 + i, 7 - i, &r);
		assert_int_equal(r.n, 2);
		assert_int_equal(net_link_class(&net, r.link[0]), LINK_PCIE_UP);
		assert_int_equal(net_link_class(&net, r.link[1]),
				 LINK_PCIE_DOWN);
	}
	net_release(&net);
	/* an odd GPU has no neighbour: not the next node's */
	c = make_cluster(1, 3);
	c.intra.kind = INTRA_NVLINK_PAIRS;
	refused(c, "nvlink 0:2 50%", "no neighbour");
}

/* ---- routes ---- */

static void has_links(const struct net *net, const struct route *r, int n,
		      const int (*want)[2])
{
	assert_int_equal(r->n, n);
	for (int i = 0; i < n; i++) {
		enum link_class k = net_link_class(net, r->link[i]);

		assert_int_equal(k, want[i][0]);
		assert_int_equal(r->link[i] - net->first[k], want[i][1]);
	}
}

#define HAS(net, r, ...) do { \
	static const int want[][2] = { __VA_ARGS__ }; \
	has_links(net, r, (int)(sizeof(want) / sizeof(want[0])), want); \
} while (0)

static void test_nic_gone(void **state)
{
	struct cluster c = make_cluster(2, 4);
	struct net net;
	struct route r;

	(void)state;
	c.fabric.kind = FABRIC_RAIL;
	c = with(c, "nic 0:1 gone");
	make(&net, &c);
	/* to its like: by GPU 2's NIC, then from rail 2 to rail 1 */
	net_route(&net, 1, 5, &r);
	HAS(&net, &r, { LINK_NVLINK_UP, 1 }, { LINK_NVLINK_DOWN, 2 },
	    { LINK_NIC_UP, 2 }, { LINK_LEAF_UP, 2 }, { LINK_LEAF_DOWN, 1 },
	    { LINK_NIC_DOWN, 5 });
	NEAR(r.latency_s, 4 * US);
	/* back: arrives at GPU 2 */
	net_route(&net, 5, 1, &r);
	HAS(&net, &r, { LINK_NIC_UP, 5 }, { LINK_LEAF_UP, 1 },
	    { LINK_LEAF_DOWN, 2 }, { LINK_NIC_DOWN, 2 },
	    { LINK_NVLINK_UP, 2 }, { LINK_NVLINK_DOWN, 1 });
	NEAR(r.latency_s, 4 * US);
	/* nobody else's way changes */
	net_route(&net, 2, 6, &r);
	HAS(&net, &r, { LINK_NIC_UP, 2 }, { LINK_NIC_DOWN, 6 });
	net_release(&net);

	/* the last port's traffic goes by the first; a rail gone at both ends
	 * stays on the next one */
	c = with(c, "leaf 3 gone");
	make(&net, &c);
	net_route(&net, 3, 7, &r);
	HAS(&net, &r, { LINK_NVLINK_UP, 3 }, { LINK_NVLINK_DOWN, 0 },
	    { LINK_NIC_UP, 0 }, { LINK_NIC_DOWN, 4 }, { LINK_NVLINK_UP, 4 },
	    { LINK_NVLINK_DOWN, 7 });
	NEAR(r.latency_s, 5 * US);
	net_release(&net);
}

static void test_nic_gone_pxn(void **state)
{
	struct cluster c = make_cluster(2, 4);
	struct net net;
	struct route r;

	(void)state;
	c.fabric.kind = FABRIC_RAIL;
	c.pxn = true;
	c = with(c, "nic 0:1 gone, nic 1:3 gone");
	make(&net, &c);
	/* rail 1 is gone at the source: one hop to GPU 2, not to GPU 1 */
	net_route(&net, 0, 5, &r);
	HAS(&net, &r, { LINK_NVLINK_UP, 0 }, { LINK_NVLINK_DOWN, 2 },
	    { LINK_NIC_UP, 2 }, { LINK_LEAF_UP, 2 }, { LINK_LEAF_DOWN, 1 },
	    { LINK_NIC_DOWN, 5 });
	NEAR(r.latency_s, 4 * US);
	/* from GPU 2 itself no hop at all */
	net_route(&net, 2, 5, &r);
	HAS(&net, &r, { LINK_NIC_UP, 2 }, { LINK_LEAF_UP, 2 },
	    { LINK_LEAF_DOWN, 1 }, { LINK_NIC_DOWN, 5 });
	/* to GPU 3 of node 1: taken in at port 0, so it leaves by port 0 */
	net_route(&net, 2, 7, &r);
	HAS(&net, &r, { LINK_NVLINK_UP, 2 }, { LINK_NVLINK_DOWN, 0 },
	    { LINK_NIC_UP, 0 }, { LINK_NIC_DOWN, 4 }, { LINK_NVLINK_UP, 4 },
	    { LINK_NVLINK_DOWN, 7 });
	net_release(&net);
}

/* Shared ports: GPUs 0..3 on two; GPU 2 is the first of port 1. */
static void test_shared_ports(void **state)
{
	struct cluster c = make_cluster(2, 4);
	struct net net;
	struct route r;

	(void)state;
	c.nic.per_gpu = 0;
	c.nic.per_node = 2;
	c = with(c, "nic 0:0 gone");
	make(&net, &c);
	for (int a = 0; a < 2; a++) {
		net_route(&net, a, 4, &r);
		assert_int_equal(r.n, 4);
		assert_int_equal(r.link[1] - net.first[LINK_NVLINK_DOWN], 2);
		assert_int_equal(r.link[2] - net.first[LINK_NIC_UP], 1);
	}
	net_release(&net);
}

/* Where a route's links are: each begins where the one before it ended, the
 * first at the source, the last ends at the destination. */
static void check_ends(const struct net *net, int src, int dst,
		       const struct route *r)
{
	int g = net->cluster.gpus_per_node;
	int at = src, node = src / g;	/* at: GPU, -1: in the fabric */

	for (int i = 0; i < r->n; i++) {
		enum link_class k = net_link_class(net, r->link[i]);
		int n = r->link[i] - net->first[k];

		for (int j = 0; j < i; j++)
			assert_int_not_equal(r->link[i], r->link[j]);
		assert_false(net_link_gone(net, r->link[i]));
		switch (k) {
		case LINK_NVLINK_UP:
		case LINK_PCIE_UP:
			assert_int_equal(at, n);
			at = -1;
			break;
		case LINK_NVLINK_DOWN:
		case LINK_PCIE_DOWN:
			assert_int_equal(at, -1);
			at = n;
			break;
		case LINK_NIC_UP:
			assert_int_equal(n / net->ports, src / g);
			assert_int_equal(at % g * net->ports / g,
					 n % net->ports);
			at = -1;
			break;
		case LINK_NIC_DOWN:
			node = n / net->ports;
			assert_int_equal(node, dst / g);
			assert_int_equal(at, -1);
			/* the GPU that the next link begins at, or dst */
			at = i + 1 < r->n ? r->link[i + 1] -
				net->first[net_link_class(net,
							  r->link[i + 1])] :
				dst;
			assert_int_equal(at % g * net->ports / g,
					 n % net->ports);
			break;
		case LINK_NVLINK_PAIR:
			at = dst;
			break;
		default:
			assert_int_equal(at, -1);
		}
	}
	assert_int_equal(at, dst);
}

static const enum fabric_kind fabrics[] = {
	FABRIC_NONBLOCKING, FABRIC_RAIL, FABRIC_LEAF_SPINE, FABRIC_FAT_TREE,
};

static const char *const gone[] = {
	"nic 0:1 gone", "nic 0:0 gone,nic 0:1 gone,nic 3:3 gone",
	"nic 1:3 gone,nic 2:1 50%,nic 4:0 gone,nic 4:1 gone,nic 4:2 gone",
};

static void test_every_route(void **state)
{
	(void)state;
	for (int i = 0; i < 4 * 3 * 2 * 2; i++) {
		struct cluster c = make_cluster(8, 4);
		struct net net;
		struct route r;

		c.fabric.kind = fabrics[i % 4];
		c.pxn = i / 12 % 2;
		c.intra.kind = i / 24 ? INTRA_PCIE : INTRA_NVSWITCH;
		c = with(c, gone[i / 4 % 3]);
		make(&net, &c);
		for (int s = 0; s < 32; s++) {
			for (int d = 0; d < 32; d++) {
				if (s == d)
					continue;
				net_route(&net, s, d, &r);
				check_ends(&net, s, d, &r);
			}
		}
		net_release(&net);
	}
}

/* ---- exchanges ---- */

/* A NIC at half its speed is as slow as if all were: it is the busiest. */
static void test_halved(void **state)
{
	struct cluster c = make_cluster(4, 4), half = c;
	struct traffic t = { .n_ranks = 16, .each = 1 * MB, .group = 16,
			     .stride = 1 };
	struct bench x, y;

	(void)state;
	half.nic.bandwidth_Bps /= 2;
	c = with(c, "nic 2:1 50%");
	bench_init(&x, &c);
	bench_init(&y, &half);
	solve(&x, A2A_FLAT, &t, false);
	solve(&y, A2A_FLAT, &t, false);
	/* 12 peers on other nodes, 1 MB each, at 5 GB/s */
	NEAR(x.coll.step[0].flow_s, 12 * MB / 5e9);
	NEAR(coll_time(&x.coll, 1), coll_time(&y.coll, 1));
	bench_release(&x);
	bench_release(&y);
}

/* One NIC carries its own and its neighbour's. */
static void test_doubled(void **state)
{
	struct cluster c = with(make_cluster(4, 4), "nic 2:1 gone");
	struct traffic t = { .n_ranks = 16, .each = 1 * MB, .group = 16,
			     .stride = 1 };
	struct bench x;
	char name[64];

	(void)state;
	bench_init(&x, &c);
	solve(&x, A2A_FLAT, &t, false);
	NEAR(x.coll.step[0].flow_s, 24 * MB / 10e9);
	assert_string_equal(net_link_name(&x.net, x.coll.step[0].busiest_link,
					  name, sizeof(name)),
			    "node 2 gpu 2 nic up");
	bench_release(&x);
}

static struct traffic expand(const struct traffic *t, int nodes)
{
	int n = t->n_ranks, span = t->group * t->stride;
	struct traffic out = *t;

	out.bytes = xcalloc((size_t)n * (size_t)n, sizeof(double));
	for (int s = 0; s < n; s++) {
		for (int d = 0; d < n; d++) {
			if (s % t->stride == d % t->stride &&
			    s / span == d / span)
				out.bytes[s * n + d] = t->each;
		}
	}
	out.node_each = 0;
	out.node_bytes = xcalloc((size_t)n * (size_t)nodes, sizeof(double));
	for (int s = 0; s < n; s++) {
		for (int d = 0; d < n; d++) {
			if (out.bytes[s * n + d] > 0)
				out.node_bytes[s * nodes + d / (n / nodes)] =
					t->node_each;
		}
	}
	return out;
}

static void compare_all(const struct cluster *c, int group, int stride)
{
	int n = c->nodes * c->gpus_per_node;
	struct traffic even = { .n_ranks = n, .each = 2.385 * MB,
				.group = group, .stride = stride,
				.node_each = 3.1 * MB };
	struct traffic dense = expand(&even, c->nodes);
	struct bench x, y;

	bench_init(&x, c);
	bench_init(&y, c);
	y.spec.keep_flows = true;
	for (int i = 0; i < A2A_N * 4; i++) {
		int alg = i / 4;

		x.spec.comm.window = y.spec.comm.window = i % 4 / 2 * 3;
		solve(&x, alg, &even, i % 2);
		solve(&y, alg, &dense, i % 2);
		NEAR(coll_time(&x.coll, 1), coll_time(&y.coll, 1));
		NEAR(coll_time(&x.coll, 0.3), coll_time(&y.coll, 0.3));
		coll_check(&y.spec, alg, &dense, i % 2, &y.coll);
	}
	traffic_release(&dense);
	bench_release(&x);
	bench_release(&y);
}

/* Balanced exchanges with faults are those of the matrix with the same
 * bytes, which knows no symmetry. */
static void test_balanced_is_dense(void **state)
{
	static const char *const faults[] = {
		"nic 1:3 50%", "nic 0:0 gone,nvlink 2:2 20%",
		"leaf 1 10%,gpu 2:0 50%", "gpu 1:1 0.3",
	};

	(void)state;
	for (int i = 0; i < 12; i++) {
		struct cluster c = make_cluster(4, 4);

		c.fabric.kind = fabrics[1 + i % 3];
		c = with(c, faults[i / 3]);
		compare_all(&c, 16, 1);
		if (i % 3 == 0) {
			compare_all(&c, 4, 4);
			compare_all(&c, 8, 1);
		}
	}
}

/* Rings: a NIC at a share is the busiest edge of one ring in L; an all-gather
 * over 16 moves 15/16 of the bytes, a quarter of it over each rail. */
static void test_ring(void **state)
{
	struct cluster c = with(make_cluster(4, 4), "nic 3:2 50%");
	struct bench x;
	double plain_s;

	(void)state;
	bench_init(&x, &c);
	assert_int_equal(coll_ring(&x.spec, COLL_ALLGATHER, 16, 1, 16 * MB,
				   &x.coll), ST_OK);
	NEAR(x.coll.step[0].flow_s, 15 * MB / 4 / 5e9);
	plain_s = x.coll.step[0].fixed_s;
	bench_release(&x);
	/* gone: the next one has twice the bytes, and the ring two hops of
	 * NVLink more: in at one node, out of it (15 of 16 edges count) */
	c = with(make_cluster(4, 4), "nic 3:2 gone");
	bench_init(&x, &c);
	assert_int_equal(coll_ring(&x.spec, COLL_ALLGATHER, 16, 1, 16 * MB,
				   &x.coll), ST_OK);
	NEAR(x.coll.step[0].flow_s, 2 * 15 * MB / 4 / 10e9);
	assert_true(x.coll.step[0].fixed_s >= plain_s + US * 15 / 16 -
		    1e-12);
	assert_true(x.coll.step[0].fixed_s <= plain_s + 2 * US * 15 / 16 +
		    1e-12);
	bench_release(&x);
}

/* Half the speed of node 1's leader: twice the copies of `leader`, none of
 * another GPU's. */
static void test_copies(void **state)
{
	static const struct {
		const char *fault;
		double times;
	} row[] = { { "gpu 1:0 50%", 2 }, { "gpu 1:1 50%", 1 } };
	struct cluster c = make_cluster(2, 2);
	struct traffic t = { .n_ranks = 4, .each = 1 * MB, .group = 4,
			     .stride = 1 };
	struct bench x, y;

	(void)state;
	bench_init(&y, &c);
	solve(&y, A2A_LEADER, &t, false);
	for (int i = 0; i < 2; i++) {
		struct cluster d = with(c, row[i].fault);

		bench_init(&x, &d);
		solve(&x, A2A_LEADER, &t, false);
		NEAR(x.coll.step[0].copy_s,
		     row[i].times * y.coll.step[0].copy_s);
		NEAR(x.coll.step[0].flow_s, y.coll.step[0].flow_s);
		solve(&x, A2A_2D, &t, false);
		solve(&y, A2A_2D, &t, false);
		NEAR(x.coll.step[0].copy_s, 2 * y.coll.step[0].copy_s);
		solve(&y, A2A_LEADER, &t, false);
		bench_release(&x);
	}
	bench_release(&y);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
	struct cluster c = make_cluster(2, 2), leaf = c;
	const struct degraded *list;
	static const char *const texts[] = {
		"nic", "nic 0:1", "nic 0:1 50% x", "nic 1 50%", "leaf 0:1 50%",
		"gpu 0:0 150%", "gpu 0:0 -1%", "gpu -1:0 5%", "cpu 0:0 50%",
		"nic 0:1 50%,,nic 0:0 50%", "nic 0:1 nan", "nic 0:1 50GB/s",
		"nic 99999999999:0 50%",
	};
	int n;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (faults_parse(texts[i], &arena, &list, &n) != ST_INPUT)
			fail_msg("'%s' is taken", texts[i]);
	}
	refused(c, "nic 2:0 50%", "no such node");
	refused(c, "nic 0:2 50%", "no such NIC port");
	refused(c, "gpu 0:2 50%", "no such GPU");
	refused(c, "gpu 0:1 gone", "plan for fewer GPUs");
	refused(c, "nvlink 0:1 gone", "cut off");
	refused(c, "pcie 0:1 50%", "do not talk over PCIe");
	refused(c, "leaf 0 50%", "no leaves");
	refused(c, "nic 1:0 gone,nic 1:1 gone", "node 1 has no NIC left");
	leaf.fabric.kind = FABRIC_LEAF_SPINE;
	leaf.fabric.nodes_per_leaf = 1;
	refused(leaf, "leaf 1 gone", "cut off");
	refused(leaf, "leaf 2 50%", "no such leaf");
	leaf.fabric.kind = FABRIC_RAIL;
	refused(leaf, "leaf 0 gone,leaf 1 gone", "no NIC left");
	c.nodes = 1;
	refused(c, "nic 0:1 50%", "uses no NIC");
	c.gpus_per_node = 1;
	refused(c, "nvlink 0:0 50%", "has no NVLink");
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_mesh_and_pairs),
		cmocka_unit_test(test_nic_gone),
		cmocka_unit_test(test_nic_gone_pxn),
		cmocka_unit_test(test_shared_ports),
		cmocka_unit_test(test_every_route),
		cmocka_unit_test(test_halved),
		cmocka_unit_test(test_doubled),
		cmocka_unit_test(test_balanced_is_dense),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
