/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walks over the layers: keys to rows, rows to fields. */
#include "scenarios/loader.h"

#include "base/buf.h"
#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

#define SECTION_MAX 64		/* keys of one section, for hints */

enum status loader_refuse(struct loader *ld, const struct doc_node *node,
			  const char *text)
{
	return err_set(ST_INPUT, "%s: %s", doc_where(ld->arena, node), text);
}

/* The next part of `name` after "prefix.", when it starts so. */
const char *key_part_after(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	if (!n)
		return name;
	return !strncmp(name, prefix, n) && name[n] == '.' ? name + n + 1 :
							     NULL;
}

bool key_is_section(const char *name)
{
	size_t i;

	if (!strncmp(name, "cluster.gpu.", strlen("cluster.gpu."))) {
		name += strlen("cluster.gpu.");
		for (i = 0; i < n_gpu_keys; i++) {
			if (key_part_after(gpu_keys[i].name, name))
				return true;
		}
		return false;
	}
	for (i = 0; i < n_scenario_keys; i++) {
		if (key_part_after(scenario_keys[i].name, name))
			return true;
	}
	return false;
}

/* Key names right under `section`, without repeats. */
static size_t section_names(struct arena *a, const char *section,
			    const char **names)
{
	const char *in_gpu = key_part_after(section, "cluster.gpu");
	const struct key_row *rows = scenario_keys;
	size_t i, j, n = 0, n_rows = n_scenario_keys;

	if (in_gpu || !strcmp(section, "cluster.gpu")) {
		rows = gpu_keys;
		n_rows = n_gpu_keys;
		section = in_gpu ? in_gpu : "";
	}
	for (i = 0; i < n_rows; i++) {
		const char *part = key_part_after(rows[i].name, section);
		char *name;

		if (!part || n == SECTION_MAX)
			continue;
		name = arena_printf(a, "%.*s", (int)strcspn(part, "."), part);
		for (j = 0; j < n && strcmp(names[j], name); j++)
			;
		if (j == n)
			names[n++] = name;
	}
	return n;
}

/* A key that has this last part in another section: "cluster.nodes". */
static const char *key_elsewhere(const char *word)
{
	size_t i;

	for (i = 0; i < n_scenario_keys; i++) {
		const char *dot = strrchr(scenario_keys[i].name, '.');

		if (!strcmp(dot + 1, word))
			return scenario_keys[i].name;
	}
	return NULL;
}

static const char *shown(const struct loader *ld, const char *name)
{
	size_t n = strlen(ld->layer->strip);

	return strncmp(name, ld->layer->strip, n) ? name : name + n;
}

enum status loader_refuse_key(struct loader *ld, const char *name,
			      const struct doc_node *node)
{
	const char *names[SECTION_MAX], *dot = strrchr(name, '.');
	const char *word = dot ? dot + 1 : name, *other;
	char hint[192];
	size_t n = section_names(ld->arena, dot ? arena_printf(ld->arena,
				 "%.*s", (int)(dot - name), name) : "", names);

	nearest_hint(word, names, n, hint, sizeof(hint));
	other = key_elsewhere(word);
	if (other)	/* the right word in the wrong section */
		snprintf(hint, sizeof(hint), " (did you mean '%s'?)", other);
	return err_set(ST_INPUT, "%s: unknown key '%s'%s",
		       doc_key_where(ld->arena, node),
		       doc_shown(ld->arena, shown(ld, name)), hint);
}

size_t key_index(const struct key_row *row)
{
	return (size_t)(row - scenario_keys);
}

/* Back to what the defaults and data files say. */
void loader_unset(struct loader *ld, const struct key_row *row)
{
	memcpy((char *)ld->s + row->offset,
	       (const char *)&ld->base + row->offset, key_field_size(row));
	ld->s->where[key_index(row)] = ld->base_where[key_index(row)];
	ld->set_by[key_index(row)] = 0;
}

/* nic.per_gpu and nic.per_node: the later layer's replaces the other. */
static void drop_rival(struct loader *ld, const struct key_row *row, int by)
{
	static const char *const rivals[] = { "cluster.nic.per_gpu",
					      "cluster.nic.per_node" };
	const struct key_row *rival;
	int i;

	for (i = 0; i < 2; i++) {
		if (strcmp(row->name, rivals[i]))
			continue;
		rival = key_find(rivals[!i]);
		if (ld->set_by[key_index(rival)] == by)
			continue;
		loader_unset(ld, rival);
	}
}

