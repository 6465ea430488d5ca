/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loading happens in two walks over the same layers of YAML. A layer is a
 * mapping with the key prefix that it stands for: the cluster file's base,
 * the cluster file, the scenario file's sections, each --set. The first walk
 * finds which data files are named (the last layer wins), the second sets
 * the fields, later layers over earlier ones.
 */
#include "scenarios/scenario.h"

#include "base/buf.h"
#include "base/nearest.h"
#include "scenarios/cluster_text.h"
#include "scenarios/datadir.h"
#include "scenarios/doc.h"
#include "scenarios/hf_config.h"
#include "scenarios/keys.h"
#include "scenarios/scenario_rules.h"

#include <stdio.h>
#include <string.h>

#define LAYERS_MAX 4096		/* mostly --set options */
#define BASES_MAX 8		/* cluster files that name one another */
#define SECTION_MAX 64		/* keys of one section, for hints */

struct layer {
	const char *prefix;	/* "cluster", "": the root, "search.degree" */
	const struct doc_node *node;
	const char *strip;	/* what messages leave off: "cluster." */
	int rank;	/* from 1; 0: a data file or a default */
};

struct loader {
	struct scenario *s;
	struct arena *arena;
	struct layer *layers;	/* lowest precedence first */
	int n_layers;
	bool find_sources;	/* the first walk */
	const struct layer *layer;	/* being walked */
	const struct doc_node *gpu, *model;	/* found by the first walk */
	int *set_by;	/* rank of the layer that set a row */
	struct scenario base;	/* before the second walk */
	const char **base_where;
};

static enum status refuse(struct loader *ld, const struct doc_node *node,
			  const char *text)
{
	return err_set(ST_INPUT, "%s: %s", doc_where(ld->arena, node), text);
}

/* The next part of `name` after "prefix.", when it starts so. */
static const char *part_after(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	if (!n)
		return name;
	return !strncmp(name, prefix, n) && name[n] == '.' ? name + n + 1 :
							     NULL;
}

static bool is_section(const char *name)
{
	size_t i;

	if (!strncmp(name, "cluster.gpu.", strlen("cluster.gpu."))) {
		name += strlen("cluster.gpu.");
		for (i = 0; i < n_gpu_keys; i++) {
			if (part_after(gpu_keys[i].name, name))
				return true;
		}
		return false;
	}
	for (i = 0; i < n_scenario_keys; i++) {
		if (part_after(scenario_keys[i].name, name))
			return true;
	}
	return false;
}

