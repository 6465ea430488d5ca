/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The page of a profile's fits: one HTML file that needs nothing else. The
 * figures are SVG in line; there is no script, and nothing is loaded from
 * anywhere. Texts may hold anything; they stay texts.
 */
#ifndef REPORTS_FIT_PAGE_H
#define REPORTS_FIT_PAGE_H

#include "base/status.h"

struct fit_page_run {	/* one measuring run: where numbers come from */
	const char *host, *gpu, *driver, *cuda, *nccl, *date, *backend,
		*source, *clocks, *environment;
	int gpus;
	double samples;
};

struct fit_page_fit {
	const char *gpu, *op, *variant, *tier, *dtype, *form;
	int ranks, ctas;
	/* the one-piece fit alpha + beta n + gamma sqrt(n) */
	double alpha_s, beta_s_per_byte, gamma_s_per_sqrt_byte;
	double r2, mape, min_bytes, max_bytes;
	int samples;
};

struct fit_page_figure {
	const char *heading;	/* a new one begins a section; never NULL */
	const char *caption;
	const char *svg_path;	/* read in */
	const char *png_name;	/* of the file beside the page */
};

struct fit_page {
	const char *title;	/* the database's name */
	const struct fit_page_run *run;
	int n_runs;	/* of more than FIT_PAGE_RUNS_MAX the newest */
	const struct fit_page_fit *fit;
	int n_fits;	/* the first FIT_PAGE_FITS_MAX are shown */
	const struct fit_page_figure *figure;
	int n_figures;
	const char *note;	/* what was left out; NULL: nothing */
	const char *more;	/* HTML that stands below (page.h) */
};

#define FIT_PAGE_RUNS_MAX 100
#define FIT_PAGE_FITS_MAX 2000

enum status fit_page_write(const struct fit_page *p, const char *path);

struct buf;

/* `text` for HTML: clean (reports/text.h), <>&"' as entities. */
void html_text(struct buf *out, const char *text);

/*
 * An SVG file as an element of an HTML page: no prolog, no name spaces
 * (HTML has its own), and ids that start with `prefix`, since those of one
 * page must differ. What is not in a tag is left as it is.
 */
void html_svg(struct buf *out, const char *svg, const char *prefix);

#endif
