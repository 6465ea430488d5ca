/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every field of a job, wrong types, bounds. */
#include "gpu/job.h"

#include "gpu/suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum status parse(const char *text, struct job *j)
{
	err_clear();
	return job_parse(text, strlen(text), j);
}

static void test_every_field(void **state)
{
	static const char text[] =
		"{\"schema\": \"moecast.job/1\", \"backend\": \"cuda\","
		" \"quick\": true, \"ranks\": 2, \"emulate_nodes\": 3,"
		" \"tiers\": [\"nvlink\", \"socket\"], \"budget_s\": 12.5,"
		" \"deadline_s\": 7, \"seed\": 4000000000000,"
		" \"tasks\": [{\"op\": \"alltoall\", \"variant\": \"even\","
		"   \"min_bytes\": 1024, \"max_bytes\": 4096,"
		"   \"ctas\": [0, 4]},"
		"  {\"op\": \"gemm\", \"dtype\": \"bf16\", \"m\": [1, 2, 3],"
		"   \"n\": [4], \"k\": [5], \"batch\": [6, 7],"
		"   \"beside\": \"allreduce\", \"optional\": true}]}";
	struct job j;

	(void)state;
	assert_int_equal(parse(text, &j), ST_OK);
	assert_string_equal(j.backend, "cuda");
	assert_true(j.quick);
	assert_int_equal(j.ranks, 2);
	assert_int_equal(j.emulate_nodes, 3);
	assert_int_equal(j.n_tiers, 2);
	assert_string_equal(j.tier[1], "socket");
	assert_true(j.budget_s == 12.5 && j.deadline_s == 7);
	assert_true(j.seed == 4000000000000u);
	assert_int_equal(j.n_tasks, 2);
	assert_string_equal(j.task[0].op, "alltoall");
	assert_string_equal(j.task[0].variant, "even");
	assert_string_equal(j.task[0].dtype, "");
	assert_true(j.task[0].min_bytes == 1024);
	assert_true(j.task[0].max_bytes == 4096);
	assert_int_equal(j.task[0].ctas.n, 2);
	assert_true(j.task[0].ctas.v[1] == 4);
	assert_int_equal(j.task[1].m.n, 3);
	assert_true(j.task[1].m.v[2] == 3 && j.task[1].n.v[0] == 4);
	assert_true(j.task[1].k.v[0] == 5 && j.task[1].batch.v[1] == 7);
	assert_string_equal(j.task[1].dtype, "bf16");
	assert_string_equal(j.task[1].beside, "allreduce");
	assert_true(j.task[1].optional && !j.task[0].optional);
	job_release(&j);
	assert_null(j.task);
}

static void test_defaults(void **state)
{
	struct job j;

	(void)state;
	assert_int_equal(parse("{\"backend\": \"host\"}", &j), ST_OK);
	assert_int_equal(j.ranks + j.emulate_nodes + j.n_tiers + j.n_tasks, 0);
	assert_true(j.budget_s == 0 && j.deadline_s == JOB_DEADLINE_S);
	assert_true(j.seed == 1 && !j.quick);
	job_release(&j);
}

struct refusal {
	const char *text, *message;
};

