/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Times of layers on all GPUs of this host: the shapes of well-known models,
 * at some pipeline degrees and algorithms. `bench_layer [NAME [DEGREE]]`.
 * Medians over steps of the slowest rank, milliseconds; TFLOP/s of the expert
 * products alone, forward and backward, of one GPU.
 */
#include "gpu/backend.h"
#include "gpu/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARMUP 5
#define STEPS 20

static const struct shape {
	const char *name;
	int tokens, hidden, ffn, experts, k;
	bool gated;
} shapes[] = {
	{ "mixtral-1k", 1024, 4096, 14336, 8, 2, true },
	{ "mixtral-4k", 4096, 4096, 14336, 8, 2, true },
	{ "mixtral-16k", 16384, 4096, 14336, 8, 2, true },
	{ "gpt-moe-4k", 4096, 2048, 8192, 16, 2, false },
	{ "gpt-moe-16k", 16384, 2048, 8192, 16, 2, false },
	{ "dsv2-lite-8k", 8192, 2048, 1408, 64, 6, true },
	{ "qwen3-30b-8k", 8192, 2048, 768, 128, 8, true },
};
#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *x, int n)
{
	qsort(x, (size_t)n, sizeof(*x), by_value);
	return x[n / 2];
}

static struct layer_case make_case(const struct shape *s, int ranks,
				   int degree, int alg, double capacity)
{
	struct layer_case c = {
		.dtype = DT_BF16, .tokens = s->tokens, .hidden = s->hidden,
		.ffn = s->ffn, .experts = s->experts, .k = s->k,
		.gated = s->gated, .nodes = 1, .gpus_per_node = ranks,
		.seed = 1, .graph = capacity > 0,
		.plan = { .layout = { ranks, 1, 1, 1, 1 },
			  .alltoall = (enum a2a_alg)alg, .technique_mask = 1,
			  .degree_forward = degree, .degree_backward = degree,
			  .capacity_factor = capacity },
	};

	if (capacity > 0)
		c.capacity = layer_capacity(&c, capacity);
	return c;
}

static enum status measure(struct backend *b, const struct layer_case *c,
			   const char *name)
{
	double forward_s[STEPS], step_s[STEPS], f, s, flops;
	enum status st = backend_cuda.layer_prepare(b, c);

	if (st)
		return st;
	st = backend_cuda.layer_run(b, WARMUP, forward_s, step_s);
	if (!st)
		st = backend_cuda.layer_run(b, STEPS, forward_s, step_s);
	if (!st) {
		f = median(forward_s, STEPS);
		s = median(step_s, STEPS);
		flops = 6.0 * (c->gated ? 3 : 2) * c->tokens * c->k *
			c->hidden * c->ffn;
		printf("%-14s %-9s d%d %-6s %8.3f %8.3f ms  %4.0f TFLOP/s\n",
		       name, a2a_table[c->plan.alltoall].name,
		       c->plan.degree_forward, c->capacity ? "graph" : "",
		       1e3 * f, 1e3 * s, flops / s / 1e12);
		fflush(stdout);
	}
	backend_cuda.layer_release(b);
	return st;
}

static enum status measure_shape(struct backend *b, const struct shape *s,
				 int ranks, int only)
{
	static const int degrees[] = { 1, 2, 4 };
	struct layer_case c;
	enum status st = ST_OK;
	size_t i;

	for (i = 0; i < sizeof(degrees) / sizeof(degrees[0]) && !st; i++) {
		if (only && degrees[i] != only)
			continue;
		c = make_case(s, ranks, degrees[i], A2A_FLAT, 0);
		st = measure(b, &c, s->name);
	}
	if (!st && !only) {
		c = make_case(s, ranks, 1, A2A_FLAT, 1);
		st = measure(b, &c, s->name);
	}
	return st;
}

int main(int argc, char **argv)
{
	struct backend_options opt = { .seed = 1 };
	struct backend_info info;
	struct backend *b;
	enum status st = backend_cuda.open(&opt, &b);
	size_t i;

	if (st) {
		fprintf(stderr, "%s\n", err_msg());
		return (int)st;
	}
	backend_cuda.info(b, &info);
	for (i = 0; i < N_SHAPES && !st; i++) {
		if (argc < 2 || !strcmp(argv[1], "all") ||
		    !strcmp(argv[1], shapes[i].name))
			st = measure_shape(b, &shapes[i], info.ranks,
					   argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0);
	}
	if (st)
		fprintf(stderr, "%s\n", err_msg());
	backend_cuda.close(b);
	return (int)st;
}
