/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Orders of ops: as text, laid in a program, and the search for the best. */
#include "base/buf.h"
#include "base/units.h"
#include "sim/chain.h"
#include "sim/order_search.h"
#include "tests/unit/exec_stub.h"

/* 4 nodes of 4 GPUs, 16 experts. */
static struct plan plan_of(int ep, int esp, enum a2a_alg a, int rf, int rb)
{
	return (struct plan){
		.layout = { .ep = ep, .esp = esp, .tp = 1,
			    .dp = 16 / ep / esp, .pp = 1 },
		.alltoall = a, .degree_forward = rf, .degree_backward = rb,
		.technique_mask = 1,
	};
}

static enum status lower_plan(const struct plan *p, int shared,
			      struct program *out)
{
	struct cluster cl = { .nodes = 4, .gpus_per_node = 4 };
	struct model m = { .hidden = 8, .experts = 16,
			   .experts_per_token = 2, .shared_experts = shared };

	return program_lower(p, &cl, &m, out);
}

/* ---- text ---- */

static void round_trip(const char *text)
{
	struct pass_order o[2];
	struct buf b = { 0 };

	if (order_parse(text, o))
		fail_msg("%s: %s", text, err_msg());
	order_print(o, &b);
	assert_string_equal(buf_str(&b), text);
	buf_release(&b);
}

static void refuse(const char *text, const char *why)
{
	struct pass_order o[2];

	assert_int_equal(order_parse(text, o), ST_INPUT);
	if (!strstr(err_msg(), why))
		fail_msg("'%s' is not in '%s'", why, err_msg());
}

static void test_text(void **state)
{
	struct pass_order o[2];

	(void)state;
	round_trip("dispatch-first");
	round_trip("interleaved/combine-first");
	round_trip("D4SE2W2DE2W2C4G/dispatch-first");
	round_trip("D2E2C2/DbDEWCCbHHbX3");
	assert_int_equal(order_parse("D3", o), ST_OK);
	assert_int_equal(o[0].n, 3);
	assert_int_equal(order_compare(&o[0], &o[1]), 0);
	assert_int_equal(order_parse("DaE", o), ST_INPUT);
	refuse("dispatchfirst", "did you mean 'dispatch-first'?");
	refuse("", "allowed: dispatch-first");
	refuse("D4Q", "has 'Q', must be one of DAERCSWGHX");
	refuse("D105", "more than 104");
	refuse("D99E6", "more than 104");
	refuse("D0", "no places at 'D'");
	refuse("D99999999999999999999", "more than 104");
}

/* ---- laying ---- */

static void print_program(const struct program *p, int pass, struct buf *out)
{
	int i = pass ? p->n_forward : 0;

	for (; i < (pass ? p->n_ops : p->n_forward); i++)
		buf_addf(out, "%s%d ", op_kind_name(p->op[i].kind),
			 p->op[i].chunk);
}

/*
 * Flat, three chunks, one shared expert. Interleaved: D_t, E_(t-1), C_(t-2)
 * in round t, older chunks first. Combine-first is the same here: one chunk
 * is ahead.
 */
static void test_rules(void **state)
{
	static const char *const want[] = {
		"gate0 permute0 shared0 dispatch0 dispatch1 dispatch2 expert0 "
		"expert1 expert2 combine0 combine1 combine2 unpermute0 ",
		"gate0 permute0 shared0 dispatch0 expert0 dispatch1 combine0 "
		"expert1 dispatch2 combine1 expert2 combine2 unpermute0 ",
		"gate0 permute0 shared0 dispatch0 dispatch1 expert0 combine0 "
		"dispatch2 expert1 combine1 expert2 combine2 unpermute0 ",
	};

	(void)state;
	for (int r = 0; r < ORDER_GIVEN; r++) {
		struct plan p = plan_of(16, 1, A2A_FLAT, 3, 2);
		struct buf b = { 0 };
		struct program prog;

		p.order[0].rule = p.order[1].rule = (unsigned char)r;
		assert_int_equal(lower_plan(&p, 1, &prog), ST_OK);
		program_check(&prog);
		print_program(&prog, 0, &b);
		assert_string_equal(buf_str(&b), want[r]);
		buf_release(&b);
		program_release(&prog);
	}
}

