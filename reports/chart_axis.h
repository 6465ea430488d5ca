/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logarithmic axes whose tics carry their units: "10 µs", "1 ms"; "32 KiB",
 * "1 MiB". Init, widen by every value that is drawn, put.
 */
#ifndef REPORTS_CHART_AXIS_H
#define REPORTS_CHART_AXIS_H

struct buf;

enum chart_unit { CHART_UNIT_TIME, CHART_UNIT_BYTES };

struct chart_log_axis {
	double lo, hi;
};

void chart_log_axis_init(struct chart_log_axis *a);
void chart_log_axis_widen(struct chart_log_axis *a, double value);

/* Range and tics of the 'x' or 'y' axis: at least a decade (time) or two
 * doublings, at most a dozen tics. */
void chart_log_axis_put(struct buf *out, char name,
			const struct chart_log_axis *a, enum chart_unit unit);

#endif
