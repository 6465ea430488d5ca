/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Samples and runs: to JSON and back bit by bit, and every refusal. */
#include "scenarios/sample.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* last: it needs the four above */
#include <cmocka.h>

#define EXACT (JSON_REAL_PRECISION(17) | JSON_COMPACT)

/* High-entropy values, so that swapped fields are seen. */
static const struct sample full = {
	.op = "alltoall", .variant = "uneven", .tier = "nvlink",
	.dtype = "bf16", .beside = "gemm", .ranks = 2, .nodes = 3, .ctas = 24,
	.bytes = 1048577, .m = 2.385, .n = 3.1, .k = 0.1 + 0.2, .batch = 8,
	.busiest_bytes = 524289.5, .median_s = 1.0 / 3e5, .p95_s = 4.17e-6,
	.min_s = 3.3e-6, .max_s = 5.01e-6, .mean_s = 3.5e-6, .count = 37,
	.wrong = -1,
	.pair = (INT64_C(1) << 40) + 3, .plan = "ep=2 esp=1 degree=4/2",
	.layer = "tokens=1024 hidden=2048",
};

static const struct run_info run = {
	.backend = "cuda", .source = "moecast-run", .host = "node \"7\"",
	.gpu = "NVIDIA H200", .gpus = 2, .driver = "580.1", .cuda = "13.0",
	.nccl = "2.28.9", .clocks = "sm 1980 MHz, memory 3201 MHz",
	.environment = "NCCL_DEBUG=INFO NCCL_X=\xc3\xa9", .version = "0.1.0",
	.date = "2026-11-22T15:04:05Z",
};

static json_t *through_text(json_t *j)
{
	char *text = json_dumps(j, EXACT);
	json_t *back = json_loads(text, 0, NULL);

	assert_non_null(back);
	free(text);
	json_decref(j);
	return back;
}

static void test_sample_round_trip(void **state)
{
	json_t *j = through_text(sample_json(&full));
	struct sample s;

	(void)state;
	memset(&s, 'x', sizeof(s));
	assert_int_equal(sample_from_json(j, &s), ST_OK);
	assert_memory_equal(&s, &full, sizeof(s));
	json_decref(j);
}

static void test_run_round_trip(void **state)
{
	json_t *j = through_text(run_info_json(&run));
	struct run_info r;

	(void)state;
	memset(&r, 'x', sizeof(r));
	assert_int_equal(run_info_from_json(j, &r), ST_OK);
	assert_memory_equal(&r, &run, sizeof(r));
	json_decref(j);
}

static void test_optional_fields(void **state)
{
	static const struct sample want = { .op = "copy", .median_s = 2 };
	json_t *j = json_loads("{\"type\": \"sample\", \"op\": \"copy\","
			       "\"median_s\": 2, \"later\": [1]}", 0, NULL);
	struct sample s;

	(void)state;
	assert_int_equal(sample_from_json(j, &s), ST_OK);
	assert_memory_equal(&s, &want, sizeof(s));
	json_decref(j);
}

/* The full sample with one field replaced by the JSON text `value`. */
static enum status with(const char *field, const char *value)
{
	json_t *j = sample_json(&full);
	struct sample s = full;
	enum status st;

