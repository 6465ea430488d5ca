/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The layers of a database in `moecast report`: forecast against measured,
 * and the order of plans of each layer. Without layers there is nothing.
 */
#ifndef CLI_REPORT_LAYERS_H
#define CLI_REPORT_LAYERS_H

#include "cli/report_figures.h"
#include "profiles/store.h"

#define REPORT_RANKINGS_MAX 12	/* layers with a figure of their own */

/* Draws into the directory, which exists. What is made is listed in *out also
 * when a figure fails. */
enum status report_layers_draw(struct store *db, const char *db_path,
			       const char *dir, struct report_figures *out);
#endif
