/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cuda backend on real GPUs; skipped where there is none. Every op is
 * run at awkward shapes (primes, one row, rows that are no multiple of 16
 * bytes, experts without tokens) and compared with its CPU twin; then one
 * element is changed on purpose, which the comparison has to see.
 */
#include "config.h"

#include "gpu/backend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define REPETITIONS 3
#define SEED 2385

static const struct backend_ops *const ops = &backend_cuda;

/* The emulated nodes come first: they fork, which CUDA does not outlive. */
struct opened {
	struct backend *b, *nodes;
};

static int open_one(int nodes, struct backend **b)
{
	const struct backend_options opt = { .seed = SEED,
					     .emulate_nodes = nodes };
	enum status st = ops->open(&opt, b);

	if (st && st != ST_UNAVAILABLE) {
		fprintf(stderr, "%s\n", err_msg());
		return -1;
	}
	return 0;
}

static int open_backends(void **state)
{
	static struct opened o;

	*state = &o;
	return open_one(2, &o.nodes) || open_one(0, &o.b) ? -1 : 0;
}

static int close_backends(void **state)
{
	struct opened *o = *state;

	ops->close(o->nodes);
	ops->close(o->b);
	return 0;
}

static struct backend *need(void **state)
{
	struct opened *o = *state;

	if (!o->b)
		skip();
	return o->b;
}

static void say(const struct bench_case *c, const char *what)
{
	const struct bench_work *w = &c->work;

	print_message("# %s %s %s m %g n %g k %g batch %g bytes %g ctas %d "
		      "beside '%s': %s\n", w->op, w->variant, w->dtype,
		      (double)w->m, (double)w->n, (double)w->k,
		      (double)w->batch, (double)w->bytes, w->ctas,
		      c->beside.op, what);
}

static void must(enum status st, const struct bench_case *c)
{
	if (st)
		say(c, err_msg());
	assert_int_equal(st, ST_OK);
}

/* Wrong elements of a case after some repetitions. */
static int64_t wrong_of(struct backend *b, const struct bench_case *c)
{
	double seconds[REPETITIONS], beside_s[REPETITIONS];
	int64_t wrong = -1;
	int i;

	must(ops->prepare(b, c), c);
	must(ops->run(b, REPETITIONS, seconds, beside_s), c);
	for (i = 0; i < REPETITIONS; i++)
		assert_true(isfinite(seconds[i]) && seconds[i] > 0);
	must(ops->check(b, &wrong), c);
	ops->release(b);
	return wrong;
}

static void try_case(struct backend *b, struct bench_case *c)
{
	int64_t wrong, planted;
	char text[64];

	assert_true(ops->can(b, c));
	c->plant_fault = false;
	wrong = wrong_of(b, c);
	c->plant_fault = true;
	planted = wrong_of(b, c);
	if (wrong || !planted) {
		snprintf(text, sizeof(text), "%lld wrong, planted %lld",
			 (long long)wrong, (long long)planted);
		say(c, text);
	}
	assert_int_equal(wrong, 0);
	assert_true(planted > 0);
}

static struct bench_case case_of(struct backend *b, const char *op,
				 const char *variant, const char *dtype)
{
	struct bench_case c = { .seed = SEED };
	struct backend_info info;

	ops->info(b, &info);
	c.ranks = info.ranks;
	snprintf(c.work.op, sizeof(c.work.op), "%s", op);
	snprintf(c.work.variant, sizeof(c.work.variant), "%s", variant);
	snprintf(c.work.dtype, sizeof(c.work.dtype), "%s", dtype);
	snprintf(c.tier, sizeof(c.tier), "%s",
		 info.n_tiers ? info.tier[0] : "none");
	return c;
}

struct shape {
	uint64_t m, n, k, batch;
};

static void try_shapes(struct backend *b, const char *op, const char *variant,
		       const struct shape *shape, size_t n)
{
	static const char *const dtypes[] = { "bf16", "fp32" };
	struct bench_case c;
	size_t i, d;

	for (i = 0; i < n; i++) {
		for (d = 0; d < 2; d++) {
			c = case_of(b, op, variant, dtypes[d]);
			c.work.m = shape[i].m;
			c.work.n = shape[i].n;
			c.work.k = shape[i].k;
			c.work.batch = shape[i].batch;
			work_set_bytes(&c.work);
			try_case(b, &c);
		}
	}
}

