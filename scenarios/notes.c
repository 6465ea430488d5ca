/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios/notes.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void make_printable(char *s)
{
	for (; *s; s++) {
		if (*s < ' ' || *s > '~')
			*s = '?';
	}
}

static void count_left_out(struct notes *notes, int line)
{
	struct note *last = &notes->note[NOTES_MAX];

	if (!notes->left_out++)
		last->line = line;
	snprintf(last->why, sizeof(last->why), "and %zu more from here on",
		 notes->left_out);
	notes->n = NOTES_MAX + 1;
}

void notes_add(struct notes *notes, int line, const char *fmt, ...)
{
	struct note *note;
	va_list ap;

	notes->note = array_grow(notes->note, &notes->cap, notes->n + 1,
				 sizeof(*notes->note));
	if (notes->n >= NOTES_MAX) {
		count_left_out(notes, line);
		return;
	}
	note = &notes->note[notes->n++];
	note->line = line;
	va_start(ap, fmt);
	vsnprintf(note->why, sizeof(note->why), fmt, ap);
	va_end(ap);
	make_printable(note->why);
}

void notes_release(struct notes *notes)
{
	free(notes->note);
	*notes = (struct notes){ 0 };
}
