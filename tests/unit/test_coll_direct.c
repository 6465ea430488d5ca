/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The direct exchange, worked by hand (times in us, bytes in MB, rates as in
 * test_coll.c: NVLink 0.1 MB/us, HBM 1 MB/us), and how many rows it moves.
 */
#include "tests/unit/coll_bench.h"

#include "scenarios/program.h"
#include "sim/cost.h"

#define TOKENS 512
#define HIDDEN 64

static struct cluster direct_cluster(int nodes, int gpus)
{
	struct cluster c = make_cluster(nodes, gpus);

	c.gpu.direct = (struct comm_tier){ .efficiency = 0.5,
		.launch_s = 2 * US, .message_s = 0.2 * US };
	return c;
}

/*
 * Copies 0->0 8, 0->1 6, 1->0 4, 1->1 10; of distinct tokens 0->0 5, 0->1 3,
 * 1->0 4, 1->1 6.
 */
static struct traffic two_ranks(void)
{
	static const double copies[] = { 8, 6, 4, 10 };
	static const double distinct[] = { 5, 3, 4, 6 };
	struct traffic t = { .n_ranks = 2, .group = 2, .stride = 1,
			     .bytes = xcalloc(4, sizeof(double)),
			     .rank_bytes = xcalloc(4, sizeof(double)) };
	int i;

	for (i = 0; i < 4; i++) {
		t.bytes[i] = copies[i] * MB;
		t.rank_bytes[i] = distinct[i] * MB;
	}
	return t;
}

/*
 * As blocks: 4 MB from 1 to 0 at half of 0.1 MB/us: 80. Launch 2, one message
 * 0.2, latency 1. A dispatch: rank 1 also reads 6 and writes 10 of its own: 16.
 * Combine: 1 -> 0 3, 0 -> 1 4: 80, no copies.
 * A ramp of 1 us / sqrt(MB) counts the 4 MB that move, not the 8 that the
 * links see: 2 us.
 */
static void test_by_hand(void **state)
{
	struct cluster c = direct_cluster(1, 2);
	struct traffic t = two_ranks(), back;
	const struct coll *x;
	struct bench b;

	(void)state;
	bench_init(&b, &c);
	b.spec.keep_flows = true;
	b.spec.comm.window = 1;		/* has none */
	NEAR(coll_time(solve(&b, A2A_DIRECT, &t, false), 1), (3.2 + 80) * US);
	b.spec.places_rows = true;
	x = solve(&b, A2A_DIRECT, &t, false);
	coll_check(&b.spec, A2A_DIRECT, &t, false, x);
	assert_int_equal(x->n_steps, 1);
	assert_int_equal(x->step[0].n_flows, 2);
	NEAR(x->step[0].flow_s, 80 * US);
	NEAR(x->step[0].copy_s, 16 * US);
	NEAR(coll_time(x, 1), (3.2 + 96) * US);
	NEAR(coll_time(x, 0.5), (3.2 + 48) * US);
	traffic_transpose(&t, 1, &back);
	x = solve(&b, A2A_DIRECT, &back, true);
	coll_check(&b.spec, A2A_DIRECT, &back, true, x);
	NEAR(coll_time(x, 1), (3.2 + 80) * US);
	assert_int_equal(x->step[0].flow[0].src, 1);
	NEAR(x->step[0].flow[0].bytes, 2 * 3 * MB);
	/* own copies, and a row from the other rank: 8 + 3, 10 + 4 */
	NEAR(traffic_sums(&t), 14 * MB);
	/* a quarter of them empty: rank 1 reads 6, writes 7.5 of its own and
	 * zeros for 2.5 of each rank; it adds 7.5 + 4 */
	t.empty = 0.25;
	x = solve(&b, A2A_DIRECT, &t, false);
	NEAR(x->step[0].copy_s, (6 + 7.5 + 2 * 2.5) * US);
	NEAR(traffic_sums(&t), (7.5 + 4) * MB);
	t.empty = 0;
	b.net.cluster.gpu.direct.ramp = 1e-9;
	x = solve(&b, A2A_DIRECT, &t, false);
	NEAR(coll_time(x, 1), (3.2 + 96 + 2) * US);
	traffic_release(&back);
	traffic_release(&t);
	bench_release(&b);
}

