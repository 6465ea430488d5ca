/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/fit_model.h"

#include "base/mem.h"
#include "profiles/fit_lsq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Robust weights of relative residuals r with spread s: first Huber's (whose
 * minimum is the only one), then from there Tukey's bisquare, which forgets
 * far outliers. The constants give 95 % efficiency on normal errors (Holland
 * & Welsch 1977). s is the median of |r| times MAD_TO_SIGMA, but not below
 * SPREAD_MIN: that much is the model's own error and no outlier.
 *
 * Where a size has repeats enough to have a median, r is that median's, and
 * it is never forgotten: repeats that agree are a fact that the curve has to
 * explain. Outliers among them have their weight from fit_data.c.
 */
#define HUBER_ROUNDS 6
#define ROUNDS_MAX 16
#define HUBER_C 1.345
#define WEIGHT_TOLERANCE 1e-6

/* Weighted sums over a range of sizes, all divided by the squared scale. */
struct sums {
	double one, n, nn, t, tn, tt;
};

struct work {
	const struct fit_data *d;
	const struct fit_shape *shape;
	double *u;		/* robust weight of each sample */
	double *r;		/* relative residuals, and room to sort them */
	double *last, *first;	/* largest, smallest size of a block */
	struct sums *seg;	/* [block from][block to] */
	double *rss;		/* the same: of the best line */
	double *x, *y, *w;	/* rows */
	bool last_round;	/* GSL solves it, else the normal equations */
};

static void sums_add(struct sums *a, const struct fit_sample *s, double u)
{
	double v = u / (s->scale * s->scale);

	a->one += v;
	a->n += v * s->n;
	a->nn += v * s->n * s->n;
	a->t += v * s->t;
	a->tn += v * s->t * s->n;
	a->tt += v * s->t * s->t;
}

static struct sums *seg_at(const struct work *k, int from, int to)
{
	return &k->seg[from * k->d->n_blocks + to];
}

/* Ranges are summed, not taken from differences, which would lose digits. */
static void seg_fill(struct work *k)
{
	int from, to, i, begin = 0, blocks = k->d->n_blocks;
	struct sums sum;

	for (from = 0; from < blocks; from++) {
		while (k->d->sample[begin].block < from)
			begin++;
		sum = (struct sums){ 0 };
		for (to = from, i = begin; to < blocks; to++) {
			for (; i < k->d->n && k->d->sample[i].block == to; i++)
				sums_add(&sum, &k->d->sample[i], k->u[i]);
			*seg_at(k, from, to) = sum;
		}
	}
}

/* The least sum of squares of a + b*n, a, b >= 0. */
static double line_rss(const struct sums *s)
{
	const struct lsq_gram q = {
		.p = 2, .g = { { s->one, s->n }, { s->n, s->nn } },
		.h = { s->t, s->tn }, .yy = s->tt,
	};
	double c[LSQ_COLS];

	return lsq_gram_solve(&q, INFINITY, c);
}

/* Blocks at which pieces end; the last piece has no end. */
struct breaks {
	int n;
	int at[FIT_PIECES_MAX];
};

static int block_from(const struct breaks *b, int piece)
{
	return piece ? b->at[piece - 1] + 1 : 0;
}

static int block_to(const struct breaks *b, int piece, int blocks)
{
	return piece < b->n ? b->at[piece] : blocks - 1;
}

/*
 * Joined pieces: t = c0 + c1 min(n, x1) + c2 clip(n - x1, 0, x2 - x1) + c3
 * max(n - x2, 0): on piece k an affine function of n for every coefficient,
 * p + q*n.
 */
struct affine {
	double p, q;
};

static int joined_basis(const struct work *k, const struct breaks *b,
			int piece, struct affine *e)
{
	double x0 = 0, x1;
	int i;

	e[0] = (struct affine){ 1, 0 };
	for (i = 0; i <= b->n; i++, x0 = x1) {
		x1 = i < b->n ? k->last[b->at[i]] : INFINITY;
		if (i < piece)
			e[i + 1] = (struct affine){ x1 - x0, 0 };
		else if (i == piece)
			e[i + 1] = (struct affine){ -x0, 1 };
		else
			e[i + 1] = (struct affine){ 0, 0 };
	}
	return b->n + 2;
}

static void gram_add(struct lsq_gram *q, const struct sums *s,
		     const struct affine *e)
{
	int i, j;

	for (i = 0; i < q->p; i++) {
		q->h[i] += e[i].p * s->t + e[i].q * s->tn;
		for (j = 0; j < q->p; j++)
			q->g[i][j] += e[i].p * e[j].p * s->one +
				(e[i].p * e[j].q + e[i].q * e[j].p) * s->n +
				e[i].q * e[j].q * s->nn;
	}
	q->yy += s->tt;
}

