/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a runner's layer has more than its products (sim/cost_layer.h). */
#include "sim/cost_layer.h"

#include "scenarios/measured.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void near(double got, double want)
{
	if (!(fabs(got - want) <= 1e-9 * fabs(want)))
		fail_msg("%.12g is not %.12g", got, want);
}

static const struct gpu gpu = {
	.flops = { [DT_BF16] = 1e15 }, .hbm_Bps = 1e12, .sms = 100,
	.gemm_efficiency = 1, .hbm_efficiency = 1, .tile_m = 16, .tile_n = 16,
};
static const struct model model = {
	.hidden = 64, .expert_ffn = 32, .experts = 8, .experts_per_token = 2,
	.sequence = 100, .batch_per_gpu = 1,
	.dtype = DT_BF16,
};
static const struct layout layout = { .ep = 2, .esp = 1, .tp = 1, .dp = 1,
				      .pp = 1 };

/* Four products: m rows take m us; one: a quarter of that. */
static void make_table(struct product_table *t)
{
	const struct product_point p[] = {
		{ 1, 64, 64, 4, 1e-6 }, { 1000, 64, 64, 4, 1000e-6 },
	};

	assert_int_equal(product_table_init(t, DT_BF16, "", p, 2), ST_OK);
}

static void make_layer(struct layer *l, const struct measured *m,
		       const struct layout *lay, enum a2a_alg alg,
		       int64_t capacity)
{
	const struct workload w = { .ranks = lay->ep, .capacity = capacity,
				    .local_experts = 8 / lay->ep };

	layer_init(l, &gpu, &model, lay, &w);
	layer_set_measured(l, m, lay, alg);
	l->regroup = false;
}

/* The two products of an expert's forward pass, without the activation. */
static double products(const struct layer *l, const double *rows, double share)
{
	struct work w, act = { 0 };
	double total = 0;
	int i;

	for (i = 0; i < l->local_experts; i++)
		total += rows[i] * share;
	layer_expert_work(l, OP_EXPERT, rows, share, false, &w);
	work_add_stream(&act, &gpu, total * 32 * 2 * 2);
	return w.seconds - act.seconds;
}

/*
 * All experts at once: each has the rows of the fullest, 70, in sixteens 80;
 * the table says 80 us at 64 columns of depth 64, and rates hold outside: 32
 * columns or depth are half of that each, 80 us together. With 200 rows in one
 * of 4 of 245 in all 4 * 208 is more than 1.6 * 245: each by itself.
 */
static void test_padded(void **state)
{
	const double even[] = { 70, 60, 50, 60 }, skew[] = { 200, 15, 15, 15 };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };
	struct layer l;
	struct work w;

	(void)state;
	make_table(&t);
	make_layer(&l, &m, &layout, A2A_FLAT, 50);
	assert_true(l.pads);
	assert_true(l.can_pad);
	near(products(&l, even, 1), products(&l, (double[]){ 80, 80, 80, 80 },
					     1));
	assert_true(products(&l, skew, 1) <
		    products(&l, (double[]){ 208, 208, 208, 208 }, 1) * 0.5);
	/* the first of two products alike: half of them */
	layer_expert_work(&l, OP_EXPERT_BWD_WEIGHT, even, 1, false, &w);
	near(w.first_s, w.seconds / 2);
	/* no products measured: rows as they are */
	make_layer(&l, NULL, &layout, A2A_FLAT, 50);
	assert_false(l.pads);
	product_table_release(&t);
}

/*
 * The runner's race. Padded to 80 rows either product takes 80 us; one after
 * another, by a table of their own, four take 5 us and 0.5 us a row; 40 rows
 * are 48 of tiles of 16: the mean of 29, 29, 29 and 45 is 33. In a
 * chunk they are padded all the same.
 */
