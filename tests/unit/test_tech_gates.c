/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/gate_int.h"
#include "sim/rng.h"
#include "tests/unit/route_help.h"

#define N_TOKENS 600
#define N_EXPERTS 12

static double zipf[N_EXPERTS], score[N_TOKENS * N_EXPERTS];

static int setup(void **state)
{
	(void)state;
	for (int e = 0; e < N_EXPERTS; e++) {
		zipf[e] = pow(e + 1, -1.0);
	}
	gate_scores(zipf, N_EXPERTS, N_TOKENS, 9, score);
	return 0;
}

static void run(const struct gate_spec *g, struct gate_result *r)
{
	int64_t routed = 0, kept = 0;

	if (gate_run(g, score, N_TOKENS, r)) {
		fail_msg("%s", err_msg());
	}
	for (int e = 0; e < g->experts; e++) {
		routed += r->routed[e];
		kept += r->kept[e];
		assert_true(r->kept[e] <= r->routed[e]);
	}
	assert_int_equal(routed, r->copies);
	assert_int_equal(kept + r->drops, r->copies);
	assert_int_equal(r->first[N_TOKENS], r->copies);
}

/* ---- choices ---- */

/*
 * Scores ln of (1 2 3 6)/12 and (4 1 1 2)/8: top-2 are (3, 2) and (0, 3);
 * ktop1 with 2 prototypes: (1, 3) with 2/3, 6/9, and (0, 3) with 4/5, 2/3.
 * sam, 2 groups, k = 1: sums 3/12, 9/12 -> 3; 5/8, 3/8 -> 0; alignment
 * max(0, p_j - p_k): nothing above 6/12 or 4/8: 0.
 */
static const double by_hand[] = { 0, M_LN2, 1.0986122886681098,
				  1.791759469228055, 1.3862943611198906, 0, 0,
				  M_LN2 };

static void run_two(struct gate_spec g, struct gate_result *r)
{
	g.experts = 4;
	if (gate_run(&g, by_hand, 2, r)) {
		fail_msg("%s", err_msg());
	}
}

static void choices_by_hand(void **state)
{
	static const int top2[] = { 3, 2, 0, 3 }, proto[] = { 1, 3, 0, 3 };
	static const int sam[] = { 3, 0 };
	struct gate_result r;

	(void)state;
	run_two((struct gate_spec){ .kind = GATE_TOPK, .k = 2 }, &r);
	assert_memory_equal(r.expert, top2, sizeof(top2));
	help_close(r.weight[0], 0.5, 1e-6);
	help_close(r.weight[1], 0.25, 1e-6);
	help_close(r.score, 2 * M_LN2 + log(6) + log(3) + log(4) - M_LN2, 1e-9);
	help_close(r.quality, 1, 1e-12);
	/*
	 * f = (1/2 0 0 1/2), P = ((1/12 + 4/8) ... (6/12 + 2/8)) / 2: loss
	 * 4 (7/24 + 9/24) / 2 = 4/3.
	 */
	help_close(r.aux_loss, 4.0 / 3, 1e-9);
	gate_result_release(&r);
	run_two((struct gate_spec){ .kind = GATE_KTOP1, .k = 2 }, &r);
	assert_memory_equal(r.expert, proto, sizeof(proto));
	help_close(r.weight[0], 2.0 / 3, 1e-6);
	help_close(r.weight[2], 4.0 / 5, 1e-6);
	/*
	 * prototypes of 2: f (1/2 1/2 | 0 1), P of 0: (1/3 + 4/5)/2 = 17/30,
	 * of 3: 2/3: 2 (17/60 + 13/60) + 2 * 2/3 = 7/3
	 */
	help_close(r.aux_loss, 7.0 / 3, 1e-9);
	gate_result_release(&r);
	run_two((struct gate_spec){ .kind = GATE_SAM, .k = 1, .groups = 2 },
		&r);
	assert_memory_equal(r.expert, sam, sizeof(sam));
	help_close(r.align_loss, 0, 1e-12);
	gate_result_release(&r);
	/* k = 2: p_kth is 3/12 and 1/8; outside 1/12, 2/12; 1/8, 2/8 */
	run_two((struct gate_spec){ .kind = GATE_SAM, .k = 2, .groups = 2 },
		&r);
	help_close(r.align_loss, 1.0 / 8, 1e-9);
	gate_result_release(&r);
}

