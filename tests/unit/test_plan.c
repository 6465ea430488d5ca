/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"
#include "scenarios/plan.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define LINE "ep=8 esp=2 tp=1 dp=4 pp=1 alltoall=2d degree=4/2 " \
	     "capacity=1.25 techniques=baseline"

static void test_print(void **state)
{
	struct plan p = {
		.layout = { .ep = 8, .esp = 2, .tp = 1, .dp = 4, .pp = 1 },
		.alltoall = A2A_2D, .degree_forward = 4, .degree_backward = 2,
		.capacity_factor = 1.25,
		.technique_mask = 1u << TECH_BASELINE,
	};
	char text[PLAN_EXCHANGE_MAX];
	struct buf b = { 0 };

	(void)state;
	plan_print(&p, &b);
	assert_string_equal(buf_str(&b), LINE);
	buf_clear(&b);
	p.capacity_factor = 0;
	plan_print(&p, &b);
	assert_non_null(strstr(buf_str(&b), " capacity=none "));
	buf_clear(&b);
	p.ctas = 24;	/* a word that is there only when it says something */
	plan_print(&p, &b);
	assert_non_null(strstr(buf_str(&b), " alltoall=2d ctas=24 degree="));
	buf_clear(&b);
	p.overlap = OVERLAP_WEIGHT;
	plan_print(&p, &b);
	assert_non_null(strstr(buf_str(&b), "=baseline overlap=weight"));
	assert_string_equal(plan_exchange_text(&p, text),
			    "2d ctas=24 overlap=weight");
	p.ctas = 0;
	p.overlap = OVERLAP_NONE;
	assert_string_equal(plan_exchange_text(&p, text), "2d");
	buf_release(&b);
}

static void check_round_trip(const struct plan *p)
{
	struct buf b = { 0 };
	struct plan q;

	plan_print(p, &b);
	assert_int_equal(plan_parse(buf_str(&b), &q), ST_OK);
	assert_int_equal(q.layout.ep, p->layout.ep);
	assert_int_equal(q.layout.esp, p->layout.esp);
	assert_int_equal(q.layout.tp, p->layout.tp);
	assert_int_equal(q.layout.dp, p->layout.dp);
	assert_int_equal(q.layout.pp, p->layout.pp);
	assert_int_equal(q.alltoall, p->alltoall);
	assert_int_equal(q.degree_forward, p->degree_forward);
	assert_int_equal(q.degree_backward, p->degree_backward);
	assert_true(q.capacity_factor == p->capacity_factor);
	assert_int_equal(q.technique_mask, p->technique_mask);
	assert_int_equal(q.ctas, p->ctas);
	assert_int_equal(q.overlap, p->overlap);
	assert_int_equal(q.dense, p->dense);
	assert_int_equal(q.dense_pieces, p->dense_pieces);
	assert_true(plan_same(&q, p));
	buf_release(&b);
}

static void test_round_trip(void **state)
{
	static const double factors[] = { 0, 1, 1.0 / 3, 0.1, 1.2500000001,
					  63.99999999999999 };
	struct plan p = { .layout = { 3, 5, 7, 11, 13 },
			  .technique_mask = 1 };
	size_t f;
	int a;

	(void)state;
	for (a = 0; a < A2A_N; a++) {
		for (f = 0; f < sizeof(factors) / sizeof(factors[0]); f++) {
			p.alltoall = (enum a2a_alg)a;
			p.degree_forward = 1 + a;
			p.degree_backward = PLAN_DEGREE_MAX - a;
			p.capacity_factor = factors[f];
			p.overlap = (enum plan_overlap)(f % OVERLAP_N);
			p.ctas = f % 2 ? PLAN_CTAS_MAX - (int)f : 0;
			p.dense = (enum plan_dense)(f % DENSE_N);
			p.dense_pieces = p.dense && a ? 1 + a : 0;
			check_round_trip(&p);
		}
	}
}

static void test_lenient(void **state)
{
	struct plan p;

	(void)state;
	assert_int_equal(plan_parse("\n techniques=baseline capacity=none\t"
				    "degree=3 alltoall=flat pp=1 dp=1 tp=1 "
				    "esp=1 ep=64 \n", &p), ST_OK);
	assert_int_equal(p.degree_forward, 3);
	assert_int_equal(p.degree_backward, 3);
	assert_int_equal(p.layout.ep, 64);
	assert_true(p.capacity_factor == 0);
	assert_int_equal(p.ctas, 0);
	assert_int_equal(plan_parse(LINE " ctas=0", &p), ST_OK);
	assert_int_equal(p.ctas, 0);
	assert_int_equal(plan_parse("ctas=7 " LINE, &p), ST_OK);
	assert_int_equal(p.ctas, 7);
	assert_int_equal(p.overlap, OVERLAP_NONE);
	assert_int_equal(plan_parse(LINE " overlap=none", &p), ST_OK);
	assert_int_equal(p.overlap, OVERLAP_NONE);
	assert_int_equal(plan_parse("overlap=weight " LINE, &p), ST_OK);
	assert_int_equal(p.overlap, OVERLAP_WEIGHT);
	assert_int_equal(p.dense, DENSE_APART);
	assert_int_equal(plan_parse(LINE " dense=apart", &p), ST_OK);
	assert_int_equal(p.dense, DENSE_APART);
	assert_int_equal(plan_parse(LINE " dense=chunks/8", &p), ST_OK);
	assert_int_equal(p.dense, DENSE_CHUNKS);
	assert_int_equal(p.dense_pieces, 8);
	assert_int_equal(plan_parse(LINE " dense=whole", &p), ST_OK);
	assert_int_equal(p.dense, DENSE_WHOLE);
	assert_int_equal(p.dense_pieces, 0);
	assert_int_equal(plan_parse(LINE " dense=half", &p), ST_INPUT);
	assert_int_equal(plan_parse(LINE " dense=whole/65", &p), ST_INPUT);
	assert_int_equal(plan_parse(LINE " dense=whole/", &p), ST_INPUT);
}

