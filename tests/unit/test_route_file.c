/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/route_help.h"

#include <gsl/gsl_rng.h>
#include <sys/stat.h>

#define HEAD "domain,layer_slot,expert,count\n"
#define TRACE "token,layer,e0,e1,p0,p1\n"

/* 10 tokens, top-2 of 4 on 2 ranks, from a file with this text. */
static enum status read_text(enum routing_kind kind, const char *text,
			     size_t n, int layer, const char *domain,
			     struct routing *out)
{
	struct model m = help_model(10, 4, 2);
	struct layout l = help_layout(1, 1, 2, 1);
	struct routing_spec spec = { .kind = kind, .layer = layer };
	enum status st;

	spec.file = help_file(text, n);
	spec.domain = domain ? xstrdup(domain) : NULL;
	err_clear();
	st = routing_make(&spec, &m, &l, 2, out);
	unlink(spec.file);
	free(spec.domain);
	return st;
}

static void expect_row(const struct routing *r, int rank, int a, int b, int c,
		       int d)
{
	assert_int_equal(routing_count(r, rank, 0), a);
	assert_int_equal(routing_count(r, rank, 1), b);
	assert_int_equal(routing_count(r, rank, 2), c);
	assert_int_equal(routing_count(r, rank, 3), d);
}

/*
 * book 0: 1 2 3 4; book 1: 4 3 2 1; code 0: 0 0 5 5. 20 copies a rank: shares
 * of all: 5 5 10 10 of 30: 3.33 3.33 6.67 6.67: 3 3 7 7; of book 0: 2 4 6 8;
 * of layer 0: 1 2 8 9 of 20.
 */
static void counts_are_selected(void **state)
{
	static const char text[] = HEAD
		"book,0,0,1\nbook,0,1,2\nbook,0,2,3\nbook,0,3,4\n"
		"book,1,3,1\nbook,1,2,2\nbook,1,1,3\n\n# note\nbook,1,0,4\r\n"
		"code,0,0,0\ncode,0,1,0\ncode,0,2,5\ncode,0,3,5";
	size_t n = sizeof(text) - 1;
	struct routing r;

	(void)state;
	assert_int_equal(read_text(ROUTING_COUNTS, text, n, -1, NULL, &r), 0);
	expect_row(&r, 0, 3, 3, 7, 7);
	expect_row(&r, 1, 3, 3, 7, 7);
	routing_release(&r);
	assert_int_equal(read_text(ROUTING_COUNTS, text, n, 0, "book", &r), 0);
	expect_row(&r, 0, 2, 4, 6, 8);
	routing_release(&r);
	assert_int_equal(read_text(ROUTING_COUNTS, text, n, 0, NULL, &r), 0);
	expect_row(&r, 1, 1, 2, 8, 9);
	routing_release(&r);
}

/* Layer 7 has 3 tokens: rank 0 takes 0..9, rank 1 10..19, modulo 3. */
static void trace_is_dealt(void **state)
{
	static const char text[] = "# any text\n" TRACE
		"1,7,0,1,0.5,0.5\n1,9,2,3,0.5,0.5\n"
		"2,7,1,2,.75,.25\n3,7,3,0,1,0\n";
	struct routing r;

	(void)state;
	/* rank 0: tokens A B C A B C A B C A: A 4, B 3, C 3 */
	assert_int_equal(read_text(ROUTING_TRACE, text, sizeof(text) - 1, -1,
				   NULL, &r), 0);
	expect_row(&r, 0, 7, 7, 3, 3);
	/* rank 1: B C A ... B: A 3, B 4, C 3 */
	expect_row(&r, 1, 6, 7, 4, 3);
	routing_release(&r);
	assert_int_equal(read_text(ROUTING_TRACE, text, sizeof(text) - 1, 9,
				   NULL, &r), 0);
	expect_row(&r, 1, 0, 0, 10, 10);
	routing_release(&r);
}

