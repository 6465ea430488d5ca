/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/model_file.h"

#include "base/nearest.h"
#include "scenarios/datadir.h"
#include "scenarios/doc.h"
#include "scenarios/hf_config.h"
#include "scenarios/keys.h"
#include "scenarios/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTION "model."
#define ROWS_MAX 64	/* keys of the section */

struct file {
	struct arena arena;
	struct scenario s;	/* only its model is used */
	const struct key_row *row[ROWS_MAX];
	const char *name[ROWS_MAX];	/* without the section */
	bool set[ROWS_MAX];
	size_t n_rows;
};

static void find_rows(struct file *f)
{
	size_t i, n = strlen(SECTION);

	for (i = 0; i < n_scenario_keys && f->n_rows < ROWS_MAX; i++) {
		const struct key_row *k = &scenario_keys[i];

		if (strncmp(k->name, SECTION, n) || k->type == KEY_SOURCE)
			continue;
		f->row[f->n_rows] = k;
		f->name[f->n_rows++] = k->name + n;
	}
}

static enum status set_defaults(struct file *f)
{
	const struct doc_node like = { .source = "default" };
	enum status st = ST_OK;
	size_t i;

	for (i = 0; !st && i < f->n_rows; i++) {
		const struct key_row *k = f->row[i];

		if (k->def && *k->def)
			st = key_set(k, &f->s, &f->arena, k->name,
				     doc_scalar(&f->arena, &like, k->def));
	}
	return st;
}

static enum status set_key(struct file *f, const struct doc_node *v)
{
	char hint[192];
	size_t i;

	for (i = 0; i < f->n_rows; i++) {
		if (strcmp(f->name[i], v->key))
			continue;
		f->set[i] = true;
		return key_set(f->row[i], &f->s, &f->arena, v->key, v);
	}
	nearest_hint(v->key, f->name, f->n_rows, hint, sizeof(hint));
	return err_set(ST_INPUT, "%s: unknown key '%.150s'%s",
		       doc_key_where(&f->arena, v), v->key, hint);
}

static enum status check_needed(const struct file *f, const char *path)
{
	size_t i;

	for (i = 0; i < f->n_rows; i++) {
		if (!f->row[i]->def && !f->set[i])
			return err_set(ST_INPUT, "%s: the model lacks the key "
				       "'%s' (%s)", path, f->name[i],
				       f->row[i]->help);
	}
	return ST_OK;
}

/* "a/b.yaml": b */
static void name_from_path(struct model *m, const char *path)
{
	const char *base = strrchr(path, '/');
	int n;

	base = base ? base + 1 : path;
	n = (int)strcspn(base, ".");
	snprintf(m->name, sizeof(m->name), "%.*s", n, base);
}

static enum status derive(struct model *m, const char *path)
{
	if (!m->name[0])
		name_from_path(m, path);
	if (!m->moe_layers)
		m->moe_layers = m->layers;
	if (!m->shared_ffn)
		m->shared_ffn = m->shared_experts * m->expert_ffn;
	if (m->moe_layers > m->layers)
		return err_set(ST_INPUT, "%s: 'moe_layers' %d is more than "
			       "'layers' %d", path, m->moe_layers, m->layers);
	if (m->experts_per_token > m->experts)
		return err_set(ST_INPUT, "%s: 'experts_per_token' %d is more "
			       "than 'experts' %d", path,
			       m->experts_per_token, m->experts);
	params_estimate(m);
	return ST_OK;
}

static enum status read_root(struct file *f, const char *path)
{
	struct doc_node *root, *v;
	enum status st = doc_load(&f->arena, path, &root);

	if (!st && root->kind != DOC_MAPPING)
		st = err_set(ST_INPUT, "%s: a mapping of keys was expected",
			     doc_where(&f->arena, root));
	for (v = st ? NULL : root->first; v && !st; v = v->next) {
		if (!doc_is_null(v))
			st = set_key(f, v);
	}
	return st ? st : check_needed(f, path);
}

static enum status load_yaml(const char *path, struct model *out)
{
	struct file *f = xcalloc(1, sizeof(*f));
	struct model *m = &f->s.model;
	enum status st;

	find_rows(f);
	st = set_defaults(f);
	m->dtype = out->dtype;
	if (!st)
		st = read_root(f, path);
	if (!st)
		st = derive(m, path);
	m->sequence = out->sequence;
	m->batch_per_gpu = out->batch_per_gpu;
	if (!st)
		*out = *m;
	arena_release(&f->arena);
	free(f);
	return st;
}

static bool is_yaml(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

enum status model_load(const char *name_or_path, struct model *out)
{
	struct arena a = { 0 };
	const char *path;
	enum status st;

	st = data_find(&a, DATA_MODEL, name_or_path, NULL, &path);
	if (!st)
		st = is_yaml(path) ? load_yaml(path, out) :
				     hf_config_load(path, out);
	arena_release(&a);
	return st;
}