static void test_race(void **state)
{
	const double rows[] = { 40, 40, 40, 80 }, twice[] = { 80, 80, 80, 160 };
	struct product_point any[10];	/* twice as many: the usual way */
	const struct product_point each[] = {
		{ 10, 64, 32, 4, 10e-6 }, { 110, 64, 32, 4, 60e-6 },
		{ 10, 32, 64, 4, 10e-6 }, { 110, 32, 64, 4, 60e-6 },
	};
	struct product_table t[2];
	struct measured m = { .n_tables = 1, .table = t };
	struct layer l;
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		any[i] = (struct product_point){ 1 + i / 2 * 200,
			i % 2 ? 32 : 64, i % 2 ? 64 : 32, 4,
			(1 + i / 2 * 200) * 1e-6 };
	assert_int_equal(product_table_init(&t[0], DT_BF16, "", any, 10),
			 ST_OK);
	assert_int_equal(product_table_init(&t[1], DT_BF16, "per-expert", each,
					    4), ST_OK);
	make_layer(&l, &m, &layout, A2A_FLAT, 50);
	near(products(&l, rows, 1), 160e-6);
	m.n_tables = 2;
	make_layer(&l, &m, &layout, A2A_FLAT, 50);
	near(products(&l, rows, 1), 66e-6);
	near(products(&l, twice, 0.5), 160e-6);
	product_table_release(&t[0]);
	product_table_release(&t[1]);
}

/*
 * A quarter of 240 rows an expert, dropless: 60 expected, in one chunk by
 * chance; 2 of 8 experts: variance (1 - 2/8) (1 - 1/4) 60 = 33.75; the fullest of
 * four is 1.0491 deviations up (Blom: quantile (4 - 3/8) / (4 + 1/4) = 0.85294
 * of the normal distribution): 66.1, in sixteens 80. With a capacity 60 is 64.
 */
static void test_chance(void **state)
{
	const double rows[] = { 240, 240, 240, 240 };
	const double r80[] = { 80, 80, 80, 80 }, r64[] = { 64, 64, 64, 64 };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };
	struct layer dropless, slots;

	(void)state;
	make_table(&t);
	make_layer(&slots, &m, &layout, A2A_FLAT, 240);
	make_layer(&dropless, &m, &layout, A2A_FLAT, 0);
	near(products(&slots, rows, 0.25), products(&slots, r64, 1));
	near(products(&dropless, rows, 0.25), products(&slots, r80, 1));
	product_table_release(&t);
}

static struct measured_curve curve(const char *op, const char *tier, double n,
				   double k, double batch, double a, double b)
{
	struct measured_curve c = { .ranks = 2, .n = n, .k = k,
		.batch = batch, .curve = curve_make(a, b, 0, CURVE_MEASURED) };

	snprintf(c.op, sizeof(c.op), "%s", op);
	snprintf(c.tier, sizeof(c.tier), "%s", tier);
	return c;
}

/*
 * The host's turn: counts of 8 experts in 4 chunks, 128 bytes at 1 ns each after
 * 20 us, and the plan of 200 choices of 4 bytes: 10 us and 10 ns a byte are
 * 18 us; between 2 chunks' and 8 chunks' 40 us + 0 in the geometric middle:
 * sqrt(18 * 40). Direct exchanges and those with a capacity have none.
 */
