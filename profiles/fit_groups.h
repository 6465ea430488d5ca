/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The samples of a database, sorted into what is fitted together: one group
 * per GPU, op, variant, tier, dtype, ranks, CTA limit and shape. Only what ran
 * alone and gave right results. Private to profiles/fit*.c.
 */
#ifndef PROFILES_FIT_GROUPS_H
#define PROFILES_FIT_GROUPS_H

#include "profiles/store.h"
#include "scenarios/gpu.h"

struct fit_group {
	/* of `key` only what fit_key_compare() looks at counts: texts but for
	 * the form, ranks, ctas, n, k, batch */
	struct fit_row key;
	double *n, *t;	/* owned: bytes, seconds */
	size_t count, cap_n, cap_t;
};

struct fit_product {
	char gpu[64], dtype[32], variant[32];
	double m, n, k, batch, seconds;
};

struct fit_groups {
	struct fit_group *group;	/* owned; sorted by key */
	size_t n, cap;
	struct fit_product *product;	/* owned; sorted */
	size_t n_products, cap_products;
	int64_t runs, last_run;	/* different ones; the newest */
	char date[32];		/* of the newest */
	size_t last;		/* group that the sample before was of */
};

enum status fit_groups_read(struct store *db, struct fit_groups *out);
void fit_groups_release(struct fit_groups *g);

/* Order of keys; 0 when equal. */
int fit_key_compare(const struct fit_row *a, const struct fit_row *b);

#endif
