/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/cost.h"
#include "sim/cost_layer.h"
#include "sim/cost_load.h"
#include "sim/route.h"

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

/* 4 SMs of 250 GFLOP/s, tiles of 128 x 256, memory as fast as asked. */
static struct gpu toy_gpu(double hbm_Bps)
{
	struct gpu g = {
		.hbm_bytes = 1e9, .hbm_Bps = hbm_Bps, .sms = 4,
		.nvlink_Bps = 1e9, .gemm_efficiency = 1, .hbm_efficiency = 1,
		.tile_m = 128, .tile_n = 256,
		.intra = { .efficiency = 1, .ll_efficiency = 1 },
		.inter = { .efficiency = 1, .ll_efficiency = 1 },
	};

	g.flops[DT_BF16] = 1e12;
	return g;
}

static void near(double got, double want)
{
	if (fabs(got - want) > 1e-9 * fabs(want))
		fail_msg("%.17g, not %.17g", got, want);
}

static void test_stream(void **state)
{
	struct gpu g = toy_gpu(2e9);

	(void)state;
	g.kernel_s = 3e-6;
	g.hbm_efficiency = 0.5;
	/* 3 us + 1000 bytes / (2e9 * 0.5 bytes/s) = 3 us + 1 us */
	near(cost_stream(&g, 1000), 4e-6);
}

/*
 * One tile of 128 x 256 x 64: 2*128*256*64 = 4194304 FLOP at 250e9: w =
 * 16.777216 us; a wave of 4 tiles takes as long.
 *	512 x 256	4 tiles, 1 wave: w (halves and quarters: the same)
 *	640 x 256	5 tiles: 2 waves; 10 tiles of w/2: 3 waves, 1.5 w;
 *			20 of w/4: 5 waves, 1.25 w; 40 of w/8: 10, 1.25 w
 *	128 x 256	1 tile: 1 wave; 2 of w/2: 1 wave, w/2; 4 of w/4:
 *			w/4; 8 of w/8: 2 waves, w/4
 *	1 x 256		as 64 x 256: 1 of w; 2 of w/2; tiles of 64: 2 of w/4:
 *			w/4; 4 of w/8: w/8
 * Depth 64 is below what splitting needs.
 */
static void test_tiles(void **state)
{
	struct gpu g = toy_gpu(1e30);
	const double w = 2.0 * 128 * 256 * 64 / 250e9;

	(void)state;
	near(cost_gemm(&g, DT_BF16, 512, 256, 64, 1), w);
	near(cost_gemm(&g, DT_BF16, 640, 256, 64, 1), 1.25 * w);
	near(cost_gemm(&g, DT_BF16, 128, 256, 64, 1), w / 4);
	near(cost_gemm(&g, DT_BF16, 1, 256, 64, 1), w / 8);
	/* 4 products of 128 x 256 fill the wave that one leaves idle */
	near(cost_gemm(&g, DT_BF16, 128, 256, 64, 4), w);
	g.kernel_s = 5e-6;
	g.gemm_efficiency = 0.5;
	near(cost_gemm(&g, DT_BF16, 512, 256, 64, 1), 5e-6 + 2 * w);
	assert_true(cost_gemm(&g, DT_BF16, 0, 256, 64, 1) == 0);
}

/*
 * 64 x 64 x 1024 is one tile of 64 x 64; in 4 parts of 256 the 4 SMs share
 * it: 2*64*64*1024 / 1e12 = 8.388608 us, and with memory of 1e12 bytes/s 4
 * fp32 partial results are written and read: 2*4*4096*4 = 131072 bytes,
 * 0.131072 us. The HBM floor, 2*(2*65536 + 4096) bytes, is below that.
 */
static void test_split(void **state)
{
	struct gpu g = toy_gpu(1e12);

	(void)state;
	near(cost_gemm(&g, DT_BF16, 64, 64, 1024, 1), 8.388608e-6 + 1.31072e-7);
}

