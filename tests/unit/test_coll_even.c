/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Balanced traffic, folded to one node, against the same flow by flow; uneven
 * traffic conserved; the laws of rings and trees; sizes that fit no list.
 */
#include "tests/unit/coll_bench.h"

static struct traffic expand(const struct traffic *t, int nodes)
{
	int n = t->n_ranks, span = t->group * t->stride, s, d, m;
	struct traffic out = *t;

	out.bytes = xcalloc((size_t)n * (size_t)n, sizeof(double));
	for (s = 0; s < n; s++) {
		for (d = 0; d < n; d++) {
			if (s % t->stride == d % t->stride &&
			    s / span == d / span)
				out.bytes[s * n + d] = t->each;
		}
	}
	if (!(t->node_each > 0))
		return out;
	out.node_each = 0;
	out.node_bytes = xcalloc((size_t)n * (size_t)nodes, sizeof(double));
	for (s = 0; s < n; s++) {
		for (d = 0; d < n; d++) {
			m = d / (n / nodes);
			if (out.bytes[s * n + d] > 0)
				out.node_bytes[s * nodes + m] = t->node_each;
		}
	}
	return out;
}

static void compare(const struct coll *a, const struct coll *b)
{
	int i;

	assert_int_equal(a->n_steps, b->n_steps);
	assert_int_equal(a->messages, b->messages);
	for (i = 0; i < a->n_steps; i++) {
		const struct coll_step *x = &a->step[i], *y = &b->step[i];

		NEAR(x->flow_s, y->flow_s);
		NEAR(x->bound_s, y->bound_s);
		NEAR(x->fixed_s, y->fixed_s);
		NEAR(x->copy_s, y->copy_s);
		NEAR(x->busiest_bytes, y->busiest_bytes);
		NEAR(x->largest_bytes, y->largest_bytes);
		NEAR(coll_step_time(x, 0.3), coll_step_time(y, 0.3));
		assert_true(x->bound_s <= x->flow_s * (1 + 1e-9));
	}
}

/* Every algorithm, direction and window: balanced against flow by flow. */
static void compare_all(const struct cluster *c, int group, int stride)
{
	int n = c->nodes * c->gpus_per_node, alg, i;
	struct traffic even = { .n_ranks = n, .each = 2.385 * MB,
				.group = group, .stride = stride,
				.node_each = 3.1 * MB };
	struct traffic dense = expand(&even, c->nodes);
	struct bench x, y;

	bench_init(&x, c);
	bench_init(&y, c);
	y.spec.keep_flows = true;
	for (i = 0; i < A2A_N * 4; i++) {
		alg = i / 4;
		x.spec.comm.window = y.spec.comm.window = i % 4 / 2 * 3;
		solve(&x, alg, &even, i % 2);
		solve(&y, alg, &dense, i % 2);
		compare(&x.coll, &y.coll);
		coll_check(&y.spec, alg, &dense, i % 2, &y.coll);
	}
	traffic_release(&dense);
	bench_release(&x);
	bench_release(&y);
}

static void compare_groups(const struct cluster *c)
{
	int n = c->nodes * c->gpus_per_node;

	compare_all(c, n, 1);
	compare_all(c, c->gpus_per_node, 1);
	compare_all(c, 2, 1);
	compare_all(c, n / 2, 2);
	compare_all(c, c->gpus_per_node * 2, 1);
	compare_all(c, c->nodes, c->gpus_per_node);
	compare_all(c, 3, c->gpus_per_node * 2);
	compare_all(c, 3, 1);	/* across nodes in the middle: not regular */
}

static void test_balanced(void **state)
{
	struct cluster c = make_cluster(6, 4);
	int kind;

	(void)state;
	for (kind = FABRIC_NONBLOCKING; kind <= FABRIC_RACK; kind++) {
		c = make_cluster(6, 4);
		c.fabric.kind = (enum fabric_kind)kind;
		c.fabric.oversubscription = 3;
		c.fabric.core_oversubscription = 1.5;
		c.fabric.leaves_per_pod = 3;
		compare_groups(&c);
		c.fabric.nodes_per_leaf = 4;	/* the last one half full */
		compare_groups(&c);
	}
	c = make_cluster(6, 4);
	c.fabric.kind = FABRIC_RAIL;
	c.pxn = true;
	compare_groups(&c);
	c.nic.per_gpu = 0;
	c.nic.per_node = 2;
	compare_groups(&c);
	for (kind = INTRA_NVLINK_PAIRS; kind <= INTRA_PCIE; kind++) {
		c = make_cluster(6, 4);
		c.intra.kind = (enum intra_kind)kind;
		compare_groups(&c);
	}
}

static uint64_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/*
 * Uneven, with empty cells: bytes conserved, the bound holds, and combine of
 * the transposed traffic takes what dispatch takes (the network is the same
 * both ways). One rank sends G - 1 messages where it received them, so only
 * the flows are compared.
 */
static void test_uneven(void **state)
{
	struct cluster c = make_cluster(3, 4);
	uint64_t seed = 7;
	struct bench b;
	int alg, i, k;

	(void)state;
	c.fabric.kind = FABRIC_RAIL;
	c.fabric.oversubscription = 2;
	bench_init(&b, &c);
	b.spec.keep_flows = true;
	for (i = 0; i < 20; i++) {
		struct traffic t = { .n_ranks = 12,
				     .bytes = xcalloc(144, sizeof(double)) };
		struct traffic back;

		for (k = 0; k < 144; k++) {
			t.bytes[k] = random_next(&seed) % 3 ?
				(double)(random_next(&seed) % 999983) : 0;
		}
		traffic_transpose(&t, 3, &back);
		for (alg = 0; alg < A2A_N; alg++) {
			double sum = 0;

			solve(&b, alg, &t, false);
			coll_check(&b.spec, alg, &t, false, &b.coll);
			for (k = 0; k < b.coll.n_steps; k++)
				sum += b.coll.step[k].flow_s;
			solve(&b, alg, &back, true);
			coll_check(&b.spec, alg, &back, true, &b.coll);
			for (k = 0; k < b.coll.n_steps; k++)
				sum -= b.coll.step[k].flow_s;
			assert_true(fabs(sum) < 1e-12);
		}
		traffic_release(&t);
		traffic_release(&back);
	}
	bench_release(&b);
}