/* Even: a pattern of node 0 gives what all flows give. */
static void test_even(void **state)
{
	struct cluster c = direct_cluster(3, 4);
	struct traffic t = { .n_ranks = 12, .group = 4, .stride = 1,
			     .each = 3 * MB, .rank_each = 2 * MB };
	struct bench b;
	double s;

	(void)state;
	bench_init(&b, &c);
	b.spec.places_rows = true;
	/* 3 peers x 2 MB at 0.05: 120; copies 2 + 3; 2 + 3 * 0.2 + 1 */
	s = coll_time(solve(&b, A2A_DIRECT, &t, false), 1);
	NEAR(s, (120 + 5 + 3.6) * US);
	b.spec.keep_flows = true;
	NEAR(coll_time(solve(&b, A2A_DIRECT, &t, false), 1), s);
	coll_check(&b.spec, A2A_DIRECT, &t, false, &b.coll);
	assert_int_equal(b.coll.step[0].n_flows, 12 * 3);
	NEAR(traffic_sums(&t), (3 + 3 * 2) * MB);
	bench_release(&b);
}

struct layer_world {
	struct model model;
	struct layout layout;
	struct routing routing;
	struct workload work;
};

static void world_make_model(struct layer_world *w, const struct cluster *c,
			     enum routing_kind kind, double factor, int ep,
			     int experts, int k)
{
	struct routing_spec spec = { .kind = kind, .skew = 1, .seed = 3 };
	int n = c->nodes * c->gpus_per_node;

	*w = (struct layer_world){
		.model = { .hidden = HIDDEN, .layers = 1, .moe_layers = 1,
			   .experts = experts, .experts_per_token = k,
			   .expert_ffn = 128, .gated = true,
			   .sequence = TOKENS, .batch_per_gpu = 1,
			   .dtype = DT_BF16 },
		.layout = { .ep = ep, .esp = 1, .tp = 1, .dp = n / ep,
			    .pp = 1 },
	};
	assert_int_equal(routing_make(&spec, &w->model, &w->layout, n,
				      &w->routing), ST_OK);
	assert_int_equal(workload_make(&w->routing, c, &w->model, &w->layout,
				       factor, &w->work), ST_OK);
}

static void world_make(struct layer_world *w, const struct cluster *c,
		       enum routing_kind kind, double factor, int ep)
{
	world_make_model(w, c, kind, factor, ep, 8, 3);
}

static void world_release(struct layer_world *w)
{
	workload_release(&w->work);
	routing_release(&w->routing);
}

/*
 * 8 experts, 3 of each token, 4 of them on each of 2 ranks: no expert there
 * with C(4, 3) / C(8, 3) = 4 / 56, so 13 / 14 of the tokens go to each rank.
 */
static void test_distinct_even(void **state)
{
	struct cluster c = direct_cluster(2, 2);
	struct layer_world w;

	(void)state;
	world_make(&w, &c, ROUTING_UNIFORM, 0, 2);
	assert_null(w.work.dispatch.rank_bytes);
	NEAR(w.work.dispatch.rank_each, TOKENS * 13.0 / 14 * HIDDEN * 2);
	NEAR(w.work.combine.rank_each, w.work.dispatch.rank_each);
	world_release(&w);
	/* 4 ranks would be two nodes: nobody asks */
	world_make(&w, &c, ROUTING_UNIFORM, 0, 4);
	NEAR(w.work.dispatch.rank_each, 0);
	world_release(&w);
	c.gpu.direct.efficiency = 0;
	world_make(&w, &c, ROUTING_ZIPF, 0, 2);
	assert_null(w.work.dispatch.rank_bytes);
	world_release(&w);
}

/* Whatever the routing: at least the busiest expert there and a k-th (or the
 * ranks' experts) of the copies, at most all copies, or all tokens. */
