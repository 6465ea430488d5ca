/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Techniques as changes of a workload, by hand and by what they must keep;
 * and the planner over all sets of them against brute force.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scenario_help.h"

#include "base/mem.h"
#include "base/units.h"
#include "sim/gaps.h"
#include "sim/order_search.h"
#include "sim/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void load(struct scenario *s, const char *const *sets, int n_sets)
{
	help_load_n(s, HELP_TECHNIQUES, sets, n_sets);
}

/* ---- sets ---- */

static int bits(unsigned m)
{
	return m ? (int)(m & 1) + bits(m >> 1) : 0;
}

static void test_sets(void **state)
{
	unsigned set[TECH_SETS_MAX], all = (1u << TECH_N) - 1;
	int n = tech_sets(all, set, TECH_SETS_MAX), fit = 0;

	(void)state;
	for (unsigned m = 1; m <= all; m++) {
		bool ok = !(m & 1) || m == 1;

		for (int i = 0; i < TECH_N; i++) {
			for (int j = 0; j < TECH_N; j++) {
				if (m >> i & 1 && m >> j & 1 &&
				    technique_table[i].excludes >> j & 1)
					ok = false;
			}
		}
		assert_int_equal(technique_mask_fits(m), ok);
		/* those that change the program alone are no sets */
		fit += ok && !(m & TECH_SCHEDULES);
	}
	assert_int_equal(n, fit);
	for (int i = 1; i < n; i++)
		assert_true(bits(set[i]) >= bits(set[i - 1]));
	assert_int_equal(tech_sets(1, set, TECH_SETS_MAX), 1);
	assert_int_equal(set[0], 1);
	/* who excludes is excluded */
	for (int i = 0; i < TECH_N; i++) {
		for (int j = 0; j < TECH_N; j++)
			assert_int_equal(technique_table[i].excludes >> j & 1,
					 technique_table[j].excludes >> i & 1);
	}
}

/* ---- workloads ---- */

struct fixture {
	struct scenario s;
	struct layout layout;
	struct routing routing;
	struct workload w;
	struct tech_cache cache;
	struct tech_place at;
};

/* 4 ranks on 2 nodes, one expert each, 1,024 tokens a rank, k = 2. */
static void setup(struct fixture *f, const int64_t *count,
		  const char *const *sets, int n_sets)
{
	*f = (struct fixture){ .layout = { 4, 1, 1, 1, 1 } };
	load(&f->s, sets, n_sets);
	f->routing = (struct routing){ .ranks = 4, .experts = 4, .k = 2,
				       .tokens = 1024 };
	f->routing.count = xcalloc(16, sizeof(int64_t));
	memcpy(f->routing.count, count, 16 * sizeof(int64_t));
	f->at = (struct tech_place){ &f->s, &f->layout, &f->routing,
				     &f->cache, 0 };
	assert_int_equal(workload_make(&f->routing, &f->s.cluster,
				       &f->s.model, &f->layout, 0, &f->w),
			 ST_OK);
}

static void teardown(struct fixture *f)
{
	workload_release(&f->w);
	tech_cache_release(&f->cache);
	routing_release(&f->routing);
	scenario_release(&f->s);
}

static double rows_sum(const struct workload *w)
{
	double sum = 0;

	for (int i = 0; i < w->ranks * w->local_experts; i++)
		sum += w->rows[i];
	return sum;
}

static double bytes_at(const struct workload *w, int src, int dst)
{
	return w->dispatch.bytes[src * 4 + dst] / w->token_bytes;
}

static const int64_t uneven[16] = {
	600, 200, 1000, 248,
	600, 200, 1000, 248,
	600, 200, 1000, 248,
	600, 200, 1000, 248,
};

/*
 * Rank 0 (node 0: experts 0, 1): 1,248 copies leave, half of them stay, 624,
 * at 600 : 200 = 468 and 156. Rank 2: 800 leave, 400 stay, at 1000 : 248.
 */
