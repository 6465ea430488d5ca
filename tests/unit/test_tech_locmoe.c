/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/rng.h"
#include "sim/tech_locmoe.h"
#include "tests/unit/route_help.h"

#include <gsl/gsl_randist.h>

static const struct locmoe_spec plain = {
	.experts = 8, .nodes = 4, .mu = 1, .lambda = 1, .epsilon = 0.01,
};

static void run(const struct locmoe_spec *s, const double *score, int tokens,
		struct locmoe_result *r)
{
	if (locmoe_run(s, score, tokens, r)) {
		fail_msg("%s", err_msg());
	}
}

/* Slices of 7 features for 3 experts: 2, 2 and 3 (borders 0, 2, 4, 7). */
static void scores_by_hand(void **state)
{
	float x[14] = { 1, 2, 3, -9, 4, 5, -3, 0, 0, -1, 2, 1, 1, 1 };
	static const double want[] = { 1.5, 0, 2, 0, 0.5, 1 };
	struct tokens t = { .n = 2, .dim = 7, .x = x };
	double score[6];

	(void)state;
	assert_int_equal(locmoe_scores(&t, 3, score), 0);
	for (int i = 0; i < 6; i++) {
		help_close(score[i], want[i], 1e-12);
	}
	assert_int_equal(locmoe_scores(&t, 8, score), ST_INPUT);
}

/*
 * Tokens spread evenly over the sphere choose every expert with probability
 * 1/n (the paper's lemma 2): chi-square with 7 degrees, 0.1 %. ReLU ties (all
 * slices negative, 1 in 256) go to expert 0.
 */
static void orthogonal_gate_is_even(void **state)
{
	struct tokens_spec spec = { .n = 4000, .dim = 64, .clusters = 1,
				    .seed = 2 };
	static double score[4000 * 8];
	struct locmoe_spec s = plain;
	struct locmoe_result r;
	struct tokens t;

	(void)state;
	assert_int_equal(tokens_make(&spec, &t), 0);
	assert_int_equal(locmoe_scores(&t, 8, score), 0);
	s.mu = 0;
	run(&s, score, 4000, &r);
	assert_true(r.imbalance < 1.15);
	help_close(r.local_share, 0.25, 0.03);
	help_close(r.task_share, r.local_share, 0);
	help_close(r.soft_share, 0.25, 0.01);
	tokens_release(&t);
}

/* Equal scores: the numerical minimum is the closed form. */
static void minimum_is_closed_form(void **state)
{
	static const double mu[] = { 0, 0.05, 0.3, 1, 5 };
	static double score[80 * 8];
	double last = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct locmoe_spec s = plain;
		struct locmoe_result r;

		s.mu = mu[i];
		run(&s, score, 80, &r);
		help_close(r.soft_share, locmoe_local_share(&s, 2), 1e-5);
		assert_true(r.soft_share > last);
		last = r.soft_share;
	}
	/*
	 * w = 1/2, m = 2 of 8: a = 0.99/2 + 0.00125 = 0.49625, b = 0.00125:
	 * 2 sqrt(a) / (2 sqrt(a) + 6 sqrt(b)) = 1.40890 / 1.62103
	 */
	help_close(locmoe_local_share(&plain, 2), 0.869138, 1e-5);
	help_close(locmoe_local_share(&plain, 0), 0, 0);
	help_close(locmoe_local_share(&plain, 8), 1, 1e-12);
}

/*
 * Balance alone, 2 experts on one node, all tokens with P_0 = (0.9, 0.1):
 * min over p of KL(p || 0.9) + 2 alpha (p^2 + (1 - p)^2), found by a scan.
 */
static void balance_by_scan(void **state)
{
	struct locmoe_spec s = { .experts = 2, .nodes = 1, .alpha = 0.8,
				 .lambda = 1, .epsilon = 0.5 };
	double score[20], best = 0, least = INFINITY;
	struct locmoe_result r;

	(void)state;
	for (int i = 0; i < 20; i += 2) {
		score[i] = log(9);
		score[i + 1] = 0;
	}
	for (int i = 1; i < 100000; i++) {
		double p = i / 1e5;
		double j = p * log(p / 0.9) + (1 - p) * log((1 - p) / 0.1) +
			1.6 * (p * p + (1 - p) * (1 - p));

		if (j < least) {
			least = j;
			best = p;
		}
	}
	run(&s, score, 10, &r);
	/* all choose expert 0 still: L_aux = alpha n f_0 P_0 = 1.6 p */
	help_close(r.aux_loss, 1.6 * best, 1e-4);
	assert_true(best < 0.85);
	help_close(r.local_share, 1, 1e-12);
	help_close(r.imbalance, 2, 0);
	help_close(r.drop, 0.5, 0);
}

