/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The profile database: SQLite, WAL mode, foreign keys on, schema version in
 * PRAGMA user_version. Samples are only ever added; a run's rows are in the
 * file as soon as store_add() has returned, so a killed writer loses nothing
 * that it had finished. Several processes may write at once (busy timeout).
 *
 *	st = store_open(path, STORE_WRITE, &db);
 *	st = store_run(db, &info, &run);
 *	st = store_add(db, run, samples, n);	one transaction
 *	store_close(db);
 *
 * Refused with a message that names the file: a newer schema version, a file
 * that is not SQLite or not ours, a corrupt one, a place that cannot be
 * written.
 */
#ifndef PROFILES_STORE_H
#define PROFILES_STORE_H

#include "base/status.h"
#include "scenarios/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

#define STORE_VERSION 1		/* newest schema this program knows */

enum store_mode {
	STORE_READ,	/* must exist; an older version is read as it is */
	STORE_WRITE,	/* made when absent; older ones are migrated */
	STORE_NO_MIGRATE,	/* as WRITE, but an older one is refused */
};

enum status store_open(const char *path, enum store_mode mode,
		       struct store **out_p);
void store_close(struct store *db);	/* NULL is fine */

/*
 * Registers a run; `key`, when not NULL, is unique: a second run with the
 * same key (an import of the same file) gives *run_p = 0 and adds nothing.
 */
enum status store_run(struct store *db, const struct run_info *info,
		      const char *key, int64_t *run_p);
enum status store_add(struct store *db, int64_t run, const struct sample *s,
		      size_t n);

/* All samples, in order of run and insertion. */
typedef enum status store_sample_fn(void *arg, int64_t run,
				    const struct run_info *info,
				    const struct sample *s);
enum status store_each(struct store *db, store_sample_fn *fn, void *arg);

/*
 * Fits: replaced as a whole, in one transaction. One per group of samples
 * that share gpu (of the run; its backend when empty), op, variant, tier,
 * dtype, ranks and ctas. alpha, beta and gamma are the one-piece fit a + b*n
 * + c*sqrt(n); `pieces` is the chosen form (scenarios/curve_json.h).
 */
struct fit_row {
	char gpu[64];
	char op[32], variant[32], tier[32], dtype[32], form[32];
	int ranks, ctas;
	double alpha_s, beta_s_per_byte, gamma_s_per_sqrt_byte;
	char pieces[512];	/* JSON of the whole curve */
	double r2, mape, min_bytes, max_bytes;
	int samples;
};
enum status store_set_fits(struct store *db, const struct fit_row *f,
			   size_t n);
enum status store_fits(struct store *db, struct fit_row **out_p, size_t *n_p);

struct store_summary {
	int schema_version;
	int64_t runs, samples, fits;
};
enum status store_summary(struct store *db, struct store_summary *out);

/*
 * Integrity: SQLite's check, foreign keys, values in range, runs without
 * rows. One line per problem is added to *out; count in *n_p.
 */
struct buf;
enum status store_check(struct store *db, struct buf *out, int *n_p);

#endif