/* Lines of the pieces from c; false when one would start below zero. */
static bool joined_pieces(const struct work *k, const struct breaks *b,
			  const double *c, struct curve *out)
{
	struct affine e[LSQ_COLS];
	struct curve_piece *p;
	int i, j, cols;

	*out = (struct curve){ .n = b->n + 1, .source = CURVE_MEASURED };
	for (i = 0; i <= b->n; i++) {
		p = &out->piece[i];
		cols = joined_basis(k, b, i, e);
		for (j = 0; j < cols; j++) {
			p->a += c[j] * e[j].p;
			p->b += c[j] * e[j].q;
		}
		p->upto = i < b->n ? k->last[b->at[i]] : INFINITY;
		if (p->a < 0)
			return false;
	}
	return true;
}

static double joined_rss(const struct work *k, const struct breaks *b,
			 double limit)
{
	struct lsq_gram q = { .p = b->n + 2 };
	struct affine e[LSQ_COLS];
	double c[LSQ_COLS], rss;
	struct curve f;
	int i;

	for (i = 0; i <= b->n; i++) {
		joined_basis(k, b, i, e);
		gram_add(&q, seg_at(k, block_from(b, i),
				    block_to(b, i, k->d->n_blocks)), e);
	}
	rss = lsq_gram_solve(&q, limit, c);
	if (!(rss < limit))
		return INFINITY;
	return joined_pieces(k, b, c, &f) ? rss : INFINITY;
}

static double jump_rss(const struct work *k, const struct breaks *b)
{
	int i, blocks = k->d->n_blocks;
	double sum = 0;

	for (i = 0; i <= b->n; i++)
		sum += k->rss[block_from(b, i) * blocks +
			      block_to(b, i, blocks)];
	return sum;
}

/* Pieces that may jump have two sizes each, joined ones one and a knot. */
static bool search_breaks(struct work *k, struct breaks *out)
{
	int least = k->shape->joined ? 1 : 2, blocks = k->d->n_blocks;
	struct breaks b = { .n = k->shape->pieces - 1 };
	double best = INFINITY, now;
	int *i = &b.at[0], *j = &b.at[1], from, to;

	for (from = 0; !k->shape->joined && from < blocks; from++) {
		for (to = from; to < blocks; to++)
			k->rss[from * blocks + to] =
				line_rss(seg_at(k, from, to));
	}
	for (*i = 1; *i + least < blocks; ++*i) {
		for (*j = *i + (b.n > 1 ? least : 0);
		     *j + (b.n > 1 ? least : 0) < blocks; ++*j) {
			now = k->shape->joined ? joined_rss(k, &b, best) :
				jump_rss(k, &b);
			if (now < best) {
				best = now;
				*out = b;
			}
			if (b.n == 1)
				break;
		}
	}
	return best < INFINITY;
}

/* ---- coefficients ---- */

static void solve_rows(const struct work *k, int rows, int p, double *c)
{
	struct lsq_gram q = { .p = p };
	int i, j, l;

	if (k->last_round) {
		lsq_solve(k->x, k->y, k->w, rows, p, c);
		return;
	}
	for (i = 0; i < rows; i++) {
		const double *x = &k->x[i * p];

		q.yy += k->w[i] * k->y[i] * k->y[i];
		for (j = 0; j < p; j++) {
			q.h[j] += k->w[i] * x[j] * k->y[i];
			for (l = 0; l < p; l++)
				q.g[j][l] += k->w[i] * x[j] * x[l];
		}
	}
	lsq_gram_solve(&q, INFINITY, c);
}

/* Samples of blocks from..to as rows of relative error; returns how many. */
static int fill_rows(struct work *k, int from, int to)
{
	const struct fit_sample *s;
	int i, n = 0;

	for (i = 0; i < k->d->n; i++) {
		s = &k->d->sample[i];
		if (s->block < from || s->block > to)
			continue;
		k->y[n] = s->t / s->scale;
		k->w[n++] = k->u[i];
	}
	return n;
}

/* One piece: a + b*n, with c*sqrt(n) for the form that has it. */
static struct curve_piece solve_piece(struct work *k, int from, int to)
{
	int p = k->shape->form == FIT_SQRT ? 3 : 2, i, n = 0;
	int rows = fill_rows(k, from, to);
	double c[LSQ_COLS] = { 0 };

	for (i = 0; i < k->d->n; i++) {
		const struct fit_sample *s = &k->d->sample[i];

		if (s->block < from || s->block > to)
			continue;
		k->x[n * p] = 1 / s->scale;
		k->x[n * p + 1] = s->n / s->scale;
		if (p > 2)
			k->x[n * p + 2] = sqrt(s->n) / s->scale;
		n++;
	}
	solve_rows(k, rows, p, c);
	return (struct curve_piece){ .upto = INFINITY, .a = c[0], .b = c[1],
				     .c = c[2] };
}

/* Where the lower protocol ends: where the lines cross, if they do so between
 * the two sizes; else half way on a log scale. */
static double switch_at(const struct curve_piece *p,
			const struct curve_piece *q, double low, double high)
{
	double x = (p->a - q->a) / (q->b - p->b);

	return x >= low && x <= high ? x : sqrt(low) * sqrt(high);
}

