/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/technique.h"

#include <string.h>

const struct a2a_row a2a_table[A2A_N] = {
	[A2A_FLAT] = {
		.name = "flat",
		.help = "grouped send/recv to every peer (NCCL)",
		.n_steps = 1,
		.dispatch = { { "exchange", LANE_INTER, 0 } },
	},
	[A2A_LEADER] = {
		.name = "leader",
		.help = "gather to one GPU per node, exchange, scatter "
			"(HetuMoE)",
		.n_steps = 3,
		.dispatch = { { "gather", LANE_INTRA, 0 },
			      { "exchange", LANE_INTER, 0 },
			      { "scatter", LANE_INTRA, 0 } },
	},
	[A2A_2D] = {
		.name = "2d",
		.help = "inside the node, then between equal local ranks "
			"(Tutel)",
		.n_steps = 2,
		.dispatch = { { "intra", LANE_INTRA, 0 },
			      { "inter", LANE_INTER, 0 } },
	},
	[A2A_LANES] = {
		.name = "lanes",
		.help = "intra-node and inter-node messages side by side "
			"(ScheMoE)",
		.n_steps = 2,
		.dispatch = { { "intra", LANE_INTRA, 0 },
			      { "inter", LANE_INTER, 1 } },
	},
	[A2A_DEDUP] = {
		.name = "dedup",
		.help = "one copy per destination node, then fan-out (DeepEP)",
		.n_steps = 2,
		.forwards = true,
		.dispatch = { { "inter", LANE_INTER, 0 },
			      { "fanout", LANE_INTRA, 1 } },
	},
	[A2A_PAIRWISE] = {
		.name = "pairwise",
		.help = "shift exchanges, one peer at a time (FasterMoE)",
		.n_steps = 1,
		.dispatch = { { "exchange", LANE_INTER, 0 } },
	},
	[A2A_DIRECT] = {
		.name = "direct",
		.help = "rows straight to their places in the peers' memory, "
			"inside one NVLink domain",
		.n_steps = 1,
		.dispatch = { { "exchange", LANE_INTER, 0 } },
	},
};

#define BIT(id) (1u << TECH_##id)
#define GATES (BIT(GATE_KTOP1) | BIT(GATE_SAM) | BIT(GATE_BASE) | \
	       BIT(GATE_HASH) | BIT(GATE_DTS))
/*
 * What attention-pipeline cannot have: what looks at all tokens of a layer
 * before the first of them is sent, experts that are fetched for all chunks,
 * and what has the dense gradients or the order for itself.
 */
#define NOT_BY_CHUNKS (BIT(LSH) | BIT(CONDENSATION) | BIT(MIGRATION) | \
		       BIT(SHADOWING) | BIT(EXPERT_FETCH) | BIT(GATE_BASE) | \
		       BIT(ORDER) | BIT(GRADIENT))
/* a gate's row: what all of them exclude */
#define NOT_WITH_GATE(id) (BIT(LOCALITY) | BIT(TOPOLOGY) | \
			   BIT(EXPERT_FETCH) | (GATES & ~BIT(id)))

