/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a job measures, as series: one op at one shape, over sizes. The
 * tasks of the job, or the standard profile of its backend, crossed with the
 * tiers that the backend has.
 */
#ifndef GPU_SUITE_H
#define GPU_SUITE_H

#include "gpu/adapt.h"
#include "gpu/backend.h"
#include "gpu/job.h"

struct series {
	struct bench_case c;	/* all but the size */
	struct adapt a;		/* of bytes; gemm: of m */
	double penalty;		/* among first sizes: later ones come later */
	double weight;		/* of its errors; below 1: a lesser one */
	/* sizes up to windows_max are measured so often, with all others
	 * between: what else the machine does comes and goes */
	int windows;
	double windows_max;
	bool is_late;		/* after all gaps and windows */
	bool is_held;		/* runs until the clock is that of long work */
	bool done;
};

struct suite {
	int n;
	struct series *s;	/* owned */
};

/* JSON of the standard profile's job: tasks, budgets. NULL: no such
 * backend. */
const char *suite_standard(const char *backend, bool quick);

/*
 * tiers: those to measure now. only_exchanges: leaves out what has no tier.
 * ST_INPUT when a task cannot be done by this backend on any tier. Sizes
 * that do not fit in memory are left out.
 */
enum status suite_build(const struct job *j, const struct backend_ops *ops,
			struct backend *b, const struct backend_info *info,
			const char *const *tiers, int n_tiers,
			bool only_exchanges, struct suite *out);
void suite_release(struct suite *s);

/* The case of a series at a size; false: it has none (too large). */
bool suite_case(const struct series *s, double size, uint64_t max_bytes,
		struct bench_case *out);

#endif
