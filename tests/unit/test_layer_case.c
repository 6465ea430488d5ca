/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A layer's case as text, there and back; every field, every refusal. */
#include "gpu/job.h"
#include "gpu/layer.h"
#include "gpu/layer_exchange.h"
#include "tests/unit/layer_help.h"

#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PLAN "ep=2 esp=1 tp=1 dp=1 pp=1 alltoall=flat degree=1 " \
	     "capacity=none techniques=baseline"

static enum status parse(const char *text, struct layer_case *c)
{
	err_clear();
	return layer_case_parse(text, strlen(text), c);
}

static void test_all_fields(void **state)
{
	static const char text[] =
		"{\"op\": \"layer\", \"label\": \"a-1\", \"tokens\": 3,"
		" \"hidden\": 16, \"ffn\": 24, \"experts\": 4, \"k\": 2,"
		" \"gated\": true, \"shared_ffn\": 5, \"dtype\": \"fp32\","
		" \"nodes\": 2, \"gpus_per_node\": 2, \"plan\": \"ep=2 esp=2 "
		"tp=2 dp=1 pp=1 alltoall=dedup degree=3/2 capacity=1.5 "
		"techniques=baseline\", \"capacity\": 3, \"seed\": 77,"
		" \"counts\": [[3,3,0,0],[0,3,3,0],[1,2,2,1],[0,0,3,3]],"
		" \"tier\": \"shm\", \"plant_fault\": true, \"graph\": false,"
		" \"counts_known\": true}";
	struct layer_case c;
	char line[LAYER_TEXT];

	(void)state;
	assert_int_equal(parse(text, &c), ST_OK);
	assert_true(c.tokens == 3 && c.hidden == 16 && c.ffn == 24);
	assert_true(c.experts == 4 && c.k == 2 && c.gated);
	assert_true(c.shared_ffn == 5 && c.dtype == DT_FP32);
	assert_true(c.nodes == 2 && c.gpus_per_node == 2);
	assert_true(c.plan.layout.esp == 2 && c.plan.degree_backward == 2);
	assert_true(c.capacity == 3 && c.seed == 77 && c.count[5] == 3);
	assert_string_equal(c.tier, "shm");
	assert_true(c.plant_fault && !c.graph && c.counts_known);
	layer_describe(&c, line);
	assert_string_equal(line, "a-1 3x16x24 e4 k2 swiglu fp32 shared 5 "
			    "capacity 3 known seed 77");
	layer_case_release(&c);
}

/* What is left out follows from the rest: 2 ranks of ep; the factor's slots:
 * ceil(2 x 10 x 1.25 / 4) = 7. */
static void test_defaults(void **state)
{
	struct layer_case c;

	(void)state;
	assert_int_equal(parse(
		"{\"tokens\": 10, \"hidden\": 8, \"ffn\": 8, \"experts\": 4,"
		" \"k\": 2, \"plan\": \"ep=2 esp=1 tp=1 dp=1 pp=1 alltoall="
		"flat degree=1 capacity=1.25 techniques=baseline\"}", &c),
		ST_OK);
	assert_true(c.nodes == 1 && c.gpus_per_node == 2);
	assert_int_equal(c.capacity, 7);
	assert_true(c.dtype == DT_BF16 && !c.gated && c.graph && c.seed == 1);
	assert_false(c.counts_known);
	assert_null(c.count);
	layer_case_release(&c);
}

static void test_round_trip(void **state)
{
	uint64_t random = 31337;
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		struct layer_case c = help_case(&random), d;
		char *text, *again;

		c.plan.alltoall = (enum a2a_alg)(i % A2A_N);
		c.gated = i % 2;
		c.shared_ffn = i % 3;
		snprintf(c.label, sizeof(c.label), "%s", i % 5 ? "x y" : "");
		text = layer_case_text(&c);
		assert_int_equal(parse(text, &d), ST_OK);
		again = layer_case_text(&d);
		assert_string_equal(text, again);
		if (c.count) {
			assert_memory_equal(c.count, d.count,
				(size_t)(layer_ranks(&c) * c.experts) *
				sizeof(*c.count));
		}
		free(text);
		free(again);
		layer_case_release(&d);
		free(c.count);
	}
}

