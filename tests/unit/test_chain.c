/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Closed forms against the exact makespan; orders against brute force. */
#include "sim/chain.h"
#include "sim/lanes.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

static uint64_t seed = 1;

/* splitmix64, in [0, 1) */
static double uniform(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

/* a, g, s, e over two decades each; G as often 0 as not. */
static struct chain random_chain(int r)
{
	return (struct chain){
		.r = r,
		.a = pow(10, 2 * uniform()), .g = pow(10, 2 * uniform()),
		.s = pow(10, 2 * uniform()), .e = pow(10, 2 * uniform()),
		.gradient = uniform() < 0.5 ? 0 : pow(10, 3 * uniform()),
	};
}

/*
 * r = 2, a = 2, g = 1, s = 1, e = 3, G = 0 by hand: D ends at 2, 4; AG at 3,
 * 5; E at 6, 9; RS at 7, 10; C at 9, 12.
 */
static void test_by_hand(void **state)
{
	struct chain c = { .r = 2, .a = 2, .g = 1, .s = 1, .e = 3 };
	enum chain_case which;

	(void)state;
	assert_float_equal(chain_fixed(&c), 12, 1e-12);
	assert_float_equal(chain_closed(&c, &which), 12, 1e-12);
	assert_int_equal(which, CHAIN_EXPERT);
	/* G = 9 after D at 4: until 13, then two C: 17 = 2 r a + G */
	c.gradient = 9;
	assert_float_equal(chain_fixed(&c), 17, 1e-12);
	assert_float_equal(chain_closed(&c, &which), 17, 1e-12);
	assert_int_equal(which, CHAIN_GRADIENT);
	/* one lane: D 2 AG 3 D 5 AG 6, E 6 9, then RS 7 C 9 RS 10 C 12 */
	c.gradient = 0;
	c.one_lane = true;
	assert_float_equal(chain_fixed(&c), 12, 1e-12);
	/* e = 1: D AG D AG ends at 6, E at 4 and 7; RS C RS C: 6..12 */
	c.e = 1;
	assert_float_equal(chain_fixed(&c), 12, 1e-12);
}

/*
 * Two chunks, a = 1, g = 4, nothing else: D1 alone 0..1, D2 and AG1 meet
 * from 1 on at speed 1/1.5: D2 has 1 to do, done at 2.5, AG1 then has 3
 * left: 5.5; AG2 9.5, then both C end at 10.5 and 11.5 (E takes nothing).
 * C1 is ready at 5.5 and meets AG2: 1 in 1.5, until 7; AG2 has 3 left: 10;
 * C2 ends at 11.
 */
static void test_interference(void **state)
{
	struct chain c = { .r = 2, .a = 1, .g = 4, .interference = 0.5 };

	(void)state;
	assert_float_equal(chain_fixed(&c), 11, 1e-9);
	c.interference = 0;
	/* D 1, 2; AG 5, 9; C 6, 10 */
	assert_float_equal(chain_fixed(&c), 10, 1e-9);
}

/* The recursion is the event simulation. */
static void test_recursion(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct chain c = random_chain(1 + i % 8);

		assert_float_equal(chain_fixed(&c) / chain_order(&c, 0), 1,
				   1e-9);
	}
}

/*
 * The paper's closed forms on 200,000 random points with rs within 10 % of
 * ag, as on its testbeds: never above the exact makespan, equal to it in
 * nearly all points of each case, and within 4 % of it in the others.
 */
static struct chain near_chain(int r, double spread)
{
	double g = 0.1 + 9.9 * uniform();

	return (struct chain){
		.r = r, .a = 0.1 + 9.9 * uniform(), .g = g,
		.s = g * (1 + spread * (2 * uniform() - 1)),
		.e = 0.1 + 9.9 * uniform(),
		.gradient = uniform() < 0.5 ? 0 : 30 * uniform(),
	};
}

static const int degrees[4] = { 1, 2, 4, 8 };

