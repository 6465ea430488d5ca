/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"
#include "scenarios/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct doc_node *parse(struct arena *a, const char *text)
{
	struct doc_node *root = NULL;

	if (doc_parse(a, "F", text, strlen(text), &root))
		fail_msg("%s", err_msg());
	return root;
}

static void refused(const char *text, size_t len, const char *want)
{
	struct doc_node *root = NULL;
	struct arena a = { 0 };

	err_clear();
	assert_int_equal(doc_parse(&a, "F", text, len, &root), ST_INPUT);
	assert_null(root);
	if (strncmp(err_msg(), want, strlen(want)))
		fail_msg("'%s' instead of '%s'", err_msg(), want);
	arena_release(&a);
}

static void test_positions(void **state)
{
	struct arena a = { 0 };
	struct doc_node *r, *b;

	(void)state;
	r = parse(&a, "a: 1\nbb: {c: [x, 'y'], d: }  # note\n");
	assert_int_equal(r->kind, DOC_MAPPING);
	assert_int_equal(r->n, 2);
	assert_string_equal(doc_where(&a, doc_get(r, "a")), "F:1:4");
	b = doc_get(r, "bb");
	assert_string_equal(doc_key_where(&a, b), "F:2:1");
	assert_string_equal(doc_where(&a, doc_get(b, "c")), "F:2:9");
	assert_int_equal(doc_get(b, "c")->n, 2);
	assert_string_equal(doc_get(b, "c")->last->text, "y");
	assert_string_equal(doc_where(&a, doc_get(b, "c")->last), "F:2:13");
	assert_false(doc_get(b, "c")->last->plain);
	assert_true(doc_is_null(doc_get(b, "d")));
	assert_null(doc_get(b, "e"));
	arena_release(&a);
}

/* A quoted null is a text; a folded block is one line. */
static void test_scalars(void **state)
{
	struct arena a = { 0 };
	struct doc_node *r;

	(void)state;
	r = parse(&a, "a: 'null'\nb: ~\nc: >-\n  x\n  y\nd: \"\\t\\u20ac\"\n");
	assert_false(doc_is_null(doc_get(r, "a")));
	assert_true(doc_is_null(doc_get(r, "b")));
	assert_string_equal(doc_get(r, "c")->text, "x y");
	assert_string_equal(doc_get(r, "d")->text, "\t\xe2\x82\xac");
	arena_release(&a);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "F: is empty" },
		{ "# only a comment\n", "F: is empty" },
		{ "---\n...\n", "F: is empty" },
		{ "a: 1\nb: 2\na: 3\n", "F:3:1: key 'a' is given twice" },
		{ "a: &x [*x]\n", "F:1:4: anchors and tags are not" },
		{ "a: &x 1\n", "F:1:4: anchors are not supported" },
		{ "a: *x\n", "F:1:4: aliases are not supported" },
		{ "a: !!int 1\n", "F:1:4: tags are not supported" },
		{ "a: !!map {}\n", "F:1:4: anchors and tags" },
		{ "? [a, b]\n: 1\n", "F:1:3: a key must be a plain name" },
		{ "? {a: b}\n: 1\n", "F:1:3: a key must be a plain name" },
		{ "a: 1\n---\nb: 2\n", "F:2:1: more than one document" },
		{ "a: [1, 2\nb: 3\n", "F:2:2: not valid YAML: " },
		{ "a: 1\n b: 2\n", "F:2:3: not valid YAML: " },
		{ "a: \"\\0\"\n", "F:1:4: a value holds a zero byte" },
		{ "a: \t1\n\tb: 2\n", "F:2:1: not valid YAML: " },
		{ "a: \x01\n", "F: not a text file: control characters" },
		{ "a: \xff\xfe\n", "F: not a text file: invalid leading UTF" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		refused(cases[i].text, strlen(cases[i].text),
			cases[i].message);
	}
	refused("a: \0 b", 6, "F: not a text file: zero byte at byte 3");
	/* UTF-16 is not taken, with or without its mark */
	refused("\xff\xfe" "a\0", 4, "F: not a text file: ");
}

static void nested(struct buf *b, int depth)
{
	buf_clear(b);
	buf_fill(b, '[', (size_t)depth);
	buf_fill(b, ']', (size_t)depth);
}

static void test_bounds(void **state)
{
	struct arena a = { 0 };
	struct buf b = { 0 };
	int i;

	(void)state;
	nested(&b, DOC_DEPTH_MAX);
	parse(&a, b.s);
	nested(&b, DOC_DEPTH_MAX + 1);
	refused(b.s, b.len, "F:1:33: nested too deeply");
	nested(&b, 400000);
	refused(b.s, b.len, "F:1:33: nested too deeply");
	buf_clear(&b);
	for (i = 0; i <= DOC_KEYS_MAX; i++) {
		buf_addf(&b, "k%d: 1\n", i);
	}
	refused(b.s, b.len, "F:1001:1: too many keys in one mapping");
	buf_clear(&b);
	buf_puts(&b, "[");
	for (i = 0; i < DOC_NODES_MAX; i++) {
		buf_puts(&b, "1,");
	}
	buf_puts(&b, "]");
	refused(b.s, b.len, "F:1:");
	assert_non_null(strstr(err_msg(), "too many values in one file"));
	buf_clear(&b);
	buf_fill(&b, ' ', DOC_BYTES_MAX + 1);
	refused(b.s, b.len, "F: larger than 1048576 bytes");
	buf_release(&b);
	arena_release(&a);
}

static void test_one_line(void **state)
{
	struct arena a = { 0 };
	struct doc_node *r;

	(void)state;
	assert_int_equal(doc_parse_line(&a, "--set 'x=1'", "[1, a]", &r),
			 ST_OK);
	assert_string_equal(doc_where(&a, r->last), "--set 'x=1'");
	assert_int_equal(doc_parse_line(&a, "--set 'x=['", "[", &r),
			 ST_INPUT);
	assert_memory_equal(err_msg(), "--set 'x=[': not valid YAML", 27);
	arena_release(&a);
}

static void test_files(void **state)
{
	struct arena a = { 0 };
	struct doc_node *r;

	(void)state;
	assert_int_equal(doc_load(&a, "/nonexistent/x.yaml", &r), ST_INPUT);
	assert_non_null(strstr(err_msg(), "/nonexistent/x.yaml"));
	assert_int_equal(doc_load(&a, "/", &r), ST_INPUT);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
