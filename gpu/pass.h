/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Another moecast-run, for one tier that needs an environment of its own.
 * It gets the same job; its lines are handed on. It dies with us.
 */
#ifndef GPU_PASS_H
#define GPU_PASS_H

#include "base/status.h"

#include <stddef.h>

/* One line of the other's answer, without the newline, NUL-terminated. */
typedef enum status pass_line_fn(void *arg, const char *line);

/*
 * Runs "program --tier TIER --budget-share SHARE" (and, unless nodes is 0,
 * "--emulate-nodes NODES") with env ("NAME=VALUE" ..., NULL; NULL: none) added
 * and the job on stdin. ST_FAIL when it ended badly; when it
 * said why, the line function has seen that and failed with it.
 */
enum status pass_run(const char *tier, double budget_share, int nodes,
		     const char *const *env, const char *job, size_t job_len,
		     pass_line_fn *fn, void *arg);

/* Kills a pass that runs; from the watchdog's thread. */
void pass_kill(void);

#endif
