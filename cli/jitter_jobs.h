/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plan's jittered runs, spread over processes. Run i is the same whatever
 * process takes it (sim/jitter.h), so the times do not depend on `jobs`.
 */
#ifndef CLI_JITTER_JOBS_H
#define CLI_JITTER_JOBS_H

#include "sim/jitter.h"

#define JITTER_JOBS_MAX 1024

/* faults.repeats runs of an evaluated plan. */
enum status jitter_jobs(const struct fault_spec *f, struct evaluation *e,
			enum exec_model model, int jobs,
			struct jitter_stats *out);

#endif
