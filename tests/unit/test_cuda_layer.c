/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Layers on real GPUs against the CPU twin: every algorithm, degrees,
 * capacities, given routings with idle experts and ranks, layouts, both
 * types; on two GPUs of one node and on emulated nodes. Skipped where there
 * are not enough devices.
 *
 * Each arrangement runs in a process of its own: emulated nodes are forked
 * before anything touches CUDA. MOECAST_LAYER_CASE=N[,N..], or =NAME: only
 * these cases, or those whose names begin so; MOECAST_LAYER_TEST: only this
 * arrangement; MOECAST_LAYER_VERBOSE: errors of all cases, not of wrong ones
 * only; MOECAST_LAYER_ORDER=interleaved, ...: plans have that order of ops.
 */
#include "gpu/backend.h"
#include "gpu/layer.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIPPED 77
#define STEPS 2		/* a step must not depend on the one before */

enum routing { BY_LOGITS, IDLE_EXPERTS, IDLE_RANK };

/* 0: the usual value; layout {0}: ep = all ranks. */
struct variant {
	const char *name;
	int tokens, hidden, ffn, experts, k, shared, forward, backward;
	int ep, esp, dp;
	double capacity;
	int ctas;
	double gradient;	/* bytes, in 3 pieces */
	enum plan_overlap overlap;
	enum routing routing;
	enum a2a_alg alg;
	bool gated, is_fp32, graph, known;
};

#define TINY(n) .name = "tiny, " n, .tokens = 20, .hidden = 32, .ffn = 16

