/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/layer_text.h"

#include "base/buf.h"
#include "base/nearest.h"
#include "scenarios/keys.h"
#include "scenarios/scenario_rules.h"

#include <stdio.h>
#include <string.h>

#define SETS_MAX 64	/* of the words and the user */
#define HINT_MAX 96
#define TIER "tier"

/*
 * What every such layer has: one layer, any layout. What is between emulated
 * nodes is measured, and rates are shares of a link: this one is faster than
 * any of them.
 */
static const char frame[] =
	"cluster: {nic: {bandwidth: 100GB/s}}\n"
	"model: {layers: 1, batch_per_gpu: 1}\n"
	"layout: {ep: auto, esp: auto, tp: 1, dp: auto, pp: 1}\n"
	"constraints: {max_drop: 0}\n";

struct word {
	const char *name, *key;	/* NULL: the tier */
	bool optional;
};

static const struct word words[] = {
	{ "gpu", "cluster.gpu", false },
	{ "nodes", "cluster.nodes", false },
	{ "gpus", "cluster.gpus_per_node", false },
	{ TIER, NULL, false },
	{ "tokens", "model.sequence", false },
	{ "hidden", "model.hidden", false },
	{ "ffn", "model.expert_ffn", false },
	{ "experts", "model.experts", false },
	{ "k", "model.experts_per_token", false },
	{ "gated", "model.gated", false },
	{ "shared", "model.shared_ffn", true },
	{ "dtype", "model.dtype", false },
	{ "routing", "routing.kind", false },
	{ "skew", "routing.skew", true },
	{ "seed", "routing.seed", true },
	{ "name", "model.name", true },
};

#define N_WORDS (sizeof(words) / sizeof(words[0]))

static const char *const tiers[] = { "nvlink", "shm", "socket", "network" };

#define N_TIERS (sizeof(tiers) / sizeof(tiers[0]))

/* ---- printing ---- */

static enum status check_sayable(const struct scenario *s)
{
	if (s->routing.kind == ROUTING_COUNTS ||
	    s->routing.kind == ROUTING_TRACE)
		return err_set(ST_INPUT, "%s: routing from a file cannot be "
			       "told in one line",
			       scenario_where(s, "routing.kind"));
	return ST_OK;
}

/* Blanks would end the word. */
static void add_name(struct buf *out, const char *s)
{
	for (; *s; s++)
		buf_addf(out, "%c", *s > ' ' && *s <= '~' && *s != '=' &&
			 *s != '\'' && *s != '"' ? *s : '-');
}

static void print_word(const struct word *w, const struct scenario *s,
		       const char *tier, struct buf *out)
{
	const struct key_row *k = w->key ? key_find(w->key) : NULL;
	long tokens = (long)s->model.sequence * s->model.batch_per_gpu;

	if (k && !key_used(s, w->key))
		return;
	if ((!strcmp(w->name, "name") && !*s->model.name) ||
	    (!strcmp(w->name, "shared") && !s->model.shared_ffn))
		return;
	buf_addf(out, "%s%s=", out->len ? " " : "", w->name);
	if (!k)
		buf_puts(out, tier);
	else if (!strcmp(w->name, "tokens"))
		buf_addf(out, "%ld", tokens);
	else if (!strcmp(w->name, "gpu"))
		add_name(out, s->cluster.gpu.type);
	else if (!strcmp(w->name, "name"))
		add_name(out, s->model.name);
	else
		key_print(k, s, out);
}

enum status layer_text_print(const struct scenario *s, const char *tier,
			     char *out, size_t size)
{
	struct buf b = { 0 };
	enum status st = check_sayable(s);
	size_t i;

	for (i = 0; !st && i < N_WORDS; i++)
		print_word(&words[i], s, tier, &b);
	if (!st && b.len >= size)
		st = err_set(ST_INPUT, "the layer's line has %zu bytes, "
			     "allowed are %zu", b.len, size - 1);
	if (!st)
		memcpy(out, b.s, b.len + 1);
	buf_release(&b);
	return st;
}

/* ---- reading ---- */