static enum status set_row(struct loader *ld, const struct key_row *row,
			   const struct doc_node *node)
{
	int by = ld->layer->rank;
	enum status st;

	if (ld->find_sources)
		return ST_OK;
	if (doc_is_null(node)) {
		loader_unset(ld, row);
		return ST_OK;
	}
	st = key_set(row, ld->s, ld->arena, shown(ld, row->name), node);
	if (st)
		return st;
	if (!strcmp(row->name, "routing.file"))
		ld->s->routing.file = data_beside(ld->arena, node->text,
						  loader_file_of(node));
	if (!strcmp(row->name, "profile.db"))
		ld->s->profile.db = data_beside(ld->arena, node->text,
						loader_file_of(node));
	ld->s->where[key_index(row)] = doc_where(ld->arena, node);
	ld->set_by[key_index(row)] = by;
	drop_rival(ld, row, by);
	return ST_OK;
}

/* A key of struct gpu given as "cluster.gpu.KEY", not in a gpu mapping. */
static enum status set_gpu_row(struct loader *ld, const char *name,
			       const struct doc_node *node)
{
	const struct key_row *row = gpu_key_find(key_part_after(name,
							    "cluster.gpu"));

	if (!row)
		return loader_refuse_key(ld, name, node);
	if (ld->find_sources || doc_is_null(node))
		return ST_OK;
	return key_set(row, &ld->s->cluster.gpu, ld->arena, shown(ld, name),
		       node);
}

static enum status walk_node(struct loader *ld, const char *name,
			     const struct doc_node *node);

enum status loader_walk_mapping(struct loader *ld, const char *name,
				const struct doc_node *node)
{
	const struct doc_node *c;
	enum status st = ST_OK;

	for (c = node->first; c && !st; c = c->next) {
		st = walk_node(ld, *name ? arena_printf(ld->arena, "%s.%.64s",
							name, c->key) :
					   c->key, c);
	}
	return st;
}

/* cluster.gpu and model.config: remembered; cluster.base is followed by
 * add_cluster(). */
static enum status walk_source(struct loader *ld, const struct key_row *row,
			       const struct doc_node *node)
{
	bool gpu = !strcmp(row->name, "cluster.gpu");

	if (!ld->find_sources)
		return ST_OK;
	if (node->kind == DOC_SEQUENCE ||
	    (node->kind == DOC_MAPPING && !gpu))
		return err_set(ST_INPUT, "%s: key '%s': %s is not a name or "
			       "a path", doc_where(ld->arena, node),
			       shown(ld, row->name),
			       doc_kind_name(node->kind));
	if (gpu)
		ld->gpu = doc_is_null(node) ? NULL : node;
	else if (!strcmp(row->name, "model.config"))
		ld->model = doc_is_null(node) ? NULL : node;
	return ST_OK;
}

/* A value or a list where keys belong: says which keys. */
static enum status refuse_section(struct loader *ld, const char *name,
				  const struct doc_node *node)
{
	const char *names[SECTION_MAX], *text;
	struct buf allowed = { 0 };
	size_t i, n = section_names(ld->arena, name, names);

	for (i = 0; i < n; i++) {
		buf_addf(&allowed, "%s%s", i ? ", " : "", names[i]);
	}
	text = node->kind == DOC_SCALAR ?
		arena_printf(ld->arena, "'%s'",
			     doc_shown(ld->arena, node->text)) :
		doc_kind_name(node->kind);
	err_set(ST_INPUT, "%s: key '%s': %s is not a mapping of the keys %s",
		doc_where(ld->arena, node), shown(ld, name), text,
		buf_str(&allowed));
	buf_release(&allowed);
	return ST_INPUT;
}

static enum status walk_section(struct loader *ld, const char *name,
				const struct doc_node *node)
{
	if (doc_is_null(node))
		return ST_OK;
	if (!strcmp(name, "model") && node->kind == DOC_SCALAR)
		return walk_source(ld, key_find("model.config"), node);
	if (node->kind != DOC_MAPPING)
		return refuse_section(ld, name, node);
	return loader_walk_mapping(ld, name, node);
}

static enum status walk_node(struct loader *ld, const char *name,
			     const struct doc_node *node)
{
	const struct key_row *row = key_find(name);

	if (row && row->type == KEY_SOURCE)
		return walk_source(ld, row, node);
	if (row)
		return set_row(ld, row, node);
	if (key_is_section(name))
		return walk_section(ld, name, node);
	if (key_part_after(name, "cluster.gpu"))
		return set_gpu_row(ld, name, node);
	return loader_refuse_key(ld, name, node);
}

enum status loader_walk(struct loader *ld, bool find_sources)
{
	enum status st = ST_OK;
	int i;

	ld->find_sources = find_sources;
	for (i = 0; i < ld->n_layers && !st; i++) {
		ld->layer = &ld->layers[i];
		st = walk_node(ld, ld->layer->prefix, ld->layer->node);
	}
	return st;
}
