/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The order of things: layers, data files, rules. loader.h explains. */
#include "scenarios/loader.h"

#include "scenarios/cluster_text.h"
#include "scenarios/scenario_rules.h"

#include <string.h>
#include <unistd.h>

#define LAYERS_MAX 4096		/* mostly --set options */
#define BASES_MAX 8		/* cluster files that name one another */
#define SECTION_MAX 64		/* keys of one section, for hints */

static void add_layer(struct loader *ld, const char *prefix,
		      const struct doc_node *node, const char *strip)
{
	ld->layers[ld->n_layers] = (struct layer){ prefix, node, strip,
						   ld->n_layers + 1 };
	ld->n_layers++;
}

/* The layers of a cluster: what it is based on first. */
static enum status add_cluster(struct loader *ld, const struct doc_node *node,
			       const char *strip, int depth)
{
	struct doc_node *mapping, *base;
	enum status st = ST_OK;

	if (depth == BASES_MAX)
		return loader_refuse(ld, node, "cluster: too many files that "
				     "are based on one another");
	if (node->kind == DOC_SCALAR && cluster_text_is(node->text)) {
		st = cluster_text_parse(ld->arena, node, &mapping);
		node = mapping;
	} else if (node->kind == DOC_SCALAR) {
		st = loader_mapping(ld, DATA_CLUSTER, node, &mapping);
		node = mapping;
		strip = "cluster.";
	} else if (node->kind != DOC_MAPPING) {
		return loader_refuse(ld, node, "key 'cluster': a list is not a "
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
	const char *source = arena_printf(a, "--set '%s'",
					  doc_shown(a, text));

	if (!eq || eq == text || !eq[1])
		return err_set(ST_INPUT, "%s: KEY=VALUE was expected", source);
	out->key = arena_printf(a, "%.*s", (int)(eq - text), text);
	if (strlen(text) > DOC_BYTES_MAX)
		return err_set(ST_INPUT, "%s: too long", source);
	return doc_parse_line(a, source, eq + 1, &out->node);
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
				  key_part_after(sets[i].key, "cluster")))
			continue;
		if (!strcmp(sets[i].key, "cluster.base"))
			return loader_refuse(ld, sets[i].node, "use --set "
				      "cluster=NAME");
		add_layer(ld, sets[i].key, sets[i].node, "");
	}
	return st;
}

static enum status check_required(struct loader *ld)
{
	size_t i;

	for (i = 0; i < n_scenario_keys; i++) {
		const struct key_row *row = &scenario_keys[i];

		if (ld->s->cluster_only &&
		    !key_part_after(row->name, "cluster"))
			continue;
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
		size_t i = key_index(row);

		if (r->used(ld->s) || !ld->set_by[i] ||
		    key_rule_neutral(r, ld->s))
			continue;
		if (ld->set_by[i] >= ld->set_by[key_index(by)])
			return err_set(ST_INPUT, "%s: key '%s' is not used: "
				       "it is for %s", ld->s->where[i],
				       r->key, r->when);
		loader_unset(ld, row);
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
	st = loader_walk(ld, false);
	return st ? st : apply_rules(ld);
}

static enum status load_layers(struct loader *ld)
{
	enum status st = set_defaults(ld);

	if (!st)
		st = loader_walk(ld, true);
	ld->find_sources = false;
	if (!st)
		st = loader_gpu(ld);
	if (!st)
		st = loader_model(ld);
	if (!st)
		st = second_walk(ld);
	if (!st)
		loader_forget_params(ld);
	if (!st)
		st = check_required(ld);
	if (!st)
		st = scenario_fill(ld->s);
	return st ? st : scenario_check(ld->s);
}

/* A root that only says `cluster: TEXT`. */
static enum status cluster_root(struct scenario *s, const char *text,
				struct doc_node **root_p)
{
	const struct doc_node like = { .source = "command line" };
	struct doc_node *node = doc_scalar(&s->arena, &like, text);

