/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a reader did not use or could not tell, by line and reason. Bounded:
 * of more than NOTES_MAX only the number and the first line are kept, in the
 * last note. Zero-initialise it; notes_release() frees it.
 */
#ifndef SCENARIOS_NOTES_H
#define SCENARIOS_NOTES_H

#include <stddef.h>

#define NOTES_MAX 1000
#define NOTE_TEXT 160

struct note {
	int line;	/* from 1; 0: the whole file */
	char why[NOTE_TEXT];	/* printable ASCII */
};

struct notes {
	struct note *note;	/* owned */
	size_t n, cap;
	size_t left_out;	/* beyond NOTES_MAX */
};

void notes_add(struct notes *notes, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void notes_release(struct notes *notes);

#endif
