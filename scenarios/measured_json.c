/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/measured_json.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "scenarios/curve_json.h"
#include "scenarios/datadir.h"
#include "scenarios/sample.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "moecast.fits/1"
#define FILE_MAX (64u << 20)	/* bytes */
#define CURVES_MAX 4096
#define TABLES_MAX 64
#define POINTS_MAX 100000	/* of one table */
#define RANKS_MAX 65536
#define CTAS_MAX 4096
#define LOSS_MAX 0.99	/* of a speed */
#define PAIRS_MAX 1000000
#define NUMBER_MAX 1e18	/* of bytes, rows, seconds */
#define POINT_NUMBERS 5	/* m, n, k, batch, seconds */

/* ---- to text ---- */

/* A string with its quotes; escapes are jansson's. */
static void add_string(struct buf *out, const char *s)
{
	json_t *j = json_string(s);
	char *text = json_dumps(j, JSON_ENCODE_ANY);

	buf_puts(out, text ? text : "\"\"");
	free(text);
	json_decref(j);
}

static void add_runs(struct buf *out, const struct run_info *run, size_t n)
{
	json_t *row;
	char *text;
	size_t i;

	for (i = 0; i < n; i++) {
		row = run_info_json(&run[i]);
		json_object_del(row, "type");
		text = json_dumps(row, JSON_COMPACT);
		buf_addf(out, "%s\n  %s", i ? "," : "", text ? text : "{}");
		free(text);
		json_decref(row);
	}
}

static void add_curve(struct buf *out, const struct measured_curve *c)
{
	buf_puts(out, "\n  {\"op\": ");
	add_string(out, c->op);
	buf_puts(out, ", \"tier\": ");
	add_string(out, c->tier);
	buf_addf(out, ", \"ranks\": %d", c->ranks);
	if (c->ctas)
		buf_addf(out, ", \"ctas\": %d", c->ctas);
	if (c->n > 0 || c->k > 0 || c->batch > 0)
		buf_addf(out, ", \"n\": %.17g, \"k\": %.17g, "
			 "\"batch\": %.17g", c->n, c->k, c->batch);
	buf_addf(out, ", \"min_bytes\": %.17g, \"max_bytes\": %.17g, "
		 "\"r2\": %.17g, \"mape\": %.17g, \"smooth\": ",
		 c->min_bytes, c->max_bytes, c->r2, c->mape);
	curve_json_print(&c->smooth, out);
	buf_puts(out, ", \"curve\": ");
	curve_json_print(&c->curve, out);
	buf_puts(out, "}");
}

static void add_table(struct buf *out, const struct product_table *t)
{
	const struct product_point *p;
	int i;

	buf_addf(out, "\n  {\"dtype\": \"%s\", \"variant\": ",
		 dtype_name(t->dtype));
	add_string(out, t->variant);
	buf_puts(out, ", \"points\": [");
	for (i = 0; i < t->n; i++) {
		p = &t->point[i];
		buf_addf(out, "%s\n   [%.17g, %.17g, %.17g, %.17g, %.17g]",
			 i ? "," : "", p->m, p->n, p->k, p->batch, p->seconds);
	}
	buf_puts(out, "]}");
}

/* Files of before have none. */
static void add_contention(struct buf *out, const struct measured *m)
{
	const struct measured_contention *c;
	int i;

	if (!m->n_contention)
		return;
	buf_puts(out, ",\n \"contention\": [");
	for (i = 0; i < m->n_contention; i++) {
		c = &m->contention[i];
		buf_addf(out, "%s\n  {\"tier\": ", i ? "," : "");
		add_string(out, c->tier);
		buf_addf(out, ", \"ctas\": %d, \"product_loss\": %.17g, "
			 "\"own_loss\": %.17g, \"pairs\": %d, \"mape\": "
			 "%.17g}", c->ctas, c->product_loss, c->own_loss,
			 c->pairs, c->mape);
	}
	buf_puts(out, "]");
}

