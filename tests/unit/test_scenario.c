/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/scenario_help.h"

#define MSG_SIZE 2048

/* The example of the project's interface, comments and all. */
static const char example[] =
"cluster:\n"
"  nodes: 8\n"
"  gpus_per_node: 8\n"
"  gpu: h100-sxm                 # a shipped name, or a path\n"
"  intra: {kind: nvswitch, bandwidth: 450GB/s, latency: 1us}   # per GPU\n"
"  nic: {per_gpu: 1, bandwidth: 400Gb/s, latency: 3us}   # or per_node: 1\n"
"  fabric: {kind: rail, oversubscription: 1}\n"
"  pxn: false                    # true: first hop over NVLink\n"
"model:\n"
"  config: mixtral-8x7b          # or inline keys\n"
"  sequence: 4096\n"
"  batch_per_gpu: 1\n"
"  dtype: bf16\n"
"layout: {ep: 64, esp: 1, tp: 1, dp: 1, pp: 1}   # any may be a list\n"
"routing: {kind: zipf, skew: 0.5, seed: 1}\n"
"constraints: {max_drop: 1%, memory: 80GB}\n"
"search: {alltoall: auto, degree: [1, 2, 4, 8], capacity: auto, "
"techniques: [baseline]}\n";

static void check_example_cluster(const struct cluster *c)
{
	assert_int_equal(cluster_gpus(c), 64);
	assert_string_equal(c->gpu.name, "h100-sxm");
	assert_int_equal(c->intra.kind, INTRA_NVSWITCH);
	assert_true(c->intra.bandwidth_Bps == 450e9);
	assert_true(c->intra.latency_s == 1e-6);
	assert_int_equal(c->nic.per_gpu, 1);
	assert_int_equal(c->nic.per_node, 0);
	assert_true(c->nic.bandwidth_Bps == 50e9);	/* 400 Gb/s / 8 */
	assert_true(c->nic.latency_s == 3e-6);
	assert_int_equal(c->fabric.kind, FABRIC_RAIL);
	assert_true(c->fabric.oversubscription == 1);
	assert_false(c->pxn);
}

static void test_example(void **state)
{
	struct scenario s;

	(void)state;
	help_load_ok(&s, example, NULL);
	check_example_cluster(&s.cluster);
	assert_string_equal(s.model.name, "mixtral-8x7b");
	assert_int_equal(s.model.hidden, 4096);
	assert_int_equal(s.model.experts, 8);
	assert_int_equal(s.model.experts_per_token, 2);
	assert_int_equal(s.model.expert_ffn, 14336);
	assert_int_equal(s.model.sequence, 4096);
	assert_int_equal(s.model.dtype, DT_BF16);
	assert_int_equal(s.layout.ep.n, 1);
	assert_int_equal(s.layout.ep.v[0], 64);
	assert_int_equal(s.routing.kind, ROUTING_ZIPF);
	assert_true(s.routing.skew == 0.5);
	assert_true(s.constraints.max_drop == 0.01);
	assert_true(s.constraints.memory_bytes == 80e9);
	assert_int_equal(s.search.alltoall_mask, (1u << A2A_N) - 1);
	assert_int_equal(s.search.degree.n, 4);
	assert_true(s.search.capacity.is_auto);
	assert_int_equal(s.search.technique_mask, 1u << TECH_BASELINE);
	assert_non_null(strstr(scenario_where(&s, "layout.ep"), ":14:14"));
	assert_string_equal(scenario_where(&s, "comm.window"), "default");
	scenario_release(&s);
}

