/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/fair_int.h"

#include "base/mem.h"

static bool before(const struct fair_item *a, const struct fair_item *b)
{
	return a->key < b->key || (a->key == b->key && a->flow < b->flow);
}

static void put(struct fair *f, struct fair_link *l, size_t at,
		struct fair_item it)
{
	l->heap[at] = it;
	f->flows[it.flow].heap_at = (int32_t)at;
}

static void up(struct fair *f, struct fair_link *l, size_t at,
	       struct fair_item it)
{
	while (at > 0 && before(&it, &l->heap[(at - 1) / 2])) {
		put(f, l, at, l->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(f, l, at, it);
}

static void down(struct fair *f, struct fair_link *l, size_t at,
		 struct fair_item it)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= l->heap_n) {
			break;
		}
		if (child + 1 < l->heap_n &&
		    before(&l->heap[child + 1], &l->heap[child])) {
			child++;
		}
		if (!before(&l->heap[child], &it)) {
			break;
		}
		put(f, l, at, l->heap[child]);
		at = child;
	}
	put(f, l, at, it);
}

void fair_heap_append(struct fair *f, struct fair_link *l, int flow,
		      double key)
{
	if (l->heap_n == l->heap_cap) {
		l->heap = array_grow(l->heap, &l->heap_cap, l->heap_n + 1,
				     sizeof(*l->heap));
	}
	put(f, l, l->heap_n++, (struct fair_item){ key, flow });
}

void fair_heap_make(struct fair *f, struct fair_link *l)
{
	for (size_t i = l->heap_n / 2; i-- > 0;) {
		down(f, l, i, l->heap[i]);
	}
}

void fair_hold(struct fair *f, struct fair_link *l, int flow, double left)
{
	if (l->heap_n == 0) {
		l->v = 0;	/* may be from a time of much higher levels */
	}
	fair_heap_append(f, l, flow, l->v + left);
	up(f, l, l->heap_n - 1, l->heap[l->heap_n - 1]);
}

void fair_heap_remove(struct fair *f, struct fair_link *l, int at)
{
	struct fair_item last = l->heap[--l->heap_n];

	f->flows[l->heap[at].flow].heap_at = FAIR_NONE;
	if ((size_t)at == l->heap_n) {
		return;
	}
	if (at > 0 && before(&last, &l->heap[(at - 1) / 2])) {
		up(f, l, at, last);
	} else {
		down(f, l, at, last);
	}
}
