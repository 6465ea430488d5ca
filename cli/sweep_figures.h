/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The figures and the page of a stored sweep.
 *
 * Two keys are drawn (those of most values, numbers before names); each
 * combination of the other keys' values is a slice with figures of its own,
 * the first SLICES_MAX of them. Where there are more than SLICES_FULL each has
 * time and plans alone.
 */
#ifndef CLI_SWEEP_FIGURES_H
#define CLI_SWEEP_FIGURES_H

#include "cli/sweep_view.h"
#include "reports/page.h"

#define SLICES_MAX 24
#define SLICES_FULL 6

/* Files made so far, so that a failure can take them away. */
struct figure_files {
	struct arena arena;
	const char **path;	/* SVG, PNG, SVG, PNG, ..; owned */
	size_t n, cap;
};

void figure_files_remove(const struct figure_files *f);
void figure_files_release(struct figure_files *f);

/* Where figures go: "DIR/PREFIXname.svg" and .png, then into the page. */
struct figure_sink {
	const char *dir, *prefix;
	struct figure_files *files;
	struct page *page;
};

/* Draws both formats by `write` and adds the figure to the page. */
typedef enum status figure_write_fn(const void *chart, const char *path);
enum status figure_put(const struct figure_sink *s, const char *name,
		       const char *caption, figure_write_fn *write,
		       const void *chart);

/* sweep_draw.c: one heading and the figures of each slice. */
enum status sweep_draw_slices(const struct figure_sink *s,
			      const struct sweep_view *v);

/*
 * sweep_base.c: the first point that has a plan, planned again: its schedule,
 * cluster, what capacity costs, which upgrade pays, where its costs are from.
 */
enum status sweep_draw_base(const struct figure_sink *s,
			    const struct sweep_view *v);

/* sweep_page.c: all of a sweep, into the sink's page. */
enum status sweep_section(const struct figure_sink *s,
			  const struct sweep_view *v);

#endif
