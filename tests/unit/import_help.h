/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Texts through import readers, and hostile ones; include after cmocka.h. */
#ifndef TESTS_UNIT_IMPORT_HELP_H
#define TESTS_UNIT_IMPORT_HELP_H

#include "base/mem.h"
#include "base/outfile.h"
#include "profiles/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HELP_FUZZ_S 1.0

static inline enum status help_read(const char *kind, const char *name,
				    const char *text, struct import *im)
{
	*im = (struct import){ 0 };
	err_clear();
	return import_find(kind)->read(name, text, strlen(text), im);
}

static inline void help_read_ok(const char *kind, const char *name,
				const char *text, struct import *im)
{
	if (help_read(kind, name, text, im))
		fail_msg("%s", err_msg());
}

static inline void help_refused(const char *kind, const char *text,
				const char *part)
{
	struct import im;

	assert_int_equal(help_read(kind, "F", text, &im), ST_INPUT);
	if (!strstr(err_msg(), part))
		fail_msg("'%s' is not in '%s'", part, err_msg());
	import_release(&im);
}

/* The first note of that line has the text. */
static inline void help_note(const struct import *im, int line,
			     const char *part)
{
	size_t i;

	for (i = 0; i < im->skip.n; i++) {
		if (im->skip.note[i].line == line &&
		    strstr(im->skip.note[i].why, part))
			return;
	}
	for (i = 0; i < im->skip.n; i++) {
		print_message("%d: %s\n", im->skip.note[i].line,
			      im->skip.note[i].why);
	}
	fail_msg("no note '%s' of line %d", part, line);
}

/* A public file, or NULL when the folder is absent. */
static inline char *help_shared(const char *file, size_t *len_p)
{
	const char *env = getenv("MOECAST_SHARED");
	const char *src = getenv("srcdir");
	char *path, *text = NULL;

	path = env ? xasprintf("%s/%s", env, file) :
	       xasprintf("%s/../shared/data/%s", src ? src : ".", file);
	if (access(path, R_OK) || infile_read(path, IMPORT_BYTES_MAX, &text,
					      len_p))
		text = NULL;
	free(path);
	return text;
}

/* xorshift64* (Vigna 2016): equal on every machine. */
static inline uint64_t help_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u;
}

/* Some edits of the seed: bytes changed, pieces cut, moved and repeated. */
static inline size_t help_mutate(const char *seed, size_t n, char *out,
				 size_t size, uint64_t *state)
{
	static const char bytes[] = "\n\t ,#<>\"/=0919-.NX\0\033\377&";
	int i, edits = 1 + (int)(help_random(state) % 8);

	memcpy(out, seed, n);
	for (i = 0; i < edits && n > 1; i++) {
		size_t at = help_random(state) % n;
		size_t piece = 1 + help_random(state) % 40;
		char c = bytes[help_random(state) % (sizeof(bytes) - 1)];

		piece = piece < n - at ? piece : n - at;
		switch (help_random(state) % 4) {
		case 0:
			out[at] = c;
			break;
		case 1:
			memmove(out + at, out + at + piece, n - at - piece);
			n -= piece;
			break;
		case 2:
			if (n + piece > size)
				break;
			memmove(out + at + piece, out + at, n - at);
			n += piece;
			break;
		default:
			n = help_random(state) % 8 ? n : at + 1;
		}
	}
	return n;
}

/* What a reader gives must be sound, whatever it read. */
static inline void help_check(const struct import *im, enum status st)
{
	size_t i;

	if (st && (st != ST_INPUT || !*err_msg() || strchr(err_msg(), '\n')))
		fail_msg("status %d, message '%s'", st, err_msg());
	for (i = 0; i < im->n_samples; i++) {
		assert_int_equal(sample_check(&im->sample[i]), ST_OK);
	}
	assert_true(im->skip.n <= NOTES_MAX + 1);
	for (i = 0; i < im->skip.n; i++) {
		assert_non_null(memchr(im->skip.note[i].why, 0, NOTE_TEXT));
		assert_true(*im->skip.note[i].why);
	}
	assert_true(!im->n_samples || im->n_runs > 0);
}

/* About a second of texts near `seed`; some must be read, some refused. */
static inline void help_fuzz(const char *kind, const char *seed)
{
	size_t n = strlen(seed), size = 2 * n + 512;
	char *text = xmalloc(size);
	clock_t end = clock() + (clock_t)(HELP_FUZZ_S * CLOCKS_PER_SEC);
	uint64_t state = 88172645463325252u;
	long rounds = 0, read = 0;

	while (clock() < end) {
		size_t m = help_mutate(seed, n, text, size, &state);
		/* exact size, so that a sanitizer sees reads past the end */
		char *exact = xmalloc(m ? m : 1);
		struct import im = { 0 };
		enum status st;

		memcpy(exact, text, m);
		err_clear();
		st = import_find(kind)->read("fuzz", exact, m, &im);
		help_check(&im, st);
		read += !st;
		rounds++;
		import_release(&im);
		free(exact);
	}
	print_message("# %s: %ld texts, %ld read\n", kind, rounds, read);
	assert_true(read > 0 && read < rounds);
	free(text);
}

#endif
