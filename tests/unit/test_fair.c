/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/fair.h"

#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NEAR(a, b, tol) \
	assert_true(fabs((a) - (b)) <= (tol) * fmax(fabs(a), fabs(b)))

/* Knuth's MMIX generator, upper bits. */
static uint64_t seed;

static double uniform(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(seed >> 11) / 9007199254740992.0;
}

static int below(int n)
{
	return (int)(uniform() * n);
}

static int start(struct fair *f, double bytes, double bound, int n, ...)
{
	int32_t links[8];
	va_list ap;

	va_start(ap, n);
	for (int i = 0; i < n; i++) {
		links[i] = va_arg(ap, int);
	}
	va_end(ap);
	return fair_start(f, links, n, bytes, bound);
}

static void drain(struct fair *f)
{
	const int *done;
	int n;

	while (fair_next(f, INFINITY, &done, &n)) {
		fair_check(f);
	}
}

/*
 * Links A and B of 1 B/s. Flow 0 crosses both, 1 only A, 2 only B; 1 byte
 * each. All get 1/2 and finish at 2.
 */
static void test_classic(void **state)
{
	const double cap[] = { 1, 1 };
	struct fair *f = fair_new(2, cap, 0);
	const int *done;
	int n;

	(void)state;
	start(f, 1, INFINITY, 2, 0, 1);
	start(f, 1, INFINITY, 1, 0);
	start(f, 1, INFINITY, 1, 1);
	for (int i = 0; i < 3; i++) {
		NEAR(fair_rate(f, i), 0.5, 1e-12);
	}
	assert_true(fair_next(f, INFINITY, &done, &n));
	assert_int_equal(n, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(done[i], i);
		NEAR(fair_finish(f, i), 2.0, 1e-12);
	}
	NEAR(fair_link_bytes(f, 0), 2.0, 1e-12);
	assert_false(fair_next(f, INFINITY, &done, &n));
	fair_free(f);
}

/*
 * A = 10, B = 2. Flows 0, 1 cross A and B: 1 each, limited by B. Flow 2
 * crosses A alone and takes the other 8. Sizes 1, 3, 24:
 *	t = 1: flow 0 is done; 1 gets 2, flow 2 gets 8: the same
 *	t = 2: flow 1 (1 + 2) is done; flow 2 has 24 - 16 = 8 left at 10
 *	t = 2.8: flow 2 is done
 */
static void test_limited_elsewhere(void **state)
{
	const double cap[] = { 10, 2 };
	struct fair *f = fair_new(2, cap, 0);

	(void)state;
	start(f, 1, INFINITY, 2, 0, 1);
	start(f, 3, INFINITY, 2, 0, 1);
	start(f, 24, INFINITY, 1, 0);
	NEAR(fair_rate(f, 0), 1.0, 1e-12);
	NEAR(fair_rate(f, 2), 8.0, 1e-12);
	drain(f);
	NEAR(fair_finish(f, 0), 1.0, 1e-12);
	NEAR(fair_finish(f, 1), 2.0, 1e-12);
	NEAR(fair_finish(f, 2), 2.8, 1e-12);
	NEAR(fair_link_bytes(f, 0), 28.0, 1e-12);
	NEAR(fair_link_bytes(f, 1), 4.0, 1e-12);
	fair_free(f);
}

/*
 * One link of 10; bounds 2, 3 and none: rates 2, 3, 5. Bytes 2, 6, 20:
 *	t = 1: flow 0 done; rates 3, 7; left 3, 15
 *	t = 2: flow 1 done; left 15 - 7 = 8 at 10: t = 2.8
 * Flow 3 has no links and the bound 4: 1 s for 4 bytes.
 */
