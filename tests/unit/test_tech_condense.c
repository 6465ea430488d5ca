/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/condense_graph.h"
#include "sim/tech_condense.h"
#include "tests/unit/route_help.h"

#include <gsl/gsl_rng.h>

static const struct condense_spec half_way = { .threshold = 0.5, .sure = 0.8,
					       .never = 0.2 };

static void make(int n, int dim, double clustered, int clusters, double s,
		 struct tokens *out)
{
	struct tokens_spec spec = { .n = n, .dim = dim, .clusters = clusters,
				    .clustered = clustered, .similarity = s,
				    .seed = 4 };

	if (tokens_make(&spec, out)) {
		fail_msg("%s", err_msg());
	}
}

static void run(const struct condense_spec *spec, const struct tokens *t,
		const int *expert, int k, int experts,
		struct condense_history *h, struct condense_result *r)
{
	if (condense_run(spec, t, expert, k, experts, h, r)) {
		fail_msg("%s", err_msg());
	}
}

/* 1 / (1 + e^l): l = 0, 1/4, 1/2, 1 as in the paper's range. */
static void threshold_by_hand(void **state)
{
	(void)state;
	help_close(condense_threshold(8, 8), 0.5, 1e-12);
	help_close(condense_threshold(8, 6), 0.4378, 1e-4);
	help_close(condense_threshold(8, 4), 0.3775, 1e-4);
	help_close(condense_threshold(8, 0), 0.2689, 1e-4);
}

/* Products of 16 bits against cosines in double: all pairs of 70 tokens. */
static void products_are_cosines(void **state)
{
	int index[70], unit2 = CONDENSE_UNIT * CONDENSE_UNIT;
	struct tokens t;
	struct fixed f;

	(void)state;
	make(71, 100, 0.8, 3, 0.7, &t);
	memset(t.x + 5 * 100, 0, 100 * sizeof(float));	/* a zero vector */
	for (int i = 0; i < 70; i++) {
		index[i] = i + 1;
	}
	fixed_init(&f, t.x, t.dim, index, 70);
	assert_int_equal(f.dim, 128);
	for (int i = 0; i < 68; i += CONDENSE_MICRO) {
		int32_t p[CONDENSE_MICRO][CONDENSE_TILE];

		fixed_products(&f, i, 0, p);
		for (int a = 0; a < CONDENSE_MICRO; a++) {
			for (int b = 0; b < CONDENSE_TILE; b++) {
				double c = tokens_cosine(tokens_at(&t, i + a + 1),
							 tokens_at(&t, b + 1),
							 100);

				help_close((double)p[a][b] / unit2, c, 1e-4);
			}
		}
	}
	fixed_release(&f);
	tokens_release(&t);
}

/* The rule as the paper states it, on an adjacency matrix. */
static int naive(int n, const bool *edge, int *to)
{
	bool *gone = xcalloc((size_t)n, sizeof(*gone));
	int kept = n;

	for (int i = 0; i < n; i++) {
		to[i] = i;
	}
	for (;;) {
		int best = -1, most = 0;

		for (int i = 0; i < n; i++) {
			int d = 0;

			for (int j = 0; j < n && !gone[i]; j++) {
				d += edge[i * n + j] && !gone[j];
			}
			if (d > most) {
				most = d;
				best = i;
			}
		}
		if (best < 0) {
			break;
		}
		for (int j = 0; j < n; j++) {
			if (edge[best * n + j] && !gone[j]) {
				to[j] = best;
				gone[j] = true;
				kept--;
			}
		}
		gone[best] = true;
	}
	free(gone);
	return kept;
}

/* Least dominating set, by trying all 2^n. */
static int least(int n, const bool *edge)
{
	int best = n;

	for (unsigned set = 0; set < 1u << n; set++) {
		int size = __builtin_popcount(set);
		bool all = size < best;

		for (int i = 0; i < n && all; i++) {
			bool covered = set >> i & 1;

			for (int j = 0; j < n && !covered; j++) {
				covered = (set >> j & 1) && edge[i * n + j];
			}
			all = covered;
		}
		best = all ? size : best;
	}
	return best;
}

