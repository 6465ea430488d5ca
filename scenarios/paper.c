/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/paper.h"

#include "base/units.h"
#include "scenarios/datadir.h"
#include "scenarios/doc.h"

#include <string.h>

static enum status want_kind(struct paper *p, const struct doc_node *v,
			     enum doc_kind kind)
{
	if (v->kind == kind)
		return ST_OK;
	return err_set(ST_INPUT, "%s: %s was expected here, not %s",
		       doc_where(&p->arena, v), doc_kind_name(kind),
		       doc_kind_name(v->kind));
}

/* A required child. */
static enum status child(struct paper *p, const struct doc_node *m,
			 const char *key, enum doc_kind kind,
			 const struct doc_node **out_p)
{
	enum status st = want_kind(p, m, DOC_MAPPING);
	const struct doc_node *v = st ? NULL : doc_get(m, key);

	if (st)
		return st;
	if (!v)
		return err_set(ST_INPUT, "%s: '%s' is missing",
			       doc_where(&p->arena, m), key);
	*out_p = v;
	return want_kind(p, v, kind);
}

static enum status text(struct paper *p, const struct doc_node *m,
			const char *key, const char **out_p)
{
	const struct doc_node *v = NULL;
	enum status st = child(p, m, key, DOC_SCALAR, &v);

	if (!st)
		*out_p = v->text;
	return st;
}

static enum status number(struct paper *p, const struct doc_node *v,
			  double *out_p)
{
	enum status st = want_kind(p, v, DOC_SCALAR);

	if (!st && !unit_parse(v->text, U_NUMBER, out_p))
		st = err_set(ST_INPUT, "%s: '%s' is no number",
			     doc_where(&p->arena, v),
			     doc_shown(&p->arena, v->text));
	return st;
}

static enum status only_keys(struct paper *p, const struct doc_node *m,
			     const char *const *keys)
{
	for (const struct doc_node *v = m->first; v; v = v->next) {
		int i = 0;

		while (keys[i] && strcmp(keys[i], v->key))
			i++;
		if (!keys[i])
			return err_set(ST_INPUT, "%s: unknown key '%s'",
				       doc_key_where(&p->arena, v),
				       doc_shown(&p->arena, v->key));
	}
	return ST_OK;
}

static enum status add_value(struct paper *p, const struct doc_node *m,
			     bool assumed)
{
	static const char *const given[] = { "name", "value", "source", NULL };
	static const char *const open[] = { "name", "value", "why", NULL };
	struct paper_value *v = &p->value[p->n_values];
	const struct doc_node *value = NULL;
	enum status st = text(p, m, "name", &v->name);

	if (!st)
		st = only_keys(p, m, assumed ? open : given);
	if (!st)
		st = child(p, m, "value", DOC_SCALAR, &value);
	if (!st)
		st = number(p, value, &v->value);
	if (!st)
		st = text(p, m, assumed ? "why" : "source", &v->why);
	v->assumed = assumed;
	p->n_values++;
	return st;
}

/* A child that may be missing. */
static enum status maybe_text(struct paper *p, const struct doc_node *m,
			      const char *key, const char **out_p)
{
	return doc_get(m, key) ? text(p, m, key, out_p) : ST_OK;
}

static enum status add_sets(struct paper *p, const struct doc_node *m,
			    struct paper_part *part)
{
	const struct doc_node *list = NULL;
	enum status st = child(p, m, "set", DOC_SEQUENCE, &list);

	if (st)
		return st;
	part->set = arena_alloc(&p->arena, (size_t)(list->n + 1) *
				sizeof(*part->set));
	for (const struct doc_node *v = list->first; v && !st; v = v->next) {
		st = want_kind(p, v, DOC_SCALAR);
		part->set[part->n_sets++] = v->text;
	}
	return st;
}

static enum status add_part(struct paper *p, const struct doc_node *m)
{
	static const char *const keys[] = { "name", "scenario", "policy",
					    "set", "why", NULL };
	struct paper_part *part = &p->part[p->n_parts++];
	enum status st = text(p, m, "name", &part->name);

	if (!st)
		st = only_keys(p, m, keys);
	if (!st)
		st = maybe_text(p, m, "scenario", &part->scenario);
	if (!st)
		st = maybe_text(p, m, "policy", &part->policy);
	if (!st)
		st = maybe_text(p, m, "why", &part->why);
	if (!st && doc_get(m, "set"))
		st = add_sets(p, m, part);
	return st;
}

static enum status add_reported(struct paper *p, const struct doc_node *m,
				struct paper_row *row)
{
	const struct doc_node *v = doc_get(m, "reported");
	enum status st;

	if (!v)
		return err_set(ST_INPUT, "%s: 'reported' is missing",
			       doc_where(&p->arena, m));
	if (v->kind == DOC_SCALAR) {
		st = number(p, v, &row->low);
		row->high = row->low;
	} else if (v->kind == DOC_SEQUENCE && v->n == 2) {
		st = number(p, v->first, &row->low);
		if (!st)
			st = number(p, v->last, &row->high);
	} else {
		st = err_set(ST_INPUT, "%s: 'reported' is a number or a "
			     "range of two", doc_where(&p->arena, v));
	}
	if (!st && !(row->low > 0 && row->high >= row->low))
		st = err_set(ST_INPUT, "%s: 'reported' must be above 0 and "
			     "in order", doc_where(&p->arena, v));
	return st;
}

