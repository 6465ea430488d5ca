/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HetuMoE's exchange by leaders beside flat and 2D: the crossover, drawn. */
#include "base/buf.h"
#include "base/outfile.h"
#include "cli/reproduce.h"
#include "reports/chart.h"
#include "reports/table.h"
#include "sim/tech_hetu.h"

#include <stdlib.h>

#define CLUSTER "v100-8x-100g"	/* one NIC for eight GPUs */
#define SIZES 10
#define SIZE_FIRST 1024.0
#define SIZE_STEP 4.0

static const int nodes[] = { 2, 8, 32 };
#define NODES ((int)(sizeof(nodes) / sizeof(nodes[0])))

struct crossover {
	double bytes[SIZES];
	struct hetu_point point[NODES * SIZES];
};

static enum status crossover_make(struct crossover *x)
{
	struct comm_spec comm = { 0 };
	struct scenario s;
	enum status st = scenario_load_cluster(&s, CLUSTER, NULL, 0);

	if (st)
		return st;
	x->bytes[0] = SIZE_FIRST;
	for (int i = 1; i < SIZES; i++)
		x->bytes[i] = SIZE_STEP * x->bytes[i - 1];
	st = hetu_crossover(&s.cluster, &comm, nodes, NODES, x->bytes, SIZES,
			    x->point);
	scenario_release(&s);
	return st;
}

static enum status write_table(const struct crossover *x, const char *path)
{
	static const struct table_column columns[] = {
		{ "nodes", TABLE_COUNT, 0, 0 },
		{ "bytes of a GPU", TABLE_BYTES, 0, 0 },
		{ "flat", TABLE_TIME, 0, 0 }, { "leader", TABLE_TIME, 0, 0 },
		{ "2d", TABLE_TIME, 0, 0 }, { "fastest", TABLE_TEXT, 0, 0 },
	};
	struct buf b = { 0 };
	struct table t;
	enum status st;

	table_init(&t, columns, 6);
	for (int i = 0; i < NODES * SIZES; i++) {
		const struct hetu_point *p = &x->point[i];

		table_value(&t, p->nodes);
		table_value(&t, p->bytes);
		for (int a = 0; a < HETU_ALGS; a++)
			table_value(&t, p->time_s[a]);
		table_text(&t, a2a_table[hetu_alg[p->best]].name);
	}
	table_print(&t, &b, 0, TABLE_WIDTH);
	table_release(&t);
	st = outfile_write(path, b.s, b.len);
	buf_release(&b);
	return st;
}

/* Flat's time by the others': a line above 1 is faster there. Flat by itself
 * comes first. */
static int make_series(const struct crossover *x, double (*y)[SIZES],
		       char **label, struct chart_series *series)
{
	int k = 0;

	for (int n = 0; n < NODES; n++) {
		const struct hetu_point *point = &x->point[n * SIZES];

		for (int a = n ? 1 : 0; a < HETU_ALGS; a++, k++) {
			for (int i = 0; i < SIZES; i++)
				y[k][i] = point[i].time_s[0] /
					point[i].time_s[a];
			label[k] = a ? xasprintf("%s, %d nodes",
				a2a_table[hetu_alg[a]].name, nodes[n]) :
				xasprintf("%s", a2a_table[hetu_alg[a]].name);
			series[k] = (struct chart_series){
				.label = label[k], .x = x->bytes, .y = y[k],
				.n = SIZES };
		}
	}
	return k;
}

static enum status write_figure(const struct crossover *x, const char *path)
{
	struct chart_series series[NODES * HETU_ALGS];
	double y[NODES * HETU_ALGS][SIZES];
	char *label[NODES * HETU_ALGS];
	struct chart_lines c = {
		.head = { .title = "Where an all-to-all by leaders or in 2D "
				   "beats the flat one",
			  .subtitle = "simulated; " CLUSTER ", one NIC a "
				      "node, with other numbers of nodes" },
		.x_axis = "bytes that one GPU sends",
		.y_axis = "times as fast as flat",
		.x_log = true, .series = series,
	};
	enum status st;

	c.n_series = make_series(x, y, label, series);
	st = chart_lines_write(&c, path);
	for (int k = 0; k < c.n_series; k++)
		free(label[k]);
	return st;
}

enum status reproduce_crossover(const char *dir)
{
	static const char *const suffix[] = { "svg", "png" };
	struct crossover x;
	char *path = xasprintf("%s/hetumoe-crossover.txt", dir);
	enum status st = crossover_make(&x);

	if (!st)
		st = write_table(&x, path);
	free(path);
	for (int i = 0; i < 2 && !st; i++) {
		path = xasprintf("%s/hetumoe-crossover.%s", dir, suffix[i]);
		st = write_figure(&x, path);
		free(path);
	}
	return st;
}