/*
 * One row through 1024 x 1024 weights with memory of 1e9 bytes/s: reading
 * them takes 2 * (1024*1024 + 1024 + 1024) / 1e9 s, far above the product.
 */
static void test_weights(void **state)
{
	struct gpu g = toy_gpu(1e9);

	(void)state;
	near(cost_gemm(&g, DT_BF16, 1, 1024, 1024, 1),
	     2.0 * (1024 * 1024 + 2048) / 1e9);
	/* eight experts' weights: eight times */
	near(cost_gemm(&g, DT_BF16, 1, 1024, 1024, 8),
	     16.0 * (1024 * 1024 + 2048) / 1e9);
}

/* More rows never cost less; never below the roofline. */
static void test_monotone(void **state)
{
	struct gpu g = toy_gpu(3e10);
	double m, t, last = 0, flop, bytes;

	(void)state;
	g.sms = 132;
	for (m = 1; m < 3000; m += 7) {
		t = cost_gemm(&g, DT_BF16, m, 1000, 777, 3);
		flop = 2 * m * 1000 * 777 * 3;
		bytes = 2 * 3 * (m * 777 + 777.0 * 1000 + m * 1000);
		assert_true(t >= last * (1 - 1e-12));
		assert_true(t >= flop / 1e12 * (1 - 1e-12));
		assert_true(t >= bytes / 3e10 * (1 - 1e-12));
		last = t;
	}
}

/* A layer of 2 nodes x 2 GPUs, even routing, all constants 0 or 1. */
struct fixture {
	struct cluster cluster;
	struct model model;
	struct layout layout;
	struct net net;
	struct routing routing;
	struct workload work;
};

static void fixture_make_experts(struct fixture *f, int ep, int esp,
				 double factor, int experts)
{
	struct routing_spec spec = { .kind = ROUTING_UNIFORM };

	*f = (struct fixture){
		.cluster = {
			.nodes = 2, .gpus_per_node = 2, .gpu = toy_gpu(1e9),
			.intra = { .kind = INTRA_NVSWITCH,
				   .bandwidth_Bps = 1e9 },
			.nic = { .per_gpu = 1, .bandwidth_Bps = 1e8 },
		},
		.model = {
			.hidden = 64, .layers = 1, .moe_layers = 1,
			.experts = experts, .experts_per_token = 2,
			.expert_ffn = 128, .gated = true, .sequence = 256,
			.batch_per_gpu = 1, .dtype = DT_BF16,
		},
		.layout = { .ep = ep, .esp = esp, .tp = 1,
			    .dp = 4 / ep / esp, .pp = 1 },
	};
	assert_int_equal(net_init(&f->net, &f->cluster, NET_EFFECTIVE), ST_OK);
	assert_int_equal(routing_make(&spec, &f->model, &f->layout, 4,
				      &f->routing), ST_OK);
	assert_int_equal(workload_make(&f->routing, &f->cluster, &f->model,
				       &f->layout, factor, &f->work), ST_OK);
}

static void fixture_make(struct fixture *f, int ep, int esp, double factor)
{
	fixture_make_experts(f, ep, esp, factor, 4);
}

static void fixture_release(struct fixture *f)
{
	workload_release(&f->work);
	routing_release(&f->routing);
	net_release(&f->net);
}

static struct cost *fixture_cost(struct fixture *f, enum a2a_alg a)
{
	struct cost_spec spec = {
		.net = &f->net, .model = &f->model, .workload = &f->work,
		.layout = f->layout, .alltoall = a, .keep_flows = true,
	};
	struct cost *c;

	assert_int_equal(cost_new(&spec, &c), ST_OK);
	return c;
}

static double one(const struct cost *c, enum op_kind k, int chunks, int step)
{
	struct op op = { .kind = k, .n_chunks = chunks, .step = step };

	return cost_op(c, &op);
}

