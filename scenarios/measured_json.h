/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a profile says about a GPU (struct measured) as a text file, the form
 * in which measurements ship (scenarios/data/profiles/NAME.fit.json):
 *
 *	{"schema": "moecast.fits/1", "gpu": "NVIDIA H200", "source": "...",
 *	 "runs": [{"host": ..., "driver": ..., "date": ...}, ...],
 *	 "curves": [{"op": "alltoall", "tier": "nvlink", "ranks": 2,
 *	   "min_bytes": ..., "max_bytes": ..., "r2": ..., "mape": ...,
 *	   "smooth": [PIECE], "curve": [PIECE, ...]}, ...],
 *	 "products": [{"dtype": "bf16", "variant": "grouped", "points":
 *	   [[m, n, k, batch, seconds], ...]}, ...]}
 *
 * PIECE is {"upto": bytes or null, "a": s, "b": s/byte, "c": s/sqrt(byte)}.
 * One curve and one point per line. Numbers have 17 digits: what is read back
 * is the same bit by bit, and forecasts from the file are those from the
 * database. Reading passes over "runs" and what it does not know.
 */
#ifndef SCENARIOS_MEASURED_JSON_H
#define SCENARIOS_MEASURED_JSON_H

#include "base/status.h"
#include "scenarios/measured.h"

#include <stddef.h>

struct buf;
struct run_info;

void measured_json_print(const struct measured *m, const struct run_info *run,
			 size_t n_runs, struct buf *out);

/*
 * ST_INPUT when it is no such file, a curve's coefficient is negative, a
 * point is not positive, or there is more than a profile can have; the
 * message starts with `name` and says which curve or point.
 */
enum status measured_json_parse(const char *name, const char *text,
				size_t len, struct measured *out);

/* The file of that name, or at that path (scenarios/datadir.h). */
enum status measured_load(const char *name, struct measured *out);

#endif
