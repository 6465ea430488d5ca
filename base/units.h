/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Quantities as text: "400Gb/s" <-> 5e10 bytes per second.
 *
 * Inside the program everything is SI: seconds, bytes, bytes per second,
 * FLOP per second, fractions; virtual time is integer picoseconds. This file
 * is the only place that converts.
 *
 *	kind		accepts (prefix k K M G T P; Ki Mi Gi Ti are 1024-based)
 *	U_NUMBER	3, 2.5, 1e-3
 *	U_BYTES		4096, 64KiB, 80GB, 1MB
 *	U_RATE		400Gb/s (bits), 50GB/s (bytes), 5e10 (bytes per second)
 *	U_TIME		3us, 1.5ms, 20ns, 7ps, 2s, 0.001
 *	U_FRACTION	1%, 0.01
 *	U_FLOPS		989TFLOPS, 989TFLOP/s, 1e15
 *
 * A blank may stand between number and unit. Negative, NaN, infinite and
 * trailing text are refused.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unit_kind {
	U_NUMBER,
	U_BYTES,
	U_RATE,
	U_TIME,
	U_FRACTION,
	U_FLOPS,
};

/*
 * Parses all of `text`; false when it is not a quantity of that kind, and
 * *value_p is then untouched. No message: the caller knows the key.
 */
bool unit_parse(const char *text, enum unit_kind kind, double *value_p);

/* What unit_parse() accepts, for messages: "a time such as 3us". */
const char *unit_expected(enum unit_kind kind);

/* "s", "bytes", "bytes/s", "", "fraction", "FLOP/s". */
const char *unit_name(enum unit_kind kind);

/*
 * Canonical text that unit_parse() reads back to the same double. `out`
 * holds at least UNIT_TEXT_MAX bytes; returns `out`.
 */
#define UNIT_TEXT_MAX 48
char *unit_print(double value, enum unit_kind kind, char *out, size_t size);

/* For people: at most 4 significant digits: "3.21 ms", "47.1 GB/s". */
char *unit_human(double value, enum unit_kind kind, char *out, size_t size);

#define PS_PER_S 1e12

/* Nearest picosecond; the argument is not negative. */
static inline uint64_t ps_from_s(double s)
{
	return (uint64_t)(s * PS_PER_S + 0.5);
}

static inline double s_from_ps(uint64_t ps)
{
	return (double)ps / PS_PER_S;
}

#endif