/* What is not said comes from the GPU, the model or other keys. */
static void test_derived(void **state)
{
	struct scenario s;
	double routed = 8 * 3.0 * 64 * 128;	/* experts x products x h x f */

	(void)state;
	help_load_ok(&s, HELP_SCENARIO, NULL);
	assert_true(s.cluster.intra.bandwidth_Bps == s.cluster.gpu.nvlink_Bps);
	assert_true(s.constraints.memory_bytes == s.cluster.gpu.hbm_bytes);
	assert_int_equal(s.cluster.nic.per_gpu, 1);
	assert_int_equal(s.model.moe_layers, 1);
	assert_int_equal(s.model.shared_ffn, 0);
	/* attention 4 h^2, router h E, then the experts */
	assert_true(s.model.params_other == 4 * 64 * 64 + 64 * 8);
	assert_true(s.model.params_total == s.model.params_other + routed);
	assert_true(s.model.params_active ==
		    s.model.params_other + routed * 2 / 8);
	scenario_release(&s);
	help_load_ok(&s, "cluster: {nodes: 1, gpus_per_node: 2, intra: {kind: "
		     "pcie, pcie: 16GB/s}}\n" HELP_MODEL, NULL);
	assert_true(s.cluster.intra.bandwidth_Bps == 16e9);
	assert_true(s.cluster.intra.socket_Bps == 16e9);
	scenario_release(&s);
}

static void test_precedence(void **state)
{
	static const char *const sets[] = {
		"cluster.nodes=4", "cluster.nic={per_node: 2}",
		"cluster.gpu.memory=40GB", "comm.inter.launch=9us",
		"search.degree=[2, 8]", "model.experts=16", NULL
	};
	static const char *const back[] = { "cluster.nic.per_gpu=2",
					    "cluster.nodes=null",
					    "cluster.nodes=2", NULL };
	struct scenario s;

	(void)state;
	help_load_ok(&s, example, sets);
	assert_int_equal(s.cluster.nodes, 4);
	assert_int_equal(s.cluster.nic.per_gpu, 0);	/* replaced */
	assert_int_equal(s.cluster.nic.per_node, 2);
	assert_true(s.cluster.gpu.hbm_bytes == 40e9);
	assert_true(s.cluster.gpu.inter.launch_s == 9e-6);
	assert_int_equal(s.search.degree.v[1], 8);
	assert_int_equal(s.model.experts, 16);
	/* counted anew: 16 experts are twice Mixtral's 8 */
	assert_true(s.model.params_total ==
		    s.model.params_other + 32 * 16 * 3.0 * 4096 * 14336);
	scenario_release(&s);
	help_load_ok(&s, example, back);
	assert_int_equal(s.cluster.nic.per_gpu, 2);
	assert_int_equal(s.cluster.nodes, 2);
	scenario_release(&s);
}

/* null is as if the key were not there: data file or default. */
static void test_null(void **state)
{
	static const char *const sets[] = { "comm.intra.launch=null",
					    "layout.ep=~", "routing=null",
					    "model.hidden=null", NULL };
	struct scenario s, plain;

	(void)state;
	help_load_ok(&plain, example, NULL);
	help_load_ok(&s, example, sets);
	assert_true(s.cluster.gpu.intra.launch_s ==
		    plain.cluster.gpu.intra.launch_s);
	assert_true(s.layout.ep.is_auto);
	assert_int_equal(s.routing.kind, ROUTING_ZIPF);
	assert_int_equal(s.model.hidden, 4096);
	scenario_release(&s);
	scenario_release(&plain);
}

/* Files that name files: cluster base, inline GPU with a base. */
static void test_bases(void **state)
{
	static const char text[] = "base: dgx-h100-superpod\nnodes: 4\n"
		"gpu: {base: h200-sxm, memory: 100GB, intra: {ramp: 0}}\n";
	struct scenario s;
	char *cluster = help_file(text, strlen(text));
	char *set = xasprintf("cluster=%s", cluster);
	const char *const sets[] = { set, "cluster.pxn=true", NULL };

	(void)state;
	help_load_ok(&s, example, sets);
	assert_int_equal(s.cluster.nodes, 4);
	assert_int_equal(s.cluster.gpus_per_node, 8);	/* the base's */
	assert_true(s.cluster.gpu.hbm_bytes == 100e9);
	assert_true(s.cluster.gpu.hbm_Bps == 4.8e12);	/* h200-sxm's */
	assert_true(s.cluster.gpu.intra.ramp == 0);
	assert_string_equal(s.cluster.gpu.type, "h200-sxm");
	assert_true(s.cluster.pxn);
	scenario_release(&s);
	unlink(cluster);
	free(cluster);
	free(set);
}