static void test_given(void **state)
{
	static const char *const bad[][2] = {
		{ "D2E2C/dispatch-first", "does not have the places" },
		{ "D2E2C3/dispatch-first", "does not have the places" },
		{ "D2E2C2S/dispatch-first", "of the pass forward, D2E2C2" },
		{ "DE2DC2/dispatch-first", "'E' of chunk 1 before" },
		{ "CD2E2C/dispatch-first", "'C' of chunk 0 before" },
		{ "dispatch-first/D2WE2WC2", "'W' of chunk 0 before" },
	};
	struct plan p = plan_of(16, 1, A2A_FLAT, 2, 2);
	struct program prog;
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(order_parse("DEDCEC/DEWDCEWC", p.order), ST_OK);
	assert_int_equal(lower_plan(&p, 0, &prog), ST_OK);
	program_check(&prog);
	print_program(&prog, 0, &b);
	print_program(&prog, 1, &b);
	assert_string_equal(buf_str(&b), "gate0 permute0 dispatch0 expert0 "
		"dispatch1 combine0 expert1 combine1 unpermute0 "
		"unpermute_bwd0 combine_bwd0 expert_bwd_data0 "
		"expert_bwd_weight0 combine_bwd1 dispatch_bwd0 "
		"expert_bwd_data1 expert_bwd_weight1 dispatch_bwd1 "
		"permute_bwd0 gate_bwd0 allreduce_gate0 ");
	program_release(&prog);
	buf_release(&b);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(order_parse(bad[i][0], p.order), ST_OK);
		assert_int_equal(lower_plan(&p, 0, &prog), ST_INPUT);
		if (!strstr(err_msg(), bad[i][1]))
			fail_msg("%s", err_msg());
	}
}

/* Does the program do what the plain one does: same ops, same dependencies? */
static void same_work(const struct program *p, const struct program *q)
{
	assert_int_equal(p->n_ops, q->n_ops);
	for (int i = 0; i < p->n_ops; i++) {
		const struct op *a = &p->op[i], *b = NULL;

		for (int j = 0; j < q->n_ops && !b; j++) {
			b = &q->op[j];
			if (b->kind != a->kind || b->step != a->step ||
			    b->chunk != a->chunk ||
			    b->backward != a->backward)
				b = NULL;
		}
		assert_non_null(b);
		assert_int_equal(a->n_deps, b->n_deps);
		for (int d = 0; d < a->n_deps; d++) {
			const struct op *da = &p->op[a->dep[d]];
			const struct op *db = &q->op[b->dep[d]];

			assert_true(da->kind == db->kind &&
				    da->chunk == db->chunk &&
				    da->step == db->step);
		}
	}
}

/* ---- the search ---- */

static void random_times(struct cost *c, const struct program *p)
{
	cost_init(c);
	for (int k = 0; k < OP_KIND_N; k++) {
		c->s[k] = 1e-6 * (1 + rand() % 40);
		c->step[k].flow_s = 1e-6 * (1 + rand() % 40) *
			(rand() % 3 ? 1 : 4);
	}
	for (int i = 0; i < p->n_ops; i++) {	/* per chunk, not in all */
		if (op_kind_is_comm(p->op[i].kind) && !p->op[i].chunk)
			c->step[p->op[i].kind].flow_s *= p->op[i].n_chunks;
	}
}

/* The plan's program in the orders that were found. */
static void relower(const struct plan *p, int shared,
		    const struct order_found f[2], struct program *out)
{
	struct plan q = *p;
	struct plan again;
	struct buf b = { 0 };

	q.order[0] = f[0].order;
	q.order[1] = f[1].order;
	/* through the plan's text */
	plan_print(&q, &b);
	if (plan_parse(buf_str(&b), &again))
		fail_msg("%s: %s", buf_str(&b), err_msg());
	assert_true(plan_same(&q, &again));
	buf_release(&b);
	if (lower_plan(&again, shared, out))
		fail_msg("%s", err_msg());
	program_check(out);
}

