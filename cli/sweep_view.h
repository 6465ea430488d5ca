/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stored sweep as its figures and its page take it. What a sweep is about
 * is stored with it, so that a database alone is enough to report it: a JSON
 * object
 *
 *	text	what a person would call it
 *	path, model ("flow" or "lane"), fixed ["KEY=VALUE", ...]
 *	axes	[{"key": .., "values": [..]}], as they were given
 *	scenario	of the first point that can be, in YAML, all keys
 *	costs	what its costs rest on
 */
#ifndef CLI_SWEEP_VIEW_H
#define CLI_SWEEP_VIEW_H

#include "base/mem.h"
#include "cli/sweep_grid.h"
#include "profiles/store_sweep.h"

#include <jansson.h>

struct sweep_spec;
struct buf;

/* That text; `s` is the first point's scenario. */
void sweep_about(const struct sweep_spec *spec, const struct scenario *s,
		 const char *costs, struct buf *out);

#define VIEW_SYSTEMS_MAX 32
#define VIEW_PLANS_MAX 512	/* different ones; the last stands for more */
#define VIEW_POINTS_MAX SWEEP_POINTS_MAX

struct view_axis {
	const char *key, *name;	/* name: "nic bandwidth" */
	const char **label;	/* as given */
	double *value;		/* SI; 0, 1, 2 .. when the key is no number */
	int *order;		/* indices, ascending by value */
	int n;
	bool numeric, log;	/* log: a range by factor */
	bool down;		/* smaller values are faster: cli/sweep_next.h */
};

struct view_point {
	int plan;	/* of view.plan, without its dp, which follows from
			   the GPUs; negative: has none */
	double time_s, tokens_per_s, memory_bytes, drop_fraction;
	const char *reason;	/* when there is none; NULL: not computed */
	float speedup[VIEW_SYSTEMS_MAX];	/* 0: not known */
};

struct sweep_view {
	struct arena arena;	/* owns all texts and arrays but point */
	const char *text, *path, *model, *scenario, *costs;
	const char **fixed;
	int n_fixed;
	struct view_axis axis[SWEEP_AXES_MAX];
	int n_axes;
	struct view_point *point;	/* owned; [n_points] */
	long n_points, n_done, n_failed;
	const char *plan[VIEW_PLANS_MAX];	/* by first use */
	int n_plans;
	const char *system[VIEW_SYSTEMS_MAX];	/* baselines */
	int n_systems;
};

/* ST_INPUT: the database is damaged, or the sweep is of a program that did
 * not store what it is about. */
enum status sweep_view_load(struct store *db, int64_t sweep,
			    struct sweep_view *out);
void sweep_view_release(struct sweep_view *v);

int view_index(const struct sweep_view *v, long point, int axis);
/* Its --set options; `sets` has room for v->n_axes. */
void view_sets(const struct sweep_view *v, long point, struct arena *a,
	       struct scenario_set *sets);
/* The two axes that figures show, y -1 when there is one: those of most
 * values, numbers before names. */
void view_axes_shown(const struct sweep_view *v, int *x_p, int *y_p);
/* "nic bandwidth 400Gb/s, nodes 8"; skip[axis]: those are left out; NULL. */
void view_name(const struct sweep_view *v, long point, const bool *skip,
	       struct buf *out);
/* The point of least time and of most tokens per second, of those with that
 * value on that axis (axis -1: of all), and the first with a plan; -1: none
 * has one. */
long view_fastest(const struct sweep_view *v, int axis, int index);
long view_most_tokens(const struct sweep_view *v, int axis, int index);
long view_first(const struct sweep_view *v);

#endif
