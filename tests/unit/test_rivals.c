/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What published systems choose: layouts, by hand and on a scenario. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scenario_help.h"

#include "base/units.h"
#include "sim/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void load(struct scenario *s, const char *const *sets, int n_sets)
{
	static const char text[] =
		"cluster:\n"
		"  nodes: 2\n"
		"  gpus_per_node: 2\n"
		"  gpu: h100-sxm\n"
		"  intra: {kind: nvswitch, bandwidth: 450GB/s, latency: 1us}\n"
		"  nic: {bandwidth: 50Gb/s, latency: 3us}\n"
		"model: {hidden: 1024, layers: 4, experts: 4,\n"
		"        experts_per_token: 1, expert_ffn: 2048,\n"
		"        sequence: 1024, batch_per_gpu: 1}\n"
		"layout: {ep: 4}\n"
		"routing: {kind: uniform}\n"
		"search: {degree: [1, 2], capacity: [0], flow_tolerance: 0,\n"
		"         alltoall: [flat], techniques: [baseline]}\n";

	help_load_n(s, text, sets, n_sets);
}

static void is_layout(struct layout l, int ep, int esp, int tp, int dp)
{
	assert_int_equal(l.ep, ep);
	assert_int_equal(l.esp, esp);
	assert_int_equal(l.tp, tp);
	assert_int_equal(l.dp, dp);
}

static void test_packed(void **state)
{
	const char *const four[] = { "cluster.nodes=4", "model.experts=8",
				     "layout.ep=8" };
	struct layout l;
	struct scenario s;

	(void)state;
	load(&s, four, 3);
	l = (struct layout){ 8, 1, 1, 1, 1 };
	assert_true(rival_packed(&l, &s.cluster, &s.model, &l));
	is_layout(l, 4, 1, 1, 2);
	assert_true(rival_packed(&l, &s.cluster, &s.model, &l));
	is_layout(l, 2, 1, 1, 4);
	/* an exchange must be left */
	assert_false(rival_packed(&l, &s.cluster, &s.model, &l));
	is_layout(l, 2, 1, 1, 4);
	/* copies of experts are not packed */
	s.model.experts = 4;
	l = (struct layout){ 8, 1, 1, 1, 1 };
	assert_false(rival_packed(&l, &s.cluster, &s.model, &l));
	scenario_release(&s);
}

static void test_groupwise(void **state)
{
	const char *const four[] = { "cluster.nodes=4",
				     "cluster.gpus_per_node=4",
				     "model.experts=16", "layout.ep=16" };
	struct layout l = { 16, 1, 1, 1, 1 }, tensor = { 16, 1, 2, 1, 1 };
	struct scenario s;

	(void)state;
	load(&s, four, 4);
	/* the node, four GPUs */
	assert_true(rival_groupwise(&l, &s.cluster, &s.model, &l));
	is_layout(l, 4, 4, 1, 1);
	/* done already */
	assert_false(rival_groupwise(&l, &s.cluster, &s.model, &l));
	/* the tensor group */
	assert_true(rival_groupwise(&tensor, &s.cluster, &s.model, &tensor));
	is_layout(tensor, 8, 2, 2, 1);
	/* nobody is left to exchange with */
	l = (struct layout){ 4, 1, 1, 4, 1 };
	assert_false(rival_groupwise(&l, &s.cluster, &s.model, &l));
	scenario_release(&s);
}

static double op_s(const struct evaluation *e, enum op_kind kind)
{
	for (int i = 0; i < e->program.n_ops; i++) {
		if (e->program.op[i].kind == kind)
			return s_from_ps(e->exec.op[i].finish_ps -
					 e->exec.op[i].start_ps);
	}
	fail_msg("no '%s'", op_kind_name(kind));
	return 0;
}

/*
 * The group-wise exchange by hand, links at their full rate and nothing but
 * latencies beside it. A group of t = 2 ranks has V = 2 x 1,024 rows of 2,048
 * bytes, half of them for the other node. Each rank carries V / t of that:
 * 512 rows, 1 MiB, over its NIC of 6.25 GB/s, 167.77 us and 3 us. Gathering:
 * of the 2,048 rows that the group computes a rank gets the other's half, V
 * (t - 1) / t = 2 MiB at 450 GB/s, 4.66 us and 1 us. In two chunks each chunk
 * has half of the bytes and all of the latency.
 */