/* One field of a good case is replaced (or, NULL, left out). */
static void refused(const char *name, const char *value, const char *want)
{
	static const char *const good[][2] = {
		{ "tokens", "10" }, { "hidden", "8" }, { "ffn", "8" },
		{ "experts", "4" }, { "k", "2" }, { "plan", "\"" PLAN "\"" },
	};
	struct buf b = { 0 };
	struct layer_case c;
	size_t i;

	buf_puts(&b, "{");
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (strcmp(good[i][0], name))
			buf_addf(&b, "\"%s\": %s, ", good[i][0], good[i][1]);
	}
	if (value)
		buf_addf(&b, "\"%s\": %s}", name, value);
	else
		buf_puts(&b, "\"seed\": 1}");
	assert_int_equal(parse(buf_str(&b), &c), ST_INPUT);
	if (strncmp(err_msg(), want, strlen(want)))
		assert_string_equal(err_msg(), want);
	buf_release(&b);
}

static void test_refused(void **state)
{
	(void)state;
	refused("tokens", NULL, "field 'tokens': is missing");
	refused("plan", NULL, "field 'plan': is missing");
	refused("tokens", "0", "field 'tokens': 0 is not in 1..4194304");
	refused("tokens", "-5", "field 'tokens': -5 is not in");
	refused("tokens", "4194305", "field 'tokens': 4194305 is not in");
	refused("tokens", "99999999999999", "field 'tokens': 99999999999999");
	refused("tokens", "1.5", "field 'tokens': must be a whole number");
	refused("tokens", "\"1\"", "field 'tokens': must be a whole number");
	refused("hidden", "65537", "field 'hidden': 65537 is not in");
	refused("ffn", "0", "field 'ffn': 0 is not in");
	refused("k", "5", "field 'k': 5 is above 'experts', 4");
	refused("k", "33", "field 'k': 33 is not in 1..32");
	refused("experts", "0", "field 'experts': 0 is not in");
	refused("experts", "3", "field 'plan': ep 2 neither divides the 3 "
		"experts nor is a multiple of them");
	refused("dtype", "\"fp8\"", "field 'dtype': must be");
	refused("gated", "1", "field 'gated': must be true or false");
	refused("nodes", "0", "field 'nodes': 0 is not in 1..64");
	refused("nodes", "3", "field 'gpus_per_node': 0 is not in 1..64");
	refused("gpus_per_node", "4", "field 'plan': ep 2 x esp 1 x dp 1 is "
		"not the number of ranks, 4 (1 nodes x 4)");
	refused("gpus_per_node", "2000000000", "field 'gpus_per_node': ");
	refused("capacity", "3", "field 'capacity': is 3, but the plan is "
		"dropless");
	refused("seed", "-1", "field 'seed': -1 is not in");
	refused("label", "\"a\\u0001b\"", "field 'label': must be printable");
	refused("label", "\"0123456789012345678901234567890123456789"
		"012345678901234567890123456789\"",
		"field 'label': is longer than 63 bytes");
	refused("counts_known", "true", "field 'counts_known': true without "
		"'counts'");
	refused("counts", "[]", "field 'counts': must be a list");
	refused("counts", "[[5,5,5,5]]", "field 'counts': has 1 lists for 2 "
		"ranks");
	refused("counts", "[[10,10],[10,10]]", "field 'counts': has 2 numbers "
		"for 4 experts");
	refused("counts", "[[5,5,5,5],[5,5]]", "field 'counts': its lists "
		"differ in length");
	refused("counts", "[[5,5,5,5],[5,5,5,4]]", "field 'counts': row 1 has "
		"19 copies, not tokens x k, 20");
	refused("counts", "[[5,5,5,5],[11,3,3,3]]", "field 'counts': row 1 has "
		"11 for expert 0, must be in 0..tokens, 10");
	refused("counts", "[[5,5,5,5],[5,5,5,\"5\"]]",
		"field 'counts': must be a whole number");
	refused("op", "\"gemm\"", "field 'op': must be");
	refused("toknes", "1", "field 'toknes': a layer has no such field "
		"(did you mean 'tokens'?)");
}

static void refused_plan(const char *plan, const char *want)
{
	char *value = xasprintf("\"%s\"", plan);

	refused("plan", value, want);
	free(value);
}

