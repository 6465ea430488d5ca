/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pairs of a layer's exchanges by the executor's pool, against one run of the
 * solver with the flows of both; and how far from it sharing between whole
 * exchanges is, which those of too many flows get.
 */
#include "base/mem.h"
#include "sim/cost.h"
#include "sim/cost_load.h"
#include "sim/exec_pool.h"
#include "sim/exec_share.h"
#include "sim/fair.h"
#include "sim/route.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double worst, sum;
static int n_pairs, n_pooled;

struct pair {
	double a, b;		/* finish times, s */
};

/* b starts after_s later than a. */
static struct pair flow_by_flow(const struct net *net,
				const struct coll_step *a,
				const struct coll_step *b, double after_s)
{
	int n = a->n_flows + b->n_flows, i, j;
	int64_t *start = xcalloc((size_t)n + 1, sizeof(*start));
	int32_t *links = xcalloc((size_t)n * ROUTE_LINKS_MAX, sizeof(*links));
	double *bytes = xcalloc((size_t)n, sizeof(*bytes));
	double *finish = xcalloc((size_t)n, sizeof(*finish));
	double *begin = xcalloc((size_t)n, sizeof(*begin));
	struct fair_problem p = {
		.n_links = net->n_links, .capacity = net->capacity_Bps,
		.n_flows = n, .start = start, .route = links, .bytes = bytes,
		.begin_s = begin,
	};
	struct pair out = { 0, 0 };
	struct route r;

	for (i = 0; i < n; i++) {
		const struct coll_flow *f = i < a->n_flows ? &a->flow[i] :
			&b->flow[i - a->n_flows];

		net_route(net, f->src, f->dst, &r);
		for (j = 0; j < r.n; j++)
			links[start[i] + j] = r.link[j];
		start[i + 1] = start[i] + r.n;
		bytes[i] = f->bytes;
		begin[i] = i < a->n_flows ? 0 : after_s;
	}
	fair_run(&p, finish, NULL);
	for (i = 0; i < n; i++) {
		if (i < a->n_flows)
			out.a = fmax(out.a, finish[i]);
		else
			out.b = fmax(out.b, finish[i]);
	}
	free(start);
	free(links);
	free(bytes);
	free(finish);
	free(begin);
	return out;
}

static struct pair by_pool(const struct net *net, const struct coll_step *a,
			   const struct coll_step *b, double after_s)
{
	struct exec_pool *p = exec_pool_new(net);
	struct pair out;

	exec_pool_join(p, 0, a, 1);
	while (after_s > exec_pool_now(p))
		exec_pool_run(p, after_s);
	exec_pool_join(p, 1, b, 1);
	while (exec_pool_run(p, INFINITY))
		;
	out = (struct pair){ exec_pool_finish(p, 0), exec_pool_finish(p, 1) };
	exec_pool_free(p);
	return out;
}

/* Rounds wait for one another: the one-shot solver cannot say that. */
static void check_pool(const struct net *net, const struct coll_step *a,
		       const struct coll_step *b)
{
	static const double after[] = { 0, 0.37, 0.9 };
	struct pair x, y;
	int i;

	if (a->n_rounds || b->n_rounds)
		return;
	for (i = 0; i < 3; i++) {
		x = flow_by_flow(net, a, b, after[i] * a->flow_s);
		y = by_pool(net, a, b, after[i] * a->flow_s);
		assert_true(fabs(x.a - y.a) <= 1e-9 * x.a);
		assert_true(fabs(x.b - y.b) <= 1e-9 * x.b);
	}
	n_pooled++;
}

/* The rule for too many flows: speeds while both run, then the other one alone. */
static struct pair exchange_by_exchange(const struct net *net,
					const struct cost *c,
					const struct coll_step *a,
					const struct step_load *la,
					const struct coll_step *b,
					const struct step_load *lb)
{
	double *ua = xcalloc((size_t)net->n_links, sizeof(*ua));
	double *ub = xcalloc((size_t)net->n_links, sizeof(*ub));
	struct share_activity x[2] = {
		{ .bound = 1, .use = ua, .scale = 1 / a->flow_s },
		{ .bound = 1, .use = ub, .scale = 1 / b->flow_s },
	};
	struct pair out;
	int l;

	for (l = 0; l < net->n_links; l++) {
		int i = link_set_find(cost_links(c), net, l);

		ua[l] = la->link_bytes[i] / net->capacity_Bps[l];
		ub[l] = lb->link_bytes[i] / net->capacity_Bps[l];
	}
	share_solve(x, 2, net->n_links);
	out.a = a->flow_s / x[0].speed;
	out.b = b->flow_s / x[1].speed;
	if (out.a < out.b)
		out.b = out.a + b->flow_s - out.a * x[1].speed;
	else
		out.a = out.b + a->flow_s - out.b * x[0].speed;
	free(ua);
	free(ub);
	return out;
}

