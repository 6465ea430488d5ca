/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Figures through gnuplot: a script on its standard input, a file out.
 *
 * gnuplot is $GNUPLOT or the first `gnuplot` in PATH, started without a shell
 * and without init files. The script holds its data in line; every text in it
 * goes through gnuplot_string(), so that no text can become a command. The
 * figure is gnuplot's standard output, a temporary file beside `path` that is
 * renamed when gnuplot has succeeded: whole or absent.
 */
#ifndef REPORTS_GNUPLOT_H
#define REPORTS_GNUPLOT_H

#include "base/status.h"

#include <stdbool.h>

struct buf;

enum figure_format { FIGURE_SVG, FIGURE_PNG, FIGURE_FORMAT_N };

/* By the suffix of the path: .svg or .png, else ST_INPUT. */
enum status figure_format_find(const char *path, enum figure_format *out);

/* ST_UNAVAILABLE with a message when there is no gnuplot. */
enum status gnuplot_check(void);

/*
 * Runs `script` (after `set terminal`, which comes from here) for a figure of
 * width x height points. ST_UNAVAILABLE: no gnuplot; ST_FAIL: it failed, with
 * its message; or it took longer than GNUPLOT_DEADLINE_S.
 */
#define GNUPLOT_DEADLINE_S 30
enum status gnuplot_run(const struct buf *script, int width, int height,
			const char *path);

/*
 * `text` as a gnuplot string, quotes included: one line, single quotes (no
 * escapes, no substitution), control characters as blanks, ' as U+2019.
 * Enhanced text is off except for bold labels, so that _ ^ { } @ & ~ show as
 * they are.
 */
void gnuplot_string(struct buf *out, const char *text);

/* The same for an `enhanced` label, in bold: its marks are escaped. */
void gnuplot_bold_string(struct buf *out, const char *text);

/* A finite number, never with a decimal comma; NaN and infinite: 0. */
void gnuplot_number(struct buf *out, double value);

#endif
