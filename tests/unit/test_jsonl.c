/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The runner's lines, and texts of them into and out of a database. */
#include "base/buf.h"
#include "profiles/jsonl.h"
#include "scenarios/sample_line.h"
#include "tests/unit/store_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* last: it needs the four above */
#include <cmocka.h>

#define RUN "{\"type\": \"run\", \"backend\": \"host\", \"gpus\": %d}\n"
#define COPY "{\"type\": \"sample\", \"op\": \"copy\", \"bytes\": %d, " \
	"\"median_s\": 1}\n"

static enum status parse(const char *line, struct sample_line *out)
{
	return sample_line_parse(line, strlen(line), out);
}

static void test_lines(void **state)
{
	struct sample_line l;

	(void)state;
	assert_int_equal(parse("{\"type\": \"progress\", \"done\": 2, \"total\""
			       ": 8.5, \"what\": \"gemm\"}", &l), ST_OK);
	assert_int_equal(l.kind, SAMPLE_LINE_PROGRESS);
	assert_true(l.done == 2 && l.total == 8.5);
	assert_string_equal(l.text, "gemm");
	assert_int_equal(parse("{\"type\": \"end\", \"samples\": 12}", &l),
			 ST_OK);
	assert_int_equal(l.kind, SAMPLE_LINE_END);
	assert_int_equal(l.samples, 12);
	assert_int_equal(parse("{\"type\": \"end\"}", &l), ST_OK);
	assert_int_equal(l.samples, -1);
	assert_int_equal(parse("{\"type\": \"error\", \"message\": \"no\"}",
			       &l), ST_OK);
	assert_int_equal(l.kind, SAMPLE_LINE_ERROR);
	assert_string_equal(l.text, "no");
}

static void line_refused(const char *line, const char *text)
{
	struct sample_line l = { .kind = SAMPLE_LINE_END, .samples = 7 };

	assert_int_equal(parse(line, &l), ST_INPUT);
	assert_int_equal(l.samples, 7);
	if (!strstr(err_msg(), text))
		fail_msg("'%s' lacks '%s'", err_msg(), text);
}

static void test_lines_refused(void **state)
{
	char *big = malloc(SAMPLE_LINE_MAX + 2);
	struct sample_line l;

	(void)state;
	line_refused("", "no JSON");
	line_refused("{\"type\": \"end\"", "no JSON");
	line_refused("[1, 2]", "'type': is missing");
	line_refused("{\"type\": \"finish\"}", "'finish'; allowed are run");
	line_refused("{\"type\": \"end\", \"samples\": -3}", "'samples'");
	line_refused("{\"type\": \"progress\", \"done\": 3}", "'total'");
	line_refused("{\"type\": \"progress\", \"done\": \"3\"}", "'done'");
	line_refused("{\"type\": \"end\", \"type\": \"end\"}", "no JSON");
	line_refused("{\"type\": \"sample\", \"op\": \"copy\"}", "'median_s'");
	assert_non_null(big);
	memset(big, '[', SAMPLE_LINE_MAX + 1);
	assert_int_equal(sample_line_parse(big, SAMPLE_LINE_MAX + 1, &l),
			 ST_INPUT);
	assert_int_equal(sample_line_parse(big, SAMPLE_LINE_MAX, &l),
			 ST_INPUT);
	free(big);
}

static void test_line_round_trip(void **state)
{
	struct sample_line l;
	struct buf b = { 0 };

	(void)state;
	sample_line_put(&b, &full_sample);
	assert_int_equal(parse(b.s, &l), ST_OK);
	assert_int_equal(l.kind, SAMPLE_LINE_SAMPLE);
	assert_memory_equal(&l.sample, &full_sample, sizeof(full_sample));
	buf_clear(&b);
	sample_line_put_run(&b, &full_run);
	assert_int_equal(b.s[b.len - 1], '\n');
	assert_int_equal(parse(b.s, &l), ST_OK);
	assert_memory_equal(&l.run, &full_run, sizeof(full_run));
	buf_release(&b);
}

static void load(struct store *db, const struct buf *b, size_t runs,
		 size_t samples, size_t known, size_t skips)
{
	struct jsonl_result r = { 0 };

	assert_int_equal(store_load_jsonl(db, "text", b->s, b->len, &r),
			 ST_OK);
	if (r.runs != runs || r.samples != samples || r.runs_known != known ||
	    r.n_skips != skips)
		fail_msg("%zu runs, %zu samples, %zu known, %zu skipped",
			 r.runs, r.samples, r.runs_known, r.n_skips);
	jsonl_result_release(&r);
}

