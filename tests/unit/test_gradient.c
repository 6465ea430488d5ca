/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gradient partition: by hand, against brute force, against the paper's. */
#include "sim/chain.h"
#include "sim/gradient.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static uint64_t seed = 3;

static double uniform(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static double chain_pass(const void *moe, double gradient_s)
{
	struct chain c = *(const struct chain *)moe;

	c.gradient = gradient_s;
	return chain_fixed(&c);
}

/* Cases 2 to 4 of the paper, its step 1. */
static double chain_hidden(const void *moe)
{
	const struct chain *c = moe;
	enum chain_case k;
	double r = c->r;

	chain_closed(c, &k);
	if (k == CHAIN_EXPERT)
		return r * c->e + c->g + c->s - 2 * (r - 1) * c->a;
	if (k == CHAIN_INTRA)
		return r * (c->g + c->s) - 2 * (r - 1) * c->a;
	return c->g + c->s;
}

#define LAYERS 4

struct fixture {
	struct chain chain[LAYERS];
	struct gradient_layer layer[LAYERS];
	struct gradient_problem p;
};

static void fixture_make(struct fixture *f, int n)
{
	for (int i = 0; i < n; i++) {
		f->chain[i] = (struct chain){
			.r = 1 << (int)(3 * uniform()),
			.a = 0.2 + uniform(), .g = 0.2 + uniform(),
			.s = 0.2 + uniform(), .e = 0.2 + 3 * uniform(),
		};
		f->layer[i] = (struct gradient_layer){
			.bytes = 8 * uniform(), .window_s = 3 * uniform(),
			.moe = &f->chain[i],
		};
	}
	f->p = (struct gradient_problem){
		.n = n, .layer = f->layer, .alpha_s = 0.1, .beta_s = 1,
		.pass_s = chain_pass, .hidden_s = chain_hidden,
	};
}

/*
 * Two layers of D 1 E 4 C 1 (6 s; 4 s of INTER idle), window 2 s, 5 bytes
 * each at 1 s a byte. Nothing is there in layer 0. At the end: 6 + 6 + 10.
 * In windows: 2 in layer 1: 6 + 6 + 8. Best: layer 1 takes all 5, 2 in its
 * window and 3 beside its experts: 6 + 6 + 5.
 */
static void test_by_hand(void **state)
{
	struct chain c = { .r = 1, .a = 1, .e = 4 };
	struct gradient_layer l[2] = { { 5, 2, &c }, { 5, 2, &c } };
	struct gradient_problem p = { .n = 2, .layer = l, .beta_s = 1,
				      .pass_s = chain_pass,
				      .hidden_s = chain_hidden };
	struct gradient_plan plan;

	(void)state;
	gradient_at_end(&p, &plan);
	assert_float_equal(plan.total_s, 22, 1e-9);
	gradient_in_windows(&p, &plan);
	assert_float_equal(plan.total_s, 20, 1e-9);
	gradient_two_step(&p, 1, &plan);
	assert_float_equal(plan.total_s, 17, 1e-9);
	gradient_exact(&p, 10, &plan);
	assert_float_equal(plan.total_s, 17, 1e-9);
	assert_float_equal(plan.bytes[0], 0, 1e-9);
	assert_float_equal(plan.bytes[1], 5, 1e-9);
	plan.bytes[0] = 1;
	assert_true(isinf(gradient_total(&p, plan.bytes)));
}

#define UNITS 6

static double brute(const struct gradient_problem *p, double unit)
{
	double best = INFINITY, bytes[LAYERS];

	for (int code = 0; code < 7 * 7 * 7 * 7; code++) {
		int rest = code;

		for (int i = 0; i < p->n; i++, rest /= 7)
			bytes[i] = rest % 7 * unit;
		if (!rest)
			best = fmin(best, gradient_total(p, bytes));
	}
	return best;
}

static void test_brute(void **state)
{
	(void)state;
	for (int k = 0; k < 60; k++) {
		struct fixture f;
		struct gradient_plan plan;
		double all = 0;

		fixture_make(&f, 2 + k % 3);
		for (int i = 0; i < f.p.n; i++)
			all += f.layer[i].bytes;
		gradient_exact(&f.p, UNITS, &plan);
		assert_float_equal(plan.total_s, brute(&f.p, all / UNITS),
				   1e-9);
	}
}

static void test_never_worse(void **state)
{
	int better = 0;
	double gain = 0;

	(void)state;
	for (int k = 0; k < 200; k++) {
		struct fixture f;
		struct gradient_plan ours, paper, end, windows;

		fixture_make(&f, LAYERS);
		gradient_best(&f.p, &ours);
		gradient_two_step(&f.p, 1, &paper);
		gradient_at_end(&f.p, &end);
		gradient_in_windows(&f.p, &windows);
		assert_true(ours.total_s <= paper.total_s * (1 + 1e-12));
		assert_true(paper.total_s <= end.total_s * (1 + 1e-12));
		assert_true(ours.total_s <= windows.total_s * (1 + 1e-12));
		assert_float_equal(ours.total_s,
				   gradient_total(&f.p, ours.bytes), 1e-9);
		better += ours.total_s < paper.total_s * (1 - 1e-6);
		gain += 1 - ours.total_s / paper.total_s;
	}
	print_message("# better than two steps in %d of 200, mean %.3f %%\n",
		      better, 100 * gain / 200);
	assert_true(better > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_brute),
		cmocka_unit_test(test_never_worse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
