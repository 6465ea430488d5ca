/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * moecast import: other programs' output as samples in a database, or as a
 * cluster in a file.
 */
#include "config.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/outfile.h"
#include "cli/cli.h"
#include "profiles/import.h"
#include "profiles/store.h"
#include "reports/table.h"
#include "scenarios/cluster_text.h"
#include "sim/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_DB 0x2000
#define SHOWN_MAX 12	/* skipped lines in the text; JSON has all */
#define KINDS_MAX 32

struct opts {
	struct cli_common common;
	const char *kind, *file, *db, *output;
};

/* Files that only the simulator reads: checked, nothing to store. */
static const struct {
	const char *kind, *help;
	enum routing_kind routing;
} routing_kinds[] = {
	{ "routing-counts", "tokens per expert: checked, nothing to store",
	  ROUTING_COUNTS },
	{ "routing-trace", "experts per token: checked, nothing to store",
	  ROUTING_TRACE },
};

#define N_ROUTING (sizeof(routing_kinds) / sizeof(*routing_kinds))

/* Other names that people have for a kind. */
static const struct {
	const char *alias, *kind;
} aliases[] = {
	{ "nccl-xml", "nccl-topo" },
	{ "nccl-topology", "nccl-topo" },
	{ "nvidia-smi-topo", "nvidia-smi" },
	{ "smi-topo", "nvidia-smi" },
	{ "config", "model" },
	{ "config.json", "model" },
};

static const struct argp_option options[] = {
	{ "db", KEY_DB, "FILE", 0,
	  "profile database that samples go to; made when absent", 0 },
	{ "output", 'o', "FILE", 0,
	  "of a topology: write the cluster as YAML, for 'cluster: FILE'",
	  0 },
	{ 0 },
};

static error_t add_argument(struct opts *o, char *arg)
{
	if (o->file)
		return cli_usage("unexpected argument '%s'", arg);
	if (o->kind)
		o->file = arg;
	else
		o->kind = arg;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case ARGP_KEY_ARG:
		return add_argument(o, arg);
	case KEY_DB:
		o->db = arg;
		return 0;
	case 'o':
		o->output = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{ &cli_common_noarg_argp, 0, NULL, 0 }, { 0 } };

/* The kinds below the options, from the tables. */
static char *kinds_help(int key, const char *text, void *input)
{
	const struct import_row *row;
	struct buf b = { 0 };
	size_t i;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	buf_puts(&b, "KIND is one of\n");
	for (row = import_table; row->kind; row++) {
		buf_addf(&b, "  %-15s %s\n", row->kind, row->help);
	}
	for (i = 0; i < N_ROUTING; i++) {
		buf_addf(&b, "  %-15s %s\n", routing_kinds[i].kind,
			 routing_kinds[i].help);
	}
	return buf_take(&b);
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "KIND FILE",
	.doc = "Takes in what other programs wrote and lists each line that "
	       "it did not use, with the reason. The same file twice adds "
	       "nothing.\v",
	.children = children,
	.help_filter = kinds_help,
};

/* ---- what was read, and what became of it ---- */

struct result {
	struct import im;
	const char *kind;
	bool stores;
	int64_t rows, added;
	struct route_file route;	/* rows 0: no routing */
	bool whole;	/* `cluster` has a GPU type and all defaults */
	struct scenario scenario;	/* when whole */
};

static const struct cluster *cluster_of(const struct result *r)
{
	return r->whole ? &r->scenario.cluster : &r->im.cluster;
}

static enum status refuse_kind(const char *kind)
{
	const char *names[KINDS_MAX];
	const struct import_row *row;
	struct buf known = { 0 };
	char hint[128];
	size_t i, n = 0;

	for (row = import_table; row->kind; row++) {
		names[n++] = row->kind;
	}
	for (i = 0; i < N_ROUTING; i++) {
		names[n++] = routing_kinds[i].kind;
	}
	for (i = 0; i < n; i++) {
		buf_addf(&known, "%s%s", i ? ", " : "", names[i]);
	}
	err_set(ST_INPUT, "unknown kind '%.60s'%s; there are %s", kind,
		nearest_hint(kind, names, n, hint, sizeof(hint)),
		buf_str(&known));
	buf_release(&known);
	return ST_INPUT;
}

static const char *real_kind(const char *kind)
{
	size_t i;

	for (i = 0; i < sizeof(aliases) / sizeof(*aliases); i++) {
		if (!strcmp(aliases[i].alias, kind))
			return aliases[i].kind;
	}
	return kind;
}

