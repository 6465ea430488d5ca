/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the store share: a scratch directory, samples. */
#ifndef TESTS_STORE_HELP_H
#define TESTS_STORE_HELP_H

#include "profiles/store.h"

/* Below $TMPDIR or /tmp, so that another user can get to it. */
extern char scratch[64];
int scratch_make(void **state);
int scratch_remove(void **state);
const char *scratch_path(const char *name);	/* one of four buffers */
int scratch_files(void);	/* how many there are */

/* High-entropy values, so that swapped fields are seen. */
extern const struct sample full_sample;
extern const struct run_info full_run;

extern const struct fit_row full_fit;

/* Different for different numbers: an all-to-all of `number` bytes. */
struct sample numbered_sample(int64_t number);

/* Opens or fails the test. */
struct store *opened(const char *path, enum store_mode mode);
/* Refused with this status, the path and `text` in the message. */
void refused(const char *path, enum store_mode mode, enum status st,
	     const char *text);
/* Fails the test, with the problems, when there are any. */
void expect_sound(struct store *db);
int64_t count_samples(const char *path);

/* SQL by SQLite itself, past the store. */
void raw(const char *path, const char *sql);
#define OURS "PRAGMA application_id = 1836016995;"	/* "moec" */

void file_write(const char *path, const void *data, size_t n);
void *file_read(const char *path, size_t *n_p);	/* free() it */

#endif
