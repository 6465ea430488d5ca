/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/report_figures.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

void report_figures_add(struct report_figures *r, const char *dir,
			const char *heading, const char *caption,
			const char *name)
{
	const char *png = arena_printf(&r->arena, "%s/%s.png", dir, name);

	assert(r->n < REPORT_FIGURES_MAX);
	r->png[r->n] = png;
	r->figure[r->n++] = (struct fit_page_figure){
		arena_strdup(&r->arena, heading),
		arena_strdup(&r->arena, caption),
		arena_printf(&r->arena, "%s/%s.svg", dir, name),
		png + strlen(dir) + 1,
	};
}

void report_figures_remove(const struct report_figures *r)
{
	int i;

	for (i = 0; i < r->n; i++) {
		unlink(r->figure[i].svg_path);
		unlink(r->png[i]);
	}
}

void report_figures_list(const struct report_figures *r, json_t *files)
{
	int i;

	for (i = 0; i < r->n; i++) {
		json_array_append_new(files,
				      json_string(r->figure[i].svg_path));
		json_array_append_new(files, json_string(r->png[i]));
	}
}

void report_figures_release(struct report_figures *r)
{
	arena_release(&r->arena);
	*r = (struct report_figures){ 0 };
}
