/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gpu/layer_ref_int.h"

#include "base/mem.h"
#include "gpu/layer_math.h"
#include "gpu/parallel.h"

#include <stdlib.h>

#define BYTE_SCALE (1.0 / 128)	/* fill_value() of a fill_byte() */
#define BLOCK_COLUMNS 32	/* inner columns of one piece */

void ref_ffn_init(const struct layer_case *c, int expert, struct ref_ffn *f)
{
	bool shared = expert == REF_SHARED;

	*f = (struct ref_ffn){ .expert = shared ? 0 : expert,
		.ffn = shared ? c->shared_ffn : c->ffn,
		.hidden = c->hidden, .gated = c->gated };
	f->key1 = layer_key(c->seed, 0, shared ? LAYER_WS1 : LAYER_W1);
	f->key2 = layer_key(c->seed, 0, shared ? LAYER_WS2 : LAYER_W2);
	f->scale1 = BYTE_SCALE * BYTE_SCALE * layer_weight_scale(c->hidden);
	f->scale2 = BYTE_SCALE * BYTE_SCALE * layer_weight_scale(f->ffn);
}

void ref_ffn_vectors(const struct ref_ffn *f, int column, int16_t *w1,
		     int16_t *w3, int16_t *w2)
{
	uint64_t hidden = (uint64_t)f->hidden, ffn = (uint64_t)f->ffn;
	uint64_t width = ffn * (f->gated ? 2 : 1), h;
	uint64_t at = (uint64_t)f->expert * hidden * width + (uint64_t)column;
	uint64_t row = ((uint64_t)f->expert * ffn + (uint64_t)column) * hidden;

	for (h = 0; h < hidden; h++) {
		w1[h] = (int16_t)fill_byte(f->key1, at + h * width);
		w2[h] = (int16_t)fill_byte(f->key2, row + h);
	}
	for (h = 0; f->gated && h < hidden; h++)
		w3[h] = (int16_t)fill_byte(f->key1, at + ffn + h * width);
}

void ref_point_make(const struct ref_ffn *f, const int16_t *x,
		    const int16_t *dy, const int16_t *w1, const int16_t *w3,
		    const int16_t *w2, struct ref_point *out)
{
	double p = f->scale1 * layer_dot(x, w1, f->hidden), q;

	out->da = f->scale2 * layer_dot(dy, w2, f->hidden);
	if (!f->gated) {
		out->a = math_gelu(p);
		out->d1 = math_gelu_slope(p) * out->da;
		out->d3 = 0;
		return;
	}
	q = f->scale1 * layer_dot(x, w3, f->hidden);
	out->a = math_silu(p) * q;
	out->d1 = math_silu_slope(p) * q * out->da;
	out->d3 = math_silu(p) * out->da;
}

void ref_token_bytes(const struct layer_case *c, enum layer_tensor t,
		     int rank, int token, int16_t *out)
{
	uint32_t key = layer_key(c->seed, rank, t);
	uint64_t first = (uint64_t)token * (uint64_t)c->hidden;
	int h;

	for (h = 0; h < c->hidden; h++)
		out[h] = (int16_t)fill_byte(key, first + (uint64_t)h);
}

/* Sums of one piece: of every copy g, then its y, then its dx. */
struct piece {
	double *sum;
};

struct run {
	const struct layer_case *c;
	const struct ref_job *job;
	struct piece *piece;	/* [jobs * blocks] */
	int blocks;
};

static size_t sums_of(const struct ref_job *j)
{
	size_t n = 0;
	int i;

	for (i = 0; i < j->n; i++)
		n += 1 + 2 * (size_t)j->copy[i].n_columns;
	return n;
}

static double *add_copy(const struct ref_ffn *f, const struct ref_copy *v,
			const struct ref_point *p, const int16_t *w1,
			const int16_t *w3, const int16_t *w2, double *sum)
{
	/* bytes of weights: one 1/128 is in the scale, the other is x's */
	double s1 = f->scale1 / BYTE_SCALE, s2 = f->scale2 / BYTE_SCALE;
	int i, h;

	*sum++ += p->a * p->da;
	for (i = 0; i < v->n_columns; i++) {
		h = v->column[i];
		*sum++ += p->a * s2 * w2[h];
		*sum++ += s1 * (p->d1 * w1[h] +
				(f->gated ? p->d3 * w3[h] : 0));
	}
	return sum;
}