static void test_keep_local(void **state)
{
	struct fixture f;
	double moved, rows;

	(void)state;
	setup(&f, uneven, NULL, 0);
	assert_float_equal(tech_leaving(&f.at, &f.w), 2 * (1248 + 800) /
			   (4 * 2048.0), 1e-12);
	rows = rows_sum(&f.w);
	moved = tech_keep_local(&f.at, 0.5, &f.w);
	assert_float_equal(moved, (624 + 400) / 4096.0, 1e-12);
	assert_float_equal(bytes_at(&f.w, 0, 0), 600 + 468, 1e-9);
	assert_float_equal(bytes_at(&f.w, 0, 1), 200 + 156, 1e-9);
	assert_float_equal(bytes_at(&f.w, 0, 2), 500, 1e-9);
	assert_float_equal(bytes_at(&f.w, 0, 3), 124, 1e-9);
	assert_float_equal(bytes_at(&f.w, 2, 2), 1000 + 400 * 1000 / 1248.0,
			   1e-9);
	/* rows are what arrives, and none is lost */
	assert_float_equal(f.w.rows[0], 2 * (600 + 468) + 2 * 300, 1e-9);
	assert_float_equal(rows_sum(&f.w), rows, 1e-6);
	/* the combine is the dispatch turned round */
	assert_float_equal(f.w.combine.bytes[2], f.w.dispatch.bytes[8], 0);
	teardown(&f);
}

static void test_scale(void **state)
{
	struct fixture f;
	double rows, bytes;

	(void)state;
	setup(&f, uneven, NULL, 0);
	rows = rows_sum(&f.w);
	bytes = traffic_total(&f.w.dispatch);
	tech_scale(0.25, &f.at, &f.w);
	assert_float_equal(rows_sum(&f.w), rows / 4, 1e-9);
	assert_float_equal(traffic_total(&f.w.dispatch), bytes / 4, 1e-6);
	assert_float_equal(traffic_total(&f.w.combine), bytes / 4, 1e-6);
	teardown(&f);
}

/*
 * Every token to expert 0: copying it leaves every rank with its own copies;
 * of the others none is worth it. With even routing nothing is copied.
 */
static void test_shadow(void **state)
{
	static const int64_t hot[16] = {
		1024, 342, 341, 341, 1024, 342, 341, 341,
		1024, 342, 341, 341, 1024, 342, 341, 341,
	};
	static const int64_t even[16] = {
		512, 512, 512, 512, 512, 512, 511, 513,
		512, 511, 513, 512, 511, 512, 512, 513,
	};
	const char *const small[] = { "model.expert_ffn=512" };
	struct tech_effect e = tech_none;
	struct fixture f;

	(void)state;
	setup(&f, hot, small, 1);
	assert_int_equal(tech_shadow(&f.at, &f.w, &e), 1);
	assert_float_equal(bytes_at(&f.w, 0, 0), 1024, 1e-9);
	assert_float_equal(bytes_at(&f.w, 1, 1), 1024 + 342, 1e-9);
	assert_float_equal(bytes_at(&f.w, 1, 0), 0, 1e-9);
	assert_float_equal(bytes_at(&f.w, 0, 1), 342, 1e-9);
	/* rank 1: its 1,024 for expert 0, and 4 x 342 for expert 1 */
	assert_float_equal(f.w.rows[0], 1024, 1e-9);
	assert_float_equal(f.w.rows[1], 1024 + 4 * 342, 1e-9);
	assert_float_equal(rows_sum(&f.w), 4 * 2048, 1e-9);
	assert_float_equal(e.shadow_bytes, e.memory_bytes, 0);
	assert_float_equal(e.memory_bytes, (f.s.model.gated ? 3.0 : 2.0) *
			   1024 * 512 * dtype_bytes(f.s.model.dtype), 1);
	teardown(&f);
	setup(&f, even, small, 1);
	assert_int_equal(tech_shadow(&f.at, &f.w, &e), 0);
	teardown(&f);
}

/* Every rank gets three quarters of all experts and computes its copies. */
static void test_fetch(void **state)
{
	struct tech_effect e = tech_none;
	struct fixture f;
	double expert;

	(void)state;
	setup(&f, uneven, NULL, 0);
	expert = (f.s.model.gated ? 3.0 : 2.0) * 1024 * 2048 *
		dtype_bytes(f.s.model.dtype);
	tech_fetch(&f.at, &f.w, &e);
	assert_float_equal(traffic_total(&f.w.dispatch), 4 * 3 * expert, 1);
	for (int r = 0; r < 4; r++)
		assert_float_equal(f.w.rows[r], 2048, 1e-9);
	assert_float_equal(e.combine_share, 0, 0);
	assert_float_equal(e.memory_bytes, 4 * expert, 1);
	teardown(&f);
}