struct reader {
	char set[SETS_MAX][2 * LAYER_WORD_MAX];
	struct scenario_set sets[SETS_MAX];
	int n;
	bool seen[N_WORDS];
	char tier[SAMPLE_TEXT];
};

static enum status bad_word(const char *name)
{
	const char *names[N_WORDS];
	char hint[HINT_MAX];
	size_t i;

	for (i = 0; i < N_WORDS; i++)
		names[i] = words[i].name;
	return err_set(ST_INPUT, "layer: unknown word '%s'%s", name,
		       nearest_hint(name, names, N_WORDS, hint,
				    sizeof(hint)));
}

static void add_set(struct reader *r, const char *key, const char *value)
{
	snprintf(r->set[r->n], sizeof(r->set[0]), "%s=%s", key, value);
	r->sets[r->n].text = r->set[r->n];
	r->n++;
}

static enum status take_tier(struct reader *r, const char *value)
{
	size_t i;

	for (i = 0; i < N_TIERS && strcmp(tiers[i], value); i++)
		;
	if (i == N_TIERS)
		return err_set(ST_INPUT, "layer: tier '%s' is none of nvlink, "
			       "shm, socket, network", value);
	snprintf(r->tier, sizeof(r->tier), "%.31s", value);
	/* inside a node nvlink is what the GPU's file says */
	if (strcmp(value, "nvlink") != 0)
		add_set(r, "profile.inter", value);
	return ST_OK;
}

static enum status take_word(struct reader *r, const char *name,
			     const char *value)
{
	size_t i;

	for (i = 0; i < N_WORDS && strcmp(words[i].name, name); i++)
		;
	if (i == N_WORDS)
		return bad_word(name);
	if (r->seen[i])
		return err_set(ST_INPUT, "layer: word '%s' is there twice",
			       name);
	r->seen[i] = true;
	if (!words[i].key)
		return take_tier(r, value);
	add_set(r, words[i].key, value);
	if (!strcmp(name, "shared"))	/* as one: their sizes add up */
		add_set(r, "model.shared_experts", "1");
	return ST_OK;
}

static enum status read_words(struct reader *r, const char *text)
{
	char name[LAYER_WORD_MAX], value[LAYER_WORD_MAX];
	enum status st = ST_OK;
	size_t n, eq;

	for (; !st && *text; text += n) {
		text += strspn(text, " ");
		n = strcspn(text, " ");
		eq = strcspn(text, "= ");
		if (!n)
			break;
		if (eq >= n || !eq || eq >= sizeof(name) || n - eq == 1 ||
		    n - eq > sizeof(value))
			return err_set(ST_INPUT, "layer: '%.*s' is not "
				       "NAME=VALUE", (int)(n < 40 ? n : 40),
				       text);
		snprintf(name, sizeof(name), "%.*s", (int)eq, text);
		snprintf(value, sizeof(value), "%.*s", (int)(n - eq - 1),
			 text + eq + 1);
		st = take_word(r, name, value);
	}
	return st;
}

static enum status check_words(const struct reader *r)
{
	size_t i;

	for (i = 0; i < N_WORDS; i++) {
		if (!r->seen[i] && !words[i].optional)
			return err_set(ST_INPUT, "layer: word '%s' is missing",
				       words[i].name);
	}
	return ST_OK;
}

enum status layer_text_scenario(const char *text,
				const struct scenario_set *sets, int n_sets,
				struct scenario *out, char *tier)
{
	struct reader r = { 0 };
	enum status st = n_sets > SETS_MAX - (int)N_WORDS ?
		err_set(ST_INPUT, "layer: more than %d --set",
			SETS_MAX - (int)N_WORDS) : read_words(&r, text);
	int i;

	if (!st)
		st = check_words(&r);
	for (i = 0; !st && i < n_sets; i++)
		r.sets[r.n++] = sets[i];
	if (!st)
		st = scenario_parse(out, "layer", frame, sizeof(frame) - 1,
				    r.sets, r.n);
	if (st && strncmp(err_msg(), "layer", 5) != 0)
		err_prefix(st, "layer");
	if (!st && tier)
		snprintf(tier, SAMPLE_TEXT, "%s", r.tier);
	return st;
}
