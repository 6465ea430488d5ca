/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Losses of products and exchanges side by side, from samples. */
#include "profiles/contention.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "profiles/fit.h"
#include "profiles/jsonl.h"
#include "scenarios/measured_json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* last: it needs the four above */
#include <cmocka.h>

#define GPU "NVIDIA H200"
#define FILE_MAX (64u << 20)

static struct store *db;
static int64_t run, pairs;

static int set_up(void **state)
{
	(void)state;
	pairs = 0;
	return store_open(STORE_MEMORY, STORE_WRITE, &db);
}

static int tear_down(void **state)
{
	(void)state;
	store_close(db);
	return 0;
}

static void near(double got, double want, double tolerance)
{
	if (!(fabs(got - want) <= tolerance))
		fail_msg("%.12g is not %.12g within %g", got, want,
			 tolerance);
}

static void new_run(const char *gpu)
{
	struct run_info info = { .backend = "cuda", .source = "test" };

	snprintf(info.gpu, sizeof(info.gpu), "%s", gpu);
	assert_int_equal(store_run(db, &info, NULL, &run), ST_OK);
}

static void add(const struct sample *s)
{
	if (store_add(db, run, s, 1))
		fail_msg("%s", err_msg());
}

/* As the runner writes them: product alone, exchange alone, both. */
static void add_pair(const char *op, const char *tier, int ctas, double p_s,
		     double x_s, double a, double b)
{
	struct sample p = { .tier = "compute", .dtype = "bf16", .ranks = 1,
			    .m = p_s * 1e7, .n = 64, .k = 64, .batch = 2,
			    .median_s = p_s };
	struct sample x = { .op = "alltoall", .variant = "even", .ranks = 2,
			    .ctas = ctas, .bytes = x_s * 1e10,
			    .median_s = x_s };

	snprintf(p.op, sizeof(p.op), "%s", op);
	snprintf(x.tier, sizeof(x.tier), "%s", tier);
	add(&p);
	add(&x);
	snprintf(p.tier, sizeof(p.tier), "%s", tier);
	snprintf(p.beside, sizeof(p.beside), "alltoall");
	snprintf(x.beside, sizeof(x.beside), "%s", op);
	p.pair = x.pair = ++pairs;
	contention_times(p_s, x_s, a, b, &p.median_s, &x.median_s);
	add(&p);
	add(&x);
}

/*
 * 6 and 3 seconds, losses 1/4 and 1/2: alone at those speeds they would take
 * 8 and 6. The exchange ends at 6; the product has done 4.5 of 6 then and
 * needs 1.5 more. The other way round, 3 and 6: 4 and 12; the product ends at
 * 4, the exchange has done 2 of 6: 8.
 */
static void test_times(void **state)
{
	double p, x;

	(void)state;
	contention_times(6, 3, 0.25, 0.5, &p, &x);
	near(p, 7.5, 1e-12);
	near(x, 6, 1e-12);
	contention_times(3, 6, 0.25, 0.5, &p, &x);
	near(p, 4, 1e-12);
	near(x, 8, 1e-12);
	contention_times(3, 6, 0, 0, &p, &x);
	near(p, 3, 1e-12);
	near(x, 6, 1e-12);
}

static void test_known_losses(void **state)
{
	struct measured m = { 0 };
	int i;

	(void)state;
	new_run(GPU);
	for (i = 1; i <= 4; i++) {
		add_pair("gemm", "nvlink", 8, 1e-4 * i, 2.5e-4, 0.11, 0.27);
		add_pair("gemm", "nvlink", 0, 1e-4 * i, 3e-4, 0.2, 0.031);
		add_pair("gemm", "shm", 0, 1e-4 * i, 1e-4 + 1e-5 * i, 0, 0.6);
		/* memory ops are not fitted */
		add_pair("permute", "nvlink", 8, 1e-4 * i, 2e-4, 0.5, 0.5);
	}
	new_run("another GPU");
	add_pair("gemm", "nvlink", 8, 1e-4, 2.5e-4, 0.8, 0.8);
	assert_int_equal(contention_measured(db, GPU, &m), ST_OK);
	assert_int_equal(m.n_contention, 3);
	assert_string_equal(m.contention[0].tier, "nvlink");
	assert_int_equal(m.contention[0].ctas, 8);
	assert_int_equal(m.contention[0].pairs, 4);
	near(m.contention[0].product_loss, 0.11, 1e-3);
	near(m.contention[0].own_loss, 0.27, 1e-3);
	near(m.contention[1].product_loss, 0.2, 1e-3);
	near(m.contention[1].own_loss, 0.031, 1e-3);
	near(m.contention[2].product_loss, 0, 1e-3);
	near(m.contention[2].own_loss, 0.6, 1e-3);
	near(m.contention[0].mape, 0, 1e-3);
	/* no limit is asked for: the one without, else the largest */
	assert_ptr_equal(measured_find_contention(&m, "nvlink", 0),
			 &m.contention[1]);
	assert_ptr_equal(measured_find_contention(&m, "nvlink", 6),
			 &m.contention[0]);
	assert_null(measured_find_contention(&m, "socket", 0));
	measured_release(&m);
}

