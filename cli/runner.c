/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/runner.h"

#include "base/mem.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "scenarios/sample_line.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The runner has the same deadline and says more: it goes first. */
#define GRACE_S 1

/* Beside this program's own file. */
char *runner_path(const char *option)
{
	const char *env = getenv(RUNNER_ENV);
	char self[PATH_MAX];
	char *slash;
	ssize_t n;

	if (option)
		return xstrdup(option);
	if (env && *env)
		return xstrdup(env);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return xstrdup(RUNNER);
	self[n] = '\0';
	slash = strrchr(self, '/');
	return xasprintf("%.*s/" RUNNER, slash ? (int)(slash - self) : 1,
			 slash ? self : ".");
}

/* With its first samples, so that no run is ever without. */
static enum status flush_batch(struct runner *s)
{
	enum status st;

	if (!s->n_batch)
		return ST_OK;
	if (!s->run)
		st = store_import(s->db, &s->info, NULL, s->batch, s->n_batch,
				  &s->run);
	else
		st = store_add(s->db, s->run, s->batch, s->n_batch);
	if (!st)
		s->stored += (int64_t)s->n_batch;
	s->n_batch = 0;
	return st;
}

static enum status take_sample(struct runner *s, const struct sample *sample)
{
	struct sample *row = &s->batch[s->n_batch];
	enum status st = ST_OK;

	if (!s->has_info)
		return err_set(ST_FAIL, "a sample came before its run");
	*row = *sample;
	if (s->sample)
		st = s->sample(s->arg, row);
	if (st)
		return st;
	s->n_batch++;
	return s->n_batch < RUNNER_BATCH_MAX ? ST_OK : flush_batch(s);
}

/* From here on samples belong to another run. */
static enum status take_run(struct runner *s, const struct run_info *info)
{
	enum status st = flush_batch(s);

	s->info = *info;
	s->has_info = true;
	s->run = 0;
	return st;
}

static enum status take_line(struct runner *s, const char *line)
{
	struct sample_line l;
	enum status st = sample_line_parse(line, strlen(line), &l);

	if (st)
		return ST_FAIL;	/* the runner's fault, no input of ours */
	switch (l.kind) {
	case SAMPLE_LINE_RUN:
		return take_run(s, &l.run);
	case SAMPLE_LINE_SAMPLE:
		return take_sample(s, &l.sample);
	case SAMPLE_LINE_PROGRESS:
		cli_progress((void *)(uintptr_t)s->what, l.done, l.total);
		return ST_OK;
	case SAMPLE_LINE_END:
		s->ended = true;
		return ST_OK;
	case SAMPLE_LINE_ERROR:
		snprintf(s->error, sizeof(s->error), "%s",
			 *l.text ? l.text : "an error without a message");
		return ST_OK;
	}
	return ST_OK;
}

/* Until the end of its output or an error of ours. */
static enum status listen(struct runner *s, struct child *c,
			  double deadline_s)
{
	const char *line = NULL;
	enum status st;
	int n = 0;

	for (;;) {
		st = child_line(c, deadline_s, &line);
		if (st || !line)
			return st;
		n++;
		st = take_line(s, line);
		if (st)
			return err_prefix(st, "line %d of " RUNNER "'s answer",
					  n);
		/* what came together is stored together */
		if (!child_has_line(c))
			st = flush_batch(s);
		if (st)
			return st;
	}
}

/* What its end means; its own words first. */
static enum status judge(const struct runner *s, enum status ended, int code)
{
	enum status st = code == ST_INPUT || code == ST_UNAVAILABLE ?
			 (enum status)code : ST_FAIL;

	if (*s->error)
		return err_set(st, "%s", s->error);
	if (ended)
		return ended;
	if (code)
		return err_set(st, RUNNER " ended with status %d and said "
			       "nothing", code);
	if (!s->ended)
		return err_set(ST_FAIL, RUNNER " ended before its work did");
	return ST_OK;
}

/* Ends the child; an error of ours, st, counts for more than its end. */
static enum status finish(struct runner *s, struct child *c,
			  double deadline_s, enum status st)
{
	char *why = xstrdup(err_msg());
	enum status ended, stored;
	int code;

	if (st)
		child_kill(c);
	stored = flush_batch(s);	/* whatever it was that went wrong */
	if (!st && stored) {
		st = stored;
		free(why);
		why = xstrdup(err_msg());
	}
	ended = child_end(c, deadline_s, &code);
	st = st ? err_set(st, "%s", why) : judge(s, ended, code);
	free(why);
	return st;
}

enum status runner_run(struct runner *s, const char *path, const char *job,
		       double deadline_s)
{
	const char *argv[] = { path, NULL };
	double with_grace_s = deadline_s + GRACE_S;
	struct child *c = NULL;
	enum status st = child_start(argv, job, strlen(job), &c);

	if (!st)
		st = finish(s, c, with_grace_s, listen(s, c, with_grace_s));
	cli_progress_end();
	if (st && s->stored)
		err_set(st, "%s; '%s' keeps the %lld samples that were "
			"finished", err_msg(), s->db_name,
			(long long)s->stored);
	return st;
}