/*
 * By hand, memory 1e9 bytes/s: T = 256 tokens, k = 2, row = 64*2 = 128
 * bytes. Uniform routing: 256*2/4 = 128 copies per (rank, expert); each
 * expert gets 4 * 128 = 512 rows.
 *	permute		(512 copies + 512 slots) * 128 = 131072 bytes
 *	unpermute	(512 + 256) * 128 = 98304 bytes
 *	unpermute_bwd	(256 + 512 + 512) * 128 = 163840 bytes
 *	dispatch	one rank sends 3 * 128 * 128 = 49152 bytes, two thirds
 *			through its NIC of 1e8: 327.68 us
 */
static void test_layer(void **state)
{
	struct fixture f;
	struct cost *c;

	(void)state;
	fixture_make(&f, 4, 1, 0);
	c = fixture_cost(&f, A2A_FLAT);
	near(one(c, OP_PERMUTE, 1, 0), 131072e-9);
	near(one(c, OP_UNPERMUTE, 1, 0), 98304e-9);
	near(one(c, OP_PERMUTE_BWD, 1, 0), 98304e-9);
	near(one(c, OP_UNPERMUTE_BWD, 1, 0), 163840e-9);
	near(one(c, OP_DISPATCH, 1, 0), 327.68e-6);
	near(one(c, OP_COMBINE, 1, 0), 327.68e-6);
	near(one(c, OP_DISPATCH, 4, 0), 327.68e-6 / 4);
	assert_true(one(c, OP_SHARED, 1, 0) == 0);
	assert_true(one(c, OP_ALLREDUCE_EXPERT, 1, ALLREDUCE_DP) == 0);
	cost_free(c);
	fixture_release(&f);
}

/*
 * Expert op, by hand, all bound by memory (1e9 bytes/s): 512 rows, hidden
 * 64, ffn 128, gated, one expert per rank (no regrouping).
 * forward:  512x64 . 64x256 -> 512x256: 32768 + 16384 + 131072 = 180224
 *	     activation: 3 * 512 * 128 = 196608
 *	     512x128 . 128x64 -> 512x64: 65536 + 8192 + 32768 = 106496
 *	     483328 elements, 966656 bytes
 * data:     512x64 . 64x128: 32768 + 8192 + 65536 = 106496
 *	     activation: 5 * 65536 = 327680
 *	     512x256 . 256x64: 131072 + 16384 + 32768 = 180224
 *	     614400 elements, 1228800 bytes
 * weight:   128x512 . 512x64: 65536 + 32768 + 8192 = 106496
 *	     64x512 . 512x256: 32768 + 131072 + 16384 = 180224
 *	     286720 elements, 573440 bytes
 */
static void test_expert(void **state)
{
	struct op op = { .kind = OP_EXPERT, .n_chunks = 1 };
	struct fixture f;
	struct cost *c;
	int n;

	(void)state;
	fixture_make(&f, 4, 1, 0);
	c = fixture_cost(&f, A2A_FLAT);
	near(one(c, OP_EXPERT, 1, 0), 966656e-9);
	near(cost_op_hbm_bytes(c, &op), 966656);
	near(one(c, OP_EXPERT_BWD_DATA, 1, 0), 1228800e-9);
	near(one(c, OP_EXPERT_BWD_WEIGHT, 1, 0), 573440e-9);
	/* weights are read again for every chunk */
	for (n = 2; n <= 8; n++) {
		assert_true(n * one(c, OP_EXPERT, n, 0) >
			    one(c, OP_EXPERT, 1, 0));
	}
	cost_free(c);
	fixture_release(&f);
}

/*
 * ep 2 x esp 2 in 2 nodes: an EP group's ranks are 2 apart, one per node.
 * Two experts per rank, of 128 copies from each of 4 ranks once the ESP
 * group has gathered: 1024 rows. The all-gather's result is 1024 * 128 =
 * 131072 bytes, half of it over NVLink of 1e9: 65.536 us; the reduce-scatter
 * likewise. Router all-reduce over 4 ranks, 64*4*4 = 1024 bytes, with two
 * rings or trees, one for each of a node's NICs of 1e8. Ring: 2 * 3/4 * 512 =
 * 768 bytes over a NIC, 7.68 us. Tree: 512 bytes up and 512 down, on
 * different directions: 5.12 us, and taken.
 */