static void test_bounds(void **state)
{
	const double cap[] = { 10 };
	struct fair *f = fair_new(1, cap, 0);

	(void)state;
	start(f, 2, 2, 1, 0);
	start(f, 6, 3, 1, 0);
	start(f, 20, INFINITY, 1, 0);
	start(f, 4, 4, 0);
	NEAR(fair_rate(f, 1), 3.0, 1e-12);
	NEAR(fair_rate(f, 2), 5.0, 1e-12);
	drain(f);
	NEAR(fair_finish(f, 0), 1.0, 1e-12);
	NEAR(fair_finish(f, 1), 2.0, 1e-12);
	NEAR(fair_finish(f, 2), 2.8, 1e-12);
	NEAR(fair_finish(f, 3), 1.0, 1e-12);
	fair_free(f);
}

/*
 * One link of 1. Flow 0 (2 bytes) at 0, flow 1 (1 byte) at 1: from 1 on both
 * have 1 byte and 1/2: both at 3. until_s stops in between.
 */
static void test_staggered(void **state)
{
	const double cap[] = { 1 };
	struct fair *f = fair_new(1, cap, 0);
	const int *done;
	int n;

	(void)state;
	start(f, 2, INFINITY, 1, 0);
	assert_true(fair_next(f, 1, &done, &n));
	assert_int_equal(n, 0);
	NEAR(fair_now(f), 1.0, 1e-12);
	NEAR(fair_remaining(f, 0), 1.0, 1e-12);
	start(f, 1, INFINITY, 1, 0);
	NEAR(fair_rate(f, 0), 0.5, 1e-12);
	assert_true(fair_next(f, INFINITY, &done, &n));
	assert_int_equal(n, 2);
	NEAR(fair_finish(f, 1), 3.0, 1e-12);
	assert_int_equal(fair_active(f), 0);
	/* an idle stretch, then the link is used again */
	assert_true(fair_next(f, 5, &done, &n));
	start(f, 1, INFINITY, 1, 0);
	drain(f);
	NEAR(fair_finish(f, 2), 6.0, 1e-12);
	fair_free(f);
}

/*
 * One link of 1, four flows of 25, 25.1, 25.2 and 28 bytes, window 0.5 s.
 * Rate 1/4 until the first is done at 100; the window takes those done by
 * 100.5 at the same rates: 25.1 at 100.4 (25.2 would be at 100.8). At 100.4
 * flow 2 has 0.1 left, flow 3 2.9; rate 1/2: 100.6 and no other in 0.5 s.
 * Flow 3: 2.9 - 0.1 = 2.8 at rate 1: 103.4. Exact: 103.3; bound 0.1.
 */
static void test_merge(void **state)
{
	const double cap[] = { 1 }, bytes[] = { 25, 25.1, 25.2, 28 };
	const int64_t first[] = { 0, 1, 2, 3, 4 };
	const int32_t route[] = { 0, 0, 0, 0 };
	struct fair_problem p = { 1, cap, 4, first, route, bytes, NULL, 0.5,
				  NULL };
	double finish[4], error;

	(void)state;
	NEAR(fair_run(&p, finish, &error), 103.4, 1e-12);
	NEAR(finish[0], 100.0, 1e-12);
	NEAR(finish[1], 100.4, 1e-12);
	NEAR(finish[2], 100.6, 1e-12);
	NEAR(error, 0.1, 1e-9);
	p.merge_s = 0;
	NEAR(fair_run(&p, finish, &error), 103.3, 1e-12);
	assert_true(error == 0);
}

/*
 * --- the slow, obvious solver ------------------------------------------
 *
 * It subtracts step by step, so it gets more digits than what it checks.
 */

#define LINKS 24
#define FLOWS 60
#define HOPS 6

struct slow {
	int n_links, n_flows;
	double capacity[LINKS];
	int64_t start[FLOWS + 1];
	int32_t route[FLOWS * HOPS];
	double bytes[FLOWS], begin[FLOWS], bound[FLOWS];
	/* state */
	long double left[FLOWS], rate[FLOWS];
	double finish[FLOWS];
	bool on[FLOWS];
};

static void slow_rest(const struct slow *s, long double *rest)
{
	for (int l = 0; l < s->n_links; l++) {
		rest[l] = s->capacity[l];
	}
}

