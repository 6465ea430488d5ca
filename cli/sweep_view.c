/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/sweep_view.h"

#include "base/buf.h"
#include "cli/sweep.h"
#include "cli/sweep_next.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FACTOR_TOLERANCE 0.01	/* of steps that are a range by factor */
#define WIDE_FACTOR 20.0	/* such a range is logarithmic in any case */

/* ---- what it is about ---- */

static json_t *texts_json(const char *const *text, int n)
{
	json_t *out = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(out, json_string(text[i]));
	return out;
}

static char *describe(const struct sweep_spec *spec)
{
	const struct sweep_grid *g = spec->grid;
	struct buf out = { 0 };

	buf_puts(&out, spec->path);
	for (int i = 0; i < g->n_fixed; i++)
		buf_addf(&out, " %s", g->fixed[i]);
	for (int i = 0; i < g->n_axes; i++)
		buf_addf(&out, " %s=(%d)", g->axis[i].key, g->axis[i].n);
	return buf_take(&out);
}

void sweep_about(const struct sweep_spec *spec, const struct scenario *s,
		 const char *costs, struct buf *out)
{
	const struct sweep_grid *g = spec->grid;
	json_t *axes = json_array(), *root;
	struct buf yaml = { 0 };
	char *text = describe(spec), *dump;

	scenario_print(s, &yaml);
	for (int i = 0; i < g->n_axes; i++)
		json_array_append_new(axes, json_pack("{s:s, s:o}",
			"key", g->axis[i].key,
			"values", texts_json(g->axis[i].value,
					     g->axis[i].n)));
	root = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s}",
			 "text", text, "path", spec->path,
			 "model", spec->lane_only ? "lane" : "flow",
			 "fixed", texts_json(g->fixed, g->n_fixed),
			 "axes", axes, "scenario", buf_str(&yaml),
			 "costs", costs);
	/* NULL: a text that is not UTF-8; its name must do then */
	dump = root ? json_dumps(root, JSON_COMPACT) : NULL;
	buf_puts(out, dump && strlen(dump) < SWEEP_ROW_MAX ? dump : text);
	free(dump);
	json_decref(root);
	free(text);
	buf_release(&yaml);
}

static const char *text_of(struct sweep_view *v, const json_t *object,
			   const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return arena_strdup(&v->arena, s ? s : "");
}

static const char **texts_of(struct sweep_view *v, const json_t *list,
			     int *n_p)
{
	int n = (int)json_array_size(list);
	const char **out = arena_alloc(&v->arena, ((size_t)n + 1) *
				       sizeof(*out));

	for (int i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(list,
							(size_t)i));

		out[i] = arena_strdup(&v->arena, s ? s : "");
	}
	*n_p = n;
	return out;
}

/* "cluster.nic.bandwidth" -> "nic bandwidth": the last two parts. */
static const char *axis_name(struct sweep_view *v, const char *key)
{
	const char *at = strrchr(key, '.');
	char *name;

	while (at && at > key && at[-1] != '.')
		at--;
	name = arena_strdup(&v->arena, at ? at : key);
	if (!strncmp(name, "cluster.", 8))
		name += 8;
	for (char *s = name; *s; s++) {
		if (*s == '.' || *s == '_')
			*s = ' ';
	}
	return name;
}

static bool axis_init(struct sweep_view *v, struct view_axis *x,
		      const json_t *j)
{
	x->key = text_of(v, j, "key");
	x->name = axis_name(v, x->key);
	x->label = texts_of(v, json_object_get(j, "values"), &x->n);
	x->numeric = true;	/* until a row has a text there */
	if (!*x->key || x->n < 1 || x->n > SWEEP_VALUES_MAX)
		return false;
	x->value = arena_alloc(&v->arena, (size_t)x->n * sizeof(*x->value));
	x->order = arena_alloc(&v->arena, (size_t)x->n * sizeof(*x->order));
	return true;
}

static bool read_about(struct sweep_view *v, const json_t *root)
{
	const json_t *axes = json_object_get(root, "axes");
	size_t n = json_array_size(axes);

	v->text = text_of(v, root, "text");
	v->path = text_of(v, root, "path");
	v->model = text_of(v, root, "model");
	v->scenario = text_of(v, root, "scenario");
	v->costs = text_of(v, root, "costs");
	v->fixed = texts_of(v, json_object_get(root, "fixed"), &v->n_fixed);
	if (!n || n > SWEEP_AXES_MAX)
		return false;
	v->n_points = 1;
	for (size_t i = 0; i < n; i++) {
		struct view_axis *x = &v->axis[v->n_axes++];

		if (!axis_init(v, x, json_array_get(axes, i)) ||
		    v->n_points > VIEW_POINTS_MAX / x->n)
			return false;
		v->n_points *= x->n;
	}
	return true;
}

