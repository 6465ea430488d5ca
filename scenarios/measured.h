/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a profile says about a GPU, in the form that the forecast takes.
 *
 * profiles/ makes it from fits, cli/ hands it to the scenario, sim/ reads
 * it. Exchange and memory curves are folded into struct gpu's constants
 * (comm_tier, hbm_efficiency, kernel_s) by measured_apply(); products are a
 * table that cost_gemm() consults before its roofline.
 */
#ifndef SCENARIOS_MEASURED_H
#define SCENARIOS_MEASURED_H

#include "base/curve.h"
#include "base/status.h"
#include "scenarios/gpu.h"

/* One measured product: batch x (m x k) (k x n). */
struct product_point {
	double m, n, k, batch;
	double seconds;
};

/*
 * Products of one dtype. Seconds between points: rate (FLOP/s) interpolated
 * in the logarithms of rows per product and of weight size, made monotone in
 * work: more rows, columns or depth never take less time. Outside the range
 * the nearest rate counts and *outside_p is set.
 */
struct product_table {
	enum dtype dtype;
	int n;
	struct product_point *point;	/* owned */
};

double product_seconds(const struct product_table *t, double m, double n,
		       double k, double batch, bool *outside_p);
void product_table_release(struct product_table *t);

/* The curve of one op on one tier, and the sizes that it was fitted on. */
struct measured_curve {
	char op[32], tier[32];
	int ranks;
	struct curve curve;	/* seconds of bytes */
	double min_bytes, max_bytes;
	double r2, mape;	/* mape: mean relative error, held-out sizes */
};

struct measured {
	char source[256];	/* database and run, for reports */
	int n_curves;
	struct measured_curve *curve;	/* owned */
	int n_tables;
	struct product_table *table;	/* owned */
};

void measured_release(struct measured *m);

/* Curve of an op on a tier with the nearest number of ranks, or NULL. */
const struct measured_curve *measured_find(const struct measured *m,
					   const char *op, const char *tier,
					   int ranks);

/*
 * Folds the curves into the GPU: intra from tier nvlink (else shm), inter
 * from network (else socket), memory from stream; what was not measured
 * stays. Each folded constant is a measured one in reports.
 */
struct cluster;
void measured_apply(const struct measured *m, struct cluster *c);

#endif
