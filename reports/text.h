/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text from outside, made fit to show: names in scenarios may hold anything.
 */
#ifndef REPORTS_TEXT_H
#define REPORTS_TEXT_H

#include <stddef.h>

/*
 * Valid UTF-8 without control characters: those and ill-formed bytes become
 * blanks ('?' for ill-formed ones). NULL counts as "". free() the result.
 */
char *text_clean(const char *text);

/* Characters (code points) of valid UTF-8. */
size_t text_width(const char *text);

/* Bytes of the first `chars` characters (fewer when the text is shorter). */
size_t text_bytes(const char *text, size_t chars);

#endif
