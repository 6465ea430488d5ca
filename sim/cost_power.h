/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the GPU's power limit does to the products of a step (doc/model.md,
 * section "Power"). Private to sim/cost*.c.
 */
#ifndef SIM_COST_POWER_H
#define SIM_COST_POWER_H

#include "sim/cost_kernel.h"

/*
 * Of a step in one chunk: what products take longer when the power limit holds
 * them all the time, what these take in all then, and how long the GPU only
 * exchanges; chunks hide the all-to-alls but for one chunk's.
 */
struct power {
	double held_s, limited_s, chunked_s, whole_s;
	double spared;	/* share of the limit, while it exchanges */
};

void power_add(struct power *p, const struct work *w);
/* The share of held_s that products lose, in a step of so many chunks. */
double power_holds(const struct power *p, int chunks);

#endif
