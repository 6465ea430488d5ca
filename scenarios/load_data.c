/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The data files that a scenario names: GPU and model. */
#include "scenarios/loader.h"

#include "scenarios/hf_config.h"

#include <stdio.h>
#include <string.h>

const char *loader_file_of(const struct doc_node *node)
{
	return node->line ? node->source : NULL;
}

/* The file that a scalar names, with its errors at the scalar. */
static enum status find_file(struct loader *ld, enum data_kind kind,
			     const struct doc_node *node, const char **path_p)
{
	enum status st;

	if (node->kind != DOC_SCALAR)
		return loader_refuse(ld, node, "a name or a path was expected");
	st = data_find(ld->arena, kind, node->text, loader_file_of(node),
		       path_p);
	return st ? err_prefix(st, "%s", doc_where(ld->arena, node)) : ST_OK;
}

enum status loader_mapping(struct loader *ld, enum data_kind kind,
			   const struct doc_node *node,
			   struct doc_node **root_p)
{
	const char *path;
	enum status st = find_file(ld, kind, node, &path);

	if (st)
		return st;
	st = doc_load(ld->arena, path, root_p);
	if (!st && (*root_p)->kind != DOC_MAPPING)
		st = loader_refuse(ld, *root_p,
				   "a mapping of keys was expected");
	return st;
}

/* A path among `measured` is relative to the file that names it; what it names
 * is looked up when a forecast asks for it. */
static enum status place_measured(struct loader *ld, const struct doc_node *n)
{
	struct gpu *gpu = &ld->s->cluster.gpu;
	const char *path;

	if (!data_is_path(gpu->measured))
		return ST_OK;
	path = data_beside(ld->arena, gpu->measured, loader_file_of(n));
	if (strlen(path) >= sizeof(gpu->measured))
		return err_set(ST_INPUT, "%s: 'measured': the path is longer "
			       "than %zu bytes", doc_where(ld->arena, n),
			       sizeof(gpu->measured) - 1);
	snprintf(gpu->measured, sizeof(gpu->measured), "%s", path);
	return ST_OK;
}

/* Rows of a GPU file or mapping into struct gpu; `set` marks them. */
static enum status read_gpu(struct loader *ld, const char *prefix,
			    const struct doc_node *node, const char *strip,
			    bool *set)
{
	const struct doc_node *c;
	enum status st = ST_OK;

	for (c = node->first; c && !st; c = c->next) {
		const char *name = arena_printf(ld->arena, "%s%s%.64s", prefix,
						*prefix ? "." : "", c->key);
		const struct key_row *row = gpu_key_find(name);
		struct layer layer = { .strip = "cluster.gpu." };
		const char *full = arena_printf(ld->arena, "cluster.gpu.%s",
						name);

		ld->layer = &layer;
		if (!strcmp(name, "base"))
			continue;
		if (row && !doc_is_null(c)) {
			set[row - gpu_keys] = true;
			st = key_set(row, &ld->s->cluster.gpu, ld->arena,
				     name, c);
			if (!st && !strcmp(name, "measured"))
				st = place_measured(ld, c);
		} else if (!row && key_is_section(full) &&
			   c->kind == DOC_MAPPING) {
			st = read_gpu(ld, name, c, strip, set);
		} else if (!row) {
			st = loader_refuse_key(ld, full, c);
		}
	}
	return st;
}

/* A file's last part without its suffix. */
static const char *stem(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *dot = strrchr(base, '.');

	return arena_printf(a, "%.*s", dot && dot != base ?
			    (int)(dot - base) : (int)strlen(base), base);
}

static enum status read_gpu_file(struct loader *ld,
				 const struct doc_node *node, bool *set)
{
	struct gpu *gpu = &ld->s->cluster.gpu;
	struct doc_node *root;
	enum status st = loader_mapping(ld, DATA_GPU, node, &root);

	if (!st)
		st = read_gpu(ld, "", root, "", set);
	if (st)
		return st;
	snprintf(gpu->type, sizeof(gpu->type), "%s", node->text);
	if (!*gpu->name)
		snprintf(gpu->name, sizeof(gpu->name), "%s",
			 stem(ld->arena, node->text));
	return ST_OK;
}

static enum status gpu_complete(struct loader *ld,
				const struct doc_node *node, const bool *set)
{
	size_t i;

	for (i = 0; i < n_gpu_keys; i++) {
		if (!gpu_keys[i].def && !set[i])
			return err_set(ST_INPUT, "%s: GPU '%.100s' lacks the "
				       "key '%s' (%s)",
				       doc_where(ld->arena, node),
				       node->kind == DOC_SCALAR ? node->text :
				       *ld->s->cluster.gpu.name ?
				       ld->s->cluster.gpu.name : "inline",
				       gpu_keys[i].name, gpu_keys[i].help);
	}
	return ST_OK;
}

