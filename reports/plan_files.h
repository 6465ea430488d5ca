/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The files of a plan report: text and figures in a directory. */
#ifndef REPORTS_PLAN_FILES_H
#define REPORTS_PLAN_FILES_H

#include "reports/plan_text.h"

/*
 * Makes `dir` and writes report.txt, speedup.svg, speedup.png (when there are
 * baselines), gantt.svg and gantt.png (when there are ops). ST_UNAVAILABLE
 * when gnuplot is missing: report.txt is then there all the same, and callers
 * turn the message into a warning. Other failures leave no half file.
 */
enum status plan_files_write(const struct plan_report *r, bool explain,
			     const char *dir);

/* One figure each, to a .svg or .png file. */
enum status plan_speedup_write(const struct plan_report *r, const char *path);
enum status plan_gantt_write(const struct plan_report *r, const char *path);

#endif