static void test_refused_plans(void **state)
{
	(void)state;
	refused_plan("ep=2 esp=1 tp=1 dp=1 pp=1 alltoall=flat degree=1 "
		     "capacity=none techniques=baseline dense=whole",
		     "field 'plan': the runner has no attention");
	refused_plan("ep=2 esp=1 tp=1 dp=1 pp=1 alltoall=flat degree=1 "
		     "capacity=none techniques=baseline gradient=1e13",
		     "field 'plan': gradient of 1e+13 bytes is above");
	refused("plan", "7", "field 'plan': must be a text");
	refused_plan("ep=2", "field 'plan': plan: 'esp' is missing");
	refused_plan("ep=2 esp=1 tp=1 dp=1 pp=2 alltoall=flat degree=1 "
		     "capacity=none techniques=baseline",
		     "field 'plan': pp is 2, but one layer has 1 stage");
	refused_plan("ep=1 esp=3 tp=1 dp=1 pp=1 alltoall=flat degree=1 "
		     "capacity=none techniques=baseline",
		     "field 'plan': esp 3 does not divide the 3 GPUs of a "
		     "node and 'ffn', 8");
	refused_plan("ep=2 esp=1 tp=3 dp=1 pp=1 alltoall=flat degree=1 "
		     "capacity=none techniques=baseline",
		     "field 'plan': tp 3 does not divide the 2 ranks");
	refused_plan("ep=1048576 esp=1048576 tp=1 dp=1048576 pp=1 "
		     "alltoall=flat degree=1 capacity=none "
		     "techniques=baseline", "field 'gpus_per_node': ");
	refused_plan("ep=2 esp=1 tp=1 dp=1 pp=1 alltoall=flat degree=1 "
		     "capacity=1e8 techniques=baseline",
		     "field 'plan': plan: 'capacity'");
}

static void test_too_many_rows(void **state)
{
	struct layer_case c;

	(void)state;
	assert_int_equal(parse(
		"{\"tokens\": 4194304, \"hidden\": 8, \"ffn\": 8,"
		" \"experts\": 64, \"k\": 32, \"plan\": \"ep=64 esp=1 tp=1 "
		"dp=1 pp=1 alltoall=flat degree=1 capacity=none "
		"techniques=baseline\", \"nodes\": 8}", &c), ST_INPUT);
	assert_non_null(strstr(err_msg(), "8589934592 rows"));
}

/* Broken texts of all lengths are refused, never read beyond their end. */
static void test_cut(void **state)
{
	static const char text[] =
		"{\"tokens\": 10, \"hidden\": 8, \"ffn\": 8, \"experts\": 4,"
		" \"k\": 2, \"plan\": \"" PLAN "\","
		" \"counts\": [[5,5,5,5],[5,5,5,5]]}";
	struct layer_case c;
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(text) - 1; n++) {
		char *part = xstrndup(text, n);

		assert_int_equal(layer_case_parse(part, n, &c), ST_INPUT);
		free(part);
	}
	assert_int_equal(layer_case_parse(text, sizeof(text) - 1, &c), ST_OK);
	layer_case_release(&c);
}

static void test_job(void **state)
{
	static const char text[] =
		"{\"backend\": \"host\", \"tasks\": [{\"op\": \"layer\","
		" \"tokens\": 10, \"hidden\": 8, \"ffn\": 8, \"experts\": 4,"
		" \"k\": 2, \"plan\": \"" PLAN "\"}, {\"op\": \"stream\"}],"
		" \"seed\": 9, \"ranks\": %d}";
	char *job = xasprintf(text, 2);
	struct job j;

	(void)state;
	assert_int_equal(job_parse(job, strlen(job), &j), ST_OK);
	assert_int_equal(j.n_tasks, 2);
	assert_int_equal(job_benchmarks(&j), 1);
	assert_non_null(j.task[0].layer);
	assert_null(j.task[1].layer);
	assert_int_equal(j.task[0].layer->seed, 9);
	job_release(&j);
	free(job);
	job = xasprintf(text, 4);
	assert_int_equal(job_parse(job, strlen(job), &j), ST_INPUT);
	assert_string_equal(err_msg(), "job: tasks[0]: 1 nodes x 2 GPUs are "
			    "not the job's 'ranks', 4");
	free(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_plans),
		cmocka_unit_test(test_too_many_rows),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
