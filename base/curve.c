/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/curve.h"

#include <math.h>

static const struct curve_piece zero_piece = { .upto = INFINITY };

/* Piece that holds at n; the last one reaches to infinity. */
static const struct curve_piece *piece_at(const struct curve *f, double n)
{
	int i = 0;

	if (!f->n)
		return &zero_piece;
	while (i < f->n - 1 && n > f->piece[i].upto) {
		i++;
	}
	return &f->piece[i];
}

static double line_eval(const struct curve_piece *p, double n)
{
	return p->a + p->b * n + (p->c != 0 ? p->c * sqrt(n) : 0);
}

/* First piece end above `lo`: INFINITY when the rest is one piece. */
static double next_end(const struct curve *f, double lo)
{
	int i;

	for (i = 0; i < f->n - 1; i++) {
		if (f->piece[i].upto > lo)
			return f->piece[i].upto;
	}
	return INFINITY;
}

/* The piece that holds just above `lo`. */
static const struct curve_piece *piece_above(const struct curve *f, double lo)
{
	int i = 0;

	if (!f->n)
		return &zero_piece;
	while (i < f->n - 1 && f->piece[i].upto <= lo) {
		i++;
	}
	return &f->piece[i];
}

static bool same_line(const struct curve_piece *p, const struct curve_piece *q)
{
	return p->a == q->a && p->b == q->b && p->c == q->c;
}

/* Appends `p` up to `upto`; neighbours on one line become one piece. */
static bool append(struct curve *f, const struct curve_piece *p, double upto)
{
	if (f->n && same_line(&f->piece[f->n - 1], p)) {
		f->piece[f->n - 1].upto = upto;
		return true;
	}
	if (f->n == CURVE_PIECES)
		return false;
	f->piece[f->n] = *p;
	f->piece[f->n++].upto = upto;
	return true;
}

/* A result is as trustworthy as the weaker of its parts. */
static enum curve_source weaker(const struct curve *f, const struct curve *g)
{
	if (!f->n)
		return g->source;
	if (!g->n)
		return f->source;
	return f->source < g->source ? f->source : g->source;
}

struct curve curve_make(double a, double b, double c, enum curve_source src)
{
	return (struct curve){
		.n = 1,
		.source = src,
		.piece = { { .upto = INFINITY, .a = a, .b = b, .c = c } },
	};
}

double curve_eval(const struct curve *f, double n)
{
	return line_eval(piece_at(f, n), n);
}

/* Below every size, so that a piece that ends at 0 still holds at 0. */
#define BELOW_ALL (-INFINITY)

bool curve_add(const struct curve *f, const struct curve *g,
	       struct curve *out)
{
	struct curve sum = { .source = weaker(f, g) };
	double lo = BELOW_ALL;

	if (!f->n && !g->n) {
		*out = sum;
		return true;
	}
	while (lo < INFINITY) {
		double hi = fmin(next_end(f, lo), next_end(g, lo));
		const struct curve_piece *p = piece_above(f, lo);
		const struct curve_piece *q = piece_above(g, lo);
		struct curve_piece both = {
			.a = p->a + q->a, .b = p->b + q->b, .c = p->c + q->c,
		};

		if (!append(&sum, &both, hi))
			return false;
		lo = hi;
	}
	*out = sum;
	return true;
}

struct curve curve_scale_size(const struct curve *f, double k)
{
	struct curve g = *f;
	int i;

	for (i = 0; i < g.n; i++) {
		g.piece[i].upto /= k;
		g.piece[i].b *= k;
		g.piece[i].c *= sqrt(k);
	}
	return g;
}

struct curve curve_scale_time(const struct curve *f, double k)
{
	struct curve g = *f;
	int i;

	for (i = 0; i < g.n; i++) {
		g.piece[i].a *= k;
		g.piece[i].b *= k;
		g.piece[i].c *= k;
	}
	return g;
}

/* Where two lines meet; NAN for parallels. */
static double crossing(const struct curve_piece *p,
		       const struct curve_piece *q)
{
	return p->b == q->b ? NAN : (p->a - q->a) / (q->b - p->b);
}

static bool straight(const struct curve *f)
{
	int i;

	for (i = 0; i < f->n; i++) {
		if (f->piece[i].c != 0)
			return false;
	}
	return true;
}

/* The lower of two lines on (lo, hi], as one or two pieces. */
static bool append_min(struct curve *out, const struct curve_piece *p,
		       const struct curve_piece *q, double lo, double hi)
{
	double x = crossing(p, q);
	bool inside = x > lo && x > 0 && x < hi;
	const struct curve_piece *flat = p->b <= q->b ? p : q;
	const struct curve_piece *steep = flat == p ? q : p;

	if (inside)	/* before the crossing the steeper line is lower */
		return append(out, steep, x) && append(out, flat, hi);
	if (isnan(x))
		return append(out, p->a <= q->a ? p : q, hi);
	return append(out, x >= hi ? steep : flat, hi);
}

bool curve_min(const struct curve *f, const struct curve *g,
	       struct curve *out)
{
	struct curve low = { .source = weaker(f, g) };
	double lo = BELOW_ALL;

	if (!straight(f) || !straight(g))
		return false;
	while (lo < INFINITY) {
		double hi = fmin(next_end(f, lo), next_end(g, lo));

		if (!append_min(&low, piece_above(f, lo), piece_above(g, lo),
				lo, hi))
			return false;
		lo = hi;
	}
	*out = low;
	return true;
}

double curve_intersect(const struct curve *f, const struct curve *g,
		       double lo)
{
	if (!straight(f) || !straight(g))
		return -1;
	while (lo < INFINITY) {
		double hi = fmin(next_end(f, lo), next_end(g, lo));
		const struct curve_piece *p = piece_above(f, lo);
		const struct curve_piece *q = piece_above(g, lo);
		double x = crossing(p, q);

		if (isnan(x) && p->a == q->a)	/* one line: at once */
			return lo < 0 ? 0 : nextafter(lo, INFINITY);
		if (x > lo && x >= 0 && x <= hi && x < INFINITY)
			return x;
		lo = hi;
	}
	return -1;
}

bool curve_switch(const struct curve *f, double at, const struct curve *g,
		  struct curve *out)
{
	struct curve both = { .source = weaker(f, g) };
	double lo = BELOW_ALL;

	if (at < 0) {	/* no size is below it */
		*out = *g;
		return true;
	}
	while (lo < INFINITY) {
		const struct curve *now = lo < at ? f : g;
		double hi = next_end(now, lo);

		if (now == f && hi > at)
			hi = at;
		if (!append(&both, piece_above(now, lo), hi))
			return false;
		lo = hi;
	}
	*out = both;
	return true;
}

const char *curve_source_name(enum curve_source src)
{
	static const char *const names[] = {
		[CURVE_ASSUMED] = "assumed",
		[CURVE_DATASHEET] = "datasheet",
		[CURVE_PUBLISHED] = "published",
		[CURVE_MEASURED] = "measured",
	};

	return names[src];
}
