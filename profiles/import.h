/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Imports: one file and one row of import_table each.
 *
 * A reader turns a text into samples, a cluster or a model; what it did not
 * use is listed by line and reason. It reads and decides, it stores nothing:
 * import_store() does, and the same bytes twice add nothing (a run's key is
 * a hash of kind and content).
 *
 *	struct import im = { 0 };
 *
 *	st = import_find("nccl-tests")->read(name, text, len, &im);
 *	if (!st)
 *		st = import_store(&im, "nccl-tests", text, len, db, &added);
 *	import_release(&im);
 *
 * Texts may be anything: readers bound what they keep, and a sample that
 * sample_check() refuses becomes a skipped line.
 *
 * nccl-tests' rows give one sample for each of the two times: out-of-place
 * with the variant that moecast-run uses ("even" for alltoall, else ""), and
 * in-place with variant "in-place", so that fits keep them apart.
 */
#ifndef PROFILES_IMPORT_H
#define PROFILES_IMPORT_H

#include "base/status.h"
#include "scenarios/notes.h"
#include "scenarios/sample.h"
#include "scenarios/scenario.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMPORT_BYTES_MAX (16 << 20)
#define IMPORT_SAMPLES_MAX 400000	/* of one file */

/* Samples sample[first], ... up to the next run's first are of this run. */
struct import_run {
	struct run_info info;
	size_t first;
};

struct import {
	struct import_run *run;	/* owned; starts at a change of run_info */
	size_t n_runs, cap_runs;
	struct sample *sample;	/* owned */
	size_t n_samples, cap_samples;
	int rows;	/* of the text that were used */
	/*
	 * Topologies: a cluster of one node, of which only what the text
	 * says is not 0 (node_topo.h); cluster_print(CLUSTER_PART) and
	 * scenario_parse_cluster() make a whole one of it.
	 */
	bool has_cluster;
	struct cluster cluster;
	bool has_model;
	struct model model;
	struct notes skip;
};

struct import_row {
	const char *kind;	/* "nccl-tests", "nccl-topo", ... */
	const char *help;
	bool stores;		/* samples; else there is nothing to store */
	enum status (*read)(const char *name, const char *text, size_t len,
			    struct import *out);
};

extern const struct import_row import_table[];	/* ends with a NULL kind */

const struct import_row *import_find(const char *kind);	/* or NULL */

enum status import_nccl(const char *name, const char *text, size_t len,
			struct import *out);
enum status import_topo_xml(const char *name, const char *text, size_t len,
			    struct import *out);
enum status import_smi(const char *name, const char *text, size_t len,
		       struct import *out);
enum status import_csv(const char *name, const char *text, size_t len,
		       struct import *out);
enum status import_model(const char *name, const char *text, size_t len,
			 struct import *out);

/*
 * For readers. What all runs of a file share: backend "import", source "KIND,
 * file NAME" without the directory.
 */
struct run_info import_info(const char *kind, const char *name);

/* The sample belongs to a run with that info; false (and a skipped line)
 * when sample_check() refuses it. */
bool import_sample(struct import *im, int line, const struct run_info *info,
		   const struct sample *s);

/*
 * "alltoall" of "alltoall", "alltoall_perf", "all_to_all", "AllToAll"; NULL
 * for what is not one of our exchanges.
 */
const char *import_op(const char *text);

void import_release(struct import *im);

struct store;

/* All runs of the import; *added_p: samples that were not there before. */
enum status import_store(const struct import *im, const char *kind,
			 const char *text, size_t len, struct store *db,
			 int64_t *added_p);

/* A line that was not used and why: jsonl.h. */
struct import_skip {
	int line;
	char why[120];
};

#endif
