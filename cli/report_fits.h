/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The figures of a database's fits in `moecast report`: for every group cost
 * against size, for every operation and tier fitted against measured. Plan,
 * draw, list or remove, release.
 */
#ifndef CLI_REPORT_FITS_H
#define CLI_REPORT_FITS_H

#include "cli/report_data.h"

#include <jansson.h>

#define REPORT_FITS_MAX 60	/* each takes gnuplot twice */

/* One figure: groups [first, first + n) of the data. */
struct report_fit_figure {
	size_t first, n;
	bool scatter;
	char *heading, *caption, *svg, *png;	/* owned */
};

struct report_fits {
	const struct report_data *data;	/* borrowed */
	const char *dir;	/* borrowed */
	struct report_fit_figure *figure;	/* owned; REPORT_FITS_MAX */
	int n, left_out;
	char *note;	/* owned; NULL: nothing was left out */
};

/* Chooses what is drawn; draws nothing. */
void report_fits_plan(struct report_fits *r, const struct report_data *d,
		      const char *dir);
/* Into the directory, which exists. */
enum status report_fits_draw(const struct report_fits *r);
/* As the page takes them, r->n of them; the texts are r's. */
void report_fits_page(const struct report_fits *r,
		      struct fit_page_figure *out);
/* Takes the files away; adds their paths to a JSON array. */
void report_fits_remove(const struct report_fits *r);
void report_fits_list(const struct report_fits *r, json_t *files);
void report_fits_release(struct report_fits *r);

#endif
