/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"
#include "base/outfile.h"
#include "reports/trace.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Two chunks; picoseconds that no double of microseconds would round. */
static const struct report_op ops[] = {
	{ OP_GATE, LANE_COMPUTE, 0, 1, 0, 0, 1000001 },
	{ OP_DISPATCH, LANE_INTER, 0, 2, 0, 1000001, 3500000 },
	{ OP_DISPATCH, LANE_INTER, 1, 2, 0, 3500000, 6000003 },
	{ OP_EXPERT, LANE_COMPUTE, 0, 2, 0, 3500000, 5000000 },
	{ OP_EXPERT, LANE_COMPUTE, 1, 2, 0, 6000003, 8000000 },
	{ OP_COMBINE_BWD, LANE_INTRA, 0, 1, 1, 8000000, 8000000 },
};
#define N_OPS (int)(sizeof(ops) / sizeof(ops[0]))

static json_t *make_trace(void)
{
	struct trace *t = trace_new();
	struct buf text = { 0 };
	json_error_t error;
	json_t *root;

	trace_note(t, "scenario", "quotes \" and \\ and \n and \xff");
	trace_note(t, "seed", "1");
	trace_add_ops(t, ops, N_OPS);
	trace_print(t, &text);
	root = json_loadb(text.s, text.len, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		print_error("line %d: %s\n", error.line, error.text);
	assert_non_null(root);
	buf_release(&text);
	trace_free(t);
	return root;
}

static double field(const json_t *e, const char *name)
{
	json_t *v = json_object_get(e, name);

	assert_true(json_is_number(v));
	return json_number_value(v);
}

/* Durations per lane: by hand 1.000001 + 1.5 + 1.999... us on compute. */
static void test_lane_sums(void **state)
{
	double sum[LANE_N] = { 0 }, want[LANE_N] = { 0 };
	json_t *root = make_trace(), *e;
	size_t i;
	int k, events = 0;

	(void)state;
	json_array_foreach(json_object_get(root, "traceEvents"), i, e) {
		if (strcmp(json_string_value(json_object_get(e, "ph")), "X"))
			continue;
		sum[(int)field(e, "tid")] += field(e, "dur");
		events++;
	}
	for (k = 0; k < N_OPS; k++)
		want[ops[k].lane] += (double)(ops[k].finish_ps -
					      ops[k].start_ps) / 1e6;
	assert_int_equal(events, N_OPS);
	for (k = 0; k < LANE_N; k++)
		assert_true(fabs(sum[k] - want[k]) < 1e-9);
	/* 1.000001 + 1.5 + 1.999997 */
	assert_true(fabs(sum[LANE_COMPUTE] - 4.499998) < 1e-9);
	json_decref(root);
}

static void test_no_overlap(void **state)
{
	json_t *root = make_trace(), *e;
	double end[LANE_N] = { 0 };
	size_t i;
	int lane;

	(void)state;
	json_array_foreach(json_object_get(root, "traceEvents"), i, e) {
		if (strcmp(json_string_value(json_object_get(e, "ph")), "X"))
			continue;
		lane = (int)field(e, "tid");
		assert_true(field(e, "ts") >= end[lane] - 1e-9);
		end[lane] = field(e, "ts") + field(e, "dur");
	}
	json_decref(root);
}

static void test_names(void **state)
{
	json_t *root = make_trace(), *e, *args;
	const char *name;
	int lanes = 0, processes = 0;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(root, "traceEvents"), i, e) {
		name = json_string_value(json_object_get(e, "name"));
		lanes += !strcmp(name, "thread_name");
		processes += !strcmp(name, "process_name");
		if (strcmp(name, "expert 2/2"))
			continue;
		args = json_object_get(e, "args");
		assert_string_equal(json_string_value(json_object_get(args,
				    "pass")), "forward");
		assert_int_equal((int)field(args, "chunk"), 1);
	}
	assert_int_equal(lanes, LANE_N);
	assert_int_equal(processes, 1);
	assert_string_equal(json_string_value(json_object_get(
		json_object_get(root, "otherData"), "scenario")),
		"quotes \" and \\ and   and ?");
	json_decref(root);
}

/* Exact decimals: nothing of the picoseconds is lost in the text. */
static void test_exact_text(void **state)
{
	struct trace *t = trace_new();
	struct buf text = { 0 };

	(void)state;
	trace_event(t, &(struct trace_event){
		.name = "x", .category = "y", .start_ps = 12345678901234567,
		.finish_ps = 12345678901234570 });
	trace_print(t, &text);
	assert_non_null(strstr(text.s, "\"ts\":12345678901.234567,"));
	assert_non_null(strstr(text.s, "\"dur\":0.000003,"));
	buf_release(&text);
	trace_free(t);
}

static void test_write(void **state)
{
	struct trace *t = trace_new();
	char path[] = "test_trace.json";
	char *text;
	size_t len;

	(void)state;
	trace_add_ops(t, ops, N_OPS);
	assert_int_equal(trace_write(t, path), ST_OK);
	assert_int_equal(infile_read(path, 1 << 20, &text, &len), ST_OK);
	assert_true(len > 100);
	free(text);
	unlink(path);
	assert_int_not_equal(trace_write(t, "/nonexistent/dir/x.json"), ST_OK);
	trace_free(t);
	trace_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lane_sums),
		cmocka_unit_test(test_no_overlap),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_exact_text),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
