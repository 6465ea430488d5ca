/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a rank's host does between the counts of a dropless pass and the work
 * that depends on them: op `plan`, measured on either backend with the code
 * that layers run (gpu/layer_plan.h).
 *
 *	plan	m tokens, each to k of n experts, `batch` chunks; variant
 *		flat, dedup (each rank a node of its own) or esp (one expert
 *		group; every expert cut over all ranks). bytes: of the choices
 */
#ifndef GPU_TURN_H
#define GPU_TURN_H

#include "gpu/layer_plan.h"
#include "gpu/work.h"

struct turn;

/* Can this shape be a layer on so many ranks? */
bool turn_can(const struct bench_work *w, int ranks);
enum status turn_make(const struct bench_case *c, int rank,
		      struct turn **out_p);
void turn_free(struct turn *t);		/* NULL is fine */
/* One plan of a pass; the one before is dropped. */
enum status turn_plan(struct turn *t);
/* Chunks of the last plan whose rows do not add up to the routing's. */
int64_t turn_wrong(const struct turn *t);

#endif
