/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times that no all-to-all can be under: by hand, and under all of them. */
#include "tests/unit/coll_bench.h"

/* Cell (i, j) is 4i + j + 1 MB, as in test_coll.c. */
static struct traffic numbered(void)
{
	struct traffic t = { .n_ranks = 4,
			     .bytes = xcalloc(16, sizeof(double)) };

	for (int i = 0; i < 16; i++)
		t.bytes[i] = (i + 1) * MB;
	return t;
}

/*
 * Node 1 sends 9 + 10 + 13 + 14 = 46 MB to node 0, by two ports of 10 GB/s:
 * 2300 us. With a leaf for each node and 4:1 one uplink of 5 GB/s: 9200 us.
 * dedup, of 1, 2, 3 and 4 MB from ranks 0 .. 3 to the other node: 7 MB of
 * node 1, 350 us or 1400.
 */
static void by_hand(const struct cluster *c, double copies_us,
		    double distinct_us)
{
	double distinct[8] = { 9, 1, 9, 2, 3, 9, 4, 9 };
	struct traffic t = numbered();
	struct coll_crossing x;
	struct coll least;
	struct bench b;

	for (int i = 0; i < 8; i++)
		distinct[i] *= MB;
	t.node_bytes = distinct;
	bench_init(&b, c);
	coll_crossing_of(&b.net, &t, false, &x);
	assert_true(x.node_bytes == 46 * MB);
	assert_int_equal(coll_least(&b.spec, A2A_LEADER, &t, false, &x,
				    &least), ST_OK);
	assert_int_equal(least.n_steps, 3);
	assert_true(least.step[0].flow_s == 0);
	assert_true(fabs(least.step[1].flow_s / (copies_us * US) - 1) < 2e-6);
	assert_true(least.step[1].flow_s < copies_us * US);
	coll_crossing_of(&b.net, &t, true, &x);
	assert_true(x.node_bytes == 7 * MB);
	assert_int_equal(coll_least(&b.spec, A2A_DEDUP, &t, true, &x, &least),
			 ST_OK);
	assert_true(least.step[0].flow_s == 0);
	assert_true(fabs(least.step[1].flow_s / (distinct_us * US) - 1) <
		    2e-6);
	t.node_bytes = NULL;
	traffic_release(&t);
	bench_release(&b);
}

static void test_by_hand(void **state)
{
	struct cluster c = make_cluster(2, 2);

	(void)state;
	by_hand(&c, 2300, 350);
	c.fabric.kind = FABRIC_LEAF_SPINE;
	c.fabric.nodes_per_leaf = 1;
	c.fabric.oversubscription = 4;
	by_hand(&c, 9200, 1400);
}

static uint64_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* Groups of `group`, `stride` apart; a token of 1 kB may go to two ranks of a
 * node. */
static struct traffic draw(const struct cluster *c, int group, int stride,
			   uint64_t *seed)
{
	int n = c->nodes * c->gpus_per_node, hot = (int)(random_next(seed) %
							 (uint64_t)n);
	struct traffic t = { .n_ranks = n, .group = group, .stride = stride };

	t.bytes = xcalloc((size_t)n * (size_t)n, sizeof(double));
	t.node_bytes = xcalloc((size_t)n * (size_t)c->nodes, sizeof(double));
	for (int s = 0; s < n; s++) {
		int first = s - s / stride % group * stride;

		for (int j = 0; j < group; j++) {
			int d = first + j * stride;
			double v = 1e3 * (double)(random_next(seed) % 5000) *
				(d == hot ? 7 : 1);
			double *to = &t.node_bytes[s * c->nodes +
						   d / c->gpus_per_node];

			t.bytes[s * n + d] = v;
			*to = fmax(*to, v);
		}
	}
	return t;
}

static void below_all(const struct cluster *c, const struct traffic *t,
		      bool reverse)
{
	struct bench b;

	bench_init(&b, c);
	b.spec.bound_only = true;
	for (int a = 0; a < A2A_N; a++) {
		enum a2a_alg alg = (enum a2a_alg)a;
		struct coll_crossing x;
		const struct coll *full;
		struct coll least;

		if (alg == A2A_DIRECT)
			continue;
		coll_crossing_of(&b.net, t, alg == A2A_DEDUP, &x);
		full = solve(&b, alg, t, reverse);
		assert_int_equal(coll_least(&b.spec, alg, t, reverse, &x,
					    &least), ST_OK);
		assert_int_equal(least.n_steps, full->n_steps);
		for (int i = 0; i < full->n_steps * 3; i++) {
			double share = 1.0 / (1 << i % 3);

			assert_true(coll_step_time(&least.step[i / 3], share) <=
				    coll_step_time(&full->step[i / 3], share));
		}
	}
	bench_release(&b);
}

/* What search_queue.c rests on: pairwise is no faster than flat. */
static void pairwise_not_faster(const struct cluster *c,
				const struct traffic *t, bool reverse)
{
	struct bench f, p;

	bench_init(&f, c);
	bench_init(&p, c);
	f.spec.bound_only = p.spec.bound_only = true;
	solve(&f, A2A_FLAT, t, reverse);
	solve(&p, A2A_PAIRWISE, t, reverse);
	for (int i = 1; i <= 8; i *= 2) {
		assert_true(coll_time(&f.coll, 1.0 / i) <=
			    coll_time(&p.coll, 1.0 / i) * (1 + 1e-9));
	}
	bench_release(&f);
	bench_release(&p);
}

static void test_below_all(void **state)
{
	static const struct { int group, stride; } way[] = {
		{ 32, 1 }, { 8, 4 }, { 16, 2 }, { 2, 4 }, { 4, 1 },
	};
	static const enum fabric_kind kind[] = {
		FABRIC_NONBLOCKING, FABRIC_RAIL, FABRIC_LEAF_SPINE,
		FABRIC_FAT_TREE, FABRIC_RACK,
	};
	struct cluster c = make_cluster(8, 4);
	uint64_t seed = 12;

	(void)state;
	c.fabric.oversubscription = 3;
	for (int i = 0; i < 5 * 5 * 2; i++) {
		struct traffic t = draw(&c, way[i % 5].group,
					way[i % 5].stride, &seed);

		c.fabric.kind = kind[i / 5 % 5];
		c.nic.per_gpu = i < 25;
		c.nic.per_node = i < 25 ? 0 : 2;
		below_all(&c, &t, i % 2);
		pairwise_not_faster(&c, &t, i % 2);
		traffic_release(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_below_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
