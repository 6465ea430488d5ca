/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast report: figures and a page of what a profile database says. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/cli.h"
#include "cli/report_data.h"
#include "cli/report_layers.h"
#include "profiles/fit.h"
#include "reports/fit_page.h"
#include "reports/gnuplot.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIGURES_MAX 60	/* each takes gnuplot twice */
#define NAMED_MAX 12	/* of what was left out */
#define SLUG_MAX 40

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

/* One figure: groups [first, first + n) of the data. */
struct figure {
	size_t first, n;
	bool scatter;
	char *heading, *caption, *svg, *png;	/* owned */
};

struct report {
	const struct opts *o;
	struct report_data data;
	struct figure *figure;	/* owned; FIGURES_MAX */
	int n_figures, left_out;
	struct report_layers layers;
	char *note;	/* owned; NULL: nothing was left out */
	char *page;	/* owned: path of index.html */
};

/* ---- what is drawn ---- */

static bool same_section(const struct fit_row *a, const struct fit_row *b)
{
	return !strcmp(a->gpu, b->gpu) && !strcmp(a->op, b->op) &&
	       !strcmp(a->tier, b->tier);
}

static size_t section_end(const struct report_data *d, size_t from)
{
	size_t to = from + 1;

	while (to < d->n_groups && same_section(&d->group[from].fit,
						&d->group[to].fit))
		to++;
	return to;
}

static char *section_name(const struct fit_row *f)
{
	return xasprintf("%s, %s (%s)", f->op, *f->tier ? f->tier : "no tier",
			 f->gpu);
}

/* What sets a group apart from the others of its section. */
static char *group_name(const struct fit_row *f)
{
	struct buf b = { 0 };
	char shape[64];

	buf_addf(&b, "%d rank%s", f->ranks, f->ranks == 1 ? "" : "s");
	if (*f->variant)
		buf_addf(&b, ", %s", f->variant);
	if (*f->dtype)
		buf_addf(&b, ", %s", f->dtype);
	if (f->ctas)
		buf_addf(&b, ", %d CTAs", f->ctas);
	if (*fit_shape_text(f, shape, sizeof(shape)))
		buf_addf(&b, ", %s", shape);
	return buf_take(&b);
}

/* Letters and digits of a name, what is between as one '-': any name makes a
 * file's. */
static char *slug(const char *op, const char *tier)
{
	char *text = xasprintf("%s-%s", op, tier), *to = text;
	const char *s;

	for (s = text; *s && to - text < SLUG_MAX; s++) {
		if (isalnum((unsigned char)*s))
			*to++ = (char)tolower((unsigned char)*s);
		else if (to > text && to[-1] != '-')
			*to++ = '-';
	}
	while (to > text && to[-1] == '-')
		to--;
	*to = '\0';
	return text;
}

static void add_figure(struct report *r, size_t first, size_t n, bool scatter)
{
	const struct fit_row *f = &r->data.group[first].fit;
	struct figure *at = &r->figure[r->n_figures++];
	char *name = slug(f->op, f->tier), *group = group_name(f);
	const char *kind = scatter ? "scatter" : "cost";

	*at = (struct figure){ .first = first, .n = n, .scatter = scatter };
	at->heading = section_name(f);
	at->caption = scatter ?
		xasprintf("%s: fitted against measured", at->heading) :
		xasprintf("%s: %s; %s, mean error %.1f %%", at->heading,
			  group, f->form, f->mape * 100);
	at->svg = xasprintf("%s/%02d-%s-%s.svg", r->o->dir, r->n_figures,
			    kind, name);
	at->png = xasprintf("%.*s.png", (int)strlen(at->svg) - 4, at->svg);
	free(name);
	free(group);
}

/* Marks the cost figures that are drawn: of those without a CTA limit first,
 * then of the others, as many as there is room for. */
static void choose(const struct report_data *d, size_t room, bool *drawn)
{
	size_t i;
	int limited;

	for (limited = 0; limited < 2; limited++) {
		for (i = 0; i < d->n_groups && room; i++) {
			if ((d->group[i].fit.ctas > 0) != limited)
				continue;
			drawn[i] = true;
			room--;
		}
	}
}

static size_t count_sections(const struct report_data *d)
{
	size_t i, n = 0;

	for (i = 0; i < d->n_groups; i = section_end(d, i))
		n++;
	return n;
}

static void note_figures(struct report *r, const bool *drawn, struct buf *b)
{
	char *name, *group;
	size_t i;
	int named = 0;

	buf_addf(b, "%d cost figure%s, to keep to %d figures in all: ",
		 r->left_out, r->left_out == 1 ? "" : "s", FIGURES_MAX);
	for (i = 0; i < r->data.n_groups && named < NAMED_MAX; i++) {
		if (drawn[i])
			continue;
		name = section_name(&r->data.group[i].fit);
		group = group_name(&r->data.group[i].fit);
		buf_addf(b, "%s%s %s", named++ ? "; " : "", name, group);
		free(name);
		free(group);
	}
	if (named < r->left_out)
		buf_puts(b, "; and others");
	buf_puts(b, ". ");
}