static void test_groupwise_by_hand(void **state)
{
	struct plan p = { .layout = { 2, 2, 1, 1, 1 }, .alltoall = A2A_FLAT,
			  .degree_forward = 1, .degree_backward = 2,
			  .technique_mask = 1u << TECH_BASELINE };
	const struct comm_tier plain = { .efficiency = 1, .ll_efficiency = 1 };
	const double mib = 1 << 20;
	struct evaluation e;
	struct scenario s;

	(void)state;
	load(&s, NULL, 0);
	s.cluster.gpu.intra = s.cluster.gpu.inter = plain;
	s.comm.ll_bytes = 0;
	if (evaluate_plan(&s, &p, EXEC_LANE, NULL, &e))
		fail_msg("%s", err_msg());
	assert_float_equal(op_s(&e, OP_DISPATCH), 3e-6 + mib / 6.25e9, 1e-11);
	assert_float_equal(op_s(&e, OP_COMBINE), 3e-6 + mib / 6.25e9, 1e-11);
	assert_float_equal(op_s(&e, OP_ALLGATHER), 1e-6 + 2 * mib / 450e9,
			   1e-11);
	assert_float_equal(op_s(&e, OP_REDUCESCATTER),
			   1e-6 + 2 * mib / 450e9, 1e-11);
	assert_float_equal(op_s(&e, OP_COMBINE_BWD),
			   3e-6 + mib / 2 / 6.25e9, 1e-11);
	evaluation_release(&e);
	scenario_release(&s);
}

static const struct baseline *find(const struct search_result *r,
				   const char *name)
{
	for (int i = 0; i < r->n_baselines; i++) {
		if (!strcmp(r->baseline[i].system, name))
			return &r->baseline[i];
	}
	fail_msg("no '%s'", name);
	return NULL;
}

static void plan_layer(const char *const *sets, int n, struct scenario *s,
		       struct search_result *r)
{
	struct search_options o = { .top = 1 };

	load(s, sets, n);
	if (search_run(s, &o, r))
		fail_msg("%s", err_msg());
}

/* Exchange by products of a chunk. */
static double exchange_share(const struct scenario *s, const struct plan *p)
{
	struct evaluation e;
	double share;

	if (evaluate_plan(s, p, EXEC_LANE, NULL, &e))
		fail_msg("%s", err_msg());
	share = op_s(&e, OP_DISPATCH) / op_s(&e, OP_EXPERT);
	evaluation_release(&e);
	return share;
}

/*
 * Lina doubles the experts of a device while the exchange is the longer: over
 * slow NICs until a node has all of them, 4 ranks, and the exchange is inside
 * it. With fast NICs or large experts it stays as it was.
 */
static void test_lina(void **state)
{
	const char *const slow[] = { "cluster.gpus_per_node=4",
				     "model.experts=8", "layout.ep=8",
				     "model.sequence=16384" };
	const char *const large[] = { "cluster.gpus_per_node=4",
				      "model.experts=8", "layout.ep=8",
				      "model.expert_ffn=65536",
				      "model.sequence=16384",
				      "cluster.nic.bandwidth=400Gb/s" };
	const char *const tight[] = { "cluster.gpus_per_node=4",
				      "model.experts=8", "layout.ep=8",
				      "model.sequence=16384",
				      "constraints.memory=1.3GB" };
	struct search_result r;
	struct scenario s;
	struct plan p;

	(void)state;
	plan_layer(slow, 4, &s, &r);
	p = find(&r, "lina")->plan;
	is_layout(p.layout, 4, 1, 1, 2);
	p.dense = DENSE_APART;	/* the layer */
	p.dense_pieces = 0;
	p.order[1] = (struct pass_order){ 0 };
	assert_true(exchange_share(&s, &p) <= 1);
	p.layout = (struct layout){ 8, 1, 1, 1, 1 };
	assert_true(exchange_share(&s, &p) > 1);
	/* nobody else moves experts */
	is_layout(find(&r, "tutel")->plan.layout, 8, 1, 1, 1);
	is_layout(r.best.plan.layout, 8, 1, 1, 1);
	search_release(&r);
	scenario_release(&s);
	plan_layer(large, 6, &s, &r);
	is_layout(find(&r, "lina")->plan.layout, 8, 1, 1, 1);
	search_release(&r);
	scenario_release(&s);
	/* what does not fit the memory is not done */
	plan_layer(tight, 5, &s, &r);
	is_layout(find(&r, "lina")->plan.layout, 8, 1, 1, 1);
	search_release(&r);
	scenario_release(&s);
}

