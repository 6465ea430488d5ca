/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The executors on programs whose ops take what the test says. */
#include "base/units.h"
#include "profiles/contention.h"
#include "sim/exec_share.h"
#include "tests/unit/exec_stub.h"

/*
 * PipeMoE: r chunks whose dispatch and combine take a each and whose experts
 * take e each, all D before all C on one lane. The makespan is the longest
 * path: the busy lane, 2 r a, or the first dispatch, all experts and the last
 * combine, 2 a + r e.
 */
static void test_pipemoe(void **state)
{
	struct cost c;
	struct program p;
	struct exec_result r;
	int n, i, j;
	double a, e, want;

	(void)state;
	for (n = 1; n <= 12; n++) {
		for (i = 0; i <= 20; i++) {
			for (j = 0; j <= 20; j++) {
				a = 0.137 * i;
				e = 0.111 * j;
				cost_init(&c);
				set_comm(&c, OP_DISPATCH, a, n);
				set_comm(&c, OP_COMBINE, a, n);
				c.s[OP_EXPERT] = e;
				lower(&p, 16, 1, A2A_FLAT, n, 1);
				run(&p, &c, EXEC_LANE, &r);
				want = fmax(2 * n * a, 2 * a + n * e);
				assert_true(fabs(s_from_ps(r.forward_ps) -
						 want) < 1e-9);
				exec_release(&r);
				program_release(&p);
			}
		}
	}
}

/*
 * With all-gather and reduce-scatter (g each) on the intra lane. A longest
 * path goes D_1.. AG.. E.. RS.. C_r and changes chunk inside a stage (cost
 * linear in where, so at an end) or takes the lanes' own order: D_r before
 * C_1 on inter, AG_r before RS_1 on intra:
 *	2a + 2g + e + (r-1) max(a, g, e)	stage by stage
 *	2 r a + 2 g		D_1..D_r, AG_r, RS_1, C_1..C_r
 *	2 a + 2 r g		D_1, AG_1..AG_r, RS_1..RS_r, C_r
 * (D_r before C_1 alone, 2 r a, is shorter than the second.)
 */
static void test_esp(void **state)
{
	struct cost c;
	struct program p;
	struct exec_result r;
	double a, g, e, want;
	int n, i;

	(void)state;
	srand(7);
	for (i = 0; i < 2000; i++) {
		n = 1 + rand() % 9;
		a = 0.01 * (rand() % 300);
		g = 0.01 * (rand() % 300);
		e = 0.01 * (rand() % 300);
		cost_init(&c);
		set_comm(&c, OP_DISPATCH, a, n);
		set_comm(&c, OP_COMBINE, a, n);
		set_comm(&c, OP_ALLGATHER, g, n);
		set_comm(&c, OP_REDUCESCATTER, g, n);
		c.s[OP_EXPERT] = e;
		lower(&p, 8, 2, A2A_FLAT, n, 1);
		run(&p, &c, EXEC_LANE, &r);
		want = 2 * a + 2 * g + e + (n - 1) * fmax(a, fmax(g, e));
		want = fmax(want, fmax(2 * n * a + 2 * g, 2 * a + 2 * n * g));
		assert_true(fabs(s_from_ps(r.forward_ps) - want) < 1e-9);
		exec_release(&r);
		program_release(&p);
	}
}

/*
 * Backward, degree r: combine gradients a, data gradients d, weight
 * gradients w, dispatch gradients a. Compute runs all d before all w, then
 * permute_bwd waits for the last exchange and the last w:
 *	max(2 r a, 2 a + r d, a + r (d + w), r a + d + r w)
 * (the last: data gradients wait for the exchanges one by one.)
 */