void measured_json_print(const struct measured *m, const struct run_info *run,
			 size_t n_runs, struct buf *out)
{
	int i;

	buf_puts(out, "{\"schema\": \"" SCHEMA "\",\n \"gpu\": ");
	add_string(out, m->gpu);
	buf_puts(out, ",\n \"source\": ");
	add_string(out, m->source);
	buf_puts(out, ",\n \"runs\": [");
	add_runs(out, run, n_runs);
	buf_puts(out, "],\n \"curves\": [");
	for (i = 0; i < m->n_curves; i++) {
		buf_puts(out, i ? "," : "");
		add_curve(out, &m->curve[i]);
	}
	buf_puts(out, "],\n \"products\": [");
	for (i = 0; i < m->n_tables; i++) {
		buf_puts(out, i ? "," : "");
		add_table(out, &m->table[i]);
	}
	buf_puts(out, "]");
	add_contention(out, m);
	buf_puts(out, "}\n");
}

/* ---- from text ---- */

static enum status get_text(const json_t *j, const char *key, char *out,
			    size_t size)
{
	const char *s = json_string_value(json_object_get(j, key));

	if (!s || !*s || strlen(s) >= size)
		return err_set(ST_INPUT, "'%s': a text of 1..%zu bytes was "
			       "expected", key, size - 1);
	snprintf(out, size, "%s", s);
	return ST_OK;
}

/* A number from min to max; NaN is in no range. */
static enum status get_number(const json_t *j, const char *key, double min,
			      double max, double *out)
{
	const json_t *v = json_object_get(j, key);
	double d = json_number_value(v);

	if (!json_is_number(v) || !(d >= min && d <= max))
		return err_set(ST_INPUT, "'%s': a number from %g to %g was "
			       "expected", key, min, max);
	*out = d;
	return ST_OK;
}

/* 0 where it is absent. */
static enum status get_optional(const json_t *j, const char *key, double max,
				double *out)
{
	*out = 0;
	return json_object_get(j, key) ? get_number(j, key, 0, max, out) :
		ST_OK;
}

static enum status get_shape(const json_t *j, struct measured_curve *c)
{
	double ctas = 0;
	enum status st = get_optional(j, "ctas", CTAS_MAX, &ctas);

	if (!st)
		st = get_optional(j, "n", NUMBER_MAX, &c->n);
	if (!st)
		st = get_optional(j, "k", NUMBER_MAX, &c->k);
	if (!st)
		st = get_optional(j, "batch", NUMBER_MAX, &c->batch);
	c->ctas = (int)ctas;
	return st;
}

/* More bytes never take less; later pieces' a may be below 0. */
static bool rises(const struct curve *f)
{
	int i;

	for (i = 0; i < f->n; i++) {
		if (f->piece[i].b < 0 || f->piece[i].c < 0)
			return false;
	}
	return f->piece[0].a >= 0;
}

static enum status get_pieces(const json_t *j, const char *key,
			      struct curve *out)
{
	char *text = json_dumps(json_object_get(j, key),
				JSON_REAL_PRECISION(17));
	enum status st = curve_json_parse(text ? text : "", CURVE_MEASURED,
					  out);

	free(text);
	if (!st && !rises(out))
		st = err_set(ST_INPUT, "a coefficient is negative");
	return st ? err_prefix(st, "'%s'", key) : ST_OK;
}

static enum status get_curve(const json_t *j, struct measured_curve *c)
{
	double ranks = 0;
	enum status st = get_text(j, "op", c->op, sizeof(c->op));

