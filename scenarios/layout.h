/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Layouts: how the ranks are divided among experts, shards and replicas.
 * scenario.h includes this.
 */
#ifndef SCENARIOS_LAYOUT_H
#define SCENARIOS_LAYOUT_H

#include "base/status.h"

struct cluster;
struct model;
struct scenario;

/*
 * Degrees. The world of nodes * gpus_per_node ranks is
 * pp x dp x ep x esp, esp fastest: rank = ((p*dp + d)*ep + e)*esp + s.
 * An ESP group is esp neighbours, an EP group is ranks esp apart, dp is the
 * number of replicas of the expert set. tp shards attention inside
 * ep*esp*dp and divides the tokens per rank. Experts lie on EP indices in
 * order, experts/ep each; where ep is a multiple of experts, each expert has
 * ep/experts replicas on neighbouring EP indices.
 */
struct layout {
	int ep, esp, tp, dp, pp;
};

/* Tokens that one rank brings to the layer: sequence*batch/tp, rounded up. */
int layout_tokens(const struct layout *l, const struct model *m);

/*
 * The rules; the message names the key:
 *
 *	pp * dp * ep * esp = nodes * gpus_per_node
 *	ep divides experts, or is a multiple of them (replicas)
 *	esp divides gpus_per_node and expert_ffn
 *	pp <= layers
 *	tp divides ep * esp * dp
 */
enum status layout_check(const struct layout *l, const struct cluster *c,
			 const struct model *m);

/*
 * All layouts that the scenario's lists allow, each passing layout_check();
 * free() *out_p. auto is every divisor of the GPUs (ep, pp) or of a node's
 * GPUs (esp, tp), and for dp what the others leave. ST_INPUT when there is
 * none: the message of the first that failed, with its key's place.
 */
enum status layout_enumerate(const struct scenario *s, struct layout **out_p,
			     int *n_p);

#endif
