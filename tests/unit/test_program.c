/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"
#include "scenarios/program.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static struct cluster cluster_of(int nodes, int gpus)
{
	struct cluster c = { .nodes = nodes, .gpus_per_node = gpus };

	return c;
}

static struct model model_of(int experts, int shared)
{
	struct model m = { .hidden = 8, .experts = experts,
			   .experts_per_token = 2, .shared_experts = shared };

	return m;
}

static struct plan plan_of(int ep, int esp, int dp, enum a2a_alg a, int rf,
			   int rb)
{
	struct plan p = {
		.layout = { .ep = ep, .esp = esp, .tp = 1, .dp = dp, .pp = 1 },
		.alltoall = a, .degree_forward = rf, .degree_backward = rb,
		.technique_mask = 1,
	};

	return p;
}

/* One op a line: kind lane chunk/n_chunks step deps. */
static void print_ops(const struct program *p, struct buf *out)
{
	const struct op *o;
	int i, d;

	for (i = 0; i < p->n_ops; i++) {
		o = &p->op[i];
		buf_addf(out, "%d %s %s %d/%d s%d <-", i, op_kind_name(o->kind),
			 lane_name(o->lane), o->chunk, o->n_chunks, o->step);
		for (d = 0; d < o->n_deps; d++)
			buf_addf(out, " %d", o->dep[d]);
		buf_puts(out, "\n");
	}
}

static void check_golden(const struct plan *p, const struct cluster *c,
			 const struct model *m, const char *want)
{
	struct program prog;
	struct buf b = { 0 };

	assert_int_equal(program_lower(p, c, m, &prog), ST_OK);
	program_check(&prog);
	print_ops(&prog, &b);
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
	program_release(&prog);
}

/*
 * 2 nodes x 2 GPUs, 4 experts, ep 4, flat, forward in 2 chunks, backward in
 * one. By hand: dispatch chunks 0 and 1 on inter, both experts, both
 * combines; unpermute waits for the last combine. Backward in sequence: the
 * exchange of input gradients waits for the weight gradients.
 */
static void test_golden_flat(void **state)
{
	struct plan p = plan_of(4, 1, 1, A2A_FLAT, 2, 1);
	struct cluster c = cluster_of(2, 2);
	struct model m = model_of(4, 0);

	(void)state;
	check_golden(&p, &c, &m,
		     "0 gate compute 0/1 s0 <-\n"
		     "1 permute compute 0/1 s0 <- 0\n"
		     "2 dispatch inter 0/2 s0 <- 1\n"
		     "3 dispatch inter 1/2 s0 <- 1\n"
		     "4 expert compute 0/2 s0 <- 2\n"
		     "5 expert compute 1/2 s0 <- 3\n"
		     "6 combine inter 0/2 s0 <- 4\n"
		     "7 combine inter 1/2 s0 <- 5\n"
		     "8 unpermute compute 0/1 s0 <- 7\n"
		     "9 unpermute_bwd compute 0/1 s0 <- 8\n"
		     "10 combine_bwd inter 0/1 s0 <- 9\n"
		     "11 expert_bwd_data compute 0/1 s0 <- 10\n"
		     "12 expert_bwd_weight compute 0/1 s0 <- 10\n"
		     "13 dispatch_bwd inter 0/1 s0 <- 12\n"
		     "14 permute_bwd compute 0/1 s0 <- 13\n"
		     "15 gate_bwd compute 0/1 s0 <- 14\n"
		     "16 allreduce_gate inter 0/1 s0 <- 15\n");
}

/*
 * One node x 8 GPUs: ep 2 x esp 2 x dp 2, one shared expert, algorithm
 * "lanes". Everything stays in the node: inter becomes intra. The two steps
 * of an exchange start together (same dependencies), the next stage waits
 * for both. Degree 1 puts the shared expert before the exchange.
 */
