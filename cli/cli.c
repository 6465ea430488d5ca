/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include "base/mem.h"
#include "base/units.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEY_SET 0x1000
#define KEY_JSON 0x1001

static const struct argp_option common_options[] = {
	{ "json", KEY_JSON, NULL, 0, "print one JSON object", 0 },
	{ "set", KEY_SET, "KEY=VALUE", 0,
	  "override a scenario key (repeatable)", 0 },
	{ 0 },
};

static void add_set(struct cli_common *c, const char *text)
{
	c->sets = xrealloc_array(c->sets, (size_t)c->n_sets + 1,
				 sizeof(*c->sets));
	c->sets[c->n_sets++].text = text;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct cli_common *c = state->input;

	switch (key) {
	case KEY_JSON:
		c->json = true;
		return 0;
	case KEY_SET:
		add_set(c, arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct cli_common *c = state->input;

	if (key != ARGP_KEY_ARG)
		return parse_option(key, arg, state);
	if (c->input)
		return cli_usage("unexpected argument '%s'", arg);
	c->input = arg;
	return 0;
}

const struct argp cli_common_argp = { .options = common_options,
				      .parser = parse_common };
const struct argp cli_common_noarg_argp = { .options = common_options,
					    .parser = parse_option };

error_t cli_usage(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(ST_INPUT, "%s", text);
	return EINVAL;
}

enum status cli_parse(const struct argp *argp, int argc, char **argv,
		      void *input)
{
	error_t e;

	err_clear();
	/* argp itself prints "unknown option" and exits with this status */
	argp_err_exit_status = ST_INPUT;
	e = argp_parse(argp, argc, argv, 0, NULL, input);
	if (!e)
		return ST_OK;
	if (!*err_msg())
		err_set(ST_INPUT, "wrong usage: %s", strerror(e));
	return ST_INPUT;
}

enum status cli_need_input(const struct cli_common *c, const char *what)
{
	if (c->input)
		return ST_OK;
	return err_set(ST_INPUT, "%s is missing; try --help", what);
}

void cli_common_release(struct cli_common *c)
{
	free(c->sets);
	*c = (struct cli_common){ 0 };
}

enum status cli_load(const struct cli_common *c, struct scenario *s)
{
	enum status st = cli_need_input(c, "scenario file");

	if (st)
		return st;
	return scenario_load(s, c->input, c->sets, c->n_sets);
}

enum status cli_load_cluster(const struct cli_common *c, struct scenario *s)
{
	enum status st = cli_need_input(c, "scenario file");

	if (st)
		return st;
	return scenario_load_cluster(s, c->input, c->sets, c->n_sets);
}

error_t cli_quantity(const char *option, const char *text, int unit_kind,
		     double *value_p)
{
	if (unit_parse(text, (enum unit_kind)unit_kind, value_p))
		return 0;
	return cli_usage("%s: '%s' is not %s", option, text,
			 unit_expected((enum unit_kind)unit_kind));
}

error_t cli_int(const char *option, const char *text, long min, long max,
		int *value_p)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < min || v > max)
		return cli_usage("%s: '%s' is not a number in %ld..%ld",
				 option, text, min, max);
	*value_p = (int)v;
	return 0;
}

enum status cli_print_json(json_t *root)
{
	size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(12);
	int bad = json_dumpf(root, stdout, flags);

	json_decref(root);
	if (bad || printf("\n") < 0 || fflush(stdout))
		return err_set(ST_FAIL, "cannot write to stdout: %m");
	return ST_OK;
}

static bool progress_shown;

/* Share of the work after which its pace tells the time that is left. */
#define ENOUGH_TO_GUESS 0.1

void cli_progress(void *what, double done, double total)
{
	static time_t began, last;
	time_t now = time(NULL);

	if (!isatty(STDERR_FILENO))
		return;
	if (!progress_shown && !began)
		began = now;
	if (now == last || now - began < 1 || done <= 0)
		return;
	last = now;
	progress_shown = true;
	fprintf(stderr, "\r%s %3.0f %%", (const char *)what,
		100 * done / total);
	if (done > ENOUGH_TO_GUESS * total)
		fprintf(stderr, ", %.0f s left ",
			(double)(now - began) * (total - done) / done);
}

void cli_progress_end(void)
{
	if (progress_shown)
		fprintf(stderr, "\r\033[K");
	progress_shown = false;
}

void cli_warn(const char *fmt, ...)
{
	va_list ap;

	cli_progress_end();
	fputs("moecast: warning: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}
