/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/accuracy.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

double accuracy_error(double predicted, double measured)
{
	return predicted / measured - 1;
}

double accuracy_mean(const double *predicted, const double *measured, int n)
{
	double sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += fabs(accuracy_error(predicted[i], measured[i]));
	return n > 0 ? sum / n : 0;
}

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double accuracy_quantile(const double *predicted, const double *measured,
			 int n, double share)
{
	double *e, q;
	int i;

	if (n <= 0)
		return 0;
	e = xcalloc((size_t)n, sizeof(*e));
	for (i = 0; i < n; i++)
		e[i] = fabs(accuracy_error(predicted[i], measured[i]));
	qsort(e, (size_t)n, sizeof(*e), ascending);
	i = (int)ceil(share * n) - 1;
	q = e[i < 0 ? 0 : i];
	free(e);
	return q;
}

static int sign(double x)
{
	return (x > 0) - (x < 0);
}

/*
 * tau-b = (concordant - discordant) / sqrt((n0 - n1) (n0 - n2)): n0 pairs in
 * all, n1 and n2 of them tied in the one and the other order (Kendall 1945).
 */
double accuracy_tau(const double *predicted, const double *measured, int n,
		    double apart)
{
	double score = 0, differ_p = 0, differ_m = 0;
	int i, j, p, m;

	for (i = 0; i < n; i++) {
		for (j = i + 1; j < n; j++) {
			if (apart > 0 && fabs(measured[i] - measured[j]) <=
			    apart * fmin(measured[i], measured[j]))
				continue;
			p = sign(predicted[i] - predicted[j]);
			m = sign(measured[i] - measured[j]);
			score += p * m;
			differ_p += p != 0;
			differ_m += m != 0;
		}
	}
	if (!(differ_p > 0) || !(differ_m > 0))
		return NAN;
	return score / sqrt(differ_p * differ_m);
}

int accuracy_least(const double *v, int n)
{
	int i, best = 0;

	for (i = 1; i < n; i++) {
		if (v[i] < v[best])
			best = i;
	}
	return best;
}

double accuracy_regret(const double *predicted, const double *measured, int n)
{
	if (n <= 0)
		return 0;
	return measured[accuracy_least(predicted, n)] /
		measured[accuracy_least(measured, n)] - 1;
}