static void run_piece(void *arg, int i)
{
	const struct run *r = arg;
	const struct ref_job *j = &r->job[i / r->blocks];
	int column = i % r->blocks * BLOCK_COLUMNS, end, n;
	struct ref_ffn f;
	struct ref_point p;
	int16_t *w;
	size_t hidden = (size_t)r->c->hidden;

	ref_ffn_init(r->c, j->expert, &f);
	if (column >= f.ffn || !j->n)
		return;
	end = column + BLOCK_COLUMNS < f.ffn ? column + BLOCK_COLUMNS : f.ffn;
	w = xcalloc(3 * hidden, sizeof(*w));
	r->piece[i].sum = xcalloc(sums_of(j), sizeof(double));
	for (; column < end; column++) {
		double *sum = r->piece[i].sum;

		ref_ffn_vectors(&f, column, w, w + hidden, w + 2 * hidden);
		for (n = 0; n < j->n; n++) {
			ref_point_make(&f, j->copy[n].x, j->copy[n].dy, w,
				       w + hidden, w + 2 * hidden, &p);
			sum = add_copy(&f, &j->copy[n], &p, w, w + hidden,
				       w + 2 * hidden, sum);
		}
	}
	free(w);
}

static void collect(const struct ref_job *j, const double *sum)
{
	int n, i;

	for (n = 0; n < j->n; n++) {
		struct ref_copy *v = &j->copy[n];

		v->g += *sum++;
		for (i = 0; i < v->n_columns; i++) {
			v->y[i] += *sum++;
			v->dx[i] += *sum++;
		}
	}
}

void ref_ffn_run(const struct layer_case *c, struct ref_job *job, int n,
		 int threads)
{
	int most = c->ffn > c->shared_ffn ? c->ffn : c->shared_ffn, i;
	struct run r = { .c = c, .job = job,
			 .blocks = (most + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS };

	r.piece = xcalloc((size_t)n * (size_t)r.blocks, sizeof(*r.piece));
	parallel_for(threads, n * r.blocks, run_piece, &r);
	/* in one order: the same sum with any number of threads */
	for (i = 0; i < n * r.blocks; i++) {
		if (r.piece[i].sum)
			collect(&job[i / r.blocks], r.piece[i].sum);
		free(r.piece[i].sum);
	}
	free(r.piece);
}

void ref_dlogit(const double *g, const double *w, int k, double *out)
{
	double mean = 0;
	int j;

	for (j = 0; j < k; j++)
		mean += w[j] * g[j];
	for (j = 0; j < k; j++)
		out[j] = w[j] * (g[j] - mean);
}

/* Everything, for the full pass: tokens as bytes, copies by expert. */
struct all {
	int16_t *x, *dy;
	struct ref_copy *copy;
	struct ref_job *job;
	int64_t *place;		/* of each copy in `copy`, -1: dropped */
};

static void all_tokens(const struct layer_case *c, struct all *a)
{
	int ranks = layer_ranks(c), r, t;
	size_t hidden = (size_t)c->hidden, at = 0;
	size_t n = (size_t)ranks * (size_t)c->tokens * hidden;

	a->x = xmalloc(n * sizeof(*a->x));
	a->dy = xmalloc(n * sizeof(*a->dy));
	for (r = 0; r < ranks; r++) {
		for (t = 0; t < c->tokens; t++, at += hidden) {
			ref_token_bytes(c, LAYER_X, r, t, a->x + at);
			ref_token_bytes(c, LAYER_DY, r, t, a->dy + at);
		}
	}
}

static void all_copies(const struct layer_case *c,
		       const struct layer_route *r, struct all *a)
{
	int64_t n = (int64_t)r->ranks * r->tokens * r->k, i, at = 0;
	int e;

	a->copy = xcalloc((size_t)n, sizeof(*a->copy));
	a->job = xcalloc((size_t)r->experts, sizeof(*a->job));
	a->place = xcalloc((size_t)n, sizeof(*a->place));
	for (e = 0; e < r->experts; e++) {
		a->job[e] = (struct ref_job){ .expert = e,
					      .copy = a->copy + at };
		for (i = 0; i < n; i++) {
			int64_t token = i / r->k * c->hidden;

			if (r->id[i] != e)
				continue;
			if (!layer_route_kept(r, i)) {
				a->place[i] = -1;
				continue;
			}
			a->copy[at].x = a->x + token;
			a->copy[at].dy = a->dy + token;
			a->place[i] = at++;
			a->job[e].n++;
		}
	}
}

double *ref_all_g(const struct layer_case *c, const struct layer_route *r,
		  int threads)
{
	int64_t n = (int64_t)r->ranks * r->tokens * r->k, i;
	double *g = xcalloc((size_t)n, sizeof(*g));
	struct all a;

	all_tokens(c, &a);
	all_copies(c, r, &a);
	ref_ffn_run(c, a.job, r->experts, threads);
	for (i = 0; i < n; i++)
		g[i] = a.place[i] < 0 ? 0 : a.copy[a.place[i]].g;
	free(a.place);
	free(a.job);
	free(a.copy);
	free(a.dy);
	free(a.x);
	return g;
}
