/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/import.h"

#include "profiles/store.h"

#include <stdio.h>

#define KEY_MAX (STORE_KEY_MAX - 16)	/* leaves room for a run's number */

enum status import_store(const struct import *im, const char *kind,
			 const char *text, size_t len, struct store *db,
			 int64_t *added_p)
{
	char base[STORE_KEY_MAX], key[STORE_KEY_MAX];
	enum status st = ST_OK;
	int64_t added = 0, run;
	unsigned int i;	/* im->n_runs is far below its end */

	store_key(kind, text, len, base);
	for (i = 0; i < im->n_runs && !st; i++) {
		size_t first = im->run[i].first, end;

		end = i + 1 < im->n_runs ? im->run[i + 1].first :
					   im->n_samples;
		snprintf(key, sizeof(key), "%.*s/%u", KEY_MAX, base, i);
		st = store_import(db, &im->run[i].info, key,
				  im->sample + first, end - first, &run);
		if (!st && run)
			added += (int64_t)(end - first);
	}
	*added_p = added;
	return st;
}
