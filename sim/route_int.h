/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside of routing: popularity generators, file readers, rows of counts.
 * Only sim/route*.c and the unit tests include this.
 */
#ifndef SIM_ROUTE_INT_H
#define SIM_ROUTE_INT_H

#include "sim/route.h"

#include <gsl/gsl_rng.h>

/* Every use of random numbers has its own generator. */
enum route_purpose { PURPOSE_POPULARITY, PURPOSE_ORDER, PURPOSE_DRAW };

/* The generator of one purpose; see sim/rng.h. gsl_rng_free() it. */
gsl_rng *route_rng(uint64_t seed, enum route_purpose purpose);

/*
 * Shares p[experts] that sum to 1, of a generated kind; `hot` is the number
 * of experts on EP index 0. Refuses a skew outside the kind's range.
 */
enum status route_popularity(const struct routing_spec *spec, int experts,
			     int hot, double *p);

/*
 * One rank's row: `tokens * k` copies drawn by popularity, no cell above
 * `tokens`: what a full expert cannot take is drawn again among those that
 * have room. `weight` and `drawn` are scratch for `experts` values.
 */
void route_row_draw(gsl_rng *rng, const double *p, const struct routing *r,
		    double *weight, unsigned int *drawn, int64_t *row);

/*
 * One rank's row without chance: p * tokens * k capped at `tokens` (the
 * excess shared by the others in proportion), integers by largest remainder.
 */
void route_row_apportion(const double *p, const struct routing *r,
			 int64_t *row);

/* Experts' shares from a file of expert counts. */
enum status route_read_counts(const struct routing_spec *spec,
			      const struct model *m, double *p);

/* Tokens of a trace into r->trace and r->n_trace. */
enum status route_read_trace(const struct routing_spec *spec,
			     const struct model *m, struct routing *r);

#endif
