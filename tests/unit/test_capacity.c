/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/route_help.h"

/*
 * Two ranks, four experts, 8 tokens, top-2. Slots 5: of rank 0 keeps 5+5+3+1
 * = 14, of rank 1 5+4+4+3 = 16 (all): 30 of 32; 2 dropped. 40 slots, 30 used.
 */
static const int count[] = { 7, 5, 3, 1,  5, 4, 4, 3 };

static void drop_by_hand(void **state)
{
	struct routing r = help_routing(2, 4, 2, 8, count);

	(void)state;
	routing_check(&r);
	assert_int_equal(capacity_kept(&r, 5), 30);
	help_close(capacity_drop(&r, 5), 2.0 / 32, 1e-15);
	help_close(capacity_padding(&r, 5), 10.0 / 40, 1e-15);
	assert_int_equal(capacity_dropless_slots(&r), 7);
	help_close(capacity_drop(&r, 7), 0, 0);
	routing_release(&r);
}

/* ceil(2 * 8 * f / 4) = ceil(4 f) */
static void slots_by_hand(void **state)
{
	struct routing r = help_routing(2, 4, 2, 8, count);
	int64_t s;

	(void)state;
	assert_int_equal(capacity_slots(&r, 1), 4);
	assert_int_equal(capacity_slots(&r, 1.01), 5);
	assert_int_equal(capacity_slots(&r, 1.25), 5);
	assert_int_equal(capacity_slots(&r, 0.001), 1);
	help_close(capacity_factor(&r, 7), 1.75, 1e-15);
	r.tokens = 4093;	/* nothing divides */
	r.k = 7;
	r.experts = 61;
	for (s = 1; s < 20000; s++) {
		assert_int_equal(capacity_slots(&r, capacity_factor(&r, s)), s);
	}
	r.experts = 4;
	routing_release(&r);
}

/*
 * Dropped at 4 slots: 3 + 1 + 1 = 5 of 32 (.156), 5: 2 (.0625), 6: 1
 * (.03125), 7: 0.
 */
static void least_factor_by_hand(void **state)
{
	struct routing r = help_routing(2, 4, 2, 8, count);

	(void)state;
	help_close(capacity_factor_for(&r, 0), 7.0 / 4, 1e-15);
	help_close(capacity_factor_for(&r, 0.03), 7.0 / 4, 1e-15);
	help_close(capacity_factor_for(&r, 0.03125), 6.0 / 4, 1e-15);
	help_close(capacity_factor_for(&r, 0.1), 5.0 / 4, 1e-15);
	help_close(capacity_factor_for(&r, 0.16), 4.0 / 4, 1e-15);
	help_close(capacity_factor_for(&r, 1), 1.0 / 4, 1e-15);
	routing_release(&r);
}

/*
 * Slots 4..7 drop 5, 2, 1, 0 of 32; the chord falls from 5 by 5/3 a slot:
 * 5, 3.33, 1.67, 0. Distances 0, 1.33, .67, 0: the knee is 5.
 */
static void knee_by_hand(void **state)
{
	struct routing r = help_routing(2, 4, 2, 8, count);

	(void)state;
	assert_int_equal(capacity_knee_slots(&r), 5);
	routing_release(&r);
}

static void make_zipf(double skew, uint64_t seed, struct routing *r)
{
	struct routing_spec spec = { .kind = ROUTING_ZIPF, .skew = skew,
				     .seed = seed, .layer = -1 };

	help_make(&spec, 3, 157, 16, 3, r);
}

/* Every token's copies put into slots one by one. */
static int64_t drops_one_by_one(const struct routing *r, int64_t slots)
{
	int64_t dropped = 0, i, j;

	for (i = 0; i < (int64_t)r->ranks * r->experts; i++) {
		int64_t used = 0;

		for (j = 0; j < r->count[i]; j++) {
			if (used < slots) {
				used++;
			} else {
				dropped++;
			}
		}
	}
	return dropped;
}

