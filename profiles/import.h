/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Imports: one file and one row of import_table each.
 *
 * A reader turns a text into samples (or a cluster); what it skipped is
 * listed by line and reason. Importing the same bytes twice adds nothing
 * (the run's key is a hash of kind and content).
 */
#ifndef PROFILES_IMPORT_H
#define PROFILES_IMPORT_H

#include "base/status.h"
#include "scenarios/sample.h"
#include "scenarios/scenario.h"

#include <stddef.h>

struct import_skip {
	int line;
	char why[120];
};

struct import {
	struct run_info info;
	struct sample *sample;	/* owned */
	size_t n_samples, cap_samples;
	bool has_cluster;
	struct cluster cluster;	/* topologies */
	struct import_skip *skip;	/* owned */
	size_t n_skips, cap_skips;
};

struct import_row {
	const char *kind;	/* "nccl-tests", "nccl-topo", ... */
	const char *help;
	enum status (*read)(const char *name, const char *text, size_t len,
			    struct import *out);
};

extern const struct import_row import_table[];	/* ends with a NULL kind */

void import_sample(struct import *im, const struct sample *s);
void import_skip(struct import *im, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void import_release(struct import *im);

#endif
