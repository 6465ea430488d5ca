/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exchanges that run together, and the flow model on top of them. */
#include "base/mem.h"
#include "base/units.h"
#include "sim/cost.h"
#include "sim/cost_load.h"
#include "sim/exec.h"
#include "sim/exec_pool.h"
#include "sim/route.h"
#include "sim/search.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

enum { A, B };

static void load(struct scenario *s, const char *more)
{
	struct scenario_set sets[] = {
		{ "cluster.nodes=4" }, { "cluster.gpus_per_node=4" },
		{ "model.experts=16" }, { "search.flow_tolerance=0" },
		{ more },
	};

	if (scenario_load(s, SRCDATADIR "/default.yaml", sets, more ? 5 : 4))
		fail_msg("%s", err_msg());
}

static void evaluate(const struct scenario *s, const char *text,
		     enum exec_model model, struct evaluation *e)
{
	struct plan p;

	if (plan_parse(text, &p) || evaluate_plan(s, &p, model, NULL, e))
		fail_msg("%s", err_msg());
	exec_check(&e->program, &e->exec);
}

/*
 * By hand, in seconds of an NVLink port (bytes / c). A: 0->1 with 4, 2->3
 * with 2, at 0. B: 0->2 with 1, 0->3 with 2, at 1.
 *
 * 0	A alone: both flows at 1.
 * 1	left 0->1: 3, 2->3: 1. GPU 0's up link is full: 0->1, 0->2 and 0->3
 *	have 1/3; GPU 3's down link leaves 2/3 to 2->3, which takes 1.5 s.
 * 2.5	2->3 is done; 0->1: 2.5, 0->2: 0.5, 0->3: 1.5 left, still at 1/3
 * 4	0->2 is done; 0->1: 2, 0->3: 1 left, at 1/2
 * 6	0->3 is done, so is B; 0->1 has 1 left, at 1
 * 7	0->1 is done, so is A. GPU 0 sent 7 seconds' worth without a pause.
 */
static void test_by_hand(void **state)
{
	struct scenario s;
	struct net net;
	struct exec_pool *p;
	double c;

	(void)state;
	load(&s, NULL);
	assert_int_equal(net_init(&net, &s.cluster, NET_EFFECTIVE), ST_OK);
	c = net.capacity_Bps[net.first[LINK_NVLINK_UP]];
	{
		struct coll_flow fa[] = { { 0, 1, 4 * c, 0 },
					  { 2, 3, 2 * c, 0 } };
		struct coll_flow fb[] = { { 0, 2, c, 0 }, { 0, 3, 2 * c, 0 } };
		struct coll_step a = { .flow = fa, .n_flows = 2 };
		struct coll_step b = { .flow = fb, .n_flows = 2 };

		p = exec_pool_new(&net);
		exec_pool_join(p, A, &a, 1);
		assert_int_equal(exec_pool_run(p, 1), 0);
		assert_true(exec_pool_now(p) == 1);
		exec_pool_join(p, B, &b, 1);
		assert_int_equal(exec_pool_run(p, 5), 0);
		assert_int_equal(exec_pool_run(p, 20), 1 << B);
		assert_true(fabs(exec_pool_finish(p, B) - 6) < 1e-9);
		assert_true(exec_pool_has(p, A) && !exec_pool_has(p, B));
		assert_int_equal(exec_pool_run(p, INFINITY), 1 << A);
		assert_true(fabs(exec_pool_finish(p, A) - 7) < 1e-9);
		exec_pool_free(p);
	}
	net_release(&net);
	scenario_release(&s);
}