struct finder {
	struct sweep_view *v;
	int64_t sweep;
	bool found, good;
};

static enum status find_about(void *arg, const struct store_sweep_row *s)
{
	struct finder *f = arg;
	json_t *root;

	if (s->sweep != f->sweep)
		return ST_OK;
	f->found = true;
	root = json_loads(s->about, 0, NULL);
	f->good = json_is_object(root) && read_about(f->v, root);
	json_decref(root);
	return ST_OK;
}

/* ---- rows ---- */

static int plan_number(struct sweep_view *v, const char *text)
{
	int i;

	for (i = 0; i < v->n_plans; i++) {
		if (!strcmp(v->plan[i], text))
			return i;
	}
	if (i == VIEW_PLANS_MAX - 1)
		text = "other plans";
	else if (i == VIEW_PLANS_MAX)
		return i - 1;
	v->plan[v->n_plans++] = arena_strdup(&v->arena, text);
	return i;
}

static double number_of(const json_t *object, const char *key)
{
	const json_t *j = json_object_get(object, key);

	return json_is_number(j) ? json_number_value(j) : NAN;
}

static void read_systems(struct sweep_view *v, struct view_point *p,
			 const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *b = json_array_get(list, i);
		const char *name = text_of(v, b, "system");
		int k = 0;

		while (k < v->n_systems && strcmp(v->system[k], name))
			k++;
		if (k == VIEW_SYSTEMS_MAX)
			continue;
		if (k == v->n_systems)
			v->system[v->n_systems++] = name;
		p->speedup[k] = (float)number_of(b, "speedup");
	}
}

static void read_axes(struct sweep_view *v, long point, const json_t *row)
{
	for (int i = 0; i < v->n_axes; i++) {
		struct view_axis *x = &v->axis[i];
		double value = number_of(row, x->key);

		if (isfinite(value))
			x->value[view_index(v, point, i)] = value;
		else
			x->numeric = false;
	}
}

static enum status read_row(void *arg, int64_t number, const char *text)
{
	struct sweep_view *v = arg;
	struct buf plan = { 0 };
	struct view_point *p;
	json_t *row;
	enum status st;

	if (number < 0 || number >= v->n_points)
		return err_set(ST_INPUT, "a sweep has a point %lld of %ld",
			       (long long)number, v->n_points);
	st = sweep_row_parse((long)number, text, &row);
	if (st)
		return st;
	p = &v->point[number];
	v->n_done++;
	read_axes(v, (long)number, row);
	p->time_s = number_of(row, "time_s");
	if (p->time_s > 0) {
		sweep_row_plan(row, false, &plan);
		p->plan = plan_number(v, buf_str(&plan));
		p->tokens_per_s = number_of(row, "tokens_per_s");
		p->memory_bytes = number_of(row, "memory_bytes");
		p->drop_fraction = number_of(row, "drop_fraction");
		read_systems(v, p, json_object_get(row, "baselines"));
	} else {
		p->reason = text_of(v, row, "reason");
		v->n_failed++;
	}
	buf_release(&plan);
	json_decref(row);
	return ST_OK;
}

/* ---- axes ---- */

/* Equal factors from one value to the next, or a very wide range. */
static bool is_log(const struct view_axis *x)
{
	double lo = x->value[x->order[0]], hi = x->value[x->order[x->n - 1]];
	double factor;

	if (!x->numeric || x->n < 2 || !(lo > 0) || !(hi > lo))
		return false;
	factor = pow(hi / lo, 1.0 / (x->n - 1));
	for (int i = 1; i < x->n; i++) {
		double f = x->value[x->order[i]] / x->value[x->order[i - 1]];

		if (fabs(f / factor - 1) > FACTOR_TOLERANCE)
			return hi / lo >= WIDE_FACTOR;
	}
	return true;
}

