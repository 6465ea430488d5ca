/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocks: the dense part in the pipeline, gradients in the gaps; by hand. */
#include "exec_stub.h"

#include "base/buf.h"
#include "base/units.h"
#include "sim/gaps.h"

static struct plan block_plan(enum plan_dense dense, int esp, int pieces)
{
	return (struct plan){
		.layout = { .ep = 16 / esp, .esp = esp, .tp = 1, .dp = 1,
			    .pp = 1 },
		.alltoall = A2A_FLAT, .degree_forward = 2,
		.degree_backward = 2, .technique_mask = 1, .dense = dense,
		.dense_pieces = pieces,
	};
}

static void lower_plan(const struct plan *plan, struct program *p)
{
	struct cluster cl = { .nodes = 4, .gpus_per_node = 4 };
	struct model m = { .hidden = 8, .experts = 16,
			   .experts_per_token = 2 };

	assert_int_equal(program_lower(plan, &cl, &m, p), ST_OK);
	program_check(p);
}

/* Chunks of dense part, exchange, experts; one gate and permutation of 0. */
struct times {
	double a, d, e;
};

static void set_times(struct cost *c, struct times t, int chunks)
{
	cost_init(c);
	c->s[OP_DENSE] = c->s[OP_DENSE_BWD] = t.a;
	c->s[OP_EXPERT] = t.e;
	c->s[OP_EXPERT_BWD_DATA] = c->s[OP_EXPERT_BWD_WEIGHT] = t.e / 2;
	set_comm(c, OP_DISPATCH, t.d, chunks);
	set_comm(c, OP_COMBINE, t.d, chunks);
	set_comm(c, OP_COMBINE_BWD, t.d, chunks);
	set_comm(c, OP_DISPATCH_BWD, t.d, chunks);
}

/* Forward and backward cycle in so many chunks. */
static void chunk_cycles(struct times t, int chunks, enum a2a_alg alg,
			 double *forward, double *backward)
{
	struct plan plan = block_plan(DENSE_CHUNKS, 1, 1);
	struct exec_result r;
	struct program p;
	struct cost c;

	set_times(&c, t, chunks);
	plan.degree_forward = plan.degree_backward = chunks;
	plan.alltoall = alg;
	lower_plan(&plan, &p);
	run(&p, &c, EXEC_LANE, &r);
	*forward = s_from_ps(r.forward_ps);
	*backward = s_from_ps(r.time_ps - r.forward_ps);
	exec_release(&r);
	program_release(&p);
}

static void cycles(struct times t, double *forward, double *backward)
{
	chunk_cycles(t, 2, A2A_FLAT, forward, backward);
}

/*
 * A 3, D and C 2, E 4: COMPUTE is never idle, 2 (3 + 4) = 14. A 1, D 5, E 1:
 * the network is not, 4 x 5 = 20. A 2, D 3, E 1: C2' 0-3, A1 0-2, D1 3-6, A2
 * 3-5, D2 6-9, E1 6-7, C1 9-12: 12. A 1, D 2, E 3: C2' 0-2, A1 0-1, D1 2-4,
 * A2 2-3, D2 4-6, E1 4-7, E2 7-10, C1 7-9: 10, of which COMPUTE works 8.
 */