/* Key names right under `section`, without repeats. */
static size_t section_names(struct arena *a, const char *section,
			    const char **names)
{
	const char *in_gpu = part_after(section, "cluster.gpu");
	const struct key_row *rows = scenario_keys;
	size_t i, j, n = 0, n_rows = n_scenario_keys;

	if (in_gpu || !strcmp(section, "cluster.gpu")) {
		rows = gpu_keys;
		n_rows = n_gpu_keys;
		section = in_gpu ? in_gpu : "";
	}
	for (i = 0; i < n_rows; i++) {
		const char *part = part_after(rows[i].name, section);
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

static enum status refuse_key(struct loader *ld, const char *name,
			      const struct doc_node *node)
{
	const char *names[SECTION_MAX], *dot = strrchr(name, '.');
	const char *word = dot ? dot + 1 : name, *other;
	char hint[192];
	size_t n = section_names(ld->arena, dot ? arena_printf(ld->arena,
				 "%.*s", (int)(dot - name), name) : "", names);

	nearest_hint(word, names, n, hint, sizeof(hint));
	other = key_elsewhere(word);
	if (!*hint && other)
		snprintf(hint, sizeof(hint), " (did you mean '%s'?)", other);
	return err_set(ST_INPUT, "%s: unknown key '%.150s'%s",
		       doc_key_where(ld->arena, node), shown(ld, name), hint);
}

static size_t row_index(const struct key_row *row)
{
	return (size_t)(row - scenario_keys);
}

/* Back to what the defaults and data files say. */
static void unset_row(struct loader *ld, const struct key_row *row)
{
	memcpy((char *)ld->s + row->offset,
	       (const char *)&ld->base + row->offset, key_field_size(row));
	ld->s->where[row_index(row)] = ld->base_where[row_index(row)];
	ld->set_by[row_index(row)] = 0;
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
		if (ld->set_by[row_index(rival)] == by)
			continue;
		unset_row(ld, rival);
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
		unset_row(ld, row);
		return ST_OK;
	}
	st = key_set(row, ld->s, ld->arena, shown(ld, row->name), node);
	if (st)
		return st;
	ld->s->where[row_index(row)] = doc_where(ld->arena, node);
	ld->set_by[row_index(row)] = by;
	drop_rival(ld, row, by);
	return ST_OK;
}

/* A key of struct gpu given as "cluster.gpu.KEY", not in a gpu mapping. */
static enum status set_gpu_row(struct loader *ld, const char *name,
			       const struct doc_node *node)
{
	const struct key_row *row = gpu_key_find(part_after(name,
							    "cluster.gpu"));

	if (!row)
		return refuse_key(ld, name, node);
	if (ld->find_sources || doc_is_null(node))
		return ST_OK;
	return key_set(row, &ld->s->cluster.gpu, ld->arena, shown(ld, name),
		       node);
}

static enum status walk_node(struct loader *ld, const char *name,
			     const struct doc_node *node);

static enum status walk_mapping(struct loader *ld, const char *name,
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

static enum status walk_section(struct loader *ld, const char *name,
				const struct doc_node *node)
{
	if (doc_is_null(node))
		return ST_OK;
	if (!strcmp(name, "model") && node->kind == DOC_SCALAR)
		return walk_source(ld, key_find("model.config"), node);
	if (node->kind != DOC_MAPPING)
		return err_set(ST_INPUT, "%s: key '%s': %s is not a mapping "
			       "of keys", doc_where(ld->arena, node),
			       shown(ld, name), doc_kind_name(node->kind));
	return walk_mapping(ld, name, node);
}

static enum status walk_node(struct loader *ld, const char *name,
			     const struct doc_node *node)
{
	const struct key_row *row = key_find(name);

	if (row && row->type == KEY_SOURCE)
		return walk_source(ld, row, node);
	if (row)
		return set_row(ld, row, node);
	if (is_section(name))
		return walk_section(ld, name, node);
	if (part_after(name, "cluster.gpu"))
		return set_gpu_row(ld, name, node);
	return refuse_key(ld, name, node);
}

static enum status walk(struct loader *ld, bool find_sources)
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

static void add_layer(struct loader *ld, const char *prefix,
		      const struct doc_node *node, const char *strip)
{
	ld->layers[ld->n_layers] = (struct layer){ prefix, node, strip,
						   ld->n_layers + 1 };
	ld->n_layers++;
}

/* The file that a scalar names, with its errors at the scalar. */
static enum status find_file(struct loader *ld, enum data_kind kind,
			     const struct doc_node *node, const char **path_p)
{
	enum status st;

	if (node->kind != DOC_SCALAR)
		return refuse(ld, node, "a name or a path was expected");
	st = data_find(ld->arena, kind, node->text,
		       node->line ? node->source : NULL, path_p);
	return st ? err_prefix(st, "%s", doc_where(ld->arena, node)) : ST_OK;
}

static enum status load_mapping(struct loader *ld, enum data_kind kind,
				const struct doc_node *node,
				struct doc_node **root_p)
{
	const char *path;
	enum status st = find_file(ld, kind, node, &path);

	if (st)
		return st;
	st = doc_load(ld->arena, path, root_p);
	if (!st && (*root_p)->kind != DOC_MAPPING)
		st = refuse(ld, *root_p, "a mapping of keys was expected");
	return st;
}

/* The layers of a cluster: what it is based on first. */
static enum status add_cluster(struct loader *ld, const struct doc_node *node,
			       const char *strip, int depth)
{
	struct doc_node *mapping, *base;
	enum status st = ST_OK;

	if (depth == BASES_MAX)
		return refuse(ld, node, "cluster: too many files that are "
			      "based on one another");
	if (node->kind == DOC_SCALAR && cluster_text_is(node->text)) {
		st = cluster_text_parse(ld->arena, node, &mapping);
		node = mapping;
	} else if (node->kind == DOC_SCALAR) {
		st = load_mapping(ld, DATA_CLUSTER, node, &mapping);
		node = mapping;
		strip = "cluster.";
	} else if (node->kind != DOC_MAPPING) {
		return refuse(ld, node, "key 'cluster': a list is not a "
			      "mapping, a name, a path or a line such as "
			      "'nodes=8 gpu=8'");
	}
	if (st)
		return st;
	base = doc_get(node, "base");
	if (base && !doc_is_null(base))
		st = add_cluster(ld, base, strip, depth + 1);
	if (!st)
		add_layer(ld, "cluster", node, strip);
	return st;
}

struct set_text {
	const char *key;
	struct doc_node *node;
};

static enum status parse_set(struct arena *a, const char *text,
			     struct set_text *out)
{
	const char *eq = strchr(text, '=');
	const char *source = arena_printf(a, "--set '%.200s'", text);
	enum status st;

	if (!eq || eq == text || !eq[1])
		return err_set(ST_INPUT, "%s: KEY=VALUE was expected", source);
	out->key = arena_printf(a, "%.*s", (int)(eq - text), text);
	if (strlen(text) > DOC_BYTES_MAX)
		return err_set(ST_INPUT, "%s: too long", source);
	st = doc_parse_line(a, source, eq + 1, &out->node);
	if (st && !strcmp(eq + 1, "null")) {	/* not an empty text here */
		struct doc_node like = { .source = source };

		out->node = doc_scalar(a, &like, "null");
		st = ST_OK;
	}
	return st;
}

/*
 * Collects the layers. `root` may be NULL for none. A --set of the whole
 * cluster replaces what came before it.
 */
static enum status add_layers(struct loader *ld, const struct doc_node *root,
			      const struct set_text *sets, int n_sets)
{
	const struct doc_node *cluster = doc_get(root, "cluster"), *c;
	int i, first = 0;
	enum status st = ST_OK;

	for (i = 0; i < n_sets; i++) {
		if (!strcmp(sets[i].key, "cluster") &&
		    sets[i].node->kind == DOC_SCALAR) {
			cluster = sets[i].node;
			first = i + 1;
		}
	}
	if (cluster && !doc_is_null(cluster))
		st = add_cluster(ld, cluster, "", 0);
	for (c = root->first; c; c = c->next) {
		if (strcmp(c->key, "cluster"))
			add_layer(ld, c->key, c, "");
	}
	for (i = 0; i < n_sets && !st; i++) {
		if (i < first && (!strcmp(sets[i].key, "cluster") ||
				  part_after(sets[i].key, "cluster")))
			continue;
		if (!strcmp(sets[i].key, "cluster.base"))
			return refuse(ld, sets[i].node, "use --set "
				      "cluster=NAME");
		add_layer(ld, sets[i].key, sets[i].node, "");
	}
	return st;
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
		} else if (!row && is_section(full) &&
			   c->kind == DOC_MAPPING) {
			st = read_gpu(ld, name, c, strip, set);
		} else if (!row) {
			st = refuse_key(ld, full, c);
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
	enum status st = load_mapping(ld, DATA_GPU, node, &root);

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
				       ld->s->cluster.gpu.name,
				       gpu_keys[i].name, gpu_keys[i].help);
	}
	return ST_OK;
}