static void random_graph(gsl_rng *rng, int n, double p, bool *edge,
			 struct bits *b)
{
	bits_init(b, n);
	memset(edge, 0, (size_t)(n * n) * sizeof(*edge));
	for (int i = 0; i < n; i++) {
		for (int j = 0; j < i; j++) {
			if (gsl_rng_uniform(rng) < p) {
				edge[i * n + j] = edge[j * n + i] = true;
				bits_set(b, i, j);
				bits_set(b, j, i);
			}
		}
	}
}

static void greedy_is_the_rule(void **state)
{
	static bool edge[150 * 150];
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	int to[150], want[150];

	(void)state;
	for (int round = 0; round < 200; round++) {
		int n = round < 100 ? 1 + round % 12 : 1 + round % 150;
		struct bits b;
		int kept;

		random_graph(rng, n, 0.02 + 0.3 * (round % 7) / 7, edge, &b);
		kept = bits_condense(&b, to);
		assert_int_equal(kept, naive(n, edge, want));
		assert_memory_equal(to, want, (size_t)n * sizeof(*to));
		for (int i = 0; i < n; i++) {
			/* a kept one dominates; kept ones are not joined */
			assert_true(to[i] == i || edge[i * n + to[i]]);
			assert_int_equal(to[to[i]], to[i]);
			for (int j = 0; j < n; j++) {
				assert_false(to[i] == i && to[j] == j &&
					     edge[i * n + j]);
			}
		}
		if (n <= 12) {
			assert_true(kept >= least(n, edge));
		}
		bits_release(&b);
	}
	gsl_rng_free(rng);
}

/*
 * Tokens of a cluster have cosine 0.9 (within 0.1), others 0 (within 0.4):
 * at threshold 0.5 each (expert, cluster) list shrinks to one copy, tokens
 * in no cluster stay. Counted here by brute force.
 */
static void clusters_shrink_to_one(void **state)
{
	struct condense_result r;
	int expert[2 * 200], kept = 0;
	struct tokens t;

	(void)state;
	make(200, 128, 0.75, 6, 0.9, &t);
	for (int i = 0; i < 400; i++) {
		/* two different experts of each token */
		expert[i] = i % 9 == 8 ? -1 :
			(i / 14 + i % 2 * (1 + i / 2 % 3)) % 4;
	}
	run(&half_way, &t, expert, 2, 4, NULL, &r);
	for (int i = 0; i < 400; i++) {
		bool first = expert[i] >= 0;

		for (int j = 0; j < i && first; j++) {
			first = !(t.cluster[i / 2] >= 0 &&
				  t.cluster[j / 2] == t.cluster[i / 2] &&
				  expert[j] == expert[i]);
		}
		kept += first;
		assert_int_equal(r.to[i] < 0, expert[i] < 0);
		if (r.to[i] >= 0 && r.to[i] != i / 2) {
			assert_int_equal(t.cluster[r.to[i]], t.cluster[i / 2]);
		}
	}
	assert_int_equal(r.copies, 400 - 44);
	assert_int_equal(r.kept, kept);
	assert_int_equal(r.computed, r.pairs);
	/* |x - y|^2 = 2 (1 - 0.9) |x|^2 for those that were condensed */
	help_close(r.error, sqrt(0.2 * (double)(r.copies - r.kept) /
				 (double)r.copies), 0.03);
	condense_result_release(&r);
	tokens_release(&t);
}

/* All tokens alike: one is kept. None alike: all. Two scales, one cosine. */
static void extremes(void **state)
{
	struct condense_spec spec = half_way;
	struct condense_result r;
	struct tokens t;

	(void)state;
	make(130, 64, 1, 1, 0.95, &t);
	run(&spec, &t, NULL, 1, 1, NULL, &r);
	assert_int_equal(r.kept, 1);
	assert_int_equal(r.edges, r.pairs);
	assert_int_equal(r.pairs, 130 * 129 / 2);
	condense_result_release(&r);
	tokens_release(&t);
	make(130, 512, 0, 1, 0, &t);
	run(&spec, &t, NULL, 1, 1, NULL, &r);
	assert_int_equal(r.kept, 130);
	help_close(r.error, 0, 0);
	condense_result_release(&r);
	spec.scale = CONDENSE_HALF;	/* right angles: similarity 1/2 */
	spec.threshold = 0.3;
	run(&spec, &t, NULL, 1, 1, NULL, &r);
	assert_int_equal(r.kept, 1);
	condense_result_release(&r);
	spec.threshold = 0.7;
	run(&spec, &t, NULL, 1, 1, NULL, &r);
	assert_int_equal(r.kept, 130);
	condense_result_release(&r);
	tokens_release(&t);
}

