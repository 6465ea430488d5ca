/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clusters of copies with equal codes, centroids, residuals. */
#include "sim/tech_lsh.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct item {
	int expert, copy, hashes;
	const int *code;	/* [hashes] */
};

static int same_list(const struct item *x, const struct item *y)
{
	if (x->expert != y->expert) {
		return x->expert < y->expert ? -1 : 1;
	}
	for (int h = 0; h < x->hashes; h++) {
		if (x->code[h] != y->code[h]) {
			return x->code[h] < y->code[h] ? -1 : 1;
		}
	}
	return 0;
}

static int by_code(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int c = same_list(x, y);

	return c ? c : (x->copy > y->copy) - (x->copy < y->copy);
}

static int list_items(const struct lsh_groups *g, const int *expert,
		      int hashes, const int *code, struct item *item)
{
	int m = 0;

	for (int i = 0; i < g->n * g->k; i++) {
		int e = expert ? expert[i] : 0;

		if (e >= 0) {
			item[m++] = (struct item){
				e, i, hashes,
				code + (int64_t)(i / g->k) * hashes,
			};
		}
	}
	return m;
}

static void number_clusters(struct lsh_groups *g, const struct item *item)
{
	int *size = xcalloc((size_t)g->copies + 1, sizeof(*size));
	int *owner = xcalloc((size_t)g->copies + 1, sizeof(*owner));
	int c = -1;

	for (int i = 0; i < g->copies; i++) {
		if (i == 0 || same_list(&item[i - 1], &item[i])) {
			c++;
			owner[c] = item[i].expert;
			g->per_expert[item[i].expert]++;
		}
		size[c]++;
		g->of[item[i].copy] = c;
	}
	g->clusters = c + 1;
	g->size = size;
	g->expert = owner;
}

static void set_centroids(struct lsh_groups *g, const struct tokens *t)
{
	size_t dim = (size_t)g->dim;
	double *sum = xcalloc((size_t)g->clusters * dim, sizeof(*sum));

	for (int i = 0; i < g->n * g->k; i++) {
		const float *x = tokens_at(t, i / g->k);

		if (g->of[i] >= 0) {
			double *s = sum + (size_t)g->of[i] * dim;

			for (size_t d = 0; d < dim; d++) {
				s[d] += x[d];
			}
		}
	}
	g->centroid = xcalloc((size_t)g->clusters * dim,
			      sizeof(*g->centroid));
	for (size_t i = 0; i < (size_t)g->clusters * dim; i++) {
		g->centroid[i] = (float)(sum[i] / g->size[i / dim]);
	}
	free(sum);
}

void lsh_group(const struct lsh *l, const struct tokens *t, const int *expert,
	       int k, int experts, struct lsh_groups *out)
{
	struct lsh_groups g = { .dim = t->dim, .experts = expert ? experts : 1,
				.n = t->n, .k = expert ? k : 1 };
	size_t all = (size_t)g.n * (size_t)g.k;
	int q = lsh_hashes(l);
	int *code = xcalloc((size_t)g.n * (size_t)q, sizeof(*code));
	struct item *item = xcalloc(all, sizeof(*item));

	g.of = xcalloc(all, sizeof(*g.of));
	memset(g.of, 0xff, all * sizeof(*g.of));
	g.per_expert = xcalloc((size_t)g.experts, sizeof(*g.per_expert));
	lsh_codes(l, t->x, t->n, code);
	g.copies = list_items(&g, expert, q, code, item);
	qsort(item, (size_t)g.copies, sizeof(*item), by_code);
	number_clusters(&g, item);
	set_centroids(&g, t);
	free(item);
	free(code);
	*out = g;
}

void lsh_groups_release(struct lsh_groups *g)
{
	free(g->of);
	free(g->size);
	free(g->expert);
	free(g->per_expert);
	free(g->centroid);
	*g = (struct lsh_groups){ 0 };
}

