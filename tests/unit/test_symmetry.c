/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The quotient against every flow, on each node and fabric kind. */
#include "sim/fair.h"
#include "sim/symmetry.h"

#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NEAR(a, b, tol) \
	assert_true(fabs((a) - (b)) <= (tol) * fmax(fabs(a), fabs(b)))

#define EACH 1e6

static struct cluster make(int nodes, int g, enum intra_kind intra,
			   enum fabric_kind fabric)
{
	struct cluster c;

	memset(&c, 0, sizeof(c));
	c.nodes = nodes;
	c.gpus_per_node = g;
	c.intra.kind = intra;
	c.intra.bandwidth_Bps = 450e9;
	c.intra.latency_s = 1e-6;
	c.intra.pcie_Bps = 25e9;
	c.intra.gpus_per_switch = 2;
	c.intra.switches_per_socket = 2;
	c.intra.socket_Bps = 20e9;
	c.nic.per_gpu = 1;
	c.nic.bandwidth_Bps = 50e9;
	c.nic.latency_s = 3e-6;
	c.fabric.kind = fabric;
	c.fabric.oversubscription = 4;
	c.fabric.nodes_per_leaf = 2;
	c.fabric.leaves_per_pod = 2;
	c.fabric.core_oversubscription = 2;
	c.fabric.gpus_per_rack = 2 * g;
	return c;
}

/* All flows at once, each from its route's latency on. */
static double flow_by_flow(const struct net *net, int group, int stride,
			   bool with_latency)
{
	size_t max = (size_t)net->n_ranks * group, n = 0, at = 0;
	int64_t *start = xmalloc((max + 1) * sizeof(*start));
	int32_t *route = xmalloc(max * ROUTE_LINKS_MAX * sizeof(*route));
	double *v = xmalloc(3 * (max + 1) * sizeof(*v)), t;
	double *bytes = v, *begin = v + max + 1, *finish = begin + max + 1;
	struct fair_problem p;

	for (int a = 0; a < net->n_ranks; a++) {
		for (int b = 0; b < net->n_ranks; b++) {
			struct route r;

			if (a == b || a % stride != b % stride ||
			    a / stride / group != b / stride / group) {
				continue;
			}
			net_route(net, a, b, &r);
			start[n] = (int64_t)at;
			bytes[n] = EACH;
			begin[n++] = with_latency ? r.latency_s : 0;
			memcpy(route + at, r.link, r.n * sizeof(*route));
			at += r.n;
		}
	}
	start[n] = (int64_t)at;
	p = (struct fair_problem){ net->n_links, net->capacity_Bps, (int)n,
				   start, route, bytes, begin, 0 };
	t = fair_run(&p, finish, NULL);
	free(start);
	free(route);
	free(v);
	return t;
}

static int compare(const struct cluster *c)
{
	int n = cluster_gpus(c), compared = 0;
	struct net net;

	assert_int_equal(net_init(&net, c, NET_NOMINAL), ST_OK);
	for (int stride = 1; stride <= n; stride *= 2) {
		for (int group = 1; group * stride <= n; group++) {
			double t, bound, u;
			bool late = group % 2;

			if (!symmetry_alltoall(&net, group, stride, EACH,
					       late, 0, &t, &bound)) {
				continue;
			}
			u = flow_by_flow(&net, group, stride, late);
			NEAR(t, u, 1e-9);
			assert_true(bound <= t * (1 + 1e-12));
			compared++;
		}
	}
	net_release(&net);
	return compared;
}

static void test_all_kinds(void **state)
{
	(void)state;
	for (int intra = INTRA_NVSWITCH; intra <= INTRA_PCIE; intra++) {
		for (int fabric = FABRIC_NONBLOCKING;
		     fabric <= FABRIC_RACK; fabric++) {
			struct cluster c = make(4, 8, intra, fabric);

			if (fabric == FABRIC_RACK &&
			    intra != INTRA_NVSWITCH) {
				continue;
			}
			assert_true(compare(&c) >= 10);
			c.pxn = true;
			assert_true(compare(&c) >= 10);
			c.nic.per_gpu = 0;
			c.nic.per_node = 2;
			assert_true(compare(&c) >= 10);
		}
	}
}

