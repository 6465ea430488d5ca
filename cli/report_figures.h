/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A list of figures that a part of `moecast report` draws: each an SVG and a
 * PNG file of one name. Zero it; what is listed is there or was tried, so
 * that all of it can be taken away again.
 */
#ifndef CLI_REPORT_FIGURES_H
#define CLI_REPORT_FIGURES_H

#include "base/mem.h"
#include "reports/fit_page.h"

#include <jansson.h>

#define REPORT_FIGURES_MAX 20

struct report_figures {
	/* texts and paths are in the arena; SVG paths are whole, PNG names
	 * without directory, beside it */
	struct fit_page_figure figure[REPORT_FIGURES_MAX];
	int n;
	const char *png[REPORT_FIGURES_MAX];	/* whole paths */
	struct arena arena;
};

/* There must be room. The figure's files are figure[n - 1].svg_path and
 * png[n - 1] then. Copies the texts. */
void report_figures_add(struct report_figures *r, const char *dir,
			const char *heading, const char *caption,
			const char *name);
/* Takes the files away; adds their paths to a JSON array. */
void report_figures_remove(const struct report_figures *r);
void report_figures_list(const struct report_figures *r, json_t *files);
void report_figures_release(struct report_figures *r);

#endif