static void test_apply(void **state)
{
	const char *const one[] = { "layout.ep=1", "layout.dp=4" };
	struct tech_effect e;
	struct fixture f;

	(void)state;
	setup(&f, uneven, NULL, 0);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_LSH, &f.w, &e), ST_OK);
	assert_null(e.why_not);
	assert_float_equal(e.rate, 0.5, 0);
	assert_float_equal(e.error, 0.1, 1e-12);
	assert_true(e.compress_s[0] > e.compress_s[1]);
	assert_true(e.compress_s[1] > 0 && e.restore_s[1] > 0);
	assert_float_equal(rows_sum(&f.w), 4096, 1e-9);
	teardown(&f);
	setup(&f, uneven, NULL, 0);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_MIGRATION, &f.w, &e),
			 ST_OK);
	assert_true(e.combine_share > 0 && e.combine_share < 2);
	assert_float_equal(e.combine_share, e.combine_bwd_share, 0);
	teardown(&f);
	setup(&f, uneven, one, 2);
	f.layout = (struct layout){ 1, 1, 1, 4, 1 };
	assert_int_equal(tech_apply(&f.at, 1u << TECH_LSH, &f.w, &e), ST_OK);
	assert_non_null(e.why_not);
	teardown(&f);
}

/*
 * Other gates. Balanced: every expert a quarter of the tokens, one copy each,
 * whatever is popular. Hash: even but for chance. Prototypes: expert 0 or 1,
 * and 2 or 3, a copy each, so both halves get half of the copies.
 */
static void test_gates(void **state)
{
	struct tech_effect e;
	struct fixture f;

	(void)state;
	setup(&f, uneven, NULL, 0);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_GATE_BASE, &f.w, &e),
			 ST_OK);
	assert_null(e.why_not);
	for (int r = 0; r < 4; r++)
		assert_float_equal(f.w.rows[r], 4 * 256, 1e-9);
	assert_true(e.rerouted > 0 && e.rerouted < 1);
	assert_true(e.gate_s[0] > 0);
	teardown(&f);
	setup(&f, uneven, NULL, 0);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_GATE_HASH, &f.w, &e),
			 ST_OK);
	assert_float_equal(rows_sum(&f.w), 4 * 1024, 1e-9);
	for (int r = 0; r < 4; r++)
		assert_float_equal(f.w.rows[r], 1024, 150);
	teardown(&f);
	setup(&f, uneven, NULL, 0);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_GATE_KTOP1, &f.w, &e),
			 ST_OK);
	assert_float_equal(f.w.rows[0] + f.w.rows[1], 4 * 1024, 4);
	assert_float_equal(f.w.rows[2] + f.w.rows[3], 4 * 1024, 4);
	assert_true(f.w.rows[2] > f.w.rows[3]);
	teardown(&f);
	/* with shadowing the gate's counts are what is copied */
	setup(&f, uneven, NULL, 0);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_GATE_BASE |
				    1u << TECH_SHADOWING, &f.w, &e), ST_OK);
	assert_non_null(e.why_not);
	teardown(&f);
}

/*
 * What the block before knows: of these tokens four fifths lie in clusters of
 * cosine 0.9, which are above 0.8, and the rest near 0, below 0.2. So blocks
 * after the first compute no pair; with 0.5 all pairs inside clusters.
 */
static void test_history(void **state)
{
	const char *const sure[] = { "technique.condensation.rate=0",
				     "technique.similarity=0.9",
				     "model.layers=4" };
	const char *const open[] = { "technique.condensation.rate=0",
				     "technique.similarity=0.5",
				     "model.layers=4" };
	struct tech_effect e;
	struct fixture f;
	double known;

	(void)state;
	setup(&f, uneven, sure, 3);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_CONDENSATION, &f.w, &e),
			 ST_OK);
	known = f.cache.condense_computed;
	assert_float_equal(known, 0.25, 0.001);
	assert_true(e.compress_s[0] > 0 && e.restore_s[0] == 0);
	teardown(&f);
	setup(&f, uneven, open, 3);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_CONDENSATION, &f.w, &e),
			 ST_OK);
	assert_true(f.cache.condense_computed > known + 0.005);
	teardown(&f);
}

/*
 * Post-norm models move no residual stream: the same sequences, the same homes,
 * fewer bytes home.
 */
static void test_post_norm(void **state)
{
	const char *const pre[] = { "technique.migration.post_norm=false" };
	const char *const post[] = { "technique.migration.post_norm=true" };
	struct tech_effect a, b;
	struct fixture f;

	(void)state;
	setup(&f, uneven, pre, 1);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_MIGRATION, &f.w, &a),
			 ST_OK);
	teardown(&f);
	setup(&f, uneven, post, 1);
	assert_int_equal(tech_apply(&f.at, 1u << TECH_MIGRATION, &f.w, &b),
			 ST_OK);
	teardown(&f);
	assert_true(b.combine_share < a.combine_share - 0.05);
	assert_float_equal(a.host_s, b.host_s, 0);
}