static void test_turn(void **state)
{
	struct measured_curve c[] = {
		curve(MEASURED_COUNTS, "nvlink", 0, 0, 0, 20e-6, 1e-9),
		curve(MEASURED_PLAN_FLAT, "memory", 8, 2, 2, 10e-6, 10e-9),
		curve(MEASURED_PLAN_FLAT, "memory", 8, 2, 8, 40e-6, 0),
		curve(MEASURED_PLAN_ESP, "memory", 8, 2, 2, 1e-3, 0),
	};
	const struct layout cut = { .ep = 1, .esp = 2, .tp = 1, .dp = 1,
				    .pp = 1 };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t, .n_curves = 4,
			      .curve = c };
	struct work w = { 0 };
	struct layer l;

	(void)state;
	make_table(&t);
	make_layer(&l, &m, &layout, A2A_FLAT, 0);
	layer_plan_work(&l, OP_GATE, 4, 0, &w);
	near(w.seconds, 20.128e-6 + sqrt(18e-6 * 40e-6));
	w.seconds = 0;
	layer_plan_work(&l, OP_GATE, 2, 0, &w);
	assert_true(fabs(w.seconds - 38.064e-6) < 1e-9);
	make_layer(&l, &m, &cut, A2A_FLAT, 0);
	w.seconds = 0;
	layer_plan_work(&l, OP_GATE, 1, 0, &w);
	near(w.seconds, 20.032e-6 + 1e-3);
	w.seconds = 0;
	make_layer(&l, &m, &layout, A2A_DIRECT, 0);
	layer_plan_work(&l, OP_GATE, 4, 0, &w);
	make_layer(&l, &m, &layout, A2A_FLAT, 25);
	layer_plan_work(&l, OP_GATE, 4, 0, &w);
	make_layer(&l, NULL, &layout, A2A_FLAT, 0);
	layer_plan_work(&l, OP_GATE, 4, 0, &w);
	near(w.seconds, 0);
	product_table_release(&t);
}

/* 100 rows of 64 in, 32 before and after the activation, 64 out: 192 elements
 * of 2 bytes, read and written at 1e12 B/s: 76.8 ns. */
static void test_regroup(void **state)
{
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };
	struct work w = { 0 };
	struct layer l;

	(void)state;
	make_table(&t);
	make_layer(&l, &m, &layout, A2A_FLAT, 0);
	layer_plan_work(&l, OP_EXPERT_BWD_DATA, 4, 100, &w);
	near(w.seconds, 76.8e-9);
	near(w.bytes, 76800);
	make_layer(&l, NULL, &layout, A2A_FLAT, 0);
	w = (struct work){ 0 };
	layer_plan_work(&l, OP_EXPERT_BWD_DATA, 4, 100, &w);
	near(w.seconds, 0);
	product_table_release(&t);
}

/*
 * 100 tokens of 128 bytes in 200 slots: the runner reads each token once, there
 * and for the gradients, 300 rows. Without measurements 400 and, with results
 * for the gate, 500. Direct: beside the rows
 * that are added, they have to be there: a barrier.
 */
static void test_permute(void **state)
{
	struct measured_curve sums = curve(MEASURED_SUMS, "memory", 64, 2, 8,
					   4e-6, 1e-9);
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };
	struct gpu fast = gpu;
	struct layer l;
	struct work w;

	(void)state;
	make_table(&t);
	make_layer(&l, &m, &layout, A2A_FLAT, 25);
	layer_work(&l, OP_PERMUTE, &w);
	near(w.bytes, 300 * 128);
	layer_work(&l, OP_UNPERMUTE_BWD, &w);
	near(w.bytes, 300 * 128);
	make_layer(&l, NULL, &layout, A2A_FLAT, 25);
	layer_work(&l, OP_PERMUTE, &w);
	near(w.bytes, 400 * 128);
	layer_work(&l, OP_UNPERMUTE_BWD, &w);
	near(w.bytes, 500 * 128);
	fast.direct.launch_s = 3e-6;
	make_layer(&l, &m, &layout, A2A_DIRECT, 25);
	l.gpu = &fast;
	l.direct = true;
	l.sums_bytes = 12800;
	layer_work(&l, OP_UNPERMUTE, &w);
	near(w.seconds, 3e-6 + 25600e-12);
	/* as it was measured: 4 us and 1 ns a byte, of which 200 weights and
	 * places are 8 each */
	m.curve = &sums;
	m.n_curves = 1;
	layer_work(&l, OP_UNPERMUTE, &w);
	near(w.seconds, 3e-6 + 4e-6 + (25600 + 1600) * 1e-9);
	near(w.bytes, 25600);
	product_table_release(&t);
}

