/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FasterMoE's shadowing: popular experts are copied to every worker, whose
 * tokens for them then stay at home.
 *
 * Experts in order of their load; one after the other is shadowed while the
 * estimate of a step falls:
 *
 *	3 Bmax flop_per_row / gemm_flops	forward and both gradients
 *	+ 4 Bmax row_bytes / net_Bps		four all-to-alls
 *	+ transfers r expert_bytes / net_Bps	weights out, gradients back
 *
 * with Bmax the rows of the busiest worker: those of its own experts that are
 * not shadowed, and its own tokens' for the shadowed ones. As in the
 * published code, rows that do not leave their worker count as traffic too.
 */
#ifndef SIM_TECH_SHADOW_H
#define SIM_TECH_SHADOW_H

#include "sim/coll.h"
#include "sim/tech_cost.h"

#include <stdint.h>

#define SHADOW_TRANSFERS_DEFAULT 2	/* the paper: broadcast and reduce;
					   its code counts one */
struct shadow_spec {
	int workers, experts;	/* expert e lives on e * workers / experts */
	double flop_per_row;	/* forward: 4 alpha H^2, or 6 H F gated */
	double row_bytes, expert_bytes;
	double gemm_flops, net_Bps;
	double transfers;
};

struct shadow_result {
	bool *shadowed;		/* [experts]; owned */
	int n;			/* r */
	double before_s, after_s;	/* the estimate */
	double busiest_before, busiest_after;	/* Bmax, rows */
	double bytes_before, bytes_after;	/* between workers, one way */
	struct tech_cost forward, backward;	/* broadcast; reduce */
};

/* count[workers * experts]: rows of worker w for expert e. */
enum status shadow_run(const struct shadow_spec *spec, const int64_t *count,
		       struct shadow_result *out);
void shadow_result_release(struct shadow_result *r);

/* The estimate for any set of shadowed experts. */
double shadow_estimate_s(const struct shadow_spec *spec, const int64_t *count,
			 const bool *shadowed);

/* Dispatch bytes that are left; dense, [workers^2]. */
void shadow_traffic(const struct shadow_spec *spec, const int64_t *count,
		    const bool *shadowed, struct traffic *out);

/* Rows that each worker then computes, [workers]. */
void shadow_rows(const struct shadow_spec *spec, const int64_t *count,
		 const bool *shadowed, double *rows);

#endif
