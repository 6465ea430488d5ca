/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/cluster_text.h"

#include "base/buf.h"
#include "base/nearest.h"
#include "scenarios/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 32

/* What ITEM=... and ITEM(SUB=...) stand for; NULL: read by finish(). */
struct word {
	const char *item, *sub, *key;
};

static const struct word words[] = {
	{ "name", NULL, "name" },
	{ "nodes", NULL, "nodes" },
	{ "nodes", "nic", NULL },
	{ "nodes", "latency", "nic.latency" },
	{ "nodes", "shared", NULL },
	{ "gpu", NULL, NULL },
	{ "gpu", "nvlink", "intra.bandwidth" },
	{ "gpu", "kind", "intra.kind" },
	{ "gpu", "latency", "intra.latency" },
	{ "gpu", "pcie", "intra.pcie" },
	{ "gpu", "gpus_per_switch", "intra.gpus_per_switch" },
	{ "gpu", "switches_per_socket", "intra.switches_per_socket" },
	{ "gpu", "socket", "intra.socket" },
	{ "fabric", NULL, "fabric.kind" },
	{ "fabric", "oversubscription", "fabric.oversubscription" },
	{ "fabric", "nodes_per_leaf", "fabric.nodes_per_leaf" },
	{ "fabric", "radix", "fabric.radix" },
	{ "fabric", "leaves_per_pod", "fabric.leaves_per_pod" },
	{ "fabric", "core_oversubscription", "fabric.core_oversubscription" },
	{ "fabric", "gpus_per_rack", "fabric.gpus_per_rack" },
	{ "pxn", NULL, "pxn" },
};

#define N_WORDS (sizeof(words) / sizeof(*words))

struct line {
	struct arena *arena;
	const struct doc_node *node;
	const char *at;		/* next byte to read */
	struct doc_node *mapping;
	struct doc_node *value[N_WORDS];	/* of each word, or NULL */
};

