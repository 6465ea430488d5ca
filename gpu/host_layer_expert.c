/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FFNs of experts and of shared experts, forward and backward. */
#include "config.h"

#include "gpu/host_layer.h"

#include "base/mem.h"
#include "gpu/layer_math.h"
#include "gpu/layer_regroup.h"

#include <stdlib.h>
#include <string.h>

#ifdef HAVE_CBLAS
#include <cblas.h>
#endif

/* C (m x n) = beta C + A B, row-major; ta, tb: A, B are stored transposed. */
static void product(int m, int n, int k, const double *a, bool ta,
		    const double *b, bool tb, double beta, double *c)
{
	if (!m || !n || !k)
		return;
#ifdef HAVE_CBLAS
	cblas_dgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans,
		    tb ? CblasTrans : CblasNoTrans, m, n, k, 1, a,
		    ta ? m : k, b, tb ? k : n, beta, c, n);
#else
	int i, j, x;

	for (i = 0; i < m; i++) {
		for (j = 0; j < n; j++)
			c[i * n + j] = beta > 0 ? beta * c[i * n + j] : 0;
		for (x = 0; x < k; x++) {
			double v = ta ? a[x * m + i] : a[i * k + x];

			for (j = 0; j < n; j++)
				c[i * n + j] += v * (tb ? b[j * k + x] :
							  b[x * n + j]);
		}
	}
#endif
}

static void store_all(const struct host_layer *l, double *v, size_t n)
{
	size_t i;

	for (i = 0; l->is_bf16 && i < n; i++)
		v[i] = host_store(l, v[i]);
}

static double *rows_new(int rows, int width)
{
	return xcalloc((size_t)rows * (size_t)width + 1, sizeof(double));
}

/* One FFN: its shape and where its weights and their gradients are. */
struct ffn {
	int hidden, inner, parts;
	const double *w1, *w2;
	double *dw1, *dw2;
};

static struct ffn ffn_of(const struct host_layer *l, int rank, int local)
{
	double *const *t = l->rank[rank].t;
	struct ffn f = { .hidden = l->c.hidden, .parts = layer_w1_parts(&l->c),
			 .inner = layer_shard_ffn(&l->c) };
	size_t one = (size_t)f.hidden * (size_t)f.inner;
	size_t at1 = (size_t)local * one * (size_t)f.parts;
	size_t at2 = (size_t)local * one;

	f.w1 = t[LAYER_W1] + at1;
	f.w2 = t[LAYER_W2] + at2;
	f.dw1 = t[LAYER_DW1] + at1;
	f.dw2 = t[LAYER_DW2] + at2;
	return f;
}

static struct ffn ffn_shared(const struct host_layer *l, int rank)
{
	double *const *t = l->rank[rank].t;

	return (struct ffn){ .hidden = l->c.hidden,
		.inner = l->c.shared_ffn, .parts = layer_w1_parts(&l->c),
		.w1 = t[LAYER_WS1], .w2 = t[LAYER_WS2],
		.dw1 = t[LAYER_DWS1], .dw2 = t[LAYER_DWS2] };
}

/* Activations of rows of first products. */
static double *activate(const struct host_layer *l, const struct ffn *f,
			const double *pre, int rows)
{
	double *a = rows_new(rows, f->inner), v;
	int i, j;

	for (i = 0; i < rows; i++) {
		const double *p = pre + (size_t)i * (size_t)f->inner *
				  (size_t)f->parts;

		for (j = 0; j < f->inner; j++) {
			v = f->parts == 2 ? math_silu(p[j]) * p[f->inner + j] :
					    math_gelu(p[j]);
			a[(size_t)i * (size_t)f->inner + (size_t)j] =
				host_store(l, v);
		}
	}
	return a;
}

static void ffn_forward(const struct host_layer *l, const struct ffn *f,
			const double *x, int rows, double *pre, double *y)
{
	int width = f->inner * f->parts;
	double *a;

	product(rows, width, f->hidden, x, false, f->w1, false, 0, pre);
	store_all(l, pre, (size_t)rows * (size_t)width);
	a = activate(l, f, pre, rows);
	product(rows, f->hidden, f->inner, a, false, f->w2, false, 0, y);
	free(a);
}

/*
 * da = dout w2', unweighted in dedup: there g = a . da is made here, and the
 * gradient takes its weight here.
 */