static void compare(const struct net *net, const struct cost *c,
		    const struct op *p, const struct op *q)
{
	const struct coll_step *a = cost_op_step(c, p), *b = cost_op_step(c, q);
	struct pair f, e;
	double error;

	if (!a || !b || !(a->flow_s > 0) || !(b->flow_s > 0))
		return;
	check_pool(net, a, b);
	f = flow_by_flow(net, a, b, 0);
	e = exchange_by_exchange(net, c, a, cost_op_load(c, p), b,
				 cost_op_load(c, q));
	error = fmax(e.a, e.b) / fmax(f.a, f.b) - 1;
	/* links are work-conserving in both: neither beats the busiest link */
	assert_true(fmax(e.a, e.b) >= fmax(a->bound_s, b->bound_s) *
		    (1 - 1e-9));
	worst = fmax(worst, fabs(error));
	sum += fabs(error);
	n_pairs++;
}

/* Whatever of a layer's exchanges may meet: steps of the two passes, ESP. */
static void compare_all(const struct net *net, const struct cost *c, int steps)
{
	static const enum op_kind other[] = { OP_COMBINE, OP_ALLGATHER,
					      OP_ALLREDUCE_GATE,
					      OP_ALLREDUCE_EXPERT };
	struct op p = { .kind = OP_DISPATCH, .n_chunks = 1 };
	struct op q = { .n_chunks = 1 };
	size_t k;

	for (p.step = 0; p.step < steps; p.step++) {
		q.kind = OP_DISPATCH;
		for (q.step = p.step + 1; q.step < steps; q.step++)
			compare(net, c, &p, &q);
		for (k = 0; k < sizeof(other) / sizeof(other[0]); k++) {
			q.kind = other[k];
			for (q.step = 0; q.step < (k ? 1 : steps); q.step++)
				compare(net, c, &p, &q);
		}
	}
}

static void run_case(const struct scenario *s, struct layout layout,
		     double factor, enum a2a_alg a)
{
	struct cost_spec spec = { .model = &s->model, .layout = layout,
				  .alltoall = a, .keep_flows = true };
	struct routing r;
	struct workload w;
	struct net net;
	struct cost *c;

	assert_int_equal(net_init(&net, &s->cluster, NET_EFFECTIVE), ST_OK);
	assert_int_equal(routing_make(&s->routing, &s->model, &layout,
				      net.n_ranks, &r), ST_OK);
	assert_int_equal(workload_make(&r, &s->cluster, &s->model, &layout,
				       factor, &w), ST_OK);
	spec.net = &net;
	spec.workload = &w;
	assert_int_equal(cost_new(&spec, &c), ST_OK);
	compare_all(&net, c, layout.ep > 1 ? a2a_table[a].n_steps : 0);
	cost_free(c);
	workload_release(&w);
	routing_release(&r);
	net_release(&net);
}

static void run_cases(double factor, enum routing_kind kind, double skew)
{
	static const struct layout layouts[] = {
		{ .ep = 16, .esp = 1, .tp = 1, .dp = 1, .pp = 1 },
		{ .ep = 8, .esp = 2, .tp = 1, .dp = 1, .pp = 1 },
		{ .ep = 4, .esp = 4, .tp = 1, .dp = 1, .pp = 1 },
	};
	static const char *const fabrics[] = {
		"cluster.fabric.kind=rail", "cluster.intra.kind=pcie",
	};
	struct scenario_set sets[] = {
		{ "cluster.nodes=4" }, { "cluster.gpus_per_node=4" },
		{ "layout.ep=16" }, { "model.experts=16" }, { NULL },
	};
	struct scenario s;
	size_t f, l;
	int a;

	for (f = 0; f < 2; f++) {
		sets[4].text = fabrics[f];
		if (scenario_load(&s, SRCDATADIR "/default.yaml", sets, 5))
			fail_msg("%s", err_msg());
		s.routing.kind = kind;
		s.routing.skew = skew;
		for (l = 0; l < 3; l++) {
			for (a = 0; a < A2A_N; a++) {
				run_case(&s, layouts[l], factor,
					 (enum a2a_alg)a);
			}
		}
		scenario_release(&s);
	}
}

static double report(const char *what)
{
	double mean = sum / n_pairs;

	assert_true(n_pairs > 50);
	assert_true(n_pooled > 50);
	print_message("%s: %d pairs, %d of them flow by flow; exchange by "
		      "exchange: mean error %.2f %%, worst %.2f %%\n",
		      what, n_pairs, n_pooled, 100 * mean, 100 * worst);
	worst = sum = 0;
	n_pairs = n_pooled = 0;
	return mean;
}

static void test_even(void **state)
{
	(void)state;
	run_cases(1, ROUTING_UNIFORM, 0);
	assert_true(report("even") < 0.01);
}

static void test_skewed(void **state)
{
	(void)state;
	run_cases(0, ROUTING_ZIPF, 0.8);
	assert_true(report("skewed") < 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_even),
		cmocka_unit_test(test_skewed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