/* Both executors take the order, to the time that the search said. */
static void check_runs(const struct plan *p, int shared, const struct cost *c,
		       const struct program *plain,
		       const struct order_found f[2])
{
	struct exec_result lane, flow;
	struct program prog;

	relower(p, shared, f, &prog);
	same_work(&prog, plain);
	run(&prog, c, EXEC_LANE, &lane);
	assert_int_equal(lane.forward_ps, f[0].time_ps);
	assert_int_equal(lane.time_ps, f[0].time_ps + f[1].time_ps);
	assert_int_equal(exec_run_sharing(&prog, c, &exec_share_nothing,
					  &flow), ST_OK);
	exec_check(&prog, &flow);
	assert_int_equal(flow.time_ps, lane.time_ps);
	exec_release(&lane);
	exec_release(&flow);
	program_release(&prog);
}

static void search_both(const struct program *p, const struct cost *c,
			long nodes, struct order_found f[2])
{
	uint64_t *time = calloc((size_t)p->n_ops, sizeof(*time));

	assert_non_null(time);
	order_durations(p, c, time);
	for (int pass = 0; pass < 2; pass++) {
		struct order_found bound;

		order_search(p, pass, time, nodes, &f[pass]);
		assert_true(f[pass].time_ps <= f[pass].plain_ps);
		assert_true(f[pass].time_ps >= f[pass].bound_ps);
		order_bound(p, pass, time, &bound);
		assert_int_equal(bound.bound_ps, f[pass].bound_ps);
		assert_int_equal(bound.plain_ps, f[pass].plain_ps);
	}
	free(time);
}

/* Tiny programs, every order of them: the search finds the best. */
static void test_brute_force(void **state)
{
	static const struct {
		int ep, esp, shared, rf, rb, overlap, pieces;
		enum a2a_alg a;
		unsigned techniques;
	} shape[] = {
		{ 16, 1, 0, 2, 2, 0, 0, A2A_FLAT, 0 },
		{ 16, 1, 1, 2, 1, 1, 0, A2A_FLAT, 0 },
		{ 8, 1, 1, 2, 2, 0, 0, A2A_FLAT, 0 },	/* dp 2 */
		{ 4, 4, 0, 2, 1, 1, 1, A2A_FLAT, 0 },
		{ 8, 2, 1, 1, 1, 0, 0, A2A_FLAT, 0 },
		{ 16, 1, 0, 2, 1, 1, 2, A2A_LEADER, 0 },
		{ 16, 1, 1, 1, 1, 1, 1, A2A_LANES, 0 },
		{ 16, 1, 0, 2, 1, 1, 1, A2A_2D, 0 },
		{ 4, 1, 1, 3, 1, 1, 0, A2A_FLAT, 0 },	/* inside a node */
		/* ops of their own, one on the host */
		{ 16, 1, 0, 2, 1, 1, 0, A2A_FLAT, 1u << TECH_SHADOWING |
		  1u << TECH_MIGRATION | 1u << TECH_LSH },
		{ 4, 4, 0, 2, 1, 0, 0, A2A_FLAT, 1u << TECH_SHADOWING },
	};
	int better = 0, n = 0;

	(void)state;
	srand(3);
	for (size_t k = 0; k < sizeof(shape) / sizeof(shape[0]); k++) {
		struct plan p = plan_of(shape[k].ep, shape[k].esp, shape[k].a,
					shape[k].rf, shape[k].rb);
		struct program prog;

		p.overlap = shape[k].overlap ? OVERLAP_WEIGHT : OVERLAP_NONE;
		p.technique_mask |= shape[k].techniques;
		p.gradient_bytes = shape[k].pieces;
		p.gradient_pieces = shape[k].pieces > 1 ? shape[k].pieces : 0;
		assert_int_equal(lower_plan(&p, shape[k].shared, &prog),
				 ST_OK);
		for (int i = 0; i < 12; i++) {
			struct order_found f[2];
			struct cost c;
			uint64_t time[128];

			random_times(&c, &prog);
			search_both(&prog, &c, 1000000, f);
			order_durations(&prog, &c, time);
			for (int pass = 0; pass < 2; pass++) {
				assert_true(f[pass].exact);
				assert_int_equal(f[pass].time_ps,
					order_brute_force(&prog, pass, time));
				better += f[pass].time_ps < f[pass].plain_ps;
				n++;
			}
			check_runs(&p, shape[k].shared, &c, &prog, f);
		}
		program_release(&prog);
	}
	print_message("# better than dispatch-first in %d of %d passes\n",
		      better, n);
	assert_true(better > n / 10);
}