static void test_cycle(void **state)
{
	char *path = help_file("", 0), *set = xasprintf("cluster=%s", path);
	char *text = xasprintf("base: %s\n", path), msg[MSG_SIZE];
	const char *const sets[] = { set, NULL };
	struct scenario s;

	(void)state;
	assert_int_equal(outfile_write(path, text, strlen(text)), ST_OK);
	assert_int_equal(help_load(&s, example, sets, msg, sizeof(msg)),
			 ST_INPUT);
	assert_non_null(strstr(msg, "based on one another"));
	unlink(path);
	free(path);
	free(text);
	free(set);
}

static void round_trip(const char *text, const char *const *sets)
{
	struct buf first = { 0 }, second = { 0 };
	struct scenario a, b;

	help_load_ok(&a, text, sets);
	scenario_print(&a, &first);
	help_load_ok(&b, first.s, NULL);
	help_same(&a, &b);
	scenario_print(&b, &second);
	assert_string_equal(first.s, second.s);
	buf_release(&first);
	buf_release(&second);
	scenario_release(&a);
	scenario_release(&b);
}

/* Half of a leaf's ports, one to each NIC of a node: 64 / 2 / 8 NICs. */
static void test_leaf_default(void **state)
{
	static const struct {
		const char *set[HELP_SETS_MAX];
		int nodes;
	} cases[] = {
		{ { "cluster.fabric.kind=leaf-spine" }, 4 },
		{ { "cluster.fabric.kind=leaf-spine",
		    "cluster.fabric.oversubscription=4" }, 4 },
		{ { "cluster.fabric={kind: leaf-spine, radix: 40}" }, 2 },
		{ { "cluster.fabric={kind: leaf-spine, radix: 10}" }, 1 },
		{ { "cluster.fabric={kind: fat-tree, leaves_per_pod: 2}",
		    "cluster.nic.per_node=3" }, 10 },
		{ { "cluster.fabric={kind: leaf-spine, nodes_per_leaf: 3}" },
		  3 },
		{ { "cluster=nodes=2(nic=8x100Gb/s) gpu=8:h100-sxm "
		    "fabric=leaf-spine(radix=32)" }, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct scenario s;

		help_load_ok(&s, example, cases[i].set);
		assert_int_equal(s.cluster.fabric.nodes_per_leaf,
				 cases[i].nodes);
		scenario_release(&s);
	}
}

static void test_round_trip(void **state)
{
	static const char *const variants[][HELP_SETS_MAX] = {
		{ NULL },
		{ "cluster=dgx-h100-superpod" },
		{ "cluster=hgx-h200-8x400g", "model=deepseek-v3" },
		{ "cluster=gb200-nvl72", "model.config=qwen3-235b-a22b" },
		{ "cluster=v100-8x-100g", "model.dtype=fp16" },
		{ "cluster=nodes=4(nic=1x100Gb/s) gpu=8:a6000(kind="
		  "nvlink-pairs,nvlink=56.25GB/s,pcie=24GB/s,socket=20GB/s)" },
		{ "cluster=nodes=2(nic=100Gb/s) gpu=4(kind=pcie,pcie=12GB/s)" },
		{ "cluster.fabric={kind: fat-tree, nodes_per_leaf: 3, "
		  "leaves_per_pod: 2, core_oversubscription: 1.5}" },
		{ "cluster.fabric={kind: rack, gpus_per_rack: 72}",
		  "cluster.gpus_per_node=36", "cluster.nodes=4" },
		{ "layout.ep=[1, 2, 8]", "layout.esp=auto", "layout.dp=auto" },
		{ "routing={kind: trace, file: 'a: b #c.csv', layer: 3}" },
		{ "routing={kind: counts, file: x.csv, domain: \"\\u2028\"}" },
		{ "routing={kind: hot-rank, skew: 0.3}" },
		{ "routing.seed=18446744073709551615", "routing.skew=0.1" },
		{ "search.alltoall=[2d, dedup]", "search.capacity=[none, 1.1]",
		  "search.degree=auto", "search.finalists=0" },
		{ "constraints.max_drop=0.3%", "constraints.memory=79.65GiB" },
		{ "cluster.provenance=\"a\\nb: 'c' \\\"d\\\" \\\\ \\u00e9\"" },
		{ "cluster.gpu.nvlink=333333333333", "comm.ll_bytes=12345" },
		{ "training={recompute: true, zero: 1}", "comm.window=7" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(variants) / sizeof(*variants); i++) {
		const char *const *sets = variants[i];

		round_trip(example, sets);
	}
	round_trip(HELP_SCENARIO, NULL);
}

static void refused(const char *text, const char *set, const char *want)
{
	const char *const sets[] = { set, NULL };
	char msg[MSG_SIZE];
	struct scenario s;

	if (!help_load(&s, text, sets, msg, sizeof(msg)))
		fail_msg("not refused: %s %s", text, set ? set : "");
	if (strncmp(msg, want, strlen(want)))
		fail_msg("'%s'\ninstead of\n'%s'", msg, want);
}

/* Whole files: the message starts with file, line and column. */
static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "- a\n", "F:1:1: a mapping of keys was expected" },
		{ "cluster: 8\n" HELP_MODEL, "F:1:10: unknown cluster '8'" },
		{ "cluster: [a]\n" HELP_MODEL, "F:1:10: key 'cluster': a "
		  "list is not a mapping" },
		{ "cluster: {nodes: 0}\n", "F:1:18: key 'cluster.nodes': '0' "
		  "is not a whole number in 1..1048576" },
		{ "cluster:\n  nodes: -3\n", "F:2:10: key 'cluster.nodes': "
		  "'-3' is not a whole number" },
		{ "cluster:\n  nodes: two\n", "F:2:10: key 'cluster.nodes': "
		  "'two' is not" },
		{ "cluster:\n  nodes: [1, 2]\n", "F:2:10: key "
		  "'cluster.nodes': a list is not" },
		{ "cluster:\n  nodes: {a: 2}\n", "F:2:10: key "
		  "'cluster.nodes': a mapping is not" },
		{ "cluster:\n  nic: 3\n", "F:2:8: key 'cluster.nic': '3' "
		  "is not a mapping of the keys " },
		{ "cluster:\n  nic: {bandwidth: 400Gbps}\n", "F:2:20: key "
		  "'cluster.nic.bandwidth': '400Gbps' is not a rate such as" },
		{ "cluster:\n  nic: {bandwidth: nan}\n", "F:2:20: key" },
		{ "cluster:\n  nic: {bandwidth: -1}\n", "F:2:20: key" },
		{ "cluster:\n  nic: {latency: 3GB}\n", "F:2:18: key "
		  "'cluster.nic.latency': '3GB' is not a time such as 3us" },
		{ "clustr: {}\n", "F:1:1: unknown key 'clustr' (did you mean "
		  "'cluster'?)" },
		{ "cluster:\n  nod: 3\n", "F:2:3: unknown key 'cluster.nod'" },
		{ "cluster:\n  nic: {bandwith: 3}\n", "F:2:9: unknown key "
		  "'cluster.nic.bandwith' (did you mean 'bandwidth'?)" },
		{ "nodes: 3\n", "F:1:1: unknown key 'nodes' (did you mean "
		  "'cluster.nodes'?)" },
		{ HELP_MODEL, "F: key 'cluster.nodes' is missing" },
		{ HELP_CLUSTER, "F: key 'model.hidden' is missing" },
		{ HELP_CLUSTER "model: mixtrl-8x7b\n", "F:2:8: unknown model "
		  "'mixtrl-8x7b' (did you mean 'mixtral-8x7b'?)" },
		{ "cluster: {nodes: 1, gpus_per_node: 1, gpu: h10-sxm}\n"
		  HELP_MODEL, "F:1:44: unknown gpu 'h10-sxm' (did you mean "
		  "'h100-sxm'?)" },
		{ "cluster: {nodes: 1, gpus_per_node: 1, gpu: {sms: 1}}\n"
		  HELP_MODEL, "F:1:44: GPU 'inline' lacks the key 'memory'" },
		{ "cluster: {nodes: 1, gpus_per_node: 1, gpu: {base: h100-sxm,"
		  " smz: 1}}\n" HELP_MODEL, "F:1:61: unknown key 'smz' (did "
		  "you mean 'sms'?)" },
		{ "cluster: nodes=2 gpus=3\n", "F:1:10: cluster: 'gpus' is no "
		  "word of a cluster line (did you mean 'gpu'?)" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		refused(cases[i].text, NULL, cases[i].message);
	}
}

