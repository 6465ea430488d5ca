/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Routes, capacities, names and latencies by hand: NVLink 450, NIC 50, PCIe
 * 25, sockets 20 (GB/s); latency 1 us inside, 3 us between nodes.
 */
#include "base/buf.h"
#include "sim/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GB 1e9
#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12 * fabs(b))

static struct cluster make(int nodes, int g, enum intra_kind intra,
			   enum fabric_kind fabric)
{
	struct cluster c;

	memset(&c, 0, sizeof(c));
	c.nodes = nodes;
	c.gpus_per_node = g;
	c.gpu.intra.efficiency = 0.8;
	c.gpu.inter.efficiency = 0.9;
	c.intra.kind = intra;
	c.intra.bandwidth_Bps = 450 * GB;
	c.intra.latency_s = 1e-6;
	c.intra.pcie_Bps = 25 * GB;
	c.intra.gpus_per_switch = 2;
	c.intra.switches_per_socket = 2;
	c.intra.socket_Bps = 20 * GB;
	c.nic.per_gpu = 1;
	c.nic.bandwidth_Bps = 50 * GB;
	c.nic.latency_s = 3e-6;
	c.fabric.kind = fabric;
	c.fabric.oversubscription = 4;
	c.fabric.nodes_per_leaf = 2;
	c.fabric.leaves_per_pod = 2;
	c.fabric.core_oversubscription = 2;
	c.fabric.gpus_per_rack = 2 * g;
	return c;
}

/* The route's link names and GB/s, ", " between; then the microseconds. */
static void expect(const struct cluster *c, int src, int dst,
		   const char *want)
{
	char got[1024], name[64];
	size_t len = 0;
	struct net net;
	struct route r;

	assert_int_equal(net_init(&net, c, NET_NOMINAL), ST_OK);
	net_route(&net, src, dst, &r);
	for (int i = 0; i < r.n; i++) {
		len += snprintf(got + len, sizeof(got) - len, "%s %g, ",
				net_link_name(&net, r.link[i], name,
					      sizeof(name)),
				net.capacity_Bps[r.link[i]] / GB);
	}
	snprintf(got + len, sizeof(got) - len, "%gus", r.latency_s * 1e6);
	assert_string_equal(got, want);
	net_release(&net);
}

static void test_nodes(void **state)
{
	struct cluster c = make(2, 8, INTRA_NVSWITCH, FABRIC_NONBLOCKING);

	(void)state;
	expect(&c, 9, 12, "node 1 gpu 1 nvlink up 450, "
	       "node 1 gpu 4 nvlink down 450, 1us");
	expect(&c, 1, 12, "node 0 gpu 1 nic up 50, node 1 gpu 4 nic down 50, "
	       "3us");
	/* a mesh gives each of the 7 peers 450 / 7; with 4 GPUs 450 / 3 */
	c = make(2, 4, INTRA_NVLINK_MESH, FABRIC_NONBLOCKING);
	expect(&c, 7, 4, "node 1 gpu 3 to gpu 0 nvlink 150, 1us");
	expect(&c, 4, 7, "node 1 gpu 0 to gpu 3 nvlink 150, 1us");
	/* PCIe: switches 0 (0, 1), 1 (2, 3) on socket 0; 2, 3 on socket 1 */
	c = make(2, 8, INTRA_PCIE, FABRIC_NONBLOCKING);
	expect(&c, 0, 1, "node 0 gpu 0 pcie up 25, node 0 gpu 1 pcie down 25, "
	       "1us");
	expect(&c, 8, 11, "node 1 gpu 0 pcie up 25, node 1 switch 0 up 25, "
	       "node 1 switch 1 down 25, node 1 gpu 3 pcie down 25, 1us");
	expect(&c, 6, 0, "node 0 gpu 6 pcie up 25, node 0 switch 3 up 25, "
	       "node 0 socket 1 to socket 0 20, node 0 switch 0 down 25, "
	       "node 0 gpu 0 pcie down 25, 1us");
	c = make(2, 8, INTRA_NVLINK_PAIRS, FABRIC_NONBLOCKING);
	expect(&c, 3, 2, "node 0 gpu 3 to gpu 2 nvlink 450, 1us");
	expect(&c, 0, 2, "node 0 gpu 0 pcie up 25, node 0 switch 0 up 25, "
	       "node 0 switch 1 down 25, node 0 gpu 2 pcie down 25, 1us");
}

