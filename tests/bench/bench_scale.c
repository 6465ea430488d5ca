/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_scale [GPUS]: a skewed all-to-all of all pairs (4,096 GPUs: 16
 * million) in the flow model with a tolerance of 1 %, and a balanced plan for
 * 100,000 GPUs. Nodes of 8 GPUs, 450 GB/s NVLink, 50 GB/s NIC per GPU, rail.
 *
 * Rank i sends to rank j a random share, uniform in 0.5 .. 1.5, of 1 MB times
 * the popularity of j, which is zipf's with skew 0.5: every size is another.
 */
#include "base/mem.h"
#include "sim/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GPUS_PER_NODE 8
#define MEAN_BYTES 1e6
#define SKEW 0.5
#define TOLERANCE 0.01
#define SKEWED_GPUS 4096

static uint64_t seed = 1;

static double uniform(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(seed >> 11) / 9007199254740992.0;
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(void)
{
	fprintf(stderr, "bench_scale: %s\n", err_msg());
	exit(1);
}

static struct cluster make_cluster(int gpus)
{
	struct cluster c = { .nodes = gpus / GPUS_PER_NODE,
			     .gpus_per_node = GPUS_PER_NODE };

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
	c.fabric.kind = FABRIC_RAIL;
	c.fabric.oversubscription = 1;
	return c;
}

/* Popularities are dealt to ranks in an order that looks random. */
static struct traffic make_traffic(int n)
{
	struct traffic t = { .n_ranks = n };
	double *popular = xcalloc((size_t)n, sizeof(*popular)), sum = 0;
	size_t i, j, cells = (size_t)n;

	for (i = 0; i < cells; i++) {
		popular[i * 1031 % cells] = pow((double)i + 1, -SKEW);
		sum += pow((double)i + 1, -SKEW);
	}
	t.bytes = xcalloc(cells * cells, sizeof(*t.bytes));
	for (i = 0; i < cells; i++) {
		for (j = 0; j < cells; j++)
			t.bytes[i * cells + j] = MEAN_BYTES * (0.5 + uniform()) *
				popular[j] * n / sum;
	}
	free(popular);
	return t;
}

static void skewed(int gpus)
{
	struct cluster c = make_cluster(gpus);
	struct traffic t = make_traffic(gpus);
	struct coll_spec spec = { .tolerance = TOLERANCE };
	struct coll coll;
	struct net net;

	if (net_init(&net, &c, NET_EFFECTIVE))
		fail();
	spec.net = &net;
	if (coll_alltoall(&spec, A2A_FLAT, &t, false, &coll))
		fail();
	printf("flat, %d GPUs, %.0f flows, tolerance %g: makespan %.6g s, "
	       "bound %.6g s, merging at most %.2g s", gpus,
	       (double)gpus * (gpus - 1), TOLERANCE, coll.step[0].flow_s,
	       coll.step[0].bound_s, coll.step[0].merge_error_s);
	coll_release(&coll);
	traffic_release(&t);
	net_release(&net);
}

static void balanced(int gpus)
{
	struct search_options o = { .top = 8 };
	struct scenario_set sets[] = { { .text = "cluster.nodes=12500" },
				       { .text = "routing.kind=uniform" },
				       { .text = "layout.ep=auto" } };
	struct search_result r;
	struct scenario s;

	(void)gpus;
	if (scenario_load(&s, "default", sets, 3) || search_run(&s, &o, &r))
		fail();
	printf("plan, %d GPUs, %llu plans: best %.6g s",
	       cluster_gpus(&s.cluster), (unsigned long long)r.evaluated,
	       r.best_s);
	search_release(&r);
	scenario_release(&s);
}

/* In a process of its own: the peak memory is then that of the work. */
static void measure(void (*work)(int gpus), int gpus)
{
	double wall = seconds(CLOCK_MONOTONIC);
	struct rusage use;
	int code = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		work(gpus);
		fflush(stdout);
		_exit(0);
	}
	if (wait4(pid, &code, 0, &use) != pid || code) {
		printf("failed\n");
		exit(1);
	}
	printf("\n\t%.1f s of processor, %.1f s wall clock, %.0f MiB\n",
	       (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec),
	       seconds(CLOCK_MONOTONIC) - wall,
	       (double)use.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
	measure(skewed, argc > 1 ? (int)strtol(argv[1], NULL, 10) : SKEWED_GPUS);
	measure(balanced, 100000);
	return 0;
}