static void test_bad_sets(void **state)
{
	static const struct {
		const char *set, *message;
	} cases[] = {
		{ "cluster.nodes", "--set 'cluster.nodes': KEY=VALUE" },
		{ "=3", "--set '=3': KEY=VALUE" },
		{ "cluster.nodes=", "--set 'cluster.nodes=': KEY=VALUE" },
		{ "cluster.nodes=0", "--set 'cluster.nodes=0': key "
		  "'cluster.nodes': '0' is not" },
		{ "cluster.nodes=[", "--set 'cluster.nodes=[': not valid" },
		{ "cluster.base=x", "--set 'cluster.base=x': use --set" },
		{ "search.degree=[1,x]", "--set 'search.degree=[1,x]': key "
		  "'search.degree': 'x' is not auto, a whole number in" },
		{ "routing.kind=zipff", "--set 'routing.kind=zipff': key "
		  "'routing.kind': 'zipff' is not one of uniform, zipf" },
		{ "cluster.gpu.sms=0", "--set 'cluster.gpu.sms=0': key" },
		{ "cluster.gpu.smss=1", "--set 'cluster.gpu.smss=1': unknown "
		  "key 'cluster.gpu.smss' (did you mean 'sms'?)" },
		{ "model.config=[a]", "--set 'model.config=[a]': key "
		  "'model.config': a list is not a name or a path" },
		{ "a.b.c.d=1", "--set 'a.b.c.d=1': unknown key 'a.b.c.d'" },
		{ "cluster.nodes.x=1", "--set 'cluster.nodes.x=1': unknown" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		refused(example, cases[i].set, cases[i].message);
	}
}

/* Rules between keys. */
static void test_cross(void **state)
{
	static const struct {
		const char *set, *message;
	} cases[] = {
		{ "cluster.gpus_per_node=1048576", "--set "
		  "'cluster.gpus_per_node=1048576': key "
		  "'cluster.gpus_per_node': 8 nodes x 1048576 GPUs are" },
		{ "cluster.nic={per_gpu: 1, per_node: 1}", "--set "
		  "'cluster.nic={per_gpu: 1, per_node: 1}': key "
		  "'cluster.nic.per_node': either this or" },
		{ "cluster.nic.per_node=9", "--set 'cluster.nic.per_node=9': "
		  "key 'cluster.nic.per_node': 9 is more than the node's 8" },
		{ "cluster.fabric.nodes_per_leaf=4", "--set 'cluster.fabric."
		  "nodes_per_leaf=4': key 'cluster.fabric.nodes_per_leaf' is "
		  "not used" },
		{ "cluster.fabric.kind=fat-tree", "--set 'cluster.fabric."
		  "kind=fat-tree': key 'cluster.fabric.leaves_per_pod' is "
		  "missing" },
		{ "cluster.fabric.radix=64", "--set 'cluster.fabric.radix="
		  "64': key 'cluster.fabric.radix' is not used" },
		{ "cluster.fabric={kind: rack, gpus_per_rack: 12}", "--set "
		  "'cluster.fabric={kind: rack, gpus_per_rack: 12}': key "
		  "'cluster.fabric.gpus_per_rack': 12 is not a multiple" },
		{ "cluster.intra={kind: nvlink-pairs}", "--set 'cluster.intra="
		  "{kind: nvlink-pairs}': key 'cluster.intra.pcie' is" },
		{ "cluster.intra={kind: pcie, pcie: 1GB/s}", "F:5:38: key "
		  "'cluster.intra.bandwidth': kind pcie has one rate" },
		{ "cluster.gpu=v100-sxm", "F:13:10: key 'model.dtype': 'bf16' "
		  "is not supported by GPU 'v100-sxm' (fp32, fp16)" },
		{ "model.experts_per_token=9", "--set 'model.experts_per_"
		  "token=9': key 'model.experts_per_token': 9 is more than "
		  "the 8 experts" },
		{ "model.moe_layers=33", "--set 'model.moe_layers=33': key "
		  "'model.moe_layers': 33 is more than the 32 layers" },
		{ "model.shared_ffn=8", "--set 'model.shared_ffn=8': key" },
		{ "model.batch_per_gpu=16777216", "--set 'model.batch_per_gpu"
		  "=16777216': key 'model.batch_per_gpu': 16777216 sequences "
		  "of 4096" },
		{ "routing={kind: hot-rank, skew: 2}", "--set 'routing={kind: "
		  "hot-rank, skew: 2}': key 'routing.skew': 2 is not a share" },
		{ "routing={kind: uniform, skew: 2}", "--set 'routing={kind: "
		  "uniform, skew: 2}': key 'routing.skew' is not used" },
		{ "routing.kind=counts", "--set 'routing.kind=counts': key "
		  "'routing.file' is missing" },
		{ "routing.file=x", "--set 'routing.file=x': key "
		  "'routing.file' is not used" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		refused(example, cases[i].set, cases[i].message);
	}
}

/* A later layer may make a key useless; its value is then forgotten. */
static void test_dropped(void **state)
{
	static const char *const sets[] = { "routing.kind=uniform",
					    "cluster.fabric.kind=nonblocking",
					    NULL };
	struct scenario s;

	(void)state;
	help_load_ok(&s, example, sets);
	assert_int_equal(s.routing.kind, ROUTING_UNIFORM);
	assert_string_equal(scenario_where(&s, "routing.skew"), "default");
	scenario_release(&s);
	/* neutral values may stand beside a kind that does not use them */
	help_load_ok(&s, HELP_CLUSTER HELP_MODEL "routing: {kind: uniform, "
		     "skew: 0}\n", NULL);
	scenario_release(&s);
}

/* Without a model; from a shipped cluster, a cluster file, a line. */
static void test_cluster_only(void **state)
{
	static const char keys[] = "{nodes: 2, gpus_per_node: 4, nic: "
				   "{bandwidth: 1GB/s}}\n";
	static const struct scenario_set sets[] = { { "cluster.nodes=3" } };
	char *file = help_file(keys, strlen(keys));
	char *scenario = help_file(HELP_CLUSTER, strlen(HELP_CLUSTER));
	const char *const from[] = { "dgx-h100-superpod", file, scenario,
				     "nodes=2(nic=1GB/s) gpu=4", "default" };
	struct scenario s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(from) / sizeof(*from); i++) {
		if (scenario_load_cluster(&s, from[i], sets, 1))
			fail_msg("%s", err_msg());
		assert_int_equal(s.cluster.nodes, 3);
		scenario_release(&s);
	}
	assert_int_equal(scenario_load(&s, file, sets, 1), ST_INPUT);
	assert_int_equal(scenario_load_cluster(&s, "gpu=4", NULL, 0),
			 ST_INPUT);
	assert_string_equal(err_msg(), "command line: cluster: 'gpu=4' needs "
			    "nodes=N and gpu=N");
	assert_int_equal(scenario_load_cluster(&s, "defaul", NULL, 0),
			 ST_INPUT);
	assert_string_equal(err_msg(), "unknown scenario 'defaul' (did you "
			    "mean 'default'?)");
	unlink(file);
	unlink(scenario);
	free(file);
	free(scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_derived),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_bases),
		cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_leaf_default),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_bad_sets),
		cmocka_unit_test(test_cross),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_cluster_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
