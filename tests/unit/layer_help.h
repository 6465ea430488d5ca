/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random small layers for the tests of gpu/layer_*. */
#ifndef TESTS_UNIT_LAYER_HELP_H
#define TESTS_UNIT_LAYER_HELP_H

#include "gpu/layer.h"

#include <stdlib.h>

/* A multiplicative generator (Park and Miller): the same everywhere. */
static inline int help_random(uint64_t *state, int n)
{
	*state = *state * 48271 % 2147483647;
	return (int)(*state % (uint64_t)n);
}

static inline int help_divisor(uint64_t *state, int n)
{
	int d;

	do
		d = 1 + help_random(state, n);
	while (n % d);
	return d;
}

/* Counts in which some experts and some ranks' choices are rare. */
static inline void help_counts(uint64_t *state, struct layer_case *c)
{
	int ranks = layer_ranks(c), r, e, rest;

	c->count = calloc((size_t)(ranks * c->experts), sizeof(*c->count));
	for (r = 0; r < ranks; r++) {
		int32_t *row = c->count + r * c->experts;
		int spread = 1 + help_random(state, c->experts);

		if (spread < c->k)
			spread = c->k;
		for (rest = c->tokens * c->k; rest > 0;) {
			e = help_random(state, spread);
			if (row[e] < c->tokens) {
				row[e]++;
				rest--;
			}
		}
	}
}

/* nodes 1..8, at most 4 GPUs each, any layout that fits. */
static inline struct layer_case help_case(uint64_t *state)
{
	struct layer_case c = { .dtype = DT_FP32, .hidden = 8, .ffn = 8,
				.nodes = 1 + help_random(state, 8),
				.gpus_per_node = 1 << help_random(state, 3),
				.seed = (uint64_t)help_random(state, 1000) };
	struct layout *l = &c.plan.layout;
	int ranks = layer_ranks(&c), times = 1 + help_random(state, 3);

	l->esp = help_divisor(state, c.gpus_per_node);
	l->ep = help_divisor(state, ranks / l->esp);
	l->dp = ranks / l->esp / l->ep;
	l->tp = l->pp = 1;
	c.experts = help_random(state, 3) ? l->ep * times :
		    help_divisor(state, l->ep);
	c.k = 1 + help_random(state, c.experts < 4 ? c.experts : 4);
	c.tokens = 1 + help_random(state, 12);
	c.capacity = help_random(state, 2) ? 1 + help_random(state, c.tokens) :
		     0;
	c.plan.capacity_factor = c.capacity ? 1 : 0;
	c.plan.degree_forward = 1 + help_random(state, 4);
	c.plan.degree_backward = 1 + help_random(state, 4);
	c.plan.technique_mask = 1;
	if (help_random(state, 4))
		help_counts(state, &c);
	return c;
}

#endif
