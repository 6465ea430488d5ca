/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What exchanges put on links, said by rows of nodes that are alike, against
 * the sums of their flows; and links that stand for many.
 */
#include "tests/unit/coll_bench.h"

#include "sim/link_rows.h"

/* The same bytes on every link. */
static void compare_links(const struct net *net, const struct link_rows *a,
			  const struct link_rows *b)
{
	const struct link_rows both[2] = { *a, *b };
	struct link_set s;
	double *x, *y;
	int l, i;

	link_set_init(&s, net, both, 2);
	x = link_set_bytes(&s, net, a);
	y = link_set_bytes(&s, net, b);
	for (l = 0; l < net->n_links; l++) {
		i = link_set_find(&s, net, l);
		assert_in_range(i, 0, s.n - 1);
		NEAR(x[i], y[i]);
	}
	free(x);
	free(y);
	link_set_release(&s);
}

static void compare_step(const struct net *net, const struct coll_step *few,
			 const struct coll_step *all)
{
	struct link_rows want;

	link_rows_add_flows(&want, net, all->flow, (size_t)all->n_flows);
	assert_null(few->flow);
	compare_links(net, &few->rows, &want);
	NEAR(few->rank_bytes, coll_rank_bytes(net, all->flow,
					      (size_t)all->n_flows));
	link_rows_release(&want);
}

/* Returns how many steps were said by rows. */
static int compare(const struct net *net, const struct coll *few,
		   const struct coll *all)
{
	int n = 0;

	assert_int_equal(few->n_steps, all->n_steps);
	for (int i = 0; i < few->n_steps; i++) {
		if (!few->step[i].rows.n_rows)
			continue;
		compare_step(net, &few->step[i], &all->step[i]);
		n++;
	}
	return n;
}

static int check_alltoalls(const struct cluster *c, int group, int stride)
{
	int n = c->nodes * c->gpus_per_node, i, said = 0;
	struct traffic even = { .n_ranks = n, .each = 2.385 * MB,
				.group = group, .stride = stride,
				.node_each = 3.1 * MB };
	struct bench few, all;

	bench_init(&few, c);
	bench_init(&all, c);
	few.spec.keep_flows = all.spec.keep_flows = true;
	few.spec.flows_max = 1;
	for (i = 0; i < A2A_N * 4; i++) {
		few.spec.comm.window = all.spec.comm.window = i % 4 / 2 * 3;
		solve(&few, (enum a2a_alg)(i / 4), &even, i % 2);
		solve(&all, (enum a2a_alg)(i / 4), &even, i % 2);
		said += compare(&few.net, &few.coll, &all.coll);
	}
	bench_release(&few);
	bench_release(&all);
	return said;
}

static void check_ring(const struct net *net, enum coll_op op, int group,
		       int stride)
{
	struct coll_spec spec = { .net = net };
	struct coll few, all;

	assert_int_equal(coll_ring(&spec, op, group, stride, 1e8, &all),
			 ST_OK);
	few = all;
	coll_ring_flows(&spec, op, group, stride, 1e8, &all);
	spec.flows_max = 1;
	coll_ring_flows(&spec, op, group, stride, 1e8, &few);
	assert_int_equal(compare(net, &few, &all), 1);
	coll_release(&few);
	coll_release(&all);
}

static void check_rings(const struct cluster *c)
{
	int n = c->nodes * c->gpus_per_node, op, group, stride;
	struct net net;

	assert_int_equal(net_init(&net, c, NET_EFFECTIVE), ST_OK);
	for (op = COLL_ALLGATHER; op <= COLL_SENDRECV; op++) {
		for (group = 2; group <= n; group++) {
			for (stride = 1; group * stride <= n; stride++) {
				if (n % (group * stride) == 0)
					check_ring(&net, (enum coll_op)op,
						   group, stride);
			}
		}
	}
	net_release(&net);
}

static void test_against_flows(void **state)
{
	static const int nodes[] = { 6, 9, 16 };
	int kind, said = 0;
	size_t i;

	(void)state;
	for (kind = FABRIC_NONBLOCKING; kind <= FABRIC_RACK; kind++) {
		for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
			struct cluster c = make_cluster(nodes[i], 4);
			int n = 4 * nodes[i];

			c.fabric.kind = (enum fabric_kind)kind;
			c.fabric.oversubscription = 3;
			c.fabric.core_oversubscription = 1.5;
			c.fabric.nodes_per_leaf = nodes[i] / 3;
			c.fabric.leaves_per_pod = 3;
			check_rings(&c);
			said += check_alltoalls(&c, n, 1);
			said += check_alltoalls(&c, 4, 1);
			said += check_alltoalls(&c, 2, 2);
			said += check_alltoalls(&c, nodes[i], 4);
			said += check_alltoalls(&c, n / 2, 2);
		}
	}
	assert_true(said > 500);
}

/*
 * Two nodes of two GPUs (links: NVLink up 0-3, down 4-7, NIC up 8-11, down
 * 12-15). 0 -> 1 in node 0 alone makes two kinds; the same in both nodes one.
 */
static void test_kinds(void **state)
{
	struct cluster c = make_cluster(2, 2);
	struct coll_flow f[] = { { 0, 1, 7, 0 }, { 2, 3, 7, 0 } };
	struct link_rows rows[2];
	struct link_set s;
	struct net net;
	double *bytes;
	int i;

	(void)state;
	c.fabric.kind = FABRIC_NONBLOCKING;
	assert_int_equal(net_init(&net, &c, NET_EFFECTIVE), ST_OK);
	link_rows_add_flows(&rows[0], &net, f, 2);
	link_rows_add_flows(&rows[1], &net, f, 1);
	link_set_init(&s, &net, rows, 1);
	assert_int_equal(s.n, 8);
	i = link_set_find(&s, &net, 2);	/* GPU 2's NVLink up */
	assert_int_equal(i, link_set_find(&s, &net, 0));
	assert_int_equal(s.begin[i + 1] - s.begin[i], 2);
	assert_int_equal(s.link[s.begin[i]], 0);
	assert_int_equal(s.link[s.begin[i] + 1], 2);
	link_set_release(&s);
	link_set_init(&s, &net, rows, 2);
	assert_int_equal(s.n, 16);
	bytes = link_set_bytes(&s, &net, &rows[1]);
	assert_true(bytes[link_set_find(&s, &net, 0)] == 7);
	assert_true(bytes[link_set_find(&s, &net, 5)] == 7);
	assert_true(bytes[link_set_find(&s, &net, 2)] == 0);
	free(bytes);
	link_set_release(&s);
	for (i = 0; i < 2; i++)
		link_rows_release(&rows[i]);
	net_release(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_flows),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