static void axis_finish(struct view_axis *x)
{
	for (int i = 0; i < x->n; i++) {
		int at = i;

		if (!x->numeric)
			x->value[i] = i;
		/* insertion: grids come sorted, or short */
		for (; at && x->value[x->order[at - 1]] > x->value[i]; at--)
			x->order[at] = x->order[at - 1];
		x->order[at] = i;
	}
	x->log = is_log(x);
}

enum status sweep_view_load(struct store *db, int64_t sweep,
			    struct sweep_view *out)
{
	struct sweep_view v = { 0 };
	struct finder f = { &v, sweep, false, false };
	enum status st = store_each_sweep(db, find_about, &f);

	if (!st && !f.good)
		st = err_set(ST_INPUT, "sweep %lld: the database does not say "
			     "what it is about", (long long)sweep);
	if (!st) {
		v.point = xcalloc((size_t)v.n_points, sizeof(*v.point));
		for (long i = 0; i < v.n_points; i++)
			v.point[i].plan = -1;
		st = store_sweep_each(db, sweep, read_row, &v);
	}
	if (st) {
		sweep_view_release(&v);
		return st;
	}
	for (int i = 0; i < v.n_axes; i++)
		axis_finish(&v.axis[i]);
	for (int i = 0; i < v.n_axes; i++)
		v.axis[i].down = next_is_down(&v, i);
	*out = v;
	return ST_OK;
}

void sweep_view_release(struct sweep_view *v)
{
	free(v->point);
	arena_release(&v->arena);
	*v = (struct sweep_view){ 0 };
}

/* ---- points ---- */

int view_index(const struct sweep_view *v, long point, int axis)
{
	for (int i = v->n_axes - 1; i > axis; i--)
		point /= v->axis[i].n;
	return (int)(point % v->axis[axis].n);
}

void view_sets(const struct sweep_view *v, long point, struct arena *a,
	       struct scenario_set *sets)
{
	for (int i = 0; i < v->n_axes; i++) {
		const struct view_axis *x = &v->axis[i];

		sets[i].text = arena_printf(a, "%s=%s", x->key,
					    x->label[view_index(v, point,
								i)]);
	}
}

/* The axis of most values but `not`, numbers before names; -1: none. */
static int longest_axis(const struct sweep_view *v, int not)
{
	int best = -1;

	for (int i = 0; i < v->n_axes; i++) {
		const struct view_axis *x = &v->axis[i];
		const struct view_axis *b = best < 0 ? NULL : &v->axis[best];

		if (i != not && (!b || (x->numeric != b->numeric ?
					x->numeric : x->n > b->n)))
			best = i;
	}
	return best;
}

void view_axes_shown(const struct sweep_view *v, int *x_p, int *y_p)
{
	int x = longest_axis(v, -1), y = longest_axis(v, x);

	/* as they were given, but along x a number if there is one */
	if (y >= 0 && y < x && v->axis[y].numeric) {
		*x_p = y;
		*y_p = x;
	} else {
		*x_p = x;
		*y_p = y;
	}
}

void view_name(const struct sweep_view *v, long point, const bool *skip,
	       struct buf *out)
{
	const char *sep = "";

	for (int i = 0; i < v->n_axes; i++) {
		const struct view_axis *x = &v->axis[i];

		if (skip && skip[i])
			continue;
		buf_addf(out, "%s%s %s", sep, x->name,
			 x->label[view_index(v, point, i)]);
		sep = ", ";
	}
}

static bool is_at(const struct sweep_view *v, long point, int axis, int index)
{
	return v->point[point].plan >= 0 &&
		(axis < 0 || view_index(v, point, axis) == index);
}

long view_fastest(const struct sweep_view *v, int axis, int index)
{
	long best = -1;

	for (long i = 0; i < v->n_points; i++) {
		if (is_at(v, i, axis, index) && (best < 0 ||
		    v->point[i].time_s < v->point[best].time_s))
			best = i;
	}
	return best;
}

long view_most_tokens(const struct sweep_view *v, int axis, int index)
{
	long best = -1;

	for (long i = 0; i < v->n_points; i++) {
		if (is_at(v, i, axis, index) && (best < 0 ||
		    v->point[i].tokens_per_s > v->point[best].tokens_per_s))
			best = i;
	}
	return best;
}

long view_first(const struct sweep_view *v)
{
	for (long i = 0; i < v->n_points; i++) {
		if (v->point[i].plan >= 0)
			return i;
	}
	return -1;
}