static enum status refuse(const struct line *l, const char *what,
			  const char *text)
{
	return err_set(ST_INPUT, "%s: cluster: '%s' %s",
		       doc_where(l->arena, l->node),
		       doc_shown(l->arena, text), what);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Row of the item, or of what stands in its parentheses. */
static int word_find(const char *item, const char *sub)
{
	size_t i;

	for (i = 0; i < N_WORDS; i++) {
		if (same(words[i].item, item) && same(words[i].sub, sub))
			return (int)i;
	}
	return -1;
}

static enum status refuse_word(const struct line *l, const char *item,
			       const char *sub)
{
	const char *names[WORDS_MAX];
	char hint[128], what[256];
	size_t i, n = 0;

	for (i = 0; i < N_WORDS; i++) {
		if (sub && words[i].sub && !strcmp(words[i].item, item))
			names[n++] = words[i].sub;
		else if (!sub && !words[i].sub)
			names[n++] = words[i].item;
	}
	nearest_hint(sub ? sub : item, names, n, hint, sizeof(hint));
	snprintf(what, sizeof(what), "is no word of %s%s",
		 sub ? item : "a cluster line", hint);
	return refuse(l, what, sub ? sub : item);
}

static void skip_blanks(struct line *l)
{
	l->at += strspn(l->at, " \t\n");
}

/* Text up to one of `stops`, without blanks at its end. */
static char *take_until(struct line *l, const char *stops)
{
	size_t n = strcspn(l->at, stops);
	char *text = arena_printf(l->arena, "%.*s", (int)n, l->at);

	l->at += n;
	while (n && strchr(" \t\n", text[n - 1])) {
		text[--n] = '\0';
	}
	return text;
}

/* Puts the value at a dotted key of the mapping, making mappings. */
static void put(struct line *l, const char *key, struct doc_node *value)
{
	struct doc_node *parent = l->mapping, *child;
	const char *dot = strchr(key, '.');

	if (dot) {
		char *section = arena_printf(l->arena, "%.*s",
					     (int)(dot - key), key);

		child = doc_get(parent, section);
		if (!child) {
			child = doc_mapping(l->arena, l->node);
			child->key = section;
			doc_append(parent, child);
		}
		parent = child;
	}
	value->key = arena_strdup(l->arena, dot ? dot + 1 : key);
	doc_append(parent, value);
}

/* NAME=VALUE at l->at; `item` is NULL for an item, else whose parentheses. */
static enum status take_word(struct line *l, const char *item,
			     const char *stops, const char **name_p)
{
	const char *start = l->at;
	char *name = take_until(l, "=(), \t\n");
	struct doc_node *value;
	int w = item ? word_find(item, name) : word_find(name, NULL);

	if (w < 0)
		return refuse_word(l, item ? item : name, item ? name : NULL);
	if (*l->at != '=')
		return refuse(l, "is not followed by '=' and a value", name);
	l->at++;
	value = doc_scalar(l->arena, l->node, take_until(l, stops));
	if (!*value->text)
		return refuse(l, "is not followed by '=' and a value", name);
	if (l->value[w])
		return refuse(l, "is given twice", name);
	if (value->line)
		value->col += (int)(start - l->node->text) + !l->node->plain;
	l->value[w] = value;
	if (words[w].key)
		put(l, words[w].key, value);
	*name_p = name;
	return ST_OK;
}

static enum status take_parentheses(struct line *l, const char *item)
{
	const char *name;
	enum status st;

	do {
		l->at++;	/* over the parenthesis or comma */
		skip_blanks(l);
		st = take_word(l, item, ",()", &name);
		if (st)
			return st;
	} while (*l->at == ',');
	if (*l->at != ')')
		return refuse(l, "has no closing ')'", item);
	l->at++;
	return ST_OK;
}

static struct doc_node *value_of(const struct line *l, const char *item,
				 const char *sub)
{
	return l->value[word_find(item, sub)];
}

/* "8" or "8:h100-sxm" */
static void put_gpu(struct line *l)
{
	struct doc_node *value = value_of(l, "gpu", NULL);
	const char *colon = strchr(value->text, ':');
	char *count;

	count = arena_printf(l->arena, "%.*s", colon ?
			     (int)(colon - value->text) :
			     (int)strlen(value->text), value->text);
	put(l, "gpus_per_node", doc_scalar(l->arena, value, count));
	if (colon)
		put(l, "gpu", doc_scalar(l->arena, value, colon + 1));
}

/* The NICs of a node: C of "Cx400Gb/s"; "400Gb/s": one for each GPU. */
static bool nic_count(const char *text, long gpus, long *n_p,
		      const char **rate_p)
{
	char *x;
	long n = strtol(text, &x, 10);

	if (*x != 'x') {
		*n_p = gpus > 0 ? gpus : 1;
		*rate_p = text;
		return true;
	}
	*n_p = n;
	*rate_p = x + 1;
	return n >= 1 && n <= RANKS_MAX;
}

static enum status put_nic(struct line *l)
{
	struct doc_node *nic = value_of(l, "nodes", "nic");
	struct doc_node *shared = value_of(l, "nodes", "shared");
	long gpus = strtol(value_of(l, "gpu", NULL)->text, NULL, 10), n;
	bool yes = shared && !strcmp(shared->text, "yes"), per_gpu;
	const char *rate;

	if (shared && !yes && strcmp(shared->text, "no"))
		return refuse(l, "is not yes or no (shared)", shared->text);
	if (!nic)
		return shared ? refuse(l, "needs nic=", "shared") : ST_OK;
	if (!nic_count(nic->text, gpus, &n, &rate))
		return refuse(l, "is not a number of NICs and a rate, such "
			      "as 8x400Gb/s", nic->text);
	/* a wrong number of GPUs is refused by its own key */
	per_gpu = !yes && (gpus < 1 || n % gpus == 0);
	if (per_gpu && gpus > 0)
		n /= gpus;
	put(l, per_gpu ? "nic.per_gpu" : "nic.per_node",
	    doc_scalar(l->arena, nic, arena_printf(l->arena, "%ld", n)));
	put(l, "nic.bandwidth", doc_scalar(l->arena, nic, rate));
	return ST_OK;
}

static enum status finish(struct line *l)
{
	if (!value_of(l, "nodes", NULL) || !value_of(l, "gpu", NULL))
		return refuse(l, "needs nodes=N and gpu=N", l->node->text);
	put_gpu(l);
	return put_nic(l);
}

enum status cluster_text_parse(struct arena *a, const struct doc_node *node,
			       struct doc_node **mapping_p)
{
	struct line l = { .arena = a, .node = node, .at = node->text };
	const char *item;
	enum status st;

	l.mapping = doc_mapping(a, node);
	for (skip_blanks(&l); *l.at; skip_blanks(&l)) {
		st = take_word(&l, NULL, "() \t\n", &item);
		if (!st && *l.at == '(')
			st = take_parentheses(&l, item);
		if (st)
			return st;
	}
	st = finish(&l);
	if (!st)
		*mapping_p = l.mapping;
	return st;
}

bool cluster_text_is(const char *text)
{
	return strchr(text, '=') != NULL;
}

/* key=value of a scenario's cluster key, by the key table. */
static void add_key(const struct cluster *c, const char *word,
		    const char *key, char before, struct buf *out)
{
	struct key_row row = *key_find(key);

	/* rows address struct scenario; the cluster is one of its fields */
	row.offset -= offsetof(struct scenario, cluster);
	buf_addf(out, "%c%s=", before, word);
	key_print(&row, c, out);
}

static void print_nodes(const struct cluster *c, struct buf *out)
{
	long n = c->nic.per_gpu ? (long)c->nic.per_gpu * c->gpus_per_node :
				  c->nic.per_node;
	char rate[UNIT_TEXT_MAX];

	if (!(c->nic.bandwidth_Bps > 0)) {
		buf_addf(out, "nodes=%d", c->nodes);
		return;
	}
	unit_print(c->nic.bandwidth_Bps, U_RATE, rate, sizeof(rate));
	buf_addf(out, "nodes=%d(nic=%ldx%s", c->nodes, n, rate);
	if (!c->nic.per_gpu && n % c->gpus_per_node == 0)
		buf_puts(out, ",shared=yes");
	add_key(c, "latency", "cluster.nic.latency", ',', out);
	buf_puts(out, ")");
}

static void print_gpu(const struct cluster *c, struct buf *out)
{
	enum intra_kind kind = c->intra.kind;

	buf_addf(out, " gpu=%d:%s", c->gpus_per_node,
		 *c->gpu.type ? c->gpu.type : c->gpu.name);
	add_key(c, "kind", "cluster.intra.kind", '(', out);
	add_key(c, "nvlink", "cluster.intra.bandwidth", ',', out);
	add_key(c, "latency", "cluster.intra.latency", ',', out);
	if (kind == INTRA_PCIE || kind == INTRA_NVLINK_PAIRS) {
		add_key(c, "pcie", "cluster.intra.pcie", ',', out);
		add_key(c, "gpus_per_switch",
			"cluster.intra.gpus_per_switch", ',', out);
		add_key(c, "switches_per_socket",
			"cluster.intra.switches_per_socket", ',', out);
		add_key(c, "socket", "cluster.intra.socket", ',', out);
	}
	buf_puts(out, ")");
}

static void print_fabric(const struct cluster *c, struct buf *out)
{
	enum fabric_kind kind = c->fabric.kind;

	add_key(c, "fabric", "cluster.fabric.kind", ' ', out);
	if (kind == FABRIC_NONBLOCKING)
		return;
	add_key(c, "oversubscription", "cluster.fabric.oversubscription",
		'(', out);
	if (kind == FABRIC_LEAF_SPINE || kind == FABRIC_FAT_TREE)
		add_key(c, "nodes_per_leaf",
			"cluster.fabric.nodes_per_leaf", ',', out);
	if (kind == FABRIC_FAT_TREE) {
		add_key(c, "leaves_per_pod",
			"cluster.fabric.leaves_per_pod", ',', out);
		add_key(c, "core_oversubscription",
			"cluster.fabric.core_oversubscription", ',', out);
	}
	if (kind == FABRIC_RACK)
		add_key(c, "gpus_per_rack", "cluster.fabric.gpus_per_rack",
			',', out);
	buf_puts(out, ")");
}

void cluster_text_print(const struct cluster *c, struct buf *out)
{
	const char *blanks = " \t\n()=,\"'";

	if (*c->name && !c->name[strcspn(c->name, blanks)])
		buf_addf(out, "name=%s ", c->name);
	print_nodes(c, out);
	print_gpu(c, out);
	print_fabric(c, out);
	if (c->pxn)
		buf_puts(out, " pxn=yes");
}

static void add_known(const struct cluster *c, const char *word,
		      const char *key, double value, struct buf *out)
{
	if (value > 0)
		add_key(c, word, key, ',', out);
}

/* C x RATE when both are known; a count alone has no place in a line. */
static void print_known_nics(const struct cluster *c, struct buf *out)
{
	int n = c->nic.per_gpu * c->gpus_per_node + c->nic.per_node;
	char rate[UNIT_TEXT_MAX];

	buf_addf(out, "nodes=%d", c->nodes);
	if (!n || !(c->nic.bandwidth_Bps > 0))
		return;
	unit_print(c->nic.bandwidth_Bps, U_RATE, rate, sizeof(rate));
	buf_addf(out, "(nic=%dx%s)", n, rate);
}

void cluster_text_print_part(const struct cluster *c, struct buf *out)
{
	print_known_nics(c, out);
	buf_addf(out, " gpu=%d", c->gpus_per_node);
	if (*c->gpu.type)
		buf_addf(out, ":%s", c->gpu.type);
	add_key(c, "kind", "cluster.intra.kind", '(', out);
	add_known(c, "nvlink", "cluster.intra.bandwidth",
		  c->intra.bandwidth_Bps, out);
	add_known(c, "pcie", "cluster.intra.pcie", c->intra.pcie_Bps, out);
	add_known(c, "gpus_per_switch", "cluster.intra.gpus_per_switch",
		  c->intra.gpus_per_switch, out);
	add_known(c, "switches_per_socket",
		  "cluster.intra.switches_per_socket",
		  c->intra.switches_per_socket, out);
	buf_puts(out, ")");
}
