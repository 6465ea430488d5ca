/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost_power.h"

#include <math.h>

/* Newton's steps to a clock's root, which is between 1 and a few. */
#define STEPS_MAX 60
#define NEAR 1e-12

void power_add(struct power *p, const struct work *w)
{
	p->held_s += w->held_s;
	p->limited_s += w->limited_s;
}

/*
 * How much faster than at the clock that holds, u, products may go when the
 * GPU saves `saved` seconds at the limit for each second of theirs. Power goes
 * with frequency and voltage squared, and the voltage with the frequency: u^3
 * for 1 / u seconds. The root above 1 of u^2 - 1 / u = saved.
 */
static double speed_of(double saved)
{
	double u = 1 + saved, step;
	int i;

	/* u^3 - saved u - 1 is convex, and not below 0 there: from above */
	for (i = 0; i < STEPS_MAX; i++) {
		step = (u * u * u - saved * u - 1) / (3 * u * u - saved);
		u -= step;
		if (step < NEAR)
			break;
	}
	return u;
}

/*
 * The limit is one of energy over a step: what a GPU saves while it only
 * exchanges its products may draw.
 */
double power_holds(const struct power *p, int chunks)
{
	double saved = p->spared * (p->chunked_s / chunks + p->whole_s), u;

	if (!(p->held_s > 0))
		return 0;
	u = speed_of(saved / p->limited_s);
	return fmax(0, 1 - (1 - 1 / u) * p->limited_s / p->held_s);
}
