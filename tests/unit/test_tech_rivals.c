/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FasterMoE's shadowing, HetuMoE's crossover. */
#include "sim/rng.h"
#include "sim/tech_hetu.h"
#include "sim/tech_shadow.h"
#include "tests/unit/route_help.h"

/* ---- shadowing ---- */

static const struct shadow_spec plain = {
	.workers = 2, .experts = 4, .flop_per_row = 10, .row_bytes = 4,
	.expert_bytes = 100, .gemm_flops = 1000, .net_Bps = 100,
	.transfers = 2,
};

/*
 * Rows (worker, expert) 40 2 5 3 | 50 1 4 5; experts 0, 1 on worker 0. Loads
 * of workers 93, 17. Estimate 93 (3 * 0.01 + 4 * 0.04) = 93 * 0.19 = 17.67 s.
 * Shadowing 0: workers 43, 67: 67 * 0.19 + 2 * 1 = 14.73. Then expert 2 (9
 * rows): 48, 62: 11.78 + 4 = 15.78: no.
 */
static void shadow_by_hand(void **state)
{
	static const int64_t count[] = { 40, 2, 5, 3, 50, 1, 4, 5 };
	struct shadow_result r;
	struct traffic t;

	(void)state;
	assert_int_equal(shadow_run(&plain, count, &r), 0);
	help_close(r.before_s, 17.67, 1e-9);
	help_close(r.after_s, 14.73, 1e-9);
	assert_int_equal(r.n, 1);
	assert_true(r.shadowed[0] && !r.shadowed[2]);
	help_close(r.busiest_before, 93, 0);
	help_close(r.busiest_after, 67, 0);
	/* (5 + 3 + 50 + 1) rows travel before, 9 after */
	help_close(r.bytes_before, 236, 1e-9);
	help_close(r.bytes_after, 36, 1e-9);
	help_close(r.forward.exchange_bytes, 100, 0);
	shadow_traffic(&plain, count, r.shadowed, &t);
	help_close(traffic_total(&t), 36, 1e-9);
	help_close(t.bytes[0] + t.bytes[1], 50 * 4, 0);
	traffic_release(&t);
	shadow_result_release(&r);
}

/* Against all 2^6 sets: never worse than none, never better than the best,
 * a prefix of the order by load; rows are conserved. */
static void shadow_by_brute_force(void **state)
{
	gsl_rng *rng = rng_new(3, RNG_SCORES);

	(void)state;
	for (int round = 0; round < 100; round++) {
		struct shadow_spec s = plain;
		double best = INFINITY, none = 0, rows[3], all = 0, sum = 0;
		struct shadow_result r;
		int64_t count[18];

		s.workers = 3;
		s.experts = 6;
		s.expert_bytes = 10.0 * (round % 30);
		for (int i = 0; i < 18; i++) {
			count[i] = (int64_t)gsl_rng_uniform_int(rng,
				i % 6 == round % 6 ? 90 : 20);
			all += (double)count[i];
		}
		for (int set = 0; set < 64; set++) {
			bool on[6];
			double t;

			for (int e = 0; e < 6; e++) {
				on[e] = set >> e & 1;
			}
			t = shadow_estimate_s(&s, count, on);
			none = set ? none : t;
			best = fmin(best, t);
		}
		assert_int_equal(shadow_run(&s, count, &r), 0);
		help_close(r.before_s, none, 1e-12);
		assert_true(r.after_s <= none && r.after_s >= best);
		help_close(r.after_s, shadow_estimate_s(&s, count, r.shadowed),
			   1e-12);
		shadow_rows(&s, count, r.shadowed, rows);
		sum = rows[0] + rows[1] + rows[2];
		help_close(sum, all, 1e-9);
		for (int a = 0; a < 6; a++) {
			for (int b = 0; b < 6; b++) {
				int64_t x = count[a] + count[6 + a] +
					count[12 + a];
				int64_t y = count[b] + count[6 + b] +
					count[12 + b];

				assert_false(x > y && r.shadowed[b] &&
					     !r.shadowed[a]);
			}
		}
		shadow_result_release(&r);
	}
	gsl_rng_free(rng);
}

static void shadow_refuses(void **state)
{
	struct shadow_spec s = plain;
	struct shadow_result r;

	(void)state;
	s.net_Bps = 0;
	assert_int_equal(shadow_run(&s, NULL, &r), ST_INPUT);
	s = plain;
	s.workers = 0;
	assert_int_equal(shadow_run(&s, NULL, &r), ST_INPUT);
}

/* ---- crossover ---- */

/* 8 GPUs of 100 GB/s, one NIC of 12.5 GB/s per node (or per GPU). */
static struct cluster cluster(bool one_nic)
{
	struct cluster c = { .nodes = 4, .gpus_per_node = 8 };

