/* SPDX-License-Identifier: GPL-3.0-or-later */
/* profiles/fit.h on data whose law is known. */
#include "profiles/fit.h"

#include "base/mem.h"
#include "profiles/fit_lsq.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY 512

/* xorshift64*: the same numbers everywhere */
static uint64_t seed;

static double uniform(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (double)(seed * 0x2545f4914f6cdd1dull >> 11) / 9007199254740992.0;
}

/* Normal enough: the sum of twelve uniform numbers (Irwin-Hall). */
static double normal(void)
{
	double sum = -6;
	int i;

	for (i = 0; i < 12; i++)
		sum += uniform();
	return sum;
}

struct data {
	int n;
	double size[MANY], time[MANY];
};

/* 1 KiB .. 1 GiB by factors of two, `repeats` times each. */
static void make(struct data *d, const struct curve *f, int repeats,
		 double noise)
{
	double size;
	int i;

	d->n = 0;
	for (size = 1024; size <= 1 << 30; size *= 2) {
		for (i = 0; i < repeats; i++) {
			d->size[d->n] = size;
			d->time[d->n++] = curve_eval(f, size) *
				(1 + noise * normal());
		}
	}
}

static struct fit fit(const struct data *d)
{
	struct fit f;

	assert_int_equal(fit_curve(d->size, d->time, d->n, &f), ST_OK);
	return f;
}

static void near(double got, double want, double tolerance)
{
	if (!(fabs(got - want) <= tolerance * fabs(want)))
		fail_msg("%.12g is not %.12g within %g", got, want,
			 tolerance);
}

/* Nor does it fall, where pieces end neither. (Only the first piece's a is a
 * start-up time; lines that rise later may pass below zero at n = 0.) */
static void not_negative(const struct fit *f)
{
	const struct curve_piece *p = f->curve.piece;
	double below;
	int i;

	assert_true(p[0].a >= 0);
	for (i = 0; i < f->curve.n; i++) {
		assert_true(p[i].b >= 0);
		assert_true(p[i].c >= 0);
		if (!i)
			continue;
		below = curve_eval(&f->curve, p[i - 1].upto);
		assert_true(curve_eval(&f->curve, p[i - 1].upto *
				       (1 + 1e-12)) >= below * (1 - 1e-8));
	}
}

/* Without noise the law comes back. */
static void test_exact(void **state)
{
	const struct curve line = curve_make(12e-6, 1 / 350e9, 0,
					     CURVE_MEASURED);
	const struct curve ramp = curve_make(9.3e-6, 1 / 340e9, 4.1e-9,
					     CURVE_MEASURED);
	struct data d;
	struct fit f;

	(void)state;
	make(&d, &line, 1, 0);
	f = fit(&d);
	assert_int_equal(f.form, FIT_LINEAR);
	assert_int_equal(f.samples, 21);
	near(f.curve.piece[0].a, 12e-6, 1e-9);
	near(f.curve.piece[0].b, 1 / 350e9, 1e-9);
	near(f.r2, 1, 1e-9);
	assert_true(f.mape < 1e-9);
	assert_true(f.min_n == 1024 && f.max_n == 1 << 30);
	assert_int_equal(f.curve.source, CURVE_MEASURED);

	make(&d, &ramp, 1, 0);
	f = fit(&d);
	assert_int_equal(f.form, FIT_SQRT);
	near(f.curve.piece[0].a, 9.3e-6, 1e-6);
	near(f.curve.piece[0].b, 1 / 340e9, 1e-6);
	near(f.curve.piece[0].c, 4.1e-9, 1e-6);
}

/*
 * 3 % noise, 5 repeats of 21 sizes: a rests on the ten sizes or so below
 * 100 KB, 50 samples, 0.03 / sqrt(50) = 0.4 %; four times that is allowed.
 */
static void test_noise(void **state)
{
	const struct curve law = curve_make(12e-6, 1 / 350e9, 0,
					    CURVE_MEASURED);
	struct data d;
	struct fit f;
	int i, j, linear = 0;

	(void)state;
	for (i = 0; i < 10; i++) {
		seed = 100 + (uint64_t)i;
		make(&d, &law, 5, 0.03);
		f = fit(&d);
		assert_true(f.mape < 0.03);
		not_negative(&f);
		for (j = 0; j < d.n; j++)
			near(curve_eval(&f.curve, d.size[j]),
			     curve_eval(&law, d.size[j]), 0.05);
		if (f.form != FIT_LINEAR)	/* chance has its part */
			continue;
		linear++;
		near(f.curve.piece[0].a, 12e-6, 0.02);
		near(f.curve.piece[0].b, 1 / 350e9, 0.02);
	}
	assert_true(linear >= 5);
}

