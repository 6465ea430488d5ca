/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a product and an exchange lose while they run side by side, from
 * samples that were taken so (gpu/job.h, `beside`).
 *
 * While both run, the product goes at 1 - product_loss of its speed alone and
 * the exchange at 1 - own_loss; each takes its own speed up again when the
 * other is done. That is what the flow model does with the two numbers
 * (sim/exec.h).
 */
#ifndef PROFILES_CONTENTION_H
#define PROFILES_CONTENTION_H

#include "profiles/store.h"
#include "scenarios/measured.h"

#define CONTENTION_LOSS_MAX 0.95

/* One measurement: started together, each timed by itself. */
struct contention_pair {
	char op[SAMPLE_TEXT], tier[SAMPLE_TEXT];	/* of the exchange */
	int ctas;
	double product_s, exchange_s;	/* alone */
	double product_beside_s, exchange_beside_s;
};

/*
 * All of the database that are of that GPU (of the run; its backend when
 * empty), numbered by the program that measured them, and of which both were
 * also measured alone in the same run. *out_p is the caller's to free().
 */
enum status contention_pairs(struct store *db, const char *gpu,
			     struct contention_pair **out_p, size_t *n_p);

/* Both times, from those alone. */
void contention_times(double product_s, double exchange_s,
		      double product_loss, double own_loss,
		      double *product_p, double *exchange_p);

/*
 * The losses with the least squares of relative errors of both times, over
 * pairs of products (op gemm) of that tier and CTA limit. False: there is
 * none.
 */
bool contention_fit(const struct contention_pair *p, size_t n,
		    const char *tier, int ctas,
		    struct measured_contention *out);

/* One fit for each tier and CTA limit, in order of appearance; in
 * out->contention. */
enum status contention_measured(struct store *db, const char *gpu,
				struct measured *out);

#endif