static enum status add_words(struct paper *p, const struct doc_node *m,
			     struct paper_row *row)
{
	const char *measure = NULL;
	enum status st = text(p, m, "measure", &measure);
	char *rest, *word;

	if (st)
		return st;
	for (rest = arena_strdup(&p->arena, measure);
	     (word = strtok_r(rest, " ", &rest));) {
		if (row->n_words == PAPER_WORDS_MAX)
			return err_set(ST_INPUT, "%s: 'measure' has more than "
				       "%d words", doc_where(&p->arena, m),
				       PAPER_WORDS_MAX);
		row->word[row->n_words++] = word;
	}
	if (!row->n_words)
		return err_set(ST_INPUT, "%s: 'measure' is empty",
			       doc_where(&p->arena, m));
	return ST_OK;
}

static enum status add_gave(struct paper *p, const struct doc_node *m,
			    struct paper_row *row)
{
	enum status st = text(p, m, "gave", &row->gave);
	int i = 0;

	if (st)
		return st;
	while (i < p->n_values && !(p->value[i].assumed &&
				    !strcmp(p->value[i].name, row->gave)))
		i++;
	return i < p->n_values ? ST_OK :
		err_set(ST_INPUT, "%s: 'gave' is '%.100s', must be the name "
			"of an assumption", doc_where(&p->arena, m),
			row->gave);
}

static enum status add_row(struct paper *p, const struct doc_node *m)
{
	static const char *const keys[] = { "case", "measure", "reported",
					    "source", "note", "gave", NULL };
	struct paper_row *row = &p->row[p->n_rows++];
	enum status st = text(p, m, "case", &row->name);

	row->where = doc_where(&p->arena, m);
	if (!st)
		st = only_keys(p, m, keys);
	if (!st)
		st = text(p, m, "source", &row->source);
	if (!st)
		st = maybe_text(p, m, "note", &row->note);
	if (!st && doc_get(m, "gave"))
		st = add_gave(p, m, row);
	if (!st)
		st = add_words(p, m, row);
	if (!st)
		st = add_reported(p, m, row);
	return st;
}

/* A list of the root, and whoever reads an item of it. */
struct list {
	const char *key;
	bool optional;
	enum status (*add)(struct paper *p, const struct doc_node *m);
	const struct doc_node *node;
};

static enum status add_constant(struct paper *p, const struct doc_node *m)
{
	return add_value(p, m, false);
}

static enum status add_assumption(struct paper *p, const struct doc_node *m)
{
	return add_value(p, m, true);
}

/* In this order: rows name assumptions. */
static enum status read_lists(struct paper *p, const struct doc_node *root)
{
	struct list list[] = {
		{ "constants", false, add_constant, NULL },
		{ "assumptions", false, add_assumption, NULL },
		{ "parts", true, add_part, NULL },
		{ "rows", false, add_row, NULL },
	};
	size_t n = 0, i, n_lists = sizeof(list) / sizeof(list[0]);
	enum status st = ST_OK;

	for (i = 0; i < n_lists && !st; i++) {
		if (list[i].optional && !doc_get(root, list[i].key))
			continue;
		st = child(p, root, list[i].key, DOC_SEQUENCE, &list[i].node);
		if (!st)
			n += (size_t)list[i].node->n;
	}
	p->value = arena_alloc(&p->arena, (n + 1) * sizeof(*p->value));
	p->part = arena_alloc(&p->arena, (n + 1) * sizeof(*p->part));
	p->row = arena_alloc(&p->arena, (n + 1) * sizeof(*p->row));
	for (i = 0; i < n_lists && !st; i++) {
		const struct doc_node *v = list[i].node ?
			list[i].node->first : NULL;

		for (; v && !st; v = v->next)
			st = list[i].add(p, v);
	}
	return st;
}

static enum status read_all(struct paper *p, const struct doc_node *root)
{
	static const char *const keys[] = { "name", "title", "plot",
		"constants", "assumptions", "parts", "rows", NULL };
	enum status st = text(p, root, "name", &p->name);

	if (!st)
		st = only_keys(p, root, keys);
	if (!st)
		st = text(p, root, "title", &p->title);
	if (!st)
		st = text(p, root, "plot", &p->plot);
	if (!st)
		p->plot = arena_printf(&p->arena, " %s ", p->plot);
	return st ? st : read_lists(p, root);
}

enum status paper_load(struct paper *p, const char *name)
{
	struct doc_node *root;
	enum status st;

	*p = (struct paper){ 0 };
	st = data_find(&p->arena, DATA_PAPER, name, NULL, &p->path);
	if (!st)
		st = doc_load(&p->arena, p->path, &root);
	if (!st)
		st = read_all(p, root);
	if (st)
		paper_release(p);
	return st;
}

void paper_release(struct paper *p)
{
	arena_release(&p->arena);
	*p = (struct paper){ 0 };
}

enum status paper_get(const struct paper *p, const char *name,
		      double *value_p)
{
	for (int i = 0; i < p->n_values; i++) {
		if (!strcmp(p->value[i].name, name)) {
			*value_p = p->value[i].value;
			return ST_OK;
		}
	}
	return err_set(ST_INPUT, "%s: no constant or assumption '%.100s'",
		       p->path, name);
}
