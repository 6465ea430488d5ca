/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The key table against itself, and values through key_set/key_print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios/doc.h"
#include "scenarios/scenario_rules.h"
#include "tests/unit/scenario_help.h"

#define HELP_WIDTH 160	/* of a row's help */

static struct doc_node *node(struct arena *a, const char *text)
{
	struct doc_node *n = NULL;

	if (doc_parse_line(a, "T", text, &n))
		fail_msg("%s: %s", text, err_msg());
	return n;
}

static void check_table(const struct key_row *rows, size_t n, size_t size)
{
	size_t i, j;

	for (i = 0; i < n; i++) {
		const struct key_row *k = &rows[i];
		size_t len = strlen(k->name), end = strlen(k->help);

		assert_true(end > 0 && end <= HELP_WIDTH);
		assert_true(k->help[end - 1] != '.');
		assert_true(k->min <= k->max);
		assert_true(k->offset + key_field_size(k) <= size);
		assert_true(!k->names == (k->type != KEY_ENUM &&
					  k->type != KEY_MASK));
		for (j = 0; j < n; j++) {
			const char *other = rows[j].name;

			assert_true(i == j || strcmp(k->name, other));
			/* a key is no section of another */
			if (k->type != KEY_SOURCE &&
			    !strncmp(other, k->name, len))
				assert_true(other[len] != '.');
		}
	}
}

/* No two rows write the same bytes. */
static void check_overlap(const struct key_row *rows, size_t n)
{
	size_t i, j;

	for (i = 0; i < n; i++) {
		for (j = 0; j < i; j++) {
			size_t a = rows[i].offset, b = rows[j].offset;

			if (rows[i].type == KEY_SOURCE ||
			    rows[j].type == KEY_SOURCE)
				continue;
			if (a + key_field_size(&rows[i]) > b &&
			    b + key_field_size(&rows[j]) > a)
				fail_msg("%s and %s", rows[i].name,
					 rows[j].name);
		}
	}
}

static void test_tables(void **state)
{
	(void)state;
	check_table(scenario_keys, n_scenario_keys, sizeof(struct scenario));
	check_table(gpu_keys, n_gpu_keys, sizeof(struct gpu));
	check_overlap(scenario_keys, n_scenario_keys);
	check_overlap(gpu_keys, n_gpu_keys);
}

/* Defaults are allowed values, and what is printed reads back. */
static void check_default(const struct key_row *k, void *base)
{
	struct arena a = { 0 };
	struct buf first = { 0 }, second = { 0 };

	if (!k->def || !*k->def || k->type == KEY_SOURCE)
		return;
	if (key_set(k, base, &a, k->name, node(&a, k->def)))
		fail_msg("%s", err_msg());
	key_print(k, base, &first);
	assert_int_equal(key_set(k, base, &a, k->name,
				 node(&a, buf_str(&first))), ST_OK);
	key_print(k, base, &second);
	assert_string_equal(buf_str(&first), buf_str(&second));
	buf_release(&first);
	buf_release(&second);
	arena_release(&a);
}

static void test_defaults(void **state)
{
	struct scenario *s = xcalloc(1, sizeof(*s));
	size_t i;

	(void)state;
	for (i = 0; i < n_scenario_keys; i++) {
		check_default(&scenario_keys[i], s);
	}
	for (i = 0; i < n_gpu_keys; i++) {
		check_default(&gpu_keys[i], &s->cluster.gpu);
	}
	free(s);
}

static bool allowed(const struct key_row *k, struct scenario *s,
		    const char *text)
{
	struct arena a = { 0 };
	enum status st = key_set(k, s, &a, k->name, node(&a, text));

	if (st)
		assert_non_null(strstr(err_msg(), k->name));
	arena_release(&a);
	return !st;
}

static bool number_allowed(const struct key_row *k, struct scenario *s,
			   double v)
{
	char text[64];

	if (k->type == KEY_REAL)
		snprintf(text, sizeof(text), "%.17g", v);
	else
		snprintf(text, sizeof(text), "%.0f", v);
	return allowed(k, s, text);
}

/* Both ends of every range are in it, what lies beyond is not. */
static void test_ranges(void **state)
{
	struct scenario *s = xcalloc(1, sizeof(*s));
	size_t i;

	(void)state;
	for (i = 0; i < n_scenario_keys; i++) {
		const struct key_row *k = &scenario_keys[i];

		if (k->type != KEY_INT && k->type != KEY_REAL &&
		    k->type != KEY_KNOB_INT)
			continue;
		assert_true(number_allowed(k, s, k->min));
		assert_true(number_allowed(k, s, k->max));
		assert_false(number_allowed(k, s, k->max * 1.1 + 1));
		assert_false(number_allowed(k, s, k->min - 1));
		assert_false(allowed(k, s, "nan"));
		assert_false(allowed(k, s, ".inf"));
		assert_false(allowed(k, s, "1e999"));
		assert_false(allowed(k, s, "8x"));
		assert_false(allowed(k, s, "{a: 1}"));
		assert_false(allowed(k, s, "[]"));
	}
	free(s);
}