static const struct bad {
	enum routing_kind kind;
	int layer;
	const char *domain, *text, *says;
} bad[] = {
	{ ROUTING_COUNTS, -1, NULL, "", ":1: the header is not" },
	{ ROUTING_COUNTS, -1, NULL, "domain,expert\n", ":1: the header" },
	{ ROUTING_COUNTS, -1, NULL, HEAD, ": no rows after the header" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0\n",
	  ":2: 3 columns where the header has 4" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0,1,2\n", ":2: 5 columns" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0,-1\n",
	  ":2: count '-1' is not an integer in 0..1000000000000000" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0,1.5\n", ":2: count '1.5'" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0,nan\n", ":2: count 'nan'" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0,99999999999999999999\n",
	  ":2: count '99999999999999999999'" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,-3,1\n", ":2: expert '-3'" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,,1,1\n", ":2: layer_slot ''" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0,1\na,0,0,1\n",
	  ":3: expert '0' of domain 'a', layer 0, is there twice" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0,1\na,0,7,1\n",
	  "counts of 8 experts, but the model 'tested' has 4" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0,1\na,0,3,1\n",
	  "domain 'a', layer 0: 2 of 4 experts" },
	{ ROUTING_COUNTS, -1, "b", HEAD "a,0,0,1\na,0,1,1\na,0,2,1\na,0,3,1\n",
	  "routing.domain: 'b' is not in" },
	{ ROUTING_COUNTS, 5, NULL, HEAD "a,0,0,1\na,0,1,1\na,0,2,1\na,0,3,1\n",
	  "routing.layer: no counts above 0 for layer '5'" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,0,0\na,0,1,0\na,0,2,0\na,0,3,0\n",
	  "no counts above 0" },
	{ ROUTING_COUNTS, -1, NULL, HEAD "a,0,\x01,1\n",
	  ":2: byte 0x01: not a text file" },
	{ ROUTING_TRACE, -1, NULL, "", ":1: the header does not start" },
	{ ROUTING_TRACE, -1, NULL, HEAD, ":1: the header does not start" },
	{ ROUTING_TRACE, -1, NULL, "token,layer,e0,e2\n", ":1: column 'e2'" },
	{ ROUTING_TRACE, -1, NULL, "token,layer,e0,e1,p0\n",
	  ":1: column 'p0'" },
	{ ROUTING_TRACE, -1, NULL, "token,layer,e0,e1,e2\n",
	  ":1: 3 experts per token, but the model 'tested' has 2" },
	{ ROUTING_TRACE, -1, NULL, "# 32 experts, top-2\n" TRACE,
	  ": a trace of 32 experts, but the model 'tested' has 4" },
	{ ROUTING_TRACE, -1, NULL, TRACE, ": no tokens after the header" },
	{ ROUTING_TRACE, 3, NULL, TRACE "0,0,1,2,0,1\n",
	  ": no tokens of the layer that routing.layer names" },
	{ ROUTING_TRACE, -1, NULL, TRACE "0,0,1,2,0\n", ":2: 5 columns" },
	{ ROUTING_TRACE, -1, NULL, TRACE "0,0,1,4,0,1\n",
	  ":2: expert '4' is not an integer in 0..3" },
	{ ROUTING_TRACE, -1, NULL, TRACE "0,0,-1,2,0,1\n", ":2: expert '-1'" },
	{ ROUTING_TRACE, -1, NULL, TRACE "0,0,2,2,0,1\n",
	  ":2: expert '2' is there twice" },
	{ ROUTING_TRACE, -1, NULL, TRACE "0,0,1,2,0,nan\n",
	  ":2: probability 'nan' is not a number in 0..1" },
	{ ROUTING_TRACE, -1, NULL, TRACE "0,0,1,2,0,-1\n", ":2: probability" },
	{ ROUTING_TRACE, -1, NULL, TRACE "x,0,1,2,0,1\n", ":2: token 'x'" },
};

static void malformed_is_named(void **state)
{
	struct routing r = { .ranks = -7 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct bad *b = &bad[i];

		assert_int_equal(read_text(b->kind, b->text, strlen(b->text),
					   b->layer, b->domain, &r), ST_INPUT);
		if (!strstr(err_msg(), b->says)) {
			fail_msg("'%s' does not say '%s'", err_msg(), b->says);
		}
		assert_int_equal(r.ranks, -7);	/* set on success only */
	}
}

static enum status read_path(const char *path)
{
	struct model m = help_model(10, 4, 2);
	struct layout l = help_layout(1, 1, 2, 1);
	struct routing_spec spec = { .kind = ROUTING_TRACE, .layer = -1 };
	enum status st;
	struct routing r;

	spec.file = xstrdup(path);
	st = routing_make(&spec, &m, &l, 2, &r);
	free(spec.file);
	return st;
}

static void wrong_files_are_named(void **state)
{
	char *path, *line = xcalloc(1, 80000);
	struct routing r;

	(void)state;
	assert_int_equal(read_path("/nonexistent/x.csv"), ST_INPUT);
	assert_string_equal(err_msg(), "routing.file: cannot open "
			    "'/nonexistent/x.csv': No such file or directory");
	assert_int_equal(read_path("/"), ST_INPUT);
	assert_non_null(strstr(err_msg(), "'/' is not a regular file"));
	assert_int_equal(read_path("/dev/zero"), ST_INPUT);
	path = help_file("x", 1);
	assert_int_equal(truncate(path, 300L << 20), 0);	/* sparse */
	assert_int_equal(read_path(path), ST_INPUT);
	assert_non_null(strstr(err_msg(), "has 314572800 bytes, at most"));
	unlink(path);
	memset(line, '1', 79999);
	assert_int_equal(read_text(ROUTING_TRACE, line, 79999, -1, NULL, &r),
			 ST_INPUT);
	assert_non_null(strstr(err_msg(), ":1: the line is longer than"));
	memset(line, ',', 2000);
	assert_int_equal(read_text(ROUTING_TRACE, line, 2000, -1, NULL, &r),
			 ST_INPUT);
	assert_non_null(strstr(err_msg(), ":1: more than 1024 columns"));
	free(line);
}