static void test_golden_lanes(void **state)
{
	struct plan p = plan_of(2, 2, 2, A2A_LANES, 1, 2);
	struct cluster c = cluster_of(1, 8);
	struct model m = model_of(4, 1);

	(void)state;
	check_golden(&p, &c, &m,
		     "0 gate compute 0/1 s0 <-\n"
		     "1 permute compute 0/1 s0 <- 0\n"
		     "2 shared compute 0/1 s0 <- 1\n"
		     "3 dispatch intra 0/1 s0 <- 2\n"
		     "4 dispatch intra 0/1 s1 <- 2\n"
		     "5 allgather intra 0/1 s0 <- 3 4\n"
		     "6 expert compute 0/1 s0 <- 5\n"
		     "7 reducescatter intra 0/1 s0 <- 6\n"
		     "8 combine intra 0/1 s0 <- 7\n"
		     "9 combine intra 0/1 s1 <- 7\n"
		     "10 unpermute compute 0/1 s0 <- 8 9\n"
		     "11 unpermute_bwd compute 0/1 s0 <- 10\n"
		     "12 shared_bwd compute 0/1 s0 <- 11\n"
		     "13 combine_bwd intra 0/2 s0 <- 11\n"
		     "14 combine_bwd intra 0/2 s1 <- 11\n"
		     "15 allgather intra 0/2 s0 <- 13 14\n"
		     "16 combine_bwd intra 1/2 s0 <- 11\n"
		     "17 combine_bwd intra 1/2 s1 <- 11\n"
		     "18 allgather intra 1/2 s0 <- 16 17\n"
		     "19 expert_bwd_data compute 0/2 s0 <- 15\n"
		     "20 expert_bwd_data compute 1/2 s0 <- 18\n"
		     "21 expert_bwd_weight compute 0/2 s0 <- 15\n"
		     "22 expert_bwd_weight compute 1/2 s0 <- 18\n"
		     "23 reducescatter intra 0/2 s0 <- 19\n"
		     "24 dispatch_bwd intra 0/2 s0 <- 23\n"
		     "25 dispatch_bwd intra 0/2 s1 <- 23\n"
		     "26 reducescatter intra 1/2 s0 <- 20\n"
		     "27 dispatch_bwd intra 1/2 s0 <- 26\n"
		     "28 dispatch_bwd intra 1/2 s1 <- 26\n"
		     "29 allreduce_gate intra 0/1 s1 <- 12\n"
		     "30 allreduce_expert intra 0/1 s1 <- 22\n"
		     "31 permute_bwd compute 0/1 s0 <- 27 28\n"
		     "32 gate_bwd compute 0/1 s0 <- 31\n"
		     "33 allreduce_gate intra 0/1 s0 <- 32\n");
}

/*
 * Degree 1 with overlap=weight, one shared expert, 2 nodes: as the plans
 * above, but the shared expert's op is no dependency of an exchange, and the
 * exchange of input gradients waits for the data gradients (10) alone.
 */
static void test_golden_overlap(void **state)
{
	struct plan p = plan_of(4, 1, 1, A2A_FLAT, 1, 1);
	struct cluster c = cluster_of(2, 2);
	struct model m = model_of(4, 1);

	(void)state;
	p.overlap = OVERLAP_WEIGHT;
	check_golden(&p, &c, &m,
		     "0 gate compute 0/1 s0 <-\n"
		     "1 permute compute 0/1 s0 <- 0\n"
		     "2 shared compute 0/1 s0 <- 1\n"
		     "3 dispatch inter 0/1 s0 <- 1\n"
		     "4 expert compute 0/1 s0 <- 3\n"
		     "5 combine inter 0/1 s0 <- 4\n"
		     "6 unpermute compute 0/1 s0 <- 5\n"
		     "7 unpermute_bwd compute 0/1 s0 <- 6\n"
		     "8 shared_bwd compute 0/1 s0 <- 7\n"
		     "9 combine_bwd inter 0/1 s0 <- 7\n"
		     "10 expert_bwd_data compute 0/1 s0 <- 9\n"
		     "11 expert_bwd_weight compute 0/1 s0 <- 9\n"
		     "12 dispatch_bwd inter 0/1 s0 <- 10\n"
		     "13 allreduce_gate inter 0/1 s1 <- 8\n"
		     "14 permute_bwd compute 0/1 s0 <- 12\n"
		     "15 gate_bwd compute 0/1 s0 <- 14\n"
		     "16 allreduce_gate inter 0/1 s0 <- 15\n");
}

/*
 * Leader with 3 chunks on 2 nodes: the order of the intra lane must let the
 * gather of chunk 1 run beside the exchange of chunk 0, and prefer the
 * scatter of an older chunk to the gather of a newer one.
 */
