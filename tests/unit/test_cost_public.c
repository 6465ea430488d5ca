/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Product costs against public tables of an H200; skipped when absent. */
#include "sim/cost.h"
#include "sim/cost_layer.h"

#include "scenarios/measured.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_measured(const char *name)
{
	const char *shared = getenv("MOECAST_SHARED");
	const char *src = getenv("srcdir");
	char path[4096];

	if (shared) {
		snprintf(path, sizeof(path), "%s/data/measured/%s", shared,
			 name);
	} else {
		snprintf(path, sizeof(path), "%s/../shared/data/measured/%s",
			 src ? src : ".", name);
	}
	return fopen(path, "r");
}

static struct gpu h200(void)
{
	const struct scenario_set set = { "cluster.gpu=h200-sxm" };
	struct scenario s;
	struct gpu g;

	if (scenario_load(&s, SRCDATADIR "/default.yaml", &set, 1))
		fail_msg("%s", err_msg());
	g = s.cluster.gpu;
	scenario_release(&s);
	return g;
}

struct errors {
	double abs, sum;
	int n;
};

static void errors_add(struct errors *e, double predicted, double measured)
{
	e->abs += fabs(predicted / measured - 1);
	e->sum += predicted / measured - 1;
	e->n++;
}

static double errors_print(const char *what, const struct errors *e)
{
	print_message("%s: %d rows, mean error %.1f %%, bias %+.1f %%\n", what,
		      e->n, 100 * e->abs / e->n, 100 * e->sum / e->n);
	return e->abs / e->n;
}

/* bf16 products on H200: large ones, and those of an expert FFN's size. */
static void test_measured_gemm(void **state)
{
	FILE *f = open_measured("h200_gemm_bf16.csv");
	struct errors large = { 0 }, medium = { 0 }, rest = { 0 };
	struct gpu g;
	char line[256];
	double m, n, k, us, flop;

	(void)state;
	if (!f)
		skip();
	g = h200();
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lf,%lf,%lf,%lf", &m, &n, &k, &us) != 4)
			continue;
		flop = 2 * m * n * k;
		errors_add(flop >= 1e12 ? &large : flop >= 1e11 ? &medium :
			   &rest, cost_gemm(&g, DT_BF16, m, n, k, 1),
			   us * 1e-6);
	}
	fclose(f);
	assert_true(large.n > 300 && medium.n > 1000);
	errors_print("products below 1e11 FLOP", &rest);
	assert_true(errors_print("1e11 to 1e12 FLOP", &medium) < 0.12);
	assert_true(errors_print("from 1e12 FLOP", &large) < 0.1);
}

static double sort_time(const struct gpu *g, double tokens, double rows,
			double hidden)
{
	return cost_stream(g, 2 * rows * hidden * 2) +
		cost_stream(g, (rows + tokens) * hidden * 2);
}

/*
 * Mixtral's FFN, balanced. The measured operator sorts the rows by expert
 * first and sums them up at last: so does the prediction. Below about 1000
 * rows per expert or with small shards it is bound by launches that the
 * model does not know.
 */
static void test_measured_ffn(void **state)
{
	FILE *f = open_measured("h200_moe_ffn_mixtral.csv");
	struct model m = { .hidden = 4096, .gated = true, .dtype = DT_BF16,
			   .experts = 8, .experts_per_token = 2 };
	struct errors few = { 0 }, many = { 0 };
	struct gpu g;
	struct layer l = { .model = &m };
	struct work w;
	char line[512];
	double tokens, hidden, inter, topk, us, rows[256];
	int experts, tp, ep, i;

	(void)state;
	if (!f)
		skip();
	g = h200();
	l.gpu = &g;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lf,%lf,%lf,%lf,%d,%d,%d,balanced,%lf",
			   &tokens, &hidden, &inter, &topk, &experts, &tp,
			   &ep, &us) != 8 || hidden != m.hidden)
			continue;
		l.local_experts = experts / ep;
		l.ffn = inter / tp;
		for (i = 0; i < l.local_experts && i < 256; i++)
			rows[i] = tokens * topk / experts;
		us -= 1e6 * sort_time(&g, tokens, experts / ep *
				      tokens * topk / experts, hidden);
		layer_expert_work(&l, OP_EXPERT, rows, 1, false, &w);
		errors_add(rows[0] >= 1000 && tp <= 2 ? &many : &few,
			   w.seconds, us * 1e-6);
	}
	fclose(f);
	assert_true(many.n >= 40);
	errors_print("FFN, fewer rows or smaller shards", &few);
	assert_true(errors_print("FFN, 1000 rows, whole or half", &many) <
		    0.1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measured_gemm),
		cmocka_unit_test(test_measured_ffn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
