/* SPDX-License-Identifier: GPL-3.0-or-later */
/* moecast validate: runs plans and compares with what was foretold. */
#include "cli/validate.h"

#include "base/units.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define PLANS 5
#define PLANS_MAX 64
#define SPREAD 12
#define SPREAD_MAX 128
#define TOLERANCE 0.05
#define DEADLINE_S 120
#define BUDGET_S 3600
#define TIME_MAX_S 86400

enum { KEY_DB = 0x2000, KEY_PLANS, KEY_SPREAD, KEY_BACKEND, KEY_REPLAY,
       KEY_LAYERS, KEY_RUNNER, KEY_TIER, KEY_TOLERANCE, KEY_BUDGET,
       KEY_DEADLINE, KEY_SEED };

static const struct argp_option options[] = {
	{ "db", KEY_DB, "FILE", 0, "the database that takes the rows; its "
	  "benchmarks are what the forecast rests on", 0 },
	{ "plans", KEY_PLANS, "N", 0, "run the N best plans (5)", 0 },
	{ "spread", KEY_SPREAD, "N", 0, "and N others: layouts, capacities, "
	  "algorithms, degrees (12)", 0 },
	{ "backend", KEY_BACKEND, "cuda|host", 0, "what runs them: the GPUs "
	  "(the default), or the processor as a stand-in", 0 },
	{ "tier", KEY_TIER, "TIER", 0, "what joins the scenario's nodes, all "
	  "of them this machine's: shm or socket", 0 },
	{ "layers", KEY_LAYERS, "FILE", 0, "layers to run, one a line "
	  "(\"gpu=... nodes=...\"), instead of a scenario", 0 },
	{ "replay", KEY_REPLAY, "FILE", 0, "take measured rows from this "
	  "file of 'moecast db --save', and predict them afresh", 0 },
	{ "tolerance", KEY_TOLERANCE, "FRACTION", 0, "mean error that is "
	  "allowed; above it the exit code is 3 (5%)", 0 },
	{ "output", 'o', "DIR", 0, "draw predicted against measured, and the "
	  "order of plans", 0 },
	{ "budget", KEY_BUDGET, "TIME", 0, "begin no plan after that time "
	  "(1 hour)", 0 },
	{ "deadline", KEY_DEADLINE, "TIME", 0,
	  "give up when nothing moves for so long (120s)", 0 },
	{ "seed", KEY_SEED, "N", 0, "of the random data (1)", 0 },
	{ "runner", KEY_RUNNER, "PATH", 0, "the running program, if not "
	  "moecast-run beside this one or $MOECAST_RUN", 0 },
	{ 0 },
};

static error_t parse_time(const char *option, const char *arg, double *out)
{
	double s;
	error_t e = cli_quantity(option, arg, U_TIME, &s);

	if (e)
		return e;
	if (!(s >= 0.1 && s <= TIME_MAX_S))
		return cli_usage("%s: '%s' is not in 100ms..1 day", option,
				 arg);
	*out = s;
	return 0;
}

static error_t parse_tolerance(const char *arg, double *out)
{
	return cli_quantity("--tolerance", arg, U_FRACTION, out);
}

static error_t parse_number(int key, char *arg, struct validate *v)
{
	switch (key) {
	case KEY_PLANS:
		return cli_int("--plans", arg, 1, PLANS_MAX, &v->plans);
	case KEY_SPREAD:
		return cli_int("--spread", arg, 0, SPREAD_MAX, &v->spread);
	case KEY_SEED:
		return cli_int("--seed", arg, 0, INT_MAX, &v->seed);
	case KEY_TOLERANCE:
		return parse_tolerance(arg, &v->tolerance);
	case KEY_BUDGET:
		return parse_time("--budget", arg, &v->budget_s);
	case KEY_DEADLINE:
		return parse_time("--deadline", arg, &v->deadline_s);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_tier(const char *arg, struct validate *v)
{
	if (strcmp(arg, "shm") && strcmp(arg, "socket"))
		return cli_usage("--tier: '%s' is neither shm nor socket",
				 arg);
	v->tier = arg;
	return 0;
}

static error_t parse_backend(const char *arg, struct validate *v)
{
	if (strcmp(arg, "cuda") && strcmp(arg, "host"))
		return cli_usage("--backend: '%s' is neither cuda nor host",
				 arg);
	v->backend = arg;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct validate *v = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &v->common;
		return 0;
	case KEY_DB:
		v->db = arg;
		return 0;
	case KEY_BACKEND:
		return parse_backend(arg, v);
	case KEY_TIER:
		return parse_tier(arg, v);
	case KEY_LAYERS:
		v->layers = arg;
		return 0;
	case KEY_REPLAY:
		v->replay = arg;
		return 0;
	case 'o':
		v->out_dir = arg;
		return 0;
	case KEY_RUNNER:
		v->runner = arg;
		return 0;
	default:
		return parse_number(key, arg, v);
	}
}

static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 },
					      { 0 } };
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[SCENARIO]",
	.doc = "Runs the planner's best plans, the baselines and others as "
	       "real layers on this machine, and says how far off the "
	       "forecast is and whether the chosen plan is the fastest.",
	.children = children,
};

