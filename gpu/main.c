/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * moecast-run: reads a job, runs it, writes what it finds as JSON lines
 * (gpu/job.h). The only file of gpu/ that prints and ends the program.
 */
#include "config.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "gpu/mpi_link.h"
#include "gpu/pass.h"
#include "gpu/run.h"
#include "gpu/run_layer.h"
#include "gpu/watchdog.h"
#include "scenarios/sample_line.h"

#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READ_STEP 4096
#define STDOUT_WAIT_S 1	/* for the lock, before the end is written anyway */

enum { KEY_TIER = 0x1000, KEY_SHARE, KEY_NODES };

struct opts {
	const char *job_path;	/* NULL: stdin */
	struct run_options run;
	int nodes;		/* emulated, instead of the job's; 0: as it */
	int members;	/* processes that mpirun started; 1: none did */
};

/* Lines must not mix: the watchdog writes one, too. */
static struct output {
	pthread_mutex_t lock;
	int64_t samples;
	const struct backend_ops *ops;	/* what runs, for the watchdog */
	struct backend *b;
	int ranks;		/* of the first backend that ran */
	double deadline_s;
	char what[160];		/* the last progress */
} output = { .lock = PTHREAD_MUTEX_INITIALIZER };

static enum status put_line(const char *text)
{
	bool bad;

	pthread_mutex_lock(&output.lock);
	bad = fputs(text, stdout) < 0 || fflush(stdout);
	pthread_mutex_unlock(&output.lock);
	watchdog_kick();
	return bad ? err_set(ST_FAIL, "cannot write to stdout: %m") : ST_OK;
}

static char *json_line(json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(17));
	char *line = xasprintf("%s\n", text ? text : "{}");

	free(text);
	json_decref(j);
	return line;
}

static enum status put_json(json_t *j)
{
	char *line = json_line(j);
	enum status st = put_line(line);

	free(line);
	return st;
}

/* Texts of the machine may be anything; JSON is UTF-8. */
static json_t *error_json(const char *message)
{
	json_t *text = json_string(message);

	if (!text)
		text = json_string("(a message that is no text)");
	return json_pack("{s:s, s:o}", "type", "error", "message", text);
}