static void test_backward(void **state)
{
	struct cost c;
	struct program p;
	struct exec_result r;
	double a, d, w, want, got;
	int n, i;

	(void)state;
	srand(11);
	for (i = 0; i < 2000; i++) {
		n = 2 + rand() % 8;
		a = 0.01 * (rand() % 300);
		d = 0.01 * (rand() % 300);
		w = 0.01 * (rand() % 300);
		cost_init(&c);
		set_comm(&c, OP_COMBINE_BWD, a, n);
		set_comm(&c, OP_DISPATCH_BWD, a, n);
		c.s[OP_EXPERT_BWD_DATA] = d;
		c.s[OP_EXPERT_BWD_WEIGHT] = w;
		lower(&p, 16, 1, A2A_FLAT, 1, n);
		run(&p, &c, EXEC_LANE, &r);
		want = fmax(2 * n * a, 2 * a + n * d);
		want = fmax(want, fmax(a + n * (d + w), n * a + d + n * w));
		got = s_from_ps(r.time_ps - r.forward_ps);
		assert_true(fabs(got - want) < 1e-9);
		exec_release(&r);
		program_release(&p);
	}
}

static void random_cost(struct cost *c)
{
	int k, l;

	cost_init(c);
	for (k = 0; k < OP_KIND_N; k++) {
		c->s[k] = 1e-6 * (rand() % 1000);
		c->hbm[k] = c->s[k] * (rand() % 100) / 100;
		c->step[k].flow_s = 1e-6 * (rand() % 1000);
		c->step[k].fixed_s = 1e-6 * (rand() % 10);
		c->step[k].copy_s = 1e-6 * (rand() % 3) * (rand() % 100);
		for (l = 0; l < LINKS; l++) {
			c->bytes[k][l] = c->step[k].flow_s * (rand() % 101) /
				100;
		}
		c->load[k].hbm_bytes = c->step[k].flow_s / 5;
	}
}

static void random_program(struct program *p)
{
	static const int shape[][2] = { { 16, 1 }, { 8, 2 }, { 4, 1 },
					{ 4, 4 }, { 1, 4 }, { 2, 1 } };
	int s = rand() % 6;

	lower(p, shape[s][0], shape[s][1], (enum a2a_alg)(rand() % A2A_N),
	      1 + rand() % 8, 1 + rand() % 8);
}

static double lane_busy(const struct program *p, const struct cost *c,
			int lane)
{
	double s = 0;
	int i;

	for (i = 0; i < p->n_ops; i++) {
		if (lane < 0 || (int)p->op[i].lane == lane)
			s += cost_op(c, &p->op[i]);
	}
	return s;
}

/* Longest chain of dependencies, lanes ignored. */
static double critical_path(const struct program *p, const struct cost *c)
{
	double end[512], last = 0;
	int i, d;

	assert_true(p->n_ops <= 512);
	for (i = 0; i < p->n_ops; i++) {
		end[i] = 0;
		for (d = 0; d < p->op[i].n_deps; d++)
			end[i] = fmax(end[i], end[p->op[i].dep[d]]);
		end[i] += cost_op(c, &p->op[i]);
		last = fmax(last, end[i]);
	}
	return last;
}

/* Path and lane bounds <= time <= sum; without sharing flow == lane, op by
 * op; with sharing nothing gets faster and nothing is over capacity. */
static void test_bounds(void **state)
{
	const double eps = 1e-9;
	struct exec_result lane, flow, none;
	struct program p;
	struct cost c;
	uint64_t *end;
	double t;
	int i, k;

	(void)state;
	srand(3);
	for (i = 0; i < 500; i++) {
		random_cost(&c);
		random_program(&p);
		run(&p, &c, EXEC_LANE, &lane);
		run(&p, &c, EXEC_FLOW, &flow);
		assert_int_equal(exec_run_sharing(&p, &c, &exec_share_nothing,
						  &none), ST_OK);
		exec_check(&p, &none);
		t = s_from_ps(lane.time_ps);
		assert_true(t >= critical_path(&p, &c) - eps);
		assert_true(t <= lane_busy(&p, &c, -1) + eps);
		for (k = 0; k < LANE_N; k++)
			assert_true(t >= lane_busy(&p, &c, k) - eps);
		for (k = 0; k < p.n_ops; k++) {
			assert_int_equal(lane.op[k].start_ps,
					 none.op[k].start_ps);
			assert_int_equal(lane.op[k].finish_ps,
					 none.op[k].finish_ps);
			/* list scheduling has no anomalies: one order per
			 * lane, so slower ops start nothing earlier */
			assert_true(flow.op[k].finish_ps + 100 >=
				    lane.op[k].finish_ps);
		}
		end = calloc((size_t)p.n_ops, sizeof(*end));
		assert_int_equal(exec_lane_time(&p, &c, end), lane.time_ps);
		free(end);
		exec_release(&lane);
		exec_release(&flow);
		exec_release(&none);
		program_release(&p);
	}
}