static void test_esp(void **state)
{
	struct fixture f;
	struct cost *c;

	(void)state;
	fixture_make(&f, 2, 2, 0);
	near(layer_busiest_rows(&f.work), 1024);
	c = fixture_cost(&f, A2A_FLAT);
	near(one(c, OP_ALLGATHER, 1, 0), 65.536e-6);
	near(one(c, OP_REDUCESCATTER, 1, 0), 65.536e-6);
	near(one(c, OP_ALLREDUCE_GATE, 1, ALLREDUCE_ROUTER), 5.12e-6);
	cost_free(c);
	fixture_release(&f);
}

/*
 * One shared expert of ffn 128 on the fixture's model: its op with 256 rows,
 * memory bound (elements as in test_expert, with M = 256):
 *	256*64 + 64*256 + 256*256 = 98304; activation 3*256*128 = 98304;
 *	256*128 + 128*64 + 256*64 = 57344: 253952 elements, 507904 bytes.
 * Its weights, 3 * 64 * 128 * 2 = 49152 bytes, go through two trees of 24576
 * each: 245.76 us over a NIC of 1e8. Backward, data and weights:
 *	57344 + 5*256*128 + 98304 + 57344 + 98304 = 475136: 950272 bytes.
 */
static void test_shared(void **state)
{
	struct fixture f;
	struct cost *c;

	(void)state;
	fixture_make(&f, 2, 2, 0);
	f.model.shared_experts = 1;
	f.model.shared_ffn = 128;
	c = fixture_cost(&f, A2A_FLAT);
	near(one(c, OP_SHARED, 1, 0), 507904e-9);
	near(one(c, OP_SHARED_BWD, 1, 0), 950272e-9);
	near(one(c, OP_ALLREDUCE_GATE, 1, ALLREDUCE_SHARED), 245.76e-6);
	near(one(c, OP_ALLREDUCE_GATE, 1, ALLREDUCE_ROUTER), 5.12e-6);
	cost_free(c);
	fixture_release(&f);
}

/*
 * ep 2, dp 2: a rank's two experts, 2 * 3 * 64 * 128 * 2 = 98304 bytes, are
 * summed over dp: ranks 0, 2 and 1, 3, one per node. Each pair's ring sends
 * 2 * 1/2 of them through its NIC, 983.04 us; the tree as much each way.
 * ep 4 of 2 experts: two copies, on neighbouring ranks; 49152 bytes over
 * NVLink of 1e9: 49.152 us.
 */
static void test_allreduce(void **state)
{
	struct fixture f;
	struct cost *c;

	(void)state;
	fixture_make(&f, 2, 1, 0);
	c = fixture_cost(&f, A2A_FLAT);
	near(one(c, OP_ALLREDUCE_EXPERT, 1, ALLREDUCE_DP), 983.04e-6);
	assert_true(one(c, OP_ALLREDUCE_EXPERT, 1, ALLREDUCE_COPIES) == 0);
	cost_free(c);
	fixture_release(&f);
	fixture_make_experts(&f, 4, 1, 0, 2);
	c = fixture_cost(&f, A2A_FLAT);
	near(one(c, OP_ALLREDUCE_EXPERT, 1, ALLREDUCE_COPIES), 49.152e-6);
	assert_true(one(c, OP_ALLREDUCE_EXPERT, 1, ALLREDUCE_DP) == 0);
	cost_free(c);
	fixture_release(&f);
}

/* Loads hold the flows' bytes: sent = received = the traffic's total. */
static void test_loads(void **state)
{
	const struct step_load *load;
	struct fixture f;
	struct cost *c;
	struct op op = { .kind = OP_DISPATCH, .n_chunks = 1 };
	double up = 0, total;
	int l;

	(void)state;
	fixture_make(&f, 4, 1, 0);
	c = fixture_cost(&f, A2A_FLAT);
	load = cost_op_load(c, &op);
	assert_non_null(load);
	for (l = 0; l < f.net.n_links; l++) {
		if (net_link_class(&f.net, l) == LINK_NVLINK_UP ||
		    net_link_class(&f.net, l) == LINK_NIC_UP)
			up += load->link_bytes[link_set_find(cost_links(c),
							     &f.net, l)];
	}
	total = traffic_total(&f.work.dispatch);
	near(up, total);
	/* every rank reads and writes its share */
	near(load->hbm_bytes, 2 * total / 4);
	cost_free(c);
	fixture_release(&f);
}