static void test_cycle(void **state)
{
	static const struct {
		struct times t;
		double s;
	} by_hand[] = {
		{ { 3, 2, 4 }, 14 }, { { 1, 5, 1 }, 20 }, { { 2, 3, 1 }, 12 },
		{ { 1, 2, 3 }, 10 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(by_hand) / sizeof(by_hand[0]); i++) {
		double forward, backward;

		cycles(by_hand[i].t, &forward, &backward);
		assert_float_equal(forward, by_hand[i].s, 1e-9);
		/* the same chain, data and weight gradients as one */
		assert_float_equal(backward, by_hand[i].s, 1e-9);
	}
}

/*
 * Three chunks. A 1, D 2, E 3: C3' 0-2; A1 0-1, A2 1-2, A3 2-3; D1 2-4, D2 4-6,
 * D3 6-8; E 4-7, 7-10, 10-13; C1 8-10, C2 10-12: 13, of which COMPUTE works
 * 12. A 1, D 5, E 1: the network is not idle, 6 x 5 = 30.
 */
static void test_three(void **state)
{
	static const struct {
		struct times t;
		double s;
	} by_hand[] = { { { 1, 2, 3 }, 13 }, { { 1, 5, 1 }, 30 } };

	(void)state;
	for (size_t i = 0; i < sizeof(by_hand) / sizeof(by_hand[0]); i++) {
		double forward, backward;

		chunk_cycles(by_hand[i].t, 3, A2A_FLAT, &forward, &backward);
		assert_float_equal(forward, by_hand[i].s, 1e-9);
		assert_float_equal(backward, by_hand[i].s, 1e-9);
	}
}

/*
 * An exchange of two steps, inside the node and between nodes, 2 each; A 1, E
 * 3. INTER: C2' 0-2, D1 6-8, D2 8-10, C1 11-13; INTRA: C2' 2-4, D1 4-6, D2 6-8,
 * C1 13-15; A1 0-1, A2 4-5, E1 8-11, E2 11-14: 15.
 */
static void test_two_steps(void **state)
{
	double forward, backward;

	(void)state;
	chunk_cycles((struct times){ 1, 2, 3 }, 2, A2A_2D, &forward, &backward);
	assert_float_equal(forward, 15, 1e-9);
	assert_float_equal(backward, 15, 1e-9);
}

#define CHUNKS_MAX 5

/*
 * Many blocks one after the other, lanes in FlowMoE's order, the first chunk of
 * each after all but the last of the one before: when it begins.
 */
static double steady(struct times t, int chunks, int blocks)
{
	double compute = 0, inter = 0, start = 0, last = 0;
	double back[CHUNKS_MAX] = { 0 };

	for (int l = 0; l < blocks; l++) {
		double sent[CHUNKS_MAX], there[CHUNKS_MAX], done[CHUNKS_MAX];

		last = start;
		compute = start = fmax(compute, back[chunks - 2]);
		for (int i = 0; i < chunks; i++)
			sent[i] = compute = fmax(compute, back[i]) + t.a;
		for (int i = 0; i < chunks; i++)
			there[i] = inter = fmax(inter, sent[i]) + t.d;
		for (int i = 0; i < chunks; i++)
			done[i] = compute = fmax(compute, there[i]) + t.e;
		for (int i = 0; i < chunks; i++)
			back[i] = inter = fmax(inter, done[i]) + t.d;
	}
	return start - last;
}

/* The cycle is what a block takes among many. */
static void test_steady(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		int chunks = 2 + i % (CHUNKS_MAX - 1);
		struct times t;
		double forward, backward;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		t.a = (double)(seed >> 33 & 15);
		t.d = (double)(seed >> 40 & 15);
		t.e = (double)(seed >> 50 & 15);
		chunk_cycles(t, chunks, A2A_FLAT, &forward, &backward);
		assert_float_equal(forward, steady(t, chunks, 60), 1e-9);
	}
}

/* Every exchange, degree and ESP group makes a program that may be run. */
static void test_shapes(void **state)
{
	(void)state;
	for (int i = 0; i < A2A_N * 3 * 3 * 2; i++) {
		struct plan plan = block_plan(DENSE_CHUNKS, i % 2 ? 4 : 1, 3);
		struct exec_result r;
		struct program p;
		struct cost c;

		plan.alltoall = (enum a2a_alg)(i / 18);
		plan.degree_forward = 2 + i / 2 % 3;
		plan.degree_backward = 2 + i / 6 % 3;
		set_times(&c, (struct times){ 1, 2, 3 }, 2);
		set_comm(&c, OP_ALLREDUCE_GATE, 1.5, 3);
		lower_plan(&plan, &p);	/* and program_check() */
		assert_true(gaps_fill(&p, &c, &plan.order[1]));
		program_release(&p);
		lower_plan(&plan, &p);
		run(&p, &c, EXEC_LANE, &r);	/* and exec_check() */
		exec_release(&r);
		program_release(&p);
	}
}

/*
 * Backward A 3, D 2, data and weight gradients 2 each, four pieces of 1.5.
 * INTER: the last block's way back 0-2; idle until 3, a piece 2-3.5; first
 * chunk 3.5-5.5; idle until 6, a piece 5.5-7; second chunk 7-9; the first
 * chunk's gradients are done at 10, a piece 9-10.5; back 10.5-12.5; the last
 * piece 12.5-14. COMPUTE: 6-10, 10-14. The router's all-reduce, as one piece
 * 6 long, follows.
 */
static void test_gaps(void **state)
{
	struct plan plan = block_plan(DENSE_CHUNKS, 1, 4);
	struct exec_result r;
	struct program p;
	struct buf b = { 0 };
	double pieces = 0;
	struct cost c;

	(void)state;
	set_times(&c, (struct times){ 3, 2, 4 }, 2);
	set_comm(&c, OP_ALLREDUCE_GATE, 1.5, 4);
	lower_plan(&plan, &p);
	assert_true(gaps_fill(&p, &c, &plan.order[1]));
	program_release(&p);
	plan_print(&plan, &b);
	assert_non_null(strstr(buf_str(&b), " order=dispatch-first/CXDXDXCX "));
	assert_non_null(strstr(buf_str(&b), " dense=chunks/4"));
	buf_release(&b);
	lower_plan(&plan, &p);
	run(&p, &c, EXEC_LANE, &r);
	assert_float_equal(s_from_ps(r.time_ps - r.forward_ps), 14 + 6, 1e-9);
	for (int i = 0; i < p.n_ops; i++) {
		if (p.op[i].step == ALLREDUCE_DENSE &&
		    p.op[i].kind == OP_ALLREDUCE_GATE)
			pieces += s_from_ps(r.op[i].start_ps - r.forward_ps);
	}
	assert_float_equal(pieces, 2 + 5.5 + 9 + 12.5, 1e-9);
	exec_release(&r);
	program_release(&p);
}

