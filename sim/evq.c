/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/evq.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define NOWHERE UINT32_MAX	/* position of an event that is gone */

/*
 * heap[] holds slot numbers; a slot knows its position, so that cancelling
 * finds it. A handle is (generation << 32 | slot): a slot is used again, a
 * handle never is (2^32 uses of one slot apart).
 */
struct slot {
	struct evq_event event;
	uint32_t at;	/* position in heap[], or NOWHERE */
	uint32_t generation;
	uint32_t next_free;
};

struct evq {
	struct slot *slots;
	uint32_t *heap;
	size_t n, n_slots, cap_slots, cap_heap;
	uint32_t free_slot;	/* head of the list of unused slots */
	uint64_t now_ps, seq, popped;
};

struct evq *evq_new(void)
{
	struct evq *q = xcalloc(1, sizeof(*q));

	q->free_slot = NOWHERE;
	return q;
}

void evq_free(struct evq *q)
{
	if (!q) {
		return;
	}
	free(q->slots);
	free(q->heap);
	free(q);
}

static bool before(const struct evq *q, uint32_t a, uint32_t b)
{
	const struct evq_event *x = &q->slots[a].event;
	const struct evq_event *y = &q->slots[b].event;

	if (x->time_ps != y->time_ps) {
		return x->time_ps < y->time_ps;
	}
	return x->seq < y->seq;
}

static void place(struct evq *q, size_t at, uint32_t slot)
{
	q->heap[at] = slot;
	q->slots[slot].at = (uint32_t)at;
}

static void sift_up(struct evq *q, size_t at, uint32_t slot)
{
	while (at > 0) {
		size_t parent = (at - 1) / 2;

		if (!before(q, slot, q->heap[parent])) {
			break;
		}
		place(q, at, q->heap[parent]);
		at = parent;
	}
	place(q, at, slot);
}

static void sift_down(struct evq *q, size_t at, uint32_t slot)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= q->n) {
			break;
		}
		if (child + 1 < q->n &&
		    before(q, q->heap[child + 1], q->heap[child])) {
			child++;
		}
		if (!before(q, q->heap[child], slot)) {
			break;
		}
		place(q, at, q->heap[child]);
		at = child;
	}
	place(q, at, slot);
}

static uint32_t slot_take(struct evq *q)
{
	uint32_t s = q->free_slot;

	if (s != NOWHERE) {
		q->free_slot = q->slots[s].next_free;
		return s;
	}
	q->slots = array_grow(q->slots, &q->cap_slots, q->n_slots + 1,
			      sizeof(*q->slots));
	s = (uint32_t)q->n_slots++;
	assert(s < NOWHERE);
	q->slots[s].generation = 0;
	return s;
}

/* Takes the event at heap position `at` out. */
static void take_out(struct evq *q, size_t at)
{
	uint32_t slot = q->heap[at], last = q->heap[--q->n];
	struct slot *s = &q->slots[slot];

	s->at = NOWHERE;
	s->generation++;
	s->next_free = q->free_slot;
	q->free_slot = slot;
	if (last == slot) {
		return;
	}
	if (at > 0 && before(q, last, q->heap[(at - 1) / 2])) {
		sift_up(q, at, last);
	} else {
		sift_down(q, at, last);
	}
}

uint64_t evq_push(struct evq *q, uint64_t time_ps, uint64_t data)
{
	uint32_t slot;
	struct slot *s;

	assert(time_ps >= q->now_ps);
	slot = slot_take(q);
	s = &q->slots[slot];
	s->event.time_ps = time_ps;
	s->event.seq = q->seq++;
	s->event.data = data;
	q->heap = array_grow(q->heap, &q->cap_heap, q->n + 1,
			     sizeof(*q->heap));
	q->n++;
	sift_up(q, q->n - 1, slot);
	return (uint64_t)s->generation << 32 | slot;
}

bool evq_cancel(struct evq *q, uint64_t handle)
{
	uint32_t slot = (uint32_t)handle;

	if (slot >= q->n_slots || q->slots[slot].at == NOWHERE ||
	    q->slots[slot].generation != handle >> 32) {
		return false;
	}
	take_out(q, q->slots[slot].at);
	return true;
}

bool evq_peek(const struct evq *q, struct evq_event *out)
{
	if (q->n == 0) {
		return false;
	}
	*out = q->slots[q->heap[0]].event;
	return true;
}

bool evq_pop(struct evq *q, struct evq_event *out)
{
	if (!evq_peek(q, out)) {
		return false;
	}
	assert(out->time_ps >= q->now_ps);
	q->now_ps = out->time_ps;
	q->popped++;
	take_out(q, 0);
	return true;
}

uint64_t evq_now(const struct evq *q)
{
	return q->now_ps;
}

uint64_t evq_popped(const struct evq *q)
{
	return q->popped;
}
