/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plan: the chosen value of every knob. Its text form is one line,
 *
 *	ep=8 esp=8 tp=1 dp=1 pp=1 alltoall=flat degree=4/2 capacity=1.25 techniques=baseline
 *
 * (degree=FORWARD/BACKWARD, capacity=none when dropless). Words may come in
 * any order; each must be there once; degree=4 is read as degree=4/4; and
 * plan_parse(plan_print(p)) == p.
 */
#ifndef SCENARIOS_PLAN_H
#define SCENARIOS_PLAN_H

#include "base/status.h"
#include "scenarios/scenario.h"

struct buf;

#define PLAN_DEGREE_MAX 1024	/* pipeline chunks of one pass */

struct plan {
	struct layout layout;
	enum a2a_alg alltoall;
	int degree_forward, degree_backward;	/* pipeline chunks, >= 1 */
	double capacity_factor;	/* 0: dropless (exact counts, no padding) */
	unsigned technique_mask;	/* bits 1 << enum technique_id */
};

bool plan_same(const struct plan *p, const struct plan *q);

void plan_print(const struct plan *p, struct buf *out);

/* Message: "plan: ..." naming the word, its value and what is allowed. */
enum status plan_parse(const char *text, struct plan *out);

#endif
