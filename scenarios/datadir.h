/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the shipped data files are. The first of these that has the file
 * gives it:
 *
 *	1. $MOECAST_DATA, when set
 *	2. ../share/moecast beside the directory of the running program: an
 *	   installation, wherever it was moved to
 *	3. scenarios/data of the source tree it was built from
 *	4. the configured $(pkgdatadir)
 *
 * So a program run from its build tree takes the tree's files even when
 * another version is installed, and an installed one takes its own even when
 * the source tree is still there.
 */
#ifndef SCENARIOS_DATADIR_H
#define SCENARIOS_DATADIR_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>

struct buf;

/* Kinds: one folder each. */
enum data_kind {
	DATA_GPU,
	DATA_CLUSTER,
	DATA_MODEL,
	DATA_SCENARIO,
	DATA_DEVICE,	/* devices.h */
	DATA_PROFILE,	/* measured_json.h */
	DATA_PAPER,	/* paper.h */
};

/*
 * The file that `name` means, in the arena: a shipped name ("h100-sxm"), or
 * the path of a file: relative to the directory of `beside` (a file name or
 * NULL), else to the working directory. A shipped name wins over a file in
 * the working directory that has no '/' and no suffix. ST_INPUT: "unknown
 * gpu 'h10-sxm' (did you mean 'h100-sxm'?)", without a position.
 */
enum status data_find(struct arena *a, enum data_kind kind, const char *name,
		      const char *beside, const char **path_p);

/* Has it a '/' or a suffix of YAML or JSON, so that it is no shipped name? */
bool data_is_path(const char *name);

/* A file (of any kind) relative to `beside` or to the working directory;
 * the path as given when it is nowhere. */
char *data_beside(struct arena *a, const char *path, const char *beside);

/* "a b c": the shipped names of a kind, sorted. */
void data_names(enum data_kind kind, struct buf *out);

#endif
