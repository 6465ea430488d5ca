/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A map of the best plan over two keys: a cell for each pair of values, its
 * shade the value (light is small; a grey print keeps the order), its letter
 * the plan, and a thick line wherever neighbours have different plans. What
 * the letters stand for is written above. A cell without a plan is crossed
 * out.
 */
#ifndef REPORTS_CHART_HEAT_H
#define REPORTS_CHART_HEAT_H

#include "reports/chart.h"
#include "reports/table.h"

struct chart_cell {
	double value;	/* > 0; ignored where there is no plan */
	int plan;	/* index; negative: none */
};

struct chart_heat {
	struct chart_head head;
	const char *x_axis, *y_axis;	/* y_axis NULL: one row, no name */
	const char *const *x_tic, *const *y_tic;
	int n_x, n_y;	/* 1..CHART_HEAT_SIDE_MAX, what is more is not shown */
	const char *value_name;		/* "step time" */
	enum table_kind kind;		/* how values print */
	const struct chart_cell *cell;	/* [y * n_x + x], y upwards */
	const char *const *plan;	/* what the letters stand for */
	int n_plans;
	const int *letter;	/* [n_plans] the letter of each, 0 is A; NULL:
				   in order */
};

#define CHART_HEAT_SIDE_MAX 64
#define CHART_HEAT_PLANS_MAX 20	/* lines of the legend */

/* "A" .. "Z", "AA", "AB", ...: as columns of a spreadsheet. */
#define CHART_LETTER_MAX 8
char *chart_heat_letter(int plan, char out[CHART_LETTER_MAX]);

/* The shade of a value between lo and hi, on a logarithmic scale. */
unsigned chart_heat_shade(double value, double lo, double hi);

enum status chart_heat_write(const struct chart_heat *c, const char *path);
/* The script alone, for tests; *width_p, *height_p in points. */
void chart_heat_script(const struct chart_heat *c, struct buf *out,
		       int *width_p, int *height_p);

#endif