/* Every tenth sample takes five times as long, as when something else ran. */
static void test_outliers(void **state)
{
	const struct curve law = curve_make(12e-6, 1 / 350e9, 3e-9,
					    CURVE_MEASURED);
	struct data d;
	struct fit f;
	double n;
	int i, round;

	(void)state;
	for (round = 0; round < 10; round++) {
		seed = 7 + (uint64_t)round;
		make(&d, &law, 5, 0.02);
		for (i = round; i < d.n; i += 10)
			d.time[i] *= 5;
		f = fit(&d);
		for (n = 1024; n <= 1 << 30; n *= 3)
			near(curve_eval(&f.curve, n), curve_eval(&law, n),
			     0.04);
	}
}

/* One sample per size: the outlier is alone at its size. */
static void test_lone_outliers(void **state)
{
	const struct curve law = curve_make(12e-6, 1 / 350e9, 0,
					    CURVE_MEASURED);
	struct data d;
	struct fit f;

	(void)state;
	seed = 3;
	make(&d, &law, 1, 0.01);
	d.time[4] *= 5;
	d.time[16] *= 5;
	assert_int_equal(fit_form(FIT_LINEAR, d.size, d.time, d.n, &f), ST_OK);
	near(f.curve.piece[0].a, 12e-6, 0.03);
	near(f.curve.piece[0].b, 1 / 350e9, 0.03);
}

/*
 * Up to 256 KiB 6 us + n / 20 GB/s, above it 60 us + n / 300 GB/s: at 256 KiB
 * 19.1 us against 60.9 us. The next size is 512 KiB, so the switch must be
 * found between the two, and as a jump.
 */
static void test_switch(void **state)
{
	const struct curve small = curve_make(6e-6, 1 / 20e9, 0,
					      CURVE_MEASURED);
	const struct curve large = curve_make(60e-6, 1 / 300e9, 0,
					      CURVE_MEASURED);
	struct curve law;
	struct data d;
	struct fit f;
	int i;

	(void)state;
	assert_true(curve_switch(&small, 300000, &large, &law));
	for (i = 0; i < 10; i++) {
		seed = 40 + (uint64_t)i;
		make(&d, &law, 3, 0.02);
		f = fit(&d);
		assert_int_equal(f.form, FIT_PIECEWISE);
		assert_int_equal(f.curve.n, 2);
		assert_true(f.curve.piece[0].upto >= 262144);
		assert_true(f.curve.piece[0].upto < 524288);
		near(f.curve.piece[0].a, 6e-6, 0.05);
		near(f.curve.piece[0].b, 1 / 20e9, 0.05);
		near(f.curve.piece[1].a, 60e-6, 0.05);
		assert_true(curve_eval(&f.curve, 524288) >
			    2 * curve_eval(&f.curve, 262144));
		near(f.curve.piece[1].b, 1 / 300e9, 0.05);
		not_negative(&f);
	}
}

/* Two switches, the upper one without a jump: 60 us + n/100 GB/s crosses
 * 10 us + n/50 GB/s at 5 MB. */
static void test_three_pieces(void **state)
{
	const struct curve one = curve_make(4e-6, 1 / 10e9, 0, CURVE_MEASURED);
	const struct curve two = curve_make(10e-6, 1 / 50e9, 0,
					    CURVE_MEASURED);
	const struct curve three = curve_make(60e-6, 1 / 100e9, 0,
					      CURVE_MEASURED);
	struct curve low, law;
	struct data d;
	struct fit f;

	(void)state;
	assert_true(curve_switch(&one, 40000, &two, &low));
	assert_true(curve_switch(&low, 5e6, &three, &law));
	seed = 11;
	make(&d, &law, 3, 0.005);
	f = fit(&d);
	assert_int_equal(f.curve.n, 3);
	assert_true(f.curve.piece[0].upto >= 32768);
	assert_true(f.curve.piece[0].upto < 65536);
	near(f.curve.piece[1].upto, 5e6, 0.7);
	near(curve_eval(&f.curve, 1e6), curve_eval(&law, 1e6), 0.02);
	near(curve_eval(&f.curve, 1e9), curve_eval(&law, 1e9), 0.02);
}

/*
 * What NCCL looks like: three protocols with two jumps, all bent (c > 0), 25
 * sizes a factor of 1.78 apart. Every size from 1 MB up is left out in turn,
 * and all is found anew, the form too: 5 % in the mean, as for real ones.
 */
static double left_out(const struct data *d, double from)
{
	struct data rest;
	struct fit f;
	double sum = 0;
	int i, j, n = 0;

	for (i = 1; i + 1 < d->n; i++) {
		if (d->size[i] < from)
			continue;
		rest.n = 0;
		for (j = 0; j < d->n; j++) {
			if (j == i)
				continue;
			rest.size[rest.n] = d->size[j];
			rest.time[rest.n++] = d->time[j];
		}
		f = fit(&rest);
		sum += fabs(curve_eval(&f.curve, d->size[i]) / d->time[i] - 1);
		n++;
	}
	return sum / n;
}