static void slopes(const struct host_layer *l, const struct ffn *f,
		   const double *pre, const double *da, int rows,
		   const double *weight, double *slope, double *g)
{
	int i, j, n = f->inner;

	for (i = 0; i < rows; i++) {
		const double *p = pre + (size_t)i * (size_t)(n * f->parts);
		const double *d = da + (size_t)i * (size_t)n;
		double *s = slope + (size_t)i * (size_t)(n * f->parts);
		double w = weight ? weight[i] : 1, sum = 0, v;

		for (j = 0; j < n && f->parts == 1; j++) {
			sum += math_gelu(p[j]) * d[j];
			s[j] = host_store(l, w * math_gelu_slope(p[j]) * d[j]);
		}
		for (j = 0; j < n && f->parts == 2; j++) {
			v = math_silu(p[j]);
			sum += v * p[n + j] * d[j];
			s[j] = host_store(l, w * math_silu_slope(p[j]) *
					  p[n + j] * d[j]);
			s[n + j] = host_store(l, w * v * d[j]);
		}
		if (g)
			g[i] = sum;
	}
}

static void ffn_data(const struct host_layer *l, const struct ffn *f,
		     const double *pre, const double *dout, int rows,
		     const double *weight, double *slope, double *g,
		     double *dx)
{
	double *da = rows_new(rows, f->inner);

	product(rows, f->inner, f->hidden, dout, false, f->w2, true, 0, da);
	store_all(l, da, (size_t)rows * (size_t)f->inner);
	slopes(l, f, pre, da, rows, weight, slope, g);
	product(rows, f->hidden, f->inner * f->parts, slope, false, f->w1,
		true, 0, dx);
	free(da);
}

static void ffn_weight(const struct host_layer *l, const struct ffn *f,
		       const double *x, const double *pre,
		       const double *slope, const double *dout, int rows,
		       double beta)
{
	double *a = activate(l, f, pre, rows);
	int width = f->inner * f->parts;

	if (!rows && beta == 0) {
		memset(f->dw1, 0, (size_t)f->hidden * (size_t)width *
		       sizeof(double));
		memset(f->dw2, 0, (size_t)f->hidden * (size_t)f->inner *
		       sizeof(double));
	}
	product(f->hidden, width, rows, x, true, slope, false, beta, f->dw1);
	product(f->inner, f->hidden, rows, a, true, dout, false, beta,
		f->dw2);
	free(a);
}

static int pre_width(const struct host_layer *l)
{
	return layer_shard_ffn(&l->c) * layer_w1_parts(&l->c);
}

/* Rows times their weights, as they are then stored. */
static void weigh(const struct host_layer *l, const double *weight, int rows,
		  double *v)
{
	int i, h, hidden = l->c.hidden;

	for (i = 0; i < rows; i++) {
		for (h = 0; h < hidden; h++, v++)
			*v = host_store(l, weight ? weight[i] * *v : *v);
	}
}

void host_expert(struct host_layer *l, int rank, struct host_chunk *k)
{
	double *x = host_expert_rows(&k->go), *y = host_expert_rows(&k->come);
	const double *weight = l->dedup ? host_expert_rows(&k->weight) : NULL;
	int e, first, rows;

	k->pre = rows_new(k->rows, pre_width(l));
	for (e = 0; e < layer_local_experts(&l->c); e++) {
		struct ffn f = ffn_of(l, rank, e);

		first = k->to.expert_first[e];
		rows = k->to.expert_first[e + 1] - first;
		ffn_forward(l, &f, x + (size_t)first * (size_t)f.hidden, rows,
			    k->pre + (size_t)first * (size_t)pre_width(l),
			    y + (size_t)first * (size_t)f.hidden);
	}
	weigh(l, weight, k->rows, y);
}

/* Rows of forward chunks, one after the other: the one that is wanted. */
static struct host_chunk *find_row(const struct host_pass *p, int32_t *row_p)
{
	int i = 0;

	while (*row_p >= p->chunk[i].rows)
		*row_p -= p->chunk[i++].rows;
	return &p->chunk[i];
}