	if (value)
		json_object_set_new(j, field, json_loads(value,
				    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
	else
		json_object_del(j, field);
	st = sample_from_json(j, &s);
	/* outputs only on success */
	if (st)
		assert_memory_equal(&s, &full, sizeof(s));
	json_decref(j);
	return st;
}

static void refuses(const char *field, const char *value, const char *text)
{
	err_clear();
	assert_int_equal(with(field, value), ST_INPUT);
	if (!strstr(err_msg(), field) || !strstr(err_msg(), text))
		fail_msg("%s = %s: %s", field, value ? value : "(none)",
			 err_msg());
}

static void test_refusals(void **state)
{
	(void)state;
	assert_int_equal(with("op", "\"sendrecv\""), ST_OK);
	refuses("type", "\"run\"", "'sample'");
	refuses("type", NULL, "'sample'");
	refuses("op", NULL, "missing");
	refuses("op", "\"alltoal\"", "did you mean 'alltoall'?");
	refuses("op", "7", "a string");
	refuses("op", "\"\"", "unknown");
	refuses("median_s", NULL, "missing");
	refuses("median_s", "-1e-9", "from 0 up");
	refuses("median_s", "\"3\"", "a number");
	refuses("max_s", "1e-9", "below the median");
	refuses("min_s", "1", "above the median");
	refuses("bytes", "-1", "from 0 up");
	refuses("ranks", "2.5", "an integer");
	refuses("ranks", "-2", "outside 0..");
	refuses("ranks", "2147483648", "outside 0..");
	refuses("count", "true", "an integer");
	refuses("wrong", "-2", "below -1");
	refuses("pair", "-1", "below 0");
	refuses("plan", "\"a\\u0009b\"", "control");
	refuses("layer", "{}", "a string");
	refuses("tier", "\"a name that is as long as thirty-two\"", "31");
	refuses("tier", "\"a\\u0000b\"", "NUL");
	refuses("tier", "\"a\\nb\"", "control");
	refuses("tier", "\"\\u00e9\"", "ASCII");
}

/* A layer needs its shape and which of its passes was timed. */
static void test_layer(void **state)
{
	struct sample s = full;

	(void)state;
	memcpy(s.op, "layer", 6);
	memcpy(s.variant, "step", 5);
	assert_int_equal(sample_check(&s), ST_OK);
	memcpy(s.variant, "forward", 8);
	assert_int_equal(sample_check(&s), ST_OK);
	memcpy(s.variant, "backward", 9);
	assert_int_equal(sample_check(&s), ST_INPUT);
	assert_non_null(strstr(err_msg(), "'backward' is neither"));
	memcpy(s.variant, "step", 5);
	s.k = 0;
	assert_int_equal(sample_check(&s), ST_INPUT);
	assert_non_null(strstr(err_msg(), "op 'layer': needs m"));
}

/* 31 bytes fit, 32 do not: the NUL has to. */
static void test_text_limit(void **state)
{
	(void)state;
	assert_int_equal(with("tier", "\"1234567890123456789012345678901\""),
			 ST_OK);
	refuses("tier", "\"12345678901234567890123456789012\"", "32 bytes");
}

static void test_check_structs(void **state)
{
	struct sample s = full;
	struct run_info r = run;

	(void)state;
	assert_int_equal(sample_check(&s), ST_OK);
	s.p95_s = NAN;
	assert_int_equal(sample_check(&s), ST_INPUT);
	s = full;
	s.bytes = INFINITY;
	assert_int_equal(sample_check(&s), ST_INPUT);
	s = full;
	memset(s.beside, 'x', sizeof(s.beside));
	assert_int_equal(sample_check(&s), ST_INPUT);
	s = full;
	memcpy(s.op, "gemm", 5);
	s.batch = 0;
	assert_int_equal(sample_check(&s), ST_INPUT);
	assert_non_null(strstr(err_msg(), "above 0"));
	s.batch = 1;
	assert_int_equal(sample_check(&s), ST_OK);
	memcpy(r.gpu, "\xff\xfe", 3);
	assert_int_equal(run_info_check(&r), ST_INPUT);
	r = run;
	r.backend[0] = 0;
	assert_int_equal(run_info_check(&r), ST_INPUT);
	r = run;
	r.gpus = -1;
	assert_int_equal(run_info_check(&r), ST_INPUT);
}

static void test_not_an_object(void **state)
{
	json_t *j = json_loads("[1]", 0, NULL);
	struct run_info r;
	struct sample s;

	(void)state;
	assert_int_equal(sample_from_json(j, &s), ST_INPUT);
	assert_int_equal(run_info_from_json(j, &r), ST_INPUT);
	assert_int_equal(sample_from_json(NULL, &s), ST_INPUT);
	json_decref(j);
}

static void test_ops(void **state)
{
	(void)state;
	assert_true(sample_op_known("sendrecv"));
	assert_true(sample_op_is_exchange("sendrecv"));
	assert_true(sample_op_known("gemm"));
	assert_false(sample_op_is_exchange("gemm"));
	assert_false(sample_op_known("Gemm"));
	assert_false(sample_op_is_exchange("what"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample_round_trip),
		cmocka_unit_test(test_run_round_trip),
		cmocka_unit_test(test_optional_fields),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_layer),
		cmocka_unit_test(test_text_limit),
		cmocka_unit_test(test_check_structs),
		cmocka_unit_test(test_not_an_object),
		cmocka_unit_test(test_ops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