#define TRY(b, op, variant, table) \
	try_shapes(b, op, variant, table, sizeof(table) / sizeof(table[0]))

static void products(void **state)
{
	static const struct shape shapes[] = {
		{ 128, 256, 512, 4 }, { 1, 64, 2384, 3 }, { 239, 8, 72, 17 },
		{ 37, 1408, 2048, 9 },
	};
	/* of hidden and ffn, which are multiples of 8; any depth */
	static const struct shape weights[] = {
		{ 128, 256, 512, 4 }, { 8, 64, 2384, 3 }, { 240, 8, 1, 17 },
		{ 1408, 2048, 37, 9 },
	};
	struct backend *b = need(state);

	TRY(b, "gemm", "strided-batched", shapes);
	TRY(b, "gemm", "per-expert", shapes);
	TRY(b, "gemm", "grouped", shapes);
	TRY(b, "gemm", "sustained", shapes);
	TRY(b, "gemm", "half-empty", shapes);
	TRY(b, "gemm", "adding", weights);
	TRY(b, "gemm", "weights-each", weights);
	TRY(b, "gemm", "adding-each", weights);
}

static void gates(void **state)
{
	static const struct shape shapes[] = {
		{ 4099, 64, 2048, 0 }, { 1, 8, 16, 0 }, { 777, 256, 1000, 0 },
	};
	struct backend *b = need(state);

	TRY(b, "gate", "", shapes);
}

static void decisions(void **state)
{
	static const struct shape topk[] = {
		{ 1, 1, 1, 0 }, { 4099, 8, 2, 0 }, { 1021, 60, 4, 0 },
		{ 257, 128, 8, 0 }, { 333, 256, 8, 0 }, { 100003, 64, 6, 0 },
		{ 67, 1024, 9, 0 }, { 5, 33, 33, 0 },
	};
	static const struct shape sort[] = {
		{ 1, 1, 1, 0 }, { 4099, 8, 2, 0 }, { 17, 1024, 1, 0 },
		{ 333, 256, 8, 0 }, { 100003, 61, 7, 0 }, { 1024, 3, 1, 0 },
	};
	struct backend *b = need(state);

	TRY(b, "topk", "", topk);
	TRY(b, "sort", "", sort);
}

static void rows(void **state)
{
	static const struct shape shapes[] = {
		{ 1, 8, 1, 1 }, { 509, 4096, 2, 8 }, { 1021, 2048, 6, 64 },
		{ 77, 768, 8, 128 }, { 101, 2385, 3, 5 }, { 63, 1002, 4, 7 },
		{ 64, 512, 1, 1024 },
	};
	static const struct shape sums[] = {
		{ 1, 8, 1, 2 }, { 509, 4096, 2, 8 }, { 1021, 2048, 6, 64 },
		{ 77, 776, 8, 128 }, { 33, 16, 32, 1024 },
	};
	struct backend *b = need(state);

	TRY(b, "permute", "", shapes);
	TRY(b, "combine", "", shapes);
	TRY(b, "combine", "direct", sums);
}

static void streams(void **state)
{
	static const struct shape shapes[] = {
		{ 1, 0, 0, 0 }, { 7, 0, 0, 0 }, { 1000003, 0, 0, 0 },
		{ 1 << 26, 0, 0, 0 },
	};
	struct backend *b = need(state);

	TRY(b, "stream", "", shapes);
	TRY(b, "copy", "", shapes);
}

/* launch: m kernels, products; plan: m tokens, n experts, k of them, in chunks */
static void turns(void **state)
{
	static const struct shape launches[] = {
		{ 1, 0, 0, 0 }, { 2, 0, 0, 0 }, { 77, 0, 0, 0 },
	};
	static const struct shape plans[] = {
		{ 1, 64, 1, 1 }, { 509, 64, 4, 1 }, { 1021, 128, 8, 5 },
	};
	struct backend *b = need(state);

	TRY(b, "launch", "kernel", launches);
	TRY(b, "launch", "stream", launches);
	TRY(b, "launch", "graph", launches);
	TRY(b, "launch", "product", launches);
	TRY(b, "plan", "flat", plans);
	TRY(b, "plan", "dedup", plans);
	TRY(b, "plan", "esp", plans);
}