static enum status store(const struct opts *o, struct result *r,
			 const char *text, size_t len)
{
	struct store *db;
	enum status st = store_open(o->db, STORE_WRITE, &db);
	size_t i;

	if (st)
		return st;
	for (i = 0; i < r->im.n_runs; i++) {
		struct run_info *info = &r->im.run[i].info;

		snprintf(info->version, sizeof(info->version), "%s",
			 PACKAGE_VERSION);
	}
	st = import_store(&r->im, r->kind, text, len, db, &r->added);
	store_close(db);
	return st;
}

/* Is there a --set of a key that starts so? */
static bool sets_key(const struct opts *o, const char *start)
{
	int i;

	for (i = 0; i < o->common.n_sets; i++) {
		if (!strncmp(o->common.sets[i].text, start, strlen(start)))
			return true;
	}
	return false;
}

/* Keys of the GPU itself: its name alone would not bring them back. */
static bool changes_gpu(const struct opts *o)
{
	return sets_key(o, "cluster.gpu.") || sets_key(o, "comm.");
}

/* With a GPU type, the rest is defaults, its data sheet and --set. */
static enum status complete(const struct opts *o, struct result *r)
{
	struct buf yaml = { 0 };
	enum status st;

	if (!*r->im.cluster.gpu.type && !sets_key(o, "cluster.gpu=")) {
		if (o->output || o->common.n_sets)
			return err_set(ST_INPUT, "%s: the GPU's type is not in "
				       "this file: give --set cluster.gpu=NAME",
				       o->file);
		return ST_OK;
	}
	cluster_print(&r->im.cluster, CLUSTER_PART, &yaml);
	st = scenario_parse_cluster(&r->scenario, o->file, buf_str(&yaml),
				    yaml.len, o->common.sets,
				    o->common.n_sets);
	r->whole = !st;
	/* one node needs no NICs; what the loader puts there is none's */
	if (!st && !strcmp(scenario_where(&r->scenario,
					  "cluster.nic.bandwidth"), "default"))
		r->scenario.cluster.nic.bandwidth_Bps = 0;
	/* the name that the loader makes up has the number of nodes in it */
	if (!st && !sets_key(o, "cluster.name="))
		*r->scenario.cluster.name = '\0';
	buf_release(&yaml);
	return st;
}

static enum status write_cluster(const struct opts *o, const struct result *r)
{
	const struct cluster *c = cluster_of(r);
	bool inline_gpu = changes_gpu(o) || strpbrk(c->gpu.type, "/.") ||
			  !*c->gpu.type;
	struct buf out = { 0 };
	enum status st;
	size_t i;

	for (i = 0; i < r->im.skip.n; i++) {
		const struct note *n = &r->im.skip.note[i];

		if (n->line)
			buf_addf(&out, "# line %d: %s\n", n->line, n->why);
		else
			buf_addf(&out, "# %s\n", n->why);
	}
	cluster_print(c, inline_gpu ? CLUSTER_WHOLE : CLUSTER_BY_NAME, &out);
	st = outfile_write(o->output, buf_str(&out), out.len);
	buf_release(&out);
	return st;
}

static enum status use(const struct opts *o, struct result *r,
		       const char *text, size_t len)
{
	enum status st = ST_OK;

	r->rows = r->im.rows;
	if (r->im.has_cluster)
		st = complete(o, r);
	else if (o->output || o->common.n_sets)
		st = err_set(ST_INPUT, "%s: it gives no cluster, which -o and "
			     "--set are for", r->kind);
	if (!st && o->output)
		st = write_cluster(o, r);
	if (!st && r->stores)
		st = store(o, r, text, len);
	return st;
}

static enum status read_file(const struct opts *o, struct result *r)
{
	const struct import_row *row = import_find(r->kind);
	enum status st;
	char *text;
	size_t len;

	if (!row)
		return refuse_kind(o->kind);
	if (row->stores && !o->db)
		return err_set(ST_INPUT, "--db FILE is missing: %s has samples "
			       "to store", row->kind);
	r->stores = row->stores;
	st = infile_read(o->file, IMPORT_BYTES_MAX, &text, &len);
	if (st)
		return st;
	st = row->read(o->file, text, len, &r->im);
	if (!st)
		st = use(o, r, text, len);
	free(text);
	return st;
}

static enum status run(const struct opts *o, struct result *r)
{
	enum status st;
	size_t i;

	r->kind = real_kind(o->kind);
	for (i = 0; i < N_ROUTING; i++) {
		if (strcmp(routing_kinds[i].kind, r->kind))
			continue;
		if (o->output || o->common.n_sets)
			return err_set(ST_INPUT, "%s: it gives no cluster, "
				       "which -o and --set are for", r->kind);
		st = route_file_scan(routing_kinds[i].routing, o->file,
				     &r->route);
		r->rows = r->route.rows;
		return st;
	}
	return read_file(o, r);
}

