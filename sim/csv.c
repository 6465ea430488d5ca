/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/csv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum status csv_open(struct csv *c, const char *key, const char *path)
{
	struct stat sb;

	c->path = path;
	c->line = 0;
	c->comment = NULL;
	c->f = NULL;
	if (stat(path, &sb)) {
		return err_set(ST_INPUT, "%s: cannot open '%s': %s", key, path,
			       strerror(errno));
	}
	if (!S_ISREG(sb.st_mode)) {
		return err_set(ST_INPUT, "%s: '%s' is not a regular file", key,
			       path);
	}
	if (sb.st_size > CSV_FILE_MAX) {
		return err_set(ST_INPUT, "%s: '%s' has %lld bytes, at most "
			       "%ld are allowed", key, path,
			       (long long)sb.st_size, CSV_FILE_MAX);
	}
	c->f = fopen(path, "r");
	if (!c->f) {
		return err_set(ST_INPUT, "%s: cannot open '%s': %s", key, path,
			       strerror(errno));
	}
	return ST_OK;
}

void csv_close(struct csv *c)
{
	if (c->f) {
		fclose(c->f);
	}
	c->f = NULL;
}

static bool is_text(int ch)
{
	return ch == '\t' || ch == '\r' || (ch >= ' ' && ch != 0x7f);
}

/* One line into c->text; *end_p when there was none. */
static enum status read_line(struct csv *c, bool *end_p)
{
	size_t n = 0;
	int ch;

	c->line++;
	while ((ch = getc(c->f)) != EOF && ch != '\n') {
		if (!is_text(ch)) {
			return err_set(ST_INPUT, "%s:%ld: byte 0x%02x: not a "
				       "text file", c->path, c->line,
				       (unsigned int)ch);
		}
		if (n + 1 >= sizeof(c->text)) {
			return err_set(ST_INPUT, "%s:%ld: the line is longer "
				       "than %d bytes", c->path, c->line,
				       CSV_LINE_MAX - 1);
		}
		c->text[n++] = (char)ch;
	}
	if (ferror(c->f)) {
		return err_set(ST_FAIL, "cannot read '%s': %s", c->path,
			       strerror(errno));
	}
	if (n && c->text[n - 1] == '\r') {
		n--;
	}
	c->text[n] = '\0';
	*end_p = ch == EOF && !n;
	return ST_OK;
}

static enum status split(struct csv *c)
{
	char *s = c->text;

	c->n_fields = 0;
	do {
		if (c->n_fields == CSV_FIELDS_MAX) {
			return err_set(ST_INPUT, "%s:%ld: more than %d columns",
				       c->path, c->line, CSV_FIELDS_MAX);
		}
		c->field[c->n_fields++] = s;
		s = strchr(s, ',');
		if (s) {
			*s++ = '\0';
		}
	} while (s);
	return ST_OK;
}

enum status csv_next(struct csv *c)
{
	bool end = false;
	enum status st;

	for (;;) {
		st = read_line(c, &end);
		if (st || end) {
			c->n_fields = 0;
			return st;
		}
		if (c->text[0] == '#' && c->comment) {
			c->comment(c->arg, c->text);
		}
		if (c->text[0] && c->text[0] != '#') {
			return split(c);
		}
	}
}

enum status csv_int(const struct csv *c, int i, const char *what,
		    long long max, long long *value_p)
{
	const char *text = c->field[i];
	bool digits = text[0] && strspn(text, "0123456789") == strlen(text);
	long long v;

	errno = 0;
	v = digits ? strtoll(text, NULL, 10) : -1;
	if (!digits || errno || v > max) {
		return err_set(ST_INPUT, "%s:%ld: %s '%.40s' is not an integer "
			       "in 0..%lld", c->path, c->line, what, text, max);
	}
	*value_p = v;
	return ST_OK;
}

enum status csv_real(const struct csv *c, int i, const char *what, double max)
{
	const char *text = c->field[i];
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0 && v <= max)) {
		return err_set(ST_INPUT, "%s:%ld: %s '%.40s' is not a number "
			       "in 0..%g", c->path, c->line, what, text, max);
	}
	return ST_OK;
}
