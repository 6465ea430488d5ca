/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Techniques' own work: which lane it is on, and what waits for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scenario_help.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void load(struct scenario *s, const char *const *sets, int n_sets)
{
	help_load_n(s, HELP_TECHNIQUES, sets, n_sets);
}

static struct exec_op span(const struct evaluation *e, enum op_kind kind,
			   int chunk)
{
	for (int i = 0; i < e->program.n_ops; i++) {
		if (e->program.op[i].kind == kind &&
		    e->program.op[i].chunk == chunk)
			return e->exec.op[i];
	}
	fail_msg("no '%s'", op_kind_name(kind));
	return (struct exec_op){ 0 };
}

static bool has_op(const struct evaluation *e, enum op_kind kind)
{
	for (int i = 0; i < e->program.n_ops; i++) {
		if (e->program.op[i].kind == kind)
			return true;
	}
	return false;
}

static void run(const char *const *sets, int n_sets, unsigned mask,
		int degree, struct evaluation *e)
{
	struct plan p = { .layout = { 4, 1, 1, 1, 1 }, .alltoall = A2A_FLAT,
			  .degree_forward = degree, .degree_backward = degree,
			  .technique_mask = mask };
	struct scenario s;

	load(&s, sets, n_sets);
	if (evaluate_plan(&s, &p, EXEC_LANE, NULL, e))
		fail_msg("%s", err_msg());
	program_check(&e->program);
	exec_check(&e->program, &e->exec);
	scenario_release(&s);
}

/* seconds of an op, in picoseconds */
static void takes(struct exec_op o, double s)
{
	assert_true(llabs((long long)(o.finish_ps - o.start_ps) -
			  (long long)ps_from_s(s)) <= 1);
}

/*
 * Hashing and clustering: between gate and permutation. Restoring: between
 * the combine and the weighted sum. The sums of gradients and their way back
 * stand in the same places of the backward pass.
 */
static void test_lsh_ops(void **state)
{
	struct evaluation e;

	(void)state;
	run(NULL, 0, 1u << TECH_LSH, 2, &e);
	takes(span(&e, OP_COMPRESS, 0), e.effect.compress_s[0]);
	takes(span(&e, OP_RESTORE, 0), e.effect.restore_s[0]);
	takes(span(&e, OP_COMPRESS_BWD, 0), e.effect.compress_s[1]);
	takes(span(&e, OP_RESTORE_BWD, 0), e.effect.restore_s[1]);
	assert_true(e.effect.restore_s[0] > 0);
	assert_int_equal(span(&e, OP_COMPRESS, 0).start_ps,
			 span(&e, OP_GATE, 0).finish_ps);
	assert_int_equal(span(&e, OP_PERMUTE, 0).start_ps,
			 span(&e, OP_COMPRESS, 0).finish_ps);
	assert_int_equal(span(&e, OP_RESTORE, 0).start_ps,
			 span(&e, OP_COMBINE, 1).finish_ps);
	assert_int_equal(span(&e, OP_UNPERMUTE, 0).start_ps,
			 span(&e, OP_RESTORE, 0).finish_ps);
	assert_int_equal(span(&e, OP_COMBINE_BWD, 0).start_ps,
			 span(&e, OP_COMPRESS_BWD, 0).finish_ps);
	assert_int_equal(span(&e, OP_PERMUTE_BWD, 0).start_ps,
			 span(&e, OP_RESTORE_BWD, 0).finish_ps);
	evaluation_release(&e);
}

/*
 * The plan of a migration is made beside dispatch and experts, and the combine
 * waits for it. Its tables travel twice and its host waits once; with a latency
 * of 5 ms that is longer than both.
 */
static void test_migrate_ops(void **state)
{
	const char *const slow[] = { "cluster.nic.latency=5ms" };
	struct exec_op o;
	struct evaluation e;

	(void)state;
	run(NULL, 0, 1u << TECH_MIGRATION, 1, &e);
	o = span(&e, OP_MIGRATE, 0);
	takes(o, e.effect.host_s);
	assert_int_equal(o.start_ps, span(&e, OP_GATE, 0).finish_ps);
	assert_int_equal(span(&e, OP_PERMUTE, 0).start_ps, o.start_ps);
	assert_true(o.finish_ps < span(&e, OP_EXPERT, 0).finish_ps);
	assert_int_equal(span(&e, OP_COMBINE, 0).start_ps,
			 span(&e, OP_EXPERT, 0).finish_ps);
	assert_int_equal(e.exec.lane_busy_ps[LANE_HOST],
			 o.finish_ps - o.start_ps);
	assert_false(has_op(&e, OP_COMPRESS));
	evaluation_release(&e);
	run(slow, 1, 1u << TECH_MIGRATION, 1, &e);
	o = span(&e, OP_MIGRATE, 0);
	assert_true(o.finish_ps > span(&e, OP_EXPERT, 0).finish_ps);
	assert_int_equal(span(&e, OP_COMBINE, 0).start_ps, o.finish_ps);
	evaluation_release(&e);
}

