/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A layer's backward pass with a reduction of dense gradients in it. */
#include "base/units.h"
#include "sim/gradient.h"
#include "sim/gradient_slots.h"
#include "sim/order_search.h"
#include "tests/unit/exec_stub.h"

static const struct cluster cluster = { .nodes = 4, .gpus_per_node = 4 };
static const struct model model = { .hidden = 8, .experts = 16,
				    .experts_per_token = 2 };

struct fixture {
	struct cost c;
	struct program p;
	struct exec_result r;
	struct gradient_slots *g;
};

static void setup(struct fixture *f, const struct plan *plan, double alpha_s)
{
	struct gradient_slots_spec spec = {
		.cluster = &cluster, .model = &model, .program = &f->p,
		.exec = &f->r, .alpha_s = alpha_s,
	};

	assert_int_equal(program_lower(plan, &cluster, &model, &f->p), ST_OK);
	run(&f->p, &f->c, EXEC_LANE, &f->r);
	assert_int_equal(gradient_slots_new(&spec, &f->g), ST_OK);
}

static void teardown(struct fixture *f)
{
	gradient_slots_free(f->g);
	exec_release(&f->r);
	program_release(&f->p);
}

static struct plan plan_of(int ep, int esp, int rb)
{
	return (struct plan){
		.layout = { .ep = ep, .esp = esp, .tp = 1,
			    .dp = 16 / ep / esp, .pp = 1 },
		.degree_forward = 1, .degree_backward = rb,
		.technique_mask = 1,
	};
}

/*
 * Degree 1, microseconds: D 10, data 20, weights 30, C 10, router 5, the rest
 * nothing: 75. INTER is idle for 50 between D and C: a reduction of up to 50
 * is free there, as FSMoE has it; 60 makes 10 more. Beside the gate's
 * all-reduce nothing is free: it comes last. In pieces it could not be
 * better: the slot is one.
 */
static void test_by_hand(void **state)
{
	struct plan p = plan_of(16, 1, 1);
	struct fixture f;

	(void)state;
	cost_init(&f.c);
	set_comm(&f.c, OP_COMBINE_BWD, 10e-6, 1);
	set_comm(&f.c, OP_DISPATCH_BWD, 10e-6, 1);
	set_comm(&f.c, OP_ALLREDUCE_GATE, 5e-6, 1);
	f.c.s[OP_EXPERT_BWD_DATA] = 20e-6;
	f.c.s[OP_EXPERT_BWD_WEIGHT] = 30e-6;
	setup(&f, &p, 1e-6);
	assert_float_equal(gradient_slots_exact(f.g, 0), 75e-6, 1e-12);
	assert_float_equal(gradient_slots_exact(f.g, 50e-6), 75e-6, 1e-12);
	assert_float_equal(gradient_slots_exact(f.g, 60e-6), 85e-6, 1e-12);
	assert_float_equal(gradient_slots_fsmoe_exact(f.g, 60e-6), 85e-6,
			   1e-12);
	assert_float_equal(gradient_slots_hides(f.g), 50e-6, 1e-10);
	assert_int_equal(gradient_slots_pieces(f.g, 60e-6), 1);
	teardown(&f);
}

/*
 * Two chunks: D 10 each, data 40 each, C 10 each, then permutation and gate of
 * 30 each, router 5: D 0-20, data 10-90, C 50-60 and 90-100, the tail 100-160,
 * router 160-165. In FSMoE's place 60 are free: 20-80, C 80-90 and 90-100; 70
 * make it 10 longer. 120 in two pieces are free: 20-80, and 100-160 beside
 * the tail.
 */
static void test_pieces(void **state)
{
	struct plan p = plan_of(16, 1, 2);
	struct fixture f;

	(void)state;
	cost_init(&f.c);
	set_comm(&f.c, OP_COMBINE_BWD, 10e-6, 2);
	set_comm(&f.c, OP_DISPATCH_BWD, 10e-6, 2);
	set_comm(&f.c, OP_ALLREDUCE_GATE, 5e-6, 1);
	f.c.s[OP_EXPERT_BWD_DATA] = 40e-6;
	f.c.s[OP_PERMUTE_BWD] = 30e-6;
	f.c.s[OP_GATE_BWD] = 30e-6;
	setup(&f, &p, 0);
	assert_float_equal(gradient_slots_exact(f.g, 0), 165e-6, 1e-12);
	assert_float_equal(gradient_slots_fsmoe_exact(f.g, 60e-6), 165e-6,
			   1e-12);
	assert_float_equal(gradient_slots_fsmoe_exact(f.g, 70e-6), 175e-6,
			   1e-12);
	assert_float_equal(gradient_slots_exact(f.g, 120e-6), 165e-6, 1e-12);
	assert_int_equal(gradient_slots_pieces(f.g, 120e-6), 2);
	assert_true(gradient_slots_fsmoe_exact(f.g, 120e-6) > 220e-6);
	teardown(&f);
}