static void test_dense(void **state)
{
	const struct curve one = curve_make(8e-6, 1 / 40e9, 1e-9,
					    CURVE_MEASURED);
	const struct curve two = curve_make(10e-6, 1 / 150e9, 4e-9,
					    CURVE_MEASURED);
	const struct curve three = curve_make(22e-6, 1 / 360e9, 5e-9,
					      CURVE_MEASURED);
	struct curve low, law;
	struct data d;
	double e, sum = 0;
	int i, k;

	(void)state;
	assert_true(curve_switch(&one, 100e3, &two, &low));
	assert_true(curve_switch(&low, 1.8e6, &three, &law));
	for (k = 0; k < 3; k++) {
		seed = 5000 + (uint64_t)k;
		for (i = 0; i < 25; i++) {
			d.size[i] = 1024 * pow(1.78, i);
			d.time[i] = curve_eval(&law, d.size[i]) *
				(1 + 0.01 * normal());
		}
		d.n = 25;
		e = left_out(&d, 1e6);
		sum += e / 3;
	}
	print_message("# dense: left-out sizes from 1 MB up %.2f %%\n",
		      100 * sum);
	assert_true(sum <= 0.05);
}

/* Lines that pass below zero at n = 0 must not be given negative starts. */
static void test_not_negative(void **state)
{
	struct data d;
	struct fit f;
	int i, k;

	(void)state;
	for (k = 0; k < 16; k++) {
		seed = 900 + (uint64_t)k;
		d.n = 5 + k % 20;
		for (i = 0; i < d.n; i++) {
			d.size[i] = 1000 * pow(1.7, i);
			d.time[i] = 1e-12 * pow(d.size[i],
						0.2 + 1.3 * uniform());
		}
		f = fit(&d);
		not_negative(&f);
		for (i = 0; i < FIT_FORM_N; i++) {
			if (!fit_form((enum fit_form)i, d.size, d.time, d.n,
				      &f))
				not_negative(&f);
		}
	}
}

/*
 * The repeats of a size are left out together: a sample twice over
 * teaches nothing about its size, so the error is that of one sample.
 */
static void test_repeats(void **state)
{
	const struct curve law = curve_make(12e-6, 1 / 350e9, 3e-9,
					    CURVE_MEASURED);
	struct data d, twice = { 0 };
	struct fit a, b;
	int i;

	(void)state;
	seed = 77;
	make(&d, &law, 1, 0.05);
	for (i = 0; i < 2 * d.n; i++) {
		twice.size[i] = d.size[i / 2];
		twice.time[i] = d.time[i / 2];
	}
	twice.n = 2 * d.n;
	for (i = 0; i < FIT_FORM_N; i++) {
		assert_int_equal(fit_form((enum fit_form)i, d.size, d.time,
					  d.n, &a), ST_OK);
		assert_int_equal(fit_form((enum fit_form)i, twice.size,
					  twice.time, twice.n, &b), ST_OK);
		near(b.mape, a.mape, 1e-6);
		assert_true(a.mape > 0.02);
	}
}

/* The order of the samples is nothing to the result, bit by bit. */
static void test_order(void **state)
{
	const struct curve law = curve_make(12e-6, 1 / 350e9, 3e-9,
					    CURVE_MEASURED);
	struct data d;
	struct fit a, b;
	int i, j;

	(void)state;
	seed = 5;
	make(&d, &law, 3, 0.05);
	a = fit(&d);
	for (i = d.n - 1; i > 0; i--) {
		double n = d.size[i], t = d.time[i];

		j = (int)(uniform() * (i + 1));
		d.size[i] = d.size[j];
		d.time[i] = d.time[j];
		d.size[j] = n;
		d.time[j] = t;
	}
	b = fit(&d);
	assert_int_equal(a.form, b.form);
	assert_int_equal(a.curve.n, b.curve.n);
	for (i = 0; i < a.curve.n; i++)
		assert_memory_equal(&a.curve.piece[i], &b.curve.piece[i],
				    sizeof(a.curve.piece[i]));
	assert_true(a.mape == b.mape && a.r2 == b.r2);
}

static void refused(const double *n, const double *t, int count,
		    const char *why)
{
	struct fit f = { .samples = -7 };

	assert_int_equal(fit_curve(n, t, count, &f), ST_INPUT);
	if (!strstr(err_msg(), why))
		fail_msg("'%s' does not say '%s'", err_msg(), why);
	assert_int_equal(f.samples, -7);
}

