/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/rivals.h"

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
	{ .name = "lina", .help = "pieces of 30 MB",
	  .alltoall = ALG(FLAT), .one_degree = true, .piece_bytes = 30e6 },
	{ .name = "janus", .help = "experts move, once to each node",
	  .alltoall = ALG(DEDUP), .degree = { 1, 2, 4, 8 },
	  .one_degree = true, .techniques = TECH(EXPERT_FETCH),
	  .exact_counts = true },
	{ .name = "flowmoe", .help = "degree 2", .alltoall = ALG(FLAT),
	  .degree = { 2 }, .one_degree = true },
	{ .name = "ta-moe", .help = "sequential, a gate that knows the "
	  "network", .alltoall = ALG(FLAT), .degree = { 1 },
	  .techniques = TECH(TOPOLOGY) },
	{ .name = "hetumoe", .help = "sequential, exchange by leaders",
	  .alltoall = ALG(LEADER), .degree = { 1 } },
	{ .name = "lsh-moe", .help = "sequential, centroids travel",
	  .alltoall = ALG(FLAT), .degree = { 1 }, .techniques = TECH(LSH) },
	{ .name = "locmoe", .help = "a gate that prefers the node, exchange "
	  "and experts in two chunks", .alltoall = ALG(FLAT),
	  .degree = { 2 }, .one_degree = true,
	  .techniques = TECH(LOCALITY) },
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
