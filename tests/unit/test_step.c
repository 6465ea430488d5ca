/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole model's step: its parts add up, and follow their laws. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scenario_help.h"

#include "base/units.h"
#include "sim/search.h"
#include "sim/step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run {
	struct scenario s;
	struct plan plan;
	struct evaluation e;
	struct step_time t;
};

static void run(struct run *r, const char *line, const char *const *sets,
		int n)
{
	static const char text[] =
		"cluster:\n"
		"  nodes: 2\n"
		"  gpus_per_node: 4\n"
		"  intra: {kind: nvswitch, bandwidth: 450GB/s, latency: 1us}\n"
		"  nic: {bandwidth: 200Gb/s, latency: 3us}\n"
		"  gpu: h100-sxm\n"
		"model: {hidden: 1024, layers: 8, moe_layers: 4, experts: 8,\n"
		"        experts_per_token: 2, expert_ffn: 2048,\n"
		"        sequence: 1024, batch_per_gpu: 1}\n"
		"layout: {ep: auto, pp: auto, dp: auto, tp: auto}\n"
		"training: {recompute: false, micro_batches: 1}\n"
		"search: {flow_tolerance: 0}\n";

	help_load_n(&r->s, text, sets, n);
	if (plan_parse(line, &r->plan) ||
	    evaluate_plan(&r->s, &r->plan, EXEC_LANE, NULL, &r->e))
		fail_msg("%s", err_msg());
	struct step_spec spec = {
		.s = &r->s, .net = &r->e.net, .plan = &r->plan,
		.program = &r->e.program, .exec = &r->e.exec,
		.optimizer_bytes = r->e.memory.optimizer,
		.parameter_bytes = r->e.memory.parameters,
	};

	assert_int_equal(step_run(&spec, &r->t), ST_OK);
}

static void done(struct run *r)
{
	evaluation_release(&r->e);
	scenario_release(&r->s);
}

#define FLAT " alltoall=flat degree=1 capacity=none techniques=baseline"

static double parts(const struct step_time *t)
{
	return t->moe_s + t->dense_s + t->tensor_s + t->gradient_s +
		t->optimizer_s + t->bubble_s;
}

static void test_adds_up(void **state)
{
	const char *const many[] = { "training.micro_batches=4" };
	const char *const again[] = { "training.recompute=true" };
	struct run one, four, more;
	double layer;

	(void)state;
	run(&one, "ep=8 esp=1 tp=1 dp=1 pp=1" FLAT, NULL, 0);
	run(&four, "ep=8 esp=1 tp=1 dp=1 pp=1" FLAT, many, 1);
	run(&more, "ep=8 esp=1 tp=1 dp=1 pp=1" FLAT, again, 1);
	layer = s_from_ps(one.e.exec.time_ps);
	assert_float_equal(one.t.moe_s / (4 * layer), 1, 1e-9);
	assert_float_equal(one.t.bubble_s, 0, 1e-12);
	assert_float_equal(one.t.tensor_s, 0, 0);
	assert_float_equal(one.t.time_s / parts(&one.t), 1, 1e-9);
	assert_float_equal(one.t.tokens, 8 * 1024, 0);
	/* ways of reducing gradients, each at least as good as the one before;
	 * the rounding is that of sums of passes */
	assert_true(one.t.at_end_s > 0);
	assert_true(one.t.in_windows_s <= one.t.at_end_s + 1e-12);
	assert_true(one.t.two_step_s <= one.t.in_windows_s + 1e-12);
	assert_true(one.t.searched_s <= one.t.two_step_s + 1e-12);
	assert_float_equal(one.t.gradient_s, one.t.in_windows_s, 0);
	assert_int_equal(one.t.n_partition, 0);
	assert_float_equal(one.t.tokens_per_s, one.t.tokens / one.t.time_s,
			   1e-6);
	/* four batches: four times the passes, one reduction, one update */
	assert_float_equal(four.t.moe_s / one.t.moe_s, 4, 1e-9);
	assert_float_equal(four.t.gradient_s, one.t.gradient_s, 1e-12);
	assert_float_equal(four.t.tokens, 4 * one.t.tokens, 0);
	/* recomputation: one more forward pass of everything */
	assert_float_equal(more.t.moe_s - one.t.moe_s,
			   4 * s_from_ps(one.e.exec.forward_ps), 1e-9);
	done(&one);
	done(&four);
	done(&more);
}

/*
 * Few tokens and many weights: attention is too short for its gradients, and
 * products that read their weights leave the network idle. The technique
 * takes the best of all ways.
 */