/* Whatever the algorithm, its own order of starting gives its own time. */
static void alone(const struct scenario *s, enum a2a_alg alg)
{
	struct evaluation e;
	struct exec_pool *p;
	char text[200];
	struct op op = { .kind = OP_DISPATCH, .n_chunks = 1 };

	snprintf(text, sizeof(text), "ep=16 esp=1 tp=1 dp=1 pp=1 alltoall=%s "
		 "degree=1/1 capacity=none techniques=baseline",
		 a2a_table[alg].name);
	if (alg == A2A_DIRECT)
		return;		/* 16 ranks on several nodes */
	evaluate(s, text, EXEC_LANE, &e);
	p = exec_pool_new(&e.net);
	for (op.step = 0; op.step < a2a_table[alg].n_steps; op.step++) {
		for (op.kind = OP_DISPATCH; op.kind < OP_SHARED; op.kind++) {
			const struct coll_step *st = cost_op_step(e.cost, &op);

			if (!st || !exec_live_takes(st))
				continue;
			exec_pool_reset(p);
			exec_pool_join(p, A, st, 0.25);
			assert_int_equal(exec_pool_run(p, INFINITY), 1 << A);
			assert_true(fabs(exec_pool_finish(p, A) -
					 st->flow_s / 4) <=
				    1e-9 * st->flow_s);
		}
	}
	exec_pool_free(p);
	evaluation_release(&e);
}

static void test_alone(void **state)
{
	static const char *const more[] = {
		NULL, "comm.window=3", "routing.kind=uniform",
		"cluster.fabric.kind=nonblocking", "cluster.intra.kind=pcie",
	};
	struct scenario s;
	size_t i;
	int alg;

	(void)state;
	for (i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		load(&s, more[i]);
		for (alg = 0; alg < A2A_N; alg++)
			alone(&s, (enum a2a_alg)alg);
		s.routing.kind = ROUTING_UNIFORM;
		s.comm.window = 3;
		alone(&s, A2A_FLAT);
		scenario_release(&s);
	}
}

/* Every link carries the bytes of both, whoever comes when. */
static void test_bytes(void **state)
{
	static const struct op pair[] = {
		{ .kind = OP_DISPATCH, .n_chunks = 1 },
		{ .kind = OP_ALLGATHER, .n_chunks = 1 },
	};
	const struct coll_step *st[2];
	const struct step_load *ld[2];
	struct exec_live *v;
	struct scenario s;
	struct evaluation e;
	double first, want;
	int i, k;

	(void)state;
	load(&s, "comm.window=2");
	evaluate(&s, "ep=8 esp=2 tp=1 dp=1 pp=1 alltoall=flat degree=1/1 "
		 "capacity=none techniques=baseline", EXEC_LANE, &e);
	for (i = 0; i < 2; i++) {
		st[i] = cost_op_step(e.cost, &pair[i]);
		ld[i] = cost_op_load(e.cost, &pair[i]);
	}
	v = exec_live_new(&e.net);
	exec_live_join(v, A, st[A], 0.5);
	assert_int_equal(exec_live_run(v, st[A]->flow_s / 3, &first), 0);
	exec_live_join(v, B, st[B], 1);
	while (exec_live_run(v, INFINITY, &first))
		;
	for (i = 0; i < e.net.n_links; i++) {
		k = link_set_find(cost_links(e.cost), &e.net, i);
		want = ld[A]->link_bytes[k] / 2 + ld[B]->link_bytes[k];
		assert_true(fabs(exec_live_link_bytes(v, i) - want) <=
			    1e-9 * want);
	}
	exec_live_free(v);
	evaluation_release(&e);
	scenario_release(&s);
}

struct meeting {
	double after[3];	/* joins of B: shares of A's time */
	int n;
	double finish[4];	/* out */
};

static void hold(struct exec_pool *p, const struct coll_step *a,
		 const struct coll_step *b, struct meeting *m)
{
	double stop;
	int i;

	exec_pool_reset(p);
	exec_pool_join(p, A, a, 1);
	for (i = 0; i < m->n; i++) {
		/* where it stops on the way makes no difference */
		stop = m->after[i] * a->flow_s;
		exec_pool_run(p, stop * (rand() % 100) / 100);
		while (exec_pool_now(p) < stop)
			exec_pool_run(p, stop);
		exec_pool_join(p, B, b, 0.1);
		while (exec_pool_has(p, B))
			exec_pool_run(p, INFINITY);
		m->finish[i] = exec_pool_finish(p, B);
	}
	while (exec_pool_run(p, INFINITY))
		;
	m->finish[m->n] = exec_pool_finish(p, A);
}