/*
 * LocMoE takes groups where they are faster, as over slow NICs with many
 * small messages, and runs what evaluate_plan() runs.
 */
static void test_locmoe(void **state)
{
	const char *const many[] = { "cluster.gpus_per_node=8",
				     "cluster.nodes=8", "model.experts=64",
				     "layout.ep=64", "model.sequence=512",
				     "cluster.nic.latency=30us" };
	const struct baseline *b;
	struct search_result r;
	struct evaluation e;
	struct scenario s;
	double flat_s;
	struct plan p;

	(void)state;
	plan_layer(many, 6, &s, &r);
	b = find(&r, "locmoe");
	is_layout(b->plan.layout, 8, 8, 1, 1);
	p = b->plan;
	assert_int_equal(evaluate_plan(&s, &p, EXEC_FLOW, NULL, &e), ST_OK);
	assert_float_equal(s_from_ps(e.exec.time_ps), b->time_s, 1e-12);
	evaluation_release(&e);
	p.layout = (struct layout){ 64, 1, 1, 1, 1 };
	assert_int_equal(evaluate_plan(&s, &p, EXEC_LANE, NULL, &e), ST_OK);
	flat_s = s_from_ps(e.exec.time_ps);
	evaluation_release(&e);
	assert_true(b->time_s < flat_s);
	search_release(&r);
	scenario_release(&s);
}

/* GPT-like blocks with attention, on 8 GPUs. */
static const char *const attention[] = {
	"cluster.gpus_per_node=4", "model.experts=8", "layout.ep=8",
	"model.sequence=4096", "model.params_other=2e8",
};

/* The plan's passes when pieces of the dense gradients take no time. */
static double without_sums(const struct evaluation *e)
{
	uint64_t *end = calloc((size_t)e->program.n_ops, sizeof(*end));
	uint64_t all;

	for (int i = 0; i < e->program.n_ops; i++) {
		struct op *o = &e->program.op[i];

		if (o->kind == OP_ALLREDUCE_GATE && o->step == ALLREDUCE_DENSE)
			o->slow = 1e-9;
	}
	all = exec_lane_time(&e->program, e->cost, end);
	free(end);
	return s_from_ps(all - e->exec.forward_ps);
}

/* Of the first op of that kind: chunk 0 of two. */
static double chunk_s(const struct evaluation *e, enum op_kind kind)
{
	struct op op = { .kind = kind, .n_chunks = 2 };

	return cost_op(e->cost, &op);
}

/*
 * What a block counts for, by hand: 200e6 parameters in 4 layers, less a
 * router of 8 x 1,024 each; products and scores as in a step; their gradients
 * in an all-reduce over 8 ranks, of which the dense backward pass hides its
 * own time, in one of m micro-batches; and a quarter of the last block's way
 * back.
 */
static void layer_of_block(int m)
{
	struct plan p = { .layout = { 8, 1, 1, 1, 1 }, .alltoall = A2A_FLAT,
			  .degree_forward = 2, .degree_backward = 2,
			  .technique_mask = 1u << TECH_BASELINE,
			  .dense = DENSE_CHUNKS };
	struct op sum = { .kind = OP_ALLREDUCE_GATE, .lane = LANE_INTER,
			  .step = ALLREDUCE_DENSE, .n_chunks = 1 };
	double params = 200e6 / 4 - 8 * 1024, rate, product, scores, f, b;
	double last, others, back;
	struct evaluation e;
	struct scenario s;

	load(&s, attention, 5);
	s.training.micro_batches = m;
	if (evaluate_plan(&s, &p, EXEC_LANE, NULL, &e))
		fail_msg("%s", err_msg());
	rate = s.cluster.gpu.flops[s.model.dtype] *
		s.cluster.gpu.gemm_efficiency;
	product = cost_gemm(&s.cluster.gpu, s.model.dtype, 4096,
			    params / 1024, 1024, 1);
	scores = 2.0 * 4096 * 4096 * 1024 / rate;
	f = product + scores;
	b = 2 * product + 2.5 * scores;
	/* gradients of 2 bytes, once through the 4 NICs of a node */
	assert_true(cost_op(e.cost, &sum) > params * 2 / (4 * 6.25e9));
	back = chunk_s(&e, OP_COMBINE) + chunk_s(&e, OP_UNPERMUTE);
	assert_float_equal(e.pass_s[0], s_from_ps(e.exec.forward_ps) - f +
			   back / 4, 1e-10);
	last = s_from_ps(e.exec.time_ps - e.exec.forward_ps) -
		fmax(b, cost_op(e.cost, &sum));
	others = without_sums(&e) - b;
	back = chunk_s(&e, OP_DISPATCH_BWD) + chunk_s(&e, OP_PERMUTE_BWD) +
		chunk_s(&e, OP_GATE_BWD);
	assert_float_equal(e.pass_s[1], last / m + others * (m - 1) / m +
			   back / 4, 1e-10);
	evaluation_release(&e);
	scenario_release(&s);
}

