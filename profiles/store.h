/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The profile database: SQLite, WAL mode, foreign keys on, schema version in
 * PRAGMA user_version. Samples are only ever added; a batch is on the disk
 * when store_add() returns, so a killed writer loses nothing that it had
 * finished. Several processes may write at once (each waits for its turn);
 * a struct store belongs to one thread and must not cross a fork().
 *
 *	st = store_open(path, STORE_WRITE, &db);
 *	st = store_run(db, &info, NULL, &run);
 *	st = store_add(db, run, samples, n);	one transaction
 *	store_close(db);
 *
 * Refused with one message that names the file. Wrong input (ST_INPUT): a
 * newer schema version, a file that is not SQLite or not ours, a damaged
 * one, a directory, a missing file to read, a missing parent directory.
 * Failures (ST_FAIL): a place that cannot be written, a full disk, a lock
 * that another program does not give back. A file of no bytes and an SQLite
 * file without tables are new databases (version 0): a writer that was
 * killed at once leaves them.
 */
#ifndef PROFILES_STORE_H
#define PROFILES_STORE_H

#include "base/status.h"
#include "scenarios/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

#define STORE_VERSION_SWEEP 4	/* the first that has sweeps */
#define STORE_VERSION 4		/* newest schema this program knows */
#define STORE_MEMORY ":memory:"	/* path of a database that is no file */

enum store_mode {
	/* must exist; an older version is read as it is; leaves no file
	 * behind that was not there, and reads where nothing can be written */
	STORE_READ,
	/* made when absent; older ones are migrated, damaged ones refused */
	STORE_WRITE,
	STORE_NO_MIGRATE,	/* as WRITE, but an older one is refused */
};

enum status store_open(const char *path, enum store_mode mode,
		       struct store **out_p);
void store_close(struct store *db);	/* NULL is fine */

/*
 * Registers a run; `key`, when not NULL, is unique: a second run with the
 * same key gives *run_p = 0 and adds nothing. A killed writer may leave a
 * run without samples: imports take store_import(), which cannot.
 */
enum status store_run(struct store *db, const struct run_info *info,
		      const char *key, int64_t *run_p);
enum status store_add(struct store *db, int64_t run, const struct sample *s,
		      size_t n);

/* Run and samples in one transaction: all, or (known key) none, *run_p = 0. */
enum status store_import(struct store *db, const struct run_info *info,
			 const char *key, const struct sample *s, size_t n,
			 int64_t *run_p);

/* "kind:" and the hash of some bytes (FNV-1a, 128 bits, hexadecimal). */
#define STORE_KEY_MAX 80
void store_key(const char *kind, const void *data, size_t len,
	       char key[STORE_KEY_MAX]);

/* All samples, in order of run and insertion; fn's status, unless ST_OK,
 * ends it. fn may read the database and must not write to it. */
typedef enum status store_sample_fn(void *arg, int64_t run,
				    const struct run_info *info,
				    const struct sample *s);
enum status store_each(struct store *db, store_sample_fn *fn, void *arg);

/* All runs in order; key is "" when there is none. */
struct store_run_row {
	int64_t run, samples;
	char key[STORE_KEY_MAX];
	struct run_info info;
};
typedef enum status store_run_fn(void *arg, const struct store_run_row *r);
enum status store_each_run(struct store *db, store_run_fn *fn, void *arg);

/* Samples counted by op and tier, in alphabetic order. */
struct store_group {
	char op[SAMPLE_TEXT], tier[SAMPLE_TEXT];
	int64_t samples, wrong;	/* wrong: samples with wrong elements */
	int min_ranks, max_ranks;
	double min_bytes, max_bytes;
};
typedef enum status store_group_fn(void *arg, const struct store_group *g);
enum status store_each_group(struct store *db, store_group_fn *fn, void *arg);

/*
 * Fits: replaced as a whole, in one transaction. One per group of samples
 * that share gpu (of the run; its backend when empty), op, variant, tier,
 * dtype, ranks, ctas and, where the op has them, n, k and batch (gpu/work.h;
 * else 0). alpha, beta and gamma are the one-piece fit a + b*n
 * + c*sqrt(n); `pieces` is the chosen form (scenarios/curve_json.h).
 */
struct fit_row {
	char gpu[64];
	char op[32], variant[32], tier[32], dtype[32], form[32];
	int ranks, ctas;
	double n, k, batch;	/* shape; 0: the op has none */
	double alpha_s, beta_s_per_byte, gamma_s_per_sqrt_byte;
	char pieces[2048];	/* JSON of the whole curve */
	double r2, mape, min_bytes, max_bytes;
	int samples;
};
enum status store_set_fits(struct store *db, const struct fit_row *f,
			   size_t n);
/* In the order they were set; *out_p is the caller's to free(). */
enum status store_fits(struct store *db, struct fit_row **out_p, size_t *n_p);

struct store_summary {
	int schema_version;
	int64_t runs, samples, fits;
};
enum status store_summary(struct store *db, struct store_summary *out);

/*
 * Integrity: SQLite's check, foreign keys, the schema itself, values in
 * range. One line per problem is added to *out, the first hundred of them;
 * count in *n_p. Problems are a result: the status is ST_OK.
 */
struct buf;
enum status store_check(struct store *db, struct buf *out, int *n_p);

#endif
