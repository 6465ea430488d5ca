/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The products of a database in `moecast report`, as the forecast takes them:
 * TFLOP/s against rows per product, measured and interpolated, and each
 * measured time against what the table says without it. Of the GPU with most
 * samples; without products there is nothing.
 */
#ifndef CLI_REPORT_PRODUCTS_H
#define CLI_REPORT_PRODUCTS_H

#include "cli/report_figures.h"
#include "profiles/store.h"

/* As report_layers_draw(). */
enum status report_products_draw(struct store *db, const char *dir,
				 struct report_figures *out);

#endif
