/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast alltoall: one collective, as a table of sizes or of a matrix. */
#include "base/mem.h"
#include "base/nearest.h"
#include "base/units.h"
#include "cli/alltoall.h"
#include "cli/profile_use.h"
#include "scenarios/program.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_IDEAL 0x2000
#define KEY_MERGE 0x2001
#define KEY_FLOWS 0x2002
#define KEY_OP 0x2003
#define KEY_MATRIX 0x2004
#define KEY_NODE_MATRIX 0x2005

#define MIN_DEFAULT 1048576.0	/* -b: 1 MiB */
#define MAX_DEFAULT 1073741824.0	/* -e: 1 GiB */
#define FACTOR_DEFAULT 2
#define BYTES_MAX 1e15
#define ROUNDING 1e-9	/* of repeated multiplication by the factor */

static const struct alltoall_op ops[] = {
	{ "alltoall", 1, true, 0, { 0 } },
	{ "allgather", 1, true, 1, { COLL_ALLGATHER } },
	{ "reducescatter", 1, true, 1, { COLL_REDUCESCATTER } },
	{ "allreduce", 2, true, 2, { COLL_ALLREDUCE, COLL_ALLREDUCE_TREE } },
	{ "sendrecv", 1, false, 1, { COLL_SENDRECV } },
};

#define N_OPS (sizeof(ops) / sizeof(*ops))

static const struct argp_option options[] = {
	{ "algorithm", 'a', "NAME", 0,
	  "flat (default), leader, 2d, lanes, dedup or pairwise", 0 },
	{ "op", KEY_OP, "NAME", 0,
	  "alltoall (default), allgather, reducescatter, allreduce or "
	  "sendrecv", 0 },
	{ "minbytes", 'b', "SIZE", 0,
	  "smallest size, what one rank sends in all (default 1MiB); as in "
	  "nccl-tests 8M is 8MiB, 8MB is decimal", 1 },
	{ "maxbytes", 'e', "SIZE", 0, "largest size (default 1GiB)", 1 },
	{ "stepfactor", 'f', "FACTOR", 0,
	  "from one size to the next, above 1 (default 2)", 1 },
	{ "matrix", KEY_MATRIX, "FILE", 0,
	  "N lines of N numbers: bytes from rank i to rank j", 2 },
	{ "node-matrix", KEY_NODE_MATRIX, "FILE", 0,
	  "for dedup: N lines of one number per node: bytes of different "
	  "tokens from rank i to node j (default: no token goes twice to one "
	  "node)", 2 },
	{ "ideal", KEY_IDEAL, NULL, 0,
	  "links and latencies alone: nominal rates, no cost per launch or "
	  "message, no window, no protocol", 2 },
	{ "merge", KEY_MERGE, "TIME", 0,
	  "handle completions closer than that together", 2 },
	{ "flows", KEY_FLOWS, "OUT.csv", 0,
	  "write src,dst,bytes,finish_us of each cell of the matrix (flat, "
	  "lanes, or --ideal)", 2 },
	{ 0 },
};

static error_t set_algorithm(struct alltoall_opts *o, const char *name)
{
	const char *names[A2A_N];
	char hint[128];
	int i;

	for (i = 0; i < A2A_N; i++)
		names[i] = a2a_table[i].name;
	o->algorithm = a2a_find(name);
	o->has_algorithm = true;
	if (o->algorithm >= 0)
		return 0;
	return cli_usage("--algorithm: '%s' is not flat, leader, 2d, lanes, "
			 "dedup or pairwise%s", name,
			 nearest_hint(name, names, A2A_N, hint,
				      sizeof(hint)));
}

static error_t set_op(struct alltoall_opts *o, const char *name)
{
	size_t i;

	for (i = 0; i < N_OPS; i++) {
		if (strcmp(ops[i].name, name))
			continue;
		o->op = &ops[i];
		return 0;
	}
	return cli_usage("--op: '%s' is not alltoall, allgather, "
			 "reducescatter, allreduce or sendrecv", name);
}