/* Good files with bytes changed, cut or doubled: a status, never a crash. */
static void fuzzed_files_are_survived(void **state)
{
	static const char *const seed[] = {
		HEAD "a,0,0,1\na,0,1,12\na,0,2,1\na,0,3,1\n",
		"# 4 experts\n" TRACE "0,0,1,2,0.5,.5\n1,0,3,2,0.75,.25\n",
	};
	static const char bytes[] = "0123456789,,,\n\n#.-+e \t\xff\x00x";
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	int i, j, good = 0, wrong = 0;
	struct routing r;
	char text[256];

	(void)state;
	gsl_rng_set(rng, 2385);
	for (i = 0; i < 6000; i++) {
		size_t n = strlen(seed[i % 2]);

		memcpy(text, seed[i % 2], n);
		for (j = 0; j < i % 4; j++) {
			text[gsl_rng_uniform_int(rng, n)] = bytes[
				gsl_rng_uniform_int(rng, sizeof(bytes) - 1)];
		}
		if (i % 5 == 0) {
			n = gsl_rng_uniform_int(rng, n);
		}
		switch (read_text(i % 2 ? ROUTING_TRACE : ROUTING_COUNTS, text,
				  n, -1, NULL, &r)) {
		case ST_OK:
			routing_check(&r);
			routing_release(&r);
			good++;
			break;
		case ST_INPUT:
			assert_true(strlen(err_msg()) > 10);
			wrong++;
			break;
		default:
			fail_msg("status of a malformed file: %s", err_msg());
		}
	}
	gsl_rng_free(rng);
	assert_true(good > 500 && wrong > 500);
}

static void make_shared(enum routing_kind kind, const char *path, int experts,
			int k, int layer, const char *domain,
			struct routing *out)
{
	struct routing_spec spec = { .kind = kind, .layer = layer };

	spec.file = xstrdup(path);
	spec.domain = domain ? xstrdup(domain) : NULL;
	help_make(&spec, 8, 4096, experts, k, out);
	free(spec.file);
	free(spec.domain);
}

/* Expert 0 of book 0 has 1215 of 1671168 copies: 23.82 of 32768. */
static void olmoe_counts(void **state)
{
	const char *path = help_shared("olmoe_expert_counts.csv");
	struct routing r;

	(void)state;
	if (!path) {
		skip();
	}
	make_shared(ROUTING_COUNTS, path, 64, 8, 0, "book", &r);
	assert_int_equal(routing_count(&r, 0, 0), 24);
	assert_int_equal(routing_count(&r, 7, 0), 24);
	assert_true(capacity_drop(&r, capacity_slots(&r, 1)) > 0.1);
	routing_release(&r);
	make_shared(ROUTING_COUNTS, path, 64, 8, -1, NULL, &r);
	routing_release(&r);
}

static void mixtral_counts(void **state)
{
	const char *path = help_shared("mixtral_expert_counts.csv");
	struct model m = help_model(16, 64, 8);
	struct layout l = help_layout(1, 1, 2, 1);
	struct routing_spec spec = { .kind = ROUTING_COUNTS, .layer = -1 };
	struct routing r;

	(void)state;
	if (!path) {
		skip();
	}
	make_shared(ROUTING_COUNTS, path, 8, 2, 1, "c4", &r);
	routing_release(&r);
	spec.file = xstrdup(path);
	assert_int_equal(routing_make(&spec, &m, &l, 2, &r), ST_INPUT);
	assert_non_null(strstr(err_msg(), "of 8 experts, but the model"));
	free(spec.file);
}

/* 434 tokens a layer: 4096 = 9 * 434 + 190, whole rounds and a rest. */
static void gpt_oss_traces(void **state)
{
	static const char *const name[] = { "tokens_gpqa_main_1.csv",
					    "tokens_mmlu_test_1.csv" };
	struct routing r;
	int i;

	(void)state;
	if (!help_shared(name[0])) {
		skip();
	}
	for (i = 0; i < 2; i++) {
		make_shared(ROUTING_TRACE, help_shared(name[i]), 32, 4, -1,
			    NULL, &r);
		assert_int_equal(routing_token(&r, 0)[0], 31);
		assert_int_equal(routing_token(&r, r.n_trace)[3], 6);
		assert_true(i || r.n_trace == 434);
		routing_release(&r);
		make_shared(ROUTING_TRACE, help_shared(name[i]), 32, 4, 23,
			    NULL, &r);
		routing_release(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_selected),
		cmocka_unit_test(trace_is_dealt),
		cmocka_unit_test(malformed_is_named),
		cmocka_unit_test(wrong_files_are_named),
		cmocka_unit_test(fuzzed_files_are_survived),
		cmocka_unit_test(olmoe_counts),
		cmocka_unit_test(mixtral_counts),
		cmocka_unit_test(gpt_oss_traces),
	};

	gsl_set_error_handler_off();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