/* Raises the level until a link is full or a bound is met; again. */
static void slow_rates(struct slow *s)
{
	bool frozen[FLOWS];
	long double rest[LINKS];
	int users[LINKS], todo = 0;

	slow_rest(s, rest);
	for (int i = 0; i < s->n_flows; i++) {
		frozen[i] = !s->on[i];
		todo += s->on[i];
	}
	while (todo > 0) {
		long double level = INFINITY;

		memset(users, 0, sizeof(users));
		for (int i = 0; i < s->n_flows; i++) {
			for (int64_t k = s->start[i];
			     !frozen[i] && k < s->start[i + 1]; k++) {
				users[s->route[k]]++;
			}
			if (!frozen[i]) {
				level = fminl(level, s->bound[i]);
			}
		}
		for (int l = 0; l < s->n_links; l++) {
			if (users[l]) {
				level = fminl(level, rest[l] / users[l]);
			}
		}
		for (int i = 0; i < s->n_flows; i++) {
			bool stop = s->bound[i] <= level;

			for (int64_t k = s->start[i]; k < s->start[i + 1];
			     k++) {
				int l = s->route[k];

				stop |= users[l] && rest[l] / users[l] <=
					level * (1 + 1e-12);
			}
			if (frozen[i] || !stop) {
				continue;
			}
			frozen[i] = true;
			todo--;
			s->rate[i] = level;
		}
		/* what is left after those that have stopped */
		slow_rest(s, rest);
		for (int i = 0; i < s->n_flows; i++) {
			for (int64_t k = s->start[i];
			     s->on[i] && frozen[i] && k < s->start[i + 1];
			     k++) {
				rest[s->route[k]] -= s->rate[i];
			}
		}
	}
}

static void slow_run(struct slow *s)
{
	long double now = 0;

	for (int i = 0; i < s->n_flows; i++) {
		s->left[i] = s->bytes[i];
		s->finish[i] = -1;
	}
	for (;;) {
		long double dt = INFINITY;
		int active = 0, waiting = 0;

		for (int i = 0; i < s->n_flows; i++) {
			s->on[i] = s->begin[i] <= now && s->finish[i] < 0;
			active += s->on[i];
			waiting += s->begin[i] > now;
		}
		if (!active && !waiting) {
			return;
		}
		slow_rates(s);
		for (int i = 0; i < s->n_flows; i++) {
			if (s->on[i]) {
				dt = fminl(dt, s->left[i] / s->rate[i]);
			} else if (s->begin[i] > now) {
				dt = fminl(dt, s->begin[i] - now);
			}
		}
		now += dt;
		for (int i = 0; i < s->n_flows; i++) {
			if (!s->on[i]) {
				/* begin - now is not exact */
				if (fabsl(s->begin[i] - now) < 1e-16 * now) {
					s->begin[i] = now;
				}
				continue;
			}
			s->left[i] -= s->rate[i] * dt;
			if (s->left[i] <= 1e-13 * s->bytes[i]) {
				s->finish[i] = now;
			}
		}
	}
}

static double wide(double decades)
{
	return pow(10, decades * uniform());
}

/* kind: bit 0 all begin at 0, bit 1 few sizes (ties), bit 2 bounds. */
static void slow_make(struct slow *s, int kind)
{
	double span = kind & 8 ? 12 : 2;
	bool tame = kind & 2;

	s->n_links = 1 + below(LINKS);
	s->n_flows = 1 + below(FLOWS);
	for (int l = 0; l < s->n_links; l++) {
		s->capacity[l] = tame ? 1 + below(3) : wide(span + 1);
	}
	s->start[0] = 0;
	for (int i = 0; i < s->n_flows; i++) {
		int hops = 1 + below(s->n_links < HOPS ? s->n_links : HOPS);
		int64_t at = s->start[i];

		while (at < s->start[i] + hops) {
			int32_t l = below(s->n_links);
			bool dup = false;

			for (int64_t k = s->start[i]; k < at; k++) {
				dup |= s->route[k] == l;
			}
			if (!dup) {
				s->route[at++] = l;
			}
		}
		s->start[i + 1] = at;
		s->bytes[i] = tame ? 1 + below(3) : wide(span);
		s->begin[i] = kind & 1 ? 0 : tame ? below(4) : 10 * uniform();
		s->bound[i] = kind & 4 && below(2) ? wide(span) : INFINITY;
	}
}

