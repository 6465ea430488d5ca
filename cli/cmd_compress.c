/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * moecast compress: what LSH-MoE's hashing or Luffy's condensation makes of
 * tokens, synthetic ones or those of a file: vectors left, error.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/units.h"
#include "cli/cli.h"
#include "reports/table.h"
#include "sim/tech_condense.h"
#include "sim/tech_gates.h"
#include "sim/tech_lsh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum method { LSH, CONDENSATION, METHOD_N };
static const char *const method_name[METHOD_N] = {
	[LSH] = "lsh", [CONDENSATION] = "condensation",
};

#define COPIES_MAX (1L << 25)	/* some 2 GiB of indices */

struct opts {
	struct cli_common common;
	enum method method;
	int raw;	/* dimension of a raw file; 0: text */
	bool sweep;
	struct tokens_spec tokens;	/* synthetic */
	int experts, k;
	struct lsh_spec lsh;
	struct condense_spec condense;
	int seed;
};

struct outcome {
	int n, dim;
	double copies, sent;
	double error;		/* of what travels, in place of the tokens */
	double restored;	/* lsh: with residuals, identity expert */
	double pairs, edges;	/* condensation */
};

enum { KEY_METHOD = 256, KEY_RAW, KEY_SWEEP, KEY_CLUSTERS, KEY_CLUSTERED,
       KEY_SIMILARITY, KEY_SEED, KEY_EXPERTS, KEY_K, KEY_HASHES, KEY_BUCKETS,
       KEY_ROTATION, KEY_ROUNDS, KEY_THRESHOLD, KEY_SCALE };

static const struct argp_option options[] = {
	{ "method", KEY_METHOD, "lsh|condensation", 0,
	  "LSH-MoE's clusters (default) or Luffy's condensation", 0 },
	{ "raw", KEY_RAW, "DIM", 0,
	  "FILE holds raw fp32 numbers, DIM for each token", 0 },
	{ "tokens", 'n', "N", 0, "synthetic tokens (default 1024)", 1 },
	{ "dim", 'd', "D", 0, "their dimension (default 1024)", 1 },
	{ "clusters", KEY_CLUSTERS, "C", 0, "their clusters (default 16)", 1 },
	{ "clustered", KEY_CLUSTERED, "S", 0,
	  "share of the tokens in clusters (default 0.8)", 1 },
	{ "similarity", KEY_SIMILARITY, "S", 0,
	  "cosine inside a cluster (default 0.95)", 1 },
	{ "seed", KEY_SEED, "N", 0, "of all random numbers (default 1)", 1 },
	{ "experts", KEY_EXPERTS, "E", 0,
	  "compress for each of E experts; a gate with random weights routes "
	  "(default 1)", 2 },
	{ "experts-per-token", KEY_K, "K", 0, "copies of a token (default 1)",
	  2 },
	{ "hashes", KEY_HASHES, "Q", 0, "lsh: hashes that must agree "
	  "(default 6)", 3 },
	{ "buckets", KEY_BUCKETS, "B", 0,
	  "lsh: buckets of a hash (default twice the dimension)", 3 },
	{ "rotation", KEY_ROTATION, "hadamard|dense", 0,
	  "lsh: fast (default) or exact random rotation", 3 },
	{ "rounds", KEY_ROUNDS, "N", 0, "lsh: rounds of the fast rotation "
	  "(default 3)", 3 },
	{ "threshold", KEY_THRESHOLD, "H", 0,
	  "condensation: similarity of tokens that are joined (default 0.5)",
	  4 },
	{ "scale", KEY_SCALE, "clip|half", 0,
	  "condensation: similarity is max(0, cos) (default) or (1 + cos)/2",
	  4 },
	{ "sweep", KEY_SWEEP, NULL, 0,
	  "lsh, synthetic tokens: a table over hashes, buckets, similarity",
	  5 },
	{ 0 },
};

/* Index of `text` among names, or an error that lists them. */
static error_t choice(const char *option, const char *text,
		      const char *const *name, int n, int *value_p)
{
	for (int i = 0; i < n; i++) {
		if (!strcmp(text, name[i])) {
			*value_p = i;
			return 0;
		}
	}
	return cli_usage("%s: '%s' is neither %s nor %s", option, text,
			 name[0], name[1]);
}