/* Every algorithm: a chunk's steps are as many as the program's; combine
 * mirrors dispatch for even traffic; chunks together cost no less. */
static void test_algorithms(void **state)
{
	struct fixture f;
	struct cost *c;
	int a, i, n;
	double d, m;

	(void)state;
	fixture_make(&f, 4, 1, 1.5);
	for (a = 0; a < A2A_N; a++) {
		c = fixture_cost(&f, (enum a2a_alg)a);
		d = m = 0;
		for (i = 0; i < a2a_table[a].n_steps; i++) {
			d += one(c, OP_DISPATCH, 1, i);
			m += one(c, OP_COMBINE, 1, i);
			near(one(c, OP_DISPATCH, 1, i),
			     one(c, OP_COMBINE_BWD, 1, i));
			for (n = 2; n < 9; n++) {
				assert_true(n * one(c, OP_DISPATCH, n, i) >=
					    one(c, OP_DISPATCH, 1, i) *
					    (1 - 1e-12));
			}
		}
		/* direct: what stays on the rank goes with the dispatch */
		if (a == A2A_DIRECT)
			assert_true(d > m);
		else
			near(d, m);
		cost_free(c);
	}
	fixture_release(&f);
}

static void test_dtype(void **state)
{
	struct cost_spec spec = { 0 };
	struct fixture f;
	struct cost *c = NULL;

	(void)state;
	fixture_make(&f, 4, 1, 0);
	f.model.dtype = DT_FP8;
	spec = (struct cost_spec){ .net = &f.net, .model = &f.model,
				   .workload = &f.work, .layout = f.layout };
	assert_int_equal(cost_new(&spec, &c), ST_INPUT);
	assert_null(c);
	assert_non_null(strstr(err_msg(), "'model.dtype' is 'fp8'"));
	fixture_release(&f);
}

/* ---- public measurements ---- */

static struct cost *power_cost(struct fixture *f, const struct measured *m,
			       double exchange_power, bool bound_only)
{
	struct cost_spec spec = {
		.net = &f->net, .model = &f->model, .workload = &f->work,
		.layout = f->layout, .alltoall = A2A_FLAT, .measured = m,
		.bound_only = bound_only,
	};
	struct cost *c;

	f->net.cluster.gpu.exchange_power = exchange_power;
	assert_int_equal(cost_new(&spec, &c), ST_OK);
	return c;
}

static double sum_of(const struct cost *c, const enum op_kind *k, int n)
{
	double s = 0;

	while (n--)
		s += one(c, k[n], 1, 0);
	return s;
}

/* u^2 - 1 / u = saved, by halving: 3.5 is 2, as 4 - 1/2 is. */
static double speed_of(double saved)
{
	double low = 1, high = 1 + saved, u;
	int i;

	for (i = 0; i < 100; i++) {
		u = (low + high) / 2;
		if (u * u - 1 / u < saved)
			low = u;
		else
			high = u;
	}
	return low;
}

/* All products of a step, forward and backward, at what holds; a gate's are
 * longer in reading their operands. */
static double limited_of(const struct fixture *f)
{
	const struct model *m = &f->model;

	return 3 * (3 * 2.0 * 512 * m->hidden * m->expert_ffn) / 1e10;
}

/*
 * The limit holds everywhere, so a GPU that draws all of it while it
 * exchanges shows H; one that draws half saves (X / r + A) / 2 seconds at the
 * limit, for which products of L seconds in all go at a clock of u, and take
 * (1 - 1 / u) L less than L.
 */
