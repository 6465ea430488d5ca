/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One point of a sweep: its scenario's best plan, as a row of JSON text.
 *
 * A row has the swept keys (numbers in SI where the key is a number, else
 * the text that was given), then
 *
 *	time_s knobs tokens_per_s forward_s drop_fraction memory_bytes
 *	breakdown baselines		a point with a plan
 *	reason				one that cannot be (time_s is null)
 *
 * No wall clock is in it: the same point gives the same bytes anywhere.
 */
#ifndef CLI_SWEEP_POINT_H
#define CLI_SWEEP_POINT_H

#include "cli/sweep_grid.h"

struct sweep_spec {
	const char *path;	/* scenario file or name */
	const struct sweep_grid *grid;
	bool lane_only;		/* no flow model */
};

/* One line without a newline; free() it. Never NULL: a point that fails is
 * a row with its reason. */
char *sweep_point_row(const struct sweep_spec *spec, long point);

/* The row of a point that no process could compute. */
char *sweep_point_lost(const struct sweep_spec *spec, long point,
		       const char *reason);

#endif
