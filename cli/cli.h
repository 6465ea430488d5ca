/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the subcommands share: the command table, common options, output.
 *
 * Only cli/ writes to stdout and decides exit codes. A subcommand returns an
 * enum status; main() prints the message ("moecast plan: ...") and exits with
 * it. To add one: cmd_<name>.c with an argp parser, a row in main.c, a line
 * in local.mk, a section in doc/moecast.1, a test tests/t1NN-<name>.sh.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/status.h"
#include "scenarios/scenario.h"

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>

struct cmd {
	const char *name;
	const char *args;	/* "SCENARIO [--top N] ..." for the list */
	const char *help;	/* one line */
	enum status (*run)(int argc, char **argv);
};

extern const struct cmd commands[];	/* ends with a NULL name */

enum status cmd_plan(int argc, char **argv);
enum status cmd_simulate(int argc, char **argv);
enum status cmd_alltoall(int argc, char **argv);
enum status cmd_model(int argc, char **argv);
enum status cmd_topo(int argc, char **argv);
enum status cmd_capacity(int argc, char **argv);
enum status cmd_compress(int argc, char **argv);
enum status cmd_keys(int argc, char **argv);
enum status cmd_profile(int argc, char **argv);
enum status cmd_import(int argc, char **argv);
enum status cmd_db(int argc, char **argv);
enum status cmd_report(int argc, char **argv);
enum status cmd_validate(int argc, char **argv);
enum status cmd_sweep(int argc, char **argv);
enum status cmd_sensitivity(int argc, char **argv);
enum status cmd_reproduce(int argc, char **argv);
enum status cmd_share(int argc, char **argv);

/*
 * Options that most subcommands take: --json, --set KEY=VALUE (repeatable),
 * and one positional argument (the scenario or file). Use as the first argp
 * child with a struct cli_common as its input:
 *
 *	struct opts { struct cli_common common; int top; };
 *	static const struct argp_child children[] = {{&cli_common_argp}, {0}};
 *	in the parser: case ARGP_KEY_INIT:
 *		state->child_inputs[0] = &opts->common;
 *	st = cli_parse(&argp, argc, argv, &opts);
 */
struct cli_common {
	bool json;
	const char *input;	/* the positional argument, or NULL */
	struct scenario_set *sets;	/* owned; cli_common_release() */
	int n_sets;
};

extern const struct argp cli_common_argp;
extern const struct argp cli_common_noarg_argp;	/* no positional argument */

/*
 * argp_parse() with our habits: a wrong option or argument is ST_INPUT with
 * one message (use cli_usage() inside parsers), --help prints and exits 0.
 */
enum status cli_parse(const struct argp *argp, int argc, char **argv,
		      void *input);

/* For argp parsers: records the message and returns EINVAL. */
error_t cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "input missing" unless common->input is set. */
enum status cli_need_input(const struct cli_common *c, const char *what);
void cli_common_release(struct cli_common *c);

/* Loads the scenario of the common options; its cluster alone. */
enum status cli_load(const struct cli_common *c, struct scenario *s);
enum status cli_load_cluster(const struct cli_common *c, struct scenario *s);

/* Numbers of options: quantity with unit; ST_INPUT naming the option. */
error_t cli_quantity(const char *option, const char *text, int unit_kind,
		     double *value_p);
error_t cli_int(const char *option, const char *text, long min, long max,
		int *value_p);

/* One JSON object and a newline on stdout; takes the reference. Reals have
 * 12 significant digits; keys keep the order of insertion. */
enum status cli_print_json(json_t *root);

/* What `moecast model` says of a model. */
json_t *cli_model_json(const struct model *m);
void cli_model_print(const struct model *m);

/* Progress line on stderr when it is a terminal: "search 42 % 12 s left". */
void cli_progress(void *what, double done, double total);
void cli_progress_end(void);
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
