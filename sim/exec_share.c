/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/exec_share.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A resource this full takes no more: rounding of sums of a few speeds. */
#define FULL 1e-12

/* Distinct rows looked through for one that is there already. */
#define LOOK_BACK 32

/*
 * Resources that matter, as rows of what each activity uses at full speed.
 * Links of a regular network repeat, and one that a single activity uses
 * limits nobody: alone, every activity fits at full speed.
 */
struct rows {
	double (*use)[SHARE_MAX];
	size_t n, cap;
};

/* Link r (above 0) is used as the one before it. */
static bool repeats(const struct share_activity *a, int n, int r)
{
	for (int i = 0; i < n; i++) {
		if (a[i].use && a[i].use[r] != a[i].use[r - 1])
			return false;
	}
	return true;
}

static void add_row(struct rows *rows, const double *use, int n)
{
	size_t i, back = rows->n > LOOK_BACK ? rows->n - LOOK_BACK : 0;

	for (i = rows->n; i > back; i--) {
		if (!memcmp(rows->use[i - 1], use, (size_t)n * sizeof(*use)))
			return;
	}
	rows->use = array_grow(rows->use, &rows->cap, rows->n + 1,
			       sizeof(*rows->use));
	memcpy(rows->use[rows->n++], use, (size_t)n * sizeof(*use));
}

static void list_rows(const struct share_activity *a, int n, int n_resources,
		      struct rows *rows)
{
	double use[SHARE_MAX];

	for (int r = 0; r < n_resources; r++) {
		int users = 0;

		if (r && repeats(a, n, r))
			continue;
		for (int i = 0; i < n; i++) {
			use[i] = a[i].use ? fmin(1, a[i].use[r] * a[i].scale) :
				0;
			users += use[i] > 0;
		}
		if (users > 1)
			add_row(rows, use, n);
	}
	for (int i = 0; i < n; i++)
		use[i] = a[i].memory;
	add_row(rows, use, n);
}

/* How far the rising activities can rise together on this resource. */
static double room(const struct share_activity *a, int n, const bool *frozen,
		   const double *use)
{
	double used = 0, slope = 0;

	for (int i = 0; i < n; i++) {
		used += use[i] * a[i].speed;
		if (!frozen[i])
			slope += use[i];
	}
	return slope > 0 ? fmax(0, 1 - used) / slope : INFINITY;
}

static double rise_of_all(const struct share_activity *a, int n,
			  const bool *frozen, const struct rows *rows)
{
	double rise = INFINITY;

	for (int i = 0; i < n; i++) {
		if (!frozen[i])
			rise = fmin(rise, a[i].bound - a[i].speed);
	}
	for (size_t r = 0; r < rows->n; r++)
		rise = fmin(rise, room(a, n, frozen, rows->use[r]));
	return rise;
}

static bool freeze(const struct share_activity *a, int n, bool *frozen,
		   const struct rows *rows)
{
	bool stuck[SHARE_MAX] = { false }, any = false;

	for (int i = 0; i < n; i++)
		stuck[i] = a[i].speed >= a[i].bound - FULL;
	for (size_t r = 0; r < rows->n; r++) {
		if (room(a, n, frozen, rows->use[r]) > FULL)
			continue;
		for (int i = 0; i < n; i++)
			stuck[i] |= rows->use[r][i] > 0;
	}
	for (int i = 0; i < n; i++) {
		frozen[i] |= stuck[i];
		any |= !frozen[i];
	}
	return any;
}

void share_solve(struct share_activity *a, int n, int n_resources)
{
	bool frozen[SHARE_MAX] = { false };
	struct rows rows = { 0 };
	double rise;
	int i, round;

	assert(n <= SHARE_MAX);
	list_rows(a, n, n_resources, &rows);
	for (i = 0; i < n; i++)
		a[i].speed = 0;
	/* every round freezes one at least */
	for (round = 0; round < n; round++) {
		rise = rise_of_all(a, n, frozen, &rows);
		for (i = 0; i < n; i++) {
			if (!frozen[i])
				a[i].speed += rise;
		}
		if (!freeze(a, n, frozen, &rows))
			break;
	}
	free(rows.use);
}
