/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plan: the chosen value of every knob. Its text form is one line,
 *
 *	ep=8 esp=8 tp=1 dp=1 pp=1 alltoall=flat degree=4/2 capacity=1.25 techniques=baseline
 *
 * (degree=FORWARD/BACKWARD, capacity=none when dropless). Words may come in
 * any order; each must be there once; degree=4 is read as degree=4/4; and
 * plan_parse(plan_print(p)) == p. More words are left out where they say
 * nothing: ctas=N limits the CTAs of the exchanges (0: no limit);
 * overlap=weight lets weight gradients and shared experts of a pass of one
 * chunk run beside its exchanges (none: after or before them); order= is the
 * order of the ops (scenarios/order.h); gradient=BYTES, or BYTES/PIECES, has
 * so many bytes of dense layers' gradients summed over the replicas inside
 * this layer's backward pass, cut into equal pieces (1); dense=whole/PIECES or
 * dense=chunks/PIECES has the layer's dense part in the program, too, whole or
 * in the chunks of the pipeline, and the all-reduce of the dense part before it
 * in the backward pass, in pieces (1); with the technique attention-pipeline,
 * but without the word, a plan is run with the best pieces for dense=chunks.
 */
#ifndef SCENARIOS_PLAN_H
#define SCENARIOS_PLAN_H

#include "base/status.h"
#include "scenarios/order.h"
#include "scenarios/scenario.h"

struct buf;

#define PLAN_DEGREE_MAX 1024	/* pipeline chunks of one pass */
#define PLAN_CTAS_MAX 1024
#define PLAN_PIECES_MAX 64	/* of the dense gradients */

/* What of a block, its dense part (attention) and its MoE layer, a program
 * runs. */
enum plan_dense {
	DENSE_APART,	/* the layer alone */
	DENSE_WHOLE,	/* the dense part, then the layer */
	DENSE_CHUNKS,	/* both in chunks, a steady state of many blocks: see
			   scenarios/program_pipe.c (FlowMoE) */
	DENSE_N,
};

/* What runs beside the exchanges of a pass of degree 1. Passes of more chunks
 * have all of it beside them anyway. */
enum plan_overlap {
	OVERLAP_NONE,	/* nothing but all-reduces: the sequential layer */
	OVERLAP_WEIGHT,	/* weight gradients and shared experts */
	OVERLAP_N,
};

struct plan {
	struct layout layout;
	enum a2a_alg alltoall;
	int degree_forward, degree_backward;	/* pipeline chunks, >= 1 */
	double capacity_factor;	/* 0: dropless (exact counts, no padding) */
	unsigned technique_mask;	/* bits 1 << enum technique_id */
	int ctas;	/* most CTAs (SMs) that an all-to-all exchange may
			   hold; 0: the library's own choice */
	enum plan_overlap overlap;
	struct pass_order order[2];	/* forward, backward */
	double gradient_bytes;	/* 0: none */
	int gradient_pieces;	/* 0: as 1 */
	enum plan_dense dense;
	int dense_pieces;	/* of its gradients; 0: as 1 */
};

/* Every knob equal? */
bool plan_same(const struct plan *p, const struct plan *q);

void plan_print(const struct plan *p, struct buf *out);

/* "flat", or "flat ctas=8 overlap=weight ordered", "flat block": for tables.
 * Returns `out`. */
#define PLAN_EXCHANGE_MAX 56
char *plan_exchange_text(const struct plan *p, char out[PLAN_EXCHANGE_MAX]);

/* Message: "plan: ..." naming the word, its value and what is allowed. */
enum status plan_parse(const char *text, struct plan *out);

#endif
