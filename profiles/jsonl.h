/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Samples as text: JSON lines as the runner writes them
 * (scenarios/sample_line.h). A run line starts a run, the samples after it
 * belong to it. Measurements ship in this form (profiles/data).
 *
 * Each run is loaded in one transaction under a key that is a hash of its
 * content (of what the lines mean, not of their spelling), so loading a text
 * again adds nothing, whole or piece by piece, and whatever its name.
 *
 *	struct jsonl_result r = { 0 };
 *
 *	st = store_load_jsonl(db, name, text, len, &r);
 *	jsonl_result_release(&r);
 */
#ifndef PROFILES_JSONL_H
#define PROFILES_JSONL_H

#include "base/status.h"
#include "profiles/import.h"
#include "profiles/store.h"

#include <stddef.h>

struct jsonl_result {
	size_t runs, samples;	/* added */
	size_t runs_known;	/* left out: the database has them */
	struct import_skip *skip;	/* owned */
	size_t n_skips, cap_skips;
};

/*
 * A line that is not understood (a cut last one, a sample before any run) is
 * skipped and listed; a text without any run or sample is refused. Progress,
 * end and error lines are passed over. `name` is for messages and may be a
 * file name.
 */
enum status store_load_jsonl(struct store *db, const char *name,
			     const char *text, size_t len,
			     struct jsonl_result *out);
void jsonl_result_release(struct jsonl_result *r);

/* All runs and samples as such a text; loading it gives the same rows. */
struct buf;
enum status store_save_jsonl(struct store *db, struct buf *out);

#endif