static void test_closed(void **state)
{
	static const double least_share[5] = { 0, 0.995, 0.99, 0.965, 0.965 };
	double points[5] = { 0 }, equal[5] = { 0 }, worst = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct chain c = near_chain(degrees[i % 4], 0.1);
		enum chain_case k;
		double closed = chain_closed(&c, &k), exact = chain_fixed(&c);

		assert_true(closed <= exact * (1 + 1e-12));
		points[k]++;
		equal[k] += closed >= exact * (1 - 1e-9);
		worst = fmax(worst, 1 - closed / exact);
	}
	for (int k = 1; k <= 4; k++) {
		print_message("# case %d: %.0f points, equal in %.2f %%\n", k,
			      points[k], 100 * equal[k] / points[k]);
		assert_true(points[k] > 10000);
		assert_true(equal[k] / points[k] > least_share[k]);
	}
	print_message("# worst: %.2f %% below\n", 100 * worst);
	assert_true(worst < 0.045);
}

/* With ag = rs they are exact. */
static void test_closed_even(void **state)
{
	(void)state;
	for (int i = 0; i < 50000; i++) {
		struct chain c = near_chain(degrees[i % 4], 0);

		assert_float_equal(chain_closed(&c, NULL) / chain_fixed(&c),
				   1, 1e-9);
	}
}

/* Orders: best is never worse than the paper's, and close to the optimum. */
static void test_orders(void **state)
{
	double gain = 0, loss = 0, most = 0, worst_loss = 0;
	int n = 0, optimal = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct chain c = random_chain(2 + i % 3);
		double fixed = chain_fixed(&c), best = chain_best(&c, NULL);
		double exact = chain_exact(&c);

		assert_true(best <= fixed * (1 + 1e-12));
		assert_true(exact <= best * (1 + 1e-12));
		gain += 1 - best / fixed;
		most = fmax(most, 1 - best / fixed);
		loss += best / exact - 1;
		worst_loss = fmax(worst_loss, best / exact - 1);
		optimal += best <= exact * (1 + 1e-9);
		n++;
	}
	print_message("# best order: %.2f %% below the fixed one, at most "
		      "%.1f %%; optimal in %.1f %%, else at most %.2f %% "
		      "above\n", 100 * gain / n, 100 * most,
		      100.0 * optimal / n, 100 * worst_loss);
	assert_true(most > 0.1);
	assert_true(optimal > n * 9 / 10);
	assert_true(loss / n < 0.005);
}

/* Every order of two chunks by brute force: permutations of both lanes. */
static double brute_two(const struct chain *c)
{
	double best = INFINITY;

	/* INTER: places of C1, C2, G among D1 D2; INTRA: place of RS1 */
	for (int code = 0; code < 2 * 64; code++) {
		struct lanes l = { .rule = LANES_READY };
		int pri[5] = { code & 1 ? 0 : 5, 4, code >> 1 & 3,
			       (code >> 3 & 3) + 1, code >> 5 & 3 };
		int d[2], e[2], s[2];

		d[0] = lanes_add(&l, LANE_INTER, c->a, 1, -1);
		d[1] = lanes_add(&l, LANE_INTER, c->a, 2, -1);
		lanes_add(&l, LANE_INTER, c->gradient, pri[4], -1);
		for (int i = 0; i < 2; i++)
			d[i] = lanes_add(&l, LANE_INTRA, c->g, 2 + i, d[i]);
		for (int i = 0; i < 2; i++)
			e[i] = lanes_add(&l, LANE_COMPUTE, c->e, i, d[i]);
		for (int i = 0; i < 2; i++)
			s[i] = lanes_add(&l, LANE_INTRA, c->s,
					 i ? pri[1] : pri[0], e[i]);
		for (int i = 0; i < 2; i++)
			lanes_add(&l, LANE_INTER, c->a, pri[2 + i], s[i]);
		best = fmin(best, lanes_run(&l, NULL));
	}
	return best;
}

static void test_brute(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		struct chain c = random_chain(2);

		assert_true(chain_exact(&c) <= brute_two(&c) * (1 + 1e-9));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_interference),
		cmocka_unit_test(test_recursion),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_closed_even),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_brute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
