/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Output files that are whole or absent: write to a temporary name in the
 * same directory, rename on success. A run that fails or is interrupted
 * leaves no half-written file: outfile_abort() removes the temporary, and so
 * does the handler that outfile_on_signal() installs for SIGINT, SIGTERM,
 * SIGHUP, SIGQUIT and SIGPIPE (unless they are ignored); a file size limit
 * (SIGXFSZ) is made an error of the write. A device or pipe cannot be
 * replaced and is written in place; a symbolic link stays one.
 *
 *	struct outfile f;
 *
 *	if ((st = outfile_open(&f, path)))
 *		return st;
 *	fprintf(f.stream, ...);
 *	return outfile_commit(&f);
 */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H

#include "base/status.h"

#include <stdio.h>

struct outfile {
	FILE *stream;	/* NULL when closed */
	char *path, *temp;	/* owned */
	int slot;	/* in the list that the signal handler walks */
};

enum status outfile_open(struct outfile *f, const char *path);
/* Flushes, closes, renames; on failure the temporary is gone. */
enum status outfile_commit(struct outfile *f);
/* Closes and removes the temporary; harmless on a closed file. */
void outfile_abort(struct outfile *f);

/* Whole text to a file, as above. */
enum status outfile_write(const char *path, const char *text, size_t len);

/* Makes `path` and its missing parents, like mkdir -p. */
enum status outfile_mkdir(const char *path);

/*
 * The whole regular file (NUL-terminated, free() it); refused (ST_INPUT)
 * when larger than `max` bytes, a directory, or unreadable.
 */
enum status infile_read(const char *path, size_t max, char **text_p,
			size_t *len_p);

void outfile_on_signal(void);

#endif
