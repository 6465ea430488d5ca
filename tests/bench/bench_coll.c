/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_coll: how long balanced all-to-alls take to solve.
 *
 * Every GPU sends 1 kB to every other, nodes of 8, every algorithm without a
 * window on each fabric. The processor time is that of coll_alltoall() and
 * net_init() together; the forecast beside it changes when a result does.
 */
#include "sim/coll.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define GPUS_PER_NODE 8
#define EACH_BYTES 1e3

struct setup {
	const char *name;
	enum fabric_kind fabric;
	double oversubscription;
	bool pxn;
};

static const struct setup setups[] = {
	{ "nonblocking", FABRIC_NONBLOCKING, 1, false },
	{ "rail 4:1", FABRIC_RAIL, 4, false },
	{ "rail, pxn", FABRIC_RAIL, 1, true },
	{ "fat-tree 2:1", FABRIC_FAT_TREE, 2, false },
};

#define N_SETUPS (int)(sizeof(setups) / sizeof(*setups))

static struct cluster make_cluster(const struct setup *s, int gpus)
{
	struct cluster c = { .nodes = gpus / GPUS_PER_NODE,
			     .gpus_per_node = GPUS_PER_NODE,
			     .pxn = s->pxn };

	c.gpu.hbm_Bps = 3e12;
	c.gpu.hbm_efficiency = 0.9;
	c.gpu.intra.efficiency = 0.75;
	c.gpu.inter.efficiency = 0.9;
	c.intra.kind = INTRA_NVSWITCH;
	c.intra.bandwidth_Bps = 450e9;
	c.intra.latency_s = 1e-6;
	c.nic.per_gpu = 1;
	c.nic.bandwidth_Bps = 50e9;
	c.nic.latency_s = 3e-6;
	c.fabric.kind = s->fabric;
	c.fabric.oversubscription = s->oversubscription;
	c.fabric.core_oversubscription = 1;
	c.fabric.nodes_per_leaf = 4;
	c.fabric.leaves_per_pod = 4;
	return c;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(void)
{
	fprintf(stderr, "bench_coll: %s\n", err_msg());
	exit(1);
}

static void measure(const struct setup *s, enum a2a_alg alg, int gpus)
{
	struct cluster c = make_cluster(s, gpus);
	struct traffic t = { .n_ranks = gpus, .each = EACH_BYTES,
			     .group = gpus, .stride = 1 };
	double begin = seconds();
	struct coll_spec spec;
	struct coll coll;
	struct net net;

	if (net_init(&net, &c, NET_EFFECTIVE))
		fail();
	spec = (struct coll_spec){ .net = &net };
	if (coll_alltoall(&spec, alg, &t, false, &coll))
		fail();
	printf("%-14s %-9s %7d GPUs %9.2f ms   forecast %.9g s\n", s->name,
	       a2a_table[alg].name, gpus, 1e3 * (seconds() - begin),
	       coll_time(&coll, 1));
	coll_release(&coll);
	net_release(&net);
}

int main(void)
{
	static const int gpus[] = { 1024, 8192, 100000 };
	struct rusage use;
	int i, s, alg;

	for (i = 0; i < 3; i++) {
		for (s = 0; s < N_SETUPS; s++) {
			for (alg = 0; alg < A2A_N; alg++) {
				/* shifts and leaves do not fold; see coll.h */
				if (setups[s].fabric == FABRIC_FAT_TREE &&
				    (alg == A2A_PAIRWISE ||
				     gpus[i] % (16 * GPUS_PER_NODE)))
					continue;
				measure(&setups[s], alg, gpus[i]);
			}
		}
	}
	getrusage(RUSAGE_SELF, &use);
	printf("peak memory %.0f MiB\n", (double)use.ru_maxrss / 1024);
	return 0;
}