/* nccl-tests' sizes: "128M" is 128 MiB; "128MB" stays decimal. */
static char *nccl_size(const char *arg)
{
	size_t n = strlen(arg);
	char last = n > 1 ? (char)toupper((unsigned char)arg[n - 1]) : '\0';

	if (!last || !strchr("KMG", last) ||
	    !isdigit((unsigned char)arg[n - 2]))
		return xstrdup(arg);
	return xasprintf("%.*s%ciB", (int)(n - 1), arg, last);
}

static error_t set_bytes(struct alltoall_opts *o, const char *option,
			 const char *arg, double *bytes_p)
{
	char *text = nccl_size(arg);
	error_t e = cli_quantity(option, text, U_BYTES, bytes_p);

	free(text);

	o->has_sizes = true;
	if (!e && (*bytes_p < 1 || *bytes_p > BYTES_MAX))
		return cli_usage("%s: '%s' is not in 1..1e15 bytes", option,
				 arg);
	return e;
}

static error_t set_factor(struct alltoall_opts *o, const char *arg)
{
	error_t e = cli_quantity("-f", arg, U_NUMBER, &o->factor);

	o->has_sizes = true;
	if (!e && !(o->factor > 1))
		return cli_usage("-f: '%s' is not above 1", arg);
	return e;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct alltoall_opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'a':
		return set_algorithm(o, arg);
	case KEY_OP:
		return set_op(o, arg);
	case 'b':
		return set_bytes(o, "-b", arg, &o->min_bytes);
	case 'e':
		return set_bytes(o, "-e", arg, &o->max_bytes);
	case 'f':
		return set_factor(o, arg);
	case KEY_MATRIX:
		o->matrix = arg;
		return 0;
	case KEY_NODE_MATRIX:
		o->node_matrix = arg;
		return 0;
	case KEY_IDEAL:
		o->ideal = true;
		return 0;
	case KEY_MERGE:
		return cli_quantity("--merge", arg, U_TIME, &o->merge_s);
	case KEY_FLOWS:
		o->flows = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 },
					      { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SCENARIO",
	.doc = "Times one collective over all GPUs of the scenario's cluster: "
	       "a table as nccl-tests prints it, or one all-to-all with the "
	       "traffic of a matrix. Only the scenario's cluster and comm "
	       "sections are used.",
	.children = children,
};

static enum status check_opts(const struct alltoall_opts *o)
{
	bool alltoall = o->op == &ops[0];

	if (!alltoall && (o->matrix || o->ideal || o->has_algorithm))
		return err_set(ST_INPUT, "--matrix, --ideal and --algorithm "
			       "are for --op alltoall, not '%s'",
			       o->op->name);
	if (o->ideal && o->has_algorithm && o->algorithm != A2A_FLAT)
		return err_set(ST_INPUT, "--ideal sends every pair's bytes "
			       "straight: --algorithm cannot be '%s'",
			       a2a_table[o->algorithm].name);
	if (o->matrix && o->has_sizes)
		return err_set(ST_INPUT, "-b, -e and -f are for the table, "
			       "not with --matrix");
	if (o->node_matrix && (!o->matrix || o->algorithm != A2A_DEDUP))
		return err_set(ST_INPUT, "--node-matrix needs --matrix and "
			       "--algorithm dedup");
	if (o->flows && !o->matrix)
		return err_set(ST_INPUT, "--flows needs --matrix");
	if (o->flows && !o->ideal && o->algorithm != A2A_FLAT &&
	    o->algorithm != A2A_LANES)
		return err_set(ST_INPUT, "--flows: with --algorithm '%s' a "
			       "cell has no one finish time; use flat, lanes "
			       "or --ideal", a2a_table[o->algorithm].name);
	if (o->min_bytes > o->max_bytes)
		return err_set(ST_INPUT, "-b: %.0f bytes is more than -e, "
			       "%.0f", o->min_bytes, o->max_bytes);
	if (log(o->max_bytes / o->min_bytes) >=
	    ALLTOALL_ROWS_MAX * log(o->factor))
		return err_set(ST_INPUT, "-f: %.17g makes more than %d rows",
			       o->factor, ALLTOALL_ROWS_MAX);
	return ST_OK;
}

