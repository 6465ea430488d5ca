/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `moecast report` shows of a database: its runs, fits and points. */
#ifndef CLI_REPORT_DATA_H
#define CLI_REPORT_DATA_H

#include "profiles/store.h"
#include "reports/chart_fit.h"
#include "reports/fit_page.h"

struct report_group {
	struct fit_row fit;
	struct curve curve;	/* the chosen form */
	struct chart_fit_point *point;	/* owned; in order of measuring */
	size_t n, cap;
};

struct report_data {
	struct report_group *group;	/* owned; in fit_rows()' order */
	size_t n_groups;
	struct store_run_row *run;	/* owned; oldest first */
	size_t n_runs, cap_runs;
	int64_t samples, products, others;	/* others: of no fit */
	size_t last;	/* group that the sample before was of */
};

/* ST_INPUT when there is no fit to show. */
enum status report_data_read(struct store *db, struct report_data *out);
void report_data_release(struct report_data *d);

/* The newest run on that fit's GPU; NULL: none. */
const struct store_run_row *report_data_run(const struct report_data *d,
					    const struct fit_row *f);

/* Runs and fits as the page takes them; free() them, the texts are the
 * data's. */
struct fit_page_run *report_data_page_runs(const struct report_data *d);
struct fit_page_fit *report_data_page_fits(const struct report_data *d);

#endif