	c.intra.bandwidth_Bps = 100e9;
	c.intra.latency_s = 1e-6;
	c.nic.per_node = one_nic ? 1 : 0;
	c.nic.per_gpu = one_nic ? 0 : 1;
	c.nic.bandwidth_Bps = 12.5e9;
	c.nic.latency_s = 4e-6;
	c.gpu.nvlink_Bps = 100e9;
	c.gpu.hbm_Bps = 800e9;
	c.gpu.hbm_efficiency = 0.8;
	c.gpu.kernel_s = 3e-6;
	c.gpu.intra = (struct comm_tier){ .efficiency = 0.8, .launch_s = 5e-6,
					  .message_s = 2e-7,
					  .ll_efficiency = 1 };
	c.gpu.inter = (struct comm_tier){ .efficiency = 0.8, .launch_s = 1e-5,
					  .message_s = 3e-6,
					  .ll_efficiency = 1 };
	return c;
}

static const struct comm_spec comm;

/* The closed form of doc/model.md for an even exchange of S per rank. */
static double leader_s(const struct cluster *c, int nodes, double s)
{
	double g = c->gpus_per_node, nv = 0.8 * c->intra.bandwidth_Bps;
	double hbm = c->gpu.hbm_Bps * c->gpu.hbm_efficiency;

	return 2 * (g - 1) * s / nv + 4 * g * s / hbm +
		g * s * (nodes - 1) / nodes / (0.8 * c->nic.bandwidth_Bps);
}

static void times_are_the_closed_form(void **state)
{
	struct cluster c = cluster(true);
	static const int nodes[] = { 2, 4 };
	/* so large that launches and messages (0.2 ms) do not count */
	static const double bytes[] = { 64e9, 128e9 };
	struct hetu_point p[4];

	(void)state;
	assert_int_equal(hetu_crossover(&c, &comm, nodes, 2, bytes, 2, p), 0);
	for (int i = 0; i < 4; i++) {
		double want = leader_s(&c, p[i].nodes, p[i].bytes);

		assert_int_equal(p[i].nodes, nodes[i / 2]);
		help_close(p[i].bytes, bytes[i % 2], 0);
		help_close(p[i].time_s[1] / want, 1, 1e-3);
		/* the one NIC alone bounds the flat one */
		want = 8 * p[i].bytes * (p[i].nodes - 1) / p[i].nodes / 10e9;
		help_close(p[i].time_s[0] / want, 1, 1e-3);
		assert_int_equal(p[i].best, 0);
	}
}

/* Small sizes: 32 messages of 3 us against 3: leader wins; then flat. */
static void leader_wins_small_and_loses_large(void **state)
{
	struct cluster c = cluster(true);
	static const double bytes[] = { 1e3, 1e5, 1e7, 1e9 };
	double cross4, cross16, none;
	static const int nodes[] = { 4 };
	struct hetu_point p[4];

	(void)state;
	assert_int_equal(hetu_crossover(&c, &comm, nodes, 1, bytes, 4, p), 0);
	assert_true(p[0].time_s[1] < p[0].time_s[0]);
	assert_true(p[3].time_s[1] > p[3].time_s[0]);
	assert_int_equal(hetu_crossing(&c, &comm, 4, 1e3, 1e9, &cross4), 0);
	assert_true(cross4 > 1e3 && cross4 < 1e9);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(p[i].time_s[1] < p[i].time_s[0],
				 p[i].bytes <= cross4);
	}
	/* more nodes, more messages to save */
	assert_int_equal(hetu_crossing(&c, &comm, 16, 1e3, 1e9, &cross16), 0);
	assert_true(cross16 > cross4);
	/* a NIC per GPU: less room for the leader */
	c = cluster(false);
	assert_int_equal(hetu_crossing(&c, &comm, 4, 1e3, 1e9, &none), 0);
	assert_true(none < cross4);
}

static void crossover_refuses(void **state)
{
	struct cluster c = cluster(true);
	double bytes = 1, out;
	struct hetu_point p;
	int nodes = 0;

	(void)state;
	assert_int_equal(hetu_crossover(&c, &comm, &nodes, 1, &bytes, 1, &p),
			 ST_INPUT);
	assert_int_equal(hetu_crossing(&c, &comm, 0, 1, 2, &out), ST_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shadow_by_hand),
		cmocka_unit_test(shadow_by_brute_force),
		cmocka_unit_test(shadow_refuses),
		cmocka_unit_test(times_are_the_closed_form),
		cmocka_unit_test(leader_wins_small_and_loses_large),
		cmocka_unit_test(crossover_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