static struct backend *need_peers(void **state)
{
	struct backend *b = need(state);
	struct backend_info info;

	ops->info(b, &info);
	if (!info.n_tiers)
		skip();
	return b;
}

/* Small ones are compared on the CPU, large ones on the GPU. */
static void exchanges(void **state)
{
	static const char *const kind[][2] = {
		{ "alltoall", "even" }, { "alltoall", "uneven" },
		{ "sendrecv", "" }, { "allgather", "" },
		{ "reducescatter", "" }, { "allreduce", "" },
		{ "alltoall", "direct" }, { "allgather", "counts" },
	};
	static const uint64_t sizes[] = { 64, 1000003, 20000000 };
	static const int ctas[] = { 0, 4 };
	struct backend *b = need_peers(state);
	struct bench_case c;
	size_t i, s, t;

	for (i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			for (t = 0; t < 2; t++) {
				c = case_of(b, kind[i][0], kind[i][1], "fp32");
				c.work.bytes = work_round_bytes(sizes[s],
								c.ranks);
				c.work.ctas = ctas[t];
				/* direct: over NVLink, in one process */
				if (strcmp(c.work.variant, "direct") ||
				    ops->can(b, &c))
					try_case(b, &c);
			}
		}
	}
}

static void contention(void **state)
{
	struct backend *b = need_peers(state);
	struct bench_case c = case_of(b, "gemm", "strided-batched", "bf16");

	c.work.m = 512;
	c.work.n = 1024;
	c.work.k = 2048;
	c.work.batch = 8;
	c.beside = case_of(b, "alltoall", "even", "fp32").work;
	c.beside.bytes = work_round_bytes(64 << 20, c.ranks);
	try_case(b, &c);
}

static void refusals(void **state)
{
	struct backend *b = need(state);
	struct bench_case c = case_of(b, "topk", "", "fp32");
	const struct backend_options many = { .ranks = 4096 };
	struct backend *none = NULL;

	c.work.m = 5;
	c.work.k = 2;
	c.work.n = 1025;	/* more experts than the kernel has room for */
	assert_false(ops->can(b, &c));
	assert_int_equal(ops->prepare(b, &c), ST_INPUT);
	assert_non_null(strstr(err_msg(), "'topk'"));
	c = case_of(b, "alltoall", "even", "bf16");
	assert_false(ops->can(b, &c));
	c = case_of(b, "gemm", "no-such", "bf16");
	assert_false(ops->can(b, &c));
	assert_int_equal(ops->open(&many, &none), ST_UNAVAILABLE);
	assert_non_null(strstr(err_msg(), "4096"));
}

/* Two nodes on the same devices: a process each, sockets between them. */
static void nodes(void **state)
{
	static const char *const op[] = { "alltoall", "allreduce", "sendrecv" };
	struct backend *b = ((struct opened *)*state)->nodes;
	struct bench_case c;
	struct backend_info info;
	int i;

	need(state);
	ops->info(b, &info);
	assert_int_equal(info.nodes, 2);
	assert_string_equal(info.tier[0], "socket");
	for (i = 0; i < 3; i++) {
		c = case_of(b, op[i], i ? "" : "uneven", "fp32");
		c.work.bytes = work_round_bytes(1 << 20, c.ranks);
		try_case(b, &c);
	}
	c = case_of(b, "stream", "", "fp32");
	assert_false(ops->can(b, &c));
}

/* An argument is a filter: test_cuda 'rows*' */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products),
		cmocka_unit_test(gates),
		cmocka_unit_test(decisions),
		cmocka_unit_test(rows),
		cmocka_unit_test(streams),
		cmocka_unit_test(turns),
		cmocka_unit_test(exchanges),
		cmocka_unit_test(contention),
		cmocka_unit_test(refusals),
		cmocka_unit_test(nodes),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, open_backends, close_backends);
}