	if (!st && !measured_op_known(c->op))
		st = err_set(ST_INPUT, "'op': '%s' is none", c->op);
	if (!st)
		st = get_text(j, "tier", c->tier, sizeof(c->tier));
	if (!st)
		st = get_number(j, "ranks", 0, RANKS_MAX, &ranks);
	if (!st)
		st = get_shape(j, c);
	if (!st)
		st = get_number(j, "min_bytes", 0, NUMBER_MAX, &c->min_bytes);
	if (!st)
		st = get_number(j, "max_bytes", c->min_bytes, NUMBER_MAX,
				&c->max_bytes);
	if (!st)
		st = get_number(j, "r2", -NUMBER_MAX, 1, &c->r2);
	if (!st)
		st = get_number(j, "mape", 0, NUMBER_MAX, &c->mape);
	if (!st)
		st = get_pieces(j, "smooth", &c->smooth);
	if (!st)
		st = get_pieces(j, "curve", &c->curve);
	c->ranks = (int)ranks;
	return st;
}

/* The array of that name, of at most `max`. */
static enum status get_array(const json_t *j, const char *key, size_t max,
			     const json_t **out)
{
	const json_t *v = json_object_get(j, key);

	if (!json_is_array(v) || json_array_size(v) > max)
		return err_set(ST_INPUT, "'%s': an array of at most %zu was "
			       "expected", key, max);
	*out = v;
	return ST_OK;
}

static enum status get_curves(const json_t *root, struct measured *m)
{
	const json_t *list;
	enum status st = get_array(root, "curves", CURVES_MAX, &list);
	size_t i;

	if (st)
		return st;
	m->curve = xcalloc(json_array_size(list) + 1, sizeof(*m->curve));
	for (i = 0; i < json_array_size(list); i++) {
		st = get_curve(json_array_get(list, i), &m->curve[i]);
		if (st)
			return err_prefix(st, "curve %zu", i + 1);
		m->n_curves++;
	}
	return ST_OK;
}

/* [m, n, k, batch, seconds] */
static bool get_point(const json_t *j, struct product_point *p)
{
	double v[POINT_NUMBERS];
	size_t i;

	if (json_array_size(j) != POINT_NUMBERS)
		return false;
	for (i = 0; i < POINT_NUMBERS; i++) {
		v[i] = json_number_value(json_array_get(j, i));
		if (!(v[i] > 0 && v[i] <= NUMBER_MAX))
			return false;
	}
	*p = (struct product_point){ v[0], v[1], v[2], v[3], v[4] };
	return true;
}

static enum status get_dtype(const json_t *j, enum dtype *out)
{
	char name[16];
	enum status st = get_text(j, "dtype", name, sizeof(name));
	int t;

	if (st)
		return st;
	for (t = 0; t < DT_N; t++) {
		if (!strcmp(dtype_name((enum dtype)t), name)) {
			*out = (enum dtype)t;
			return ST_OK;
		}
	}
	return err_set(ST_INPUT, "'dtype': '%s' is none", name);
}

/* The way to compute; it may be empty. A second table of both is refused. */
static enum status get_variant(const json_t *j, const struct measured *m,
			       enum dtype t, const char **out)
{
	const char *s = json_string_value(json_object_get(j, "variant"));
	int i;

	if (!s || strlen(s) >= sizeof(m->table->variant))
		return err_set(ST_INPUT, "'variant': a text of 0..%zu bytes "
			       "was expected", sizeof(m->table->variant) - 1);
	for (i = 0; i < m->n_tables; i++) {
		if (m->table[i].dtype == t && !strcmp(m->table[i].variant, s))
			return err_set(ST_INPUT, "a second table of '%s' "
				       "'%s'", dtype_name(t), s);
	}
	*out = s;
	return ST_OK;
}

static enum status get_table(const json_t *j, const struct measured *m,
			     struct product_table *out)
{
	struct product_point *point;
	const char *variant = "";
	const json_t *list = NULL;
	enum dtype t = DT_FP32;
	enum status st = get_dtype(j, &t);
	size_t i, n;

	if (!st)
		st = get_variant(j, m, t, &variant);
	if (!st)
		st = get_array(j, "points", POINTS_MAX, &list);
	if (st)
		return st;
	n = json_array_size(list);
	point = xcalloc(n + 1, sizeof(*point));
	for (i = 0; i < n && !st; i++) {
		if (!get_point(json_array_get(list, i), &point[i]))
			st = err_set(ST_INPUT, "point %zu: 5 positive numbers "
				     "were expected", i + 1);
	}
	if (!st)
		st = product_table_init(out, t, variant, point, (int)n);
	free(point);
	return st;
}

