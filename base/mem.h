/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory: checked allocation and an arena.
 *
 * Sizes that depend on input are bounded before they get here (the key
 * table's ranges, the readers' size limits), so running out of memory is the
 * machine's failure, not the input's: x*alloc() then print one line and end
 * the program with status 1. They never return NULL.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
/* Grows to n elements of `size`; the product is checked for overflow. */
void *xrealloc_array(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Makes room for at least `need` elements: doubles *cap_p, moves *p. */
void *array_grow(void *p, size_t *cap_p, size_t need, size_t size);

/*
 * Arena: many small objects with one lifetime. Zero-initialise it;
 * arena_release() frees all and leaves it empty and usable.
 */
struct arena_block;
struct arena {
	struct arena_block *head;	/* newest block first */
};

void *arena_alloc(struct arena *a, size_t size);	/* zeroed, 16-aligned */
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void arena_release(struct arena *a);

#endif
