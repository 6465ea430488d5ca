/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/sweep_grid.h"

#include "base/nearest.h"
#include "scenarios/keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rounding may leave the last value of a range this far above its end. */
#define RANGE_SLACK 1e-9

/* A list that is being made, for messages the option that it came from. */
struct list {
	struct arena *arena;
	const char *option;
	const char **value;	/* owned */
	size_t cap;
	int n;
};

static enum status list_add(struct list *l, const char *text, size_t len)
{
	if (l->n == SWEEP_VALUES_MAX)
		return err_set(ST_INPUT, "--set '%.80s': more than %d values",
			       l->option, SWEEP_VALUES_MAX);
	if (!len)
		return err_set(ST_INPUT, "--set '%.80s': value %d is empty",
			       l->option, l->n + 1);
	l->value = array_grow(l->value, &l->cap, (size_t)l->n + 1,
			      sizeof(*l->value));
	l->value[l->n++] = arena_printf(l->arena, "%.*s", (int)len, text);
	return ST_OK;
}

struct range {
	double from, to, step;
	bool is_factor;
	char unit[32];
};

/* Number, and what stands behind it up to `end`; "1..8" is no "1." here. */
static bool number_and_unit(const char *s, const char *end, double *value_p,
			    const char **unit_p)
{
	char text[64], *rest;

	if (end <= s || (size_t)(end - s) >= sizeof(text))
		return false;
	memcpy(text, s, (size_t)(end - s));
	text[end - s] = '\0';
	*value_p = strtod(text, &rest);
	*unit_p = s + (rest - text);
	return rest > text && isfinite(*value_p);
}

/* "A..B*F" or "A..B+S"; false: it is an ordinary value. */
static bool range_parse(const char *s, const char *end, struct range *r)
{
	const char *dots = memmem(s, (size_t)(end - s), "..", 2);
	const char *op, *unit, *unit_to;
	size_t len;

	if (!dots)
		return false;
	for (op = end - 1; op > dots && *op != '*' && *op != '+'; op--)
		;
	r->is_factor = *op == '*';
	if (op == dots || !number_and_unit(s, dots, &r->from, &unit) ||
	    !number_and_unit(dots + 2, op, &r->to, &unit_to) ||
	    !number_and_unit(op + 1, end, &r->step, &s) || s != end)
		return false;
	len = (size_t)(dots - unit);
	if (len >= sizeof(r->unit) || (size_t)(op - unit_to) != len ||
	    memcmp(unit, unit_to, len))
		return false;
	memcpy(r->unit, unit, len);
	r->unit[len] = '\0';
	return true;
}

static enum status range_check(const struct range *r, const char *option)
{
	if (r->from > r->to)
		return err_set(ST_INPUT, "--set '%.80s': the range begins "
			       "above its end", option);
	if (r->is_factor ? r->step <= 1 || r->from <= 0 : r->step <= 0)
		return err_set(ST_INPUT, "--set '%.80s': a range needs a "
			       "factor above 1 and a positive begin, or a "
			       "step above 0", option);
	return ST_OK;
}

static enum status range_add(const struct range *r, struct list *l)
{
	enum status st = range_check(r, l->option);
	double v = r->from;
	char text[80];

	for (int i = 1; !st && v <= r->to * (1 + RANGE_SLACK); i++) {
		int len = snprintf(text, sizeof(text), "%.12g%s", v, r->unit);

		st = list_add(l, text, (size_t)len);
		v = r->is_factor ? r->from * pow(r->step, i)
				 : r->from + r->step * i;
	}
	return st;
}

static enum status item_add(struct list *l, const char *s, const char *end)
{
	struct range r;

	while (s < end && *s == ' ')
		s++;
	while (end > s && end[-1] == ' ')
		end--;
	if (s < end && range_parse(s, end, &r))
		return range_add(&r, l);
	return list_add(l, s, (size_t)(end - s));
}

