/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The dense part of a layer: attention, dense networks, head, and the
 * collectives of its tensor group. doc/model.md, section "Whole models".
 */
#ifndef SIM_DENSE_H
#define SIM_DENSE_H

#include "sim/coll.h"
#include "sim/cost_kernel.h"

struct dense {
	const struct gpu *gpu;
	const struct model *model;
	int tp;
	double tokens;		/* of a tensor group, one micro-batch */
	double params;		/* of one layer, not routed, whole */
};

void dense_init(struct dense *d, const struct gpu *gpu, const struct model *m,
		const struct layout *l);

/* One pass of a share of the tokens on one GPU; without the collectives. */
void dense_work(const struct dense *d, bool backward, double share,
		struct work *out);

/* The tensor group's collectives of one pass in so many chunks, of which this
 * is one. */
enum status dense_tensor(const struct dense *d, const struct coll_spec *spec,
			 int chunks, double *out_s);

/*
 * One of so many chunks of a pass, with its collectives, which come before and
 * after the products, on the GPU that others leave least of.
 */
struct work dense_op_work(const struct dense *d, const struct coll_spec *spec,
			  bool backward, int chunks);

/* Bytes of its gradients on one GPU, the same on all that sum them. */
double dense_gradient_bytes(const struct dense *d);

#endif
