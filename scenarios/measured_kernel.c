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

double measured_sums_seconds(const struct measured *m, double bytes,
			     double hidden, double k)
{
	struct mean mean = { 0 };
	int i;

	for (i = 0; m && i < m->n_curves; i++) {
		const struct measured_curve *c = &m->curve[i];

		if (strcmp(c->op, MEASURED_SUMS) || !(c->n > 0) || !(c->k > 0))
			continue;
		mean_add(&mean, hypot(log(hidden / c->n), log(k / c->k)),
			 curve_eval(&c->curve, bytes));
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

static const struct product_table *find_table(const struct measured *m,
					      enum dtype t,
					      const char *variant)
{
	int i;

	for (i = 0; m && i < m->n_tables; i++) {
		if (m->table[i].dtype == t &&
		    !strcmp(m->table[i].variant, variant))
			return &m->table[i];
	}
	return NULL;
}

double measured_variant_seconds(const struct measured *m, enum dtype t,
				const char *variant,
				const struct product_point *p)
{
	const struct product_table *table = find_table(m, t, variant);
	bool outside = true;
	double s = 0;

	if (table)
		s = product_seconds(table, p->m, p->n, p->k, p->batch,
				    &outside);
	return outside ? 0 : s;
}

/* One that has more rows than were measured fills the GPU by itself, too. */
static bool reaches(const struct measured *m, enum dtype t,
		    const char *variant, struct product_point p)
{
	const struct product_table *table = find_table(m, t, variant);
	double rows = 0, depth = 0;
	int i;

	for (i = 0; table && i < table->n; i++) {
		rows = fmax(rows, table->point[i].m);
		depth = fmax(depth, table->point[i].k);
	}
	p.m = fmin(p.m, rows);
	p.k = fmin(p.k, depth);
	return p.m > 0 && p.k > 0 &&
		measured_variant_seconds(m, t, variant, &p) > 0;
}

bool measured_each_known(const struct measured *m, enum dtype t,
			 bool of_weights, double rows, double n, double k,
			 double batch)
{
	const struct product_point p = { rows, n, k, batch, 0 };

	return reaches(m, t, ONE_BY_ONE, p) ||
		(of_weights && reaches(m, t, MEASURED_WEIGHTS_EACH, p));
}

double measured_each_seconds(const struct measured *m, enum dtype t,
			     bool of_weights, double rows, double n, double k,
			     double batch, bool *outside_p)
{
	const struct product_point p = { rows, n, k, batch, 0 };
	double s = of_weights ? measured_variant_seconds(m, t,
		MEASURED_WEIGHTS_EACH, &p) : 0;

	if (!(s > 0))
		s = measured_variant_seconds(m, t, ONE_BY_ONE, &p);
	if (!(s > 0))
		return measured_product_seconds(m, t, rows, n, k, batch,
						outside_p);
	*outside_p = false;
	return s;
}

/* Of what passes between kernels: so many of them; 0: not measured. */
static double turn_seconds(const struct measured *m, const char *op, double n)
{
	const struct measured_curve *c = m ?
		measured_find(m, op, "memory", 1) : NULL;

	return c ? curve_eval(&c->curve, n) : 0;
}

double measured_launch_seconds(const struct measured *m, double launches)
{
	return turn_seconds(m, MEASURED_LAUNCH, launches);
}

double measured_call_seconds(const struct measured *m, double calls)
{
	return turn_seconds(m, MEASURED_CALL, calls);
}

static bool same_shape(const struct product_point *a,
		       const struct product_point *b)
{
	return a->m == b->m && a->n == b->n && a->k == b->k &&
		a->batch == b->batch;
}

double measured_empty_saves(const struct measured *m, enum dtype t)
{
	const struct product_table *full = find_table(m, t,
						      MEASURED_SUSTAINED);
	const struct product_table *half = find_table(m, t,
						      MEASURED_HALF_EMPTY);
	double sum = 0;
	int n = 0, i, j;

	for (i = 0; full && half && i < full->n; i++) {
		for (j = 0; j < half->n; j++) {
			if (!same_shape(&full->point[i], &half->point[j]))
				continue;
			sum += log(half->point[j].seconds /
				   full->point[i].seconds);
			n++;
		}
	}
	return n ? fmin(fmax(2 * (1 - exp(sum / n)), 0), 1) : 1;
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
