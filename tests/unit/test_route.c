/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/route_help.h"

static const struct routing_spec drawn[] = {
	{ .kind = ROUTING_ZIPF, .skew = 0.7, .seed = 3, .layer = -1 },
	{ .kind = ROUTING_DIRICHLET, .skew = 2.385, .seed = 3, .layer = -1 },
	{ .kind = ROUTING_POWER_LAW, .skew = 0.4, .seed = 3, .layer = -1 },
	{ .kind = ROUTING_LOG_NORMAL, .skew = 1.3, .seed = 3, .layer = -1 },
	{ .kind = ROUTING_HOT_EXPERT, .skew = 0.21, .seed = 3, .layer = -1 },
	{ .kind = ROUTING_HOT_RANK, .skew = 0.3, .seed = 3, .layer = -1 },
};
#define N_DRAWN ((int)(sizeof(drawn) / sizeof(drawn[0])))

static size_t bytes_of(const struct routing *r)
{
	return (size_t)(r->ranks * r->experts) * sizeof(*r->count);
}

/*
 * 7 ranks, 101 tokens, top-3 of 8: 303 = 37*8 + 7 copies a rank: seven cells
 * of 38, one of 37. The one that lacks goes round: 7*303 = 2121 = 265*8 + 1.
 */
static void uniform_is_even(void **state)
{
	struct routing_spec spec = { .kind = ROUTING_UNIFORM, .skew = -5 };
	struct routing r;
	int i, rank;

	(void)state;
	help_make(&spec, 7, 101, 8, 3, &r);
	for (i = 0; i < 8; i++) {
		int64_t sum = 0;

		for (rank = 0; rank < 7; rank++) {
			int64_t n = routing_count(&r, rank, i);

			assert_true(n == 37 || n == 38);
			sum += n;
		}
		assert_true(sum == 265 || sum == 266);
	}
	routing_release(&r);
}

/* Same seed, same bytes; other seeds (also above 32 bits), other bytes. */
static void seeds_decide(void **state)
{
	struct routing_spec spec;
	struct routing a, b, c, d;
	int i;

	(void)state;
	for (i = 0; i < N_DRAWN; i++) {
		spec = drawn[i];
		help_make(&spec, 5, 211, 16, 2, &a);
		help_make(&spec, 5, 211, 16, 2, &b);
		spec.seed = 4;
		help_make(&spec, 5, 211, 16, 2, &c);
		spec.seed = 3 + ((uint64_t)1 << 40);
		help_make(&spec, 5, 211, 16, 2, &d);
		assert_memory_equal(a.count, b.count, bytes_of(&a));
		assert_memory_not_equal(a.count, c.count, bytes_of(&a));
		assert_memory_not_equal(a.count, d.count, bytes_of(&a));
		routing_release(&a);
		routing_release(&b);
		routing_release(&c);
		routing_release(&d);
	}
}

/*
 * Chi-square of all ranks' copies against the popularity. No share here is
 * near 1/k, so no cell is ever full and the draw is plain multinomial: mean
 * E - 1 = 15, standard deviation sqrt(30) = 5.5; 15 + 5 * 5.5 is beyond
 * chance and a wrong share of 1 % in 400,000 copies is beyond it too.
 */
static void draws_follow_popularity(void **state)
{
	struct routing r;
	double p[16], chi;
	int i, j, rank;

	(void)state;
	for (i = 0; i < N_DRAWN; i++) {
		if (drawn[i].kind == ROUTING_DIRICHLET ||
		    drawn[i].kind == ROUTING_LOG_NORMAL) {
			continue;	/* may have shares near 1/2 */
		}
		help_make(&drawn[i], 16, 12500, 16, 2, &r);
		assert_int_equal(route_popularity(&drawn[i], 16, 1, p), 0);
		for (chi = 0, j = 0; j < 16; j++) {
			double want = p[j] * 16 * 12500 * 2, got = 0;

			assert_true(p[j] < 0.48);
			for (rank = 0; rank < 16; rank++) {
				got += (double)routing_count(&r, rank, j);
			}
			chi += (got - want) * (got - want) / want;
		}
		assert_true(chi < 15 + 5 * sqrt(30));
		assert_true(chi > 1);	/* there is chance in it */
		routing_release(&r);
	}
}

