/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/report_fixture.h"

#define US 1000000ull	/* picoseconds */

static struct scenario scenario = {
	.cluster = {
		.nodes = 8, .gpus_per_node = 8,
		.gpu = { .name = "H100-SXM", .hbm_bytes = 80e9,
			 .provenance = "NVIDIA H100 Tensor Core GPU data "
			 "sheet, 2023: peak rates without sparsity" },
		.intra = { .kind = INTRA_NVSWITCH, .bandwidth_Bps = 450e9,
			   .latency_s = 1e-6 },
		.nic = { .per_gpu = 1, .bandwidth_Bps = 50e9,
			 .latency_s = 3e-6 },
		.fabric = { .kind = FABRIC_RAIL, .oversubscription = 1 },
	},
	.model = {
		.name = "mixtral-8x7b", .hidden = 4096, .layers = 32,
		.moe_layers = 32, .experts = 8, .experts_per_token = 2,
		.expert_ffn = 14336, .gated = true, .sequence = 4096,
		.batch_per_gpu = 1, .dtype = DT_BF16,
		.provenance = "Hugging Face config.json",
	},
	.routing = { .kind = ROUTING_ZIPF, .skew = 0.5, .seed = 1 },
	.constraints = { .max_drop = 0.01, .memory_bytes = 80e9 },
};

static const struct report_link links[] = {
	{ "node 3 gpu 5 nic up", 0.714 }, { "node 0 gpu 0 nic down", 0.7 },
	{ "rail 2 leaf up", 0.31 }, { "node 1 gpu 1 nvlink up", 0.052 },
};

#define PLAN(ep_, esp_, a, f, b, c) { .layout = { ep_, esp_, 1, 1, 1 }, \
	.alltoall = a, .degree_forward = f, .degree_backward = b, \
	.capacity_factor = c, .technique_mask = 1 }

static const struct report_baseline baselines[] = {
	{ "sequential", PLAN(8, 8, A2A_FLAT, 1, 1, 1.25), 5.9e-3, 1.838,
	  NULL },
	{ "degree-2", PLAN(8, 8, A2A_FLAT, 2, 2, 1.25), 4.2e-3, 1.308,
	  NULL },
	{ "degree-4", PLAN(8, 8, A2A_FLAT, 4, 4, 1.25), 3.5e-3, 1.09,
	  NULL },
	{ "degree-8", PLAN(8, 8, A2A_FLAT, 8, 8, 1.25), 3.9e-3, 1.215,
	  NULL },
};

static const struct report_candidate candidates[] = {
	{ PLAN(8, 8, A2A_2D, 4, 2, 1.25), 3.1e-3, 3.21e-3, 0.008, 0.12, 41e9,
	  NULL },
	{ PLAN(64, 1, A2A_LANES, 4, 4, 0), 3.3e-3, 3.4e-3, 0, 0, 43.5e9,
	  NULL },
	{ PLAN(32, 2, A2A_FLAT, 8, 8, 1.5), 3.6e-3, 0, 0.002, 0.3, 44e9,
	  NULL },
	{ PLAN(8, 8, A2A_2D, 4, 2, 1), 2.9e-3, 0, 0.057, 0.02, 40e9,
	  "drops more than max_drop" },
};

static const struct report_reason reasons[] = {
	{ "drops more than max_drop", 310 }, { "memory", 90 },
};

static const struct report_op ops[] = {
	{ OP_GATE, LANE_COMPUTE, 0, 1, 0, 0, 60 * US },
	{ OP_PERMUTE, LANE_COMPUTE, 0, 1, 0, 60 * US, 130 * US },
	{ OP_DISPATCH, LANE_INTER, 0, 2, 0, 130 * US, 330 * US },
	{ OP_DISPATCH, LANE_INTER, 1, 2, 0, 330 * US, 530 * US },
	{ OP_EXPERT, LANE_COMPUTE, 0, 2, 0, 330 * US, 630 * US },
	{ OP_EXPERT, LANE_COMPUTE, 1, 2, 0, 630 * US, 930 * US },
	{ OP_COMBINE, LANE_INTER, 0, 2, 0, 630 * US, 830 * US },
	{ OP_COMBINE, LANE_INTER, 1, 2, 0, 930 * US, 1130 * US },
	{ OP_UNPERMUTE, LANE_COMPUTE, 0, 1, 0, 1130 * US, 1200 * US },
	{ OP_COMBINE_BWD, LANE_INTER, 0, 1, 1, 1200 * US, 1700 * US },
	{ OP_EXPERT_BWD_DATA, LANE_COMPUTE, 0, 1, 1, 1700 * US, 2300 * US },
	{ OP_EXPERT_BWD_WEIGHT, LANE_COMPUTE, 0, 1, 1, 2300 * US, 2900 * US },
	{ OP_DISPATCH_BWD, LANE_INTER, 0, 1, 1, 2300 * US, 2700 * US },
	{ OP_ALLREDUCE_EXPERT, LANE_INTRA, 0, 1, 1, 2900 * US, 3210 * US },
};

static struct plan_report report = {
	.scenario = &scenario,
	.plan = PLAN(8, 8, A2A_2D, 4, 2, 1.25),
	.time_s = 3.21e-3, .forward_s = 1.2e-3,
	.drop_fraction = 0.008, .padding_fraction = 0.12,
	.tokens_per_s = 81.6e6,
	.memory = { 12.1e9, 12.1e9, 9e9, 6.8e9, 1e9, 41e9 },
	.link = links, .n_links = 4,
	.baseline = baselines, .n_baselines = 4,
	.candidate = candidates, .n_candidates = 4,
	.evaluated = 1234, .pruned = 56789, .infeasible = 400,
	.bound_s = 3.1e-3, .reason = reasons, .n_reasons = 2,
	.op = ops, .n_ops = sizeof(ops) / sizeof(ops[0]),
	.cost_source = CURVE_ASSUMED,
};

const struct plan_report *report_fixture(void)
{
	const struct report_op *o = ops;
	int i;

	for (i = 0; i < OP_KIND_N; i++)
		report.kind_ps[i] = 0;
	for (i = 0; i < LANE_N; i++)
		report.lane_busy_ps[i] = 0;
	for (i = 0; i < report.n_ops; i++, o++) {
		report.kind_ps[o->kind] += o->finish_ps - o->start_ps;
		report.lane_busy_ps[o->lane] += o->finish_ps - o->start_ps;
	}
	return &report;
}
