/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "base/outfile.h"
#include "cli/cli.h"

#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cmd commands[] = {
	{ "plan", "SCENARIO [--top N] [--explain] [-o PLAN]",
	  "find the fastest schedule and capacity", cmd_plan },
	{ "simulate", "SCENARIO [--plan PLAN] [--trace FILE] [--model M]",
	  "run one plan in virtual time", cmd_simulate },
	{ "alltoall", "SCENARIO [--algorithm A] [-b MIN -e MAX -f FACTOR] ...",
	  "one collective: nccl-tests' table, or a matrix", cmd_alltoall },
	{ "model", "FILE", "what a model file says", cmd_model },
	{ "topo", "SCENARIO [-o FILE.svg|.png]",
	  "the cluster as a tree or a drawing", cmd_topo },
	{ "capacity", "SCENARIO",
	  "capacity factor against drops, padding and time", cmd_capacity },
	{ "compress", "[FILE] [--method M] [--hashes Q] ...",
	  "how far tokens compress, and at what error", cmd_compress },
	{ "sweep", "SCENARIO --set KEY=V1,V2 ... --db FILE [--jobs N] ...",
	  "a grid of scenarios, each at its best plan", cmd_sweep },
	{ "sensitivity", "SCENARIO [--steps N]",
	  "which resource pays next", cmd_sensitivity },
	{ "share", "SCENARIO SCENARIO... [--place block|interleaved]",
	  "several jobs on one fabric: who slows whom", cmd_share },
	{ "profile", "--db FILE [--backend cuda|host] [--quick]",
	  "measure this machine, store, fit", cmd_profile },
	{ "validate", "SCENARIO --db FILE [--plans N] [--replay FILE]",
	  "run plans, compare with the forecast", cmd_validate },
	{ "import", "KIND FILE --db FILE [-o CLUSTER.yaml]",
	  "take in logs, topologies, tables", cmd_import },
	{ "keys", "", "every scenario key", cmd_keys },
	{ "db", "FILE [--check] [--migrate]",
	  "what a profile database holds", cmd_db },
	{ "report", "--db FILE -o DIR",
	  "figures and a page of a database's fits", cmd_report },
	{ "reproduce", "PAPER|all [-o DIR]",
	  "a paper's table by simulation, beside its numbers",
	  cmd_reproduce },
	{ 0 },
};

static void print_help(FILE *out)
{
	const struct cmd *c;

	fputs("Usage: moecast COMMAND [OPTION...]\n\n"
	      "Forecasts mixture-of-experts layers on GPU clusters and picks "
	      "the schedule\nand the capacity that cost least.\n\n", out);
	for (c = commands; c->name; c++)
		fprintf(out, "  %-11s %s\n", c->name, c->help);
	fputs("\n'moecast COMMAND --help' tells more; moecast(1), "
	      "moecast-scenario(5).\n", out);
}

static const struct cmd *find_command(const char *name)
{
	const char *names[64];
	const struct cmd *c;
	char hint[128];
	size_t n = 0;

	for (c = commands; c->name; c++) {
		if (!strcmp(c->name, name))
			return c;
		names[n++] = c->name;
	}
	err_set(ST_INPUT, "unknown command '%s'%s", name,
		nearest_hint(name, names, n, hint, sizeof(hint)));
	return NULL;
}

static int fail(const char *where, enum status st)
{
	cli_progress_end();
	fprintf(stderr, "moecast%s%s: %s\n", where ? " " : "",
		where ? where : "", err_msg());
	return (int)st;
}

static int run_command(const struct cmd *c, int argc, char **argv)
{
	enum status st;
	char *name = xasprintf("moecast %s", c->name);

	argv[0] = name;	/* what argp shows in --help and errors */
	st = c->run(argc, argv);
	free(name);
	if (!st && fflush(stdout))
		st = err_set(ST_FAIL, "cannot write to stdout: %m");
	return st ? fail(c->name, st) : 0;
}

int main(int argc, char **argv)
{
	const struct cmd *c;

	gsl_set_error_handler_off();
	outfile_on_signal();
	if (argc < 2) {
		print_help(stderr);
		return ST_INPUT;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		puts(PACKAGE_STRING);
		return 0;
	}
	c = find_command(argv[1]);
	return c ? run_command(c, argc - 1, argv + 1) : fail(NULL, ST_INPUT);
}
