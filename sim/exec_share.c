/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/exec_share.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

/* A resource this full takes no more: rounding of sums of a few speeds. */
#define FULL 1e-12

/* Resource n_resources is the memory. */
static double use_of(const struct share_activity *a, int r, int n_resources)
{
	if (r == n_resources)
		return a->memory;
	if (!a->use)
		return 0;
	/* alone, every activity fits at full speed */
	return fmin(1, a->use[r] * a->scale);
}

/* How far the rising activities can rise together on this resource. */
static double room(const struct share_activity *a, int n, const bool *frozen,
		   int r, int n_resources)
{
	double used = 0, slope = 0, u;
	int i;

	for (i = 0; i < n; i++) {
		u = use_of(&a[i], r, n_resources);
		used += u * a[i].speed;
		if (!frozen[i])
			slope += u;
	}
	return slope > 0 ? fmax(0, 1 - used) / slope : INFINITY;
}

static double rise_of_all(const struct share_activity *a, int n,
			  const bool *frozen, int n_resources)
{
	double rise = INFINITY;
	int i, r;

	for (i = 0; i < n; i++) {
		if (!frozen[i])
			rise = fmin(rise, a[i].bound - a[i].speed);
	}
	for (r = 0; r <= n_resources; r++)
		rise = fmin(rise, room(a, n, frozen, r, n_resources));
	return rise;
}

static bool freeze(const struct share_activity *a, int n, bool *frozen,
		   int n_resources)
{
	bool stuck[SHARE_MAX] = { false }, any = false;
	int i, r;

	for (i = 0; i < n; i++)
		stuck[i] = a[i].speed >= a[i].bound - FULL;
	for (r = 0; r <= n_resources; r++) {
		if (room(a, n, frozen, r, n_resources) > FULL)
			continue;
		for (i = 0; i < n; i++)
			stuck[i] |= use_of(&a[i], r, n_resources) > 0;
	}
	for (i = 0; i < n; i++) {
		frozen[i] |= stuck[i];
		any |= !frozen[i];
	}
	return any;
}

void share_solve(struct share_activity *a, int n, int n_resources)
{
	bool frozen[SHARE_MAX] = { false };
	double rise;
	int i, round;

	assert(n <= SHARE_MAX);
	for (i = 0; i < n; i++)
		a[i].speed = 0;
	/* every round freezes one at least */
	for (round = 0; round < n; round++) {
		rise = rise_of_all(a, n, frozen, n_resources);
		for (i = 0; i < n; i++) {
			if (!frozen[i])
				a[i].speed += rise;
		}
		if (!freeze(a, n, frozen, n_resources))
			break;
	}
}
