/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A curve as JSON, the form in which databases keep it:
 *
 *	[{"upto": 65536, "a": 1e-05, "b": 2e-12, "c": 0}, {"upto": null, ...}]
 *
 * The last piece reaches to infinity (null). Printed with 17 digits, so that
 * what is read back is the same bit by bit.
 */
#ifndef SCENARIOS_CURVE_JSON_H
#define SCENARIOS_CURVE_JSON_H

#include "base/curve.h"
#include "base/status.h"

struct buf;

void curve_json_print(const struct curve *f, struct buf *out);

/* The source of the result is `source`: the text does not say. */
enum status curve_json_parse(const char *text, enum curve_source source,
			     struct curve *out);

#endif
