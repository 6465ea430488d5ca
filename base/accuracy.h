/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How good a forecast is: errors of its times, and whether it puts things in
 * the right order. Predicted and measured times are positive, n of each.
 * Equations: doc/model.md, section "Validation".
 */
#ifndef BASE_ACCURACY_H
#define BASE_ACCURACY_H

/* predicted / measured - 1 */
double accuracy_error(double predicted, double measured);

/* Mean of the absolute errors; 0 for n = 0. */
double accuracy_mean(const double *predicted, const double *measured, int n);

/* The least absolute error that `share` of the rows do not exceed (nearest
 * rank); 0 for n = 0. */
double accuracy_quantile(const double *predicted, const double *measured,
			 int n, double share);

/*
 * Kendall's tau-b of the two orders (ties counted), -1..1; NAN when one of
 * them is no order: fewer than two different values. Pairs whose measured
 * times differ by no more than the share `apart` of the smaller one count as
 * tied in both orders: 0: only equal ones are, and only in the one.
 */
double accuracy_tau(const double *predicted, const double *measured, int n,
		    double apart);

/*
 * What choosing by the forecast costs: the measured time of the row with the
 * least predicted one (the first of equals), over the least measured time,
 * minus 1. 0 for n = 0.
 */
double accuracy_regret(const double *predicted, const double *measured,
		       int n);
int accuracy_least(const double *v, int n);	/* index; the first of equals */

#endif
