/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Predicted against measured, and the order of plans of each layer. */
#include "cli/validate.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "reports/chart_fit.h"
#include "reports/fit_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANKINGS_MAX 40	/* figures; each takes gnuplot twice */

static const char *const tiers[] = { "nvlink", "shm", "socket", "network" };
static const char *const formats[] = { "svg", "png" };

#define N_TIERS (sizeof(tiers) / sizeof(tiers[0]))
#define N_FORMATS (sizeof(formats) / sizeof(formats[0]))

/* The steps of one tier. */
struct cloud {
	double *measured, *predicted;	/* owned */
	int n;
};

static struct cloud cloud_of(const struct contests *all, const char *tier)
{
	struct cloud k = { 0 };
	size_t i, t, cap = 0;

	for (i = 0; i < all->n; i++)
		cap += all->c[i]->n;
	k.measured = xcalloc(cap + 1, sizeof(*k.measured));
	k.predicted = xcalloc(cap + 1, sizeof(*k.predicted));
	for (i = 0; i < all->n; i++) {
		const struct contest *c = all->c[i];

		for (t = 0; t < c->n && !strcmp(c->tier, tier); t++) {
			if (!(c->trial[t].measured_step_s > 0))
				continue;
			k.measured[k.n] = c->trial[t].measured_step_s;
			k.predicted[k.n++] = c->trial[t].step_s;
		}
	}
	return k;
}

enum status validate_draw_scatter(const struct contests *all, const char *path)
{
	struct chart_scatter_series series[N_TIERS];
	struct cloud cloud[N_TIERS];
	struct chart_scatter c = {
		.head = { "Layers: forecast against measured",
			  "a step, forward and backward" },
		.y_axis = "forecast time (seconds)",
		.series = series,
	};
	enum status st;
	size_t i;

	for (i = 0; i < N_TIERS; i++) {
		cloud[i] = cloud_of(all, tiers[i]);
		if (cloud[i].n)
			series[c.n_series++] = (struct chart_scatter_series){
				tiers[i], cloud[i].measured,
				cloud[i].predicted, cloud[i].n
			};
	}
	st = chart_scatter_write(&c, path);
	for (i = 0; i < N_TIERS; i++) {
		free(cloud[i].measured);
		free(cloud[i].predicted);
	}
	return st;
}

struct place {
	double predicted, measured;
};

static int by_prediction(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->predicted > y->predicted) - (x->predicted < y->predicted);
}

static int places_of(const struct contest *c, struct place *p)
{
	int n = 0;
	size_t i;

	for (i = 0; i < c->n; i++) {
		if (c->trial[i].measured_step_s > 0)
			p[n++] = (struct place){
				c->trial[i].step_s,
				c->trial[i].measured_step_s
			};
	}
	qsort(p, (size_t)n, sizeof(*p), by_prediction);
	return n;
}

/* Both times of every plan, fastest forecast first: where the measured ones
 * do not rise, the order is wrong. */
enum status validate_draw_ranking(const struct contest *c, const char *path)
{
	struct place *p = xcalloc(c->n + 1, sizeof(*p));
	int n = places_of(c, p), i;
	double *x = xcalloc((size_t)n + 1, sizeof(*x));
	double *predicted = xcalloc((size_t)n + 1, sizeof(*x));
	double *measured = xcalloc((size_t)n + 1, sizeof(*x));
	const struct chart_series series[] = {
		{ "forecast", x, predicted, n, false },
		{ "measured", x, measured, n, true },
	};
	const struct chart_lines chart = {
		.head = { c->s.model.name, c->line },
		.x_axis = "plan, fastest forecast first",
		.y_axis = "step (ms)",
		.series = series,
		.n_series = 2,
	};
	enum status st;

	for (i = 0; i < n; i++) {
		x[i] = i + 1;
		predicted[i] = 1e3 * p[i].predicted;
		measured[i] = 1e3 * p[i].measured;
	}
	st = n ? chart_lines_write(&chart, path) : ST_OK;
	free(measured);
	free(predicted);
	free(x);
	free(p);
	return st;
}

static enum status draw_all(const struct validate *v,
			    const struct contests *all, const char *format)
{
	char *path = xasprintf("%s/predicted.%s", v->out_dir, format);
	enum status st = validate_draw_scatter(all, path);
	size_t i;

	free(path);
	for (i = 0; i < all->n && i < RANKINGS_MAX && !st; i++) {
		path = xasprintf("%s/ranking-%zu.%s", v->out_dir, i + 1,
				 format);
		st = validate_draw_ranking(all->c[i], path);
		free(path);
	}
	return st;
}

static void add_figure(struct fit_page *p, struct fit_page_figure *f,
		       const char *heading, const char *caption, char *svg,
		       char *png)
{
	f[p->n_figures++] = (struct fit_page_figure){ heading, caption, svg,
						      png };
}

/* The figures on one page; what its texts point to is in the arena. */
static enum status write_page(const struct validate *v,
			      const struct contests *all)
{
	struct fit_page_figure f[RANKINGS_MAX + 1];
	struct fit_page p = { .title = "Layers: forecast against measured",
			      .figure = f };
	struct arena a = { 0 };
	enum status st;
	char *path;
	size_t i;

	add_figure(&p, f, "All layers", "step, forward and backward",
		   arena_printf(&a, "%s/predicted.svg", v->out_dir),
		   arena_printf(&a, "predicted.png"));
	for (i = 0; i < all->n && i < RANKINGS_MAX; i++)
		add_figure(&p, f, "Order of plans", all->c[i]->line,
			   arena_printf(&a, "%s/ranking-%zu.svg", v->out_dir,
					i + 1),
			   arena_printf(&a, "ranking-%zu.png", i + 1));
	path = xasprintf("%s/index.html", v->out_dir);
	st = fit_page_write(&p, path);
	free(path);
	arena_release(&a);
	return st;
}

enum status validate_draw(const struct validate *v,
			  const struct contests *all)
{
	enum status st = outfile_mkdir(v->out_dir);
	size_t i;

	for (i = 0; i < N_FORMATS && !st; i++)
		st = draw_all(v, all, formats[i]);
	if (!st)
		st = write_page(v, all);
	if (st == ST_UNAVAILABLE) {
		cli_warn("no figures: %s", err_msg());
		err_clear();
		st = ST_OK;
	}
	return st;
}