static const struct refusal refusals[] = {
	{ "", "job:1:0: " },
	{ "[1]", "job: must be a JSON object" },
	{ "{\"backend\": \"host\"} x", "job:1:" },
	{ "{\"backend\": \"host\", \"backend\": \"cuda\"}", "job:1:" },
	{ "{}", "field 'backend': is missing" },
	{ "{\"backend\": 1}", "field 'backend': must be a text" },
	{ "{\"backend\": \"123456789012345678901234567890123\"}",
	  "field 'backend': is longer" },
	{ "{\"backend\": \"host\", \"bakend\": 1}",
	  "field 'bakend': there is no such field (did you mean 'backend'" },
	{ "{\"schema\": \"moecast.job/2\"}", "field 'schema': must be" },
	{ "{\"quick\": 1}", "field 'quick': must be true or false" },
	{ "{\"tasks\": [{\"op\": \"copy\", \"optional\": 1}]}",
	  "field 'tasks[0].optional': must be true or false" },
	{ "{\"ranks\": \"2\"}", "field 'ranks': must be a number" },
	{ "{\"ranks\": -1}", "field 'ranks': -1 is not in 0..1024" },
	{ "{\"ranks\": 1025}", "field 'ranks': 1025 is not in" },
	{ "{\"ranks\": 1.5}", "field 'ranks': must be a whole number" },
	{ "{\"emulate_nodes\": 1e9}", "field 'emulate_nodes': 1000000000 is" },
	{ "{\"tiers\": \"shm\"}", "field 'tiers': must be a list" },
	{ "{\"tiers\": [1]}", "field 'tiers': must be a text" },
	{ "{\"tiers\": [\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}",
	  "field 'tiers': has more than 8" },
	{ "{\"budget_s\": -1}", "field 'budget_s': -1 is not in" },
	{ "{\"budget_s\": 1e300}", "field 'budget_s': 1e+300 is not in" },
	{ "{\"deadline_s\": 0}", "field 'deadline_s': 0 is not in 0.1.." },
	{ "{\"seed\": -1}", "field 'seed': must be a whole number" },
	{ "{\"seed\": 1.0}", "field 'seed': must be a whole number" },
	{ "{\"tasks\": {}}", "field 'tasks': must be a list" },
	{ "{\"tasks\": [1]}", "field 'tasks[0]': must be an object" },
	{ "{\"tasks\": [{}]}", "field 'tasks[0].op': '' is no op" },
	{ "{\"tasks\": [{\"op\": \"alltoal\"}]}",
	  "field 'tasks[0].op': 'alltoal' is no op" },
	{ "{\"tasks\": [{\"op\": \"copy\"}, {\"op\": \"gemm\"}]}",
	  "field 'tasks[1].op': a gemm needs" },
	{ "{\"tasks\": [{\"op\": \"gemm\", \"m\": []}]}",
	  "field 'tasks[0].m': must be a list of numbers" },
	{ "{\"tasks\": [{\"op\": \"gemm\", \"m\": [0]}]}",
	  "field 'tasks[0].m': 0 is not in 1.." },
	{ "{\"tasks\": [{\"op\": \"gemm\", \"m\": [1e8]}]}",
	  "field 'tasks[0].m': 100000000 is not in" },
	{ "{\"tasks\": [{\"op\": \"gemm\", \"m\": [1,1,1,1,1,1,1,1,1,1,1,1,1,"
	  "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}]}",
	  "field 'tasks[0].m': has more than 32" },
	{ "{\"tasks\": [{\"op\": \"copy\", \"min_bytes\": 9,"
	  " \"max_bytes\": 8}]}", "field 'tasks[0].min_bytes': 9 is above" },
	{ "{\"tasks\": [{\"op\": \"sendrecv\", \"beside\": \"alltoall\"}]}",
	  "field 'tasks[0].beside': 'sendrecv' is an exchange itself" },
	{ "{\"tasks\": [{\"op\": \"copy\", \"beside_bytes\": [4]}]}",
	  "field 'tasks[0].beside_bytes': needs the field beside" },
	{ "{\"tasks\": [{\"op\": \"gemm\", \"m\": [1], \"n\": [1], \"k\": [1],"
	  " \"beside\": \"copy\"}]}",
	  "field 'tasks[0].beside': 'copy' is no exchange" },
	{ "{\"tasks\": [{\"op\": \"copy\", \"sise\": 8}]}",
	  "field 'tasks[0].sise': there is no such field" },
};

static void test_refusals(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct job j = { .ranks = 77 };

		assert_int_equal(parse(refusals[i].text, &j), ST_INPUT);
		if (!strstr(err_msg(), refusals[i].message))
			fail_msg("%s: '%s' lacks '%s'", refusals[i].text,
				 err_msg(), refusals[i].message);
		assert_int_equal(j.ranks, 77);	/* untouched */
	}
}

/* Any cut and any changed byte: a status, never a crash. */
static void test_damaged(void **state)
{
	char text[] = "{\"backend\":\"host\",\"tasks\":[{\"op\":\"gemm\","
		      "\"m\":[1,2],\"n\":[3],\"k\":[4]}],\"tiers\":[\"shm\"]}";
	size_t n = strlen(text), i;
	struct job j;

	(void)state;
	for (i = 0; i < n; i++)
		assert_int_equal(job_parse(text, i, &j), ST_INPUT);
	for (i = 0; i < n; i++) {
		char was = text[i];

		text[i] = (char)(was ^ (1 << i % 7));
		if (!job_parse(text, n, &j))
			job_release(&j);
		text[i] = was;
	}
}

static void test_standard(void **state)
{
	static const char *const names[] = { "host", "cuda" };
	struct job j;
	int i, quick;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (quick = 0; quick < 2; quick++) {
			assert_int_equal(parse(suite_standard(names[i], quick),
					       &j), ST_OK);
			assert_true(j.n_tasks > 10 && j.budget_s > 0);
			job_release(&j);
		}
	}
	assert_null(suite_standard("abacus", false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_standard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