static int greater(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

static void sorted_popularity(enum routing_kind kind, double skew, int n,
			      int hot, double *p)
{
	struct routing_spec spec = { .kind = kind, .skew = skew, .seed = 11 };

	assert_int_equal(route_popularity(&spec, n, hot, p), ST_OK);
	qsort(p, (size_t)n, sizeof(*p), greater);
}

/* Zipf: 1, 1/2, 1/4, 1/8 (ranks 1, 2, 4, 8 with exponent 1) of the first. */
static void zipf_shares(void **state)
{
	double p[8];

	(void)state;
	sorted_popularity(ROUTING_ZIPF, 1, 8, 1, p);
	help_close(p[1] / p[0], 1.0 / 2, 1e-12);
	help_close(p[3] / p[0], 1.0 / 4, 1e-12);
	help_close(p[7] / p[0], 1.0 / 8, 1e-12);
	/* 1 + 1/2 + ... + 1/8 = 761/280 */
	help_close(p[0], 280.0 / 761, 1e-12);
}

/* The popular experts are not the first ones for every seed. */
static void zipf_is_shuffled(void **state)
{
	struct routing_spec spec = { .kind = ROUTING_ZIPF, .skew = 1 };
	int first = 0, seed, i;
	double p[8];

	(void)state;
	for (seed = 0; seed < 80; seed++) {
		spec.seed = (uint64_t)seed;
		route_popularity(&spec, 8, 1, p);
		for (i = 1; i < 8 && p[i] < p[0]; i++) {
		}
		first += i == 8;
	}
	/* 80 trials of 1/8: mean 10, deviation 2.96 */
	assert_in_range(first, 1, 25);
}

/*
 * Pareto with tail index 1/s: P(x > t) = t^(-1/s), so ln x is exponential
 * with mean s. Over 20,000 values the mean of ln x is within 4 s/sqrt(n).
 * The largest and all shares are scaled alike: compare to the smallest (1).
 */
static void power_law_tail(void **state)
{
	static double p[20000];
	double sum = 0, s = 0.6;
	int i;

	(void)state;
	sorted_popularity(ROUTING_POWER_LAW, s, 20000, 1, p);
	for (i = 0; i < 20000; i++) {
		sum += log(p[i] / p[19999]);
	}
	help_close(sum / 20000, s, 4 * s / sqrt(20000));
}

/* ln of a log-normal is normal(0, sigma): deviation of ln p is sigma. */
static void log_normal_spread(void **state)
{
	static double p[20000];
	double sum = 0, squares = 0, sd;
	int i;

	(void)state;
	sorted_popularity(ROUTING_LOG_NORMAL, 0.9, 20000, 1, p);
	for (i = 0; i < 20000; i++) {
		sum += log(p[i]);
		squares += log(p[i]) * log(p[i]);
	}
	sd = sqrt(squares / 20000 - sum * sum / 20000 / 20000);
	/* the error of a deviation is sigma / sqrt(2n) */
	help_close(sd, 0.9, 4 * 0.9 / sqrt(40000));
}

/*
 * Dirichlet(a, ..., a) over n: the variance of a share is (1/n)(1 - 1/n) /
 * (n a + 1), the mean 1/n, so n * sum p^2 is about 1 + (n - 1)/(n a + 1).
 */
static void dirichlet_spread(void **state)
{
	static double p[20000];
	double squares = 0, a = 1 / 0.5, n = 20000;
	int i;

	(void)state;
	sorted_popularity(ROUTING_DIRICHLET, 0.5, 20000, 1, p);
	for (i = 0; i < 20000; i++) {
		squares += p[i] * p[i];
	}
	help_close(n * squares, 1 + (n - 1) / (n * a + 1), 0.03);
}

static void hot_shares(void **state)
{
	double p[12];

	(void)state;
	sorted_popularity(ROUTING_HOT_EXPERT, 0.45, 12, 3, p);
	help_close(p[0], 0.45, 1e-12);
	help_close(p[1], 0.05, 1e-12);
	help_close(p[11], 0.05, 1e-12);
	sorted_popularity(ROUTING_HOT_RANK, 0.6, 12, 3, p);
	help_close(p[0], 0.2, 1e-12);
	help_close(p[2], 0.2, 1e-12);
	help_close(p[3], 0.4 / 9, 1e-12);
	sorted_popularity(ROUTING_HOT_RANK, 0.6, 12, 12, p);
	help_close(p[0], 1.0 / 12, 1e-12);
}

/* hot-rank with ep 4 of 8 experts: experts 0 and 1 are the hot ones. */
static void hot_rank_is_ep_index_0(void **state)
{
	struct routing_spec spec = { .kind = ROUTING_HOT_RANK, .skew = 0.8 };
	struct model m = help_model(1000, 8, 2);
	struct layout l = help_layout(1, 1, 4, 1);
	struct routing r;

	(void)state;
	assert_int_equal(routing_make(&spec, &m, &l, 4, &r), ST_OK);
	assert_in_range(routing_count(&r, 3, 0), 700, 900);
	assert_in_range(routing_count(&r, 3, 1), 700, 900);
	assert_in_range(routing_count(&r, 3, 2), 30, 110);
	routing_release(&r);
}

/*
 * hot-expert 1 with top-3: all copies want expert 0, a token picks it once:
 * 100 of 300; the rest have no popularity and share alike. With k = experts
 * every cell is full, whatever the skew.
 */
static void cells_are_capped(void **state)
{
	struct routing_spec spec = { .kind = ROUTING_HOT_EXPERT, .skew = 1 };
	struct routing_spec zipf = { .kind = ROUTING_ZIPF, .skew = 10 };
	struct routing r;
	int i;

	(void)state;
	help_make(&spec, 3, 100, 5, 3, &r);
	assert_int_equal(routing_count(&r, 1, 0), 100);
	for (i = 1; i < 5; i++) {
		assert_in_range(routing_count(&r, 1, i), 25, 75);
	}
	routing_release(&r);
	help_make(&zipf, 3, 100, 5, 5, &r);
	for (i = 0; i < 15; i++) {
		assert_int_equal(r.count[i], 100);
	}
	routing_release(&r);
}

/* Extremes of every kind still sum up (routing_check in help_make). */
static void extreme_skews(void **state)
{
	static const double most[] = { 10, 100, 10, 10, 1, 1 };
	struct routing_spec spec;
	struct routing r;
	int i;

	(void)state;
	for (i = 0; i < N_DRAWN; i++) {
		spec = drawn[i];
		spec.skew = most[i];
		help_make(&spec, 9, 127, 64, 8, &r);
		routing_release(&r);
		spec.skew = 0;
		help_make(&spec, 9, 127, 64, 8, &r);
		routing_release(&r);
	}
}

static void skew_is_checked(void **state)
{
	static const double wrong[] = { -0.1, 101, 1e300, NAN, INFINITY };
	struct model m = help_model(10, 8, 2);
	struct layout l = help_layout(1, 1, 2, 1);
	struct routing_spec spec;
	struct routing r;
	int i, j;

	(void)state;
	for (i = 0; i < N_DRAWN; i++) {
		for (j = 0; j < 5; j++) {
			spec = drawn[i];
			spec.skew = wrong[j];
			assert_int_equal(routing_make(&spec, &m, &l, 2, &r),
					 ST_INPUT);
			assert_non_null(strstr(err_msg(), "routing.skew"));
			assert_non_null(strstr(err_msg(), "allowed is 0.."));
		}
	}
	spec = (struct routing_spec){ .kind = ROUTING_HOT_RANK, .skew = 1.5 };
	assert_int_equal(routing_make(&spec, &m, &l, 2, &r), ST_INPUT);
	assert_string_equal(err_msg(), "routing.skew: '1.5' is out of range "
			    "for routing.kind 'hot-rank': allowed is 0..1");
}

static void sizes_are_checked(void **state)
{
	struct routing_spec spec = { .kind = ROUTING_ZIPF, .skew = 1 };
	struct layout l = help_layout(1, 1, 1, 1);
	struct model m = help_model(2147483647, 8, 2);
	struct routing r;

	(void)state;
	assert_int_equal(routing_make(&spec, &m, &l, 1, &r), ST_INPUT);
	assert_non_null(strstr(err_msg(), "tokens per rank"));
	m = help_model(10, 1000000, 2);
	assert_int_equal(routing_make(&spec, &m, &l, 1000000, &r), ST_INPUT);
	assert_non_null(strstr(err_msg(), "model.experts"));
	m = help_model(10, 4, 5);
	assert_int_equal(routing_make(&spec, &m, &l, 1, &r), ST_INPUT);
	assert_non_null(strstr(err_msg(), "model.experts_per_token"));
}

/*
 * 10 tokens, top-2: 20 copies by shares .62, .2, .1, .08. The first is over
 * 1/2: full at 10; the other 10 by .2 : .1 : .08 = 5.263, 2.632, 2.105:
 * 5, 2, 2 and the last one to the largest remainder (.632): 5, 3, 2.
 */
static void apportion_by_hand(void **state)
{
	static const double p[] = { 0.62, 0.2, 0.1, 0.08 };
	static const int64_t want[] = { 10, 5, 3, 2 };
	struct routing r = { .ranks = 1, .experts = 4, .k = 2, .tokens = 10 };
	int64_t row[4];

	(void)state;
	route_row_apportion(p, &r, row);
	assert_memory_equal(row, want, sizeof(want));
}

/* Shares of 1, 0, 0: full, then what nobody wants is spread. */
static void apportion_without_takers(void **state)
{
	static const double p[] = { 1, 0, 0 };
	struct routing r = { .ranks = 1, .experts = 3, .k = 2, .tokens = 7 };
	int64_t row[3];

	(void)state;
	route_row_apportion(p, &r, row);
	assert_int_equal(row[0], 7);
	assert_int_equal(row[1] + row[2], 7);
	assert_in_range(row[1], 3, 4);
	r.k = 3;
	route_row_apportion(p, &r, row);
	assert_int_equal(row[2], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uniform_is_even),
		cmocka_unit_test(seeds_decide),
		cmocka_unit_test(draws_follow_popularity),
		cmocka_unit_test(zipf_shares),
		cmocka_unit_test(zipf_is_shuffled),
		cmocka_unit_test(power_law_tail),
		cmocka_unit_test(log_normal_spread),
		cmocka_unit_test(dirichlet_spread),
		cmocka_unit_test(hot_shares),
		cmocka_unit_test(hot_rank_is_ep_index_0),
		cmocka_unit_test(cells_are_capped),
		cmocka_unit_test(extreme_skews),
		cmocka_unit_test(skew_is_checked),
		cmocka_unit_test(sizes_are_checked),
		cmocka_unit_test(apportion_by_hand),
		cmocka_unit_test(apportion_without_takers),
	};

	gsl_set_error_handler_off();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
