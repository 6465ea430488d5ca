/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/sweep_point.h"

#include "cli/fill.h"
#include "cli/profile_use.h"
#include "scenarios/keys.h"
#include "sim/search.h"

#include <stdlib.h>

#define ROW_DIGITS 12	/* of reals: as cli_print_json() */

/* The key's value as a number where it is one, else its text. */
static json_t *value_json(const char *key, const char *text)
{
	const struct key_row *row = key_find(key);
	double v;

	if (row && (row->type == KEY_INT || row->type == KEY_UINT64 ||
		    row->type == KEY_REAL || row->type == KEY_KNOB_INT ||
		    row->type == KEY_KNOB_REAL) &&
	    unit_parse(text, row->unit, &v))
		return v == (double)(long)v && row->unit == U_NUMBER ?
			json_integer((json_int_t)v) : json_real(v);
	return json_string(text);
}

static json_t *keys_json(const struct sweep_spec *spec, long point)
{
	const struct sweep_grid *g = spec->grid;
	json_t *row = json_object();

	json_object_set_new(row, "point", json_integer(point));
	for (int i = 0; i < g->n_axes; i++) {
		const struct sweep_axis *x = &g->axis[i];

		json_object_set_new(row, x->key, value_json(x->key,
			x->value[sweep_grid_index(g, point, i)]));
	}
	return row;
}

static char *row_text(json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT |
				JSON_REAL_PRECISION(ROW_DIGITS));

	json_decref(row);
	return text ? text : xstrdup("{}");
}

static json_t *baselines_json(const struct search_result *r)
{
	json_t *out = json_array();

	for (int i = 0; i < r->n_baselines; i++)
		json_array_append_new(out, json_pack("{s:s, s:f, s:f}",
			"system", r->baseline[i].system,
			"time_s", r->baseline[i].time_s,
			"speedup", r->baseline[i].speedup));
	return out;
}

static void add_result(json_t *row, const struct scenario *s,
		       const struct search_result *r)
{
	const struct candidate *b = &r->best;
	double tokens = (double)layout_tokens(&b->plan.layout, &s->model) *
		cluster_gpus(&s->cluster) / b->plan.layout.pp;
	json_t *more = json_pack("{s:f, s:o, s:f, s:f, s:f, s:f, s:o, s:o}",
		"time_s", r->best_s,
		"knobs", json_knobs(&b->plan),
		"tokens_per_s", tokens / r->best_s,
		"forward_s", r->pass_s[0],
		"drop_fraction", b->drop_fraction,
		"memory_bytes", b->memory.total,
		"breakdown", json_breakdown(&r->exec),
		"baselines", baselines_json(r));

	json_object_update(row, more);
	json_decref(more);
}

static enum status search_point(const struct sweep_spec *spec,
				struct scenario *s, json_t *row)
{
	const struct search_options o = { .top = 1,
					  .lane_only = spec->lane_only,
					  .no_systems = true };
	struct profile_use use;
	struct search_result r;
	enum status st = profile_use_load(&use, s);

	if (!st)
		st = search_run(s, &o, &r);
	if (!st) {
		add_result(row, s, &r);
		search_release(&r);
	}
	profile_use_release(&use);
	return st;
}

static void add_reason(json_t *row, const char *reason)
{
	json_object_set_new(row, "time_s", json_null());
	json_object_set_new(row, "reason", json_string(reason));
}

char *sweep_point_row(const struct sweep_spec *spec, long point)
{
	int n = sweep_grid_sets(spec->grid);
	struct scenario_set *sets = xcalloc((size_t)n, sizeof(*sets));
	json_t *row = keys_json(spec, point);
	struct arena arena = { 0 };
	struct scenario s;
	enum status st;

	err_clear();
	sweep_grid_point(spec->grid, point, &arena, sets);
	st = scenario_load(&s, spec->path, sets, n);
	if (!st) {
		st = search_point(spec, &s, row);
		scenario_release(&s);
	}
	if (st)
		add_reason(row, err_msg());
	arena_release(&arena);
	free(sets);
	return row_text(row);
}

char *sweep_point_lost(const struct sweep_spec *spec, long point,
		       const char *reason)
{
	json_t *row = keys_json(spec, point);

	add_reason(row, reason);
	return row_text(row);
}
