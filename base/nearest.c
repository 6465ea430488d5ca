/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

/* Longer words come from no key or file name; they get no hint. */
#define WORD_MAX 64
#define DISTANCE_MIN 2

static size_t min2(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Optimal string alignment distance (Damerau 1964, Levenshtein 1966 plus
 * swaps of neighbours), three rows of the usual table.
 */
static size_t edit_distance(const char *a, size_t na, const char *b,
			    size_t nb)
{
	size_t rows[3][WORD_MAX + 1], i, j;

	for (j = 0; j <= nb; j++) {
		rows[0][j] = j;
	}
	for (i = 1; i <= na; i++) {
		size_t *row = rows[i % 3], *up = rows[(i + 2) % 3];
		const size_t *up2 = rows[(i + 1) % 3];

		row[0] = i;
		for (j = 1; j <= nb; j++) {
			size_t d = up[j - 1] + (a[i - 1] != b[j - 1]);

			d = min2(d, min2(up[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				d = min2(d, up2[j - 2] + 1);
			row[j] = d;
		}
	}
	return rows[na % 3][nb];
}

const char *nearest_name(const char *word, const char *const *names,
			 size_t n)
{
	size_t len = strnlen(word, WORD_MAX + 1), best, i;
	const char *found = NULL;

	if (len > WORD_MAX)
		return NULL;
	best = (len / 3 > DISTANCE_MIN ? len / 3 : DISTANCE_MIN) + 1;
	for (i = 0; i < n; i++) {
		size_t m = strnlen(names[i], WORD_MAX + 1), d;

		if (m > WORD_MAX)
			continue;
		d = edit_distance(word, len, names[i], m);
		/* equal to the longer length: not one letter in common */
		if (d < best && (d == 0 || d < (len > m ? len : m))) {
			best = d;
			found = names[i];
		}
	}
	return found;
}

char *nearest_hint(const char *word, const char *const *names, size_t n,
		   char *out, size_t size)
{
	const char *name = nearest_name(word, names, n);

	if (name)
		snprintf(out, size, " (did you mean '%s'?)", name);
	else if (size)
		out[0] = '\0';
	return out;
}
