/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A cost as a function of size: piecewise t(n) = a + b*n + c*sqrt(n).
 *
 * The one data type for "how long does n take": data-sheet rates, measured
 * fits and published fits all end up here, and a technique never writes
 * `latency + n / bandwidth` in line. a is Hockney's start-up time (R. W.
 * Hockney, 1994), b the time per unit, c the ramp of pipelined transfers.
 *
 * Pieces are ordered by `upto`; piece i holds for sizes in
 * (upto[i-1], upto[i]]; the last one reaches to infinity. At most
 * CURVE_PIECES pieces; operations that would need more fail (return false)
 * and leave the result untouched.
 */
#ifndef BASE_CURVE_H
#define BASE_CURVE_H

#include <stdbool.h>

#define CURVE_PIECES 16

enum curve_source {	/* where the numbers come from; shown to the user */
	CURVE_ASSUMED,
	CURVE_DATASHEET,
	CURVE_PUBLISHED,
	CURVE_MEASURED,
};

struct curve_piece {
	double upto;	/* inclusive end, in the curve's size unit */
	double a;	/* seconds */
	double b;	/* seconds per unit */
	double c;	/* seconds per square root of unit */
};

struct curve {
	int n;		/* pieces; 0: the zero curve */
	enum curve_source source;
	struct curve_piece piece[CURVE_PIECES];
};

/* One piece: a + b*n + c*sqrt(n). */
struct curve curve_make(double a, double b, double c, enum curve_source src);

/* Seconds for n units, n >= 0. */
double curve_eval(const struct curve *f, double n);

/* f + g, pointwise; the source of a result is the less trusted of the two. */
bool curve_add(const struct curve *f, const struct curve *g,
	       struct curve *out);

/* f(k * n): the same cost when the size is counted in units k times larger. */
struct curve curve_scale_size(const struct curve *f, double k);

/* k * f(n). */
struct curve curve_scale_time(const struct curve *f, double k);

/* min(f, g), pointwise. Where the lines cross a piece ends. c must be 0. */
bool curve_min(const struct curve *f, const struct curve *g,
	       struct curve *out);

/*
 * Smallest n > lo with f(n) = g(n), for two curves with c = 0; negative when
 * they do not meet: the size threshold between two protocols. A jump across
 * each other is no meeting.
 */
double curve_intersect(const struct curve *f, const struct curve *g,
		       double lo);

/* f for sizes up to `at`, g above it: a protocol switch. */
bool curve_switch(const struct curve *f, double at, const struct curve *g,
		  struct curve *out);

const char *curve_source_name(enum curve_source src);

#endif