/* Keys of a GPU that may change and leave its measurements true. */
static bool says_no_speed(const struct key_row *row)
{
	static const char *const names[] = { "name", "type", "memory",
					     "provenance", NULL };
	int i;

	for (i = 0; names[i]; i++) {
		if (!strcmp(row->name, names[i]))
			return true;
	}
	return false;
}

/*
 * A shipped GPU with keys of its own: measurements of the type would hide
 * what the scenario changed. They go, unless it names some itself.
 */
static enum status read_gpu_changes(struct loader *ld,
				    const struct doc_node *node, bool *set)
{
	bool *own = arena_alloc(ld->arena, n_gpu_keys * sizeof(*own));
	struct gpu *gpu = &ld->s->cluster.gpu;
	enum status st = read_gpu(ld, "", node, "", own);
	bool changed = false;
	size_t i;

	for (i = 0; i < n_gpu_keys; i++) {
		changed |= own[i] && !says_no_speed(&gpu_keys[i]);
		set[i] |= own[i];
	}
	if (changed && !own[gpu_key_find("measured") - gpu_keys])
		*gpu->measured = '\0';
	return st;
}

enum status loader_gpu(struct loader *ld)
{
	const struct doc_node like = { .source = "default" };
	const struct doc_node *node = ld->gpu, *base;
	bool *set = arena_alloc(ld->arena, n_gpu_keys * sizeof(*set));
	enum status st = ST_OK;

	if (!node)
		node = doc_scalar(ld->arena, &like,
				  key_find("cluster.gpu")->def);
	ld->s->where[key_index(key_find("cluster.gpu"))] =
		ld->gpu ? doc_where(ld->arena, node) : NULL;
	base = node->kind == DOC_MAPPING ? doc_get(node, "base") : node;
	if (base && !doc_is_null(base))
		st = read_gpu_file(ld, base, set);
	if (!st && node->kind == DOC_MAPPING)
		st = read_gpu_changes(ld, node, set);
	return st ? st : gpu_complete(ld, node, set);
}

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), m = strlen(tail);

	return n >= m && !strcmp(s + n - m, tail);
}

/* A config.json gives all sizes: they count as set there. */
static enum status load_hf_model(struct loader *ld, const char *path,
				 const struct doc_node *node)
{
	enum status st = hf_config_load(path, &ld->s->model);
	size_t i;

	if (st)
		return st;
	for (i = 0; i < n_scenario_keys; i++) {
		if (key_part_after(scenario_keys[i].name, "model"))
			ld->s->where[i] = doc_where(ld->arena, node);
	}
	return ST_OK;
}

enum status loader_model(struct loader *ld)
{
	struct model *m = &ld->s->model;
	struct doc_node *root;
	struct layer layer;
	const char *path;
	enum status st;

	if (!ld->model)
		return ST_OK;
	st = find_file(ld, DATA_MODEL, ld->model, &path);
	if (st)
		return st;
	if (!ends_with(path, ".yaml") && !ends_with(path, ".yml"))
		return load_hf_model(ld, path, ld->model);
	st = loader_mapping(ld, DATA_MODEL, ld->model, &root);
	if (st)
		return st;
	layer = (struct layer){ "model", root, "model.", 0 };
	ld->layer = &layer;
	if (doc_get(root, "config"))
		return loader_refuse(ld, doc_get(root, "config"),
				     "key 'config': a model file cannot name "
				     "another");
	snprintf(m->name, sizeof(m->name), "%s", stem(ld->arena, path));
	return loader_walk_mapping(ld, "model", root);
}

void loader_forget_params(struct loader *ld)
{
	static const struct {
		const char *key;
		bool in_other;	/* part of params_other */
	} sizes[] = {
		{ "model.hidden", true }, { "model.layers", true },
		{ "model.moe_layers", true }, { "model.experts", false },
		{ "model.experts_per_token", false },
		{ "model.expert_ffn", false }, { "model.dense_ffn", true },
		{ "model.shared_experts", true },
		{ "model.shared_ffn", true }, { "model.gated", true },
	};
	struct model *m = &ld->s->model;
	bool any = false, other = false;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		bool set = ld->set_by[key_index(key_find(sizes[i].key))];

		any |= set;
		other |= set && sizes[i].in_other;
	}
	if (any && !ld->set_by[key_index(key_find("model.params_total"))])
		m->params_total = 0;
	if (any && !ld->set_by[key_index(key_find("model.params_active"))])
		m->params_active = 0;
	if (other && !ld->set_by[key_index(key_find("model.params_other"))])
		m->params_other = 0;
}