static void note_samples(const struct report_data *d, struct buf *b)
{
	if (d->products + d->others == 0)
		return;
	buf_addf(b, "%lld of %lld samples: ",
		 (long long)(d->products + d->others), (long long)d->samples);
	if (d->products)
		buf_addf(b, "%lld products (interpolated by shape, without a "
			 "curve)%s", (long long)d->products,
			 d->others ? ", " : "");
	if (d->others)
		buf_addf(b, "%lld that ran beside others, were wrong, or are "
			 "of fewer than 3 sizes", (long long)d->others);
	buf_puts(b, ".");
}

static void plan_figures(struct report *r)
{
	const struct report_data *d = &r->data;
	size_t sections = count_sections(d), from, to, i;
	bool *drawn = xcalloc(d->n_groups + 1, sizeof(*drawn));
	struct buf note = { 0 };
	int cost = 0;

	r->figure = xcalloc(FIGURES_MAX, sizeof(*r->figure));
	/* a scatter for each section, as long as there is room */
	sections = sections < FIGURES_MAX ? sections : FIGURES_MAX;
	choose(d, FIGURES_MAX - sections, drawn);
	for (from = 0; from < d->n_groups; from = to) {
		to = section_end(d, from);
		if (sections) {
			add_figure(r, from, to - from, true);
			sections--;
		}
		for (i = from; i < to; i++) {
			if (!drawn[i])
				continue;
			add_figure(r, i, 1, false);
			cost++;
		}
	}
	r->left_out = (int)d->n_groups - cost;
	if (r->left_out)
		note_figures(r, drawn, &note);
	note_samples(d, &note);
	r->note = note.len ? buf_take(&note) : NULL;
	buf_release(&note);
	free(drawn);
}

/* ---- drawing ---- */

static void add_part(struct buf *b, const char *name, const char *value)
{
	if (*value)
		buf_addf(b, "%s%s%s", b->len ? ", " : "", name, value);
}

/* "NVIDIA H200 x 2, host, driver 580, CUDA 13.0, NCCL 2.28, date" */
static char *provenance(const struct report *r, const struct fit_row *f)
{
	const struct store_run_row *run = report_data_run(&r->data, f);
	struct buf b = { 0 };

	if (!run)
		return xstrdup(f->gpu);
	add_part(&b, "", f->gpu);
	if (run->info.gpus > 1)
		buf_addf(&b, " x %d", run->info.gpus);
	add_part(&b, "host ", run->info.host);
	add_part(&b, "driver ", run->info.driver);
	add_part(&b, "CUDA ", run->info.cuda);
	add_part(&b, "NCCL ", run->info.nccl);
	add_part(&b, "", run->info.date);
	return buf_take(&b);
}

static enum status write_both(const struct figure *f,
			      enum status (*write)(const void *, const char *),
			      const void *chart)
{
	enum status st = write(chart, f->svg);

	return st ? st : write(chart, f->png);
}

static enum status write_fit(const void *chart, const char *path)
{
	return chart_fit_write(chart, path);
}

static enum status write_scatter(const void *chart, const char *path)
{
	return chart_scatter_write(chart, path);
}

static enum status draw_cost(const struct report *r, const struct figure *f)
{
	const struct report_group *g = &r->data.group[f->first];
	char *group = group_name(&g->fit), *from = provenance(r, &g->fit);
	char *title = xasprintf("%s, %s: %s", g->fit.op, g->fit.tier, group);
	struct chart_fit c = {
		.head = { title, from }, .form = g->fit.form,
		.curve = &g->curve, .mape = g->fit.mape,
		.min_bytes = g->fit.min_bytes, .max_bytes = g->fit.max_bytes,
		.point = g->point, .n_points = (int)g->n,
	};
	enum status st = write_both(f, write_fit, &c);

	free(title);
	free(from);
	free(group);
	return st;
}

/* Groups [first, end) as one series. */
struct series {
	char *label;
	double *measured, *fitted;
	size_t n;
};

static void series_init(struct series *s, const struct report_group *g,
			size_t n)
{
	size_t i, k, at = 0;

	for (i = 0; i < n; i++)
		s->n += g[i].n;
	s->label = n == 1 ? group_name(&g->fit) :
		   xasprintf("%zu others", n);
	s->measured = xcalloc(s->n + 1, sizeof(*s->measured));
	s->fitted = xcalloc(s->n + 1, sizeof(*s->fitted));
	for (i = 0; i < n; i++) {
		for (k = 0; k < g[i].n; k++, at++) {
			s->measured[at] = g[i].point[k].median_s;
			s->fitted[at] = curve_eval(&g[i].curve,
						   g[i].point[k].bytes);
		}
	}
}