static const struct variant variants[] = {
	{ .name = "plain" },
	{ .name = "fp32", .is_fp32 = true },
	{ .name = "gated", .gated = true },
	{ .name = "gated fp32", .gated = true, .is_fp32 = true },
	{ .name = "degree 2", .forward = 2, .backward = 2 },
	{ .name = "degree 4", .forward = 4, .backward = 4, .gated = true },
	{ .name = "degree 8", .forward = 8, .backward = 8 },
	{ .name = "degree 1/4", .backward = 4, .gated = true },
	{ .name = "degree 4/1", .forward = 4, .is_fp32 = true },
	{ .name = "degree 2/3", .forward = 2, .backward = 3 },
	{ .name = "more chunks than tokens", .tokens = 5, .forward = 8,
	  .backward = 8, .is_fp32 = true },
	{ .name = "capacity, drops", .capacity = 0.6, .is_fp32 = true },
	{ .name = "capacity, room", .capacity = 2, .gated = true },
	{ .name = "capacity, degree 4/2", .capacity = 1, .forward = 4,
	  .backward = 2, .is_fp32 = true },
	{ .name = "graph", .capacity = 1, .graph = true },
	{ .name = "graph, degree 4", .capacity = 1.25, .graph = true,
	  .forward = 4, .backward = 4, .gated = true },
	{ .name = "shared", .shared = 64, .gated = true, .is_fp32 = true },
	{ .name = "shared, degree 2", .shared = 32, .forward = 2,
	  .backward = 2 },
	{ .name = "idle experts", .routing = IDLE_EXPERTS, .is_fp32 = true },
	{ .name = "idle experts, degree 4", .routing = IDLE_EXPERTS,
	  .forward = 4, .backward = 4, .gated = true },
	{ .name = "idle rank", .routing = IDLE_RANK, .is_fp32 = true },
	{ .name = "idle rank, degree 2/1", .routing = IDLE_RANK,
	  .forward = 2 },
	{ .name = "known counts", .routing = IDLE_EXPERTS, .known = true,
	  .graph = true, .is_fp32 = true },
	{ .name = "known counts, degree 2/3", .routing = IDLE_EXPERTS,
	  .known = true, .graph = true, .forward = 2, .backward = 3,
	  .gated = true },
	{ .name = "known counts, dedup, degree 4", .routing = IDLE_RANK,
	  .known = true, .graph = true, .forward = 4, .backward = 4,
	  .alg = A2A_DEDUP, .is_fp32 = true },
	{ .name = "known counts, esp", .routing = IDLE_EXPERTS, .known = true,
	  .graph = true, .esp = 2, .is_fp32 = true },
	{ .name = "known counts, direct", .routing = IDLE_EXPERTS,
	  .known = true, .graph = true, .alg = A2A_DIRECT, .is_fp32 = true },
	{ .name = "known counts, direct, degree 3", .known = true,
	  .routing = IDLE_EXPERTS, .graph = true, .alg = A2A_DIRECT,
	  .forward = 3, .backward = 3, .gated = true },
	{ .name = "known counts, direct, degree 2/3", .known = true,
	  .routing = IDLE_EXPERTS, .graph = true, .alg = A2A_DIRECT,
	  .forward = 2, .backward = 3, .is_fp32 = true },
	{ .name = "dense gradients", .gradient = 100001, .forward = 2,
	  .backward = 2 },
	{ .name = "dense gradients, graph", .gradient = 4000, .capacity = 1,
	  .graph = true, .alg = A2A_DEDUP, .is_fp32 = true },
	{ .name = "dense gradients, direct", .gradient = 1 << 20,
	  .alg = A2A_DIRECT, .is_fp32 = true },
	{ .name = "k 1", .k = 1, .is_fp32 = true },
	{ .name = "k 3", .k = 3, .gated = true },
	{ .name = "k all", .k = 8, .is_fp32 = true },
	{ .name = "many experts", .experts = 64, .k = 6, .gated = true },
	{ .name = "many experts, degree 4", .experts = 128, .k = 8,
	  .forward = 4, .backward = 4, .tokens = 200 },
	{ .name = "odd rows", .hidden = 72, .ffn = 40, .tokens = 93 },
	{ .name = "one token", .tokens = 1, .is_fp32 = true },
	{ .name = "esp", .esp = 2, .gated = true, .is_fp32 = true },
	{ .name = "esp bf16, degree 2", .esp = 2, .forward = 2,
	  .backward = 2 },
	{ .name = "esp, capacity", .esp = 2, .capacity = 0.8,
	  .is_fp32 = true },
	{ .name = "dp", .dp = 2, .is_fp32 = true, .gated = true },
	{ .name = "dp bf16", .dp = 2, .capacity = 1, .graph = true },
	{ .name = "copies", .experts = -2, .k = 1, .is_fp32 = true },
	{ .name = "copies, degree 2", .experts = -2, .k = 1, .forward = 2,
	  .backward = 2, .capacity = 1, .is_fp32 = true },
	{ .name = "leader", .alg = A2A_LEADER, .is_fp32 = true },
	{ .name = "leader, degree 4", .alg = A2A_LEADER, .forward = 4,
	  .backward = 4, .gated = true },
	{ .name = "leader, graph", .alg = A2A_LEADER, .capacity = 1,
	  .graph = true, .forward = 2, .backward = 2 },
	{ .name = "2d", .alg = A2A_2D, .is_fp32 = true },
	{ .name = "2d, degree 2/4", .alg = A2A_2D, .forward = 2,
	  .backward = 4 },
	{ .name = "2d, idle rank", .alg = A2A_2D, .routing = IDLE_RANK,
	  .is_fp32 = true },
	{ .name = "lanes", .alg = A2A_LANES, .is_fp32 = true },
	{ .name = "lanes, degree 4", .alg = A2A_LANES, .forward = 4,
	  .backward = 4, .gated = true },
	{ .name = "lanes, graph", .alg = A2A_LANES, .capacity = 1.5,
	  .graph = true, .forward = 2, .backward = 2 },
	{ .name = "dedup", .alg = A2A_DEDUP, .is_fp32 = true },
	{ .name = "dedup, degree 4 fp32", .alg = A2A_DEDUP, .forward = 4,
	  .backward = 4, .gated = true, .k = 4, .is_fp32 = true },
	{ .name = "dedup, degree 4", .alg = A2A_DEDUP, .forward = 4,
	  .backward = 4, .gated = true, .k = 3 },
	/* in bf16 a node's sum is rounded once more: 0.021 of 2 x 1 */
	{ .name = "dedup, k 4", .alg = A2A_DEDUP, .gated = true, .k = 4,
	  .forward = 4, .backward = 4, .is_fp32 = true },
	{ .name = "flat, k 4", .gated = true, .k = 4, .forward = 4,
	  .backward = 4 },
	{ .name = "dedup, capacity", .alg = A2A_DEDUP, .capacity = 0.7,
	  .is_fp32 = true, .graph = true },
	{ .name = "pairwise", .alg = A2A_PAIRWISE, .is_fp32 = true },
	{ .name = "pairwise, degree 2", .alg = A2A_PAIRWISE, .forward = 2,
	  .backward = 2, .gated = true },
	{ .name = "direct", .alg = A2A_DIRECT },
	{ .name = "direct fp32", .alg = A2A_DIRECT, .is_fp32 = true },
	{ .name = "direct, degree 4", .alg = A2A_DIRECT, .forward = 4,
	  .backward = 4, .gated = true },
	{ .name = "direct, degree 3 fp32", .alg = A2A_DIRECT, .forward = 3,
	  .backward = 3, .is_fp32 = true, .gated = true },
	{ .name = "direct, degree 2/3", .alg = A2A_DIRECT, .forward = 2,
	  .backward = 3, .is_fp32 = true },
	{ .name = "direct, degree 1/4", .alg = A2A_DIRECT, .backward = 4,
	  .gated = true },
	{ .name = "direct, more chunks", .alg = A2A_DIRECT, .tokens = 5,
	  .forward = 8, .backward = 8, .is_fp32 = true },
	{ .name = "direct, drops", .alg = A2A_DIRECT, .capacity = 0.6,
	  .is_fp32 = true },
	{ .name = "direct, graph", .alg = A2A_DIRECT, .capacity = 1.25,
	  .graph = true, .gated = true },
	{ .name = "direct, capacity 4/2", .alg = A2A_DIRECT, .capacity = 1,
	  .forward = 4, .backward = 2, .is_fp32 = true, .graph = true },
	{ .name = "direct, capacity 3", .alg = A2A_DIRECT, .capacity = 0.7,
	  .forward = 3, .backward = 3, .graph = true, .k = 4 },
	{ .name = "direct, one slot", .alg = A2A_DIRECT, .tokens = 8, .k = 1,
	  .capacity = 1, .forward = 2, .backward = 2, .is_fp32 = true },
	{ .name = "direct, shared", .alg = A2A_DIRECT, .shared = 64,
	  .gated = true, .is_fp32 = true },
	{ .name = "direct, shared, degree 2", .alg = A2A_DIRECT,
	  .shared = 32, .forward = 2, .backward = 2 },
	{ .name = "direct, shared, capacity", .alg = A2A_DIRECT,
	  .shared = 32, .forward = 2, .backward = 2, .capacity = 1,
	  .is_fp32 = true, .graph = true },
	{ .name = "direct, idle experts", .alg = A2A_DIRECT,
	  .routing = IDLE_EXPERTS, .forward = 2, .backward = 2,
	  .is_fp32 = true },
	{ .name = "direct, idle rank", .alg = A2A_DIRECT,
	  .routing = IDLE_RANK, .is_fp32 = true },
	{ .name = "direct, idle rank, capacity", .alg = A2A_DIRECT,
	  .routing = IDLE_RANK, .is_fp32 = true, .capacity = 1,
	  .forward = 2, .backward = 2 },
	{ .name = "direct, k all", .alg = A2A_DIRECT, .k = 8,
	  .is_fp32 = true },
	{ .name = "direct, many experts", .alg = A2A_DIRECT, .experts = 128,
	  .k = 8, .forward = 4, .backward = 4, .tokens = 200 },
	{ .name = "direct, odd rows", .alg = A2A_DIRECT, .hidden = 72,
	  .ffn = 40, .tokens = 93 },
	{ .name = "direct, one token", .alg = A2A_DIRECT, .tokens = 1,
	  .is_fp32 = true },
	{ .name = "overlap", .overlap = OVERLAP_WEIGHT, .is_fp32 = true,
	  .shared = 64, .gated = true },
	{ .name = "overlap, degree 2/1, ctas", .overlap = OVERLAP_WEIGHT,
	  .forward = 2, .ctas = 2, .tokens = 300 },
	{ .name = "overlap, graph", .overlap = OVERLAP_WEIGHT, .capacity = 1,
	  .graph = true, .is_fp32 = true },
	{ .name = "2d, ctas", .alg = A2A_2D, .forward = 2, .backward = 2,
	  .ctas = 4, .gated = true, .is_fp32 = true },
	{ .name = "direct, overlap", .alg = A2A_DIRECT, .is_fp32 = true,
	  .overlap = OVERLAP_WEIGHT },
	{ .name = "direct, overlap, ctas", .alg = A2A_DIRECT, .ctas = 3,
	  .overlap = OVERLAP_WEIGHT, .gated = true, .tokens = 500 },
	{ .name = "direct, overlap, shared, graph", .alg = A2A_DIRECT,
	  .overlap = OVERLAP_WEIGHT, .shared = 32, .capacity = 1,
	  .graph = true, .is_fp32 = true },
	{ .name = "direct, many tokens", .alg = A2A_DIRECT, .tokens = 1500,
	  .hidden = 128, .ffn = 32, .k = 3, .is_fp32 = true },
	{ .name = "direct, many tokens, overlap, degree 2/1",
	  .alg = A2A_DIRECT, .tokens = 1100, .hidden = 256, .ffn = 32,
	  .forward = 2, .overlap = OVERLAP_WEIGHT },
	{ .name = "direct, degree 4, ctas", .alg = A2A_DIRECT, .ctas = 8,
	  .forward = 4, .backward = 4, .gated = true },
	/* every kernel of a layer, as little of it as can be: for tools that
	 * look at each access (tests/sanitize_gpu.sh) */
	{ TINY("flat, gated, degree 2/3"), .forward = 2, .backward = 3,
	  .gated = true },
	{ TINY("leader, capacity"), .alg = A2A_LEADER, .capacity = 1.2,
	  .is_fp32 = true },
	{ TINY("2d, shared, overlap"), .alg = A2A_2D, .shared = 16,
	  .overlap = OVERLAP_WEIGHT },
	{ TINY("lanes, given"), .alg = A2A_LANES, .routing = IDLE_EXPERTS },
	{ TINY("dedup, degree 2"), .alg = A2A_DEDUP, .forward = 2,
	  .backward = 2, .k = 3 },
	{ TINY("pairwise, dense gradients"), .alg = A2A_PAIRWISE,
	  .gradient = 1000, .is_fp32 = true },
	{ TINY("esp"), .esp = 2, .gated = true },
	{ TINY("direct, degree 2/3"), .alg = A2A_DIRECT, .forward = 2,
	  .backward = 3, .gated = true },
	{ TINY("direct, capacity 4/2, ctas"), .alg = A2A_DIRECT, .ctas = 2,
	  .forward = 4, .backward = 2, .capacity = 0.8, .is_fp32 = true },
	{ TINY("direct, many experts, overlap"), .alg = A2A_DIRECT,
	  .experts = 40, .k = 5, .shared = 16, .overlap = OVERLAP_WEIGHT },
};
#define N_VARIANTS ((int)(sizeof(variants) / sizeof(variants[0])))