static void test_refused(void **state)
{
	const double n[] = { 1, 2, 2, 1 }, t[] = { 1, 2, 2, 1 };
	const double bad[] = { 1, 2, -2, 4 }, nan_t[] = { 1, 2, NAN, 4 };
	const double zero[] = { 1, 0, 2, 4 };

	(void)state;
	refused(n, t, 4, "'2' different sizes");
	refused(n, t, 0, "no samples");
	refused(bad, t, 4, "'-2'");
	refused(zero, t, 4, "'0'");
	refused(n, nan_t, 4, "'nan'");
	refused(n, bad, 4, "time '-2'");
}

/* Many sizes: blocks of neighbours, in bounded time. */
static void test_many_sizes(void **state)
{
	int n = 5000, i;
	double *size = xcalloc((size_t)n, sizeof(*size));
	double *time = xcalloc((size_t)n, sizeof(*time));
	struct fit f;

	(void)state;
	seed = 9;
	for (i = 0; i < n; i++) {
		size[i] = 1000 * pow(1.002, i);
		time[i] = (1e-5 + size[i] / 1e11) * (1 + 0.02 * normal());
	}
	assert_int_equal(fit_curve(size, time, n, &f), ST_OK);
	near(f.curve.piece[0].a, 1e-5, 0.02);
	assert_true(f.mape < 0.03);
	free(size);
	free(time);
}

/* ---- least squares ---- */

#define ROWS_MAX (LSQ_COLS + 30)

struct problem {
	int n, p;
	double x[ROWS_MAX * LSQ_COLS], y[ROWS_MAX], w[ROWS_MAX];
};

static void random_problem(struct problem *q)
{
	int i, j;

	q->p = 1 + (int)(uniform() * LSQ_COLS);
	q->n = q->p + (int)(uniform() * 30);
	for (i = 0; i < q->n; i++) {
		q->y[i] = normal();
		q->w[i] = uniform() < 0.1 ? 0 : 0.1 + uniform();
		for (j = 0; j < q->p; j++)
			q->x[i * q->p + j] = normal() + 0.5;
	}
}

static double value(const struct problem *q, const double *c)
{
	double sum = 0, r;
	int i, j;

	for (i = 0; i < q->n; i++) {
		r = q->y[i];
		for (j = 0; j < q->p; j++)
			r -= q->x[i * q->p + j] * c[j];
		sum += q->w[i] * r * r;
	}
	return sum;
}

static double slope(const struct problem *q, const double *c, int k)
{
	double sum = 0, r;
	int i, j;

	for (i = 0; i < q->n; i++) {
		r = q->y[i];
		for (j = 0; j < q->p; j++)
			r -= q->x[i * q->p + j] * c[j];
		sum -= 2 * q->w[i] * r * q->x[i * q->p + k];
	}
	return sum;
}

static struct lsq_gram gram(const struct problem *q)
{
	struct lsq_gram g = { .p = q->p };
	int i, j, k;

	for (i = 0; i < q->n; i++) {
		const double *x = &q->x[i * q->p];

		g.yy += q->w[i] * q->y[i] * q->y[i];
		for (j = 0; j < q->p; j++) {
			g.h[j] += q->w[i] * x[j] * q->y[i];
			for (k = 0; k < q->p; k++)
				g.g[j][k] += q->w[i] * x[j] * x[k];
		}
	}
	return g;
}

/*
 * The problem is convex, so these prove the minimum (Karush, Kuhn, Tucker):
 * the slope is 0 where c > 0 and not negative where c = 0. Random points near
 * and far must not be better either.
 */
static void test_active_set(void **state)
{
	double c[LSQ_COLS], fast[LSQ_COLS], other[LSQ_COLS], best;
	struct problem q;
	struct lsq_gram g;
	int round, i, j, bound = 0, free_ones = 0;

	(void)state;
	seed = 2024;
	for (round = 0; round < 300; round++) {
		random_problem(&q);
		best = lsq_solve(q.x, q.y, q.w, q.n, q.p, true, c);
		assert_true(fabs(best - value(&q, c)) < 1e-9);
		for (j = 0; j < q.p; j++) {
			assert_true(c[j] >= 0);
			if (c[j] > 0)
				assert_true(fabs(slope(&q, c, j)) < 1e-8);
			else
				assert_true(slope(&q, c, j) > -1e-8);
			bound += c[j] == 0;
			free_ones += c[j] > 0;
		}
		for (i = 0; i < 50; i++) {
			for (j = 0; j < q.p; j++)
				other[j] = fmax(0, c[j] + 0.3 * normal());
			assert_true(value(&q, other) >= best - 1e-9);
		}
		g = gram(&q);
		assert_true(fabs(lsq_gram_solve(&g, fast) - best) < 1e-6);
	}
	/* both cases came up often */
	assert_true(bound > 500 && free_ones > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_outliers),
		cmocka_unit_test(test_lone_outliers),
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_three_pieces),
		cmocka_unit_test(test_dense),
		cmocka_unit_test(test_not_negative),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_many_sizes),
		cmocka_unit_test(test_active_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
