/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/stages.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

/*
 * Two stages, two batches, f = 1, b = 2, hop 0. GPipe: stage 0 F 0-1 1-2,
 * stage 1 F 1-2 2-3, B 3-5 5-7, stage 0 B 5-7 7-9. 1F1B: stage 1 F 1-2 B 2-4
 * F 4-5 B 5-7; stage 0 B 4-6, 7-9. Both (2 + 1) * 3 = 9.
 */
static void test_by_hand(void **state)
{
	struct stages s = { STAGES_GPIPE, 2, 2, 1, 2, 0 };

	(void)state;
	assert_float_equal(stages_simulate(&s), 9, 1e-12);
	s.kind = STAGES_1F1B;
	assert_float_equal(stages_simulate(&s), 9, 1e-12);
	assert_int_equal(stages_in_flight(&s), 2);
	s.batches = 8;
	assert_int_equal(stages_in_flight(&s), 2);
	s.kind = STAGES_GPIPE;
	assert_int_equal(stages_in_flight(&s), 8);
}

static void check(enum stages_kind kind, int p, int m, double hop)
{
	struct stages s = { kind, p, m, 1.25, 2.5, hop };

	assert_float_equal(stages_time(&s) / stages_simulate(&s), 1, 1e-9);
}

static void test_closed(void **state)
{
	(void)state;
	for (int p = 1; p <= 9; p++) {
		for (int m = 1; m <= 40; m++) {
			check(STAGES_GPIPE, p, m, 0);
			check(STAGES_GPIPE, p, m, 0.1);
			check(STAGES_GPIPE, p, m, 7);
			check(STAGES_1F1B, p, m, 0);
			check(STAGES_1F1B, p, m, 0.1);
			check(STAGES_1F1B, p, m, 7);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