static struct traffic even_traffic(int n, double bytes)
{
	return (struct traffic){ .n_ranks = n, .each = bytes / n, .group = n,
				 .stride = 1 };
}

static void fill_sizes(struct alltoall_job *j)
{
	double b = j->o->min_bytes;

	/* a last size that rounding puts beyond -e still counts */
	while (j->n_rows < ALLTOALL_ROWS_MAX &&
	       b <= j->o->max_bytes * (1 + ROUNDING)) {
		j->row[j->n_rows++].bytes = round(b);
		b *= j->o->factor;
	}
}

static void fill_bandwidth(struct alltoall_job *j)
{
	double n = j->net.n_ranks;
	double bus = j->o->op->factor * (j->o->op->shares ? (n - 1) / n : 1);
	int i;

	for (i = 0; i < j->n_rows; i++) {
		struct alltoall_row *r = &j->row[i];

		r->algbw_Bps = r->time_s > 0 ? r->bytes / r->time_s : 0;
		r->busbw_Bps = r->algbw_Bps * bus;
	}
}

/* The collective once, at the largest size; the others are shares of it. */
static void fill_times(struct alltoall_job *j, const struct coll *c)
{
	double most = j->row[j->n_rows - 1].bytes;
	int i;

	for (i = 0; i < j->n_rows; i++) {
		struct alltoall_row *r = &j->row[i];
		double t = coll_time(c, r->bytes / most);

		r->time_s = r->time_s > 0 ? fmin(r->time_s, t) : t;
	}
}

static enum status table_ideal(struct alltoall_job *j)
{
	enum status st = ST_OK;
	int i;

	for (i = 0; i < j->n_rows && !st; i++) {
		struct traffic t = even_traffic(j->net.n_ranks,
						j->row[i].bytes);
		struct coll_ideal r = { 0 };

		st = coll_ideal(&j->spec, &t, &r);
		j->row[i].time_s = r.makespan_s;
	}
	return st;
}

static enum status table_alltoall(struct alltoall_job *j)
{
	struct traffic t = even_traffic(j->net.n_ranks,
					j->row[j->n_rows - 1].bytes);
	struct coll c;
	enum status st = coll_alltoall(&j->spec, j->o->algorithm, &t, false,
				       &c);

	if (st)
		return st;
	fill_times(j, &c);
	coll_release(&c);
	return ST_OK;
}

static enum status table_ring(struct alltoall_job *j)
{
	double most = j->row[j->n_rows - 1].bytes;
	enum status st;
	struct coll c;
	int i;

	for (i = 0; i < j->o->op->n_ways; i++) {
		st = coll_ring(&j->spec, j->o->op->way[i], j->net.n_ranks, 1,
			       most, &c);
		if (st)
			return st;
		fill_times(j, &c);
		coll_release(&c);
	}
	return ST_OK;
}

const char *alltoall_algorithm(const struct alltoall_opts *o)
{
	return o->ideal ? "ideal" : o->op->n_ways ? "ring" :
		a2a_table[o->algorithm].name;
}

json_t *alltoall_head(const struct alltoall_job *j)
{
	return json_pack("{s:s, s:s, s:i}", "op", j->o->op->name,
			 "algorithm", alltoall_algorithm(j->o),
			 "ranks", j->net.n_ranks);
}

static enum status print_table_json(const struct alltoall_job *j)
{
	json_t *root = alltoall_head(j), *rows = json_array();
	int i;