static void check_case(struct slow *s, int number)
{
	struct fair *f = fair_new(s->n_links, s->capacity, 0);
	int id[FLOWS], flow_of[FLOWS], n_done, n = 0, left = s->n_flows;
	double begin[FLOWS];
	const int *done;

	memcpy(begin, s->begin, sizeof(begin));
	memset(id, -1, sizeof(id));
	while (left > 0) {
		double until = INFINITY;

		for (int i = 0; i < s->n_flows; i++) {
			if (id[i] < 0 && begin[i] <= fair_now(f)) {
				id[i] = fair_start(f, s->route + s->start[i],
					(int)(s->start[i + 1] - s->start[i]),
					s->bytes[i], s->bound[i]);
				assert_int_equal(id[i], n);
				flow_of[n++] = i;
			} else if (id[i] < 0) {
				until = fmin(until, begin[i]);
			}
		}
		fair_check(f);
		assert_true(fair_next(f, until, &done, &n_done));
		for (int k = 1; k < n_done; k++) {
			assert_true(done[k - 1] < done[k]);
		}
		left -= n_done;
	}
	slow_run(s);
	for (int k = 0; k < n; k++) {
		double a = fair_finish(f, k), b = s->finish[flow_of[k]];

		if (fabs(a - b) > 1e-9 * b) {
			print_message("case %d flow %d: %.17g, slow %.17g\n",
				      number, k, a, b);
		}
		NEAR(a, b, 1e-9);
	}
	fair_check(f);
	assert_true(fair_merge_error(f) == 0);
	fair_free(f);
}

static void test_random(void **state)
{
	static struct slow s;

	(void)state;
	seed = 1;
	for (int i = 0; i < 1000; i++) {
		slow_make(&s, i & 15);
		check_case(&s, i);
	}
}

#define PORTS 1600
#define LEAVES 8	/* of PORTS / LEAVES ports each */
#define PEERS 12

/* A flow between two ports; between leaves it takes their links, too. */
static void start_port(struct fair *f, int src, int dst)
{
	int a = src * LEAVES / PORTS, b = dst * LEAVES / PORTS;
	double bytes = (0.5 + uniform()) / (1 + dst % 50);

	if (a == b) {
		start(f, bytes, INFINITY, 2, src, PORTS + dst);
	} else {
		start(f, bytes, INFINITY, 4, src, 2 * PORTS + a,
		      2 * PORTS + LEAVES + b, PORTS + dst);
	}
}

/*
 * More links than are put in order one by one (fair_solve.c): after every
 * step, as flows end and others come, the rates are max-min.
 */
static void test_many_links(void **state)
{
	double capacity[2 * PORTS + 2 * LEAVES];
	const int *done;
	struct fair *f;
	int n, i, steps = 0;

	(void)state;
	seed = 5;
	for (i = 0; i < 2 * PORTS; i++) {
		capacity[i] = 1 + 0.01 * uniform();
	}
	for (; i < 2 * PORTS + 2 * LEAVES; i++) {
		capacity[i] = 0.8 * PORTS / LEAVES;
	}
	f = fair_new(i, capacity, 1e-2);
	for (i = 0; i < PORTS * PEERS; i++) {
		start_port(f, i % PORTS, below(PORTS));
	}
	while (fair_next(f, INFINITY, &done, &n)) {
		if (steps == 50) {
			for (i = 0; i < PORTS; i++) {
				start_port(f, i, below(PORTS));
			}
		}
		fair_check(f);
		steps++;
	}
	assert_true(steps > 200);
	fair_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classic),
		cmocka_unit_test(test_limited_elsewhere),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_staggered),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_many_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
