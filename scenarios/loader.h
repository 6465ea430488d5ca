/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of scenario_load() share; nobody else includes this.
 *
 * Loading happens in two walks over the same layers of YAML. A layer is a
 * mapping with the key prefix that it stands for: the cluster file's base,
 * the cluster file, the scenario file's sections, each --set. The first walk
 * finds which data files are named (the last layer wins), the second sets
 * the fields, later layers over earlier ones.
 */
#ifndef SCENARIOS_LOADER_H
#define SCENARIOS_LOADER_H

#include "scenarios/datadir.h"
#include "scenarios/doc.h"
#include "scenarios/keys.h"
#include "scenarios/scenario.h"

struct layer {
	const char *prefix;	/* "cluster", "": the root, "search.degree" */
	const struct doc_node *node;
	const char *strip;	/* what messages leave off: "cluster." */
	int rank;	/* from 1; 0: a data file */
};

struct loader {
	struct scenario *s;
	struct arena *arena;
	struct layer *layers;	/* lowest precedence first */
	int n_layers;
	bool find_sources;	/* the first walk */
	const struct layer *layer;	/* being walked */
	const struct doc_node *gpu, *model;	/* found by the first walk */
	int *set_by;	/* rank of the layer that set a row; 0: none did */
	struct scenario base;	/* before the second walk */
	const char **base_where;
};

/* load_walk.c */

/* The next part of `name` after "prefix.", or NULL. */
const char *key_part_after(const char *name, const char *prefix);
/* Is it a mapping of keys, not a key? */
bool key_is_section(const char *name);
size_t key_index(const struct key_row *row);
enum status loader_refuse(struct loader *ld, const struct doc_node *node,
			  const char *text);
enum status loader_refuse_key(struct loader *ld, const char *name,
			      const struct doc_node *node);
/* All keys in a mapping that stands for `name`. */
enum status loader_walk_mapping(struct loader *ld, const char *name,
				const struct doc_node *node);
/* All layers, in order. */
enum status loader_walk(struct loader *ld, bool find_sources);
/* The row as the defaults and data files have it. */
void loader_unset(struct loader *ld, const struct key_row *row);

/* load_data.c */

/* What relative paths in the node are relative to, or NULL. */
const char *loader_file_of(const struct doc_node *node);
/* The mapping in the file of that kind that a scalar names. */
enum status loader_mapping(struct loader *ld, enum data_kind kind,
			   const struct doc_node *node,
			   struct doc_node **root_p);
enum status loader_gpu(struct loader *ld);
enum status loader_model(struct loader *ld);
/*
 * Sizes written beside model.config make the file's parameter counts wrong:
 * they are counted anew unless they are given too.
 */
void loader_forget_params(struct loader *ld);

#endif