static enum status get_tables(const json_t *root, struct measured *m)
{
	const json_t *list;
	enum status st = get_array(root, "products", TABLES_MAX, &list);
	size_t i;

	if (st)
		return st;
	m->table = xcalloc(json_array_size(list) + 1, sizeof(*m->table));
	for (i = 0; i < json_array_size(list); i++) {
		st = get_table(json_array_get(list, i), m, &m->table[i]);
		if (st)
			return err_prefix(st, "products %zu", i + 1);
		m->n_tables++;
	}
	return ST_OK;
}

static enum status get_losses(const json_t *j, struct measured_contention *c)
{
	double ctas = 0, pairs = 0;
	enum status st = get_text(j, "tier", c->tier, sizeof(c->tier));

	if (!st)
		st = get_number(j, "ctas", 0, CTAS_MAX, &ctas);
	if (!st)
		st = get_number(j, "product_loss", 0, LOSS_MAX,
				&c->product_loss);
	if (!st)
		st = get_number(j, "own_loss", 0, LOSS_MAX, &c->own_loss);
	if (!st)
		st = get_number(j, "pairs", 1, PAIRS_MAX, &pairs);
	if (!st)
		st = get_number(j, "mape", 0, NUMBER_MAX, &c->mape);
	c->ctas = (int)ctas;
	c->pairs = (int)pairs;
	return st;
}

static enum status get_contention(const json_t *root, struct measured *m)
{
	const json_t *list;
	enum status st;
	size_t i;

	if (!json_object_get(root, "contention"))
		return ST_OK;
	st = get_array(root, "contention", CURVES_MAX, &list);
	if (st)
		return st;
	m->contention = xcalloc(json_array_size(list) + 1,
				sizeof(*m->contention));
	for (i = 0; i < json_array_size(list); i++) {
		st = get_losses(json_array_get(list, i), &m->contention[i]);
		if (st)
			return err_prefix(st, "contention %zu", i + 1);
		m->n_contention++;
	}
	return ST_OK;
}

static enum status get_measured(const json_t *root, struct measured *m)
{
	char schema[sizeof(SCHEMA) + 8];
	enum status st = get_text(root, "schema", schema, sizeof(schema));

	if (!st && strcmp(schema, SCHEMA))
		st = err_set(ST_INPUT, "'schema': '%s', known is '" SCHEMA "'",
			     schema);
	if (!st)
		st = get_text(root, "gpu", m->gpu, sizeof(m->gpu));
	if (!st)
		st = get_text(root, "source", m->source, sizeof(m->source));
	if (!st)
		st = get_curves(root, m);
	if (!st)
		st = get_tables(root, m);
	if (!st)
		st = get_contention(root, m);
	return st;
}

enum status measured_json_parse(const char *name, const char *text,
				size_t len, struct measured *out)
{
	struct measured m = { 0 };
	json_error_t e;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	enum status st;

	if (!root)
		return err_set(ST_INPUT, "%s:%d:%d: %s", name, e.line,
			       e.column, e.text);
	st = get_measured(root, &m);
	json_decref(root);
	if (st) {
		measured_release(&m);
		return err_prefix(st, "%s", name);
	}
	*out = m;
	return ST_OK;
}

enum status measured_load(const char *name, struct measured *out)
{
	struct arena a = { 0 };
	const char *path;
	char *text = NULL;
	size_t len;
	enum status st = data_find(&a, DATA_PROFILE, name, NULL, &path);

	if (!st)
		st = infile_read(path, FILE_MAX, &text, &len);
	if (!st)
		st = measured_json_parse(path, text, len, out);
	free(text);
	arena_release(&a);
	return st;
}