/* Sequential plans share nothing, whatever their loads, unless the algorithm
 * has steps side by side. */
static void test_sequential(void **state)
{
	struct exec_result lane, flow;
	struct program p;
	struct cost c;
	int i, a;

	(void)state;
	srand(5);
	for (i = 0; i < 200; i++) {
		for (a = 0; a < A2A_N; a++) {
			if (a2a_step_at((enum a2a_alg)a, 0, 1).beside)
				continue;
			random_cost(&c);
			/* the all-reduces may run beside compute */
			c.step[OP_ALLREDUCE_EXPERT] = c.step[OP_ALLREDUCE_GATE]
				= (struct coll_step){ 0 };
			lower(&p, 16, 1, (enum a2a_alg)a, 1, 1);
			run(&p, &c, EXEC_LANE, &lane);
			run(&p, &c, EXEC_FLOW, &flow);
			assert_int_equal(flow.time_ps, lane.time_ps);
			exec_release(&lane);
			exec_release(&flow);
			program_release(&p);
		}
	}
}

/* Two 10 s exchanges that fill link 0: each takes 20 s; half each: 10 s. */
static void beside(double use_a, double use_b, double *a_s, double *b_s)
{
	struct share_activity x[2] = { { .bound = 1, .use = &use_a,
					 .scale = 1 },
				       { .bound = 1, .use = &use_b,
					 .scale = 1 } };

	share_solve(x, 2, 1);
	*a_s = x[0].speed;
	*b_s = x[1].speed;
}

static void test_share(void **state)
{
	struct share_activity x[3] = { { 0 } };
	static const double u0[] = { 1, 0 }, u1[] = { 1, 0.2 },
			    u2[] = { 0, 1 };
	double a, b;

	(void)state;
	beside(1, 1, &a, &b);
	assert_true(fabs(a - 0.5) < 1e-12 && fabs(b - 0.5) < 1e-12);
	beside(0.5, 0.5, &a, &b);
	assert_true(a == 1 && b == 1);
	/* a + 0.25 b = 1 with a = b: 0.8 each; both use the full link, so
	 * both stay there */
	beside(1, 0.25, &a, &b);
	assert_true(fabs(a - 0.8) < 1e-12 && fabs(b - 0.8) < 1e-12);
	/*
	 * Links 0 {x0, x1} and 1 {x1 by 0.2, x2}: all rise to 0.5, link 0 is
	 * full; x2 rises on alone: 0.2 * 0.5 + x2 = 1, 0.9.
	 */
	x[0] = (struct share_activity){ .bound = 1, .use = u0, .scale = 1 };
	x[1] = (struct share_activity){ .bound = 1, .use = u1, .scale = 1 };
	x[2] = (struct share_activity){ .bound = 1, .use = u2, .scale = 1 };
	share_solve(x, 3, 2);
	assert_true(fabs(x[0].speed - 0.5) < 1e-12);
	assert_true(fabs(x[1].speed - 0.5) < 1e-12);
	assert_true(fabs(x[2].speed - 0.9) < 1e-12);
	/* x0 bound to 0.3 leaves 0.7 of link 0 */
	x[0].bound = 0.3;
	share_solve(x, 2, 2);
	assert_true(fabs(x[0].speed - 0.3) < 1e-12);
	assert_true(fabs(x[1].speed - 0.7) < 1e-12);
	/* memory is one more resource */
	x[0] = (struct share_activity){ .bound = 1, .memory = 0.9 };
	x[1] = (struct share_activity){ .bound = 1, .memory = 0.6 };
	share_solve(x, 2, 0);
	assert_true(fabs(x[0].speed - 1 / 1.5) < 1e-12);
}