static void test_distinct_skewed(void **state)
{
	struct cluster c = direct_cluster(2, 4);
	struct layer_world w;
	int r, i, e;

	(void)state;
	world_make(&w, &c, ROUTING_ZIPF, 0, 4);
	assert_non_null(w.work.dispatch.rank_bytes);
	assert_memory_equal(w.work.dispatch.rank_bytes,
			    w.work.combine.rank_bytes,
			    8 * 4 * sizeof(double));
	for (r = 0; r < 8; r++) {
		for (i = 0; i < 4; i++) {
			double rows = traffic_distinct(&w.work.dispatch, r, i)
				/ (HIDDEN * 2), copies = 0, most = 0;

			for (e = 2 * i; e < 2 * i + 2; e++) {
				double n = (double)routing_count(&w.routing,
								 r, e);

				copies += n;
				most = fmax(most, n);
			}
			assert_true(rows <= fmin(copies, TOKENS) + 1e-6);
			assert_true(rows >= fmax(most, copies / 2) - 1e-6);
			assert_true(rows < copies);
		}
	}
	world_release(&w);
}

/* A capacity: slots beyond what there is send nothing, and what is beyond the
 * slots is dropped; of k = 1 every copy is a token. */
static void test_distinct_capacity(void **state)
{
	struct cluster c = direct_cluster(2, 4);
	struct layer_world all, w;
	double sent = 0;
	int r, i, e;

	(void)state;
	world_make(&w, &c, ROUTING_UNIFORM, 2, 2);
	NEAR(w.work.dispatch.rank_each, TOKENS * 13.0 / 14 * HIDDEN * 2);
	NEAR(w.work.dispatch.empty, 0.5);
	NEAR(w.work.dispatch.each, 2 * TOKENS * 3 / 2 * HIDDEN * 2);
	world_release(&w);
	world_make_model(&w, &c, ROUTING_UNIFORM, 2, 2, 8, 1);
	NEAR(w.work.dispatch.rank_each, TOKENS / 2 * HIDDEN * 2);
	world_release(&w);
	world_make(&all, &c, ROUTING_ZIPF, 0, 4);
	world_make(&w, &c, ROUTING_ZIPF, 1, 4);
	for (r = 0; r < 8; r++) {
		for (i = 0; i < 4; i++) {
			double rows = traffic_distinct(&w.work.dispatch, r, i)
				/ (HIDDEN * 2), kept = 0;

			for (e = 2 * i; e < 2 * i + 2; e++)
				kept += fmin((double)routing_count(
					&w.routing, r, e),
					(double)w.work.capacity);
			assert_true(rows <= kept + 1e-6);
			assert_true(rows >= kept / 2 - 1e-6);
			assert_true(rows <= traffic_distinct(
				&all.work.dispatch, r, i) / (HIDDEN * 2) +
				1e-6);
			sent += kept;
		}
	}
	assert_int_equal((int64_t)(sent + 0.5), w.work.kept);
	world_release(&w);
	world_release(&all);
}

static void test_where(void **state)
{
	struct cluster c = direct_cluster(2, 4);
	struct model m = { .experts = 8 };
	struct layout l = { .ep = 4, .esp = 1, .tp = 1, .dp = 2, .pp = 1 };

	(void)state;
	assert_null(direct_why_not_layout(&c, &l, &m));
	l.esp = 2;
	assert_non_null(strstr(direct_why_not_layout(&c, &l, &m), "esp"));
	l = (struct layout){ .ep = 8, .esp = 1, .tp = 1, .dp = 1, .pp = 1 };
	assert_non_null(strstr(direct_why_not_layout(&c, &l, &m), "span"));
	c.fabric.kind = FABRIC_RACK;	/* of 8: make_cluster() */
	assert_null(direct_why_not_layout(&c, &l, &m));
	m.experts = 4;
	assert_non_null(strstr(direct_why_not_layout(&c, &l, &m), "copies"));
	m.experts = 8;
	c.gpu.direct.efficiency = 0;
	assert_non_null(strstr(direct_why_not_layout(&c, &l, &m),
			       "no constants"));
	c.intra.kind = INTRA_PCIE;
	assert_non_null(strstr(direct_why_not_layout(&c, &l, &m), "NVLink"));
	l.ep = 1;
	assert_non_null(strstr(direct_why_not_layout(&c, &l, &m), "ep=1"));
}