const struct technique_row technique_table[TECH_N] = {
	[TECH_BASELINE] = {
		.name = "baseline",
		.help = "every routed token copy is sent as it is",
		.source = "",
		.file = "scenarios/program.c",
		.excludes = 0,
	},
	[TECH_LSH] = {
		.name = "lsh",
		.help = "centroids of hashed tokens travel, residuals stay",
		.source = "LSH-MoE",
		.file = "sim/tech_lsh.c",
		.excludes = BIT(CONDENSATION) | BIT(EXPERT_FETCH) |
			BIT(ATTENTION),
	},
	[TECH_CONDENSATION] = {
		.name = "condensation",
		.help = "of tokens that are alike one travels",
		.source = "Luffy",
		.file = "sim/tech_condense.c",
		.excludes = BIT(LSH) | BIT(EXPERT_FETCH) | BIT(ATTENTION),
	},
	[TECH_MIGRATION] = {
		.name = "migration",
		.help = "sequences go on where most of their results are",
		.source = "Luffy",
		.file = "sim/tech_migrate.c",
		.excludes = BIT(EXPERT_FETCH) | BIT(ATTENTION),
	},
	[TECH_LOCALITY] = {
		.name = "locality",
		.help = "a gate that prefers experts of the node",
		.source = "LocMoE",
		.file = "sim/tech_traffic.c",
		.excludes = BIT(TOPOLOGY) | BIT(EXPERT_FETCH) | GATES,
		.reroutes = true,
	},
	[TECH_TOPOLOGY] = {
		.name = "topology-gate",
		.help = "no more copies leave the node than its NICs bear",
		.source = "FasterMoE, TA-MoE",
		.file = "sim/tech_traffic.c",
		.excludes = BIT(LOCALITY) | BIT(EXPERT_FETCH) | GATES,
		.reroutes = true,
	},
	[TECH_SHADOWING] = {
		.name = "shadowing",
		.help = "popular experts are copied to all ranks",
		.source = "FasterMoE",
		.file = "sim/tech_shadow.c",
		.excludes = BIT(EXPERT_FETCH) | BIT(ATTENTION),
	},
	[TECH_EXPERT_FETCH] = {
		.name = "expert-fetch",
		.help = "experts move to the tokens",
		.source = "Janus",
		.file = "sim/tech_traffic.c",
		.excludes = BIT(LSH) | BIT(CONDENSATION) | BIT(MIGRATION) |
			BIT(LOCALITY) | BIT(TOPOLOGY) | BIT(SHADOWING) |
			BIT(ATTENTION) | GATES,
	},
	[TECH_GATE_KTOP1] = {
		.name = "gate-ktop1",
		.help = "experts in k prototypes, the best of each",
		.source = "M6-T, HetuMoE",
		.file = "sim/tech_gates.c",
		.excludes = NOT_WITH_GATE(GATE_KTOP1),
		.reroutes = true,
	},
	[TECH_GATE_SAM] = {
		.name = "gate-sam",
		.help = "switch and mixture: a group, then k experts inside it",
		.source = "HetuMoE",
		.file = "sim/tech_gates.c",
		.excludes = NOT_WITH_GATE(GATE_SAM),
		.reroutes = true,
	},
	[TECH_GATE_BASE] = {
		.name = "gate-base",
		.help = "every expert gets as many tokens",
		.source = "BASE layers, HetuMoE",
		.file = "sim/tech_gates.c",
		.excludes = NOT_WITH_GATE(GATE_BASE) | BIT(ATTENTION),
		.reroutes = true,
	},
	[TECH_GATE_HASH] = {
		.name = "gate-hash",
		.help = "a fixed random expert for each token id",
		.source = "Hash layers, HetuMoE",
		.file = "sim/tech_gates.c",
		.excludes = NOT_WITH_GATE(GATE_HASH),
		.reroutes = true,
	},
	[TECH_GATE_DTS] = {
		.name = "gate-dts",
		.help = "dense to sparse, at the end of its annealing",
		.source = "EvoMoE, HetuMoE",
		.file = "sim/tech_gates.c",
		.excludes = NOT_WITH_GATE(GATE_DTS),
		.reroutes = true,
	},
	[TECH_ORDER] = {
		.name = "order",
		.help = "ops in the best order on their lanes, overlap at "
			"degree 1",
		.source = "FSMoE, Lina, Lancet",
		.file = "sim/order_search.c",
		.excludes = BIT(ATTENTION),
	},
	[TECH_GRADIENT] = {
		.name = "gradient-partition",
		.help = "dense layers' gradients are cut and summed in idle "
			"slots",
		.source = "FSMoE",
		.file = "sim/gradient_slots.c",
		.excludes = BIT(ATTENTION),
	},
	[TECH_ATTENTION] = {
		.name = "attention-pipeline",
		.help = "attention in the layer's chunks, its gradients in "
			"pieces between the exchanges",
		.source = "FlowMoE",
		.file = "scenarios/program_pipe.c",
		.excludes = NOT_BY_CHUNKS,
	},
};

bool technique_mask_fits(unsigned mask)
{
	for (int i = 0; i < TECH_N; i++) {
		if (mask & 1u << i && mask & technique_table[i].excludes)
			return false;
	}
	/* the baseline is no technique beside others */
	return !(mask & BIT(BASELINE)) || mask == BIT(BASELINE);
}

bool technique_compresses(unsigned mask)
{
	return mask & (BIT(LSH) | BIT(CONDENSATION));
}

bool technique_restores(unsigned mask)
{
	return mask & BIT(LSH);
}

struct a2a_step a2a_step_at(enum a2a_alg alg, int reverse, int i)
{
	const struct a2a_row *row = &a2a_table[alg];
	struct a2a_step step;

	if (!reverse)
		return row->dispatch[i];
	step = row->dispatch[row->n_steps - 1 - i];
	/* a pair runs side by side in both directions */
	step.beside = i > 0 && row->dispatch[row->n_steps - i].beside;
	return step;
}

int a2a_find(const char *name)
{
	int i;

	for (i = 0; i < A2A_N; i++) {
		if (!strcmp(a2a_table[i].name, name))
			return i;
	}
	return -1;
}

int technique_find(const char *name)
{
	int i;

	for (i = 0; i < TECH_N; i++) {
		if (!strcmp(technique_table[i].name, name))
			return i;
	}
	return -1;
}

const char *lane_name(enum lane l)
{
	static const char *const names[LANES_ALL] = {
		[LANE_COMPUTE] = "compute",
		[LANE_INTRA] = "intra",
		[LANE_INTER] = "inter",
		[LANE_HOST] = "host",
	};

	return l < LANES_ALL ? names[l] : "?";
}