/*
 * By hand: "lanes" on 4 nodes, one chunk: steps intra and inter of 10 s each
 * start together and both fill link 0. Each runs at half speed: both end
 * after 20 s. Links: link 0 carries dispatch and combine, twice 10 bytes each
 * way and step, 40 s of 40 s.
 */
static void test_two_on_a_link(void **state)
{
	struct exec_result r;
	struct program p;
	struct cost c;

	(void)state;
	cost_init(&c);
	c.step[OP_DISPATCH].flow_s = c.step[OP_COMBINE].flow_s = 10;
	c.bytes[OP_DISPATCH][0] = c.bytes[OP_COMBINE][0] = 10;
	c.bytes[OP_COMBINE][2] = 5;
	lower(&p, 16, 1, A2A_LANES, 1, 1);
	run(&p, &c, EXEC_FLOW, &r);
	assert_true(fabs(s_from_ps(r.forward_ps) - 40) < 1e-9);
	assert_int_equal(r.n_links, 2);
	assert_int_equal(r.link[0].link, 0);
	assert_true(fabs(r.link[0].utilisation - 1) < 1e-9);
	assert_int_equal(r.link[1].link, 2);
	assert_true(fabs(r.link[1].utilisation - 0.25) < 1e-9);
	exec_release(&r);
	run(&p, &c, EXEC_LANE, &r);
	assert_true(fabs(s_from_ps(r.forward_ps) - 20) < 1e-9);
	exec_release(&r);
	program_release(&p);
}

/*
 * By hand: 2 chunks, dispatch 10 s each, expert 12 s each, combine 0. Expert 0
 * runs while dispatch 1 holds 2 of 10 SMs: speed 0.8, so 8 of its 12 s are
 * done when the dispatch ends at 20; the rest alone: 24 s. Expert 1: 36 s.
 */
static void test_sms(void **state)
{
	struct exec_result r;
	struct program p;
	struct cost c;

	(void)state;
	cost_init(&c);
	set_comm(&c, OP_DISPATCH, 10, 2);
	c.s[OP_EXPERT] = 12;
	lower(&p, 16, 1, A2A_FLAT, 2, 1);
	run(&p, &c, EXEC_FLOW, &r);
	assert_true(fabs(s_from_ps(r.forward_ps) - 36) < 1e-9);
	exec_release(&r);
	program_release(&p);
}

/*
 * Products whose kernels hold all SMs, by hand: dispatches of 10 s, experts of
 * two kernels of 6 s, combines of 2 s and a layout's change of 2 s. Chunk 1's
 * dispatch follows chunk 0's on its lane: no event, so it comes before chunk 0's
 * experts (10..22) and runs beside them (10..20). Chunk 0's combine could
 * begin at 22, as the experts of chunk 1 (22..34) do: it waits for the end
 * of their first kernel, 28, and what follows in it passes beside their
 * second: 28..32. Chunk 1's is at 34..38. Where products leave room it runs at
 * 22..26.
 */