static void test_partition(void **state)
{
	const char *const few[] = { "model.sequence=64",
				    "model.expert_ffn=65536" };
	struct run plain, cut;
	double sum = 0;

	(void)state;
	run(&plain, "ep=8 esp=1 tp=1 dp=1 pp=1" FLAT, few, 2);
	run(&cut, "ep=8 esp=1 tp=1 dp=1 pp=1 alltoall=flat degree=1 "
	    "capacity=none techniques=gradient-partition", few, 2);
	assert_float_equal(cut.t.searched_s, plain.t.searched_s, 0);
	assert_float_equal(cut.t.gradient_s, cut.t.searched_s, 0);
	assert_true(cut.t.gradient_s < plain.t.gradient_s);
	assert_float_equal(plain.t.time_s - cut.t.time_s,
			   plain.t.gradient_s - cut.t.gradient_s, 1e-9);
	assert_int_equal(cut.t.n_partition, 8);
	/* when the backward pass begins there are none yet */
	assert_float_equal(cut.t.partition[0], 0, 0);
	for (int i = 0; i < cut.t.n_partition; i++)
		sum += cut.t.partition[i];
	assert_true(sum > 0);
	done(&plain);
	done(&cut);
}

/*
 * Two stages: each has half of the layers, and of b batches a share of
 * 1 / (b + 1) is bubble, hand-overs aside.
 */
static void test_stages(void **state)
{
	const char *const pipe[] = { "training.micro_batches=8" };
	const char *const fill[] = { "training.micro_batches=8",
				     "training.gpipe=true" };
	struct run r, g;
	double passes;

	(void)state;
	run(&r, "ep=4 esp=1 tp=1 dp=1 pp=2" FLAT, pipe, 1);
	run(&g, "ep=4 esp=1 tp=1 dp=1 pp=2" FLAT, fill, 2);
	passes = r.t.moe_s + r.t.dense_s;
	assert_true(r.t.bubble_s >= passes / 8);
	assert_true(r.t.bubble_s <= passes / 8 + 16 * 1e-3);
	/* 1F1B waits for hand-overs more often than GPipe */
	assert_true(g.t.bubble_s >= passes / 8);
	assert_true(g.t.bubble_s < r.t.bubble_s);
	assert_float_equal(r.t.tokens, 8 * 4 * 1024, 0);
	assert_float_equal(r.t.time_s / parts(&r.t), 1, 1e-9);
	done(&r);
	done(&g);
}

/* A tensor group has the same products among more, and collectives. */
static void test_tensor(void **state)
{
	struct run one, two;

	(void)state;
	run(&one, "ep=8 esp=1 tp=1 dp=1 pp=1" FLAT, NULL, 0);
	run(&two, "ep=8 esp=1 tp=2 dp=1 pp=1" FLAT, NULL, 0);
	assert_true(two.t.tensor_s > 0);
	assert_true(two.t.dense_s <= one.t.dense_s);
	assert_float_equal(two.t.tokens, one.t.tokens / 2, 0);
	done(&one);
	done(&two);
}

/* A chunk's seconds in its way back from the last block. */
static double ends_s(const struct run *r)
{
	static const enum op_kind kind[] = {
		OP_COMBINE, OP_UNPERMUTE, OP_DISPATCH_BWD, OP_PERMUTE_BWD,
		OP_GATE_BWD,
	};
	double s = 0;

	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		struct op op = { .kind = kind[i], .n_chunks = 2 };

		s += cost_op(r->e.cost, &op);
	}
	return s;
}

/* Both passes of the block when pieces take no time. */
static double without_sums(struct run *r)
{
	uint64_t end[128];

	assert_true(r->e.program.n_ops <= 128);
	for (int i = 0; i < r->e.program.n_ops; i++) {
		struct op *o = &r->e.program.op[i];

		if (o->kind == OP_ALLREDUCE_GATE && o->step == ALLREDUCE_DENSE)
			o->slow = 1e-9;
	}
	return s_from_ps(exec_lane_time(&r->e.program, r->e.cost, end));
}

/*
 * Blocks: 4 of 8 layers have experts. m (4 T' + D + 4 A) for the passes, with
 * A of a layer without experts; T - T' for each block, once; and the sums R of
 * the first layer, and of what their own dense part does not hide. With slow
 * NICs there is something to hide.
 */
static void test_blocks(void **state)
{
	const char *const slow[] = { "cluster.nic.bandwidth=25Gb/s",
				     "training.micro_batches=1" };
	const char *const four[] = { "cluster.nic.bandwidth=25Gb/s",
				     "training.micro_batches=4" };
	static const char plan[] = "ep=8 esp=1 tp=1 dp=1 pp=1 alltoall=flat "
		"degree=2 capacity=none techniques=attention-pipeline";
	struct op sum = { .kind = OP_ALLREDUCE_GATE, .n_chunks = 1,
			  .step = ALLREDUCE_DENSE };
	double with_s, without_s, dense_s, passes, sum_s, b_s;
	struct run one, more;

	(void)state;
	run(&one, plan, slow, 2);
	run(&more, plan, four, 2);
	dense_s = one.t.dense_s / 8;
	with_s = s_from_ps(one.e.exec.time_ps);
	without_s = without_sums(&one);
	assert_true(with_s > without_s * 1.01);
	passes = 4 * without_s + ends_s(&one) + 4 * dense_s;
	assert_float_equal(one.t.moe_s + one.t.dense_s, passes, 1e-9);
	sum_s = cost_op(one.e.cost, &sum);
	b_s = cost_apart_s(one.e.cost, 1, false);
	assert_true(sum_s > b_s);
	assert_float_equal(one.t.gradient_s, 4 * (with_s - without_s) +
			   sum_s + 4 * (sum_s - b_s), 1e-7);
	assert_float_equal(one.t.time_s / parts(&one.t), 1, 1e-9);
	/* sums in the last micro-batch alone */
	assert_float_equal(more.t.moe_s + more.t.dense_s, 4 * passes, 1e-9);
	assert_float_equal(more.t.gradient_s, one.t.gradient_s, 1e-9);
	done(&one);
	done(&more);
}