static void put_date(struct run_info *r)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(r->date, sizeof(r->date), "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static enum status sink_run(void *arg, const struct run_info *info)
{
	struct run_info r = *info;
	struct buf b = { 0 };
	enum status st;

	(void)arg;
	snprintf(r.source, sizeof(r.source), "moecast-run");
	snprintf(r.version, sizeof(r.version), "%s", PACKAGE_VERSION);
	if (gethostname(r.host, sizeof(r.host) - 1))
		r.host[0] = '\0';
	put_date(&r);
	sample_line_put_run(&b, &r);
	st = put_line(buf_str(&b));
	buf_release(&b);
	return st;
}

/* The rows of one case come together: one write. */
static enum status sink_samples(void *arg, const struct sample *s, int n)
{
	struct buf b = { 0 };
	enum status st;
	int i;

	(void)arg;
	for (i = 0; i < n; i++)
		sample_line_put(&b, &s[i]);
	st = put_line(buf_str(&b));
	output.samples += n;
	buf_release(&b);
	return st;
}

static enum status sink_progress(void *arg, double spent_s, double budget_s,
				 const char *what)
{
	(void)arg;
	pthread_mutex_lock(&output.lock);
	snprintf(output.what, sizeof(output.what), "%s", what);
	pthread_mutex_unlock(&output.lock);
	return put_json(json_pack("{s:s, s:f, s:f, s:s}", "type", "progress",
				  "done", spent_s < budget_s ? spent_s
							     : budget_s,
				  "total", budget_s, "what", what));
}

static void sink_beat(void *arg)
{
	(void)arg;
	watchdog_kick();
}

static void sink_backend(void *arg, const struct backend_ops *ops,
			 struct backend *b)
{
	struct backend_info info;

	(void)arg;
	if (b && !output.ranks) {
		ops->info(b, &info);
		output.ranks = info.ranks;
	}
	pthread_mutex_lock(&output.lock);
	output.ops = ops;
	output.b = b;
	pthread_mutex_unlock(&output.lock);
}

/* The reader may be stuck with the lock held: then without it. */
static void too_late(void)
{
	struct timespec until;
	char *message, *line;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STDOUT_WAIT_S;
	pthread_mutex_timedlock(&output.lock, &until);
	message = xasprintf("no progress for %g s%s%s", output.deadline_s,
			    *output.what ? " at " : "", output.what);
	line = json_line(error_json(message));
	if (write(STDOUT_FILENO, line, strlen(line)) < 0)
		output.deadline_s = 0;	/* nobody listens */
	pass_kill();
	if (output.ops && output.ops->abort)
		output.ops->abort(output.b);
	/* mpirun takes it as the end of all */
	_exit(ST_FAIL);
}

/* What another moecast-run wrote: handed on, but one end for all. */
static enum status forward_line(void *arg, const char *line)
{
	struct sample_line l;
	enum status st = sample_line_parse(line, strlen(line), &l);
	char *copy;

	(void)arg;
	if (st)
		return st;
	if (l.kind == SAMPLE_LINE_ERROR)
		return err_set(ST_FAIL, "%s", l.text);
	output.samples += l.kind == SAMPLE_LINE_SAMPLE;
	if (l.kind == SAMPLE_LINE_END)
		return ST_OK;
	copy = xasprintf("%s\n", line);
	st = put_line(copy);
	free(copy);
	return st;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define SHARE_MIN 0.5	/* of a tier's usual one, when others were late */

/* What is left of the budget, by the tiers' shares. */
static double share_left(const struct job *j, double left,
			 const char *const *tier, int n)
{
	double sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += run_tier_share(j, tier[i]);
	return fmin(run_tier_share(j, tier[0]) * fmax(left / sum, SHARE_MIN), 1);
}

static enum status run_others(const struct job *j, const char *const *tier,
			      int n, double start_s, const struct buf *text)
{
	const struct backend_ops *ops;
	enum status st = backend_find(j->backend, &ops);
	double budget_s = run_budget_s(j), left;
	int i, nodes;

	for (i = 0; i < n && !st; i++) {
		left = 1 - (now_s() - start_s) / fmax(budget_s, 1e-9);
		nodes = !run_has_layers(j) && ops->emulated_tier &&
			!strcmp(ops->emulated_tier, tier[i]) ? output.ranks : 0;
		st = pass_run(tier[i], share_left(j, left, tier + i, n - i),
			      nodes, nodes ? NULL : ops->tier_env(tier[i]),
			      buf_str(text), text->len, forward_line, NULL);
	}
	return st;
}

/* Of the processes that mpirun started, if it did. */
static enum status run_measuring(const struct opts *o, const struct job *j,
				 const char **other, int *n_other_p)
{
	static const struct run_sink sink = {
		NULL, sink_run, sink_samples, sink_progress, sink_beat,
		sink_backend
	};
	const struct backend_options options = {
		j->ranks, j->emulate_nodes, j->seed, NULL
	};
	struct run_options run = o->run;
	struct team_link team;
	enum status st = ST_OK;

	if (o->members > 1) {
		st = mpi_team(j->backend, &options, &team);
		run.team = &team;
	}
	return st ? st : run_job(j, &run, &sink, other, n_other_p);
}

static enum status run(const struct opts *o, const struct buf *text)
{
	const char *other[BACKEND_TIERS_MAX];
	double start_s = now_s();
	struct job j;
	int n_other = 0;
	enum status st = job_parse(buf_str(text), text->len, &j);

	if (st)
		return st;
	if (o->nodes)
		j.ranks = j.emulate_nodes = o->nodes;
	output.deadline_s = j.deadline_s;
	st = watchdog_start(j.deadline_s, too_late);
	if (!st) {
		st = run_measuring(o, &j, other, &n_other);
		if (!st)
			st = run_others(&j, other, n_other, start_s, text);
		watchdog_stop();
	}
	job_release(&j);
	return st;
}

static enum status read_job(const struct opts *o, struct buf *out)
{
	FILE *f = o->job_path ? fopen(o->job_path, "re") : stdin;
	char piece[READ_STEP];
	enum status st = ST_OK;
	size_t n;

	if (!f)
		return err_set(ST_INPUT, "cannot read '%s': %m", o->job_path);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0 &&
	       out->len <= JOB_TEXT_MAX)
		buf_add(out, piece, n);
	if (ferror(f))
		st = err_set(ST_INPUT, "cannot read the job: %m");
	if (f != stdin)
		fclose(f);
	return st;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	char *end;

	switch (key) {
	case KEY_TIER:
		o->run.tier = arg;
		return 0;
	case KEY_SHARE:
		o->run.budget_share = strtod(arg, &end);
		if (*end || !(o->run.budget_share > 0) ||
		    o->run.budget_share > 1)
			argp_error(state, "--budget-share: '%s' is not a "
				   "number above 0, up to 1", arg);
		return 0;
	case KEY_NODES:
		o->nodes = (int)strtol(arg, &end, 10);
		if (*end || o->nodes < 2)
			argp_error(state, "--emulate-nodes: '%s' is not a "
				   "number from 2 up", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (o->job_path)
			argp_error(state, "unexpected argument '%s'", arg);
		o->job_path = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "tier", KEY_TIER, "TIER", 0,
	  "the exchanges of this tier only", 0 },
	{ "budget-share", KEY_SHARE, "X", 0,
	  "take this part of the job's time", 0 },
	{ "emulate-nodes", KEY_NODES, "N", 0,
	  "as N nodes of one rank each, whatever the job says", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[JOB]",
	.doc = "Runs a measuring job (JSON; from a file or stdin) on this "
	       "machine's devices and writes the samples as JSON lines. "
	       "'moecast profile' starts it.",
};

static void end_members(enum status st)
{
	if (st)
		mpi_abort(st);
	else
		mpi_end();
}

const char *argp_program_version = "moecast-run " PACKAGE_VERSION;

int main(int argc, char **argv)
{
	struct opts o = { 0 };
	struct buf text = { 0 };
	enum status st;

	argp_err_exit_status = ST_INPUT;
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	/* a reader that has gone is an error of ours, not a silent end */
	signal(SIGPIPE, SIG_IGN);
	st = mpi_start(&o.members);
	if (!st && mpi_member() > 0)
		return (int)mpi_serve();
	if (!st)
		st = read_job(&o, &text);
	if (!st)
		st = run(&o, &text);
	if (st)
		put_json(error_json(err_msg()));
	else
		st = put_json(json_pack("{s:s, s:I}", "type", "end", "samples",
					(json_int_t)output.samples));
	buf_release(&text);
	if (o.members > 1)
		end_members(st);
	return (int)st;
}