/* Programs of any size: never slower than a rule, nothing broken. */
static void test_large(void **state)
{
	(void)state;
	srand(5);
	for (int i = 0; i < 150; i++) {
		int esp = 1 << rand() % 3, shared = rand() % 2;
		struct plan p = plan_of(16 >> rand() % 2, 1, A2A_FLAT,
					1 + rand() % 9, 1 + rand() % 9);
		struct order_found f[2];
		struct program prog;
		struct cost c;

		p.layout.esp = esp;
		p.layout.ep = 16 / esp / p.layout.dp;
		p.alltoall = (enum a2a_alg)(rand() % (A2A_DIRECT));
		p.overlap = (enum plan_overlap)(rand() % OVERLAP_N);
		p.gradient_bytes = rand() % 2 * 1e6;
		p.gradient_pieces = p.gradient_bytes > 0 && rand() % 2 ? 3 : 0;
		p.technique_mask |= (rand() % 2) << TECH_SHADOWING |
			(rand() % 2) << TECH_MIGRATION |
			(rand() % 2) << TECH_LSH;
		if (i % 10 == 0)
			p.degree_backward = 60;	/* a rule, no places */
		assert_int_equal(lower_plan(&p, shared, &prog), ST_OK);
		random_times(&c, &prog);
		search_both(&prog, &c, 300, f);
		for (int r = 0; r < ORDER_GIVEN; r++) {
			struct exec_result e;
			struct program q;
			struct plan rule = p;

			rule.order[0].rule = (unsigned char)r;
			rule.order[1].rule = (unsigned char)r;
			assert_int_equal(lower_plan(&rule, shared, &q), ST_OK);
			program_check(&q);
			run(&q, &c, EXEC_LANE, &e);
			assert_true(f[0].time_ps <= e.forward_ps);
			assert_true(f[1].time_ps <= e.time_ps - e.forward_ps);
			exec_release(&e);
			program_release(&q);
		}
		check_runs(&p, shared, &c, &prog, f);
		program_release(&prog);
	}
}

static void set_chain(struct cost *c, const struct chain *k)
{
	cost_init(c);
	set_comm(c, OP_DISPATCH, k->a, k->r);
	set_comm(c, OP_COMBINE, k->a, k->r);
	set_comm(c, OP_ALLGATHER, k->g, k->r);
	set_comm(c, OP_REDUCESCATTER, k->s, k->r);
	c->s[OP_EXPERT] = k->e;
}

/*
 * The chain of FSMoE's paper: all-to-alls a, all-gathers g, reduce-scatters
 * s, experts e. Here the forward pass of ep 4 x esp 4; sim/chain_exact.c is
 * another search over the same schedules. Never above the paper's order.
 */
static void test_chain(void **state)
{
	double gain = 0;
	int n = 0;

	(void)state;
	srand(9);
	for (int i = 0; i < 200; i++) {
		struct chain k = {
			.r = 1 + i % 4, .a = 1e-6 * (1 + rand() % 60),
			.g = 1e-6 * (1 + rand() % 60),
			.s = 1e-6 * (1 + rand() % 60),
			.e = 1e-6 * (1 + rand() % 90),
		};
		struct plan p = plan_of(4, 4, A2A_FLAT, k.r, 1);
		struct order_found f[2];
		struct program prog;
		struct cost c;
		double t;

		set_chain(&c, &k);
		assert_int_equal(lower_plan(&p, 0, &prog), ST_OK);
		search_both(&prog, &c, 1000000, f);
		assert_true(f[0].exact);
		t = s_from_ps(f[0].time_ps);
		assert_true(fabs(t - chain_exact(&k)) < 1e-10);
		assert_true(t <= chain_fixed(&k) + 1e-10);
		gain += 1 - t / chain_fixed(&k);
		n++;
		program_release(&prog);
	}
	print_message("# FSMoE's order is %.2f %% above the best\n",
		      100 * gain / n);
}