static void test_apart(void **state)
{
	(void)state;
	layer_of_block(1);
	layer_of_block(3);
}

/*
 * FlowMoE and Lina on the user's scenario: the plan is a block's, it runs, and
 * its time is a layer's. FlowMoE with nothing but attention hides more than a
 * layer of two chunks.
 */
static void test_blocks(void **state)
{
	static const char *const name[] = { "flowmoe", "lina" };
	struct search_result r;
	struct scenario s;

	(void)state;
	plan_layer(attention, 5, &s, &r);
	for (int i = 0; i < 2; i++) {
		const struct baseline *b = find(&r, name[i]);
		struct evaluation e;

		assert_int_equal(b->plan.dense, i ? DENSE_WHOLE :
				 DENSE_CHUNKS);
		if (evaluate_plan(&s, &b->plan, EXEC_FLOW, NULL, &e))
			fail_msg("%s", err_msg());
		program_check(&e.program);
		exec_check(&e.program, &e.exec);
		assert_float_equal(e.pass_s[0] + e.pass_s[1], b->time_s,
				   1e-12);
		evaluation_release(&e);
	}
	assert_true(find(&r, "flowmoe")->time_s <
		    find(&r, "schemoe")->time_s);
	assert_true(find(&r, "flowmoe")->time_s <
		    find(&r, "degree-2")->time_s);
	/* others keep to the layer, and so does the plan */
	assert_int_equal(find(&r, "tutel")->plan.dense, DENSE_APART);
	assert_int_equal(r.best.plan.dense, DENSE_APART);
	assert_true(find(&r, "flowmoe")->time_s < r.best_s);
	assert_non_null(strstr(find(&r, "flowmoe")->outside,
			       "attention-pipeline"));
	search_release(&r);
	scenario_release(&s);
}

/*
 * Where the scenario allows for attention in the pipeline, nobody beats the
 * plan, which says so of itself and runs to its time; one whose degree is not
 * listed is outside.
 */
static void test_plan_attends(void **state)
{
	const char *sets[] = { attention[0], attention[1], attention[2],
			       attention[3], attention[4],
			       "search.techniques=[baseline, "
			       "attention-pipeline]", NULL };
	const char *const degrees[] = { "search.degree=[2]",
					"search.degree=[3]",
					"search.degree=[1, 2, 3, 4]" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct search_result r;
		struct evaluation e;
		struct scenario s;

		sets[6] = degrees[i];
		plan_layer(sets, 7, &s, &r);
		assert_int_equal(r.best.plan.technique_mask,
				 1u << TECH_ATTENTION);
		assert_int_equal(r.best.plan.dense, DENSE_CHUNKS);
		for (int k = 0; k < r.n_baselines; k++)
			assert_true(r.baseline[k].outside ||
				    r.baseline[k].time_s >= r.best_s - 1e-12);
		if (i == 1)
			assert_non_null(strstr(find(&r, "flowmoe")->outside,
					       "degree"));
		else
			assert_null(find(&r, "flowmoe")->outside);
		if (evaluate_plan(&s, &r.best.plan, EXEC_FLOW, NULL, &e))
			fail_msg("%s", err_msg());
		assert_float_equal(e.pass_s[0] + e.pass_s[1], r.best_s, 1e-12);
		assert_int_equal(r.n_gains, 1);
		assert_true(r.gain[0].in_plan && r.gain[0].with_others > 1);
		evaluation_release(&e);
		search_release(&r);
		scenario_release(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_groupwise),
		cmocka_unit_test(test_groupwise_by_hand),
		cmocka_unit_test(test_lina),
		cmocka_unit_test(test_locmoe),
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_plan_attends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