/* ---- JSON ---- */

static json_t *json_skipped(const struct notes *notes)
{
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < notes->n; i++) {
		json_array_append_new(out, json_pack("{s:i, s:s}",
			"line", notes->note[i].line,
			"why", notes->note[i].why));
	}
	return out;
}

static void cluster_line(const struct result *r, struct buf *out)
{
	if (r->whole)
		cluster_text_print(cluster_of(r), out);
	else
		cluster_text_print_part(cluster_of(r), out);
}

static json_t *json_cluster(const struct result *r)
{
	const struct cluster *c = cluster_of(r);
	struct buf line = { 0 };
	json_t *out;

	cluster_line(r, &line);
	out = json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:f}",
			"line", buf_str(&line),
			"nodes", c->nodes,
			"gpus_per_node", c->gpus_per_node,
			"nics_per_gpu", c->nic.per_gpu,
			"nics_per_node", c->nic.per_node,
			"intra_Bps", c->intra.bandwidth_Bps,
			"nic_Bps", c->nic.bandwidth_Bps);
	if (*c->gpu.type)
		json_object_set_new(out, "gpu", json_string(c->gpu.type));
	buf_release(&line);
	return out;
}

static enum status print_json(const struct result *r)
{
	json_t *out = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:o}",
		"schema", "moecast.import/1", "kind", r->kind,
		"rows", (json_int_t)r->rows,
		"samples", (json_int_t)r->im.n_samples,
		"added", (json_int_t)r->added, "stores", r->stores,
		"skipped", json_skipped(&r->im.skip));

	if (r->im.has_cluster)
		json_object_set_new(out, "cluster", json_cluster(r));
	if (r->im.has_model)
		json_object_set_new(out, "model",
				    cli_model_json(&r->im.model));
	return cli_print_json(out);
}

/* ---- text ---- */

static void print_skipped(const struct notes *notes)
{
	struct buf out = { 0 }, head = { 0 };
	size_t i, shown = notes->n < SHOWN_MAX ? notes->n : SHOWN_MAX;

	if (notes->n)
		buf_puts(&out, "not used:\n");
	for (i = 0; i < shown; i++) {
		const struct note *n = &notes->note[i];

		buf_clear(&head);
		if (n->line)
			buf_addf(&head, "  line %d: ", n->line);
		else
			buf_puts(&head, "  ");
		text_wrap(&out, buf_str(&head), n->why, TABLE_WIDTH);
	}
	if (shown < notes->n)
		buf_addf(&out, "  %zu more; --json has all\n",
			 notes->n - shown + notes->left_out);
	fputs(buf_str(&out), stdout);
	buf_release(&out);
	buf_release(&head);
}

static void print_stored(const struct opts *o, const struct result *r)
{
	if (!r->stores)
		puts("nothing to store: scenarios name such a file");
	else if (r->added)
		printf("added to %s: %lld samples\n", o->db,
		       (long long)r->added);
	else
		printf("added to %s: nothing%s\n", o->db, r->im.n_samples ?
		       ", it has this file already" : "");
}

static void print_cluster(const struct opts *o, const struct result *r)
{
	struct buf line = { 0 };

	cluster_line(r, &line);
	printf("cluster: \"%s\"\n", buf_str(&line));
	if (o->output)
		printf("written to %s\n", o->output);
	buf_release(&line);
}

static void print_text(const struct opts *o, const struct result *r)
{
	printf("%s: %lld rows", r->kind, (long long)r->rows);
	if (r->stores)
		printf(", %zu samples", r->im.n_samples);
	puts("");
	if (r->route.rows && r->route.experts)
		printf("%d experts\n", r->route.experts);
	if (r->im.has_model)
		cli_model_print(&r->im.model);
	if (r->im.has_cluster)
		print_cluster(o, r);
	else
		print_stored(o, r);
	print_skipped(&r->im.skip);
}

enum status cmd_import(int argc, char **argv)
{
	struct opts o = { 0 };
	struct result r = { .im.model.dtype = DT_N };
	enum status st = cli_parse(&argp, argc, argv, &o);

	if (!st && !o.file)
		st = err_set(ST_INPUT, "KIND and FILE are missing; try "
			     "--help");
	if (!st)
		st = run(&o, &r);
	if (!st && r.stores && !r.rows)
		cli_warn("'%s': no row that can be used", o.file);
	if (!st && o.common.json)
		st = print_json(&r);
	else if (!st)
		print_text(&o, &r);
	if (r.whole)
		scenario_release(&r.scenario);
	import_release(&r.im);
	cli_common_release(&o.common);
	return st;
}
