/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Papers whose systems run in this simulator. A run is parts of the paper's
 * file joined by +: their scenario (the last one named), the keys that they
 * set, in their order, and the policy of a system (the last one named, else
 * the plan that the scenario's search names). It is lowered, costed and run
 * in the flow model like `moecast simulate`. Measures:
 *
 *	ratio RUN RUN QUANTITY	the first by the second
 *	saved RUN RUN QUANTITY	1 - second by first
 *	ms RUN QUANTITY		milliseconds
 *	share RUN QUANTITY	of the run's step
 *
 * Quantities, of a training step unless it says otherwise:
 *
 *	step		all of it
 *	exchange	all-to-all of tokens or experts, and copied experts
 *	rest		step without exchange
 *	layer		one MoE layer, both passes
 *	forward		one MoE layer, forward
 */
#ifndef SIM_REPRO_RUN_H
#define SIM_REPRO_RUN_H

#include "sim/repro.h"

/* As the functions of struct repro_row. */
enum status repro_run_open(const struct paper *p, struct repro **out_p);
enum status repro_run_measure(struct repro *r, int n, const char *const *word,
			      double *value_p);
void repro_run_close(struct repro *r);

#endif