void lsh_restore(const struct lsh_groups *g, const struct tokens *t,
		 const float *e, float *y)
{
	memset(y, 0, (size_t)g->n * (size_t)g->k * (size_t)g->dim *
	       sizeof(*y));
	for (int i = 0; i < g->n * g->k; i++, y += g->dim) {
		const float *x = tokens_at(t, i / g->k);
		int64_t at = (int64_t)g->of[i] * g->dim;

		for (int d = 0; at >= 0 && d < g->dim; d++) {
			y[d] = e[at + d] + (x[d] - g->centroid[at + d]);
		}
	}
}

void lsh_gradient_sum(const struct lsh_groups *g, const float *grad,
		      float *sum)
{
	memset(sum, 0, (size_t)g->clusters * (size_t)g->dim * sizeof(*sum));
	for (int i = 0; i < g->n * g->k; i++, grad += g->dim) {
		int64_t at = (int64_t)g->of[i] * g->dim;

		for (int d = 0; at >= 0 && d < g->dim; d++) {
			sum[at + d] += grad[d];
		}
	}
}

void lsh_gradient_restore(const struct lsh_groups *g, const float *grad,
			  const float *sum, const float *h, float *dx)
{
	memset(dx, 0, (size_t)g->n * (size_t)g->k * (size_t)g->dim *
	       sizeof(*dx));
	for (int i = 0; i < g->n * g->k; i++, grad += g->dim, dx += g->dim) {
		int64_t at = (int64_t)g->of[i] * g->dim;

		for (int d = 0; at >= 0 && d < g->dim; d++) {
			dx[d] = grad[d] + (h[at + d] - sum[at + d]) /
				(float)g->size[g->of[i]];
		}
	}
}

double lsh_centroid_error(const struct lsh_groups *g, const struct tokens *t)
{
	double off = 0, all = 0;

	for (int i = 0; i < g->n * g->k; i++) {
		const float *x = tokens_at(t, i / g->k);
		int64_t at = (int64_t)g->of[i] * g->dim;

		for (int d = 0; at >= 0 && d < g->dim; d++) {
			double r = (double)x[d] - g->centroid[at + d];

			off += r * r;
			all += (double)x[d] * x[d];
		}
	}
	return all > 0 ? sqrt(off / all) : 0;
}

/* As lsh_restore() with e = centroid, in the same precision. */
double lsh_identity_error(const struct lsh_groups *g, const struct tokens *t)
{
	double off = 0, all = 0;

	for (int i = 0; i < g->n * g->k; i++) {
		const float *x = tokens_at(t, i / g->k);
		int64_t at = (int64_t)g->of[i] * g->dim;

		for (int d = 0; at >= 0 && d < g->dim; d++) {
			float y = g->centroid[at + d] +
				(x[d] - g->centroid[at + d]);

			off += ((double)y - x[d]) * ((double)y - x[d]);
			all += (double)x[d] * x[d];
		}
	}
	return all > 0 ? sqrt(off / all) : 0;
}

double lsh_output_error(double centroid_error, double alignment)
{
	return sqrt(2 * (1 - alignment)) * centroid_error;
}

enum status lsh_measure_tokens(const struct lsh_spec *spec,
			       const struct tokens *t, struct lsh_point *out)
{
	struct lsh_groups g;
	struct lsh *l;
	enum status st = lsh_new(spec, t->dim, &l);

	if (st) {
		return st;
	}
	lsh_group(l, t, NULL, 1, 1, &g);
	out->rate = lsh_rate(&g);
	out->centroid_error = lsh_centroid_error(&g, t);
	lsh_groups_release(&g);
	lsh_free(l);
	return ST_OK;
}

enum status lsh_measure(const struct lsh_spec *spec,
			const struct tokens_spec *tokens,
			struct lsh_point *out)
{
	struct tokens t;
	enum status st = tokens_make(tokens, &t);

	if (st) {
		return st;
	}
	st = lsh_measure_tokens(spec, &t, out);
	tokens_release(&t);
	return st;
}
