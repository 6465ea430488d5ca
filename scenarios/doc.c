/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/doc.h"

#include "base/outfile.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
	struct arena *arena;
	const char *source;
	bool one_line;	/* no positions in messages */
	yaml_parser_t parser;
	struct doc_node *root;
	struct doc_node *open[DOC_DEPTH_MAX];	/* from the root inwards */
	struct doc_node *key[DOC_DEPTH_MAX];	/* read, its value not yet */
	int depth, nodes, documents;
};

static enum status refuse(const struct reader *r, const yaml_mark_t *at,
			  const char *what)
{
	if (r->one_line)
		return err_set(ST_INPUT, "%s: %s", r->source, what);
	return err_set(ST_INPUT, "%s:%zu:%zu: %s", r->source, at->line + 1,
		       at->column + 1, what);
}

static enum status refuse_syntax(const struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "cannot be read";
	char text[160];

	if (p->error == YAML_READER_ERROR)
		return err_set(ST_INPUT, "%s: not a text file: %s at byte %zu",
			       r->source, problem, p->problem_offset);
	snprintf(text, sizeof(text), "not valid YAML: %s", problem);
	return refuse(r, &p->problem_mark, text);
}

static struct doc_node *new_node(struct reader *r, enum doc_kind kind,
				 const yaml_mark_t *at)
{
	struct doc_node *node = arena_alloc(r->arena, sizeof(*node));

	node->kind = kind;
	node->source = r->source;
	if (!r->one_line) {
		node->line = (int)at->line + 1;
		node->col = (int)at->column + 1;
	}
	return node;
}

void doc_append(struct doc_node *parent, struct doc_node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->n++;
}

/* Takes a scalar that stands where a key is expected. */
static enum status take_key(struct reader *r, struct doc_node *node,
			    const yaml_mark_t *at)
{
	struct doc_node *parent = r->open[r->depth - 1];
	char text[160];

	if (node->kind != DOC_SCALAR)
		return refuse(r, at, "a key must be a plain name");
	if (doc_get(parent, node->text)) {
		snprintf(text, sizeof(text), "key '%.100s' is given twice",
			 doc_shown(r->arena, node->text));
		return refuse(r, at, text);
	}
	if (parent->n == DOC_KEYS_MAX)
		return refuse(r, at, "too many keys in one mapping");
	r->key[r->depth - 1] = node;
	return ST_OK;
}

static enum status place(struct reader *r, struct doc_node *node,
			 const yaml_mark_t *at)
{
	struct doc_node *parent = r->depth ? r->open[r->depth - 1] : NULL;

	if (++r->nodes > DOC_NODES_MAX)
		return refuse(r, at, "too many values in one file");
	if (!parent) {
		r->root = node;
		return ST_OK;
	}
	if (parent->kind == DOC_MAPPING) {
		struct doc_node *key = r->key[r->depth - 1];

		if (!key)
			return take_key(r, node, at);
		node->key = key->text;
		node->key_line = key->line;
		node->key_col = key->col;
		r->key[r->depth - 1] = NULL;
	}
	doc_append(parent, node);
	return ST_OK;
}

static enum status on_scalar(struct reader *r, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	struct doc_node *node;

	if (e->data.scalar.anchor)
		return refuse(r, &e->start_mark, "anchors are not supported");
	if (e->data.scalar.tag)
		return refuse(r, &e->start_mark, "tags are not supported");
	if (memchr(text, '\0', len))
		return refuse(r, &e->start_mark, "a value holds a zero byte");
	node = new_node(r, DOC_SCALAR, &e->start_mark);
	node->text = arena_strdup(r->arena, text);
	node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return place(r, node, &e->start_mark);
}

static enum status on_open(struct reader *r, const yaml_event_t *e,
			   enum doc_kind kind, bool marked)
{
	struct doc_node *node;
	enum status st;

	if (marked)
		return refuse(r, &e->start_mark,
			      "anchors and tags are not supported");
	if (r->depth == DOC_DEPTH_MAX)
		return refuse(r, &e->start_mark, "nested too deeply");
	node = new_node(r, kind, &e->start_mark);
	st = place(r, node, &e->start_mark);
	if (st)
		return st;
	r->key[r->depth] = NULL;
	r->open[r->depth++] = node;
	return ST_OK;
}

static enum status on_event(struct reader *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->documents++)
			return refuse(r, &e->start_mark,
				      "more than one document");
		return ST_OK;
	case YAML_ALIAS_EVENT:
		return refuse(r, &e->start_mark, "aliases are not supported");
	case YAML_SCALAR_EVENT:
		return on_scalar(r, e);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(r, e, DOC_SEQUENCE,
			       e->data.sequence_start.anchor ||
			       e->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return on_open(r, e, DOC_MAPPING,
			       e->data.mapping_start.anchor ||
			       e->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return ST_OK;
	default:
		return ST_OK;
	}
}