/*
 * The copied expert travels behind the dispatch, and only the last chunk waits
 * for it. A node has half of the bytes and gets the other half through its two
 * NICs: a quarter of all through each, at the least.
 */
static void test_shadow_ops(void **state)
{
	const char *const hot[] = { "routing.kind=hot-expert",
				    "routing.skew=0.8",
				    "model.expert_ffn=512" };
	struct exec_op o, chunk;
	struct evaluation e;
	double bytes;

	(void)state;
	run(hot, 3, 1u << TECH_SHADOWING, 2, &e);
	o = span(&e, OP_SHADOW, 0);
	bytes = e.effect.shadow_bytes;
	assert_true(bytes > 0);
	assert_true(s_from_ps(o.finish_ps - o.start_ps) >
		    bytes / 4 / (50e9 / 8));
	assert_int_equal(o.start_ps, span(&e, OP_DISPATCH, 1).finish_ps);
	chunk = span(&e, OP_EXPERT, 0);
	assert_int_equal(chunk.start_ps, span(&e, OP_DISPATCH, 0).finish_ps);
	assert_true(o.finish_ps > chunk.finish_ps);
	assert_int_equal(span(&e, OP_EXPERT, 1).start_ps, o.finish_ps);
	o = span(&e, OP_SHADOW_BWD, 0);
	assert_true(o.start_ps >= span(&e, OP_EXPERT_BWD_WEIGHT, 1).finish_ps);
	evaluation_release(&e);
}

/*
 * BASE: a rank has 1,024 tokens of 2,048 bytes, 256 of them for each of four
 * ranks. Two are on the other node: 1 MiB over a NIC of 6.25 GB/s, 167.77 us,
 * and 3 us of latency. Tokens go before the gate, and home behind the sum of
 * their results; backward the gradients likewise. On the network, so that what
 * else is there waits: backward the router's all-reduce, ready with the gate's
 * gradients, comes behind.
 */
static void test_base_ops(void **state)
{
	struct plan p = { .layout = { 4, 1, 1, 1, 1 }, .alltoall = A2A_FLAT,
			  .degree_forward = 1, .degree_backward = 1,
			  .technique_mask = 1u << TECH_GATE_BASE };
	const struct comm_tier plain = { .efficiency = 1, .ll_efficiency = 1 };
	const double there_s = 3e-6 + (1 << 20) / 6.25e9;
	const struct exec_op *o;
	struct evaluation e;
	struct scenario s;
	int n = 0;

	(void)state;
	load(&s, NULL, 0);
	s.cluster.gpu.intra = s.cluster.gpu.inter = plain;
	s.comm.ll_bytes = 0;
	if (evaluate_plan(&s, &p, EXEC_LANE, NULL, &e))
		fail_msg("%s", err_msg());
	program_check(&e.program);
	exec_check(&e.program, &e.exec);
	o = e.exec.op;
	for (int i = 0; i < e.program.n_ops; i++) {
		const struct op *op = &e.program.op[i];

		if (op->kind != OP_SHUFFLE && op->kind != OP_UNSHUFFLE)
			continue;
		assert_int_equal(op->lane, LANE_INTER);
		takes(o[i], there_s);
		/* nothing is computed meanwhile */
		if (op->kind == OP_SHUFFLE)
			assert_int_equal(o[i].finish_ps, o[i + 1].start_ps);
		else
			assert_int_equal(o[i].start_ps, o[i - 1].finish_ps);
		n++;
	}
	assert_int_equal(n, 4);
	assert_int_equal(o[0].start_ps, 0);
	assert_int_equal(e.program.op[1].kind, OP_GATE);
	takes(span(&e, OP_GATE, 0), e.effect.gate_s[0]);
	assert_int_equal(e.program.op[e.program.n_forward - 2].kind,
			 OP_UNPERMUTE);
	n = e.program.n_ops;
	assert_int_equal(e.program.op[n - 1].kind, OP_ALLREDUCE_GATE);
	assert_int_equal(e.program.op[n - 2].kind, OP_UNSHUFFLE);
	assert_int_equal(o[n - 1].start_ps, o[n - 2].finish_ps);
	assert_int_equal(span(&e, OP_GATE_BWD, 0).finish_ps,
			 o[n - 2].start_ps);
	evaluation_release(&e);
	scenario_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lsh_ops),
		cmocka_unit_test(test_migrate_ops),
		cmocka_unit_test(test_shadow_ops),
		cmocka_unit_test(test_base_ops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
