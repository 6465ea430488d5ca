/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The grid of a sweep: what its --set options span.
 *
 *	KEY=V1,V2,...	an axis of these values; commas inside [], {} or
 *			quotes do not separate
 *	KEY=A..B*F	A, A*F, A*F*F ... up to B (F > 1)
 *	KEY=A..B+S	A, A+S ... up to B (S > 0); a unit stands behind A and
 *			B alike ("100Gb/s..800Gb/s*2"), S is a bare number
 *	KEY=V		no axis: the same at every point
 *
 * Ranges may be items of a list. Points are numbered with the last axis
 * fastest, 0 .. n_points - 1. Nothing is loaded here: whether a value is
 * allowed is seen when its point is.
 */
#ifndef CLI_SWEEP_GRID_H
#define CLI_SWEEP_GRID_H

#include "base/mem.h"
#include "base/status.h"
#include "scenarios/scenario.h"

#define SWEEP_AXES_MAX 8
#define SWEEP_VALUES_MAX 4096	/* of one axis */
#define SWEEP_POINTS_MAX 1000000

struct sweep_axis {
	const char *key;
	const char **value;	/* texts, as --set takes them */
	int n;
};

struct sweep_grid {
	struct sweep_axis axis[SWEEP_AXES_MAX];
	int n_axes;
	const char **fixed;	/* "KEY=VALUE" of the same at every point */
	int n_fixed;
	long n_points;
	struct arena arena;	/* owns all texts */
};

/* Messages: "--set 'KEY=...': ..."; *out is to be released only when OK. */
enum status sweep_grid_make(const struct scenario_set *sets, int n_sets,
			    struct sweep_grid *out);
void sweep_grid_release(struct sweep_grid *g);

/* The index on an axis of a point. */
int sweep_grid_index(const struct sweep_grid *g, long point, int axis);

/*
 * All --set of a point, fixed ones first: sets has room for
 * sweep_grid_sets() of them, their texts are in `a`.
 */
int sweep_grid_sets(const struct sweep_grid *g);
void sweep_grid_point(const struct sweep_grid *g, long point, struct arena *a,
		      struct scenario_set *sets);

#endif