static int or_usual(int value, int usual)
{
	return value ? value : usual;
}

/* Every copy of a rank on its first k experts, or some experts idle. */
static void give_counts(struct layer_case *c, enum routing routing)
{
	int ranks = layer_ranks(c), r, e, left, n;

	c->count = xcalloc((size_t)(ranks * c->experts), sizeof(*c->count));
	for (r = 0; r < ranks; r++) {
		/* idle rank: all go to the experts of the last ones */
		int first = routing == IDLE_RANK ? c->experts - c->k : r % 2;

		left = c->tokens * c->k;
		for (e = first; e < c->experts && left > 0; e++) {
			n = routing == IDLE_RANK || e % 3 ? c->tokens
				: c->tokens / 2;
			n = n < left ? n : left;
			c->count[r * c->experts + e] = n;
			left -= n;
		}
		for (e = 0; e < c->experts && left > 0; e++) {
			int32_t *at = &c->count[r * c->experts + e];

			n = c->tokens - *at < left ? c->tokens - *at : left;
			*at += n;
			left -= n;
		}
	}
}

/* False: the variant has no meaning on these nodes. */
static bool make_case(const struct variant *v, int nodes, int gpus,
		      struct layer_case *c)
{
	int ranks = nodes * gpus, esp = or_usual(v->esp, 1);
	/* the direct exchange stays inside a node */
	int dp = or_usual(v->dp, v->alg == A2A_DIRECT ? nodes : 1), experts;