static void solve_jump(struct work *k, const struct breaks *b,
		       struct curve *out)
{
	int i, blocks = k->d->n_blocks;

	*out = (struct curve){ .n = b->n + 1, .source = CURVE_MEASURED };
	for (i = 0; i <= b->n; i++) {
		out->piece[i] = solve_piece(k, block_from(b, i),
					    block_to(b, i, blocks));
	}
	for (i = 0; i < b->n; i++) {
		out->piece[i].upto = switch_at(&out->piece[i],
					       &out->piece[i + 1],
					       k->last[b->at[i]],
					       k->first[b->at[i] + 1]);
	}
}

static bool solve_joined(struct work *k, const struct breaks *b,
			 struct curve *out)
{
	int p = b->n + 2, i, j, piece = 0;
	struct affine e[LSQ_COLS];
	double c[LSQ_COLS];

	fill_rows(k, 0, k->d->n_blocks - 1);
	for (i = 0; i < k->d->n; i++) {
		const struct fit_sample *s = &k->d->sample[i];

		while (piece < b->n && s->block > b->at[piece])
			piece++;
		joined_basis(k, b, piece, e);
		for (j = 0; j < p; j++)
			k->x[i * p + j] = (e[j].p + e[j].q * s->n) / s->scale;
	}
	solve_rows(k, k->d->n, p, c);
	return joined_pieces(k, b, c, out);
}

static bool solve(struct work *k, struct curve *out)
{
	struct breaks b = { 0 };

	if (k->shape->pieces == 1) {
		*out = (struct curve){ .n = 1, .source = CURVE_MEASURED };
		out->piece[0] = solve_piece(k, 0, k->d->n_blocks - 1);
		return true;
	}
	seg_fill(k);
	if (!search_breaks(k, &b))
		return false;
	if (k->shape->joined)
		return solve_joined(k, &b, out);
	solve_jump(k, &b, out);
	return true;
}

/* ---- robust weights ---- */

static double residual(const struct fit_sample *s, const struct curve *f)
{
	double t = s->repeated ? s->scale : s->t;

	return fabs(t - curve_eval(f, s->n)) / s->scale;
}

static double spread(struct work *k, const struct curve *f)
{
	int i, n = k->d->n;

	for (i = 0; i < n; i++)
		k->r[i] = residual(&k->d->sample[i], f);
	return fit_spread(k->r, n);
}

static double weight(double r, double s, bool huber)
{
	double z = r / (s * HUBER_C);

	if (huber)
		return z > 1 ? 1 / z : 1;
	return fit_bisquare(r / s);
}

/* The largest change of a weight. */
static double reweight(struct work *k, const struct curve *f, bool huber)
{
	double s = spread(k, f), most = 0, u;
	int i;

	for (i = 0; i < k->d->n; i++) {
		u = k->d->sample[i].weight *
			weight(residual(&k->d->sample[i], f), s,
			       huber || k->d->sample[i].repeated);
		most = fmax(most, fabs(u - k->u[i]));
		k->u[i] = u;
	}
	return most;
}

static bool iterate(struct work *k, struct curve *out)
{
	int i;

	for (i = 0; i < k->d->n; i++)
		k->u[i] = k->d->sample[i].weight;
	for (i = 0; i < ROUNDS_MAX; i++) {
		if (!solve(k, out))
			return false;
		if (reweight(k, out, i < HUBER_ROUNDS) < WEIGHT_TOLERANCE &&
		    i > HUBER_ROUNDS)
			break;
	}
	k->last_round = true;
	return solve(k, out);
}

static void set_ends(struct work *k)
{
	const struct fit_sample *s;
	int i;

	for (i = 0; i < k->d->n; i++) {
		s = &k->d->sample[i];
		k->last[s->block] = s->n;
		if (!i || s->block != s[-1].block)
			k->first[s->block] = s->n;
	}
}

bool fit_model(const struct fit_data *d, const struct fit_shape *shape,
	       struct curve *out)
{
	size_t n = (size_t)d->n, blocks = (size_t)d->n_blocks;
	size_t rows = n * (LSQ_COLS + 4) + 2 * blocks + blocks * blocks;
	struct work k = { .d = d, .shape = shape };
	struct curve got;
	bool ok;

	if (d->n_sizes < shape->min_sizes || d->n_blocks < shape->min_sizes)
		return false;
	k.seg = xcalloc(blocks * blocks, sizeof(*k.seg));
	k.u = xcalloc(rows, sizeof(*k.u));
	k.r = k.u + n;
	k.y = k.r + n;
	k.w = k.y + n;
	k.x = k.w + n;
	k.last = k.x + LSQ_COLS * n;
	k.first = k.last + blocks;
	k.rss = k.first + blocks;
	set_ends(&k);
	ok = iterate(&k, &got);
	if (ok)
		*out = got;
	free(k.seg);
	free(k.u);
	return ok;
}
