/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/tech_hetu.h"
#include "tests/unit/route_help.h"

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
		cmocka_unit_test(times_are_the_closed_form),
		cmocka_unit_test(leader_wins_small_and_loses_large),
		cmocka_unit_test(crossover_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
