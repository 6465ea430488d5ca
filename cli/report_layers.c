/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/report_layers.h"

#include "cli/validate.h"

#include <string.h>
#include <unistd.h>

static enum status see_group(void *arg, const struct store_group *g)
{
	struct validate *v = arg;

	v->has_benchmarks |= strcmp(g->op, "layer") != 0;
	return ST_OK;
}

/* The figure's files have the same name but for their ends. */
static enum status add_figure(struct report_layers *r, const char *dir,
			      const char *heading, const char *caption,
			      const char *name, const struct contests *all,
			      const struct contest *one)
{
	const char *svg = arena_printf(&r->arena, "%s/%s.svg", dir, name);
	const char *png = arena_printf(&r->arena, "%s/%s.png", dir, name);
	enum status st;

	r->png[r->n] = png;
	r->figure[r->n++] = (struct fit_page_figure){
		arena_strdup(&r->arena, heading),
		arena_strdup(&r->arena, caption), svg,
		png + strlen(dir) + 1,
	};
	st = one ? validate_draw_ranking(one, svg) :
		validate_draw_scatter(all, svg);
	if (st)
		return st;
	return one ? validate_draw_ranking(one, png) :
		validate_draw_scatter(all, png);
}

static enum status draw(struct report_layers *r, const char *dir,
			const struct contests *all)
{
	const char *caption, *name;
	struct summary s;
	enum status st;
	size_t i;

	validate_judge(all, &s);
	caption = arena_printf(&r->arena, "%d plans of %zu layers, forecast "
			       "against measured: mean error %.1f %%, 95 %% "
			       "within %.1f %%", s.n, all->n, 100 * s.mean,
			       100 * s.p95);
	st = add_figure(r, dir, "Layers", caption, "layers", all, NULL);
	for (i = 0; i < all->n && i < REPORT_RANKINGS_MAX && !st; i++) {
		const struct contest *c = all->c[i];

		caption = arena_printf(&r->arena, "%s (%s): mean error %.1f "
				       "%%, regret of the choice %.1f %%",
				       c->s.model.name, c->tier,
				       100 * s.each[i].mean,
				       100 * s.each[i].regret);
		name = arena_printf(&r->arena, "layers-%zu", i + 1);
		st = add_figure(r, dir, "Order of plans", caption, name, all,
				c);
	}
	summary_release(&s);
	return st;
}

enum status report_layers_draw(struct store *db, const char *db_path,
			       const char *dir, struct report_layers *out)
{
	struct validate v = { .db = db_path };
	struct contests all = { 0 };
	enum status st = store_each_group(db, see_group, &v);

	*out = (struct report_layers){ 0 };
	if (!st)
		st = validate_rows(&v, db, db_path, &all);
	if (!st && all.n)
		st = draw(out, dir, &all);
	contests_release(&all);
	return st;
}

void report_layers_remove(const struct report_layers *r)
{
	int i;

	for (i = 0; i < r->n; i++) {
		unlink(r->figure[i].svg_path);
		unlink(r->png[i]);
	}
}

void report_layers_list(const struct report_layers *r, json_t *files)
{
	int i;

	for (i = 0; i < r->n; i++) {
		json_array_append_new(files,
				      json_string(r->figure[i].svg_path));
		json_array_append_new(files, json_string(r->png[i]));
	}
}

void report_layers_release(struct report_layers *r)
{
	arena_release(&r->arena);
	*r = (struct report_layers){ 0 };
}