/* One expert in each prototype; all of a token's in one group. */
static void structure_of_choices(void **state)
{
	struct gate_spec g = { .kind = GATE_KTOP1, .experts = N_EXPERTS,
			       .k = 3, .groups = 4 };
	struct gate_result r;

	(void)state;
	run(&g, &r);
	for (int i = 0; i < r.copies; i++) {
		assert_int_equal(r.expert[i] / 4, i % 3);
	}
	gate_result_release(&r);
	g.kind = GATE_SAM;
	run(&g, &r);
	for (int i = 0; i < r.copies; i++) {
		assert_int_equal(r.expert[i] / 3, r.expert[i / 3 * 3] / 3);
		assert_true(i % 3 == 0 || r.weight[i] <= r.weight[i - 1]);
	}
	gate_result_release(&r);
}

/* The hash does not look at scores, keeps its table, and is fairly even. */
static void hash_is_a_table(void **state)
{
	struct gate_spec g = { .kind = GATE_HASH, .experts = N_EXPERTS, .k = 1,
			       .seed = 3 };
	struct gate_result a, b;
	double chi2 = 0;

	(void)state;
	run(&g, &a);
	for (int i = 0; i < N_TOKENS * N_EXPERTS; i++) {
		score[i] = -score[i];
	}
	run(&g, &b);
	for (int i = 0; i < N_TOKENS * N_EXPERTS; i++) {
		score[i] = -score[i];
	}
	assert_memory_equal(a.expert, b.expert, N_TOKENS * sizeof(int));
	for (int e = 0; e < N_EXPERTS; e++) {
		chi2 += pow((double)a.routed[e] - 50, 2) / 50;
	}
	assert_true(chi2 < 31.3);	/* 11 degrees, 0.1 % */
	gate_result_release(&b);
	g.seed = 4;
	run(&g, &b);
	assert_true(memcmp(a.expert, b.expert, N_TOKENS * sizeof(int)));
	gate_result_release(&a);
	gate_result_release(&b);
}

/*
 * As the temperature falls the copies per token fall to one. At a high one
 * all probabilities are near 1/E, and about half are above it.
 */
static void dense_to_sparse(void **state)
{
	static const double temperature[] = { 50, 2, 1, 0.5, 0.1, 0.01 };
	double last = N_EXPERTS;

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct gate_spec g = { .kind = GATE_DTS, .experts = N_EXPERTS,
				       .k = 1, .temperature = temperature[i],
				       .seed = 1 };
		struct gate_result r;
		double copies;

		run(&g, &r);
		copies = (double)r.copies / N_TOKENS;
		assert_true(copies < last);
		last = copies;
		if (i == 0) {
			help_close(copies, N_EXPERTS / 2.0, 0.6);
		}
		for (int t = 0; t < N_TOKENS; t++) {
			assert_true(r.first[t + 1] > r.first[t]);
		}
		gate_result_release(&r);
	}
	help_close(last, 1, 0.02);
}

/* ---- balanced assignment ---- */

static int64_t value(const int64_t *s, int tokens, int experts, const int *to)
{
	int64_t sum = 0;

	for (int t = 0; t < tokens; t++) {
		sum += s[t * experts + to[t]];
	}
	return sum;
}

static int64_t brute_force(const int64_t *s, int tokens, int experts)
{
	int room = (tokens + experts - 1) / experts, to[8] = { 0 };
	int64_t best = INT64_MIN;
	long codes = lround(pow(experts, tokens));

	for (long code = 0; code < codes; code++) {
		int n[8] = { 0 };
		bool fits = true;
		long c = code;

		for (int t = 0; t < tokens; t++, c /= experts) {
			to[t] = (int)(c % experts);
			fits &= ++n[to[t]] <= room;
		}
		if (fits && value(s, tokens, experts, to) > best) {
			best = value(s, tokens, experts, to);
		}
	}
	return best;
}

