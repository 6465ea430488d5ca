/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Neighbours on a sweep's grid, compared. */
#include "cli/sweep_next.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int next_subject(const struct sweep_view *v)
{
	for (int i = 0; i < v->n_axes; i++) {
		if (!strncmp(v->axis[i].key, "model", 5) &&
		    !v->axis[i].numeric)
			return i;
	}
	return -1;
}

bool next_is_upgrade(const struct view_axis *x)
{
	return !strncmp(x->key, "cluster.", 8) &&
		strcmp(x->key, "cluster.nodes") &&
		strcmp(x->key, "cluster.gpus_per_node") &&
		strcmp(x->key, "cluster.name");
}

long next_neighbour(const struct sweep_view *v, long point, int axis,
		    bool down)
{
	const struct view_axis *x = &v->axis[axis];
	int index = view_index(v, point, axis), at = 0;
	long stride = 1;

	while (x->order[at] != index)
		at++;
	at += down ? -1 : 1;
	if (at < 0 || at >= x->n)
		return -1;
	for (int i = v->n_axes - 1; i > axis; i--)
		stride *= v->axis[i].n;
	return point + (x->order[at] - index) * stride;
}

double next_gain(const struct sweep_view *v, long a, long b)
{
	const struct view_point *from = &v->point[a], *to = &v->point[b];

	if (from->plan < 0 || to->plan < 0)
		return NAN;
	return to->tokens_per_s / from->tokens_per_s;
}

bool next_is_down(const struct sweep_view *v, int axis)
{
	long more = 0;

	for (long p = 0; p < v->n_points; p++) {
		long to = next_neighbour(v, p, axis, false);
		double gain = to < 0 ? NAN : next_gain(v, p, to);

		more += (gain > 1 + NEXT_LEAST) - (gain < 1 - NEXT_LEAST);
	}
	return more < 0;
}

struct next_upgrade next_best(const struct sweep_view *v, long point)
{
	struct next_upgrade best = { -1, -1, 0 };

	for (int i = 0; i < v->n_axes; i++) {
		long to;
		double gain;

		if (!next_is_upgrade(&v->axis[i]))
			continue;
		to = next_neighbour(v, point, i, v->axis[i].down);
		gain = to < 0 ? NAN : next_gain(v, point, to);
		if (gain > best.gain)
			best = (struct next_upgrade){ i, to, gain };
	}
	return best;
}

int next_steps(const struct view_axis *x)
{
	return x->n - 1 > NEXT_STEPS_MAX ? 0 : x->n - 1;
}

int next_subjects(const struct sweep_view *v)
{
	int subject = next_subject(v);
	int n = subject < 0 ? 1 : v->axis[subject].n;

	return n < NEXT_SUBJECTS_MAX ? n : NEXT_SUBJECTS_MAX;
}

bool next_is_of(const struct sweep_view *v, long point, int subject)
{
	int axis = next_subject(v);

	return axis < 0 || view_index(v, point, axis) == subject;
}

void next_step_ends(const struct view_axis *x, int at, const char **from_p,
		      const char **to_p)
{
	int from = x->down ? x->n - 1 - at : at;

	*from_p = x->label[x->order[from]];
	*to_p = x->label[x->order[x->down ? from - 1 : from + 1]];
}

bool next_is_step(const struct sweep_view *v, long point, int axis, int at)
{
	const struct view_axis *x = &v->axis[axis];

	return view_index(v, point, axis) ==
		x->order[x->down ? x->n - 1 - at : at];
}

static int by_double(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct next_gains next_gains(const struct sweep_view *v, int axis, int at,
			     int subject)
{
	double *gain = xcalloc((size_t)v->n_points, sizeof(*gain));
	struct next_gains out = { .n = 0 };

	for (long p = 0; p < v->n_points; p++) {
		if (!next_is_of(v, p, subject) || !next_is_step(v, p, axis, at))
			continue;
		gain[out.n] = next_gain(v, p, next_neighbour(v, p, axis,
						v->axis[axis].down));
		out.n += !isnan(gain[out.n]);
	}
	qsort(gain, out.n, sizeof(*gain), by_double);
	if (out.n) {
		out.least = gain[0];
		out.median = gain[out.n / 2];
		out.most = gain[out.n - 1];
	}
	free(gain);
	return out;
}
