/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rings and trees that are not solved flow by flow, against the solver. */
#include "base/mem.h"
#include "sim/coll_int.h"
#include "sim/fair.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

static double flow_by_flow(const struct net *net, const struct coll_flow *w,
			   int n_flows)
{
	struct fair *f = fair_new(net->n_links, net->capacity_Bps, 0);
	const int *done;
	struct route r;
	double last = 0;
	int i, n;

	for (i = 0; i < n_flows; i++) {
		net_route(net, w[i].src, w[i].dst, &r);
		fair_start(f, r.link, r.n, w[i].bytes, INFINITY);
	}
	while (fair_next(f, INFINITY, &done, &n))
		last = fair_now(f);
	fair_free(f);
	return last;
}

/* Without flows some groups stand for all: nothing may change by that. */
static void check_plain(const struct net *net, enum coll_op op, int group,
			int stride, const struct coll_step *all)
{
	struct coll_spec spec = { .net = net };
	const struct coll_step *s;
	struct coll c;

	assert_int_equal(coll_ring(&spec, op, group, stride, 1e8, &c), ST_OK);
	s = &c.step[0];
	assert_null(s->flow);
	assert_true(s->flow_s == all->flow_s && s->bound_s == all->bound_s);
	assert_true(s->fixed_s == all->fixed_s);
	assert_true(s->busiest_bytes == all->busiest_bytes);
	assert_int_equal(s->busiest_link, all->busiest_link);
	assert_int_equal(s->messages, all->messages);
	coll_ring_flows(&spec, op, group, stride, 1e8, &c);
	assert_int_equal(s->n_flows, all->n_flows);
	for (int i = 0; i < s->n_flows; i++) {
		assert_int_equal(s->flow[i].src, all->flow[i].src);
		assert_int_equal(s->flow[i].dst, all->flow[i].dst);
		assert_true(s->flow[i].bytes == all->flow[i].bytes);
	}
	coll_release(&c);
}

static void check(const struct net *net, enum coll_op op, int group,
		  int stride)
{
	struct coll_spec spec = { .net = net, .keep_flows = true };
	struct coll c;
	double want;

	assert_int_equal(coll_ring(&spec, op, group, stride, 1e8, &c), ST_OK);
	want = flow_by_flow(net, c.step[0].flow, c.step[0].n_flows);
	assert_true(fabs(c.step[0].flow_s - want) <= 1e-9 * want);
	check_plain(net, op, group, stride, &c.step[0]);
	coll_release(&c);
}

static void check_net(const struct net *net)
{
	int n = net->n_ranks, op, group, stride;

	for (op = COLL_ALLGATHER; op <= COLL_SENDRECV; op++) {
		for (group = 2; group <= n; group++) {
			for (stride = 1; group * stride <= n; stride++) {
				if (n % (group * stride) == 0)
					check(net, (enum coll_op)op, group,
					      stride);
			}
		}
	}
}

/* Odd and even numbers of nodes, fabrics that share links, every group. */
static void test_against_solver(void **state)
{
	static const char *const nodes[] = { "cluster.nodes=3",
		"cluster.nodes=4", "cluster.nodes=9", "cluster.nodes=14" };
	static const char *const more[] = {
		"cluster.pxn=true", "cluster.intra.kind=pcie",
		"cluster.intra.kind=nvlink-mesh",
		"cluster.fabric.oversubscription=4",
	};
	struct scenario_set sets[] = { { "cluster.gpus_per_node=4" },
				       { NULL }, { NULL } };
	struct scenario s;
	struct net net;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		for (j = 0; j < 4; j++) {
			sets[1].text = nodes[i];
			sets[2].text = more[j];
			if (scenario_load(&s, SRCDATADIR "/default.yaml",
					  sets, 3))
				fail_msg("%s", err_msg());
			assert_int_equal(net_init(&net, &s.cluster,
						  NET_EFFECTIVE), ST_OK);
			check_net(&net);
			net_release(&net);
			scenario_release(&s);
		}
	}
}

static double busiest(const struct net *net, const struct coll_flow *f, int n)
{
	double *s = xcalloc((size_t)net->n_links, sizeof(*s)), most = 0;
	struct route r;
	int i, k;

	for (i = 0; i < n; i++) {
		net_route(net, f[i].src, f[i].dst, &r);
		for (k = 0; k < r.n; k++) {
			s[r.link[k]] += f[i].bytes /
				net->capacity_Bps[r.link[k]];
			most = fmax(most, s[r.link[k]]);
		}
	}
	free(s);
	return most;
}

/* Whatever the flows: who is said to end with the busiest link does. */
static void test_certificate(void **state)
{
	struct scenario s;
	struct net net;
	struct coll_flow f[16];
	struct coll_part part;
	int i, k, n, sure = 0, later = 0;
	double bound, want;

	(void)state;
	srand(23);
	assert_int_equal(scenario_load(&s, SRCDATADIR "/default.yaml", NULL,
				       0), ST_OK);
	assert_int_equal(net_init(&net, &s.cluster, NET_EFFECTIVE), ST_OK);
	for (i = 0; i < 5000; i++) {
		n = 1 + rand() % 16;
		for (k = 0; k < n; k++) {
			f[k].src = rand() % 4;
			f[k].dst = (f[k].src + 1 + rand() % 3) % 4;
			f[k].bytes = 1e9 * (1 + rand() % 4);
		}
		part = (struct coll_part){ .flow = f, .n_flows = (size_t)n };
		bound = busiest(&net, f, n);
		want = flow_by_flow(&net, f, n);
		later += want > bound * (1 + 1e-9);
		if (!coll_ends_at_bound(&net, &part, bound))
			continue;
		sure++;
		assert_true(fabs(want - bound) <= 1e-9 * want);
	}
	assert_true(sure > 500 && later > 100);
	net_release(&net);
	scenario_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_solver),
		cmocka_unit_test(test_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
