/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of a pass' ops: a choice of the plan.
 *
 * Lowering lays the ops of a pass in an array; the lanes take their ops in
 * the array's order. What stands between the first ops of a pass (gate,
 * permutation) and its last ones may stand in any order that keeps to the
 * dependencies. Chunks of one kind are alike, so they stay in their order,
 * and an order is a sequence of kinds: a place says which kind comes next.
 *
 * As text a pass is the name of a rule, or places: a letter for the kind, b,
 * c or d behind it for the second to fourth step of an exchange, and how many
 * in a row where there is more than one,
 *
 *	order=dispatch-first/D3SE2W2DE2W2C4G
 *
 * FORWARD/BACKWARD; one text is for both.
 */
#ifndef SCENARIOS_ORDER_H
#define SCENARIOS_ORDER_H

#include "base/status.h"

#include <stdbool.h>

struct buf;
struct op;
struct program;

enum order_rule {
	ORDER_DISPATCH_FIRST,	/* the whole way to the experts before the way
				   back, data gradients before weights' */
	ORDER_INTERLEAVED,	/* a wavefront over the whole way, older
				   chunks first */
	ORDER_COMBINE_FIRST,	/* a chunk goes back as soon as it can; one
				   more is under way to the experts */
	ORDER_GIVEN,		/* place[] */
	ORDER_RULES,
};

#define ORDER_PLACES_MAX 104	/* of a pass; longer ones keep to a rule */

struct pass_order {
	unsigned char rule;	/* enum order_rule */
	unsigned char n;	/* ORDER_GIVEN: places; else 0 */
	unsigned char place[ORDER_PLACES_MAX];
};

/* Kinds of places: letter and step. */
#define ORDER_STEPS 4
#define ORDER_KINDS 44

/* The kind of an op in 0..ORDER_KINDS - 1; -1: it cannot be moved. */
int order_kind(const struct op *op);

/* Is a place's kind the all-reduce of dense gradients? */
bool order_is_sum(int kind);

bool order_is_default(const struct pass_order order[2]);
int order_compare(const struct pass_order *a, const struct pass_order *b);

/* "rule", or "rule/rule", ... */
void order_print(const struct pass_order order[2], struct buf *out);
/* Message: "plan: 'order' ..." */
enum status order_parse(const char *text, struct pass_order out[2]);

/*
 * The pass' ops [first, first + n) as that order has them: their indices,
 * while they stand dispatch-first. ST_INPUT when the places are not those of
 * the pass, or break a dependency.
 */
enum status order_sequence(const struct program *p, int pass,
			   const struct pass_order *order, int *sequence);

/* The places of a sequence of all ops of the pass; false: too many. */
bool order_from_sequence(const struct program *p, int pass,
			 const int *sequence, struct pass_order *out);

/* Lays the pass' ops in that sequence; keeps dependencies what they are. */
void order_lay(struct program *p, int pass, const int *sequence);

/* Both passes in the order of the program's plan; they are dispatch-first. */
enum status order_lay_plan(struct program *p);

#endif
