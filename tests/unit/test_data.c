/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every shipped data file loads, says where its numbers come from, and has
 * the values that its comments derive.
 */
#include "base/mem.h"
#include "scenarios/model_file.h"
#include "scenarios/scenario.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* last: it needs the four above */
#include <cmocka.h>

#define NAMES_MAX 64
#define PROVENANCE_MIN 40	/* characters: a sentence */

struct names {
	int n;
	char name[NAMES_MAX][NAME_MAX_LEN];
};

static char *data_dir(const char *sub)
{
	const char *src = getenv("srcdir");

	return xasprintf("%s/scenarios/data/%s", src ? src : ".", sub);
}

/* Shipped names of a folder: its *.yaml without the suffix. */
static void list(const char *sub, struct names *out)
{
	char *path = data_dir(sub);
	DIR *dir = opendir(path);
	struct dirent *e;
	size_t len;

	out->n = 0;
	if (!dir)
		fail_msg("cannot read '%s'", path);
	while ((e = readdir(dir))) {
		len = strlen(e->d_name);
		if (len < 6 || strcmp(e->d_name + len - 5, ".yaml"))
			continue;
		assert_true(out->n < NAMES_MAX);
		snprintf(out->name[out->n++], NAME_MAX_LEN, "%.*s",
			 (int)(len - 5), e->d_name);
	}
	closedir(dir);
	free(path);
}

static void check_provenance(const char *name, const char *text)
{
	if (strlen(text) < PROVENANCE_MIN)
		fail_msg("%s: provenance is '%s'", name, text);
}

/* A small cluster with one key set, so that nothing else matters. */
static void load_with(struct scenario *s, const char *key, const char *value)
{
	char *path = data_dir("default.yaml");
	char *text = xasprintf("%s=%s", key, value);
	struct scenario_set sets[] = { { text }, { "model.dtype=fp16" } };

	if (scenario_load(s, path, sets, 2))
		fail_msg("%s: %s", value, err_msg());
	free(text);
	free(path);
}

static void check_tier(const char *name, const struct comm_tier *t)
{
	if (t->efficiency < 0.3 || t->efficiency > 1 || t->launch_s < 1e-6 ||
	    t->launch_s > 1e-3 || t->message_s > t->launch_s ||
	    t->ll_efficiency > t->efficiency || t->ll_launch_s > t->launch_s)
		fail_msg("%s: odd constants of a tier", name);
}

static void test_gpus(void **state)
{
	struct scenario s;
	struct names names;
	int i;

	(void)state;
	list("gpus", &names);
	assert_true(names.n >= 10);
	for (i = 0; i < names.n; i++) {
		load_with(&s, "cluster.gpu", names.name[i]);
		assert_string_equal(s.cluster.gpu.name, names.name[i]);
		check_provenance(names.name[i], s.cluster.gpu.provenance);
		check_tier(names.name[i], &s.cluster.gpu.intra);
		check_tier(names.name[i], &s.cluster.gpu.inter);
		assert_true(s.cluster.gpu.flops[DT_FP16] > 1e13);
		assert_true(s.cluster.gpu.hbm_bytes >= 11e9);
		assert_true(s.cluster.gpu.sms >= 32);
		scenario_release(&s);
	}
}

/*
 * The public fit for 8 H200 in one node: 9.3 us + r / 340 GB/s + 4.1 us *
 * sqrt(r / MB). Of the 9.3 us, 1 us is the cluster's latency and 7 messages
 * go out.
 */
static void test_h200_fit(void **state)
{
	const struct comm_tier *t;
	struct scenario s;

	(void)state;
	load_with(&s, "cluster", "hgx-h200-8x400g");
	t = &s.cluster.gpu.intra;
	assert_float_equal(t->launch_s + 7 * t->message_s +
			   s.cluster.intra.latency_s, 9.3e-6, 1e-9);
	assert_float_equal(t->efficiency * s.cluster.intra.bandwidth_Bps / 1e9,
			   340, 0.1);
	assert_float_equal(t->ramp * sqrt(1e6), 4.1e-6, 1e-12);
	/* 8192^3 as 16384 tiles of 64 x 64: 125 waves on 132 SMs; the
	   measured rates are 769-798 TFLOP/s */
	assert_float_equal(s.cluster.gpu.flops[DT_BF16] / 1e12 *
			   s.cluster.gpu.gemm_efficiency * 16384 / (125 * 132),
			   784, 14);
	assert_float_equal(s.cluster.gpu.hbm_Bps *
			   s.cluster.gpu.hbm_efficiency / 1e12, 4.3, 0.05);
	scenario_release(&s);
}

static void test_clusters(void **state)
{
	struct scenario s;
	struct names names;
	int i;

	(void)state;
	list("clusters", &names);
	assert_true(names.n >= 4);
	for (i = 0; i < names.n; i++) {
		load_with(&s, "cluster", names.name[i]);
		assert_string_equal(s.cluster.name, names.name[i]);
		check_provenance(names.name[i], s.cluster.provenance);
		assert_true(cluster_gpus(&s.cluster) >= 16);
		scenario_release(&s);
	}
	load_with(&s, "cluster", "gb200-nvl72");
	assert_int_equal(s.cluster.fabric.gpus_per_rack, 72);
	assert_int_equal(cluster_gpus(&s.cluster), 144);
	scenario_release(&s);
}

static void test_models(void **state)
{
	struct names names;
	struct model m;
	double routed;
	int i;

	(void)state;
	list("models", &names);
	assert_true(names.n >= 12);
	for (i = 0; i < names.n; i++) {
		m = (struct model){ 0 };
		if (model_load(names.name[i], &m))
			fail_msg("%s", err_msg());
		assert_string_equal(m.name, names.name[i]);
		check_provenance(names.name[i], m.provenance);
		routed = (m.gated ? 3.0 : 2.0) * m.hidden * m.expert_ffn *
			 m.experts * m.moe_layers;
		/* the rest is what is not routed, but for biases */
		if (fabs(m.params_total - m.params_other - routed) >
		    1e-3 * routed)
			fail_msg("%s: counts do not fit", names.name[i]);
		assert_true(m.params_active < m.params_total);
	}
}

static void test_ready_scenarios(void **state)
{
	struct scenario s;
	struct names names;
	int i;

	(void)state;
	list("", &names);
	assert_true(names.n >= 4);
	for (i = 0; i < names.n; i++) {
		if (scenario_load(&s, names.name[i], NULL, 0))
			fail_msg("%s: %s", names.name[i], err_msg());
		scenario_release(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gpus),
		cmocka_unit_test(test_h200_fit),
		cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_ready_scenarios),
	};
	char *dir = data_dir("");

	setenv("MOECAST_DATA", dir, 1);
	free(dir);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