	node->key = "cluster";
	*root_p = doc_mapping(&s->arena, &like);
	doc_append(*root_p, node);
	s->path = arena_strdup(&s->arena, text);
	return ST_OK;
}

/* For scenario_load_cluster(): is it a line, a name or a cluster's keys? */
static bool is_line(const char *text)
{
	return cluster_text_is(text) && access(text, F_OK);
}

static bool is_cluster_name(struct scenario *s, const char *text)
{
	const char *path;

	return data_find(&s->arena, DATA_SCENARIO, text, NULL, &path) &&
	       !data_find(&s->arena, DATA_CLUSTER, text, NULL, &path);
}

static bool is_cluster_file(const struct doc_node *root)
{
	return root->kind == DOC_MAPPING && !doc_get(root, "cluster") &&
	       (doc_get(root, "nodes") || doc_get(root, "base"));
}

static enum status load_root(struct scenario *s, const char *path,
			     struct doc_node **root_p)
{
	const char *found;
	enum status st;

	if (s->cluster_only && (is_line(path) || is_cluster_name(s, path)))
		return cluster_root(s, path, root_p);
	st = data_find(&s->arena, DATA_SCENARIO, path, NULL, &found);
	if (!st)
		st = doc_load(&s->arena, found, root_p);
	if (st)
		return st;
	if (s->cluster_only && is_cluster_file(*root_p))
		return cluster_root(s, found, root_p);
	s->path = arena_strdup(&s->arena, found);
	if ((*root_p)->kind != DOC_MAPPING)
		return err_set(ST_INPUT, "%s: a mapping of keys was expected",
			       doc_where(&s->arena, *root_p));
	return ST_OK;
}

static enum status load(struct scenario *s, const struct doc_node *root,
			const struct scenario_set *sets, int n_sets)
{
	struct loader ld = { .s = s, .arena = &s->arena };
	struct set_text *texts;
	enum status st = ST_OK;
	int i;

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

static enum status load_or_release(struct scenario *s, const char *path,
				   const struct scenario_set *sets,
				   int n_sets)
{
	struct doc_node *root;
	enum status st = load_root(s, path, &root);

	if (!st)
		st = load(s, root, sets, n_sets);
	if (st)
		scenario_release(s);
	return st;
}

enum status scenario_load(struct scenario *s, const char *path,
			  const struct scenario_set *sets, int n_sets)
{
	*s = (struct scenario){ 0 };
	return load_or_release(s, path, sets, n_sets);
}

enum status scenario_parse(struct scenario *s, const char *source,
			   const char *text, size_t len,
			   const struct scenario_set *sets, int n_sets)
{
	struct doc_node *root;
	enum status st;

	*s = (struct scenario){ 0 };
	s->path = arena_strdup(&s->arena, source);
	st = doc_parse(&s->arena, s->path, text, len, &root);
	if (!st)
		st = load(s, root, sets, n_sets);
	if (st)
		scenario_release(s);
	return st;
}

enum status scenario_load_cluster(struct scenario *s, const char *path,
				  const struct scenario_set *sets, int n_sets)
{
	*s = (struct scenario){ .cluster_only = true };
	return load_or_release(s, path, sets, n_sets);
}

enum status scenario_parse_cluster(struct scenario *s, const char *source,
				   const char *text, size_t len,
				   const struct scenario_set *sets,
				   int n_sets)
{
	struct doc_node *node, *root;
	enum status st;

	*s = (struct scenario){ .cluster_only = true };
	s->path = arena_strdup(&s->arena, source);
	st = doc_parse(&s->arena, s->path, text, len, &node);
	if (!st) {
		root = doc_mapping(&s->arena, node);
		node->key = "cluster";
		doc_append(root, node);
		st = load(s, root, sets, n_sets);
	}
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
	const char *where = row && s->where ? s->where[key_index(row)] : NULL;

	return where ? where : "default";
}
