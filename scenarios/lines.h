/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines of a text that a program printed, one at a time: without line end
 * (LF or CR LF), terminal escapes and other control characters, and never
 * longer than LINE_TEXT - 1 bytes (the rest of a longer line is dropped and
 * `cut` is set). Bytes that are not ASCII become '?', tabs blanks.
 *
 *	struct lines l = { .text = text, .len = len };
 *
 *	while (lines_next(&l))
 *		l.number, l.line
 */
#ifndef SCENARIOS_LINES_H
#define SCENARIOS_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_TEXT 4096
#define WORDS_MAX 512

struct lines {
	const char *text;
	size_t len, at;
	int number;	/* of `line`, from 1 */
	bool cut;
	char line[LINE_TEXT];
};

bool lines_next(struct lines *l);

/*
 * Splits `line` at blanks, in place: words[0..n) point into it. Returns how
 * many; words beyond `max` are dropped.
 */
int line_words(char *line, char **words, int max);

#endif
