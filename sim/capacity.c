/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Capacity: slots, drops, padding, the knee, LocMoE's lower bound. Equations
 * and sources: doc/model.md, section "Routing and capacity".
 */
#include "sim/route.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_sf_gamma.h>
#include <assert.h>
#include <math.h>

/*
 * A factor that was computed from a number of slots must give that number
 * again: the ceiling forgives this relative error of the arithmetic.
 */
#define ROUNDING 1e-12

/* Candidates that people know from papers; those below the dropless one. */
static const double customary[] = { 1, 1.1, 1.25, 1.5, 2, 3, 4, 8, 16 };
#define N_CUSTOMARY ((int)(sizeof(customary) / sizeof(customary[0])))

static double even_slots(const struct routing *r)
{
	return (double)r->k * r->tokens / r->experts;
}

int64_t capacity_slots(const struct routing *r, double factor)
{
	double slots = ceil(even_slots(r) * factor * (1 - ROUNDING));

	return slots > 1 ? (int64_t)slots : 1;
}

double capacity_factor(const struct routing *r, int64_t slots)
{
	return (double)slots / even_slots(r);
}

int64_t capacity_kept(const struct routing *r, int64_t slots)
{
	int64_t n = (int64_t)r->ranks * r->experts, i, kept = 0;

	for (i = 0; i < r->n_levels; i++) {
		int64_t count = r->level[i].count;

		kept += r->level[i].cells * (count < slots ? count : slots);
	}
	for (i = 0; i < n && !r->n_levels; i++) {
		kept += r->count[i] < slots ? r->count[i] : slots;
	}
	return kept;
}

double capacity_drop(const struct routing *r, int64_t slots)
{
	int64_t routed = (int64_t)r->ranks * r->tokens * r->k;

	return (double)(routed - capacity_kept(r, slots)) / (double)routed;
}

double capacity_padding(const struct routing *r, int64_t slots)
{
	double room = (double)r->ranks * r->experts * (double)slots;

	return (room - (double)capacity_kept(r, slots)) / room;
}

int64_t capacity_dropless_slots(const struct routing *r)
{
	int64_t n = (int64_t)r->ranks * r->experts, i, most = 1;

	if (r->n_levels) {
		most = r->level[r->n_levels - 1].count;
		return most > 1 ? most : 1;
	}
	for (i = 0; i < n; i++) {
		most = r->count[i] > most ? r->count[i] : most;
	}
	return most;
}

/* The drop falls as slots grow: bisection. */
static int64_t slots_for(const struct routing *r, double max_drop)
{
	int64_t low = 1, high = capacity_dropless_slots(r);

	while (low < high) {
		int64_t mid = low + (high - low) / 2;

		if (capacity_drop(r, mid) <= max_drop) {
			high = mid;
		} else {
			low = mid + 1;
		}
	}
	return low;
}

double capacity_factor_for(const struct routing *r, double max_drop)
{
	return capacity_factor(r, slots_for(r, max_drop));
}

/*
 * Kneedle (Satopaa et al. 2011): where the curve is farthest from its chord.
 * The drop is convex in the slots, so the distance rises up to the knee and
 * falls after it: bisection on its first difference.
 */
int64_t capacity_knee_slots(const struct routing *r)
{
	int64_t first = capacity_slots(r, 1);
	int64_t last = capacity_dropless_slots(r);
	int64_t low = first, high = last;
	int64_t fall;

	if (last <= first) {
		return first;
	}
	/* in whole copies: many capacities lie exactly on a line */
	fall = capacity_kept(r, last) - capacity_kept(r, first);
	while (low < high) {
		int64_t mid = low + (high - low) / 2;
		int64_t gain = capacity_kept(r, mid + 1) - capacity_kept(r, mid);

		if (gain * (last - first) > fall) {
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	return low;
}

double capacity_lower_bound(int experts, int hidden, double delta)
{
	gsl_sf_result tail;

	assert(experts > 0 && hidden > 0 && delta >= 0 && delta < 1);
	if (hidden == 1) {
		return 1.0 / experts;	/* every |cos| is 1 */
	}
	/* 1 - I_x(a, b) = I_{1-x}(b, a), without the cancellation */
	if (gsl_sf_beta_inc_e((hidden - 1) / 2.0, 0.5, 1 - delta * delta,
			      &tail) || !(tail.val > 0)) {
		return INFINITY;	/* underflow */
	}
	return 1 / (experts * tail.val);
}

/* Keeps factors ascending and with different slots; the first one stays. */
static int add_factor(const struct routing *r, double factor, double *out,
		      int n, int max)
{
	int64_t slots = capacity_slots(r, factor);
	int i, at = 0;

	for (i = 0; i < n; i++) {
		int64_t other = capacity_slots(r, out[i]);

		if (other == slots) {
			return n;
		}
		at += other < slots;
	}
	if (n == max) {
		return n;
	}
	for (i = n; i > at; i--) {
		out[i] = out[i - 1];
	}
	out[at] = factor;
	return n + 1;
}

int capacity_candidates(const struct routing *r, double max_drop,
			double *out, int max)
{
	int64_t dropless = capacity_dropless_slots(r);
	int64_t least = slots_for(r, max_drop), even = capacity_slots(r, 1);
	int n = 0, i;

	if (least < even) {
		least = even;	/* below 1 even routing would drop */
	}
	n = add_factor(r, capacity_factor(r, dropless), out, n, max);
	n = add_factor(r, capacity_factor(r, least), out, n, max);
	n = add_factor(r, capacity_factor(r, capacity_knee_slots(r)), out, n,
		       max);
	for (i = 0; i < N_CUSTOMARY; i++) {
		if (capacity_slots(r, customary[i]) < dropless) {
			n = add_factor(r, customary[i], out, n, max);
		}
	}
	return n;
}
