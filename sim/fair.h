/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fluid flows on shared links: exact max-min fair rates over time.
 *
 * A flow moves `bytes` over a fixed set of links; at every moment the rates
 * are the max-min fair allocation (progressive filling: all rates rise
 * together, a flow stops rising when one of its links is full or it reaches
 * its own bound). When a flow finishes or starts, rates change. Finish times
 * are exact up to rounding (relative 1e-9), with `merge` = 0.
 *
 * merge > 0 (seconds): completions up to that far apart (and no more than 1 %
 * of the time so far, so that what ends early is not blurred) are handled at
 * one time: rates stay as they are from the first to the last of them, each
 * finish time is the exact one under those rates, and the freed bandwidth is
 * given out at the end of the window. No byte is lost and no link is over
 * its capacity. fair_merge_error() bounds what this costs in makespan.
 *
 * Use: fair_new, fair_start (any number of flows, now), then fair_next
 * until it returns false; new flows may be started between calls.
 *
 * Ties are broken by flow number; results do not depend on addresses.
 */
#ifndef SIM_FAIR_H
#define SIM_FAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fair;

/* capacity[n_links] in bytes/s, all > 0 (copied). */
struct fair *fair_new(int n_links, const double *capacity, double merge_s);
void fair_free(struct fair *f);

/*
 * Starts a flow now; returns its number: 0, 1, 2, ... in order of starting.
 * `links` has no duplicates, n may be 0 (then only the bound limits it).
 * bytes > 0; bound > 0 in bytes/s, INFINITY for none (n = 0 needs one).
 */
int fair_start(struct fair *f, const int32_t *links, int n, double bytes,
	       double bound);

/*
 * Advances to the next completion, or to `until_s` when that comes first
 * (INFINITY: no limit). Finished flows are put in *done_p (borrowed until
 * the next call), *n_done_p of them, in order of flow number; 0 when it
 * stopped at until_s. False: no flow is active and until_s is INFINITY.
 */
bool fair_next(struct fair *f, double until_s, const int **done_p,
	       int *n_done_p);

/* Changes `merge`, from the next completion on. */
void fair_set_merge(struct fair *f, double merge_s);

/* When the next completion is; INFINITY: no flow is active. */
double fair_peek(struct fair *f);

double fair_now(const struct fair *f);		/* seconds */
double fair_finish(const struct fair *f, int flow);	/* once finished */
double fair_rate(struct fair *f, int flow);	/* now, bytes/s */
double fair_remaining(struct fair *f, int flow);	/* now, bytes */
int fair_active(const struct fair *f);		/* number of flows */
double fair_link_bytes(struct fair *f, int link);	/* carried so far */
uint64_t fair_solves(const struct fair *f);	/* re-allocations so far */

/*
 * With merge > 0: an upper bound, in seconds, of what merging can have added
 * to the last finish time, once no flow is active: that time less the busiest
 * link's own (bytes / capacity from its flows' starts on), which no sharing
 * can beat. 0 when no window held two different finish times.
 */
double fair_merge_error(const struct fair *f);

/* Asserts: no link above capacity, every active flow has a full link or is
 * at its bound (the max-min property), bytes are conserved. */
void fair_check(struct fair *f);

/*
 * One-shot form. Flow i takes links route[start[i]..start[i+1]), moves
 * bytes[i] and begins at begin_s[i] (NULL: all at 0); finish_s[i] is set
 * (0 bytes: its begin). Returns the makespan; *error_p (may be NULL) gets
 * fair_merge_error().
 */
struct fair_problem {
	int n_links;
	const double *capacity;
	int n_flows;
	const int64_t *start;	/* [n_flows + 1] */
	const int32_t *route;
	const double *bytes, *begin_s;
	double merge_s;
};

/*
 * A merge_s that keeps the makespan and, on average, the finish times of
 * this problem within about `tolerance` (relative) of exact. A rule that
 * was measured, not a bound; *error_p is one.
 */
double fair_merge_window(const struct fair_problem *p, double tolerance);

double fair_run(const struct fair_problem *p, double *finish_s,
		double *error_p);

#endif