static void test_power(void **state)
{
	static const enum op_kind product[] = {
		OP_GATE, OP_EXPERT, OP_EXPERT_BWD_DATA, OP_EXPERT_BWD_WEIGHT,
		OP_GATE_BWD,
	}, chunked[] = {
		OP_DISPATCH, OP_COMBINE, OP_COMBINE_BWD, OP_DISPATCH_BWD,
	};
	/* 8000 FLOP at 1e10 FLOP/s: H is several times X */
	const struct product_point at = { 10, 10, 20, 2, 8000 / 1e10 };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };
	struct cost *none, *full, *half, *bound;
	struct fixture f;
	double held, x, h, u;
	int r;

	(void)state;
	fixture_make(&f, 4, 1, 0);
	assert_int_equal(product_table_init(&t, DT_BF16, MEASURED_SUSTAINED,
					    &at, 1), ST_OK);
	none = power_cost(&f, NULL, 1, false);
	full = power_cost(&f, &m, 1, false);
	held = sum_of(full, product, 5) - sum_of(none, product, 5);
	/* 512 rows of 3 products of 64 x 128: 25165824 FLOP forward */
	assert_true(one(full, OP_EXPERT, 1, 0) >= 0.0025165824);
	half = power_cost(&f, &m, 0.5, false);
	bound = power_cost(&f, &m, 0.5, true);
	x = sum_of(half, chunked, 4);
	assert_true(x > 0.05 * held && x < held);
	near(speed_of(3.5), 2);
	for (r = 1; r <= 4; r *= 2) {
		u = speed_of(0.5 * (x / r +
				    one(half, OP_ALLREDUCE_GATE, 1, 0)) /
			     limited_of(&f));
		h = 1 - (1 - 1 / u) * limited_of(&f) / held;
		near(one(half, OP_EXPERT, r, 0) - one(none, OP_EXPERT, r, 0),
		     h * (one(full, OP_EXPERT, r, 0) -
			  one(none, OP_EXPERT, r, 0)));
	}
	near(one(bound, OP_EXPERT, 1, 0), one(none, OP_EXPERT, 1, 0));
	cost_free(none);
	cost_free(full);
	cost_free(half);
	cost_free(bound);
	product_table_release(&t);
	fixture_release(&f);
}

/*
 * The ESP group of test_esp() as a runner has it: 65536 bytes to the other
 * member at 1e9 as before, and rows sorted where they come together, 2 *
 * 131072 bytes; back they are packed, 2 * 131072, and both members' added to
 * one, 131072 + 65536. Cut in two, halves.
 */
static void test_esp_runner(void **state)
{
	const struct product_point at = { 10, 10, 20, 2, 1e-6 };
	struct product_table t;
	struct measured m = { .n_tables = 1, .table = &t };
	const double byte_s = 1 / toy_gpu(1e9).hbm_Bps;
	struct fixture f;
	struct cost *c;

	(void)state;
	fixture_make(&f, 2, 2, 0);
	near(f.net.cluster.gpu.hbm_Bps * byte_s, 1);
	near(f.net.cluster.gpu.hbm_efficiency, 1);
	near(f.net.cluster.gpu.kernel_s, 0);
	assert_int_equal(product_table_init(&t, DT_BF16, "strided-batched",
					    &at, 1), ST_OK);
	c = power_cost(&f, &m, 1, false);
	near(one(c, OP_ALLGATHER, 1, 0), 65.536e-6 + 262144 * byte_s);
	near(one(c, OP_REDUCESCATTER, 1, 0),
	     65.536e-6 + (262144 + 131072 + 65536) * byte_s);
	near(one(c, OP_ALLGATHER, 2, 0),
	     0.5 * (65.536e-6 + 262144 * byte_s));
	cost_free(c);
	product_table_release(&t);
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_tiles),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_layer),
		cmocka_unit_test(test_expert),
		cmocka_unit_test(test_esp),
		cmocka_unit_test(test_esp_runner),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_allreduce),
		cmocka_unit_test(test_loads),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_dtype),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