/* A pool that remembers says what one that does not says, bit for bit. */
static void test_memory(void **state)
{
	struct op a = { .kind = OP_DISPATCH, .n_chunks = 1 };
	struct op b = { .kind = OP_ALLGATHER, .n_chunks = 1 };
	struct exec_pool *p, *fresh;
	struct scenario s;
	struct evaluation e;
	struct meeting m, n;
	int i, j;

	(void)state;
	srand(17);
	load(&s, "search.flow_tolerance=0.01");
	evaluate(&s, "ep=8 esp=2 tp=1 dp=1 pp=1 alltoall=flat degree=1/1 "
		 "capacity=none techniques=baseline", EXEC_LANE, &e);
	p = exec_pool_new(&e.net);
	for (i = 0; i < 300; i++) {
		m = (struct meeting){ .n = rand() % 4 };
		for (j = 0; j < m.n; j++)
			m.after[j] = 0.2 * j + 0.1 * (rand() % 2);
		n = m;
		fresh = exec_pool_new(&e.net);
		hold(p, cost_op_step(e.cost, &a), cost_op_step(e.cost, &b),
		     &m);
		hold(fresh, cost_op_step(e.cost, &a),
		     cost_op_step(e.cost, &b), &n);
		for (j = 0; j <= m.n; j++)
			assert_true(m.finish[j] == n.finish[j]);
		exec_pool_free(fresh);
	}
	/* 1 + 2 + 4 + 8 different ones */
	assert_true(exec_pool_solved(p) <= 15);
	exec_pool_free(p);
	evaluation_release(&e);
	scenario_release(&s);
}

static void same_ops(const struct evaluation *e, const struct exec_result *x)
{
	int i;

	for (i = 0; i < e->program.n_ops; i++) {
		assert_int_equal(e->exec.op[i].start_ps, x->op[i].start_ps);
		assert_int_equal(e->exec.op[i].finish_ps, x->op[i].finish_ps);
	}
}

/*
 * ep over the nodes, esp inside them: on rails the all-to-all is on NICs
 * alone and the gathers on NVLink alone. Small chunks take the low-latency
 * protocol. Links shared or not, the lanes' times come out.
 */
static void test_nothing_shared(void **state)
{
	static const struct exec_sharing links = { .links = true };
	static const char *const more[] = { NULL, "model.sequence=8" };
	struct exec_result x;
	struct scenario s;
	struct evaluation e;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		load(&s, more[i]);
		evaluate(&s, "ep=4 esp=4 tp=1 dp=1 pp=1 alltoall=flat "
			 "degree=4/3 capacity=none techniques=baseline",
			 EXEC_LANE, &e);
		assert_int_equal(exec_run_sharing(&e.program, e.cost, &links,
						  &x), ST_OK);
		same_ops(&e, &x);
		exec_release(&x);
		evaluation_release(&e);
		scenario_release(&s);
	}
}

/* Runs repeat; merging at 0.1 % moves the whole by no more than that. */
static void test_runs(void **state)
{
	char text[200];
	struct scenario s;
	struct evaluation x, y, z;
	int alg;

	(void)state;
	load(&s, NULL);
	for (alg = 0; alg < A2A_DIRECT; alg++) {	/* esp=2 */
		snprintf(text, sizeof(text), "ep=8 esp=2 tp=1 dp=1 pp=1 "
			 "alltoall=%s degree=4/3 capacity=none "
			 "techniques=baseline", a2a_table[alg].name);
		s.search.flow_tolerance = 0;
		evaluate(&s, text, EXEC_FLOW, &x);
		evaluate(&s, text, EXEC_FLOW, &y);
		same_ops(&x, &y.exec);
		s.search.flow_tolerance = 1e-3;
		evaluate(&s, text, EXEC_FLOW, &z);
		assert_true(fabs((double)z.exec.time_ps /
				 (double)x.exec.time_ps - 1) < 1e-3);
		evaluation_release(&x);
		evaluation_release(&y);
		evaluation_release(&z);
	}
	scenario_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_nothing_shared),
		cmocka_unit_test(test_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
