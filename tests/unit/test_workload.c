/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/route_help.h"

/* hidden 10 * 2 bytes */
#define TOKEN 20

static void make(const struct routing *r, struct cluster c, struct layout l,
		 double factor, struct workload *out)
{
	struct model m = help_model(r->tokens, r->experts, r->k);

	if (workload_make(r, &c, &m, &l, factor, out)) {
		fail_msg("workload_make: %s", err_msg());
	}
	workload_check(out);
}

static double rows_to(const struct workload *w, int src, int dst)
{
	return w->dispatch.bytes[src * w->ranks + dst] / TOKEN;
}

static void expect_matrix(const struct workload *w, const int *want)
{
	int i, n = w->ranks;

	for (i = 0; i < n * n; i++) {
		help_close(rows_to(w, i / n, i % n), want[i], 1e-9);
		help_close(w->combine.bytes[i % n * n + i / n] / TOKEN,
			   want[i], 1e-9);
	}
}

static void expect_rows(const struct workload *w, const double *want)
{
	int i;

	for (i = 0; i < w->ranks * w->local_experts; i++) {
		help_close(w->rows[i], want[i], 1e-9);
	}
}

/* ep 2, two experts a rank: rank 0 has experts 0 and 1, rank 1 2 and 3. */
static void two_ranks_by_hand(void **state)
{
	static const int count[] = { 7, 5, 3, 1,  5, 4, 4, 3 };
	static const int matrix[] = { 12, 4,  9, 7 };
	static const double rows[] = { 12, 9, 7, 4 };
	struct routing r = help_routing(2, 4, 2, 8, count);
	struct workload w;

	(void)state;
	make(&r, help_cluster(1, 2), help_layout(1, 1, 2, 1), 0, &w);
	expect_matrix(&w, matrix);
	expect_rows(&w, rows);
	assert_int_equal(w.routed, 32);
	assert_int_equal(w.dropped, 0);
	help_close(traffic_busiest(&w.dispatch), 9 * TOKEN, 1e-9);
	workload_release(&w);

	/* 5 slots (test_capacity.c): each sends 2 * 5 rows to each */
	make(&r, help_cluster(1, 2), help_layout(1, 1, 2, 1), 1.25, &w);
	assert_int_equal(w.capacity, 5);
	assert_null(w.dispatch.bytes);
	assert_int_equal(w.dispatch.group, 2);
	help_close(w.dispatch.each, 10 * TOKEN, 1e-9);
	help_close(w.rows[3], 10, 1e-9);
	assert_int_equal(w.kept, 30);
	assert_int_equal(w.dropped, 2);
	help_close(w.drop_fraction, 2.0 / 32, 1e-15);
	help_close(w.padding_fraction, 10.0 / 40, 1e-15);
	workload_release(&w);
	routing_release(&r);
}

/*
 * pp 2, ep 2, esp 2 on 8 ranks; 2 experts. Rank ((p*1+0)*2 + e)*2 + s; the
 * EP group of rank 0 is {0, 2}, of rank 1 {1, 3}, of rank 4 {4, 6}, ... . Rank
 * r sends count[r][0] to e = 0 and count[r][1] to e = 1 of its group. Expert
 * 0's rows on ranks 0 and 1: all that 0, 1, 2, 3 send to e = 0: 1+4+3+0 = 8.
 */
