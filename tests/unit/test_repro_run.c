/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Papers' runs go through the simulator: times are those of evaluate_plan()
 * and step_run(), and what a technique costs there is what is reproduced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scenario_help.h"

#include "base/units.h"
#include "sim/repro.h"
#include "sim/search.h"
#include "sim/step.h"
#include "sim/tech_gates.h"
#include "sim/tech_lsh.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "name: mine\ntitle: t\nplot: ms\n"
#define VALUES "constants:\n" \
	"  - {name: small.model.batch_per_gpu, value: 2, source: s}\n" \
	"assumptions: []\n"
#define PARTS "parts:\n" \
	"  - {name: base, scenario: lsh-moe-v100, set: [" \
	"\"search.techniques=[baseline]\"]}\n" \
	"  - {name: small}\n" \
	"  - {name: lsh, policy: lsh-moe}\n" \
	"  - {name: mask, set: [technique.one_hot=true]}\n"
#define ROW(measure) "  - {case: c, measure: " measure \
	", reported: 1, source: s}\n"

static void load_text(const char *text, struct paper *p)
{
	char *path = help_file(text, strlen(text));
	enum status st = paper_load(p, path);

	unlink(path);
	free(path);
	if (st)
		fail_msg("%s", err_msg());
}

/* The same by hand. */
struct times {
	double step_s, layer_s, forward_s, exchange_s;
	double kind_s[OP_KIND_N];
	struct gpu gpu;
};

static void by_hand(const char *const *sets, int n_sets, unsigned mask,
		    struct times *t)
{
	struct scenario_set set[8];
	struct evaluation e;
	struct step_time step;
	struct scenario s;
	struct plan p = { .layout = { 16, 1, 1, 1, 1 }, .alltoall = A2A_FLAT,
			  .degree_forward = 1, .degree_backward = 1,
			  .technique_mask = mask };

	for (int i = 0; i < n_sets; i++)
		set[i].text = sets[i];
	if (scenario_load(&s, "lsh-moe-v100", set, n_sets) ||
	    evaluate_plan(&s, &p, EXEC_FLOW, NULL, &e))
		fail_msg("%s", err_msg());
	assert_int_equal(step_run(&(struct step_spec){
		.s = &s, .net = &e.net, .plan = &p, .program = &e.program,
		.exec = &e.exec, .optimizer_bytes = e.memory.optimizer,
		.parameter_bytes = e.memory.parameters }, &step), ST_OK);
	*t = (struct times){ .step_s = step.time_s,
		.layer_s = s_from_ps(e.exec.time_ps),
		.forward_s = s_from_ps(e.exec.forward_ps),
		.gpu = s.cluster.gpu };
	for (int k = 0; k < OP_KIND_N; k++)
		t->kind_s[k] = s_from_ps(e.exec.kind_ps[k]);
	/* 6 MoE layers, 8 micro-batches, forward exchanges twice */
	t->exchange_s = 6 * 8 * (2 * (t->kind_s[OP_DISPATCH] +
				      t->kind_s[OP_COMBINE]) +
				 t->kind_s[OP_COMBINE_BWD] +
				 t->kind_s[OP_DISPATCH_BWD]);
	evaluation_release(&e);
	scenario_release(&s);
}

