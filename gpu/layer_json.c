/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/layer_json.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/nearest.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1u << 22)	/* bytes of a case: counts of all ranks */

enum field_type { FIELD_INT, FIELD_INT64, FIELD_BOOL, FIELD_TEXT, FIELD_SEED,
		  FIELD_DTYPE, FIELD_PLAN, FIELD_COUNTS, FIELD_OP };

struct field {
	const char *name;
	enum field_type type;
	size_t offset, size;
	bool needed;
};

#define AT(member) offsetof(struct layer_case, member), \
		   sizeof(((struct layer_case *)0)->member)

static const struct field fields[] = {
	{ "op", FIELD_OP, 0, 0, false },
	{ "label", FIELD_TEXT, AT(label), false },
	{ "tokens", FIELD_INT, AT(tokens), true },
	{ "hidden", FIELD_INT, AT(hidden), true },
	{ "ffn", FIELD_INT, AT(ffn), true },
	{ "experts", FIELD_INT, AT(experts), true },
	{ "k", FIELD_INT, AT(k), true },
	{ "gated", FIELD_BOOL, AT(gated), false },
	{ "shared_ffn", FIELD_INT, AT(shared_ffn), false },
	{ "dtype", FIELD_DTYPE, 0, 0, false },
	{ "nodes", FIELD_INT, AT(nodes), false },
	{ "gpus_per_node", FIELD_INT, AT(gpus_per_node), false },
	{ "plan", FIELD_PLAN, 0, 0, true },
	{ "capacity", FIELD_INT64, AT(capacity), false },
	{ "counts", FIELD_COUNTS, 0, 0, false },
	{ "seed", FIELD_SEED, AT(seed), false },
	{ "tier", FIELD_TEXT, AT(tier), false },
	{ "plant_fault", FIELD_BOOL, AT(plant_fault), false },
	{ "graph", FIELD_BOOL, AT(graph), false },
	{ "counts_known", FIELD_BOOL, AT(counts_known), false },
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static enum status wrong(const char *name, const char *what)
{
	return err_set(ST_INPUT, "field '%s': %s", name, what);
}

static enum status read_int(const char *name, const json_t *v, int64_t max,
			    int64_t *out)
{
	json_int_t x = json_integer_value(v);

	if (!json_is_integer(v))
		return wrong(name, "must be a whole number");
	if (x < 0 || x > max)
		return err_set(ST_INPUT, "field '%s': %lld is not in 0..%lld",
			       name, (long long)x, (long long)max);
	*out = x;
	return ST_OK;
}

static enum status read_text(const struct field *f, const json_t *v, char *out)
{
	const char *s = json_string_value(v), *p;

	if (!s)
		return wrong(f->name, "must be a text");
	if (strlen(s) >= f->size)
		return err_set(ST_INPUT, "field '%s': is longer than %zu "
			       "bytes", f->name, f->size - 1);
	for (p = s; *p; p++) {
		if (*p < ' ' || *p > '~')
			return wrong(f->name, "must be printable ASCII");
	}
	memcpy(out, s, strlen(s) + 1);
	return ST_OK;
}

static enum status read_dtype(const json_t *v, enum dtype *out)
{
	const char *s = json_string_value(v);

	if (s && !strcmp(s, "bf16"))
		*out = DT_BF16;
	else if (s && !strcmp(s, "fp32"))
		*out = DT_FP32;
	else
		return wrong("dtype", "must be \"bf16\" or \"fp32\"");
	return ST_OK;
}

static enum status read_plan(const json_t *v, struct plan *out)
{
	const char *s = json_string_value(v);
	enum status st;

	if (!s)
		return wrong("plan", "must be a text");
	st = plan_parse(s, out);
	return st ? err_prefix(st, "field 'plan'") : ST_OK;
}

/* One list for each rank, one number for each expert. */
static enum status read_counts(const json_t *v, struct layer_case *c)
{
	size_t ranks = json_array_size(v), n = 0, r, e;
	const json_t *row;
	int64_t x = 0;

	if (!json_is_array(v) || !ranks || ranks > LAYER_RANKS_MAX)
		return wrong("counts", "must be a list of one list for each "
			     "rank");
	n = json_array_size(json_array_get(v, 0));
	if (!n || n > LAYER_EXPERTS_MAX)
		return wrong("counts", "must have one number for each expert");
	c->count = xcalloc(ranks * n, sizeof(*c->count));
	for (r = 0; r < ranks; r++) {
		row = json_array_get(v, r);
		if (!json_is_array(row) || json_array_size(row) != n)
			return wrong("counts", "its lists differ in length");
		for (e = 0; e < n; e++) {
			enum status st = read_int("counts",
						  json_array_get(row, e),
						  INT_MAX, &x);

			if (st)
				return st;
			c->count[r * n + e] = (int32_t)x;
		}
	}
	return ST_OK;
}

static enum status read_bool(const struct field *f, const json_t *v, bool *out)
{
	if (!json_is_boolean(v))
		return wrong(f->name, "must be true or false");
	*out = json_is_true(v);
	return ST_OK;
}

static enum status read_field(const struct field *f, const json_t *v,
			      struct layer_case *c)
{
	void *to = (char *)c + f->offset;
	int64_t x = 0;
	enum status st;

	switch (f->type) {
	case FIELD_INT:
		st = read_int(f->name, v, INT_MAX, &x);
		if (!st)
			*(int *)to = (int)x;
		return st;
	case FIELD_INT64:
	case FIELD_SEED:
		st = read_int(f->name, v, INT64_MAX, &x);
		if (!st)
			memcpy(to, &x, sizeof(x));
		return st;
	case FIELD_BOOL:
		return read_bool(f, v, to);
	case FIELD_TEXT:
		return read_text(f, v, to);
	case FIELD_DTYPE:
		return read_dtype(v, &c->dtype);
	case FIELD_PLAN:
		return read_plan(v, &c->plan);
	case FIELD_COUNTS:
		return read_counts(v, c);
	case FIELD_OP:
		if (json_is_string(v) && !strcmp(json_string_value(v), "layer"))
			return ST_OK;
		return wrong("op", "must be \"layer\"");
	}
	return ST_OK;
}

static enum status unknown(const char *name)
{
	const char *names[N_FIELDS];
	char hint[128];
	size_t i;

	for (i = 0; i < N_FIELDS; i++)
		names[i] = fields[i].name;
	return err_set(ST_INPUT, "field '%.40s': a layer has no such field%s",
		       name, nearest_hint(name, names, N_FIELDS, hint,
					  sizeof(hint)));
}

static enum status read_all(const json_t *j, struct layer_case *c)
{
	const char *name;
	json_t *value;
	enum status st;
	size_t i;

	json_object_foreach((json_t *)j, name, value) {
		for (i = 0; i < N_FIELDS && strcmp(fields[i].name, name); i++)
			;
		st = i < N_FIELDS ? read_field(&fields[i], value, c) :
				    unknown(name);
		if (st)
			return st;
	}
	for (i = 0; i < N_FIELDS; i++) {
		if (fields[i].needed && !json_object_get(j, fields[i].name))
			return wrong(fields[i].name, "is missing");
	}
	return ST_OK;
}

/* The table is as large as the case says. */
static enum status check_shape(const json_t *j, const struct layer_case *c)
{
	const json_t *v = json_object_get(j, "counts");

	if (!v)
		return ST_OK;
	if (json_array_size(v) != (size_t)layer_ranks(c))
		return err_set(ST_INPUT, "field 'counts': has %zu lists for "
			       "%d ranks", json_array_size(v), layer_ranks(c));
	if (json_array_size(json_array_get(v, 0)) != (size_t)c->experts)
		return err_set(ST_INPUT, "field 'counts': has %zu numbers for "
			       "%d experts",
			       json_array_size(json_array_get(v, 0)),
			       c->experts);
	return ST_OK;
}

/* What was left out follows from the plan. */
static void fill_in(const json_t *j, struct layer_case *c)
{
	const struct layout *l = &c->plan.layout;

	if (!json_object_get(j, "nodes"))
		c->nodes = 1;
	if (!json_object_get(j, "gpus_per_node") && c->nodes > 0) {
		/* plan_parse() has bounded each by 2^20 */
		int64_t ranks = (int64_t)l->ep * l->esp;

		ranks = ranks > INT_MAX ? INT_MAX : ranks * l->dp;
		ranks /= c->nodes;
		c->gpus_per_node = ranks > INT_MAX ? INT_MAX : (int)ranks;
	}
	if (!json_object_get(j, "capacity") && c->plan.capacity_factor > 0 &&
	    c->experts > 0)
		c->capacity = layer_capacity(c, c->plan.capacity_factor);
}

/* Before anything is multiplied. */
static enum status check_ranks(const struct layer_case *c)
{
	if (c->nodes < 1 || c->nodes > LAYER_RANKS_MAX)
		return err_set(ST_INPUT, "field 'nodes': %d is not in 1..%d",
			       c->nodes, LAYER_RANKS_MAX);
	if (c->gpus_per_node < 1 || c->gpus_per_node > LAYER_RANKS_MAX)
		return err_set(ST_INPUT, "field 'gpus_per_node': %d is not in "
			       "1..%d", c->gpus_per_node, LAYER_RANKS_MAX);
	return ST_OK;
}

enum status layer_case_from_json(const json_t *j, uint64_t seed,
				 struct layer_case *out)
{
	struct layer_case c = { .dtype = DT_BF16, .seed = seed,
				.graph = true };
	enum status st;

	if (!json_is_object(j))
		return err_set(ST_INPUT, "a layer must be a JSON object");
	st = read_all(j, &c);
	if (!st) {
		fill_in(j, &c);
		st = check_ranks(&c);
	}
	if (!st)
		st = check_shape(j, &c);
	if (!st)
		st = layer_case_check(&c);
	if (st)
		layer_case_release(&c);
	else
		*out = c;
	return st;
}

static json_t *counts_json(const struct layer_case *c)
{
	json_t *all = json_array(), *row;
	int r, e;

	for (r = 0; r < layer_ranks(c); r++) {
		row = json_array();
		for (e = 0; e < c->experts; e++) {
			json_array_append_new(row, json_integer(
				c->count[(size_t)r * (size_t)c->experts +
					 (size_t)e]));
		}
		json_array_append_new(all, row);
	}
	return all;
}

static json_t *field_json(const struct field *f, const struct layer_case *c)
{
	const void *at = (const char *)c + f->offset;
	struct buf plan = { 0 };
	int64_t x = 0;
	json_t *j;

	switch (f->type) {
	case FIELD_INT:
		return json_integer(*(const int *)at);
	case FIELD_INT64:
	case FIELD_SEED:
		memcpy(&x, at, sizeof(x));
		return json_integer(x);
	case FIELD_BOOL:
		return json_boolean(*(const bool *)at);
	case FIELD_TEXT:
		return *(const char *)at ? json_string(at) : NULL;
	case FIELD_DTYPE:
		return json_string(layer_dtype(c));
	case FIELD_PLAN:
		plan_print(&c->plan, &plan);
		j = json_string(buf_str(&plan));
		buf_release(&plan);
		return j;
	case FIELD_COUNTS:
		return c->count ? counts_json(c) : NULL;
	case FIELD_OP:
		return json_string("layer");
	}
	return NULL;
}

json_t *layer_case_json(const struct layer_case *c)
{
	json_t *j = json_object(), *v;
	size_t i;

	for (i = 0; i < N_FIELDS; i++) {
		v = field_json(&fields[i], c);
		if (v)
			json_object_set_new(j, fields[i].name, v);
	}
	return j;
}

char *layer_case_text(const struct layer_case *c)
{
	json_t *j = layer_case_json(c);
	char *text = json_dumps(j, JSON_COMPACT);

	json_decref(j);
	return text ? text : xstrdup("{}");
}

enum status layer_case_parse(const char *text, size_t len,
			     struct layer_case *out)
{
	json_error_t e;
	json_t *j;
	enum status st;

	if (len > TEXT_MAX)
		return err_set(ST_INPUT, "a layer's text is longer than %u "
			       "bytes", TEXT_MAX);
	j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (!j)
		return err_set(ST_INPUT, "a layer's text:%d:%d: %s", e.line,
			       e.column, e.text);
	st = layer_case_from_json(j, 1, out);
	json_decref(j);
	return st;
}
