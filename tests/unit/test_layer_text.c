/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scenarios/layer_text.h: a layer's line to a scenario and back. */
#include "scenarios/layer_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* last: it needs the four above */
#include <cmocka.h>

#define LINE "gpu=h200-sxm nodes=2 gpus=1 tier=shm tokens=4096 hidden=2048 " \
	"ffn=1408 experts=64 k=6 gated=true dtype=bf16 routing=zipf " \
	"skew=1.25 seed=7 name=some-layer"

static void test_there_and_back(void **state)
{
	char tier[SAMPLE_TEXT], text[256];
	struct scenario s;

	(void)state;
	assert_int_equal(layer_text_scenario(LINE, NULL, 0, &s, tier), ST_OK);
	assert_string_equal(tier, "shm");
	assert_int_equal(s.profile.inter, PROFILE_SHM);
	assert_int_equal(s.cluster.nodes, 2);
	assert_int_equal(s.cluster.gpus_per_node, 1);
	assert_int_equal(s.model.sequence, 4096);
	assert_int_equal(s.model.hidden, 2048);
	assert_int_equal(s.model.expert_ffn, 1408);
	assert_int_equal(s.model.experts_per_token, 6);
	assert_int_equal(s.model.dtype, DT_BF16);
	assert_int_equal(s.routing.kind, ROUTING_ZIPF);
	assert_true(s.routing.skew == 1.25 && s.routing.seed == 7);
	assert_int_equal(layer_text_print(&s, tier, text, sizeof(text)),
			 ST_OK);
	assert_string_equal(text, LINE);
	assert_int_equal(layer_text_print(&s, tier, text, 100), ST_INPUT);
	s.model.shared_experts = 2;
	s.model.shared_ffn = 2816;
	assert_int_equal(layer_text_print(&s, tier, text, sizeof(text)),
			 ST_OK);
	assert_non_null(strstr(text, " gated=true shared=2816 dtype"));
	scenario_release(&s);
	assert_int_equal(layer_text_scenario(text, NULL, 0, &s, tier), ST_OK);
	assert_int_equal(s.model.shared_ffn, 2816);
	/* sequences are counted together, a name has no blanks */
	s.model.batch_per_gpu = 2;
	memcpy(s.model.name, "a b=c", 6);
	assert_int_equal(layer_text_print(&s, tier, text, sizeof(text)),
			 ST_OK);
	assert_non_null(strstr(text, " tokens=8192 "));
	assert_non_null(strstr(text, " name=a-b-c"));
	scenario_release(&s);
}

/* One node: the tier is the GPU file's; even routing has no skew. */
static void test_one_node(void **state)
{
	static const char line[] = "gpu=h200-sxm nodes=1 gpus=2 tier=nvlink "
		"tokens=64 hidden=64 ffn=64 experts=8 k=2 gated=false "
		"dtype=fp32 routing=uniform seed=1 name=small";
	char text[256];
	struct scenario s;

	(void)state;
	if (layer_text_scenario(line, NULL, 0, &s, NULL))
		fail_msg("%s", err_msg());
	assert_int_equal(s.profile.inter, PROFILE_NETWORK);
	assert_int_equal(layer_text_print(&s, "nvlink", text, sizeof(text)),
			 ST_OK);
	assert_string_equal(text, line);
	s.routing.kind = ROUTING_TRACE;
	assert_int_equal(layer_text_print(&s, "nvlink", text, sizeof(text)),
			 ST_INPUT);
	scenario_release(&s);
}

/* What the user sets stands above the line. */
static void test_sets(void **state)
{
	const struct scenario_set sets[] = { { "model.hidden=512" },
					     { "profile.use=off" } };
	struct scenario s;

	(void)state;
	assert_int_equal(layer_text_scenario(LINE, sets, 2, &s, NULL), ST_OK);
	assert_int_equal(s.model.hidden, 512);
	assert_int_equal(s.model.expert_ffn, 1408);
	assert_int_equal(s.profile.use, PROFILE_OFF);
	scenario_release(&s);
	assert_int_equal(layer_text_scenario(LINE, sets, 1000, &s, NULL),
			 ST_INPUT);
}

static void refuses(const char *from, const char *to, const char *message)
{
	static const char line[] = LINE;
	const char *at = strstr(line, from);
	char text[512];
	struct scenario s;

	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - line), line, to,
		 at + strlen(from));
	err_clear();
	assert_int_equal(layer_text_scenario(text, NULL, 0, &s, NULL), ST_INPUT);
	if (strncmp(err_msg(), "layer", 5) || !strstr(err_msg(), message))
		fail_msg("'%s' lacks '%s'", err_msg(), message);
}

static void test_refusals(void **state)
{
	(void)state;
	refuses("tokens=4096 ", "", "'tokens' is missing");
	refuses("tokens=", "token=", "did you mean 'tokens'");
	refuses("tokens=4096", "tokens=4096 tokens=1", "twice");
	refuses("tokens=4096", "tokens=-1", "model.sequence");
	refuses("tokens=4096", "tokens=", "NAME=VALUE");
	refuses("tokens=4096", "=4096", "NAME=VALUE");
	refuses("tokens=4096", "tokens", "NAME=VALUE");
	refuses("tokens=4096", "tokens=99999999999999999999999999999999999999"
		"99999999999999999999999999999999999999999", "NAME=VALUE");
	refuses("tier=shm", "tier=memory", "none of nvlink");
	refuses("gpu=h200-sxm", "gpu=h200-sxn", "did you mean");
	refuses("experts=64", "experts=4", "experts_per_token");
	refuses("routing=zipf", "routing=counts", "routing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_one_node),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests_name("layer_text", tests, NULL, NULL);
}