static void test_quantities(void **state)
{
	static const char *const small[] = { "model.batch_per_gpu=2" };
	struct repro_result r;
	struct times a, b;
	struct paper p;

	(void)state;
	load_text(HEAD VALUES PARTS "rows:\n"
		  ROW("ms base step") ROW("ms base layer")
		  ROW("ms base forward") ROW("ms base exchange")
		  ROW("ms base rest") ROW("share base exchange")
		  ROW("ratio base base+small step")
		  ROW("saved base base+small layer"), &p);
	if (repro_run(&p, &r))
		fail_msg("%s", err_msg());
	by_hand(NULL, 0, 1, &a);
	by_hand(small, 1, 1, &b);
	assert_float_equal(r.predicted[0], 1e3 * a.step_s, 1e-9);
	assert_float_equal(r.predicted[1], 1e3 * a.layer_s, 1e-9);
	assert_float_equal(r.predicted[2], 1e3 * a.forward_s, 1e-9);
	assert_float_equal(r.predicted[3], 1e3 * a.exchange_s, 1e-6);
	assert_float_equal(r.predicted[4], 1e3 * (a.step_s - a.exchange_s),
			   1e-6);
	assert_float_equal(r.predicted[5], a.exchange_s / a.step_s, 1e-12);
	assert_float_equal(r.predicted[6], a.step_s / b.step_s, 1e-12);
	assert_float_equal(r.predicted[7], 1 - b.layer_s / a.layer_s, 1e-12);
	repro_release(&r);
	paper_release(&p);
}

/* What the technique's own table (lsh_effect_make) says, and nothing else,
 * stands between the layer's other ops. */
static void test_technique(void **state)
{
	const struct lsh_spec spec = { LSH_HADAMARD, 6, 16, 3, 1 };
	const struct lsh_shape shape = {
		.tokens = 8192, .copies = 16384, .dim = 768,
		.element_bytes = 2, .peers = 15, .experts = 512,
	};
	struct repro_result r;
	struct lsh_effect own;
	struct times t;
	struct paper p;
	double restore_s, rest = 0;

	(void)state;
	load_text(HEAD VALUES PARTS "rows:\n" ROW("ms base+lsh layer"), &p);
	assert_int_equal(repro_run(&p, &r), ST_OK);
	by_hand(NULL, 0, 1u << TECH_LSH, &t);
	lsh_effect_make(&spec, &shape, (struct lsh_point){ 0.2, 0.1 }, &own);
	restore_s = tech_cost_compute_s(&own.after[0], &t.gpu, DT_FP16);
	assert_float_equal(t.kind_s[OP_RESTORE], restore_s, 1e-9);
	for (int k = 0; k < OP_KIND_N; k++)
		rest += k == OP_RESTORE || k == OP_RESTORE_BWD ? 0 :
			t.kind_s[k];
	/* a chain but for the gate's all-reduce, beside the last ops */
	assert_true(1e-3 * r.predicted[0] <= rest + 2 * restore_s + 1e-12);
	assert_true(1e-3 * r.predicted[0] >= rest + 2 * restore_s -
		    t.kind_s[OP_ALLREDUCE_GATE] - 1e-12);
	repro_release(&r);
	paper_release(&p);
}

/*
 * 8,192 tokens by 16,384 slots by 768: 2 T S h = 2.0616e11 operations at
 * 125e12 x 0.75 a second are 2.19902 ms; a mask is T S 2 = 268.4 MB, at 900
 * GB/s x 0.9 0.331402 ms; a launch 3 us. Two products forward (the mask is
 * written, too), three backward.
 */
static void test_one_hot(void **state)
{
	static const char *const sets[] = { "technique.one_hot=true" };
	const double flop_s = 2.199023e-3, mask_s = 0.3314019e-3;
	struct repro_result r;
	struct times with, without;
	struct paper p;

	(void)state;
	by_hand(NULL, 0, 1, &without);
	by_hand(sets, 1, 1, &with);
	assert_float_equal(with.kind_s[OP_PERMUTE], flop_s + 2 * mask_s +
			   3e-6, 1e-9);
	assert_float_equal(with.kind_s[OP_UNPERMUTE], flop_s + mask_s + 3e-6,
			   1e-9);
	assert_float_equal(with.kind_s[OP_UNPERMUTE_BWD], 2 * flop_s +
			   2 * mask_s + 6e-6, 1e-9);
	assert_float_equal(with.kind_s[OP_PERMUTE_BWD], flop_s + mask_s +
			   3e-6, 1e-9);
	assert_float_equal(with.kind_s[OP_EXPERT],
			   without.kind_s[OP_EXPERT], 1e-15);
	load_text(HEAD VALUES PARTS "rows:\n"
		  ROW("ratio base+mask base layer"), &p);
	assert_int_equal(repro_run(&p, &r), ST_OK);
	assert_float_equal(r.predicted[0], with.layer_s / without.layer_s,
			   1e-12);
	repro_release(&r);
	paper_release(&p);
}

