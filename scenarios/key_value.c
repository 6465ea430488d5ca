/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From YAML nodes to fields; key_text.c goes the other way. */
#include "scenarios/keys.h"

#include "base/buf.h"
#include "base/nearest.h"
#include "scenarios/doc.h"
#include "scenarios/scenario.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct setting {
	const struct key_row *row;
	char *base;
	struct arena *arena;
	const char *name;	/* of the key, in messages */
};

#define NAMES_MAX 40	/* of one row */

static int names_list(const struct key_row *k, const char **out)
{
	int n;

	for (n = 0; n < NAMES_MAX && k->names(n); n++) {
		out[n] = k->names(n);
	}
	return n;
}

static enum status refuse(const struct setting *s, const struct doc_node *v,
			  const char *hint)
{
	struct buf allowed = { 0 };
	const char *where = doc_where(s->arena, v);

	key_allowed(s->row, &allowed);
	if (v->kind == DOC_SCALAR)
		err_set(ST_INPUT, "%s: key '%s': '%s' is not %s%s", where,
			s->name, doc_shown(s->arena, v->text),
			buf_str(&allowed), hint);
	else
		err_set(ST_INPUT, "%s: key '%s': %s is not %s", where,
			s->name, doc_kind_name(v->kind), buf_str(&allowed));
	buf_release(&allowed);
	return ST_INPUT;
}

static enum status refuse_name(const struct setting *s,
			       const struct doc_node *v)
{
	const char *names[NAMES_MAX];
	char hint[160];
	int n = names_list(s->row, names);

	if (v->kind != DOC_SCALAR)
		return refuse(s, v, "");
	return refuse(s, v, nearest_hint(v->text, names, (size_t)n, hint,
					 sizeof(hint)));
}

static int name_index(const struct key_row *k, const char *text)
{
	int i;

	for (i = 0; k->names(i); i++) {
		if (!strcmp(k->names(i), text))
			return i;
	}
	return -1;
}

static bool read_int(const struct key_row *k, const struct doc_node *v,
		     int *out)
{
	char *end;
	long long x;

	if (v->kind != DOC_SCALAR || !strchr("-0123456789", v->text[0]))
		return false;
	errno = 0;
	x = strtoll(v->text, &end, 10);
	if (errno || end == v->text || *end || (double)x < k->min ||
	    (double)x > k->max)
		return false;
	*out = (int)x;
	return true;
}

static bool read_real(const struct key_row *k, const struct doc_node *v,
		      double *out)
{
	double x;

	if (v->kind != DOC_SCALAR || !unit_parse(v->text, k->unit, &x) ||
	    !(x >= k->min && x <= k->max))
		return false;
	*out = x;
	return true;
}

static bool read_uint64(const struct doc_node *v, uint64_t *out)
{
	char *end;
	unsigned long long x;

	if (v->kind != DOC_SCALAR || !v->text[0] ||
	    !strchr("0123456789", v->text[0]))
		return false;
	errno = 0;
	x = strtoull(v->text, &end, 10);
	if (errno || *end)
		return false;
	*out = x;
	return true;
}

static bool read_bool(const struct doc_node *v, bool *out)
{
	static const char *const words[] = { "false", "true", "no", "yes",
					     "off", "on" };
	size_t i;

	for (i = 0; v->kind == DOC_SCALAR &&
	     i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(v->text, words[i])) {
			*out = i & 1;
			return true;
		}
	}
	return false;
}

static enum status set_text(const struct setting *s, const struct doc_node *v)
{
	const unsigned char *p;
	char *field = s->base + s->row->offset;

	if (v->kind != DOC_SCALAR)
		return refuse(s, v, "");
	for (p = (const unsigned char *)v->text; *p; p++) {
		if (*p < ' ' && *p != '\n' && *p != '\t')
			return refuse(s, v, "");
	}
	if (!s->row->size) {
		*(char **)(void *)field = arena_strdup(s->arena, v->text);
		return ST_OK;
	}
	if (strlen(v->text) >= s->row->size)
		return refuse(s, v, "");
	memset(field, 0, s->row->size);
	memcpy(field, v->text, strlen(v->text));
	return ST_OK;
}

static bool is_auto(const struct doc_node *v)
{
	return v->kind == DOC_SCALAR && !strcmp(v->text, "auto");
}

/* The values of a knob: the node itself or the items of a list. */
static const struct doc_node *knob_first(const struct doc_node *v, int *n_p)
{
	*n_p = v->kind == DOC_SCALAR ? 1 : v->n;
	return v->kind == DOC_SCALAR ? v : v->first;
}

static bool knob_size_ok(const struct doc_node *v, int n)
{
	return v->kind != DOC_MAPPING && n > 0 && n <= KNOB_MAX;
}

