/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growing text. Zero-initialise it; buf.s is NULL until something is added
 * and always ends with a NUL after that. Free with buf_release(), or take
 * the text with buf_take() (then free() it).
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

struct buf {
	char *s;
	size_t len, cap;
};

void buf_add(struct buf *b, const char *s, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buf_fill(struct buf *b, char c, size_t n);	/* n times c */
void buf_clear(struct buf *b);			/* empty, keeps the memory */
void buf_drop(struct buf *b, size_t n);		/* the first n bytes */
char *buf_take(struct buf *b);			/* never NULL */
void buf_release(struct buf *b);
const char *buf_str(const struct buf *b);	/* never NULL */

#endif
