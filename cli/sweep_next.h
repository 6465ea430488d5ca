/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a sweep's own points say about the next upgrade and about where the
 * best plan changes: neighbours on the grid, compared.
 *
 * An upgrade is a step on an axis of the cluster that leaves the number of
 * GPUs alone (NIC bandwidth, oversubscription, kind of fabric). Its gain is
 * tokens per second after over before, each under its own best plan; which
 * way an axis is walked is the way that gains more often.
 *
 * Points are told apart by the subject, the first axis under `model` whose
 * values are names: whoever sweeps three models wants three answers.
 */
#ifndef CLI_SWEEP_NEXT_H
#define CLI_SWEEP_NEXT_H

#include "cli/sweep_view.h"
#include "reports/page.h"

#define NEXT_LEAST 0.01		/* a gain below pays nothing */

/* The axis; -1: all points are one subject. */
int next_subject(const struct sweep_view *v);
bool next_is_upgrade(const struct view_axis *x);

/* One step along an axis, in ascending order of its values (down: the other
 * way); -1: there is none. */
long next_neighbour(const struct sweep_view *v, long point, int axis,
		    bool down);
/* Does more of an upgrade's axis mean smaller values? */
bool next_is_down(const struct sweep_view *v, int axis);

/* Tokens per second of b over those of a; NaN: one of them has no plan. */
double next_gain(const struct sweep_view *v, long a, long b);

struct next_upgrade {
	int axis;	/* -1: no step left that has a plan */
	long to;	/* the point after it */
	double gain;	/* over 1 */
};

/* Of a point's steps that which gains most; the earlier axis of equals. */
struct next_upgrade next_best(const struct sweep_view *v, long point);

/* ---- steps: pairs of neighbouring values of an axis ---- */

#define NEXT_SUBJECTS_MAX 12

#define NEXT_STEPS_MAX 24	/* an axis with more is a curve, not steps */

/* Steps of the axis that tables show: all or none. */
int next_steps(const struct view_axis *x);
int next_subjects(const struct sweep_view *v);	/* 1 when there is none */
bool next_is_of(const struct sweep_view *v, long point, int subject);
/* Is that where the at-th step of the axis begins, as it is walked? */
bool next_is_step(const struct sweep_view *v, long point, int axis, int at);
/* Labels of its ends. */
void next_step_ends(const struct view_axis *x, int at, const char **from_p,
		    const char **to_p);

struct next_gains {
	size_t n;	/* pairs that have plans */
	double least, median, most;
};

struct next_gains next_gains(const struct sweep_view *v, int axis, int at,
			     int subject);

/* ---- on the page ---- */

void next_put_glance(struct page *p, const struct sweep_view *v);
void next_put_changes(struct page *p, const struct sweep_view *v);
void next_put_upgrades(struct page *p, const struct sweep_view *v);
void next_put_each(struct page *p, const struct sweep_view *v);

#endif