static void test_kernels(void **state)
{
	struct exec_result r;
	struct program p;
	struct cost c;
	int room, i;

	(void)state;
	for (room = 0; room < 2; room++) {
		cost_init(&c);
		c.net.cluster.gpu.comm_sms = 0;
		set_comm(&c, OP_DISPATCH, 10, 2);
		set_comm(&c, OP_COMBINE, 2, 2);
		c.step[OP_COMBINE].copy_s = 4;
		c.s[OP_EXPERT] = 12;
		c.first[OP_EXPERT] = 0.5;
		lower(&p, 16, 1, A2A_FLAT, 2, 1);
		p.plan.ctas = room;
		run(&p, &c, EXEC_FLOW, &r);
		for (i = 0; i < p.n_forward; i++) {
			const struct op *o = &p.op[i];
			double end = s_from_ps(r.op[i].finish_ps);

			if (o->kind == OP_DISPATCH)
				assert_true(fabs(end - 10 * (o->chunk + 1)) <
					    1e-9);
			if (o->kind == OP_EXPERT)
				assert_true(fabs(end - 22 - 12 * o->chunk) <
					    1e-9);
			if (o->kind == OP_COMBINE)
				assert_true(fabs(end - (o->chunk ? 38 :
							room ? 26 : 32)) <
					    1e-9);
		}
		exec_release(&r);
		program_release(&p);
	}
}

static void ends_are(const struct program *p, const struct exec_result *r,
		     enum op_kind kind, double first, double second)
{
	double end;
	int i;

	for (i = 0; i < p->n_forward; i++) {
		if (p->op[i].kind != kind)
			continue;
		end = s_from_ps(r->op[i].finish_ps);
		if (!(fabs(end - (p->op[i].chunk ? second : first)) < 1e-3))
			fail_msg("op %d of chunk %d ends at %g", (int)kind,
				 p->op[i].chunk, end);
	}
}

/*
 * The same ops by direct exchanges, which hold the SMs: chunk 1's 10..20, the
 * experts 20..32; chunk 0's combine, 2 s and no change of layout, stops those
 * of chunk 1 at their first kernel's end, 38..40; they end at 46, and chunk
 * 1's combine at 48.
 */
static void test_kernels_direct(void **state)
{
	struct exec_result r;
	struct program p;
	struct cost c;

	(void)state;
	cost_init(&c);
	/* who stands still does so at the speed of one SM */
	c.net.cluster.gpu.sms = 1000000;
	set_comm(&c, OP_DISPATCH, 10, 2);
	set_comm(&c, OP_COMBINE, 2, 2);
	c.s[OP_EXPERT] = 12;
	c.first[OP_EXPERT] = 0.5;
	lower(&p, 16, 1, A2A_FLAT, 2, 1);
	p.plan.alltoall = A2A_DIRECT;
	run(&p, &c, EXEC_FLOW, &r);
	ends_are(&p, &r, OP_DISPATCH, 10, 20);
	ends_are(&p, &r, OP_EXPERT, 32, 46);
	ends_are(&p, &r, OP_COMBINE, 40, 48);
	exec_release(&r);
	program_release(&p);
}

/*
 * A limit of CTAs: the exchange holds so many of the 10 SMs, any other
 * collective its 2; both with what was measured instead where it was. By
 * hand: an exchange of 10 s that holds n leaves a product of 4 s the speed
 * 1 - n/10; n = 5: it ends at 8.
 */
static void test_limit(void **state)
{
	static const int ctas[] = { 1, 3, 5, 6 };
	static const enum op_kind kind[] = { OP_DISPATCH, OP_COMBINE,
		OP_DISPATCH_BWD, OP_COMBINE_BWD, OP_ALLGATHER,
		OP_ALLREDUCE_EXPERT };
	struct op op[2] = {
		{ .kind = OP_EXPERT, .lane = LANE_COMPUTE, .n_chunks = 1 },
		{ .lane = LANE_INTER, .n_chunks = 1 },
	};
	struct program p = { .op = op, .n_ops = 2, .n_forward = 2 };
	struct exec_result r;
	double lost, measured;
	struct cost c;
	int i;

	(void)state;
	for (i = 0; i < 4 * 6 * 2; i++) {
		op[1].kind = kind[i / 4 % 6];
		measured = i / 24 ? 0.125 : 0;
		cost_init(&c);
		c.net.cluster.gpu.ctas = ctas[i % 4];
		c.net.cluster.gpu.inter.product_loss = measured;
		c.net.cluster.gpu.unlimited.inter.product_loss = 2 * measured;
		c.s[OP_EXPERT] = 4;
		set_comm(&c, op[1].kind, 10, 1);
		assert_int_equal(exec_run(&p, &c, EXEC_FLOW, &r), ST_OK);
		lost = i / 4 % 6 < 4 ? ctas[i % 4] / 10.0 : 0.2;
		if (measured > 0)
			lost = i / 4 % 6 < 4 ? measured : 2 * measured;
		assert_true(fabs(s_from_ps(r.op[0].finish_ps) -
				 4 / (1 - lost)) < 1e-9);
		assert_true(fabs(s_from_ps(r.op[1].finish_ps) - 10) < 1e-9);
		exec_release(&r);
	}
}