	experts = v->experts < 0 ? ranks / -v->experts
				 : or_usual(v->experts, 8);
	if (ranks % (esp * dp) || gpus % esp || experts < 1)
		return false;
	*c = (struct layer_case){
		.dtype = v->is_fp32 ? DT_FP32 : DT_BF16,
		.tokens = or_usual(v->tokens, 96),
		.hidden = or_usual(v->hidden, 64),
		.ffn = or_usual(v->ffn, 128), .experts = experts,
		.k = or_usual(v->k, 2), .gated = v->gated,
		.shared_ffn = v->shared, .nodes = nodes,
		.gpus_per_node = gpus, .seed = 7, .graph = v->graph,
		.counts_known = v->known,
		.plan = { .alltoall = v->alg, .technique_mask = 1,
			  .degree_forward = or_usual(v->forward, 1),
			  .degree_backward = or_usual(v->backward, 1),
			  .capacity_factor = v->capacity,
			  .ctas = v->ctas, .overlap = v->overlap,
			  .gradient_bytes = v->gradient,
			  .gradient_pieces = 3 },
	};
	c->plan.layout = (struct layout){ ranks / (esp * dp), esp, 1, dp, 1 };
	if (v->capacity > 0)
		c->capacity = layer_capacity(c, v->capacity);
	if (v->routing)
		give_counts(c, v->routing);
	if (getenv("MOECAST_LAYER_ORDER") &&
	    order_parse(getenv("MOECAST_LAYER_ORDER"), c->plan.order))
		fail_msg("%s", err_msg());
	return true;
}

