/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A YAML text as a tree of mappings, sequences and scalars, with the line
 * and column of every node and key. Only reads what configuration needs:
 * one document, no anchors, aliases, tags or keys that are not scalars.
 *
 * Bounds, so that no text costs more than a moment: DOC_BYTES_MAX bytes,
 * DOC_DEPTH_MAX levels, DOC_NODES_MAX nodes, DOC_KEYS_MAX keys of a mapping.
 * Every refusal is ST_INPUT with "file:line:col: ...".
 *
 * Nodes and their texts live in the caller's arena.
 */
#ifndef SCENARIOS_DOC_H
#define SCENARIOS_DOC_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define DOC_BYTES_MAX (1 << 20)
#define DOC_DEPTH_MAX 32
#define DOC_NODES_MAX 100000
#define DOC_KEYS_MAX 1000

enum doc_kind { DOC_SCALAR, DOC_SEQUENCE, DOC_MAPPING };

struct doc_node {
	enum doc_kind kind;
	const char *source;	/* file name, or "--set '...'" */
	int line, col;		/* from 1; 0: the source is one short text */
	const char *key;	/* in a mapping; NULL otherwise */
	int key_line, key_col;
	const char *text;	/* scalar */
	bool plain;		/* scalar without quotes */
	int n;			/* children */
	struct doc_node *first, *last, *next;
};

/* The file's root, of any kind; an empty file is refused. */
enum status doc_load(struct arena *a, const char *path,
		     struct doc_node **root_p);

/* The same for a text; `source` is what messages call it. */
enum status doc_parse(struct arena *a, const char *source, const char *text,
		      size_t len, struct doc_node **root_p);

/* A text without positions of its own: one --set. It may be a null. */
enum status doc_parse_line(struct arena *a, const char *source,
			   const char *text, struct doc_node **root_p);

/* A scalar or an empty mapping beside `like`, for text forms of our own. */
struct doc_node *doc_scalar(struct arena *a, const struct doc_node *like,
			    const char *text);
struct doc_node *doc_mapping(struct arena *a, const struct doc_node *like);
void doc_append(struct doc_node *parent, struct doc_node *child);

/* Child of that key, or NULL. */
struct doc_node *doc_get(const struct doc_node *mapping, const char *key);

/* Is it `null`, `~` or nothing? */
bool doc_is_null(const struct doc_node *node);

/* A text as messages show it: short, control characters as '?'. */
const char *doc_shown(struct arena *a, const char *text);

/* "a mapping", "a list", "a value". */
const char *doc_kind_name(enum doc_kind kind);

/* "file:line:col" of the value or of its key; in the arena. */
const char *doc_where(struct arena *a, const struct doc_node *node);
const char *doc_key_where(struct arena *a, const struct doc_node *node);

#endif