static void stages_and_shards_by_hand(void **state)
{
	static const int count[] = { 1, 4,  4, 1,  3, 2,  0, 5,
				     5, 0,  2, 3,  1, 4,  4, 1 };
	static const int matrix[] = {
		1, 0, 4, 0,  0, 0, 0, 0,
		0, 4, 0, 1,  0, 0, 0, 0,
		3, 0, 2, 0,  0, 0, 0, 0,
		0, 0, 0, 5,  0, 0, 0, 0,
		0, 0, 0, 0,  5, 0, 0, 0,
		0, 0, 0, 0,  0, 2, 0, 3,
		0, 0, 0, 0,  1, 0, 4, 0,
		0, 0, 0, 0,  0, 4, 0, 1 };
	static const double rows[] = { 8, 8, 12, 12,  12, 12, 8, 8 };
	struct routing r = help_routing(8, 2, 1, 5, count);
	struct workload w;

	(void)state;
	make(&r, help_cluster(2, 4), help_layout(2, 1, 2, 2), 0, &w);
	expect_matrix(&w, matrix);
	expect_rows(&w, rows);
	assert_null(w.dispatch.node_bytes);	/* top-1 */
	workload_release(&w);

	/* the same ranks as two data-parallel replicas: the same groups */
	make(&r, help_cluster(2, 4), help_layout(1, 2, 2, 2), 0, &w);
	expect_matrix(&w, matrix);
	workload_release(&w);

	/* factor 1: ceil(5/2) = 3 slots; a rank computes 2 peers * 2 shards */
	make(&r, help_cluster(2, 4), help_layout(2, 1, 2, 2), 1, &w);
	assert_int_equal(w.dispatch.stride, 2);
	help_close(w.dispatch.each, 3 * TOKEN, 1e-9);
	help_close(w.rows[5], 12, 1e-9);
	workload_release(&w);
	routing_release(&r);
}

/*
 * ep 4, 2 experts: expert 0 on EP 0 and 1, expert 1 on EP 2 and 3. Rank src
 * starts with replica (src + expert) % 2: rank 0 has 5 for expert 0: 3 to EP
 * 0, 2 to EP 1; 4 for expert 1: 2 and 2. Rank 1 starts at replica 1: 4 + 3
 * for expert 0 as 3 and 4; 2 for expert 1 as 1, 1. Rank 2: 9 as 5, 4; 0.
 * Rank 3: 1 as 0, 1; expert 1 starts at 0: 8 as 4, 4.
 */
static void replicas_by_hand(void **state)
{
	static const int count[] = { 5, 4,  7, 2,  9, 0,  1, 8 };
	static const int matrix[] = { 3, 2, 2, 2,
				      3, 4, 1, 1,
				      5, 4, 0, 0,
				      0, 1, 4, 4 };
	static const double rows[] = { 11, 11, 7, 7 };
	struct routing r = help_routing(4, 2, 1, 9, count);
	struct workload w;

	(void)state;
	make(&r, help_cluster(1, 4), help_layout(1, 1, 4, 1), 0, &w);
	expect_matrix(&w, matrix);
	expect_rows(&w, rows);
	workload_release(&w);

	/* ceil(4.5) = 5 slots over two replicas: 2.5 each */
	make(&r, help_cluster(1, 4), help_layout(1, 1, 4, 1), 1, &w);
	assert_int_equal(w.capacity, 5);
	help_close(w.dispatch.each, 2.5 * TOKEN, 1e-9);
	help_close(w.rows[0], 10, 1e-9);
	workload_release(&w);
	routing_release(&r);
}

/* Even counts need no matrix, padded or not. */
static void even_is_balanced(void **state)
{
	struct routing_spec spec = { .kind = ROUTING_UNIFORM };
	struct routing r;
	struct workload w;

	(void)state;
	help_make(&spec, 8, 16, 8, 2, &r);	/* 4 in each cell */
	make(&r, help_cluster(2, 4), help_layout(1, 1, 8, 1), 0, &w);
	assert_null(w.dispatch.bytes);
	help_close(w.dispatch.each, 4 * TOKEN, 1e-9);
	help_close(w.rows[7], 32, 1e-9);
	workload_release(&w);
	routing_release(&r);
}

/* n choose k */
static double choose(int n, int k)
{
	double c = 1;
	int i;

	for (i = 0; i < k; i++) {
		c = c * (n - i) / (i + 1);
	}
	return n < k ? 0 : c;
}

/*
 * 4 nodes of 4 ranks, 32 experts, top-4: a node has 8 of them. Tokens with
 * an expert there: T (1 - C(24, 4) / C(32, 4)); for padded exchanges the
 * slots stand for slots * 32 / 4 tokens.
 */