static void balance_is_optimal(void **state)
{
	gsl_rng *rng = rng_new(1, RNG_SCORES);

	(void)state;
	for (int round = 0; round < 300; round++) {
		int experts = 1 + round % 4, tokens = 1 + round % 7, to[8];
		/* few values: many ties */
		unsigned long values = round % 2 ? 4 : 1000;
		int64_t s[32];

		for (int i = 0; i < tokens * experts; i++) {
			s[i] = (int64_t)gsl_rng_uniform_int(rng, values) -
				(int64_t)values / 3;
		}
		gate_balance(s, tokens, experts, to);
		assert_int_equal(value(s, tokens, experts, to),
				 brute_force(s, tokens, experts));
	}
	gsl_rng_free(rng);
}

/* No swap of two tokens and no cycle of three helps; all experts are full. */
static void base_is_balanced(void **state)
{
	struct gate_spec base = { .kind = GATE_BASE, .experts = N_EXPERTS,
				  .k = 1 };
	struct gate_spec top = { .kind = GATE_TOPK, .experts = N_EXPERTS,
				 .k = 1 };
	struct gate_result r, t;

	(void)state;
	run(&base, &r);
	run(&top, &t);
	for (int e = 0; e < N_EXPERTS; e++) {
		assert_int_equal(r.routed[e], N_TOKENS / N_EXPERTS);
	}
#define S(token, expert) score[(token) * N_EXPERTS + (expert)]
	for (int i = 0; i < N_TOKENS; i++) {
		for (int j = 0; j < i; j++) {
			int a = r.expert[i], b = r.expert[j];

			assert_true(S(i, a) + S(j, b) >=
				    S(i, b) + S(j, a) - 1e-4);
		}
	}
#undef S
	assert_true(r.score < t.score);
	assert_true(r.quality < 1 && r.quality > 0.3);
	help_close(t.quality, 1, 1e-12);
	gate_result_release(&r);
	gate_result_release(&t);
}

/* ---- capacity ---- */

/*
 * A slot is a copy's number among those of its expert, all first choices
 * counted before second ones; recounted here for every copy.
 */
static void drops_by_brute_force(void **state)
{
	struct gate_spec g = { .kind = GATE_TOPK, .experts = N_EXPERTS, .k = 2,
			       .capacity_factor = 0.7 };
	int slots = 2 * 35;	/* 600 / 12 * 0.7 */
	struct gate_result r;

	(void)state;
	run(&g, &r);
	assert_true(r.drops > 0);
	for (int i = 0; i < r.copies; i++) {
		int before = 0;

		for (int j = 0; j < r.copies; j++) {
			bool earlier = j % 2 != i % 2 ? j % 2 < i % 2 : j < i;

			before += earlier && r.expert[j] == r.expert[i];
		}
		assert_int_equal(r.dropped[i], before >= slots);
	}
	gate_result_release(&r);
	g.capacity_factor = 0;
	run(&g, &r);
	assert_int_equal(r.drops, 0);
	gate_result_release(&r);
}

/* ---- popularity and effect ---- */

/* Top-1 of the scores follows the popularity: chi-square of 11 degrees. */
static void scores_follow_popularity(void **state)
{
	struct gate_spec g = { .kind = GATE_TOPK, .experts = N_EXPERTS,
			       .k = 1 };
	double sum = 0, chi2 = 0;
	struct gate_result r;

	(void)state;
	run(&g, &r);
	for (int e = 0; e < N_EXPERTS; e++) {
		sum += zipf[e];
	}
	for (int e = 0; e < N_EXPERTS; e++) {
		double want = N_TOKENS * zipf[e] / sum;

		chi2 += pow((double)r.routed[e] - want, 2) / want;
	}
	assert_true(chi2 < 31.3);
	gate_result_release(&r);
}

/*
 * 100 tokens, 4 experts, 8 dimensions of 2 bytes, top-2: product 2*100*8*4 =
 * 6,400 FLOP; softmax 400 * 6 = 2,400 bytes, top-k 1,600 + 1,600, sort 2,400.
 * hash: 400 + 800 + 1,200. base: 100 passes of 1,600, 2,400, 800, 1,200; its
 * exchanges are ops (test_tech_ops.c).
 */