/*
 * By hand: the same without SMs held; the expert moves 6 bytes of memory in
 * its 8 s (0.75 of 1 byte/s) and the dispatch 5 in 10 s (0.5). Together 1.25
 * of the memory: both at 0.8. From 10 s: expert 0 needs 8 / 0.8 = 10 s, ends
 * at 20; dispatch 1 has done 8 of 10 s then, is alone (expert 1 waits for
 * it): ends at 22. Expert 1: 22..30 s.
 */
static void test_memory(void **state)
{
	struct exec_result r;
	struct program p;
	struct cost c;

	(void)state;
	cost_init(&c);
	c.net.cluster.gpu.comm_sms = 0;
	set_comm(&c, OP_DISPATCH, 10, 2);
	c.load[OP_DISPATCH].hbm_bytes = 10;	/* of both chunks */
	c.s[OP_EXPERT] = 8;
	c.hbm[OP_EXPERT] = 6;
	lower(&p, 16, 1, A2A_FLAT, 2, 1);
	run(&p, &c, EXEC_FLOW, &r);
	assert_true(fabs(s_from_ps(r.forward_ps) - 30) < 1e-9);
	exec_release(&r);
	program_release(&p);
}

/*
 * A product of P seconds and an exchange of X, started together, with losses
 * a and b: profiles/contention.h has the closed form that they are fitted by.
 */
static void test_contention(void **state)
{
	static const double time[] = { 0.5, 1, 2.75, 6 };
	static const double loss[] = { 0, 0.125, 0.4, 0.9 };
	struct op op[2] = {
		{ .kind = OP_EXPERT, .lane = LANE_COMPUTE, .n_chunks = 1 },
		{ .kind = OP_DISPATCH, .lane = LANE_INTER, .n_chunks = 1 },
	};
	struct program p = { .op = op, .n_ops = 2, .n_forward = 2 };
	struct exec_result r;
	double product, exchange, a, b;
	struct cost c;
	int i;

	(void)state;
	for (i = 0; i < 256; i++) {
		cost_init(&c);
		c.net.cluster.gpu.comm_sms = 0;
		c.s[OP_EXPERT] = time[i % 4];
		set_comm(&c, OP_DISPATCH, time[i / 4 % 4], 1);
		a = c.net.cluster.gpu.inter.product_loss = loss[i / 16 % 4];
		b = c.net.cluster.gpu.inter.own_loss = loss[i / 64];
		assert_int_equal(exec_run(&p, &c, EXEC_FLOW, &r), ST_OK);
		contention_times(time[i % 4], time[i / 4 % 4], a, b, &product,
				 &exchange);
		assert_true(fabs(s_from_ps(r.op[0].finish_ps) - product) <
			    1e-9);
		assert_true(fabs(s_from_ps(r.op[1].finish_ps) - exchange) <
			    1e-9);
		exec_release(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipemoe),
		cmocka_unit_test(test_esp),
		cmocka_unit_test(test_backward),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_sequential),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_two_on_a_link),
		cmocka_unit_test(test_sms),
		cmocka_unit_test(test_kernels),
		cmocka_unit_test(test_kernels_direct),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_contention),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
