/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Products and sweeps of a database in `moecast report`: figures and their part
 * of the page. Without them there is nothing. */
#ifndef CLI_REPORT_SWEEPS_H
#define CLI_REPORT_SWEEPS_H

#include "cli/sweep_figures.h"

#define REPORT_SWEEPS_MAX 8	/* the newest are shown */

struct report_sweeps {
	struct page page;	/* a part: no head, no end */
	struct figure_files files;
};

enum status report_sweeps_count(struct store *db, int *n_p);
/* Draws into the directory, which exists. What is made is listed in *out also
 * when a figure fails. */
enum status report_sweeps_draw(struct store *db, const char *dir,
			       struct report_sweeps *out);
/* report_products.c: one figure, when there are a few products. */
enum status report_products_draw(struct store *db,
				 const struct figure_sink *sink);
/* Adds the paths of the figures to a JSON array. */
void report_sweeps_list(const struct report_sweeps *r, json_t *files);
void report_sweeps_release(struct report_sweeps *r);

#endif