/*
 * What a layer counts for a step. Of p stages and m batches the passes take
 * (m + p - 1) / m as long per token: 11/8 with 4 and 8, 1 without a pipeline,
 * times tp (a rank brings 1/tp of the tokens). And all of it is the step, but
 * for gradients and the optimizer.
 */
static void test_share(void **state)
{
	static const struct {
		const char *line, *batches, *recompute;
		double scale;
	} cases[] = {
		{ "ep=8 esp=1 tp=1 dp=1 pp=1", "1", "false", 1 },
		{ "ep=4 esp=1 tp=1 dp=1 pp=2", "1", "false", 2 },
		{ "ep=4 esp=1 tp=1 dp=1 pp=2", "8", "true", 9. / 8 },
		{ "ep=2 esp=1 tp=1 dp=1 pp=4", "8", "false", 11. / 8 },
		{ "ep=2 esp=1 tp=2 dp=1 pp=4", "8", "true", 22. / 8 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char batches[64], recompute[64], line[256];
		const char *const sets[] = { batches, recompute };
		struct step_share v;
		double forward, both;
		struct run r;

		snprintf(batches, sizeof(batches), "training.micro_batches=%s",
			 cases[i].batches);
		snprintf(recompute, sizeof(recompute), "training.recompute=%s",
			 cases[i].recompute);
		snprintf(line, sizeof(line), "%s" FLAT, cases[i].line);
		run(&r, line, sets, 2);
		assert_int_equal(step_share(&r.s, &r.e.net, &r.plan.layout,
					    &v), ST_OK);
		assert_float_equal(v.scale, cases[i].scale, 1e-12);
		forward = s_from_ps(r.e.exec.forward_ps);
		both = s_from_ps(r.e.exec.time_ps);
		assert_float_equal((v.scale * (both + v.again * forward) +
				    v.offset_s) /
				   step_per_layer(&r.s, &r.plan.layout,
						  r.t.time_s - r.t.gradient_s -
						  r.t.optimizer_s), 1, 1e-9);
		done(&r);
	}
}

/* The best plan of layouts with these pp, and its step per layer. */
static double best_step(const char *pp, const char *batches, double *layer_s,
			int *pp_p)
{
	char stages[64], set[64];
	const char *sets[] = { stages, set, "layout.tp=1",
			       "search.alltoall=flat", "search.degree=1",
			       "search.capacity=none",
			       "model.sequence=8192" };
	const int n = sizeof(sets) / sizeof(*sets);
	const struct search_options o = { .top = 1, .no_systems = true };
	struct search_result r;
	struct run one;
	char line[256];
	double step_s;

	snprintf(stages, sizeof(stages), "layout.pp=%s", pp);
	snprintf(set, sizeof(set), "training.micro_batches=%s", batches);
	run(&one, "ep=8 esp=1 tp=1 dp=1 pp=1" FLAT, sets, n);
	assert_int_equal(search_run(&one.s, &o, &r), ST_OK);
	done(&one);
	*pp_p = r.best.plan.layout.pp;
	snprintf(line, sizeof(line), "ep=%d esp=%d tp=1 dp=%d pp=%d" FLAT,
		 r.best.plan.layout.ep, r.best.plan.layout.esp,
		 r.best.plan.layout.dp, r.best.plan.layout.pp);
	search_release(&r);
	sets[0] = "layout.pp=auto";
	run(&one, line, sets, n);
	*layer_s = s_from_ps(one.e.exec.time_ps);
	step_s = step_per_layer(&one.s, &one.plan.layout, one.t.time_s);
	done(&one);
	return step_s;
}

/*
 * Two stages keep exchanges inside a node: a layer is faster. With one batch
 * each stage waits for the other, so that is no gain; with many it is.
 */
static void test_pipeline_choice(void **state)
{
	static const char *const batches[] = { "1", "4", "256" };
	int chosen[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		double one_s, two_s, any_s, one, two, any;
		int pp;

		one = best_step("1", batches[i], &one_s, &pp);
		two = best_step("2", batches[i], &two_s, &pp);
		any = best_step("[1, 2]", batches[i], &any_s, &chosen[i]);
		assert_true(two_s < one_s);
		assert_float_equal(any / fmin(one, two), 1, 1e-6);
		assert_int_equal(chosen[i], one < two ? 1 : 2);
	}
	assert_int_equal(chosen[0], 1);
	assert_int_equal(chosen[2], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adds_up),
		cmocka_unit_test(test_partition),
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_tensor),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_pipeline_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
