/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The valid name nearest to a misspelt one, for messages. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

/*
 * The entry of names[0..n) with the smallest edit distance (insert, delete,
 * replace, swap neighbours) to `word`; NULL when none is within a third of
 * the word's length (at least 2) or shares a letter with it. Ties: the first.
 */
const char *nearest_name(const char *word, const char *const *names,
			 size_t n);

/*
 * " (did you mean 'x'?)" or "" in `out`; returns `out`.
 */
char *nearest_hint(const char *word, const char *const *names, size_t n,
		   char *out, size_t size);

#endif
