/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Of the ways to compute a product (variants) the fastest.
 *
 * Ways are not measured at the same rows: a runner adds rows where a way needs
 * them. A shape counts only where the best way for its (n, k, batch) was
 * measured, or the times would jump between ways from row to row. The best is
 * the one that wins most comparisons with another way over the rows that they
 * share (sum of log time ratios), of those with three rows or as many as the
 * way with most; ties: the first by name.
 */
#ifndef PROFILES_FIT_PRODUCTS_H
#define PROFILES_FIT_PRODUCTS_H

#include "profiles/fit_groups.h"
#include "scenarios/measured.h"

#include <stddef.h>

/*
 * p[0..n): products of one GPU and dtype in the order of fit_groups_read();
 * out has room for n. One point per shape, of every way's median the
 * smallest, in the order n, k, batch, m. Returns how many.
 */
int fit_products_take(const struct fit_product *p, size_t n,
		      struct product_point *out);

#endif