/* What is no pair, is wrong, or was not measured alone as well. */
static void test_left_out(void **state)
{
	struct sample s = { .op = "gemm", .tier = "nvlink", .beside =
			    "alltoall", .m = 1, .n = 1, .k = 1, .batch = 1,
			    .median_s = 1, .pair = 77 };
	struct contention_pair *p;
	size_t n;

	(void)state;
	new_run(GPU);
	add_pair("gemm", "nvlink", 8, 1e-4, 2e-4, 0.1, 0.1);
	add(&s);	/* alone it was never timed, and has no partner */
	snprintf(s.op, sizeof(s.op), "alltoall");
	snprintf(s.beside, sizeof(s.beside), "gemm");
	s.pair = 0;
	add(&s);
	new_run(GPU);	/* alone in another run does not count */
	s = (struct sample){ .op = "gemm", .tier = "nvlink", .beside =
			     "alltoall", .m = 1e3, .n = 64, .k = 64,
			     .batch = 2, .median_s = 1, .pair = 78,
			     .dtype = "bf16" };
	add(&s);
	s = (struct sample){ .op = "alltoall", .variant = "even", .tier =
			     "nvlink", .beside = "gemm", .ranks = 2, .ctas = 8,
			     .bytes = 2e6, .median_s = 1, .pair = 78 };
	add(&s);
	assert_int_equal(contention_pairs(db, GPU, &p, &n), ST_OK);
	assert_int_equal(n, 1);
	near(p[0].product_s, 1e-4, 1e-12);
	near(p[0].exchange_s, 2e-4, 1e-12);
	free(p);
}

static void test_json(void **state)
{
	struct measured m = { .gpu = "g", .source = "s" }, back;
	struct buf b = { 0 };

	(void)state;
	m.n_contention = 1;
	m.contention = xcalloc(1, sizeof(*m.contention));
	m.contention[0] = (struct measured_contention){
		"shm", 4, 7, 0.125, 1.0 / 3, 0.01 };
	measured_json_print(&m, NULL, 0, &b);
	if (measured_json_parse("f", buf_str(&b), b.len, &back))
		fail_msg("%s", err_msg());
	assert_int_equal(back.n_contention, 1);
	assert_memory_equal(back.contention, m.contention,
			    sizeof(*m.contention));
	measured_release(&back);
	buf_release(&b);
	m.contention[0].own_loss = 1.5;
	measured_json_print(&m, NULL, 0, &b);
	assert_int_equal(measured_json_parse("f", buf_str(&b), b.len, &back),
			 ST_INPUT);
	assert_non_null(strstr(err_msg(), "contention 1: 'own_loss'"));
	buf_release(&b);
	measured_release(&m);
}

/* ---- the shipped samples: each pair in turn left out ---- */

static void load_shipped(void)
{
	const char *src = getenv("srcdir");
	char *path = xasprintf("%s/profiles/data/h200-x2.jsonl",
			       src ? src : ".");
	struct jsonl_result r = { 0 };
	char *text;
	size_t len;

	if (infile_read(path, FILE_MAX, &text, &len))
		fail_msg("%s", err_msg());
	assert_int_equal(store_load_jsonl(db, path, text, len, &r), ST_OK);
	jsonl_result_release(&r);
	free(text);
	free(path);
}

struct errors {
	double sum, worst;
	int n;
};

static void note(struct errors *e, double got, double want)
{
	double error = fabs(got / want - 1);

	e->sum += error;
	e->worst = fmax(e->worst, error);
	e->n++;
}

static void leave_out(struct contention_pair *p, size_t n, size_t i,
		      struct errors *e)
{
	struct contention_pair out = p[i];
	struct measured_contention c;
	double product, exchange;

	p[i] = p[n - 1];
	if (contention_fit(p, n - 1, out.tier, out.ctas, &c)) {
		contention_times(out.product_s, out.exchange_s,
				 c.product_loss, c.own_loss, &product,
				 &exchange);
		note(e, product, out.product_beside_s);
		note(e, exchange, out.exchange_beside_s);
	}
	p[i] = out;
}

/* Of what was left out: 12.0 %; the suite measures the pairs beside
 * sockets, the nearest ones (2 to 5 %), without limits of CTAs only. Exchanges
 * of 4 MB, whose few blocks wait behind the product's, are up to 68 % off. */
#define SHIPPED_MEAN 0.1205

static void test_shipped(void **state)
{
	struct contention_pair *p;
	struct errors e = { 0 };
	size_t n, i;

	(void)state;
	load_shipped();
	assert_int_equal(contention_pairs(db, GPU, &p, &n), ST_OK);
	for (i = 0; i < n; i++) {
		if (!strcmp(p[i].op, "gemm"))
			leave_out(p, n, i, &e);
	}
	free(p);
	if (!e.n)
		skip();	/* samples of before pairs were numbered */
	print_message("%d times beside, left out: mean %.1f %%, worst "
		      "%.1f %%\n", e.n, 100 * e.sum / e.n, 100 * e.worst);
	assert_true(e.sum / e.n <= SHIPPED_MEAN);
}

#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		WITH_STORE(test_known_losses),
		WITH_STORE(test_left_out),
		cmocka_unit_test(test_json),
		WITH_STORE(test_shipped),
	};

	return cmocka_run_group_tests_name("contention", tests, NULL, NULL);
}