static enum status draw_scatter(const struct report *r,
				const struct figure *f)
{
	const struct report_group *g = &r->data.group[f->first];
	struct chart_scatter_series shown[CHART_SERIES_MAX];
	struct series s[CHART_SERIES_MAX] = { { 0 } };
	char *from = provenance(r, &g->fit), *title;
	struct chart_scatter c = { .series = shown };
	enum status st;
	int i;

	title = xasprintf("%s, %s: fitted against measured", g->fit.op,
			  g->fit.tier);
	c.n_series = f->n < CHART_SERIES_MAX ? (int)f->n : CHART_SERIES_MAX;
	for (i = 0; i < c.n_series; i++) {
		series_init(&s[i], &g[i], i + 1 < c.n_series ? 1 :
			    f->n - (size_t)i);
		shown[i] = (struct chart_scatter_series){
			s[i].label, s[i].measured, s[i].fitted, (int)s[i].n,
		};
	}
	c.head = (struct chart_head){ title, from };
	st = write_both(f, write_scatter, &c);
	for (i = 0; i < c.n_series; i++) {
		free(s[i].label);
		free(s[i].measured);
		free(s[i].fitted);
	}
	free(title);
	free(from);
	return st;
}

static enum status draw(const struct report *r)
{
	static char what[] = "figures";
	enum status st = ST_OK;
	int i;

	for (i = 0; i < r->n_figures && !st; i++) {
		const struct figure *f = &r->figure[i];

		st = f->scatter ? draw_scatter(r, f) : draw_cost(r, f);
		cli_progress(what, i + 1, r->n_figures);
	}
	cli_progress_end();
	return st;
}

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
	struct fit_page_figure figure[FIGURES_MAX + REPORT_LAYERS_MAX];
	struct fit_page p = {
		.title = base_name(r->o->db), .run = run, .fit = fit,
		.n_runs = (int)r->data.n_runs,
		.n_fits = (int)r->data.n_groups, .figure = figure,
		.n_figures = r->n_figures, .note = r->note,
	};
	enum status st;
	int i;

	for (i = 0; i < r->n_figures; i++) {
		const struct figure *f = &r->figure[i];

		figure[i] = (struct fit_page_figure){
			f->heading, f->caption, f->svg, base_name(f->png),
		};
	}
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
	int i;

	for (i = 0; i < r->n_figures; i++) {
		unlink(r->figure[i].svg);
		unlink(r->figure[i].png);
	}
	report_layers_remove(&r->layers);
}

static enum status print_result(const struct report *r)
{
	json_t *files;
	int i;

	if (!r->o->common.json) {
		printf("%s: %d figures (SVG and PNG) of %zu fits\n", r->page,
		       r->n_figures + r->layers.n, r->data.n_groups);
		if (r->note)
			printf("left out: %s\n", r->note);
		return ST_OK;
	}
	files = json_array();
	json_array_append_new(files, json_string(r->page));
	for (i = 0; i < r->n_figures; i++) {
		json_array_append_new(files, json_string(r->figure[i].svg));
		json_array_append_new(files, json_string(r->figure[i].png));
	}
	report_layers_list(&r->layers, files);
	return cli_print_json(json_pack(
		"{s:s, s:o, s:i, s:i, s:i, s:s}", "schema",
		"moecast.report/1", "files", files, "fits",
		(int)r->data.n_groups, "figures",
		r->n_figures + r->layers.n,
		"figures_left_out", r->left_out, "left_out",
		r->note ? r->note : ""));
}

static enum status make(struct report *r, struct store *db)
{
	enum status st = outfile_mkdir(r->o->dir);

	if (st)
		return st;
	plan_figures(r);
	r->page = xasprintf("%s/index.html", r->o->dir);
	st = draw(r);
	if (!st)
		st = report_layers_draw(db, r->o->db, r->o->dir, &r->layers);
	if (!st)
		st = write_page(r);
	if (st)
		remove_figures(r);
	return st ? st : print_result(r);
}

static void report_release(struct report *r)
{
	int i;

	for (i = 0; i < r->n_figures; i++) {
		free(r->figure[i].heading);
		free(r->figure[i].caption);
		free(r->figure[i].svg);
		free(r->figure[i].png);
	}
	free(r->figure);
	free(r->note);
	free(r->page);
	report_layers_release(&r->layers);
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

static enum status report(const struct opts *o)
{
	struct report r = { .o = o };
	struct store *db = NULL;
	enum status st = check_opts(o);

	if (!st)
		st = store_open(o->db, STORE_READ, &db);
	if (!st) {
		st = report_data_read(db, &r.data);
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
		       "and fitted against measured time; index.html shows "
		       "them all. Needs gnuplot.",
		.children = children,
	};
	struct opts o = { 0 };
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st)
		st = report(&o);
	cli_common_release(&o.common);
	return st;
}
