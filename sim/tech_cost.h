/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a technique's own work costs one rank for one layer and one direction.
 *
 * Modules sim/tech_*.c fill it; it is work on top of the layer's (or instead
 * of an op of it, where the function says so). Time on a GPU:
 *
 *	t = kernels * kernel_s + gemm_flop / (peak * gemm_efficiency)
 *	    + max(vector_flop / fp32 peak, hbm_bytes / (HBM * hbm_efficiency))
 *
 * Exchanges beside the layer's are not in that time: the caller costs them
 * as collectives (sim/coll.h) of `exchange_bytes` in `messages` messages.
 */
#ifndef SIM_TECH_COST_H
#define SIM_TECH_COST_H

#include "scenarios/gpu.h"

struct tech_cost {
	double gemm_flop;	/* matrix units, in the model's dtype */
	double vector_flop;	/* fp32 units */
	double hbm_bytes;	/* of the streaming kernels, read + written */
	int kernels;		/* launches */
	int host_syncs;		/* the host must see sizes before it goes on */
	int exchanges;		/* small collectives beside the layer's */
	double exchange_bytes;	/* that a rank sends in all of them */
	double messages;	/* that a rank sends in all of them */
};

static inline void tech_cost_add(struct tech_cost *sum,
				 const struct tech_cost *c)
{
	sum->gemm_flop += c->gemm_flop;
	sum->vector_flop += c->vector_flop;
	sum->hbm_bytes += c->hbm_bytes;
	sum->kernels += c->kernels;
	sum->host_syncs += c->host_syncs;
	sum->exchanges += c->exchanges;
	sum->exchange_bytes += c->exchange_bytes;
	sum->messages += c->messages;
}

/* Seconds of the compute part on one GPU; see above. */
double tech_cost_compute_s(const struct tech_cost *c, const struct gpu *g,
			   enum dtype t);

#endif