static double ring_flow(struct bench *b, enum coll_op op, int group,
			int stride, double bytes)
{
	coll_release(&b->coll);
	if (coll_ring(&b->spec, op, group, stride, bytes, &b->coll))
		fail_msg("%s", err_msg());
	assert_int_equal(b->coll.n_steps, 1);
	assert_true(b->coll.step[0].bound_s <=
		    b->coll.step[0].flow_s * (1 + 1e-9));
	return b->coll.step[0].flow_s;
}

/*
 * busbw (nccl-tests) is the link's rate: on one node NVLink's; on many, L
 * rings over L NICs: each NIC carries (n-1)/n / L of the bytes.
 */
static void test_ring(void **state)
{
	struct cluster c = make_cluster(1, 8);
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	NEAR(ring_flow(&b, COLL_ALLGATHER, 8, 1, 8 * MB),
	     7.0 / 8 * 8 * MB / 100e9);
	/* 7 edges, each latency 1 and message 0.1 */
	NEAR(b.coll.step[0].fixed_s, (5 + 7 * 1.1) * US);
	assert_int_equal(b.coll.step[0].lane, LANE_INTRA);
	NEAR(ring_flow(&b, COLL_REDUCESCATTER, 4, 2, 8 * MB),
	     3.0 / 4 * 8 * MB / 100e9);
	NEAR(ring_flow(&b, COLL_ALLREDUCE, 8, 1, 8 * MB),
	     2 * 7.0 / 8 * 8 * MB / 100e9);
	NEAR(ring_flow(&b, COLL_ALLREDUCE, 1, 1, 8 * MB), 0);
	NEAR(coll_time(&b.coll, 1), 0);
	NEAR(ring_flow(&b, COLL_SENDRECV, 8, 1, 8 * MB), 8 * MB / 100e9);
	bench_release(&b);
	c = make_cluster(4, 8);
	c.fabric.kind = FABRIC_RAIL;
	c.fabric.oversubscription = 100;	/* rings stay on their rail */
	bench_init(&b, &c);
	NEAR(ring_flow(&b, COLL_ALLGATHER, 32, 1, 32 * MB),
	     31.0 / 32 * 32 * MB / 8 / 10e9);
	assert_int_equal(b.coll.step[0].lane, LANE_INTER);
	/* replicas of one local rank: one ring over one NIC */
	NEAR(ring_flow(&b, COLL_ALLREDUCE, 4, 8, 4 * MB),
	     2 * 3.0 / 4 * 4 * MB / 10e9);
	NEAR(b.coll.step[0].fixed_s, (10 + 2 * 3 * 3.5) * US);
	bench_release(&b);
}

/*
 * Two nodes: both trees are the one pair, half of the bytes each, both ways:
 * bytes / NIC. From four nodes on an inner node sends half up and half to
 * each of two children in its tree and half up in the other: 2 * bytes.
 */
static void test_tree(void **state)
{
	struct cluster c = make_cluster(8, 1);
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	NEAR(ring_flow(&b, COLL_ALLREDUCE_TREE, 2, 1, 4 * MB),
	     4 * MB / 10e9);
	NEAR(ring_flow(&b, COLL_ALLREDUCE_TREE, 8, 1, 4 * MB),
	     2 * 4 * MB / 10e9);
	/* 3 levels up, 3 down */
	NEAR(b.coll.step[0].fixed_s, (10 + 6 * 3.5) * US);
	assert_true(ring_flow(&b, COLL_ALLREDUCE_TREE, 4, 1, 4 * MB) <=
		    2 * 4 * MB / 10e9 * (1 + 1e-9));
	bench_release(&b);
}

/* 100,000 GPUs in what a test can wait for; EP groups inside nodes too. */
static void test_large(void **state)
{
	struct cluster c = make_cluster(12500, 8);
	struct traffic t = { .n_ranks = 100000, .each = 1e3, .group = 100000,
			     .stride = 1 };
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	/* 99,992 messages over the NIC, 7 beside them over NVLink */
	NEAR(solve(&b, A2A_FLAT, &t, false)->step[0].flow_s,
	     99992 * 1e3 / 10e9);
	t.group = 8;
	NEAR(solve(&b, A2A_FLAT, &t, false)->step[0].flow_s,
	     7 * 1e3 / 100e9);
	NEAR(b.coll.step[0].fixed_s, (5 + 7 * 0.1 + 1) * US);
	bench_release(&b);
}

static void test_too_many(void **state)
{
	struct cluster c = make_cluster(2501, 4);
	struct traffic t = { .n_ranks = 10004, .each = 1e3, .group = 10004,
			     .stride = 1 };
	struct bench b;

	(void)state;
	c.fabric.kind = FABRIC_LEAF_SPINE;
	bench_init(&b, &c);
	assert_int_equal(coll_alltoall(&b.spec, A2A_FLAT, &t, false, &b.coll),
			 ST_INPUT);
	assert_non_null(strstr(err_msg(), "10004 of 10004 GPUs"));
	bench_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_balanced),
		cmocka_unit_test(test_uneven),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