/* Inputs and first products of the backward chunk's rows. */
static void take_saved(struct host_layer *l, int rank, int chunk)
{
	struct host_pass *pass = l->rank[rank].pass;
	struct host_chunk *k = &pass[1].chunk[chunk];
	size_t h = (size_t)l->c.hidden, w = (size_t)pre_width(l);
	struct xchg_moves m;
	int32_t j, from;
	int i;

	k->x = rows_new(k->rows, l->c.hidden);
	k->pre = rows_new(k->rows, pre_width(l));
	layer_regroup(&l->c, &l->route, rank, chunk, &m);
	for (i = 0; i < m.n; i++) {
		for (j = 0; j < m.move[i].rows; j++) {
			size_t to = (size_t)(m.move[i].to + j);
			struct host_chunk *s;

			from = m.move[i].from + j;
			s = find_row(&pass[0], &from);
			memcpy(k->x + to * h, host_expert_rows(&s->go) +
			       (size_t)from * h, h * sizeof(double));
			memcpy(k->pre + to * w, s->pre + (size_t)from * w,
			       w * sizeof(double));
		}
	}
	free(m.move);
}

void host_expert_data(struct host_layer *l, int rank, int chunk)
{
	struct host_chunk *k = &l->rank[rank].pass[1].chunk[chunk];
	const double *weight = l->dedup ? host_expert_rows(&k->weight) : NULL;
	double *dout = host_expert_rows(&k->go);
	double *dx = host_expert_rows(&k->come);
	double *g = l->dedup ? host_expert_rows(&k->g) : NULL;
	size_t hidden = (size_t)l->c.hidden, width = (size_t)pre_width(l);
	size_t n = (size_t)k->rows * hidden;
	int e;

	take_saved(l, rank, chunk);
	k->slope = rows_new(k->rows, pre_width(l));
	for (e = 0; e < layer_local_experts(&l->c); e++) {
		struct ffn f = ffn_of(l, rank, e);
		size_t at = (size_t)k->to.expert_first[e];
		int rows = k->to.expert_first[e + 1] - (int)at;

		ffn_data(l, &f, k->pre + at * width, dout + at * hidden, rows,
			 weight ? weight + at : NULL, k->slope + at * width,
			 g ? g + at : NULL, dx + at * hidden);
	}
	store_all(l, dx, n);
	k->dout = rows_new(k->rows, l->c.hidden);
	memcpy(k->dout, dout, n * sizeof(double));
	if (weight)
		weigh(l, weight, k->rows, k->dout);
}

void host_expert_weight(struct host_layer *l, int rank, int chunk)
{
	struct host_chunk *k = &l->rank[rank].pass[1].chunk[chunk];
	size_t hidden = (size_t)l->c.hidden, width = (size_t)pre_width(l);
	bool last = chunk == l->rank[rank].pass[1].n - 1;
	int e;

	for (e = 0; e < layer_local_experts(&l->c); e++) {
		struct ffn f = ffn_of(l, rank, e);
		size_t at = (size_t)k->to.expert_first[e];

		ffn_weight(l, &f, k->x + at * hidden, k->pre + at * width,
			   k->slope + at * width, k->dout + at * hidden,
			   k->to.expert_first[e + 1] - (int)at, chunk > 0);
	}
	if (last) {
		store_all(l, l->rank[rank].t[LAYER_DW1],
			  host_layer_size(l, LAYER_DW1));
		store_all(l, l->rank[rank].t[LAYER_DW2],
			  host_layer_size(l, LAYER_DW2));
	}
}

void host_shared(struct host_layer *l, int rank)
{
	struct host_layer_rank *r = &l->rank[rank];
	struct ffn f = ffn_shared(l, rank);

	ffn_forward(l, &f, r->t[LAYER_X], l->c.tokens, r->shared_pre,
		    r->shared_y);
	weigh(l, NULL, l->c.tokens, r->shared_y);
}

void host_shared_back(struct host_layer *l, int rank)
{
	struct host_layer_rank *r = &l->rank[rank];
	struct ffn f = ffn_shared(l, rank);
	double *slope = rows_new(l->c.tokens, f.inner * f.parts);

	ffn_data(l, &f, r->shared_pre, r->t[LAYER_DY], l->c.tokens, NULL,
		 slope, NULL, r->shared_dx);
	weigh(l, NULL, l->c.tokens, r->shared_dx);
	ffn_weight(l, &f, r->t[LAYER_X], r->shared_pre, slope,
		   r->t[LAYER_DY], l->c.tokens, 0);
	store_all(l, f.dw1, host_layer_size(l, LAYER_DWS1));
	store_all(l, f.dw2, host_layer_size(l, LAYER_DWS2));
	free(slope);
}