/* ---- the search ---- */

static bool feasible(const struct scenario *s, const struct evaluation *e)
{
	return e->effect.error <= s->constraints.max_error &&
		e->effect.rerouted <= s->constraints.max_reroute + 1e-9 &&
		e->workload.drop_fraction <= s->constraints.max_drop &&
		e->memory.total <= s->cluster.gpu.hbm_bytes;
}

/* The plan with every order of its ops, and what may overlap overlapping. */
static double all_orders(const struct scenario *s, struct plan p,
			 const struct evaluation *e)
{
	struct program prog;
	uint64_t time[128], total = 0;

	p.overlap = OVERLAP_WEIGHT;	/* of degree 1; else it says nothing */
	assert_int_equal(program_lower(&p, &s->cluster, &s->model, &prog),
			 ST_OK);
	assert_true(prog.n_ops <= 128);
	order_durations(&prog, e->cost, time);
	for (int pass = 0; pass < 2; pass++)
		total += order_brute_force(&prog, pass, time);
	program_release(&prog);
	return s_from_ps(total);
}

/* Of plans that are a layer alone. */
static double brute_layers(const struct scenario *s, struct plan p)
{
	unsigned allowed = s->search.technique_mask;
	double best = INFINITY;

	for (unsigned m = 1; m < 1u << TECH_ORDER; m++) {
		struct evaluation e;

		p.technique_mask = m;
		if (m & ~allowed ||
		    evaluate_plan(s, &p, EXEC_LANE, NULL, &e))
			continue;
		if (feasible(s, &e))
			best = fmin(best, s_from_ps(e.exec.time_ps));
		if (feasible(s, &e) && allowed & 1u << TECH_ORDER)
			best = fmin(best, all_orders(s, p, &e));
		evaluation_release(&e);
	}
	return best;
}

/* The block with its pieces in the gaps. */
static double one_block(const struct scenario *s, struct plan p)
{
	double best = INFINITY;
	struct evaluation e;

	if (evaluate_plan(s, &p, EXEC_LANE, NULL, &e)) {
		err_clear();
		return best;
	}
	assert_true(gaps_fill(&e.program, e.cost, &p.order[1]));
	evaluation_release(&e);
	assert_int_equal(evaluate_plan(s, &p, EXEC_LANE, NULL, &e), ST_OK);
	if (feasible(s, &e))
		best = e.pass_s[0] + e.pass_s[1];
	evaluation_release(&e);
	return best;
}

/* Of blocks in chunks: every set of techniques, every number of pieces. */
static double brute_blocks(const struct scenario *s, struct plan p)
{
	const unsigned bit = 1u << TECH_ATTENTION;
	double best = INFINITY;

	p.dense = DENSE_CHUNKS;
	for (unsigned m = 1; m < 1u << TECH_ORDER; m++) {
		unsigned mask = (m & ~1u) | bit;

		if (m & ~s->search.technique_mask || (m & 1 && m > 1))
			continue;
		if (!technique_mask_fits(mask))
			continue;
		p.technique_mask = mask;
		for (int n = 1; n <= PLAN_PIECES_MAX; n *= 2) {
			p.dense_pieces = n > 1 ? n : 0;
			p.order[1] = (struct pass_order){ 0 };
			best = fmin(best, one_block(s, p));
		}
	}
	return best;
}

/* [0]: of layers alone; [1]: of blocks, where they are allowed. */
static void brute_force(const struct scenario *s, const struct layout *l,
			int n, double best[2])
{
	const struct knob_int *d = &s->search.degree;
	int pairs = d->n * d->n;

	best[0] = best[1] = INFINITY;
	for (int i = 0; i < n * 2 * pairs; i++) {
		struct plan p = {
			.layout = l[i / 2 / pairs],
			.alltoall = i & 1 ? A2A_FLAT : A2A_DEDUP,
			.degree_forward = d->v[i / 2 % d->n],
			.degree_backward = d->v[i / 2 / d->n % d->n],
		};

		best[0] = fmin(best[0], brute_layers(s, p));
		if (s->search.technique_mask & 1u << TECH_ATTENTION &&
		    p.degree_forward > 1 && p.degree_backward > 1)
			best[1] = fmin(best[1], brute_blocks(s, p));
	}
}