static enum status set_knob_int(const struct setting *s,
				const struct doc_node *v)
{
	struct knob_int knob = { 0 };
	const struct doc_node *item;
	int i, j, n;

	item = knob_first(v, &n);
	knob.is_auto = is_auto(v);
	if (!knob.is_auto && !knob_size_ok(v, n))
		return refuse(s, v, "");
	for (i = 0; !knob.is_auto && i < n; i++, item = item->next) {
		if (!read_int(s->row, item, &knob.v[i]))
			return refuse(s, item, "");
		for (j = 0; j < i; j++) {
			if (knob.v[j] == knob.v[i])
				return refuse(s, item, " (given twice)");
		}
		knob.n++;
	}
	*(struct knob_int *)(void *)(s->base + s->row->offset) = knob;
	return ST_OK;
}

static bool read_capacity(const struct key_row *k, const struct doc_node *v,
			  double *out)
{
	if (v->kind == DOC_SCALAR && (!strcmp(v->text, "none") ||
				      !strcmp(v->text, "dropless"))) {
		*out = 0;
		return true;
	}
	return read_real(k, v, out);
}

static enum status set_knob_real(const struct setting *s,
				 const struct doc_node *v)
{
	struct knob_real knob = { 0 };
	const struct doc_node *item;
	int i, j, n;

	item = knob_first(v, &n);
	knob.is_auto = is_auto(v);
	if (!knob.is_auto && !knob_size_ok(v, n))
		return refuse(s, v, "");
	for (i = 0; !knob.is_auto && i < n; i++, item = item->next) {
		if (!read_capacity(s->row, item, &knob.v[i]))
			return refuse(s, item, "");
		for (j = 0; j < i; j++) {
			if (knob.v[j] == knob.v[i])
				return refuse(s, item, " (given twice)");
		}
		knob.n++;
	}
	*(struct knob_real *)(void *)(s->base + s->row->offset) = knob;
	return ST_OK;
}

static enum status set_mask(const struct setting *s, const struct doc_node *v)
{
	const struct doc_node *item;
	unsigned mask = 0;
	int i, n;

	item = knob_first(v, &n);
	if (v->kind == DOC_MAPPING || !n)
		return refuse(s, v, "");
	if (is_auto(v) || (v->kind == DOC_SCALAR && !strcmp(v->text, "all"))) {
		for (i = 0; s->row->names(i); i++) {
			mask |= 1u << i;
		}
		n = 0;
	}
	for (; n > 0; n--, item = item->next) {
		i = item->kind == DOC_SCALAR ?
			name_index(s->row, item->text) : -1;
		if (i < 0)
			return refuse_name(s, item);
		mask |= 1u << i;
	}
	*(unsigned *)(void *)(s->base + s->row->offset) = mask;
	return ST_OK;
}

static enum status set_enum(const struct setting *s, const struct doc_node *v)
{
	int i = v->kind == DOC_SCALAR ? name_index(s->row, v->text) : -1;

	if (i < 0)
		return refuse_name(s, v);
	/* every enum of the table has an int's size */
	memcpy(s->base + s->row->offset, &i, sizeof(i));
	return ST_OK;
}

enum status key_set(const struct key_row *k, void *base, struct arena *a,
		    const char *name, const struct doc_node *v)
{
	struct setting s = { k, base, a, name };
	void *field = s.base + k->offset;

	switch (k->type) {
	case KEY_INT:
		return read_int(k, v, field) ? ST_OK : refuse(&s, v, "");
	case KEY_UINT64:
		return read_uint64(v, field) ? ST_OK : refuse(&s, v, "");
	case KEY_REAL:
		return read_real(k, v, field) ? ST_OK : refuse(&s, v, "");
	case KEY_BOOL:
		return read_bool(v, field) ? ST_OK : refuse(&s, v, "");
	case KEY_ENUM:
		return set_enum(&s, v);
	case KEY_TEXT:
		return set_text(&s, v);
	case KEY_KNOB_INT:
		return set_knob_int(&s, v);
	case KEY_KNOB_REAL:
		return set_knob_real(&s, v);
	case KEY_MASK:
		return set_mask(&s, v);
	case KEY_SOURCE:
		break;
	}
	return refuse(&s, v, "");
}

size_t key_field_size(const struct key_row *k)
{
	switch (k->type) {
	case KEY_INT:
	case KEY_ENUM:
		return sizeof(int);
	case KEY_UINT64:
		return sizeof(uint64_t);
	case KEY_REAL:
		return sizeof(double);
	case KEY_BOOL:
		return sizeof(bool);
	case KEY_TEXT:
		return k->size ? k->size : sizeof(char *);
	case KEY_KNOB_INT:
		return sizeof(struct knob_int);
	case KEY_KNOB_REAL:
		return sizeof(struct knob_real);
	case KEY_MASK:
		return sizeof(unsigned);
	case KEY_SOURCE:
		break;
	}
	return 0;
}
