/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

static void near(double got, double want)
{
	if (fabs(got - want) > 1e-9 * fabs(want))
		fail_msg("%.17g, not %.17g", got, want);
}

/*
 * 3 layers, 2 of them MoE: hidden 10, 8 experts of ffn 20, top-2, two
 * products (400 elements an expert); dense ffn 30; 5000 other parameters;
 * 100 tokens a rank. Expert parallel 4 on 8 ranks, dp 2.
 */
static struct scenario scenario_of(void)
{
	struct scenario s = {
		.cluster = { .nodes = 2, .gpus_per_node = 4 },
		.model = {
			.hidden = 10, .layers = 3, .moe_layers = 2,
			.experts = 8, .experts_per_token = 2,
			.expert_ffn = 20, .dense_ffn = 30,
			.params_other = 5000, .sequence = 100,
			.batch_per_gpu = 1, .dtype = DT_BF16,
		},
	};

	return s;
}

static struct plan plan_of(int ep, int esp, int tp, int dp, int pp)
{
	struct plan p = {
		.layout = { .ep = ep, .esp = esp, .tp = tp, .dp = dp,
			    .pp = pp },
		.degree_forward = 1, .degree_backward = 1,
	};

	return p;
}

/* Every rank computes `rows` in all. */
static struct workload work_of(double *rows, int local, int64_t capacity)
{
	struct workload w = {
		.ranks = 1, .local_experts = local, .capacity = capacity,
		.token_bytes = 20, .rows = rows,
	};

	return w;
}

/*
 * Per GPU: 2 layers * 2 experts * 400 = 1600 routed parameters + 5000:
 * 6600 elements of 2 bytes, gradients likewise, 12 bytes of optimizer.
 * Activations, elements of 2 bytes: attention 3 * 7 * 100 * 10 = 21000;
 * MoE layer: 100*10 + 200*(10 + 2*20) + 200*10 = 13000, and 4 bytes * 100 *
 * 8 = 3200 bytes of scores; dense layer: 100 * (10 + 2*30) = 7000.
 * 2*(21000 + 2*13000 + 7000) + 2*3200 = 114400.
 * Buffers: 200 copies out and 200 rows in, 20 bytes each: 8000.
 */
static void test_plain(void **state)
{
	double rows[2] = { 120, 80 };
	struct scenario s = scenario_of();
	struct plan p = plan_of(4, 1, 1, 2, 1);
	struct workload w = work_of(rows, 2, 0);
	struct memory_use m;

	(void)state;
	memory_estimate(&s, &p, &w, &m);
	near(m.parameters, 13200);
	near(m.gradients, 13200);
	near(m.optimizer, 79200);
	near(m.activations, 114400);
	near(m.buffers, 8000);
	near(m.total, 13200 + 13200 + 79200 + 114400 + 8000);
	/* the leader of 4 GPUs: 2 * 4 * 4000 more */
	p.alltoall = A2A_LEADER;
	memory_estimate(&s, &p, &w, &m);
	near(m.buffers, 40000);
}

/* Padding: 8 experts * 50 slots go out, and the gate's 400 rows come in. */
static void test_capacity(void **state)
{
	double rows[2] = { 200, 200 };
	struct scenario s = scenario_of();
	struct plan p = plan_of(4, 1, 1, 2, 1);
	struct workload w = work_of(rows, 2, 50);
	struct memory_use m;

	(void)state;
	memory_estimate(&s, &p, &w, &m);
	near(m.buffers, 16000);
}

/*
 * ZeRO-1: 5000 others over 8 ranks, 1600 routed over dp 2: 12 * (625 + 800).
 * Recomputation: 3 layer inputs of 1000, one attention of 7000, one MoE
 * layer of 13000 elements and its scores.
 */
static void test_savings(void **state)
{
	double rows[2] = { 120, 80 };
	struct scenario s = scenario_of();
	struct plan p = plan_of(4, 1, 1, 2, 1);
	struct workload w = work_of(rows, 2, 0);
	struct memory_use m;

	(void)state;
	s.training.zero = 1;
	s.training.recompute = true;
	memory_estimate(&s, &p, &w, &m);
	near(m.optimizer, 12 * (625 + 800));
	near(m.activations, 2 * (3000 + 7000 + 13000) + 3200);
}

/*
 * esp 2, tp 2: shards of ffn 10: 2 * 2 * 200 = 800 routed; 2500 others; 50
 * tokens a rank. With pp 2 half of each. ZeRO-1 over dp 1 and, for others,
 * 8 ranks / (tp 2): 4 copies (pp 1).
 */
static void test_degrees(void **state)
{
	double rows[2] = { 120, 80 };
	struct scenario s = scenario_of();
	struct plan p = plan_of(4, 2, 2, 1, 1);
	struct workload w = work_of(rows, 2, 0);
	struct memory_use m;

	(void)state;
	memory_estimate(&s, &p, &w, &m);
	near(m.parameters, 2 * (800 + 2500));
	near(m.buffers, (100 + 200) * 20);
	s.training.zero = 1;
	memory_estimate(&s, &p, &w, &m);
	near(m.optimizer, 12 * (800 + 2500.0 / 4));
	p = plan_of(4, 1, 2, 1, 2);
	memory_estimate(&s, &p, &w, &m);
	near(m.parameters, 2 * (800 + 1250));
}

/* ep 16 of 8 experts: one expert a rank, two copies of each. */
static void test_copies(void **state)
{
	double rows[1] = { 100 };
	struct scenario s = scenario_of();
	struct plan p = plan_of(16, 1, 1, 1, 1);
	struct workload w = work_of(rows, 1, 0);
	struct memory_use m;

	(void)state;
	s.training.zero = 1;
	memory_estimate(&s, &p, &w, &m);
	near(m.parameters, 2 * (800 + 5000));
	near(m.optimizer, 12 * (800 / 2.0 + 5000 / 16.0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_savings),
		cmocka_unit_test(test_degrees),
		cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
