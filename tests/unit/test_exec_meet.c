/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two exchanges that meet in the executor, worked by hand. */
#include "base/units.h"
#include "scenarios/scenario.h"
#include "tests/unit/exec_stub.h"

/* One node of four GPUs with ports and memory of 1 byte/s. */
static void four_gpus(struct cost *c)
{
	struct scenario_set sets[] = {
		{ "cluster.nodes=1" }, { "cluster.gpus_per_node=4" },
		{ "model.experts=16" },
	};
	struct scenario s;
	int i;

	if (scenario_load(&s, SRCDATADIR "/default.yaml", sets, 3))
		fail_msg("%s", err_msg());
	cost_init(c);
	assert_int_equal(net_init(&c->net, &s.cluster, NET_EFFECTIVE), ST_OK);
	for (i = 0; i < c->net.n_links; i++)
		c->net.capacity_Bps[i] = 1;
	c->net.cluster.gpu.hbm_Bps = c->net.cluster.gpu.hbm_efficiency = 1;
	for (i = 0; i < OP_KIND_N; i++)
		c->load[i].link_bytes = NULL;
	scenario_release(&s);
}

static void make_load(struct step_load *l, const struct coll_step *s,
		      const struct cost *c)
{
	struct coll_step step = *s;
	struct link_rows rows;

	step_rows_take(&rows, &step, &c->net);
	step_load_init(l, s, &c->net, cost_links(c), &rows);
	link_rows_release(&rows);
}

/* A and B as the two steps of "lanes" on four_gpus(): where each ends. */
static void run_two(const struct coll_step *a, const struct coll_step *b,
		    double hbm_bytes, double *a_s, double *b_s)
{
	struct step_load load_b;
	struct exec_result r;
	struct program p;
	struct cost c;
	int i;

	four_gpus(&c);
	c.step[OP_DISPATCH] = *a;
	make_load(&c.load[OP_DISPATCH], a, &c);
	make_load(&load_b, b, &c);
	load_b.hbm_bytes = c.load[OP_DISPATCH].hbm_bytes = hbm_bytes;
	c.second = b;
	c.second_load = &load_b;
	lower(&p, 16, 1, A2A_LANES, 1, 1);
	run(&p, &c, EXEC_FLOW, &r);
	for (i = 0; i < p.n_ops; i++) {
		if (p.op[i].kind == OP_DISPATCH)
			*(p.op[i].step ? b_s : a_s) =
				s_from_ps(r.op[i].finish_ps);
	}
	exec_release(&r);
	program_release(&p);
	step_load_release(&c.load[OP_DISPATCH]);
	step_load_release(&load_b);
	net_release(&c.net);
}

/*
 * The exchanges of test_exec_pool.c's test_by_hand: A 0->1 4 bytes, 2->3 2
 * bytes; B after 1 s of delay 0->2 1 byte, 0->3 2 bytes. Alone they take 4
 * and 1 + 3 s; together A ends at 7, B at 6, and B's copies take 2 s more.
 */
static void test_flows_meet(void **state)
{
	struct coll_flow fa[] = { { 0, 1, 4, 0 }, { 2, 3, 2, 0 } };
	struct coll_flow fb[] = { { 0, 2, 1, 0 }, { 0, 3, 2, 0 } };
	struct coll_step a = { .flow = fa, .n_flows = 2, .flow_s = 4,
			       .ll_fixed_s = INFINITY };
	struct coll_step b = { .flow = fb, .n_flows = 2, .flow_s = 3,
			       .fixed_s = 1, .copy_s = 2,
			       .ll_fixed_s = INFINITY };
	double a_s, b_s;

	(void)state;
	run_two(&a, &b, 0, &a_s, &b_s);
	assert_true(fabs(a_s - 7) < 1e-9);
	assert_true(fabs(b_s - 8) < 1e-9);
}

/*
 * Memory: each moves 3 bytes of it in its 4 s alone, 0.75. A 0->1 2 bytes,
 * 2->3 4; B 0->2 2, 1->0 4; on average each uses half of GPU 0's up link, so
 * the links let both run at 1, the memory (1.5) at 2/3. B begins at 1 s.
 *
 *	engine	A 0->1	A 2->3	B 0->2	B 1->0	(left)
 *	1	1	3	2	4	at 1 s; 0->1 and 0->2 at 1/2
 *	3	0	1	1	2	at 4 s; 0->2 at 1
 *	4		0	0	1	at 5.5 s: A ends, the memory
 *					is enough for B
 *	5				0	at 6.5 s
 */
