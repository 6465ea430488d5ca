/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where in the backward pass gradients are reduced.
 *
 * The backward pass goes through generalised layers 0..n-1 (a MoE layer and
 * what follows it up to the next one; 0 is the model's last). Layer i leaves
 * `bytes` of gradients when it is done; in layer i bytes of the layers before
 * it can be reduced: for nothing beside its dense part (window_s), or inside
 * its MoE part, which pass_s() makes longer. What is left at the end is
 * reduced alone. gradient_two_step() is what FSMoE does (greedy filling, then
 * differential evolution on the rest); gradient_best() is dynamic programming
 * over (layer, quantised bytes), polished, and never worse.
 */
#ifndef SIM_GRADIENT_H
#define SIM_GRADIENT_H

#include <stdint.h>

#define GRADIENT_LAYERS_MAX 256

struct gradient_layer {
	double bytes;		/* gradients that it produces (any unit) */
	double window_s;	/* of its dense part */
	const void *moe;	/* for the two functions below */
};

struct gradient_problem {
	int n;
	const struct gradient_layer *layer;
	double alpha_s, beta_s;	/* all-reduce: alpha + beta * bytes */
	/* seconds of a layer's MoE part with a reduction of gradient_s in
	 * it; does not fall when gradient_s grows */
	double (*pass_s)(const void *moe, double gradient_s);
	/* how long a reduction the paper's step 1 thinks is free in it */
	double (*hidden_s)(const void *moe);
};

struct gradient_plan {
	double bytes[GRADIENT_LAYERS_MAX];	/* reduced in layer i */
	double total_s;		/* MoE parts, what sticks out of the windows,
				   and the rest at the end */
};

/* Layer i with so many bytes in it, the best split between its parts. */
double gradient_layer_time(const struct gradient_problem *p, int i,
			   double bytes);

/* total_s of given bytes[]; INFINITY when they are not there in time. */
double gradient_total(const struct gradient_problem *p, const double *bytes);

/* Everything at the end: systems that overlap no gradients. */
void gradient_at_end(const struct gradient_problem *p,
		     struct gradient_plan *out);
/* Beside dense parts only. */
void gradient_in_windows(const struct gradient_problem *p,
			 struct gradient_plan *out);
void gradient_two_step(const struct gradient_problem *p, uint64_t seed,
		       struct gradient_plan *out);
/* The dynamic program alone, on `units` equal parts of all bytes. */
void gradient_exact(const struct gradient_problem *p, int units,
		    struct gradient_plan *out);
void gradient_best(const struct gradient_problem *p,
		   struct gradient_plan *out);

#endif
