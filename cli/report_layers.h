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

#include <jansson.h>

#define REPORT_RANKINGS_MAX 12	/* layers with a figure of their own */
#define REPORT_LAYERS_MAX (REPORT_RANKINGS_MAX + 1)	/* figures in all */

struct report_layers {
	/* texts and paths are in the arena; SVG paths are whole, PNG names
	 * without directory, beside it */
	struct fit_page_figure figure[REPORT_LAYERS_MAX];
	int n;
	const char *png[REPORT_LAYERS_MAX];	/* whole paths */
	struct arena arena;
};

/* Draws into the directory, which exists. What is made is listed in *out also
 * when a figure fails. */
enum status report_layers_draw(struct store *db, const char *db_path,
			       const char *dir, struct report_layers *out);
/* Takes the files away again; adds their paths to a JSON array. */
void report_layers_remove(const struct report_layers *r);
void report_layers_list(const struct report_layers *r, json_t *files);
void report_layers_release(struct report_layers *r);

#endif
