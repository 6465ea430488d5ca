/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The products of a database in `moecast report`: rate against work. */
#include "base/buf.h"
#include "cli/report_sweeps.h"
#include "reports/chart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_LEAST 3		/* fewer are no figure */
#define POINTS_MAX 20000	/* of one series */
#define FLOP_PER_TFLOP 1e12
#define FLOP_PER_GFLOP 1e9

/* Products of one type, made in one way, on one GPU. */
struct series {
	char label[160];
	double *gflop, *rate;	/* owned; work, TFLOP/s */
	size_t n, cap_x, cap_y;
};

struct products {
	struct series s[CHART_SERIES_MAX];
	int n;
	long points, left_out;
};

static struct series *find(struct products *p, const struct run_info *info,
			   const struct sample *s)
{
	char label[160];
	int i;

	snprintf(label, sizeof(label), "%s %s, %s", s->dtype,
		 *s->variant ? s->variant : "product", *info->gpu ?
		 info->gpu : info->backend);
	for (i = 0; i < p->n; i++) {
		if (!strcmp(p->s[i].label, label))
			return &p->s[i];
	}
	if (i == CHART_SERIES_MAX)
		return NULL;
	memcpy(p->s[i].label, label, sizeof(label));
	p->n++;
	return &p->s[i];
}

static enum status see(void *arg, int64_t run, const struct run_info *info,
		       const struct sample *s)
{
	struct products *p = arg;
	double flop = 2 * s->m * s->n * s->k * s->batch;
	struct series *e;

	(void)run;
	if (strcmp(s->op, "gemm") || *s->beside || s->wrong > 0 ||
	    !(flop > 0) || !(s->median_s > 0))
		return ST_OK;
	e = find(p, info, s);
	if (!e || e->n == POINTS_MAX) {
		p->left_out++;
		return ST_OK;
	}
	e->gflop = array_grow(e->gflop, &e->cap_x, e->n + 1, sizeof(double));
	e->rate = array_grow(e->rate, &e->cap_y, e->n + 1, sizeof(double));
	e->gflop[e->n] = flop / FLOP_PER_GFLOP;
	e->rate[e->n++] = flop / s->median_s / FLOP_PER_TFLOP;
	p->points++;
	return ST_OK;
}

static enum status write_lines(const void *chart, const char *path)
{
	return chart_lines_write(chart, path);
}

static enum status draw(const struct figure_sink *sink,
			const struct products *p)
{
	struct chart_series shown[CHART_SERIES_MAX];
	const struct chart_lines c = {
		.head = { "Expert products: rate against work", "measured" },
		.x_axis = "work of the products (GFLOP)",
		.y_axis = "rate (TFLOP/s)",
		.x_log = true, .y_log = true,
		.series = shown, .n_series = p->n,
	};
	char *caption = xasprintf("%ld measured products, all experts' of a "
				  "layer at once (%ld are not shown); "
				  "forecasts interpolate them by shape.",
				  p->points, p->left_out);
	enum status st;

	for (int i = 0; i < p->n; i++)
		shown[i] = (struct chart_series){
			.label = p->s[i].label, .x = p->s[i].gflop,
			.y = p->s[i].rate, .n = (int)p->s[i].n,
			.points_only = true,
		};
	page_heading(sink->page, 1, "Products");
	st = figure_put(sink, "products", caption, write_lines, &c);
	free(caption);
	return st;
}

enum status report_products_draw(struct store *db,
				 const struct figure_sink *sink)
{
	struct products *p = xcalloc(1, sizeof(*p));
	enum status st = store_each(db, see, p);

	if (!st && p->points >= POINTS_LEAST)
		st = draw(sink, p);
	for (int i = 0; i < p->n; i++) {
		free(p->s[i].gflop);
		free(p->s[i].rate);
	}
	free(p);
	return st;
}