static int report(const char *name, const char *what)
{
	printf("# %-28s %s\n", name, what);
	fflush(stdout);
	return 1;
}

static int report_check(const char *name, const struct layer_check *k)
{
	char text[256];

	snprintf(text, sizeof(text), "wrong integers %lld, errors y %.2g dx "
		 "%.2g dwg %.2g dw1 %.2g dw2 %.2g of %lld",
		 (long long)k->wrong_integers, k->error_y, k->error_dx,
		 k->error_dwg, k->error_dw1, k->error_dw2,
		 (long long)k->compared);
	return report(name, text);
}

/* 1: the case is wrong; 2: the backend is of no further use. */
static int run_case(struct backend *b, const char *name,
		    const struct layer_case *c, bool want_correct)
{
	double forward_s[STEPS], step_s[STEPS];
	struct layer_check check;
	int bad = 0;

	if (layer_case_check(c))
		return report(name, err_msg());
	if (backend_cuda.layer_prepare(b, c)) {
		report(name, err_msg());
		return 2;
	}
	if (backend_cuda.layer_run(b, STEPS, forward_s, step_s) ||
	    backend_cuda.layer_check(b, &check)) {
		report(name, err_msg());
		bad = 2;
	} else if (check.correct != want_correct) {
		bad = report_check(name, &check);
	} else if (getenv("MOECAST_LAYER_VERBOSE")) {
		report_check(name, &check);
	} else if (!(forward_s[1] > 0 && step_s[1] > forward_s[1])) {
		bad = report(name, "times make no sense");
	}
	backend_cuda.layer_release(b);
	return bad;
}

/* Is the case in the list, or is there none? */
static bool is_listed(const char *list, int number)
{
	char *end;

	if (list && (*list < '0' || *list > '9'))
		return !strncmp(variants[number].name, list, strlen(list));
	while (list && *list) {
		if (strtol(list, &end, 10) == number && end > list)
			return true;
		list = *end == ',' ? end + 1 : "";
		if (!*list)
			return false;
	}
	return true;
}

static int open_backend(int nodes, int gpus, struct backend **out_p)
{
	struct backend_options opt = { .ranks = nodes * gpus, .seed = 1,
				       .emulate_nodes = nodes };
	enum status st = backend_cuda.open(&opt, out_p);

	if (!st)
		return 0;
	if (st == ST_UNAVAILABLE)
		return SKIPPED;
	report("open", err_msg());
	return 1;
}

/* In its own process; the number of wrong cases. */
static int run_all(int nodes, int gpus)
{
	const char *only = getenv("MOECAST_LAYER_CASE");
	struct backend *b = NULL;
	struct layer_case c;
	int i, bad = 0, n = 0, rc = open_backend(nodes, gpus, &b);

	for (i = 0; !rc && i < N_VARIANTS; i++) {
		if (!is_listed(only, i))
			continue;
		if (!make_case(&variants[i], nodes, gpus, &c))
			continue;
		rc = run_case(b, variants[i].name, &c, true);
		free(c.count);
		n++;
		bad += rc > 0;
		if (rc == 2) {
			backend_cuda.close(b);
			rc = open_backend(nodes, gpus, &b);
		} else {
			rc = 0;
		}
	}
	/* a planted fault has to be found */
	if (!rc && make_case(&variants[0], nodes, gpus, &c)) {
		c.plant_fault = true;
		bad += run_case(b, "planted fault", &c, false) > 0;
	}
	if (!rc)
		backend_cuda.close(b);
	if (rc != SKIPPED)
		printf("# %d x %d: %d of %d layers wrong\n", nodes, gpus, bad,
		       n);
	fflush(stdout);
	return rc ? rc : bad > 0;
}

static void run_apart(int nodes, int gpus)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_all(nodes, gpus));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_1x2(void **state)
{
	(void)state;
	run_apart(1, 2);
}

static void test_1x1(void **state)
{
	(void)state;
	run_apart(1, 1);
}

static void test_2x1(void **state)
{
	(void)state;
	run_apart(2, 1);
}

static void test_2x2(void **state)
{
	(void)state;
	run_apart(2, 2);
}

static void test_4x2(void **state)
{
	(void)state;
	run_apart(4, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_1x1),
		cmocka_unit_test(test_1x2),
		cmocka_unit_test(test_2x1),
		cmocka_unit_test(test_2x2),
		cmocka_unit_test(test_4x2),
	};
	const char *only = getenv("MOECAST_LAYER_TEST");

	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
