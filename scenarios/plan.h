/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plan: the chosen value of every knob. Its text form is one line,
 *
 *	ep=8 esp=8 tp=1 dp=1 pp=1 alltoall=flat degree=4/2 capacity=1.25 techniques=baseline
 *
 * (degree=FORWARD/BACKWARD, capacity=none when dropless). Words may come in
 * any order; each must be there once; degree=4 is read as degree=4/4; and
 * plan_parse(plan_print(p)) == p. One more word, ctas=N, limits the CTAs of
 * the exchanges; it is left out where there is no limit (0).
 */
#ifndef SCENARIOS_PLAN_H
#define SCENARIOS_PLAN_H

#include "base/status.h"
#include "scenarios/scenario.h"

struct buf;

#define PLAN_DEGREE_MAX 1024	/* pipeline chunks of one pass */
#define PLAN_CTAS_MAX 1024

struct plan {
	struct layout layout;
	enum a2a_alg alltoall;
	int degree_forward, degree_backward;	/* pipeline chunks, >= 1 */
	double capacity_factor;	/* 0: dropless (exact counts, no padding) */
	unsigned technique_mask;	/* bits 1 << enum technique_id */
	int ctas;	/* most CTAs (SMs) that an all-to-all exchange may
			   hold; 0: the library's own choice */
};

/* Every knob equal? */
bool plan_same(const struct plan *p, const struct plan *q);

void plan_print(const struct plan *p, struct buf *out);

/* "flat", or "flat ctas=8" under a limit: for tables. Returns `out`. */
#define PLAN_EXCHANGE_MAX 48
char *plan_exchange_text(const struct plan *p, char out[PLAN_EXCHANGE_MAX]);

/* Message: "plan: ..." naming the word, its value and what is allowed. */
enum status plan_parse(const char *text, struct plan *out);

#endif