static error_t parse_lsh(int key, const char *arg, struct lsh_spec *l)
{
	static const char *const rotation[] = { "hadamard", "dense" };
	int value = 0;
	error_t e;

	switch (key) {
	case KEY_HASHES:
		return cli_int("--hashes", arg, 1, LSH_HASHES_MAX, &l->hashes);
	case KEY_BUCKETS:
		return cli_int("--buckets", arg, 2, 2 * TOKENS_DIM_MAX,
			       &l->buckets);
	case KEY_ROUNDS:
		return cli_int("--rounds", arg, 1, LSH_ROUNDS_MAX, &l->rounds);
	case KEY_ROTATION:
		e = choice("--rotation", arg, rotation, LSH_ROTATION_N, &value);
		l->rotation = (enum lsh_rotation)value;
		return e;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_tokens(int key, const char *arg, struct tokens_spec *t)
{
	switch (key) {
	case 'n':
		return cli_int("--tokens", arg, 1, TOKENS_MAX, &t->n);
	case 'd':
		return cli_int("--dim", arg, 1, TOKENS_DIM_MAX, &t->dim);
	case KEY_CLUSTERS:
		return cli_int("--clusters", arg, 1, TOKENS_MAX, &t->clusters);
	case KEY_CLUSTERED:
		return cli_quantity("--clustered", arg, U_FRACTION,
				    &t->clustered);
	case KEY_SIMILARITY:
		return cli_quantity("--similarity", arg, U_FRACTION,
				    &t->similarity);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_rest(int key, const char *arg, struct opts *o)
{
	static const char *const scale[] = { "clip", "half" };
	int value = 0;
	error_t e;

	switch (key) {
	case KEY_METHOD:
		e = choice("--method", arg, method_name, METHOD_N, &value);
		o->method = (enum method)value;
		return e;
	case KEY_RAW:
		return cli_int("--raw", arg, 1, TOKENS_DIM_MAX, &o->raw);
	case KEY_SWEEP:
		o->sweep = true;
		return 0;
	case KEY_SEED:
		return cli_int("--seed", arg, 0, INT32_MAX, &o->seed);
	case KEY_EXPERTS:
		return cli_int("--experts", arg, 1, GATE_EXPERTS_MAX,
			       &o->experts);
	case KEY_K:
		return cli_int("--experts-per-token", arg, 1, GATE_EXPERTS_MAX,
			       &o->k);
	case KEY_THRESHOLD:
		return cli_quantity("--threshold", arg, U_FRACTION,
				    &o->condense.threshold);
	case KEY_SCALE:
		e = choice("--scale", arg, scale, 2, &value);
		o->condense.scale = (enum condense_scale)value;
		return e;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	error_t e;

	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = &o->common;
		return 0;
	}
	e = parse_tokens(key, arg, &o->tokens);
	if (e == ARGP_ERR_UNKNOWN) {
		e = parse_lsh(key, arg, &o->lsh);
	}
	return e == ARGP_ERR_UNKNOWN ? parse_rest(key, arg, o) : e;
}

static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 },
					      { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[FILE]",
	.doc = "How far tokens can be compressed before they are exchanged, "
	       "and at what error. FILE: one token a line in numbers, or raw "
	       "fp32; without it synthetic tokens.",
	.children = children,
};

/* ---- tokens and experts ---- */

static enum status get_tokens(const struct opts *o, struct tokens *t)
{
	return o->common.input ? tokens_read(o->common.input, o->raw, t) :
		tokens_make(&o->tokens, t);
}

/* expert[n * k], owned by the caller; NULL for one expert. */
static enum status route(const struct opts *o, const struct tokens *t,
			 int **expert_p)
{
	struct gate_spec gate = { .kind = GATE_TOPK, .experts = o->experts,
				  .k = o->k };
	struct gate_result r;
	enum status st;
	double *score;

	*expert_p = NULL;
	if (o->experts == 1 && o->k == 1) {
		return ST_OK;
	}
	if ((long)t->n * o->experts > GATE_SCORES_MAX ||
	    (long)t->n * o->k > COPIES_MAX) {
		return err_set(ST_INPUT, "--experts: '%d', %d per token, with "
			       "%d tokens are too many", o->experts, o->k,
			       t->n);
	}
	score = xcalloc((size_t)t->n * (size_t)o->experts, sizeof(*score));
	gate_token_scores(t, o->experts, (uint64_t)o->seed, score);
	st = gate_run(&gate, score, t->n, &r);
	free(score);
	if (!st) {
		*expert_p = r.expert;
		r.expert = NULL;
		gate_result_release(&r);
	}
	return st;
}

/* ---- the two methods ---- */

static enum status compress_lsh(const struct opts *o, const struct tokens *t,
				const int *expert, struct outcome *out)
{
	struct lsh_groups g;
	struct lsh *l;
	enum status st = lsh_new(&o->lsh, t->dim, &l);

	if (st) {
		return st;
	}
	lsh_group(l, t, expert, o->k, o->experts, &g);
	out->copies = g.copies;
	out->sent = g.clusters;
	out->error = lsh_centroid_error(&g, t);
	out->restored = lsh_identity_error(&g, t);
	lsh_groups_release(&g);
	lsh_free(l);
	return ST_OK;
}

static enum status compress_condense(const struct opts *o,
				     const struct tokens *t,
				     const int *expert, struct outcome *out)
{
	struct condense_result r;
	enum status st = condense_run(&o->condense, t, expert, o->k,
				      o->experts, NULL, &r);

	if (st) {
		return st;
	}
	out->copies = (double)r.copies;
	out->sent = (double)r.kept;
	out->error = r.error;
	out->pairs = (double)r.pairs;
	out->edges = (double)r.edges;
	condense_result_release(&r);
	return ST_OK;
}

static enum status run_once(const struct opts *o, struct outcome *out)
{
	struct tokens t;
	int *expert = NULL;
	enum status st = get_tokens(o, &t);

	if (st) {
		return st;
	}
	out->n = t.n;
	out->dim = t.dim;
	st = route(o, &t, &expert);
	if (!st && o->method == LSH) {
		st = compress_lsh(o, &t, expert, out);
	} else if (!st) {
		st = compress_condense(o, &t, expert, out);
	}
	free(expert);
	tokens_release(&t);
	return st;
}

static enum status print_once(const struct opts *o)
{
	struct outcome r = { 0 };
	enum status st = run_once(o, &r);
	json_t *j;

	if (st) {
		return st;
	}
	if (!o->common.json) {
		printf("%d tokens of %d dimensions, %.0f copies for %d expert%s"
		       "\n%s sends %.0f vectors: rate %.4f, error %.4f%s\n",
		       r.n, r.dim, r.copies, o->experts,
		       o->experts == 1 ? "" : "s", method_name[o->method],
		       r.sent, r.sent / r.copies, r.error,
		       o->method == LSH ? " without residuals" : "");
		if (o->method == LSH) {
			printf("with residuals, identity expert: error %.2g\n",
			       r.restored);
		}
		return ST_OK;
	}
	j = json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:f}",
		      "schema", "moecast.compress/1", "method",
		      method_name[o->method], "tokens", r.n, "dim", r.dim,
		      "copies", r.copies, "sent", r.sent,
		      "rate", r.sent / r.copies, "error", r.error);
	if (o->method == LSH) {
		json_object_set_new(j, "restored_error", json_real(r.restored));
	} else {
		json_object_set_new(j, "pairs", json_real(r.pairs));
		json_object_set_new(j, "edges", json_real(r.edges));
	}
	return cli_print_json(j);
}

/* ---- the table over hashes, buckets and similarity ---- */

static const int sweep_hashes[] = { 1, 2, 4, 6, 8 };
static const int sweep_buckets[] = { 16, 128, 0 };	/* 0: 2 dim */
static const double sweep_similarity[] = { 0.8, 0.9, 0.95, 0.98, 0.99 };
#define COUNT(a) (sizeof(a) / sizeof(a[0]))

static const struct table_column columns[] = {
	{ "similarity", TABLE_NUMBER, 0, 0 },
	{ "buckets", TABLE_COUNT, 0, 0 },
	{ "hashes", TABLE_COUNT, 0, 0 },
	{ "one hash agrees", TABLE_NUMBER, 0, 0 },
	{ "rate", TABLE_NUMBER, 0, 0 },
	{ "error", TABLE_NUMBER, 0, 0 },
};

struct sweep {
	struct table table;
	json_t *rows;
};

static enum status sweep_point(struct lsh_spec lsh, const struct tokens *t,
			       double similarity, struct sweep *w)
{
	struct lsh_point p;
	double agree;
	enum status st;

	if (lsh.buckets == 0 || lsh.buckets > 2 * t->dim) {
		lsh.buckets = 2 * t->dim;
	}
	st = lsh_measure_tokens(&lsh, t, &p);
	if (st) {
		return st;
	}
	agree = lsh_collision_probability(lsh.buckets, similarity);
	table_value(&w->table, similarity);
	table_value(&w->table, lsh.buckets);
	table_value(&w->table, lsh.hashes);
	table_value(&w->table, agree);
	table_value(&w->table, p.rate);
	table_value(&w->table, p.centroid_error);
	json_array_append_new(w->rows, json_pack(
		"{s:f, s:i, s:i, s:f, s:f, s:f}", "similarity", similarity,
		"buckets", lsh.buckets, "hashes", lsh.hashes,
		"collision_probability", agree, "rate", p.rate,
		"error", p.centroid_error));
	return ST_OK;
}

static enum status sweep_similar(const struct opts *o, double similarity,
				 struct sweep *w)
{
	struct tokens_spec spec = o->tokens;
	struct lsh_spec lsh = o->lsh;
	struct tokens t;
	enum status st;

	spec.similarity = similarity;
	st = tokens_make(&spec, &t);
	if (st) {
		return st;
	}
	for (size_t b = 0; b < COUNT(sweep_buckets); b++) {
		for (size_t h = 0; h < COUNT(sweep_hashes) && !st; h++) {
			lsh.buckets = sweep_buckets[b];
			lsh.hashes = sweep_hashes[h];
			st = sweep_point(lsh, &t, similarity, w);
		}
	}
	tokens_release(&t);
	return st;
}

static enum status print_sweep(const struct opts *o)
{
	struct sweep w = { .rows = json_array() };
	enum status st = ST_OK;
	struct buf out = { 0 };

	table_init(&w.table, columns, (int)COUNT(columns));
	for (size_t i = 0; i < COUNT(sweep_similarity) && !st; i++) {
		st = sweep_similar(o, sweep_similarity[i], &w);
	}
	if (!st && o->common.json) {
		st = cli_print_json(json_pack("{s:s, s:s, s:i, s:i, s:O}",
			"schema", "moecast.compress/1", "method", "lsh",
			"tokens", o->tokens.n, "dim", o->tokens.dim, "rows",
			w.rows));
	} else if (!st) {
		table_print(&w.table, &out, 0, TABLE_WIDTH);
		fputs(buf_str(&out), stdout);
	}
	json_decref(w.rows);
	table_release(&w.table);
	buf_release(&out);
	return st;
}

static enum status check(const struct opts *o)
{
	if (o->raw && !o->common.input) {
		return err_set(ST_INPUT, "--raw: needs a file");
	}
	if (o->sweep && (o->common.input || o->method != LSH)) {
		return err_set(ST_INPUT, "--sweep: is for lsh and synthetic "
			       "tokens");
	}
	return ST_OK;
}

enum status cmd_compress(int argc, char **argv)
{
	struct opts o = {
		.tokens = { .n = 1024, .dim = 1024, .clusters = 16,
			    .clustered = 0.8, .similarity = 0.95 },
		.experts = 1, .k = 1, .seed = 1,
		.lsh = { .hashes = LSH_HASHES_DEFAULT,
			 .rounds = LSH_ROUNDS_DEFAULT },
		.condense = { .threshold = 0.5,
			      .sure = CONDENSE_SURE_DEFAULT,
			      .never = CONDENSE_NEVER_DEFAULT },
	};
	enum status st = cli_parse(&argp, argc, argv, &o);

	o.tokens.seed = o.lsh.seed = (uint64_t)o.seed;
	if (!st) {
		st = check(&o);
	}
	if (!st) {
		st = o.sweep ? print_sweep(&o) : print_once(&o);
	}
	cli_common_release(&o.common);
	return st;
}