static enum status load_gpu(struct loader *ld)
{
	const struct doc_node like = { .source = "default" };
	const struct doc_node *node = ld->gpu, *base;
	bool *set = arena_alloc(ld->arena, n_gpu_keys * sizeof(*set));
	enum status st = ST_OK;

	if (!node)
		node = doc_scalar(ld->arena, &like,
				  key_find("cluster.gpu")->def);
	ld->s->where[row_index(key_find("cluster.gpu"))] =
		ld->gpu ? doc_where(ld->arena, node) : NULL;
	base = node->kind == DOC_MAPPING ? doc_get(node, "base") : node;
	if (base && !doc_is_null(base))
		st = read_gpu_file(ld, base, set);
	if (!st && node->kind == DOC_MAPPING)
		st = read_gpu(ld, "", node, "", set);
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
		if (part_after(scenario_keys[i].name, "model"))
			ld->s->where[i] = doc_where(ld->arena, node);
	}
	return ST_OK;
}

static enum status load_model(struct loader *ld)
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
	st = load_mapping(ld, DATA_MODEL, ld->model, &root);
	if (st)
		return st;
	layer = (struct layer){ "model", root, "model.", 0 };
	ld->layer = &layer;
	if (doc_get(root, "config"))
		return refuse(ld, doc_get(root, "config"), "key 'config': a "
			      "model file cannot name another");
	snprintf(m->name, sizeof(m->name), "%s", stem(ld->arena, path));
	return walk_mapping(ld, "model", root);
}

static enum status check_required(struct loader *ld)
{
	size_t i;

	for (i = 0; i < n_scenario_keys; i++) {
		const struct key_row *row = &scenario_keys[i];

		if (!row->def && !ld->s->where[i])
			return err_set(ST_INPUT, "%s: key '%s' is missing "
				       "(%s)", ld->s->path, row->name,
				       row->help);
	}
	return ST_OK;
}

static enum status set_defaults(struct loader *ld)
{
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < n_scenario_keys && !st; i++) {
		const struct key_row *row = &scenario_keys[i];
		struct doc_node *node;

		if (row->type == KEY_SOURCE || !row->def || !*row->def)
			continue;
		st = doc_parse_line(ld->arena, "default", row->def, &node);
		if (!st)
			st = key_set(row, ld->s, ld->arena, row->name, node);
	}
	return st;
}

