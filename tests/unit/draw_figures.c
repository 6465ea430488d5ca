/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every chart with every label hostile, for tests/t151-figures.sh:
 * draw_figures DIR SUFFIX LABEL. Exits with the status of the first that
 * fails, its message on stderr.
 */
#include "base/mem.h"
#include "reports/chart.h"
#include "reports/draw.h"
#include "reports/plan_files.h"
#include "tests/unit/report_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *dir, *suffix, *label;

static enum status bars(const char *path, bool vertical)
{
	const struct chart_bar bar[] = {
		{ label, 1, label, true }, { "plain", 1.84, NULL, false },
		{ label, 0, NULL, false }, { NULL, NAN, NULL, false },
	};
	const struct chart_bars c = {
		.head = { label, label }, .axis = label, .vertical = vertical,
		.reference = 1, .bar = bar, .n_bars = 4,
	};

	return chart_bars_write(&c, path);
}

static enum status gantt(const char *path)
{
	const char *const row[] = { label, "plain" };
	const struct chart_box box[] = {
		{ 0, 0, 0, 1e-3, label }, { 1, 1, 0.5e-3, 2e-3, "12" },
		{ 1, 1, 2e-3, 2e-3, "empty" },
	};
	const struct chart_mark mark[] = { { 0, label }, { 1.9e-3, label } };
	const struct chart_gantt c = {
		.head = { label, label }, .row = row, .n_rows = 2, .kind = row,
		.n_kinds = 2, .box = box, .n_boxes = 3, .mark = mark,
		.n_marks = 2,
	};

	return chart_gantt_write(&c, path);
}

static enum status lines(const char *path, bool log_axes)
{
	const double x[] = { 0, 1, 1e3, 1e6 }, y[] = { 1, NAN, 1e-5, 2 };
	const struct chart_series series[] = {
		{ label, x, y, 4, false, false },
		{ "plain", y, x, 4, true, false },
		{ "", x, y, 4, false, true },
		{ "none", x, y, 0, false, false },
	};
	const struct chart_mark mark = { 10, label };
	const struct chart_lines c = {
		.head = { label, label }, .x_axis = label, .y_axis = label,
		.x_log = log_axes, .y_log = log_axes, .series = series,
		.n_series = 3, .mark = &mark, .n_marks = 1,
	};

	return chart_lines_write(&c, path);
}

static enum status cluster(const char *path)
{
	struct cluster c = report_fixture()->scenario->cluster;
	const struct draw_rates rates = { 400e9, 0 };
	struct drawing d;
	enum status st;

	snprintf(c.gpu.name, sizeof(c.gpu.name), "%s", label);
	drawing_init(&d);
	draw_cluster(&d, &c, &rates);
	st = drawing_write(&d, path);
	drawing_release(&d);
	return st;
}

static enum status one(int i, const char *path)
{
	switch (i) {
	case 0:
	case 1:
		return bars(path, i);
	case 2:
		return gantt(path);
	case 3:
	case 4:
		return lines(path, i == 4);
	default:
		return cluster(path);
	}
}

#define N_FIGURES 6

int main(int argc, char **argv)
{
	enum status st = ST_OK;
	char *path;
	int i;

	if (argc != 4)
		return ST_INPUT;
	dir = argv[1];
	suffix = argv[2];
	label = argv[3];
	for (i = 0; !st && i < N_FIGURES; i++) {
		path = xasprintf("%s/figure%d%s", dir, i, suffix);
		st = one(i, path);
		free(path);
	}
	if (!st)
		st = plan_files_write(report_fixture(), true, dir);
	if (st)
		fprintf(stderr, "%s\n", err_msg());
	return (int)st;
}
