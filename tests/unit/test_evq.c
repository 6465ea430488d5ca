/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/evq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t pop_data(struct evq *q)
{
	struct evq_event e;

	assert_true(evq_pop(q, &e));
	return e.data;
}

/* Times 30, 10, 20, 10: the two at 10 in order of insertion. */
static void test_order(void **state)
{
	struct evq *q = evq_new();
	struct evq_event e;

	(void)state;
	assert_false(evq_pop(q, &e));
	assert_false(evq_peek(q, &e));
	evq_push(q, 30, 1);
	evq_push(q, 10, 2);
	evq_push(q, 20, 3);
	evq_push(q, 10, 4);
	assert_true(evq_peek(q, &e));
	assert_int_equal(e.time_ps, 10);
	assert_int_equal(evq_now(q), 0);
	assert_int_equal(pop_data(q), 2);
	assert_int_equal(pop_data(q), 4);
	assert_int_equal(pop_data(q), 3);
	assert_int_equal(evq_now(q), 20);
	evq_push(q, 20, 5);	/* at the present time: before 30 */
	assert_int_equal(pop_data(q), 5);
	assert_int_equal(pop_data(q), 1);
	assert_int_equal(evq_popped(q), 5);
	evq_free(q);
}

/* A handle dies with its event, also when its slot is used again. */
static void test_cancel(void **state)
{
	struct evq *q = evq_new();
	uint64_t a, b, c;

	(void)state;
	a = evq_push(q, 1, 1);
	b = evq_push(q, 2, 2);
	assert_true(evq_cancel(q, a));
	assert_false(evq_cancel(q, a));
	c = evq_push(q, 3, 3);
	assert_true(c != a);
	assert_false(evq_cancel(q, a));
	assert_int_equal(pop_data(q), 2);
	assert_false(evq_cancel(q, b));
	assert_int_equal(pop_data(q), 3);
	assert_false(evq_cancel(q, c));
	assert_false(evq_cancel(q, UINT64_MAX));
	assert_int_equal(evq_popped(q), 2);
	evq_free(q);
}

#define MANY 2000

struct plain {
	uint64_t time, number, handle;
	int live;
};

static uint64_t seed = 7;

static unsigned draw(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* The earliest live entry, the first of them at equal times. */
static struct plain *first_of(struct plain *v, int n)
{
	struct plain *best = NULL;

	for (int i = 0; i < n; i++) {
		if (v[i].live && (!best || v[i].time < best->time)) {
			best = &v[i];
		}
	}
	return best;
}

/* Against a list searched from end to end. */
static void test_random(void **state)
{
	static struct plain v[MANY];
	struct evq *q = evq_new();
	int n = 0;

	(void)state;
	while (n < MANY || first_of(v, n)) {
		unsigned what = n < MANY ? draw(5) : 4;
		struct plain *p = first_of(v, n);

		if (what < 3) {
			v[n].time = evq_now(q) + draw(50);
			v[n].number = (uint64_t)n;
			v[n].handle = evq_push(q, v[n].time, (uint64_t)n);
			v[n++].live = 1;
		} else if (what == 3 && n > 0) {
			p = &v[draw((unsigned)n)];
			assert_int_equal(evq_cancel(q, p->handle), p->live);
			p->live = 0;
		} else if (p) {
			assert_int_equal(pop_data(q), p->number);
			assert_int_equal(evq_now(q), p->time);
			p->live = 0;
		}
	}
	assert_false(evq_pop(q, &(struct evq_event){ 0 }));
	evq_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