static enum status check_opts(const struct validate *v)
{
	if (v->layers && v->replay)
		return err_set(ST_INPUT, "--layers and --replay: one of them");
	if (v->layers && v->common.input)
		return err_set(ST_INPUT, "'%s' and --layers: one of them",
			       v->common.input);
	if (v->layers && v->tier)
		return err_set(ST_INPUT, "--tier: lines of --layers say it");
	if (!v->db && !v->replay)
		return err_set(ST_INPUT, "--db FILE is missing; try --help");
	if (v->layers || v->replay)
		return ST_OK;
	return cli_need_input(&v->common, "scenario");
}

static enum status see_group(void *arg, const struct store_group *g)
{
	struct validate *v = arg;

	v->has_benchmarks |= strcmp(g->op, "layer") != 0;
	return ST_OK;
}

/* A replay only reads, and what is not there yet has no benchmarks. */
static enum status open_store(struct validate *v)
{
	enum status st;

	if (!v->db || (v->replay && access(v->db, F_OK)))
		return ST_OK;
	st = store_open(v->db, v->replay ? STORE_READ : STORE_WRITE,
			&v->store);
	return st ? st : store_each_group(v->store, see_group, v);
}

/* In a replay the scenario is not what was run; it must be one, though. */
static enum status check_scenario(const struct validate *v)
{
	struct scenario s;
	enum status st;

	if (!v->common.input)
		return ST_OK;
	st = cli_load(&v->common, &s);
	if (!st)
		scenario_release(&s);
	return st;
}

static enum status measure(struct validate *v, struct contests *all)
{
	enum status st;

	if (v->replay) {
		st = check_scenario(v);
		return st ? st : validate_replay(v, all);
	}
	st = validate_layers(v, all);
	if (!st)
		st = validate_plans(v, all);
	return st ? st : validate_run(v, all);
}

static enum status outcome(const struct validate *v, const struct summary *s)
{
	if (s->wrong)
		return err_set(ST_MISMATCH, "%d plan%s gave wrong results",
			       s->wrong, s->wrong > 1 ? "s" : "");
	if (s->mean > v->tolerance)
		return err_set(ST_MISMATCH, "the forecast is %.1f %% off on "
			       "average, %.1f %% are allowed", 100 * s->mean,
			       100 * v->tolerance);
	return ST_OK;
}

static enum status validate(struct validate *v)
{
	struct contests all = { 0 };
	struct summary s = { 0 };
	enum status st = check_opts(v);

	if (!st)
		st = open_store(v);
	if (!st)
		st = measure(v, &all);
	if (!st) {
		validate_judge(&all, &s);
		st = validate_print(v, &all, &s);
	}
	if (!st && v->out_dir)
		st = validate_draw(v, &all);
	if (!st)
		st = outcome(v, &s);
	summary_release(&s);
	contests_release(&all);
	store_close(v->store);
	return st;
}

enum status cmd_validate(int argc, char **argv)
{
	struct validate v = { .backend = "cuda", .plans = PLANS,
			      .spread = SPREAD, .seed = 1,
			      .tolerance = TOLERANCE,
			      .deadline_s = DEADLINE_S,
			      .budget_s = BUDGET_S };
	enum status st = cli_parse(&argp, argc, argv, &v);

	if (!st)
		st = validate(&v);
	cli_common_release(&v.common);
	return st;
}
