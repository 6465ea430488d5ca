/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Measured costs for a forecast: what the keys profile.* ask for.
 *
 *	st = cli_load(&common, &s);
 *	if (!st)
 *		st = profile_use_load(&use, &s);
 *	...	the forecast
 *	profile_use_warn(&use, &s, &plan);
 *	profile_use_release(&use);	after the scenario's last use
 *
 * The database of profile.db, else the measurements that the GPU's file names
 * (key `measured`); of these, exchanges count only in groups of at most as
 * many ranks as were measured. Without either all of it does nothing. Keys
 * comm.* of the scenario stand above what was measured.
 */
#ifndef CLI_PROFILE_USE_H
#define CLI_PROFILE_USE_H

#include "base/status.h"
#include "scenarios/measured.h"
#include "scenarios/plan.h"

#include <jansson.h>
#include <stdbool.h>

struct profile_use {
	bool active, borrows;	/* borrows: the tables are a cache's */
	struct measured measured;
	struct measured_use seen;
	struct measured_fold fold;
	char note[512];		/* for reports, "measured: h200.db (...)" */
};

/* Zeroes *u; s->measured points into it then. */
enum status profile_use_load(struct profile_use *u, struct scenario *s);
void profile_use_release(struct profile_use *u);

/*
 * For many scenarios with one source: it is read once. Zero the cache;
 * release it after all that was loaded with it.
 */
struct profile_cache {
	char *name;	/* owned: source and GPU; NULL: nothing read yet */
	struct measured measured;
};
enum status profile_use_load_cached(struct profile_use *u, struct scenario *s,
				    struct profile_cache *cache);
void profile_cache_release(struct profile_cache *c);

/* On stderr: where the forecast of this plan leaves the measured range. */
enum status profile_use_warn(struct profile_use *u, const struct scenario *s,
			     const struct plan *p);

/* "costs" (and, when active, "cost_note") of a JSON result. */
void profile_use_json(const struct profile_use *u, json_t *root);

#endif