static void distinct_is_hypergeometric(void **state)
{
	struct routing_spec spec = { .kind = ROUTING_UNIFORM };
	double share = 1 - choose(24, 4) / choose(32, 4);
	struct routing r;
	struct workload w;
	int i;

	(void)state;
	help_make(&spec, 16, 64, 32, 4, &r);
	make(&r, help_cluster(4, 4), help_layout(1, 1, 16, 1), 0, &w);
	for (i = 0; i < 64; i++) {
		help_close(w.dispatch.node_bytes[i], 64 * TOKEN * share, 1e-6);
	}
	workload_release(&w);
	make(&r, help_cluster(4, 4), help_layout(1, 1, 16, 1), 1.2, &w);
	assert_int_equal(w.capacity, 10);	/* ceil(8 * 1.2) */
	for (i = 0; i < 64; i++) {
		help_close(w.dispatch.node_bytes[i], 80 * TOKEN * share, 1e-6);
	}
	workload_release(&w);
	routing_release(&r);
}

/*
 * Two nodes of one rank, two experts each, 10 tokens, top-2. Rank 0 has 10
 * for expert 0 and 10 for expert 3: every token goes to both nodes (the
 * expectation alone says 10 (1 - .5 * .25/.75) = 8.33). Rank 1 has 1 copy for
 * node 1: 1 token, not 10 (1 - .95 * .7/.75) = 1.13.
 */
static void distinct_is_bounded(void **state)
{
	static const int count[] = { 10, 0, 0, 10,  9, 10, 1, 0 };
	static const int want[] = { 10, 10, 10, 1 };
	struct routing r = help_routing(2, 4, 2, 10, count);
	struct workload w;
	int i;

	(void)state;
	make(&r, help_cluster(2, 1), help_layout(1, 1, 2, 1), 0, &w);
	for (i = 0; i < 4; i++) {
		help_close(w.dispatch.node_bytes[i] / TOKEN, want[i], 1e-9);
	}
	workload_release(&w);
	routing_release(&r);
}

/* 2 nodes of 4: EP groups of 4 (dp 2) stay on their node; ESP 2 spans. */
static void distinct_stays_in_the_group(void **state)
{
	struct routing_spec spec = { .kind = ROUTING_UNIFORM };
	struct routing r;
	struct workload w;
	int i;

	(void)state;
	help_make(&spec, 8, 64, 8, 2, &r);
	make(&r, help_cluster(2, 4), help_layout(1, 2, 4, 1), 0, &w);
	for (i = 0; i < 8; i++) {	/* every token has all its experts */
		help_close(w.dispatch.node_bytes[i * 2 + i / 4], 64 * TOKEN,
			   1e-6);
		help_close(w.dispatch.node_bytes[i * 2 + 1 - i / 4], 0, 0);
	}
	workload_release(&w);
	/* ep 4 over both nodes, 4 experts each: 1 - C(4,2)/C(8,2) = 11/14 */
	make(&r, help_cluster(2, 4), help_layout(1, 1, 4, 2), 0, &w);
	for (i = 0; i < 16; i++) {
		help_close(w.dispatch.node_bytes[i], 64 * TOKEN * 11.0 / 14,
			   1e-6);
	}
	workload_release(&w);
	/* one expert per node: nothing goes twice */
	make(&r, help_cluster(8, 1), help_layout(1, 1, 8, 1), 0, &w);
	assert_null(w.dispatch.node_bytes);
	workload_release(&w);
	routing_release(&r);
}

/*
 * A trace of three tokens, top-2 of 4 experts, two ranks on two nodes (two
 * experts each), 4 tokens a rank: rank 0 has 0 1 2 0, rank 1 has 1 2 0 1.
 * {0,1} only node 0; {1,2} both; {3,2} only node 1. Node 0 of rank 0: tokens
 * 0, 1, 0: 3; node 1: 1, 2: 2. Rank 1: node 0: 1, 0, 1: 3; node 1: 1, 2, 1.
 */