static void compare(const char *const *sets, int n_sets)
{
	struct search_options o = { .top = 3, .rejected = 4 };
	struct search_result r;
	struct scenario s;
	struct layout *layout;
	double best = INFINITY, brute[2];
	int n;

	load(&s, sets, n_sets);
	assert_int_equal(layout_enumerate(&s, &layout, &n), ST_OK);
	if (search_run(&s, &o, &r))
		fail_msg("%s", err_msg());
	for (int i = 0; i < r.n_top; i++)
		best = fmin(best, r.top[i].lane_s);
	brute_force(&s, layout, n, brute);
	/* blocks may lose against a partition of the gradients in a step */
	if (!(s.search.technique_mask & 1u << TECH_GRADIENT) ||
	    r.best.plan.dense || best < brute[0] - 1.5e-12)
		brute[0] = fmin(brute[0], brute[1]);
	assert_true(fabs(best - brute[0]) <= 1.5e-12);
	for (int i = 0; i < r.n_gains; i++) {
		/* a technique of the plan does not make it slower than what
		 * the lane model allows for; one that is left out has a
		 * reason or a number */
		assert_true(r.gain[i].why_not || r.gain[i].with_others > 0);
	}
	search_release(&r);
	free(layout);
	scenario_release(&s);
}

static void test_brute_force(void **state)
{
	const char *const plain[] = { "routing.seed=5" };
	const char *const layouts[] = { "layout.ep=auto", "layout.esp=auto",
					"layout.dp=auto" };
	const char *const exact[] = { "constraints.max_error=0" };
	const char *const loose[] = { "constraints.max_error=1",
				      "constraints.max_reroute=1",
				      "cluster.nic.bandwidth=400Gb/s" };
	const char *const hot[] = { "routing.kind=hot-expert",
				    "routing.skew=0.5",
				    "constraints.max_reroute=0" };
	const char *const some[] = {
		"search.techniques=[migration, shadowing]" };
	const char *const order[] = {
		"search.techniques=[baseline, order, migration]" };
	const char *const order_esp[] = {
		"search.techniques=[baseline, order, gradient-partition]",
		"layout.ep=auto", "layout.esp=auto",
		"cluster.nic.bandwidth=400Gb/s" };
	const char *const order_shared[] = {
		"search.techniques=[baseline, order]",
		"model.shared_experts=2" };

	const char *const attention[] = {
		"search.techniques=[baseline, attention-pipeline, locality, "
		"gate-ktop1]", "constraints.max_reroute=1",
		"search.degree=[1, 2, 3]" };
	const char *const attention_esp[] = {
		"search.techniques=[baseline, attention-pipeline]",
		"layout.ep=auto", "layout.esp=auto", "layout.dp=auto",
		"cluster.nic.bandwidth=400Gb/s", "search.degree=[2, 3, 4]",
		"training.micro_batches=1" };
	const char *const attention_large[] = {
		"search.techniques=[baseline, attention-pipeline, order]",
		"model.params_other=4e8", "training.micro_batches=1",
		"model.sequence=4096", "model.shared_experts=1" };

	(void)state;
	compare(attention, 3);
	compare(attention_esp, 7);
	compare(attention_large, 5);
	compare(plain, 1);
	compare(layouts, 3);
	compare(exact, 1);
	compare(loose, 3);
	compare(hot, 3);
	compare(some, 1);
	compare(order, 1);
	compare(order_esp, 4);
	compare(order_shared, 2);
}

/* With no error allowed the plan compresses nothing, and says so. */
static void test_limits(void **state)
{
	const char *const sets[] = { "constraints.max_error=0",
				     "constraints.max_reroute=0",
				     "search.techniques=[baseline, lsh, "
				     "locality]" };
	struct search_options o = { .top = 1 };
	struct search_result r;
	struct scenario s;

	(void)state;
	load(&s, sets, 3);
	assert_int_equal(search_run(&s, &o, &r), ST_OK);
	assert_int_equal(r.best.plan.technique_mask, 1u << TECH_BASELINE);
	assert_int_equal(r.n_gains, 2);
	assert_non_null(strstr(r.gain[0].why_not, "error"));
	assert_non_null(strstr(r.gain[1].why_not, "elsewhere"));
	search_release(&r);
	scenario_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_keep_local),
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_shadow),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_post_norm),
		cmocka_unit_test(test_gates),
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
