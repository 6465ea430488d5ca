/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One line of what the runner writes (gpu/job.h): a run, a sample, progress,
 * the end, an error. The shipped measurements are such lines too.
 */
#ifndef SCENARIOS_SAMPLE_LINE_H
#define SCENARIOS_SAMPLE_LINE_H

#include "base/status.h"
#include "scenarios/sample.h"

#include <stddef.h>

#define SAMPLE_LINE_MAX 65536	/* bytes of one line */

enum sample_line_kind {
	SAMPLE_LINE_RUN,
	SAMPLE_LINE_SAMPLE,
	SAMPLE_LINE_PROGRESS,
	SAMPLE_LINE_END,
	SAMPLE_LINE_ERROR,
};

struct sample_line {
	enum sample_line_kind kind;
	struct run_info run;	/* RUN */
	struct sample sample;	/* SAMPLE */
	double done, total;	/* PROGRESS */
	int64_t samples;	/* END; -1 when the line does not say */
	char text[256];	/* PROGRESS: what; ERROR: message; cut when longer */
};

/* Refuses (ST_INPUT, naming the field) what is none of these. */
enum status sample_line_parse(const char *line, size_t len,
			      struct sample_line *out);

/* Adds the line with its newline; the same struct gives the same bytes. */
struct buf;
void sample_line_put_run(struct buf *b, const struct run_info *r);
void sample_line_put(struct buf *b, const struct sample *s);

#endif