static void test_wavefront(void **state)
{
	static const struct { int chunk, step; } want[] = {
		{ 0, 0 }, { 1, 0 }, { 0, 2 }, { 2, 0 }, { 1, 2 }, { 2, 2 },
	};
	struct plan p = plan_of(4, 1, 1, A2A_LEADER, 3, 1);
	struct cluster c = cluster_of(2, 2);
	struct model m = model_of(4, 0);
	struct program prog;
	int i, n = 0;

	(void)state;
	assert_int_equal(program_lower(&p, &c, &m, &prog), ST_OK);
	for (i = 0; i < prog.n_ops; i++) {
		if (prog.op[i].kind != OP_DISPATCH ||
		    prog.op[i].lane != LANE_INTRA)
			continue;
		assert_int_equal(prog.op[i].chunk, want[n].chunk);
		assert_int_equal(prog.op[i].step, want[n].step);
		n++;
	}
	assert_int_equal(n, 6);
	program_release(&prog);
}

/* Lanes follow the groups: node, rack, or neither. */
static void test_domains(void **state)
{
	struct cluster c = cluster_of(4, 8);

	(void)state;
	assert_true(group_in_domain(&c, 8, 1));
	assert_true(group_in_domain(&c, 4, 2));
	assert_true(group_in_domain(&c, 1, 32));
	assert_false(group_in_domain(&c, 16, 1));
	assert_false(group_in_domain(&c, 2, 8));
	assert_false(group_in_domain(&c, 3, 1));	/* 6, 7, 8 straddle */
	c.fabric.kind = FABRIC_RACK;
	c.fabric.gpus_per_rack = 16;
	assert_true(group_in_domain(&c, 16, 1));
	assert_true(group_in_domain(&c, 2, 8));
	assert_false(group_in_domain(&c, 32, 1) &&
		     c.fabric.gpus_per_rack < 32);
	c = cluster_of(1, 6);
	assert_true(group_in_domain(&c, 4, 1));	/* one node: always */
}

/* No exchange may be left without its mirror image; D before C on a lane. */
static void check_order(const struct program *p)
{
	int i, j;

	for (i = 0; i < p->n_ops; i++) {
		if (p->op[i].kind != OP_COMBINE &&
		    p->op[i].kind != OP_DISPATCH_BWD)
			continue;
		for (j = i + 1; j < p->n_ops; j++) {
			assert_true(p->op[j].kind != OP_DISPATCH);
			if (p->op[i].kind == OP_DISPATCH_BWD)
				assert_true(p->op[j].kind != OP_COMBINE_BWD);
		}
	}
}

static int count_kind(const struct program *p, enum op_kind k)
{
	int i, n = 0;

	for (i = 0; i < p->n_ops; i++)
		n += p->op[i].kind == k;
	return n;
}

static void test_many(void **state)
{
	static const int shape[][3] = {	/* ep, esp, dp on 4 x 4 */
		{ 16, 1, 1 }, { 8, 2, 1 }, { 4, 4, 1 }, { 4, 1, 4 },
		{ 1, 1, 16 }, { 1, 4, 4 }, { 2, 8, 1 }, { 8, 1, 2 },
	};
	struct cluster c = cluster_of(4, 4);
	struct program prog;
	struct plan p;
	struct model m;
	int a, s, r, steps;

	(void)state;
	for (a = 0; a < A2A_N; a++) {
		for (s = 0; s < 8; s++) {
			for (r = 1; r <= 33; r += r < 9 ? 1 : 12) {
				p = plan_of(shape[s][0], shape[s][1],
					    shape[s][2], (enum a2a_alg)a, r,
					    9 - r > 0 ? 9 - r : 1);
				m = model_of(16 >> s % 2, s % 3);
				assert_int_equal(program_lower(&p, &c, &m,
							       &prog), ST_OK);
				program_check(&prog);
				check_order(&prog);
				steps = p.layout.ep > 1 ?
					a2a_table[a].n_steps : 0;
				assert_int_equal(count_kind(&prog,
						 OP_DISPATCH), r * steps);
				assert_int_equal(count_kind(&prog,
						 OP_COMBINE), r * steps);
				program_release(&prog);
			}
		}
	}
}

static void test_errors(void **state)
{
	struct cluster c = cluster_of(2, 2);
	struct model m = model_of(4, 0);
	struct plan p = plan_of(4, 1, 1, A2A_FLAT, 0, 1);
	struct program prog;

	(void)state;
	assert_int_equal(program_lower(&p, &c, &m, &prog), ST_INPUT);
	p = plan_of(4, 1, 1, A2A_FLAT, 1, PLAN_DEGREE_MAX + 1);
	assert_int_equal(program_lower(&p, &c, &m, &prog), ST_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_flat),
		cmocka_unit_test(test_golden_lanes),
		cmocka_unit_test(test_golden_overlap),
		cmocka_unit_test(test_wavefront),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