/*
 * A key that the chosen kind does not use: refused when it stands beside
 * that choice or above it, dropped when a later layer made it useless.
 */
static enum status apply_rules(struct loader *ld)
{
	const struct key_rule *r;

	for (r = key_rules; r->key; r++) {
		const struct key_row *row = key_find(r->key);
		const struct key_row *by = key_find(r->decider);
		size_t i = row_index(row);

		if (r->used(ld->s) || !ld->set_by[i] ||
		    key_rule_neutral(r, ld->s))
			continue;
		if (ld->set_by[i] >= ld->set_by[row_index(by)])
			return err_set(ST_INPUT, "%s: key '%s' is not used: "
				       "it is for %s", ld->s->where[i],
				       r->key, r->when);
		unset_row(ld, row);
	}
	return ST_OK;
}

static enum status second_walk(struct loader *ld)
{
	size_t size = sizeof(*ld->base_where) * n_scenario_keys;
	enum status st;

	ld->base = *ld->s;
	ld->base_where = arena_alloc(ld->arena, size);
	memcpy(ld->base_where, ld->s->where, size);
	st = walk(ld, false);
	return st ? st : apply_rules(ld);
}

/*
 * Sizes written beside model.config make the file's parameter counts wrong:
 * they are counted anew unless they are given too.
 */
static void forget_params(struct loader *ld)
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
		bool set = ld->set_by[row_index(key_find(sizes[i].key))];

		any |= set;
		other |= set && sizes[i].in_other;
	}
	if (any && !ld->set_by[row_index(key_find("model.params_total"))])
		m->params_total = 0;
	if (any && !ld->set_by[row_index(key_find("model.params_active"))])
		m->params_active = 0;
	if (other && !ld->set_by[row_index(key_find("model.params_other"))])
		m->params_other = 0;
}

static enum status load_layers(struct loader *ld)
{
	enum status st = set_defaults(ld);

	if (!st)
		st = walk(ld, true);
	ld->find_sources = false;
	if (!st)
		st = load_gpu(ld);
	if (!st)
		st = load_model(ld);
	if (!st)
		st = second_walk(ld);
	if (!st)
		forget_params(ld);
	if (!st)
		st = check_required(ld);
	if (!st)
		st = scenario_fill(ld->s);
	return st ? st : scenario_check(ld->s);
}

static enum status load_root(struct scenario *s, const char *path,
			     struct doc_node **root_p)
{
	const char *found;
	enum status st = data_find(&s->arena, DATA_SCENARIO, path, NULL,
				   &found);

	if (!st)
		st = doc_load(&s->arena, found, root_p);
	if (st)
		return st;
	s->path = arena_strdup(&s->arena, found);
	if ((*root_p)->kind != DOC_MAPPING)
		return err_set(ST_INPUT, "%s: a mapping of keys was expected",
			       doc_where(&s->arena, *root_p));
	return ST_OK;
}

static enum status load(struct scenario *s, const char *path,
			const struct scenario_set *sets, int n_sets)
{
	struct loader ld = { .s = s, .arena = &s->arena };
	struct doc_node *root;
	struct set_text *texts;
	enum status st = load_root(s, path, &root);
	int i;

	if (st)
		return st;
	if (n_sets < 0 || n_sets > LAYERS_MAX)
		return err_set(ST_INPUT, "more than %d --set", LAYERS_MAX);
	texts = arena_alloc(&s->arena, sizeof(*texts) * (size_t)(n_sets + 1));
	for (i = 0; i < n_sets && !st; i++) {
		st = parse_set(&s->arena, sets[i].text, &texts[i]);
	}
	if (st)
		return st;
	ld.layers = arena_alloc(&s->arena, sizeof(*ld.layers) *
				(size_t)(n_sets + BASES_MAX + root->n));
	s->where = arena_alloc(&s->arena, sizeof(*s->where) * n_scenario_keys);
	ld.set_by = arena_alloc(&s->arena,
				sizeof(*ld.set_by) * n_scenario_keys);
	st = add_layers(&ld, root, texts, n_sets);
	return st ? st : load_layers(&ld);
}

enum status scenario_load(struct scenario *s, const char *path,
			  const struct scenario_set *sets, int n_sets)
{
	enum status st;

	*s = (struct scenario){ 0 };
	st = load(s, path, sets, n_sets);
	if (st)
		scenario_release(s);
	return st;
}

void scenario_release(struct scenario *s)
{
	arena_release(&s->arena);
	*s = (struct scenario){ 0 };
}

const char *scenario_where(const struct scenario *s, const char *key)
{
	const struct key_row *row = key_find(key);
	const char *where = row && s->where ? s->where[row_index(row)] : NULL;

	return where ? where : "default";
}
