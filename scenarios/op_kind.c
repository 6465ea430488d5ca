/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kinds of ops: names, and which talk to other ranks. */
#include "scenarios/program.h"

static const struct {
	const char *name, *breakdown;
	bool comm;
} kinds[OP_KIND_N] = {
	[OP_GATE] = { "gate", "gate", false },
	[OP_PERMUTE] = { "permute", "permute", false },
	[OP_DISPATCH] = { "dispatch", "alltoall", true },
	[OP_ALLGATHER] = { "allgather", "allgather", true },
	[OP_EXPERT] = { "expert", "expert", false },
	[OP_REDUCESCATTER] = { "reducescatter", "reducescatter", true },
	[OP_COMBINE] = { "combine", "alltoall", true },
	[OP_UNPERMUTE] = { "unpermute", "permute", false },
	[OP_SHARED] = { "shared", "shared", false },
	[OP_UNPERMUTE_BWD] = { "unpermute_bwd", "permute", false },
	[OP_COMBINE_BWD] = { "combine_bwd", "alltoall", true },
	[OP_EXPERT_BWD_DATA] = { "expert_bwd_data", "expert", false },
	[OP_EXPERT_BWD_WEIGHT] = { "expert_bwd_weight", "expert", false },
	[OP_DISPATCH_BWD] = { "dispatch_bwd", "alltoall", true },
	[OP_PERMUTE_BWD] = { "permute_bwd", "permute", false },
	[OP_GATE_BWD] = { "gate_bwd", "gate", false },
	[OP_SHARED_BWD] = { "shared_bwd", "shared", false },
	[OP_ALLREDUCE_GATE] = { "allreduce_gate", "allreduce", true },
	[OP_ALLREDUCE_EXPERT] = { "allreduce_expert", "allreduce", true },
	[OP_COMPRESS] = { "compress", "technique", false },
	[OP_RESTORE] = { "restore", "technique", false },
	[OP_COMPRESS_BWD] = { "compress_bwd", "technique", false },
	[OP_RESTORE_BWD] = { "restore_bwd", "technique", false },
	[OP_MIGRATE] = { "migrate", "technique", false },
	[OP_SHADOW] = { "shadow", "shadow", true },
	[OP_SHADOW_BWD] = { "shadow_bwd", "shadow", true },
	[OP_SHUFFLE] = { "shuffle", "alltoall", true },
	[OP_UNSHUFFLE] = { "unshuffle", "alltoall", true },
	[OP_DENSE] = { "dense", "dense", false },
	[OP_DENSE_BWD] = { "dense_bwd", "dense", false },
};

const char *op_kind_name(enum op_kind k)
{
	return k < OP_KIND_N ? kinds[k].name : "?";
}

const char *op_kind_breakdown(enum op_kind k)
{
	return k < OP_KIND_N ? kinds[k].breakdown : "?";
}

bool op_kind_is_comm(enum op_kind k)
{
	return kinds[k].comm;
}

bool op_kind_is_exchange(enum op_kind k)
{
	return k == OP_DISPATCH || k == OP_COMBINE || k == OP_COMBINE_BWD ||
		k == OP_DISPATCH_BWD;
}
