/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Status codes and the one error message.
 *
 * The function that decides that something is wrong calls err_set() with
 * the status and one message; every caller just returns that status. Only
 * cli/ prints the message and exits. Messages are lowercase, have no full
 * stop, put the subject in single quotes and give the exact cause; those on
 * input files start with file:line:column.
 *
 *	if (value < key->min)
 *		return err_set(ST_INPUT, "%s: '%s' is below %g", ...);
 *
 * The message is kept per thread; a later err_set() replaces it. It is one
 * line of UTF-8 whatever the input that it quotes: other bytes become '?'.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

enum status {
	ST_OK = 0,	/* done */
	ST_FAIL = 1,	/* failed: i/o, out of memory, a child died */
	ST_INPUT = 2,	/* wrong usage or wrong input */
	ST_MISMATCH = 3,	/* validation out of tolerance */
	ST_UNAVAILABLE = 77,	/* not available here: no GPU, no gnuplot */
};

/* Records the message and returns `st`, so that `return err_set(...)` works. */
enum status err_set(enum status st, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts "fmt: " before the recorded message; returns `st`. */
enum status err_prefix(enum status st, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The recorded message ("" when none); borrowed until the next err_set(). */
const char *err_msg(void);

void err_clear(void);

#endif