/* Scores that differ by token: more mu, more local; task shares stay. */
static void locality_grows(void **state)
{
	static double score[400 * 8];
	gsl_rng *rng = rng_new(1, RNG_LOCALITY);
	double last = 0, even = 0;

	(void)state;
	for (int i = 0; i < 400 * 8; i++) {
		score[i] = 2 * gsl_ran_ugaussian(rng);
	}
	gsl_rng_free(rng);
	for (int i = 0; i < 4; i++) {
		struct locmoe_spec s = plain;
		struct locmoe_result r, again;

		s.mu = i;
		s.alpha = LOCMOE_ALPHA_DEFAULT;
		run(&s, score, 400, &r);
		run(&s, score, 400, &again);
		help_close(r.soft_share, again.soft_share, 0);
		assert_int_equal(r.iterations, again.iterations);
		even = i == 0 ? r.task_share : even;
		help_close(r.task_share, even, 0);
		if (i > 0) {
			assert_true(r.local_share > last);
			/* tokens with a will of their own resist more */
			assert_true(r.soft_share <
				    locmoe_local_share(&s, 2) + 0.01);
		}
		last = r.local_share;
	}
	help_close(even, 0.25, 0.07);
}

/* Two experts on four nodes: nodes 1 and 3 have none, and none is local. */
static void more_nodes_than_experts(void **state)
{
	struct locmoe_spec s = plain;
	static double score[40 * 2];
	struct locmoe_result r;
	struct locmoe_effect e;
	double half = 0;

	(void)state;
	s.experts = 2;
	assert_int_equal(locmoe_node(&s, 1), 2);
	run(&s, score, 40, &r);
	half = locmoe_local_share(&s, 1) / 2;
	help_close(r.soft_share, half, 1e-5);
	help_close(locmoe_mean_share(&s), half, 1e-12);
	locmoe_effect_make(&s, half, 10, 64, 2, 0.03, &e);
	help_close(e.uniform_share, 0.25, 0);
	/* even if every token of both nodes stays, half of all must travel */
	assert_true(e.inter_factor > 0.5 / 0.75);
}

static void mu_is_the_inverse(void **state)
{
	struct locmoe_spec s = plain;

	(void)state;
	s.mu = 0.37;
	help_close(locmoe_mu_for(&plain, 2, locmoe_local_share(&s, 2)), 0.37,
		   1e-9);
	help_close(locmoe_mu_for(&plain, 2, 0.1), 0, 0);
	help_close(locmoe_mu_for(&plain, 0, 0.1), 1e6, 0);
}

/*
 * 100 tokens of 64 features, 8 experts on 4 nodes: 6,400 + 3,200 FLOP;
 * 12,800 + 3,200 + 800 + 1,200 bytes. Of 0.75 remote shares 0.3 are left.
 */
static void effect_by_hand(void **state)
{
	struct locmoe_effect e;

	(void)state;
	locmoe_effect_make(&plain, 0.7, 100, 64, 2, 0.03, &e);
	help_close(e.inter_factor, 0.4, 1e-12);
	help_close(e.forward.vector_flop, 9600, 0);
	help_close(e.forward.hbm_bytes, 18000, 0);
	help_close(e.forward.gemm_flop, 0, 0);
	help_close(e.capacity_floor, 1, 0);
	/* (768, 0.1), n = 16: 11.3 tokens */
	locmoe_effect_make(&(struct locmoe_spec){ .experts = 16, .nodes = 2 },
			   0.5, 100, 768, 2, 0.1, &e);
	help_close(e.capacity_floor, 12, 0);
}

static void wrong_specs(void **state)
{
	struct locmoe_spec bad[5];
	double score[64] = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		bad[i] = plain;
	}
	bad[0].epsilon = 0;
	bad[1].lambda = 0;
	bad[2].mu = -1;
	bad[3].nodes = 9;	/* more than the tokens */
	bad[4].experts = 1 << 14;
	for (int i = 0; i < 5; i++) {
		struct locmoe_result r;

		assert_int_equal(locmoe_run(&bad[i], score, 8, &r), ST_INPUT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scores_by_hand),
		cmocka_unit_test(orthogonal_gate_is_even),
		cmocka_unit_test(minimum_is_closed_form),
		cmocka_unit_test(balance_by_scan),
		cmocka_unit_test(locality_grows),
		cmocka_unit_test(more_nodes_than_experts),
		cmocka_unit_test(mu_is_the_inverse),
		cmocka_unit_test(effect_by_hand),
		cmocka_unit_test(wrong_specs),
	};

	gsl_set_error_handler_off();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
