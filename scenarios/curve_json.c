/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/curve_json.h"

#include "base/buf.h"

#include <jansson.h>
#include <math.h>

void curve_json_print(const struct curve *f, struct buf *out)
{
	const struct curve_piece *p;
	int i;

	buf_puts(out, "[");
	for (i = 0; i < f->n; i++) {
		p = &f->piece[i];
		buf_addf(out, "%s{\"upto\": ", i ? ", " : "");
		if (isfinite(p->upto))
			buf_addf(out, "%.17g", p->upto);
		else
			buf_puts(out, "null");
		buf_addf(out, ", \"a\": %.17g, \"b\": %.17g, \"c\": %.17g}",
			 p->a, p->b, p->c);
	}
	buf_puts(out, "]");
}

/* A finite number of an object. */
static bool get(const json_t *j, const char *name, double *out)
{
	const json_t *v = json_object_get(j, name);

	if (!json_is_number(v))
		return false;
	*out = json_number_value(v);
	return isfinite(*out);
}

static bool get_piece(const json_t *j, double after, bool last,
		      struct curve_piece *p)
{
	if (!get(j, "a", &p->a) || !get(j, "b", &p->b) ||
	    !get(j, "c", &p->c))
		return false;
	if (last) {
		p->upto = INFINITY;
		return json_is_null(json_object_get(j, "upto"));
	}
	return get(j, "upto", &p->upto) && p->upto > after;
}

static bool get_curve(const json_t *j, struct curve *f)
{
	size_t n = json_array_size(j), i;

	if (n < 1 || n > CURVE_PIECES)
		return false;
	f->n = (int)n;
	for (i = 0; i < n; i++) {
		if (!get_piece(json_array_get(j, i),
			       i ? f->piece[i - 1].upto : -1, i + 1 == n,
			       &f->piece[i]))
			return false;
	}
	return true;
}

enum status curve_json_parse(const char *text, enum curve_source source,
			     struct curve *out)
{
	struct curve f = { .source = source };
	json_t *j = json_loads(text, 0, NULL);
	bool ok = j && get_curve(j, &f);

	json_decref(j);
	if (!ok)
		return err_set(ST_INPUT, "'%.60s' is not the pieces of a "
			       "curve", text);
	*out = f;
	return ST_OK;
}