static void test_seed(void **state)
{
	const struct key_row *k = key_find("routing.seed");
	struct scenario *s = xcalloc(1, sizeof(*s));

	(void)state;
	assert_true(allowed(k, s, "18446744073709551615"));
	assert_true(s->routing.seed == UINT64_MAX);
	assert_false(allowed(k, s, "18446744073709551616"));
	assert_false(allowed(k, s, "-1"));
	assert_true(s->routing.seed == UINT64_MAX);
	free(s);
}

static void test_knobs(void **state)
{
	struct scenario *s = xcalloc(1, sizeof(*s));
	const struct key_row *degree = key_find("search.degree");
	const struct key_row *capacity = key_find("search.capacity");
	const struct key_row *a2a = key_find("search.alltoall");

	(void)state;
	assert_true(allowed(degree, s, "[4, 1]"));
	assert_int_equal(s->search.degree.n, 2);
	assert_int_equal(s->search.degree.v[0], 4);
	assert_false(allowed(degree, s, "[4, 4]"));
	assert_false(allowed(degree, s, "[4, auto]"));
	assert_false(allowed(degree, s, "[[4]]"));
	assert_false(allowed(degree, s, "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,"
			     "15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,"
			     "30,31,32,33]"));
	assert_int_equal(s->search.degree.v[0], 4);
	assert_true(allowed(degree, s, "auto"));
	assert_true(s->search.degree.is_auto);
	assert_int_equal(s->search.degree.n, 0);
	assert_true(allowed(capacity, s, "[none, 1.25]"));
	assert_true(s->search.capacity.v[0] == 0);
	assert_true(s->search.capacity.v[1] == 1.25);
	assert_false(allowed(capacity, s, "[none, dropless]"));
	assert_true(allowed(a2a, s, "flat"));
	assert_int_equal(s->search.alltoall_mask, 1u << A2A_FLAT);
	assert_true(allowed(a2a, s, "[2d, dedup]"));
	assert_int_equal(s->search.alltoall_mask,
			 1u << A2A_2D | 1u << A2A_DEDUP);
	assert_true(allowed(a2a, s, "auto"));
	assert_int_equal(s->search.alltoall_mask, (1u << A2A_N) - 1);
	assert_false(allowed(a2a, s, "[auto]"));
	assert_false(allowed(a2a, s, "[]"));
	assert_false(allowed(a2a, s, "{flat: 1}"));
	free(s);
}

static void test_text(void **state)
{
	struct scenario *s = xcalloc(1, sizeof(*s));
	const struct key_row *k = key_find("cluster.name");
	char text[NAME_MAX_LEN + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[NAME_MAX_LEN] = '\0';
	assert_false(allowed(k, s, text));
	text[NAME_MAX_LEN - 1] = '\0';
	assert_true(allowed(k, s, text));
	assert_string_equal(s->cluster.name, text);
	assert_false(allowed(k, s, "\"a\\eb\""));
	free(s);
}

/* Texts that YAML would take for something else, or not at all. */
static void test_quote(void **state)
{
	static const char *const texts[] = {
		"plain", "a b", "8x8", "", "null", "true", "~", "a: b", "- a",
		"#x", "a #b", "'", "\"", "\\", "two\nlines", "tab\there",
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc2\x85", "\x7f",
		"\xe2\x80\xa8", "\xef\xbb\xbf", "@x", "%x", "{a}", "[a]",
		"auto", " lead", "trail ", "a/b-c_d.yaml",
	};
	struct arena a = { 0 };
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		buf_clear(&b);
		buf_puts(&b, "k: ");
		key_quote(texts[i], &b);
		assert_string_equal(node(&a, b.s)->first->text, texts[i]);
	}
	buf_release(&b);
	arena_release(&a);
}

static void test_rules(void **state)
{
	const struct key_rule *r;

	(void)state;
	for (r = key_rules; r->key; r++) {
		assert_non_null(key_find(r->key));
		assert_non_null(key_find(r->decider));
		/* a key that must be given has no default */
		if (r->required)
			assert_string_equal(key_find(r->key)->def, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_knobs),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
