/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A child process that is given one text and answers in lines: the runner.
 *
 * It has a process group of its own, so that it is ended with all that it
 * started: at a deadline, by child_kill(), by Ctrl-C and other signals that
 * end us (their handlers are chained), and, by the kernel, when we are
 * killed.
 *
 *	st = child_start(argv, text, len, &c);
 *	while (!(st = child_line(c, deadline_s, &line)) && line)
 *		...
 *	st = child_end(c, &code);
 */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define CHILD_LINE_MAX 65536	/* bytes of a line */
#define CHILD_TEXT_MAX (1u << 20)	/* bytes of the text */

struct child;

/* argv[0]: path of the program. Its stderr is ours. */
enum status child_start(const char *const *argv, const char *text, size_t len,
			struct child **out_p);

/*
 * The next line without its newline, borrowed until the next call; NULL at
 * the end of the output. ST_FAIL: no line for deadline_s (the group is then
 * killed), or a line that is too long.
 */
enum status child_line(struct child *c, double deadline_s,
		       const char **line_p);

/* Has the next line come already? */
bool child_has_line(const struct child *c);

/* Ends the whole group now. */
void child_kill(struct child *c);

/*
 * Waits (deadline_s at most, then it kills) and frees. *code_p: exit status.
 * ST_FAIL when a signal ended it. NULL is fine: code 0.
 */
enum status child_end(struct child *c, double deadline_s, int *code_p);

#endif