static void search_agrees_with_brute_force(void **state)
{
	struct routing r;
	double routed, best;
	int64_t s, first, last, knee;
	int seed;

	(void)state;
	for (seed = 0; seed < 40; seed++) {
		make_zipf(seed * 0.05, (uint64_t)seed, &r);
		routed = r.ranks * r.tokens * r.k;
		first = capacity_slots(&r, 1);
		last = capacity_dropless_slots(&r);
		for (s = 1; s <= last; s++) {
			double drop = (double)drops_one_by_one(&r, s) / routed;

			help_close(capacity_drop(&r, s), drop, 0);
			help_close(capacity_factor_for(&r, drop) * 157 * 3 / 16,
				   (double)s, 1e-9);
		}
		best = 0;
		knee = first;
		for (s = first; s <= last && last > first; s++) {
			double chord = capacity_drop(&r, first) *
				(double)(last - s) / (double)(last - first);

			if (chord - capacity_drop(&r, s) > best + 1e-12) {
				best = chord - capacity_drop(&r, s);
				knee = s;
			}
		}
		assert_int_equal(capacity_knee_slots(&r), knee);
		routing_release(&r);
	}
}

static void candidates_hold_the_points(void **state)
{
	double f[CAPACITY_CANDIDATES_MAX];
	struct routing r;
	int seed, n, i, least, knee, none;

	(void)state;
	for (seed = 0; seed < 20; seed++) {
		make_zipf(seed * 0.1, (uint64_t)seed, &r);
		n = capacity_candidates(&r, 0.01, f, CAPACITY_CANDIDATES_MAX);
		assert_in_range(n, 1, CAPACITY_CANDIDATES_MAX);
		least = knee = none = 0;
		for (i = 0; i < n; i++) {
			int64_t s = capacity_slots(&r, f[i]);

			least += s == capacity_slots(&r,
				fmax(1, capacity_factor_for(&r, 0.01)));
			knee += s == capacity_knee_slots(&r);
			none += s == capacity_dropless_slots(&r);
			assert_true(i == 0 ||
				    s > capacity_slots(&r, f[i - 1]));
		}
		assert_int_equal(least, 1);
		assert_int_equal(knee, 1);
		assert_int_equal(none, 1);
		assert_int_equal(capacity_candidates(&r, 0.01, f, 1), 1);
		routing_release(&r);
	}
}

/* papers: LocMoE's bound for 16 experts, by (hidden, delta). */
static void lower_bound_of_locmoe(void **state)
{
	static const struct { int hidden; double delta, bound; } want[] = {
		{ 768, 0.03, 0.154 }, { 2048, 0.03, 0.358 },
		{ 4096, 0.03, 1.14 }, { 5120, 0.03, 1.96 },
		{ 4096, 0.05, 45.7 }, { 5120, 0.05, 181 },
		{ 768, 0.1, 11.3 }, { 4096, 0.1, 4.4e8 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		help_close(capacity_lower_bound(16, want[i].hidden,
						want[i].delta) / want[i].bound,
			   1, 0.012);
	}
	/* at delta = 1/sqrt(d) the cap has .3174 of the sphere */
	help_close(1 / capacity_lower_bound(1, 4096, 1.0 / 64), 0.3174, 1e-3);
	/* d = 3: |cos| is uniform on 0..1 (Archimedes), so p = 1 - delta */
	help_close(capacity_lower_bound(4, 3, 0.36), 1 / (4 * 0.64), 1e-12);
	help_close(capacity_lower_bound(4, 3, 0), 0.25, 1e-12);
	help_close(capacity_lower_bound(4, 1, 0.5), 0.25, 1e-12);
	assert_true(isinf(capacity_lower_bound(16, 4096, 0.9)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drop_by_hand),
		cmocka_unit_test(slots_by_hand),
		cmocka_unit_test(least_factor_by_hand),
		cmocka_unit_test(knee_by_hand),
		cmocka_unit_test(search_agrees_with_brute_force),
		cmocka_unit_test(candidates_hold_the_points),
		cmocka_unit_test(lower_bound_of_locmoe),
	};

	gsl_set_error_handler_off();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
