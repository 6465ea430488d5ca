/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the simulator's results to the reports' plain structs and to JSON.
 * sim/ and reports/ do not know each other; they meet here.
 */
#ifndef CLI_FILL_H
#define CLI_FILL_H

#include "reports/plan_text.h"
#include "sim/search.h"
#include "sim/step.h"

#include <jansson.h>

/* One report_op per op of the program; free() it. */
struct report_op *fill_ops(const struct program *p,
			   const struct exec_result *run);

/*
 * The busiest links with their names; `names` holds them and is released by
 * the caller after use. Returns the number, at most EXEC_LINKS.
 */
int fill_links(const struct net *net, const struct exec_result *run,
	       struct arena *names, struct report_link *out);

/* {"alltoall": ..., "degree_forward": ..., "layout": {...}, ...}; overlap,
 * order, gradient_bytes only where they are not the default's. */
json_t *json_knobs(const struct plan *p);
/* {op kind: seconds}, kinds that take time only. */
json_t *json_breakdown(const struct exec_result *run);
/* [{"lane": ..., "busy_s": ...}] */
json_t *json_lanes(const struct exec_result *run);
/* [{"name": ..., "utilisation": ...}], busiest first */
json_t *json_links(const struct net *net, const struct exec_result *run);

/* The whole model's step: seconds, tokens, what takes the time. */
json_t *json_step(const struct step_time *t);
/* The same as text's struct. */
void fill_step(const struct step_time *t, struct report_step *out);

#endif