static void test_fabrics(void **state)
{
	/* rail leaf: 8 nodes x 50 / 4 = 100 */
	struct cluster c = make(8, 4, INTRA_NVSWITCH, FABRIC_RAIL);

	(void)state;
	expect(&c, 1, 5, "node 0 gpu 1 nic up 50, node 1 gpu 1 nic down 50, "
	       "3us");
	expect(&c, 1, 6, "node 0 gpu 1 nic up 50, rail 1 leaf up 100, "
	       "rail 2 leaf down 100, node 1 gpu 2 nic down 50, 3us");
	c.pxn = true;
	expect(&c, 1, 6, "node 0 gpu 1 nvlink up 450, "
	       "node 0 gpu 2 nvlink down 450, node 0 gpu 2 nic up 50, "
	       "node 1 gpu 2 nic down 50, 4us");
	/* leaf: 2 nodes x 4 x 50 / 4 = 100; a pod of 2: 200 / 2 = 100 */
	c = make(8, 4, INTRA_NVSWITCH, FABRIC_LEAF_SPINE);
	expect(&c, 0, 5, "node 0 gpu 0 nic up 50, node 1 gpu 1 nic down 50, "
	       "3us");
	expect(&c, 0, 9, "node 0 gpu 0 nic up 50, leaf 0 up 100, "
	       "leaf 1 down 100, node 2 gpu 1 nic down 50, 3us");
	c = make(8, 4, INTRA_NVSWITCH, FABRIC_FAT_TREE);
	expect(&c, 0, 8, "node 0 gpu 0 nic up 50, leaf 0 up 100, "
	       "leaf 1 down 100, node 2 gpu 0 nic down 50, 3us");
	expect(&c, 0, 31, "node 0 gpu 0 nic up 50, leaf 0 up 100, "
	       "pod 0 up 100, pod 1 down 100, leaf 3 down 100, "
	       "node 7 gpu 3 nic down 50, 3us");
	/* racks of 8 GPUs, 2 nodes: 8 x 50 / 4 = 100 */
	c = make(8, 4, INTRA_NVSWITCH, FABRIC_RACK);
	expect(&c, 0, 7, "node 0 gpu 0 nvlink up 450, "
	       "node 1 gpu 3 nvlink down 450, 1us");
	expect(&c, 0, 8, "node 0 gpu 0 nic up 50, rack 0 up 100, "
	       "rack 1 down 100, node 2 gpu 0 nic down 50, 3us");
}

/* NIC g * per_node / G; leaf: 2 nodes x 2 NICs x 50 / 4 = 50. */
static void test_nics(void **state)
{
	struct cluster c = make(4, 4, INTRA_NVSWITCH, FABRIC_LEAF_SPINE);

	(void)state;
	c.nic.per_gpu = 0;
	c.nic.per_node = 2;
	expect(&c, 1, 14, "node 0 nic 0 up 50, leaf 0 up 50, leaf 1 down 50, "
	       "node 3 nic 1 down 50, 3us");
	c.fabric.kind = FABRIC_RAIL;	/* 4 nodes x 50 / 4 = 50; rail = NIC */
	expect(&c, 1, 4, "node 0 nic 0 up 50, node 1 nic 0 down 50, 3us");
	expect(&c, 1, 6, "node 0 nic 0 up 50, rail 0 leaf up 50, "
	       "rail 1 leaf down 50, node 1 nic 1 down 50, 3us");
	c.nic.per_node = 8;	/* two for each GPU, bundled */
	expect(&c, 1, 5, "node 0 gpu 1 nic up 100, node 1 gpu 1 nic down 100, "
	       "3us");
}

static void test_effective(void **state)
{
	struct cluster c = make(2, 4, INTRA_NVSWITCH, FABRIC_NONBLOCKING);
	struct net net;

	(void)state;
	assert_int_equal(net_init(&net, &c, NET_EFFECTIVE), ST_OK);
	NEAR(net.capacity_Bps[net.first[LINK_NVLINK_UP]], 360 * GB);
	NEAR(net.capacity_Bps[net.first[LINK_NIC_DOWN]], 45 * GB);
	assert_int_equal(net_link_class(&net, net.n_links - 1),
			 LINK_NIC_DOWN);
	assert_string_equal(link_class_name(LINK_NIC_DOWN), "nic down");
	net_release(&net);
}

static void check_pairs(const struct net *net)
{
	for (int a = 0; a < net->n_ranks; a++) {
		for (int b = 0; b < net->n_ranks; b++) {
			struct route r;

			if (a == b) {
				continue;
			}
			net_route(net, a, b, &r);
			assert_in_range(r.n, 1, ROUTE_LINKS_MAX);
			for (int i = 0; i < r.n; i++) {
				assert_in_range(r.link[i], 0,
						net->n_links - 1);
				for (int k = 0; k < i; k++) {
					assert_true(r.link[k] != r.link[i]);
				}
			}
		}
	}
}

