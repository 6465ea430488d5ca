/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Comma-separated integers and reals, line by line, with bounds.
 *
 * Lines that are empty or start with '#' are passed over (the caller may
 * look at comments). Nothing is quoted. Every message is file:line: first.
 * A file may have CSV_FILE_MAX bytes, a line CSV_LINE_MAX, and no control
 * characters but tab and line ends.
 *
 *	st = csv_open(&c, "routing.file", path);
 *	while (!st && !(st = csv_next(&c)) && c.n_fields) ...
 *	csv_close(&c);
 */
#ifndef SIM_CSV_H
#define SIM_CSV_H

#include "base/status.h"

#include <stdio.h>

#define CSV_FILE_MAX (256L << 20)
#define CSV_LINE_MAX (64 << 10)
#define CSV_FIELDS_MAX 1024

struct csv {
	const char *path;	/* borrowed */
	FILE *f;
	long line;		/* of the row in hand, from 1 */
	int n_fields;		/* 0: end of file */
	char *field[CSV_FIELDS_MAX];	/* into `text`; valid until the next */
	void (*comment)(void *arg, const char *text);	/* may be NULL */
	void *arg;
	char text[CSV_LINE_MAX];
};

/* `key` is the scenario key that names the file, for the message. */
enum status csv_open(struct csv *c, const char *key, const char *path);
void csv_close(struct csv *c);
enum status csv_next(struct csv *c);

/* The i-th field as an integer in 0..max, or as a real in 0..max. */
enum status csv_int(const struct csv *c, int i, const char *what,
		    long long max, long long *value_p);
enum status csv_real(const struct csv *c, int i, const char *what, double max);

#endif
