/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A paper's reported numbers beside their forecasts: a text table and a
 * figure.
 */
#ifndef REPORTS_REPRO_TEXT_H
#define REPORTS_REPRO_TEXT_H

#include "base/status.h"
#include "scenarios/paper.h"

struct buf;

/* A row that the forecast misses by more is marked, and explained. */
#define REPRO_MISS 0.15

struct repro_report {
	const struct paper *paper;
	const double *predicted, *error;	/* [paper->n_rows] */
	double mean_abs_error;
	/* of the n_free rows that no assumption was taken from */
	double mean_free_error;
	int n_free;
};

void repro_text(const struct repro_report *r, struct buf *out);

/* Text table, and the figure as SVG and PNG, into a directory:
 * NAME.txt, NAME-speedup.svg, NAME-speedup.png. */
enum status repro_files_write(const struct repro_report *r, const char *dir);

/* What a row says of a miss: its note, or a hint; NULL: no miss. */
const char *repro_note(const struct repro_report *r, int row);

#endif