/*
 * Two words: 1 / 3.7 and 1 / 4.7 are 4.7 / 8.4 = 0.559524 and 0.440476 of
 * both, at one expert or at two. Of 40,000 words on 16 experts the fullest has
 * 1.53 +- 0.17 times the mean over tables (60 of them, by another program).
 */
static void test_words(void **state)
{
	double share[16], sum = 0, most_mean = 0;
	bool apart = false, together = false;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		double most = 0;

		gate_word_shares(2, 2, seed, share);
		if (share[0] > 0 && share[1] > 0) {
			assert_float_equal(fmax(share[0], share[1]), 0.559524,
					   1e-6);
			assert_float_equal(fmin(share[0], share[1]), 0.440476,
					   1e-6);
			apart = true;
		} else {
			assert_float_equal(share[0] + share[1], 1, 1e-12);
			together = true;
		}
		gate_word_shares(40000, 16, seed, share);
		sum = 0;
		for (int e = 0; e < 16; e++) {
			sum += share[e];
			most = fmax(most, share[e]);
		}
		assert_float_equal(sum, 1, 1e-12);
		most_mean += 16 * most / 20;
	}
	assert_true(apart && together);
	/* three of the mean's own deviations: 0.17 / sqrt(20) each */
	assert_float_equal(most_mean, 1.53, 0.12);
}

/* A tensor group of 8 that sends all its rows eight times sends eight times
 * the bytes; what is computed and gathered stays. */
static void test_replicated(void **state)
{
	struct evaluation e[2];
	struct scenario s;
	struct plan p;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct scenario_set set = { i ? "comm.replicated=true" :
						  "comm.replicated=false" };

		if (scenario_load(&s, "locmoe-pangu", &set, 1))
			fail_msg("%s", err_msg());
		assert_int_equal(evaluate_default_plan(&s, &p), ST_OK);
		assert_int_equal(p.layout.tp, 8);
		assert_int_equal(evaluate_plan(&s, &p, EXEC_LANE, NULL, &e[i]),
				 ST_OK);
		scenario_release(&s);
	}
	assert_float_equal(traffic_busiest(&e[1].workload.dispatch),
			   8 * traffic_busiest(&e[0].workload.dispatch), 1);
	assert_float_equal(traffic_busiest(&e[1].workload.combine),
			   8 * traffic_busiest(&e[0].workload.combine), 1);
	assert_int_equal(e[0].exec.kind_ps[OP_EXPERT],
			 e[1].exec.kind_ps[OP_EXPERT]);
	assert_int_equal(e[0].exec.kind_ps[OP_ALLGATHER],
			 e[1].exec.kind_ps[OP_ALLGATHER]);
	evaluation_release(&e[0]);
	evaluation_release(&e[1]);
}

/*
 * An expert of Luffy's TransformerXL is 2 x 1024 x 4096 x 4 = 33,554,432 bytes.
 * Of 16 on 16 ranks two are needed: each rank sends 33,554,432 x 2 / 16 to
 * every other. 64 x 250 x 2 rows, with 2 x 15 / 16 fetched experts at 0.44:
 * 32,000 x 1.825. Kept in 18 layers they are 2 x 18 experts of memory, and
 * backward nothing comes again.
 */