/* The next comma outside brackets and quotes, or the end. */
static const char *item_end(const char *s)
{
	int depth = 0;
	char quote = 0;

	for (; *s; s++) {
		if (quote) {
			quote = *s == quote ? 0 : quote;
		} else if (*s == '\'' || *s == '"') {
			quote = *s;
		} else if (*s == '[' || *s == '{') {
			depth++;
		} else if (*s == ']' || *s == '}') {
			depth--;
		} else if (*s == ',' && depth <= 0) {
			break;
		}
	}
	return s;
}

static enum status list_parse(struct list *l, const char *value)
{
	enum status st = ST_OK;
	const char *end;

	for (;; value = end + 1) {
		end = item_end(value);
		st = item_add(l, value, end);
		if (st || !*end)
			return st;
	}
}

static enum status add_axis(struct sweep_grid *g, const char *key,
			    const struct list *l)
{
	for (int i = 0; i < g->n_axes; i++) {
		if (!strcmp(g->axis[i].key, key))
			return err_set(ST_INPUT, "--set '%.80s': '%s' has a "
				       "list already", l->option, key);
	}
	if (g->n_axes == SWEEP_AXES_MAX)
		return err_set(ST_INPUT, "--set '%.80s': more than %d lists",
			       l->option, SWEEP_AXES_MAX);
	if (g->n_points > SWEEP_POINTS_MAX / l->n)
		return err_set(ST_INPUT, "--set '%.80s': more than %d points",
			       l->option, SWEEP_POINTS_MAX);
	g->n_points *= l->n;
	g->axis[g->n_axes++] = (struct sweep_axis){ key, l->value, l->n };
	return ST_OK;
}

/* One --set: an axis (which takes the list) or a fixed value. */
static enum status add_set(struct sweep_grid *g, const char *text)
{
	const char *equals = strchr(text, '=');
	struct list l = { .arena = &g->arena, .option = text };
	const char *key;
	enum status st;

	if (!equals || equals == text)
		return err_set(ST_INPUT, "--set '%.80s': must be KEY=VALUE",
			       text);
	key = arena_printf(&g->arena, "%.*s", (int)(equals - text), text);
	st = list_parse(&l, equals + 1);
	if (!st && l.n > 1)
		st = add_axis(g, key, &l);
	if (!st && l.n == 1)
		g->fixed[g->n_fixed++] = text;
	if (st || l.n == 1)
		free(l.value);
	return st;
}

enum status sweep_grid_make(const struct scenario_set *sets, int n_sets,
			    struct sweep_grid *out)
{
	struct sweep_grid g = { .n_points = 1 };
	enum status st = ST_OK;

	g.fixed = xcalloc((size_t)n_sets + 1, sizeof(*g.fixed));
	for (int i = 0; !st && i < n_sets; i++)
		st = add_set(&g, sets[i].text);
	if (!st && !g.n_axes)
		st = err_set(ST_INPUT, "a sweep needs at least one --set with "
			     "a list, such as --set cluster.nodes=2,4,8");
	if (st)
		sweep_grid_release(&g);
	else
		*out = g;
	return st;
}

void sweep_grid_release(struct sweep_grid *g)
{
	for (int i = 0; i < g->n_axes; i++)
		free(g->axis[i].value);
	free(g->fixed);
	arena_release(&g->arena);
	*g = (struct sweep_grid){ 0 };
}

int sweep_grid_index(const struct sweep_grid *g, long point, int axis)
{
	for (int i = g->n_axes - 1; i > axis; i--)
		point /= g->axis[i].n;
	return (int)(point % g->axis[axis].n);
}

int sweep_grid_sets(const struct sweep_grid *g)
{
	return g->n_fixed + g->n_axes;
}

void sweep_grid_point(const struct sweep_grid *g, long point, struct arena *a,
		      struct scenario_set *sets)
{
	for (int i = 0; i < g->n_fixed; i++)
		sets[i].text = g->fixed[i];
	for (int i = 0; i < g->n_axes; i++) {
		const struct sweep_axis *x = &g->axis[i];
		const char *v = x->value[sweep_grid_index(g, point, i)];

		sets[g->n_fixed + i].text =
			arena_printf(a, "%s=%s", x->key, v);
	}
}