/* Plans that differ in one knob are different plans. */
static void test_equal(void **state)
{
	struct plan p, q;

	(void)state;
	assert_int_equal(plan_parse(LINE, &p), ST_OK);
	assert_int_equal(plan_parse(LINE, &q), ST_OK);
	assert_true(plan_same(&p, &q));
	q.ctas = 4;
	assert_false(plan_same(&p, &q));
	q.ctas = 0;
	assert_true(plan_same(&p, &q));
	q.dense = DENSE_WHOLE;
	assert_false(plan_same(&p, &q));
	p.dense = DENSE_WHOLE;
	q.dense_pieces = 3;
	assert_false(plan_same(&p, &q));
	p = q;
	q.ctas = 4;
	q = p;
	q.overlap = OVERLAP_WEIGHT;
	assert_false(plan_same(&p, &q));
	q = p;
	q.layout.pp++;
	assert_false(plan_same(&p, &q));
	q = p;
	q.degree_backward++;
	assert_false(plan_same(&p, &q));
	q = p;
	q.capacity_factor = 0;
	assert_false(plan_same(&p, &q));
}

/* LINE with one word replaced must be refused, and say `want`. */
static void refuse(const char *word, const char *with, const char *want)
{
	struct plan p = { .degree_forward = 77 };
	const char *at = strstr(LINE, word);
	char text[512];

	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - LINE), LINE, with,
		 at + strlen(word));
	assert_int_equal(plan_parse(text, &p), ST_INPUT);
	if (!strstr(err_msg(), want))
		fail_msg("'%s' lacks '%s'", err_msg(), want);
	assert_int_equal(strncmp(err_msg(), "plan: ", 6), 0);
	assert_int_equal(p.degree_forward, 77);	/* left alone */
}

static void test_errors(void **state)
{
	(void)state;
	refuse("ep=8", "ep=0", "'ep' is '0'");
	refuse("ep=8", "ep=-8", "'ep' is '-8'");
	refuse("ep=8", "ep=8x", "'ep' is '8x'");
	refuse("ep=8", "ep=99999999999999999999", "1..");
	refuse("ep=8", "ep= 8", "'ep' is ''");
	refuse("ep=8", "ep=8 ep=8", "'ep' is given twice");
	refuse("ep=8", "epp=8", "unknown word 'epp'");
	refuse("ep=8", "", "'ep' is missing");
	refuse("ep=8", "hello", "'hello' is not of the form NAME=VALUE");
	refuse("degree=4/2", "degree=4/", "'degree' is '4/'");
	refuse("degree=4/2", "degree=0/2", "'degree' is '0/2'");
	refuse("degree=4/2", "degree=4/2/1", "FORWARD/BACKWARD");
	refuse("degree=4/2", "degree=1025/2", "1..1024");
	refuse("capacity=1.25", "capacity=nan", "'capacity' is 'nan'");
	refuse("capacity=1.25", "capacity=-1", "'capacity' is '-1'");
	refuse("capacity=1.25", "capacity=0", "'none' or a number");
	refuse("capacity=1.25", "capacity=1e99", "'capacity' is '1e99'");
	refuse("alltoall=2d", "alltoall=3d", "allowed: flat, leader, 2d");
	refuse("techniques=baseline", "techniques=x", "allowed: baseline");
	refuse("techniques=baseline", "techniques=", "'techniques' is empty");
	refuse("degree=4/2", "degree=4/2 ctas=-1", "'ctas' is '-1'");
	refuse("degree=4/2", "degree=4/2 ctas=1025", "0..1024");
	refuse("degree=4/2", "degree=4/2 ctas=4 ctas=4",
	       "'ctas' is given twice");
	refuse("degree=4/2", "degree=4/2 overlap=all",
	       "'overlap' has 'all', allowed: none, weight");
	refuse("degree=4/2", "degree=4/2 overlap=none overlap=weight",
	       "'overlap' is given twice");
}

static void test_long_word(void **state)
{
	struct plan p;
	char big[5000];

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(plan_parse(big, &p), ST_INPUT);
	assert_non_null(strstr(err_msg(), "longer than"));
	assert_int_equal(plan_parse("", &p), ST_INPUT);
	assert_non_null(strstr(err_msg(), "missing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_long_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