/* 3 nodes of 6: groups of 2, 3, 6 and 18 are symmetric, of 4 or 12 not. */
static void test_odd(void **state)
{
	struct cluster c = make(3, 6, INTRA_NVSWITCH, FABRIC_RAIL);
	struct net net;
	double t;

	(void)state;
	assert_true(compare(&c) >= 4);
	assert_int_equal(net_init(&net, &c, NET_NOMINAL), ST_OK);
	assert_true(symmetry_alltoall(&net, 18, 1, 1, false, 0, &t, NULL));
	assert_false(symmetry_alltoall(&net, 4, 1, 1, false, 0, &t, NULL));
	assert_false(symmetry_alltoall(&net, 12, 1, 1, false, 0, &t, NULL));
	net_release(&net);
	c.fabric.kind = FABRIC_LEAF_SPINE;	/* 3 nodes, leaves of 2 */
	assert_int_equal(net_init(&net, &c, NET_NOMINAL), ST_OK);
	assert_false(symmetry_alltoall(&net, 18, 1, 1, false, 0, &t, NULL));
	net_release(&net);
}

/*
 * By hand: 2 nodes of 2, nonblocking, 50 GB/s NICs, 450 GB/s NVLink, 1 MB:
 * each NIC sends to both GPUs of the other node: 2 MB / 50 GB/s = 40 us.
 * In a window of 1: step 1 inside the node 1/450 GB/s = 2.22 us, then two
 * steps of 20 us: 42.22 us; with latency 1 + 3 + 3 us more.
 */
static void test_hand(void **state)
{
	struct cluster c = make(2, 2, INTRA_NVSWITCH, FABRIC_NONBLOCKING);
	struct net net;
	double t, bound;

	(void)state;
	assert_int_equal(net_init(&net, &c, NET_NOMINAL), ST_OK);
	assert_true(symmetry_alltoall(&net, 4, 1, EACH, false, 0, &t,
				      &bound));
	NEAR(t, 40e-6, 1e-12);
	NEAR(bound, 40e-6, 1e-12);
	assert_true(symmetry_alltoall(&net, 4, 1, EACH, false, 1, &t, NULL));
	NEAR(t, 40e-6 + EACH / 450e9, 1e-12);
	assert_true(symmetry_alltoall(&net, 4, 1, EACH, true, 1, &t, NULL));
	NEAR(t, 47e-6 + EACH / 450e9, 1e-12);
	net_release(&net);
}

static int step_dst(const struct cluster *c, int r, int d)
{
	int g = c->gpus_per_node;

	return (r / g + d / g) % c->nodes * g + (r % g + d % g) % g;
}

/* Every flow, a rank's next step started when one of its own is done. */
static double windowed(const struct net *net, int window)
{
	const struct cluster *c = &net->cluster;
	int n = net->n_ranks, n_done;
	int *next = xcalloc(n, sizeof(*next));
	int *owner = xcalloc((size_t)n * n, sizeof(*owner));
	struct fair *f = fair_new(net->n_links, net->capacity_Bps, 0);
	const int *done;
	double t;

	for (int r = 0; r < n; r++) {
		next[r] = 1;
	}
	for (int r = 0; r < n * window; r++) {
		struct route rt;

		net_route(net, r % n, step_dst(c, r % n, next[r % n]++), &rt);
		owner[fair_start(f, rt.link, rt.n, EACH, INFINITY)] = r % n;
	}
	while (fair_next(f, INFINITY, &done, &n_done)) {
		for (int i = 0; i < n_done; i++) {
			int r = owner[done[i]];
			struct route rt;

			if (next[r] == n) {
				continue;
			}
			net_route(net, r, step_dst(c, r, next[r]++), &rt);
			owner[fair_start(f, rt.link, rt.n, EACH,
					 INFINITY)] = r;
		}
	}
	t = fair_now(f);
	fair_free(f);
	free(next);
	free(owner);
	return t;
}

static void test_window(void **state)
{
	static const enum fabric_kind fabrics[] = { FABRIC_NONBLOCKING,
						    FABRIC_RAIL };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct cluster c = make(4, 4, i & 1 ? INTRA_NVLINK_MESH :
					INTRA_NVSWITCH, fabrics[i / 2]);

		for (int pxn = 0; pxn < 2; pxn++) {
			struct net net;
			double t;

			c.pxn = pxn;
			assert_int_equal(net_init(&net, &c, NET_NOMINAL),
					 ST_OK);
			for (int w = 1; w < 6; w++) {
				assert_true(symmetry_alltoall(&net, 16, 1,
					EACH, false, w, &t, NULL));
				NEAR(t, windowed(&net, w), 1e-9);
			}
			net_release(&net);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hand),
		cmocka_unit_test(test_all_kinds),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