/*
 * The same block again: pairs above S1 (in clusters, 0.9) and below S2
 * (most others) need no product, and the result is the same. Another block
 * whose tokens have no likeness left still condenses what was sure: that is
 * the technique's bet.
 */
static void history_is_taken(void **state)
{
	struct condense_history h = { 0 };
	struct condense_result first, again, other;
	struct tokens t, u;

	(void)state;
	make(200, 256, 1, 5, 0.95, &t);
	run(&half_way, &t, NULL, 1, 1, &h, &first);
	assert_int_equal(first.computed, first.pairs);
	assert_int_equal(h.n, 200);
	run(&half_way, &t, NULL, 1, 1, &h, &again);
	assert_true(again.computed < again.pairs / 50);
	assert_int_equal(again.edges, first.edges);
	assert_memory_equal(again.to, first.to, 200 * sizeof(int));
	make(200, 256, 0, 1, 0, &u);
	run(&half_way, &u, NULL, 1, 1, &h, &other);
	assert_int_equal(other.kept, first.kept);
	assert_true(other.error > 1.2);	/* sqrt(2) of nearly all */
	condense_result_release(&first);
	condense_result_release(&again);
	condense_result_release(&other);
	condense_history_release(&h);
	tokens_release(&t);
	tokens_release(&u);
}

static void refused(struct condense_spec s, struct condense_history *h,
		    const char *want)
{
	struct condense_result r;
	struct tokens t;

	make(4, 8, 0, 1, 0, &t);
	err_clear();
	assert_int_equal(condense_run(&s, &t, NULL, 1, 1, h, &r), ST_INPUT);
	if (!strstr(err_msg(), want)) {
		fail_msg("'%s' does not say '%s'", err_msg(), want);
	}
	tokens_release(&t);
}

static void wrong_specs(void **state)
{
	struct condense_history h = { .n = 5 };

	(void)state;
	refused((struct condense_spec){ .threshold = 0, .sure = 1 }, NULL,
		"threshold '0'");
	refused((struct condense_spec){ .threshold = 1.5, .sure = 1 }, NULL,
		"threshold '1.5'");
	refused((struct condense_spec){ .threshold = 0.5, .never = 0.5,
					.sure = 0.2 }, NULL, "S2 '0.5'");
	refused(half_way, &h, "history of 5 tokens, not 4");
}

/*
 * 200 copies in 4 lists of 50: 4 * 50 * 49 / 2 = 4,900 pairs, half of them
 * computed: 2 * 2,450 * 8 = 39,200 FLOP. Bytes: rows 200 * 16 = 3,200, bits
 * 4,900 / 2 = 2,450, edges 4 * 3 * 200 = 2,400, table 1,600: 9,650.
 */
static void cost_by_hand(void **state)
{
	struct condense_shape s = { .copies = 200, .experts = 4, .dim = 8,
				    .element_bytes = 2, .peers = 3,
				    .computed = 0.5, .edges = 3 };
	struct condense_effect e;

	(void)state;
	condense_effect_make(&s, 0.6, 0.1, &e);
	help_close(e.forward.gemm_flop, 39200, 1e-9);
	help_close(e.forward.hbm_bytes, 9650, 1e-9);
	help_close(e.backward.hbm_bytes, 3200 * 1.6, 1e-9);
	help_close(e.backward.vector_flop, 200 * 8 * 0.4, 1e-9);
	help_close(e.forward.exchange_bytes, 16, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threshold_by_hand),
		cmocka_unit_test(products_are_cosines),
		cmocka_unit_test(greedy_is_the_rule),
		cmocka_unit_test(clusters_shrink_to_one),
		cmocka_unit_test(extremes),
		cmocka_unit_test(history_is_taken),
		cmocka_unit_test(wrong_specs),
		cmocka_unit_test(cost_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