static void test_all_pairs(void **state)
{
	static const int nics[][2] = { { 1, 0 }, { 0, 1 }, { 0, 3 },
				       { 0, 10 } };

	(void)state;
	for (int i = 0; i < 4 * 5 * 4 * 2; i++) {
		int k = i / 8 % 5;
		struct cluster c = make(7, 5, k == FABRIC_RACK ?
					INTRA_NVSWITCH : i / 40, k);
		struct net net;

		c.nic.per_gpu = nics[i % 4][0];
		c.nic.per_node = nics[i % 4][1];
		c.pxn = i / 4 % 2;
		assert_int_equal(net_init(&net, &c, NET_NOMINAL), ST_OK);
		check_pairs(&net);
		net_release(&net);
	}
}

static double bisection(const struct cluster *c)
{
	struct net net;
	double v;

	assert_int_equal(net_init(&net, c, NET_NOMINAL), ST_OK);
	v = net_bisection_Bps(&net) / GB;
	net_release(&net);
	return v;
}

static void test_bisection(void **state)
{
	struct cluster c = make(8, 4, INTRA_NVSWITCH, FABRIC_NONBLOCKING);

	(void)state;
	NEAR(bisection(&c), 4 * 4 * 50.0);
	c.fabric.kind = FABRIC_LEAF_SPINE;	/* two leaves up, 100 each */
	NEAR(bisection(&c), 200.0);
	c.fabric.kind = FABRIC_FAT_TREE;	/* one pod up */
	NEAR(bisection(&c), 100.0);
	c.fabric.kind = FABRIC_LEAF_SPINE;
	c.nodes = 6;	/* leaf 0 up 100 and, inside leaf 1, 4 x 50 */
	NEAR(bisection(&c), 300.0);
	c = make(1, 8, INTRA_NVSWITCH, FABRIC_NONBLOCKING);
	NEAR(bisection(&c), 4 * 450.0);
	c.intra.kind = INTRA_PCIE;		/* between the sockets */
	NEAR(bisection(&c), 20.0);
	c.intra.kind = INTRA_NVLINK_MESH;	/* 4 x 4 links of 450 / 7 */
	NEAR(bisection(&c), 16 * 450.0 / 7);
}

static void refuse(const struct cluster *c, const char *key)
{
	struct net net;

	assert_int_equal(net_init(&net, c, NET_EFFECTIVE), ST_INPUT);
	assert_non_null(strstr(err_msg(), key));
}

static void test_refused(void **state)
{
	const struct cluster good = make(4, 4, INTRA_NVSWITCH,
					 FABRIC_FAT_TREE);
	struct cluster c = good;

	(void)state;
	c.fabric.nodes_per_leaf = 0;
	refuse(&c, "'cluster.fabric.nodes_per_leaf' is 0");
	c = good;
	c.fabric.leaves_per_pod = 0;
	refuse(&c, "'cluster.fabric.leaves_per_pod'");
	c = good;
	c.fabric.core_oversubscription = 0;
	refuse(&c, "'cluster.fabric.core_oversubscription'");
	c = good;
	c.fabric.oversubscription = NAN;
	refuse(&c, "'cluster.fabric.oversubscription'");
	c = good;
	c.nic.per_node = 1;
	refuse(&c, "'cluster.nic.per_gpu'");
	c = good;
	c.nic.bandwidth_Bps = 0;
	refuse(&c, "'cluster.nic.bandwidth'");
	c = good;
	c.nodes = 0;
	refuse(&c, "'cluster.nodes'");
	c = good;
	c.nodes = c.gpus_per_node = 100000;
	refuse(&c, "'cluster.nodes'");
	c = good;
	c.intra.bandwidth_Bps = -1;
	refuse(&c, "'cluster.intra.bandwidth'");
	c = good;
	c.gpu.inter.efficiency = 0;
	refuse(&c, "'gpu.inter.efficiency'");
	c = good;
	c.fabric.kind = FABRIC_RACK;
	c.fabric.gpus_per_rack = 6;
	refuse(&c, "'cluster.fabric.gpus_per_rack'");
	c = make(1, 30000, INTRA_NVLINK_MESH, FABRIC_NONBLOCKING);
	refuse(&c, "'cluster.gpus_per_node'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_fabrics),
		cmocka_unit_test(test_nics),
		cmocka_unit_test(test_effective),
		cmocka_unit_test(test_all_pairs),
		cmocka_unit_test(test_bisection),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
