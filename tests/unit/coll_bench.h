/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the collectives share: a cluster in round numbers. */
#ifndef TESTS_UNIT_COLL_BENCH_H
#define TESTS_UNIT_COLL_BENCH_H

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

static inline void assert_near(double a, double b, int line)
{
	if (!(fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b)) + 1e-18))
		fail_msg("line %d: %.15g is not %.15g", line, a, b);
}

static inline struct cluster make_cluster(int nodes, int gpus)
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

static inline void bench_init(struct bench *b, const struct cluster *c)
{
	*b = (struct bench){ 0 };
	if (net_init(&b->net, c, NET_EFFECTIVE))
		fail_msg("%s", err_msg());
	b->spec.net = &b->net;
}

static inline void bench_release(struct bench *b)
{
	coll_release(&b->coll);
	net_release(&b->net);
}

static inline const struct coll *solve(struct bench *b, enum a2a_alg alg,
				const struct traffic *t, bool reverse)
{
	coll_release(&b->coll);
	if (coll_alltoall(&b->spec, alg, t, reverse, &b->coll))
		fail_msg("%s", err_msg());
	return &b->coll;
}

#endif
