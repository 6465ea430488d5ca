/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/rivals.h"

#include "scenarios/layout.h"

#include <math.h>
#include <stddef.h>

#define ALG(id) (1u << A2A_##id)
#define TECH(id) (1u << TECH_##id)
#define PIECES_MAX 32

const struct rival_row rival_table[] = {
	{ .name = "deepspeed-moe", .help = "sequential, flat exchange",
	  .alltoall = ALG(FLAT), .degree = { 1 } },
	{ .name = "tutel", .help = "one degree for both passes, flat or 2D "
	  "exchange, whichever is faster",
	  .alltoall = ALG(FLAT) | ALG(2D), .degree = { 1, 2, 4, 8 },
	  .one_degree = true },
	{ .name = "fastmoe", .help = "sequential, one peer after the other",
	  .alltoall = ALG(PAIRWISE), .degree = { 1 } },
	{ .name = "fastermoe", .help = "shadowing, exchange by groups of "
	  "peers beside the experts",
	  .alltoall = ALG(PAIRWISE), .degree = { 1, 2, 4, 8 },
	  .one_degree = true, .techniques = TECH(SHADOWING) },
	{ .name = "pipemoe", .help = "the degree of its closed form, one for "
	  "both passes", .alltoall = ALG(FLAT), .degree = { 1, 2, 4, 8 },
	  .one_degree = true },
	{ .name = "schemoe", .help = "node and network side by side, degree "
	  "2", .alltoall = ALG(LANES), .degree = { 2 }, .one_degree = true },
	{ .name = "lina", .help = "pieces of 30 MB, experts packed until "
	  "their products take as long as the exchange",
	  .alltoall = ALG(FLAT), .one_degree = true, .piece_bytes = 30e6,
	  .packs = true, .dense = DENSE_WHOLE },
	{ .name = "janus", .help = "experts move, once to each node",
	  .alltoall = ALG(DEDUP), .degree = { 1, 2, 4, 8 },
	  .one_degree = true, .techniques = TECH(EXPERT_FETCH),
	  .exact_counts = true },
	{ .name = "flowmoe", .help = "attention in the pipeline, degree 2, "
	  "gradients in pieces between the exchanges", .alltoall = ALG(FLAT),
	  .degree = { 2 }, .one_degree = true, .dense = DENSE_CHUNKS },
	{ .name = "ta-moe", .help = "sequential, a gate that knows the "
	  "network", .alltoall = ALG(FLAT), .degree = { 1 },
	  .techniques = TECH(TOPOLOGY) },
	{ .name = "hetumoe", .help = "sequential, exchange by leaders",
	  .alltoall = ALG(LEADER), .degree = { 1 } },
	{ .name = "lsh-moe", .help = "sequential, centroids travel",
	  .alltoall = ALG(FLAT), .degree = { 1 }, .techniques = TECH(LSH) },
	{ .name = "locmoe", .help = "a gate that prefers the node, exchange "
	  "by groups and experts in two chunks", .alltoall = ALG(FLAT),
	  .degree = { 2 }, .one_degree = true,
	  .techniques = TECH(LOCALITY), .groupwise = true },
	{ .name = "luffy", .help = "sequential, condensation and migration",
	  .alltoall = ALG(FLAT), .degree = { 1 },
	  .techniques = TECH(CONDENSATION) | TECH(MIGRATION) },
	{ .name = "fsmoe", .help = "a degree for each pass",
	  .alltoall = ALG(FLAT), .degree = { 1, 2, 4, 8 } },
	{ .name = NULL },
};

int rival_pieces(const struct rival_row *r, double bytes)
{
	return (int)fmin(fmax(ceil(bytes / r->piece_bytes), 1), PIECES_MAX);
}

static bool is_possible(const struct layout *l, const struct cluster *c,
			const struct model *m)
{
	bool ok = !layout_check(l, c, m);

	err_clear();
	return ok;
}

bool rival_packed(const struct layout *l, const struct cluster *c,
		  const struct model *m, struct layout *out)
{
	struct layout packed = *l;

	/* an exchange is left, and no copies of experts inside a group */
	if (l->ep < 4 || l->ep % 2 || l->ep > m->experts)
		return false;
	packed.ep /= 2;
	packed.dp *= 2;
	if (!is_possible(&packed, c, m))
		return false;
	*out = packed;
	return true;
}

bool rival_groupwise(const struct layout *l, const struct cluster *c,
		     const struct model *m, struct layout *out)
{
	int t = l->tp > 1 ? l->tp : c->gpus_per_node;
	struct layout split = *l;

	if (t == 1 || l->esp > 1 || l->ep % t || l->ep == t)
		return false;
	split.ep /= t;
	split.esp = t;
	if (!is_possible(&split, c, m))
		return false;
	*out = split;
	return true;
}
