/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Kernels of a layer that were measured at some shapes, and what its products
 * have more than those of a benchmark. */
#include "scenarios/measured.h"

#include <math.h>
#include <string.h>

/* Variant of products that have a kernel each. */
#define ONE_BY_ONE "per-expert"
#define FP32_BYTES 4
#define INDEX_BYTES 4
/* Shapes nearer than this on the logarithmic scales are the same. */
#define NEAR 1e-6

/*
 * Traffic that the runner counts for one token and in all (gpu/work.c):
 * curves are over its sum.
 */
static double bytes_of(const char *op, double tokens, double n, double k)
{
	if (!strcmp(op, "topk"))
		return tokens * (n * FP32_BYTES +
				 k * (FP32_BYTES + INDEX_BYTES)) +
			n * INDEX_BYTES;
	/* sort */
	return tokens * k * 2 * INDEX_BYTES;
}

/* Means of logarithms, by distances on logarithmic scales. */
struct mean {
	double weight, sum;
};

static void mean_add(struct mean *m, double distance, double seconds)
{
	double d = fmax(distance, NEAR), w = 1 / (d * d);

	m->sum += w * log(seconds);
	m->weight += w;
}

static double mean_of(const struct mean *m)
{
	return m->weight > 0 ? exp(m->sum / m->weight) : 0;
}

double measured_kernel_seconds(const struct measured *m, const char *op,
			       double tokens, double n, double k)
{
	struct mean mean = { 0 };
	int i;

	for (i = 0; m && i < m->n_curves; i++) {
		const struct measured_curve *c = &m->curve[i];

		if (strcmp(c->op, op) || !(c->n > 0) || !(c->k > 0))
			continue;
		mean_add(&mean, hypot(log(n / c->n), log(k / c->k)),
			 curve_eval(&c->curve,
				    bytes_of(op, tokens, c->n, c->k)));
	}
	return mean_of(&mean);
}

double measured_plan_seconds(const struct measured *m, const char *op,
			     double choices, double experts, double chunks)
{
	struct mean mean = { 0 };
	int i;

	for (i = 0; m && i < m->n_curves; i++) {
		const struct measured_curve *c = &m->curve[i];

		if (strcmp(c->op, op) || !(c->n > 0) || !(c->batch > 0))
			continue;
		mean_add(&mean, hypot(log(experts / c->n),
				      log(chunks / c->batch)),
			 curve_eval(&c->curve, choices * INDEX_BYTES));
	}
	return mean_of(&mean);
}

double measured_each_seconds(const struct measured *m, enum dtype t,
			     double rows, double n, double k, double batch,
			     bool *outside_p)
{
	bool outside;
	double s;
	int i;

	for (i = 0; i < m->n_tables; i++) {
		const struct product_table *table = &m->table[i];

		if (table->dtype != t || strcmp(table->variant, ONE_BY_ONE))
			continue;
		s = product_seconds(table, rows, n, k, batch, &outside);
		if (outside)
			break;
		*outside_p = false;
		return s;
	}
	return measured_product_seconds(m, t, rows, n, k, batch, outside_p);
}

double measured_launch_seconds(const struct measured *m, double launches)
{
	const struct measured_curve *c = m ?
		measured_find(m, MEASURED_LAUNCH, "memory", 1) : NULL;

	return c ? curve_eval(&c->curve, launches) : 0;
}

/* Rounds of a search ask for it again and again: a few points are enough. */
#define ADDING_POINTS_MAX 128

double measured_adding_seconds(const struct measured *m, enum dtype t)
{
	double sum = 0, more;
	int n = 0, i, j;
	bool outside;

	for (i = 0; m && i < m->n_tables; i++) {
		const struct product_table *table = &m->table[i];

		if (table->dtype != t ||
		    strcmp(table->variant, MEASURED_ADDING) != 0 ||
		    !measured_has_products(m, t))
			continue;
		for (j = 0; j < table->n && n < ADDING_POINTS_MAX; j++, n++) {
			const struct product_point *p = &table->point[j];

			more = p->seconds - measured_product_seconds(m, t,
				p->m, p->n, p->k, p->batch, &outside);
			sum += fmax(more, 0) / (p->m * p->n * p->batch);
		}
	}
	return n ? sum / n : 0;
}
