/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_fair [--quick]: how long uneven all-to-alls take to solve.
 *
 * Every rank sends every other one a random number of bytes, uniform in
 * 0 .. 2 MB, every size different. Nodes of 8 GPUs with the rates below.
 * The hash covers all finish times: it changes when a result does.
 */
#include "sim/fair.h"
#include "sim/net.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define GPUS_PER_NODE 8
#define NVLINK_BPS 450e9
#define NIC_BPS 50e9
#define MEAN_BYTES 1e6

struct setup {
	const char *name;
	enum fabric_kind fabric;
	double oversubscription;
	bool pxn;
};

static const struct setup setups[] = {
	{ "nonblocking", FABRIC_NONBLOCKING, 1, false },
	{ "rail 4:1", FABRIC_RAIL, 4, false },
	{ "leaf-spine 4:1", FABRIC_LEAF_SPINE, 4, false },
	{ "rail, pxn", FABRIC_RAIL, 1, true },
};

static uint64_t seed = 1;

static double uniform(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(seed >> 11) / 9007199254740992.0;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void make_net(struct net *net, const struct setup *s, int gpus)
{
	struct cluster c;

	memset(&c, 0, sizeof(c));
	c.nodes = gpus / GPUS_PER_NODE;
	c.gpus_per_node = GPUS_PER_NODE;
	c.intra.kind = INTRA_NVSWITCH;
	c.intra.bandwidth_Bps = NVLINK_BPS;
	c.nic.per_gpu = 1;
	c.nic.bandwidth_Bps = NIC_BPS;
	c.fabric.kind = s->fabric;
	c.fabric.oversubscription = s->oversubscription;
	c.fabric.nodes_per_leaf = 4;
	c.pxn = s->pxn;
	if (net_init(net, &c, NET_NOMINAL)) {
		fprintf(stderr, "%s\n", err_msg());
		exit(1);
	}
}

static void make_problem(const struct net *net, struct fair_problem *p)
{
	size_t n = (size_t)net->n_ranks * (net->n_ranks - 1), k = 0, at = 0;
	int64_t *start = xmalloc((n + 1) * sizeof(*start));
	int32_t *route = xmalloc(n * 6 * sizeof(*route));
	double *bytes = xmalloc(n * sizeof(*bytes));

	for (int i = 0; i < net->n_ranks; i++) {
		for (int j = 0; j < net->n_ranks; j++) {
			struct route r;

			if (i == j) {
				continue;
			}
			net_route(net, i, j, &r);
			start[k] = (int64_t)at;
			bytes[k++] = 1 + 2 * MEAN_BYTES * uniform();
			for (int h = 0; h < r.n; h++) {
				route[at++] = r.link[h];
			}
		}
	}
	start[k] = (int64_t)at;
	*p = (struct fair_problem){ net->n_links, net->capacity_Bps, (int)n,
				    start, route, bytes, NULL, 0, NULL };
}

static uint64_t hash_times(const double *t, int n)
{
	uint64_t h = 14695981039346656037u;	/* FNV-1a */

	for (int i = 0; i < n; i++) {
		uint64_t x = (uint64_t)(t[i] * 1e12 + 0.5);

		for (int b = 0; b < 64; b += 8) {
			h = (h ^ (x >> b & 255)) * 1099511628211u;
		}
	}
	return h;
}

static double mean_error(const double *a, const double *b, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++) {
		sum += fabs(a[i] - b[i]) / b[i];
	}
	return sum / n;
}

/* exact: finish times to compare with, or NULL. */
static double run(const struct setup *s, int gpus, struct fair_problem *p,
		  double tolerance, double *finish, const double *exact)
{
	struct rusage usage;
	double begin = seconds(), t, error;

	p->merge_s = tolerance > 0 ? fair_merge_window(p, tolerance) : 0;
	t = fair_run(p, finish, &error);
	begin = seconds() - begin;
	getrusage(RUSAGE_SELF, &usage);
	printf("%-15s %5d %8d %6g %8.3f %7.0f %10.6f %8.1e %016llx", s->name,
	       gpus, p->n_flows, tolerance, begin,
	       (double)usage.ru_maxrss / 1024, t * 1e3, error / t,
	       (unsigned long long)hash_times(finish, p->n_flows));
	if (exact) {
		printf(" %8.1e", mean_error(finish, exact, p->n_flows));
	}
	printf("\n");
	fflush(stdout);
	return t;
}

static void bench(const struct setup *s, int gpus, bool exact,
		  double tolerance)
{
	struct net net;
	struct fair_problem p;
	double *finish, *merged, t = 0, m;

	seed = 1;
	make_net(&net, s, gpus);
	make_problem(&net, &p);
	finish = xmalloc(p.n_flows * sizeof(*finish));
	merged = xmalloc(p.n_flows * sizeof(*merged));
	if (exact) {
		t = run(s, gpus, &p, 0, finish, NULL);
	}
	if (tolerance > 0) {
		m = run(s, gpus, &p, tolerance, merged,
			exact ? finish : NULL);
		if (exact) {
			printf("%72s makespan off by %.1e\n", "",
			       (m - t) / t);
		}
	}
	free((void *)p.start);
	free((void *)p.route);
	free((void *)p.bytes);
	free(finish);
	free(merged);
	net_release(&net);
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && !strcmp(argv[1], "--quick");
	size_t n = sizeof(setups) / sizeof(setups[0]);

	printf("%-15s %5s %8s %6s %8s %7s %10s %8s %16s %8s\n", "fabric",
	       "gpus", "flows", "tol", "cpu s", "rss MiB", "time ms", "bound",
	       "hash", "mean err");
	for (size_t i = 0; i < n; i++) {
		bench(&setups[i], 64, true, 0);
	}
	for (size_t i = 0; i < n; i++) {
		bench(&setups[i], 256, !quick, 1e-3);
	}
	for (size_t i = 0; i < n && !quick; i++) {
		bench(&setups[i], 1024, false, 1e-3);
	}
	return 0;
}