/* alpha (ms) and beta (ms an element or MAC) of gemm, a2a, ag, rs: the fits
 * that FSMoE prints for its testbeds; A's all-gather takes its
 * reduce-scatter's beta, as its table 2 says (printed: ten times that). */
static const struct testbed {
	double gemm[2], a2a[2], ag[2], rs[2];
	int shard, experts;
	double sequence;	/* the shortest of three, each twice the last */
} testbeds[] = {
	{ { 4.26e-2, 2.29e-11 }, { 2.87e-1, 2.21e-7 }, { 3.37e-1, 2.34e-7 },
	  { 3.95e-1, 2.34e-7 }, 8, 6, 512 },
	{ { 9.24e-2, 4.42e-11 }, { 1.75e-1, 3.06e-7 }, { 3.20e-2, 1.68e-7 },
	  { 3.91e-2, 1.67e-7 }, 4, 8, 256 },
};

/* Configuration i of its grid of 729 x 2: the paper's section 6 (heads change
 * the attention only, so a third of them is all that differs here). */
static struct chain grid_chain(const struct testbed *t, int i, int r)
{
	static const double factor[] = { 1.2, 2.4, 2.0 };	/* 2.0: all */
	double batch = 1 << i % 3, length = t->sequence * (1 << i / 3 % 3);
	double hidden = 1024 << i / 9 % 3, ratio = 2 + i / 27 % 3;
	double copies = 2 * factor[i / 81 % 3];
	int products = 2 + i / 243 % 2;
	double rows = copies * batch * length, n = rows * hidden;
	double macs = n * ratio * hidden / t->shard;	/* of a product */

	return (struct chain){
		.r = r,
		.a = 1e-3 * (t->a2a[0] + n / t->shard / r * t->a2a[1]),
		.g = 1e-3 * (t->ag[0] + n / r * t->ag[1]),
		.s = 1e-3 * (t->rs[0] + n / r * t->rs[1]),
		.e = 1e-3 * products * (t->gemm[0] + macs / r * t->gemm[1]),
	};
}

/*
 * On all layers that FSMoE was measured with, at each of its degrees: the
 * program dispatch-first takes what the paper's order takes, the search never
 * more. At its best degree the paper's order is nearly always the best: one
 * lane is busy from end to end.
 */
static void test_fsmoe_grid(void **state)
{
	double gain = 0;
	int better = 0, n = 0;

	(void)state;
	for (int i = 0; i < 2 * 486; i++) {
		double paper = INFINITY, ours = INFINITY;

		for (int r = 1; r <= 8; r *= 2) {
			struct chain k = grid_chain(&testbeds[i % 2], i / 2,
						    r);
			struct plan p = plan_of(4, 4, A2A_FLAT, r, 1);
			struct order_found f[2];
			struct program prog;
			struct cost c;

			set_chain(&c, &k);
			assert_int_equal(lower_plan(&p, 0, &prog), ST_OK);
			search_both(&prog, &c, 100, f);
			assert_true(fabs(s_from_ps(f[0].plain_ps) -
					 chain_fixed(&k)) < 1e-9);
			paper = fmin(paper, chain_fixed(&k));
			ours = fmin(ours, s_from_ps(f[0].time_ps));
			program_release(&prog);
		}
		assert_true(ours <= paper + 1e-9);
		better += ours < paper * (1 - 1e-6);
		gain += 1 - ours / paper;
		n++;
	}
	print_message("# on %d of %d layers of FSMoE's grid better than its "
		      "order, %.2f %% on average\n", better, n,
		      100 * gain / n);
	assert_true(better > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_fsmoe_grid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
