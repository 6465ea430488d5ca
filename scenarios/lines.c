/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/lines.h"

#include <string.h>

#define ESC '\033'

/*
 * Bytes of a terminal escape at s, whose first is ESC: "ESC [ ... letter"
 * (ECMA-48, section 5.4), else ESC and one byte.
 */
static size_t escape_length(const char *s, size_t len)
{
	size_t n = 2;

	if (len < 2)
		return len;
	if (s[1] != '[')
		return 2;
	while (n < len && (unsigned char)s[n] >= ' ' && s[n] < '@') {
		n++;
	}
	return n < len ? n + 1 : len;
}

static void put(struct lines *l, size_t *n, char c)
{
	if (*n == LINE_TEXT - 1)
		l->cut = true;
	else
		l->line[(*n)++] = c;
}

static void copy(struct lines *l, const char *s, size_t len)
{
	size_t i = 0, n = 0;

	l->cut = false;
	while (i < len) {
		unsigned char c = (unsigned char)s[i];

		if (c == ESC) {
			i += escape_length(s + i, len - i);
			continue;
		}
		if (c == '\t')
			put(l, &n, ' ');
		else if (c >= ' ' && c != 0x7f)
			put(l, &n, c < 0x7f ? (char)c : '?');
		i++;
	}
	l->line[n] = '\0';
}

bool lines_next(struct lines *l)
{
	const char *start = l->text + l->at, *nl;
	size_t n;

	if (l->at >= l->len)
		return false;
	nl = memchr(start, '\n', l->len - l->at);
	n = nl ? (size_t)(nl - start) : l->len - l->at;
	l->at += n + 1;
	l->number++;
	copy(l, start, n);
	return true;
}

int line_words(char *line, char **words, int max)
{
	int n = 0;

	for (;;) {
		line += strspn(line, " ");
		if (!*line || n == max)
			return n;
		words[n++] = line;
		line += strcspn(line, " ");
		if (*line)
			*line++ = '\0';
	}
}