static void random_times(struct cost *c)
{
	cost_init(c);
	for (int k = 0; k < OP_KIND_N; k++) {
		c->s[k] = 1e-6 * (1 + rand() % 60);
		c->step[k].flow_s = 1e-6 * (1 + rand() % 60);
	}
}

/*
 * Never above FSMoE's place, between what the pass and what the pass and the
 * reduction take, never falling; the table is near.
 */
static void test_bounds(void **state)
{
	int better = 0;

	(void)state;
	srand(21);
	for (int i = 0; i < 120; i++) {
		struct plan p = plan_of(i % 2 ? 16 : 4, i % 2 ? 1 : 4,
					1 + i % 3);
		struct fixture f;
		double plain_s, last = 0;

		random_times(&f.c);
		p.overlap = OVERLAP_WEIGHT;
		p.technique_mask = i % 4 < 2 ? 1 : 1u << TECH_ORDER;
		setup(&f, &p, 1e-6);
		plain_s = s_from_ps(f.r.time_ps - f.r.forward_ps);
		for (double g = 0; g < 300e-6; g += 23e-6) {
			double t = gradient_slots_exact(f.g, g);
			double paper = gradient_slots_fsmoe_exact(f.g, g);

			assert_true(t <= paper + 1e-12);
			assert_true(t <= plain_s + g + 1e-11);
			assert_true(t >= plain_s - 1e-11 ||
				    p.technique_mask & 1u << TECH_ORDER);
			assert_true(gradient_slots_pass(f.g, g) >= last);
			/* a point of the table is at most one step away */
			assert_true(t <= gradient_slots_pass(f.g, g) +
				    plain_s / GRADIENT_SLOTS + 1e-11);
			better += t < paper - 1e-9;
			last = gradient_slots_pass(f.g, g);
		}
		teardown(&f);
	}
	print_message("# better than FSMoE's place in %d of 1680\n", better);
	assert_true(better > 100);
}

/* One chunk, one piece, all may move: as good as trying every order. */
static void test_every_order(void **state)
{
	(void)state;
	srand(4);
	for (int i = 0; i < 60; i++) {
		struct plan p = plan_of(16, 1, 1);
		struct program q;
		struct fixture f;
		uint64_t time[64];
		double g = 1e-6 * (1 + rand() % 150);

		random_times(&f.c);
		p.overlap = OVERLAP_WEIGHT;
		p.technique_mask = 1u << TECH_ORDER;
		/* a start so long that more pieces cannot gain */
		setup(&f, &p, 1);
		p.gradient_bytes = 1;
		assert_int_equal(program_lower(&p, &cluster, &model, &q),
				 ST_OK);
		order_durations(&q, &f.c, time);
		for (int k = q.n_forward; k < q.n_ops; k++) {
			if (q.op[k].kind == OP_ALLREDUCE_GATE &&
			    q.op[k].step == ALLREDUCE_DENSE)
				time[k] = ps_from_s(g);
		}
		assert_int_equal(ps_from_s(gradient_slots_exact(f.g, g)),
				 order_brute_force(&q, 1, time));
		program_release(&q);
		teardown(&f);
	}
}

/* Over the layers of a model: not worse than FSMoE's two steps. */
static void test_model(void **state)
{
	int better = 0;

	(void)state;
	srand(8);
	for (int i = 0; i < 40; i++) {
		struct plan p = plan_of(4, 4, 1 + i % 3);
		struct gradient_layer layer[6];
		struct gradient_problem ours = {
			.n = 6, .layer = layer, .alpha_s = 2e-6,
			.beta_s = 1e-6, .pass_s = gradient_slots_pass,
			.hidden_s = gradient_slots_hides,
		}, paper = ours;
		struct gradient_plan a, b;
		struct fixture f;
		double ta, tb;

		random_times(&f.c);
		setup(&f, &p, ours.alpha_s);
		for (int k = 0; k < 6; k++)
			layer[k] = (struct gradient_layer){
				.bytes = 20 + rand() % 120,
				.window_s = 1e-6 * (rand() % 60),
				.moe = f.g };
		paper.pass_s = gradient_slots_fsmoe;
		gradient_two_step(&paper, 1, &a);
		gradient_best(&ours, &b);
		paper.pass_s = gradient_slots_fsmoe_exact;
		ours.pass_s = gradient_slots_exact;
		ta = gradient_total(&paper, a.bytes);
		tb = fmin(gradient_total(&ours, b.bytes),
			  gradient_total(&ours, a.bytes));
		assert_true(tb <= ta * (1 + 1e-12));
		better += tb < ta * (1 - 1e-6);
		teardown(&f);
	}
	print_message("# better than two steps in %d of 40 models\n", better);
	assert_true(better > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
