/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast report: figures and a page of what a profile database says. */
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/cli.h"
#include "cli/report_data.h"
#include "cli/report_fits.h"
#include "cli/report_layers.h"
#include "cli/report_products.h"
#include "cli/report_sweeps.h"
#include "reports/fit_page.h"
#include "reports/gnuplot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_DB = 0x2000 };

struct opts {
	struct cli_common common;
	const char *db, *dir;
};

static const struct argp_option options[] = {
	{ "db", KEY_DB, "FILE", 0, "the profile database", 0 },
	{ "output", 'o', "DIR", 0,
	  "where index.html and the figures go; made when absent", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case KEY_DB:
		o->db = arg;
		return 0;
	case 'o':
		o->dir = arg;
		return 0;
	case ARGP_KEY_ARG:
		return cli_usage("unexpected argument '%s'", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct report {
	const struct opts *o;
	struct report_data data;
	struct report_fits fits;
	struct report_figures products, layers;
	struct report_sweeps sweeps;
	char *page;	/* owned: path of index.html */
};

/* ---- the page ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static enum status write_page(const struct report *r)
{
	struct fit_page_run *run = report_data_page_runs(&r->data);
	struct fit_page_fit *fit = report_data_page_fits(&r->data);
	struct fit_page_figure figure[REPORT_FITS_MAX + 2 * REPORT_FIGURES_MAX];
	struct fit_page p = {
		.title = base_name(r->o->db), .run = run, .fit = fit,
		.n_runs = (int)r->data.n_runs,
		.n_fits = (int)r->data.n_groups, .figure = figure,
		.n_figures = r->fits.n, .note = r->fits.note,
		.more = buf_str(&r->sweeps.page.out),
	};
	enum status st;
	int i;

	report_fits_page(&r->fits, figure);
	for (i = 0; i < r->products.n; i++)
		figure[p.n_figures++] = r->products.figure[i];
	for (i = 0; i < r->layers.n; i++)
		figure[p.n_figures++] = r->layers.figure[i];
	st = fit_page_write(&p, r->page);
	free(run);
	free(fit);
	return st;
}

/* A report is whole or absent: figures without a page are none. */
static void remove_figures(const struct report *r)
{
	report_fits_remove(&r->fits);
	report_figures_remove(&r->products);
	report_figures_remove(&r->layers);
	figure_files_remove(&r->sweeps.files);
}

static int n_figures(const struct report *r)
{
	return r->fits.n + r->products.n + r->layers.n +
	       r->sweeps.page.n_figures;
}

static enum status print_result(const struct report *r)
{
	const char *note = r->fits.note;
	json_t *files;

	if (!r->o->common.json) {
		printf("%s: %d figures (SVG and PNG) of %zu fits\n", r->page,
		       n_figures(r), r->data.n_groups);
		if (note)
			printf("left out: %s\n", note);
		return ST_OK;
	}
	files = json_array();
	json_array_append_new(files, json_string(r->page));
	report_fits_list(&r->fits, files);
	report_figures_list(&r->products, files);
	report_figures_list(&r->layers, files);
	report_sweeps_list(&r->sweeps, files);
	return cli_print_json(json_pack(
		"{s:s, s:o, s:i, s:i, s:i, s:s}", "schema",
		"moecast.report/1", "files", files, "fits",
		(int)r->data.n_groups, "figures",
		n_figures(r),
		"figures_left_out", r->fits.left_out,
		"left_out", note ? note : ""));
}

static enum status make(struct report *r, struct store *db)
{
	enum status st = outfile_mkdir(r->o->dir);

	if (st)
		return st;
	report_fits_plan(&r->fits, &r->data, r->o->dir);
	r->page = xasprintf("%s/index.html", r->o->dir);
	st = report_fits_draw(&r->fits);
	if (!st)
		st = report_products_draw(db, r->o->dir, &r->products);
	if (!st)
		st = report_layers_draw(db, r->o->db, r->o->dir, &r->layers);
	if (!st)
		st = report_sweeps_draw(db, r->o->dir, &r->sweeps);
	if (!st)
		st = write_page(r);
	if (st)
		remove_figures(r);
	return st ? st : print_result(r);
}

static void report_release(struct report *r)
{
	report_fits_release(&r->fits);
	free(r->page);
	report_figures_release(&r->products);
	report_figures_release(&r->layers);
	report_sweeps_release(&r->sweeps);
	report_data_release(&r->data);
}

static enum status check_opts(const struct opts *o)
{
	if (o->common.n_sets)
		return err_set(ST_INPUT, "--set: there is no scenario here");
	if (!o->db)
		return err_set(ST_INPUT, "--db FILE is missing; try --help");
	if (!o->dir || !*o->dir)
		return err_set(ST_INPUT, "-o DIR is missing; try --help");
	return gnuplot_check();
}

static enum status read_data(struct store *db, struct report_data *out)
{
	int sweeps;
	enum status st = report_data_read(db, out);

	if (!st)
		st = report_sweeps_count(db, &sweeps);
	if (!st && !out->n_groups && !sweeps)
		st = err_set(ST_INPUT, "no fit to show: a fit takes at least "
			     "3 sizes of one operation; and no sweep");
	return st;
}

static enum status report(const struct opts *o)
{
	struct report r = { .o = o };
	struct store *db = NULL;
	enum status st = check_opts(o);

	if (!st)
		st = store_open(o->db, STORE_READ, &db);
	if (!st) {
		st = read_data(db, &r.data);
		if (st == ST_INPUT)
			err_prefix(st, "'%s'", o->db);
	}
	if (!st)
		st = make(&r, db);
	store_close(db);
	report_release(&r);
	return st;
}

enum status cmd_report(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ .argp = &cli_common_noarg_argp }, { 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Draws every fit of a profile database: cost against "
		       "size with the measured points and the error band, "
		       "and fitted against measured time; of products TFLOP/s "
		       "against rows, with the interpolation; its layers, "
		       "forecast against measured; its sweeps, with all that "
		       "their own page has. index.html shows them all. Needs "
		       "gnuplot.",
		.children = children,
	};
	struct opts o = { 0 };
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = report(&o);
	cli_common_release(&o.common);
	return st;
}
