/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The layers of a database in `moecast report`: forecast against measured,
 * and the order of plans of each layer. Without layers there is nothing.
 */
#ifndef CLI_REPORT_LAYERS_H
#define CLI_REPORT_LAYERS_H

#include "base/mem.h"
#include "profiles/store.h"
#include "reports/fit_page.h"

#define REPORT_RANKINGS_MAX 12	/* layers with a figure of their own */

struct report_layers {
	/* texts and paths are in the arena; SVG paths are whole, PNG names
	 * without directory, beside it */
	struct fit_page_figure figure[REPORT_RANKINGS_MAX + 1];
	int n;
	struct arena arena;
};

/* Draws into the directory, which exists. What is made is listed in *out also
 * when a figure fails. */
enum status report_layers_draw(struct store *db, const char *db_path,
			       const char *dir, struct report_layers *out);
void report_layers_release(struct report_layers *r);

#endif
