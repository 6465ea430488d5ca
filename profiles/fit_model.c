/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profiles/fit_model.h"

#include "base/mem.h"
#include "profiles/fit_breaks.h"
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

/* Lines that cross meet, but for rounding. */
#define FALL_MAX 1e-9

struct work {
	const struct fit_data *d;
	const struct fit_shape *shape;
	double *u;		/* robust weight of each sample */
	double *r;		/* relative residuals, and room to sort them */
	double *last, *first;	/* largest, smallest size of a block */
	double *x, *y, *w;	/* rows */
	bool last_round;	/* GSL solves it, else the normal equations */
};

/* ---- coefficients ---- */

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

static void solve_rows(const struct work *k, int rows, int p, double *c)
{
	lsq_solve(k->x, k->y, k->w, rows, p, k->last_round, c);
}

/* One piece by itself: a + b*n, with c*sqrt(n) for the shape that has it. */
static struct curve_piece solve_piece(struct work *k, int from, int to)
{
	int p = k->shape->root ? 3 : 2, i, n = 0;
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

	if (p->c == 0 && q->c == 0 && x >= low && x <= high)
		return x;
	return sqrt(low) * sqrt(high);
}

static void solve_apart(struct work *k, const struct breaks *b,
			struct curve *out)
{
	int i, blocks = k->d->n_blocks;

	*out = (struct curve){ .n = b->n + 1, .source = CURVE_MEASURED };
	for (i = 0; i <= b->n; i++) {
		out->piece[i] = solve_piece(k, breaks_from(b, i),
					    breaks_to(b, i, blocks));
	}
	for (i = 0; i < b->n; i++) {
		out->piece[i].upto = switch_at(&out->piece[i],
					       &out->piece[i + 1],
					       k->last[b->at[i]],
					       k->first[b->at[i] + 1]);
	}
}

static double piece_eval(const struct curve_piece *p, double n)
{
	return p->a + p->b * n + p->c * sqrt(n);
}

static bool rises(const struct curve *f)
{
	double x, low;
	int i;

	for (i = 0; i + 1 < f->n; i++) {
		x = f->piece[i].upto;
		low = piece_eval(&f->piece[i], x);
		if (piece_eval(&f->piece[i + 1], x) < low * (1 - FALL_MAX))
			return false;
	}
	return true;
}

/*
 * All pieces at once, so that time never falls: with x_0 = 0 and piece k on
 * (x_k, x_k+1], v_k(n) = min(max(n, x_k), x_k+1),
 *
 *	t = c_0 + sum_k b_k (v_k - x_k) + c_k (sqrt(v_k) - sqrt(x_k))
 *	        + sum_k>0 jump_k [n > x_k]
 *
 * with no coefficient negative. Joined pieces meet at sizes, and there are no
 * jumps; others end half way (on a log scale) to the next size.
 */
struct basis {
	const struct fit_shape *shape;
	int pieces;
	double x[FIT_PIECES_MAX + 1];
};

static void basis_init(struct basis *e, const struct work *k,
		       const struct breaks *b)
{
	int i;

	*e = (struct basis){ .shape = k->shape, .pieces = b->n + 1 };
	for (i = 0; i < b->n; i++) {
		e->x[i + 1] = k->last[b->at[i]];
		if (!k->shape->joined)
			e->x[i + 1] = sqrt(e->x[i + 1]) *
				sqrt(k->first[b->at[i] + 1]);
	}
	e->x[e->pieces] = INFINITY;
}

/* Columns: c_0, all b_k, all c_k (root), all jump_k (not joined). */
static int basis_columns(const struct basis *e)
{
	return 1 + e->pieces * (1 + e->shape->root) +
		(e->shape->joined ? 0 : e->pieces - 1);
}

static void basis_row(const struct basis *e, double n, double *row)
{
	double *root = row + 1 + e->pieces, *jump = root;
	double v;
	int i;

	if (e->shape->root)
		jump += e->pieces;
	row[0] = 1;
	for (i = 0; i < e->pieces; i++) {
		v = fmin(fmax(n, e->x[i]), e->x[i + 1]);
		row[1 + i] = v - e->x[i];
		if (e->shape->root)
			root[i] = sqrt(v) - sqrt(e->x[i]);
		if (i && !e->shape->joined)
			jump[i - 1] = n > e->x[i];
	}
}

/* Each piece's own a + b*n + c*sqrt(n): it goes on where the one before
 * ended, plus the jump. */
static void basis_curve(const struct basis *e, const double *c,
			struct curve *out)
{
	const double *root = c + 1 + e->pieces, *jump = root;
	double at = c[0];	/* time where the piece begins */
	struct curve_piece *p;
	int i;

	if (e->shape->root)
		jump += e->pieces;
	*out = (struct curve){ .n = e->pieces, .source = CURVE_MEASURED };
	for (i = 0; i < e->pieces; i++) {
		p = &out->piece[i];
		if (i && !e->shape->joined)
			at += jump[i - 1];
		*p = (struct curve_piece){ .upto = e->x[i + 1], .b = c[1 + i],
					   .c = e->shape->root ? root[i] : 0 };
		p->a = at - p->b * e->x[i] - p->c * sqrt(e->x[i]);
		at = i + 1 < e->pieces ? piece_eval(p, p->upto) : at;
	}
}

static void solve_together(struct work *k, const struct breaks *b,
			   struct curve *out)
{
	double c[LSQ_COLS];
	struct basis e;
	int i, j, p;

	basis_init(&e, k, b);
	p = basis_columns(&e);
	fill_rows(k, 0, k->d->n_blocks - 1);
	for (i = 0; i < k->d->n; i++) {
		const struct fit_sample *s = &k->d->sample[i];

		basis_row(&e, s->n, &k->x[i * p]);
		for (j = 0; j < p; j++)
			k->x[i * p + j] /= s->scale;
	}
	solve_rows(k, k->d->n, p, c);
	basis_curve(&e, c, out);
}

static bool solve(struct work *k, struct curve *out)
{
	struct breaks b = { 0 };

	if (k->shape->pieces == 1) {
		*out = (struct curve){ .n = 1, .source = CURVE_MEASURED };
		out->piece[0] = solve_piece(k, 0, k->d->n_blocks - 1);
		return true;
	}
	if (!breaks_search(k->d, k->u, k->shape, &b))
		return false;
	if (!k->shape->joined) {
		solve_apart(k, &b, out);
		if (rises(out))
			return true;
	}
	solve_together(k, &b, out);
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
	size_t rows = n * (LSQ_COLS + 4) + 2 * blocks;
	struct fit_shape most = *shape;
	struct work k = { .d = d, .shape = &most };
	struct curve got;
	bool ok;

	if (d->n_sizes < shape->min_sizes || d->n_blocks < shape->min_sizes)
		return false;
	if (most.pieces > d->n_blocks - 1 && most.joined)
		most.pieces = d->n_blocks - 1;
	k.u = xcalloc(rows, sizeof(*k.u));
	k.r = k.u + n;
	k.y = k.r + n;
	k.w = k.y + n;
	k.x = k.w + n;
	k.last = k.x + LSQ_COLS * n;
	k.first = k.last + blocks;
	set_ends(&k);
	ok = iterate(&k, &got);
	if (ok)
		*out = got;
	free(k.u);
	return ok;
}
