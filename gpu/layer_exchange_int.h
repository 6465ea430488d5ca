/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files gpu/layer_exchange*.c share. */
#ifndef GPU_LAYER_EXCHANGE_INT_H
#define GPU_LAYER_EXCHANGE_INT_H

#include "gpu/layer_exchange.h"

/* The tables of one chunk while a rank's plan is made. */
struct xchg_make {
	const struct xchg_input *in;
	const struct layer_case *c;
	int rank, ranks, gpus, ep, esp, local, slots;
	/* where cells begin in IN: [ranks * (slots + 1)] */
	int32_t *in_first;
};

static inline int32_t make_cell(const struct xchg_make *m, int src, int slot)
{
	const int32_t *first = m->in_first +
			       (size_t)src * (size_t)(m->slots + 1);

	return first[slot + 1] - first[slot];
}

static inline int32_t make_first(const struct xchg_make *m, int src, int slot)
{
	return m->in_first[(size_t)src * (size_t)(m->slots + 1) +
			   (size_t)slot];
}

/* The rank where a slot of a source's EP group is. */
static inline int make_home(const struct xchg_make *m, int src, int slot)
{
	return src + (slot / m->local - src / m->esp % m->ep) * m->esp;
}

/* Are both in one EP group? */
static inline bool make_same_group(const struct xchg_make *m, int a, int b)
{
	return a / (m->ep * m->esp) == b / (m->ep * m->esp) &&
	       a % m->esp == b % m->esp;
}

static inline int make_slot(const struct xchg_make *m, int rank, int local)
{
	return rank / m->esp % m->ep * m->local + local;
}

/* Appends; joins it with the one before where both go on. */
void moves_add(struct xchg_moves *m, int32_t from, int32_t to, int32_t rows,
	       bool set);
/* rows 0: nothing. */
void side_add(struct xchg_side *s, int peer, int32_t first, int32_t rows);
/* In the order in which they start: sends or receives. */
void side_sort(const struct xchg_make *m, struct xchg_side *s, bool is_recv);

/* Sets send_rows and recv_rows. */
void xchg_scratch(struct xchg *x);

/* gpu/layer_dedup.c */
void dedup_build(const struct xchg_make *m, struct xchg *x);

#endif
