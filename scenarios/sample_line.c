/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/sample_line.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* %.17g: the least that brings every double back bit by bit */
#define EXACT_DIGITS 17

typedef enum status line_fn(const json_t *j, struct sample_line *out);

static enum status read_run(const json_t *j, struct sample_line *out)
{
	return run_info_from_json(j, &out->run);
}

static enum status read_sample(const json_t *j, struct sample_line *out)
{
	return sample_from_json(j, &out->sample);
}

static void copy_text(const json_t *j, const char *field,
		      struct sample_line *out)
{
	const char *s = json_string_value(json_object_get(j, field));

	snprintf(out->text, sizeof(out->text), "%s", s ? s : "");
}

static enum status read_progress(const json_t *j, struct sample_line *out)
{
	const json_t *done = json_object_get(j, "done");
	const json_t *total = json_object_get(j, "total");

	if (!json_is_number(done) || !json_is_number(total))
		return err_set(ST_INPUT, "field '%s': must be a number",
			       json_is_number(done) ? "total" : "done");
	out->done = json_number_value(done);
	out->total = json_number_value(total);
	copy_text(j, "what", out);
	return ST_OK;
}

static enum status read_end(const json_t *j, struct sample_line *out)
{
	const json_t *samples = json_object_get(j, "samples");

	if (samples && (!json_is_integer(samples) ||
			json_integer_value(samples) < 0))
		return err_set(ST_INPUT, "field 'samples': must be an integer "
			       "from 0 up");
	out->samples = samples ? json_integer_value(samples) : -1;
	return ST_OK;
}

static enum status read_error(const json_t *j, struct sample_line *out)
{
	copy_text(j, "message", out);
	return ST_OK;
}

struct line_row {
	const char *type;
	enum sample_line_kind kind;
	line_fn *read;
};

static const struct line_row rows[] = {
	{ "run", SAMPLE_LINE_RUN, read_run },
	{ "sample", SAMPLE_LINE_SAMPLE, read_sample },
	{ "progress", SAMPLE_LINE_PROGRESS, read_progress },
	{ "end", SAMPLE_LINE_END, read_end },
	{ "error", SAMPLE_LINE_ERROR, read_error },
};

static enum status read_row(const json_t *j, struct sample_line *out)
{
	const char *type = json_string_value(json_object_get(j, "type"));
	size_t i;

	if (!type)
		return err_set(ST_INPUT, "field 'type': is missing");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!strcmp(rows[i].type, type)) {
			out->kind = rows[i].kind;
			return rows[i].read(j, out);
		}
	}
	return err_set(ST_INPUT, "field 'type': unknown type '%.40s'; allowed "
		       "are run, sample, progress, end, error", type);
}

enum status sample_line_parse(const char *line, size_t len,
			      struct sample_line *out)
{
	struct sample_line l = { 0 };
	json_error_t e;
	enum status st;
	json_t *j;

	if (len > SAMPLE_LINE_MAX)
		return err_set(ST_INPUT, "has more than %d bytes",
			       SAMPLE_LINE_MAX);
	j = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e);
	if (!j)
		return err_set(ST_INPUT, "is no JSON object: %s", e.text);
	st = read_row(j, &l);
	json_decref(j);
	if (!st)
		*out = l;
	return st;
}

static void put(struct buf *b, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT |
				JSON_REAL_PRECISION(EXACT_DIGITS));

	buf_puts(b, text);
	buf_puts(b, "\n");
	free(text);
	json_decref(j);
}

void sample_line_put_run(struct buf *b, const struct run_info *r)
{
	put(b, run_info_json(r));
}

void sample_line_put(struct buf *b, const struct sample *s)
{
	put(b, sample_json(s));
}
