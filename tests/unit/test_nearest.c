/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {
	"layer.hidden", "layer.experts", "layer.top_k", "routing.zipf", "cat",
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static const char *nearest(const char *word)
{
	const char *found = nearest_name(word, names, N_NAMES);

	return found ? found : "none";
}

static void test_found(void **state)
{
	(void)state;
	assert_string_equal(nearest("layer.hidden"), "layer.hidden");
	assert_string_equal(nearest("layer.hiden"), "layer.hidden");
	assert_string_equal(nearest("layer.hiddden"), "layer.hidden");
	assert_string_equal(nearest("layer.hidxen"), "layer.hidden");
	/* one swap, not two replacements */
	assert_string_equal(nearest("act"), "cat");
	assert_string_equal(nearest("lyaer.hiedn"), "layer.hidden");
}

/* 12 letters: up to four edits; "zzzzz.hidden" needs five */
static void test_limit(void **state)
{
	const char *two_letters = "ab";

	(void)state;
	assert_string_equal(nearest("zzzz..hidden"), "none");
	assert_string_equal(nearest("zzzzr.hidden"), "layer.hidden");
	assert_string_equal(nearest("zzzzz.hidden"), "none");
	assert_string_equal(nearest("dog"), "none");
	assert_string_equal(nearest("xy"), "none");
	assert_string_equal(nearest(""), "none");
	/* two edits, but nothing in common */
	assert_null(nearest_name("xy", &two_letters, 1));
}

static void test_first_of_ties(void **state)
{
	static const char *const tied[] = { "bat", "cat", "rat" };

	(void)state;
	assert_string_equal(nearest_name("hat", tied, 3), "bat");
	assert_null(nearest_name("hat", tied, 0));
}

static void test_long_words(void **state)
{
	static char word[100000];
	const char *const longs[] = { word, "cat" };

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	assert_null(nearest_name(word, names, N_NAMES));
	assert_string_equal(nearest_name("cut", longs, 2), "cat");
}

static void test_hint(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(nearest_hint("cta", names, N_NAMES, text,
					 sizeof(text)),
			    " (did you mean 'cat'?)");
	assert_string_equal(nearest_hint("xylophone", names, N_NAMES, text,
					 sizeof(text)), "");
	nearest_hint("cta", names, N_NAMES, text, 8);
	assert_string_equal(text, " (did y");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_first_of_ties),
		cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_hint),
	};

	return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
