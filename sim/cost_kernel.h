/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernels of one GPU: what a product and a streaming kernel take.
 *
 * A struct work sums kernels that run one after the other: seconds, and the
 * HBM bytes that they move. Private to sim/cost*.c; doc/model.md, section
 * "Layer cost", has the equations.
 */
#ifndef SIM_COST_KERNEL_H
#define SIM_COST_KERNEL_H

#include "scenarios/scenario.h"

struct work {
	double seconds, bytes;
	double outside_s;	/* of `seconds`: products past the measured range */
	double first_s;		/* of `seconds`: until the first product is done */
	double held_s;		/* beside `seconds`: how much longer products take
				   when the power limit holds all the time */
	double limited_s;	/* what those that take longer then take */
	/* calls of a host, one after another: what it needs to queue all, and
	 * how much longer than `seconds` it is to the end when it begins with
	 * the first as the work does. See work_add(). */
	double host_s, late_s;
};

/*
 * A group of products that one kernel computes: product i is
 * rows[i]*row_scale x n x k, or, with `rows_are_depth`, m x n x
 * rows[i]*row_scale (weight gradients).
 */
struct gemm_group {
	int n_products;
	double repeat;		/* each of them so many times */
	const double *rows;
	double row_scale;
	bool rows_are_depth;
	double m, n, k;		/* the two that are fixed */
	double empty;		/* share of rows that are zeros */
	bool packed;		/* one call each, not one for all */
	bool adds;		/* to outputs that are there, which takes: */
	double adding_s;	/* more for each, where products were measured */
};

/* From the table of `m` (may be NULL) where it reaches, else the roofline. */
struct measured;
void work_add_gemms(struct work *w, const struct gpu *g,
		    const struct measured *m, enum dtype t,
		    const struct gemm_group *group);
/* Does a table of products that have a kernel each reach them all? */
bool work_each_known(const struct measured *m, enum dtype t,
		     const struct gemm_group *group);
void work_add(struct work *w, const struct work *more);
void work_add_gemm(struct work *w, const struct gpu *g,
		   const struct measured *table, enum dtype t, double m,
		   double n, double k);
/* On a GPU that others leave `speed` of; it is as far from the limit. */
void work_slow(struct work *w, double speed);
/* The power limit holds so much of the time. */
void work_hold(struct work *w, double share);
void work_add_stream(struct work *w, const struct gpu *g, double bytes);

#endif