static void cost_by_hand(void **state)
{
	struct gate_shape s = { .tokens = 100, .dim = 8, .element_bytes = 2 };
	struct gate_spec g = { .kind = GATE_TOPK, .experts = 4, .k = 2 };
	struct tech_cost f, b;

	(void)state;
	gate_cost(&g, &s, 2, &f, &b);
	help_close(f.gemm_flop, 6400, 0);
	help_close(f.hbm_bytes, 8000, 0);
	help_close(b.gemm_flop, 12800, 0);
	g.kind = GATE_HASH;
	gate_cost(&g, &s, 1, &f, &b);
	help_close(f.gemm_flop, 0, 0);
	help_close(f.hbm_bytes, 2400, 0);
	help_close(b.hbm_bytes, 0, 0);
	g.kind = GATE_BASE;
	gate_cost(&g, &s, 1, &f, &b);
	help_close(f.hbm_bytes, 160000 + 4400, 0);
	assert_int_equal(f.exchanges, 0);
}

static void effects_differ_by_gate(void **state)
{
	struct gate_shape s = { .tokens = 100, .dim = 8, .element_bytes = 2 };
	struct gate_spec g = { .experts = N_EXPERTS, .k = 1, .seed = 2,
			       .capacity_factor = 1 };
	struct gate_effect e[GATE_N];
	double share[N_EXPERTS], sum;

	(void)state;
	g.groups = 3;
	g.temperature = 0.1;
	for (int k = 0; k < GATE_N; k++) {
		g.kind = (enum gate_kind)k;
		assert_int_equal(gate_find(gate_table[k].name), k);
		assert_int_equal(gate_effect_make(&g, zipf, 2400, &s, share,
						  &e[k]), 0);
		sum = 0;
		for (int i = 0; i < N_EXPERTS; i++) {
			sum += share[i];
		}
		help_close(sum, 1, 1e-12);
	}
	/* 12 / H(12) = 3.87 for the most popular of 12 */
	help_close(e[GATE_TOPK].imbalance, 3.87, 0.3);
	help_close(e[GATE_BASE].imbalance, 1, 1e-12);
	help_close(e[GATE_BASE].drop_fraction, 0, 0);
	assert_true(e[GATE_HASH].imbalance < 1.3);
	assert_true(e[GATE_HASH].quality < e[GATE_BASE].quality);
	assert_true(e[GATE_TOPK].drop_fraction > 0.2);
	assert_int_equal(gate_find("top"), -1);
}

static void wrong_specs(void **state)
{
	struct gate_spec bad[] = {
		{ .kind = GATE_TOPK, .experts = 0, .k = 1 },
		{ .kind = GATE_TOPK, .experts = 4, .k = 5 },
		{ .kind = GATE_KTOP1, .experts = 4, .k = 3 },
		{ .kind = GATE_SAM, .experts = 4, .k = 1, .groups = 3 },
		{ .kind = GATE_SAM, .experts = 4, .k = 3, .groups = 2 },
		{ .kind = GATE_BASE, .experts = 4, .k = 2 },
		{ .kind = GATE_BASE, .experts = 4096, .k = 1 },
		{ .kind = GATE_DTS, .experts = 4, .k = 1 },
		{ .kind = GATE_DTS, .experts = 4, .k = 1, .temperature = 1,
		  .threshold = 2 },
		{ .kind = GATE_TOPK, .experts = 4, .k = 1,
		  .capacity_factor = -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gate_result r;

		assert_int_equal(gate_run(&bad[i], score, 100, &r), ST_INPUT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choices_by_hand),
		cmocka_unit_test(structure_of_choices),
		cmocka_unit_test(hash_is_a_table),
		cmocka_unit_test(dense_to_sparse),
		cmocka_unit_test(balance_is_optimal),
		cmocka_unit_test(base_is_balanced),
		cmocka_unit_test(drops_by_brute_force),
		cmocka_unit_test(scores_follow_popularity),
		cmocka_unit_test(cost_by_hand),
		cmocka_unit_test(effects_differ_by_gate),
		cmocka_unit_test(wrong_specs),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