static void test_flows_memory(void **state)
{
	struct coll_flow fa[] = { { 0, 1, 2, 0 }, { 2, 3, 4, 0 } };
	struct coll_flow fb[] = { { 0, 2, 2, 0 }, { 1, 0, 4, 0 } };
	struct coll_step a = { .flow = fa, .n_flows = 2, .flow_s = 4,
			       .ll_fixed_s = INFINITY };
	struct coll_step b = { .flow = fb, .n_flows = 2, .flow_s = 4,
			       .fixed_s = 1, .ll_fixed_s = INFINITY };
	double a_s, b_s;

	(void)state;
	run_two(&a, &b, 3, &a_s, &b_s);
	assert_true(fabs(a_s - 5.5) < 1e-9);
	assert_true(fabs(b_s - 6.5) < 1e-9);
}

static void run_host(struct cost *c, enum exec_model model,
		     struct exec_result *r, double *first_s, double *second_s)
{
	struct program p;
	int i;

	lower(&p, 16, 1, A2A_FLAT, 2, 1);
	run(&p, c, model, r);
	for (i = 0; i < p.n_ops; i++) {
		const struct exec_op *o = &r->op[i];
		double s = s_from_ps(o->finish_ps) - s_from_ps(o->start_ps);

		if (p.op[i].kind == OP_EXPERT)
			*(p.op[i].chunk ? second_s : first_s) = s;
	}
	program_release(&p);
}

/*
 * A gate of 3 s, dispatches of 1 s in two chunks, experts of 2 s whose host
 * queues for 4 s, 5 s longer when it begins with them. The host waits for the
 * gate: the first begins at 4, the host is 1 s ahead, and takes 2 + 4. The
 * second begins at 10, its host at 3 + 4: 2 + 2. A host that did not wait began
 * at 0: 2 + 1, and the second at 7: 2 + 2. Queued in time both take 2.
 */
static void test_host(void **state)
{
	static const enum exec_model model[] = { EXEC_LANE, EXEC_FLOW };
	struct exec_result r;
	struct cost c;
	double a, b;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		cost_init(&c);
		c.net.cluster.gpu.comm_sms = 0;
		c.s[OP_GATE] = 3;
		set_comm(&c, OP_DISPATCH, 1, 2);
		c.s[OP_EXPERT] = 2;
		c.host[OP_EXPERT] = (struct op_host){ .host_s = 4,
						      .late_s = 5 };
		c.host[OP_GATE].is_met = true;
		run_host(&c, model[i], &r, &a, &b);
		assert_true(fabs(a - 6) < 1e-9 && fabs(b - 4) < 1e-9);
		assert_true(fabs(s_from_ps(r.forward_ps) - 14) < 1e-9);
		exec_release(&r);
		c.host[OP_GATE].is_met = false;
		run_host(&c, model[i], &r, &a, &b);
		assert_true(fabs(a - 3) < 1e-9 && fabs(b - 4) < 1e-9);
		exec_release(&r);
		c.host[OP_EXPERT].late_s = 0.5;
		run_host(&c, model[i], &r, &a, &b);
		assert_true(fabs(a - 2) < 1e-9 && fabs(b - 2) < 1e-9);
		/* backward it begins anew: 1 + 5 late, whatever was before */
		assert_true(r.time_ps == r.forward_ps);
		exec_release(&r);
		c.host[OP_EXPERT].host_s = 1000;
		c.host[OP_EXPERT].late_s = 900;
		c.s[OP_EXPERT_BWD_DATA] = 1;
		c.host[OP_EXPERT_BWD_DATA] = (struct op_host){ 3, 5, false };
		run_host(&c, model[i], &r, &a, &b);
		assert_true(a > 800);
		assert_true(fabs(s_from_ps(r.time_ps - r.forward_ps) - 6) <
			    1e-9);
		exec_release(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_meet),
		cmocka_unit_test(test_flows_memory),
		cmocka_unit_test(test_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
