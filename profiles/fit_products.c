/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/fit_products.h"

#include "base/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WAYS_MAX 8	/* of one (n, k, batch); more are passed over */
#define ROWS_ENOUGH 3	/* of a way that may be the best */

/* One shape, computed one way. */
struct way {
	struct product_point point;	/* median of its repeats */
	const char *variant;
};

static bool same_shape(const struct product_point *a,
		       const struct product_point *b)
{
	return a->m == b->m && a->n == b->n && a->k == b->k &&
		a->batch == b->batch;
}

static bool same_matrix(const struct product_point *a,
			const struct product_point *b)
{
	return a->n == b->n && a->k == b->k && a->batch == b->batch;
}

static struct product_point point_of(const struct fit_product *p)
{
	return (struct product_point){ p->m, p->n, p->k, p->batch,
				       p->seconds };
}

/* Repeats of one way stand together, by time. */
static size_t read_ways(const struct fit_product *p, size_t n,
			struct way *out)
{
	size_t from, to, count = 0;

	for (from = 0; from < n; from = to) {
		struct way w = { point_of(&p[from]), p[from].variant };

		for (to = from; to < n; to++) {
			struct product_point x = point_of(&p[to]);

			if (!same_shape(&x, &w.point) ||
			    strcmp(p[to].variant, w.variant))
				break;
		}
		w.point.seconds = (p[(from + to - 1) / 2].seconds +
				   p[(from + to) / 2].seconds) / 2;
		out[count++] = w;
	}
	return count;
}

static int by_number(double a, double b)
{
	return (a > b) - (a < b);
}

static int by_matrix(const void *a, const void *b)
{
	const struct way *x = a, *y = b;
	int d = by_number(x->point.n, y->point.n);

	d = d ? d : by_number(x->point.k, y->point.k);
	d = d ? d : by_number(x->point.batch, y->point.batch);
	d = d ? d : by_number(x->point.m, y->point.m);
	return d ? d : strcmp(x->variant, y->variant);
}

struct contest {
	int n;
	const char *name[WAYS_MAX];
	int rows[WAYS_MAX];
	double ratio[WAYS_MAX][WAYS_MAX];	/* sum of log(t_i / t_j) */
};

static int entry_of(struct contest *c, const char *name)
{
	int i;

	for (i = 0; i < c->n && strcmp(c->name[i], name); i++)
		;
	if (i == WAYS_MAX)
		return -1;
	if (i == c->n)
		c->name[c->n++] = name;
	return i;
}

/* The ways w[0..n) of one shape. */
static void compare_ways(struct contest *c, const struct way *w, size_t n)
{
	size_t i, j;
	int a, b;

	for (i = 0; i < n; i++) {
		a = entry_of(c, w[i].variant);
		if (a < 0)
			continue;
		c->rows[a]++;
		for (j = 0; j < n; j++) {
			b = entry_of(c, w[j].variant);
			if (b >= 0)
				c->ratio[a][b] += log(w[i].point.seconds /
						      w[j].point.seconds);
		}
	}
}

static size_t shape_end(const struct way *w, size_t from, size_t n)
{
	size_t to = from;

	while (to < n && same_shape(&w[to].point, &w[from].point))
		to++;
	return to;
}

/* The best way of w[0..n), all of one (n, k, batch). */
static const char *best_way(const struct way *w, size_t n)
{
	struct contest c = { 0 };
	int i, j, wins, best = -1, best_wins = -1, most = 0;
	size_t from, to;

	for (from = 0; from < n; from = to) {
		to = shape_end(w, from, n);
		compare_ways(&c, w + from, to - from);
	}
	for (i = 0; i < c.n; i++)
		most = c.rows[i] > most ? c.rows[i] : most;
	for (i = 0; i < c.n; i++) {
		if (c.rows[i] < most && c.rows[i] < ROWS_ENOUGH)
			continue;
		for (j = wins = 0; j < c.n; j++)
			wins += c.ratio[i][j] < 0;
		if (wins > best_wins ||
		    (wins == best_wins && strcmp(c.name[i], c.name[best]) < 0)) {
			best = i;
			best_wins = wins;
		}
	}
	return c.name[best];
}

/* One shape, if the best way is among w[0..n). */
static int take_shape(const struct way *w, size_t n, const char *best,
		      struct product_point *out)
{
	bool there = false;
	size_t i;

	*out = w[0].point;
	for (i = 0; i < n; i++) {
		there |= !strcmp(w[i].variant, best);
		out->seconds = fmin(out->seconds, w[i].point.seconds);
	}
	return there;
}

static int take_matrix(const struct way *w, size_t n,
		       struct product_point *out)
{
	const char *best = best_way(w, n);
	size_t from, to;
	int count = 0;

	for (from = 0; from < n; from = to) {
		to = shape_end(w, from, n);
		count += take_shape(w + from, to - from, best, &out[count]);
	}
	return count;
}

int fit_products_take(const struct fit_product *p, size_t n,
		      struct product_point *out)
{
	struct way *w = xcalloc(n + 1, sizeof(*w));
	size_t from, to, n_ways = read_ways(p, n, w);
	int count = 0;

	qsort(w, n_ways, sizeof(*w), by_matrix);
	for (from = 0; from < n_ways; from = to) {
		for (to = from; to < n_ways &&
		     same_matrix(&w[to].point, &w[from].point); to++)
			;
		count += take_matrix(w + from, to - from, out + count);
	}
	free(w);
	return count;
}