static void test_fetch(void **state)
{
	static const char *const keep[] = { "technique.fetch.keep=false",
					    "technique.fetch.keep=true" };
	const double expert = 33554432;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct scenario_set set[] = {
			{ "routing.kind=uniform" }, { keep[i] },
			{ "technique.fetch.experts=2" },
			{ "technique.fetch.slowdown=0.44" },
			{ "search.techniques=[expert-fetch]" },
		};
		struct evaluation e;
		struct scenario s;
		struct plan p;

		if (scenario_load(&s, "luffy-v100", set, 5))
			fail_msg("%s", err_msg());
		assert_int_equal(evaluate_default_plan(&s, &p), ST_OK);
		assert_int_equal(evaluate_plan(&s, &p, EXEC_LANE, NULL, &e),
				 ST_OK);
		assert_float_equal(e.workload.dispatch.each, expert * 2 / 16,
				   1);
		assert_float_equal(e.workload.rows[7], 58400, 1e-6);
		assert_float_equal(e.effect.memory_bytes,
				   expert * 2 * (i ? 18 : 1), 1);
		assert_int_equal(e.exec.kind_ps[OP_COMBINE], 0);
		assert_true(e.exec.kind_ps[OP_DISPATCH_BWD] > 0);
		assert_int_equal(e.exec.kind_ps[OP_COMBINE_BWD],
				 i ? 0 : e.exec.kind_ps[OP_DISPATCH]);
		evaluation_release(&e);
		scenario_release(&s);
	}
}

static void refused(const char *text, const char *message)
{
	struct repro_result r;
	struct paper p;

	load_text(text, &p);
	assert_int_equal(repro_run(&p, &r), ST_INPUT);
	if (!strstr(err_msg(), message))
		fail_msg("'%s' has no '%s'", err_msg(), message);
	err_clear();
	paper_release(&p);
}

/* A paper in a folder of its own, and its scenario beside it. */
static void test_beside(void **state)
{
	static const char scenario[] = HELP_SCENARIO;
	static const char paper[] = HEAD "constants: []\nassumptions: []\n"
		"parts:\n  - {name: base, scenario: own.yaml}\nrows:\n"
		ROW("ms base layer");
	char dir[] = "test_repro_run_XXXXXX", path[2][64];
	struct repro_result r;
	struct paper p;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path[0], sizeof(path[0]), "%s/own.yaml", dir);
	snprintf(path[1], sizeof(path[1]), "%s/paper.yaml", dir);
	assert_int_equal(outfile_write(path[0], scenario, strlen(scenario)),
			 ST_OK);
	assert_int_equal(outfile_write(path[1], paper, strlen(paper)), ST_OK);
	if (paper_load(&p, path[1]) || repro_run(&p, &r))
		fail_msg("%s", err_msg());
	assert_true(r.predicted[0] > 0);
	repro_release(&r);
	paper_release(&p);
	unlink(path[0]);
	unlink(path[1]);
	rmdir(dir);
}

static void test_errors(void **state)
{
	(void)state;
	refused(HEAD VALUES PARTS "rows:\n" ROW("ms base speed"),
		"unknown measure 'ms base speed'");
	refused(HEAD VALUES PARTS "rows:\n" ROW("ms step"),
		"unknown measure 'ms step'");
	refused(HEAD VALUES PARTS "rows:\n" ROW("ms base+large step"),
		"unknown part 'large' of run 'base+large'");
	refused(HEAD VALUES PARTS "rows:\n" ROW("ms small step"),
		"no part of run 'small' names a scenario");
	refused(HEAD VALUES "parts:\n  - {name: small, scenario: default, "
		"policy: lsh}\nrows:\n" ROW("ms small step"),
		"no system is called 'lsh'");
	refused(HEAD VALUES "parts:\n  - {name: small, scenario: default, "
		"policy: lina}\nrows:\n" ROW("ms small step"),
		"'lina' needs the planner");
	refused(HEAD VALUES "parts:\n  - {name: base, scenario: default}\n"
		"rows:\n" ROW("ms base step"), "'small.model.batch_per_gpu' "
		"is no part's name and a scenario's key");
	refused(HEAD VALUES "parts:\n  - {name: small, scenario: default, "
		"set: [model.batch=3]}\nrows:\n" ROW("ms small step"),
		"run 'small': ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantities),
		cmocka_unit_test(test_technique),
		cmocka_unit_test(test_one_hot),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_replicated),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