static void trace_counts_tokens(void **state)
{
	static const char text[] = "# 4 experts\ntoken,layer,e0,e1\n"
				   "5,0,0,1\n5,1,0,2\n6,0,1,2\n8,0,3,2\n";
	static const int want[] = { 3, 2, 3, 3 };
	static const int count[] = { 2, 3, 2, 1,  1, 3, 3, 1 };
	struct routing_spec spec = { .kind = ROUTING_TRACE, .layer = -1 };
	struct routing r;
	struct workload w;
	int i;

	(void)state;
	spec.file = help_file(text, sizeof(text) - 1);
	help_make(&spec, 2, 4, 4, 2, &r);
	for (i = 0; i < 8; i++) {
		assert_int_equal(r.count[i], count[i]);
	}
	make(&r, help_cluster(2, 1), help_layout(1, 1, 2, 1), 0, &w);
	for (i = 0; i < 4; i++) {
		help_close(w.dispatch.node_bytes[i] / TOKEN, want[i], 1e-9);
	}
	workload_release(&w);
	routing_release(&r);
	unlink(spec.file);
}

/* Bounds and conservation over layouts, kinds and factors. */
static void layouts_conserve(void **state)
{
	static const struct { int pp, dp, ep, esp, experts, k; } l[] = {
		{ 1, 1, 24, 1, 48, 5 }, { 2, 1, 6, 2, 12, 3 },
		{ 1, 3, 4, 2, 8, 2 }, { 3, 1, 8, 1, 4, 2 },
		{ 1, 2, 12, 1, 6, 4 }, { 2, 2, 3, 2, 9, 1 },
		{ 1, 1, 1, 24, 7, 2 }, { 24, 1, 1, 1, 5, 5 },
	};
	static const double factor[] = { 0, 0.4, 1, 1.37, 9 };
	struct routing_spec spec = { .kind = ROUTING_LOG_NORMAL, .skew = 1 };
	struct routing r;
	struct workload w;
	size_t i, j, n;

	(void)state;
	for (i = 0; i < sizeof(l) / sizeof(l[0]); i++) {
		spec.seed = i;
		help_make(&spec, 24, 101, l[i].experts, l[i].k, &r);
		for (j = 0; j < sizeof(factor) / sizeof(factor[0]); j++) {
			make(&r, help_cluster(4, 6),
			     help_layout(l[i].pp, l[i].dp, l[i].ep, l[i].esp),
			     factor[j], &w);
			assert_int_equal(w.kept + w.dropped, 24 * 101 * l[i].k);
			for (n = 0; w.dispatch.node_bytes && !factor[j] &&
			     n < 24 * 4; n++) {
				assert_true(w.dispatch.node_bytes[n] <=
					    101 * TOKEN + 1e-6);
			}
			workload_release(&w);
		}
		routing_release(&r);
	}
}

/* What a matrix of its own would not fit for is refused, not tried. */
static void too_large_is_refused(void **state)
{
	struct routing_spec spec = { .kind = ROUTING_ZIPF, .skew = 1 };
	struct cluster c = help_cluster(2048, 8);
	struct layout l = help_layout(1, 256, 64, 1);
	struct model m = help_model(64, 64, 2);
	struct routing r;
	struct workload w;

	(void)state;
	help_make(&spec, 16384, 64, 64, 2, &r);
	assert_int_equal(workload_make(&r, &c, &m, &l, 0, &w), ST_INPUT);
	assert_non_null(strstr(err_msg(), "16384 ranks"));
	assert_int_equal(workload_make(&r, &c, &m, &l, 1.5, &w), ST_OK);
	assert_null(w.dispatch.bytes);
	workload_release(&w);
	routing_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_ranks_by_hand),
		cmocka_unit_test(stages_and_shards_by_hand),
		cmocka_unit_test(replicas_by_hand),
		cmocka_unit_test(even_is_balanced),
		cmocka_unit_test(distinct_is_hypergeometric),
		cmocka_unit_test(distinct_is_bounded),
		cmocka_unit_test(distinct_stays_in_the_group),
		cmocka_unit_test(trace_counts_tokens),
		cmocka_unit_test(layouts_conserve),
		cmocka_unit_test(too_large_is_refused),
	};

	gsl_set_error_handler_off();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
