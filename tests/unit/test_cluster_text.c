/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one-line cluster against the mapping that it stands for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios/cluster_text.h"
#include "tests/unit/scenario_help.h"

#define FP16 "model: {hidden: 64, experts: 8, experts_per_token: 2, " \
	"expert_ffn: 128, dtype: fp16}\n"

static void load_line(struct scenario *s, const char *line)
{
	char *text = xasprintf("cluster: \"%s\"\n" FP16, line);

	help_load_ok(s, text, NULL);
	free(text);
}

static void test_equal_to_mapping(void **state)
{
	static const struct {
		const char *line, *mapping;
	} cases[] = {
		{ "nodes=8(nic=8x400Gb/s) gpu=8(nvlink=450GB/s) fabric=rail",
		  "{nodes: 8, gpus_per_node: 8, nic: {per_gpu: 1, bandwidth: "
		  "400Gb/s}, intra: {bandwidth: 450GB/s}, fabric: {kind: "
		  "rail}}" },
		{ "nodes=4(nic=1x100Gb/s,latency=5us) gpu=8:v100-sxm("
		  "nvlink=150GB/s, kind=nvlink-mesh, latency=2us) pxn=yes",
		  "{nodes: 4, gpus_per_node: 8, gpu: v100-sxm, nic: {per_node:"
		  " 1, bandwidth: 100Gb/s, latency: 5us}, intra: {kind: "
		  "nvlink-mesh, bandwidth: 150GB/s, latency: 2us}, pxn: "
		  "true}" },
		{ "gpu=4   nodes=2(nic=100Gb/s) fabric=leaf-spine("
		  "nodes_per_leaf=4,oversubscription=2)",
		  "{nodes: 2, gpus_per_node: 4, nic: {per_gpu: 1, bandwidth: "
		  "100Gb/s}, fabric: {kind: leaf-spine, nodes_per_leaf: 4, "
		  "oversubscription: 2}}" },
		{ "name=x nodes=2(nic=16x100Gb/s) gpu=4 fabric=fat-tree("
		  "nodes_per_leaf=1,leaves_per_pod=2,core_oversubscription=3)",
		  "{name: x, nodes: 2, gpus_per_node: 4, nic: {per_gpu: 4, "
		  "bandwidth: 100Gb/s}, fabric: {kind: fat-tree, "
		  "nodes_per_leaf: 1, leaves_per_pod: 2, "
		  "core_oversubscription: 3}}" },
		{ "nodes=2(nic=4x100Gb/s,shared=yes) gpu=4 fabric=rack("
		  "gpus_per_rack=8)",
		  "{nodes: 2, gpus_per_node: 4, nic: {per_node: 4, bandwidth: "
		  "100Gb/s}, fabric: {kind: rack, gpus_per_rack: 8}}" },
		{ "nodes=1 gpu=8:a6000(kind=pcie,pcie=24GB/s,gpus_per_switch="
		  "4,switches_per_socket=1,socket=20GB/s)",
		  "{nodes: 1, gpus_per_node: 8, gpu: a6000, intra: {kind: "
		  "pcie, pcie: 24GB/s, gpus_per_switch: 4, "
		  "switches_per_socket: 1, socket: 20GB/s}}" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = xasprintf("cluster: %s\n" FP16,
				       cases[i].mapping);
		struct scenario a, b;

		load_line(&a, cases[i].line);
		help_load_ok(&b, text, NULL);
		help_same(&a, &b);
		scenario_release(&a);
		scenario_release(&b);
		free(text);
	}
}

static void round_trip(const char *line)
{
	struct buf first = { 0 }, second = { 0 };
	struct scenario a, b;

	load_line(&a, line);
	cluster_text_print(&a.cluster, &first);
	load_line(&b, first.s);
	cluster_text_print(&b.cluster, &second);
	assert_string_equal(first.s, second.s);
	help_same(&a, &b);
	buf_release(&first);
	buf_release(&second);
	scenario_release(&a);
	scenario_release(&b);
}

/* parse(print(x)) == x over a grid of what can be said. */
static void test_round_trip(void **state)
{
	static const char *const nodes[] = {
		"nodes=3(nic=8x400Gb/s)", "nodes=2(nic=1x100Gb/s,latency=1ns)",
		"nodes=2(nic=8x12.345Gb/s,shared=yes)",
		"nodes=5(nic=16x7GB/s)", "nodes=4(nic=3x1GB/s)", "nodes=1",
	};
	static const char *const gpus[] = {
		"gpu=8", "gpu=8:v100-sxm", "gpu=8(nvlink=450GB/s)",
		"gpu=8:h200-sxm(kind=nvlink-mesh,latency=0)",
		"gpu=8:a6000(kind=pcie,pcie=24GB/s,gpus_per_switch=3)",
		"gpu=8:a6000(kind=nvlink-pairs,pcie=24GB/s,socket=9GB/s)",
	};
	static const char *const fabrics[] = {
		"", "fabric=rail", "fabric=rail(oversubscription=1.3)",
		"fabric=leaf-spine(nodes_per_leaf=2)",
		"fabric=fat-tree(nodes_per_leaf=2,leaves_per_pod=3)",
		"fabric=rack(gpus_per_rack=16)", "pxn=no",
	};
	size_t i, j, k;

	(void)state;
	for (i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		for (j = 0; j < sizeof(gpus) / sizeof(*gpus); j++) {
			for (k = 0; k < sizeof(fabrics) / sizeof(*fabrics);
			     k++) {
				char *line = xasprintf("%s %s %s", nodes[i],
						       gpus[j], fabrics[k]);

				round_trip(line);
				free(line);
			}
		}
	}
	round_trip("name=big nodes=2(nic=1GB/s) gpu=4 pxn=yes");
}

static void test_shipped(void **state)
{
	static const char *const names[] = {
		"dgx-h100-superpod", "hgx-h200-8x400g", "gb200-nvl72",
		"v100-8x-100g",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct buf line = { 0 };
		struct scenario a, b;

		load_line(&a, names[i]);
		cluster_text_print(&a.cluster, &line);
		load_line(&b, line.s);
		/* a line has no provenance */
		memset(a.cluster.provenance, 0, sizeof(a.cluster.provenance));
		help_same(&a, &b);
		buf_release(&line);
		scenario_release(&a);
		scenario_release(&b);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{ "nodes=8", "F:1:10: cluster: 'nodes=8' needs nodes=N and "
		  "gpu=N" },
		{ "gpu=8 nodez=3", "F:1:10: cluster: 'nodez' is no word of a "
		  "cluster line (did you mean 'nodes'?)" },
		{ "nodes=8(nik=3) gpu=8", "F:1:10: cluster: 'nik' is no word "
		  "of nodes (did you mean 'nic'?)" },
		{ "nodes=8 gpu=8 nodes=8", "F:1:10: cluster: 'nodes' is given "
		  "twice" },
		{ "nodes=8(nic=1GB/s gpu=8", "F:1:10: cluster: 'nodes' has no "
		  "closing ')'" },
		{ "nodes=8(nic=1GB/s,) gpu=8", "F:1:10: cluster: '' is no "
		  "word of nodes" },
		{ "nodes=8() gpu=8", "F:1:10: cluster: '' is no word of" },
		{ "nodes= gpu=8", "F:1:10: cluster: 'nodes' is not followed "
		  "by '=' and a value" },
		{ "nodes gpu=8", "F:1:10: cluster: 'nodes' is not followed" },
		{ "nodes=8(nic=0x1GB/s) gpu=8", "F:1:10: cluster: '0x1GB/s' "
		  "is not a number of NICs and a rate" },
		{ "nodes=8(nic=99999999999999999999x1GB/s) gpu=8",
		  "F:1:10: cluster: '99999999999999999999x1GB/s' is not" },
		{ "nodes=8(shared=yes) gpu=8", "F:1:10: cluster: 'shared' "
		  "needs nic=" },
		{ "nodes=8(nic=1GB/s,shared=8) gpu=8", "F:1:10: cluster: '8' "
		  "is not yes or no (shared)" },
		/* values: refused by the key's own rules, at their column */
		{ "nodes=0(nic=1GB/s) gpu=8", "F:1:11: key 'cluster.nodes': "
		  "'0' is not a whole number" },
		{ "nodes=2(nic=1GB/s) gpu=x", "F:1:30: key "
		  "'cluster.gpus_per_node': 'x' is not" },
		{ "nodes=2(nic=1GB/s) gpu=2:h10-sxm", "F:1:30: unknown gpu "
		  "'h10-sxm' (did you mean 'h100-sxm'?)" },
		{ "nodes=2(nic=1Gbit) gpu=2", "F:1:19: key "
		  "'cluster.nic.bandwidth': '1Gbit' is not a rate" },
		{ "nodes=2(nic=1GB/s) gpu=2 fabric=rails", "F:1:36: key "
		  "'cluster.fabric.kind': 'rails' is not one of" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = xasprintf("cluster: \"%s\"\n" FP16,
				       cases[i].line), msg[2048];
		struct scenario s;

		assert_int_equal(help_load(&s, text, NULL, msg, sizeof(msg)),
				 ST_INPUT);
		if (strncmp(msg, cases[i].message, strlen(cases[i].message)))
			fail_msg("'%s'\ninstead of\n'%s'", msg,
				 cases[i].message);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_to_mapping),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
