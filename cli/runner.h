/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Has the runner (gpu/job.h) do a job, and stores every row as soon as it is
 * there: whatever ends the run, the database has what was finished.
 *
 *	struct runner r = { .db = db, .db_name = path, .what = "measuring" };
 *	st = runner_run(&r, runner, job, deadline_s);
 */
#ifndef CLI_RUNNER_H
#define CLI_RUNNER_H

#include "base/status.h"
#include "profiles/store.h"

#include <stdbool.h>
#include <stdint.h>

#define RUNNER "moecast-run"
#define RUNNER_ENV "MOECAST_RUN"	/* another program instead */
#define RUNNER_BATCH_MAX 64

struct runner {
	struct store *db;	/* borrowed, like the texts */
	const char *db_name, *what;	/* for messages, for progress */
	/* sees every row before it is stored, and may change it; or NULL */
	enum status (*sample)(void *arg, struct sample *s);
	void *arg;
	/* what has come so far */
	struct run_info info;	/* of the run that samples belong to */
	bool has_info;
	int64_t run;		/* 0: not stored yet */
	struct sample batch[RUNNER_BATCH_MAX];
	size_t n_batch;
	int64_t stored;
	bool ended;
	char error[256];	/* what it said, or "" */
};

/* The option's, the environment's, or the one beside this program; free(). */
char *runner_path(const char *option);

/* Until its end; ST_UNAVAILABLE and ST_INPUT are the runner's. Nothing moved
 * for deadline_s: it is killed with all that it started. */
enum status runner_run(struct runner *s, const char *path, const char *job,
		       double deadline_s);

#endif