/*
 * The dense part whole: backward it comes first, 8 long, and the pieces of the
 * one before it, 3 of 2, begin beside it: 0-6. Then the layer alone: D 8-10,
 * 10-12, data gradients 10-12, 12-14, C 12-14, 14-16: the network is not idle.
 * A fourth piece still begins at 6; a fifth must wait, 16-18.
 */
static void test_whole(void **state)
{
	struct plan plan = block_plan(DENSE_WHOLE, 1, 3);
	const int pieces[] = { 3, 4, 5 };
	const double last[] = { 6, 8, 18 };
	struct exec_result r;
	struct program p;
	struct cost c;

	(void)state;
	for (int i = 0; i < 3; i++) {
		double end = 0;

		plan.dense_pieces = pieces[i];
		plan.order[1] = (struct pass_order){ 0 };
		set_times(&c, (struct times){ 8, 2, 4 }, 2);
		set_comm(&c, OP_ALLREDUCE_GATE, 2, pieces[i]);
		lower_plan(&plan, &p);
		assert_true(gaps_fill(&p, &c, &plan.order[1]));
		program_release(&p);
		lower_plan(&plan, &p);
		run(&p, &c, EXEC_LANE, &r);
		/* dense 8, D 8-10, E 10-14 and 14-18, C 14-16, 18-20 */
		assert_float_equal(s_from_ps(r.forward_ps), 20, 1e-9);
		for (int k = p.n_forward; k < p.n_ops; k++) {
			if (p.op[k].step == ALLREDUCE_DENSE &&
			    p.op[k].kind == OP_ALLREDUCE_GATE)
				end = s_from_ps(r.op[k].finish_ps -
						r.forward_ps);
		}
		assert_float_equal(end, last[i], 1e-9);
		exec_release(&r);
		program_release(&p);
	}
}

/* With ESP groups the rows are gathered and scattered on their own lane. */
static void test_esp(void **state)
{
	struct plan plan = block_plan(DENSE_CHUNKS, 4, 2);
	struct exec_result r;
	struct program p;
	struct cost c;

	(void)state;
	set_times(&c, (struct times){ 3, 2, 4 }, 2);
	set_comm(&c, OP_ALLGATHER, 1, 2);
	set_comm(&c, OP_REDUCESCATTER, 1, 2);
	lower_plan(&plan, &p);
	run(&p, &c, EXEC_LANE, &r);
	/* C2' 1-3 A1 0-3, D1 3-5, A2 3-6, AG1 5-6, E1 6-10, E2 10-14 */
	assert_float_equal(s_from_ps(r.forward_ps), 14, 1e-9);
	exec_release(&r);
	program_release(&p);
}

static void refused(struct plan plan)
{
	struct cluster cl = { .nodes = 4, .gpus_per_node = 4 };
	struct model m = { .hidden = 8, .experts = 16,
			   .experts_per_token = 2 };
	struct program p;

	assert_int_equal(program_lower(&plan, &cl, &m, &p), ST_INPUT);
	assert_non_null(strstr(err_msg(), "'dense'"));
	err_clear();
}

static void test_errors(void **state)
{
	struct plan plan = block_plan(DENSE_CHUNKS, 1, 1), p;
	struct program program;

	(void)state;
	p = plan;
	p.degree_backward = 1;
	refused(p);
	p = plan;
	p.overlap = OVERLAP_WEIGHT;
	refused(p);
	/* C of the block before, D, D, C, and one piece */
	p = plan;
	assert_int_equal(order_parse("dispatch-first/CXDDC", p.order), ST_OK);
	lower_plan(&p, &program);
	program_release(&program);
	assert_int_equal(order_parse("dispatch-first/CXDCD", p.order), ST_OK);
	refused(p);
	assert_int_equal(order_parse("dispatch-first/CXDDCX", p.order), ST_OK);
	refused(p);
	assert_int_equal(order_parse("dispatch-first/CXDD", p.order), ST_OK);
	refused(p);
	p = plan;
	p.technique_mask = 1u << TECH_LSH;
	refused(p);
	p = plan;
	p.gradient_bytes = 1e6;
	refused(p);
	p = plan;
	p.layout = (struct layout){ .ep = 1, .esp = 1, .tp = 1, .dp = 16,
				    .pp = 1 };
	refused(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_three),
		cmocka_unit_test(test_two_steps),
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_esp),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