/* Two runs of 2 and 1 samples, then parts of them and other spellings. */
static void test_load(void **state)
{
	struct store *db = opened(STORE_MEMORY, STORE_WRITE);
	struct buf b = { 0 };

	(void)state;
	buf_addf(&b, RUN COPY "\n \r\n" COPY RUN COPY "{\"type\": \"end\"}",
		 1, 5, 6, 2, 5);
	load(db, &b, 2, 3, 0, 0);
	load(db, &b, 0, 0, 2, 0);
	buf_clear(&b);
	buf_addf(&b, "{\"gpus\":2,\"backend\":\"host\",\"type\":\"run\"}\n"
		 "{\"type\":\"progress\",\"done\":1,\"total\":2}\n" COPY, 5);
	load(db, &b, 0, 0, 1, 0);
	buf_addf(&b, COPY, 7);	/* another content */
	load(db, &b, 1, 2, 0, 0);
	buf_clear(&b);
	/* the same run twice in one text counts once */
	buf_addf(&b, RUN COPY RUN COPY, 3, 1, 3, 1);
	load(db, &b, 1, 1, 1, 0);
	expect_sound(db);
	store_close(db);
	buf_release(&b);
}

static void test_skips(void **state)
{
	struct store *db = opened(STORE_MEMORY, STORE_WRITE);
	struct jsonl_result r = { 0 };
	struct buf b = { 0 };

	(void)state;
	/* lines: 1 no run, 2 empty run, 3, 4, 5 wrong op, 6 cut */
	buf_addf(&b, COPY RUN RUN COPY "{\"type\": \"sample\", \"op\": 3}\n"
		 "{\"type\": \"sam", 1, 1, 2, 9);
	assert_int_equal(store_load_jsonl(db, "text", b.s, b.len, &r), ST_OK);
	assert_true(r.runs == 1 && r.samples == 1 && r.n_skips == 4);
	assert_int_equal(r.skip[0].line, 1);
	assert_int_equal(r.skip[1].line, 2);
	assert_non_null(strstr(r.skip[1].why, "without samples"));
	assert_int_equal(r.skip[2].line, 5);
	assert_non_null(strstr(r.skip[2].why, "'op'"));
	assert_int_equal(r.skip[3].line, 6);
	jsonl_result_release(&r);
	assert_int_equal(store_load_jsonl(db, "text", "", 0, &r), ST_INPUT);
	assert_int_equal(store_load_jsonl(db, "text", "\0\1", 2, &r),
			 ST_INPUT);
	assert_non_null(strstr(err_msg(), "'text' has no run with samples"));
	store_close(db);
	buf_release(&b);
}

/* A measured run has no key, and is known by its content all the same. */
static void test_save(void **state)
{
	struct store *db = opened(STORE_MEMORY, STORE_WRITE), *copy;
	struct sample s[3] = { full_sample, numbered_sample(3), full_sample };
	struct buf a = { 0 }, b = { 0 };
	int64_t run;

	(void)state;
	assert_int_equal(store_save_jsonl(db, &a), ST_OK);
	assert_int_equal(a.len, 0);
	assert_int_equal(store_run(db, &full_run, NULL, &run), ST_OK);
	assert_int_equal(store_add(db, run, s, 2), ST_OK);
	assert_int_equal(store_add(db, run, s + 2, 1), ST_OK);
	assert_int_equal(store_run(db, &full_run, NULL, &run), ST_OK);
	assert_int_equal(store_add(db, run, s, 1), ST_OK);
	assert_int_equal(store_save_jsonl(db, &a), ST_OK);
	load(db, &a, 0, 0, 2, 0);
	copy = opened(STORE_MEMORY, STORE_WRITE);
	load(copy, &a, 2, 4, 0, 0);
	assert_int_equal(store_save_jsonl(copy, &b), ST_OK);
	assert_string_equal(buf_str(&a), buf_str(&b));
	store_close(copy);
	store_close(db);
	buf_release(&a);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_refused),
		cmocka_unit_test(test_line_round_trip),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_skips),
		cmocka_unit_test(test_save),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