/*
 * A layer, 4 experts, 2 of each token, ep 2; HBM 1 MB/us, no kernel_launch:
 * of 512 tokens' 1024 copies 512 stay; 5 in 6 tokens (1 - C(2, 2) / C(4, 2))
 * have an expert on a given rank. Row 128 bytes.
 *	permute		2 us; 2 * 1024 pairs * 16 bytes
 *	unpermute	(512 + 5/6 512 + 512) * 128 bytes
 *	dispatch	2 + 0.2 + 1 us; 5/6 512 rows at 0.05; (5/6 512 + 512)
 *			rows copied
 *	combine		without those copies
 *	expert		without regrouping: 1024 rows in and out, twice
 */
static double one(const struct layer_world *w, const struct net *net,
		  enum a2a_alg alg, enum op_kind kind)
{
	struct cost_spec spec = {
		.net = net, .model = &w->model, .workload = &w->work,
		.layout = w->layout, .alltoall = alg,
	};
	struct op op = { .kind = kind, .n_chunks = 1 };
	struct cost *c;
	double s;

	assert_int_equal(cost_new(&spec, &c), ST_OK);
	s = cost_op(c, &op);
	cost_free(c);
	return s;
}

#define DIRECT(kind) one(&w, &net, A2A_DIRECT, (kind))

static void test_layer(void **state)
{
	const double there = TOKENS * 5.0 / 6 * HIDDEN * 2;
	const double tokens = TOKENS * HIDDEN * 2.0;
	struct cluster c = direct_cluster(1, 2);
	struct layer_world w;
	struct net net;

	(void)state;
	c.gpu.kernel_s = 0;
	c.gpu.sms = 4;
	c.gpu.gemm_efficiency = 1;
	c.gpu.tile_m = c.gpu.tile_n = 128;
	c.gpu.flops[DT_BF16] = 1e15;
	world_make_model(&w, &c, ROUTING_UNIFORM, 0, 2, 4, 2);
	assert_int_equal(net_init(&net, &c, NET_EFFECTIVE), ST_OK);
	NEAR(DIRECT(OP_PERMUTE), 2 * US + 2048 * 16 * 1e-12);
	NEAR(DIRECT(OP_UNPERMUTE_BWD), 2 * US);
	NEAR(DIRECT(OP_UNPERMUTE), (2 * tokens + there) * 1e-12);
	NEAR(DIRECT(OP_PERMUTE_BWD), (2 * tokens + there) * 1e-12);
	NEAR(DIRECT(OP_COMBINE), 3.2 * US + there / 50e9);
	NEAR(DIRECT(OP_DISPATCH), 3.2 * US + there / 50e9 +
	     (there + tokens) * 1e-12);
	NEAR(one(&w, &net, A2A_FLAT, OP_EXPERT) - DIRECT(OP_EXPERT),
	     4 * 2 * tokens * 1e-12);
	world_release(&w);
	/* twice the slots: as many rows, and zeros for half of either rank's */
	world_make_model(&w, &c, ROUTING_UNIFORM, 2, 2, 4, 2);
	NEAR(DIRECT(OP_UNPERMUTE), (2 * tokens + there) * 1e-12);
	NEAR(DIRECT(OP_COMBINE), 3.2 * US + there / 50e9);
	NEAR(DIRECT(OP_DISPATCH), 3.2 * US + there / 50e9 +
	     (there + 3 * tokens) * 1e-12);
	net_release(&net);
	world_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_even),
		cmocka_unit_test(test_distinct_even),
		cmocka_unit_test(test_distinct_skewed),
		cmocka_unit_test(test_distinct_capacity),
		cmocka_unit_test(test_where),
		cmocka_unit_test(test_layer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
