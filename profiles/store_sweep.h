/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sweeps in the database: every finished point of a grid, so that one that
 * was killed goes on where it stopped. A sweep is known by a key (all that
 * decides its rows); its points are JSON texts by number, written once.
 */
#ifndef PROFILES_STORE_SWEEP_H
#define PROFILES_STORE_SWEEP_H

#include "profiles/store.h"

#define SWEEP_ROW_MAX (1 << 20)	/* bytes of a row */

/*
 * The sweep of that key, made when there is none; `about` is what a person
 * would call it. *sweep_p: its number in this database.
 */
enum status store_sweep(struct store *db, const char *key, const char *about,
			int64_t *sweep_p);

struct store_point {
	int64_t point;
	const char *row;
};

/* All of them or none; on the disk when it returns. A point that is there
 * already stays. */
enum status store_sweep_add(struct store *db, int64_t sweep,
			    const struct store_point *p, int n);

/* All rows in order of their number; as store_each(). */
typedef enum status store_point_fn(void *arg, int64_t point, const char *row);
enum status store_sweep_each(struct store *db, int64_t sweep,
			     store_point_fn *fn, void *arg);

/* All sweeps in order. */
struct store_sweep_row {
	int64_t sweep, points;
	const char *about;	/* borrowed */
};
typedef enum status store_sweep_fn(void *arg,
				   const struct store_sweep_row *s);
enum status store_each_sweep(struct store *db, store_sweep_fn *fn, void *arg);

#endif
