/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Event queue: (time in integer picoseconds, insertion number) order, so
 * that equal times pop first-in first-out and a run is deterministic.
 *
 * A binary heap with handles: evq_cancel() is O(log n). Payload is one
 * 64-bit value that the caller interprets. Popping never goes back in time
 * (asserted).
 */
#ifndef SIM_EVQ_H
#define SIM_EVQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evq_event {
	uint64_t time_ps;
	uint64_t seq;
	uint64_t data;
};

struct evq;

struct evq *evq_new(void);
void evq_free(struct evq *q);
/* time_ps >= evq_now(). The handle is valid until popped or cancelled. */
uint64_t evq_push(struct evq *q, uint64_t time_ps, uint64_t data);
bool evq_cancel(struct evq *q, uint64_t handle);	/* false: gone */
bool evq_pop(struct evq *q, struct evq_event *out);	/* false: empty */
bool evq_peek(const struct evq *q, struct evq_event *out);
uint64_t evq_now(const struct evq *q);	/* time of the last popped event */
uint64_t evq_popped(const struct evq *q);	/* how many so far */

#endif
