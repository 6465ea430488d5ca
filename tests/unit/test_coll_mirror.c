/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way back that is taken from the way there, and where it is not. */
#include "coll_bench.h"

#include "sim/coll_mirror.h"

#define NODES 3
#define GPUS 4
#define RANKS (NODES * GPUS)

/* Uneven, seeded by hand: every pair another size. */
static void uneven(struct traffic *t, struct traffic *back)
{
	*t = (struct traffic){ .n_ranks = RANKS,
			       .bytes = xcalloc(RANKS * RANKS, sizeof(double)) };
	for (int i = 0; i < RANKS * RANKS; i++)
		t->bytes[i] = (double)((i * 7919 + 13) % 101 + 1) * MB;
	traffic_transpose(t, NODES, back);
}

/* Both ways with a mirror, and the way back without one. */
static void both_ways(const struct cluster *c, enum a2a_alg alg, double wrong,
		      bool expect)
{
	struct coll there, back, alone;
	struct traffic t, home;
	struct bench b;

	bench_init(&b, c);
	uneven(&t, &home);
	b.spec.keep_flows = true;
	assert_int_equal(coll_alltoall(&b.spec, alg, &home, true, &alone), 0);
	b.spec.mirror = coll_mirror_new();
	assert_int_equal(coll_alltoall(&b.spec, alg, &t, false, &there), 0);
	/* what is kept is wrong on purpose: who takes it is seen */
	for (int i = 0; i < there.n_steps; i++) {
		coll_mirror_free(b.spec.mirror);
		b.spec.mirror = coll_mirror_new();
		coll_mirror_keep(b.spec.mirror, there.step[i].flow,
				 (size_t)there.step[i].n_flows, 0,
				 there.step[i].flow_s + wrong, 0);
	}
	assert_int_equal(coll_alltoall(&b.spec, alg, &home, true, &back), 0);
	NEAR(back.step[0].flow_s, alone.step[0].flow_s +
	     (expect ? wrong : 0));
	for (int i = 0; i < alone.step[0].n_flows; i++)
		NEAR(back.step[0].flow[i].finish_s,
		     alone.step[0].flow[i].finish_s);
	coll_mirror_free(b.spec.mirror);
	coll_release(&there);
	coll_release(&back);
	coll_release(&alone);
	traffic_release(&t);
	traffic_release(&home);
	bench_release(&b);
}

static struct cluster rail(void)
{
	struct cluster c = make_cluster(NODES, GPUS);

	c.fabric.kind = FABRIC_RAIL;
	c.fabric.oversubscription = 2;
	return c;
}

static void test_taken(void **state)
{
	struct cluster c = rail();

	(void)state;
	both_ways(&c, A2A_FLAT, 0, true);
	both_ways(&c, A2A_FLAT, 1, true);
	c.fabric.kind = FABRIC_LEAF_SPINE;
	both_ways(&c, A2A_FLAT, 1, true);
	both_ways(&c, A2A_2D, 0, true);
	both_ways(&c, A2A_DEDUP, 0, true);
}

/* pxn hops on the sender's side both ways: other links back. */
static void test_other_ways(void **state)
{
	struct cluster c = rail();

	(void)state;
	c.pxn = true;
	both_ways(&c, A2A_FLAT, 1, false);
}

/* One link of a route is narrower: no image of its partner. */
static void test_other_rates(void **state)
{
	struct traffic t, home;
	struct coll there, back, alone;
	struct bench b;
	struct cluster c = rail();

	(void)state;
	bench_init(&b, &c);
	uneven(&t, &home);
	b.spec.mirror = coll_mirror_new();
	b.net.capacity_Bps[b.net.first[LINK_NIC_DOWN]] /= 4;
	assert_int_equal(coll_alltoall(&b.spec, A2A_FLAT, &t, false, &there),
			 0);
	assert_int_equal(coll_alltoall(&b.spec, A2A_FLAT, &home, true, &back),
			 0);
	/* only the way there passes rank 0's narrow link with what the others
	 * send it; back it is what they get from it */
	coll_mirror_free(b.spec.mirror);
	b.spec.mirror = NULL;
	assert_int_equal(coll_alltoall(&b.spec, A2A_FLAT, &home, true,
				       &alone), 0);
	NEAR(back.step[0].flow_s, alone.step[0].flow_s);
	assert_true(fabs(there.step[0].flow_s / back.step[0].flow_s - 1) >
		    0.01);
	coll_release(&alone);
	coll_release(&there);
	coll_release(&back);
	traffic_release(&t);
	traffic_release(&home);
	bench_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_other_ways),
		cmocka_unit_test(test_other_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
