/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of sim/tech_gates*.c, and for their tests. */
#ifndef SIM_GATE_INT_H
#define SIM_GATE_INT_H

#include "sim/tech_gates.h"

/*
 * Balanced assignment: to[tokens], experts with at most ceil(tokens /
 * experts) each, sum of score[t * experts + to[t]] largest.
 */
void gate_balance(const int64_t *score, int tokens, int experts, int *to);

#endif
