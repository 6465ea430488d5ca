/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where pieces of an all-reduce go among the exchanges of a backward pass, by
 * priority (Lina, FlowMoE): an exchange that is ready goes first, a piece only
 * when the lane would be idle; what has begun is not interrupted.
 */
#ifndef SIM_GAPS_H
#define SIM_GAPS_H

#include "scenarios/program.h"

struct cost;

/*
 * `p` is lowered with its pieces in any place (plan.dense). In the lane model;
 * false: the pass has too many ops for an order.
 */
bool gaps_fill(const struct program *p, const struct cost *c,
	       struct pass_order *out);

#endif