	for (i = 0; i < j->n_rows; i++) {
		const struct alltoall_row *r = &j->row[i];

		json_array_append_new(rows, json_pack("{s:I, s:f, s:f, s:f}",
			"bytes", (json_int_t)r->bytes, "time_s", r->time_s,
			"algbw_Bps", r->algbw_Bps,
			"busbw_Bps", r->busbw_Bps));
	}
	json_object_set_new(root, "rows", rows);
	return cli_print_json(root);
}

static enum status print_table(const struct alltoall_job *j)
{
	const struct cluster *c = &j->net.cluster;
	int i;

	if (j->o->common.json)
		return print_table_json(j);
	printf("# %s (%s), %d GPUs: %d nodes of %d %s\n"
	       "# size: bytes that one rank %s\n"
	       "#%15s %13s %10s %10s\n#%15s %13s %10s %10s\n",
	       j->o->op->name, alltoall_algorithm(j->o), j->net.n_ranks,
	       c->nodes, c->gpus_per_node, c->gpu.name,
	       j->o->op == &ops[0] ? "sends in all, its own part included" :
	       "holds, as nccl-tests counts them", "size", "time", "algbw",
	       "busbw", "(B)", "(us)", "(GB/s)", "(GB/s)");
	for (i = 0; i < j->n_rows; i++) {
		const struct alltoall_row *r = &j->row[i];

		printf("%16.0f %13.2f %10.2f %10.2f\n", r->bytes,
		       r->time_s * 1e6, r->algbw_Bps / 1e9,
		       r->busbw_Bps / 1e9);
	}
	return ST_OK;
}

static enum status run_table(struct alltoall_job *j)
{
	enum status st;

	fill_sizes(j);
	if (j->o->op->n_ways)
		st = table_ring(j);
	else if (j->o->ideal)
		st = table_ideal(j);
	else
		st = table_alltoall(j);
	if (st)
		return st;
	fill_bandwidth(j);
	return print_table(j);
}

static enum status check_direct(const struct alltoall_opts *o,
				const struct cluster *c)
{
	const char *why = NULL;

	if (o->op == &ops[0] && o->algorithm == A2A_DIRECT)
		why = direct_why_not(c, cluster_gpus(c), 1);
	return why ? err_set(ST_INPUT, "--algorithm: 'direct', but %s", why) :
		ST_OK;
}

static enum status run(const struct alltoall_opts *o, const struct scenario *s)
{
	struct alltoall_job *j = xcalloc(1, sizeof(*j));
	static const struct progress progress = { cli_progress,
						  (void *)"flows" };
	enum status st;

	j->o = o;
	st = check_direct(o, &s->cluster);
	if (st)
		goto out;
	st = net_init(&j->net, &s->cluster,
		      o->ideal ? NET_NOMINAL : NET_EFFECTIVE);
	if (st)
		goto out;
	j->spec = (struct coll_spec){ .net = &j->net, .comm = s->comm,
				      .progress = &progress,
				      .merge_s = o->merge_s };
	if (o->ideal)
		j->spec.comm.window = 0;
	st = o->matrix ? alltoall_matrix(j) : run_table(j);
	net_release(&j->net);
out:
	free(j);
	return st;
}

enum status cmd_alltoall(int argc, char **argv)
{
	struct alltoall_opts o = { .op = &ops[0], .min_bytes = MIN_DEFAULT,
			  .factor = FACTOR_DEFAULT };
	struct profile_use profile = { 0 };
	struct scenario s;
	enum status st;

	st = cli_parse(&argp, argc, argv, &o);
	if (o.max_bytes == 0)	/* not given */
		o.max_bytes = fmax(o.min_bytes, MAX_DEFAULT);
	if (!st)
		st = check_opts(&o);
	if (!st)
		st = cli_load_cluster(&o.common, &s);
	if (st)
		goto out;
	st = profile_use_load(&profile, &s);
	if (!st)
		st = run(&o, &s);
	scenario_release(&s);
	profile_use_release(&profile);
out:
	cli_common_release(&o.common);
	return st;
}