static enum status read_all(struct reader *r)
{
	enum status st = ST_OK;
	bool end = false;

	while (!st && !end) {
		yaml_event_t e;

		if (!yaml_parser_parse(&r->parser, &e))
			return refuse_syntax(r);
		end = e.type == YAML_STREAM_END_EVENT;
		st = on_event(r, &e);
		yaml_event_delete(&e);
	}
	return st;
}

static enum status parse(struct arena *a, const char *source, bool one_line,
			 const char *text, size_t len,
			 struct doc_node **root_p)
{
	struct reader r = { .arena = a, .source = arena_strdup(a, source),
			    .one_line = one_line };
	enum status st;

	if (len > DOC_BYTES_MAX)
		return err_set(ST_INPUT, "%s: larger than %d bytes", source,
			       DOC_BYTES_MAX);
	if (memchr(text, '\0', len))
		return err_set(ST_INPUT, "%s: not a text file: zero byte at "
			       "byte %zu", source,
			       (size_t)((const char *)memchr(text, '\0', len) -
					text));
	if (!yaml_parser_initialize(&r.parser))
		return err_set(ST_FAIL, "%s: out of memory", source);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text,
				     len);
	st = read_all(&r);
	yaml_parser_delete(&r.parser);
	if (st)
		return st;
	if (!r.root || (doc_is_null(r.root) && !one_line))
		return err_set(ST_INPUT, "%s: is empty", source);
	*root_p = r.root;
	return ST_OK;
}

enum status doc_parse(struct arena *a, const char *source, const char *text,
		      size_t len, struct doc_node **root_p)
{
	return parse(a, source, false, text, len, root_p);
}

enum status doc_parse_line(struct arena *a, const char *source,
			   const char *text, struct doc_node **root_p)
{
	return parse(a, source, true, text, strlen(text), root_p);
}

enum status doc_load(struct arena *a, const char *path,
		     struct doc_node **root_p)
{
	char *text;
	size_t len;
	enum status st = infile_read(path, DOC_BYTES_MAX, &text, &len);

	if (st)
		return st;
	st = doc_parse(a, path, text, len, root_p);
	free(text);
	return st;
}

static struct doc_node *node_like(struct arena *a, const struct doc_node *like,
				  enum doc_kind kind)
{
	struct doc_node *node = arena_alloc(a, sizeof(*node));

	node->kind = kind;
	node->source = like->source;
	node->line = node->key_line = like->line;
	node->col = node->key_col = like->col;
	return node;
}

struct doc_node *doc_scalar(struct arena *a, const struct doc_node *like,
			    const char *text)
{
	struct doc_node *node = node_like(a, like, DOC_SCALAR);

	node->text = arena_strdup(a, text);
	node->plain = true;
	return node;
}

struct doc_node *doc_mapping(struct arena *a, const struct doc_node *like)
{
	return node_like(a, like, DOC_MAPPING);
}

struct doc_node *doc_get(const struct doc_node *mapping, const char *key)
{
	struct doc_node *c;

	for (c = mapping->first; c; c = c->next) {
		if (!strcmp(c->key, key))
			return c;
	}
	return NULL;
}

bool doc_is_null(const struct doc_node *node)
{
	return node->kind == DOC_SCALAR && node->plain &&
	       (!*node->text || !strcmp(node->text, "~") ||
		!strcmp(node->text, "null"));
}

#define SHOWN_MAX 150	/* bytes of a text in a message */

const char *doc_shown(struct arena *a, const char *text)
{
	char *shown = arena_printf(a, "%.*s", SHOWN_MAX, text), *p;

	for (p = shown; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	return shown;
}

const char *doc_kind_name(enum doc_kind kind)
{
	static const char *const names[] = {
		[DOC_SCALAR] = "a value",
		[DOC_SEQUENCE] = "a list",
		[DOC_MAPPING] = "a mapping",
	};

	return names[kind];
}

static const char *position(struct arena *a, const char *source, int line,
			    int col)
{
	return line ? arena_printf(a, "%s:%d:%d", source, line, col) :
		      arena_strdup(a, source);
}

const char *doc_where(struct arena *a, const struct doc_node *node)
{
	return position(a, node->source, node->line, node->col);
}

const char *doc_key_where(struct arena *a, const struct doc_node *node)
{
	return position(a, node->source, node->key_line, node->key_col);
}