/*
 * Dedup on two nodes of one GPU: of a rank's 100 tokens 90 have experts on its
 * node and 80 on the other one. Rows to where they leave, or from where they
 * come: 2 * 80; 170 rows are added up, not 200. In one chunk of two the experts'
 * 120 rows are moved once more and added up to 85. With products unknown all is
 * as without.
 */
static void test_dedup(void **state)
{
	const double rows[] = { 60, 60, 60, 60 };
	double sent[] = { 90 * 128, 80 * 128, 80 * 128, 90 * 128 };
	const struct workload w = { .ranks = 2, .token_bytes = 128,
		.dispatch.node_bytes = sent };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };
	struct layer flat, l;
	struct work a, b;

	(void)state;
	make_table(&t);
	make_layer(&flat, &m, &layout, A2A_DEDUP, 25);
	l = flat;
	layer_set_dedup(&l, &layout, &w);
	near(l.leads, 170);
	near(l.leads_away, 80);
	layer_work(&l, OP_PERMUTE, &a);
	near(a.bytes, (300 + 160) * 128);
	layer_work(&l, OP_UNPERMUTE, &a);
	near(a.bytes, (170 + 100 + 160) * 128);
	layer_expert_work(&flat, OP_EXPERT, rows, 0.5, false, &a);
	layer_expert_work(&l, OP_EXPERT, rows, 0.5, false, &b);
	near(b.bytes - a.bytes, (2 * 120 + 120 + 85) * 128);
	layer_expert_work(&flat, OP_EXPERT_BWD_WEIGHT, rows, 1, false, &a);
	layer_expert_work(&l, OP_EXPERT_BWD_WEIGHT, rows, 1, false, &b);
	near(b.bytes, a.bytes);
	make_layer(&l, NULL, &layout, A2A_DEDUP, 25);
	layer_set_dedup(&l, &layout, &w);
	near(l.leads, 0);
	product_table_release(&t);
}

/*
 * The gate backward: 100 tokens, 8 experts, 64 wide, elements of 2 bytes. Scores
 * 800 * 6; two products of 800 + 512 + 6,400 elements each; the first adds to
 * the 6,400 that the experts' rows left, where products were measured.
 */
static void test_gate_bwd(void **state)
{
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };
	struct layer l;
	struct work w;

	(void)state;
	make_table(&t);
	make_layer(&l, NULL, &layout, A2A_FLAT, 25);
	layer_work(&l, OP_GATE_BWD, &w);
	near(w.bytes, 4800 + 2 * 15424);
	make_layer(&l, &m, &layout, A2A_FLAT, 25);
	layer_work(&l, OP_GATE_BWD, &w);
	near(w.bytes, 4800 + 2 * 15424 + 12800);
	product_table_release(&t);
}

/*
 * A gate's kernels by their curves: top-k of 100 tokens, 8 experts, 2 choices
 * moves 100 * (32 + 16) + 32 = 4,832 bytes; the sort 1,600.
 */
static void test_gate(void **state)
{
	struct measured_curve c[] = {
		curve("topk", "memory", 8, 2, 0, 5e-6, 1e-9),
		curve("sort", "memory", 8, 2, 0, 7e-6, 1e-9),
	};
	struct measured m = { .n_curves = 2, .curve = c };

	(void)state;
	near(measured_kernel_seconds(&m, "topk", 100, 8, 2), 9.832e-6);
	near(measured_kernel_seconds(&m, "sort", 100, 8, 2), 8.6e-6);
	near(measured_kernel_seconds(&m, "combine", 100, 8, 2), 0);
	near(measured_kernel_seconds(NULL, "topk", 100, 8, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_padded),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_chance),
		cmocka_unit_test(test_turn),
		cmocka_unit_test(test_regroup),
		cmocka_unit_test(test_permute),
		cmocka_unit_test(test_dedup),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_gate_bwd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
