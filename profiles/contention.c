/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/contention.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The search for two losses: a grid that is laid anew around its best. */
#define GRID 20
#define ROUNDS 6
#define ZOOM 0.2

struct row {
	int64_t run;
	struct sample s;
};

struct reader {
	const char *gpu;
	struct row *row;	/* owned */
	size_t n, cap;
};

static bool is_product(const struct sample *s)
{
	return !sample_op_is_exchange(s->op);
}

static enum status take(void *arg, int64_t run, const struct run_info *info,
			const struct sample *s)
{
	struct reader *r = arg;

	if (strcmp(*info->gpu ? info->gpu : info->backend, r->gpu) ||
	    s->wrong > 0 || !(s->median_s > 0) || !strcmp(s->op, "layer"))
		return ST_OK;
	r->row = array_grow(r->row, &r->cap, r->n + 1, sizeof(*r->row));
	r->row[r->n++] = (struct row){ run, *s };
	return ST_OK;
}

/* The same work, alone or not. The tier is where an exchange runs. */
static bool same_work(const struct sample *a, const struct sample *b)
{
	return !strcmp(a->op, b->op) && !strcmp(a->variant, b->variant) &&
		!strcmp(a->dtype, b->dtype) && a->m == b->m && a->n == b->n &&
		a->k == b->k && a->batch == b->batch && a->bytes == b->bytes &&
		a->ctas == b->ctas &&
		(is_product(a) || !strcmp(a->tier, b->tier));
}

/* Time of the same work alone, nearest before row i; 0: there is none. */
static double alone_s(const struct reader *r, size_t i,
		      const struct sample *s)
{
	while (i-- > 0 && r->row[i].run == r->row[i + 1].run) {
		if (!*r->row[i].s.beside && same_work(&r->row[i].s, s))
			return r->row[i].s.median_s;
	}
	return 0;
}

/* Rows i and i + 1, if they are a pair that is known alone. */
static bool make_pair(const struct reader *r, size_t i,
		      struct contention_pair *out)
{
	const struct sample *a = &r->row[i].s, *b = &r->row[i + 1].s;
	struct sample product = *a;

	if (!a->pair || a->pair != b->pair || !*a->beside || !*b->beside ||
	    r->row[i].run != r->row[i + 1].run || !is_product(a) ||
	    is_product(b))
		return false;
	product.ctas = 0;	/* those are the exchange's */
	*out = (struct contention_pair){
		.ctas = b->ctas,
		.product_s = alone_s(r, i, &product),
		.exchange_s = alone_s(r, i, b),
		.product_beside_s = a->median_s,
		.exchange_beside_s = b->median_s,
	};
	snprintf(out->op, sizeof(out->op), "%s", a->op);
	snprintf(out->tier, sizeof(out->tier), "%s", b->tier);
	return out->product_s > 0 && out->exchange_s > 0;
}

enum status contention_pairs(struct store *db, const char *gpu,
			     struct contention_pair **out_p, size_t *n_p)
{
	struct reader r = { .gpu = gpu };
	struct contention_pair *p;
	enum status st = store_each(db, take, &r);
	size_t i, n = 0;

	if (st) {
		free(r.row);
		return st;
	}
	p = xcalloc(r.n + 1, sizeof(*p));
	for (i = 0; i + 1 < r.n; i++)
		n += make_pair(&r, i, &p[n]);
	free(r.row);
	*out_p = p;
	*n_p = n;
	return ST_OK;
}

/* The one that is done first has lost all the way, the other until then. */
void contention_times(double product_s, double exchange_s,
		      double product_loss, double own_loss,
		      double *product_p, double *exchange_p)
{
	double product = product_s / (1 - product_loss);
	double exchange = exchange_s / (1 - own_loss);

	if (product <= exchange)
		exchange = exchange_s + product * own_loss;
	else
		product = product_s + exchange * product_loss;
	*product_p = product;
	*exchange_p = exchange;
}

struct fitter {
	const struct contention_pair *p;
	size_t n;
	const char *tier;
	int ctas;
};

static bool counts(const struct fitter *f, const struct contention_pair *p)
{
	return !strcmp(p->op, "gemm") && !strcmp(p->tier, f->tier) &&
		p->ctas == f->ctas;
}

/* Sums over pairs; absolute: of |error|, else of its square. */
static double errors(const struct fitter *f, double product_loss,
		     double own_loss, bool absolute)
{
	double sum = 0, product, exchange, a, b;
	size_t i;

	for (i = 0; i < f->n; i++) {
		const struct contention_pair *p = &f->p[i];

		if (!counts(f, p))
			continue;
		contention_times(p->product_s, p->exchange_s, product_loss,
				 own_loss, &product, &exchange);
		a = fabs(product / p->product_beside_s - 1);
		b = fabs(exchange / p->exchange_beside_s - 1);
		sum += absolute ? a + b : a * a + b * b;
	}
	return sum;
}

static double clamp(double v)
{
	return fmin(fmax(v, 0), CONTENTION_LOSS_MAX);
}

/* Around *a, *b, `width` to both sides. */
static void search_grid(const struct fitter *f, double width, double *a,
			double *b)
{
	double best = INFINITY, at_a = *a, at_b = *b, x, y, e;
	int i, j;

	for (i = -GRID; i <= GRID; i++) {
		for (j = -GRID; j <= GRID; j++) {
			x = clamp(at_a + width * i / GRID);
			y = clamp(at_b + width * j / GRID);
			e = errors(f, x, y, false);
			if (e < best) {
				best = e;
				*a = x;
				*b = y;
			}
		}
	}
}

bool contention_fit(const struct contention_pair *p, size_t n,
		    const char *tier, int ctas,
		    struct measured_contention *out)
{
	const struct fitter f = { p, n, tier, ctas };
	double a = CONTENTION_LOSS_MAX / 2, b = a, width = a;
	int i, pairs = 0;
	size_t k;

	for (k = 0; k < n; k++)
		pairs += counts(&f, &p[k]);
	if (!pairs)
		return false;
	for (i = 0; i < ROUNDS; i++, width *= ZOOM)
		search_grid(&f, width, &a, &b);
	*out = (struct measured_contention){
		.ctas = ctas, .product_loss = a, .own_loss = b,
		.pairs = pairs, .mape = errors(&f, a, b, true) / (2 * pairs),
	};
	snprintf(out->tier, sizeof(out->tier), "%s", tier);
	return true;
}

static bool is_known(const struct measured *m, const char *tier, int ctas)
{
	int i;

	for (i = 0; i < m->n_contention; i++) {
		if (!strcmp(m->contention[i].tier, tier) &&
		    m->contention[i].ctas == ctas)
			return true;
	}
	return false;
}

enum status contention_measured(struct store *db, const char *gpu,
				struct measured *out)
{
	struct contention_pair *p;
	size_t n, i;
	enum status st = contention_pairs(db, gpu, &p, &n);

	if (st)
		return st;
	out->contention = xcalloc(n + 1, sizeof(*out->contention));
	for (i = 0; i < n; i++) {
		if (!is_known(out, p[i].tier, p[i].ctas) &&
		    contention_fit(p, n, p[i].tier, p[i].ctas,
				   &out->contention[out->n_contention]))
			out->n_contention++;
	}
	free(p);
	return ST_OK;
}
